//! The store that users hold: on disk where that works, in memory where it does not, never nothing.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{Batch, EventBackend, Selection, sqlite};
use crate::cell::Cell;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::{Error, ErrorKind};
use crate::id::EventId;
use crate::join::Change;
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::transcript::Listings;
use crate::{Memory, OpenMode, Sqlite};

/// How long to wait before the disk is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A store that goes on in memory where the disk refuses.
///
/// Reads and writes go to an SQLite file. When that cannot be written (no space, no right, a newer format), its
/// history is taken into memory, joined there with what is new, and written back as soon as the disk allows:
/// joining makes that safe at any time. [`Store::trouble`] tells the reason meanwhile. Only damage that shows while
/// reading or writing is an error, [`ErrorKind::Corrupt`]: then [`Store::open_afresh`] is the way out, after which the
/// transcripts have to be read again.
///
/// ```
/// use session_store::{EventBackend, Store, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let store = Store::open(&folder.path().join("archive.db"), Timestamp::from_seconds(1_795_367_381));
/// assert!(store.trouble().is_none());
/// assert!(store.cells(Timestamp::MIN..Timestamp::MAX, &[])?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The file, where it can at least be read.
    disk: Option<Arc<Sqlite>>,
    /// What takes the place of the file while it cannot be written.
    refuge: Option<Refuge>,
    /// What the session shares, where that could not be written yet.
    sharing: Option<String>,
    /// A damaged file that was moved aside when the store was opened.
    quarantined: Option<PathBuf>,
    /// The file was removed while it was open.
    was_removed: bool,
}

#[derive(Debug)]
struct Refuge {
    memory: Arc<Memory>,
    trouble: Arc<Error>,
    retry_at: Option<Instant>,
}

/// A store as it is at one moment, whatever is written to it meanwhile.
pub(crate) enum Snapshot {
    Disk(Box<sqlite::Snapshot>),
    Memory(Memory),
}

impl Snapshot {
    /// Reads all of it, so that the store need not stay open.
    pub(crate) fn into_memory(self) -> Result<Self, Error> {
        let Self::Disk(disk) = self else { return Ok(self) };
        let memory = Memory::default();
        let ledger = disk.events(&Selection::all())?;
        let _ = memory.commit(Batch { ledger, checkpoints: Vec::new() })?;
        Ok(Self::Memory(memory))
    }

    pub(crate) fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        match self {
            Self::Disk(disk) => disk.cells(range, cuts),
            Self::Memory(memory) => memory.cells(range, cuts),
        }
    }

    pub(crate) fn cells_together(
        &self,
        range: Range<Timestamp>,
        cuts: &[Timestamp],
    ) -> Result<Vec<Cell>, Error> {
        match self {
            Self::Disk(disk) => disk.cells_together(range, cuts),
            Self::Memory(memory) => memory.cells_together(range, cuts),
        }
    }

    pub(crate) fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        match self {
            Self::Disk(disk) => disk.events(selection),
            Self::Memory(memory) => memory.events(selection),
        }
    }

    pub(crate) fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        match self {
            Self::Disk(disk) => disk.turn_ids(),
            Self::Memory(memory) => memory.turn_ids(),
        }
    }

    pub(crate) fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        match self {
            Self::Disk(disk) => disk.turns_of(ids),
            Self::Memory(memory) => memory.turns_of(ids),
        }
    }
}

impl Store {
    /// Opens a store; `now` names a damaged file that is moved aside.
    ///
    /// Never fails: [`Store::trouble`] tells what kept the file from being used.
    pub fn open(path: &Path, now: Timestamp) -> Self {
        Self::opened(path, now, |path| Sqlite::open(path, OpenMode::ReadWrite))
    }

    /// Opens a store that is there already; where it is not, none is made.
    pub(crate) fn open_existing(path: &Path, now: Timestamp) -> Self {
        Self::opened(path, now, Sqlite::open_existing)
    }

    fn opened(path: &Path, now: Timestamp, open: impl FnOnce(&Path) -> Result<Sqlite, Error>) -> Self {
        let mut quarantined = None;
        let judged = Sqlite::file_at(path);
        let mut opened = open(path);
        if matches!(&opened, Err(error) if error.kind() == ErrorKind::Corrupt)
            && let Ok(moved) = Sqlite::quarantine_judged(path, judged, now)
        {
            quarantined = moved;
            opened = Sqlite::open(path, OpenMode::ReadWrite);
        }
        let mut state = State { disk: None, refuge: None, sharing: None, quarantined, was_removed: false };
        match opened {
            Ok(disk) => state.disk = Some(Arc::new(disk)),
            Err(trouble) => {
                state.disk = Sqlite::open(path, OpenMode::ReadOnly).ok().map(Arc::new);
                let trouble = match (trouble.kind(), &state.disk) {
                    // SQLite says that it cannot open what it can read but not write.
                    (ErrorKind::Unreadable, Some(_)) => {
                        Error::new(ErrorKind::Unwritable).at(path).because(trouble)
                    }
                    (ErrorKind::Unreadable | ErrorKind::Corrupt | ErrorKind::Newer { .. }, _)
                    | (_, Some(_)) => trouble,
                    // That the history is missing is worse than that it cannot be added to.
                    (_, None) if std::fs::metadata(path).is_ok_and(|file| file.len() > 0) => {
                        Error::new(ErrorKind::Unreadable).at(path).because(trouble)
                    }
                    (_, None) => trouble,
                };
                state.take_refuge(trouble);
            }
        }
        Self { path: path.to_owned(), state: Mutex::new(state) }
    }

    /// Moves a store aside whose damage showed only when it was read, and opens a fresh one in its place.
    ///
    /// # Errors
    ///
    /// The damaged file cannot be moved.
    pub fn open_afresh(path: &Path, now: Timestamp) -> Result<Self, Error> {
        let moved = Sqlite::quarantine(path, now)?;
        let store = Self::open(path, now);
        store.state().quarantined = Some(moved);
        Ok(store)
    }

    /// Closes a store for good: from now on every commit is refused, by whichever process; reading goes on.
    ///
    /// # Errors
    ///
    /// The store cannot be written. What could not be written before is then still in memory alone.
    pub fn close(&self) -> Result<(), Error> {
        let mut state = self.state();
        state.try_to_return(&self.path)?;
        match (&state.refuge, &state.disk) {
            (None, Some(disk)) => disk.close(),
            (Some(refuge), _) => Err(Error::new(refuge.trouble.kind()).because(refuge.trouble.to_string())),
            (None, None) => Err(Error::new(ErrorKind::Unreadable)),
        }
    }

    /// Returns whether it holds facts of a kind that this version does not know.
    pub(crate) fn holds_unknown(&self) -> Result<bool, Error> {
        self.state().disk.as_ref().map_or(Ok(false), |disk| disk.holds_unknown())
    }

    /// Returns what the store's session shares with others, in the words it was said in; `None` where nothing was said.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn sharing(&self) -> Result<Option<String>, Error> {
        let state = self.state();
        match (&state.sharing, &state.disk) {
            (Some(said), _) => Ok(Some(said.clone())),
            (None, Some(disk)) => disk.sharing(),
            (None, None) => Ok(None),
        }
    }

    /// Says what the store's session shares with others; it outlives the session.
    ///
    /// Where the disk refuses it is remembered, and written as soon as events can be written again.
    pub fn set_sharing(&self, level: &str) {
        let mut state = self.state();
        let written = state.disk.as_ref().is_some_and(|disk| disk.set_sharing(level).is_ok());
        state.sharing = (!written).then(|| level.to_owned());
    }

    /// Deletes a store's files.
    ///
    /// # Errors
    ///
    /// The file cannot be deleted.
    pub fn delete(path: &Path) -> Result<(), Error> {
        Sqlite::delete(path)
    }

    /// Returns why the disk is not written, while it is not.
    pub fn trouble(&self) -> Option<Arc<Error>> {
        self.state().refuge.as_ref().map(|refuge| refuge.trouble.clone())
    }

    /// Writes what is in memory alone to the disk, if it is time to try again.
    pub(crate) fn retry(&self) {
        // What comes of it is told by the trouble.
        let _ = self.state().try_to_return(&self.path);
    }

    /// Returns where a damaged file was moved when the store was opened.
    pub fn quarantined(&self) -> Option<PathBuf> {
        self.state().quarantined.clone()
    }

    /// Returns the moment before which records were deleted and nothing is taken in any more; [`Timestamp::MIN`] where none were.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn horizon(&self) -> Result<Timestamp, Error> {
        let disk = self.state().disk.clone();
        disk.map_or(Ok(Timestamp::MIN), |disk| disk.horizon())
    }

    /// Returns whether the file was removed while it was open; all that it held was then written into a fresh one, or is kept in
    /// memory where that cannot be made.
    pub fn was_removed(&self) -> bool {
        self.state().was_removed
    }

    /// Goes on in a fresh file where the one that is open was removed, with all that it held: a folder may be cleared away while
    /// processes run. `false` for one that was closed before, because what it held lies elsewhere.
    ///
    /// Costs a look at the path where nothing was removed.
    pub(crate) fn follow_path(&self) -> bool {
        let mut state = self.state();
        let (None, Some(old)) = (&state.refuge, state.disk.clone()) else { return true };
        if old.is_current() {
            return true;
        }
        // What cannot be read was damaged and moved aside by another process.
        if old.is_closed().unwrap_or(true) {
            return false;
        }
        state.was_removed = true;
        let fresh = Sqlite::open(&self.path, OpenMode::ReadWrite);
        match fresh.and_then(|fresh| fresh.inherit(&old).map(|()| fresh)) {
            Ok(fresh) => state.disk = Some(Arc::new(fresh)),
            Err(trouble) => drop(state.take_refuge(trouble)),
        }
        true
    }

    /// Returns the store as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let disk = match &*self.state() {
            State { refuge: Some(refuge), .. } => return Ok(Snapshot::Memory(refuge.memory.snapshot())),
            State { disk: Some(disk), .. } => disk.clone(),
            _ => return Ok(Snapshot::Memory(Memory::default())),
        };
        Ok(Snapshot::Disk(Box::new(disk.snapshot()?)))
    }

    /// Returns the store as it is now, and what its session shares.
    pub(crate) fn snapshot_shared(&self) -> Result<(Snapshot, Option<String>), Error> {
        let said = self.state().sharing.clone();
        match self.snapshot()? {
            Snapshot::Disk(disk) if said.is_none() => {
                let said = disk.sharing()?;
                Ok((Snapshot::Disk(disk), said))
            }
            Snapshot::Memory(memory) if said.is_none() => Ok((Snapshot::Memory(memory), self.sharing()?)),
            snapshot => Ok((snapshot, said)),
        }
    }

    /// Returns whether everything told to it is on the disk, so that nothing is lost where it is closed.
    pub(crate) fn is_kept(&self) -> bool {
        let state = self.state();
        state.refuge.is_none() && state.sharing.is_none()
    }

    /// Returns whether what is kept here is still what others find at the path.
    pub(crate) fn is_current(&self) -> bool {
        let state = self.state();
        state.refuge.is_some() || state.disk.as_ref().is_none_or(|disk| disk.is_current())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the backend to read from; the lock is not held while reading.
    fn reader(&self) -> Arc<dyn EventBackend> {
        let mut state = self.state();
        match (&state.refuge, &state.disk) {
            (Some(refuge), _) => refuge.memory.clone(),
            (None, Some(disk)) => disk.clone(),
            // Cannot be: without a disk there is a refuge. An empty memory is the honest answer all the same.
            (None, None) => state.take_refuge(Error::new(ErrorKind::Unreadable)),
        }
    }
}

impl State {
    fn take_refuge(&mut self, trouble: Error) -> Arc<Memory> {
        let memory = Arc::new(Memory::default());
        let kept = self.disk.as_ref().map(|disk| {
            memory.expire(disk.horizon()?)?;
            let (ledger, checkpoints) = (disk.events(&Selection::all())?, disk.checkpoints()?);
            memory.commit(Batch { ledger, checkpoints })
        });
        // That the history is missing is worse than that it cannot be added to.
        let trouble = match kept {
            Some(Err(unread)) => Error::new(ErrorKind::Unreadable).because(unread),
            _ => trouble,
        };
        let retry_at = retry_after(&trouble);
        self.refuge = Some(Refuge { memory: memory.clone(), trouble: Arc::new(trouble), retry_at });
        memory
    }

    /// Writes the memory back to the disk if it is time to try.
    fn try_to_return(&mut self, path: &Path) -> Result<(), Error> {
        let Some(refuge) = &mut self.refuge else { return Ok(()) };
        if refuge.retry_at.is_none_or(|retry_at| Instant::now() < retry_at) {
            return Ok(());
        }
        let all = Batch {
            ledger: refuge.memory.events(&Selection::all())?,
            checkpoints: refuge.memory.checkpoints()?,
        };
        let disk = match &self.disk {
            Some(disk) if disk.mode() == OpenMode::ReadWrite && disk.is_current() => Ok(disk.clone()),
            // It could not be opened, or for reading only, or was removed.
            _ => Sqlite::open(path, OpenMode::ReadWrite).map(Arc::new),
        };
        match disk.and_then(|disk| disk.commit(all).map(|_| disk)) {
            Ok(disk) => {
                if let Some(level) = self.sharing.take()
                    && disk.set_sharing(&level).is_err()
                {
                    self.sharing = Some(level);
                }
                self.disk = Some(disk);
                self.refuge = None;
            }
            Err(trouble) => {
                refuge.retry_at = retry_after(&trouble);
                refuge.trouble = Arc::new(trouble);
            }
        }
        Ok(())
    }
}

/// Returns when to try the disk again; never where time does not help.
fn retry_after(trouble: &Error) -> Option<Instant> {
    let is_lasting =
        matches!(trouble.kind(), ErrorKind::Newer { .. } | ErrorKind::Corrupt | ErrorKind::Closed);
    (!is_lasting).then(|| Instant::now() + RETRY_AFTER)
}

impl EventBackend for Store {
    fn commit(&self, batch: Batch) -> Result<Change, Error> {
        let mut state = self.state();
        if let Some(refuge) = &state.refuge {
            let change = refuge.memory.commit(batch)?;
            state.try_to_return(&self.path)?;
            return Ok(change);
        }
        let Some(disk) = state.disk.clone() else {
            return state.take_refuge(Error::new(ErrorKind::Unreadable)).commit(batch);
        };
        match disk.commit(batch.clone()) {
            Ok(change) => Ok(change),
            // What is damaged cannot be taken into memory either; what is closed lies elsewhere.
            Err(trouble) if matches!(trouble.kind(), ErrorKind::Corrupt | ErrorKind::Closed) => Err(trouble),
            Err(trouble) => state.take_refuge(trouble).commit(batch),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        // Nothing depends on it: a disk that refuses is told of by the next commit.
        let _ = self.reader().settle();
        Ok(())
    }

    /// Deletes on the disk, or not at all: what is only gone from memory would come back.
    fn expire(&self, before: Timestamp) -> Result<u64, Error> {
        let mut state = self.state();
        state.try_to_return(&self.path)?;
        match (&state.refuge, &state.disk) {
            (None, Some(disk)) => disk.expire(before),
            (Some(refuge), _) => Err(Error::new(refuge.trouble.kind()).because(refuge.trouble.to_string())),
            (None, None) => Err(Error::new(ErrorKind::Unreadable)),
        }
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.reader().checkpoints()
    }

    fn known(&self) -> Result<Checkpoints, Error> {
        self.reader().known()
    }

    fn listings(&self) -> Result<Listings, Error> {
        self.reader().listings()
    }

    fn keep_listings(&self, listings: &Listings) -> Result<(), Error> {
        // Nothing depends on it, as on settling.
        let _ = self.reader().keep_listings(listings);
        Ok(())
    }

    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.reader().cells(range, cuts)
    }

    fn cells_together(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.reader().cells_together(range, cuts)
    }

    fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        self.reader().events(selection)
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        self.reader().turn_ids()
    }

    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        self.reader().turns_of(ids)
    }
}
