//! The system's clock jumps by a year, there and back, under monitors at work.
//!
//! A small library is put before the system's: it adds what a file says to the time of day, and leaves the clocks that only
//! go forward alone, as a real jump does. It needs a C compiler and a program that is linked dynamically.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use session_store::Timestamp;

use crate::claude::{FakeClaude, make_old};
use crate::env::{Env, Outcome, PATIENCE, Reply, Running, now};

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, clock, time);
    const char *path = getenv("CLOCK_OFFSET_FILE");
    if (result == 0 && clock == CLOCK_REALTIME && path) {
        char text[32] = {0};
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atoll(text);
            close(file);
        }
    }
    return (int)result;
}
"#;
const YEAR: i64 = 365 * 86_400;

/// A clock that tests can set.
struct Clock {
    library: PathBuf,
    offset_file: PathBuf,
}

impl Clock {
    /// Builds the library; `None`, with a message, where that is not possible.
    fn build(env: &Env) -> Option<Self> {
        let (source, library) = (env.path("clock.c"), env.path("clock.so"));
        fs::write(&source, SHIM).unwrap();
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
        let clock = Self { library, offset_file: env.path("offset") };
        if built.is_ok_and(|status| status.success()) {
            clock.jump_to(YEAR);
            let told = Outcome::of(&mut clock.command(env, &["status", "--json"]));
            if told.code == Some(0) && clock.rules(env) {
                clock.jump_to(0);
                return Some(clock);
            }
        }
        let _ = writeln!(std::io::stderr(), "skipped: the clock of a program cannot be set here");
        None
    }

    /// Returns whether the program believes the clock: its day is another one.
    fn rules(&self, env: &Env) -> bool {
        let monitor = Running::of(&mut self.command(env, &["--json"]));
        let told: Value = serde_json::from_str(&monitor.line()).unwrap();
        let at = told["at"].as_str().and_then(Timestamp::parse).unwrap();
        at > now().after(Duration::from_secs(YEAR as u64 / 2))
    }

    fn jump_to(&self, offset: i64) {
        // Never half of it.
        let fresh = self.offset_file.with_extension("new");
        fs::write(&fresh, offset.to_string()).unwrap();
        fs::rename(fresh, &self.offset_file).unwrap();
    }

    fn command(&self, env: &Env, args: &[&str]) -> Command {
        let mut command = env.command(args);
        command.env("LD_PRELOAD", &self.library).env("CLOCK_OFFSET_FILE", &self.offset_file);
        command
    }
}

fn reply(id: &str, offset: i64) -> Reply {
    Reply::new(id, &Timestamp::from_millis(now().as_millis() + offset * 1000).to_string())
}

#[test]
fn a_clock_that_jumps_by_a_year() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    let Some(clock) = Clock::build(&env) else { return };
    let reset = now().as_millis() / 1000 + 7200;
    env.write("c", &[Reply::now("err_1").refused("five_hour", reset)]);

    let monitors =
        [&["--json"][..], &["--json", "--all"]].map(|args| Running::of(&mut clock.command(&env, args)));
    for monitor in &monitors {
        let told = monitor.until_messages(PATIENCE, 1);
        assert_eq!(told["conversations"][0]["state"], "limited", "{told}");
    }
    let coordination = || {
        let status = Outcome::of(&mut clock.command(&env, &["status", "--json"])).json();
        let alive =
            status["sessions"].as_array().unwrap().iter().filter(|it| it["presence"] == "alive").count();
        (alive, status["coordination"]["leader"]["pid"].clone())
    };
    let before = coordination();
    assert_eq!(before.0, 2);
    // A year on, when the limit has long been reset; a year back, when nothing of this had happened yet; and right again.
    for (number, offset) in (2..).zip([YEAR, -YEAR, 0]) {
        clock.jump_to(offset);
        env.write("c", &[reply(&format!("msg_{number}"), offset)]);
        for monitor in &monitors {
            let told = monitor.until_messages(PATIENCE, number);
            let rate = told["tokens_per_minute"].as_f64().unwrap();
            assert!((0.0..1000.0).contains(&rate), "{rate}");
            if offset == YEAR {
                assert_eq!(told["conversations"][0]["state"], "idle", "the limit has been reset");
            }
        }
        assert_eq!(coordination(), before, "nobody is taken for dead or frozen after a jump to {offset}");
    }
    for monitor in monitors {
        let (_, said) = monitor.kill();
        assert!(!said.contains("panicked") && !said.contains("store"), "{said}");
    }
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], 4);
    let fresh = env.path("fresh");
    assert_eq!(env.json(&["report", "--data-dir", fresh.to_str().unwrap()]), report);
}

/// A monitor that runs for weeks moves ended sessions into the archive, not only the next one that starts.
#[test]
fn a_running_monitor_looks_for_ended_sessions_once_an_hour() {
    let env = Env::new();
    let Some(clock) = Clock::build(&env) else { return };
    let claude = FakeClaude::start(&env, "ended");
    env.write("ended", &[reply("msg_1", 0).of("ended")]);
    let monitor = Running::of(&mut clock.command(&env, &["--json", "--all"]));
    monitor.until_messages(PATIENCE, 1);
    let store = claude.store(&env);
    assert!(store.exists());
    drop(claude);
    make_old(&store);
    env.write("c", &[reply("msg_2", 0).of("c")]);
    monitor.until_messages(PATIENCE, 2);
    assert!(store.exists(), "it is not looked for all the time");
    clock.jump_to(2 * 3600);
    env.write("c", &[reply("msg_3", 2 * 3600).of("c")]);
    monitor.until_messages(PATIENCE, 3);
    let end = Instant::now() + PATIENCE;
    while store.exists() {
        assert!(Instant::now() < end, "the store of a session that ended was not moved");
        std::thread::sleep(Duration::from_millis(10));
    }
    env.write("c", &[reply("msg_4", 2 * 3600).of("c")]);
    monitor.until_messages(PATIENCE, 4);
}
