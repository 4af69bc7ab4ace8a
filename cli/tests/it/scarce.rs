//! Monitors where something is short or held: space, the right to write, watches, locks, a folder, a common place.
//!
//! What needs a file system or limits of its own runs in a user namespace. Where there are none it is skipped with a
//! word; `CLAUDEWATCH_REQUIRE_LIVE=userns` (or `1`) makes that a failure.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::env::{Env, Outcome, PATIENCE, Reply, Running, append, files_below, parse};
use crate::hook;

/// Makes a command run where a shell script has prepared things, in namespaces of its own.
fn prepared(command: &Command, script: &str) -> Command {
    let mut prepared = Command::new("unshare");
    prepared.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    prepared.arg(format!("{script}\nexec \"$@\"")).arg("sh");
    prepared.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
    prepared.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    prepared.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    if let Some(folder) = command.get_current_dir() {
        prepared.current_dir(folder);
    }
    prepared
}

/// Tells whether there are user namespaces here; says so where not, and fails where they were asked for.
fn have_namespaces() -> bool {
    let mut probe = prepared(&Command::new("true"), "mount -t tmpfs none /mnt");
    let works = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    let asked = std::env::var("CLAUDEWATCH_REQUIRE_LIVE").unwrap_or_default();
    let required = asked == "1" || asked.split(',').any(|name| name == "userns");
    assert!(works || !required, "no user namespaces here, and CLAUDEWATCH_REQUIRE_LIVE asks for them");
    if !works {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "{name}: skipped, no user namespaces here");
    }
    works
}

/// Returns a path as a process in another mount namespace sees it.
fn seen_by(running: &Running, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", running.child.id(), path.display()))
}

/// Fills a disk to the last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

fn one_message() -> Env {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    env
}

/// Waits until the stores hold so many messages; nothing is written meanwhile, so that a monitor has to try the disk by itself.
fn until_stored(env: &Env, beside: Option<&Running>, messages: u64) {
    let end = Instant::now() + PATIENCE;
    while stored(env, beside) != messages {
        assert!(Instant::now() < end, "what was in memory is not written");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Returns how many messages the stores hold, without any transcript; `beside` is a monitor whose namespaces are used.
fn stored(env: &Env, beside: Option<&Running>) -> u64 {
    let nothing = env.path("nothing");
    fs::create_dir_all(&nothing).unwrap();
    let report = env.command(&["report", "--json", "--claude-dir", nothing.to_str().unwrap()]);
    let mut command = match beside {
        None => report,
        Some(monitor) => {
            let mut inside = Command::new("nsenter");
            let pid = monitor.child.id().to_string();
            inside.args(["--target", &pid, "--user", "--preserve-credentials", "--mount"]);
            inside.arg(report.get_program()).args(report.get_args()).env_clear();
            inside.envs(report.get_envs().filter_map(|(name, value)| Some((name, value?))));
            inside
        }
    };
    let outcome = Outcome::of(&mut command);
    // On a disk that is full reading tells of it.
    let code = outcome.code.unwrap();
    outcome.json_with(code)["totals"]["messages"].as_u64().unwrap()
}

#[test]
fn a_disk_that_fills_up_under_a_monitor() {
    if !have_namespaces() {
        return;
    }
    let env = one_message();
    fs::create_dir_all(env.data()).unwrap();
    let disk = format!("mount -t tmpfs -o size=600k,mode=700 none {}", env.data().display());
    let monitor = Running::of(&mut prepared(&env.command(&["--json"]), &disk));
    monitor.until_messages(PATIENCE, 1);
    let filler = seen_by(&monitor, &env.data().join("filler"));
    fill(&filler);
    let mut written = 1;
    // The log of the database has some room left, so that it takes a few.
    while written < 400 {
        written += 1;
        env.write("c", &[Reply::now(&format!("msg_{written}"))]);
    }
    monitor.until_messages(PATIENCE, written);
    fs::remove_file(&filler).unwrap();
    until_stored(&env, Some(&monitor), written);
    let (_, said) = monitor.kill();
    // Of each store once.
    assert_eq!(said.matches("archive.db); going on").count(), 1, "{said}");
    assert!(said.contains("no space left for the store"), "{said}");
    assert!(said.contains("going on in memory; free some space"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_disk_that_is_full_when_a_monitor_starts() {
    if !have_namespaces() {
        return;
    }
    let env = one_message();
    fs::create_dir_all(env.data()).unwrap();
    let data = env.data();
    let disk = format!(
        "mount -t tmpfs -o size=600k,mode=700 none {0}\nhead -c 700k /dev/zero > {0}/filler 2>/dev/null || true",
        data.display()
    );
    let monitor = Running::of(&mut prepared(&env.command(&["--json"]), &disk));
    monitor.until_messages(PATIENCE, 1);
    fs::remove_file(seen_by(&monitor, &data.join("filler"))).unwrap();
    until_stored(&env, Some(&monitor), 1);
}

#[test]
fn a_data_folder_on_a_read_only_disk() {
    if !have_namespaces() {
        return;
    }
    let env = one_message();
    env.run(&["report"]).ok();
    env.write("c", &[Reply::now("msg_3")]);
    env.run(&["report"]).ok();
    let log = env.data().join("archive.db-wal");
    assert!(log.exists(), "some of it is in the log alone");
    // What only the archive holds must be shown as well.
    fs::remove_file(env.transcript("c")).unwrap();
    let before: Vec<_> =
        files_below(&env.data()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let disk = format!("mount --bind {0} {0} && mount -o remount,ro,bind {0}", env.data().display());
    let monitor = Running::of(&mut prepared(&env.command(&["--json"]), &disk));
    monitor.until_messages(PATIENCE, 2);
    env.write("d", &[Reply::now("msg_2").of("d")]);
    monitor.until_messages(PATIENCE, 3);
    let status = Outcome::of(&mut prepared(&env.command(&["status", "--json"]), &disk));
    status.fails(3, &["cannot write the store", "the figures are complete", "--data-dir"]);
    assert_eq!(parse(&status.stdout)["conversations"].as_array().unwrap().len(), 2);
    let (_, said) = monitor.kill();
    assert!(said.contains("cannot write the store") && said.contains("--data-dir"), "{said}");
    let after: Vec<_> =
        files_below(&env.data()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    assert_eq!(before, after, "nothing is written, made or moved aside");
    // The index of a log cannot be made there; without the log it would be half a history.
    fs::remove_file(env.data().join("archive.db-shm")).unwrap();
    let report = Outcome::of(&mut prepared(&env.command(&["report", "--json"]), &disk));
    report.fails(3, &["cannot read the store", "what only the archive holds may be missing", "--data-dir"]);
    assert_eq!(parse(&report.stdout)["totals"]["messages"], 1);
    assert_eq!(env.json(&["report"])["totals"]["messages"], 3);
}

/// No watches, or too few: the monitor looks every few seconds and says why.
#[test]
fn limits_on_watches() {
    if !have_namespaces() {
        return;
    }
    for limit in
        ["echo 0 > /proc/sys/user/max_inotify_instances", "echo 3 > /proc/sys/user/max_inotify_watches"]
    {
        let env = one_message();
        for folder in 0..5 {
            fs::create_dir_all(env.projects().join(format!("-{folder}"))).unwrap();
        }
        let monitor = Running::of(&mut prepared(&env.command(&["--json"]), limit));
        monitor.until_messages(PATIENCE, 1);
        append(&env.projects().join("-3/d.jsonl"), &[Reply::now("msg_2").of("d")]);
        monitor.until_messages(PATIENCE, 2);
        let (_, said) = monitor.kill();
        assert!(said.contains("watch"), "{limit}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// There are enough watches at first, and too few for the folders that come.
#[test]
fn watches_that_run_out() {
    if !have_namespaces() {
        return;
    }
    let env = one_message();
    // For the projects, their folder, and what coordination needs.
    let few = "echo 12 > /proc/sys/user/max_inotify_watches";
    let monitor = Running::of(&mut prepared(&env.command(&["--json"]), few));
    monitor.until_messages(PATIENCE, 1);
    for folder in 0..20 {
        append(
            &env.projects().join(format!("-{folder}/d{folder}.jsonl")),
            &[Reply::now(&format!("msg_a_{folder}"))],
        );
    }
    monitor.until_messages(PATIENCE, 21);
    append(&env.projects().join("-19/d19.jsonl"), &[Reply::now("msg_b")]);
    monitor.until_messages(PATIENCE, 22);
    let (_, said) = monitor.kill();
    assert!(said.contains("too few inotify watches"), "{said}");
}

/// A monitor sleeps while more happens than the system remembers for it.
#[test]
fn a_queue_of_events_that_overflows() {
    let env = one_message();
    fs::create_dir_all(env.projects().join("-noise")).unwrap();
    let monitor = env.start(&["--json"]);
    monitor.until_messages(PATIENCE, 1);
    monitor.signal(Signal::SIGSTOP);
    let longest: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .map_or(16_384, |text| text.trim().parse().unwrap());
    if longest > 100_000 {
        eprintln!("SKIPPED: the queue of this system is too long to be filled in a test");
        return;
    }
    // Equal events that follow each other are one, so two files take turns.
    let mut files =
        [0, 1].map(|number| File::create(env.projects().join(format!("-noise/{number}.txt"))).unwrap());
    for number in 0..longest + 1000 {
        files[number % 2].write_all(b".").unwrap();
    }
    // These come after the end of the queue, so that nothing tells of them.
    env.write("c", &[Reply::now("msg_2")]);
    append(&env.projects().join("-late/d.jsonl"), &[Reply::now("msg_3").of("d")]);
    monitor.signal(Signal::SIGCONT);
    monitor.until_messages(PATIENCE, 3);
    // The watches are whole again, also of the folder that nothing told of.
    append(&env.projects().join("-late/d.jsonl"), &[Reply::now("msg_4").of("d")]);
    monitor.until_messages(PATIENCE, 4);
}

/// Two containers share the home folder with the data, but each has a runtime folder of its own.
#[test]
fn a_container_that_shares_the_data_alone() {
    if !have_namespaces() {
        return;
    }
    let (env, truth) = Env::with_corpus(61, 200_000);
    fs::create_dir_all(env.path("run")).unwrap();
    fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
    let apart = format!("mount -t tmpfs -o mode=700 none {}", env.path("run").display());
    let host = env.start(&["--json", "--all"]);
    let guests: Vec<Running> =
        (0..2).map(|_| Running::of(&mut prepared(&env.command(&["--json", "--all"]), &apart))).collect();
    let all: Vec<&Running> = std::iter::once(&host).chain(&guests).collect();
    for monitor in &all {
        monitor.until_messages(PATIENCE, truth.totals.messages);
    }
    for number in 1..=5 {
        env.write("live", &[Reply::now(&format!("msg_live_{number}")).of("live")]);
        for monitor in &all {
            monitor.until_messages(PATIENCE, truth.totals.messages + number);
        }
    }
    drop(all);
    for monitor in guests.into_iter().chain([host]) {
        let (_, said) = monitor.kill();
        assert!(!said.contains("store") && !said.contains("panicked"), "{said}");
    }
    fs::remove_dir_all(env.projects()).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], truth.totals.messages + 5);
}

/// A process froze, or is debugged, in the middle of a write: the others go on without it, and so does it.
#[test]
fn a_lock_that_is_held_for_long() {
    for held in ["home/.local/share/claudewatch/archive.db", "run/live.db"] {
        let env = one_message();
        let monitors = [env.start(&["--json"]), env.start(&["--json", "--all"])];
        monitors.iter().for_each(|monitor| drop(monitor.until_messages(PATIENCE, 1)));
        let mut database = rusqlite::Connection::open(env.path(held)).unwrap();
        let lock = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        env.write("c", &[Reply::now("msg_2")]);
        monitors.iter().for_each(|monitor| drop(monitor.until_messages(PATIENCE, 2)));
        drop(lock);
        drop(database);
        until_stored(&env, None, 2);
    }
}

/// Somebody cleans up under the monitors; what the transcripts tell is stored again.
#[test]
fn a_data_folder_that_is_removed() {
    let (env, truth) = Env::with_corpus(62, 200_000);
    let monitors = [env.start(&["--json", "--all"]), env.start(&["--json"])];
    monitors.iter().for_each(|monitor| drop(monitor.until_messages(PATIENCE, truth.totals.messages)));
    fs::remove_dir_all(env.data()).unwrap();
    let third = env.start(&["--json", "--all"]);
    third.until_messages(PATIENCE, truth.totals.messages);
    for number in 1..=3 {
        env.write("live", &[Reply::now(&format!("msg_live_{number}")).of("live")]);
        for monitor in monitors.iter().chain([&third]) {
            monitor.until_messages(PATIENCE, truth.totals.messages + number);
        }
    }
    drop((monitors, third));
    assert_eq!(env.json(&["report"])["totals"]["messages"], truth.totals.messages + 3);
    fs::remove_dir_all(env.projects()).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], truth.totals.messages + 3);
}

/// What cannot be accounted for is not done: a session is not held back where that cannot be written down.
#[test]
fn a_hook_on_a_full_disk_holds_nobody_back() {
    if !have_namespaces() {
        return;
    }
    let env = one_message();
    hook::priorities(&env, "enforce", "c = \"background\"");
    let call = |disk: &str, input: &Value| {
        let command = prepared(&env.command(&["hook"]), disk);
        hook::call_with(command, input.to_string().as_bytes()).ok()
    };
    let (start, tool) = (hook::event(&env, "SessionStart", "c"), hook::tool(&env, "c", "Bash"));
    assert_eq!(call("", &start), "");
    hook::sample(&env, 10_000, 3600, "rejected");
    assert!(call("", &tool).contains("deny"), "the test would see a refusal");
    let known = hook::journal(&env).len();

    let (data, run) = (env.data(), env.path("run"));
    let full = |path: &Path| format!("head -c 9M /dev/zero > {}/filler 2>/dev/null || true", path.display());
    let data_full = format!("mount -t tmpfs -o size=300k,mode=700 none {}\n{}", data.display(), full(&data));
    assert_eq!(call(&data_full, &tool), "");
    let copy = env.path("copy");
    fs::create_dir(&copy).unwrap();
    let run_full = format!(
        "cp -a {0}/. {1}\nmount -t tmpfs -o size=300k,mode=700 none {0}\ncp -a {1}/. {0}\n{2}",
        run.display(),
        copy.display(),
        full(&run)
    );
    for input in [&start, &hook::event(&env, "StopFailure", "c"), &hook::event(&env, "SessionEnd", "d")] {
        assert_eq!(call(&run_full, input), "", "{input}");
    }
    assert_eq!(hook::journal(&env).len(), known);
    // A file's last page may have room left on a full disk; then it is written down, and only then refused.
    let is_refused = call(&run_full, &tool).contains("deny");
    assert_eq!(hook::journal(&env).len(), known + usize::from(is_refused));
}
