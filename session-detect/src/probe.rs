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

impl Facts {
    /// Captures what can be learned of this process; what cannot is left unknown.
    ///
    /// Reads some dozen small files: about 0.1 ms on Linux. Starts no process there, opens no connection, asks no
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
