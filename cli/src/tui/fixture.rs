//! A fixed state of things, for the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use ratatui::layout::Size;
use session_analytics::{
    Block, Hit, Limit, LimitSource, LimitStatus, LimitUse, Limits, Live, LiveConversation, Method,
    Prediction, Reading, Spend, State, Totals, Usd,
};
use session_coordinator::{Policy, Priority};
use session_store::{CellSum, LimitWindow, ModelId, Timestamp, Usage, Zone};

use super::Settings;
use super::app::App;

/// The moment of everything here.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T13:32:10Z").unwrap()
}

/// Makes the state of a screen of this size before anything is known.
pub(crate) fn app(width: u16, height: u16, color: bool) -> App {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let settings = Settings {
        title_scope: "~/work/shop".to_owned(),
        zone,
        color,
        demo: true,
        policy: Policy::Observe,
        priority: Priority::Normal,
    };
    App::new(settings, Size::new(width, height))
}

/// Makes a state with five conversations.
pub(crate) fn live() -> Live {
    let conversations = vec![
        conversation("~/work/shop/frontend", "claude-sonnet-4-5-20250929", State::Working, 9, 1_850_000),
        conversation("~/work/shop/backend", "claude-opus-4-5-20251101", State::Limited, 750, 940_000),
        conversation("~/work/infra", "claude-haiku-4-5", State::Idle, 4_000, 61_000),
        conversation("~/work/site", "claude-sonnet-4-5-20250929", State::Idle, 190_000, 8_400),
        conversation("", "gpt-oss", State::Idle, 900_000, 120),
    ];
    let mut totals = Totals::default();
    for conversation in &conversations {
        totals.add(&conversation.totals);
    }
    let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
    let block = Block { start, end: start.after(Duration::from_secs(5 * 3600)), anchored: false };
    let hit = Hit {
        at: now().before(Duration::from_secs(750)),
        conversation: conversations[1].id.clone(),
        window: LimitWindow::FiveHour,
        resets_at: Some(start.after(Duration::from_secs(5 * 3600))),
    };
    Live {
        at: now(),
        today: conversations[0].totals.clone(),
        block: Some((block, conversations[1].totals.clone())),
        conversations,
        totals,
        tokens_per_minute: 52_345.6,
        cost_per_hour: Usd::from_nanos(7_250_000_000),
        last_limit: Some(hit),
        unpriced_models: BTreeSet::from([ModelId::new("gpt-oss")]),
        scope_widened: false,
        limits: Vec::new(),
        notices: Vec::new(),
    }
}

/// Makes three limits: one ahead of its pace and told of a while ago, one at rest, one of a single model.
pub(crate) fn limits() -> Vec<LimitUse> {
    let reading = |window, minutes_ago: u64, used, hours_left: u64| Reading {
        account: "~/.claude".into(),
        window: LimitWindow::from_name(window),
        at: now().before(Duration::from_secs(minutes_ago * 60)),
        used: Some(used),
        status: LimitStatus::Allowed,
        resets_at: Some(now().after(Duration::from_secs(hours_left * 3600))),
        source: LimitSource::StatusLine,
        by: "one".into(),
    };
    let readings = [
        reading("five_hour", 30, 6_000, 2),
        reading("five_hour", 3, 7_850, 2),
        reading("seven_day", 0, 1_234, 50),
        reading("seven_day_opus", 200, 9_100, 50),
    ];
    let spend = |who: &str, minutes_ago: u64, dollars: i128| Spend {
        at: now().before(Duration::from_secs(minutes_ago * 60)),
        who: who.into(),
        cost: Usd::from_picos(dollars * 1_000_000_000_000),
    };
    let spends = [
        spend("pts/1:local:ada:host:7", 40, 3),
        spend("conversation:4f2c00940000", 20, 2),
        spend("pts/1:local:ada:host:7", 2, 1),
    ];
    let limits = Limits::merge(readings, now()).limits;
    let forecasts = [Some("2026-11-22T14:21:00Z"), None, Some("2026-11-23T01:12:00Z")];
    let with_forecast = |(limit, runs_out_at): (&Limit, Option<&str>)| LimitUse {
        forecast: Some(forecast(limit, runs_out_at.and_then(Timestamp::parse))),
        ..LimitUse::of(limit, &spends, now())
    };
    limits.iter().zip(forecasts).map(with_forecast).collect()
}

fn forecast(limit: &Limit, runs_out_at: Option<Timestamp>) -> Prediction {
    Prediction {
        account: limit.account.to_string(),
        window: limit.window.clone(),
        used_percentage: limit.used.map(|used| f64::from(used) / 100.0),
        resets_at: limit.resets_at,
        runs_out_at,
        low: runs_out_at,
        high: runs_out_at,
        resets_first: Some(runs_out_at.is_none()),
        turns_left: None,
        method: Method::Habit,
        burn: None,
        backtest: None,
    }
}

fn conversation(project: &str, model: &str, state: State, seconds: u64, tokens: u64) -> LiveConversation {
    let usage = Usage {
        input: tokens / 100,
        output: tokens / 20,
        cache_write_5m: tokens / 10,
        cache_write_1h: tokens / 25,
        cache_read: tokens - tokens / 5,
        web_searches: tokens / 500_000,
    };
    let nanos_per_token = if model.contains("opus") { 5_000 } else { 1_200 };
    let is_priced = model.starts_with("claude");
    LiveConversation {
        id: format!("4f2c{tokens:08}-1c5d-4c3a-9a51-0b8d5cf2a7e1").as_str().into(),
        project: project.to_owned(),
        model: Some(ModelId::new(model)),
        state,
        totals: Totals {
            sum: CellSum { messages: tokens / 9_000, under_reported: 0, usage },
            cost: if is_priced { Usd::from_nanos(tokens * nanos_per_token) } else { Usd::ZERO },
            estimated: model.contains("haiku"),
            models: BTreeSet::from([ModelId::new(model)]),
            rate_limit_events: u64::from(state == State::Limited),
        },
        today: None,
        tokens_per_minute: if state == State::Working { 48_210.0 } else { 0.0 },
        last_activity: now().before(Duration::from_secs(seconds)),
    }
}
