//! Who is here: the running Claude Codes, each in the session it runs in, with what its conversation used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use session_analytics::{Live, LiveConversation};
use session_detect::claude::{self, Running};
use session_detect::{IsolationKey, Kind, Session};
use session_store::Timestamp;

use crate::context::Context;

/// A process that takes part in a session.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) session: Session,
    pub(crate) pid: u32,
    pub(crate) project: String,
    pub(crate) conversation: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) rate_limit_events: u64,
    pub(crate) total_tokens: u64,
    pub(crate) cost_usd: f64,
}

/// All that take part, by session and process.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    pub(crate) participants: Vec<Participant>,
}

impl Presence {
    /// Looks at the processes of this machine; some milliseconds.
    pub(crate) fn look(context: &Context, live: &Live) -> Self {
        let found = claude::find(&context.config.claude_dirs);
        let mut participants: Vec<Participant> =
            found.running.iter().filter_map(|running| participant(context, live, running)).collect();
        participants.sort_by(|a, b| (&a.session.key, a.pid).cmp(&(&b.session.key, b.pid)));
        Self { participants }
    }

    /// Returns the sessions, each once, with all that take part.
    pub(crate) fn sessions(&self) -> Vec<&[Participant]> {
        self.participants.chunk_by(|a, b| a.session.key == b.session.key && a.session.key.is_some()).collect()
    }

    /// Counts the sessions of each type.
    pub(crate) fn types(&self) -> BTreeMap<Kind, usize> {
        let mut types = BTreeMap::new();
        for session in self.sessions() {
            *types.entry(session[0].session.kind).or_default() += 1;
        }
        types
    }

    /// Returns the first four parts of each session's id, all five where several share the four.
    pub(crate) fn shown_id(&self, session: &Session) -> String {
        let like = |other: &&Participant| other.session.short_id() == session.short_id();
        let keys: BTreeSet<Option<&IsolationKey>> =
            self.participants.iter().filter(like).map(|it| it.session.key.as_ref()).collect();
        if keys.len() > 1 { session.id() } else { session.short_id() }
    }
}

/// What a running Claude Code takes part in; `None` where nothing confirms that it is one of these config folders'.
fn participant(context: &Context, live: &Live, running: &Running) -> Option<Participant> {
    let session = running.session.as_ref().ok()?.clone();
    let conversation = running.conversation.id().map(str::to_owned);
    if running.record.is_none() && conversation.is_none() {
        return None;
    }
    let known: Option<&LiveConversation> =
        live.conversations.iter().find(|it| Some(it.id.as_str()) == conversation.as_deref());
    let folder = running.working_folder.as_ref().map(|folder| folder.to_string_lossy());
    let project = known.map(|it| it.project.clone());
    let project = project.or_else(|| folder.map(|folder| context.project_of()(&folder))).unwrap_or_default();
    let said = running.record.as_ref().and_then(|record| record.updated_at).and_then(timestamp);
    let cost = known.map_or(0.0, |it| it.totals.cost.as_dollars());
    Some(Participant {
        session,
        pid: running.pid,
        project,
        conversation,
        started_at: running.started_at.and_then(timestamp),
        last_activity: known.map(|it| it.last_activity).max(said),
        rate_limit_events: known.map_or(0, |it| it.totals.rate_limit_events),
        total_tokens: known.map_or(0, |it| it.usage().total()),
        cost_usd: cost,
    })
}

/// Returns a time of the system as one of ours.
pub(crate) fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}
