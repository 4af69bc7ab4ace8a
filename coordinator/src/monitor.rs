//! The loop that keeps a store up to date while transcripts grow.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use session_store::{Change, Error};

use crate::ingest::{Ingestor, Scan};
use crate::watch::{FileWatch, Native, Poll, WatchEvent};

/// Keeps a store up to date in a thread of its own until it is dropped.
///
/// The thread sleeps until the system tells of a change. Once in a while it looks at everything all the same, in
/// case something was missed.
#[derive(Debug)]
pub struct Monitor {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// How often the monitor does what.
#[derive(Clone, Copy, Debug)]
pub struct MonitorOptions {
    /// How long changes are gathered before they are read. Default: 20 ms.
    pub gather: Duration,
    /// How often everything is looked at although nothing was told. Default: 5 min.
    pub rescan: Duration,
    /// How often everything is looked at where the system cannot tell of changes. Default: 2 s.
    pub poll: Duration,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(20),
            rescan: Duration::from_secs(300),
            poll: Duration::from_secs(2),
        }
    }
}

/// What a monitor tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// The store was brought up to date; told only where it learned something.
    Read(Scan),
    /// The store could not be brought up to date; it is tried again.
    Failed(Error),
    /// Changes are seen with a delay, and why.
    Degraded(String),
}

enum Wake {
    Changed(PathBuf),
    Lost,
    Stop,
}

impl Monitor {
    /// Starts the thread; `tell` is called from it.
    ///
    /// The ingestor should have scanned once: the monitor reads what comes after.
    pub fn start(
        ingestor: Ingestor,
        options: MonitorOptions,
        tell: impl Fn(Update) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, wakes) = channel();
        let to_wake = wake.clone();
        let run = move || Loop { ingestor, options, tell, wake: to_wake, wakes }.run();
        let thread = thread::Builder::new().name("monitor".into()).spawn(run)?;
        Ok(Self { wake, thread: Some(thread) })
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop<Tell> {
    ingestor: Ingestor,
    options: MonitorOptions,
    tell: Tell,
    wake: Sender<Wake>,
    wakes: Receiver<Wake>,
}

/// What there is to look at.
#[derive(Default)]
struct Agenda {
    paths: BTreeSet<PathBuf>,
    everything: bool,
    stop: bool,
}

impl<Tell: Fn(Update)> Loop<Tell> {
    fn run(mut self) {
        let mut watch = self.watch();
        // What changed between the caller's scan and the watch would be missed otherwise.
        let mut agenda = Agenda { everything: true, ..Agenda::default() };
        let mut rescan_at = Instant::now() + self.options.rescan;
        loop {
            if agenda.everything {
                rescan_at = Instant::now() + self.options.rescan;
            }
            self.read(&agenda);
            if agenda.everything && watch.is_outdated() {
                watch = self.watch();
                // What changed between the look and the new watch would be missed otherwise.
                continue;
            }
            agenda = self.wait(rescan_at);
            if agenda.stop {
                return;
            }
        }
    }

    /// Waits for the next thing to do, then gathers what follows closely: a reply comes in several lines.
    fn wait(&self, rescan_at: Instant) -> Agenda {
        let mut agenda = Agenda::default();
        match self.wakes.recv_timeout(rescan_at.saturating_duration_since(Instant::now())) {
            Ok(wake) => agenda.note(wake),
            Err(RecvTimeoutError::Timeout) => agenda.everything = true,
            Err(RecvTimeoutError::Disconnected) => agenda.stop = true,
        }
        let until = Instant::now() + self.options.gather;
        while !agenda.stop {
            match self.wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(wake) => agenda.note(wake),
                Err(_) => break,
            }
        }
        agenda
    }

    fn read(&mut self, agenda: &Agenda) {
        let result = if agenda.everything {
            self.ingestor.scan(&|_| {})
        } else {
            self.ingestor.refresh(&agenda.paths)
        };
        match result {
            // An open turn is news although it brings no event.
            Ok(scan) if scan.change == Change::Grew || scan.sources_read > 0 => {
                (self.tell)(Update::Read(scan))
            }
            Ok(_) => {}
            Err(error) => (self.tell)(Update::Failed(error)),
        }
    }

    /// Watches through the system, or by looking every few seconds where that is refused.
    fn watch(&self) -> Box<dyn FileWatch> {
        match Native::start(self.ingestor.config_dirs(), self.waker()) {
            Ok(native) => Box::new(native),
            Err(reason) => {
                (self.tell)(Update::Degraded(reason.to_string()));
                Box::new(Poll::start(self.options.poll, reason, self.waker()))
            }
        }
    }

    fn waker(&self) -> impl Fn(WatchEvent) + Send + 'static {
        let wake = self.wake.clone();
        move |event| {
            let _ = wake.send(match event {
                WatchEvent::Changed(path) => Wake::Changed(path),
                WatchEvent::Lost => Wake::Lost,
            });
        }
    }
}

impl Agenda {
    fn note(&mut self, wake: Wake) {
        match wake {
            Wake::Changed(path) => drop(self.paths.insert(path)),
            Wake::Lost => self.everything = true,
            Wake::Stop => self.stop = true,
        }
    }
}
