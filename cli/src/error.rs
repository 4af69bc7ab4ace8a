//! Errors that end the program: what failed, why, and the way out.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use session_store::ErrorKind;

/// Exit codes, a promise to scripts.
pub(crate) mod exit {
    /// Done. A closed pipe counts as done.
    pub(crate) const DONE: u8 = 0;
    /// Nothing was found, or a check failed.
    pub(crate) const NOTHING: u8 = 1;
    /// The arguments or the configuration are wrong.
    pub(crate) const USAGE: u8 = 2;
    /// A store or source could not be read or written.
    pub(crate) const STORE: u8 = 3;
    /// What was waited for did not come in time.
    pub(crate) const TIMED_OUT: u8 = 4;
    /// A limit is near.
    pub(crate) const NEAR: u8 = 10;
    /// A limit is hit.
    pub(crate) const HIT: u8 = 11;
}

/// Why the program ends without doing what was asked.
#[derive(Debug)]
pub(crate) struct CliError {
    code: u8,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hints: Vec<String>,
}

impl CliError {
    /// The arguments or the configuration are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, message: message.into(), source: None, hints: Vec::new() }
    }

    /// What was asked for does not exist.
    pub(crate) fn nothing(message: impl Into<String>) -> Self {
        Self { code: exit::NOTHING, ..Self::usage(message) }
    }

    /// Something could not be read or written.
    pub(crate) fn store(message: impl Into<String>) -> Self {
        Self { code: exit::STORE, ..Self::usage(message) }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a way out.
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Returns whether the reader of our output went away, which is its right.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "claudewatch: {}", self.message)?;
        let mut cause: Option<&(dyn StdError + 'static)> = self.source.as_deref().map(|source| source as _);
        let mut before = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            // The database's errors say the same again, with a number.
            if before.is_empty() || !text.ends_with(&before) {
                write!(f, ": {text}")?;
            }
            (before, cause) = (text, error.source());
        }
        for hint in &self.hints {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::store("cannot write the output").because(error)
    }
}

impl From<session_store::Error> for CliError {
    fn from(error: session_store::Error) -> Self {
        let hint = hint_for(error.kind());
        let wrapped = Self::store("the archive cannot be used").because(error);
        match hint {
            Some(hint) => wrapped.hinted(hint),
            None => wrapped,
        }
    }
}

/// Returns what a user can do about trouble with the store.
pub(crate) fn hint_for(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unreadable | ErrorKind::Unwritable => {
            Some("give the folder to your user, or choose another one with --data-dir")
        }
        ErrorKind::Full => Some("free some space, or choose another folder with --data-dir"),
        ErrorKind::Newer { .. } => Some("install the version of claudewatch that made it, or a later one"),
        ErrorKind::Busy => Some("try again; if it stays, find the process that holds it"),
        ErrorKind::Corrupt => Some("move the file aside; the archive is filled again from the transcripts"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_repeats_the_one_before_is_said_once() {
        let text = "attempt to write a readonly database";
        let cause = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(8), Some(text.to_owned()));
        assert_eq!(CliError::store("no").because(cause).to_string(), format!("claudewatch: no: {text}"));
        let cause = io::Error::other(io::Error::other("why"));
        assert_eq!(CliError::store("no").because(cause).to_string(), "claudewatch: no: why");
    }
}
