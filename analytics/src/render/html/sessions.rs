//! The sessions: where each runs, what it worked on, what it used.

use super::Page;
use super::chart::percent;
use super::markup::Markup;
use super::words::{cost_text, folder};
use crate::human::{Grouped, Tokens};
use crate::overview::SessionLine;
use crate::score::Effort;

/// Rows of the table, the dearest and the live ones.
const ROWS_MAX: usize = 40;

/// Tells whether there is a session to tell of.
pub(super) fn is_told(page: &Page<'_>) -> bool {
    !told(page).is_empty()
}

/// Returns the live sessions, and of those that ended what used something.
fn told<'a>(page: &Page<'a>) -> Vec<&'a SessionLine> {
    let wanted = |line: &&SessionLine| is_alive(page, line) || !line.conversations.is_empty();
    page.overview.sessions.iter().filter(wanted).collect()
}

fn is_alive(page: &Page<'_>, line: &SessionLine) -> bool {
    page.contexts.get(&line.name).is_some_and(|context| context.is_alive)
}

/// Draws the table of sessions.
pub(super) fn section(out: &mut Markup, page: &Page<'_>) {
    let mut lines = told(page);
    if lines.is_empty() {
        return;
    }
    let is_alive = |line: &SessionLine| is_alive(page, line);
    let all = lines.len();
    lines.sort_by(|a, b| {
        let rank = |line: &SessionLine| (is_alive(line), line.totals.cost);
        rank(b).cmp(&rank(a)).then_with(|| (&a.info.session_id, &a.name).cmp(&(&b.info.session_id, &b.name)))
    });
    lines.truncate(ROWS_MAX);
    out.raw(
        "<section id=\"sessions\" aria-labelledby=\"sessions-h\">\n<h2 id=\"sessions-h\">Sessions</h2>\n",
    );
    let alive = page.overview.sessions.iter().filter(|line| is_alive(line)).count();
    out.put("<p class=\"note\">{} known, {} alive when this page was made.", &[&Grouped(all), &alive]);
    if all > lines.len() {
        out.put(" The {} dearest are shown.", &[&lines.len()]);
    }
    out.raw(" What ran outside of them is in the projects alone. Efficiency is how little was lost on the way (cache, failures, limits) over 30 days; it says nothing about the work.</p>\n");
    out.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"sessions-h\"><table><thead><tr>");
    out.raw("<th scope=\"col\">Session</th><th scope=\"col\" class=\"w\">Where</th><th scope=\"col\" class=\"w\">Projects</th><th scope=\"col\" class=\"n w\">Replies</th>");
    out.raw("<th scope=\"col\" class=\"n w\">Tokens</th><th scope=\"col\" class=\"n\">Limit hits</th><th scope=\"col\" class=\"n w\">Efficiency</th><th scope=\"col\" class=\"n\">Spend</th></tr></thead><tbody>\n");
    for line in lines {
        row(out, page, line);
    }
    out.raw("</tbody></table></div>\n</section>\n");
}

fn row(out: &mut Markup, page: &Page<'_>, line: &SessionLine) {
    let context = page.contexts.get(&line.name);
    let alive = context.is_some_and(|context| context.is_alive);
    out.put(
        "<tr><th scope=\"row\"><bdi>{}</bdi><small>{}",
        &[&page.overview.session_name(Some(&line.name)), &line.info.session_type],
    );
    if alive {
        out.raw(" · <span class=\"alive\">alive</span>");
    }
    let place = context.map(|context| context.notes.join(", ")).unwrap_or_default();
    let projects: Vec<String> = line.projects.iter().map(|project| folder(project)).collect();
    out.put("</small></th><td class=\"w\"><bdi>{}@{}</bdi><small><bdi>{}</bdi></small></td><td class=\"w\"><bdi>{}</bdi></td>", &[
        &line.info.user,
        &line.info.host,
        &place,
        &projects.join(", "),
    ]);
    let effort = page.efforts.get(&Some(line.name.clone()));
    let score = effort.and_then(Effort::score).map_or("–".to_owned(), |score| percent(score.value, 1.0));
    let hits = line.totals.rate_limit_events;
    out.put("<td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n\">{}</td><td class=\"n w\">{}</td><td class=\"n\">{}</td></tr>\n", &[
        &Grouped(line.totals.sum.messages),
        &Tokens(line.totals.usage().total()),
        &if hits > 0 { hits.to_string() } else { "–".to_owned() },
        &score,
        &cost_text(&line.totals),
    ]);
}
