//! Events as lines: what is written is read back, in any order and number, and no line ends the reading.

use std::io::BufReader;

use proptest::prelude::*;
use proptest::sample::Index;
use session_store::exchange::{self, Lines, Refused};
use session_store::{Batch, EventBackend, LINE_BYTES_MAX};
use session_store::{Event, Ledger, Memory, Selection, strategies};

fn text_of(ledger: &Ledger) -> String {
    ledger.iter().map(|event| format!("{}\n", exchange::line(event))).collect()
}

/// Reads everything, what was refused counted apart.
fn read_all(bytes: &[u8]) -> (Ledger, Vec<Refused>) {
    // A small buffer, so that lines reach over its edges.
    let mut lines = Lines::new(BufReader::with_capacity(7, bytes));
    let (mut ledger, mut refused) = (Ledger::default(), Vec::new());
    while let Some(line) = lines.next_line().unwrap() {
        match line {
            Ok(event) => drop(ledger.apply(event)),
            Err(reason) => refused.push(reason),
        }
    }
    (ledger, refused)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(ledger in strategies::ledgers(12)) {
        prop_assert_eq!(read_all(text_of(&ledger).as_bytes()), (ledger, vec![]));
    }

    #[test]
    fn order_and_repetition_make_no_difference(
        ledger in strategies::ledgers(12), order in any::<Vec<Index>>(),
    ) {
        let text = text_of(&ledger);
        let mut lines: Vec<&str> = text.lines().collect();
        let more: Vec<&str> = match lines.is_empty() {
            true => vec![],
            false => order.iter().map(|index| lines[index.index(lines.len())]).collect(),
        };
        lines.extend(more);
        lines.reverse();
        prop_assert_eq!(read_all(lines.join("\r\n\n").as_bytes()), (ledger, vec![]));
    }

    #[test]
    fn importing_twice_is_importing_once(ledger in strategies::ledgers(12), known in strategies::ledgers(6)) {
        let store = Memory::default();
        let commit = |ledger: &Ledger| store.commit(Batch { ledger: ledger.clone(), checkpoints: vec![] }).unwrap();
        let _ = commit(&known);
        let read = read_all(text_of(&ledger).as_bytes()).0;
        let _ = commit(&read);
        let once = store.events(&Selection::all()).unwrap();
        prop_assert_eq!(commit(&read), session_store::Change::Unchanged);
        prop_assert_eq!(store.events(&Selection::all()).unwrap(), once);
    }

    /// Whatever is cut off, torn or written over: the other lines are read, and what is lost is counted.
    #[test]
    fn a_torn_file_loses_no_more_than_a_line(ledger in strategies::ledgers(12), at in any::<Index>()) {
        let text = text_of(&ledger);
        prop_assume!(!text.is_empty());
        let cut = at.index(text.len());
        let whole = text.as_bytes()[..cut].iter().filter(|byte| **byte == b'\n').count();
        let (read, refused) = read_all(&text.as_bytes()[..cut]);
        prop_assert!(read.len() + refused.len() <= whole + 1);
        prop_assert!(read.len() >= whole, "{} of {} lines", read.len(), whole);
        prop_assert!(read.iter().all(|event| ledger.get(&event.id) == Some(event)));
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in any::<Vec<u8>>(), ledger in strategies::ledgers(3)) {
        let text = text_of(&ledger);
        let mixed = [bytes.as_slice(), b"\n", text.as_bytes()].concat();
        let (read, _) = read_all(&mixed);
        prop_assert_eq!(read, ledger);
    }
}

#[track_caller]
fn check(line: &str, expected: Result<(), Refused>) {
    assert_eq!(exchange::read(line.as_bytes()).map(drop), expected, "{line}");
}

#[test]
fn each_refusal_has_its_reason() {
    let with = |rest: &str| {
        let owner = r#""at":"2026-11-22T17:12:29.000Z","since":"2026-11-22T17:00:00Z","conversation":"c""#;
        format!(r#"{{"v":1,"id":"msg_1",{owner}{rest}}}"#)
    };
    let turn = r#","turn":{"model":"m","input":1}"#;
    check(&with(turn), Ok(()));
    check(&with(&format!(r#"{turn},"added_later":[1,{{}}]"#)), Ok(()));
    check("", Err(Refused::Damaged));
    check("null", Err(Refused::Damaged));
    check("{\"v\":1}", Err(Refused::Damaged));
    check(&with(turn)[1..], Err(Refused::Damaged));
    check(&with(turn).replace(":1}", ":-1}"), Err(Refused::Damaged));
    check(&with(turn).replace(":1}", ":1.5}"), Err(Refused::Damaged));
    check(&with(turn).replace("22T17", "32T17"), Err(Refused::Damaged));
    check(&with(&format!(r#"{turn},"fact":{{}}"#)), Err(Refused::Damaged));
    check(&with(turn).replace(r#""v":1"#, r#""v":2"#), Err(Refused::Newer));
    check(r#"{"v":9,"quite":"another form"}"#, Err(Refused::Newer));
    check(&with(""), Err(Refused::Newer));
    check(&with(r#","fact":{"Unheard":{}}"#), Err(Refused::Newer));
    check(&with(turn).replace(":1}", ":1000000000001}"), Err(Refused::Absurd));
    check(&with(turn).replace("\"at\":\"2026", "\"at\":\"1826"), Err(Refused::Absurd));
    check(&with(turn).replace("msg_1", "cost-state:c"), Err(Refused::Absurd));
    check(&with(r#","fact":{"Compaction":{"by_user":true,"tokens_before":1}}"#), Err(Refused::Absurd));
    check(&"[".repeat(100_000), Err(Refused::Damaged));
}

#[test]
fn a_line_without_end_is_passed_over() {
    let event: Event = exchange::read(
        br#"{"v":1,"id":"msg_1","at":"2026-11-22T17:12:29Z","since":0,"conversation":"c","turn":{"model":"m"}}"#,
    )
    .unwrap();
    let mut bytes = vec![b'x'; LINE_BYTES_MAX + 70_000];
    bytes.extend(format!("\n{}", exchange::line(&event)).bytes());
    let mut lines = Lines::new(BufReader::new(bytes.as_slice()));
    assert_eq!(lines.next_line().unwrap(), Some(Err(Refused::TooLong)));
    assert_eq!(lines.next_line().unwrap(), Some(Ok(event)));
    assert_eq!(lines.next_line().unwrap(), None);
}
