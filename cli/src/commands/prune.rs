//! `claudewatch prune`: shows what would be deleted, asks, deletes.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use session_analytics::{Grouped, Tokens};
use session_coordinator::{Isolation, Presence, Registry};
use session_store::{Expired, LeftoverKind, PrunePlan, Pruned, Stores, Survey, Timestamp};

use crate::args::PruneArgs;
use crate::clock::now;
use crate::context::{Context, print};
use crate::coordination::{candidates, level, tell_changed};
use crate::error::CliError;
use crate::others::Place;
use crate::owners;
use crate::printable::{printable, printable_json};
use crate::table::{Column, Table, terminal_width};
use crate::words;

/// After how long without a change the folder of another run of the system is left over; one of another host that shares the
/// data folder changes every second.
const RUN_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// What there is to do, in the stores and in the runtime folder.
struct Work {
    plan: PrunePlan,
    /// Lock files of monitors that have ended.
    locks: usize,
    /// Runtime folders of earlier runs of the system.
    runs: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &PruneArgs) -> Result<(), CliError> {
    let at = now();
    let before = args.older_than.map(|age| at.before(age));
    let config = &context.config;
    let has_data = config.data_dir.join("archive.db").exists() || config.data_dir.join("sessions").is_dir();
    if !has_data {
        return tell_nothing(context);
    }
    let stores = Stores::open(&config.data_dir, at);
    if let Some(trouble) = stores.archive().trouble() {
        return Err(CliError::store("cannot prune").because(trouble.to_string()));
    }
    let has_ended = |name: &str| owners::has_ended(&stores, name);
    let is_shared = |said: Option<&str>| level(said) == Isolation::Unified;
    let survey = Survey::of(&stores, before, at, has_ended, is_shared)?;
    let work = Work {
        plan: PrunePlan::new(&survey, before),
        locks: dead_locks(context),
        runs: old_runs(context, at),
    };
    if work.is_empty() {
        return tell_nothing(context);
    }
    if !config.json {
        print(&text(context, &work, args.dry_run))?;
    }
    if args.dry_run {
        return if config.json { print(&json(context, &work, None)) } else { Ok(()) };
    }
    if !args.yes && !agreed(config.json)? {
        return print("Nothing was deleted.\n");
    }
    let pruned = perform(context, &work, &stores, at)?;
    tell_changed(config);
    if config.json {
        return print(&json(context, &work, Some(pruned)));
    }
    let Pruned { records, stores, files } = pruned;
    let [records, files, stores] =
        [words::count(records, "record"), words::count(files, "file"), words::count(stores, "store")];
    print(&format!("Deleted {records} and {files}, moved {stores} into the archive.\n"))
}

impl Work {
    fn is_empty(&self) -> bool {
        self.plan.is_empty() && self.locks == 0 && self.runs.is_empty()
    }
}

fn tell_nothing(context: &Context) -> Result<(), CliError> {
    if context.config.json {
        let nothing = Work { plan: PrunePlan::default(), locks: 0, runs: Vec::new() };
        return print(&json(context, &nothing, Some(Pruned::default())));
    }
    print("There is nothing to prune.\n")
}

fn perform(context: &Context, work: &Work, stores: &Stores, at: Timestamp) -> Result<Pruned, CliError> {
    let mut pruned = work.plan.perform(stores, at)?;
    if work.locks > 0
        && let Some(runtime) = Place::find(&candidates(&context.config)).runtime
    {
        // A monitor that came since holds its lock, and is left alone.
        let swept = Registry::open(&runtime).and_then(|registry| registry.sweep());
        pruned.files += swept.map_or(0, |swept| swept.len() as u64);
    }
    for run in &work.runs {
        std::fs::remove_dir_all(run)
            .map_err(|error| CliError::store(format!("cannot remove {}", run.display())).because(error))?;
        pruned.files += 1;
    }
    Ok(pruned)
}

/// Counts the lock files of monitors that have ended.
fn dead_locks(context: &Context) -> usize {
    let Some(runtime) = Place::find(&candidates(&context.config)).runtime else { return 0 };
    let members = Registry::open(&runtime).and_then(|registry| registry.members()).unwrap_or_default();
    members.iter().filter(|member| member.presence != Presence::Alive).count()
}

/// Finds the runtime folders of earlier runs of the system, where they are kept beside the data.
fn old_runs(context: &Context, at: Timestamp) -> Vec<PathBuf> {
    let places = candidates(&context.config);
    let is_current = |path: &PathBuf| places.iter().any(|place| place.path == *path);
    let entries = std::fs::read_dir(context.config.data_dir.join("run")).into_iter().flatten();
    let folders = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && !is_current(path));
    folders.filter(|path| newest_change(path).is_some_and(|changed| at.since(changed) > RUN_KEPT)).collect()
}

fn newest_change(folder: &PathBuf) -> Option<Timestamp> {
    let inside =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok());
    let newest = inside.chain(std::fs::metadata(folder).ok()?.modified().ok()).max()?;
    crate::presence::timestamp(newest)
}

/// Asks; without a terminal nobody can answer.
fn agreed(json: bool) -> Result<bool, CliError> {
    if json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CliError::usage("nobody can be asked here")
            .hinted("look with --dry-run, then say --yes to delete without being asked"));
    }
    write!(io::stderr().lock(), "Go on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn text(context: &Context, work: &Work, dry_run: bool) -> String {
    let PrunePlan { before, expired, compacted, leftovers, .. } = &work.plan;
    let title = if dry_run { "What would be pruned" } else { "What will be pruned" };
    let mut out = format!("🧹 {title}\n");
    if let Some(before) = before.filter(|_| !expired.is_empty()) {
        let messages: u64 = expired.iter().map(|it| it.messages).sum();
        out.push_str(&format!(
            "\nDeleted: records before {}, {} replies of {} conversations\n",
            context.config.zone.date_of(before),
            Grouped(messages),
            Grouped(expired.len())
        ));
        out.push_str(&conversations(context, expired));
        let gone = work.plan.gone_for_good().count();
        if gone > 0 {
            out.push_str(&format!(
                "⚠️  {gone} of them lie only here: no transcript read here holds them any more. They are gone for good.\n"
            ));
        }
    }
    if !compacted.is_empty() {
        out.push_str("\nMoved into the archive, which loses nothing: the stores of ended sessions\n");
        compacted.iter().for_each(|name| out.push_str(&format!("    {}.db\n", printable(name))));
    }
    if !leftovers.is_empty() || work.locks > 0 || !work.runs.is_empty() {
        out.push_str("\nRemoved: what nothing reads any more\n");
    }
    for it in leftovers {
        let what = kind_name(it.kind);
        out.push_str(&format!(
            "    {} ({what}, {} bytes)\n",
            printable(&it.path.to_string_lossy()),
            Grouped(it.bytes)
        ));
    }
    for run in &work.runs {
        out.push_str(&format!(
            "    {} (of an earlier run of the system)\n",
            printable(&run.to_string_lossy())
        ));
    }
    if work.locks > 0 {
        out.push_str(&format!("    lock files of monitors that have ended: {}\n", work.locks));
    }
    out.push('\n');
    out
}

fn kind_name(kind: LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::Quarantined => "damaged store",
        _ => "without a store",
    }
}

/// Names every conversation: nothing goes that is not named.
fn conversations(context: &Context, expired: &[Expired]) -> String {
    let zone = &context.config.zone;
    let mut table = Table::new(&[
        Column::left("Conversation", 0),
        Column::long("Project", 2),
        Column::left("From", 3),
        Column::left("To", 6),
        Column::right("Replies", 4),
        Column::right("Tokens", 5),
        Column::left("Left", 0),
    ]);
    for it in expired {
        table.row(vec![
            it.conversation.as_str().to_owned(),
            it.folder.as_deref().map(context.project_of()).unwrap_or_default(),
            zone.date_of(it.first).to_string(),
            zone.date_of(it.last).to_string(),
            it.messages.to_string(),
            Tokens(it.usage.total()).to_string(),
            if it.only_here { "nothing" } else { "transcript" }.to_owned(),
        ]);
    }
    table.draw(terminal_width(), context.config.colors_stdout())
}

#[derive(Serialize)]
struct PruneOut<'a> {
    schema_version: u32,
    before: Option<String>,
    conversations: Vec<ConversationOut<'a>>,
    compacted: &'a [String],
    leftovers: Vec<LeftoverOut>,
    stale_locks: usize,
    /// What was done; `null` for a plan alone.
    done: Option<DoneOut>,
}

#[derive(Serialize)]
struct ConversationOut<'a> {
    conversation_id: &'a str,
    project: String,
    first: String,
    last: String,
    messages: u64,
    total_tokens: u64,
    other_records: u64,
    only_here: bool,
}

#[derive(Serialize)]
struct LeftoverOut {
    path: String,
    kind: &'static str,
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct DoneOut {
    records: u64,
    stores: u64,
    files: u64,
}

fn json(context: &Context, work: &Work, done: Option<Pruned>) -> String {
    let project_of = context.project_of();
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let files = work.plan.leftovers.iter().map(|it| LeftoverOut {
        path: path(&it.path),
        kind: kind_name(it.kind),
        bytes: Some(it.bytes),
    });
    let runs = work.runs.iter().map(|run| LeftoverOut { path: path(run), kind: "earlier run", bytes: None });
    let out = PruneOut {
        schema_version: 1,
        before: work.plan.before.map(|before| before.to_string()),
        conversations: work.plan.expired.iter().map(|it| conversation_out(it, &project_of)).collect(),
        compacted: &work.plan.compacted,
        leftovers: files.chain(runs).collect(),
        stale_locks: work.locks,
        done: done.map(|Pruned { records, stores, files }| DoneOut { records, stores, files }),
    };
    let text = printable_json(&out);
    format!("{text}\n")
}

fn conversation_out<'a>(it: &'a Expired, project_of: &impl Fn(&str) -> String) -> ConversationOut<'a> {
    ConversationOut {
        conversation_id: it.conversation.as_str(),
        project: it.folder.as_deref().map(project_of).unwrap_or_default(),
        first: it.first.to_string(),
        last: it.last.to_string(),
        messages: it.messages,
        total_tokens: it.usage.total(),
        other_records: it.facts,
        only_here: it.only_here,
    }
}
