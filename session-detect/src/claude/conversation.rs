//! Which conversation a running Claude Code is in, and how certain that is.
//!
//! Its record says so. Versions before 2.1.330 may leave the former conversation there after `/clear`, though, so for
//! these the transcripts beside are looked at; where they leave a doubt, the doubt is the answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::record::Record;
use super::transcript::{self, Head, Transcript};

/// How many transcripts of a folder have their beginning read, the last written first.
const HEADS_MAX: usize = 32;

/// How long after `/clear` the former transcript may still be written to: hooks end.
const AFTERMATH: Duration = Duration::from_secs(5);

/// The first version whose record follows `/clear` at once.
const SETTLED: [u32; 3] = [2, 1, 330];

/// Which conversation a process is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conversation {
    /// Its record says so, written by this very process: number, namespace, machine and start agree, and nothing speaks
    /// against it.
    Exact(String),
    /// Its record says so, but is of a version that does not prove whose it is, or another transcript may be the one by
    /// now.
    Claimed(String),
    /// Its record says `recorded`, but since then `/clear` began `by` in the same folder, and no other process there can
    /// have done that.
    Superseded {
        /// The conversation in the record.
        recorded: String,
        /// The one that most likely goes on.
        by: String,
    },
    /// It has no record; one transcript alone fits its folder and start.
    Guessed(String),
    /// Nothing tells.
    #[default]
    Unknown,
}

impl Conversation {
    /// Returns the conversation that most likely goes on; `None` where nothing tells.
    ///
    /// ```
    /// use session_detect::claude::Conversation;
    ///
    /// let cleared = Conversation::Superseded { recorded: "a-1".into(), by: "b-2".into() };
    /// assert_eq!(cleared.id(), Some("b-2"));
    /// assert_eq!(Conversation::Unknown.id(), None);
    /// ```
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Exact(id) | Self::Claimed(id) | Self::Guessed(id) | Self::Superseded { by: id, .. } => {
                Some(id)
            }
            Self::Unknown => None,
        }
    }

    /// Returns how certain it is: `exact`, `claimed`, `superseded`, `guessed` or `unknown`.
    ///
    /// ```
    /// use session_detect::claude::Conversation;
    ///
    /// assert_eq!(Conversation::Exact("a-1".into()).certainty(), "exact");
    /// ```
    pub fn certainty(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Claimed(_) => "claimed",
            Self::Superseded { .. } => "superseded",
            Self::Guessed(_) => "guessed",
            Self::Unknown => "unknown",
        }
    }
}

/// A process with a record.
pub(super) struct Recorded<'a> {
    pub(super) record: &'a Record,
    pub(super) config_folder: &'a Path,
    /// Whether the record is proven to be of this very process.
    pub(super) proven: bool,
}

/// What is known of the others.
pub(super) struct Others<'a> {
    /// The conversations that records give to living processes.
    pub(super) owned: &'a BTreeSet<String>,
    /// Whether another Claude Code without a reliable record works in the same folder.
    pub(super) rival: bool,
}

/// Tells the conversation of a process with a record.
pub(super) fn recorded(process: &Recorded<'_>, others: &Others<'_>) -> Conversation {
    let Some(id) = process.record.conversation.clone() else { return Conversation::Unknown };
    let doubt = if is_settled(process.record) { Doubt::None } else { doubt(process, &id, others) };
    match doubt {
        Doubt::None if process.proven => Conversation::Exact(id),
        Doubt::None | Doubt::Some => Conversation::Claimed(id),
        Doubt::Cleared(by) => Conversation::Superseded { recorded: id, by },
    }
}

/// Guesses the conversation of a process without a record.
pub(super) fn guessed(
    working_folder: &Path,
    started_at: SystemTime,
    config_folders: &[PathBuf],
    others: &Others<'_>,
) -> Conversation {
    let folders = config_folders.iter().filter_map(|config| transcript::project_for(config, working_folder));
    let written = folders.flat_map(|folder| transcript::transcripts(&folder));
    let fits = |it: &Transcript| {
        it.modified >= started_at
            && !others.owned.contains(&it.conversation)
            && transcript::head(&it.path).working_folder.as_deref() == Some(working_folder)
    };
    let mut fitting = written.filter(fits).take(2);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) if !others.rival => Conversation::Guessed(only.conversation),
        _ => Conversation::Unknown,
    }
}

/// Whether the record's version writes a new conversation down at once.
pub(super) fn is_settled(record: &Record) -> bool {
    let version = record.version.as_deref().unwrap_or_default();
    let release = version.split('-').next().unwrap_or_default();
    let mut numbers = release.split('.').map(|part| part.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    match (next(), next(), next()) {
        (Some(major), Some(minor), Some(patch)) => [major, minor, patch] >= SETTLED,
        _ => false,
    }
}

/// What speaks against a record.
enum Doubt {
    None,
    /// Another transcript goes on where this one stopped; nothing tells whose it is.
    Some,
    /// The same, and `/clear` began it.
    Cleared(String),
}

fn doubt(process: &Recorded<'_>, id: &str, others: &Others<'_>) -> Doubt {
    let record = process.record;
    let folder = transcript::project_of(process.config_folder, id)
        .or_else(|| transcript::project_for(process.config_folder, record.working_folder.as_deref()?));
    let (Some(folder), Some(started_at)) = (folder, record.started_at) else { return Doubt::None };
    let all = transcript::transcripts(&folder);
    let own = all.iter().find(|it| it.conversation == id).map(|it| it.modified);
    let newer = all.iter().filter(|it| {
        it.conversation != id
            && it.modified > started_at
            && own.is_none_or(|own| it.modified > own)
            && !others.owned.contains(&it.conversation)
    });
    let goes_on = |head: &Head| {
        head.begun.is_some_and(|begun| {
            begun >= started_at && own.is_none_or(|own| own <= begun.checked_add(AFTERMATH).unwrap_or(begun))
        }) && (head.working_folder.is_none() || head.working_folder == record.working_folder)
    };
    let heads: Vec<(&Transcript, Head)> = newer
        .take(HEADS_MAX)
        .map(|it| (it, transcript::head(&it.path)))
        .filter(|(_, head)| goes_on(head))
        .collect();
    match heads.iter().find(|(_, head)| head.cleared) {
        Some((by, _)) if !others.rival => Doubt::Cleared(by.conversation.clone()),
        None if heads.is_empty() => Doubt::None,
        _ => Doubt::Some,
    }
}
