//! The test binary run again as a process of its own, for what only processes can do: hold locks, die, freeze.
//!
//! A child is a test that does nothing unless it is told where to work; [`command`] tells it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const PLACE: &str = "SESSION_COORDINATOR_TEST_PLACE";
const NUMBER: &str = "SESSION_COORDINATOR_TEST_NUMBER";
/// What begins a line that a child says to its parent, among those of the test harness.
const SAYS: &str = "child says ";
/// How long a parent waits for a word before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of this binary that ends with the test.
pub(crate) struct Running {
    child: Child,
    said: Receiver<String>,
}

/// Starts one test of this binary in a process of its own; `place` is the folder it works on.
pub(crate) fn start(test: &str, place: &Path, number: u32) -> Running {
    spawn(command(test, place, number))
}

/// Starts a child by a command that leads to it.
pub(crate) fn spawn(mut command: Command) -> Running {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, said) = channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(line) = line.strip_prefix(SAYS) {
                let _ = tell.send(line.to_owned());
            }
        }
    });
    Running { child, said }
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
    // One write, so that no line of another thread comes between.
    std::io::stdout().write_all(format!("\n{SAYS}{text}\n").as_bytes()).unwrap();
}

impl Running {
    /// Waits until the child says something that begins so, and returns the rest; what it says before is forgotten.
    pub(crate) fn hear_of(&self, beginning: &str) -> String {
        self.hear_within(beginning, PATIENCE).unwrap_or_else(|| panic!("no word of {beginning:?}"))
    }

    /// The same for a shorter time; `None` where nothing of the kind is said.
    pub(crate) fn hear_within(&self, beginning: &str, time: Duration) -> Option<String> {
        let until = std::time::Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match self.said.recv_timeout(left) {
                Ok(said) => {
                    if let Some(rest) = said.strip_prefix(beginning) {
                        return Some(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the child ended without {beginning:?}"),
            }
        }
    }

    /// Tells the child a line.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the child at once (SIGKILL) and waits for it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Lets the child end by itself, which it does when nobody tells it anything any more.
    pub(crate) fn join(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
