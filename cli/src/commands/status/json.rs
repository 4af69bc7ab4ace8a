//! The contract of `status --json`.

use std::collections::BTreeMap;

use serde::Serialize;
use session_analytics::{LimitOut, notices_json};
use session_coordinator::{CONFLICTS_RESOLVED, NOTICES, RESOURCES_SHARED};
use session_detect::IsolationKey;

use super::deeds::{self, DeedsOut};
use super::{Status, recent};
use crate::presence::Participant;
use crate::printable::printable_json;

#[derive(Serialize)]
struct StatusOut<'a> {
    schema_version: u32,
    current_session: CurrentOut<'a>,
    active_sessions: usize,
    session_types: BTreeMap<&'a str, usize>,
    sessions: Vec<SessionOut<'a>>,
    limits: Vec<LimitOut<'a>>,
    coordination: CoordinationOut<'a>,
    conversations: Vec<ConversationOut<'a>>,
    recent_notices: serde_json::Value,
}

#[derive(Serialize)]
struct CurrentOut<'a> {
    session_id: String,
    isolation_key: Option<&'a IsolationKey>,
    label: String,
    session_type: &'a str,
    project: &'a str,
}

#[derive(Serialize)]
struct CoordinationOut<'a> {
    mode: &'a str,
    isolation: &'a str,
    notify: bool,
    leader: Option<LeaderOut>,
    conflicts_resolved: u64,
    resources_shared: u64,
    notices: u64,
    last_day: DeedsOut,
}

#[derive(Serialize)]
struct LeaderOut {
    pid: u32,
    since: Option<String>,
}

#[derive(Serialize)]
pub(in crate::commands) struct SessionOut<'a> {
    session_id: &'a str,
    isolation_key: &'a IsolationKey,
    session_type: &'a str,
    project: &'a str,
    pid: u32,
    role: &'a str,
    presence: &'a str,
    conversation_id: Option<&'a str>,
    store: String,
    started_at: Option<String>,
    last_activity: Option<String>,
    rate_limit_events: u64,
    total_tokens: u64,
    cost_usd: f64,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
}

#[derive(Serialize)]
struct ConversationOut<'a> {
    conversation_id: &'a str,
    state: &'a str,
    project: &'a str,
    last_activity: String,
    total_tokens: u64,
    cost_usd: f64,
    rate_limit_events: u64,
}

pub(super) fn json(status: &Status<'_>) -> String {
    let Status { session, folder, presence, live, .. } = status;
    let out = StatusOut {
        schema_version: 1,
        current_session: CurrentOut {
            session_id: session.id(),
            isolation_key: session.key.as_ref(),
            label: session.label(),
            session_type: session.kind.name(),
            project: folder,
        },
        active_sessions: presence.live().count(),
        session_types: presence.types().into_iter().map(|(kind, count)| (kind.name(), count)).collect(),
        sessions: presence.participants.iter().map(session_out).collect(),
        limits: status.limits.json(),
        coordination: coordination_out(status),
        recent_notices: notices_json(&live.notices),
        conversations: recent(live)
            .map(|it| ConversationOut {
                conversation_id: it.id.as_str(),
                state: it.state.name(),
                project: &it.project,
                last_activity: it.last_activity.to_string(),
                total_tokens: it.usage().total(),
                cost_usd: it.totals.cost.as_dollars(),
                rate_limit_events: it.totals.rate_limit_events,
            })
            .collect(),
    };
    let text = printable_json(&out);
    format!("{text}\n")
}

pub(in crate::commands) fn session_out(participant: &Participant) -> SessionOut<'_> {
    SessionOut {
        session_id: participant.key.session_id(),
        isolation_key: &participant.key,
        session_type: participant.key.kind().name(),
        project: &participant.project,
        pid: participant.pid,
        role: participant.role,
        presence: if participant.is_alive { "alive" } else { "stale" },
        conversation_id: participant.conversation.as_deref(),
        store: format!("{}.db", participant.key.file_name()),
        started_at: participant.started_at.map(|at| at.to_string()),
        last_activity: participant.last_activity.map(|at| at.to_string()),
        rate_limit_events: participant.used.rate_limit_events,
        total_tokens: participant.used.total_tokens,
        cost_usd: participant.used.cost.as_dollars(),
        cpu_percent: participant.footprint.map(|footprint| (footprint.cpu_percent * 10.0).round() / 10.0),
        memory_bytes: participant.footprint.map(|footprint| footprint.memory_bytes),
    }
}

fn coordination_out(status: &Status<'_>) -> CoordinationOut<'static> {
    let (config, others) = (&status.context.config, &status.others);
    let count = |counter: &str| others.counters.get(counter).copied().unwrap_or(0);
    CoordinationOut {
        mode: config.mode.name(),
        isolation: config.isolation.name(),
        notify: config.notify(),
        leader: others
            .leader
            .as_ref()
            .map(|leader| LeaderOut { pid: leader.pid, since: leader.since.map(|since| since.to_string()) }),
        conflicts_resolved: count(CONFLICTS_RESOLVED),
        resources_shared: count(RESOURCES_SHARED),
        notices: count(NOTICES),
        last_day: deeds::json(status.context, &status.deeds),
    }
}
