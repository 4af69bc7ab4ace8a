//! The only input: what can be learned of a process. Decides nothing.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod portable;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod stat;
pub(crate) mod variables;

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as system;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::ProcFs;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use portable as system;

use crate::error::Error;
use crate::facts::Facts;

/// The processes of this machine.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::ProcFs as Processes;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use portable::Table as Processes;

/// A running process, as little of it as a scan of all can afford.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    /// In the unit of [`crate::facts::Process::start`].
    pub(crate) start: u64,
    /// At most 15 bytes on Linux.
    pub(crate) name: String,
}

/// Why a process is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It ended, or never was.
    Gone,
    /// It may be there and may not be seen.
    Hidden,
}

impl Absence {
    /// Tells why process `pid` of this very system is not shown: the kernel may know it all the same (`hidepid`).
    fn of(pid: u32) -> Self {
        if is_kept_from_us(pid) { Self::Hidden } else { Self::Gone }
    }
}

#[cfg(unix)]
fn is_kept_from_us(pid: u32) -> bool {
    // Signal 0 reaches nobody; it only asks. Zero and less would ask for groups.
    let asked = |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && asked(pid) == Err(nix::errno::Errno::EPERM))
}

#[cfg(not(unix))]
fn is_kept_from_us(_: u32) -> bool {
    false
}

/// The program of a process and what it was started with. Command lines may hold secrets: look, decide, forget.
#[derive(Clone, Default)]
pub(crate) struct Invocation {
    /// The program's file; `None` where it may not be seen.
    pub(crate) exe: Option<String>,
    pub(crate) words: Vec<String>,
}

/// Where a process's number counts, as far as that can be learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) machine: Option<String>,
    pub(crate) namespace: Option<u64>,
    /// Its number there.
    pub(crate) pid: u32,
}

impl Facts {
    /// Captures what can be learned of this process; what cannot is left unknown.
    ///
    /// Reads some dozen small files: 0.2 ms on Linux. Starts no process there, opens no connection, asks no
    /// network.
    pub fn capture() -> Self {
        system::capture()
    }

    /// Captures what can be learned of another process.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::NotFound`] where no such process exists or may be seen; [`crate::ErrorKind::Unreadable`] where
    /// it lives in a namespace that may not be looked into, so that its key would be wrong.
    pub fn capture_of(pid: u32) -> Result<Self, Error> {
        system::capture_of(pid)
    }
}

/// Lists the environment variables that are ever looked at; of some only that they are set is kept.
pub fn variables() -> impl Iterator<Item = &'static str> {
    variables::names()
}

/// 128 bits that no other session has: what identifies one where the system shows no processes.
///
/// `SESSION_DETECT_ID`, 32 hexadecimal digits, replaces them, so that a caller can hand its identity to its children.
pub(crate) fn random_id() -> String {
    use std::hash::{BuildHasher, RandomState};

    let handed = std::env::var("SESSION_DETECT_ID").ok();
    handed.filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).unwrap_or_else(
        || {
            // The standard library seeds every hasher from the system's source of randomness.
            let half = || RandomState::new().hash_one(std::process::id());
            format!("{:016x}{:016x}", half(), half())
        },
    )
}
