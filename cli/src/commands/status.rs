//! `claudewatch status`: this session, all live ones, the conversations at work, and how the sessions work together.

mod debug;
mod deeds;
pub(super) mod json;

use std::collections::BTreeSet;

use session_analytics::{Elapsed, Live, LiveConversation, PriceBook, Restraints, Tokens};
use session_coordinator::{CONFLICTS_RESOLVED, NOTICES, RESOURCES_SHARED, Scan};
use session_detect::Session;
use session_store::{Stores, Summaries};

use crate::clock::now;
use crate::config::SessionMode;
use crate::context::{Context, figures, print};
use crate::error::CliError;
use crate::feed::{self, Feed};
use crate::forecast::Wanted;
use crate::limits::{self, Known};
use crate::others::Others;
use crate::presence::{CLAUDE, Participant, Presence};
use crate::printable::printable;
use crate::table::{Column, Table, terminal_width};
use crate::told::words;
use crate::words::limit_name;

/// What there is to tell.
struct Status<'c> {
    context: &'c Context,
    session: Session,
    folder: String,
    others: Others,
    presence: Presence,
    limits: Known,
    live: Live,
    /// What hooks did about limits within the last day.
    deeds: Restraints,
    stores: Stores,
    /// What this look had to read, because nobody had yet; `None` where the leader has read everything.
    scan: Option<Scan>,
}

pub(crate) fn run(context: &Context) -> Result<(), CliError> {
    let session = session_detect::detect();
    let mut others = Others::look(&context.config);
    let folder = std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default();
    let book = context.prices()?;
    // Who looks for trouble wants to see what reading finds.
    let look = match others.view.take().filter(|_| !context.config.debug) {
        Some(view) => Look::at_view(context, &book, view, std::mem::take(&mut others.stores))?,
        None => Look::at_everything(context, book)?,
    };
    let Look { stores, scan, limits, mut live } = look;
    live.notices = others.told.news(live.at, Some(&context.projects.of(&folder)));
    let presence = Presence::look(context, &stores, &live, &others);
    let deeds = deeds::last_day(context, &stores)?;
    let status = Status { context, session, folder, others, presence, limits, live, deeds, stores, scan };
    if context.config.json {
        return print(&json::json(&status));
    }
    print(&text(&status))
}

/// What the history tells.
struct Look {
    stores: Stores,
    scan: Option<Scan>,
    limits: Known,
    live: Live,
}

impl Look {
    /// Takes the leader's view, which is what reading everything would give, and what it found in the stores, of which those
    /// that hold nothing need not be opened then. Forecasts need what the others hold.
    fn at_view(
        context: &Context,
        book: &PriceBook,
        view: Live,
        summaries: Summaries,
    ) -> Result<Self, CliError> {
        let (stores, _) = context.archive_unread();
        stores.trust(summaries);
        let limits = if view.limits.is_empty() && !limits::is_told(&context.config) {
            stores.find_homes()?;
            Known::nothing()
        } else {
            Known::gather(context, &stores, book, Wanted::Open)?
        };
        context.tell_trouble(&stores);
        Ok(Self { stores, scan: None, limits, live: view })
    }

    fn at_everything(context: &Context, book: PriceBook) -> Result<Self, CliError> {
        let archive = context.archive()?;
        let stores = archive.store.clone();
        let (figures, recent) = (figures(&stores)?, feed::recent(&stores)?);
        let feed = Feed::new(context, archive.store, book, context.single_scope()).informed()?;
        let (live, limits) = feed.look(&figures, &recent)?;
        Ok(Self { stores, scan: Some(archive.scan), limits, live })
    }
}

/// How many notices people are shown; JSON tells them all.
const NOTICES_SHOWN: usize = 5;

/// The conversations that did something within the last day.
fn recent(live: &Live) -> impl Iterator<Item = &LiveConversation> {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    live.conversations.iter().filter(|it| live.at.since(it.last_activity) < DAY)
}

fn text(status: &Status<'_>) -> String {
    let Status { context, session, folder, presence, live, .. } = status;
    let mut out = String::from("📊 ClaudeWatch - System Status\n");
    out.push_str("==================================================\n");
    out.push_str(&format!("🖥️  Current Session: {}\n", printable(&session.label())));
    out.push_str(&format!("📁  Project Path: {}\n", printable(folder)));
    out.push_str(&format!("⏱️  Session Type: {}\n", session.kind.name()));
    out.push_str(&format!("🔄  Active Sessions: {}\n\n", presence.live().count()));
    out.push_str(&sessions(context, presence));
    out.push_str(&limits(status));
    out.push_str(&conversations(context, live));
    out.push_str(&last_limit(live));
    out.push_str(&notices(live));
    out.push_str(&coordination(status));
    out.push_str(&deeds::text(&status.deeds));
    if context.config.debug {
        out.push_str(&debug::text(status));
    }
    out
}

/// What sessions told each other lately.
fn notices(live: &Live) -> String {
    let mut out = String::new();
    for notice in live.notices.iter().take(NOTICES_SHOWN) {
        let age = Elapsed(live.at.since(notice.at));
        let place = notice.project.as_deref().map(|it| format!(" in {}", printable(it))).unwrap_or_default();
        let same = if notice.same_project { " (same project)" } else { "" };
        out.push_str(&format!("🔔  {}{place}{same}, {age} ago\n", words(notice)));
    }
    out
}

/// The live sessions, a line each, and those whose monitor ended without a word.
fn sessions(context: &Context, presence: &Presence) -> String {
    if presence.participants.is_empty() {
        return "No Claude Code and no monitor runs now.\n\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("Session ID", 0),
        Column::left("Type", 0),
        Column::long("Project", 1),
        Column::right("Rate Limits", 0),
        Column::left("Presence", 2),
        Column::right("Tokens", 3),
        Column::right("CPU", 4),
        Column::right("Memory", 4),
    ]);
    for session in presence.sessions() {
        let projects = session.iter().map(|it| it.project.as_str()).filter(|project| !project.is_empty());
        let projects: BTreeSet<&str> = projects.collect();
        let used = presence.used_by(&session[0].key);
        let footprints: Vec<_> = session.iter().filter_map(|it| it.footprint).collect();
        let footprint = |text: String| if footprints.is_empty() { String::new() } else { text };
        let ended = if session.iter().any(|it| it.is_alive) { "" } else { " (ended)" };
        table.row(vec![
            format!("{}{ended}", presence.shown_id(&session[0].key)),
            session[0].key.kind().name().to_owned(),
            projects.into_iter().collect::<Vec<_>>().join(", "),
            used.rate_limit_events.to_string(),
            who(session),
            Tokens(used.total_tokens).to_string(),
            footprint(format!(
                "{:.1} %",
                footprints.iter().map(|footprint| footprint.cpu_percent).sum::<f64>()
            )),
            footprint(memory(footprints.iter().map(|footprint| footprint.memory_bytes).sum())),
        ]);
    }
    let drawn = table.draw(terminal_width(), context.config.colors_stdout());
    format!("📋 All Active Sessions:\n{drawn}\n")
}

/// Says who takes part in a session: `claude, monitor`, `2 claude, 3 viewers`, `monitor (stale)`.
fn who(session: &[Participant]) -> String {
    let mut parts = Vec::new();
    for role in [CLAUDE, "monitor", "viewer"] {
        for (is_alive, mark) in [(true, ""), (false, " (stale)")] {
            match session.iter().filter(|it| it.role == role && it.is_alive == is_alive).count() {
                0 => {}
                1 => parts.push(format!("{role}{mark}")),
                several if role == CLAUDE => parts.push(format!("{several} {role}{mark}")),
                several => parts.push(format!("{several} {role}s{mark}")),
            }
        }
    }
    parts.join(", ")
}

/// Writes an amount of memory: `812 kB`, `14 MB`, `1.2 GB`.
fn memory(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The limits of the accounts, with a bar each.
fn limits(status: &Status<'_>) -> String {
    let table = status.limits.table(status.context);
    if status.limits.rows.is_empty() { format!("{table}\n") } else { format!("📈 Limits:\n{table}\n") }
}

/// The conversations of the last day, also those whose Claude Code has ended.
fn conversations(context: &Context, live: &Live) -> String {
    let mut table = Table::new(&[
        Column::left("Conversation", 0),
        Column::left("State", 0),
        Column::long("Project", 1),
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

/// How the sessions work together, in two lines.
fn coordination(status: &Status<'_>) -> String {
    let (config, others) = (&status.context.config, &status.others);
    let mode = match config.mode {
        SessionMode::Multi => "multi-session",
        SessionMode::Single => "single session, with nobody",
        SessionMode::Uncoordinated => "off",
    };
    let notify = if config.notify() { "notices shown" } else { "notices not shown" };
    let mut out = format!("\n🤝  Coordination: {mode}, isolation {}, {notify}\n", config.isolation);
    if config.mode != SessionMode::Multi {
        return out;
    }
    let leader = match &others.leader {
        None => "no leader".to_owned(),
        Some(leader) => {
            let since = leader.since.map(|since| format!(" for {}", Elapsed(now().since(since))));
            format!("led by process {}{}", leader.pid, since.unwrap_or_default())
        }
    };
    let count = |counter: &str| others.counters.get(counter).copied().unwrap_or(0);
    let counts = [
        (CONFLICTS_RESOLVED, "conflict resolved", "conflicts resolved"),
        (RESOURCES_SHARED, "resource shared", "resources shared"),
        (NOTICES, "notice", "notices"),
    ];
    let told = |(counter, one, many)| match count(counter) {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let counts = counts.map(told).join(", ");
    out.push_str(&format!("    {leader}; {counts}\n"));
    if let (None, Some((path, reason))) = (&others.place.runtime, others.place.passed_over.first()) {
        out.push_str(&format!(
            "    nowhere to meet: {}: {}\n",
            printable(&path.to_string_lossy()),
            printable(reason)
        ));
    }
    out
}
