//! The SQLite backend: one file, many readers, one writer at a time.
//!
//! Write-ahead logging lets monitors read while one of them writes. Every write is one `BEGIN IMMEDIATE`
//! transaction; a deferred one could fail half-way with "database is locked" when two processes start together.
//! The join itself is not written in SQL: a row that exists is read, joined by [`crate::Join`] and written back,
//! so that there is one implementation of the law.

pub(crate) mod board;
mod connections;
mod expire;
mod log;
mod open;
mod read;
pub(crate) mod row;
mod shelf;
mod sums;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use self::connections::{Connections, Lent};
use self::open::Missing;
use super::{Batch, EventBackend, Selection};
use crate::cell::Cell;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::{Error, ErrorKind};
use crate::id::EventId;
use crate::join::Change;
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::transcript::Listings;

/// A store in an SQLite file.
///
/// Opening costs about a millisecond. The file and its folder are made readable for their owner alone. Values are
/// cheap to share between threads; reads run beside a write. What was committed last may stand in a log beside the file
/// (`-wal`): who copies a store copies both.
#[derive(Debug)]
pub struct Sqlite {
    connections: Arc<Connections>,
    path: PathBuf,
    mode: OpenMode,
}

/// A store as it is at one moment, whatever is written to it meanwhile, and even if it is deleted.
pub(crate) struct Snapshot {
    connection: Lent,
    path: PathBuf,
}

/// What may be done with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading only; the store must exist.
    ReadOnly,
    /// Reading and writing; a missing store is made.
    ReadWrite,
}

impl Sqlite {
    /// Opens a store, making it and its folder where they are missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unwritable`] or [`ErrorKind::Full`] where nothing can be written; opening with
    /// [`OpenMode::ReadOnly`] may still work. [`ErrorKind::Newer`] for a format of a later version, likewise.
    /// [`ErrorKind::Corrupt`] where the file is damaged or no store.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, Error> {
        Self::open_or(path, mode, Missing::Make)
    }

    /// Opens a store for reading and writing that is there already.
    ///
    /// # Errors
    ///
    /// Those of [`Sqlite::open`]; [`ErrorKind::Unreadable`] where there is none.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, Error> {
        Self::open_or(path, OpenMode::ReadWrite, Missing::Refuse)
    }

    fn open_or(path: &Path, mode: OpenMode, missing: Missing) -> Result<Self, Error> {
        let connections = open::open(path, mode, missing)?;
        Ok(Self { connections, path: path.to_owned(), mode })
    }

    /// Returns whether the path still leads to this store: it may have been deleted or moved aside.
    pub(crate) fn is_current(&self) -> bool {
        self.connections.are_current()
    }

    /// Returns the store as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let connection = self.connection()?;
        // The moment is that of the first statement.
        let begun = connection.execute_batch("BEGIN").and_then(|()| {
            connection.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.query_row([], |_| Ok(()))
        });
        let snapshot = Snapshot { connection, path: self.path.clone() };
        self.located(begun)?;
        Ok(snapshot)
    }

    /// Moves a damaged store aside and returns its new path, so that [`Sqlite::open`] can make a fresh one.
    ///
    /// Nothing is deleted.
    ///
    /// # Errors
    ///
    /// The file cannot be renamed; [`ErrorKind::Busy`] where another process moves it at the same moment.
    pub fn quarantine(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
        let moved = Self::quarantine_judged(path, Self::file_at(path), now)?;
        moved.ok_or_else(|| Error::new(ErrorKind::Busy).at(path))
    }

    /// Returns which file a path leads to.
    pub(crate) fn file_at(path: &Path) -> Option<(u64, u64)> {
        open::file_at(path)
    }

    /// Moves a store aside if it is still the file that was found damaged; `None` where another process was faster.
    pub(crate) fn quarantine_judged(
        path: &Path,
        judged: Option<(u64, u64)>,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, Error> {
        open::quarantine(path, judged, now)
    }

    /// Returns what may be done with it.
    pub(crate) fn mode(&self) -> OpenMode {
        self.mode
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes a store for good: from now on every commit is refused, by whichever process.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn close(&self) -> Result<(), Error> {
        let connection = self.connection()?;
        self.located(write::close(&connection))
    }

    /// Returns whether it was closed for good.
    pub(crate) fn is_closed(&self) -> Result<bool, Error> {
        let connection = self.connection()?;
        self.located(read::is_closed(&connection))
    }

    /// Returns whether it holds facts of a kind that this version does not know.
    pub(crate) fn holds_unknown(&self) -> Result<bool, Error> {
        let connection = self.connection()?;
        self.located(read::holds_unknown(&connection))
    }

    /// Takes in all that another store holds, also one whose file was removed.
    pub(crate) fn inherit(&self, other: &Self) -> Result<(), Error> {
        let _ = self.expire(other.horizon()?)?;
        let (ledger, checkpoints) = (other.events(&Selection::all())?, other.checkpoints()?);
        let _ = self.commit(Batch { ledger, checkpoints })?;
        other.sharing()?.map_or(Ok(()), |level| self.set_sharing(&level))
    }

    /// Returns what the store's session shares with others, in the words it was said in; `None` where nothing was said.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn sharing(&self) -> Result<Option<String>, Error> {
        let connection = self.connection()?;
        self.located(read::sharing(&connection))
    }

    /// Says what the store's session shares with others; it outlives the session.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn set_sharing(&self, level: &str) -> Result<(), Error> {
        let connection = self.connection()?;
        self.located(write::set_sharing(&connection, level))
    }

    /// Returns the moment before which nothing is kept, [`Timestamp::MIN`] where everything is.
    pub(crate) fn horizon(&self) -> Result<Timestamp, Error> {
        let connection = self.connection()?;
        self.located(expire::horizon(&connection))
    }

    /// Deletes a store's files.
    ///
    /// # Errors
    ///
    /// The file cannot be deleted.
    pub fn delete(path: &Path) -> Result<(), Error> {
        open::delete(path)
    }

    fn connection(&self) -> Result<Lent, Error> {
        self.connections
            .get()
            .map_err(|error| Error::new(ErrorKind::Unreadable).at(&self.path).because(error))
    }

    fn located<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, Error> {
        result.map_err(|error| open::sort(error).at(&self.path))
    }
}

impl EventBackend for Sqlite {
    fn commit(&self, batch: Batch) -> Result<Change, Error> {
        if self.mode == OpenMode::ReadOnly {
            return Err(Error::new(ErrorKind::Unwritable).at(&self.path));
        }
        let mut connection = self.connection()?;
        match self.located(write::commit(&mut connection, batch))? {
            Some(change) => Ok(change),
            None => Err(Error::new(ErrorKind::Closed).at(&self.path)),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        if self.mode == OpenMode::ReadOnly {
            return Ok(());
        }
        let mut connection = self.connection()?;
        self.located(write::settle(&connection).and_then(|()| shelf::tidy(&mut connection)))
    }

    fn expire(&self, before: Timestamp) -> Result<u64, Error> {
        if self.mode == OpenMode::ReadOnly {
            return Err(Error::new(ErrorKind::Unwritable).at(&self.path));
        }
        let mut connection = self.connection()?;
        let deleted = self.located(expire::expire(&mut connection, before))?;
        if deleted > 0 {
            // Space is given back where nobody is in the way; else it is used again.
            let _ = connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        }
        Ok(deleted)
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.snapshot()?.checkpoints()
    }

    fn known(&self) -> Result<Checkpoints, Error> {
        self.snapshot()?.known()
    }

    fn listings(&self) -> Result<Listings, Error> {
        let connection = self.connection()?;
        self.located(read::listings(&connection))
    }

    fn keep_listings(&self, listings: &Listings) -> Result<(), Error> {
        if self.mode == OpenMode::ReadOnly {
            return Ok(());
        }
        let connection = self.connection()?;
        self.located(write::listings(&connection, listings))
    }

    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.snapshot()?.cells(range, cuts)
    }

    fn cells_together(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.snapshot()?.cells_together(range, cuts)
    }

    fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        self.snapshot()?.events(selection)
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        self.snapshot()?.turn_ids()
    }

    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        self.snapshot()?.turns_of(ids)
    }
}

impl Snapshot {
    pub(crate) fn sharing(&self) -> Result<Option<String>, Error> {
        self.read(read::sharing)
    }

    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.read(shelf::read)
    }

    pub(crate) fn known(&self) -> Result<Checkpoints, Error> {
        self.read(shelf::read_packed)
    }

    pub(crate) fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.read(|connection| read::cells(connection, range, cuts))
    }

    pub(crate) fn cells_together(
        &self,
        range: Range<Timestamp>,
        cuts: &[Timestamp],
    ) -> Result<Vec<Cell>, Error> {
        self.read(|connection| read::cells_together(connection, range, cuts))
    }

    pub(crate) fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        self.read(|connection| read::events(connection, selection))
    }

    pub(crate) fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        self.read(read::turn_ids)
    }

    pub(crate) fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        self.read(|connection| read::turns_of(connection, ids))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        read(&self.connection).map_err(|error| open::sort(error).at(&self.path))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // The connection goes back to the others, where a transaction that is still open would be its next user's.
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}
