//! What each fuzz target checks, as plain functions: they panic where a promise of the library is broken.
//!
//! `cargo fuzz run <target>` searches for inputs that do; `cargo test` replays `corpus/<target>/`, where every input
//! that ever did is kept.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use session_store::{
    Change, Event, Fact, Join, LINE_BYTES_MAX, Ledger, Position, ProblemKind, Reading, SourceKind, Tail,
    Zone, fold_cells, strategies,
};

/// One line of a transcript: reading never fails, stands at the line's end after it, and says of each line what was
/// found in it.
///
/// Newlines in the data are taken out, so that it is one line.
pub fn transcript_line(data: &[u8]) {
    let mut line: Vec<u8> = data.iter().copied().filter(|&byte| byte != b'\n').collect();
    let mut tail = Tail::new(main_source(), Zone::utc());
    let unfinished = tail.feed(&line);
    assert!(
        unfinished.found.is_empty() && unfinished.problems.is_empty(),
        "nothing is known before the line ends"
    );
    assert_eq!(tail.position(), Position::default());

    line.push(b'\n');
    let reading = tail.feed(b"\n");
    assert_eq!(tail.position().offset, line.len() as u64);
    assert!(reading.found.iter().all(|found| check_event(&found.event)));
    assert!(
        reading.found.iter().filter(|found| !is_conversation(&found.event)).all(|found| found.line_at == 0)
    );
    assert!(reading.problems.iter().all(|(kind, at)| !kind.is_of_file() && *at == 0));
    assert!(reading.problems.len() <= 1, "a line is one problem at most");
    let is_too_long = reading.problems.first().is_some_and(|(kind, _)| *kind == ProblemKind::TooLong);
    assert_eq!(is_too_long, line.len() > LINE_BYTES_MAX);

    // The same line told twice, and by a sub-agent's transcript too, is the same events.
    let mut ledger = Ledger::from_iter(reading.found.into_iter().map(|found| found.event));
    let twice = Tail::new(main_source(), Zone::utc()).feed(&line.repeat(2));
    let again = Ledger::from_iter(twice.found.into_iter().map(|found| found.event));
    assert_eq!(again, ledger);
    assert_eq!(ledger.join(again), Change::Unchanged);
    let _ = Tail::new(agent_source(), Zone::utc()).feed(&line);
}

/// A transcript cut anywhere tells what it tells whole, to one reader and to many.
///
/// The first byte says how many cuts there are, up to 15, and whose transcript it is; two bytes for each cut follow,
/// then the transcript.
pub fn transcript_tail(data: &[u8]) {
    let Some((&head, rest)) = data.split_first() else { return };
    let source = || if head & 0x10 == 0 { main_source() } else { agent_source() };
    let (cuts, bytes) = rest.split_at(rest.len().min(2 * usize::from(head & 0x0f)));
    let place = |cut: &[u8]| usize::from(u16::from_le_bytes([cut[0], cut[1]])) % (bytes.len() + 1);
    let mut places: Vec<usize> = cuts.chunks_exact(2).map(place).chain([bytes.len()]).collect();
    places.sort_unstable();

    let mut tail = Tail::new(source(), Zone::utc());
    let mut whole = Told::of(tail.feed(bytes));
    whole.position = tail.position();

    let mut tail = Tail::new(source(), Zone::utc());
    let mut pieces = Told::default();
    let mut runs = Told::default();
    let mut from = 0;
    for &to in &places {
        pieces.take(tail.feed(&bytes[from..to]));
        from = to;

        let mut fresh = Tail::resume(source(), Zone::utc(), runs.position);
        runs.take(fresh.feed(&bytes[runs.position.offset as usize..to]));
        runs.position = fresh.position();
    }
    pieces.position = tail.position();
    assert_eq!(pieces, whole, "in pieces, cut at {places:?}");
    assert_eq!(runs, whole, "by many readers, cut at {places:?}");

    let ended = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    assert_eq!(whole.position.offset, ended as u64);
    assert!(whole.ledger.iter().all(check_event));
}

/// The join laws hold for events made of arbitrary bytes.
pub fn ledger_join(data: &[u8]) {
    // The bytes are the random numbers that the strategies draw; short data goes on with zeros.
    let random = TestRng::from_seed(RngAlgorithm::PassThrough, data);
    let mut runner =
        TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, random);
    let drawn =
        (strategies::records(3), strategies::ledgers(8), strategies::ledgers(8), strategies::ledgers(8))
            .new_tree(&mut runner);
    // Data that ends in the middle of a choice makes no value.
    let Ok(tree) = drawn else { return };
    let (records, a, b, c) = tree.current();
    check_laws(&records[0], &records[1], &records[2]);
    check_laws(&a, &b, &c);

    let mut all = joined(&joined(&a, &b), &c);
    all.extend(records);
    let forever = session_store::Timestamp::MIN..session_store::Timestamp::MAX;
    let messages: u64 = fold_cells(&all, forever, &[]).iter().map(|cell| cell.sum.messages).sum();
    assert_eq!(messages, all.turns().count() as u64);
}

/// What came of reading a transcript, the facts of conversations only joined: they are told once a piece.
#[derive(Debug, Default, PartialEq)]
struct Told {
    ledger: Ledger,
    found: Vec<(u64, Event)>,
    problems: Vec<(ProblemKind, u64)>,
    position: Position,
}

impl Told {
    fn of(reading: Reading) -> Self {
        let mut told = Self::default();
        told.take(reading);
        told
    }

    fn take(&mut self, reading: Reading) {
        self.problems.extend(reading.problems);
        for found in reading.found {
            if !is_conversation(&found.event) {
                self.found.push((found.line_at, found.event.clone()));
            }
            self.ledger.extend([found.event]);
        }
    }
}

fn main_source() -> SourceKind {
    SourceKind::Main { conversation: "c".into() }
}

fn agent_source() -> SourceKind {
    SourceKind::SubAgent { conversation: None, agent: "a".into() }
}

fn is_conversation(event: &Event) -> bool {
    matches!(event.fact, Fact::Conversation(_))
}

/// Checks what every event from a transcript promises; returns true, to be used in `all`.
fn check_event(event: &Event) -> bool {
    assert!(event.at.is_plausible() && event.owner.since.is_plausible(), "{event:?}");
    assert!(!event.id.as_str().is_empty() && event.id.as_str().len() < 1024, "{event:?}");
    // Every kind of fact has ids of its own, or one could hide another.
    let is_turn = event.id.as_str().starts_with("msg_")
        || event.id.as_str().starts_with("turn:")
        || !event.id.as_str().contains(':');
    assert_eq!(is_turn, matches!(event.fact, Fact::Turn(_)), "{event:?}");
    if let Fact::Turn(turn) = &event.fact {
        assert!(turn.usage.total() <= 5_000_000_000_000, "{event:?}");
    }
    true
}

fn joined<T: Join + Clone + PartialEq + std::fmt::Debug>(a: &T, b: &T) -> T {
    let mut joined = a.clone();
    let change = joined.join(b.clone());
    assert_eq!(change == Change::Grew, joined != *a, "{change:?} for {a:?} with {b:?}");
    joined
}

fn check_laws<T: Join + Clone + PartialEq + std::fmt::Debug>(a: &T, b: &T, c: &T) {
    assert_eq!(joined(a, a), *a);
    assert_eq!(joined(a, b), joined(b, a));
    assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)));
}
