//! One self-contained page: limits, spend, windows, sessions, cache and advice, to read on a screen, on a phone, on paper.
//!
//! Nothing in it comes from the network and no script runs; the page says so to the browser itself. What others named goes through
//! one place, [`escape_html`].

mod chart;
mod coordination;
mod day;
mod markup;
mod outlook;
mod section;
mod sessions;
mod timeline;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::forecast::Prediction;
use crate::limits::Limit;
use crate::overview::Overview;
use crate::recommend::Recommendation;
use crate::restraint::Coordination;
use crate::score::Effort;
use markup::Markup;

pub use markup::escape_html;

/// What the page tells; a part of which nothing is known is left out.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The figures.
    pub overview: &'a Overview,
    /// The limits of all accounts.
    pub limits: &'a [Limit],
    /// Forecasts for them.
    pub predictions: &'a [Prediction],
    /// What hooks did about the limits.
    pub coordination: &'a Coordination,
    /// What a user can do, the greatest impact first.
    pub recommendations: &'a [Recommendation],
    /// How efficient sessions were, by the names of [`crate::Sessions`].
    pub efforts: &'a BTreeMap<Option<Arc<str>>, Effort>,
    /// What is known of live sessions, by the same names.
    pub contexts: &'a BTreeMap<Arc<str>, SessionContext>,
}

/// What is known of a session beside its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionContext {
    /// Whether somebody takes part in it now.
    pub is_alive: bool,
    /// Where it runs, in a few words each: `tmux`, `from 10.0.0.7`.
    pub notes: Vec<String>,
}

/// Writes the page; the same input gives the same bytes.
pub fn report_html(page: &Page<'_>) -> String {
    let overview = page.overview;
    let mut out = Markup::default();
    out.raw(HEAD);
    out.raw(include_str!("html/style.css"));
    out.raw("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#figures\">To the figures</a>\n<main>\n");
    section::header(&mut out, page);
    outlook::limits(&mut out, page);
    coordination::section(&mut out, page);
    if overview.totals.sum.messages > 0 {
        section::spend(&mut out, overview);
    }
    timeline::section(&mut out, overview);
    sessions::section(&mut out, page);
    if overview.totals.sum.messages > 0 {
        section::projects(&mut out, overview);
        section::conversations(&mut out, overview);
        section::cache(&mut out, overview);
    }
    outlook::advice(&mut out, page);
    section::footer(&mut out, overview);
    out.raw("</main>\n</body>\n</html>\n");
    out.finish()
}

/// The policy forbids all that could leave the page or run in it, should anything ever get past the escaping.
const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"referrer\" content=\"no-referrer\">
<meta name=\"color-scheme\" content=\"light dark\">
<link rel=\"icon\" href=\"data:,\">
<title>Claude Code usage</title>
<style>
";
