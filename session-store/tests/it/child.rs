//! The test binary run again as a process of its own, for what a process can do only once, or only by dying.
//!
//! A child is a test that does nothing unless it is told where to work; [`command`] tells it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PLACE: &str = "SESSION_STORE_TEST_PLACE";

/// Runs one test of this binary in a process of its own; `place` is the folder or file it works on.
pub(crate) fn command(test: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    told(&mut command, place).args(arguments(test));
    command
}

/// Returns the arguments that choose one test.
pub(crate) fn arguments(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// Tells a child its place, and nothing else of this process's environment.
pub(crate) fn told<'c>(command: &'c mut Command, place: &Path) -> &'c mut Command {
    command.env_clear().env(PLACE, place)
}

/// Runs a child to its end; its failure is the caller's.
pub(crate) fn run(test: &str, place: &Path) {
    check(command(test, place));
}

/// Runs a command to its end and fails with what it said if it fails.
pub(crate) fn check(mut command: Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said.concat());
}

/// Starts a child and kills it so long after it said [`begun`]; returns how long it worked if it was faster.
pub(crate) fn kill_after(test: &str, place: &Path, delay: Duration) -> Option<Duration> {
    let mut child = command(test, place).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "begun"), "{test} ended early");
    let began = Instant::now();
    while began.elapsed() < delay && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = child.try_wait().unwrap().map(|status| {
        assert!(status.success(), "{test}: {status}");
        began.elapsed()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

/// Says to the parent that the work it may interrupt begins.
pub(crate) fn begun() {
    std::io::stdout().write_all(b"\nbegun\n").unwrap();
}

/// Returns where this process is to work, `None` where it is no child.
pub(crate) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Gives up the right to ignore file modes, for good; a child that runs as another user than root has none.
#[cfg(unix)]
pub(crate) fn become_nobody() {
    use nix::unistd::{Gid, Uid, geteuid, setgid, setuid};
    const NOBODY: u32 = 65_534;
    if geteuid().is_root() {
        setgid(Gid::from_raw(NOBODY)).unwrap();
        setuid(Uid::from_raw(NOBODY)).unwrap();
    }
}
