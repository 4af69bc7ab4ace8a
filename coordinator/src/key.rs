//! A stand-in for the isolation key.

use std::fmt;

/// The identity of a session, `place:link:user:host:pid~tag`.
#[derive(Clone, Debug)]
pub struct IsolationKey(String);

impl IsolationKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('~') {
            Some((_, tag)) if !tag.is_empty() => Ok(Self(text.to_owned())),
            _ => Err(format!("no tag in {text:?}")),
        }
    }

    /// Returns what identifies the session.
    pub fn tag(&self) -> &str {
        self.0.split_once('~').map_or("", |(_, tag)| tag)
    }
}

impl fmt::Display for IsolationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for IsolationKey {
    fn eq(&self, other: &Self) -> bool {
        self.tag() == other.tag()
    }
}

impl Eq for IsolationKey {}

impl PartialOrd for IsolationKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IsolationKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.tag().cmp(other.tag())
    }
}
