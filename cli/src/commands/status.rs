//! `claudewatch status`: this session, and the conversations at work.

use serde::Serialize;
use session_analytics::{Elapsed, Live, LiveConversation, State, Tokens};

use crate::context::{Context, now, print};
use crate::error::CliError;
use crate::feed::Feed;
use crate::printable::printable;
use crate::table::{Column, Table, terminal_width};
use crate::words::limit_name;

pub(crate) fn run(context: &Context) -> Result<(), CliError> {
    let session = session_detect::detect();
    let book = context.prices()?;
    let archive = context.archive()?;
    let live = Feed::new(context, archive.store, book, None, &archive.ingestor).live()?;
    let folder = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    if context.config.json {
        return print(&json(&session, &folder, &live));
    }
    print(&text(context, &session, &folder, &live))
}

/// The conversations that did something within the last day.
fn recent(live: &Live) -> impl Iterator<Item = &LiveConversation> {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    live.conversations.iter().filter(|it| live.at.since(it.last_activity) < DAY)
}

fn text(context: &Context, session: &session_detect::Session, folder: &str, live: &Live) -> String {
    let mut out = String::from("📊 ClaudeWatch - System Status\n");
    out.push_str("==================================================\n");
    out.push_str(&format!("🖥️  Current Session: {}\n", printable(&session.label())));
    out.push_str(&format!("📁  Project Path: {}\n", printable(folder)));
    out.push_str(&format!("⏱️  Session Type: {}\n", session.kind.name()));
    let working = live.conversations.iter().filter(|it| it.state == State::Working).count();
    out.push_str(&format!("🔄  Conversations at work: {working}\n\n"));
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
        out.push_str("No conversation did anything within the last day.\n");
    } else {
        out.push_str("📋 Conversations of the last day:\n");
        out.push_str(&table.draw(terminal_width(), context.config.colors_stdout()));
    }
    if let Some(hit) = &live.last_limit {
        let age = Elapsed(live.at.since(hit.at));
        let (window, conversation) = (limit_name(&hit.window), printable(hit.conversation.as_str()));
        out.push_str(&format!("\n⛔  Last limit: {window} in {conversation}, {age} ago"));
        match hit.resets_at {
            Some(reset) if reset > live.at => {
                out.push_str(&format!(", resets in {}\n", Elapsed(reset.since(live.at))));
            }
            Some(_) => out.push_str(", reset since\n"),
            None => out.push('\n'),
        }
    }
    out
}

#[derive(Serialize)]
struct StatusOut<'a> {
    schema_version: u32,
    current_session: SessionOut<'a>,
    conversations: Vec<ConversationOut<'a>>,
}

#[derive(Serialize)]
struct SessionOut<'a> {
    session_id: String,
    label: String,
    session_type: &'a str,
    project: &'a str,
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

fn json(session: &session_detect::Session, folder: &str, live: &Live) -> String {
    let out = StatusOut {
        schema_version: 1,
        current_session: SessionOut {
            session_id: session.id(),
            label: session.label(),
            session_type: session.kind.name(),
            project: folder,
        },
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
