//! Finding Claude Code, in made-up process tables and in the true one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use session_detect::claude::{
    Conversation, Found, HelperKind, ProblemKind, Program, RecordError, Running, Status, Why, find, find_in,
    starter_of,
};
use session_detect::{ErrorKind, Kind, ProcFs, ProcessId, Standing};
use tempfile::TempDir;

const NAMESPACE: u64 = 4_026_531_836;
const MACHINE: &str = "0123456789abcdef0123456789abcdef";
const BOOT: &str = "5f0c3b1e-9a7d-4c28-b6e1-0d93c4a2f781";

/// A made-up `/proc` and a config folder.
struct World {
    folder: TempDir,
}

/// A made-up process.
struct Fake<'a> {
    pid: u32,
    ppid: u32,
    comm: &'a [u8],
    start: u64,
    state: &'a str,
    exe: &'a str,
    line: &'a str,
    environ: &'a [u8],
    namespace: u64,
    numbers: &'a str,
    machine: &'a str,
    cwd: &'a str,
}

impl Default for Fake<'_> {
    fn default() -> Self {
        Fake {
            pid: 42,
            ppid: 1,
            comm: b"claude",
            start: 5000,
            state: "S",
            exe: "/home/u/.local/share/claude/versions/2.1.330",
            line: "claude",
            environ: b"TERM=xterm",
            namespace: NAMESPACE,
            numbers: "",
            machine: MACHINE,
            cwd: "/work/app",
        }
    }
}

impl World {
    /// A machine with its first process and one that looks.
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a scratch folder") };
        fs::create_dir_all(world.root().join("sys/kernel/random")).expect("room");
        fs::write(world.root().join("sys/kernel/random/boot_id"), BOOT).expect("room");
        fs::create_dir_all(world.config().join("sessions")).expect("room");
        world.add(&Fake {
            pid: 1,
            ppid: 0,
            comm: b"systemd",
            start: 1,
            exe: "/sbin/init",
            line: "init",
            ..Fake::default()
        });
        world.add(&Fake {
            pid: 9,
            comm: b"watch",
            start: 9,
            exe: "/bin/watch",
            line: "watch",
            ..Fake::default()
        });
        symlink("9", world.root().join("self")).expect("room");
        world
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("proc")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn add(&self, fake: &Fake<'_>) -> PathBuf {
        let folder = self.root().join(fake.pid.to_string());
        fs::create_dir_all(folder.join("ns")).expect("room");
        fs::create_dir_all(folder.join("root/etc")).expect("room");
        let Fake { pid, ppid, start, state, .. } = fake;
        let mut stat = format!("{pid} (").into_bytes();
        stat.extend(fake.comm);
        stat.extend(
            format!(") {state} {ppid} {pid} {pid} 34816 {pid} 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 9 9\n")
                .bytes(),
        );
        fs::write(folder.join("stat"), stat).expect("room");
        fs::write(folder.join("cmdline"), fake.line.replace('|', "\0") + "\0").expect("room");
        fs::write(folder.join("environ"), fake.environ).expect("room");
        let numbers = if fake.numbers.is_empty() { pid.to_string() } else { fake.numbers.to_owned() };
        fs::write(folder.join("status"), format!("Name:\tx\nUid:\t0\t0\t0\t0\nNSpid:\t{numbers}\n"))
            .expect("room");
        symlink(fake.exe, folder.join("exe")).expect("room");
        symlink(fake.cwd, folder.join("cwd")).expect("room");
        symlink(format!("pid:[{}]", fake.namespace), folder.join("ns/pid")).expect("room");
        symlink("mnt:[4026531832]", folder.join("ns/mnt")).expect("room");
        fs::write(folder.join("root/etc/machine-id"), format!("{}\n", fake.machine)).expect("room");
        folder
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.config().join("sessions").join(name);
        fs::write(&path, content).expect("room");
        path
    }

    /// The record that 2.1.330 would write for process 42 of [`Fake::default`].
    fn record(&self, changes: &[(&str, serde_json::Value)]) -> serde_json::Value {
        let mut record = serde_json::json!({
            "pid": 42, "sessionId": "c3fb74ec-40", "cwd": "/work/app", "startedAt": 1_795_387_235_332u64,
            "procStart": "5000", "version": "2.1.330", "kind": "interactive", "entrypoint": "cli",
            "pidDomain": format!("linux:{MACHINE}:pid:[{NAMESPACE}]"), "status": "waiting",
            "waitingFor": "permission prompt", "updatedAt": 1_795_387_252_620u64,
        });
        for (name, value) in changes {
            record[*name] = value.clone();
        }
        record
    }

    fn transcript(&self, id: &str, written_s: u64, lines: &str) {
        let folder = self.config().join("projects/-work-app");
        fs::create_dir_all(&folder).expect("room");
        let path = folder.join(format!("{id}.jsonl"));
        fs::write(&path, lines).expect("room");
        let file = File::options().write(true).open(path).expect("it is ours");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(written_s)).expect("it is ours");
    }

    fn find(&self) -> Found {
        find_in(&ProcFs::at(self.root()), &[self.config()])
    }

    fn only(&self) -> Running {
        let mut found = self.find();
        assert_eq!(found.running.len(), 1, "{found:?}");
        found.running.remove(0)
    }

    fn why(&self) -> Vec<Why> {
        self.find().stale.iter().map(|stale| stale.why).collect()
    }
}

#[test]
fn a_record_that_agrees_in_everything_is_exact() {
    let world = World::new();
    world.add(&Fake::default());
    world.write("42.json", world.record(&[]).to_string());
    let running = world.only();
    let boot = u128::from_str_radix(&BOOT.replace('-', ""), 16).expect("digits");
    assert_eq!(running.id, Some(ProcessId::linux(boot, NAMESPACE, 42, 5000)));
    assert_eq!(running.conversation, Conversation::Exact("c3fb74ec-40".into()));
    assert_eq!(running.working_folder.as_deref(), Some(Path::new("/work/app")));
    assert_eq!((running.entrypoint.as_deref(), running.version.as_deref()), (Some("cli"), Some("2.1.330")));
    assert_eq!((running.program, running.config_folder), (Program::Native, Some(world.config())));
    let record = running.record.expect("it has one");
    assert_eq!(
        (record.status, record.waiting_for.as_deref()),
        (Some(Status::Waiting), Some("permission prompt"))
    );
    let session = running.session.expect("everything may be read");
    assert_eq!((session.kind, session.pid, session.agent.as_deref()), (Kind::Local, 42, Some("claude-code")));
}

#[test]
fn every_install_is_found_and_helpers_are_no_sessions() {
    let world = World::new();
    let add = |pid, comm: &[u8], exe, line| {
        world.add(&Fake { pid, comm, exe, line, ..Fake::default() });
    };
    add(50, b"claude", "/home/u/.local/share/claude/versions/2.1.330", "claude");
    add(51, b"node", "/usr/bin/node", "node|/n/@anthropic-ai/claude-code/cli.js");
    add(52, b"claude", "/v/claude_agent_sdk/_bundled/claude", "claude|--input-format|stream-json");
    add(53, b"claude.exe", "/n/bin/claude.exe", "/n/bin/claude.exe|daemon|run");
    add(54, b"claude.exe", "/n/bin/claude.exe", "claude bg-spare|--bg-spare|/s.sock");
    add(55, b"node", "/usr/bin/node", "node|/usr/bin/npm|i|@anthropic-ai/claude-code");
    add(56, b"claude", "/usr/bin/bash", "/bin/sh|/usr/bin/claude");
    let found = world.find();
    let running: Vec<_> = found.running.iter().map(|it| (it.pid, it.program)).collect();
    assert_eq!(running, [(50, Program::Native), (51, Program::Script), (52, Program::Bundled)]);
    let helpers: Vec<_> = found.helpers.iter().map(|it| (it.pid, it.kind)).collect();
    assert_eq!(helpers, [(53, HelperKind::Daemon), (54, HelperKind::Spare)]);
    assert_eq!(found.running[0].version.as_deref(), Some("2.1.330"));
    assert!(found.running.iter().all(|it| it.record.is_none() && it.conversation == Conversation::Unknown));
}

/// The command line of a spare stays what it was when a background session takes it.
#[test]
fn a_spare_that_got_a_conversation_is_a_session() {
    let world = World::new();
    world.add(&Fake {
        pid: 40,
        comm: b"claude.exe",
        line: "claude bg-pty-host|--bg-pty-host|/s|--|x|--bg-spare",
        ..Fake::default()
    });
    world.add(&Fake {
        ppid: 40,
        comm: b"claude.exe",
        line: "claude bg-spare|--bg-spare|/s.sock",
        ..Fake::default()
    });
    world.write("42.json", world.record(&[("kind", "bg".into())]).to_string());
    let found = world.find();
    assert_eq!(found.helpers.iter().map(|it| it.kind).collect::<Vec<_>>(), [HelperKind::PtyHost]);
    assert_eq!(found.running[0].conversation.certainty(), "exact");
    assert_eq!(found.running[0].started_by, None, "a helper is not whoever started it");
}

#[test]
fn a_record_finds_a_program_of_any_name() {
    let world = World::new();
    world.add(&Fake { comm: b"my-wrapper", exe: "/opt/x", line: "x", ..Fake::default() });
    world.write("42.json", world.record(&[]).to_string());
    assert_eq!(world.only().program, Program::Unknown);
}

#[test]
fn records_that_are_not_believed() {
    let check = |changes: &[(&str, serde_json::Value)], wanted: Why| {
        let world = World::new();
        world.add(&Fake::default());
        world.write("42.json", world.record(changes).to_string());
        let found = world.find();
        assert_eq!(found.stale.iter().map(|it| it.why).collect::<Vec<_>>(), [wanted], "{changes:?}");
        assert!(found.running[0].record.is_none());
    };
    let domain = |machine: &str, namespace: u64| format!("linux:{machine}:pid:[{namespace}]").into();
    check(&[("procStart", "5001".into())], Why::OtherProcess);
    check(&[("procStart", 4999.into())], Why::OtherProcess);
    check(&[("procStart", "05000".into())], Why::OtherProcess);
    check(&[("pidDomain", domain("ffff", NAMESPACE))], Why::Foreign);
    check(&[("pidDomain", domain(MACHINE, 4_026_532_000))], Why::Foreign);
    check(&[("pidDomain", "darwin".into())], Why::Foreign);
    let world = World::new();
    world.write("42.json", world.record(&[]).to_string());
    assert_eq!(world.why(), [Why::Gone]);
    world.add(&Fake { state: "Z", ..Fake::default() });
    assert_eq!(world.why(), [Why::Gone], "it ended and is only waited for");
    let no_start: Vec<(&str, serde_json::Value)> = vec![("procStart", serde_json::Value::Null)];
    let world = World::new();
    world.add(&Fake { comm: b"bash", exe: "/bin/bash", line: "bash", ..Fake::default() });
    world.write("42.json", world.record(&no_start).to_string());
    assert_eq!((world.why(), world.find().running.len()), (vec![Why::Unproven], 0));
}

#[test]
fn the_newer_of_two_records_counts() {
    let world = World::new();
    world.add(&Fake::default());
    world.write("42.json", world.record(&[]).to_string());
    let other = world.folder.path().join("other");
    fs::create_dir_all(other.join("sessions")).expect("room");
    let newer = world.record(&[("sessionId", "new-1".into()), ("updatedAt", 1_795_387_252_621u64.into())]);
    fs::write(other.join("sessions/42.json"), newer.to_string()).expect("room");
    let again = world.folder.path().join("again");
    symlink(world.config(), &again).expect("room");
    for folders in [vec![world.config(), other.clone(), again.clone()], vec![again, other, world.config()]] {
        let found = find_in(&ProcFs::at(world.root()), &folders);
        assert_eq!(found.running[0].conversation.id(), Some("new-1"));
        assert_eq!(found.stale.iter().map(|it| it.why).collect::<Vec<_>>(), [Why::Duplicate]);
    }
}

#[test]
fn versions_that_prove_less_are_claims() {
    let check = |changes: &[(&str, serde_json::Value)], wanted: &str| {
        let world = World::new();
        world.add(&Fake::default());
        world.write("42.json", world.record(changes).to_string());
        assert_eq!(world.only().conversation.certainty(), wanted, "{changes:?}");
    };
    let none = serde_json::Value::Null;
    check(&[("procStart", 5000.into())], "exact");
    check(&[("pidDomain", none.clone())], "claimed");
    check(&[("sessionId", "../x".into())], "unknown");
    // Written long after the process began, by any clock.
    let late = 32_503_680_000_000u64;
    check(&[("pidDomain", none.clone()), ("procStart", none.clone()), ("startedAt", late.into())], "claimed");
}

#[test]
fn a_process_inside_a_container_is_matched_by_its_own_number() {
    let world = World::new();
    let inside = 4_026_532_500;
    let container =
        Fake { pid: 4200, namespace: inside, numbers: "4200\t7", machine: "cc", ..Fake::default() };
    world.add(&container);
    world.add(&Fake { pid: 7, start: 5000, ..Fake::default() });
    let record = world.record(&[("pid", 7.into()), ("pidDomain", format!("linux:cc:pid:[{inside}]").into())]);
    world.write("7.json", record.to_string());
    let found = world.find();
    let by_pid: Vec<_> = found.running.iter().map(|it| (it.pid, it.conversation.certainty())).collect();
    assert_eq!(by_pid, [(7, "unknown"), (4200, "exact")]);
    assert_eq!(found.running[1].id.map(|id| (id.pid(), id.pid_namespace())), Some((7, inside)));
}

#[test]
fn what_lies_in_the_folder_is_not_trusted() {
    let world = World::new();
    world.add(&Fake::default());
    let sessions = world.config().join("sessions");
    let genuine = world.write("outside", world.record(&[]).to_string());
    symlink(&genuine, sessions.join("42.json")).expect("room");
    symlink("43.json", sessions.join("43.json")).expect("room");
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    for pipe in ["44.json", "42.0f3a.key"] {
        nix::unistd::mkfifo(&sessions.join(pipe), mode).expect("room");
    }
    fs::create_dir(sessions.join("45.json")).expect("room");
    world.write("46.json", vec![b' '; 1 << 20]);
    world.write("47.json", format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)));
    world.write("48.json", world.record(&[]).to_string());
    world.write("49.json", b"{\"pid\":49,\"cwd\":\"\xff\"}");
    world.write("pid-50.json", r#"{"session_id":"a-1"}"#);
    let found = world.find();
    let kinds: Vec<_> = found.problems.iter().map(|problem| problem.kind).collect();
    let record = ProblemKind::Record;
    let wanted = [
        ProblemKind::NotAFile,
        ProblemKind::NotAFile,
        ProblemKind::NotAFile,
        ProblemKind::NotAFile,
        record(RecordError::TooLarge),
        record(RecordError::NotAnObject),
        record(RecordError::OtherProcess { found: 42 }),
        record(RecordError::NotAnObject),
        record(RecordError::NoStart),
    ];
    assert_eq!(kinds, wanted, "{:?}", found.problems);
    assert!(found.problems[4].to_string().ends_with("46.json: the record has more than 65536 bytes"));
    assert!(found.running[0].record.is_none() && found.stale.is_empty());
}

#[test]
fn a_root_full_of_loops_and_holes_is_survived() {
    let world = World::new();
    let root = world.root();
    symlink("60", root.join("60")).expect("room");
    symlink("..", root.join("61")).expect("room");
    fs::create_dir(root.join("62")).expect("room");
    for (pid, name) in
        [(63, "stat"), (64, "exe"), (65, "cmdline"), (66, "ns"), (67, "root"), (68, "cwd"), (69, "environ")]
    {
        let folder = world.add(&Fake { pid, ..Fake::default() });
        let path = folder.join(name);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("it is ours");
        symlink(name, path).expect("room");
    }
    // Between two reads everything but the first went away.
    let gone = world.add(&Fake { pid: 70, ..Fake::default() });
    for name in ["exe", "cmdline", "environ", "status", "cwd"] {
        fs::remove_file(gone.join(name)).expect("it is ours");
    }
    fs::remove_dir_all(gone.join("ns")).expect("it is ours");
    let found = world.find();
    let pids: Vec<_> = found.running.iter().map(|it| it.pid).collect();
    assert_eq!(pids, [65, 66, 67, 68, 69, 70], "of 64 nothing shows its program");
    let unreadable: Vec<_> =
        found.running.iter().filter(|it| it.session == Err(ErrorKind::Unreadable)).map(|it| it.pid).collect();
    assert_eq!(unreadable, [70], "its namespace may not be seen");
}

#[test]
fn a_parent_that_may_not_be_seen_ends_the_chain() {
    let world = World::new();
    world.add(&Fake { ppid: 77, ..Fake::default() });
    world.write("42.json", world.record(&[]).to_string());
    let running = world.only();
    assert!(running.id.is_some() && running.conversation.certainty() == "exact");
    assert_eq!(running.session.expect("it can be judged").confidence.name(), "assumed");
}

#[test]
fn names_that_look_like_something_else() {
    let world = World::new();
    let add = |pid, comm: &[u8]| {
        world.add(&Fake { pid, comm, exe: "/opt/x", line: "x", ..Fake::default() });
    };
    add(80, b"x) S 1 (claude");
    add(81, b"(claude)");
    add(82, b"claude\n");
    add(83, b"\xff\xfeclaude");
    assert!(world.find().running.is_empty());
    let environ: Vec<u8> = (0..4096u32).map(|at| 128 + (at % 127) as u8).collect();
    world.add(&Fake { comm: b"claude", environ: &environ, ..Fake::default() });
    assert!(world.only().session.is_ok());
}

#[test]
fn one_among_five_hundred() {
    let world = World::new();
    for pid in 1000..1500 {
        // Of most, nothing but the line is looked at; the rest need not be there.
        let folder = world.root().join(pid.to_string());
        fs::create_dir(&folder).expect("room");
        let line = format!("{pid} (worker) S 1 {pid} {pid} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 9 9\n");
        fs::write(folder.join("stat"), line).expect("room");
    }
    world.add(&Fake::default());
    world.write("42.json", world.record(&[]).to_string());
    assert_eq!(world.only().conversation.certainty(), "exact");
}

/// `2026-11-22T22:40:35Z`, when the record of [`World::record`] says that its process began.
const BEGAN_S: u64 = 1_795_387_235;

fn line(second: u64, folder: &str, more: &str) -> String {
    format!(
        "{{\"type\":\"user\",\"timestamp\":\"2026-11-22T22:{:02}:{:02}.000Z\",\"cwd\":\"{folder}\",{more}}}\n",
        40 + second / 60,
        second % 60
    )
}

fn cleared(second: u64) -> String {
    line(second, "/work/app", r#""message":{"content":"<command-name>/clear</command-name>"}"#)
}

/// A process of a version that forgets to write `/clear` down, with its first transcript, written to at 22:41:00.
fn forgetful() -> World {
    let world = World::new();
    world.add(&Fake::default());
    world.write("42.json", world.record(&[("version", "2.1.280".into())]).to_string());
    world.transcript("c3fb74ec-40", BEGAN_S + 25, &line(36, "/work/app", r#""a":1"#));
    world
}

fn conversation(world: &World) -> Conversation {
    world.only().conversation
}

#[test]
fn a_conversation_that_clear_ended_is_superseded() {
    let exact = Conversation::Exact("c3fb74ec-40".into());
    let claimed = Conversation::Claimed("c3fb74ec-40".into());
    let world = forgetful();
    assert_eq!(conversation(&world), exact);
    world.transcript("older-1", BEGAN_S - 9, &cleared(1));
    world.transcript("other-folder", BEGAN_S + 90, &line(90, "/work.app", r#""a":1"#));
    assert_eq!(conversation(&world), exact, "neither began here since");
    world.transcript("begun-beside", BEGAN_S + 90, &cleared(40));
    assert_eq!(conversation(&world), exact, "the own one was written to after that began");
    world.transcript("next-1", BEGAN_S + 100, &cleared(70));
    world.transcript("next-2", BEGAN_S + 200, &cleared(130));
    let superseded = Conversation::Superseded { recorded: "c3fb74ec-40".into(), by: "next-2".into() };
    assert_eq!(conversation(&world), superseded);
    world.write("42.json", world.record(&[]).to_string());
    assert_eq!(conversation(&world), exact, "2.1.330 writes it down at once");
    let world = forgetful();
    world.transcript("next-1", BEGAN_S + 100, &line(70, "/work/app", r#""a":1"#));
    assert_eq!(conversation(&world), claimed, "it may be anybody's");
}

#[test]
fn beside_another_of_its_kind_nothing_is_certain() {
    let world = forgetful();
    world.transcript("next-1", BEGAN_S + 100, &cleared(70));
    world.add(&Fake { pid: 43, start: 6000, ..Fake::default() });
    let found = world.find();
    assert_eq!(found.running[0].conversation, Conversation::Claimed("c3fb74ec-40".into()));
    let record =
        world.record(&[("pid", 43.into()), ("procStart", "6000".into()), ("sessionId", "next-1".into())]);
    world.write("43.json", record.to_string());
    let found = world.find();
    let ids: Vec<_> = found.running.iter().map(|it| it.conversation.clone()).collect();
    assert_eq!(ids, [Conversation::Exact("c3fb74ec-40".into()), Conversation::Exact("next-1".into())]);
}

#[test]
fn without_a_record_a_single_transcript_is_a_guess() {
    let world = World::new();
    world.add(&Fake::default());
    // Far in the future of every clock: written after the process began.
    let later = 32_503_680_000;
    world.transcript("old-1", 1_000, &line(0, "/work/app", r#""a":1"#));
    assert_eq!(conversation(&world), Conversation::Unknown);
    world.transcript("only-1", later, &line(0, "/work/app", r#""a":1"#));
    assert_eq!(conversation(&world), Conversation::Guessed("only-1".into()));
    world.transcript("second-1", later, &line(0, "/work/app", r#""a":1"#));
    assert_eq!(conversation(&world), Conversation::Unknown);
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[0-9a-z:./\\[\\]-]{0,12}".prop_map(Into::into),
        Just("linux:0123456789abcdef0123456789abcdef:pid:[4026531836]".into()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Into::into))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_match_a_process(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let world = World::new();
        world.add(&Fake::default());
        world.write("42.json", bytes);
        let found = world.find();
        prop_assert!(found.running[0].record.is_none());
        prop_assert_eq!(found.problems.len(), 1);
    }

    #[test]
    fn no_record_matches_a_process_of_another_start(
        start in any_value(),
        fields in prop::collection::vec(
            (prop::sample::select(vec!["sessionId", "cwd", "startedAt", "version", "pidDomain", "status", "updatedAt"]), any_value()),
            0..7,
        ),
    ) {
        let world = World::new();
        world.add(&Fake::default());
        let mut record = world.record(&fields);
        record["procStart"] = start.clone();
        world.write("42.json", record.to_string());
        let found = world.find();
        let said = start.as_u64().map(|number| number.to_string());
        let said = said.or_else(|| start.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
        if said.is_some_and(|said| said != "5000") {
            prop_assert!(found.running[0].record.is_none());
            prop_assert_eq!(found.stale.len(), 1);
        }
    }

    #[test]
    fn no_bytes_in_a_stat_line_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let world = World::new();
        fs::write(world.add(&Fake::default()).join("stat"), bytes).expect("room");
        world.write("42.json", world.record(&[]).to_string());
        let _ = world.find();
    }
}

/// A true process, killed at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a copy of a program under the name `claude`.
fn start(folder: &Path, program: &str, arguments: &[&str]) -> Process {
    let claude = folder.join("claude");
    fs::copy(program, &claude).expect("room");
    let mut command = Command::new(&claude);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    for attempt in 0.. {
        match command.spawn() {
            Ok(child) => return Process(child),
            // Another test forks while the copy is open for writing.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && attempt < 100 => {
                std::thread::yield_now();
            }
            Err(error) => panic!("start {}: {error}", claude.display()),
        }
    }
    unreachable!("the loop returns or panics")
}

fn start_ticks(pid: u32) -> String {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = line.rsplit(')').next().expect("a name");
    rest.split_ascii_whitespace().nth(19).expect("field 22").to_owned()
}

#[test]
fn a_killed_process_leaves_a_stale_record() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut process = start(folder.path(), "/bin/sleep", &["600"]);
    let pid = process.0.id();
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").expect("a namespace");
    let mut record = serde_json::json!({
        "pid": pid, "sessionId": "c3fb74ec-40", "procStart": start_ticks(pid), "version": "2.1.330", "status": "busy",
    });
    if !machine.trim().is_empty() {
        record["pidDomain"] = format!("linux:{}:{}", machine.trim(), namespace.display()).into();
    }
    fs::create_dir(folder.path().join("sessions")).expect("room");
    let path = folder.path().join(format!("sessions/{pid}.json"));
    File::create(&path).expect("room").write_all(record.to_string().as_bytes()).expect("room");
    let folders = [folder.path().to_owned()];

    let found = find(&folders);
    let running = found.running.iter().find(|it| it.pid == pid).expect("it runs");
    let wanted = if machine.trim().is_empty() { "claimed" } else { "exact" };
    assert_eq!((running.conversation.certainty(), running.program), (wanted, Program::Native));
    let canonical = fs::canonicalize(folder.path()).expect("it exists");
    assert_eq!(running.working_folder.as_deref(), Some(canonical.as_path()));
    let own = session_detect::detect();
    assert_eq!(running.session.as_ref().map(|session| session.key.clone()), Ok(own.key));
    let age = running.started_at.and_then(|at| at.elapsed().ok()).expect("it began before now");
    assert!(age < Duration::from_secs(60), "{age:?}");

    process.0.kill().expect("it is ours");
    for reaped in [false, true] {
        if reaped {
            process.0.wait().expect("it is ours");
        } else {
            // Dead, and not waited for by us yet.
            let id = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("small"));
            let keep = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
            nix::sys::wait::waitid(nix::sys::wait::Id::Pid(id), keep).expect("it is ours");
        }
        let found = find(&folders);
        assert!(found.running.iter().all(|it| it.pid != pid));
        let stale: Vec<_> = found.stale.iter().map(|it| (it.record.pid, it.why, it.path.clone())).collect();
        assert_eq!(stale, [(pid, Why::Gone, path.clone())], "reaped: {reaped}");
    }
}

#[test]
fn a_child_knows_who_started_it() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let script = "CLAUDECODE=1 CLAUDE_PID=$$ CLAUDE_CODE_SESSION_ID=a-1 sleep 600 & echo $!; wait";
    let mut process = start(folder.path(), "/bin/sh", &["-c", script]);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says");
    let child = line.trim().parse().expect("a number");
    let starter = starter_of(child).expect("it lives").expect("a fake one started it");
    assert_eq!((starter.pid, starter.standing), (process.0.id(), Standing::Verified));
    assert!(starter.id.is_some());
    // The shell may have been seen before it became `sleep`; its marks are those of its program.
    assert!(matches!(starter.conversation.as_deref(), Some("a-1") | None));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child as i32), nix::sys::signal::Signal::SIGKILL)
        .expect("ours");
}

/// Processes begin and end while the table is read.
#[test]
fn a_busy_table_is_survived() {
    let spawn = || (0..50).for_each(|_| drop(Command::new("/bin/true").status()));
    std::thread::scope(|scope| {
        let churn = scope.spawn(spawn);
        while !churn.is_finished() {
            assert!(find(&[]).problems.is_empty());
        }
    });
}
