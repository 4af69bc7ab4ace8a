//! One story over every board, with `MemoryBoard` as the model; and what only files can suffer.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use session_store::{
    AgentId, BoardBackend, BoardLine, BoardMember, BoardNotice, BoardSample, ConversationId, ErrorKind,
    EventId, Figures, Generation, LimitSample, LimitWindow, MemoryBoard, NOTICES_KEPT, NoticeSource, Owner,
    Posted, Role, SqliteBoard, Timestamp,
};

use crate::child;

/// What happens to a board.
#[derive(Clone, Debug)]
enum Step {
    Enter(BoardMember),
    Leave(Arc<str>),
    Lead(u64, Arc<str>),
    Beat(u64, u64),
    Post(Vec<BoardNotice>),
    Look(u64),
    Count(&'static str, u64),
    Changed,
    Publish(u64, &'static str, Figures),
    Observe(BoardSample),
    Tell(BoardLine, Vec<BoardSample>),
    IsFirst(Arc<str>, Timestamp),
    /// The process ends and another one goes on.
    Reopen,
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    select(vec!["a", "b", "é\n\0\"", "", "c"]).prop_map(Arc::from)
}

fn moments() -> impl Strategy<Value = Timestamp> {
    prop_oneof![8 => 0..50i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)].prop_map(Timestamp::from_millis)
}

fn windows() -> impl Strategy<Value = LimitWindow> {
    select(vec!["five_hour", "seven_day", "unspecified", "moon"]).prop_map(LimitWindow::from_name)
}

fn notices() -> impl Strategy<Value = BoardNotice> {
    let about = (texts(), option::of(texts()), texts(), option::of(windows()), option::of(moments()));
    let source = option::of(sources());
    (select(vec!["1", "2", "3", "4", "5", "6", "7"]), texts(), moments(), texts(), about, source).prop_map(
        |(dedup, kind, at, text, (account, project, from, window, resets_at), source)| BoardNotice {
            dedup: dedup.into(),
            kind,
            account,
            project,
            from,
            at,
            window,
            resets_at,
            text,
            source: source.map(Box::new),
        },
    )
}

fn lines() -> impl Strategy<Value = BoardLine> {
    let numbers = (prop_oneof![Just(u64::MAX), 0..9u64], 0..9u64, 0..9u64);
    (texts(), texts(), moments(), numbers, option::of(moments())).prop_map(
        |(conversation, account, at, (mark, cost_nanos, cost_before_nanos), window_end)| BoardLine {
            conversation,
            account,
            at,
            mark,
            cost_nanos,
            window_end,
            cost_before_nanos,
        },
    )
}

fn sources() -> impl Strategy<Value = NoticeSource> {
    let role = select(vec![Role::Main, Role::SubAgent]);
    (texts(), role, moments(), texts(), option::of(texts())).prop_map(|(event, role, since, id, agent)| {
        let (conversation, agent) = (ConversationId::new(id), agent.map(AgentId::new));
        NoticeSource { event: EventId::new(event), owner: Owner { role, since, conversation, agent } }
    })
}

fn samples() -> impl Strategy<Value = BoardSample> {
    let sample = (windows(), option::of(moments()), option::of(0..10_001u32), texts()).prop_map(
        |(window, resets_at, used_hundredths, status)| LimitSample {
            window,
            resets_at,
            used_hundredths,
            status,
        },
    );
    (texts(), texts(), moments(), sample).prop_map(|(account, source, at, sample)| BoardSample {
        account,
        source,
        at,
        sample,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = (texts(), vec(texts(), 0..3), option::of(texts()), moments())
        .prop_map(|(id, accounts, project, active_at)| BoardMember { id, accounts, project, active_at });
    let figures = (moments(), vec(any::<u8>(), 0..9), prop_oneof![Just(i64::MAX as u64), 0..9u64])
        .prop_map(|(at, body, changes)| Figures { at, body, changes });
    let name = || select(vec!["x", "y"]);
    let step = prop_oneof![
        2 => member.prop_map(Step::Enter),
        1 => texts().prop_map(Step::Leave),
        2 => (0..5u64, texts()).prop_map(|(term, member)| Step::Lead(term, member)),
        2 => (0..5u64, 0..9u64).prop_map(|(term, uptime)| Step::Beat(term, uptime)),
        2 => Just(Step::Changed),
        4 => vec(notices(), 0..4).prop_map(Step::Post),
        2 => (0..9u64).prop_map(Step::Look),
        1 => (name(), 0..9u64).prop_map(|(name, by)| Step::Count(name, by)),
        2 => (0..5u64, name(), figures).prop_map(|(term, name, figures)| Step::Publish(term, name, figures)),
        3 => samples().prop_map(Step::Observe),
        2 => (lines(), vec(samples(), 0..3)).prop_map(|(line, samples)| Step::Tell(line, samples)),
        2 => (texts(), moments()).prop_map(|(deed, at)| Step::IsFirst(deed, at)),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..40)
}

/// Returns what a step tells, to compare.
fn tell(board: &dyn BoardBackend, step: &Step) -> String {
    match step {
        Step::Enter(member) => format!("{:?}", board.enter(member).unwrap()),
        Step::Leave(id) => format!("{:?}", board.leave(id).unwrap()),
        Step::Lead(term, member) => format!("{}", board.lead(*term, member, Timestamp::MIN).unwrap()),
        Step::Beat(term, uptime) => {
            format!("{}", board.beat(*term, Duration::from_millis(*uptime)).unwrap())
        }
        Step::Changed => format!("{:?}", board.changed().unwrap()),
        Step::Post(notices) => format!("{:?}", board.post(notices).unwrap()),
        Step::Look(after) => {
            format!("{:?} {:?}", board.look(*after).unwrap(), board.newest(*after).unwrap())
        }
        Step::Count(name, by) => format!("{:?}", board.count(name, *by).unwrap()),
        Step::Publish(term, name, figures) => {
            format!("{}", board.publish(*term, name, figures).unwrap())
        }
        Step::Observe(sample) => format!("{:?}", board.observe(sample).unwrap()),
        Step::Tell(line, samples) => format!("{:?}", board.tell(Some(line), samples).unwrap()),
        Step::IsFirst(deed, at) => format!("{}", board.is_first(deed, *at).unwrap()),
        Step::Reopen => String::new(),
    }
}

fn tell_all(board: &dyn BoardBackend) -> String {
    let figures = ["x", "y"].map(|name| board.published(name).unwrap());
    let (look, members) = (board.look(0).unwrap(), board.members().unwrap());
    format!(
        "{look:?} {members:?} {figures:?} {:?} {:?} {:?}",
        board.counters().unwrap(),
        board.lines().unwrap(),
        board.observed().unwrap()
    )
}

fn open(path: &Path) -> SqliteBoard {
    SqliteBoard::open(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    /// Two processes take turns on the file; both tell what the model tells.
    #[test]
    fn every_board_tells_the_same_story(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        let model = MemoryBoard::new(Generation(1));
        let mut boards = [open(&path), open(&path)];
        for (number, step) in steps.iter().enumerate() {
            if let Step::Reopen = step {
                boards[number % 2] = open(&path);
            }
            assert_eq!(tell(&boards[number % 2], step), tell(&model, step), "{number}: {step:?}");
        }
        let expected = tell_all(&model);
        for board in &boards {
            assert_eq!(tell_all(board), expected);
        }
        drop(boards);
        assert_eq!(tell_all(&open(&path)), expected);
    }
}

fn notice(number: u64) -> BoardNotice {
    BoardNotice { dedup: number.to_string().into(), ..BoardNotice::default() }
}

#[test]
fn a_board_keeps_the_newest_notices_and_gives_no_number_twice() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = open(&folder.path().join("live.db"));
    let memory = MemoryBoard::default();
    for board in [&sqlite as &dyn BoardBackend, &memory] {
        let all: Vec<_> = (0..NOTICES_KEPT + 5).map(notice).collect();
        board.post(&all).unwrap();
        let look = board.look(0).unwrap();
        assert_eq!((look.notices.len() as u64, look.notices[0].0), (NOTICES_KEPT, 6));
        assert_eq!(look.newest, NOTICES_KEPT + 5);
        // One that fell off is news again.
        assert_eq!(board.post(&[notice(0)]).unwrap(), [Posted::New(NOTICES_KEPT + 6)]);
    }
}

/// A limit's samples are the same whoever told first; two are kept of each source, for a fall has to be told twice.
#[test]
fn a_board_keeps_the_two_newest_samples_of_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let sample = |at, used| BoardSample {
        account: "a".into(),
        source: "statusline:c".into(),
        at: Timestamp::from_millis(at),
        sample: LimitSample {
            window: LimitWindow::FiveHour,
            resets_at: Some(Timestamp::from_millis(1000)),
            used_hundredths: Some(used),
            status: "".into(),
        },
    };
    let told = [sample(3, 60), sample(1, 40), sample(2, 41), sample(3, 59), sample(2, 41)];
    for (number, first) in [0, 1, 2, 3].into_iter().enumerate() {
        let sqlite = open(&folder.path().join(format!("{number}.db")));
        let memory = MemoryBoard::default();
        for board in [&sqlite as &dyn BoardBackend, &memory] {
            for step in 0..told.len() {
                board.observe(&told[(first + step) % told.len()]).unwrap();
            }
            assert_eq!(board.observed().unwrap(), [sample(2, 41), sample(3, 60)]);
        }
    }
    // The samples of a window that ended a day before go when the next one is told of.
    let board = MemoryBoard::default();
    board.observe(&sample(1, 40)).unwrap();
    let mut next = sample(200_000_000, 1);
    next.sample.resets_at = Some(Timestamp::from_millis(300_000_000));
    board.observe(&next).unwrap();
    assert_eq!(board.observed().unwrap(), [next]);
}

#[test]
fn boards_have_generations() {
    let folder = tempfile::tempdir().unwrap();
    let generations: Vec<_> =
        (0..3).map(|number| open(&folder.path().join(format!("{number}.db"))).generation()).collect();
    assert!(generations[0] != generations[1] && generations[1] != generations[2], "{generations:?}");
}

#[test]
fn the_log_stays_short_where_each_writer_is_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.db");
    let log = || fs::metadata(folder.path().join("live.db-wal")).map_or(0, |log| log.len());
    let mut longest = 0;
    for _ in 0..300 {
        open(&path).count("calls", 1).unwrap();
        longest = longest.max(log());
    }
    assert!((100_000..300_000).contains(&longest), "it is kept for a while: {longest} bytes");
    // What others have open is not written back by who leaves.
    let other = open(&path);
    while log() <= 270_000 {
        open(&path).count("calls", 1).unwrap();
    }
    assert!(other.counters().unwrap()["calls"] > 300);
    drop(other);
    assert_eq!(log(), 0);
    assert!(open(&path).counters().unwrap()["calls"] > 300);
}

#[test]
fn a_damaged_board_is_replaced_and_a_newer_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.db");
    for damaged in [vec![7; 9000], vec![]] {
        let begun = open(&path).generation();
        fs::write(&path, damaged).unwrap();
        let board = open(&path);
        assert_ne!(board.generation(), begun);
        assert_eq!(board.post(&[notice(1)]).unwrap(), [Posted::New(1)]);
    }
    assert!(folder.path().join("live.db.corrupt").exists());

    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert_eq!(SqliteBoard::open(&path).unwrap_err().kind(), ErrorKind::Newer { found: 9, known: 1 });
}

/// Whoever is first makes it; nobody is told "database is locked".
#[test]
fn many_open_a_board_at_the_same_instant() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let (path, barrier) = (folder.path().join("live.db"), Barrier::new(16));
        thread::scope(|threads| {
            for number in 0..16 {
                let (path, barrier) = (&path, &barrier);
                threads.spawn(move || {
                    barrier.wait();
                    open(path).post(&[notice(number)]).unwrap();
                });
            }
        });
        assert_eq!(open(&path).look(0).unwrap().notices.len(), 16);
        // All but one made one in vain.
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.filter(|name| name != "live.db-wal" && name != "live.db-shm").collect();
        assert_eq!(names.pop().unwrap(), "live.db");
        assert!(names.is_empty(), "{names:?}");
    }
}

/// A writer that is frozen with the lock in its hand keeps writers out for a quarter of a second, readers not at all.
#[test]
fn a_frozen_writer_does_not_stop_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.db");
    let board = open(&path);
    board.post(&[notice(1)]).unwrap();
    let frozen = rusqlite::Connection::open(&path).unwrap();
    frozen.execute_batch("BEGIN IMMEDIATE; UPDATE board SET generation = 0").unwrap();
    let begun = Instant::now();
    assert_eq!(board.post(&[notice(2)]).unwrap_err().kind(), ErrorKind::Busy);
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    assert_eq!(board.look(0).unwrap().notices.len(), 1);
    drop(frozen);
    assert_eq!(board.post(&[notice(2)]).unwrap(), [Posted::New(2)]);
}

#[test]
#[cfg(unix)]
fn a_board_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    child::run("board::a_child_makes_a_board", folder.path());
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        files += 1;
    }
    assert!(files >= 2);
}

#[test]
#[cfg(unix)]
fn a_child_makes_a_board() {
    let Some(place) = child::place() else { return };
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let board = open(&place.join("live.db"));
    board.count("x", 1).unwrap();
    // The log is there while somebody is.
    std::mem::forget(board);
}
