//! `claudewatch report coordination`: what hooks did about limits, by day, and how the windows ended in which they did it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use session_analytics::{
    Coordination, CoordinationOut, Elapsed, Ends, RestrainedWindow, Restraints, coordination_csv,
};
use session_store::{ConversationId, EventBackend, Ledger, Selection, Timestamp};

use super::range;
use crate::accounts::Accounts;
use crate::args::ReportArgs;
use crate::clock::now;
use crate::context::{Context, print};
use crate::error::CliError;
use crate::printable::printable_json;
use crate::table::{Column, Table, terminal_width};
use crate::words::{limit_name, moment};

/// The windows that people are shown, the last ones; JSON tells them all.
const WINDOWS_SHOWN: usize = 10;

#[derive(Serialize)]
struct Out {
    schema_version: u32,
    by: &'static str,
    timezone: String,
    since: Option<String>,
    until: Option<String>,
    #[serde(flatten)]
    told: CoordinationOut,
}

pub(super) fn run(context: &Context, args: &ReportArgs) -> Result<(), CliError> {
    let span = &args.span;
    if span.project.is_some() || span.model.is_some() || args.session.is_some() || args.session_type.is_some()
    {
        return Err(CliError::usage("report coordination is of all sessions together")
            .hinted("it can be narrowed by --since and --until"));
    }
    let (range, at) = (range(span, &context.config.zone)?, now());
    let archive = context.archive()?;
    let facts = archive.store.events(&Selection { conversations: false, ..Selection::facts() })?;
    let accounts = Accounts::known(&context.config, &archive.store)?;
    let told = of_facts(context, &facts, &range, &accounts, at);
    print(&match (args.csv, context.config.json) {
        (true, _) => coordination_csv(&told),
        (false, true) => {
            let end = |at: Timestamp, open| (at != open).then(|| at.to_string());
            let out = Out {
                schema_version: 1,
                by: "coordination",
                timezone: context.config.zone.to_string(),
                since: end(range.start, Timestamp::MIN),
                until: end(range.end, Timestamp::MAX),
                told: CoordinationOut::of(&told),
            };
            format!("{}\n", printable_json(&out))
        }
        (false, false) => text(context, &told, at),
    })
}

/// Works out what was done within a range of time.
pub(in crate::commands) fn of_facts(
    context: &Context,
    facts: &Ledger,
    range: &std::ops::Range<Timestamp>,
    accounts: &Accounts,
    at: Timestamp,
) -> Coordination {
    let account = |conversation: &ConversationId| accounts.name(conversation).map(Arc::clone);
    Coordination::of(facts, range, &context.config.zone, &account, at)
}

fn text(context: &Context, told: &Coordination, at: Timestamp) -> String {
    if told.totals.is_empty() {
        return "No call was held back for a limit in this time, and none was due to be.\n".to_owned();
    }
    let mut out = days(context, told);
    out.push('\n');
    out.push_str(&windows(context, &told.windows, at));
    out.push_str(&ends("Windows with calls held back before a hit", &told.held_back));
    out.push_str(&ends("Windows in which that was only due", &told.only_due));
    out.push_str("Whether a limit would have been met otherwise cannot be measured and is not claimed.\n");
    out
}

fn days(context: &Context, told: &Coordination) -> String {
    let mut table = Table::new(&[
        Column::left("Day", 0),
        Column::right("Waited", 0),
        Column::right("For", 0),
        Column::right("Refused", 0),
        Column::right("Told", 3),
        Column::right("Let through", 4),
        Column::right("Wait due", 1),
        Column::right("For", 2),
        Column::right("Refusal due", 1),
    ]);
    let row = |name: String, sum: &Restraints| {
        let count = |count: u64| if count > 0 { count.to_string() } else { String::new() };
        let time = |calls: u64, millis| if calls > 0 { span(millis) } else { String::new() };
        vec![
            name,
            count(sum.waits),
            time(sum.waits, sum.waited_ms),
            count(sum.refusals),
            count(sum.told),
            count(sum.released),
            count(sum.waits_due),
            time(sum.waits_due, sum.due_ms),
            count(sum.refusals_due),
        ]
    };
    told.days.iter().for_each(|(day, sum)| table.row(row(day.to_string(), sum)));
    table.totals(row("Total".to_owned(), &told.totals));
    table.draw(terminal_width(), context.config.colors_stdout())
}

fn windows(context: &Context, windows: &[RestrainedWindow], at: Timestamp) -> String {
    if windows.is_empty() {
        return String::new();
    }
    let zone = &context.config.zone;
    let mut table = Table::new(&[
        Column::left("Limit", 0),
        Column::left("Reset", 0),
        Column::left("Acted from", 1),
        Column::right("Used then", 2),
        Column::left("Hit", 0),
        Column::long("Account", 3),
    ]);
    for it in &windows[windows.len().saturating_sub(WINDOWS_SHOWN)..] {
        let hit = match it.hit_at {
            Some(hit) => moment(zone, hit, at),
            None if it.resets_at <= at => "no".to_owned(),
            None => "not yet".to_owned(),
        };
        let used = it.used_hundredths.map(|used| format!("{:.0}%", f64::from(used) / 100.0));
        table.row(vec![
            limit_name(&it.window),
            moment(zone, it.resets_at, at),
            moment(zone, it.first_at, at),
            used.unwrap_or_default(),
            hit,
            it.account.to_string(),
        ]);
    }
    format!("{}\n", table.draw(terminal_width(), context.config.colors_stdout()))
}

fn ends(what: &str, ends: &Ends) -> String {
    if ends.ended == 0 {
        return String::new();
    }
    let Ends { ended, hit, blocked_ms } = *ends;
    let unhit = ended - hit;
    let blocked = match hit {
        0 => String::new(),
        _ => format!("; from hit to reset {} in all", span(blocked_ms)),
    };
    format!("{what}: {ended} ended, {unhit} without a hit{blocked}.\n")
}

fn span(millis: u64) -> String {
    Elapsed(Duration::from_millis(millis)).to_string()
}
