//! What becomes of the write-ahead log when a file is closed.
//!
//! SQLite writes a log back and deletes it when the last one leaves. That costs three writes that wait for the disk, and making
//! the next one two more: most of what a short call takes. So a short log stays for whoever comes next, who reads it first.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::open::beside;

/// What a log may hold that is left, in bytes: the next one to open the file reads all of it, and only then can it be begun
/// anew.
pub(super) const LEFT_MAX: u64 = 64 * 4096;

/// Keeps closing this connection from writing the log back.
pub(super) fn leave(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Lets closing this connection to the file at a path write back a log that holds more bytes than this, if nobody else has the
/// file open.
pub(super) fn leave_up_to(bytes: u64, connection: &Connection, path: &Path) {
    if length(&beside(path, "-wal")) > bytes {
        // Where that fails the log stays longer.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    }
}

/// Returns the bytes of a file, none where there is none.
pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}
