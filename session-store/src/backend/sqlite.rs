//! The SQLite backend: one file, many readers, one writer at a time.
//!
//! Write-ahead logging lets monitors read while one of them writes. Every write is one `BEGIN IMMEDIATE`
//! transaction; a deferred one could fail half-way with "database is locked" when two processes start together.
//! The join itself is not written in SQL: a row that exists is read, joined by [`crate::Join`] and written back,
//! so that there is one implementation of the law.

pub(crate) mod board;
mod open;
mod read;
mod row;
mod sums;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};

use r2d2::{Pool, PooledConnection};
use r2d2_sqlite::SqliteConnectionManager;

use super::{Batch, Checkpoint, EventBackend, Selection};
use crate::cell::Cell;
use crate::error::{Error, ErrorKind};
use crate::id::EventId;
use crate::join::Change;
use crate::ledger::Ledger;
use crate::time::Timestamp;

/// A store in an SQLite file.
///
/// Opening costs about a millisecond. The file and its folder are made readable for their owner alone. Values are
/// cheap to share between threads; reads run beside a write.
#[derive(Debug)]
pub struct Sqlite {
    pool: Pool<SqliteConnectionManager>,
    path: PathBuf,
    mode: OpenMode,
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
        let pool = open::open(path, mode)?;
        Ok(Self { pool, path: path.to_owned(), mode })
    }

    /// Moves a damaged store aside and returns its new path, so that [`Sqlite::open`] can make a fresh one.
    ///
    /// Nothing is deleted.
    ///
    /// # Errors
    ///
    /// The file cannot be renamed.
    pub fn quarantine(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
        open::quarantine(path, now)
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

    /// Deletes a store's files.
    ///
    /// # Errors
    ///
    /// The file cannot be deleted.
    pub fn delete(path: &Path) -> Result<(), Error> {
        open::delete(path)
    }

    fn connection(&self) -> Result<PooledConnection<SqliteConnectionManager>, Error> {
        self.pool.get().map_err(|error| Error::new(ErrorKind::Unreadable).at(&self.path).because(error))
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
        let connection = self.connection()?;
        self.located(write::settle(&connection))
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let connection = self.connection()?;
        self.located(read::checkpoints(&connection))
    }

    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        let connection = self.connection()?;
        self.located(read::cells(&connection, range, cuts))
    }

    fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        let connection = self.connection()?;
        self.located(read::events(&connection, selection))
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        let connection = self.connection()?;
        self.located(read::turn_ids(&connection))
    }

    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        let connection = self.connection()?;
        self.located(read::turns_of(&connection, ids))
    }
}
