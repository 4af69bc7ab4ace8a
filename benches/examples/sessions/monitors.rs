//! Monitors: what they cost at rest, alone and in a crowd, and what they show while their leader is frozen.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use session_store::corpus::Corpus;

use crate::process::{Process, Result, between, now_ns, spread};
use crate::tell;

/// A home with a history, in a scratch folder.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    messages: u64,
    written: u64,
}

impl Home {
    pub(crate) fn of(bytes: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let truth = Corpus::new(1, bytes).write(&folder.path().join(".claude"))?;
        fs::create_dir(folder.path().join("work"))?;
        Ok(Self { folder, messages: truth.totals.messages, written: 0 })
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let program = program()?;
        // Each in a session of its own.
        let mut command = Command::new("setsid");
        command.arg(program).args(args).env_clear().current_dir(self.folder.path().join("work"));
        command.env("HOME", self.folder.path()).env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command.env("CLAUDEWATCH_RUNTIME_DIR", self.folder.path().join("run"));
        Ok(command)
    }

    pub(crate) fn monitor(&self) -> Result<Process> {
        Process::start(&mut self.command(&["--json", "--all"])?)
    }

    /// Waits until a monitor shows everything; returns when it did.
    pub(crate) fn wait_for(&self, monitor: &Process) -> Result<u128> {
        let wanted = format!("\"messages\":{},", self.messages + self.written);
        Ok(monitor
            .line(|line| line.split("\"totals\"").nth(1).is_some_and(|totals| totals.contains(&wanted)))?
            .0)
    }

    /// Appends a reply as Claude Code does.
    fn write_a_reply(&mut self) -> Result<()> {
        self.written += 1;
        let number = self.written;
        let at = session_store::Timestamp::from_millis(i64::try_from(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis(),
        )?);
        let path = self.folder.path().join(".claude/projects/-live/live.jsonl");
        fs::create_dir_all(path.parent().ok_or("a parent")?)?;
        let mut file = File::options().create(true).append(true).open(path)?;
        let usage = r#"{"input_tokens":1,"output_tokens":1}"#;
        writeln!(
            file,
            r#"{{"type":"assistant","sessionId":"live","uuid":"live-{number}","timestamp":"{at}","cwd":"/p","version":"2.1.330","requestId":"req_live_{number}","message":{{"id":"msg_live_{number}","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[],"usage":{usage}}}}}"#
        )?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join(".local/share/claudewatch")
    }
}

pub(crate) fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.parent().and_then(Path::parent).ok_or("no folder above")?.join("claudewatch");
    if program.exists() { Ok(program) } else { Err("no claudewatch here: cargo build --release".into()) }
}

/// How soon others show what is written while the leader is frozen.
pub(crate) fn frozen_leader() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let mut home = Home::of(2_000_000)?;
        let leader = home.monitor()?;
        home.wait_for(&leader)?;
        let others = [home.monitor()?, home.monitor()?];
        for other in &others {
            home.wait_for(other)?;
        }
        thread::sleep(Duration::from_secs(2));
        leader.signal(Signal::SIGSTOP)?;
        let frozen = now_ns();
        home.write_a_reply()?;
        for other in &others {
            times.push(between(frozen, home.wait_for(other)?));
        }
        leader.signal(Signal::SIGCONT)?;
    }
    tell("leader frozen, shown by others, median / p99 / max", &spread(times), "3000 ms");
    Ok(())
}

/// What a follower costs that has nothing to do.
pub(crate) fn at_rest(seconds: u64) -> Result<()> {
    let home = Home::of(20_000_000)?;
    let leader = home.monitor()?;
    home.wait_for(&leader)?;
    let follower = home.monitor()?;
    home.wait_for(&follower)?;
    thread::sleep(Duration::from_secs(3));
    for (name, monitor) in [("leader", &leader), ("follower", &follower)] {
        let before = monitor.ran()?;
        let begun = Instant::now();
        thread::sleep(Duration::from_secs(seconds));
        let share = (monitor.ran()? - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
        tell(&format!("{name} at rest, share of a core"), &format!("{share:.3} %"), "0.1 %");
        let resident = monitor.kilobytes("VmRSS")? as f64 / 1024.0;
        let own = monitor.kilobytes("RssAnon")? as f64 / 1024.0;
        tell("  resident, of it its own", &format!("{resident:.1}, {own:.1} MB"), "15 MB");
        let data = home.data();
        let files = monitor.files()?;
        let is_store = |file: &&String| file.starts_with(data.to_str().unwrap_or_default());
        let instances = files.iter().filter(|file| file.contains("inotify")).count();
        let standard = files.iter().filter(|file| file.starts_with("pipe:") || *file == "/dev/null").count();
        let beyond = files.len() - files.iter().filter(is_store).count() - standard;
        tell("  inotify instances", &instances.to_string(), "1");
        tell("  descriptors beyond its store and streams", &beyond.to_string(), "1 + 4");
    }
    Ok(())
}

/// A hundred monitors in a hundred sessions that have nothing to do.
pub(crate) fn a_hundred(seconds: u64) -> Result<()> {
    let mut home = Home::of(20_000_000)?;
    let begun = Instant::now();
    let mut monitors = Vec::new();
    for _ in 0..100 {
        monitors.push(home.monitor()?);
    }
    for monitor in &monitors {
        home.wait_for(monitor)?;
    }
    tell("100 monitors started together, all show everything", &format!("{:.1?}", begun.elapsed()), "");
    thread::sleep(Duration::from_secs(5));
    let ran = || monitors.iter().map(Process::ran).sum::<Result<Duration>>();
    let before = ran()?;
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(seconds));
    let share = (ran()? - before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    tell("  all at rest, share of a core", &format!("{share:.2} %"), "10 %");
    let resident = monitors.iter().map(|it| it.kilobytes("RssAnon")).sum::<Result<u64>>()? as f64 / 1024.0;
    tell("  all together, memory of their own", &format!("{resident:.0} MB"), "1500 MB");

    let written = now_ns();
    home.write_a_reply()?;
    let mut shown = Vec::new();
    for monitor in &monitors {
        shown.push(between(written, home.wait_for(monitor)?));
    }
    tell("  a reply, shown by all, median / p99 / max", &spread(shown), "");
    let mut times = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        let output = home.command(&["status", "--json"])?.output()?;
        times.push(begun.elapsed());
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
    }
    tell("  status beside them, median / p99 / max", &spread(times), "100 ms");
    Ok(())
}
