//! Where transcripts lie: every layout of Claude Code, and nothing that only looks like one.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, Metadata};
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use foldhash::fast::FixedState;

use super::ProblemKind;
use crate::id::{AgentId, ConversationId, SourceId, as_path};

/// Folders below `projects` nest at most this deep; Claude Code's own layouts need six.
const DEPTH_MAX: usize = 12;

/// One transcript file, as it was when it was located.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path.
    pub id: SourceId,
    /// Whose transcript it is, by its name and place.
    pub kind: SourceKind,
    /// What tells it from another file at the same path.
    pub stamp: Stamp,
}

/// What a file's directory entry tells without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The device and the file's number on it; zero where the system has none.
    pub file: (u64, u64),
    /// The length in bytes.
    pub size: u64,
    /// The last change, in nanoseconds since 1970 (UTC).
    pub modified_ns: i64,
}

/// Tells a main transcript from a sub-agent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `projects/<slug>/<conversation>.jsonl`
    Main {
        /// The conversation, by the file's name; what a line says comes first.
        conversation: ConversationId,
    },
    /// `projects/<slug>/agent-<id>.jsonl` (to 2.1.x) and `projects/<slug>/<conversation>/subagents/**/agent-<id>.jsonl`
    SubAgent {
        /// The conversation, where the folder names it.
        conversation: Option<ConversationId>,
        /// The sub-agent, by the file's name.
        agent: AgentId,
    },
}

/// What was found in a config folder.
#[derive(Debug, Default)]
pub struct Located {
    /// The transcripts, in no particular order.
    pub sources: Vec<Source>,
    /// What was passed over, and why.
    pub problems: Vec<(ProblemKind, PathBuf)>,
}

/// A folder in which transcripts may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Without doubled slashes and `.`, so that an id can be made of it as it is.
    path: Arc<Path>,
    conversation: Option<ConversationId>,
    depth: usize,
}

/// What lies in a folder, by its names alone.
#[derive(Debug, Default)]
pub struct Listing {
    /// The folders in it, in the order of their paths' bytes.
    pub folders: Vec<Folder>,
    /// What is named like a transcript.
    pub files: FileNames,
    /// What was passed over, and why.
    pub problems: Vec<(ProblemKind, PathBuf)>,
}

/// Names of files in one folder, in no particular order: one text for all, because thousands of small ones are slow to
/// make and to free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileNames {
    /// Each name and a slash, which no name holds.
    text: Vec<u8>,
}

/// A file that is named like a transcript, as it was when it was looked at.
#[derive(Debug)]
pub struct Glimpse<'f> {
    folder: &'f Folder,
    path: PathBuf,
    stamp: Stamp,
}

/// Finds every transcript under a Claude Code config folder, such as `~/.claude`.
///
/// A folder that does not exist holds nothing. The config folder and its `projects` may be links; below them nothing
/// is followed, and only regular files count, so loops, pipes and devices do no harm. Reads directories only: about
/// 10 µs a folder and 3 µs a file.
///
/// A `projects` folder itself is accepted too. To share the work among threads, begin with [`Folder::root`].
pub fn locate(config_dir: &Path) -> Located {
    let mut located = Located::default();
    let mut folders = vec![Folder::root(config_dir)];
    while let Some(folder) = folders.pop() {
        let listing = folder.list();
        located.problems.extend(listing.problems);
        for name in listing.files.iter() {
            match folder.glimpse(&name) {
                Ok(glimpse) => located.sources.extend(glimpse.as_ref().map(Glimpse::source)),
                Err(problem) => located.problems.push(problem),
            }
        }
        folders.extend(listing.folders);
    }
    located
}

impl Folder {
    /// Returns the folder below which the transcripts of a config folder lie.
    pub fn root(config_dir: &Path) -> Self {
        let projects = config_dir.join("projects");
        let path =
            if projects.is_dir() || !is_projects(config_dir) { projects } else { config_dir.to_owned() };
        Self::first(path)
    }

    /// Returns the first folder of a tree.
    pub(super) fn first(path: PathBuf) -> Self {
        let path = SourceId::new(path).path().into();
        Self { path, conversation: None, depth: 0 }
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns a folder in this one; `None` where that would be too deep.
    pub(super) fn below(&self, name: &OsStr) -> Option<Self> {
        // The folder beside `<conversation>.jsonl` is the only one named for a conversation.
        let named = (self.depth == 1).then(|| ConversationId::new(name.to_string_lossy()));
        let conversation = named.or_else(|| self.conversation.clone());
        let path = self.path.join(name).into();
        (self.depth < DEPTH_MAX).then_some(Self { path, conversation, depth: self.depth + 1 })
    }

    /// Looks at a file in this folder by one of the names it was listed with; `None` where it was deleted since. About 2 µs.
    ///
    /// # Errors
    ///
    /// It is no regular file, or it cannot be looked at: which of the two, and its path.
    pub fn glimpse(&self, name: &Path) -> Result<Option<Glimpse<'_>>, (ProblemKind, PathBuf)> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                Ok(Some(Glimpse { folder: self, path, stamp: Stamp::of(&metadata) }))
            }
            Ok(_) => Err((ProblemKind::NotAFile, path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(_) => Err((ProblemKind::Unreadable, path)),
        }
    }

    /// Lists what lies in the folder itself.
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        match self.read(&mut listing) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                listing.problems.push((ProblemKind::Unreadable, self.path.to_path_buf()));
            }
            _ => {}
        }
        listing.folders.sort_unstable_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        listing
    }

    fn read(&self, listing: &mut Listing) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            self.sort(&entry?, listing);
        }
        Ok(())
    }

    fn sort(&self, entry: &DirEntry, listing: &mut Listing) {
        let Ok(kind) = entry.file_type() else { return };
        let name = entry.file_name();
        if kind.is_dir() {
            match self.below(&name) {
                Some(folder) => listing.folders.push(folder),
                None => listing.problems.push((ProblemKind::TooDeep, entry.path())),
            }
        } else if name.as_encoded_bytes().ends_with(b".jsonl") && name != "journal.jsonl" {
            if kind.is_file() {
                listing.files.push(name.as_encoded_bytes());
            } else {
                listing.problems.push((ProblemKind::NotAFile, entry.path()));
            }
        }
    }
}

impl Listing {
    /// Returns whether a folder is among those that lie in the listed one.
    pub fn holds(&self, folder: &Folder) -> bool {
        let path = folder.path.as_os_str();
        self.folders.binary_search_by(|below| below.path.as_os_str().cmp(path)).is_ok()
    }
}

impl FileNames {
    /// Adds a name, which holds no slash.
    pub(super) fn push(&mut self, name: &[u8]) {
        self.text.extend_from_slice(name);
        self.text.push(b'/');
    }

    /// Returns the names.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Path>> {
        self.text.split_inclusive(|byte| *byte == b'/').map(|name| as_path(&name[..name.len() - 1]))
    }

    /// Returns the text of all names.
    #[cfg(feature = "sqlite")]
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Reads names back from their text; `None` where one leads anywhere but into its folder.
    #[cfg(feature = "sqlite")]
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        let is_plain = match text.strip_suffix(b"/") {
            Some(names) => names.split(|byte| *byte == b'/').all(is_name),
            None => text.is_empty(),
        };
        is_plain.then(|| Self { text: text.to_vec() })
    }
}

impl Glimpse<'_> {
    /// Returns a number for the file as it was looked at; see [`Source::state`].
    pub fn state(&self) -> u64 {
        self.stamp.state(&self.path)
    }

    /// Returns the transcript.
    pub fn source(&self) -> Source {
        Source::new(SourceId::again(&self.path), self.folder.conversation.as_ref(), self.stamp)
    }
}

/// Tells a `projects` folder by its name, so that `~/.claude` without one is not searched whole.
fn is_projects(dir: &Path) -> bool {
    dir.file_name().is_some_and(|name| name == "projects")
}

impl Source {
    fn new(id: SourceId, conversation: Option<&ConversationId>, stamp: Stamp) -> Self {
        let kind = SourceKind::of(id.path(), conversation);
        Self { id, kind, stamp }
    }

    /// Returns a number for the file as it was looked at: its path and its stamp. It changes when the file does, and is the
    /// same in every process of one build.
    pub fn state(&self) -> u64 {
        self.stamp.state(self.id.path())
    }

    /// Looks again at one transcript, for instance one a watch told of.
    ///
    /// Returns `None` where the path is none: not named like a transcript, not below a `projects` folder.
    ///
    /// # Errors
    ///
    /// The file cannot be looked at, or it is no regular file ([`io::ErrorKind::InvalidInput`]).
    pub fn at(config_dir: &Path, path: &Path) -> io::Result<Option<Self>> {
        let below = match path.strip_prefix(config_dir.join("projects")) {
            Ok(below) => below,
            Err(_) if is_projects(config_dir) => match path.strip_prefix(config_dir) {
                Ok(below) => below,
                Err(_) => return Ok(None),
            },
            Err(_) => return Ok(None),
        };
        let name = path.file_name().unwrap_or_default();
        if !name.as_encoded_bytes().ends_with(b".jsonl") || name == "journal.jsonl" {
            return Ok(None);
        }
        let parts: Vec<_> = below.components().collect();
        let conversation =
            (parts.len() > 2).then(|| ConversationId::new(parts[1].as_os_str().to_string_lossy()));
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Some(Self::new(SourceId::new(path), conversation.as_ref(), Stamp::of(&metadata))))
    }

    /// Opens the transcript for reading, without following a link and without waiting for a pipe's other end.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or it is no regular file any more ([`io::ErrorKind::InvalidInput`]).
    pub fn open(&self) -> io::Result<File> {
        let mut options = File::options();
        options.read(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC);
        }
        let file = options.open(self.id.path())?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }
}

impl SourceKind {
    fn of(path: &Path, conversation: Option<&ConversationId>) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match stem.strip_prefix("agent-") {
            Some(agent) => {
                Self::SubAgent { conversation: conversation.cloned(), agent: AgentId::from(agent) }
            }
            None => match conversation {
                // A transcript below a conversation's folder belongs to it, whatever its name.
                Some(conversation) => {
                    Self::SubAgent { conversation: Some(conversation.clone()), agent: AgentId::from(&*stem) }
                }
                None => Self::Main { conversation: ConversationId::from(&*stem) },
            },
        }
    }
}

impl Stamp {
    /// Reads the stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ns = modified.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Self { file, size: metadata.len(), modified_ns }
    }

    /// Returns a number for the file at a path that has this stamp; see [`Source::state`].
    pub(crate) fn state(&self, path: &Path) -> u64 {
        FixedState::with_seed(0).hash_one((path.as_os_str().as_encoded_bytes(), self))
    }
}
