//! The account's limits: what many sources told of them, merged into one truth.

mod reading;
mod share;
mod used;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use session_store::{LimitWindow, Timestamp};

pub use reading::{LimitSource, LimitStatus, Reading, Refusal};
pub use share::{Share, Spend};
pub use used::LimitUse;
pub use verdict::Verdict;

/// From here on, in hundredths of a percent, a limit counts as near.
pub const NEAR: u32 = 7_500;
/// The whole of a limit, in hundredths of a percent.
pub const WHOLE: u32 = 10_000;
/// Where people are told, in hundredths of a percent: once for each of them and each window.
pub const THRESHOLDS: [u32; 3] = [NEAR, 9_000, WHOLE];
/// Resets that differ by no more tell of one window.
pub const SAME_RESET: Duration = Duration::from_secs(60);
/// After so long at the latest a value is no longer that of this moment, and what was used since may move it.
const FRESH: Duration = Duration::from_secs(60);

/// All limits that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The limits, by account and window.
    pub limits: Vec<Limit>,
    /// How many readings were refused, each counted once, and why.
    pub refused: BTreeMap<Refusal, u64>,
}

/// One limit of an account: its window that is open now, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The account.
    pub account: Arc<str>,
    /// Which limit.
    pub window: LimitWindow,
    /// How much of it is used, in hundredths of a percent (0 to 10,000), as it was said; `None` where only a state was.
    pub used: Option<u32>,
    /// Whether requests are accepted.
    pub status: LimitStatus,
    /// When the window ends or has ended; `None` where that was not said.
    pub resets_at: Option<Timestamp>,
    /// Who said so.
    pub source: LimitSource,
    /// When it was so.
    pub observed_at: Timestamp,
    /// Whether the window is over and nothing is known of the next one; then nothing is used of it.
    pub is_over: bool,
    /// What its value was when, in order, for the shares.
    pub(crate) course: Vec<(Timestamp, u32)>,
}

impl Limits {
    /// Merges readings.
    ///
    /// One account and window has one truth: of the windows told of, the one that ends last, where two overlap the one
    /// that was told of last by two readings or by a refusal. Within it the greatest value stands; a lower one counts when who
    /// told it tells a lower one again, both of them later. The order of the readings does not matter, and telling one twice changes
    /// nothing. Readings of no known kind of limit, but with a known one's reset, belong to that.
    pub fn merge(readings: impl IntoIterator<Item = Reading>, now: Timestamp) -> Self {
        let mut limits = Self::default();
        let mut kept: BTreeSet<Reading> = BTreeSet::new();
        for reading in readings.into_iter().collect::<BTreeSet<_>>() {
            match reading.checked(now) {
                Ok(reading) => drop(kept.insert(reading)),
                Err(refusal) => *limits.refused.entry(refusal).or_default() += 1,
            }
        }
        let mut groups: BTreeMap<(Arc<str>, LimitWindow), Vec<Reading>> = BTreeMap::new();
        for reading in &kept {
            let window = named(reading, &kept);
            groups.entry((reading.account.clone(), window)).or_default().push(reading.clone());
        }
        for ((account, window), mut readings) in groups {
            readings.sort_by(|a, b| (a.at, a).cmp(&(b.at, b)));
            let Some(current) = current(&window, readings) else { continue };
            limits.limits.extend(current.limit(account, window, now));
        }
        limits
    }

    /// Returns the limit that binds: of those not over a refused one first, then the fullest.
    pub fn binding(&self) -> Option<&Limit> {
        let open = self.limits.iter().filter(|limit| !limit.is_over);
        open.max_by_key(|limit| (limit.status, limit.used))
    }
}

impl Limit {
    /// Returns when the window began, where that is known.
    pub fn began_at(&self) -> Option<Timestamp> {
        Some(self.resets_at?.before(self.window.length()?))
    }

    /// Returns the part used at this moment in hundredths of a percent: none, once the window is over.
    pub fn used_now(&self) -> Option<u32> {
        if self.is_over { Some(0) } else { self.used }
    }

    /// Returns the greatest of [`THRESHOLDS`] that is reached.
    pub fn threshold(&self) -> Option<u32> {
        let used = self.used_now()?;
        THRESHOLDS.into_iter().rev().find(|threshold| used >= *threshold)
    }

    /// Returns how much of the window has passed, 0 to 1, where its length is known.
    pub fn elapsed(&self, now: Timestamp) -> Option<f64> {
        let whole = self.window.length()?.as_secs_f64();
        Some((now.since(self.began_at()?).as_secs_f64() / whole).clamp(0.0, 1.0))
    }

    /// Returns how fast it has been used since the window began, in hundredths of a percent an hour.
    ///
    /// The mean over the whole window so far, thus steady; `None` in its first five minutes.
    pub fn pace(&self, now: Timestamp) -> Option<f64> {
        let used = f64::from(self.used_now()?);
        let hours = now.since(self.began_at()?).as_secs_f64() / 3600.0;
        (hours >= 1.0 / 12.0 && !self.is_over).then(|| used / hours)
    }

    /// Returns when it will be used up should the window's mean use go on, if that is before its reset: a straight line, for where a
    /// [`crate::Prediction`] would take too long.
    pub fn runs_out_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (pace, used, reset) = (self.pace(now)?, self.used?, self.resets_at?);
        let hours = f64::from(WHOLE.saturating_sub(used)) / pace;
        let at = hours.is_finite().then(|| now.after(Duration::from_secs_f64(hours.min(1e6) * 3600.0)))?;
        (at < reset).then_some(at)
    }

    /// Returns what it may have come to since it was said: moved on by what was spent since, at the rate of the window so
    /// far, and never to the whole of it. `None` where the value is fresh, or nothing allows an estimate.
    ///
    /// It assumes that what is used elsewhere goes on as it did.
    pub fn estimate(&self, spends: &[Spend], now: Timestamp) -> Option<u32> {
        let (used, began) = (self.used?, self.began_at()?);
        if self.is_over || used == 0 || used >= WHOLE || now.since(self.observed_at) < FRESH {
            return None;
        }
        let sum = |from: Timestamp, to: Timestamp| -> f64 {
            let within = spends.iter().filter(|spend| spend.at > from && spend.at <= to);
            within.map(|spend| spend.cost.as_dollars()).sum()
        };
        let (before, since) = (sum(began, self.observed_at), sum(self.observed_at, now));
        let moved = f64::from(used) * (1.0 + since / before);
        let estimate = (moved.round() as u32).min(WHOLE - 100).max(used);
        (before > 0.0 && since > 0.0 && estimate > used).then_some(estimate)
    }

    /// Divides what is used among those who spent, see [`Share`]; also what came from elsewhere, 0 to 1.
    pub fn shares(&self, spends: &[Spend]) -> (Vec<Share>, f64) {
        let from = self.began_at().unwrap_or(Timestamp::MIN);
        share::divide(&self.course, from, spends)
    }
}

/// Returns the limit a reading speaks of, also where it does not name it but its reset is that of a named one.
fn named(reading: &Reading, all: &BTreeSet<Reading>) -> LimitWindow {
    let Some(reset) = reading.resets_at.filter(|_| reading.window == LimitWindow::Unspecified) else {
        return reading.window.clone();
    };
    let of_account = all.iter().filter(|other| other.account == reading.account);
    let named = of_account.filter(|other| other.window != LimitWindow::Unspecified);
    let same = named.filter(|other| other.resets_at.is_some_and(|at| gap(at, reset) <= SAME_RESET));
    same.map(|other| other.window.clone()).min().unwrap_or(LimitWindow::Unspecified)
}

pub(crate) fn gap(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

/// The readings of one window, by time.
#[derive(Debug, Default)]
struct Told {
    resets_at: Option<Timestamp>,
    readings: Vec<Reading>,
}

/// Finds the window that stands.
fn current(window: &LimitWindow, readings: Vec<Reading>) -> Option<Told> {
    let mut resets: Vec<Timestamp> = readings.iter().filter_map(|reading| reading.resets_at).collect();
    resets.sort_unstable();
    let mut windows: Vec<Told> = Vec::new();
    for reset in resets {
        if windows
            .last()
            .is_none_or(|last| last.resets_at.is_some_and(|first| reset.since(first) > SAME_RESET))
        {
            windows.push(Told { resets_at: Some(reset), readings: Vec::new() });
        }
    }
    let mut nameless = Told::default();
    for reading in readings {
        let home = match reading.resets_at {
            Some(reset) => {
                windows.iter_mut().rev().find(|told| told.resets_at.is_some_and(|first| first <= reset))
            }
            // What names no reset belongs to the window it was told in.
            None => windows.iter_mut().rev().find(|told| told.held(window, reading.at)),
        };
        home.unwrap_or(&mut nameless).readings.push(reading);
    }
    let mut stands: Option<Told> = None;
    // What was told of other windows since the one that stands: twice, and it is no mistake.
    let mut dissent: BTreeSet<Timestamp> = BTreeSet::new();
    for next in windows {
        match &stands {
            Some(current)
                if next.overlaps(current, window)
                    && current.weight(&BTreeSet::new()) > next.weight(&dissent) =>
            {
                dissent.extend(next.moments().filter(|at| Some(*at) > current.last_at()));
            }
            Some(current) if next.overlaps(current, window) => {
                dissent.extend(current.moments());
                dissent.retain(|at| Some(*at) > next.last_at());
                stands = Some(next);
            }
            _ => {
                dissent.clear();
                stands = Some(next);
            }
        }
    }
    match stands {
        Some(told) if nameless.last_at() <= told.last_at() => Some(told),
        None if nameless.readings.is_empty() => None,
        _ => Some(nameless),
    }
}

impl Told {
    fn last_at(&self) -> Option<Timestamp> {
        self.readings.last().map(|reading| reading.at)
    }

    fn held(&self, window: &LimitWindow, at: Timestamp) -> bool {
        let Some(end) = self.resets_at else { return false };
        at < end && window.length().is_none_or(|length| at >= end.before(length))
    }

    fn moments(&self) -> impl Iterator<Item = Timestamp> {
        self.readings.iter().map(|reading| reading.at)
    }

    /// Returns whether this window begins before an earlier one ends, which cannot be true of both. Told of after that end,
    /// it can: a window may be cut short.
    fn overlaps(&self, earlier: &Self, window: &LimitWindow) -> bool {
        match (self.resets_at, earlier.resets_at, window.length()) {
            (Some(end), Some(before), Some(length)) => {
                end.before(length) < before.before(SAME_RESET) && self.moments().any(|at| at < before)
            }
            _ => false,
        }
    }

    /// Returns how much is to be given on it: what was told twice, or by a refusal, and last.
    fn weight(&self, dissent: &BTreeSet<Timestamp>) -> (bool, Option<Timestamp>) {
        let moments: BTreeSet<Timestamp> = self.moments().chain(dissent.iter().copied()).collect();
        let is_sure = moments.len() > 1 || self.readings.iter().any(Reading::is_refusal);
        (is_sure, self.last_at())
    }

    fn limit(self, account: Arc<str>, window: LimitWindow, now: Timestamp) -> Option<Limit> {
        let mut standing = Standing::default();
        let mut course = Vec::new();
        for reading in &self.readings {
            standing.take(reading);
            course.extend(standing.value().map(|value| (reading.at, value)));
        }
        let standing = standing.reading;
        let last = self.readings.last()?;
        let shown = standing.unwrap_or(last);
        let used = standing.and_then(Reading::value);
        let end =
            self.resets_at.unwrap_or_else(|| last.at.after(window.length().unwrap_or(share::FIVE_HOURS)));
        let is_over = end <= now;
        if is_over && now.since(end) > window.length().unwrap_or(share::FIVE_HOURS) {
            return None;
        }
        let told =
            self.readings.iter().filter(|reading| reading.at >= shown.at).map(|reading| reading.status).max();
        let status = match used {
            _ if is_over => LimitStatus::Allowed,
            Some(used) if used >= WHOLE => LimitStatus::Rejected,
            Some(used) if used >= NEAR => LimitStatus::Warning.max(shown.status),
            _ => told.unwrap_or(LimitStatus::Allowed),
        };
        // The reset is that of the reading shown: within a minute all are the same, and this is the one to compare.
        let resets_at = shown.resets_at.or(self.resets_at);
        let (source, observed_at) = (shown.source, shown.at);
        Some(Limit { account, window, used, status, resets_at, source, observed_at, is_over, course })
    }
}

/// What stands of the readings of one window so far, by time.
#[derive(Debug, Default)]
struct Standing<'a> {
    reading: Option<&'a Reading>,
    /// The lower ones since, one of each teller, which the same may confirm: a single one may be a terminal that wakes up.
    lower: BTreeMap<&'a str, &'a Reading>,
    /// The greatest value that was told beside refusals: requests can be refused before the whole is used.
    told: Option<u32>,
}

impl<'a> Standing<'a> {
    fn value(&self) -> Option<u32> {
        self.reading.and_then(Reading::value)
    }

    fn take(&mut self, reading: &'a Reading) {
        let Some(value) = reading.value() else { return };
        let is_refused = self.reading.is_some_and(Reading::is_refusal);
        if is_refused && !reading.is_refusal() && self.told.is_some_and(|told| value >= told) {
            // It says what was said when requests were refused, which is no reason to think that they no longer are.
            return;
        }
        let falls = self.value().is_some_and(|standing| value < standing);
        if !falls {
            return self.stand(reading);
        }
        match self.lower.insert(&reading.by, reading) {
            // Told twice, the fall is true, and the greater of the two is what it fell to.
            Some(first) if reading.at > first.at => {
                self.told = None;
                self.stand(if first.value() > Some(value) { first } else { reading });
            }
            _ => {}
        }
    }

    fn stand(&mut self, reading: &'a Reading) {
        self.reading = Some(reading);
        self.lower.clear();
        if !reading.is_refusal() {
            self.told = reading.value();
        }
    }
}

#[cfg(test)]
mod tests;
