#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod claude;

mod claims;
mod classify;
mod container;
mod context;
mod error;
mod evidence;
mod facts;
mod key;
mod kind;
mod liveness;
mod names;
mod probe;
mod process;
mod session;
mod session_id;
mod warnings;

pub use claims::Connection;
pub use classify::classify;
pub use context::Context;
pub use error::{Error, ErrorKind};
pub use evidence::{Confidence, Evidence, Standing};
pub use facts::{Facts, Namespaces, Process, Via};
pub use key::{IsolationKey, KEY_MAX, ParseKeyError};
pub use kind::Kind;
pub use liveness::Liveness;
pub use names::MARKS;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use probe::ProcFs;
pub use probe::variables;
pub use process::{ProcessId, System, TagError};
pub use session::Session;
pub use session_id::SessionId;

/// Tells the session this process runs in.
///
/// Reads some dozen small files and judges them: 0.2 ms on Linux. Never fails; what cannot be learned lowers
/// [`Session::confidence`]. Call it once and keep the result: a session does not change while a process lives.
///
/// # Examples
///
/// ```
/// let session = session_detect::detect();
/// assert_eq!(session.id().matches(':').count(), 4);
/// ```
pub fn detect() -> Session {
    classify(&Facts::capture())
}

/// Tells the session that another process runs in: what [`detect`] would tell it from inside.
///
/// # Errors
///
/// As [`Facts::capture_of`].
///
/// # Examples
///
/// ```
/// let own = session_detect::detect_process(std::process::id())?;
/// assert_eq!(own.key, session_detect::detect().key);
/// # Ok::<(), session_detect::Error>(())
/// ```
pub fn detect_process(pid: u32) -> Result<Session, Error> {
    Ok(classify(&Facts::capture_of(pid)?))
}
