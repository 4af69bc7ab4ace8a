//! How fast an account's budget goes: the pace of work, how much of the time is worked, and how sure both are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use session_store::{CELL_WIDTH, Cell, LimitWindow, Timestamp};

use crate::money::Usd;
use crate::pricing::{PriceBook, Prices};

/// Quarter hours in an hour.
pub(crate) const QUARTERS_PER_HOUR: f64 = 4.0;
/// How many past quarter hours a rate looks at: a day.
const LOOK_BACK: i64 = 96;
/// What a quarter hour of age takes from a weight; half of it is left after two hours (2^(-1/8)).
const FADING: f64 = 0.917_004_043_204_671_2;
/// The same by quarter hours of work, for the pace.
const PACE_FADING: f64 = 0.917_004_043_204_671_2;
/// Half the width of an 80 % interval in standard deviations.
const Z_80: f64 = 1.2816;

/// What an account used by quarter hour, in dollars of the list price.
///
/// Dollars stand for the unknown weights of the official meter: list prices weigh models, output and cache roughly as they
/// cost the vendor. Models without a price count nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// By quarter hour since 1970 (UTC).
    quarters: BTreeMap<i64, Quarter>,
    /// Quarter hours in which a limit let nothing through.
    blocked: BTreeSet<i64>,
}

/// The use of one quarter hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quarter {
    /// In dollars.
    pub(crate) usd: f64,
    /// Replies.
    pub(crate) turns: u64,
}

/// How fast budget goes.
///
/// The pace is the mean use of the quarter hours that were worked in, the active share how much of the time that is;
/// both weigh the past by its age (half after two hours, of work for the pace, of time for the share) over one day. The rate is
/// their product, so a pause lowers the share and leaves the pace: what was known before a pause is known after it.
///
/// `low` and `high` bound the middle 80 % of the mean under a normal approximation; its variance is that of the pace (of
/// the weighted quarter hours) and that of the share (a proportion with one success and one failure added).
/// A handful of quarter hours makes the interval wide; one makes it as wide as from zero to twice the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnRate {
    /// Dollars an hour, pauses included.
    pub usd_per_hour: f64,
    /// The lower bound of its 80 % interval, not below zero.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
    /// Dollars an hour while there is work.
    pub pace_usd_per_hour: f64,
    /// How much of the time is worked, 0 to 1.
    pub active_share: f64,
    /// How many quarter hours with work this rests on.
    pub active_quarters: u32,
}

impl Load {
    /// Adds up the cells that count in a limit.
    pub fn of(cells: &[Cell], book: &PriceBook, kind: &LimitWindow) -> Self {
        let mut prices = Prices::of(book);
        // Cells come in the order of their times, many to a quarter hour.
        let mut runs: Vec<(i64, Usd, u64)> = Vec::new();
        for cell in cells.iter().filter(|cell| kind.counts(cell.key.model.as_str())) {
            let price = prices.price(&cell.key.model, cell.key.start, cell.key.class);
            let cost = price.map_or(Usd::ZERO, |price| price.cost(&cell.sum.usage));
            let at = quarter_of(cell.key.start);
            match runs.last_mut() {
                Some(last) if last.0 == at => (last.1, last.2) = (last.1 + cost, last.2 + cell.sum.messages),
                _ => runs.push((at, cost, cell.sum.messages)),
            }
        }
        let mut exact: BTreeMap<i64, (Usd, u64)> = BTreeMap::new();
        for (at, cost, messages) in runs {
            let quarter = exact.entry(at).or_default();
            *quarter = (quarter.0 + cost, quarter.1 + messages);
        }
        // Money adds up exactly; floats begin only here, so the order of cells makes no difference.
        let quarters = exact
            .into_iter()
            .map(|(at, (cost, turns))| (at, Quarter { usd: cost.as_dollars(), turns }))
            .collect();
        Self { quarters, blocked: BTreeSet::new() }
    }

    /// Makes a load of dollars used at moments, each by one reply; for simulations.
    pub fn of_dollars(used: impl IntoIterator<Item = (Timestamp, f64)>) -> Self {
        let mut load = Self::default();
        for (at, usd) in used {
            let quarter = load.quarters.entry(quarter_of(at)).or_default();
            quarter.usd += usd.max(0.0);
            quarter.turns += 1;
        }
        load
    }

    /// Returns the dollars used from one moment to another; quarter hours at the edges count by the part inside.
    pub fn usd(&self, from: Timestamp, to: Timestamp) -> f64 {
        if from >= to {
            return 0.0;
        }
        let range = quarter_of(from)..=quarter_of(to);
        self.quarters.range(range).map(|(at, quarter)| quarter.usd * share_inside(*at, from, to)).sum()
    }

    /// Returns the part that is known at a moment: the quarter hours that ended by then.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Self {
        let end = quarter_of(now);
        Self {
            quarters: self.quarters.range(..end).map(|(at, it)| (*at, *it)).collect(),
            blocked: self.blocked.range(..end).copied().collect(),
        }
    }

    /// Notes times in which a limit let nothing through: that nothing was used then tells nothing of habits.
    ///
    /// A quarter hour counts as blocked from the one after the refusal to the one before the reset; at most seven days of each
    /// range are taken.
    #[must_use]
    pub fn blocked_in(mut self, ranges: impl IntoIterator<Item = Range<Timestamp>>) -> Self {
        for range in ranges {
            let (from, to) = (quarter_of(range.start) + 1, quarter_of(range.end));
            self.blocked.extend(from..to.min(from.saturating_add(7 * 96)));
        }
        self
    }

    pub(crate) fn blocked(&self) -> &BTreeSet<i64> {
        &self.blocked
    }

    /// Returns whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.quarters.is_empty()
    }

    pub(crate) fn quarters(&self) -> &BTreeMap<i64, Quarter> {
        &self.quarters
    }

    /// Returns the dollars of one quarter hour.
    pub(crate) fn at(&self, quarter: i64) -> f64 {
        self.quarters.get(&quarter).map_or(0.0, |it| it.usd)
    }

    /// Returns the mean price of a reply over the last hundred, `None` where there are fewer than five.
    pub(crate) fn usd_per_turn(&self, now: Timestamp) -> Option<f64> {
        let (mut usd, mut turns) = (0.0, 0);
        for (_, quarter) in self.quarters.range(..=quarter_of(now)).rev() {
            usd += quarter.usd;
            turns += quarter.turns;
            if turns >= 100 {
                break;
            }
        }
        (turns >= 5 && usd > 0.0).then(|| usd / turns as f64)
    }
}

impl BurnRate {
    /// Measures the rate at a moment; `None` where there was no work on the day before it.
    ///
    /// A quarter hour that is still running counts by the part that has passed, once five minutes have.
    pub fn measure(load: &Load, now: Timestamp) -> Option<Self> {
        let running = quarter_of(now);
        let passed = now.since(start_of(running)).as_secs_f64() / CELL_WIDTH.as_secs_f64();
        let mut pace = Weighted::default();
        let (mut worked, mut weights) = (1.0, 2.0);
        let mut active_quarters = 0;
        let mut weight = 1.0;
        let mut pace_weight = 1.0;
        for at in (running - LOOK_BACK..=running).rev() {
            let share = if at == running { passed } else { 1.0 };
            if share < 1.0 / 3.0 {
                continue;
            }
            let usd = load.at(at) / share;
            weights += weight * share;
            if usd > 0.0 {
                active_quarters += 1;
                worked += weight * share;
                pace.add(usd, pace_weight * share);
                pace_weight *= PACE_FADING;
            }
            weight *= FADING;
        }
        if active_quarters == 0 {
            return None;
        }
        let active_share = worked / weights;
        let mean = pace.mean();
        // Of the pace, and of the share (a proportion), both relative.
        let of_pace = pace.variance_of_mean() / (mean * mean);
        let of_share = (1.0 - active_share) / (active_share * weights);
        let spread = Z_80 * (of_pace + of_share).sqrt();
        let usd_per_hour = mean * active_share * QUARTERS_PER_HOUR;
        Some(Self {
            usd_per_hour,
            low: (usd_per_hour * (1.0 - spread)).max(0.0),
            high: usd_per_hour * (1.0 + spread),
            pace_usd_per_hour: mean * QUARTERS_PER_HOUR,
            active_share,
            active_quarters,
        })
    }
}

/// A weighted sample.
#[derive(Clone, Copy, Debug, Default)]
struct Weighted {
    weights: f64,
    squared_weights: f64,
    sum: f64,
    squares: f64,
}

impl Weighted {
    fn add(&mut self, value: f64, weight: f64) {
        self.weights += weight;
        self.squared_weights += weight * weight;
        self.sum += value * weight;
        self.squares += value * value * weight;
    }

    fn mean(&self) -> f64 {
        self.sum / self.weights
    }

    /// Returns the variance of the mean; of a single value it is the value's square.
    fn variance_of_mean(&self) -> f64 {
        let mean = self.mean();
        let effective = self.weights * self.weights / self.squared_weights;
        if effective < 1.5 {
            return mean * mean;
        }
        let variance = (self.squares / self.weights - mean * mean).max(0.0) * effective / (effective - 1.0);
        variance / effective
    }
}

/// Returns how much of a quarter hour lies between two moments, 0 to 1.
pub(crate) fn share_inside(quarter: i64, from: Timestamp, to: Timestamp) -> f64 {
    let (start, end) = (start_of(quarter), start_of(quarter + 1));
    end.min(to).since(start.max(from)).as_millis() as f64 / CELL_WIDTH.as_millis() as f64
}

pub(crate) fn quarter_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(CELL_WIDTH.as_millis() as i64)
}

pub(crate) fn start_of(quarter: i64) -> Timestamp {
    Timestamp::from_millis(quarter.saturating_mul(CELL_WIDTH.as_millis() as i64))
}
