//! The readable part of a key on its own: what tables print and people type.

use std::fmt;
use std::str::FromStr;

use crate::key::{ParseKeyError, display, unescaped};
use crate::process::ProcessId;

/// A session as people name it, `pts/1:local:herb:workstation:12345`: the part of an [`IsolationKey`] before its tag.
///
/// It names one session of one machine at one moment. As an identity, across machines and time, use the key.
///
/// [`IsolationKey`]: crate::IsolationKey
///
/// # Examples
///
/// ```
/// use session_detect::SessionId;
///
/// let id: SessionId = "pts/1:local:herb:workstation:12345".parse()?;
/// assert_eq!((id.place(), id.link(), id.pid()), ("pts/1", "local", 12345));
/// assert_eq!(id.short(), "pts/1:local:herb:workstation");
/// # Ok::<(), session_detect::ParseKeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    text: Box<str>,
    /// Where the colons stand.
    colons: [u16; 4],
    pid: u32,
}

impl SessionId {
    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first four parts, `pts/1:local:herb:workstation`; several sessions may share them.
    pub fn short(&self) -> &str {
        &self.text[..usize::from(self.colons[3])]
    }

    /// Returns the place as it is written, such as `pts/1`, `vscode` or `notty`.
    pub fn place(&self) -> &str {
        &self.text[..usize::from(self.colons[0])]
    }

    /// Returns the link, such as `local`, `ssh_client` or `docker`.
    pub fn link(&self) -> &str {
        self.part(0)
    }

    /// Returns the user's name; bytes that are not UTF-8 are replaced.
    pub fn user(&self) -> String {
        unescaped(self.part(1))
    }

    /// Returns the host's name; bytes that are not UTF-8 are replaced.
    pub fn host(&self) -> String {
        unescaped(self.part(2))
    }

    /// Returns the leader's process id, as numbered in its own namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The part between two colons.
    fn part(&self, after: usize) -> &str {
        &self.text[usize::from(self.colons[after]) + 1..usize::from(self.colons[after + 1])]
    }
}

impl FromStr for SessionId {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let (colons, end) = display(text)?;
        if end != text.len() {
            return Err(ParseKeyError::new("more than five parts", end));
        }
        let pid_at = usize::from(colons[3]) + 1;
        let pid =
            ProcessId::parse_pid(&text[pid_at..]).ok_or(ParseKeyError::new("not a process id", pid_at))?;
        Ok(Self { text: text.into(), colons, pid })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
