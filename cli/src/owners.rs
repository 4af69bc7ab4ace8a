//! Which session's store a conversation belongs to, and when an ended session's store goes into the archive.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use session_coordinator::Isolation;
use session_detect::claude::{self, Found};
use session_detect::{Liveness, ProcessId};
use session_store::{ConversationId, Stores};

use crate::sight::level;

/// How long after its last line an ended session keeps its store.
const KEPT: Duration = Duration::from_secs(86_400);
/// The same where it cannot be seen whether the session has ended: it may be of another boot or machine.
const KEPT_UNSEEN: Duration = Duration::from_secs(7 * 86_400);

/// Makes the stores ask who runs which conversation.
pub(crate) fn ask(stores: &Stores, claude_dirs: Vec<PathBuf>) {
    stores.ask_for_owners(move || owners(&claude::find(&claude_dirs)));
}

/// Returns the store of each running conversation. One that runs in two sessions belongs to the least of them, so that
/// every process says the same.
fn owners(found: &Found) -> HashMap<ConversationId, String> {
    let mut keys: HashMap<ConversationId, session_detect::IsolationKey> = HashMap::new();
    for running in &found.running {
        let key = running.session.as_ref().ok().and_then(|session| session.key.clone());
        if let (Some(id), Some(key)) = (running.conversation.id(), key) {
            let owner = keys.entry(ConversationId::from(id)).or_insert_with(|| key.clone());
            if key < *owner {
                *owner = key;
            }
        }
    }
    keys.into_iter().map(|(id, key)| (id, key.file_name())).collect()
}

/// When an ended session's store goes into the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retire {
    /// After a day.
    Later,
    /// As soon as the session is seen to have ended.
    AtOnce,
}

/// Moves the stores of sessions that ended some time ago into the archive, which all sessions see: but for those that
/// shared less than everything. These stay as they are, until they are pruned.
pub(crate) fn retire(stores: &Stores, when: Retire) -> Result<(), session_store::Error> {
    for name in stores.sessions()? {
        let age = stores.written_at(&name).and_then(|at| at.elapsed().ok()).unwrap_or_default();
        if (when == Retire::AtOnce || age > KEPT) && has_ended(stores, &name) && is_shared(stores, &name)? {
            stores.compact(&name)?;
            tracing::debug!(session = name, "moved an ended session into the archive");
        }
    }
    Ok(())
}

fn is_shared(stores: &Stores, name: &str) -> Result<bool, session_store::Error> {
    Ok(level(stores.sharing(name)?.as_deref()) == Isolation::Unified)
}

/// Returns whether the session of a store is known to have ended, or has said nothing for so long that it must have.
pub(crate) fn has_ended(stores: &Stores, name: &str) -> bool {
    let age = stores.written_at(name).and_then(|at| at.elapsed().ok()).unwrap_or_default();
    let leader = name.rsplit_once('~').and_then(|(_, tag)| ProcessId::parse_tag(tag).ok());
    match leader.map(ProcessId::liveness) {
        Some(Liveness::Alive) => false,
        Some(Liveness::Ended) => true,
        _ => age > KEPT_UNSEEN,
    }
}
