//! What can go wrong between sessions, and the way out.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Sessions could not be coordinated.
///
/// [`Error::kind`] tells what a caller can do about it, [`Error::hint`] what a person can; the source, where there is
/// one, tells what the system said.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    path: Option<PathBuf>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Sorts errors by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is something else where a plain folder or file should be: a symbolic link, a pipe, a device.
    NotPlain,
    /// A folder belongs to another user.
    Foreign {
        /// The number of that user.
        owner: u32,
    },
    /// A folder of ours can be read or written by others.
    Exposed {
        /// Its permission bits.
        mode: u32,
    },
    /// A folder on the way can be written by others, who could put another one in its place.
    ExposedAbove {
        /// Its permission bits.
        mode: u32,
    },
    /// Something does not exist, or a folder on the way to it does not.
    Missing,
    /// There may be no reading or writing here.
    Unwritable,
    /// The disk or the quota is full; what was written before is whole.
    Full,
    /// Another process held the board for too long; trying again helps.
    Busy,
    /// A newer version made the board; this one keeps away from it.
    Newer,
    /// A file is damaged; removing the runtime folder helps, nothing lasting is kept there.
    Damaged,
    /// The system grants no more of something, such as inotify instances or open files.
    Exhausted,
    /// The folder was removed or replaced meanwhile; joining again helps.
    Replaced,
    /// Something else, for the source to tell.
    Other,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, path: None, source: None }
    }

    #[must_use]
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the file or folder it is about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns what a person can do about it, as a sentence without a full stop.
    pub fn hint(&self) -> Option<String> {
        let path = self.path.as_deref().unwrap_or(Path::new("the folder")).display();
        Some(match self.kind {
            ErrorKind::Exposed { .. } => format!("run `chmod 700 {path}`, or choose another runtime folder"),
            ErrorKind::NotPlain | ErrorKind::Foreign { .. } => {
                format!("somebody else may have made {path}: choose another runtime folder, or remove it")
            }
            ErrorKind::ExposedAbove { .. } => {
                format!("run `chmod go-w {path}`, or choose a runtime folder somewhere else")
            }
            ErrorKind::Full => "free some space; nothing is lost meanwhile".to_owned(),
            ErrorKind::Exhausted => {
                "raise fs.inotify.max_user_instances or fs.inotify.max_user_watches, or the limit of open files"
                    .to_owned()
            }
            ErrorKind::Damaged => format!("remove {path}; it is made again and nothing lasting is kept there"),
            ErrorKind::Newer => "update this program, or end those that are newer".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::NotPlain => f.write_str("neither a plain file nor a folder of its own")?,
            ErrorKind::Foreign { owner } => write!(f, "the folder belongs to user {owner}")?,
            ErrorKind::Exposed { mode } => write!(f, "the folder is open to others (mode {mode:03o})")?,
            ErrorKind::ExposedAbove { mode } => {
                write!(f, "others can replace what is in the folder (mode {mode:03o})")?;
            }
            ErrorKind::Missing => f.write_str("there is no such file or folder")?,
            ErrorKind::Unwritable => f.write_str("cannot read or write here")?,
            ErrorKind::Full => f.write_str("no space left")?,
            ErrorKind::Busy => f.write_str("another process holds the board")?,
            ErrorKind::Newer => f.write_str("the board was made by a newer version")?,
            ErrorKind::Damaged => f.write_str("the file is damaged")?,
            ErrorKind::Exhausted => f.write_str("the system grants no more watches or files")?,
            ErrorKind::Replaced => f.write_str("the folder was removed or replaced")?,
            ErrorKind::Other => f.write_str("the system refused")?,
        }
        match &self.path {
            Some(path) => write!(f, " ({})", path.display()),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::Missing,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Unwritable,
            Io::NotADirectory | Io::IsADirectory => ErrorKind::NotPlain,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::Full,
            _ if is_exhaustion(&error) => ErrorKind::Exhausted,
            _ if is_link_or_pipe(&error) => ErrorKind::NotPlain,
            _ => ErrorKind::Other,
        };
        Self::new(kind).because(error)
    }
}

#[cfg(unix)]
fn is_exhaustion(error: &std::io::Error) -> bool {
    use nix::libc::{EMFILE, ENFILE};
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// A symbolic link where none is followed, or a pipe without a reader.
#[cfg(unix)]
fn is_link_or_pipe(error: &std::io::Error) -> bool {
    use nix::libc::{ELOOP, ENXIO};
    matches!(error.raw_os_error(), Some(ELOOP | ENXIO))
}

#[cfg(not(unix))]
fn is_exhaustion(_: &std::io::Error) -> bool {
    false
}

#[cfg(not(unix))]
fn is_link_or_pipe(_: &std::io::Error) -> bool {
    false
}

impl From<session_store::Error> for Error {
    fn from(error: session_store::Error) -> Self {
        use session_store::ErrorKind as Store;
        let kind = match error.kind() {
            Store::Unreadable => ErrorKind::Missing,
            Store::Unwritable => ErrorKind::Unwritable,
            Store::Full => ErrorKind::Full,
            Store::Busy => ErrorKind::Busy,
            Store::Newer { .. } => ErrorKind::Newer,
            Store::Corrupt => ErrorKind::Damaged,
            _ => ErrorKind::Other,
        };
        Self::new(kind).because(error)
    }
}
