//! Sessions to test with.

use session_coordinator::{Introduction, Isolation, IsolationKey, RuntimeDir, Scope};
use session_store::Timestamp;
use tempfile::TempDir;

/// Returns the key of the session whose terminal is led by a process of this number.
pub(crate) fn key(pid: u32) -> IsolationKey {
    let text =
        format!("pts/1:local:ada:host:{pid}~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.{pid}.{pid:x}");
    text.parse().unwrap()
}

/// Returns a monitor of everything in that session.
pub(crate) fn introduction(pid: u32) -> Introduction {
    Introduction {
        key: key(pid),
        scope: Scope::Everything,
        folder: None,
        isolation: Isolation::Unified,
        host: "host".into(),
        version: "0.1.0".into(),
        started_at: Timestamp::from_seconds(1_795_367_381),
    }
}

/// Returns a fresh runtime folder, and the folder it is in.
pub(crate) fn runtime() -> (TempDir, RuntimeDir) {
    let place = tempfile::tempdir().unwrap();
    let runtime = RuntimeDir::open(&place.path().join("claudewatch")).unwrap();
    (place, runtime)
}
