//! The loop that keeps a store up to date while transcripts grow, for as long as it is this process's duty.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use session_store::{Change, Error};

use crate::ingest::{Ingestor, Progress, Scan};
use crate::watch::{FileWatch, Native, Poll, WatchError, WatchEvent};

/// Keeps a store up to date in a thread of its own until it is dropped.
///
/// The thread sleeps until the system tells of a change. Once in a while it looks at everything all the same, in
/// case something was missed. While another process does the reading, its duty is to rest: it watches nothing, reads
/// nothing and never wakes.
#[derive(Debug)]
pub struct Monitor {
    steer: Steer,
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
    /// What it does at first. Default: it watches.
    pub duty: Duty,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(20),
            rescan: Duration::from_secs(300),
            poll: Duration::from_secs(2),
            duty: Duty::Watch,
        }
    }
}

/// Who reads the transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Another one.
    Rest,
    /// This one, looking at everything every few seconds.
    Poll,
    /// This one, told of changes by the system.
    Watch,
}

/// What a monitor tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// The store was brought up to date; told where it learned something, and after a duty to read began.
    Read(Scan),
    /// How far the reading has come that a duty begins with.
    Progress(Progress),
    /// The store could not be brought up to date; it is tried again.
    Failed(Error),
    /// Changes are seen with a delay, and why.
    Degraded(String),
}

/// Tells a monitor its duty, from any thread.
#[derive(Clone, Debug)]
pub struct Steer {
    wake: Sender<Wake>,
}

impl Steer {
    /// Gives the monitor a duty; the one it has changes nothing.
    ///
    /// One that begins to read looks up how far others have read, and reads on from there.
    pub fn set(&self, duty: Duty) {
        // A monitor that has ended needs no duty.
        let _ = self.wake.send(Wake::Duty(duty));
    }
}

#[derive(Debug)]
enum Wake {
    Changed(PathBuf),
    Lost,
    Duty(Duty),
    Stop,
}

impl Monitor {
    /// Starts the thread; `tell` is called from it, and with progress from the threads that read.
    ///
    /// # Errors
    ///
    /// The system starts no further thread. What cannot be read or watched later is told.
    pub fn start(
        ingestor: Ingestor,
        options: MonitorOptions,
        tell: impl Fn(Update) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (wake, wakes) = channel();
        let steer = Steer { wake: wake.clone() };
        let run = move || Loop { ingestor, options, tell, wake, wakes }.run();
        let thread = thread::Builder::new().name("monitor".into()).spawn(run)?;
        Ok(Self { steer, thread: Some(thread) })
    }

    /// Returns what tells the monitor its duty.
    pub fn steer(&self) -> Steer {
        self.steer.clone()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.steer.wake.send(Wake::Stop);
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
    duty: Option<Duty>,
    stop: bool,
}

impl<Tell: Fn(Update) + Sync> Loop<Tell> {
    fn run(mut self) {
        let mut duty = self.options.duty;
        loop {
            let next = if duty == Duty::Rest { self.rest() } else { self.work(duty) };
            match next {
                Some(next) => duty = next,
                None => return,
            }
        }
    }

    /// Waits for another duty; `None` is the end.
    fn rest(&mut self) -> Option<Duty> {
        self.ingestor.forget();
        loop {
            match self.wakes.recv() {
                Ok(Wake::Duty(Duty::Rest) | Wake::Changed(_) | Wake::Lost) => {}
                Ok(Wake::Duty(duty)) => return Some(duty),
                Ok(Wake::Stop) | Err(_) => return None,
            }
        }
    }

    /// Reads until there is another duty; `None` is the end.
    fn work(&mut self, duty: Duty) -> Option<Duty> {
        let mut watch = self.watch(duty);
        // What changed before the watch would be missed otherwise, and others may have read meanwhile.
        self.ingestor.forget();
        let mut agenda = Agenda { everything: true, ..Agenda::default() };
        let mut rescan_at = Instant::now() + self.options.rescan;
        let mut is_behind = true;
        loop {
            if agenda.everything {
                rescan_at = Instant::now() + self.options.rescan;
            }
            if std::mem::take(&mut is_behind) {
                self.catch_up();
            } else {
                self.read(&agenda);
            }
            if agenda.everything && watch.is_outdated() {
                watch = self.watch(duty);
                // What changed between the look and the new watch would be missed otherwise.
                continue;
            }
            agenda = self.wait(rescan_at, duty);
            if agenda.stop {
                return None;
            }
            if agenda.duty.is_some() {
                return agenda.duty;
            }
        }
    }

    /// Waits for the next thing to do, then gathers what follows closely: a reply comes in several lines.
    fn wait(&self, rescan_at: Instant, duty: Duty) -> Agenda {
        let mut agenda = Agenda::default();
        match self.wakes.recv_timeout(rescan_at.saturating_duration_since(Instant::now())) {
            Ok(wake) => agenda.note(wake, duty),
            Err(RecvTimeoutError::Timeout) => agenda.everything = true,
            Err(RecvTimeoutError::Disconnected) => agenda.stop = true,
        }
        let until = Instant::now() + self.options.gather;
        while !agenda.stop {
            match self.wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(wake) => agenda.note(wake, duty),
                Err(_) => break,
            }
        }
        agenda
    }

    /// Reads what others left, and tells of it even where that is nothing.
    fn catch_up(&mut self) {
        let Self { ingestor, tell, .. } = self;
        let scan = ingestor.scan(&|progress| tell(Update::Progress(progress)));
        let scan = scan.and_then(|scan| Ok(Scan { hits: ingestor.hits()?, ..scan }));
        tell(scan.map_or_else(Update::Failed, Update::Read));
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

    /// Watches through the system, or by looking every few seconds where that is refused or not wanted.
    fn watch(&self, duty: Duty) -> Box<dyn FileWatch> {
        if duty != Duty::Watch {
            return Box::new(Poll::start(self.options.poll, WatchError::NotWanted, self.waker()));
        }
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
    fn note(&mut self, wake: Wake, duty: Duty) {
        match wake {
            Wake::Changed(path) => drop(self.paths.insert(path)),
            Wake::Lost => self.everything = true,
            // The last word counts; the duty it has is none that is new.
            Wake::Duty(next) => self.duty = Some(next).filter(|next| *next != duty),
            Wake::Stop => self.stop = true,
        }
    }
}
