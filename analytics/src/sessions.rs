//! Sessions as figures need them: plain attributes, and which conversation ran where from when on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use session_store::{ConversationId, Timestamp};

/// What is known of a session beside its figures.
///
/// The texts come from the session's isolation key; whoever knows how to read one fills them in. Nothing here is checked:
/// equal texts are equal sessions, users, hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionInfo {
    /// The five-part id, such as `pts/1:local:herb:workstation:12345`.
    pub session_id: Arc<str>,
    /// The whole key, with the tag that makes it unique; empty where it is not known.
    pub isolation_key: Arc<str>,
    /// `local`, `ssh`, `vscode`, `jupyter`, `container` or `script`.
    pub session_type: Arc<str>,
    /// The user.
    pub user: Arc<str>,
    /// The host.
    pub host: Arc<str>,
}

/// Which sessions there are, and which conversation ran in which.
///
/// A conversation may move: what it did belongs to the session that it ran in then. Values merge in any order to the same.
///
/// ```
/// use session_analytics::{SessionInfo, Sessions};
/// use session_store::Timestamp;
///
/// let mut sessions = Sessions::default();
/// let info = |id: &str| SessionInfo { session_id: id.into(), user: "herb".into(), ..SessionInfo::default() };
/// sessions.ran("morning", info("pts/1:local:herb:ws:1"), &"c".into(), Timestamp::from_seconds(100));
/// sessions.ran("evening", info("pts/2:local:herb:ws:2"), &"c".into(), Timestamp::from_seconds(500));
/// let at = |seconds| sessions.of(&"c".into(), Timestamp::from_seconds(seconds)).map(|it| it.session_id.to_string());
/// assert_eq!(at(499).as_deref(), Some("pts/1:local:herb:ws:1"));
/// assert_eq!(at(500).as_deref(), Some("pts/2:local:herb:ws:2"));
/// assert_eq!(at(50), at(499)); // What was before the first known start belongs to it too.
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    infos: BTreeMap<Arc<str>, SessionInfo>,
    /// From when on a conversation ran in which session.
    runs: HashMap<ConversationId, BTreeMap<Timestamp, Arc<str>>>,
}

impl Sessions {
    /// Notes that a conversation ran in a session from `since` on; `name` is what makes the session unique.
    ///
    /// Of two sessions that claim one conversation from the same moment the lesser name stands.
    pub fn ran(&mut self, name: &str, info: SessionInfo, conversation: &ConversationId, since: Timestamp) {
        let name = self.note(name, info);
        let runs = self.runs.entry(conversation.clone()).or_default();
        let kept = runs.entry(since).or_insert_with(|| name.clone());
        if name < *kept {
            *kept = name;
        }
    }

    /// Notes a session of which no conversation is known; of two descriptions of one name the lesser stands.
    pub fn note(&mut self, name: &str, info: SessionInfo) -> Arc<str> {
        if let Some((name, known)) = self.infos.get_key_value(name) {
            let name = name.clone();
            if info < *known {
                self.infos.insert(name.clone(), info);
            }
            return name;
        }
        let name: Arc<str> = name.into();
        self.infos.insert(name.clone(), info);
        name
    }

    /// Adds what another value knows.
    pub fn merge(&mut self, other: Self) {
        for (name, info) in &other.infos {
            self.note(name, info.clone());
        }
        for (conversation, runs) in other.runs {
            for (since, name) in runs {
                let info = other.infos.get(&name).cloned().unwrap_or_default();
                self.ran(&name, info, &conversation, since);
            }
        }
    }

    /// Returns the session that a conversation ran in at a moment; `None` where none is known.
    pub fn of(&self, conversation: &ConversationId, at: Timestamp) -> Option<&SessionInfo> {
        self.infos.get(self.name_of(conversation, at)?)
    }

    /// Returns the name under which that session was noted.
    pub fn name_of(&self, conversation: &ConversationId, at: Timestamp) -> Option<&Arc<str>> {
        let runs = self.runs.get(conversation)?;
        let (_, name) = runs.range(..=at).next_back().or_else(|| runs.first_key_value())?;
        Some(name)
    }

    /// Returns whether a conversation ran in several sessions.
    pub(crate) fn has_moved(&self, conversation: &ConversationId) -> bool {
        self.runs.get(conversation).is_some_and(|runs| runs.len() > 1)
    }

    /// Returns a session by its name.
    pub fn get(&self, name: &str) -> Option<&SessionInfo> {
        self.infos.get(name)
    }

    /// Returns the sessions with their names, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &SessionInfo)> {
        self.infos.iter()
    }

    /// Returns whether no session is known.
    pub fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }
}
