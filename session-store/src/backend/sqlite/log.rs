//! What becomes of the write-ahead log when a file is closed.
//!
//! SQLite writes a log back and deletes it when the last one leaves. That costs three writes that wait for the disk, and making
//! the next one two more: most of what a short call takes. So a short log stays for whoever comes next, who reads it first.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// What a log may hold that is left, in bytes: the next one to open the file reads all of it, and only then can it be begun
/// anew.
const LEFT_MAX: u64 = 64 * 4096;

/// Keeps closing this connection from writing the log back.
pub(super) fn leave(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Lets closing this connection write a log back that has become long, if nobody else has the file open.
pub(super) fn leave_if_short(connection: &Connection, log: &Path) {
    if fs::metadata(log).is_ok_and(|log| log.len() > LEFT_MAX) {
        // Where that fails the log stays longer.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
    }
}
