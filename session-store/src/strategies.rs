//! Generators of events for property tests, of this crate and of crates that build on it.
//!
//! What they make is what the reader of transcripts makes: plausible times, counts that a request can have, and ids
//! that tell the kinds of fact apart. The pools are small, so that copies, shared cells and equal times are the rule.
//!
//! ```
//! use proptest::prelude::*;
//! use session_store::{Join, strategies};
//!
//! proptest!(|(a in strategies::ledgers(8), b in strategies::ledgers(8))| {
//!     let (mut left, mut right) = (a.clone(), b.clone());
//!     let _ = left.join(b);
//!     let _ = right.join(a);
//!     prop_assert_eq!(left, right);
//! });
//! ```

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::event::{
    Compaction, Conversation, CostState, Deed, Event, Fact, Failure, LimitCause, LimitHit, LimitSample,
    LimitWindow, ModelCost, Owner, Ownership, Reset, Restraint, Role, Setting, Tariff, Turn, Why,
};
use crate::id::{AgentId, ConversationId, EventId, ModelId};
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::usage::Usage;

/// The first moment that [`timestamps`] makes, 2026-11-20 at 00:00 UTC; all others lie in the two days from there.
pub const FROM: Timestamp = Timestamp::from_seconds(1_795_132_800);

/// How many different numbers end the ids of [`events`] of one kind; with few, records of one event meet often.
const IDS_PER_KIND: u8 = 6;

const QUARTER_MS: i64 = 15 * 60 * 1000;
const QUARTERS: i64 = 192;

/// Makes counts of tokens: often zero or equal, now and then as large as a transcript may say (10¹²).
pub fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        6 => 0..5u64,
        4 => 0..250_000u64,
        1 => Just(1_000_000_000_000),
    ]
}

/// Makes usages of [`counts`].
pub fn usages() -> impl Strategy<Value = Usage> {
    (counts(), counts(), counts(), counts(), counts(), 0..4u64).prop_map(
        |(input, output, cache_write_5m, cache_write_1h, cache_read, web_searches)| Usage {
            input,
            output,
            cache_write_5m,
            cache_write_1h,
            cache_read,
            web_searches,
        },
    )
}

/// Makes moments within two days from [`FROM`], many of them at the very edge of a quarter hour.
pub fn timestamps() -> impl Strategy<Value = Timestamp> {
    let near_edge = (0..QUARTERS, select(vec![0, 1, -1, QUARTER_MS / 2]))
        .prop_map(|(quarter, by)| quarter * QUARTER_MS + by);
    let anywhere = 0..QUARTERS * QUARTER_MS;
    prop_oneof![near_edge, anywhere]
        .prop_map(|offset| Timestamp::from_millis(FROM.as_millis() + offset.max(0)))
}

/// Makes conversations from a small pool, some with names that nobody expects.
pub fn conversation_ids() -> impl Strategy<Value = ConversationId> {
    let names = vec!["0f3c9d", "7b1e20", "résumé ⏱", "it's; DROP TABLE turn--", "\u{1b}[31m\0\n", "unknown"];
    select(names).prop_map(ConversationId::from)
}

/// Makes owners, main threads and sub-agents.
pub fn owners() -> impl Strategy<Value = Owner> {
    let agent = option::of(select(vec!["a1b2c3", "agent 'x'"])).prop_map(|agent| agent.map(AgentId::from));
    (any::<bool>(), timestamps(), conversation_ids(), agent).prop_map(
        |(is_main, since, conversation, agent)| Owner {
            role: if is_main { Role::Main } else { Role::SubAgent },
            since,
            conversation,
            agent: agent.filter(|_| !is_main),
        },
    )
}

/// Makes the names of models, known and unknown ones.
pub fn models() -> impl Strategy<Value = ModelId> {
    select(vec!["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001", "unknown"])
        .prop_map(ModelId::from)
}

/// Makes turns.
pub fn turns() -> impl Strategy<Value = Turn> {
    let tariff = (prop::bool::weighted(0.2), prop::bool::weighted(0.2))
        .prop_map(|(fast, us_only)| Tariff { fast, us_only });
    (usages(), models(), tariff, any::<bool>()).prop_map(|(usage, model, tariff, under_reported)| Turn {
        usage,
        model,
        tariff,
        under_reported,
    })
}

/// Makes the names of limits, each as [`LimitWindow::from_name`] reads it.
pub fn limit_windows() -> impl Strategy<Value = LimitWindow> {
    let names = vec![
        "unspecified",
        "five_hour",
        "seven_day",
        "seven_day_opus",
        "seven_day_sonnet",
        "overage",
        "seven_day_overage_included",
    ];
    select(names).prop_map(LimitWindow::from_name)
}

/// Makes refusals for a limit.
pub fn limit_hits() -> impl Strategy<Value = LimitHit> {
    (any::<bool>(), option::of(timestamps()), limit_windows()).prop_map(|(is_quota, resets_at, window)| {
        LimitHit {
            cause: if is_quota { LimitCause::Quota } else { LimitCause::Burst },
            resets_at: Reset(resets_at),
            window,
        }
    })
}

/// Makes samples of a limit's state.
pub fn limit_samples() -> impl Strategy<Value = LimitSample> {
    (limit_windows(), option::of(timestamps()), option::of(0..=10_000u32), texts()).prop_map(
        |(window, resets_at, used_hundredths, status)| LimitSample {
            window,
            resets_at,
            used_hundredths,
            status,
        },
    )
}

/// Makes running totals.
pub fn cost_states() -> impl Strategy<Value = CostState> {
    let cost = (models(), usages(), 0..1_000_000_000u64).prop_map(|(model, usage, cost_nanos)| ModelCost {
        model,
        usage,
        cost_nanos,
    });
    (0..4u64, 0..1_000_000_000u64, vec(cost, 0..3), any::<bool>()).prop_map(
        |(duration_ms, cost_nanos, models, has_unknown_model)| CostState {
            duration_ms,
            cost_nanos,
            models,
            has_unknown_model,
        },
    )
}

/// Makes what is known of a conversation; its first setting is never the later one.
pub fn conversations() -> impl Strategy<Value = Conversation> {
    (settings(), settings()).prop_map(|(a, b)| {
        if a <= b { Conversation { first: a, last: b } } else { Conversation { first: b, last: a } }
    })
}

/// Makes failures.
pub fn failures() -> impl Strategy<Value = Failure> {
    select(vec![Failure::Error, Failure::Interrupted, Failure::Refused])
}

/// Makes records of who ran a conversation.
pub fn ownerships() -> impl Strategy<Value = Ownership> {
    (texts(), timestamps()).prop_map(|(session, until)| Ownership { session, until })
}

/// Makes what was done before calls because of limits.
pub fn restraints() -> impl Strategy<Value = Restraint> {
    let deeds = prop_oneof![
        (0..30_000u64, 0..30_000u64).prop_map(|(due_ms, waited_ms)| Deed::Waited { due_ms, waited_ms }),
        select(vec![Deed::Refused, Deed::Told, Deed::Released]),
    ];
    (deeds, any::<bool>(), limit_samples(), select(Why::ALL.to_vec()), texts(), texts()).prop_map(
        |(deed, done, LimitSample { window, resets_at, used_hundredths, .. }, why, tool, priority)| {
            Restraint { deed, done, why, window, resets_at, used_hundredths, tool, priority }
        },
    )
}

/// Makes facts of every kind, turns most often.
pub fn facts() -> impl Strategy<Value = Fact> {
    let compaction = (any::<bool>(), counts())
        .prop_map(|(by_user, tokens_before)| Fact::Compaction(Compaction { by_user, tokens_before }));
    prop_oneof![
        8 => turns().prop_map(Fact::Turn),
        2 => limit_hits().prop_map(Fact::LimitHit),
        1 => limit_samples().prop_map(Fact::LimitSample),
        1 => cost_states().prop_map(Fact::CostState),
        1 => compaction,
        2 => conversations().prop_map(Fact::Conversation),
        1 => failures().prop_map(Fact::Failure),
        1 => ownerships().prop_map(Fact::Ownership),
        // Boxed, because unoptimized code moves the whole tree of strategies over the stack.
        1 => restraints().prop_map(Fact::Restraint).boxed(),
    ]
}

/// Makes events with ids from a small pool; records with one id are of one kind but for error lines, as in transcripts.
pub fn events() -> impl Strategy<Value = Event> {
    (0..IDS_PER_KIND, timestamps(), owners(), facts()).prop_map(|(number, at, owner, fact)| {
        let kind = match fact {
            Fact::Turn(_) => "msg_",
            // An error line tells of a refusal, of a state or of neither, as far as its reader understands it.
            Fact::LimitHit(_) | Fact::LimitSample(_) | Fact::Failure(_) => "error:",
            Fact::CostState(_) => "cost-state:",
            Fact::Compaction(_) => "compaction:",
            Fact::Conversation(_) => "conversation:",
            Fact::Ownership(_) => "owner:",
            Fact::Restraint(_) => "restraint:",
        };
        Event { id: EventId::new(format!("{kind}{number}")), at, owner, fact }
    })
}

/// Makes several records of one event: same id, and same kind of fact but for error lines.
pub fn records(count: usize) -> impl Strategy<Value = Vec<Event>> {
    let of_one_kind = prop_oneof![
        4 => vec(turns().prop_map(Fact::Turn), count),
        2 => vec(
            prop_oneof![
                limit_hits().prop_map(Fact::LimitHit),
                limit_samples().prop_map(Fact::LimitSample),
                failures().prop_map(Fact::Failure),
            ],
            count,
        ),
        1 => vec(cost_states().prop_map(Fact::CostState), count),
        2 => vec(conversations().prop_map(Fact::Conversation), count),
        1 => vec(restraints().prop_map(Fact::Restraint).boxed(), count),
    ];
    (of_one_kind, vec((timestamps(), owners()), count)).prop_map(|(facts, places)| {
        let events = facts.into_iter().zip(places);
        events.map(|(fact, (at, owner))| Event { id: "msg_same".into(), at, owner, fact }).collect()
    })
}

/// Makes ledgers joined of up to `events_max` records.
pub fn ledgers(events_max: usize) -> impl Strategy<Value = Ledger> {
    vec(events(), 0..=events_max).prop_map(Ledger::from_iter)
}

fn settings() -> impl Strategy<Value = Setting> {
    (timestamps(), option::of(texts()), option::of(texts()), option::of(texts()), option::of(texts()))
        .prop_map(|(at, folder, branch, version, entrypoint)| Setting {
            at,
            folder,
            branch,
            version,
            entrypoint,
        })
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        3 => select(vec!["", "/home/dev/code/alpha", "HEAD", "2.1.330", "sdk-cli", "allowed_warning", "\"\\\0\u{7f}"])
            .prop_map(Arc::from),
        1 => "\\PC{0,12}".prop_map(Arc::from),
    ]
}
