//! The test binary run again as a process of its own, for what only processes can do: hold locks, die, freeze.
//!
//! A child is a test that does nothing unless it is told where to work; [`command`] tells it.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const PLACE: &str = "SESSION_COORDINATOR_TEST_PLACE";
const NUMBER: &str = "SESSION_COORDINATOR_TEST_NUMBER";
/// What begins a line that a child says to its parent, among those of the test harness.
const SAYS: &str = "child says ";

/// A process of this binary that ends with the test.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Starts one test of this binary in a process of its own; `place` is the folder it works on.
pub(crate) fn start(test: &str, place: &Path, number: u32) -> Running {
    let mut child = command(test, place, number).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Running { child, lines }
}

pub(crate) fn command(test: &str, place: &Path, number: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().env(PLACE, place).env(NUMBER, number.to_string());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Runs a child to its end; its failure is the caller's.
pub(crate) fn run(test: &str, place: &Path) {
    let output = command(test, place, 0).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{test}: {}\n{}", output.status, said.concat());
}

/// Returns where this process is to work, `None` where it is no child.
pub(crate) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// Returns this child's number among its siblings.
pub(crate) fn number() -> u32 {
    std::env::var(NUMBER).unwrap().parse().unwrap()
}

/// Says something to the parent.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    // One write, so that no line of another thread comes between.
    std::io::stdout().write_all(format!("\n{SAYS}{text}\n").as_bytes()).unwrap();
}

impl Running {
    /// Waits for the next thing the child says; `None` where it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix(SAYS)?.to_owned()))
    }

    /// Waits until the child says something that begins so, and returns the rest.
    pub(crate) fn hear_of(&mut self, beginning: &str) -> String {
        while let Some(said) = self.hear() {
            if let Some(rest) = said.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
        panic!("the child ended without saying {beginning:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the child at once (SIGKILL) and waits for it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
