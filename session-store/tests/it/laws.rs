//! The join laws: order, repetition and grouping of records make no difference, and `Change` tells the truth.

use std::fmt::Debug;
use std::mem;

use proptest::prelude::*;
use proptest::sample::subsequence;
use session_store::{Change, Event, Fact, Join, Ledger, strategies};

/// Joins two values into a new one and checks what the join says of itself.
fn joined<T: Join + Clone + PartialEq + Debug>(a: &T, b: &T) -> T {
    let mut joined = a.clone();
    let change = joined.join(b.clone());
    assert_eq!(change == Change::Grew, joined != *a, "{change:?} for {a:?} with {b:?}");
    joined
}

fn check_laws<T: Join + Clone + PartialEq + Debug>(a: &T, b: &T, c: &T) {
    assert_eq!(joined(a, a), *a, "idempotent");
    assert_eq!(joined(a, b), joined(b, a), "commutative");
    assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)), "associative");
    let both = joined(a, b);
    assert_eq!(joined(&both, a), both, "nothing is ever taken back");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_join(records in strategies::records(3)) {
        check_laws(&records[0], &records[1], &records[2]);
    }

    #[test]
    fn facts_join(records in strategies::records(3)) {
        check_laws(&records[0].fact, &records[1].fact, &records[2].fact);
    }

    /// No transcript tells two kinds of fact under one id, but a damaged store may; the laws hold all the same.
    #[test]
    fn facts_of_different_kinds_join(
        a in strategies::facts(), b in strategies::facts(), c in strategies::facts(),
    ) {
        check_laws(&a, &b, &c);
    }

    #[test]
    fn conversations_join(
        a in strategies::conversations(), b in strategies::conversations(), c in strategies::conversations(),
    ) {
        check_laws(&a, &b, &c);
    }

    #[test]
    fn ledgers_join(a in strategies::ledgers(12), b in strategies::ledgers(12), c in strategies::ledgers(12)) {
        check_laws(&a, &b, &c);
    }

    /// A joined turn is one that was written: no counter is ever put together from two records.
    #[test]
    fn a_joined_turn_is_one_of_the_written(records in strategies::records(4)) {
        let ledger: Ledger = records.iter().cloned().collect();
        let joined = ledger.iter().next().unwrap();
        if let Fact::Turn(turn) = &joined.fact {
            let was_written = |record: &Event| matches!(&record.fact, Fact::Turn(written) if written == turn);
            prop_assert!(records.iter().any(was_written));
            let outputs = records.iter().filter_map(|record| match &record.fact {
                Fact::Turn(turn) => Some(turn.usage.output),
                _ => None,
            });
            prop_assert_eq!(Some(turn.usage.output), outputs.max(), "a placeholder never hides the bill");
        }
        let is_like = |record: &&Event| mem::discriminant(&record.fact) == mem::discriminant(&joined.fact);
        let alike = || records.iter().filter(is_like);
        prop_assert_eq!(Some(joined.at), alike().map(|record| record.at).min());
        prop_assert_eq!(Some(&joined.owner), alike().map(|record| &record.owner).min());
    }

    /// Who found a limit in an error line understood it; what others made of the line leaves no trace.
    #[test]
    fn a_limit_in_an_error_line_stands(records in strategies::records(4)) {
        let is_hit = |record: &&Event| matches!(record.fact, Fact::LimitHit(_));
        let hits: Ledger = records.iter().filter(is_hit).cloned().collect();
        let all: Ledger = records.into_iter().collect();
        prop_assert!(hits.is_empty() || hits == all);
    }

    /// However the records of a ledger are shuffled, repeated and dealt to two readers, they come to the same.
    #[test]
    fn a_ledger_knows_no_order(
        (records, shuffled, some) in prop::collection::vec(strategies::events(), 0..24).prop_flat_map(|records| {
            let count = records.len();
            (Just(records.clone()), Just(records.clone()).prop_shuffle(), subsequence(records, 0..=count))
        }),
    ) {
        let in_order: Ledger = records.into_iter().collect();
        let mut dealt: Ledger = some.iter().cloned().collect();
        let _ = dealt.join(shuffled.into_iter().chain(some).collect());
        prop_assert_eq!(&dealt, &in_order);
        prop_assert_eq!(dealt.join(in_order), Change::Unchanged);
    }
}
