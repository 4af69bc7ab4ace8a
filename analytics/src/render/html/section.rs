//! The parts of the page that are words, figures and tables.

use super::chart::{self, Chart, percent};
use super::day;
use super::markup::{Markup, Short};
use super::words::{above, beginning, cost_text, count, folder, money};
use super::{Page, coordination, outlook, sessions, timeline};
use crate::human::{Grouped, Tokens};
use crate::money::Usd;
use crate::overview::{Overview, Step, UNKNOWN};
use crate::report::{Problems, Row, Totals};
use crate::words::model_name;
use session_store::Date;

/// Rows of a table; the rest is one more row.
const ROWS_MAX: usize = 30;

/// What this page is, in a sentence and in a few great figures.
pub(super) fn header(out: &mut Markup, page: &Page<'_>) {
    let overview = page.overview;
    out.raw("<header>\n<p class=\"brand\">ClaudeWatch</p>\n<h1>Claude Code usage</h1>\n");
    if let Some((first, last)) = overview.days {
        out.put("<p class=\"when\">{}, days of {}</p>\n", &[&day::span(first, last), &overview.zone]);
    }
    if overview.totals.sum.messages == 0 {
        out.raw("<p class=\"lead\">Nothing was used in this time.</p>\n");
    } else {
        lead(out, page);
        links(out, page);
    }
    out.raw("</header>\n");
    if overview.totals.sum.messages > 0 {
        figures(out, overview);
    }
}

/// Tells the story in two sentences.
fn lead(out: &mut Markup, page: &Page<'_>) {
    let overview = page.overview;
    let totals = &overview.totals;
    let projects = overview.projects.iter().filter(|row| row.totals.sum.messages > 0).count();
    out.put(
        "<p class=\"lead\">{} in {}, worth <strong>{}</strong> at list prices.",
        &[
            &count(totals.sum.messages, "reply", "replies"),
            &count(projects as u64, "project", "projects"),
            &money(totals, &overview.problems),
        ],
    );
    if overview.daily.len() > 1
        && let Some(row) = overview.daily.iter().max_by_key(|row| (row.totals.cost, &row.key))
        && let Some(date) = Date::parse(&row.key)
    {
        out.put(" The dearest day was {} with {}.", &[&day::named(date), &row.totals.cost]);
    }
    if let Some((name, sum)) = overview.by_model.names.first()
        && overview.by_model.names.len() > 1
    {
        let share = percent(sum.as_dollars(), totals.cost.as_dollars());
        out.put(" <bdi>{}</bdi> took {} of all.", &[&model_name(name), &share]);
    }
    match outlook::weighty(page) {
        0 => {}
        1 => out.raw(" Worth a look: <a href=\"#advice\">one piece of advice</a>."),
        several => out.put(" Worth a look: <a href=\"#advice\">{} pieces of advice</a>.", &[&several]),
    }
    out.raw("</p>\n");
}

/// Links to the parts that there are.
fn links(out: &mut Markup, page: &Page<'_>) {
    let overview = page.overview;
    let used = overview.totals.sum.messages > 0;
    let parts = [
        ("limits", "Limits", !page.limits.is_empty()),
        ("coordination", "Held back", coordination::is_told(page)),
        ("spend", "Spend", used),
        ("windows", "Windows", timeline::is_told(overview)),
        ("sessions", "Sessions", sessions::is_told(page)),
        ("projects", "Projects", used),
        ("conversations", "Conversations", used),
        ("cache", "Cache", used),
        ("advice", "Advice", !page.recommendations.is_empty()),
    ];
    out.raw("<nav aria-label=\"On this page\">");
    for (id, name, _) in parts.into_iter().filter(|(_, _, is_there)| *is_there) {
        out.put("<a href=\"#{}\">{}</a>", &[&id, &name]);
    }
    out.raw("</nav>\n");
}

fn figures(out: &mut Markup, overview: &Overview) {
    let totals = &overview.totals;
    let usage = totals.usage();
    let days = overview.daily.iter().filter(|row| row.totals.sum.messages > 0).count();
    let per_day = Usd::from_picos(totals.cost.as_picos() / days.max(1) as i128);
    out.raw("<dl class=\"figures\" id=\"figures\">\n");
    let mut figure = |name: &str, value: &dyn std::fmt::Display, note: String| {
        out.put("<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", &[&name, value, &note]);
    };
    figure("Spend", &money(totals, &overview.problems), format!("{per_day} a day of use"));
    figure("Tokens", &Tokens(usage.total()), format!("{} written by the model", Tokens(usage.output)));
    figure("Replies", &Grouped(totals.sum.messages), count(days as u64, "day", "days"));
    figure(
        "From the cache",
        &percent(usage.cache_read as f64, usage.prompt() as f64),
        format!("of {} prompt tokens", Tokens(usage.prompt())),
    );
    let blocks = overview.blocks.len() as u64;
    figure(
        "Limit hits",
        &totals.rate_limit_events,
        format!("in {}", count(blocks, "five-hour window", "five-hour windows")),
    );
    out.raw("</dl>\n");
}

/// Spend over time, by model and by session.
pub(super) fn spend(out: &mut Markup, overview: &Overview) {
    out.raw("<section id=\"spend\" aria-labelledby=\"spend-h\">\n<h2 id=\"spend-h\">Spend over time</h2>\n");
    let unit = match overview.step {
        Step::Day => "day",
        Step::Week => "week",
        Step::Month => "month",
    };
    out.put("<p class=\"note\">Each bar is one {}. Costs are those of the list prices, whatever your plan charges.</p>\n", &[&unit]);
    let chart = |id, title, series, name: fn(&str) -> String| Chart {
        id,
        title,
        step: overview.step,
        slots: &overview.slots,
        series,
        name,
    };
    out.raw("<div class=\"pair\">\n");
    chart::stacked(out, &chart("by-model", "By model", &overview.by_model, model_name));
    let by = match overview.knows_sessions {
        true => chart("by-session", "By session", &overview.by_session, session),
        false => chart("by-project", "By project", &overview.by_session, folder),
    };
    chart::stacked(out, &by);
    out.raw("</div>\n</section>\n");
}

/// What a session is called in a chart.
fn session(name: &str) -> String {
    if name == UNKNOWN { "outside of known sessions".to_owned() } else { name.to_owned() }
}

/// Where it went.
pub(super) fn projects(out: &mut Markup, overview: &Overview) {
    out.raw(
        "<section id=\"projects\" aria-labelledby=\"projects-h\">\n<h2 id=\"projects-h\">Projects</h2>\n",
    );
    out.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"projects-h\"><table><thead><tr>");
    out.raw("<th scope=\"col\">Project</th><th scope=\"col\" class=\"n w\">Replies</th><th scope=\"col\" class=\"n w\">Tokens</th>");
    out.raw("<th scope=\"col\" class=\"n w\">From cache</th><th scope=\"col\" class=\"n w\">Limit hits</th><th scope=\"col\" class=\"n\">Spend</th>");
    out.raw("<th scope=\"col\" class=\"bar\">Share</th></tr></thead><tbody>\n");
    let (shown, rest) = dearest(&overview.projects);
    let whole = overview.totals.cost.as_dollars();
    for row in &shown {
        out.put(
            "<tr><th scope=\"row\"><bdi>{}</bdi><small><bdi>{}</bdi></small></th>",
            &[&folder(&row.key), &above(&row.key)],
        );
        project_cells(out, &row.totals, whole);
    }
    if let Some((several, totals)) = rest {
        out.put("<tr><th scope=\"row\">{} others</th>", &[&several]);
        project_cells(out, &totals, whole);
    }
    out.raw("</tbody></table></div>\n</section>\n");
}

fn project_cells(out: &mut Markup, totals: &Totals, whole: f64) {
    let usage = totals.usage();
    let cost = totals.cost.as_dollars();
    let share = if whole > 0.0 { cost / whole * 100.0 } else { 0.0 };
    out.put("<td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n w\">{}</td>", &[
        &Grouped(totals.sum.messages),
        &Tokens(usage.total()),
        &percent(usage.cache_read as f64, usage.prompt() as f64),
        &if totals.rate_limit_events > 0 { totals.rate_limit_events.to_string() } else { "–".to_owned() },
    ]);
    out.put(
        "<td class=\"n\">{}</td><td class=\"bar\"><i style=\"width:{}%\"></i><span>{}</span></td></tr>\n",
        &[&cost_text(totals), &Short(share), &percent(cost, whole)],
    );
}

/// What was talked about, dearest first.
pub(super) fn conversations(out: &mut Markup, overview: &Overview) {
    out.raw("<section id=\"conversations\" aria-labelledby=\"conversations-h\">\n<h2 id=\"conversations-h\">Conversations</h2>\n");
    let (shown, rest) = dearest(&overview.conversations);
    if rest.is_some() {
        out.put(
            "<p class=\"note\">The {} dearest of {}.</p>\n",
            &[&shown.len(), &Grouped(overview.conversations.len())],
        );
    }
    out.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"conversations-h\"><table><thead><tr>");
    out.raw("<th scope=\"col\">Conversation</th><th scope=\"col\" class=\"w\">Models</th><th scope=\"col\" class=\"n w\">Replies</th>");
    out.raw("<th scope=\"col\" class=\"n w\">Tokens</th><th scope=\"col\" class=\"n w\">From cache</th><th scope=\"col\" class=\"n w\">Limit hits</th>");
    out.raw("<th scope=\"col\" class=\"n\">Spend</th></tr></thead><tbody>\n");
    for row in &shown {
        let models: Vec<String> = row.totals.models.iter().map(|model| model_name(model.as_str())).collect();
        let project = row.project.as_deref().map(folder).unwrap_or_default();
        let usage = row.totals.usage();
        out.put("<tr><th scope=\"row\"><bdi>{}</bdi><small>{}", &[&project, &when(row, overview)]);
        out.put(
            " · <code>{}</code></small></th><td class=\"w\">{}</td>",
            &[&beginning(&row.key), &models.join(", ")],
        );
        out.put("<td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n w\">{}</td><td class=\"n\">{}</td></tr>\n", &[
            &Grouped(row.totals.sum.messages),
            &Tokens(usage.total()),
            &percent(usage.cache_read as f64, usage.prompt() as f64),
            &if row.totals.rate_limit_events > 0 { row.totals.rate_limit_events.to_string() } else { "–".to_owned() },
            &cost_text(&row.totals),
        ]);
    }
    out.raw("</tbody></table></div>\n</section>\n");
}

fn when(row: &Row, overview: &Overview) -> String {
    let Some((first, last)) = row.span else { return String::new() };
    let (first, last) = (overview.zone.date_of(first), overview.zone.date_of(last));
    if first == last { day::short(first) } else { format!("{} – {}", day::short(first), day::short(last)) }
}

/// How much of the prompts came from the cache, and what that saved.
pub(super) fn cache(out: &mut Markup, overview: &Overview) {
    let usage = overview.totals.usage();
    let whole = usage.prompt() as f64;
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    out.raw("<section id=\"cache\" aria-labelledby=\"cache-h\">\n<h2 id=\"cache-h\">Cache</h2>\n");
    let saved = overview.cache_saved;
    if saved > Usd::ZERO {
        out.put("<p>Keeping prompts in the cache saved <strong>{}</strong>: without it the same prompts would have cost that much more.</p>\n", &[&saved]);
    } else if saved < Usd::ZERO {
        out.put(
            "<p>Writing to the cache cost <strong>{}</strong> more than reading from it saved.</p>\n",
            &[&saved.abs()],
        );
    }
    let parts = [
        ("Read from the cache", "s6", usage.cache_read),
        ("Written to it", "s3", written),
        ("Not cached", "s0", usage.input),
    ];
    out.raw("<div class=\"whole\" aria-hidden=\"true\">");
    for (_, color, tokens) in parts {
        if tokens > 0 {
            out.put(
                "<i class=\"{}\" style=\"flex:{}\"></i>",
                &[&color, &Short((tokens as f64 / whole * 1000.0).max(2.0))],
            );
        }
    }
    out.raw("</div>\n<ul class=\"legend\">");
    for (name, color, tokens) in parts {
        out.put(
            "<li><i class=\"{}\"></i><span>{}</span> <b>{}</b> <small>{}</small></li>",
            &[&color, &name, &Tokens(tokens), &percent(tokens as f64, whole)],
        );
    }
    out.raw("</ul>\n</section>\n");
}

/// What the figures leave out, and where they come from.
pub(super) fn footer(out: &mut Markup, overview: &Overview) {
    let Problems { lines_skipped, files_skipped, unpriced_models, under_reported_messages } =
        &overview.problems;
    out.raw("<footer>\n<h2>About these figures</h2>\n<ul>\n");
    out.raw("<li>Each reply is counted once, however often transcripts repeat it, and priced by model, date, cache, context and mode at list prices. Subscriptions and discounts are not known.</li>\n");
    if overview.totals.estimated {
        out.raw("<li>~ marks sums that hold a model whose price is not known and was taken from its family.</li>\n");
    }
    if !unpriced_models.is_empty() {
        let names: Vec<&str> = unpriced_models.iter().map(|model| model.as_str()).collect();
        out.put(
            "<li>≥ marks sums that lack models without a known price: <bdi>{}</bdi>.</li>\n",
            &[&names.join(", ")],
        );
    }
    if *under_reported_messages > 0 {
        out.put("<li>{} are from versions of Claude Code (2.1.12 to 2.1.96) that recorded too little output.</li>\n", &[
            &count(*under_reported_messages, "reply", "replies"),
        ]);
    }
    if *lines_skipped > 0 || *files_skipped > 0 {
        out.put(
            "<li>Not counted: {} and {}.</li>\n",
            &[
                &count(*lines_skipped, "damaged line", "damaged lines"),
                &count(*files_skipped, "unreadable file", "unreadable files"),
            ],
        );
    }
    out.raw("<li><code>claudewatch explain</code> shows the records and prices behind any day, project, conversation or model.</li>\n</ul>\n");
    out.put(
        "<p>Made on {} by ClaudeWatch {}. This page loads nothing and runs no script.</p>\n</footer>\n",
        &[
            &overview
                .at
                .to_string()
                .replace('T', " ")
                .get(..16)
                .map(|at| format!("{at} UTC"))
                .unwrap_or_default(),
            &env!("CARGO_PKG_VERSION"),
        ],
    );
}

/// Divides rows into the dearest, in that order, and the sum of the others.
fn dearest(rows: &[Row]) -> (Vec<&Row>, Option<(usize, Totals)>) {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| (b.totals.cost, &a.key).cmp(&(a.totals.cost, &b.key)));
    let rest = sorted.split_off(sorted.len().min(ROWS_MAX));
    let several = rest.len();
    let mut totals = Totals::default();
    for row in rest {
        totals.add(&row.totals);
    }
    (sorted, (several > 0).then_some((several, totals)))
}
