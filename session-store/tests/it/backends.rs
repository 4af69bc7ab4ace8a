//! One story over every backend, with `Memory` as the model: whatever is committed, in whatever order and how often,
//! both answer every question alike.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use session_store::{
    Batch, Checkpoint, Event, EventBackend, Fact, Ledger, Memory, OpenMode, Owner, Position, ProblemKind,
    Role, Selection, SourceId, SourceKind, Sqlite, Stamp, Timestamp, Turn, Usage, fold_cells, strategies,
    together,
};

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    Commit(Batch),
    /// The batch committed so many steps ago is committed again.
    Repeat(usize),
    /// Many sources are read at once, so many that their checkpoints are packed when the store is settled.
    Crowd(u64),
    Settle,
    /// What ended before is deleted, and stays away.
    Expire(Timestamp),
    /// The process ends and another one goes on.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let batch = (strategies::ledgers(10), vec(checkpoints(), 0..3))
        .prop_map(|(ledger, checkpoints)| Step::Commit(Batch { ledger, checkpoints }));
    let step = prop_oneof![
        12 => batch,
        4 => (0..4usize).prop_map(Step::Repeat),
        1 => (0..3u64).prop_map(Step::Crowd),
        3 => Just(Step::Settle),
        2 => strategies::timestamps().prop_map(Step::Expire),
        2 => Just(Step::Reopen),
    ];
    vec(step, 1..9)
}

/// Returns checkpoints of 300 sources, some of which other steps write too.
fn crowd(seed: u64) -> Batch {
    let checkpoint = |number: u64| Checkpoint {
        source: match sources().get(number as usize) {
            Some(path) => SourceId::new(path.clone()),
            None => SourceId::new(format!("/p/{}/{number}.jsonl", number % 7)),
        },
        kind: match number % 3 {
            0 => SourceKind::Main { conversation: format!("{}", number % 10).as_str().into() },
            1 => SourceKind::SubAgent { conversation: None, agent: "a".into() },
            _ => SourceKind::SubAgent {
                conversation: Some("c".into()),
                agent: format!("{seed}").as_str().into(),
            },
        },
        stamp: Stamp { file: (1, number), size: (seed << (number % 64)) >> 1, modified_ns: seed as i64 - 1 },
        position: Position { offset: number, since: None, turn_open: number % 2 == seed % 2 },
        fingerprint: u64::MAX - number * seed,
        problems: BTreeMap::new(),
    };
    Batch { ledger: Ledger::default(), checkpoints: (0..300).map(checkpoint).collect() }
}

fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    let agent = select(vec!["a1", ""]);
    let kind = prop_oneof![
        strategies::conversation_ids().prop_map(|conversation| SourceKind::Main { conversation }),
        (option::of(strategies::conversation_ids()), agent)
            .prop_map(|(conversation, agent)| SourceKind::SubAgent { conversation, agent: agent.into() }),
    ];
    let size = prop_oneof![0..1000u64, Just(i64::MAX as u64)];
    let stamp = (any::<(u64, u64)>(), size.clone(), any::<i64>())
        .prop_map(|(file, size, modified_ns)| Stamp { file, size, modified_ns });
    let position = (size, option::of(strategies::timestamps()), any::<bool>())
        .prop_map(|(offset, since, turn_open)| Position { offset, since, turn_open });
    let problems = btree_map(select(ProblemKind::ALL.to_vec()), any::<u64>(), 0..4);
    (select(sources()), kind, stamp, position, any::<u64>(), problems).prop_map(
        |(source, kind, stamp, position, fingerprint, problems)| Checkpoint {
            source: SourceId::new(source),
            kind,
            stamp,
            position,
            fingerprint,
            problems,
        },
    )
}

/// Paths whose order by parts is not that of their bytes, some written in two ways, and one that is no text.
fn sources() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        ["/p/a/1.jsonl", "/p//a/./1.jsonl", "/p/a-b/1.jsonl", "/p/a.jsonl", "/p/é\n.jsonl"]
            .map(PathBuf::from)
            .into();
    #[cfg(unix)]
    paths.push(
        <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(b"/p/\xff\0.jsonl".to_vec()).into(),
    );
    paths.sort();
    paths
}

impl Step {
    fn batch(&self, earlier: &[Batch]) -> Option<Batch> {
        match self {
            Self::Commit(batch) => Some(batch.clone()),
            Self::Repeat(ago) => earlier.iter().rev().nth(*ago).cloned(),
            Self::Crowd(seed) => Some(crowd(*seed)),
            Self::Settle | Self::Expire(_) | Self::Reopen => None,
        }
    }
}

/// Questions about a stretch of time: `cells` divides it, the others select by it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) range: Range<Timestamp>,
    pub(crate) cuts: Vec<Timestamp>,
    pub(crate) selection: Selection,
}

pub(crate) fn questions() -> impl Strategy<Value = Question> {
    let moment = prop_oneof![
        8 => strategies::timestamps(),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
    ];
    let conversation = option::weighted(0.3, strategies::conversation_ids());
    (moment.clone(), moment, vec(strategies::timestamps(), 0..5), any::<(bool, bool, bool)>(), conversation)
        .prop_map(|(start, end, mut cuts, (turns, conversations, others), conversation)| {
            cuts.sort();
            let range = start..end;
            let selection = Selection { range: range.clone(), turns, conversations, others, conversation };
            Question { range, cuts, selection }
        })
}

fn check_alike(model: &dyn EventBackend, other: &dyn EventBackend, questions: &[Question]) {
    let all = model.events(&Selection::all()).unwrap();
    assert_eq!(other.events(&Selection::all()).unwrap(), all);
    assert_eq!(other.events(&Selection::facts()).unwrap(), model.events(&Selection::facts()).unwrap());
    let checkpoints = model.checkpoints().unwrap();
    assert_eq!(other.checkpoints().unwrap(), checkpoints);
    let mut known = other.known().unwrap();
    known.unpack(checkpoints.iter().map(|checkpoint| &checkpoint.source));
    for checkpoint in &checkpoints {
        assert_eq!(known.get(&checkpoint.source), Some(checkpoint));
        assert_eq!(known.covers(checkpoint.state()), checkpoint.problems.is_empty());
    }
    let everything = Question {
        range: Timestamp::MIN..Timestamp::MAX,
        cuts: vec![],
        selection: Selection { conversation: Some("0f3c9d".into()), ..Selection::all() },
    };
    for Question { range, cuts, selection } in questions.iter().chain([&everything]) {
        let cells = other.cells(range.clone(), cuts).unwrap();
        assert_eq!(cells, model.cells(range.clone(), cuts).unwrap(), "{range:?} cut at {cuts:?}");
        assert_eq!(cells, fold_cells(&all, range.clone(), cuts), "{range:?} cut at {cuts:?}");
        assert_eq!(other.cells_together(range.clone(), cuts).unwrap(), together(cells));
        assert_eq!(other.events(selection).unwrap(), model.events(selection).unwrap(), "{selection:?}");
    }
}

fn check_story(steps: &[Step], questions: &[Question]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let open = || Sqlite::open(&path, OpenMode::ReadWrite).unwrap();
    let (model, mut sqlite) = (Memory::default(), open());
    let mut committed = Vec::new();
    for step in steps {
        let Some(batch) = step.batch(&committed) else {
            match step {
                Step::Settle => sqlite.settle().unwrap(),
                Step::Expire(before) => {
                    let deleted = model.expire(*before).unwrap();
                    assert_eq!(sqlite.expire(*before).unwrap(), deleted, "both delete the same");
                    assert_eq!(sqlite.expire(*before).unwrap(), 0, "and nothing is left to delete");
                }
                _ => {
                    drop(sqlite);
                    sqlite = open();
                }
            }
            continue;
        };
        committed.push(batch.clone());
        let change = model.commit(batch.clone()).unwrap();
        assert_eq!(sqlite.commit(batch).unwrap(), change, "both know whether something was new");
    }
    check_alike(&model, &sqlite, questions);
    // Another reader beside it sees the same, and so does one that comes after.
    check_alike(&model, &Sqlite::open(&path, OpenMode::ReadOnly).unwrap(), &[]);
    drop(sqlite);
    check_alike(&model, &Sqlite::open(&path, OpenMode::ReadOnly).unwrap(), questions);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_tells_the_same_story(steps in steps(), questions in vec(questions(), 0..6)) {
        check_story(&steps, &questions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    /// Stores are joined: two that take the same batches in other orders are equal.
    #[test]
    fn order_does_not_matter(ledgers in vec(strategies::ledgers(8), 1..5)) {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Sqlite::open(&folder.path().join(name), OpenMode::ReadWrite).unwrap();
        let (forwards, backwards) = (open("a.db"), open("b.db"));
        let batch = |ledger: &Ledger| Batch { ledger: ledger.clone(), checkpoints: vec![] };
        for (first, last) in ledgers.iter().zip(ledgers.iter().rev()) {
            let _ = forwards.commit(batch(first)).unwrap();
            let _ = backwards.commit(batch(last)).unwrap();
        }
        check_alike(&forwards, &backwards, &[]);
    }
}

#[test]
fn an_empty_store_answers() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db"), OpenMode::ReadWrite).unwrap();
    check_alike(&Memory::default(), &sqlite, &[]);
    let nothing = Batch { checkpoints: vec![], ..Batch::default() };
    assert_eq!(sqlite.commit(nothing).unwrap(), session_store::Change::Unchanged);
}

/// Ranges that hold nothing, and moments that no transcript has but a caller may.
#[test]
fn odd_ranges_and_moments() {
    let moment = |millis| Timestamp::from_millis(strategies::FROM.as_millis() + millis);
    let moments = [moment(60_000), moment(0), Timestamp::MIN, Timestamp::from_millis(i64::MAX - 1)];
    let event = |(number, at)| Event {
        id: format!("msg_{number}").as_str().into(),
        at,
        owner: Owner { role: Role::Main, since: at, conversation: "c".into(), agent: None },
        fact: Fact::Turn(Turn {
            usage: Usage { output: 1, ..Usage::default() },
            model: "opus".into(),
            tariff: Default::default(),
            under_reported: false,
        }),
    };
    let ledger: Ledger = moments.into_iter().enumerate().map(event).collect();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db"), OpenMode::ReadWrite).unwrap();
    let model = Memory::default();
    for backend in [&model as &dyn EventBackend, &sqlite] {
        let _ = backend.commit(Batch { ledger: ledger.clone(), checkpoints: vec![] }).unwrap();
    }
    let ends = [(120_000, 30_000), (60_000, 60_000), (0, 0), (0, 60_000), (0, 900_000), (-1, 1)];
    let questions = ends.map(|(start, end)| {
        let range = moment(start)..moment(end);
        let selection = Selection { range: range.clone(), ..Selection::all() };
        Question { range, cuts: vec![moment(-1), moment(60_000), moment(900_000)], selection }
    });
    check_alike(&model, &sqlite, &questions);
}

/// Where a checkpoint moves on, the last one written stands, even one that went back: a file may be rewritten.
#[test]
fn the_last_checkpoint_stands() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(&folder.path().join("store.db"), OpenMode::ReadWrite).unwrap();
    let at = |offset| Checkpoint {
        source: SourceId::new("/p/a.jsonl"),
        kind: SourceKind::Main { conversation: "a".into() },
        stamp: Stamp::default(),
        position: Position { offset, since: None, turn_open: false },
        fingerprint: offset,
        problems: BTreeMap::new(),
    };
    for offset in [5, 90, 7] {
        let _ = sqlite.commit(Batch { checkpoints: vec![at(1), at(offset)], ..Batch::default() }).unwrap();
        assert_eq!(sqlite.checkpoints().unwrap(), [at(offset)]);
    }
}
