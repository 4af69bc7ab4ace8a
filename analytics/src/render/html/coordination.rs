//! What hooks did about limits: the calls that waited or were refused, and the windows in which that was.

use std::time::Duration;

use session_store::{Timestamp, Zone};

use super::Page;
use super::markup::Markup;
use super::outlook::{capital, moment};
use crate::human::{Elapsed, Grouped};
use crate::restraint::{Ends, RestrainedWindow, Restraints};
use crate::words::limit_name;

/// The windows that are shown, the last ones.
const WINDOWS_SHOWN: usize = 10;

/// Returns whether there is anything to tell.
pub(super) fn is_told(page: &Page<'_>) -> bool {
    !page.coordination.totals.is_empty()
}

/// Tells what was done, what was only due, and how the windows ended.
pub(super) fn section(out: &mut Markup, page: &Page<'_>) {
    if !is_told(page) {
        return;
    }
    let told = page.coordination;
    out.raw(
        "<section id=\"coordination\" aria-labelledby=\"coordination-h\">\n<h2 id=\"coordination-h\">Held back for limits</h2>\n",
    );
    out.put("<p>{}</p>\n", &[&sentence(&told.totals)]);
    if !told.windows.is_empty() {
        out.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"coordination-h\"><table><thead><tr>");
        out.raw("<th scope=\"col\">Window</th><th scope=\"col\" class=\"n\">Used then</th><th scope=\"col\" class=\"n w\">Waited</th>");
        out.raw(
            "<th scope=\"col\" class=\"n w\">Refused</th><th scope=\"col\">Hit</th></tr></thead><tbody>\n",
        );
        let (zone, now) = (&page.overview.zone, page.overview.at);
        let first = told.windows.len().saturating_sub(WINDOWS_SHOWN);
        told.windows[first..].iter().for_each(|it| row(out, it, zone, now));
        out.raw("</tbody></table></div>\n");
    }
    ends(out, "Where calls were held back before a hit", &told.held_back);
    ends(out, "Where that was only due", &told.only_due);
    out.raw("<p><small>Whether a limit would have been met otherwise cannot be measured and is not claimed.</small></p>\n</section>\n");
}

fn row(out: &mut Markup, it: &RestrainedWindow, zone: &Zone, now: Timestamp) {
    let used = it.used_hundredths.map_or("–".to_owned(), |used| format!("{:.0}%", f64::from(used) / 100.0));
    let count = |count: u64| if count > 0 { Grouped(count).to_string() } else { "–".to_owned() };
    let hit = match it.hit_at {
        Some(hit) => moment(zone, hit, now),
        None if it.resets_at <= now => "no".to_owned(),
        None => "not yet".to_owned(),
    };
    out.put(
        "<tr><th scope=\"row\">{}<small>reset {}</small></th><td class=\"n\">{}</td>",
        &[&capital(&limit_name(&it.window)), &moment(zone, it.resets_at, now), &used],
    );
    out.put(
        "<td class=\"n w\">{}</td><td class=\"n w\">{}</td><td>{}</td></tr>\n",
        &[&count(it.restraints.waits), &count(it.restraints.refusals), &hit],
    );
}

/// Says what was done to calls, and what was only due.
fn sentence(sum: &Restraints) -> String {
    let time = |millis| Elapsed(Duration::from_millis(millis));
    let parts = [
        (sum.waits, "waited", "waited", format!(", {} in all", time(sum.waited_ms))),
        (sum.refusals, "was refused", "were refused", String::new()),
        (sum.told, "went on with a word to its human", "went on with a word to their humans", String::new()),
        (
            sum.released,
            "went on because its session had borne enough",
            "went on because their sessions had borne enough",
            String::new(),
        ),
        (
            sum.waits_due,
            "was due to wait",
            "were due to wait",
            format!(", {} in all, and only observed", time(sum.due_ms)),
        ),
        (
            sum.refusals_due,
            "was due to be refused",
            "were due to be refused",
            " and only observed".to_owned(),
        ),
    ];
    let told =
        parts.into_iter().filter(|(count, ..)| *count > 0).map(|(count, one, several, more)| match count {
            1 => format!("1 call {one}{more}"),
            _ => format!("{} calls {several}{more}", Grouped(count)),
        });
    format!("{}.", told.collect::<Vec<_>>().join("; "))
}

fn ends(out: &mut Markup, what: &'static str, ends: &Ends) {
    let Ends { ended, hit, blocked_ms } = *ends;
    if ended == 0 {
        return;
    }
    let unhit = if hit == ended { "none".to_owned() } else { Grouped(ended - hit).to_string() };
    out.put("<p>{}: {} ended, {} without a hit", &[&what, &windows(ended), &unhit]);
    if hit > 0 {
        out.put("; from hit to reset {} in all", &[&Elapsed(Duration::from_millis(blocked_ms))]);
    }
    out.raw(".</p>\n");
}

fn windows(count: u64) -> String {
    if count == 1 { "1 window".to_owned() } else { format!("{} windows", Grouped(count)) }
}
