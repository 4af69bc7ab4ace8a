//! The clock on the wall.

use std::time::{SystemTime, UNIX_EPOCH};

use session_store::Timestamp;

/// Returns the moment, by the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(since.as_millis() as i64)
}
