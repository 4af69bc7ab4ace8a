//! What is done before a signal ends the program, which then runs no destructors.

use std::thread;

use crate::error::CliError;

/// The signals that ask the program to end, heeded since this was made.
#[cfg(unix)]
pub(crate) struct Endings(signal_hook::iterator::Signals);

#[cfg(unix)]
impl Endings {
    pub(crate) fn heed() -> Result<Self, CliError> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let heeded = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
        signal_hook::iterator::Signals::new(heeded).map(Self).map_err(cannot)
    }

    /// Does something at the first signal, which is told, and then ends the program as if nobody had heeded it.
    pub(crate) fn at_first(mut self, act: impl FnOnce(i32) + Send + 'static) -> Result<(), CliError> {
        let end = move || {
            if let Some(signal) = self.0.forever().next() {
                act(signal);
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(end).map(drop).map_err(cannot)
    }
}

/// Returns whether the program was started with a signal ignored, as by `nohup`, or in the background of a script; this
/// must stay so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        // Where the system does not tell, `nohup` is to work all the same.
        return signal == signal_hook::consts::SIGHUP;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(unix)]
fn cannot(error: std::io::Error) -> CliError {
    CliError::store("cannot handle signals").because(error)
}

#[cfg(not(unix))]
pub(crate) struct Endings;

#[cfg(not(unix))]
impl Endings {
    pub(crate) fn heed() -> Result<Self, CliError> {
        Ok(Self)
    }

    pub(crate) fn at_first(self, _: impl FnOnce(i32) + Send + 'static) -> Result<(), CliError> {
        Ok(())
    }
}
