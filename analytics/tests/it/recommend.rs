//! Each rule fires where its case is, says what it would have saved, and is silent where it is not.

use session_analytics::{
    Evidence, Impact, Kind, PriceBook, RecommendInput, Recommendation, Subject, Usd, recommendations,
};
use session_store::{Failure, Tariff, Usage, Zone};

use crate::story::{DAY, HOUR, MINUTE, MONDAY, Reply, Story, at};

fn advice(story: &Story) -> Vec<Recommendation> {
    let input = RecommendInput {
        ledger: &story.ledger,
        book: &PriceBook::built_in(),
        sessions: &story.sessions,
        account: "ada",
        zone: &Zone::utc(),
        now: at("2026-11-23T09:00:00Z"),
    };
    let all = recommendations(&input);
    for advice in &all {
        assert!(advice.saving.cost > Usd::ZERO || !advice.saving.waiting.is_zero(), "{advice:?}");
        assert!((0.0..=1.0).contains(&advice.confidence) && !advice.text.is_empty());
        assert!(advice.evidence.contains_key("saving_usd") || advice.evidence.contains_key("saving_minutes"));
    }
    all
}

/// Checks that a history gives rise to a kind, once, and returns it.
#[track_caller]
fn fires(story: &Story, kind: Kind) -> Recommendation {
    let found: Vec<_> = advice(story).into_iter().filter(|it| it.kind == kind).collect();
    assert_eq!(found.len(), 1, "{kind:?}: {found:#?}");
    found.into_iter().next().unwrap()
}

#[track_caller]
fn is_silent(story: &Story, kind: Kind) {
    let all = advice(story);
    assert!(all.iter().all(|it| it.kind != kind), "{all:#?}");
}

/// Ten replies, so far apart, each followed by the next with this usage.
fn steady(gap: std::time::Duration, reply: &Reply) -> Story {
    let mut story = Story::default();
    for number in 0..10 {
        story.reply(at(MONDAY).after(gap * number), reply);
    }
    story
}

fn with(usage: Usage) -> Reply {
    Reply { usage, ..Reply::default() }
}

#[test]
fn nothing_comes_of_nothing() {
    assert!(advice(&Story::default()).is_empty());
    // Well-kept work: short gaps, read from the cache.
    assert!(advice(&steady(MINUTE, &Reply::default())).is_empty());
}

#[test]
fn caches_lost_in_pauses() {
    let lost = with(Usage { cache_write_5m: 60_000, output: 500, ..Usage::default() });
    let found = fires(&steady(MINUTE * 10, &lost), Kind::CacheExpired);
    // 9 × 60,000 tokens at $5 − $0.20 per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(2_592_000_000));
    assert_eq!(found.evidence["times"], Evidence::Count(9));
    assert_eq!(found.applies_to, Subject::Account("ada".into()));
    assert_eq!(found.impact, Impact::High);
    is_silent(&steady(MINUTE * 4, &lost), Kind::CacheExpired);
    // The one-hour cache outlives ten minutes, and what is read was not lost.
    let long = with(Usage { cache_write_1h: 60_000, output: 500, ..Usage::default() });
    is_silent(&steady(MINUTE * 10, &long), Kind::CacheExpired);
    is_silent(&steady(MINUTE * 10, &Reply::default()), Kind::CacheExpired);
}

#[test]
fn a_session_is_told_what_its_place_allows() {
    let lost = with(Usage { cache_write_5m: 60_000, output: 500, ..Usage::default() });
    let story = |sort| steady(MINUTE * 10, &lost).session("s", sort, "c");
    let found = fires(&story("ssh"), Kind::CacheExpired);
    assert_eq!(found.applies_to, Subject::Session("s:local:ada:host:1".into()));
    assert!(found.text.contains("tmux"), "{}", found.text);
    assert!(!fires(&story("local"), Kind::CacheExpired).text.contains("tmux"));
}

#[test]
fn long_caches_without_long_pauses() {
    let long = with(Usage { cache_write_1h: 40_000, cache_read: 40_000, output: 500, ..Usage::default() });
    let found = fires(&steady(MINUTE, &long), Kind::LongCacheUnused);
    // 10 × 40,000 tokens at $8 − $5 per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(1_200_000_000));
    is_silent(&steady(MINUTE * 20, &long), Kind::LongCacheUnused);
    is_silent(&steady(MINUTE, &Reply::default()), Kind::LongCacheUnused);
}

#[test]
fn prompts_that_no_cache_serves() {
    let plain = with(Usage { input: 30_000, output: 500, ..Usage::default() });
    let found = fires(&steady(MINUTE, &plain), Kind::UncachedPrompts);
    // 9 × 30,000 tokens at $4 − $0.20 per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(1_026_000_000));
    is_silent(&steady(MINUTE, &Reply::default()), Kind::UncachedPrompts);
}

#[test]
fn contexts_that_grow() {
    let large = with(Usage { cache_read: 400_000, output: 500, ..Usage::default() });
    let found = fires(&steady(MINUTE, &large), Kind::LargeContext);
    // 10 × 300,000 read at $0.20, less a summary: 100,000 read, 5,000 written at $20, 20,000 cached at $5.
    assert_eq!(found.saving.cost, Usd::from_nanos(600_000_000 - 20_000_000 - 100_000_000 - 100_000_000));
    is_silent(
        &steady(MINUTE, &with(Usage { cache_read: 99_000, output: 500, ..Usage::default() })),
        Kind::LargeContext,
    );
}

#[test]
fn prompts_in_the_dear_tier() {
    let haiku = |tokens| Reply {
        model: "claude-haiku-5-5",
        ..with(Usage { input: tokens, output: 500, ..Usage::default() })
    };
    let found = fires(&steady(MINUTE, &haiku(150_000)), Kind::LongContextTier);
    // 10 × (150,000 × $0.40 + 500 × $2) per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(610_000_000));
    is_silent(&steady(MINUTE, &haiku(90_000)), Kind::LongContextTier);
}

fn agents(gap: std::time::Duration, model: &'static str, output: u64) -> Story {
    let mut story = Story::default();
    for number in 0..12 {
        let usage = Usage { cache_write_5m: 20_000, output, ..Usage::default() };
        let reply = Reply { agent: Some(format!("a{number}")), model, ..with(usage) };
        story.reply(at(MONDAY).after(gap * number), &reply);
    }
    story
}

#[test]
fn small_tasks_on_dear_models() {
    let found = fires(&agents(HOUR, "claude-opus-5-5", 500), Kind::DearModel);
    // 12 × (20,000 × $2.50 + 500 × $10) per million: half of Opus.
    assert_eq!(found.saving.cost, Usd::from_nanos(660_000_000));
    is_silent(&agents(HOUR, "claude-sonnet-5-5", 500), Kind::DearModel);
    is_silent(&agents(HOUR, "claude-opus-5-5", 5_000), Kind::DearModel);
}

#[test]
fn bursts_of_sub_agents() {
    let found = fires(&agents(MINUTE / 6, "claude-opus-5-5", 5_000), Kind::SubAgentBurst);
    assert_eq!(found.evidence["sub_agents"], Evidence::Count(8));
    // 8 × 20,000 tokens at $5 per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(800_000_000));
    is_silent(&agents(HOUR, "claude-opus-5-5", 5_000), Kind::SubAgentBurst);
}

#[test]
fn replies_that_came_to_nothing() {
    let mut story = steady(MINUTE, &Reply::default());
    for number in 0..6 {
        story.failure(at(MONDAY).after(MINUTE * number + MINUTE / 2), "c", Failure::Interrupted);
    }
    let found = fires(&story, Kind::FailedReplies);
    assert_eq!(found.evidence["interruptions"], Evidence::Count(6));
    // 6 × (100 × $4 + 1,000 × $20 + 500 × $5 + 20,000 × $0.20) per million.
    assert_eq!(found.saving.cost, Usd::from_nanos(6 * 26_900_000));
    is_silent(&steady(MINUTE, &Reply::default()), Kind::FailedReplies);
}

#[test]
fn surcharges() {
    let fast = Reply { tariff: Tariff { fast: true, us_only: false }, ..Reply::default() };
    assert_eq!(fires(&steady(MINUTE, &fast), Kind::FastMode).saving.cost, Usd::from_nanos(269_000_000));
    let usage = Usage { output: 10_000, ..Usage::default() };
    let in_us = Reply { tariff: Tariff { fast: false, us_only: true }, ..with(usage) };
    assert_eq!(fires(&steady(MINUTE, &in_us), Kind::UsInference).saving.cost, Usd::from_nanos(200_000_000));
    is_silent(&steady(MINUTE, &Reply::default()), Kind::FastMode);
    is_silent(&steady(MINUTE, &Reply::default()), Kind::UsInference);
}

/// On some days one conversation works hard for an hour and another little, both are refused, and the window resets after so long.
fn limited(days: &[u32], left: std::time::Duration) -> Story {
    let mut story = Story::default();
    let hard = with(Usage { output: 50_000, ..Usage::default() });
    let little = Reply { conversation: "d", ..Reply::default() };
    for day in days {
        let start = at(MONDAY).after(DAY * *day);
        for number in 0..60 {
            story.reply(start.after(MINUTE * number), &hard);
        }
        story.reply(start.after(MINUTE * 30), &little);
        let hit_at = start.after(HOUR);
        story.hit(hit_at, "c", hit_at.after(left));
        story.hit(hit_at.after(MINUTE), "d", hit_at.after(left));
    }
    story
}

#[test]
fn sessions_that_eat_the_window() {
    let both = |sort| limited(&[0], HOUR).session("eater", sort, "c").session("other", "local", "d");
    let found = fires(&both("script"), Kind::BackgroundWork);
    assert_eq!(found.applies_to, Subject::Session("eater:local:ada:host:1".into()));
    assert_eq!(found.saving.waiting, HOUR - MINUTE);
    is_silent(&both("script"), Kind::StarvingSession);
    assert_eq!(fires(&both("ssh"), Kind::StarvingSession).saving.waiting, HOUR - MINUTE);
    is_silent(&both("ssh"), Kind::BackgroundWork);
    // Alone one starves nobody.
    is_silent(
        &limited(&[0], HOUR).session("eater", "ssh", "c").session("eater", "ssh", "d"),
        Kind::StarvingSession,
    );
}

#[test]
fn windows_spent_early_or_late() {
    let early = limited(&[0, 1, 2], HOUR * 3);
    assert_eq!(fires(&early, Kind::SpentEarly).saving.waiting, HOUR * 9);
    is_silent(&early, Kind::PiledAgainstReset);
    let late = limited(&[0, 1, 2], MINUTE * 10);
    assert_eq!(fires(&late, Kind::PiledAgainstReset).saving.waiting, MINUTE * 30);
    is_silent(&late, Kind::SpentEarly);
}

#[test]
fn the_same_hour_each_week() {
    let found = fires(&limited(&[0, 7, 14], HOUR), Kind::SameHour);
    assert_eq!(found.evidence["weekday"], Evidence::Text("Mondays".into()));
    assert_eq!(found.evidence["hour"], Evidence::Text("10:00".into()));
    is_silent(&limited(&[0, 1, 2], HOUR), Kind::SameHour);
}

#[test]
fn hours_with_headroom() {
    let mut story = limited(&[0, 1, 2], HOUR);
    is_silent(&story, Kind::Headroom);
    for day in 0..3 {
        story.reply(at(MONDAY).after(DAY * day).before(HOUR * 2), &Reply::default());
    }
    let found = fires(&story, Kind::Headroom);
    assert_eq!(found.evidence["hours"], Evidence::Text("07:00".into()));
    assert_eq!(found.saving.waiting, HOUR * 3);
}

#[test]
fn old_and_future_work_says_nothing() {
    let lost = with(Usage { cache_write_5m: 60_000, output: 500, ..Usage::default() });
    let mut story = Story::default();
    for number in 0..10 {
        story.reply(at("2026-09-01T09:00:00Z").after(MINUTE * 10 * number), &lost);
        story.reply(at("2027-09-01T09:00:00Z").after(MINUTE * 10 * number), &lost);
    }
    assert!(advice(&story).is_empty());
}
