//! `claudewatch report`: usage and cost in a table, as JSON or as CSV.

mod coordination;

use std::ops::Range;
use std::time::Duration;

use session_analytics::{
    By, Elapsed, Figures, Filter, Problems, Report, ReportOptions, Row, Sessions, Tokens, Totals, Usd,
    anchors, cuts, report_csv, report_json,
};
use session_detect::Kind;
use session_store::{Date, EventBackend, ModelId, Selection, Timestamp, Zone};

use crate::args::{ReportArgs, ReportBy, SpanArgs};
use crate::clock::now;
use crate::context::{Archive, Context, print};
use crate::error::CliError;
use crate::line::bar;
use crate::sessions;
use crate::table::{Column, Table, terminal_width};
use crate::words::{self, models_text};

pub(super) use coordination::of_facts as coordination_of;

/// The length of the greatest bar.
const BAR_CELLS: u32 = 12;

pub(crate) fn run(context: &Context, args: &ReportArgs) -> Result<(), CliError> {
    let Some(by) = rows(args.by) else { return coordination::run(context, args) };
    let options = ReportOptions {
        by,
        zone: context.config.zone.clone(),
        range: range(&args.span, &context.config.zone)?,
        filter: Filter {
            session: args.session.clone(),
            session_type: args.session_type.map(|it| Kind::from(it).name().to_owned()),
            ..filter(&args.span)
        },
        now: now(),
    };
    let book = context.prices()?;
    let archive = context.archive()?;
    let figures = figures_for(&archive, &options)?;
    let sessions = match options.needs_sessions() {
        true => sessions::of_stores(&archive.store, &figures.facts)?,
        false => Sessions::default(),
    };
    let mut report = Report::build_with(&figures, &sessions, &book, &options, &context.project_of());
    note_problems(&mut report.problems, &archive);
    // The option comes first: it cannot be given beside `--json`, but beside a `json` of the configuration.
    let text = if args.csv {
        report_csv(&report)
    } else if context.config.json {
        format!("{}\n", report_json(&report))
    } else {
        table(&report, &options, context.config.colors_stdout())
    };
    print(&text)?;
    // The process ends here. The stores have to be closed; memory is given back at once.
    std::mem::forget((figures, report));
    Ok(())
}

/// Reads no more than the report needs: blocks depend on what was before them.
fn figures_for(archive: &Archive, options: &ReportOptions) -> Result<Figures, CliError> {
    // Who ran what is told among the other facts.
    let others = options.needs_others() || options.needs_sessions();
    let conversations = options.needs_conversations();
    let facts = archive.store.events(&Selection { conversations, others, ..Selection::facts() })?;
    let (range, mut cuts) = match options.by {
        By::Block => (Timestamp::MIN..Timestamp::MAX, cuts(&anchors(&facts))),
        _ => (options.range.clone(), Vec::new()),
    };
    // A time within a quarter hour divides it: only the part on the right side of it is covered.
    let ends = [options.range.start, options.range.end];
    cuts.extend(ends.into_iter().filter(|&at| at != Timestamp::MIN && at != Timestamp::MAX));
    cuts.sort_unstable();
    let cells = match conversations || options.needs_sessions() {
        true => archive.store.cells(range, &cuts)?,
        false => archive.store.cells_together(range, &cuts)?,
    };
    Ok(Figures { cells, facts })
}

pub(crate) fn note_problems(problems: &mut Problems, archive: &Archive) {
    problems.lines_skipped = archive.scan.lines_skipped.values().sum();
    problems.files_skipped = archive.scan.files_skipped.len() as u64;
}

/// Returns what the rows of usage are; `None` where another report is asked for.
fn rows(by: ReportBy) -> Option<By> {
    Some(match by {
        ReportBy::Daily => By::Daily,
        ReportBy::Weekly => By::Weekly,
        ReportBy::Monthly => By::Monthly,
        ReportBy::Conversation => By::Conversation,
        ReportBy::Project => By::Project,
        ReportBy::Model => By::Model,
        ReportBy::Block => By::Block,
        ReportBy::Session => By::Session,
        ReportBy::Type => By::Type,
        ReportBy::User => By::User,
        ReportBy::Host => By::Host,
        ReportBy::Coordination => return None,
    })
}

fn filter(span: &SpanArgs) -> Filter {
    Filter { project: span.project.clone(), model: span.model.clone(), ..Filter::default() }
}

pub(super) fn range(span: &SpanArgs, zone: &Zone) -> Result<Range<Timestamp>, CliError> {
    let read = |option: &str, text: &Option<String>, default| match text {
        None => Ok(default),
        Some(text) => moment(text, zone).ok_or_else(|| {
            CliError::usage(format!("{option}: `{text}` is no date or time"))
                .hinted("write 2026-11-22, 2026-11-22T14:00, or 2026-11-22T14:00:00Z")
        }),
    };
    let range = read("--since", &span.since, Timestamp::MIN)?..read("--until", &span.until, Timestamp::MAX)?;
    if range.start >= range.end {
        return Err(CliError::usage("--since is not before --until"));
    }
    Ok(range)
}

/// Reads a date, a local time or RFC 3339.
fn moment(text: &str, zone: &Zone) -> Option<Timestamp> {
    if let Some(date) = Date::parse(text) {
        return Some(zone.start_of(date));
    }
    if let Some(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let (date, clock) = text.split_once(['T', ' '])?;
    let date = Date::parse(date)?;
    let mut parts = clock.splitn(2, ':').map(|part| part.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let time = session_store::ClockTime {
        hour,
        minute,
        year: Some(date.year),
        month_day: Some((date.month, date.day)),
        ..Default::default()
    };
    zone.next(time, Timestamp::MIN)
}

fn table(report: &Report, options: &ReportOptions, color: bool) -> String {
    if report.rows.is_empty() {
        return format!("Nothing was used in this time.\n{}", remarks(report));
    }
    let has_hits = report.totals.rate_limit_events > 0;
    let columns = columns(report.by, has_hits);
    let cells = |row: &Row| {
        let mut cells = cells(row, options);
        if has_hits {
            // Before the cost.
            cells.insert(cells.len() - 1, hits_text(&row.totals));
        }
        cells
    };
    let mut table = Table::new(&columns);
    let most = report.rows.iter().map(|row| row.totals.cost).max().unwrap_or_default();
    for row in &report.rows {
        let mut cells = cells(row);
        cells.push(part_bar(row.totals.cost, most));
        table.row(cells);
    }
    let total = Row { key: "Total".to_owned(), totals: report.totals.clone(), ..Row::default() };
    let mut cells = cells(&total);
    cells.push(String::new());
    table.totals(cells);
    let mut text = table.draw(terminal_width(), color);
    text.push_str(&remarks(report));
    text
}

/// Returns the columns; that of limit hits is left out where there was none.
fn columns(by: By, has_hits: bool) -> Vec<Column> {
    let title = match by {
        By::Weekly => "Week of",
        By::Monthly => "Month",
        By::Conversation => "Conversation",
        By::Project => "Project",
        By::Model => "Model",
        By::Block => "Block",
        By::Session => "Session",
        By::Type => "Type",
        By::User => "User",
        By::Host => "Host",
        _ => "Day",
    };
    let mut columns = vec![if by == By::Project { Column::long(title, 0) } else { Column::left(title, 0) }];
    if by == By::Conversation {
        columns.push(Column::long("Project", 3));
        columns.push(Column::right("Claude Code's cost", 8));
    }
    if by != By::Model {
        columns.push(Column::left("Models", 7));
    }
    columns.extend([
        Column::right("Messages", 6),
        Column::right("Input", 4),
        Column::right("Output", 2),
        Column::right("Cache write", 5),
        Column::right("Cache read", 5),
        Column::right("Tokens", 1),
    ]);
    if has_hits {
        columns.push(Column::right("Limits", 6));
    }
    columns.extend([Column::right("Cost", 0), Column::left("", 10)]);
    columns
}

fn cells(row: &Row, options: &ReportOptions) -> Vec<String> {
    let Totals { sum, cost, estimated, models, .. } = &row.totals;
    let usage = &sum.usage;
    let is_total = row.key == "Total";
    let mut cells = vec![match &row.block {
        Some((block, active)) => block_name(block, *active, options),
        None => row.key.clone(),
    }];
    if options.by == By::Conversation {
        cells.push(row.project.clone().unwrap_or_default());
        cells.push(row.client.map(|client| client_text(client.cost, client.difference)).unwrap_or_default());
    }
    if options.by != By::Model {
        cells.push(if is_total { String::new() } else { models_text(models.iter().map(ModelId::as_str)) });
    }
    let tokens = |count| Tokens(count).to_string();
    cells.extend([
        sum.messages.to_string(),
        tokens(usage.input),
        tokens(usage.output),
        tokens(usage.cache_write_5m.saturating_add(usage.cache_write_1h)),
        tokens(usage.cache_read),
        tokens(usage.total()),
        if *estimated { format!("~{cost}") } else { cost.to_string() },
    ]);
    cells
}

fn hits_text(totals: &Totals) -> String {
    if totals.rate_limit_events > 0 { totals.rate_limit_events.to_string() } else { String::new() }
}

/// Draws a cost beside the greatest one; nothing where there is none.
fn part_bar(cost: Usd, most: Usd) -> String {
    let part = cost.as_dollars() / most.as_dollars();
    // The cast makes zero of what is no number.
    bar((part * 1e4).round() as u32, BAR_CELLS).trim_end_matches('░').to_owned()
}

fn client_text(cost: Usd, difference: Option<Usd>) -> String {
    match difference {
        None => format!("{cost} with parent"),
        Some(difference) if difference.abs() < Usd::from_nanos(5_000_000) => format!("{cost} ="),
        Some(difference) if difference > Usd::ZERO => format!("{cost} (ours +{difference})"),
        Some(difference) => format!("{cost} (ours {difference})"),
    }
}

fn block_name(block: &session_analytics::Block, active: bool, options: &ReportOptions) -> String {
    let zone = &options.zone;
    let clock = |at| {
        let (hour, minute) = zone.clock_of(at);
        format!("{hour:02}:{minute:02}")
    };
    let mark = if block.anchored { "" } else { "~" };
    let now = if active {
        format!(" running, {} left", Elapsed(block.end.since(options.now).max(Duration::ZERO)))
    } else {
        String::new()
    };
    format!("{} {mark}{}–{}{now}", zone.date_of(block.start), clock(block.start), clock(block.end))
}

/// Says below the table what the figures leave out.
fn remarks(report: &Report) -> String {
    let Problems { lines_skipped, files_skipped, unpriced_models, under_reported_messages } =
        &report.problems;
    let mut text = String::new();
    if !unpriced_models.is_empty() {
        let names: Vec<&str> = unpriced_models.iter().map(|model| model.as_str()).collect();
        let names = names.join(", ");
        text.push_str(&format!(
            "Without a price, so not in the cost: {}\n",
            crate::printable::printable(&names)
        ));
    }
    let is_unknown = |row: &Row| row.key == "unknown";
    if matches!(report.by, By::Session | By::Type | By::User | By::Host) && report.rows.iter().any(is_unknown)
    {
        text.push_str(
            "unknown: read from transcripts, not seen while it ran; from now on sessions are noted.\n",
        );
    }
    if report.totals.estimated {
        text.push_str("~ holds a model of unknown price, estimated by its family.\n");
    }
    if report.rows.iter().any(|row| row.block.is_some_and(|(block, _)| !block.anchored)) {
        text.push_str("~ before the times of a block: inferred from use, no official reset fixes it.\n");
    }
    if *under_reported_messages > 0 {
        let messages = words::count(*under_reported_messages, "message");
        let are = if *under_reported_messages == 1 { "is" } else { "are" };
        text.push_str(&format!(
            "{messages} {are} from versions of Claude Code (2.1.12 to 2.1.96) that recorded too little output.\n"
        ));
    }
    if *lines_skipped > 0 || *files_skipped > 0 {
        let skipped = [(*lines_skipped, "damaged line"), (*files_skipped, "unreadable file")];
        let skipped = skipped.into_iter().filter(|(count, _)| *count > 0);
        let skipped: Vec<String> = skipped.map(|(count, what)| words::count(count, what)).collect();
        text.push_str(&format!("Not counted: {}.\n", skipped.join(", ")));
    }
    text
}
