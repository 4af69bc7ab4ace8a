//! Signals, as events of the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use nix::unistd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::{flag, low_level};

use super::app::Event;

const SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGTERM, SIGTSTP];

/// Signals become events while this lives; afterwards they act as they do by default.
#[derive(Debug)]
pub(crate) struct Watch {
    handle: Handle,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to turn signals into events.
    pub(crate) fn start(sender: &Sender<Event>) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new(SIGNALS)?;
        // A handler once installed stays, so that without this nothing but SIGKILL would end what comes after.
        for signal in SIGNALS {
            flag::register_conditional_default(signal, Arc::clone(&is_over))?;
        }
        let handle = signals.handle();
        let sender = sender.clone();
        thread::Builder::new().name("tui-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let event = if signal == SIGTSTP { Event::StopAsked } else { Event::EndAsked };
                if sender.send(event).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { handle, is_over })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.handle.close();
    }
}

/// Stops the process; returns when it is continued.
pub(crate) fn stop() -> io::Result<()> {
    low_level::emulate_default_handler(SIGTSTP)
}

/// Tells whether somebody would continue this process if it stopped: a shell of the same terminal with this process
/// in a job of its own. A process started by a script, or as the only one of a terminal, would hang for ever.
pub(crate) fn is_under_job_control() -> bool {
    let parent = Some(unistd::getppid());
    let same_session = unistd::getsid(parent).is_ok_and(|session| unistd::getsid(None) == Ok(session));
    same_session && unistd::getpgid(parent).is_ok_and(|group| group != unistd::getpgrp())
}
