//! A terminal of tmux with a program in it, for what only people at a terminal meet.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long a program in a terminal is waited for; the machine may be busy, and the real client alone takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of its own, which ends with the test.
pub(crate) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Runs a shell command in a new terminal; `None`, with a word about it, where there is no tmux.
    ///
    /// With `CLAUDEWATCH_REQUIRE_REAL_CLIENT=1` its absence fails.
    pub(crate) fn start(socket: PathBuf, command: &str) -> Option<Self> {
        let terminal = Self { socket };
        let size = ["-x", "140", "-y", "40"];
        let started =
            terminal.tmux(&[&["-f", "/dev/null", "new-session", "-d"], &size[..], &[command]].concat());
        if started.is_some() {
            return Some(terminal);
        }
        assert!(
            std::env::var_os("CLAUDEWATCH_REQUIRE_REAL_CLIENT").is_none_or(|value| value != "1"),
            "tmux is required"
        );
        eprintln!("SKIPPED real client: tmux is missing");
        None
    }

    /// What stands on the screen.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-J"]).expect("the program still runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a text stands on the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(Instant::now() < end, "`{text}` does not come:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types a line and enters it, as often as it takes: what comes with the text or while a program is busy may be taken for
    /// a part of it. An empty line does nothing.
    #[track_caller]
    pub(crate) fn enter(&self, line: &str, is_taken: impl Fn() -> bool) {
        assert!(self.tmux(&["send-keys", "-l", line]).is_some());
        self.wait_for(line);
        let end = Instant::now() + PATIENCE;
        while !is_taken() {
            assert!(Instant::now() < end, "`{line}` is not taken:\n{}", self.screen());
            assert!(self.tmux(&["send-keys", "Enter"]).is_some());
            let again = Instant::now() + Duration::from_secs(2);
            while !is_taken() && Instant::now() < again {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn tmux(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new("tmux");
        let output = command.arg("-S").arg(&self.socket).args(arguments).env_remove("TMUX").output();
        output.ok().filter(|output| output.status.success())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
