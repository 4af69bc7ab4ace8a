//! Figures in the text form of Prometheus: what they have come to so far, for others to take rates of.
//!
//! Names follow its conventions (<https://prometheus.io/docs/practices/naming/>, seen 2026-11-22): a prefix, base units, `_total` for
//! what only grows. Shares are 0 to 1, times are Unix seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use session_store::{CellSum, Timestamp, Usage};

use crate::forecast::Prediction;
use crate::limits::Limits;
use crate::money::Usd;
use crate::pricing::{PriceBook, Prices};
use crate::printable::printable;
use crate::report::{Figures, projects, quota_hits};
use crate::restraint::Restraints;

/// What metrics are made of.
#[derive(Debug)]
pub struct MetricsInput<'a> {
    /// Sums and facts of all time.
    pub figures: &'a Figures,
    /// The prices.
    pub book: &'a PriceBook,
    /// The limits of all accounts.
    pub limits: &'a Limits,
    /// The forecasts of them.
    pub predictions: &'a [&'a Prediction],
    /// How many sessions are alive, by type.
    pub sessions: &'a BTreeMap<String, usize>,
    /// What coordination counted, by name.
    pub counters: &'a BTreeMap<String, u64>,
    /// Lines and files that could not be read.
    pub skipped: (u64, u64),
    /// The version of the program.
    pub version: &'a str,
}

/// Writes all metrics; the same input gives the same bytes.
///
/// `project_of` tells the project of a working folder. Label values are escaped as the form demands, and what could deceive a
/// reader becomes `�`; series that become alike by that are added up.
pub fn metrics_text(input: &MetricsInput<'_>, project_of: &dyn Fn(&str) -> String) -> String {
    let mut out = Exposition::default();
    out.family("claudewatch_build_info", Kind::Gauge, "The version that wrote this; always 1.");
    out.sample("claudewatch_build_info", &[("version", input.version)], 1.0);
    usage(&mut out, input, project_of);
    limits(&mut out, input);
    state(&mut out, input);
    out.text
}

/// Turns, tokens and costs by project and model.
fn usage(out: &mut Exposition, input: &MetricsInput<'_>, project_of: &dyn Fn(&str) -> String) {
    let projects = projects(&input.figures.facts, project_of);
    let mut prices = Prices::of(input.book);
    let mut sums: BTreeMap<(String, String), (CellSum, Usd)> = BTreeMap::new();
    let mut unpriced: BTreeMap<String, u64> = BTreeMap::new();
    let mut latest = Timestamp::MIN;
    for cell in &input.figures.cells {
        let key = &cell.key;
        latest = latest.max(key.start);
        let project = projects.get(&key.conversation).map_or("unknown", String::as_str);
        let place = (printable(project).into_owned(), printable(key.model.as_str()).into_owned());
        let (sum, cost) = sums.entry(place).or_default();
        sum.add(&cell.sum);
        match prices.price(&key.model, key.start, key.class) {
            Some(price) => *cost += price.cost(&cell.sum.usage),
            None => {
                *unpriced.entry(printable(key.model.as_str()).into_owned()).or_default() +=
                    cell.sum.usage.total();
            }
        }
    }
    let labels = |place: &'_ (String, String)| [("project", place.0.clone()), ("model", place.1.clone())];
    out.family("claudewatch_replies_total", Kind::Counter, "Replies of models, each counted once.");
    for (place, (sum, _)) in &sums {
        out.sample("claudewatch_replies_total", &labels(place), sum.messages as f64);
    }
    out.family("claudewatch_tokens_total", Kind::Counter, "Tokens by kind; the kinds do not overlap.");
    for (place, (sum, _)) in &sums {
        for (kind, count) in kinds(&sum.usage) {
            let [project, model] = labels(place);
            let labels = [project, model, ("type", kind.to_owned())];
            out.sample("claudewatch_tokens_total", &labels, count as f64);
        }
    }
    out.family("claudewatch_web_searches_total", Kind::Counter, "Web searches, billed beside the tokens.");
    for (place, (sum, _)) in sums.iter().filter(|(_, (sum, _))| sum.usage.web_searches > 0) {
        out.sample("claudewatch_web_searches_total", &labels(place), sum.usage.web_searches as f64);
    }
    out.family("claudewatch_cost_usd_total", Kind::Counter, "Cost by the list prices, in US dollars.");
    for (place, (_, cost)) in &sums {
        out.sample("claudewatch_cost_usd_total", &labels(place), cost.as_dollars());
    }
    out.family(
        "claudewatch_unpriced_tokens_total",
        Kind::Counter,
        "Tokens of models without a known price, which are not in the cost.",
    );
    for (model, tokens) in &unpriced {
        out.sample("claudewatch_unpriced_tokens_total", &[("model", model)], *tokens as f64);
    }
    if latest > Timestamp::MIN {
        let help = "The quarter hour of the latest reply, or the part of it after a reset.";
        out.family("claudewatch_last_reply_timestamp_seconds", Kind::Gauge, help);
        out.sample("claudewatch_last_reply_timestamp_seconds", NO_LABELS, seconds(latest));
    }
}

fn kinds(usage: &Usage) -> [(&'static str, u64); 5] {
    [
        ("input", usage.input),
        ("output", usage.output),
        ("cache_write_5m", usage.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h),
        ("cache_read", usage.cache_read),
    ]
}

/// The limits as they stand, and how often they were hit.
fn limits(out: &mut Exposition, input: &MetricsInput<'_>) {
    let mut hits: BTreeMap<String, u64> = BTreeMap::new();
    for hit in quota_hits(&input.figures.facts) {
        *hits.entry(printable(hit.window.name()).into_owned()).or_default() += 1;
    }
    out.family(
        "claudewatch_limit_hits_total",
        Kind::Counter,
        "Quota hits, one for each conversation, window and reset.",
    );
    for (window, count) in &hits {
        out.sample("claudewatch_limit_hits_total", &[("window", window)], *count as f64);
    }
    let all = &input.limits.limits;
    let labels = |limit: &crate::limits::Limit| {
        let account = printable(&limit.account).into_owned();
        [("account", account), ("window", printable(limit.window.name()).into_owned())]
    };
    out.family(
        "claudewatch_limit_used_ratio",
        Kind::Gauge,
        "The part of a limit that is used, as the account was told, 0 to 1.",
    );
    for limit in all {
        if let Some(used) = limit.used_now() {
            out.sample("claudewatch_limit_used_ratio", &labels(limit), f64::from(used) / 1e4);
        }
    }
    out.family(
        "claudewatch_limit_reset_timestamp_seconds",
        Kind::Gauge,
        "When the window of a limit ends, or has ended.",
    );
    for limit in all {
        if let Some(reset) = limit.resets_at {
            out.sample("claudewatch_limit_reset_timestamp_seconds", &labels(limit), seconds(reset));
        }
    }
    out.family(
        "claudewatch_limit_observed_timestamp_seconds",
        Kind::Gauge,
        "When the state of a limit was last told.",
    );
    for limit in all {
        out.sample(
            "claudewatch_limit_observed_timestamp_seconds",
            &labels(limit),
            seconds(limit.observed_at),
        );
    }
    restraints(out, input);
    forecasts(out, input);
}

/// What hooks did about limits, and what was only due.
fn restraints(out: &mut Exposition, input: &MetricsInput<'_>) {
    let sum = Restraints::of(&input.figures.facts, &(Timestamp::MIN..Timestamp::MAX));
    let name = "claudewatch_restrained_calls_total";
    let help =
        "Tool calls that hooks acted on for a limit, by what they did; `_due` is what was only observed.";
    out.family(name, Kind::Counter, help);
    for (deed, calls) in [
        ("waited", sum.waits),
        ("refused", sum.refusals),
        ("told", sum.told),
        ("released", sum.released),
        ("wait_due", sum.waits_due),
        ("refusal_due", sum.refusals_due),
    ] {
        out.sample(name, &[("deed", deed)], calls as f64);
    }
    let name = "claudewatch_waited_seconds_total";
    out.family(name, Kind::Counter, "How long tool calls waited for a limit, by the clock.");
    out.sample(name, NO_LABELS, sum.waited_ms as f64 / 1e3);
}

/// When limits run out, and how well such forecasts did.
fn forecasts(out: &mut Exposition, input: &MetricsInput<'_>) {
    let labels = |it: &Prediction| {
        let account = printable(&it.account).into_owned();
        [("account", account), ("window", printable(it.window.name()).into_owned())]
    };
    let forecast = || input.predictions.iter().filter(|it| it.resets_first.is_some());
    let name = "claudewatch_limit_runs_out_timestamp_seconds";
    let help =
        "When a limit is forecast to run out; no sample where its reset comes first or the data are too few.";
    out.family(name, Kind::Gauge, help);
    for (it, at) in forecast().filter_map(|it| Some((it, it.runs_out_at?))) {
        out.sample(name, &labels(it), seconds(at));
    }
    let tried = || forecast().filter_map(|it| Some((it, it.backtest?)));
    let name = "claudewatch_limit_forecast_coverage_ratio";
    let help = "In which part of forecasts tried on the past the truth lay within the 80 % interval, 0 to 1.";
    out.family(name, Kind::Gauge, help);
    for (it, backtest) in tried() {
        out.sample(name, &labels(it), backtest.coverage);
    }
    let name = "claudewatch_limit_forecast_error_seconds";
    out.family(name, Kind::Gauge, "By how much forecasts tried on the past missed, the median.");
    for (it, backtest) in tried() {
        out.sample(name, &labels(it), (backtest.median_error_minutes * 60.0).round());
    }
}

/// What there is now.
fn state(out: &mut Exposition, input: &MetricsInput<'_>) {
    out.family("claudewatch_sessions", Kind::Gauge, "Live sessions by type.");
    for (kind, count) in input.sessions {
        out.sample("claudewatch_sessions", &[("type", kind)], *count as f64);
    }
    out.family(
        "claudewatch_coordination_events_total",
        Kind::Counter,
        "What the sessions of this host told each other or settled, since its runtime folder was made.",
    );
    for (name, count) in input.counters {
        out.sample("claudewatch_coordination_events_total", &[("event", name)], *count as f64);
    }
    let (lines, files) = input.skipped;
    out.family("claudewatch_skipped_lines", Kind::Gauge, "Lines of transcripts that could not be read.");
    out.sample("claudewatch_skipped_lines", NO_LABELS, lines as f64);
    out.family("claudewatch_skipped_files", Kind::Gauge, "Transcripts and folders that could not be read.");
    out.sample("claudewatch_skipped_files", NO_LABELS, files as f64);
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1e3
}

const NO_LABELS: &[(&str, &str)] = &[];

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// The text form under way: families one after the other, each with its samples. One without samples is not written.
#[derive(Default)]
struct Exposition {
    text: String,
    /// What stands over the next sample.
    head: String,
    /// The samples of this family; one that looks like another is left out, because a family may hold each once.
    seen: BTreeSet<String>,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.seen.clear();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, impl AsRef<str>)], value: f64) {
        let mut series = name.to_owned();
        for (place, (label, value)) in labels.iter().enumerate() {
            series.push(if place == 0 { '{' } else { ',' });
            series.push_str(label);
            series.push_str("=\"");
            series.push_str(&printable(value.as_ref()).replace('\\', "\\\\").replace('"', "\\\""));
            series.push('"');
        }
        if !labels.is_empty() {
            series.push('}');
        }
        if self.seen.insert(series.clone()) {
            self.text.push_str(&std::mem::take(&mut self.head));
            // Writing into a string cannot fail.
            let _ = writeln!(self.text, "{series} {value}");
        }
    }
}
