//! Many stores answer as one would: whatever goes where, moves between them or is compacted, everything counts once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use session_store::{
    Batch, Checkpoint, ConversationId, ErrorKind, Event, EventBackend, EventId, Fact, Ledger, Memory, Part,
    Position, Selection, SourceId, SourceKind, Stamp, Stores, Summaries, Timestamp, fold_cells, strategies,
    together,
};

use crate::backends::{Question, questions};
use crate::child;

const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);
const SESSIONS: [&str; 3] = ["s-pts=1", "s-pts=2", "s-script"];

/// What happens to the stores of a host.
#[derive(Clone, Debug)]
enum Step {
    /// The sessions now own these conversations.
    Own(Vec<(ConversationId, &'static str)>),
    Commit(Vec<Event>),
    /// A session ended some time ago.
    Compact(&'static str),
    /// The process ends and another one goes on.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let owners = vec((strategies::conversation_ids(), select(SESSIONS.to_vec())), 0..4);
    let events = strategies::ledgers(10).prop_map(|ledger| Step::Commit(ledger.into_iter().collect()));
    vec(
        prop_oneof![
            2 => owners.prop_map(Step::Own),
            5 => events,
            1 => select(SESSIONS.to_vec()).prop_map(Step::Compact),
            1 => Just(Step::Reopen),
        ],
        1..10,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_stores_together_are_one(steps in steps(), questions in vec(questions(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let model = Memory::default();
        let mut stores = Stores::open(folder.path(), NOW);
        for step in steps {
            match step {
                Step::Own(owners) => {
                    stores.set_owners(owners.into_iter().map(|(id, name)| (id, name.to_owned())).collect());
                }
                Step::Commit(events) => {
                    let batch = Batch { ledger: events.into_iter().collect(), checkpoints: Vec::new() };
                    let _ = model.commit(batch.clone()).unwrap();
                    let _ = stores.commit(batch).unwrap();
                }
                Step::Compact(name) => drop(stores.compact(name).unwrap()),
                Step::Reopen => stores = Stores::open(folder.path(), NOW),
            }
        }
        let all = model.events(&Selection::all()).unwrap();
        prop_assert_eq!(told(stores.events(&Selection::all()).unwrap()), told(all.clone()));
        prop_assert_eq!(stores.turn_ids().unwrap(), model.turn_ids().unwrap());
        for Question { range, cuts, selection } in questions {
            let (found, expected) = (stores.events(&selection).unwrap(), model.events(&selection).unwrap());
            prop_assert_eq!(told(found), told(expected));
            let cells = fold_cells(&all, range.clone(), &cuts);
            prop_assert_eq!(stores.cells(range.clone(), &cuts).unwrap(), cells.clone());
            prop_assert_eq!(stores.cells_together(range, &cuts).unwrap(), together(cells));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is hidden is as if it were not there, also where the archive is hidden or a copy lies in a hidden store.
    #[test]
    fn hidden_stores_are_not_counted(
        steps in steps(),
        with_archive in any::<bool>(),
        shown in vec(any::<bool>(), SESSIONS.len()),
        questions in vec(questions(), 1..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(folder.path(), NOW);
        for step in steps {
            match step {
                Step::Own(owners) => {
                    stores.set_owners(owners.into_iter().map(|(id, name)| (id, name.to_owned())).collect());
                }
                Step::Commit(events) => {
                    let batch = Batch { ledger: events.into_iter().collect(), checkpoints: Vec::new() };
                    let _ = stores.commit(batch).unwrap();
                }
                Step::Compact(_) | Step::Reopen => {}
            }
        }
        let model = Memory::default();
        let take = |store: &session_store::Store| {
            let ledger = store.events(&Selection::all()).unwrap();
            let _ = model.commit(Batch { ledger, checkpoints: Vec::new() }).unwrap();
        };
        if with_archive {
            take(stores.archive());
        }
        for (name, shown) in SESSIONS.iter().zip(&shown) {
            let exists = stores.sessions().unwrap().iter().any(|it| it == name);
            if exists {
                stores.session(name).set_sharing(if *shown { "much" } else { "little" });
            }
            if exists && *shown {
                take(&stores.session(name));
            }
        }
        let stores = Stores::open(folder.path(), NOW);
        stores.show_only(move |part| match part {
            Part::Archive => with_archive,
            Part::Session { sharing, .. } => sharing == Some("much"),
            _ => false,
        });
        let all = model.events(&Selection::all()).unwrap();
        prop_assert_eq!(stores.events(&Selection::all()).unwrap(), all.clone());
        prop_assert_eq!(stores.turn_ids().unwrap(), model.turn_ids().unwrap());
        for Question { range, cuts, selection } in questions {
            prop_assert_eq!(stores.events(&selection).unwrap(), model.events(&selection).unwrap());
            let cells = fold_cells(&all, range.clone(), &cuts);
            prop_assert_eq!(stores.cells(range.clone(), &cuts).unwrap(), cells.clone());
            prop_assert_eq!(stores.cells_together(range, &cuts).unwrap(), together(cells));
        }
    }
}

fn checkpoint(conversation: &str, offset: u64) -> Checkpoint {
    Checkpoint {
        source: SourceId::new(format!("/p/{conversation}.jsonl")),
        kind: SourceKind::Main { conversation: conversation.into() },
        stamp: Stamp { modified_ns: offset as i64, ..Stamp::default() },
        position: Position { offset, since: None, turn_open: false },
        fingerprint: 0,
        problems: Default::default(),
    }
}

/// What a hidden store has read must not be read again into a store that is shown.
#[test]
fn hiding_a_store_does_not_hide_how_far_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    owned(&stores, "mine", "s-1");
    let _ =
        stores.commit(Batch { checkpoints: vec![checkpoint("mine", 7)], ..batch("mine", "msg_1") }).unwrap();
    stores.show_only(|part| part == Part::Archive);
    assert_eq!(stores.turn_ids().unwrap(), Vec::new());
    assert_eq!(stores.checkpoints().unwrap(), [checkpoint("mine", 7)]);
}

/// The last lines of a conversation are often read after its process has ended.
#[test]
fn a_conversation_stays_with_the_session_that_ran_it_last() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    owned(&stores, "mine", "s-1");
    let _ =
        stores.commit(Batch { checkpoints: vec![checkpoint("mine", 9)], ..batch("mine", "msg_1") }).unwrap();
    owned(&stores, "mine", "s-2");
    let _ =
        stores.commit(Batch { checkpoints: vec![checkpoint("mine", 12)], ..batch("mine", "msg_2") }).unwrap();
    let again = Stores::open(folder.path(), NOW);
    for stores in [&stores, &again] {
        stores.checkpoints().unwrap();
        stores.set_owners(HashMap::new());
    }
    let _ = stores.commit(batch("mine", "msg_3")).unwrap();
    let _ = again.commit(batch("mine", "msg_4")).unwrap();
    assert_eq!(again.session("s-1").turn_ids().unwrap(), ["msg_1".into()]);
    assert_eq!(again.session("s-2").turn_ids().unwrap().len(), 3);
    // Once that session's store is part of the archive, so is what comes later; no store is made anew.
    again.compact("s-2").unwrap();
    for (stores, id) in [(&stores, "msg_5"), (&again, "msg_6")] {
        let _ = stores.commit(batch("mine", id)).unwrap();
    }
    assert_eq!(again.sessions().unwrap(), ["s-1"]);
    assert_eq!(again.archive().turn_ids().unwrap().len(), 5);
}

#[test]
fn what_a_session_shares_outlives_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    assert_eq!(stores.sharing("s-1").unwrap(), None);
    assert_eq!(stores.sessions().unwrap(), Vec::<String>::new(), "asking makes no store");
    stores.session("s-1").set_sharing("little");
    let again = Stores::open(folder.path(), NOW);
    assert_eq!(again.sharing("s-1").unwrap().as_deref(), Some("little"));
    again.session("s-1").set_sharing("much");
    assert_eq!(stores.sharing("s-1").unwrap().as_deref(), Some("much"));
}

/// Says of all stores of sessions, which nobody has open, that they were written at a moment.
fn date(folder: &Path, at: SystemTime) {
    for entry in fs::read_dir(folder.join("sessions")).unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(at).unwrap();
    }
}

#[test]
fn summaries_are_trusted_while_the_files_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    owned(&stores, "mine", "s-full");
    let _ =
        stores.commit(Batch { checkpoints: vec![checkpoint("mine", 7)], ..batch("mine", "msg_1") }).unwrap();
    drop(stores.session("s-empty"));
    stores.session("s-shy").set_sharing("little");
    drop(stores);

    // Somebody may be writing at this moment.
    date(folder.path(), SystemTime::now() + Duration::from_secs(3600));
    let told = Stores::open(folder.path(), NOW).summaries(&Summaries::default()).unwrap();
    assert_eq!(told, (Summaries::default(), false));

    let at_rest = SystemTime::now() - Duration::from_secs(3600);
    date(folder.path(), at_rest);
    let (summaries, is_complete) = Stores::open(folder.path(), NOW).summaries(&Summaries::default()).unwrap();
    assert!(is_complete);
    let summaries = Summaries::from_bytes(&summaries.to_bytes()).unwrap();
    // What nobody may open: damaged, with the looks of before.
    for name in ["s-empty", "s-shy"] {
        let path = folder.path().join(format!("sessions/{name}.db"));
        let bytes = fs::metadata(&path).unwrap().len() as usize;
        fs::write(&path, vec![b'x'; bytes]).unwrap();
    }
    date(folder.path(), at_rest);
    let stores = Stores::open(folder.path(), NOW);
    stores.trust(summaries.clone());
    stores.find_homes().unwrap();
    assert_eq!(stores.at_home("s-full"), ["mine".into()]);
    assert_eq!(stores.sharing("s-shy").unwrap().as_deref(), Some("little"));
    assert_eq!(stores.turn_ids().unwrap(), ["msg_1".into()]);
    assert_eq!(stores.checkpoints().unwrap(), [checkpoint("mine", 7)]);
    assert_eq!(stores.summaries(&summaries).unwrap(), (summaries.clone(), true));
    assert_eq!(stores.sessions().unwrap(), ["s-empty", "s-full", "s-shy"], "none was moved aside");
    drop(stores);

    // Written to since: it has to be opened to be known.
    fs::remove_file(folder.path().join("sessions/s-empty.db")).unwrap();
    drop(Stores::open(folder.path(), NOW).session("s-empty"));
    date(folder.path(), at_rest);
    let stores = Stores::open(folder.path(), NOW);
    stores.trust(stores.summaries(&summaries).unwrap().0);
    owned(&stores, "yours", "s-empty");
    let _ = stores
        .commit(Batch { checkpoints: vec![checkpoint("yours", 7)], ..batch("yours", "msg_2") })
        .unwrap();
    assert_eq!(stores.turn_ids().unwrap().len(), 2, "its own writing is seen");
    let again = Stores::open(folder.path(), NOW);
    again.trust(summaries);
    again.find_homes().unwrap();
    assert_eq!(again.at_home("s-empty"), ["yours".into()]);
    assert_eq!(again.turn_ids().unwrap().len(), 2);
}

/// Leaves out what the stores note themselves of who owns what.
fn told(ledger: Ledger) -> Ledger {
    ledger.into_iter().filter(|event| !matches!(event.fact, Fact::Ownership(_))).collect()
}

#[test]
fn whose_a_conversation_was_outlives_the_sessions_store() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    let later = |seconds| NOW.after(Duration::from_secs(seconds));
    let commit = |id: &str, at| {
        let event = Event { at, ..turn_of("mine", id) };
        let _ = stores.commit(Batch { ledger: [event].into_iter().collect(), ..Batch::default() }).unwrap();
    };
    owned(&stores, "mine", "s-1");
    commit("msg_1", later(10));
    commit("msg_2", later(20));
    owned(&stores, "mine", "s-2");
    commit("msg_3", later(30));
    let check = |stores: &Stores| {
        let facts = stores.events(&Selection::facts()).unwrap();
        let session =
            |at, conversation: &str| facts.session_of(&conversation.into(), later(at)).map(str::to_owned);
        assert_eq!(
            [session(5, "mine"), session(20, "mine"), session(29, "mine"), session(30, "mine")],
            ["s-1", "s-1", "s-1", "s-2"].map(|name| Some(name.to_owned()))
        );
        assert_eq!(session(20, "others"), None);
        let until = facts.iter().find_map(|event| match &event.fact {
            Fact::Ownership(told) if &*told.session == "s-1" => Some((event.at, told.until)),
            _ => None,
        });
        assert_eq!(until, Some((later(10), later(20))), "one record, which grew");
    };
    check(&stores);
    for name in ["s-2", "s-1"] {
        stores.compact(name).unwrap();
        check(&stores);
    }
    assert_eq!(stores.sessions().unwrap(), Vec::<String>::new());
}

#[test]
fn what_only_a_newer_version_knows_is_not_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    let _ = stores.session("s-1").commit(batch("mine", "msg_1")).unwrap();
    let path = folder.path().join("sessions/s-1.db");
    let newer = "INSERT INTO fact SELECT 'new:1', 'new', 0, 0, 0, id, NULL, '{\"kind\":\"new\"}' FROM conversation LIMIT 1";
    assert_eq!(rusqlite::Connection::open(&path).unwrap().execute(newer, []).unwrap(), 1);
    assert!(!stores.compact("s-1").unwrap());
    assert!(path.exists());
    assert_eq!(stores.turn_ids().unwrap().len(), 1);
    let _ = stores.session("s-1").commit(batch("mine", "msg_2")).unwrap();
    assert_eq!(stores.turn_ids().unwrap().len(), 2, "it is as good as before");
}

fn turn_of(conversation: &str, id: &str) -> Event {
    let mut event = crate::lines::turn_event(id);
    event.owner.conversation = conversation.into();
    event
}

fn batch(conversation: &str, id: &str) -> Batch {
    Batch { ledger: [turn_of(conversation, id)].into_iter().collect(), checkpoints: Vec::new() }
}

fn owned(stores: &Stores, conversation: &str, session: &str) {
    stores.set_owners(HashMap::from([(conversation.into(), session.to_owned())]));
}

#[test]
fn a_session_keeps_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    owned(&stores, "mine", "s-1");
    let _ = stores.commit(batch("mine", "msg_1")).unwrap();
    let _ = stores.commit(batch("others", "msg_2")).unwrap();
    assert_eq!(stores.sessions().unwrap(), ["s-1"]);
    assert_eq!(stores.session("s-1").turn_ids().unwrap(), ["msg_1".into()]);
    assert_eq!(stores.archive().turn_ids().unwrap(), ["msg_2".into()]);
    assert_eq!(stores.turn_ids().unwrap().len(), 2);
}

#[test]
fn a_closed_store_leaves_what_is_new_to_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    owned(&stores, "mine", "s-1");
    let _ = stores.commit(batch("mine", "msg_1")).unwrap();
    // Another process, which has the store open, closes it.
    Stores::open(folder.path(), NOW).session("s-1").close().unwrap();
    let _ = stores.commit(batch("mine", "msg_2")).unwrap();
    assert_eq!(stores.archive().turn_ids().unwrap(), ["msg_2".into()]);
    assert!(stores.compact("s-1").unwrap());
    assert_eq!(stores.archive().turn_ids().unwrap(), ["msg_1".into(), "msg_2".into()]);
    assert_eq!(stores.sessions().unwrap(), Vec::<String>::new());
    assert!(!stores.compact("s-1").unwrap());
}

/// Compaction dies between its steps: after closing, after copying, while deleting.
#[test]
fn compaction_cut_short_anywhere_loses_and_doubles_nothing() {
    let made = || {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(folder.path(), NOW);
        owned(&stores, "mine", "s-1");
        let _ = stores.commit(batch("mine", "msg_1")).unwrap();
        let _ = stores.commit(batch("others", "msg_2")).unwrap();
        (folder, stores)
    };
    let messages = |stores: &Stores| -> u64 {
        let cells = stores.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap();
        cells.iter().map(|cell| cell.sum.messages).sum()
    };
    for step in 0..3 {
        let (folder, stores) = made();
        let session = stores.session("s-1");
        session.close().unwrap();
        if step >= 1 {
            let (ledger, checkpoints) =
                (session.events(&Selection::all()).unwrap(), session.checkpoints().unwrap());
            let _ = stores.archive().commit(Batch { ledger, checkpoints }).unwrap();
        }
        if step >= 2 {
            let _ = std::fs::remove_file(folder.path().join("sessions/s-1.db-wal"));
        }
        drop((stores, session));
        let again = Stores::open(folder.path(), NOW);
        assert_eq!(messages(&again), 2, "killed after step {step}");
        again.compact("s-1").unwrap();
        assert_eq!(messages(&again), 2, "compacted after step {step}");
        assert_eq!(again.archive().turn_ids().unwrap().len(), 2);
    }
}

/// A process that moves an ended session into the archive is killed at any instant, again and again, until one lives.
#[test]
fn a_killed_compaction_is_finished_by_the_next() {
    const SESSIONS: u64 = 6;
    const TURNS: u64 = 2000;
    let test = "stores::child_that_compacts";
    let made = |session: u64| {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::open(folder.path(), NOW);
        owned(&stores, "mine", "s-1");
        let turns = |ids: std::ops::Range<u64>, conversation: &str| Batch {
            ledger: ids.map(|id| turn_of(conversation, &format!("msg_{session}_{id:05}"))).collect(),
            checkpoints: Vec::new(),
        };
        let _ = stores.commit(turns(0..TURNS, "mine")).unwrap();
        // Some are in the archive already, as after a fork.
        let _ = stores.commit(turns(TURNS - 100..TURNS + 100, "others")).unwrap();
        drop(stores);
        folder
    };
    let whole = child::kill_after(test, made(0).path(), Duration::from_secs(60)).unwrap();
    let mut kills = 0;
    for session in 1..=SESSIONS {
        let folder = made(session);
        let all = Stores::open(folder.path(), NOW).events(&Selection::all()).unwrap();
        let cells = fold_cells(&all, Timestamp::MIN..Timestamp::MAX, &[]);
        for attempt in 0.. {
            // From the start on, over the whole, to the end and beyond.
            let share = (session + attempt * 5) % 24;
            let is_done = child::kill_after(test, folder.path(), whole * share as u32 / 20).is_some();
            kills += u64::from(!is_done);
            let stores = Stores::open(folder.path(), NOW);
            assert!(stores.trouble().is_none() && stores.archive().quarantined().is_none());
            assert_eq!(
                stores.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap(),
                cells,
                "attempt {attempt}"
            );
            assert_eq!(stores.events(&Selection::all()).unwrap(), all, "attempt {attempt}");
            if is_done {
                break;
            }
            assert!(attempt < 200, "no compaction is ever finished");
        }
        let stores = Stores::open(folder.path(), NOW);
        assert_eq!(stores.sessions().unwrap(), Vec::<String>::new());
        assert_eq!(stores.archive().events(&Selection::all()).unwrap(), all);
        let left = std::fs::read_dir(folder.path().join("sessions")).unwrap();
        assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), Vec::<OsString>::new());
    }
    println!("killed {kills} times; a whole compaction takes {whole:?}");
    assert!(kills > 0);
}

#[test]
fn child_that_compacts() {
    let Some(folder) = child::place() else { return };
    let stores = Stores::open(&folder, NOW);
    child::begun();
    stores.compact("s-1").unwrap();
}

/// Sessions end, one after the other, and each is moved into the archive while others read.
#[test]
fn readers_see_everything_once_while_sessions_are_compacted() {
    const ROUNDS: u64 = 25;
    const TURNS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let _ = Stores::open(folder.path(), NOW).commit(batch("others", "msg_first")).unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            let stores = Stores::open(folder.path(), NOW);
            for round in 1..=ROUNDS {
                let session = format!("s-{round}");
                owned(&stores, "mine", &session);
                begun.store(round, Ordering::SeqCst);
                let events = (0..TURNS).map(|turn| turn_of("mine", &format!("msg_{round}_{turn}")));
                let _ = stores.commit(Batch { ledger: events.collect(), checkpoints: Vec::new() }).unwrap();
                done.store(round, Ordering::SeqCst);
                assert!(stores.compact(&session).unwrap());
            }
        });
        for _ in 0..2 {
            threads.spawn(|| {
                let stores = Stores::open(folder.path(), NOW);
                let mut least = 0;
                while least < ROUNDS {
                    least = done.load(Ordering::SeqCst);
                    let cells = stores.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap();
                    let messages: u64 = cells.iter().map(|cell| cell.sum.messages).sum();
                    let turns = stores.events(&Selection::all()).unwrap().turns().count() as u64;
                    let most = begun.load(Ordering::SeqCst);
                    let right = 1 + least * TURNS..=1 + most * TURNS;
                    assert!(right.contains(&messages), "sums of {messages} messages, not {right:?}");
                    assert!(right.contains(&turns), "{turns} turns, not {right:?}");
                }
            });
        }
    });
    let stores = Stores::open(folder.path(), NOW);
    assert_eq!(stores.sessions().unwrap(), Vec::<String>::new(), "nobody made a store anew by reading it");
}

/// A session's store is only a part: its damage must not keep the rest from being read.
#[test]
fn a_damaged_session_store_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions/s-1.db");
    {
        let stores = Stores::open(folder.path(), NOW);
        owned(&stores, "mine", "s-1");
        for number in 0..2000 {
            let _ = stores.commit(batch("mine", &format!("msg_{number:06}"))).unwrap();
        }
        let _ = stores.commit(batch("others", "msg_z")).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 40_000, "the log is in the file once the last connection is closed");
    bytes[8192..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let stores = Stores::open(folder.path(), NOW);
    assert_eq!(stores.turn_ids().unwrap(), ["msg_z".into()]);
    let moved = std::fs::read_dir(folder.path().join("sessions")).unwrap();
    let names: Vec<String> = moved.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("s-1.db.corrupt-")), "{names:?}");
    owned(&stores, "mine", "s-1");
    let _ = stores.commit(batch("mine", "msg_new")).unwrap();
    assert_eq!(stores.turn_ids().unwrap().len(), 2);
}

/// It was tried again for ever: the folder's own path was taken for that of a store that had just gone.
#[cfg(unix)]
#[test]
fn a_folder_of_sessions_that_cannot_be_listed_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), NOW);
    let _ = stores.commit(batch("c", "a")).unwrap();
    let sessions = folder.path().join("sessions");
    // Root may list any folder, but nobody gets through a link to itself.
    std::os::unix::fs::symlink(&sessions, &sessions).unwrap();
    let error = stores.events(&Selection::all()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unreadable, Some(&*sessions)));
    assert_eq!(stores.settle().unwrap_err().kind(), ErrorKind::Unreadable);
}

/// The least number of files that a system allows a process is less than what three hundred stores would need.
#[cfg(unix)]
#[test]
fn more_stores_than_files_may_be_open_are_read_and_written() {
    child::run("stores::a_child_has_many_stores_and_few_files", tempfile::tempdir().unwrap().path());
}

#[cfg(unix)]
#[test]
fn a_child_has_many_stores_and_few_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const STORES: usize = 90;
    let Some(place) = child::place() else { return };
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();

    let (stores, model) = (Stores::open(&place, NOW), Memory::default());
    let conversations: Vec<ConversationId> =
        (0..STORES).map(|number| ConversationId::from(&*format!("conversation-{number}"))).collect();
    let owner = |number| format!("s-pts={number:03}");
    stores.set_owners(
        conversations.iter().enumerate().map(|(number, id)| (id.clone(), owner(number))).collect(),
    );
    for round in 0..2 {
        for (number, conversation) in conversations.iter().enumerate() {
            // Each second one is told of by its neighbour, too, as after a fork.
            let ids = [format!("msg_{round}_{number}"), format!("msg_{round}_{}", number / 2)];
            let ledger: Ledger = ids.iter().map(|id| turn_of(conversation.as_str(), id)).collect();
            let batch = Batch { ledger, checkpoints: vec![checkpoint(conversation.as_str(), round + 1)] };
            let _ = model.commit(batch.clone()).unwrap();
            let _ = stores.commit(batch).unwrap();
        }
    }
    assert!(stores.trouble().is_none(), "{:?}", stores.trouble());
    for stores in [stores, Stores::open(&place, NOW)] {
        assert_eq!(stores.sessions().unwrap().len(), STORES);
        let all = model.events(&Selection::all()).unwrap();
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    let everything = Timestamp::MIN..Timestamp::MAX;
                    assert_eq!(stores.turn_ids().unwrap(), model.turn_ids().unwrap());
                    assert_eq!(told(stores.events(&Selection::all()).unwrap()), told(all.clone()));
                    assert_eq!(
                        stores.cells(everything.clone(), &[]).unwrap(),
                        fold_cells(&all, everything, &[])
                    );
                    assert_eq!(stores.checkpoints().unwrap().len(), STORES);
                });
            }
        });
        stores.settle().unwrap();
        assert!(stores.trouble().is_none(), "{:?}", stores.trouble());
    }
}

/// The data folder goes away under processes that have it open.
#[test]
fn a_removed_data_folder_is_written_anew() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    let stores = Stores::open(&folder, NOW);
    owned(&stores, "mine", "s-1");
    for (conversation, id) in [("mine", "msg_1"), ("other", "msg_2")] {
        let checkpoints = vec![checkpoint(conversation, 7)];
        let _ = stores.commit(Batch { checkpoints, ..batch(conversation, id) }).unwrap();
    }
    stores.session("s-1").set_sharing("little");
    let before = (stores.events(&Selection::all()).unwrap(), stores.checkpoints().unwrap());
    assert!(!stores.were_removed());

    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!((stores.events(&Selection::all()).unwrap(), stores.checkpoints().unwrap()), before);
    assert!(stores.were_removed() && stores.trouble().is_none());
    let another = Stores::open(&folder, NOW);
    assert_eq!((another.events(&Selection::all()).unwrap(), another.checkpoints().unwrap()), before);
    assert_eq!(another.sharing("s-1").unwrap().as_deref(), Some("little"));

    std::fs::remove_dir_all(&folder).unwrap();
    let _ = stores.commit(batch("other", "msg_3")).unwrap();
    let _ = another.commit(batch("mine", "msg_4")).unwrap();
    let ids = ["msg_1", "msg_2", "msg_3", "msg_4"].map(EventId::from);
    for stores in [stores, another, Stores::open(&folder, NOW)] {
        assert_eq!(stores.turn_ids().unwrap(), ids);
    }
}

/// The file alone goes, and its log stays: it is still that of those who have the file open, and nothing of the next one.
#[test]
fn a_removed_archive_is_written_anew_whoever_comes_first() {
    for another_comes_first in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let open = || Stores::open(place.path(), NOW);
        let stores = open();
        for number in 0..40 {
            let _ = stores.commit(batch("mine", &format!("msg_{number:02}"))).unwrap();
        }
        std::fs::remove_file(place.path().join("archive.db")).unwrap();
        assert!(place.path().join("archive.db-wal").exists());
        let another = another_comes_first.then(open);
        if let Some(another) = &another {
            assert_eq!(another.turn_ids().unwrap(), [] as [EventId; 0]);
        }
        let _ = stores.commit(batch("mine", "msg_40")).unwrap();
        assert_eq!(stores.turn_ids().unwrap().len(), 41);
        assert!(stores.were_removed() && stores.trouble().is_none());
        drop((stores, another));
        assert_eq!(open().turn_ids().unwrap().len(), 41);
    }
}

/// Where no folder can be made again, everything goes on in memory, and comes back when one can.
#[test]
fn a_removed_data_folder_that_cannot_be_made_again_is_kept_in_memory() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    let stores = Stores::open(&folder, NOW);
    owned(&stores, "mine", "s-1");
    let _ = stores.commit(batch("mine", "msg_1")).unwrap();
    let _ = stores.commit(batch("other", "msg_2")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    // Not even root makes a folder where a file stands.
    std::fs::write(&folder, "in the way").unwrap();
    let _ = stores.commit(batch("other", "msg_3")).unwrap();
    assert!(stores.trouble().is_some() && stores.were_removed());
    assert_eq!(stores.turn_ids().unwrap(), ["msg_1", "msg_2", "msg_3"].map(EventId::from));
}

/// A store that was moved into the archive is not brought back by who had it open.
#[test]
fn a_compacted_store_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let (stores, another) = (Stores::open(folder.path(), NOW), Stores::open(folder.path(), NOW));
    owned(&stores, "mine", "s-1");
    let _ = stores.commit(batch("mine", "msg_1")).unwrap();
    assert!(another.compact("s-1").unwrap());
    assert_eq!(stores.turn_ids().unwrap(), ["msg_1".into()]);
    assert_eq!(stores.sessions().unwrap(), Vec::<String>::new());
}
