//! What an account teaches: what a percent of its meters costs, when it works, and how far forecasts miss.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_store::{Event, Fact, LimitWindow, Timestamp};

use crate::course::{Course, FADING, LEARNED_FROM};
use crate::hopes::{Habit, Hopes};
use crate::rate::{Load, quarter_of};

/// The least rise between two samples that tells what a percent costs; meters are whole percents.
const RISE_MIN: f64 = 2.0;
/// Pairs of samples without which no cost of a percent is told.
const PAIRS_MIN: u32 = 3;
/// Cases without which no spread of a horizon is told.
const SPREAD_MIN: u32 = 20;
/// Cases without which nothing is told of a method, and no forecast is made.
pub const SAMPLES_MIN: u32 = 20;

/// What was learned of an account, for storing and sharing.
///
/// It holds dollars, percents and hours, nothing of any conversation, so that sessions that share
/// what they learn, but not what they use, may exchange it. Whoever must learn from its own sessions alone gives only
/// their figures to [`crate::ForecastInput::learn`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// By the name of the limit.
    #[serde(default)]
    pub limits: BTreeMap<String, LearnedLimit>,
}

/// What was learned of one limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearnedLimit {
    /// What a percent of the official meter costs, where enough samples rose.
    pub percent: Option<PercentCost>,
    /// When the account works.
    pub habit: Option<Habit>,
    /// How far forecasts missed, by horizon.
    #[serde(default)]
    pub spreads: Vec<Spread>,
    /// How well forecasts would have done so far; `None` where there was nothing to try them on.
    #[serde(default)]
    pub backtest: Option<Backtest>,
}

/// What a percent of an official meter costs in dollars of the list price.
///
/// Each two samples of one window that follow each other and rise by two percent or more tell `dollars used here ÷ percent
/// risen`. The value is the median of these, each weighing as much as it rose; `low` and `high` are their 10th and 90th
/// percentile. Use from elsewhere raises the meter without dollars here and so makes a percent look cheap, which errs to the
/// side of an early warning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentCost {
    /// Dollars a percent.
    pub usd: f64,
    /// The 10th percentile.
    pub low: f64,
    /// The 90th percentile.
    pub high: f64,
    /// How many pairs of samples it rests on.
    pub pairs: u32,
}

/// How the true use compared to the expected, over one horizon.
///
/// The quotients of past forecasts, true use by expected use; where little was expected they scatter widely, and so does the
/// interval made of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How far ahead, in quarter hours.
    pub quarters: u32,
    /// The 10th percentile of the quotients.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// The 90th percentile.
    pub high: f64,
    /// How many forecasts it rests on.
    pub samples: u32,
}

/// The state of a limit as somebody official told it.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowState {
    /// The account, by any name that tells it from others.
    pub account: String,
    /// Which limit.
    pub window: LimitWindow,
    /// How much of it is used, 0 to 100; `None` where nobody said.
    pub used_percentage: Option<f64>,
    /// When the window ends, where it was said.
    pub resets_at: Option<Timestamp>,
    /// When it was so.
    pub observed_at: Timestamp,
}

/// How well a method did on the past.
///
/// Limits are seldom hit, so it is tried on imagined ones: the median and the 80th percentile of what the windows before
/// used. At the quarter hours soon after work, in the windows of the last 90 days, the method is asked when the imagined limit is
/// reached, with what was known then and no more. A case counts where the limit was reached before the reset, or the
/// method said so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// How many cases; those of one window hang together, so they say less than as many windows would.
    pub samples: u32,
    /// In which share of them the truth lay within the 80 % interval, 0 to 1. A limit that was not reached lies behind the reset.
    pub coverage: f64,
    /// The median distance of time and truth in minutes; who is behind the reset is taken to be at it.
    pub median_error_minutes: f64,
    /// The same of a plain line: the mean rate since the window began, continued.
    pub linear_error_minutes: f64,
}

impl Learned {
    /// Returns what is known of a limit.
    pub fn limit(&self, kind: &LimitWindow) -> Option<&LearnedLimit> {
        self.limits.get(kind.name())
    }
}

impl LearnedLimit {
    /// Learns from a course as of a moment; what came after the moment is not looked at. What a percent costs is not among it.
    ///
    /// `quarters_max` is the farthest horizon, the length of the window.
    pub(crate) fn learn<'a>(course: &'a Course, now: Timestamp, quarters_max: usize) -> (Self, Hopes<'a>) {
        let habit = Habit::learn(course, now);
        let hopes = Hopes::of(course, habit.as_ref());
        let spreads = spreads(&hopes, now, quarters_max);
        (Self { percent: None, habit, spreads, backtest: None }, hopes)
    }

    /// Returns the quotients for each of the next quarter hours; none where it is not known how far forecasts miss.
    pub(crate) fn all_quotients(&self, quarters: usize) -> Vec<[f64; 3]> {
        (1..=quarters).map_while(|quarter| self.quotients(quarter)).collect()
    }

    /// Returns the quotients of true and expected use for a horizon: 10th percentile, median, 90th.
    ///
    /// Horizons between two that were measured lie between their quotients in proportion.
    fn quotients(&self, quarters: usize) -> Option<[f64; 3]> {
        let after = self.spreads.partition_point(|spread| (spread.quarters as usize) < quarters);
        let values = |spread: &Spread| [spread.low, spread.middle, spread.high];
        let (last, next) =
            (after.checked_sub(1).and_then(|at| self.spreads.get(at)), self.spreads.get(after));
        match (last, next) {
            (Some(last), Some(next)) => {
                let share = (quarters as f64 - f64::from(last.quarters))
                    / (f64::from(next.quarters) - f64::from(last.quarters));
                let (last, next) = (values(last), values(next));
                Some(std::array::from_fn(|at| last[at] + (next[at] - last[at]) * share))
            }
            (Some(only), None) | (None, Some(only)) => Some(values(only)),
            (None, None) => None,
        }
    }
}

/// Measures how forecasts of the past compared to what came, at quarter hours soon after work, by horizon.
fn spreads(hopes: &Hopes<'_>, now: Timestamp, quarters_max: usize) -> Vec<Spread> {
    let course = hopes.course;
    let to = quarter_of(now);
    let Some(begin) = course.begin() else { return Vec::new() };
    let from = begin.max(quarter_of(now.before(LEARNED_FROM)));
    let horizons: Vec<usize> = (0..16)
        .map(|power| 1 << power)
        .take_while(|&quarters| quarters < quarters_max)
        .chain([quarters_max])
        .collect();
    let mut quotients: Vec<Vec<f64>> = vec![Vec::new(); horizons.len()];
    let weights: Vec<f64> =
        std::iter::successors(Some(1.0), |weight| Some(weight * FADING)).take(quarters_max + 1).collect();
    // The farther the horizon, the more do neighbours tell the same.
    let every = (quarters_max as i64 / 40).max(1);
    let mut quarter = from + 1;
    while quarter < to {
        let is_at_work = course.is_at_work(quarter);
        if is_at_work {
            let seen = course.free_until(quarter, to.min(quarter + quarters_max as i64)) - quarter;
            let seen = usize::try_from(seen).unwrap_or(0);
            let horizons = horizons.iter().take_while(|&&horizon| horizon <= seen);
            let hoped = hopes.sums(quarter, horizons.clone(), &weights);
            for ((&horizon, hoped), quotients) in horizons.zip(hoped).zip(&mut quotients) {
                if hoped > 0.0 {
                    quotients.push(course.sum(quarter, quarter + horizon as i64) / hoped);
                }
            }
        }
        quarter += if is_at_work { every } else { 1 };
    }
    let spread = |(quarters, mut values): (usize, Vec<f64>)| {
        let samples = u32::try_from(values.len()).unwrap_or(u32::MAX);
        (samples >= SPREAD_MIN).then(|| Spread {
            quarters: quarters as u32,
            low: quantile_of(&mut values, 0.1),
            middle: quantile_of(&mut values, 0.5),
            high: quantile_of(&mut values, 0.9),
            samples,
        })
    };
    horizons.into_iter().zip(quotients).filter_map(spread).collect()
}

/// Returns a quantile of sorted values, between neighbours in proportion; zero of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (below, above) = (sorted[place as usize], sorted[(place as usize + 1).min(last)]);
    below + (above - below) * place.fract()
}

/// Returns the same of values in any order, whose order changes.
fn quantile_of(values: &mut [f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (_, below, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let below = *below;
    let above = above.iter().copied().min_by(f64::total_cmp).unwrap_or(below);
    below + (above - below) * place.fract()
}

impl PercentCost {
    pub(crate) fn learn(load: &Load, samples: &[&WindowState], now: Timestamp) -> Option<Self> {
        let since = now.before(LEARNED_FROM);
        let mut samples: Vec<(&WindowState, f64)> = samples
            .iter()
            .copied()
            .filter(|sample| (since..=now).contains(&sample.observed_at))
            .filter_map(|sample| Some((sample, sample.used_percentage?)))
            .collect();
        samples.sort_by(|(a, used), (b, other)| {
            (a.observed_at, a.resets_at).cmp(&(b.observed_at, b.resets_at)).then(used.total_cmp(other))
        });
        let mut costs: Vec<(f64, f64)> = Vec::new();
        let mut last: Option<(&WindowState, f64)> = None;
        for (sample, used) in samples {
            let Some((before, used_before)) = last else {
                last = Some((sample, used));
                continue;
            };
            if !is_same_window(before, sample) || used < used_before {
                last = Some((sample, used));
                continue;
            }
            if used - used_before >= RISE_MIN && used < 100.0 {
                let usd = load.usd(before.observed_at, sample.observed_at);
                costs.push((usd / (used - used_before), used - used_before));
                last = Some((sample, used));
            }
        }
        let pairs = u32::try_from(costs.len()).unwrap_or(u32::MAX);
        costs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let usd = weighted_quantile(&costs, 0.5);
        (pairs >= PAIRS_MIN && usd > 0.0).then(|| Self {
            usd,
            low: weighted_quantile(&costs, 0.1),
            high: weighted_quantile(&costs, 0.9),
            pairs,
        })
    }
}

fn is_same_window(one: &WindowState, other: &WindowState) -> bool {
    match (one.resets_at, other.resets_at) {
        (Some(one), Some(other)) => one.max(other).since(one.min(other)) <= Duration::from_secs(60),
        _ => false,
    }
}

/// Returns the value of sorted (value, weight) pairs below which a share of the weight lies.
fn weighted_quantile(sorted: &[(f64, f64)], share: f64) -> f64 {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for (value, weight) in sorted {
        below += weight;
        if below >= share * total {
            return *value;
        }
    }
    sorted.last().map_or(0.0, |(value, _)| *value)
}

/// Returns the samples of a limit's meter that were told of.
pub fn told_samples<'a>(
    facts: impl IntoIterator<Item = &'a Event>,
    account: &str,
    kind: &LimitWindow,
) -> Vec<WindowState> {
    let state = |event: &Event| {
        let (used, resets_at) = match &event.fact {
            Fact::LimitSample(sample) if sample.window == *kind => {
                (f64::from(sample.used_hundredths?) / 100.0, sample.resets_at)
            }
            Fact::LimitHit(hit) if hit.window == *kind && hit.resets_at.0.is_some() => {
                (100.0, hit.resets_at.0)
            }
            _ => return None,
        };
        Some(WindowState {
            account: account.to_owned(),
            window: kind.clone(),
            used_percentage: Some(used),
            resets_at,
            observed_at: event.at,
        })
    };
    facts.into_iter().filter_map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn quantiles_need_no_order(
            mut values in proptest::collection::vec(-1e9..1e9f64, 0..80),
            share in 0.0..=1.0f64,
        ) {
            let found = quantile_of(&mut values, share);
            values.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(found.to_bits(), quantile(&values, share).to_bits());
        }

    }
}
