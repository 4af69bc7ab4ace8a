//! When it happened: the five-hour windows of the last weeks with the limit hits in them, and the rhythm of the week.

use super::day;
use super::markup::{Markup, Short};
use crate::block::Block;
use crate::human::Grouped;
use crate::money::Usd;
use crate::overview::Overview;
use crate::report::Hit;
use crate::words::limit_name;
use session_store::{Date, Timestamp, Zone};

/// The days shown.
const DAYS_MAX: usize = 28;
/// The steps of colour.
const SHADES: f64 = 5.0;
/// The narrowest mark, in percent of a day.
const NARROWEST: f64 = 0.6;

/// One day of the timeline.
struct Day<'a> {
    date: Date,
    /// The part of the day that each window takes, 0 to 100, with the window and its spend.
    windows: Vec<(f64, f64, Block, Usd)>,
    hits: Vec<(f64, &'a Hit)>,
}

/// Tells whether there is anything to draw.
pub(super) fn is_told(overview: &Overview) -> bool {
    !overview.blocks.is_empty() || !overview.hits.is_empty()
}

/// Draws windows and rhythm.
pub(super) fn section(out: &mut Markup, overview: &Overview) {
    if !is_told(overview) {
        return;
    }
    let days = days(overview);
    out.raw("<section id=\"windows\" aria-labelledby=\"windows-h\">\n<h2 id=\"windows-h\">Five-hour windows</h2>\n");
    note(out, overview, days.len());
    let most = overview.blocks.iter().map(|row| row.totals.cost).max().unwrap_or_default();
    out.raw("<div class=\"clock\" aria-hidden=\"true\"><span style=\"left:0\">0:00</span><span style=\"left:25%\">6:00</span>");
    out.raw("<span style=\"left:50%\">12:00</span><span style=\"left:75%\">18:00</span><span style=\"left:100%\">24:00</span></div>\n<ol class=\"days\">\n");
    for it in days.iter().rev() {
        row(out, overview, it, most);
    }
    out.raw("</ol>\n");
    out.raw("<ul class=\"legend\"><li><i class=\"k l1\"></i><i class=\"k l3\"></i><i class=\"k l5\"></i> <span>little to much spend</span></li>");
    out.raw("<li><i class=\"k l3 guess\"></i> <span>inferred from use</span></li><li><b class=\"hit\"></b> <span>limit hit</span></li></ul>\n");
    rhythm(out, overview);
    out.raw("</section>\n");
}

fn note(out: &mut Markup, overview: &Overview, shown: usize) {
    let official =
        overview.blocks.iter().filter(|row| row.block.is_some_and(|(block, _)| block.anchored)).count();
    out.put(
        "<p class=\"note\">{} windows, {} fixed by an official reset, {} limit hits.",
        &[&Grouped(overview.blocks.len()), &Grouped(official), &Grouped(overview.hits.len())],
    );
    if shown == DAYS_MAX {
        out.put(" The last {} days are shown.", &[&shown]);
    }
    out.raw("</p>\n");
}

/// Cuts the windows of the last days at midnight.
fn days(overview: &Overview) -> Vec<Day<'_>> {
    let zone = &overview.zone;
    let ends = overview.blocks.iter().filter_map(|row| row.block).map(|(block, _)| zone.date_of(block.start));
    let Some(last) = ends.chain(overview.hits.iter().map(|hit| zone.date_of(hit.at))).max() else {
        return Vec::new();
    };
    let mut dates = vec![last];
    let first = overview.days.map_or(last, |(first, _)| first);
    while dates.len() < DAYS_MAX && dates[dates.len() - 1] > first {
        let start = zone.start_of(dates[dates.len() - 1]);
        dates.push(zone.date_of(start.before(std::time::Duration::from_secs(1))));
    }
    dates.reverse();
    dates.into_iter().map(|date| Day::of(date, overview)).collect()
}

impl<'a> Day<'a> {
    fn of(date: Date, overview: &'a Overview) -> Self {
        let zone = &overview.zone;
        let (start, end) = (zone.start_of(date), zone.start_of(date.tomorrow()));
        let part = |at: Timestamp| place(zone, at, start, end);
        let windows = overview.blocks.iter().filter_map(|row| {
            let (block, _) = row.block.filter(|(block, _)| block.start < end && block.end > start)?;
            let (from, to) = (part(block.start), part(block.end));
            Some((from, (to - from).max(NARROWEST), block, row.totals.cost))
        });
        let hits = overview.hits.iter().filter(|hit| (start..end).contains(&hit.at));
        Self { date, windows: windows.collect(), hits: hits.map(|hit| (part(hit.at), hit)).collect() }
    }
}

/// Returns where the clock stands, in percent of a day.
fn place(zone: &Zone, at: Timestamp, start: Timestamp, end: Timestamp) -> f64 {
    if at <= start {
        return 0.0;
    }
    if at >= end {
        return 100.0;
    }
    let (hour, minute) = zone.clock_of(at);
    (f64::from(hour) * 60.0 + f64::from(minute)) / 14.4
}

fn row(out: &mut Markup, overview: &Overview, it: &Day<'_>, most: Usd) {
    out.put("<li><span class=\"day\">{}</span><div class=\"track\">", &[&day::named(it.date)]);
    for (left, width, block, cost) in &it.windows {
        let guess = if block.anchored { "" } else { " guess" };
        let kind = if block.anchored { "" } else { " (inferred)" };
        out.put(
            "<i class=\"l{}{}\" style=\"left:{}%;width:{}%\" title=\"{}–{}{}: {}\"></i>",
            &[
                &shade(*cost, most),
                &guess,
                &Short(*left),
                &Short(*width),
                &clock(&overview.zone, block.start),
                &clock(&overview.zone, block.end),
                &kind,
                cost,
            ],
        );
    }
    for (left, hit) in &it.hits {
        out.put(
            "<b class=\"hit\" style=\"left:{}%\" title=\"{}: {} hit\"></b>",
            &[&Short(*left), &clock(&overview.zone, hit.at), &limit_name(&hit.window)],
        );
    }
    out.put("</div><span class=\"sr\">{}</span></li>\n", &[&said(it)]);
}

/// Says the row to those who cannot see it.
fn said(it: &Day<'_>) -> String {
    let windows = it.windows.len();
    match (windows, it.hits.len()) {
        (0, 0) => ": nothing used".to_owned(),
        (_, 0) => format!(": {windows} windows"),
        (_, hits) => format!(": {windows} windows, {hits} limit hits"),
    }
}

fn clock(zone: &Zone, at: Timestamp) -> String {
    let (hour, minute) = zone.clock_of(at);
    format!("{hour}:{minute:02}")
}

/// Returns a step of colour, 1 to 5, 0 for nothing.
fn shade(cost: Usd, most: Usd) -> u8 {
    if most <= Usd::ZERO {
        return 1;
    }
    let part = cost.as_dollars() / most.as_dollars();
    // Money is spread unevenly; its root shows the smaller windows too.
    (part.max(0.0).sqrt() * SHADES).ceil().clamp(1.0, SHADES) as u8
}

/// The hours of the week by their spend.
fn rhythm(out: &mut Markup, overview: &Overview) {
    let most = overview.hours.iter().copied().max().unwrap_or_default();
    if most <= Usd::ZERO {
        return;
    }
    let top = overview.hours.iter().position(|hour| *hour == most).unwrap_or(0);
    out.put(
        "<h3>The rhythm of the week</h3>\n<p class=\"note\">Most was spent on {} from {}:00 to {}:00.</p>\n",
        &[
            &["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"][top / 24],
            &(top % 24),
            &(top % 24 + 1),
        ],
    );
    out.put("<div class=\"week\" role=\"img\" aria-label=\"Spend by hour of the week; most, {}, on {} at {}:00.\">\n", &[
        &most,
        &day::WEEKDAYS[top / 24],
        &(top % 24),
    ]);
    for (weekday, name) in day::WEEKDAYS.iter().enumerate() {
        out.put("<span>{}</span>", &[name]);
        for hour in 0..24 {
            let cost = overview.hours[weekday * 24 + hour];
            if cost > Usd::ZERO {
                out.put(
                    "<i class=\"l{}\" title=\"{} {}:00: {}\"></i>",
                    &[&shade(cost, most), name, &hour, &cost],
                );
            } else {
                out.raw("<i></i>");
            }
        }
        out.raw("\n");
    }
    out.raw("</div>\n<div class=\"hours\" aria-hidden=\"true\"><span>0</span><span>6</span><span>12</span><span>18</span></div>\n");
}
