//! Reports over a fixed history, to the byte.

use session_analytics::{
    By, Figures, Filter, PredictionOut, PriceBook, RecommendInput, RecommendationOut, Report, ReportOptions,
    recommendations, report_csv,
};
use session_store::{Timestamp, Usage, Zone};

use crate::story::{DAY, MINUTE, MONDAY, Reply, Story, at};

/// Two sessions, two weeks: one goes on after long pauses, a script works at night; one quota hit.
fn history() -> Story {
    let mut story = Story::default().session("pts/1", "local", "c").session("cron", "script", "night");
    for day in (0..14u32).filter(|day| day % 7 < 5) {
        for number in 0..6 {
            let usage = Usage { cache_write_5m: 30_000, output: 2_000, ..Usage::default() };
            story.reply(
                at(MONDAY).after(DAY * day + MINUTE * 20 * number),
                &Reply { usage, ..Reply::default() },
            );
        }
        let script = Reply { conversation: "night", model: "claude-sonnet-5-5", ..Reply::default() };
        story.reply(at(MONDAY).after(DAY * day + MINUTE * 60 * 14), &script);
    }
    story.hit(at("2026-11-12T11:00:00Z"), "c", at("2026-11-12T14:00:00Z"));
    story
}

#[track_caller]
fn check(by: By, expected: &[&str]) {
    let story = history();
    let options = ReportOptions {
        by,
        zone: Zone::named("Europe/Berlin").unwrap(),
        range: Timestamp::MIN..Timestamp::MAX,
        filter: Filter::default(),
        now: at("2026-11-14T12:00:00Z"),
    };
    let report = Report::build_with(
        &Figures::of(&story.ledger),
        &story.sessions,
        &PriceBook::built_in(),
        &options,
        &|folder| folder.to_owned(),
    );
    let csv = report_csv(&report);
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!(lines, expected, "{csv}");
}

#[test]
fn sessions_types_users() {
    let night = "10,1000,10000,5000,0,200000,216000,0,0.1345,false,claude-sonnet-5-5,0";
    let day = "60,0,120000,1800000,0,0,1920000,0,11.4,false,claude-opus-5-5,1";
    check(
        By::Session,
        &[&format!("cron:local:ada:host:1,{night}"), &format!("pts/1:local:ada:host:1,{day}")],
    );
    check(By::Type, &[&format!("local,{day}"), &format!("script,{night}")]);
    let both = "70,1000,130000,1805000,0,200000,2136000,0,11.5345,false,claude-opus-5-5 claude-sonnet-5-5,1";
    check(By::User, &[&format!("ada,{both}")]);
    check(By::Host, &[&format!("host,{both}")]);
    check(
        By::Weekly,
        &[
            "2026-11-02,35,500,65000,902500,0,100000,1068000,0,5.76725,false,claude-opus-5-5 claude-sonnet-5-5,0",
            "2026-11-09,35,500,65000,902500,0,100000,1068000,0,5.76725,false,claude-opus-5-5 claude-sonnet-5-5,1",
        ],
    );
}

#[test]
fn recommendations_in_their_json_shape() {
    let story = history();
    let input = RecommendInput {
        ledger: &story.ledger,
        book: &PriceBook::built_in(),
        sessions: &story.sessions,
        account: "ada",
        zone: &Zone::utc(),
        now: at("2026-11-14T12:00:00Z"),
    };
    let all = recommendations(&input);
    let text = serde_json::to_string(&RecommendationOut::of(&all[0])).unwrap();
    // Of 59 pauses one is a weekend, after which nobody goes on where they were; 30,000 tokens each at $5 − $0.20 per million.
    let expected = concat!(
        r#"{"kind":"cache_expired","title":"Pauses outlive the prompt cache","text":"58 times the next prompt came after "#,
        r#"the cache had ended, and 1.7M tokens were written to it again. Answer within its life, or end with /compact or "#,
        r#"/clear before a long pause.","evidence":{"days":30,"saving_usd":8.352,"times":58,"tokens":1740000},"#,
        r#""impact":"high","confidence":0.8,"applies_to":"pts/1:local:ada:host:1"}"#,
    );
    assert_eq!(text, expected);
}

#[test]
fn a_prediction_without_data_says_so() {
    let story = history();
    let figures = Figures::of(&story.ledger);
    let state = session_analytics::WindowState {
        account: "ada".into(),
        window: session_store::LimitWindow::FiveHour,
        used_percentage: Some(42.0),
        resets_at: Some(at("2026-11-14T14:00:00Z")),
        observed_at: at("2026-11-14T12:00:00Z"),
    };
    let input = session_analytics::ForecastInput {
        cells: &figures.cells,
        book: &PriceBook::built_in(),
        zone: &Zone::utc(),
        state: &state,
        samples: &[],
        now: at("2026-11-14T12:00:00Z"),
    };
    let prediction = session_analytics::Prediction::of(&input, &session_analytics::Learned::default());
    let text = serde_json::to_string(&PredictionOut::of(&prediction)).unwrap();
    let expected = concat!(
        r#"{"account":"ada","window":"five_hour","used_percentage":42.0,"resets_at":"2026-11-14T14:00:00.000Z","#,
        r#""runs_out_at":null,"low":null,"high":null,"resets_first":null,"turns_left":null,"usd_per_hour":0.0039,"#,
        r#""method":"insufficient_data","lacks":"the meter was seen too seldom to know what a percent costs","#,
        r#""backtest":null}"#,
    );
    assert_eq!(text, expected);
}
