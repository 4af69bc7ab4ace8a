//! What can go wrong with a store.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// A store could not be opened, read or written.
///
/// [`Error::kind`] tells what a caller can do about it; the source, where there is one, tells what the system said.
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
    /// The store does not exist or may not be read.
    Unreadable,
    /// The store or its folder may not be written; reading may still work.
    Unwritable,
    /// The disk or the quota is full; what was stored before is whole.
    Full,
    /// Another process held the store for too long; trying again helps.
    Busy,
    /// A newer version made the store; it may be read, not written.
    Newer {
        /// The store's format.
        found: u32,
        /// The newest format this version writes.
        known: u32,
    },
    /// The file is damaged or no store; it should be moved aside and filled again from the transcripts.
    Corrupt,
    /// The store was closed for good; what it held lies in another one.
    Closed,
    /// Something else, for the source to tell.
    Other,
}

impl Error {
    /// Makes an error of a kind.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, path: None, source: None }
    }

    /// Names the file it is about.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Keeps what the system said.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the file it is about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Unreadable => f.write_str("cannot read the store")?,
            ErrorKind::Unwritable => f.write_str("cannot write the store")?,
            ErrorKind::Full => f.write_str("no space left for the store")?,
            ErrorKind::Busy => f.write_str("another process holds the store")?,
            ErrorKind::Newer { found, known } => {
                write!(f, "the store has format {found}, made by a newer version; this one knows {known}")?;
            }
            ErrorKind::Corrupt => f.write_str("the store is damaged")?,
            ErrorKind::Closed => f.write_str("the store was closed")?,
            ErrorKind::Other => f.write_str("the store failed")?,
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
            Io::NotFound => ErrorKind::Unreadable,
            Io::PermissionDenied | Io::ReadOnlyFilesystem | Io::AlreadyExists | Io::NotADirectory => {
                ErrorKind::Unwritable
            }
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
            _ => ErrorKind::Other,
        };
        Self::new(kind).because(error)
    }
}
