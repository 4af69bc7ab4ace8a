//! Names of things: events, conversations, agents, models, sources.

#[cfg(feature = "transcript")]
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes an id of the given text, which is kept as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// Returns the text.
            ///
            /// It was written by others and may hold any characters: escape it before it reaches a terminal.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// Identifies one fact over all files, conversations and config folders of an account.
    ///
    /// For a turn it is the API's message id (`msg_…`), else the request id, else the `uuid` of the line; copies
    /// of a line in resumed or forked transcripts therefore carry the same id.
    EventId
}
text_id! {
    /// Names one Claude Code conversation (its `sessionId`), sub-agents included.
    ConversationId
}
text_id! {
    /// Names a sub-agent within its conversation.
    AgentId
}
text_id! {
    /// Names a model as the transcript spells it, such as `claude-opus-5-5`.
    ModelId
}

/// Names one transcript file by its path.
///
/// Ids compare by the bytes of the path, as the store does; comparing by components took a tenth of a report's time.
#[derive(Clone, Debug)]
pub struct SourceId(Arc<Path>);

impl SourceId {
    /// Makes an id of a path, which is not resolved; doubled slashes and `.` fall away, so that equal ids are
    /// equal to the byte.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path: PathBuf = path.into();
        let bytes = path.as_os_str().as_encoded_bytes();
        let is_plain = !bytes.ends_with(b"/") && !bytes.windows(2).any(|pair| matches!(pair, b"//" | b"/."));
        if is_plain { Self(path.into()) } else { Self(path.components().collect::<PathBuf>().into()) }
    }

    /// Makes an id of a path that is plain already, such as that of an id.
    #[cfg(feature = "transcript")]
    pub(crate) fn again(path: &Path) -> Self {
        Self(path.into())
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_encoded_bytes()
    }
}

impl PartialEq for SourceId {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for SourceId {}

impl PartialOrd for SourceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SourceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for SourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

/// Returns the path that was written as these bytes.
#[cfg(all(feature = "transcript", unix))]
pub(crate) fn as_path(bytes: &[u8]) -> Cow<'_, Path> {
    use std::os::unix::ffi::OsStrExt;
    Cow::Borrowed(Path::new(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(all(feature = "transcript", not(unix)))]
pub(crate) fn as_path(bytes: &[u8]) -> Cow<'_, Path> {
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into())
}
