//! The file under the SQLite backend: its modes, its versions, what damages it, what fills it, and who else opens it.

#![cfg(unix)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use session_store::{
    Batch, Change, ErrorKind, Event, EventBackend, Fact, Ledger, OpenMode, Owner, Role, Selection, Sqlite,
    SqliteBoard, Store, Timestamp, Turn, Usage, fold_cells, strategies,
};
use tempfile::TempDir;

use crate::child;

const NOW: Timestamp = strategies::FROM;

/// A turn with this output; a number is a message, and messages are a second apart.
fn turn(name: &str, number: u64, output: u64) -> Event {
    Event {
        id: format!("msg_{name}_{number:06}").as_str().into(),
        at: NOW.after(Duration::from_secs(number)),
        owner: Owner { role: Role::Main, since: NOW, conversation: name.into(), agent: None },
        fact: Fact::Turn(Turn {
            usage: Usage { input: number, output, ..Usage::default() },
            model: "claude-opus-5-5".into(),
            tariff: Default::default(),
            under_reported: false,
        }),
    }
}

fn batch(events: impl IntoIterator<Item = Event>) -> Batch {
    Batch { ledger: events.into_iter().collect(), checkpoints: vec![] }
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, OpenMode::ReadWrite).unwrap()
}

fn kind_of(path: &Path, mode: OpenMode) -> Option<ErrorKind> {
    let error = Sqlite::open(path, mode).err()?;
    assert_eq!(error.path(), Some(path), "{error:?}");
    Some(error.kind())
}

/// Reads everything and checks that the sums kept in step are the sums of what is there.
fn all_of(store: &dyn EventBackend) -> Ledger {
    let all = store.events(&Selection::all()).unwrap();
    let forever = Timestamp::MIN..Timestamp::MAX;
    assert_eq!(store.cells(forever.clone(), &[]).unwrap(), fold_cells(&all, forever, &[]));
    all
}

/// A folder with a closed store of some hundred events, and what is in it.
fn filled() -> (TempDir, PathBuf, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    for name in ["a", "b", "c"] {
        let _ = store.commit(batch((0..120).map(|number| turn(name, number, 9)))).unwrap();
    }
    let all = all_of(&store);
    drop(store);
    // Everything is to be in the file itself; the pool's thread may be a moment behind.
    let since = Instant::now();
    while folder.path().join("store.db-wal").exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "the log stays");
        set_pragma(&path, "wal_checkpoint(TRUNCATE)");
    }
    (folder, path, all)
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nobody_else_may_read_from_the_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    child::run("sqlite::child_without_umask", folder.path());
}

#[test]
fn child_without_umask() {
    let Some(folder) = child::place() else { return };
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let path = folder.join("data/sessions/store.db");
    let store = open(&path);
    let _ = store.commit(batch([turn("a", 1, 1)])).unwrap();
    assert_eq!(mode_of(&folder.join("data")), 0o700);
    assert_eq!(mode_of(&folder.join("data/sessions")), 0o700);
    let files = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<String> = files
        .map(|file| {
            assert_eq!(mode_of(&file), 0o600, "{file:?}");
            file.file_name().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        names,
        ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"].map(str::to_owned).into()
    );
}

/// Sets what SQLite keeps in the file's header.
fn set_pragma(path: &Path, pragma: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(&format!("PRAGMA {pragma}")).unwrap();
}

/// Makes a store of the first format that holds what another store holds.
fn in_first_format(path: &Path, filled: &Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch(include_str!("../../migrations/0001-events.sql")).unwrap();
    database.execute("ATTACH ?1 AS filled", [filled.to_str().unwrap()]).unwrap();
    database
        .execute_batch(
            "INSERT INTO conversation SELECT * FROM filled.conversation;
             INSERT INTO model SELECT * FROM filled.model;
             INSERT INTO turn SELECT * FROM filled.turn;
             INSERT INTO fact SELECT * FROM filled.fact;
             INSERT INTO source SELECT NULL, * FROM filled.source;
             INSERT INTO cell SELECT at / 900000, conversation, model, class & 3, count(*), sum(class & 4 <> 0),
                    sum(input), sum(output), sum(cache_write_5m), sum(cache_write_1h), sum(cache_read), sum(web_searches)
                    FROM turn GROUP BY 1, 2, 3, 4;
             DETACH filled; PRAGMA application_id = 0x43574154; PRAGMA user_version = 1;",
        )
        .unwrap();
}

/// Writing a log back waits for the disk; a short one is left to whoever comes next.
#[test]
fn a_short_log_stays_and_a_long_one_is_written_back() {
    let (folder, path, all) = filled();
    let log = || fs::metadata(folder.path().join("store.db-wal")).map_or(0, |log| log.len());
    let longest = |count| {
        let mut longest = 0;
        for number in 0..count {
            let _ = open(&path).commit(batch([turn("d", number, 1)])).unwrap();
            longest = longest.max(log());
        }
        longest
    };
    assert!((1..100_000).contains(&longest(1)));
    assert_eq!(all_of(&Sqlite::open(&path, OpenMode::ReadOnly).unwrap()).len(), all.len() + 1);
    let (file, longest) = (fs::metadata(&path).unwrap().len(), longest(100));
    assert!(longest < file.min(262_144) + 50_000, "{longest} bytes beside {file}");
    assert_eq!(all_of(&open(&path)).len(), all.len() + 100);
}

#[test]
fn a_store_of_the_first_format_keeps_everything() {
    let (folder, filled, all) = filled();
    let path = folder.path().join("old.db");
    in_first_format(&path, &filled);
    let store = Sqlite::open(&path, OpenMode::ReadWrite).unwrap();
    assert_eq!(all_of(&store), all);
    assert_eq!(
        store.checkpoints().unwrap(),
        Sqlite::open(&filled, OpenMode::ReadOnly).unwrap().checkpoints().unwrap()
    );
    let everything = Timestamp::MIN..Timestamp::MAX;
    let cells = store.cells(everything.clone(), &[]).unwrap();
    assert!(!cells.is_empty());
    assert_eq!(cells, fold_cells(&all, everything, &[]));
}

/// A process that brings a store to the current format is killed at any instant; another finds what it left.
#[test]
fn a_killed_migration_keeps_everything() {
    const ROUNDS: u32 = 25;
    let folder = tempfile::tempdir().unwrap();
    let current = folder.path().join("current.db");
    let store = open(&current);
    let _ = store.commit(batch((0..3000).map(|number| turn("old", number, number)))).unwrap();
    let (all, cells) = (all_of(&store), store.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap());
    let test = "sqlite::child_that_migrates";
    let old = |round: u32| {
        let path = folder.path().join(format!("{round}.db"));
        in_first_format(&path, &current);
        path
    };
    let whole = child::kill_after(test, &old(0), Duration::from_secs(60)).unwrap();
    let mut kills = 0;
    for round in 1..=ROUNDS {
        let path = old(round);
        kills += u32::from(child::kill_after(test, &path, whole * round / ROUNDS).is_none());
        let store = Store::open(&path, NOW);
        assert!(store.trouble().is_none() && store.quarantined().is_none(), "{:?}", store.trouble());
        assert_eq!(all_of(&store), all, "round {round}");
        assert_eq!(store.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap(), cells, "round {round}");
    }
    println!("killed {kills} times; a whole migration takes {whole:?}");
    assert!(kills > 0);
}

#[test]
fn child_that_migrates() {
    let Some(path) = child::place() else { return };
    child::begun();
    open(&path);
}

#[test]
fn a_newer_store_is_read_and_never_written() {
    let (_folder, path, all) = filled();
    set_pragma(&path, "user_version = 99");
    let before = fs::read(&path).unwrap();
    assert_eq!(kind_of(&path, OpenMode::ReadWrite), Some(ErrorKind::Newer { found: 99, known: 5 }));
    let reader = Sqlite::open(&path, OpenMode::ReadOnly).unwrap();
    assert_eq!(all_of(&reader), all);
    assert_eq!(reader.commit(batch([])).unwrap_err().kind(), ErrorKind::Unwritable);

    let store = Store::open(&path, NOW);
    assert_eq!(store.trouble().unwrap().kind(), ErrorKind::Newer { found: 99, known: 5 });
    assert_eq!(store.commit(batch([turn("d", 1, 1)])).unwrap(), Change::Grew);
    assert_eq!(all_of(&store).len(), all.len() + 1, "what is new is kept in memory, beside the history");
    drop((reader, store));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_someone_else_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, make: &dyn Fn(&Path)| {
        let path = folder.path().join(name);
        make(&path);
        let before = fs::read(&path).unwrap();
        assert_eq!(kind_of(&path, OpenMode::ReadWrite), Some(ErrorKind::Corrupt), "{name}");
        assert_eq!(kind_of(&path, OpenMode::ReadOnly), Some(ErrorKind::Corrupt), "{name}");
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
    };
    let sql = |path: &Path, sql: &str| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    check("text", &|path| fs::write(path, "Dear diary,\n".repeat(400)).unwrap());
    check("short", &|path| fs::write(path, "x").unwrap());
    check("table", &|path| sql(path, "CREATE TABLE note (text)"));
    check("version", &|path| sql(path, "CREATE TABLE turn (id, at, conversation); PRAGMA user_version = 1"));
    check("marked", &|path| {
        sql(path, "CREATE TABLE turn (id); PRAGMA application_id = 7; PRAGMA user_version = 7")
    });
}

#[test]
fn what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    assert_eq!(kind_of(&path, OpenMode::ReadOnly), Some(ErrorKind::Unreadable));
    assert!(!path.exists());
    // A file that a crash left empty is one that was not begun.
    fs::write(&path, "").unwrap();
    assert_eq!(all_of(&open(&path)), Ledger::default());
    // Neither a folder in the file's place nor a file in the folder's is a reason to panic.
    fs::create_dir(folder.path().join("taken.db")).unwrap();
    assert!(kind_of(&folder.path().join("taken.db"), OpenMode::ReadWrite).is_some());
    assert!(kind_of(&path.join("below.db"), OpenMode::ReadWrite).is_some());
    let store = Store::open(&path.join("below.db"), NOW);
    let _ = store.commit(batch([turn("a", 1, 1)])).unwrap();
    assert!(store.trouble().is_some());
    assert_eq!(all_of(&store).len(), 1);
}

/// Paths are passed to SQLite in a URI when only reading; no character of theirs means anything there.
#[test]
fn paths_with_odd_characters() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b.db", "50%41.db", "who?mode=memory.db", "tag#1.db", "é👋.db", "&immutable=1.db"] {
        let path = folder.path().join(name);
        let _ = open(&path).commit(batch([turn("a", 1, 1)])).unwrap();
        assert_eq!(all_of(&Sqlite::open(&path, OpenMode::ReadOnly).unwrap()).len(), 1, "{name}");
        assert!(path.exists());
    }
}

#[test]
fn a_damaged_store_is_moved_aside_whole() {
    let (folder, path, _) = filled();
    let damaged = b"not a database at all".repeat(100);
    let beside = |suffix: &str| folder.path().join(format!("store.db{suffix}"));
    fs::write(&path, &damaged).unwrap();

    let store = Store::open(&path, NOW);
    let moved = beside(&format!(".corrupt-{}", NOW.as_millis()));
    assert_eq!(store.quarantined(), Some(moved.clone()));
    assert!(store.trouble().is_none(), "a fresh store took its place");
    assert_eq!(fs::read(&moved).unwrap(), damaged);
    let _ = store.commit(batch([turn("a", 1, 1)])).unwrap();
    assert_eq!(all_of(&store).len(), 1);

    let missing = Sqlite::quarantine(&folder.path().join("missing.db"), NOW);
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Unreadable);
}

/// Many processes find the same damage at the same instant: it is moved aside once, and nobody moves another's fresh store.
#[test]
fn damage_that_many_find_is_moved_aside_once() {
    const FINDERS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(&path, "no store at all").unwrap();
    let mut children: Vec<_> = (0..FINDERS)
        .map(|_| {
            let mut command = child::command("sqlite::child_that_finds_damage", &path);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // They wait for the end of their input, which comes to all of them at once.
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let moved: Vec<PathBuf> = names.filter(|path| path.to_str().unwrap().contains(".corrupt-")).collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(fs::read(&moved[0]).unwrap(), b"no store at all");
    assert_eq!(all_of(&open(&path)).len(), FINDERS);
}

#[test]
fn child_that_finds_damage() {
    let Some(path) = child::place() else { return };
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    let store = Store::open(&path, NOW);
    assert!(store.trouble().is_none(), "{:?}", store.trouble());
    let _ = store.commit(batch([turn("found", u64::from(std::process::id()), 1)])).unwrap();
}

/// The log of a damaged store goes with it: beside a fresh one it would be read as part of that.
#[test]
fn a_log_goes_with_its_store() {
    let (folder, path, _) = filled();
    let beside = |suffix: &str| folder.path().join(format!("store.db{suffix}"));
    fs::write(beside("-wal"), "the log").unwrap();
    fs::write(beside("-shm"), "its index").unwrap();
    let moved = Sqlite::quarantine(&path, NOW).unwrap();
    assert_eq!(moved, beside(&format!(".corrupt-{}", NOW.as_millis())));
    for (suffix, text) in [("-wal", "the log"), ("-shm", "its index")] {
        assert_eq!(fs::read_to_string(format!("{}{suffix}", moved.display())).unwrap(), text);
        assert!(!beside(suffix).exists());
    }
    assert_eq!(all_of(&open(&path)), Ledger::default());
}

/// Damage anywhere is an error or goes unseen; it is never a panic and never an endless wait.
#[test]
fn no_damage_is_too_much() {
    let (folder, path, _) = filled();
    let whole = fs::read(&path).unwrap();
    let config = ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() };
    let number = Cell::new(0);
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40);
    let header = prop::collection::vec((0..100usize, any::<u8>()), 0..3);
    proptest!(config, |(flips in flips, header in header, kept in prop::option::of(any::<prop::sample::Index>()))| {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.db", number.get()));
        let mut bytes = whole.clone();
        for (at, byte) in flips.into_iter().map(|(at, byte)| (at.index(whole.len()), byte)).chain(header) {
            bytes[at] = byte;
        }
        bytes.truncate(kept.map_or(whole.len(), |kept| kept.index(whole.len())));
        fs::write(&path, &bytes).unwrap();
        let began = Instant::now();
        for mode in [OpenMode::ReadOnly, OpenMode::ReadWrite] {
            if let Ok(store) = Sqlite::open(&path, mode) {
                use_up(&store);
            }
        }
        let store = Store::open(&path, NOW);
        use_up(&store);
        // It goes on in memory, or says that it must be opened afresh, which then works.
        match store.commit(batch([turn("z", 1, 1)])) {
            Ok(_) => {}
            // One flip in the page of the mark that closes a store makes it one; others then take what it would have.
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error);
                drop(store);
                let fresh = Store::open_afresh(&path, NOW).unwrap();
                prop_assert!(fresh.commit(batch([turn("z", 1, 1)])).is_ok());
                prop_assert!(fresh.quarantined().is_some_and(|moved| moved.exists()));
            }
        }
        prop_assert!(began.elapsed() < Duration::from_secs(20), "took {:?}", began.elapsed());
    });
}

/// Uses a store in every way, whatever it answers.
fn use_up(store: &dyn EventBackend) {
    let _ = store.events(&Selection::all());
    let _ = store.cells(Timestamp::MIN..NOW.after(Duration::from_secs(40)), &[NOW]);
    let _ = store.checkpoints();
    let _ = store.commit(batch((0..10).map(|number| turn("a", number, 99))));
}

#[test]
fn a_folder_that_may_not_be_written() {
    let (folder, path, all) = filled();
    fs::write(folder.path().join("expected"), all.len().to_string()).unwrap();
    set_mode(&path, 0o644);
    set_mode(&path.with_extension("db.lock"), 0o644);
    set_mode(folder.path(), 0o555);
    child::run("sqlite::child_that_may_not_write", folder.path());
    set_mode(folder.path(), 0o755);
    assert_eq!(all_of(&open(&path)), all, "nothing of it was written");
}

#[test]
fn child_that_may_not_write() {
    let Some(folder) = child::place() else { return };
    child::become_nobody();
    let path = folder.join("store.db");
    let expected: usize = fs::read_to_string(folder.join("expected")).unwrap().parse().unwrap();
    assert_eq!(kind_of(&path, OpenMode::ReadWrite), Some(ErrorKind::Unwritable));
    assert_eq!(kind_of(&folder.join("new.db"), OpenMode::ReadWrite), Some(ErrorKind::Unwritable));
    assert_eq!(all_of(&Sqlite::open(&path, OpenMode::ReadOnly).unwrap()).len(), expected);

    let store = Store::open(&path, NOW);
    assert_eq!(store.trouble().unwrap().kind(), ErrorKind::Unwritable);
    let _ = store.commit(batch([turn("new", 1, 1)])).unwrap();
    assert_eq!(all_of(&store).len(), expected + 1);
}

/// Runs a child in a place of so many bytes, on systems that let one be made. Returns whether it ran.
fn run_in_small_place(test: &str, bytes: u32) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!(r#"mount -t tmpfs -o size={bytes},mode=700 tmpfs "$0" && exec "$@""#);
    for namespace in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
        let unshare = |script: &str, arguments: &[&str]| {
            let mut command = Command::new("unshare");
            command.args(namespace).args(["sh", "-c", script]).arg(folder.path());
            command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
            command
        };
        let probe = unshare(&mount, &["true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !probe.is_ok_and(|status| status.success()) {
            continue;
        }
        let binary = std::env::current_exe().unwrap();
        let mut command = unshare(&mount, &[]);
        let path = command
            .get_envs()
            .find(|(name, _)| *name == "PATH")
            .and_then(|(_, value)| value)
            .unwrap()
            .to_owned();
        child::told(&mut command, folder.path()).env("PATH", path).arg(binary).args(child::arguments(test));
        child::check(command);
        return true;
    }
    false
}

#[test]
fn a_full_disk_loses_nothing() {
    if !run_in_small_place("sqlite::child_on_a_full_disk", 400 << 10) {
        eprintln!("skipped: this system lets no small file system be mounted");
    }
}

#[test]
fn child_on_a_full_disk() {
    let Some(folder) = child::place() else { return };
    let path = folder.join("store.db");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![0; 150 << 10]).unwrap();
    let store = Store::open(&path, NOW);
    assert!(store.trouble().is_none(), "{:?}", store.trouble());
    let mut committed = Ledger::default();
    let mut number = 0;
    let mut on_disk = Ledger::default();
    while store.trouble().is_none() {
        on_disk = committed.clone();
        let events: Vec<Event> = (0..50).map(|place| turn("full", number * 50 + place, 1)).collect();
        number += 1;
        assert!(number < 1000, "the place is small enough to be filled");
        committed.extend(events.iter().cloned());
        assert_eq!(store.commit(batch(events)).unwrap(), Change::Grew, "whoever commits notices nothing");
    }
    assert_eq!(store.trouble().unwrap().kind(), ErrorKind::Full);
    assert_eq!(all_of(&store), committed);
    assert_eq!(all_of(&Sqlite::open(&path, OpenMode::ReadOnly).unwrap()), on_disk, "the file is as it was");

    fs::remove_file(ballast).unwrap();
    // The disk is tried again after a few seconds, whenever something is committed.
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.trouble().is_some() && Instant::now() < deadline {
        number += 1;
        let one_more = turn("later", number % 50, number);
        committed.extend([one_more.clone()]);
        let _ = store.commit(batch([one_more])).unwrap();
        thread::park_timeout(Duration::from_millis(20));
    }
    assert!(store.trouble().is_none(), "{:?}", store.trouble());
    assert_eq!(all_of(&store), committed);
    assert_eq!(all_of(&Sqlite::open(&path, OpenMode::ReadOnly).unwrap()), committed);
}

/// What could not even be opened is tried again as well.
#[test]
fn a_store_that_could_not_be_made_is_made_later() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("data");
    fs::write(&in_the_way, "mine").unwrap();
    let path = in_the_way.join("store.db");
    let store = Store::open(&path, NOW);
    let mut committed: Vec<Event> = vec![turn("early", 1, 1)];
    let _ = store.commit(batch(committed.clone())).unwrap();
    assert!(store.trouble().is_some());
    fs::remove_file(&in_the_way).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    for number in 2.. {
        if store.trouble().is_none() || Instant::now() > deadline {
            break;
        }
        committed.push(turn("later", number, 1));
        let _ = store.commit(batch(committed.last().cloned())).unwrap();
        thread::park_timeout(Duration::from_millis(50));
    }
    assert!(store.trouble().is_none(), "{:?}", store.trouble());
    assert_eq!(all_of(&open(&path)), committed.into_iter().collect());
}

#[test]
fn many_threads_open_the_same_fresh_store_at_once() {
    const THREADS: u64 = 32;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store.db");
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (path, start) = (&path, &start);
            scope.spawn(move || {
                start.wait();
                let store = open(path);
                let _ = store.commit(batch([turn("shared", 0, number), turn("own", number, 1)])).unwrap();
            });
        }
    });
    let all = all_of(&open(&path));
    assert_eq!(all.len() as u64, THREADS + 1);
    let shared = all.get(&"msg_shared_000000".into()).unwrap();
    assert!(matches!(&shared.fact, Fact::Turn(turn) if turn.usage.output == THREADS - 1));
}

#[test]
fn many_processes_open_the_same_fresh_store_at_once() {
    const PROCESSES: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store.db");
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut command = child::command("sqlite::child_that_opens", &path);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    // They wait for the end of their input, which comes to all of them at once.
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(all_of(&open(&path)).len(), PROCESSES + 1);
}

/// SQLite waits for no lock while it turns on the log, and whoever finds the journal of a killed process beside an empty
/// file holds one for a moment.
#[test]
fn a_store_is_made_while_somebody_cleans_up() {
    for make in [|path: &Path| drop(open(path)), |path: &Path| drop(SqliteBoard::open(path).unwrap())] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        let mut other = rusqlite::Connection::open(&path).unwrap();
        let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        thread::scope(|scope| {
            let maker = scope.spawn(|| make(&path));
            thread::sleep(Duration::from_millis(60));
            drop(held);
            maker.join().unwrap();
        });
    }
}

#[test]
fn child_that_opens() {
    let Some(path) = child::place() else { return };
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    let store = open(&path);
    let own = u64::from(std::process::id());
    let _ = store.commit(batch([turn("shared", 0, own), turn("own", own, 1)])).unwrap();
}

/// While others write, a reader sees one moment: no row without its name, no sum without its turns.
#[test]
fn a_reader_sees_whole_commits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..400 {
                let name = format!("conversation {number}");
                let _ = store.commit(batch([turn(&name, 0, 1), turn(&name, 1, 1)])).unwrap();
            }
            is_done.store(true, Ordering::Release);
        });
        let reader = Sqlite::open(&path, OpenMode::ReadOnly).unwrap();
        while !is_done.load(Ordering::Acquire) {
            // The range divides a quarter, so that sums and turns are both read.
            let cells = reader
                .cells(NOW..NOW.after(Duration::from_secs(1000)), &[NOW.after(Duration::from_secs(60))])
                .unwrap();
            let events = reader.events(&Selection::all()).unwrap();
            assert!(
                cells
                    .iter()
                    .all(|cell| cell.key.conversation.as_str() != "unknown" && cell.sum.messages == 2)
            );
            assert!(events.iter().all(|event| event.owner.conversation.as_str() != "unknown"));
            assert_eq!(events.len() % 2, 0);
        }
    });
}

/// However a writer dies, everything it was told is kept is kept, once, and the sums fit the turns.
#[test]
fn a_killed_writer_loses_nothing_it_was_promised() {
    const KILLS: u64 = 100;
    const KILLS_PER_STORE: u64 = 10;
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let path = folder.path().join(format!("{}.db", round / KILLS_PER_STORE));
        if round % KILLS_PER_STORE == 0 {
            acknowledged.clear();
        }
        // From the very start of the process to some dozens of commits, and at no particular place within one.
        let acknowledged_before_kill = round * 7 % 23;
        let pause = Duration::from_micros(round * 131 % 900);
        acknowledged.extend(kill_writer(&path, acknowledged_before_kill as usize, pause));
        check_after_kill(&path, &acknowledged);
    }
    assert!(!acknowledged.is_empty());
}

/// Starts a writer, kills it after so many commits and a moment more, and returns the numbers it was promised.
fn kill_writer(path: &Path, commits: usize, pause: Duration) -> Vec<u64> {
    let mut command = child::command("sqlite::child_that_writes", path);
    let mut writer = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
    // A line that death cut short has no full stop, and promises nothing.
    let number = |line: String| Some(line.strip_prefix("kept ")?.strip_suffix('.')?.parse().unwrap());
    let mut promised: Vec<u64> = lines.by_ref().filter_map(number).take(commits).collect();
    let began = Instant::now();
    while began.elapsed() < pause {
        std::hint::spin_loop();
    }
    writer.kill().unwrap();
    promised.extend(lines.filter_map(number));
    writer.wait().unwrap();
    promised
}

fn check_after_kill(path: &Path, acknowledged: &BTreeSet<u64>) {
    if acknowledged.is_empty() && !path.exists() {
        return;
    }
    let all = all_of(&open(path));
    for number in acknowledged {
        assert!(all.get(&turn("killed", *number, 1).id).is_some(), "{number} was promised");
    }
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn child_that_writes() {
    let Some(path) = child::place() else { return };
    let store = open(&path);
    let known = store.events(&Selection::all()).unwrap().len() as u64;
    let mut stdout = std::io::stdout();
    for number in known.. {
        // The shared turn grows with each commit, so that sums go out of a cell and come back in.
        let _ = store.commit(batch([turn("shared", 0, number), turn("killed", number, 1)])).unwrap();
        stdout.write_all(format!("\nkept {number}.\n").as_bytes()).unwrap();
    }
}
