//! Who does the work that needs doing once: a lock that the kernel releases, and a term that grows with each holder.
//!
//! Nothing is wrong if two hold it by accident, as after the runtime folder was replaced: everything shared is joined.
//! The lease saves double work.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::registry::MemberId;
use crate::runtime::{FileId, RuntimeDir, is_held, make_plain, open_plain};

/// The lock file.
pub(crate) const LOCK: &str = "lead.lock";
/// The first pause between two tries; it doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between two tries: the most that a takeover is late.
const PAUSE_MAX: Duration = Duration::from_millis(16);
const TEXT_BYTES_MAX: u64 = 4 << 10;

/// Counts the holders of a lease: of two that believe they hold it, the one with the greater term is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(u64);

impl Term {
    /// Makes a term of its number; the first holder has 1.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0
    }

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long to try for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// Once.
    Immediately,
    /// Again and again for this long; a holder's death is noticed within 16 ms.
    Within(Duration),
}

/// The lead among the members of a runtime folder; dropping it gives it up.
///
/// ```
/// use session_coordinator::{Acquire, AcquireError, Lease, MemberId, RuntimeDir};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// let runtime = RuntimeDir::open(&place.path().join("claudewatch"))?;
/// let (one, other) = (MemberId::new("one"), MemberId::new("other"));
/// let lease = Lease::acquire(&runtime, &one, Acquire::Immediately)?;
///
/// let refused = Lease::acquire(&runtime, &other, Acquire::Within(Duration::from_millis(5)));
/// let Err(AcquireError::Held { by: Some(holder) }) = refused else { panic!("held") };
/// assert_eq!(holder.member, one);
///
/// let first = lease.term();
/// drop(lease);
/// assert!(Lease::acquire(&runtime, &other, Acquire::Immediately)?.term() > first);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a lease gives it up at once"]
pub struct Lease {
    /// Holds the lock; open for writing, so that closing it, however this process ends, wakes those who watch the file.
    lock: File,
    path: PathBuf,
    holder: Holder,
}

/// Who holds a lease, as the lock file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The member.
    pub member: MemberId,
    /// Its process, as numbered in its own namespace; for people.
    pub pid: u32,
    /// Which holder it is.
    pub term: Term,
}

/// A lease was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Another member holds it.
    #[error("another member leads{}", of(.by.as_ref()))]
    Held {
        /// That member; `None` where it has not said who it is.
        by: Option<Holder>,
    },
    /// The lock file could not be used.
    #[error(transparent)]
    Failed(#[from] Error),
}

fn of(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (process {})", holder.pid))
}

impl Lease {
    /// Acquires the lead of a runtime folder for a member.
    ///
    /// The lock of a holder that is frozen is never taken away: it may wake at any time.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Held`] by another member all the time; [`AcquireError::Failed`] where the lock file cannot be
    /// made.
    pub fn acquire(runtime: &RuntimeDir, member: &MemberId, how: Acquire) -> Result<Self, AcquireError> {
        let path = runtime.file(LOCK);
        let until = match how {
            Acquire::Immediately => None,
            Acquire::Within(time) => Instant::now().checked_add(time),
        };
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(lock) = try_hold(&path)? {
                return Ok(Self::begin(lock, path, member)?);
            }
            if until.is_none_or(|until| Instant::now() + pause > until) {
                return Err(AcquireError::Held { by: Self::holder(runtime) });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Returns who held the lease last, or holds it now.
    pub fn holder(runtime: &RuntimeDir) -> Option<Holder> {
        Self::holder_at(&runtime.file(LOCK))
    }

    /// Returns the same of a lock file.
    pub(crate) fn holder_at(path: &Path) -> Option<Holder> {
        read(&open_plain(File::options().read(true), path).ok()?)
    }

    /// Returns whether somebody holds the lease at this moment.
    pub fn is_held(runtime: &RuntimeDir) -> bool {
        let file = open_plain(File::options().read(true), &runtime.file(LOCK));
        file.is_ok_and(|file| is_held(&file))
    }

    fn begin(lock: File, path: PathBuf, member: &MemberId) -> Result<Self, Error> {
        let before = read(&lock).map_or_else(Term::default, |holder| holder.term);
        let holder = Holder { member: member.clone(), pid: std::process::id(), term: before.next() };
        let lease = Self { lock, path, holder };
        lease.write()?;
        Ok(lease)
    }

    /// Returns which holder of the lease this is.
    pub fn term(&self) -> Term {
        self.holder.term
    }

    /// Returns who holds it.
    pub fn member(&self) -> &MemberId {
        &self.holder.member
    }

    /// Makes the term greater than one that was seen elsewhere, such as on the board of a folder that was replaced.
    ///
    /// # Errors
    ///
    /// The lock file cannot be written.
    pub fn raise_above(&mut self, seen: Term) -> Result<(), Error> {
        if self.holder.term <= seen {
            self.holder.term = seen.next();
            self.write()?;
        }
        Ok(())
    }

    /// Returns whether others still see that the lock is held: its file may have been removed with the folder.
    ///
    /// Costs two system calls; to be asked before work that should not be done twice.
    pub fn is_current(&self) -> bool {
        self.lock.metadata().is_ok_and(|metadata| FileId::at(&self.path) == Some(FileId::of(&metadata)))
    }

    fn write(&self) -> Result<(), Error> {
        let mut line = serde_json::to_vec(&HolderText::from(&self.holder)).map_err(std::io::Error::from)?;
        line.push(b'\n');
        let mut lock = &self.lock;
        let written = lock.rewind().and_then(|()| lock.write_all(&line));
        written
            .and_then(|()| lock.set_len(line.len() as u64))
            .map_err(|error| Error::from(error).at(&self.path))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing it would do, but that a process which another thread starts at this instant has the file open too,
        // until it runs its own program.
        let _ = self.lock.unlock();
    }
}

/// What the lock file says, in one line of JSON.
#[derive(Serialize, Deserialize)]
struct HolderText {
    term: Term,
    pid: u32,
    member: String,
}

impl From<&Holder> for HolderText {
    fn from(holder: &Holder) -> Self {
        Self { term: holder.term, pid: holder.pid, member: holder.member.as_str().to_owned() }
    }
}

fn read(file: &File) -> Option<Holder> {
    let mut reader = BufReader::new(file.take(TEXT_BYTES_MAX));
    reader.get_mut().get_mut().rewind().ok()?;
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let HolderText { term, pid, member } = serde_json::from_slice(&line).ok()?;
    Some(Holder { member: MemberId::new(member), pid, term })
}

/// Takes the lock; `None` where another holds it, or was faster.
fn try_hold(path: &Path) -> Result<Option<File>, Error> {
    loop {
        make_plain(path)?;
        // Open for reading only, so that those who try in vain wake nobody when they close it.
        let try_out = open_plain(File::options().read(true), path)?;
        if !is_taken(&try_out, path)? {
            return Ok(None);
        }
        let lock = open_plain(File::options().read(true).write(true), path)?;
        // Between the two another may take it; that one has it then, or the last of all who try at this instant.
        let _ = try_out.unlock();
        if !is_taken(&lock, path)? {
            return Ok(None);
        }
        // The folder may have been replaced between opening and locking.
        if lock.metadata().is_ok_and(|metadata| FileId::at(path) == Some(FileId::of(&metadata))) {
            return Ok(Some(lock));
        }
    }
}

fn is_taken(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::from(error).at(path)),
    }
}
