//! Who is here: the monitors and the running Claude Codes, each in the session it runs in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use session_analytics::{Live, LiveConversation};
use session_coordinator::{Claim, Member, MemberRole, Presence as Pulse, Scope};
use session_detect::claude::{self, Running};
use session_detect::{IsolationKey, Kind};
use session_store::Timestamp;

use crate::context::Context;
use crate::coordination::Others;
use crate::owners;

/// A process that takes part in a session.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) key: IsolationKey,
    pub(crate) pid: u32,
    pub(crate) role: &'static str,
    pub(crate) is_alive: bool,
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
    /// Looks at the processes of this machine and at the monitors; some milliseconds.
    pub(crate) fn look(context: &Context, live: &Live, others: &Others) -> Self {
        let found = claude::find(&context.config.claude_dirs);
        let claims = owners::claims(&context.config);
        let claudes = found.running.iter().filter_map(|running| of_claude(context, live, &claims, running));
        let monitors = others.members.iter().map(of_member);
        let mut participants: Vec<Participant> = claudes.chain(monitors).collect();
        participants.sort_by(|a, b| (&a.key, a.role, a.pid).cmp(&(&b.key, b.role, b.pid)));
        Self { participants }
    }

    /// Returns the live sessions, each once, with all that take part.
    pub(crate) fn sessions(&self) -> Vec<&[Participant]> {
        let all = self.participants.chunk_by(|a, b| a.key == b.key);
        all.filter(|session| session.iter().any(|it| it.is_alive)).collect()
    }

    /// Counts the live sessions of each type.
    pub(crate) fn types(&self) -> BTreeMap<Kind, usize> {
        let mut types = BTreeMap::new();
        for session in self.sessions() {
            *types.entry(session[0].key.kind()).or_default() += 1;
        }
        types
    }

    /// Returns the first four parts of a session's id, all five where several sessions share the four.
    pub(crate) fn shown_id(&self, key: &IsolationKey) -> String {
        let like = self.participants.iter().map(|it| &it.key).filter(|other| other.short() == key.short());
        let several = like.collect::<BTreeSet<_>>().len() > 1;
        if several { key.session_id().to_owned() } else { key.short().to_owned() }
    }
}

/// What a running Claude Code takes part in; `None` where nothing confirms that it is one of these config folders'.
fn of_claude(
    context: &Context,
    live: &Live,
    claims: &[(Claim, SystemTime)],
    running: &Running,
) -> Option<Participant> {
    let key = running.session.as_ref().ok()?.key.clone()?;
    // What its hook said last is exact.
    let own = claims.iter().filter(|(it, _)| !it.ended && it.process.is_some() && it.process == running.id);
    let claimed = own.max_by_key(|(_, at)| *at);
    let conversation = claimed.map(|(claim, _)| claim.conversation.as_str()).or(running.conversation.id());
    let conversation = conversation.map(str::to_owned);
    if running.record.is_none() && conversation.is_none() {
        return None;
    }
    let known: Option<&LiveConversation> =
        live.conversations.iter().find(|it| Some(it.id.as_str()) == conversation.as_deref());
    let folder = running.working_folder.as_ref().map(|folder| folder.to_string_lossy());
    let project = known.map(|it| it.project.clone());
    let project = project.or_else(|| folder.map(|folder| context.project_of()(&folder))).unwrap_or_default();
    let said = running.record.as_ref().and_then(|record| record.updated_at).and_then(timestamp);
    Some(Participant {
        key,
        pid: running.pid,
        role: "claude",
        is_alive: true,
        project,
        conversation,
        started_at: running.started_at.and_then(timestamp),
        last_activity: known
            .map(|it| it.last_activity)
            .max(said)
            .max(claimed.and_then(|(_, at)| timestamp(*at))),
        rate_limit_events: known.map_or(0, |it| it.totals.rate_limit_events),
        total_tokens: known.map_or(0, |it| it.usage().total()),
        cost_usd: known.map_or(0.0, |it| it.totals.cost.as_dollars()),
    })
}

fn of_member(member: &Member) -> Participant {
    Participant {
        key: member.key.clone(),
        pid: member.pid,
        role: if member.role == MemberRole::Viewer { "viewer" } else { "monitor" },
        is_alive: member.presence == Pulse::Alive,
        project: match &member.scope {
            Scope::Project(folder) => folder.to_string_lossy().into_owned(),
            Scope::Everything => String::new(),
        },
        conversation: None,
        started_at: Some(member.started_at),
        last_activity: None,
        rate_limit_events: 0,
        total_tokens: 0,
        cost_usd: 0.0,
    }
}

/// Returns a time of the system as one of ours.
pub(crate) fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}
