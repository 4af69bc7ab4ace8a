//! What sessions' stores hold, in short, so that who is told it need not open each of them.
//!
//! A summary is of the store's files as they were: whoever takes it for true looks first whether they are that still.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::backend::{EventBackend, Selection};
use crate::error::Error;
use crate::id::ConversationId;
use crate::store::Store;
use crate::transcript::SourceKind;

use super::{Rank, Stores, rank};

/// A store that was written later is not summed up: clocks of files are coarse, and what is written in the same instant as it
/// is looked at would go unseen.
const AT_REST: Duration = Duration::from_secs(1);

/// What the stores of sessions hold, in short: of those that nobody is writing to.
///
/// ```
/// use session_store::{Stores, Summaries, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let stores = Stores::open(folder.path(), Timestamp::from_seconds(1_795_367_381));
/// let (summaries, is_complete) = stores.summaries(&Summaries::default())?;
/// assert!(is_complete);
/// assert_eq!(Summaries::from_bytes(&summaries.to_bytes()), Some(summaries));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summaries(BTreeMap<String, Summary>);

/// What one store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    files: Files,
    pub(super) sharing: Option<String>,
    /// The conversations it has read, and how far.
    homes: BTreeMap<String, Rank>,
    /// Whether it holds neither event nor checkpoint.
    pub(super) is_empty: bool,
}

/// What the files of a store look like; each write changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Files {
    id: (u64, u64),
    store: Look,
    /// The log; an empty one is made by who only reads, and is none.
    log: Option<Look>,
}

/// The size of a file, and when it was written last, in nanoseconds since 1970.
type Look = (u64, u64);

impl Summaries {
    /// Writes them down.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Summaries::to_bytes`] wrote; `None` for what another version may have written.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Keeps those of stores whose session shares what is wanted, in the words it was said in; `None` where nothing was said.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(Option<&str>) -> bool) {
        self.0.retain(|_, summary| is_wanted(summary.sharing.as_deref()));
    }

    /// Keeps those that are true now; `path` tells where a store lies.
    fn retain_true(&mut self, path: impl Fn(&str) -> PathBuf) {
        self.0.retain(|name, summary| Files::at(&path(name)) == Some(summary.files));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Summary> {
        self.0.get(name)
    }

    /// Returns what is known of a store whose files look like this.
    fn of(&self, name: &str, files: Files) -> Option<&Summary> {
        self.get(name).filter(|summary| summary.files == files)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn insert(&mut self, name: &str, summary: Summary) {
        self.0.insert(name.to_owned(), summary);
    }
}

impl Summary {
    /// Sums a store up whose files were looked at before: what is written meanwhile changes them, so that the summary is not
    /// taken for true.
    fn of(store: &Store, files: Files) -> Result<Self, Error> {
        let checkpoints = store.checkpoints()?;
        let mut homes = BTreeMap::new();
        for checkpoint in &checkpoints {
            if let SourceKind::Main { conversation } = &checkpoint.kind {
                let farthest = homes.entry(conversation.as_str().to_owned()).or_insert((i64::MIN, 0));
                *farthest = rank(checkpoint).max(*farthest);
            }
        }
        let is_empty = checkpoints.is_empty() && store.events(&Selection::all())?.is_empty();
        Ok(Self { files, sharing: store.sharing()?, homes, is_empty })
    }

    /// Returns the conversations it has read, and how far.
    pub(super) fn homes(&self) -> impl Iterator<Item = (ConversationId, Rank)> {
        self.homes.iter().map(|(conversation, rank)| (ConversationId::from(conversation.as_str()), *rank))
    }
}

impl Stores {
    /// Sums up what the stores of sessions hold, to be given to others; `known` is what was found before. Returns also whether
    /// all are summed up: one that was just written is left out.
    ///
    /// # Errors
    ///
    /// A store cannot be read.
    pub fn summaries(&self, known: &Summaries) -> Result<(Summaries, bool), Error> {
        let (mut summaries, mut is_complete) = (Summaries::default(), true);
        for (number, name) in self.sessions()?.iter().enumerate() {
            let Some(files) = Files::at(&self.path(name)) else { continue };
            if let Some(known) = known.of(name, files) {
                summaries.insert(name, known.clone());
            } else if !files.are_at_rest() {
                is_complete = false;
            } else if let Some(store) = self.seen_as(number, name).filter(|store| store.is_kept()) {
                summaries.insert(name, Summary::of(&store, files)?);
            }
        }
        Ok((summaries, is_complete))
    }

    /// Takes what another process found in stores for true, as far as their files are what they were then; for one who looks
    /// once, because nobody says when they change.
    ///
    /// What holds nothing is then not opened to be read.
    pub fn trust(&self, mut summaries: Summaries) {
        summaries.retain_true(|name| self.path(name));
        self.state().trusted = summaries;
    }

    /// Finds out where each conversation is at home, as reading the checkpoints of all stores does.
    ///
    /// # Errors
    ///
    /// A store cannot be read.
    pub fn find_homes(&self) -> Result<(), Error> {
        let trusted = self.state().trusted.clone();
        let (known, unknown): (Vec<_>, Vec<_>) =
            self.sessions()?.into_iter().partition(|name| trusted.get(name).is_some());
        for name in &known {
            self.settle_homes(name, trusted.get(name).into_iter().flat_map(Summary::homes));
        }
        self.open_seen(&unknown);
        for (number, name) in unknown.iter().enumerate() {
            if let Some(store) = self.seen_as(number, name) {
                self.learn_homes(name, &store.checkpoints()?);
            }
        }
        Ok(())
    }
}

impl Files {
    fn at(path: &Path) -> Option<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = fs::metadata(log).ok().filter(|log| log.len() > 0);
        let log = match log {
            Some(log) => Some(look(&log)?),
            None => None,
        };
        let store = fs::symlink_metadata(path).ok()?;
        Some(Self { id: file_id(&store), store: look(&store)?, log })
    }

    /// Returns whether nobody has written to it of late.
    fn are_at_rest(&self) -> bool {
        let written = self.store.1.max(self.log.map_or(0, |(_, at)| at));
        // A clock that went back says nothing.
        nanoseconds(SystemTime::now())
            .is_some_and(|now| now.saturating_sub(written) > AT_REST.as_nanos() as u64)
    }
}

fn look(metadata: &fs::Metadata) -> Option<Look> {
    Some((metadata.len(), nanoseconds(metadata.modified().ok()?)?))
}

fn nanoseconds(at: SystemTime) -> Option<u64> {
    u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(unix)]
fn file_id(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn file_id(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}
