//! Which account each conversation belongs to: that of the config folder its transcript lies in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use session_analytics::Reading;
use session_store::{Checkpoint, ConversationId, SourceKind};

use crate::config::{Config, home};
use crate::coordination;
use crate::host::cache;

/// The accounts of the settings, and what is known of whose a conversation is.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    dirs: Vec<PathBuf>,
    names: Vec<Arc<str>>,
    by_conversation: HashMap<ConversationId, usize>,
}

impl Accounts {
    /// Names the accounts of the settings; of no conversation it is known whose it is.
    pub(crate) fn of(config: &Config) -> Self {
        let dirs = config.claude_dirs.clone();
        let names = dirs.iter().map(|dir| coordination::account(dir).as_str().into()).collect();
        Self { dirs, names, by_conversation: HashMap::new() }
    }

    /// Learns from where the transcripts lie.
    pub(crate) fn learn<'a>(&mut self, checkpoints: impl IntoIterator<Item = &'a Checkpoint>) {
        if self.only().is_some() {
            // Whose a conversation is need not be looked for.
            return;
        }
        for checkpoint in checkpoints {
            let conversation = match &checkpoint.kind {
                SourceKind::Main { conversation } => Some(conversation),
                SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
            };
            let place = self.dirs.iter().position(|dir| checkpoint.source.path().starts_with(dir));
            if let (Some(conversation), Some(place)) = (conversation, place) {
                self.by_conversation.insert(conversation.clone(), place);
            }
        }
    }

    /// Returns the account of a conversation; where its transcript is gone, the only account there is.
    pub(crate) fn name(&self, conversation: &ConversationId) -> Option<&Arc<str>> {
        let alone = || {
            let mut existing =
                (0..self.dirs.len()).filter(|at| self.names.len() == 1 || self.dirs[*at].is_dir());
            existing.next().filter(|_| existing.next().is_none())
        };
        let place = self.by_conversation.get(conversation).copied().or_else(alone)?;
        self.names.get(place)
    }

    /// Returns the account that everything belongs to, where there is but one.
    pub(crate) fn only(&self) -> Option<&Arc<str>> {
        self.names.first().filter(|_| self.names.len() == 1)
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
