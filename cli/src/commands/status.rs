//! `claudewatch status`: this session, all live ones, and the conversations at work.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use session_analytics::{Elapsed, Live, LiveConversation, Tokens};
use session_coordinator::{CONFLICTS_RESOLVED, NOTICES, RESOURCES_SHARED};
use session_detect::{IsolationKey, Session};

use crate::config::Config;
use crate::context::{Context, now, print};
use crate::coordination::Others;
use crate::error::CliError;
use crate::feed::Feed;
use crate::presence::{Participant, Presence};
use crate::printable::printable;
use crate::table::{Column, Table, terminal_width};
use crate::words::limit_name;

pub(crate) fn run(context: &Context) -> Result<(), CliError> {
    let session = session_detect::detect();
    let book = context.prices()?;
    let archive = context.archive()?;
    let live = Feed::new(context, archive.store, book, None, &archive.ingestor).live()?;
    let folder = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    let others = Others::look(&context.config);
    let presence = Presence::look(context, &live, &others);
    if context.config.json {
        return print(&json(context, &session, &folder, &presence, &others, &live));
    }
    print(&text(context, &session, &folder, &presence, &live))
}

/// The conversations that did something within the last day.
fn recent(live: &Live) -> impl Iterator<Item = &LiveConversation> {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    live.conversations.iter().filter(|it| live.at.since(it.last_activity) < DAY)
}

fn text(context: &Context, session: &Session, folder: &str, presence: &Presence, live: &Live) -> String {
    let mut out = String::from("📊 ClaudeWatch - System Status\n");
    out.push_str("==================================================\n");
    out.push_str(&format!("🖥️  Current Session: {}\n", printable(&session.label())));
    out.push_str(&format!("📁  Project Path: {}\n", printable(folder)));
    out.push_str(&format!("⏱️  Session Type: {}\n", session.kind.name()));
    out.push_str(&format!("🔄  Active Sessions: {}\n\n", presence.sessions().len()));
    out.push_str(&sessions(context, presence));
    out.push_str(&conversations(context, live));
    out.push_str(&last_limit(live));
    out
}

/// The live sessions, in the guide's form.
fn sessions(context: &Context, presence: &Presence) -> String {
    if presence.participants.is_empty() {
        return "No Claude Code and no monitor runs now.\n\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("Session ID", 0),
        Column::left("Type", 0),
        Column::left("Project", 1),
        Column::right("Rate Limits", 0),
    ]);
    for session in presence.sessions() {
        let projects = session.iter().map(|it| it.project.as_str()).filter(|project| !project.is_empty());
        let projects: BTreeSet<&str> = projects.collect();
        let hits: u64 = session.iter().map(|it| it.rate_limit_events).sum();
        table.row(vec![
            presence.shown_id(&session[0].key),
            session[0].key.kind().name().to_owned(),
            projects.into_iter().collect::<Vec<_>>().join(", "),
            hits.to_string(),
        ]);
    }
    let drawn = table.draw(terminal_width(), context.config.colors_stdout());
    format!("📋 All Active Sessions:\n{drawn}\n")
}

/// The conversations of the last day, also those whose Claude Code has ended.
fn conversations(context: &Context, live: &Live) -> String {
    let mut table = Table::new(&[
        Column::left("Conversation", 0),
        Column::left("State", 0),
        Column::left("Project", 1),
        Column::left("Last", 2),
        Column::right("Tokens", 3),
        Column::right("Rate Limits", 0),
        Column::right("Cost", 0),
    ]);
    let mut rows = 0;
    for it in recent(live) {
        rows += 1;
        table.row(vec![
            it.id.as_str().chars().take(13).collect(),
            it.state.name().to_owned(),
            it.project.clone(),
            Elapsed(now().since(it.last_activity)).to_string(),
            Tokens(it.usage().total()).to_string(),
            it.totals.rate_limit_events.to_string(),
            it.totals.cost.to_string(),
        ]);
    }
    if rows == 0 {
        return "No conversation did anything within the last day.\n".to_owned();
    }
    format!(
        "📋 Conversations of the last day:\n{}",
        table.draw(terminal_width(), context.config.colors_stdout())
    )
}

fn last_limit(live: &Live) -> String {
    let Some(hit) = &live.last_limit else { return String::new() };
    let age = Elapsed(live.at.since(hit.at));
    let (window, conversation) = (limit_name(&hit.window), printable(hit.conversation.as_str()));
    let reset = match hit.resets_at {
        Some(reset) if reset > live.at => format!(", resets in {}", Elapsed(reset.since(live.at))),
        Some(_) => ", reset since".to_owned(),
        None => String::new(),
    };
    format!("\n⛔  Last limit: {window} in {conversation}, {age} ago{reset}\n")
}

#[derive(Serialize)]
struct StatusOut<'a> {
    schema_version: u32,
    current_session: CurrentOut<'a>,
    active_sessions: usize,
    session_types: BTreeMap<&'a str, usize>,
    sessions: Vec<SessionOut<'a>>,
    coordination: CoordinationOut<'a>,
    conversations: Vec<ConversationOut<'a>>,
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
}

#[derive(Serialize)]
struct LeaderOut {
    pid: u32,
}

#[derive(Serialize)]
pub(super) struct SessionOut<'a> {
    session_id: &'a str,
    isolation_key: &'a IsolationKey,
    session_type: &'a str,
    project: &'a str,
    pid: u32,
    role: &'a str,
    presence: &'a str,
    conversation_id: Option<&'a str>,
    started_at: Option<String>,
    last_activity: Option<String>,
    rate_limit_events: u64,
    total_tokens: u64,
    cost_usd: f64,
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

fn json(
    context: &Context,
    session: &Session,
    folder: &str,
    presence: &Presence,
    others: &Others,
    live: &Live,
) -> String {
    let out = StatusOut {
        schema_version: 1,
        current_session: CurrentOut {
            session_id: session.id(),
            isolation_key: session.key.as_ref(),
            label: session.label(),
            session_type: session.kind.name(),
            project: folder,
        },
        active_sessions: presence.sessions().len(),
        session_types: presence.types().into_iter().map(|(kind, count)| (kind.name(), count)).collect(),
        sessions: presence.participants.iter().map(session_out).collect(),
        coordination: coordination_out(&context.config, others),
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
    let text = serde_json::to_string(&out).expect("because the type holds only texts and numbers");
    format!("{text}\n")
}

pub(super) fn session_out(participant: &Participant) -> SessionOut<'_> {
    SessionOut {
        session_id: participant.key.session_id(),
        isolation_key: &participant.key,
        session_type: participant.key.kind().name(),
        project: &participant.project,
        pid: participant.pid,
        role: participant.role,
        presence: if participant.is_alive { "alive" } else { "stale" },
        conversation_id: participant.conversation.as_deref(),
        started_at: participant.started_at.map(|at| at.to_string()),
        last_activity: participant.last_activity.map(|at| at.to_string()),
        rate_limit_events: participant.rate_limit_events,
        total_tokens: participant.total_tokens,
        cost_usd: participant.cost_usd,
    }
}

fn coordination_out(config: &Config, others: &Others) -> CoordinationOut<'static> {
    let count = |counter: &str| others.counters.get(counter).copied().unwrap_or(0);
    CoordinationOut {
        mode: config.mode.name(),
        isolation: config.isolation.name(),
        notify: config.notify(),
        leader: others.leader.as_ref().map(|leader| LeaderOut { pid: leader.pid }),
        conflicts_resolved: count(CONFLICTS_RESOLVED),
        resources_shared: count(RESOURCES_SHARED),
        notices: count(NOTICES),
    }
}
