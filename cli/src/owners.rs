//! Which session's store a conversation belongs to, and when an ended session's store goes into the archive.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use session_coordinator::{Claim, Claims, Isolation, RuntimeDir};
use session_detect::claude::{self, Found};
use session_detect::{Liveness, ProcessId};
use session_store::{ConversationId, Stores};

use crate::config::{Config, SessionMode};
use crate::coordination::candidates;
use crate::coordination::level;

/// How long after its last line an ended session keeps its store.
const KEPT: Duration = Duration::from_secs(86_400);
/// The same where it cannot be seen whether the session has ended: it may be of another boot or machine.
const KEPT_UNSEEN: Duration = Duration::from_secs(7 * 86_400);

/// Makes the stores ask who runs which conversation.
pub(crate) fn ask(stores: &Stores, config: Config) {
    stores.ask_for_owners(move || owners(&claude::find(&config.claude_dirs), &claims(&config)));
}

/// Returns what conversations' own hooks said of who runs them.
pub(crate) fn claims(config: &Config) -> Vec<(Claim, SystemTime)> {
    let runtime = RuntimeDir::find_first(&candidates(config)).filter(|_| config.mode == SessionMode::Multi);
    let Some(claims) = runtime.and_then(|runtime| Claims::open(&runtime).ok()) else { return Vec::new() };
    claims.sweep(KEPT);
    claims.list()
}

/// Returns the store of each running conversation. What a conversation's hook said is exact; elsewhere one that runs in two sessions belongs to the least of them, so that
/// every process says the same.
fn owners(found: &Found, claims: &[(Claim, SystemTime)]) -> HashMap<ConversationId, String> {
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
    for (claim, _) in claims {
        let id = ConversationId::from(claim.conversation.as_str());
        if claim.ended || !claim.is_good() {
            // It may run elsewhere by now; if not, its last lines are still of this session.
            keys.entry(id).or_insert_with(|| claim.key.clone());
        } else {
            keys.insert(id, claim.key.clone());
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

impl Retire {
    /// Returns what the user wants.
    pub(crate) fn by(config: &Config) -> Self {
        if config.optimize_resources { Self::AtOnce } else { Self::Later }
    }
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
