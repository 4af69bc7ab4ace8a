//! Kills, races, full disks, foreign and damaged archives: right figures, a clear message, and nothing lost.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use session_store::corpus::Truth;

use crate::env::{Env, Outcome, Reply, counts, files_below, write_bytes};

/// What is said wherever the archive could not be kept.
const NOT_KEPT: &str = "what is new was not kept";

/// An archive that holds one message alone, and a transcript that holds another.
///
/// Two messages in a report mean that neither was lost.
fn one_stored_one_new() -> Env {
    let env = Env::new();
    env.write("old", &[Reply::new("msg_1", "2026-11-20T10:00:00Z").of("old")]);
    env.run(&["report"]).ok();
    env.write_log_back();
    fs::remove_file(env.transcript("old")).unwrap();
    env.write("new", &[Reply::new("msg_2", "2026-11-21T10:00:00Z").of("new")]);
    env
}

/// Checks that both messages are counted, that it is said why they are not kept, and that the code tells scripts.
#[track_caller]
fn assert_told(env: &Env, complaints: &[&str]) {
    let outcome = env.run(&["report", "--json"]);
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 2, "{}", outcome.stderr);
    outcome.fails(3, complaints);
    outcome.fails(3, &[NOT_KEPT]);
}

/// Starts a report, and kills it after a while.
fn kill_after(env: &Env, data: &Path, delay: Duration) {
    let mut command = env.command(&["report", "--json", "--data-dir", data.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_import_goes_on_where_it_was() {
    const ROUNDS: u64 = 15;
    let (env, truth) = Env::with_corpus(51, 300_000);
    let report = |data: &Path| env.json(&["report", "conversation", "--data-dir", data.to_str().unwrap()]);
    let begun = Instant::now();
    let expected = report(&env.path("data"));
    let whole = begun.elapsed();
    assert_eq!(counts(&expected["totals"]), truth.totals);
    let mut random = fastrand::Rng::with_seed(51);
    for round in 0..ROUNDS {
        // From an empty folder, so that the kill also meets the making of the archive.
        let data = env.path(format!("data-{round}"));
        kill_after(&env, &data, whole.mul_f64(random.f64()));
        assert_eq!(report(&data), expected, "round {round}");
    }

    // The same archive, killed over and over while the transcripts grow.
    let growing = Env::new();
    let files: Vec<(PathBuf, Vec<u8>)> = files_below(&env.claude())
        .into_iter()
        .map(|path| (path.strip_prefix(env.claude()).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    for round in 1..=ROUNDS {
        for (path, bytes) in &files {
            let written = bytes.len() as u64 * round / ROUNDS;
            write_bytes(&growing.claude().join(path), &bytes[..written as usize]);
        }
        kill_after(&growing, &growing.data(), whole.mul_f64(random.f64()));
    }
    assert_eq!(growing.json(&["report", "conversation"]), expected);
}

#[test]
fn sixteen_processes_may_start_at_the_same_instant() {
    let (env, truth) = Env::with_corpus(52, 150_000);
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let runs: Vec<_> = (0..16).map(|_| scope.spawn(|| env.run(&["report", "--json"]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for outcome in outcomes {
        assert_eq!(counts(&outcome.json()["totals"]), truth.totals);
    }
    assert_eq!(counts(&env.json(&["report"])["totals"]), truth.totals);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_data_folder() {
    let Some(env) = one_stored_one_new().bound_by_modes() else { return };
    let before = fs::read(env.archive()).unwrap();
    set_mode(&env.archive(), 0o400);
    set_mode(&env.data(), 0o500);
    assert_told(&env, &["cannot write the store", "archive.db", "the figures are complete", "--data-dir"]);
    assert_eq!(fs::read(env.archive()).unwrap(), before);
    set_mode(&env.data(), 0o700);
    set_mode(&env.archive(), 0o600);
    assert_eq!(env.json(&["report"])["totals"]["messages"], 2, "it is kept as soon as that is possible");
}

#[test]
fn a_data_folder_that_cannot_be_made() {
    let Some(env) = Env::new().bound_by_modes() else { return };
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    env.give_away();
    set_mode(&env.path("home"), 0o500);
    let outcome = env.run(&["report", "--json"]);
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 1);
    outcome.fails(3, &["cannot write the store", "Permission denied", NOT_KEPT, "--data-dir"]);
    set_mode(&env.path("home"), 0o700);
}

#[test]
fn an_archive_that_may_not_be_read() {
    let Some(env) = one_stored_one_new().bound_by_modes() else { return };
    set_mode(&env.archive(), 0o000);
    let outcome = env.run(&["report", "--json"]);
    // What only the archive held cannot be shown, but it is not lost.
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 1, "{}", outcome.stderr);
    outcome.fails(3, &["cannot read the store", "archive.db", "may be missing", NOT_KEPT, "--data-dir"]);
    set_mode(&env.archive(), 0o600);
    assert_eq!(env.json(&["report"])["totals"]["messages"], 2);
}

/// A disk of its own, as small as one wants; it goes with its value.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts the disk; `None`, with a message, where that is not allowed.
    pub(crate) fn mount(at: &Path, kilobytes: u32) -> Option<Self> {
        let size = format!("size={kilobytes}k");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED: a disk to fill needs the right to mount one");
        None
    }

    /// Fills the disk to the last byte and returns the file that does it.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let env = Env::new();
    fs::create_dir_all(env.data()).unwrap();
    let Some(disk) = Disk::mount(&env.data(), 512) else { return };
    env.write("old", &[Reply::new("msg_1", "2026-11-20T10:00:00Z").of("old")]);
    env.run(&["report"]).ok();
    env.write_log_back();
    fs::remove_file(env.transcript("old")).unwrap();
    env.write("new", &[Reply::new("msg_2", "2026-11-21T10:00:00Z").of("new")]);
    let filler = disk.fill();
    assert_told(&env, &["claudewatch: "]);
    fs::remove_file(filler).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], 2);
}

#[test]
fn a_disk_that_fills_up_during_an_import() {
    let (env, truth) = Env::with_corpus(53, 1_000_000);
    let at = env.path("disk");
    fs::create_dir(&at).unwrap();
    let mut codes = Vec::new();
    // The space ends at another point of the import each time, page by page, and at last suffices.
    for kilobytes in (60..=120).step_by(20).chain((124..=240).step_by(4)).chain([4_000]) {
        let Some(_disk) = Disk::mount(&at, kilobytes) else { return };
        let outcome = env.run(&["report", "--json", "--data-dir", at.to_str().unwrap()]);
        let code = outcome.code.unwrap();
        assert_eq!(
            counts(&outcome.json_with(code)["totals"]),
            truth.totals,
            "{kilobytes} kB: {}",
            outcome.stderr
        );
        if code != 0 {
            outcome.fails(3, &["archive.db", NOT_KEPT, "--data-dir"]);
        }
        codes.push((code, outcome.stderr.contains("no space left for the store")));
    }
    assert!(codes.contains(&(3, true)), "{codes:?}");
    assert_eq!(codes.last(), Some(&(0, false)));
}

#[test]
fn a_disk_that_is_too_small_for_any_archive() {
    let env = Env::new();
    fs::create_dir_all(env.data()).unwrap();
    let Some(_disk) = Disk::mount(&env.data(), 4) else { return };
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let outcome = env.run(&["report", "--json"]);
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 1);
    outcome.fails(3, &["archive.db", NOT_KEPT]);
}

/// Where the header of an SQLite file holds the number that is the format of ours.
const USER_VERSION_AT: usize = 60;

#[test]
fn an_archive_of_a_newer_version() {
    let env = one_stored_one_new();
    let known = fs::read(env.archive()).unwrap();
    let mut newer = known.clone();
    newer[USER_VERSION_AT..USER_VERSION_AT + 4].copy_from_slice(&99u32.to_be_bytes());
    fs::write(env.archive(), &newer).unwrap();
    assert_told(&env, &["the store has format 99", "newer version", "install the version of claudewatch"]);
    assert_eq!(fs::read(env.archive()).unwrap(), newer, "it is left as it is");
    fs::write(env.archive(), &known).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], 2);
}

/// Returns the file that a damaged archive was moved to.
fn quarantined(env: &Env) -> Option<PathBuf> {
    files_below(&env.data()).into_iter().find(|path| path.to_str().unwrap().contains("archive.db.corrupt-"))
}

#[test]
fn an_archive_that_is_none_is_moved_aside() {
    let check = |content: &[u8]| {
        let (env, truth) = filled();
        fs::write(env.archive(), content).unwrap();
        let outcome = env.run(&["report", "--json"]);
        assert_eq!(counts(&outcome.json_with(0)["totals"]), truth.totals, "{}", outcome.stderr);
        let moved = quarantined(&env).expect("a file that was moved");
        outcome.fails(0, &["the archive was damaged", moved.to_str().unwrap(), "filled again"]);
        assert_eq!(fs::read(moved).unwrap(), content, "nothing is deleted");
        assert_eq!(counts(&env.json(&["report"])["totals"]), truth.totals);
    };
    check(b"This is no archive, but somebody's notes.");
    check(&[0xff; 10_000]);
    let foreign = {
        // Somebody else's database has another application id.
        let (env, _) = filled();
        let mut bytes = fs::read(env.archive()).unwrap();
        bytes[68..72].copy_from_slice(b"else");
        bytes
    };
    check(&foreign);
}

fn filled() -> (Env, Truth) {
    let (env, truth) = Env::with_corpus(54, 100_000);
    env.run(&["report"]).ok();
    env.write_log_back();
    (env, truth)
}

#[test]
fn an_empty_file_becomes_an_archive() {
    let (env, truth) = filled();
    fs::write(env.archive(), b"").unwrap();
    assert_eq!(counts(&env.json(&["report"])["totals"]), truth.totals);
    assert_eq!(quarantined(&env), None);
}

#[test]
fn an_archive_damaged_inside() {
    let damage = |name: &str, damage: &dyn Fn(&mut Vec<u8>)| {
        let (env, truth) = filled();
        let mut bytes = fs::read(env.archive()).unwrap();
        damage(&mut bytes);
        fs::write(env.archive(), &bytes).unwrap();
        let outcome = env.run(&["report", "--json"]);
        match outcome.code {
            Some(0) if outcome.stderr.is_empty() => {
                panic!("{name}: the damage is not noticed: {}", outcome.stdout)
            }
            Some(0) => assert_eq!(counts(&outcome.json_with(0)["totals"]), truth.totals, "{name}"),
            // It is not clear what of it is right, so that nothing is printed rather than something wrong.
            _ => {
                outcome.fails(3, &["damaged", "archive.db", "filled again from the transcripts"]);
                assert_eq!(outcome.stdout, "", "{name}");
                assert_eq!(fs::read(env.archive()).unwrap(), bytes, "{name}: it is left as it is");
                fs::remove_file(env.archive()).unwrap();
            }
        }
        assert_eq!(counts(&env.json(&["report"])["totals"]), truth.totals, "{name}");
    };
    damage("cut in half", &|bytes| bytes.truncate(bytes.len() / 2));
    damage("overwritten", &|bytes| bytes[4096..].fill(0xa5));
}

#[test]
fn a_folder_in_the_place_of_the_archive() {
    let env = Env::new();
    fs::create_dir_all(env.archive()).unwrap();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let outcome = env.run(&["report", "--json"]);
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 1);
    outcome.fails(3, &["the store", "archive.db", NOT_KEPT, "--data-dir"]);
    assert!(env.archive().is_dir());
}

#[test]
fn a_file_in_the_place_of_the_data_folder() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    fs::write(env.path("file"), "mine").unwrap();
    let file = env.path("file");
    let outcome = env.run(&["report", "--json", "--data-dir", file.to_str().unwrap()]);
    assert_eq!(outcome.json_with(3)["totals"]["messages"], 1);
    outcome.fails(3, &["the store", file.to_str().unwrap(), NOT_KEPT]);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn a_monitor_goes_on_without_a_disk() {
    let env = one_stored_one_new();
    fs::remove_dir_all(env.data()).unwrap();
    fs::write(env.data(), "in the way").unwrap();
    let monitor = env.start(&["--json"]);
    monitor.until_messages(crate::env::PATIENCE, 1);
    env.write("new", &[Reply::now("msg_3").of("new")]);
    monitor.until_messages(Duration::from_secs(2), 2);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let (env, _) = filled();
    for args in [
        &["report"][..],
        &["report", "--json"],
        &["report", "--csv"],
        &["explain", "2026-11"],
        &["status"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = env.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_said() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("SKIPPED: there is no device that is always full");
        return;
    }
    let (env, _) = filled();
    for args in [&["report"][..], &["--help"], &["--version"], &["completions", "bash"]] {
        let full = File::options().write(true).open(full).unwrap();
        let output = env.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("cannot write the output") && stderr.contains("No space left"), "{stderr}");
    }
}
