//! Looking again every few seconds, where the system does not tell.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{FileWatch, WatchError, WatchEvent};

/// Asks for a look at everything in a steady rhythm.
#[derive(Debug)]
pub struct Poll {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    reason: WatchError,
}

impl Poll {
    /// Starts a thread that tells [`WatchEvent::Lost`] every `interval`; `reason` is why it is needed.
    pub fn start(interval: Duration, reason: WatchError, tell: impl Fn(WatchEvent) + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::Builder::new().name("poll".into()).spawn(move || {
            // Waiting ends when the sender is dropped, that is with the watch.
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                tell(WatchEvent::Lost);
            }
        });
        Self { stop: Some(stop), thread: thread.ok(), reason }
    }
}

impl FileWatch for Poll {
    fn degraded(&self) -> Option<&WatchError> {
        Some(&self.reason)
    }

    fn is_outdated(&self) -> bool {
        false
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
