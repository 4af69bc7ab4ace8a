//! A program called `claude` that does nothing, with the record that Claude Code writes of itself.

use std::process::{Child, Command};

use serde_json::json;
use session_detect::IsolationKey;

use crate::env::{Env, Outcome, now};

/// Such a program at work; it is killed at the end of the test.
pub(crate) struct Client {
    child: Child,
    pub(crate) key: IsolationKey,
}

impl Client {
    /// Starts one in a session of its own, which ends with it.
    pub(crate) fn start(env: &Env, conversation: &str) -> Self {
        let mut command = Command::new("setsid");
        command.arg(program(env));
        Self::run(env, command, conversation)
    }

    /// Starts one in the session of the tests, in which the program under test runs too.
    pub(crate) fn start_here(env: &Env, conversation: &str) -> Self {
        Self::run(env, Command::new(program(env)), conversation)
    }

    fn run(env: &Env, mut command: Command, conversation: &str) -> Self {
        let child = command.arg("600").current_dir(env.path("work")).spawn().unwrap();
        let pid = child.id();
        let name = format!("/proc/{pid}/comm");
        while std::fs::read_to_string(&name).unwrap() != "claude\n" {
            std::thread::yield_now();
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start = stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap();
        let record = json!({"pid": pid, "sessionId": conversation, "cwd": env.path("work"), "procStart": start,
                            "startedAt": now().as_millis(), "version": "2.1.330", "kind": "interactive",
                            "entrypoint": "cli", "status": "idle", "updatedAt": now().as_millis()});
        let folder = env.claude().join("sessions");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{pid}.json")), record.to_string()).unwrap();
        let key = session_detect::detect_process(pid).unwrap().key.unwrap();
        Self { child, key }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(env: &Env) -> std::path::PathBuf {
    let program = env.path("claude");
    if !program.exists() {
        std::fs::copy("/bin/sleep", &program).unwrap();
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
