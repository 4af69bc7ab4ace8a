//! Who is here: the monitors and the running Claude Codes, each in the session it runs in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::SystemTime;

use session_analytics::{Live, LiveConversation, Usd};
use session_coordinator::{Claim, Member, MemberRole, Presence as Pulse, Scope};
use session_detect::claude::{self, Running};
use session_detect::{IsolationKey, Kind};
use session_store::{ConversationId, Stores, Timestamp};

use crate::context::Context;
use crate::footprint::{self, Footprint};
use crate::others::Others;
use crate::owners;
use crate::sight::Sight;

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
    /// What its conversation used; for a monitor, what its session did.
    pub(crate) used: Used,
    /// What it takes of the machine, where it is a Claude Code.
    pub(crate) footprint: Option<Footprint>,
}

/// What was used, as far as this session may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) rate_limit_events: u64,
    pub(crate) total_tokens: u64,
    pub(crate) cost: Usd,
}

/// All that take part, by session and process.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    pub(crate) participants: Vec<Participant>,
    /// What each session used: all conversations that it ran last, also those that have ended.
    used: BTreeMap<IsolationKey, Used>,
}

impl Presence {
    /// Looks at the processes of this machine and at the monitors; some milliseconds.
    pub(crate) fn look(context: &Context, stores: &Stores, live: &Live, others: &Others) -> Self {
        let found = claude::find(&context.config.claude_dirs);
        let live: HashMap<&str, &LiveConversation> =
            live.conversations.iter().map(|it| (it.id.as_str(), it)).collect();
        let claims = owners::claims(&context.config);
        let claudes = found.running.iter().filter_map(|running| of_claude(context, &live, &claims, running));
        let monitors = others.members.iter().map(|member| of_member(context, member));
        let mut participants: Vec<Participant> = claudes.chain(monitors).collect();
        if let Some(scope) = context.single_scope() {
            participants.retain(|it| Path::new(&it.project).starts_with(&scope));
        }
        participants.sort_by(|a, b| (&a.key, a.role, a.pid).cmp(&(&b.key, b.role, b.pid)));
        let footprints = footprint::of(participants.iter().filter(|it| it.role == CLAUDE).map(|it| it.pid));
        let mut presence = Self { participants, used: BTreeMap::new() };
        presence.sum_up(&Sight::new(context.config.isolation), stores, &live, others);
        for participant in presence.participants.iter_mut().filter(|it| it.role == CLAUDE) {
            participant.footprint = footprints.get(&participant.pid).copied();
        }
        presence
    }

    /// Sums up what each session used; what may not be seen is taken away.
    fn sum_up(
        &mut self,
        sight: &Sight,
        stores: &Stores,
        live: &HashMap<&str, &LiveConversation>,
        others: &Others,
    ) {
        for session in self.participants.chunk_by_mut(|a, b| a.key == b.key) {
            let key = session[0].key.clone();
            if !sight.sees_usage(&key, stores, others) {
                session.iter_mut().for_each(Participant::hide);
                continue;
            }
            let mut ran: BTreeSet<ConversationId> = stores.at_home(&key.file_name()).into_iter().collect();
            ran.extend(session.iter().filter_map(|it| it.conversation.as_deref()).map(ConversationId::from));
            let known: Vec<_> = ran.iter().filter_map(|id| live.get(id.as_str())).collect();
            let used = known.iter().fold(Used::default(), |sum, it| sum.and(Used::of(it)));
            let last = known.iter().map(|it| it.last_activity).max();
            for monitor in session.iter_mut().filter(|it| it.role != CLAUDE) {
                monitor.used = used;
                monitor.last_activity = last.max(monitor.started_at);
            }
            self.used.insert(key, used);
        }
    }

    /// Returns the sessions, each once, with all that take part; one that has ended without a word is among them.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &[Participant]> {
        self.participants.chunk_by(|a, b| a.key == b.key)
    }

    /// Returns the live sessions.
    pub(crate) fn live(&self) -> impl Iterator<Item = &[Participant]> {
        self.sessions().filter(|session| session.iter().any(|it| it.is_alive))
    }

    /// Returns what a session used.
    pub(crate) fn used_by(&self, key: &IsolationKey) -> Used {
        self.used.get(key).copied().unwrap_or_default()
    }

    /// Counts the live sessions of each type.
    pub(crate) fn types(&self) -> BTreeMap<Kind, usize> {
        let mut types = BTreeMap::new();
        for session in self.live() {
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

pub(crate) const CLAUDE: &str = "claude";

impl Participant {
    /// Leaves of a session that shares nothing more its presence.
    fn hide(&mut self) {
        self.conversation = None;
        self.used = Used::default();
        self.last_activity = self.started_at;
    }
}

impl Used {
    fn of(conversation: &LiveConversation) -> Self {
        Self {
            rate_limit_events: conversation.totals.rate_limit_events,
            total_tokens: conversation.usage().total(),
            cost: conversation.totals.cost,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            rate_limit_events: self.rate_limit_events.saturating_add(other.rate_limit_events),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
            cost: self.cost + other.cost,
        }
    }
}

/// What a running Claude Code takes part in; `None` where nothing confirms that it is one of these config folders'.
fn of_claude(
    context: &Context,
    live: &HashMap<&str, &LiveConversation>,
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
    let known = conversation.as_deref().and_then(|id| live.get(id));
    let folder = running.working_folder.as_ref().map(|folder| folder.to_string_lossy());
    let project = known.map(|it| it.project.clone());
    let project = project.or_else(|| folder.map(|folder| context.project_of()(&folder))).unwrap_or_default();
    let said = running.record.as_ref().and_then(|record| record.updated_at).and_then(timestamp);
    let started_at = running.started_at.and_then(timestamp);
    Some(Participant {
        key,
        pid: running.pid,
        role: CLAUDE,
        is_alive: true,
        project,
        conversation,
        started_at,
        last_activity: known
            .map(|it| it.last_activity)
            .max(said)
            .max(claimed.and_then(|(_, at)| timestamp(*at)))
            .or(started_at),
        used: known.map(|it| Used::of(it)).unwrap_or_default(),
        footprint: None,
    })
}

fn of_member(context: &Context, member: &Member) -> Participant {
    // Who watches all projects works in one folder all the same.
    let project = match (&member.scope, &member.folder) {
        (Scope::Project(folder), _) => folder.to_string_lossy().into_owned(),
        (Scope::Everything, Some(folder)) => context.project_of()(&folder.to_string_lossy()),
        (Scope::Everything, None) => String::new(),
    };
    Participant {
        key: member.key.clone(),
        pid: member.pid,
        role: if member.role == MemberRole::Viewer { "viewer" } else { "monitor" },
        is_alive: member.presence == Pulse::Alive,
        project,
        conversation: None,
        started_at: Some(member.started_at),
        last_activity: Some(member.started_at),
        used: Used::default(),
        footprint: None,
    }
}

/// Returns a time of the system as one of ours.
pub(crate) fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}
