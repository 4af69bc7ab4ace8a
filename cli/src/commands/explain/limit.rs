//! What is behind a limit and its forecast: the readings, kept or not and why, with their lines, what was learned, and which
//! calls were held back for it.

use serde::Serialize;
use session_analytics::{LearnedLimit, LimitOut, LimitUse, PredictionOut, Reading, Verdict};
use session_store::{ConversationId, Deed, Fact, Ledger, Restraint, Timestamp};

use super::{Record, Records};
use crate::accounts::Accounts;
use crate::context::Context;
use crate::forecast;
use crate::limits::Known;
use crate::printable::printable;
use crate::words;

/// A reading, what became of it, and the transcript that told it with the place of the line.
type Judged = (Reading, Verdict, Option<(String, u64)>);

/// What is behind one limit of one account.
pub(super) struct Explained {
    row: LimitUse,
    learned: LearnedLimit,
    at: Timestamp,
    readings: Vec<Judged>,
    /// The calls that were held back in the window, or would have been, the newest first.
    held_back: Vec<(Timestamp, ConversationId, Restraint)>,
}

impl Explained {
    /// Takes the limits of this name; `records` hold the lines that told of them.
    pub(super) fn of(
        known: &Known,
        window: &str,
        records: &Records,
        facts: &Ledger,
        accounts: &Accounts,
    ) -> Vec<Self> {
        let rows = known.rows.iter().zip(&known.learned);
        let rows = rows.filter(|(row, _)| row.limit.window.name() == window);
        let explain = |(row, learned): (&LimitUse, &LearnedLimit)| {
            let of_it = |reading: &&Reading| {
                reading.account == row.limit.account && reading.window == row.limit.window
            };
            let judged = |reading: &Reading| {
                let line = records.values().flatten().find(|record| told(record, reading));
                let line = line.map(|it| (it.source.display().to_string(), it.found.line_at));
                (reading.clone(), row.limit.judge(reading, known.at), line)
            };
            let mut readings: Vec<_> = known.readings.iter().filter(of_it).map(judged).collect();
            readings.sort_by(|(a, ..), (b, ..)| (b.at, b).cmp(&(a.at, a)));
            // What stands on the board is kept in the stores, too.
            readings.dedup_by(|(a, ..), (b, ..)| a == b);
            let held_back = held_back(row, facts, accounts);
            Self { row: row.clone(), learned: learned.clone(), at: known.at, readings, held_back }
        };
        rows.map(explain).collect()
    }

    pub(super) fn text(&self, context: &Context, listed_max: usize) -> String {
        let limit = &self.row.limit;
        let name = words::limit_name(&limit.window);
        let mut out =
            format!("{name} of {}: what was told of it, the newest first:\n", printable(&limit.account));
        for (reading, verdict, line) in self.readings.iter().take(listed_max) {
            let used = reading.used.map_or("–".to_owned(), |used| format!("{} %", f64::from(used) / 100.0));
            let (source, status) = (reading.source.name(), reading.status.name());
            out.push_str(&format!("    {:<12} {} {used} {status}, by {source}", verdict.name(), reading.at));
            if let Some((path, at)) = line {
                out.push_str(&format!(" {} at byte {at}", printable(path)));
            }
            out.push_str(&format!(" ({})\n", verdict.reason()));
        }
        if let Some(more) = self.readings.len().checked_sub(listed_max).filter(|more| *more > 0) {
            out.push_str(&format!("    … and {more} more; --json lists all\n"));
        }
        out.push_str(&self.held_back_text(listed_max));
        if let Some(prediction) = &self.row.forecast {
            out.push_str(&format!(
                "Forecast: {} ({})\n",
                forecast::runs_out(prediction, &context.config.zone, self.at),
                prediction.method.name(),
            ));
            out.push_str(&forecast::line(prediction, context, self.at).unwrap_or_default());
        }
        let LearnedLimit { percent, habit, .. } = &self.learned;
        if let Some(percent) = percent {
            out.push_str(&format!(
                "A percent costs ${:.2} (${:.2} to ${:.2}), learned of {} pairs of readings.\n",
                percent.usd, percent.low, percent.high, percent.pairs,
            ));
        }
        if let Some(habit) = habit {
            out.push_str(&format!("The habit of the hours is learned of {} days.\n", habit.days));
        }
        out
    }

    fn held_back_text(&self, listed_max: usize) -> String {
        if self.held_back.is_empty() {
            return String::new();
        }
        let mut out = "Calls held back for it in this window, or due to be, the newest first:\n".to_owned();
        for (at, conversation, it) in self.held_back.iter().take(listed_max) {
            let deed = match (it.deed, it.done) {
                (Deed::Waited { waited_ms, .. }, true) => format!("waited {}", seconds(waited_ms)),
                (Deed::Waited { due_ms, .. }, false) => format!("wait of {} due", seconds(due_ms)),
                (Deed::Released, _) => "let through after many".to_owned(),
                (deed, true) => deed.name().to_owned(),
                (deed, false) => format!("due to be {}", deed.name()),
            };
            let (tool, conversation) = (printable(&it.tool), printable(conversation.as_str()));
            let (why, priority) = (it.why.name(), printable(&it.priority));
            out.push_str(&format!("    {at} {deed}: {tool} of {conversation} ({priority}, {why})\n"));
        }
        if let Some(more) = self.held_back.len().checked_sub(listed_max).filter(|more| *more > 0) {
            out.push_str(&format!("    … and {more} more; --json lists all\n"));
        }
        out
    }

    pub(super) fn json(&self) -> ExplainedOut<'_> {
        let reading = |(reading, verdict, line): &Judged| ReadingOut {
            at: reading.at.to_string(),
            verdict: verdict.name(),
            reason: verdict.reason(),
            used_percentage: reading.used.map(|used| f64::from(used) / 100.0),
            status: reading.status.name(),
            resets_at: reading.resets_at.map(|at| at.to_string()),
            by: reading.by.to_string(),
            source: reading.source.name(),
            transcript: line.as_ref().map(|(path, _)| path.clone()),
            line_at: line.as_ref().map(|(_, at)| *at),
        };
        ExplainedOut {
            limit: LimitOut::of(&self.row, self.at),
            readings: self.readings.iter().map(reading).collect(),
            held_back: self.held_back.iter().map(HeldBackOut::of).collect(),
            prediction: self.row.forecast.as_ref().map(PredictionOut::of),
            learned: &self.learned,
        }
    }
}

fn held_back(
    row: &LimitUse,
    facts: &Ledger,
    accounts: &Accounts,
) -> Vec<(Timestamp, ConversationId, Restraint)> {
    let limit = &row.limit;
    let since = limit.began_at().unwrap_or(Timestamp::MIN);
    let of_it = facts.iter().filter(|event| event.at >= since).filter_map(|event| match &event.fact {
        Fact::Restraint(it) if it.window == limit.window => {
            let conversation = &event.owner.conversation;
            let is_its = accounts.name(conversation) == Some(&limit.account);
            is_its.then(|| (event.at, conversation.clone(), it.clone()))
        }
        _ => None,
    });
    let mut held_back: Vec<_> = of_it.collect();
    held_back.sort_by(|a, b| b.cmp(a));
    held_back
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1000.0)
}

/// Returns whether a line is the one that a reading came from.
fn told(record: &Record, reading: &Reading) -> bool {
    let event = &record.found.event;
    let is_limit = matches!(event.fact, Fact::LimitHit(_) | Fact::LimitSample(_));
    is_limit && event.at == reading.at && event.owner.conversation.as_str() == &*reading.by
}

#[derive(Serialize)]
pub(super) struct ExplainedOut<'a> {
    #[serde(flatten)]
    limit: LimitOut<'a>,
    readings: Vec<ReadingOut>,
    held_back: Vec<HeldBackOut>,
    prediction: Option<PredictionOut<'a>>,
    learned: &'a LearnedLimit,
}

#[derive(Serialize)]
struct ReadingOut {
    at: String,
    verdict: &'static str,
    reason: &'static str,
    used_percentage: Option<f64>,
    status: &'static str,
    resets_at: Option<String>,
    by: String,
    source: &'static str,
    transcript: Option<String>,
    line_at: Option<u64>,
}

#[derive(Serialize)]
struct HeldBackOut {
    at: String,
    deed: &'static str,
    done: bool,
    why: &'static str,
    due_seconds: Option<f64>,
    waited_seconds: Option<f64>,
    used_percentage: Option<f64>,
    resets_at: Option<String>,
    tool: String,
    priority: String,
    conversation_id: String,
}

impl HeldBackOut {
    fn of((at, conversation, it): &(Timestamp, ConversationId, Restraint)) -> Self {
        let seconds = |millis: u64| millis as f64 / 1000.0;
        let (due, waited) = match it.deed {
            Deed::Waited { due_ms, waited_ms } => (Some(due_ms), Some(waited_ms).filter(|_| it.done)),
            _ => (None, None),
        };
        Self {
            at: at.to_string(),
            deed: it.deed.name(),
            done: it.done,
            why: it.why.name(),
            due_seconds: due.map(seconds),
            waited_seconds: waited.map(seconds),
            used_percentage: it.used_hundredths.map(|used| f64::from(used) / 100.0),
            resets_at: it.resets_at.map(|at| at.to_string()),
            tool: it.tool.to_string(),
            priority: it.priority.to_string(),
            conversation_id: conversation.to_string(),
        }
    }
}
