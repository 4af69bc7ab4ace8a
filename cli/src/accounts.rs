//! Which account each conversation belongs to: that of the config folder its transcript lies in.

use std::collections::HashMap;
use std::path::{Path, PathBuf, is_separator};
use std::sync::Arc;

use session_analytics::Reading;
use session_store::{Checkpoint, ConversationId, Error, EventBackend, SourceKind, Stores};

use crate::config::{Config, home};
use crate::coordination;
use crate::host::cache;

/// The accounts of the settings, and what is known of whose a conversation is.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    dirs: Vec<PathBuf>,
    /// The same without what paths of transcripts do not hold: doubled slashes and dots.
    plain: Vec<PathBuf>,
    names: Vec<Arc<str>>,
    by_conversation: HashMap<ConversationId, usize>,
}

impl Accounts {
    /// Names the accounts of the settings; of no conversation it is known whose it is.
    pub(crate) fn of(config: &Config) -> Self {
        let dirs = config.claude_dirs.clone();
        let names = dirs.iter().map(|dir| coordination::account(dir).as_str().into()).collect();
        let plain = dirs.iter().map(|dir| dir.components().collect()).collect();
        Self { dirs, plain, names, by_conversation: HashMap::new() }
    }

    /// The same, with whose the conversations of all transcripts that were read are.
    pub(crate) fn known(config: &Config, stores: &Stores) -> Result<Self, Error> {
        let mut accounts = Self::of(config);
        accounts.learn(&stores.checkpoints()?);
        Ok(accounts)
    }

    /// Learns from where the transcripts lie.
    pub(crate) fn learn<'a>(&mut self, checkpoints: impl IntoIterator<Item = &'a Checkpoint>) {
        for checkpoint in checkpoints {
            let conversation = match &checkpoint.kind {
                SourceKind::Main { conversation } => Some(conversation),
                SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
            };
            let place = self.plain.iter().position(|dir| lies_in(checkpoint.source.path(), dir));
            if let (Some(conversation), Some(place)) = (conversation, place) {
                self.by_conversation.insert(conversation.clone(), place);
            }
        }
    }

    /// Returns the account of a conversation; where its transcript is gone, the only account there is.
    pub(crate) fn name(&self, conversation: &ConversationId) -> Option<&Arc<str>> {
        let place = self.by_conversation.get(conversation).copied().or_else(|| self.alone())?;
        self.names.get(place)
    }

    /// Returns the only account whose folder exists, or the only one there is.
    fn alone(&self) -> Option<usize> {
        let mut existing = (0..self.dirs.len()).filter(|at| self.names.len() == 1 || self.dirs[*at].is_dir());
        existing.next().filter(|_| existing.next().is_none())
    }

    /// Returns the account that every conversation belongs to, where there is but one.
    pub(crate) fn only(&self) -> Option<&Arc<str>> {
        let alone = self.alone()?;
        self.names.get(alone).filter(|_| self.by_conversation.values().all(|place| *place == alone))
    }

    /// Returns whether an account is one of these.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.names.iter().any(|it| **it == *name)
    }

    /// Reads what Claude Code keeps of each account.
    pub(crate) fn cached(&self) -> Vec<Reading> {
        let home = home();
        let of_dir =
            |(dir, name): (&PathBuf, &Arc<str>)| cache::readings(Path::new(dir), home.as_deref(), name);
        self.dirs.iter().zip(&self.names).flat_map(of_dir).collect()
    }
}

/// Returns whether a path lies in a folder, both without doubled slashes and dots; a fiftieth of what comparing part by part
/// costs.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let (path, folder) = (path.as_os_str().as_encoded_bytes(), folder.as_os_str().as_encoded_bytes());
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| {
        rest.first().is_none_or(|byte| is_separator(char::from(*byte))) || folder.ends_with(b"/")
    })
}
