//! Which conversation ran in which session: by the processes that run now, and by the sessions' stores.

use session_analytics::{SessionInfo, Sessions};
use session_detect::IsolationKey;
use session_store::{EventBackend, Fact, Selection, Stores, Timestamp};

use crate::error::CliError;
use crate::presence::Presence;

/// Gathers what is known; the stores say it of sessions whose processes have ended.
pub(crate) fn known(stores: &Stores, presence: &Presence) -> Result<Sessions, CliError> {
    let mut sessions = Sessions::default();
    for name in stores.sessions()? {
        let Some(key) = key_of(&name) else { continue };
        sessions.note(&name, info(&key));
        for event in stores.session(&name).events(&Selection::facts())?.iter() {
            if let Fact::Conversation(told) = &event.fact {
                sessions.ran(&name, info(&key), &event.owner.conversation, told.first.at);
            }
        }
    }
    for it in &presence.participants {
        let name = it.key.file_name();
        sessions.note(&name, info(&it.key));
        if let Some(conversation) = &it.conversation {
            let since = it.started_at.unwrap_or(Timestamp::MIN);
            sessions.ran(&name, info(&it.key), &conversation.as_str().into(), since);
        }
    }
    Ok(sessions)
}

/// Reads a key back from the name of its store; `None` where the name was cut or is no key's.
fn key_of(name: &str) -> Option<IsolationKey> {
    let (id, tag) = name.strip_prefix("s-")?.rsplit_once('~')?;
    let key: IsolationKey = format!("{}~{tag}", id.replace('=', "/").replace('+', ":")).parse().ok()?;
    (key.file_name() == name).then_some(key)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stores_are_read_back() {
        let text = "pts/1:ssh_client:he%3Arb:ws=1:12~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12.86c30";
        let check = |text: &str| {
            let key: Option<IsolationKey> = text.parse().ok();
            if let Some(key) = key {
                assert_eq!(key_of(&key.file_name()).as_ref(), Some(&key), "{text}");
            }
        };
        check(text);
        check("pts/1:local:herb:ws:12~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12.86c30");
        assert_eq!(key_of("archive"), None);
        assert_eq!(key_of("s-pts=1+local~x"), None);
    }
}
