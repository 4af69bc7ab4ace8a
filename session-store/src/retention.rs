//! Pruning: first a plan of what would go, which touches nothing, then the deed.
//!
//! Three things go. Stores of ended sessions move into the archive, which loses nothing. Records that ended before a moment are
//! deleted for good, from all stores: these the plan names, each conversation of them, and tells which lie nowhere else.
//! Files that nothing reads any more are removed: damaged stores that were moved aside, and what a process left that died.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{EventBackend, Selection};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::event::Fact;
use crate::id::ConversationId;
use crate::ledger::Ledger;
use crate::stores::{SESSIONS, Stores};
use crate::time::Timestamp;
use crate::transcript::SourceKind;
use crate::usage::Usage;

/// How long a damaged store that was moved aside is left for somebody to mend.
const QUARANTINE_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// How long what lies beside no store is left: it may belong to one that is just being made or moved.
const ORPHAN_KEPT: Duration = Duration::from_secs(86_400);

/// What pruning would do.
///
/// ```
/// use session_store::{PrunePlan, Survey, Timestamp};
/// let plan = PrunePlan::new(&Survey::default(), Some(Timestamp::from_seconds(1_795_367_381)));
/// assert!(plan.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// What ended before is deleted; `None` where no record is.
    pub before: Option<Timestamp>,
    /// The conversations of which something is deleted, in the order of their ids.
    pub expired: Vec<Expired>,
    /// The sessions whose stores move into the archive.
    pub compacted: Vec<String>,
    /// The files to remove.
    pub leftovers: Vec<Leftover>,
}

/// What is there, as far as pruning asks.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// All events, joined over all stores.
    pub ledger: Ledger,
    /// The conversations of which a transcript still exists.
    pub with_transcript: BTreeSet<ConversationId>,
    /// The stores of sessions.
    pub sessions: Vec<SessionSurvey>,
    /// The files that nothing reads any more.
    pub leftovers: Vec<Leftover>,
}

/// A session's store, as far as pruning asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSurvey {
    /// Its name.
    pub name: String,
    /// Whether the session is known to have ended.
    pub has_ended: bool,
    /// Whether all may see what it holds; else it stays apart as long as it holds anything.
    pub is_shared: bool,
    /// What it holds.
    pub ledger: Ledger,
}

/// The records of one conversation that are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The conversation.
    pub conversation: ConversationId,
    /// The folder it worked in, where that is known.
    pub folder: Option<Arc<str>>,
    /// The time of the first record.
    pub first: Timestamp,
    /// The time of the last record.
    pub last: Timestamp,
    /// How many replies go.
    pub messages: u64,
    /// Their usage.
    pub usage: Usage,
    /// How many other records go.
    pub facts: u64,
    /// Whether no transcript of it exists any more: then it is gone for good.
    pub only_here: bool,
}

/// A file or folder that nothing reads any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// What it was.
    pub kind: LeftoverKind,
    /// Its size.
    pub bytes: u64,
}

/// What a leftover was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeftoverKind {
    /// A damaged store that was moved aside.
    Quarantined,
    /// A log or lock of a store that is gone.
    Orphan,
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many records were deleted, each copy counted.
    pub records: u64,
    /// How many stores were moved into the archive.
    pub stores: u64,
    /// How many files were removed.
    pub files: u64,
}

impl Survey {
    /// Looks at all stores, of which none should be hidden; changes nothing.
    ///
    /// `before` limits what is read. Costs the reading of all records before it.
    ///
    /// # Errors
    ///
    /// A store cannot be read.
    pub fn of(
        stores: &Stores,
        before: Option<Timestamp>,
        now: Timestamp,
        has_ended: impl Fn(&str) -> bool,
        is_shared: impl Fn(Option<&str>) -> bool,
    ) -> Result<Self, Error> {
        let mut survey = Self { leftovers: leftovers(stores.folder(), now), ..Self::default() };
        for name in stores.sessions()? {
            let (has_ended, is_shared) = (has_ended(&name), is_shared(stores.sharing(&name)?.as_deref()));
            let ledger = match has_ended && !is_shared {
                true => stores.session(&name).events(&Selection::all())?,
                false => Ledger::default(),
            };
            survey.sessions.push(SessionSurvey { name, has_ended, is_shared, ledger });
        }
        if let Some(before) = before {
            let selection = Selection { range: Timestamp::MIN..before, ..Selection::all() };
            survey.ledger = stores.events(&selection)?;
            survey.with_transcript = stores.checkpoints()?.iter().filter_map(existing).collect();
        }
        Ok(survey)
    }
}

/// Returns the conversation of a source whose file is still there.
fn existing(checkpoint: &Checkpoint) -> Option<ConversationId> {
    let conversation = match &checkpoint.kind {
        SourceKind::Main { conversation } => Some(conversation),
        SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
    };
    conversation.filter(|_| checkpoint.source.path().exists()).cloned()
}

/// Finds what lies beside the stores and is read by nobody. What cannot be looked at is no leftover.
fn leftovers(folder: &Path, now: Timestamp) -> Vec<Leftover> {
    let folders = [folder.to_owned(), folder.join(SESSIONS)];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut found: Vec<Leftover> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
            let kind = kind_of(&entry.path(), &metadata, now)?;
            Some(Leftover { path: entry.path(), kind, bytes: metadata.len() })
        })
        .collect();
    found.sort();
    found
}

fn kind_of(path: &Path, metadata: &Metadata, now: Timestamp) -> Option<LeftoverKind> {
    let name = path.file_name()?.to_str()?;
    if let Some((_, moved)) = name.split_once(".db.corrupt-") {
        let millis = moved.split('-').next()?.parse().ok()?;
        let age = now.since(Timestamp::from_millis(millis));
        return (age > QUARANTINE_KEPT).then_some(LeftoverKind::Quarantined);
    }
    let store = [".db-wal", ".db-shm", ".db.lock"].iter().find_map(|ending| name.strip_suffix(ending))?;
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let age = now.since(Timestamp::from_millis(i64::try_from(modified.as_millis()).ok()?));
    let has_store = path.with_file_name(format!("{store}.db")).exists();
    (!has_store && age > ORPHAN_KEPT).then_some(LeftoverKind::Orphan)
}

impl PrunePlan {
    /// Plans, without touching anything. Times are as in the survey; `before` is `None` where no record is to be deleted.
    pub fn new(survey: &Survey, before: Option<Timestamp>) -> Self {
        let goes = |event: &crate::Event| before.is_some_and(|before| event.ended_before(before));
        let compacted = survey
            .sessions
            .iter()
            .filter(|session| session.has_ended && (session.is_shared || session.ledger.iter().all(goes)));
        Self {
            before,
            expired: before.map(|before| expired(survey, before)).unwrap_or_default(),
            compacted: compacted.map(|session| session.name.clone()).collect(),
            leftovers: survey.leftovers.clone(),
        }
    }

    /// Does what is planned. Killed at any instant nothing is doubled, and a new plan holds what is left to do.
    ///
    /// Others may read and write meanwhile. `now` is the moment of the plan's survey.
    ///
    /// # Errors
    ///
    /// A store cannot be written, for instance because the disk is full; what was done before stays done.
    pub fn perform(&self, stores: &Stores, now: Timestamp) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        if let Some(before) = self.before {
            pruned.records = stores.expire(before)?;
        }
        for name in &self.compacted {
            pruned.stores += u64::from(stores.compact(name)?);
        }
        for leftover in &self.leftovers {
            // It may be a store's again.
            let metadata = fs::symlink_metadata(&leftover.path).ok().filter(Metadata::is_file);
            if metadata.is_none_or(|metadata| kind_of(&leftover.path, &metadata, now) != Some(leftover.kind))
            {
                continue;
            }
            match fs::remove_file(&leftover.path) {
                Ok(()) => pruned.files += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::from(error).at(&leftover.path)),
            }
        }
        Ok(pruned)
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.compacted.is_empty() && self.leftovers.is_empty()
    }

    /// Returns what lies nowhere else and goes for good.
    pub fn gone_for_good(&self) -> impl Iterator<Item = &Expired> {
        self.expired.iter().filter(|expired| expired.only_here)
    }
}

fn expired(survey: &Survey, before: Timestamp) -> Vec<Expired> {
    let mut found: BTreeMap<ConversationId, Expired> = BTreeMap::new();
    for event in survey.ledger.iter().filter(|event| event.ended_before(before)) {
        let conversation = &event.owner.conversation;
        let expired = found.entry(conversation.clone()).or_insert_with(|| Expired {
            conversation: conversation.clone(),
            folder: None,
            first: event.at,
            last: event.at,
            messages: 0,
            usage: Usage::default(),
            facts: 0,
            only_here: !survey.with_transcript.contains(conversation),
        });
        (expired.first, expired.last) = (expired.first.min(event.at), expired.last.max(event.at));
        match &event.fact {
            Fact::Turn(turn) => {
                expired.messages += 1;
                expired.usage.add(&turn.usage);
            }
            _ => expired.facts += 1,
        }
    }
    // The folder stands in the conversation's own fact, which may stay.
    for event in survey.ledger.iter() {
        if let Fact::Conversation(told) = &event.fact
            && let Some(expired) = found.get_mut(&event.owner.conversation)
        {
            expired.folder = told.first.folder.clone().or_else(|| told.last.folder.clone());
        }
    }
    found.into_values().collect()
}
