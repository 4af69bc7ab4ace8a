//! Opening: modes of the file, settings, versions, and errors sorted by what can be done about them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

use super::OpenMode;
use super::connections::{BUSY_TIMEOUT, Connections};
use super::log;
use super::write::pack_days;
use crate::error::{Error, ErrorKind};
use crate::time::Timestamp;

/// Marks the file as ours ("CWAT"), so that no other database is taken for a store.
const APPLICATION_ID: i32 = 0x4357_4154;
/// The size of a page, and so the least of a file that is not empty.
const PAGE_BYTES: u64 = 4096;
/// The migrations, oldest first; the format of a store is the number of those it has been through.
const MIGRATIONS: [Migration; 5] = [
    (include_str!("../../../migrations/0001-events.sql"), |_| Ok(())),
    (include_str!("../../../migrations/0002-days.sql"), pack_days),
    (include_str!("../../../migrations/0003-shelf.sql"), |_| Ok(())),
    (include_str!("../../../migrations/0004-sharing.sql"), |_| Ok(())),
    (include_str!("../../../migrations/0005-retention.sql"), |_| Ok(())),
];
/// What the database does, then what we do.
type Migration = (&'static str, fn(&Transaction<'_>) -> rusqlite::Result<()>);

/// What to do about a store that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

pub(super) fn open(path: &Path, mode: OpenMode, missing: Missing) -> Result<Arc<Connections>, Error> {
    match mode {
        OpenMode::ReadWrite => {
            let first = prepare(path, missing).map_err(|error| error.at(path))?;
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | BASE_FLAGS;
            let place = path.to_owned();
            let others = move || SqliteConnectionManager::file(&place).with_flags(flags).with_init(configure);
            Ok(Connections::new(path, first, others))
        }
        OpenMode::ReadOnly => read_only(path),
    }
}

pub(super) const BASE_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_URI);

fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    log::leave(connection)?;
    // 8 MiB of pages; a log that grew in an import is cut back; nothing in a damaged schema is trusted.
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 16777216;
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;",
    )
}

/// Returns which file a path leads to; `None` where there is none.
pub(super) fn file_at(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((metadata.dev(), metadata.ino()))
    }
    // Where files have no number, the time they were made stands in.
    #[cfg(not(unix))]
    {
        let made = metadata.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((0, made.as_nanos() as u64))
    }
}

/// Brings the file to the current format, making it where that is wanted.
fn prepare(path: &Path, missing: Missing) -> Result<Connection, Error> {
    const TRIES: u32 = 16;
    for _ in 0..TRIES {
        if missing == Missing::Make
            && let Some(folder) = path.parent()
        {
            make_folder(folder)?;
        }
        if missing == Missing::Make && file_at(path).is_none() {
            begin(path)?;
        }
        // Nobody may move a damaged file aside between finding it and reading it: SQLite would read what belongs to the
        // fresh one in its place, a journal or a log, as a part of this one, and write it there.
        let stays = if missing == Missing::Make || path.exists() { stay(path) } else { None };
        if missing == Missing::Make {
            // It may have been moved aside in between, with its log.
            make_file(path)?;
        }
        let file = file_at(path);
        let mut connection = connect(path)?;
        if is_current(&mut connection)? {
            return Ok(connection);
        }
        drop(stays);
        // Two processes that start at the same instant take turns; the second finds the work done.
        let lock = lock_beside(path)?;
        lock.lock()?;
        if file_at(path) != file {
            continue;
        }
        check_free(&mut connection, path)?;
        // The log is a property of the file: set once, it stays for every later connection. It comes first, because a
        // store that has its tables is not looked at again.
        write_ahead(&connection, BUSY_TIMEOUT).map_err(sort)?;
        migrate(&mut connection)?;
        return Ok(connection);
    }
    Err(Error::new(ErrorKind::Busy))
}

/// Makes an empty file, without the log that may lie there of one that was deleted: who has that one open still needs its log,
/// which SQLite would begin anew for this one.
fn begin(path: &Path) -> Result<(), Error> {
    let lock = lock_beside(path)?;
    lock.lock()?;
    if file_at(path).is_none() {
        delete_log(path)?;
        make_file(path)?;
    }
    Ok(())
}

/// Keeps others from moving the file aside; `None` where no lock can be had, or only by waiting long for one who is stopped.
fn stay(path: &Path) -> Option<File> {
    const PATIENCE: Duration = Duration::from_millis(100);
    let lock = lock_beside(path).ok()?;
    let until = Instant::now() + PATIENCE;
    while lock.try_lock_shared().is_err() {
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(lock)
}

/// Turns on the write-ahead log, waiting for others, which SQLite itself does not do here.
pub(super) fn write_ahead(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let until = Instant::now() + patience;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Where a file system has no shared memory the database keeps its older journal, which is slower and as safe.
            result => return result.map(drop),
        }
    }
}

/// Refuses to put our tables into someone else's file.
fn check_free(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    // SQLite itself takes a file shorter than a page for an empty one. It must not be opened to look: closing it would
    // take away the locks of whoever else uses it in this process.
    if (1..PAGE_BYTES).contains(&fs::metadata(path)?.len()) {
        return Err(Error::new(ErrorKind::Corrupt));
    }
    let snapshot = connection.transaction().map_err(sort)?;
    let tables: u32 =
        snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sort)?;
    if tables == 0 && format_of(&snapshot)? == 0 { Ok(()) } else { check_ours(&snapshot) }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | BASE_FLAGS;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sort)?;
    configure(&mut connection).map_err(sort)?;
    Ok(connection)
}

fn is_current(connection: &mut Connection) -> Result<bool, Error> {
    // One lock for both questions.
    let connection = connection.transaction().map_err(sort)?;
    let format = format_of(&connection)?;
    if format == 0 {
        return Ok(false);
    }
    check_ours(&connection)?;
    let known = MIGRATIONS.len() as u32;
    if format > known {
        return Err(Error::new(ErrorKind::Newer { found: format, known }));
    }
    Ok(format == known)
}

fn format_of(connection: &Connection) -> Result<u32, Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sort)
}

fn check_ours(connection: &Connection) -> Result<(), Error> {
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sort)?;
    if id == APPLICATION_ID { Ok(()) } else { Err(Error::new(ErrorKind::Corrupt)) }
}

fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sort)?;
    let format = format_of(&transaction)?;
    for (done, (sql, finish)) in MIGRATIONS.iter().enumerate().skip(format as usize) {
        transaction.execute_batch(sql).and_then(|()| finish(&transaction)).map_err(sort)?;
        transaction.pragma_update(None, "user_version", done as u32 + 1).map_err(sort)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sort)?;
    transaction.commit().map_err(sort)
}

/// Chooses how to read a store that may not be written.
///
/// Beside the file SQLite wants to keep an index of its log. Where the folder does not allow that, and there is no log, the
/// file is read as it is: nobody who could write it can write it here either.
fn read_only(path: &Path) -> Result<Arc<Connections>, Error> {
    let uri = |parameters: &str| format!("file:{}?{parameters}", percent_encoded(path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | BASE_FLAGS;
    let mut failure = None;
    let has_log = log::length(&beside(path, "-wal")) > 0;
    let ways: &[&str] = if has_log { &["mode=ro"] } else { &["mode=ro", "mode=ro&immutable=1"] };
    for parameters in ways {
        let file = uri(parameters);
        let opened = Connection::open_with_flags(&file, flags).map_err(sort).and_then(|mut connection| {
            configure(&mut connection).map_err(sort)?;
            check_ours(&connection).and_then(|()| read_check(&connection))?;
            Ok(connection)
        });
        match opened {
            Ok(first) => {
                let others =
                    move || SqliteConnectionManager::file(&file).with_flags(flags).with_init(configure);
                return Ok(Connections::new(path, first, others));
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Unreadable)).at(path))
}

/// Finds out whether the tables that are read are there, as they are in every format so far.
fn read_check(connection: &Connection) -> Result<(), Error> {
    connection.prepare("SELECT id, at, conversation FROM turn LIMIT 1").map(drop).map_err(sort)
}

fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Deletes a store and all that lies beside it.
pub(super) fn delete(path: &Path) -> Result<(), Error> {
    // The store itself comes after what belongs to it: while it exists, deleting can be tried again. Who opened it for
    // reading meanwhile may have made a log again.
    delete_log(path)?;
    remove_if_there(&beside(path, ".lock"))?;
    remove_if_there(path)?;
    delete_log(path)
}

fn delete_log(path: &Path) -> Result<(), Error> {
    ["-wal", "-shm"].iter().try_for_each(|suffix| remove_if_there(&beside(path, suffix)))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::from(error).at(path)),
        _ => Ok(()),
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Moves a damaged store aside; `None` where the path leads to another file than the one judged: another process was faster,
/// and what stands there is its fresh one.
pub(super) fn quarantine(
    path: &Path,
    judged: Option<(u64, u64)>,
    now: Timestamp,
) -> Result<Option<PathBuf>, Error> {
    let lock = lock_beside(path)?;
    lock.lock()?;
    if file_at(path) != judged {
        return Ok(None);
    }
    let named = |count: u32| match count {
        0 => beside(path, &format!(".corrupt-{}", now.as_millis())),
        count => beside(path, &format!(".corrupt-{}-{count}", now.as_millis())),
    };
    let moved = (0..).map(named).find(|name| !name.exists()).expect("because numbers do not end");
    // The log belongs to the damaged file: left in place it would be read into the fresh one. The file comes last, because
    // once it is gone others make a fresh one with a log of its own.
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(&moved, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::from(error).at(path)),
            _ => {}
        }
    }
    fs::rename(path, &moved).map_err(|error| Error::from(error).at(path))?;
    Ok(Some(moved))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    Ok(())
}

/// Makes the file before SQLite does, because SQLite gives its helper files the same mode.
pub(super) fn make_file(path: &Path) -> Result<(), Error> {
    match private_file().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn lock_beside(path: &Path) -> Result<File, Error> {
    Ok(private_file().create(true).open(beside(path, ".lock"))?)
}

fn private_file() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    }
    options
}

/// Sorts SQLite's errors by what can be done about them.
pub(super) fn sort(error: rusqlite::Error) -> Error {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let kind = match error.sqlite_error_code() {
        // The index of the log cannot grow.
        _ if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => ErrorKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ErrorKind::Unwritable,
        Some(ErrorCode::CannotOpen) => ErrorKind::Unreadable,
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    };
    Error::new(kind).because(error)
}
