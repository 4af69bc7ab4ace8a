//! Who is here: a lock file for each member, which the kernel releases however a process ends.
//!
//! Being alive is holding the lock, never a number of a process, which may be another one's by now. The text in the
//! file is for people and for lists.
//!
//! A lock file is removed only by who holds its lock, and who gets a lock looks whether the path still leads to the
//! file. So two can never hold the same name: a file that was removed between opening and locking is left alone.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_store::Timestamp;

use crate::error::{Error, ErrorKind};
use crate::runtime::{FileId, RuntimeDir, has_ending, is_held, open_plain};
use crate::scope::{Isolation, Scope};
use session_detect::IsolationKey;

/// The folder of the lock files.
pub(crate) const FOLDER: &str = "s";
const ENDING: &str = ".lock";
/// How often a lock is tried that others hold only to look at it; they may be interrupted while they do.
const TRIES: u32 = 2000;
/// How long one takes who only looks at a lock.
const LOOK: Duration = Duration::from_micros(200);
/// How long a holder is given that may only be sweeping.
const SWEEP: Duration = Duration::from_millis(2);
/// What is read of a lock file.
const TEXT_BYTES_MAX: u64 = 16 << 10;

/// Names a member of the registry: a session's tag and scope; a viewer's has its process besides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// Makes an id of a text, as one that a board keeps.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of the one monitor that a session may have for a scope.
    pub fn of(key: &IsolationKey, scope: &Scope) -> Self {
        Self(format!("{}~{:016x}", key.tag(), scope.fingerprint()).into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a member says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The session.
    pub key: IsolationKey,
    /// What it looks at.
    pub scope: Scope,
    /// The folder it works in, where others may know it; for people.
    pub folder: Option<PathBuf>,
    /// How much it shares.
    pub isolation: Isolation,
    /// Its host's name, for people.
    pub host: String,
    /// The version of its program, for people.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
}

/// What a member is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MemberRole {
    /// It works for its session.
    Monitor,
    /// It shows what the session's monitor sees.
    Viewer,
}

/// A member as its lock file tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// The session.
    pub key: IsolationKey,
    /// What it looks at.
    pub scope: Scope,
    /// The folder it works in, where that was said; for people.
    pub folder: Option<PathBuf>,
    /// How much it shares.
    pub isolation: Isolation,
    /// What it is there for.
    pub role: MemberRole,
    /// Its process, as numbered in its own namespace; for people.
    pub pid: u32,
    /// Its host's name, for people.
    pub host: String,
    /// The version of its program, for people.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it lives.
    pub presence: Presence,
}

/// Whether a member lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// A process holds its lock.
    Alive,
    /// Its process ended without a word.
    Stale,
    /// It has left.
    Gone,
}

/// The members of one runtime folder.
///
/// ```
/// use session_coordinator::{
///     Introduction, Isolation, JoinError, Presence, Registry, RuntimeDir, Scope,
/// };
/// use session_store::Timestamp;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// let runtime = RuntimeDir::open(&place.path().join("claudewatch"))?;
/// let registry = Registry::open(&runtime)?;
/// let me = Introduction {
///     key: "pts/1:local:ada:host:77~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.77.86c30".parse()?,
///     scope: Scope::Project("/work/shop".into()),
///     folder: Some("/work/shop/src".into()),
///     isolation: Isolation::Unified,
///     host: "host".into(),
///     version: "0.1.0".into(),
///     started_at: Timestamp::from_seconds(1_795_367_381),
/// };
/// let membership = registry.join(&me)?;
/// assert_eq!(registry.members()?[0].presence, Presence::Alive);
///
/// // A second monitor of the same session and scope attaches as a viewer.
/// let Err(JoinError::Held { by: Some(first) }) = registry.join(&me) else { panic!("held") };
/// let viewer = registry.attach(&me)?;
/// assert_eq!((first.pid, registry.members()?.len()), (std::process::id(), 2));
///
/// drop(membership);
/// let left = registry.sweep()?;
/// assert_eq!((left.len(), left[0].presence), (1, Presence::Gone));
/// # drop(viewer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    folder: PathBuf,
}

/// A place among the members was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The session has a monitor for this scope; [`Registry::attach`] is the way out.
    #[error("the session already has a monitor for this scope{}", of(.by.as_deref()))]
    Held {
        /// That monitor; `None` where it has not said who it is.
        by: Option<Box<Member>>,
    },
    /// The lock file could not be used.
    #[error(transparent)]
    Failed(#[from] Error),
}

fn of(member: Option<&Member>) -> String {
    member.map_or_else(String::new, |member| format!(" (process {} on {})", member.pid, member.host))
}

impl Registry {
    /// Opens the registry of a runtime folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or what stands there is not ours.
    pub fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        Ok(Self { folder: runtime.subfolder(FOLDER)? })
    }

    /// Takes a session's place for a scope; it is held until the membership is dropped or the process ends.
    ///
    /// # Errors
    ///
    /// [`JoinError::Held`] by another monitor, after two milliseconds; [`JoinError::Failed`] where the lock file cannot
    /// be made.
    pub fn join(&self, who: &Introduction) -> Result<Membership, JoinError> {
        let id = MemberId::of(&who.key, &who.scope);
        let path = self.path_of(&id);
        match hold(&path)? {
            Some(file) => Ok(Membership::write(file, path, who, id, MemberRole::Monitor)?),
            None => Err(JoinError::Held { by: self.member(&path).map(Box::new) }),
        }
    }

    /// Takes a place beside the session's monitor.
    ///
    /// # Errors
    ///
    /// The lock file cannot be made.
    pub fn attach(&self, who: &Introduction) -> Result<Membership, Error> {
        let monitor = MemberId::of(&who.key, &who.scope);
        // A viewer that died may have had the same number of a process.
        for number in 0..1000 {
            let id = MemberId(format!("{monitor}~{}-{number}", std::process::id()).into());
            let path = self.path_of(&id);
            if !path.exists()
                && let Some(file) = hold(&path)?
            {
                return Membership::write(file, path, who, id, MemberRole::Viewer);
            }
        }
        Err(Error::new(ErrorKind::Exhausted).at(&self.folder))
    }

    /// Returns all members with a lock file, in the order of their ids; those that are [`Presence::Gone`] or
    /// [`Presence::Stale`] too, until they are swept.
    ///
    /// Costs some ten microseconds a member. A file that says nothing legible is passed over.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        Ok(self.files()?.iter().filter_map(|path| self.member(path)).collect())
    }

    /// Returns whether a session has a live member, of whatever scope.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn is_alive(&self, key: &IsolationKey) -> Result<bool, Error> {
        let of_session = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix(key.tag()).is_some_and(|rest| rest.starts_with('~'))
        };
        Ok(self.files()?.iter().filter(of_session).any(|path| presence(path) == Some(Presence::Alive)))
    }

    /// Removes the files of members that have ended, and returns these members.
    ///
    /// # Errors
    ///
    /// The folder cannot be read. What cannot be removed is left for the next time.
    pub fn sweep(&self) -> Result<Vec<Member>, Error> {
        let mut swept = Vec::new();
        for path in self.files()? {
            // Read-only, because a watch of the folder tells of every file that was open for writing.
            let Ok(file) = open_plain(File::options().read(true), &path) else { continue };
            if file.try_lock().is_err() || !leads_to(&path, &file) {
                continue;
            }
            let member = read(&file, &path).map(|text| text.into_member(id_of(&path), false));
            if fs::remove_file(&path).is_ok() {
                swept.extend(member);
            }
        }
        Ok(swept)
    }

    fn path_of(&self, id: &MemberId) -> PathBuf {
        self.folder.join(format!("{id}{ENDING}"))
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = fs::read_dir(&self.folder).map_err(|error| Error::from(error).at(&self.folder))?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let ours = names.filter(|name| has_ending(name, ENDING));
        let mut paths: Vec<PathBuf> = ours.map(|name| self.folder.join(name)).collect();
        paths.sort();
        Ok(paths)
    }

    fn member(&self, path: &Path) -> Option<Member> {
        // Between taking its lock and saying who it is a member needs a moment.
        for _ in 0..10 {
            let file = open_plain(File::options().read(true), path).ok()?;
            let is_held = is_held(&file);
            match read(&file, path) {
                Some(text) => return Some(text.into_member(id_of(path), is_held)),
                None if is_held => thread::sleep(Duration::from_millis(1)),
                None => return None,
            }
        }
        None
    }
}

/// A place among the members; dropping it leaves.
#[derive(Debug)]
#[must_use = "dropping a membership leaves at once"]
pub struct Membership {
    file: Arc<File>,
    path: PathBuf,
    text: LockText,
    id: MemberId,
}

impl Membership {
    fn write(
        file: File,
        path: PathBuf,
        who: &Introduction,
        id: MemberId,
        role: MemberRole,
    ) -> Result<Self, Error> {
        let text = LockText::of(who, role);
        text.write(&file).map_err(|error| Error::from(error).at(&path))?;
        Ok(Self { file: Arc::new(file), path, text, id })
    }

    /// Returns the member's name.
    pub fn id(&self) -> &MemberId {
        &self.id
    }

    /// Returns what the member is there for.
    pub fn role(&self) -> MemberRole {
        self.text.role
    }

    /// Returns the lock file and its path. The lock is held as long as anybody holds the file.
    pub(crate) fn lock(&self) -> (&Arc<File>, &Path) {
        (&self.file, &self.path)
    }

    /// Returns whether others can still see the lock: its file may have been removed together with the folder.
    pub fn is_current(&self) -> bool {
        leads_to(&self.path, &self.file)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // Told for those who list members; that the lock is free says all that matters.
        self.text.left = true;
        let _ = self.text.write(&self.file);
        // Closing it would do, but that a process which another thread starts at this instant has the file open too.
        let _ = self.file.unlock();
    }
}

/// A longer path is not said.
const FOLDER_BYTES_MAX: usize = 1024;

/// What a lock file says, in one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct LockText {
    key: IsolationKey,
    /// The project's folder; `None` is everything.
    project: Option<String>,
    #[serde(default)]
    folder: Option<String>,
    isolation: String,
    role: MemberRole,
    pid: u32,
    host: String,
    version: String,
    /// Milliseconds since 1970 (UTC).
    started_at: i64,
    #[serde(default)]
    left: bool,
}

impl LockText {
    fn of(who: &Introduction, role: MemberRole) -> Self {
        let project = match &who.scope {
            Scope::Project(folder) => Some(folder.to_string_lossy().into_owned()),
            Scope::Everything => None,
        };
        let folder = who.folder.as_ref().map(|folder| folder.to_string_lossy().into_owned());
        Self {
            key: who.key.clone(),
            project,
            // The line is to stay shorter than a page.
            folder: folder.filter(|folder| folder.len() <= FOLDER_BYTES_MAX),
            isolation: who.isolation.name().to_owned(),
            role,
            pid: std::process::id(),
            host: who.host.clone(),
            version: who.version.clone(),
            started_at: who.started_at.as_millis(),
            left: false,
        }
    }

    /// Writes over what was there, which no reader can see half: a line is shorter than a page, and only the first
    /// one is read.
    fn write(&self, mut file: &File) -> std::io::Result<()> {
        use std::io::Seek;
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.rewind()?;
        file.write_all(&line)?;
        file.set_len(line.len() as u64)
    }

    fn into_member(self, id: MemberId, is_held: bool) -> Member {
        let presence = match (is_held, self.left) {
            (true, _) => Presence::Alive,
            (false, false) => Presence::Stale,
            (false, true) => Presence::Gone,
        };
        Member {
            id,
            key: self.key,
            scope: self.project.map_or(Scope::Everything, |folder| Scope::Project(folder.into())),
            folder: self.folder.map(PathBuf::from),
            // A newer version may know other levels; the strictest is the safe reading.
            isolation: self.isolation.parse().unwrap_or(Isolation::Complete),
            role: self.role,
            pid: self.pid,
            host: self.host,
            version: self.version,
            started_at: Timestamp::from_millis(self.started_at),
            presence,
        }
    }
}

fn read(file: &File, path: &Path) -> Option<LockText> {
    let mut line = Vec::new();
    BufReader::new(file.take(TEXT_BYTES_MAX)).read_until(b'\n', &mut line).ok()?;
    let text: LockText = serde_json::from_slice(&line).ok()?;
    id_of(path).as_str().starts_with(text.key.tag()).then_some(text)
}

fn id_of(path: &Path) -> MemberId {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    MemberId::new(name.strip_suffix(ENDING).unwrap_or(name))
}

/// Takes the lock of a file that is made where it is missing; `None` where another holds it.
fn hold(path: &Path) -> Result<Option<File>, Error> {
    let mut seen_held = false;
    for _ in 0..TRIES {
        let mut options = File::options();
        let file = open_plain(options.read(true).write(true).create(true).truncate(false), path)?;
        match file.try_lock() {
            Ok(()) if leads_to(path, &file) => return Ok(Some(file)),
            // Swept between opening and locking.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if !is_held(&file) => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) if seen_held => return Ok(None),
            Err(TryLockError::WouldBlock) => {
                seen_held = true;
                thread::sleep(SWEEP);
            }
            Err(TryLockError::Error(error)) => return Err(Error::from(error).at(path)),
        }
    }
    Ok(None)
}

fn presence(path: &Path) -> Option<Presence> {
    let file = open_plain(File::options().read(true), path).ok()?;
    Some(if is_held(&file) { Presence::Alive } else { Presence::Stale })
}

fn leads_to(path: &Path, file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| FileId::at(path) == Some(FileId::of(&metadata)))
}
