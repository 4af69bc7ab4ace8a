//! What comes next: the limits with their forecasts, and what a user can do.

use std::fmt::Display;
use std::time::Duration;

use super::Page;
use super::day;
use super::markup::{Markup, Short};
use crate::forecast::{Method, Prediction};
use crate::human::{Elapsed, Grouped};
use crate::limits::{Limit, LimitSource, LimitStatus, NEAR};
use crate::money::Usd;
use crate::recommend::{Impact, Recommendation, Subject};
use crate::words::limit_name;
use session_store::{Timestamp, Zone};

/// Draws a meter for each limit, with what is known of its future.
pub(super) fn limits(out: &mut Markup, page: &Page<'_>) {
    if page.limits.is_empty() {
        return;
    }
    out.raw("<section id=\"limits\" aria-labelledby=\"limits-h\">\n<h2 id=\"limits-h\">Limits</h2>\n<ul class=\"limits\">\n");
    let first = &page.limits[0].account;
    let several = page.limits.iter().any(|limit| limit.account != *first);
    for limit in page.limits {
        let of_it = |it: &&Prediction| it.account == *limit.account && it.window == limit.window;
        meter(out, page, limit, several, page.predictions.iter().find(of_it));
    }
    out.raw("</ul>\n</section>\n");
}

fn meter(out: &mut Markup, page: &Page<'_>, limit: &Limit, several: bool, forecast: Option<&Prediction>) {
    let (now, zone) = (page.overview.at, &page.overview.zone);
    let used = limit.used_now();
    let is_hit = limit.status == LimitStatus::Rejected && !limit.is_over;
    let tone = match used {
        _ if is_hit => "bad",
        Some(used) if used >= NEAR => "near",
        _ => "fine",
    };
    out.put("<li class=\"{}\"><h3>{}", &[&tone, &capital(&limit_name(&limit.window))]);
    if several {
        out.put(" <small><bdi>{}</bdi></small>", &[&limit.account]);
    }
    let state: &dyn Display = match used {
        _ if is_hit => &"hit",
        Some(used) => &format!("{} used", Percent(used)),
        None => &"not told how much is used",
    };
    out.put("</h3>\n<p class=\"state\">{}</p>\n", &[state]);
    if let Some(used) = used {
        out.put("<div class=\"meter\" role=\"meter\" aria-label=\"{}\" aria-valuemin=\"0\" aria-valuemax=\"100\" aria-valuenow=\"{}\">", &[
            &limit_name(&limit.window),
            &Short(f64::from(used) / 100.0),
        ]);
        out.put("<i style=\"width:{}%\"></i>", &[&Short(f64::from(used) / 100.0)]);
        if let Some(elapsed) = limit.elapsed(now).filter(|_| !limit.is_over) {
            out.put(
                "<b style=\"left:{}%\" title=\"{} of the window has passed\"></b>",
                &[&Short(elapsed * 100.0), &Percent((elapsed * 10_000.0) as u32)],
            );
        }
        out.raw("</div>\n");
    }
    out.put(
        "<p>{}{}</p>\n",
        &[&reset(limit, zone, now), &forecast.map(|it| outlook(it, zone, now)).unwrap_or_default()],
    );
    let age = now.since(limit.observed_at);
    let age = if age < Duration::from_secs(60) {
        "just now".to_owned()
    } else {
        format!("{} before", Elapsed(age))
    };
    out.put("<p><small>Told by {}, {} this page was made.{}</small></p></li>\n", &[
        &source(limit.source),
        &age,
        &forecast.and_then(|it| it.backtest).map(|it| format!(
            " Of {} forecasts tried on this account's past, {} held the truth in their interval; the median was {} off.",
            Grouped(it.samples),
            Percent((it.coverage * 10_000.0) as u32),
            off(it.median_error_minutes),
        )).unwrap_or_default(),
    ]);
}

/// Says by how much a forecast missed.
fn off(minutes: f64) -> String {
    match minutes.round() as u64 {
        minutes @ 0..100 => format!("{minutes} minutes"),
        minutes => Elapsed(Duration::from_secs(minutes * 60)).to_string(),
    }
}

fn reset(limit: &Limit, zone: &Zone, now: Timestamp) -> String {
    match limit.resets_at {
        Some(at) if at > now => format!("Resets in {}, {}.", Elapsed(at.since(now)), moment(zone, at, now)),
        Some(at) => format!("The window ended {}; nothing is known of the next one.", moment(zone, at, now)),
        None => "When it resets was not said.".to_owned(),
    }
}

/// Says when the limit runs out, as far as that can be said.
fn outlook(it: &Prediction, zone: &Zone, now: Timestamp) -> String {
    if let Method::InsufficientData(lack) = it.method {
        return format!(" No forecast: {}.", lack.text());
    }
    if it.method == Method::Hit {
        return String::new();
    }
    let turns =
        it.turns_left.map(|turns| format!(" About {} more replies fit.", Grouped(turns))).unwrap_or_default();
    match (it.runs_out_at, it.low, it.high) {
        (None, None, _) => format!(" At this rate the reset comes first.{turns}"),
        (None, Some(low), _) => {
            format!(
                " The reset will probably come first; at the earliest it runs out {}.{turns}",
                moment(zone, low, now)
            )
        }
        (Some(at), low, high) => {
            let low =
                low.map_or_else(String::new, |low| format!(", {} at the earliest", moment(zone, low, now)));
            let high = match high {
                Some(high) => format!(", {} at the latest", moment(zone, high, now)),
                None => ", or the reset comes first".to_owned(),
            };
            format!(" At this rate it runs out {}{low}{high}.{turns}", moment(zone, at, now))
        }
    }
}

/// Writes the clock, with the day where it is another one.
pub(super) fn moment(zone: &Zone, at: Timestamp, now: Timestamp) -> String {
    let (hour, minute) = zone.clock_of(at);
    let (date, today) = (zone.date_of(at), zone.date_of(now));
    if date == today {
        format!("at {hour}:{minute:02}")
    } else {
        format!("on {} at {hour}:{minute:02}", day::named(date))
    }
}

fn source(source: LimitSource) -> &'static str {
    match source {
        LimitSource::Cache => "Claude Code's own notes",
        LimitSource::Hook => "a hook",
        LimitSource::StatusLine => "a status line",
        LimitSource::Transcript => "a transcript",
    }
}

/// Lists what a user can do, the greatest impact first.
pub(super) fn advice(out: &mut Markup, page: &Page<'_>) {
    if page.recommendations.is_empty() {
        return;
    }
    out.raw(
        "<section id=\"advice\" aria-labelledby=\"advice-h\">\n<h2 id=\"advice-h\">What you can do</h2>\n",
    );
    out.raw("<p class=\"note\">From the last 30 days, whatever this page covers; what each would have saved in that time.</p>\n<ul class=\"advice\">\n");
    for it in page.recommendations {
        out.put("<li><h3>{}</h3><p class=\"saves\">{}</p>\n<p>{}</p>\n", &[&it.title, &saves(it), &it.text]);
        out.put(
            "<p class=\"tags\"><span class=\"tag {}\">{} impact</span><span class=\"tag\">{}% sure</span>",
            &[&it.impact.name(), &capital(it.impact.name()), &Short((it.confidence * 100.0).round())],
        );
        if let Subject::Session(id) = &it.applies_to {
            out.put("<span class=\"tag\"><bdi>{}</bdi></span>", &[id]);
        }
        out.raw("</p></li>\n");
    }
    out.raw("</ul>\n</section>\n");
}

fn saves(it: &Recommendation) -> String {
    let waiting = it.saving.waiting;
    match (it.saving.cost > Usd::ZERO, waiting > Duration::ZERO) {
        (true, true) => format!("saves {} and {} of waiting", it.saving.cost, Elapsed(waiting)),
        (true, false) => format!("saves {}", it.saving.cost),
        _ => format!("saves {} of waiting", Elapsed(waiting)),
    }
}

/// Counts the recommendations that matter, for the sentence on top.
pub(super) fn weighty(page: &Page<'_>) -> usize {
    page.recommendations.iter().filter(|it| it.impact >= Impact::Medium).count()
}

/// Hundredths of a percent as people write them.
struct Percent(u32);

impl Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", Short((f64::from(self.0) / 10.0).round() / 10.0))
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
