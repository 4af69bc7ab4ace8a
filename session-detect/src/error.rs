//! What can go wrong when a process is looked at.

use std::fmt;

/// Why a process could not be looked at.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    pid: u32,
    source: Option<std::io::Error>,
}

/// The sort of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such process exists, or it may not be seen.
    NotFound,
    /// It exists and may not be read; the same user, or root, may.
    Unreadable,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, pid: u32, source: Option<std::io::Error>) -> Self {
        Self { kind, pid, source }
    }

    /// Returns the sort.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the number that was asked for.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::NotFound => write!(f, "find process {}", self.pid),
            ErrorKind::Unreadable => {
                write!(f, "read process {}, which belongs to another user or namespace", self.pid)
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
