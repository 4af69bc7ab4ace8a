//! Sums of parts are the sums of the whole, by whatever they are told apart, in whatever order the events came.

use std::collections::BTreeMap;

use proptest::prelude::*;
use session_analytics::{
    By, Effort, Figures, Filter, PriceBook, RecommendInput, Report, ReportOptions, SessionInfo, Sessions,
    Totals, anchors, cuts, efforts, recommendations, report_json,
};
use session_store::{ConversationId, Failure, Ledger, Selection, Timestamp, Usage, Zone, strategies};

use crate::story::{MINUTE, MONDAY, Reply, Story, at};

const ALL: [By; 11] = [
    By::Daily,
    By::Weekly,
    By::Monthly,
    By::Conversation,
    By::Project,
    By::Model,
    By::Block,
    By::Session,
    By::Type,
    By::User,
    By::Host,
];

fn options(by: By) -> ReportOptions {
    ReportOptions {
        by,
        zone: Zone::named("Europe/Berlin").unwrap(),
        range: Timestamp::MIN..Timestamp::MAX,
        filter: Filter::default(),
        now: at("2026-11-22T12:00:00Z"),
    }
}

fn report(figures: &Figures, sessions: &Sessions, by: By) -> Report {
    Report::build_with(figures, sessions, &PriceBook::built_in(), &options(by), &|folder| folder.to_owned())
}

/// Gives each conversation one of three sessions, some none.
fn sessions(ledger: &Ledger) -> Sessions {
    let mut sessions = Sessions::default();
    for event in ledger.iter() {
        let conversation = &event.owner.conversation;
        let number = conversation.as_str().len() % 4;
        if number < 3 {
            let info = SessionInfo {
                session_id: format!("pts/{number}:local:u{}:h:{number}", number % 2).into(),
                isolation_key: format!("{number}").into(),
                session_type: ["local", "ssh", "script"][number].into(),
                user: format!("u{}", number % 2).into(),
                host: "h".into(),
            };
            sessions.ran(&format!("s{number}"), info, conversation, Timestamp::MIN);
        }
    }
    sessions
}

fn session_of(sessions: &Sessions, conversation: &ConversationId) -> Option<String> {
    sessions.name_of(conversation, Timestamp::MAX).map(|name| name.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A report may leave unread what it says it does not depend on.
    #[test]
    fn what_is_not_needed_makes_no_difference(ledger in strategies::ledgers(40)) {
        let (whole, sessions) = (Figures::of(&ledger), sessions(&ledger));
        for by in ALL {
            let (options, mut figures) = (options(by), whole.clone());
            let (conversations, others) = (options.needs_conversations(), options.needs_others());
            let selection = Selection { conversations, others, ..Selection::facts() };
            figures.facts = ledger.iter().filter(|event| selection.holds(event)).cloned().collect();
            let all = report_json(&report(&whole, &sessions, by));
            prop_assert_eq!(report_json(&report(&figures, &sessions, by)), all, "{}", by.name());
        }
    }

    #[test]
    fn every_view_has_the_same_total(ledger in strategies::ledgers(40)) {
        let (figures, sessions) = (Figures::of(&ledger), sessions(&ledger));
        let whole = report(&figures, &sessions, By::Daily).totals;
        for by in ALL {
            let report = report(&figures, &sessions, by);
            prop_assert_eq!(&report.totals, &whole, "{}", by.name());
            let mut sum = Totals::default();
            for row in &report.rows {
                sum.add(&row.totals);
            }
            // A hit has no model.
            sum.rate_limit_events = whole.rate_limit_events;
            prop_assert_eq!(&sum, &whole);
        }
    }

    /// Each session sums up its own events; merging the sums gives the view over all events, to the byte.
    #[test]
    fn merged_sums_are_the_view_over_all_events(ledger in strategies::ledgers(40)) {
        let sessions = sessions(&ledger);
        let cuts = cuts(&anchors(&ledger));
        let mut parts: BTreeMap<Option<String>, Ledger> = BTreeMap::new();
        for event in ledger.iter() {
            let part = parts.entry(session_of(&sessions, &event.owner.conversation)).or_default();
            let _ = part.apply(event.clone());
        }
        let sums = parts.into_values().map(|part| Figures::of_divided(&part, &cuts));
        let merged = sums.fold(Figures::default(), Figures::merged);
        let whole = Figures::of_divided(&ledger, &cuts);
        prop_assert_eq!(&merged.cells, &whole.cells);
        for by in ALL {
            prop_assert_eq!(
                report_json(&report(&merged, &sessions, by)),
                report_json(&report(&whole, &sessions, by)),
            );
        }
    }

    /// Efforts add up: those of any two halves of the conversations are those of all.
    #[test]
    fn efforts_of_parts_are_those_of_the_whole(ledger in strategies::ledgers(40)) {
        let book = PriceBook::built_in();
        let now = at("2026-11-22T12:00:00Z");
        let none = Sessions::default();
        let sum = |ledger: &Ledger| {
            let mut sum = Effort::default();
            for effort in efforts(ledger, &book, &none, now).values() {
                sum.add(effort);
            }
            sum
        };
        let is_left = |event: &session_store::Event| event.owner.conversation.as_str().len().is_multiple_of(2);
        let (left, right): (Vec<_>, Vec<_>) = ledger.clone().into_iter().partition(is_left);
        let mut parts = sum(&left.into_iter().collect());
        parts.add(&sum(&right.into_iter().collect()));
        prop_assert_eq!(parts, sum(&ledger));
    }

    #[test]
    fn nothing_depends_on_the_order_of_events(events in proptest::collection::vec(strategies::events(), 0..40), seed: u64) {
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|event| event.at.as_millis().wrapping_mul((seed | 1) as i64));
        let (one, other): (Ledger, Ledger) = (events.into_iter().collect(), shuffled.into_iter().collect());
        let tell = |ledger: &Ledger| {
            let sessions = sessions(ledger);
            let now = at("2026-11-22T12:00:00Z");
            let (book, zone) = (PriceBook::built_in(), Zone::utc());
            let input = RecommendInput { ledger, book: &book, sessions: &sessions, account: "a", zone: &zone, now };
            let figures = Figures::of(ledger);
            let reports: Vec<_> = ALL.map(|by| report_json(&report(&figures, &sessions, by))).into();
            (recommendations(&input), efforts(ledger, &book, &sessions, now), reports)
        };
        prop_assert_eq!(tell(&one), tell(&other));
    }

    #[test]
    fn sessions_merge_in_any_order(ledger in strategies::ledgers(20), times in proptest::collection::vec(strategies::timestamps(), 6)) {
        let parts: Vec<Sessions> = ledger.iter().zip(times.iter().cycle()).map(|(event, since)| {
            let mut part = Sessions::default();
            let name = format!("s{}", since.as_millis() % 3);
            let info = SessionInfo { session_id: event.id.as_str().into(), ..SessionInfo::default() };
            part.ran(&name, info, &event.owner.conversation, *since);
            part
        }).collect();
        let merged = |parts: &mut dyn Iterator<Item = &Sessions>| {
            let mut all = Sessions::default();
            parts.for_each(|part| all.merge(part.clone()));
            all
        };
        prop_assert_eq!(merged(&mut parts.iter()), merged(&mut parts.iter().rev()));
    }
}

/// Twenty replies with a cache that serves four fifths, a tenth of the cost interrupted, an hour of fifteen blocked.
#[test]
fn a_score_is_made_of_its_parts() {
    let mut story = Story::default();
    let usage = Usage { input: 1_000, cache_read: 4_000, output: 100, ..Usage::default() };
    for number in 0..20 {
        story.reply(at(MONDAY).after(MINUTE * 15 * number), &Reply { usage, ..Reply::default() });
    }
    let now = at(MONDAY).after(MINUTE * 60 * 24);
    let score = |story: &Story| {
        let efforts = efforts(&story.ledger, &PriceBook::built_in(), &story.sessions, now);
        efforts.into_values().next().unwrap().score()
    };
    let clean = score(&story).unwrap();
    assert_eq!((clean.cached, clean.finished, clean.unblocked), (0.8, Some(1.0), 1.0));
    assert!((clean.value - (0.4 * 0.8 + 0.4 + 0.2)).abs() < 1e-12);
    story.failure(at(MONDAY).after(MINUTE * 2), "c", Failure::Interrupted);
    story.failure(at(MONDAY).after(MINUTE * 32), "c", Failure::Refused);
    // The last reply is at 13:45; from 14:00 on nothing goes until the reset at 19:00.
    story.hit(at("2026-11-02T14:00:00Z"), "c", at("2026-11-02T19:00:00Z"));
    let troubled = score(&story).unwrap();
    assert_eq!((troubled.cached, troubled.finished, troubled.unblocked), (0.8, Some(0.9), 0.5));
    assert!((troubled.value - (0.4 * 0.8 + 0.4 * 0.9 + 0.2 * 0.5)).abs() < 1e-12);
}

#[test]
fn no_score_below_a_minimum() {
    let mut story = Story::default();
    for number in 0..19 {
        story.reply(at(MONDAY).after(MINUTE * number), &Reply::default());
    }
    let score = |story: &Story| {
        let all = efforts(&story.ledger, &PriceBook::built_in(), &story.sessions, at("2026-11-22T12:00:00Z"));
        all.into_values().next().unwrap().score()
    };
    assert_eq!(score(&story), None);
    story.reply(at(MONDAY).after(MINUTE * 19), &Reply::default());
    assert!(score(&story).is_some());
    // Many replies of nearly nothing do not make a score, and what has no price is left out of it.
    let mut small = Story::default();
    let mut unpriced = Story::default();
    for number in 0..30 {
        let usage = Usage { input: 10, ..Usage::default() };
        small.reply(at(MONDAY).after(MINUTE * number), &Reply { usage, ..Reply::default() });
        unpriced.reply(at(MONDAY).after(MINUTE * number), &Reply { model: "other", ..Reply::default() });
    }
    assert_eq!(score(&small), None);
    let score = score(&unpriced).unwrap();
    assert_eq!(score.finished, None);
    assert!((score.value - (0.4 * score.cached + 0.2) / 0.6).abs() < 1e-12);
}
