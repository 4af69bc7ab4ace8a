//! Processes to measure: what they say, what they cost.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its value, and its lines with the time they came.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<(u128, String)>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(std::result::Result::ok) {
                if tell.send((now_ns(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that is wanted and returns when it came.
    pub(crate) fn line(&self, wanted: impl Fn(&str) -> bool) -> Result<(u128, String)> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (at, line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()))?;
            if wanted(&line) {
                return Ok((at, line));
            }
        }
    }

    /// Returns the next line that has come already.
    pub(crate) fn line_so_far(&self) -> Option<String> {
        self.lines.try_recv().ok().map(|(_, line)| line)
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid())?);
        Ok(nix::sys::signal::kill(pid, signal)?)
    }

    /// Returns the time that all its threads have run for.
    pub(crate) fn ran(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().ok_or("no time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Returns a figure of its memory in kilobytes: `VmRSS`, or another line of its status.
    pub(crate) fn kilobytes(&self, name: &str) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no such line")?.parse()?)
    }

    /// Returns where its open files lead.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid()))?.filter_map(std::result::Result::ok);
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        Ok(links.map(|link| link.to_string_lossy().into_owned()).collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns nanoseconds of a clock that all processes share.
pub(crate) fn now_ns() -> u128 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| Duration::from(now).as_nanos())
}

/// Returns the time from one moment to another, none where it is earlier.
pub(crate) fn between(from: u128, to: u128) -> Duration {
    Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX))
}

/// Writes median, 99th percentile and greatest of some times.
pub(crate) fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let millis =
        |time: Option<&Duration>| format!("{:.2}", time.map_or(f64::NAN, |it| it.as_secs_f64() * 1e3));
    format!("{} / {} / {} ms", millis(at(50)), millis(at(99)), millis(times.last()))
}
