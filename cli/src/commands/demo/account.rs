//! The account of the demonstration: what its status lines told of limits, made up to go with the generated history.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use session_analytics::{PriceBook, Usd, WHOLE};
use session_store::{
    Batch, Cell, ConversationId, Event, EventBackend, LimitSample, LimitWindow, Stores, Timestamp,
};

use crate::kept;

const FIVE_HOURS: Duration = Duration::from_secs(5 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// When the week of the demonstration ends.
const WEEK_ENDS_IN: Duration = Duration::from_secs(2 * 86_400 + 5 * 3600);
/// How much the fullest window of the past used, in hundredths of a percent.
const FULLEST: f64 = 9_600.0;
/// How much is used of the five hours, and of the week, when the demonstration begins.
const AT_START: [f64; 2] = [9_300.0, 6_400.0];
/// How fast both rise while it runs, in hundredths of a percent a minute.
const RISE: [f64; 2] = [900.0, 6.0];
/// Claude Code asks as seldom.
const FETCHED_EACH: Duration = Duration::from_secs(5);

/// The account at work.
#[derive(Debug)]
pub(super) struct Account {
    file: PathBuf,
    start: Timestamp,
    /// When the five hours end.
    reset: Timestamp,
    told_at: Option<Timestamp>,
}

impl Account {
    /// Makes the account of a config folder at the moment the demonstration begins.
    pub(super) fn new(claude_dir: PathBuf, start: Timestamp, reset: Timestamp) -> Self {
        Self { file: claude_dir.join(".claude.json"), start, reset, told_at: None }
    }

    /// Keeps what was told before: what each window had used, by what its replies cost.
    pub(super) fn tell_past(&self, stores: &Stores, book: &PriceBook) -> Result<(), session_store::Error> {
        let cells = stores.cells(Timestamp::MIN..self.start, &[])?;
        let five_hours = samples(&cells, book, LimitWindow::FiveHour, self.reset, FIVE_HOURS, AT_START[0]);
        let week_end = self.start.after(WEEK_ENDS_IN);
        let week = samples(&cells, book, LimitWindow::SevenDay, week_end, WEEK, AT_START[1]);
        let running = cells.last().and_then(|cell| self.running(&cell.key.conversation));
        let ledger = five_hours.into_iter().chain(week).chain(running).collect();
        stores.commit(Batch { ledger, ..Batch::default() }).map(drop)
    }

    /// Makes the sample of now, told by a conversation: it fixes the block also where nobody has worked in it yet.
    fn running(&self, conversation: &ConversationId) -> Option<Event> {
        let sample = LimitSample {
            window: LimitWindow::FiveHour,
            resets_at: Some(self.reset),
            used_hundredths: Some(AT_START[0] as u32),
            status: "allowed".into(),
        };
        kept::event(&format!("statusline:{conversation}"), self.start, sample)
    }

    /// Writes down what Claude Code would keep of its last look at the account.
    pub(super) fn tell(&mut self, now: Timestamp) -> io::Result<()> {
        if self.told_at.is_some_and(|told| now.since(told) < FETCHED_EACH) {
            return Ok(());
        }
        self.told_at = Some(now);
        let minutes = |from: Timestamp| now.since(from).as_secs_f64() / 60.0;
        let [five_hours, week] = AT_START;
        let (used, reset) = if now < self.reset {
            (five_hours + RISE[0] * minutes(self.start), self.reset)
        } else {
            (RISE[0] / 10.0 * minutes(self.reset), self.reset.after(FIVE_HOURS))
        };
        let window = |used: f64, reset: Timestamp| json!({"utilization": used.min(f64::from(WHOLE)).round() / 100.0, "resets_at": reset.to_string()});
        let cached = json!({"cachedUsageUtilization": {
            "fetchedAtMs": now.as_millis(),
            "utilization": {
                "five_hour": window(used, reset),
                "seven_day": window(week + RISE[1] * minutes(self.start), self.start.after(WEEK_ENDS_IN)),
            },
        }});
        // Whoever reads it meanwhile finds the old one or the new one.
        let beside = self.file.with_extension("new");
        fs::write(&beside, cached.to_string())?;
        fs::rename(beside, &self.file)
    }
}

/// Makes the samples of all windows of a kind: one for each quarter hour in which somebody worked. The last window, which ends
/// at `end`, has used `now` by now.
fn samples(
    cells: &[Cell],
    book: &PriceBook,
    window: LimitWindow,
    end: Timestamp,
    length: Duration,
    now: f64,
) -> Vec<Event> {
    let mut spent: BTreeMap<i64, Vec<(&Cell, f64)>> = BTreeMap::new();
    for cell in cells {
        let price = book.price(&cell.key.model, cell.key.start, cell.key.class);
        let cost = price.map_or(Usd::ZERO, |price| price.cost(&cell.sum.usage)).as_dollars();
        // How many windows before the last one.
        let before = end.since(cell.key.start).as_millis() / length.as_millis().max(1);
        spent.entry(before as i64).or_default().push((cell, cost));
    }
    let whole = |of_window: &[(&Cell, f64)]| of_window.iter().map(|(_, cost)| cost).sum::<f64>();
    let most = spent.values().map(|of_window| whole(of_window)).fold(f64::MIN_POSITIVE, f64::max);
    let mut events = Vec::new();
    for (before, of_window) in &spent {
        let resets_at = Timestamp::from_millis(end.as_millis() - before * length.as_millis() as i64);
        let full = if *before == 0 { now / whole(of_window).max(f64::MIN_POSITIVE) } else { FULLEST / most };
        let mut used = 0.0;
        for (cell, cost) in of_window {
            used += cost * full;
            let sample = LimitSample {
                window: window.clone(),
                resets_at: Some(resets_at),
                used_hundredths: Some((used as u32).min(WHOLE)),
                status: "allowed".into(),
            };
            let (at, conversation) =
                (cell.key.start.after(session_store::CELL_WIDTH).min(resets_at), &cell.key.conversation);
            events.extend(kept::event(&format!("statusline:{conversation}"), at, sample));
        }
    }
    events
}
