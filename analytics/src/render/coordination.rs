//! What coordination did, as JSON and CSV spell it.

use std::fmt::Write as _;

use serde::Serialize;
use session_store::Timestamp;

use crate::restraint::{Coordination, Ends, RestrainedWindow, Restraints};

const CSV_HEADER: &str = "key,waits,waited_seconds,refusals,told,released,waits_due,due_seconds,refusals_due";

/// Restraints summed up, as every document of ours spells them: calls, and seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RestraintsOut {
    waits: u64,
    waited_seconds: f64,
    refusals: u64,
    told: u64,
    released: u64,
    waits_due: u64,
    due_seconds: f64,
    refusals_due: u64,
}

/// What coordination did: all together, how windows ended, and each of them.
#[derive(Clone, Debug, Serialize)]
pub struct CoordinationOut {
    rows: Vec<RowOut>,
    totals: RestraintsOut,
    windows_held_back: EndsOut,
    windows_only_due: EndsOut,
    windows: Vec<WindowOut>,
}

#[derive(Clone, Debug, Serialize)]
struct RowOut {
    key: String,
    #[serde(flatten)]
    restraints: RestraintsOut,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct EndsOut {
    ended: u64,
    hit: u64,
    blocked_seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct WindowOut {
    account: String,
    window: String,
    resets_at: String,
    first_at: String,
    used_percentage: Option<f64>,
    hit_at: Option<String>,
    #[serde(flatten)]
    restraints: RestraintsOut,
}

impl RestraintsOut {
    /// Spells a sum.
    pub fn of(sum: &Restraints) -> Self {
        let Restraints { waits, waited_ms, refusals, told, released, waits_due, due_ms, refusals_due } = *sum;
        let (waited_seconds, due_seconds) = (seconds(waited_ms), seconds(due_ms));
        Self { waits, waited_seconds, refusals, told, released, waits_due, due_seconds, refusals_due }
    }
}

impl CoordinationOut {
    /// Spells all of it.
    pub fn of(told: &Coordination) -> Self {
        let row = |(day, sum): (_, _)| RowOut { key: format!("{day}"), restraints: RestraintsOut::of(sum) };
        Self {
            rows: told.days.iter().map(row).collect(),
            totals: RestraintsOut::of(&told.totals),
            windows_held_back: EndsOut::of(&told.held_back),
            windows_only_due: EndsOut::of(&told.only_due),
            windows: told.windows.iter().map(WindowOut::of).collect(),
        }
    }
}

impl EndsOut {
    fn of(ends: &Ends) -> Self {
        Self { ended: ends.ended, hit: ends.hit, blocked_seconds: seconds(ends.blocked_ms) }
    }
}

impl WindowOut {
    fn of(it: &RestrainedWindow) -> Self {
        Self {
            account: it.account.to_string(),
            window: it.window.name().to_owned(),
            resets_at: it.resets_at.to_string(),
            first_at: it.first_at.to_string(),
            used_percentage: it.used_hundredths.map(|used| f64::from(used) / 100.0),
            hit_at: it.hit_at.as_ref().map(Timestamp::to_string),
            restraints: RestraintsOut::of(&it.restraints),
        }
    }
}

/// Writes the days as CSV with a header; the totals are left to the reader.
pub fn coordination_csv(told: &Coordination) -> String {
    let mut out = format!("{CSV_HEADER}\r\n");
    for (day, sum) in &told.days {
        let it = RestraintsOut::of(sum);
        // Writing into a string cannot fail.
        let _ = write!(
            out,
            "{day},{},{},{},{},{},{},{},{}\r\n",
            it.waits,
            it.waited_seconds,
            it.refusals,
            it.told,
            it.released,
            it.waits_due,
            it.due_seconds,
            it.refusals_due,
        );
    }
    out
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
