//! A program called `claude` that does nothing, with the record that Claude Code writes of itself.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::json;
use session_detect::IsolationKey;

use crate::env::{Env, Outcome, now};

/// A Claude Code that runs a conversation, in a session of its own; both end with it.
pub(crate) struct FakeClaude(Child);

impl FakeClaude {
    pub(crate) fn start(env: &Env, conversation: &str) -> Self {
        Self::run(env, Command::new("setsid").arg(program(env)), conversation)
    }

    /// Starts one in the session of the tests, in which the program under test runs too.
    pub(crate) fn start_here(env: &Env, conversation: &str) -> Self {
        Self::run(env, &mut Command::new(program(env)), conversation)
    }

    fn run(env: &Env, command: &mut Command, conversation: &str) -> Self {
        command.arg("600").current_dir(env.path("work"));
        let child = loop {
            match command.spawn() {
                // Another test may just be starting a process, which has the copy of the program open until it runs.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                started => break started.unwrap(),
            }
        };
        let name = format!("/proc/{}/comm", child.id());
        while fs::read_to_string(&name).unwrap() != "claude\n" {
            std::thread::yield_now();
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let start = stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap();
        let record = json!({"pid": child.id(), "sessionId": conversation, "cwd": env.path("work"), "procStart": start,
                            "startedAt": now().as_millis(), "version": "2.1.330", "kind": "interactive",
                            "entrypoint": "cli", "status": "idle", "updatedAt": now().as_millis()});
        let folder = env.claude().join("sessions");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{}.json", child.id())), record.to_string()).unwrap();
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn key(&self) -> IsolationKey {
        session_detect::detect_process(self.pid()).unwrap().key.unwrap()
    }

    /// Returns the file of its session's store.
    pub(crate) fn store(&self, env: &Env) -> PathBuf {
        env.data().join("sessions").join(format!("{}.db", self.key().file_name()))
    }
}

fn program(env: &Env) -> PathBuf {
    let program = env.path("claude");
    if !program.exists() {
        fs::copy("/bin/sleep", &program).unwrap();
    }
    program
}

/// Runs the program under test in a session of its own.
pub(crate) fn elsewhere(env: &Env, args: &[&str]) -> Outcome {
    let here = env.command(args);
    let mut command = Command::new("setsid");
    command.arg("-w").arg(here.get_program()).args(here.get_args()).current_dir(env.path("work")).env_clear();
    command.envs(here.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Outcome::of(command.stdin(std::process::Stdio::null()))
}

impl Drop for FakeClaude {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a store look as if nothing had been written to it for two days.
pub(crate) fn make_old(store: &std::path::Path) {
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    for suffix in ["", "-wal"] {
        let file = fs::File::options().write(true).open(format!("{}{suffix}", store.display()));
        let _ = file.map(|file| file.set_modified(past).unwrap());
    }
}
