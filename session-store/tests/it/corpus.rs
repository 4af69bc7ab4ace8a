//! The generated corpus, whose truth is known by construction, read token for token.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use session_store::corpus::{Corpus, Counts, Truth};
use session_store::{
    Change, Event, Fact, Join, Ledger, LimitCause, Position, ProblemKind, Tail, Turn, Zone, locate,
};

/// What the transcripts of a folder come to.
#[derive(Debug, Default, PartialEq)]
struct Read {
    ledger: Ledger,
    files: u64,
    bytes: u64,
    damaged_lines: u64,
    torn_files: u64,
}

/// Reads all transcripts in pieces of these lengths, over and over; every now and then a new reader goes on.
fn read(config_dir: &Path, lengths: &[usize]) -> Read {
    let located = locate(config_dir);
    assert_eq!(located.problems, []);
    let mut read = Read::default();
    let mut lengths = lengths.iter().copied().cycle();
    for source in &located.sources {
        let bytes = fs::read(source.id.path()).unwrap();
        let mut tail = Tail::new(source.kind.clone(), Zone::utc());
        let (mut at, mut resumed) = (0, Position::default());
        while at < bytes.len() {
            let length = lengths.next().unwrap();
            let end = bytes.len().min(at.saturating_add(length));
            let reading = tail.feed(&bytes[at..end]);
            assert!(
                reading.problems.iter().all(|(kind, _)| *kind == ProblemKind::Damaged),
                "{:?}",
                reading.problems
            );
            read.damaged_lines += reading.problems.len() as u64;
            read.ledger.extend(reading.found.into_iter().map(|found| found.event));
            at = end;
            if length % 3 == 0 && tail.position().offset > resumed.offset {
                resumed = tail.position();
                tail = Tail::resume(source.kind.clone(), Zone::utc(), resumed);
                at = resumed.offset as usize;
            }
        }
        read.files += 1;
        read.bytes += bytes.len() as u64;
        read.torn_files += u64::from(tail.position().offset < bytes.len() as u64);
    }
    read
}

fn add(counts: &mut Counts, turn: &Turn) {
    counts.messages += 1;
    counts.input += turn.usage.input;
    counts.output += turn.usage.output;
    counts.cache_write_5m += turn.usage.cache_write_5m;
    counts.cache_write_1h += turn.usage.cache_write_1h;
    counts.cache_read += turn.usage.cache_read;
}

fn sums<Key: Ord>(ledger: &Ledger, key: impl Fn(&Event, &Turn) -> Key) -> BTreeMap<Key, Counts> {
    let mut sums = BTreeMap::new();
    for (event, turn) in ledger.turns() {
        add(sums.entry(key(event, turn)).or_default(), turn);
    }
    sums
}

fn check(read: &Read, truth: &Truth) {
    let by_day_model =
        sums(&read.ledger, |event, turn| (Zone::utc().date_of(event.at).to_string(), turn.model.to_string()));
    assert_eq!(by_day_model, truth.by_day_model);
    assert_eq!(sums(&read.ledger, |event, _| event.owner.conversation.to_string()), truth.by_conversation);
    let total = sums(&read.ledger, |_, _| ()).remove(&()).unwrap_or_default();
    assert_eq!((total, total.messages), (truth.totals, truth.messages));

    assert_eq!((read.files, read.bytes), (truth.files, truth.bytes));
    assert_eq!((read.damaged_lines, read.torn_files), (truth.damaged_lines, truth.torn_files));
    let is_quota =
        |event: &&Event| matches!(&event.fact, Fact::LimitHit(hit) if hit.cause == LimitCause::Quota);
    assert_eq!(read.ledger.iter().filter(is_quota).count() as u64, truth.limit_hits);
}

/// Writes a corpus and reads it whole.
fn written(seed: u64, bytes: u64) -> (tempfile::TempDir, Truth, Read) {
    let config = tempfile::tempdir().unwrap();
    let truth = Corpus::new(seed, bytes).write(config.path()).unwrap();
    let read = read(config.path(), &[usize::MAX]);
    (config, truth, read)
}

#[test]
fn the_truth_comes_out() {
    for seed in [1, 2, 2026] {
        let (_config, truth, read) = written(seed, 1_500_000);
        check(&read, &truth);
        // A corpus without the traps would prove nothing.
        assert!(truth.usage_lines > truth.messages && truth.messages > 50, "{truth:?}");
        assert!(truth.by_conversation.len() > 1 && truth.by_day_model.len() > 1, "{truth:?}");
    }
}

#[test]
fn the_traps_are_there() {
    let (_config, truth, read) = written(7, 6_000_000);
    check(&read, &truth);
    assert!(truth.damaged_lines > 0 && truth.torn_files > 0 && truth.limit_hits > 0, "{truth:?}");
}

#[test]
fn reading_twice_changes_nothing() {
    let (config, _, mut once) = written(3, 500_000);
    let twice = read(config.path(), &[usize::MAX]);
    assert_eq!(twice, once);
    assert_eq!(once.ledger.join(twice.ledger), Change::Unchanged);
}

#[test]
fn increments_of_any_size_come_to_the_same() {
    let (config, _, once) = written(4, 400_000);
    let config_of_runs = ProptestConfig { failure_persistence: None, cases: 8, ..ProptestConfig::default() };
    proptest!(config_of_runs, |(lengths in prop::collection::vec(200..20_000usize, 1..8))| {
        let in_pieces = read(config.path(), &lengths);
        prop_assert_eq!(&in_pieces.ledger, &once.ledger);
        prop_assert_eq!(in_pieces.damaged_lines, once.damaged_lines);
        prop_assert_eq!(in_pieces.torn_files, once.torn_files);
    });
}
