//! The clock on the wall.

use std::time::SystemTime;

use session_store::Timestamp;

/// Returns the moment, by the system's clock.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
