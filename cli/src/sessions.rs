//! Which session ran what, as reports need it: names of stores read as isolation keys.

use std::sync::Arc;

use session_analytics::{SessionInfo, Sessions};
use session_detect::IsolationKey;
use session_store::Stores;

/// Returns the sessions that ran conversations, those of today and those whose store is in the archive.
pub(crate) fn known(stores: &Stores) -> Result<Sessions, session_store::Error> {
    let mut sessions = Sessions::default();
    for (name, conversation, since) in stores.runs()? {
        sessions.ran(&name, info(&name), &conversation, since);
    }
    Ok(sessions)
}

/// Reads the name of a session's store. One that is no key, or was cut, still tells its session from others.
fn info(name: &Arc<str>) -> SessionInfo {
    let Some(key) = IsolationKey::from_file_name(name) else {
        let unknown: Arc<str> = "unknown".into();
        return SessionInfo {
            session_id: name.clone(),
            isolation_key: name.clone(),
            session_type: unknown.clone(),
            user: unknown.clone(),
            host: unknown,
        };
    };
    SessionInfo {
        session_id: key.session_id().into(),
        isolation_key: key.as_str().into(),
        session_type: key.kind().to_string().into(),
        user: key.user().into(),
        host: key.host().into(),
    }
}
