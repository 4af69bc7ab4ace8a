//! Which conversation ran in which session: by the processes that run now, and by the sessions' stores.

use session_analytics::{SessionInfo, Sessions};
use session_detect::IsolationKey;
use session_store::{CELL_WIDTH, Fact, Ledger, Stores, Timestamp};

use crate::error::CliError;
use crate::presence::Presence;

/// Gathers what is known; the stores say it of sessions whose processes have ended.
pub(crate) fn known(stores: &Stores, facts: &Ledger, presence: &Presence) -> Result<Sessions, CliError> {
    let mut sessions = of_stores(stores, facts)?;
    for it in &presence.participants {
        let name = it.key.file_name();
        sessions.note(&name, info(&it.key));
        if let Some(conversation) = &it.conversation {
            let since = it.started_at.unwrap_or(Timestamp::MIN);
            sessions.ran(&name, info(&it.key), &conversation.as_str().into(), since.floor(CELL_WIDTH));
        }
    }
    Ok(sessions)
}

/// Gathers what the stores say, also of sessions whose store went into the archive; `facts` are all that they hold.
///
/// A conversation that moves changes hands at a quarter hour, in which sums are kept.
pub(crate) fn of_stores(stores: &Stores, facts: &Ledger) -> Result<Sessions, CliError> {
    let mut sessions = Sessions::default();
    for name in stores.sessions()? {
        if let Some(key) = IsolationKey::from_file_name(&name) {
            sessions.note(&name, info(&key));
        }
    }
    for event in facts.iter() {
        if let Fact::Ownership(told) = &event.fact
            && let Some(key) = IsolationKey::from_file_name(&told.session)
        {
            let since = event.at.floor(CELL_WIDTH);
            sessions.ran(&told.session, info(&key), &event.owner.conversation, since);
        }
    }
    Ok(sessions)
}

fn info(key: &IsolationKey) -> SessionInfo {
    SessionInfo {
        session_id: key.session_id().into(),
        isolation_key: key.as_str().into(),
        session_type: key.kind().name().into(),
        user: key.user().into(),
        host: key.host().into(),
    }
}
