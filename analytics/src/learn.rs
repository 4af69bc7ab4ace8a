//! What an account teaches: what a percent of its meters costs, when it works, and how far forecasts miss.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_store::{Event, Fact, LimitWindow, Timestamp};

use crate::backtest::Backtest;
use crate::course::{Course, FADING, running_sums};
use crate::rate::{Load, quarter_of};

/// How much of the past is learned from: eight weeks, so that habits that changed are forgotten.
const LEARNED_FROM: Duration = Duration::from_secs(56 * 86_400);
/// The least rise between two samples that tells what a percent costs; meters are whole percents.
const RISE_MIN: f64 = 2.0;
/// Pairs of samples without which no cost of a percent is told.
const PAIRS_MIN: u32 = 3;
/// Days of history without which no habit is told.
const DAYS_MIN: u32 = 7;
/// Cases without which no spread of a horizon is told.
const SPREAD_MIN: u32 = 20;
/// How many quarter hours tell how this day compares to a usual one.
const LEVEL_FROM: i64 = 32;
/// Hours of a working day, then those of a day at the weekend.
const SLOTS: usize = 48;

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

/// When an account works: mean dollars in a quarter hour, by the hour of a working day and of a weekend's day.
///
/// Times blocked by the limit do not count. An hour without enough days leans on the mean of all: as if one more day of that mean had been seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    /// 24 hours of Monday to Friday, then 24 of Saturday and Sunday, in the zone of the report.
    pub usd_per_quarter: Vec<f64>,
    /// How many days it rests on.
    pub days: u32,
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

impl Habit {
    fn learn(course: &Course, now: Timestamp) -> Option<Self> {
        let to = quarter_of(now);
        let from = course.begin()?.max(quarter_of(now.before(LEARNED_FROM)));
        let days = u32::try_from((to - from).max(0) / 96).unwrap_or(0);
        if days < DAYS_MIN {
            return None;
        }
        let mut sums = [0.0; SLOTS];
        let mut counts = [0u32; SLOTS];
        for quarter in (from..to).filter(|quarter| !course.is_blocked(*quarter)) {
            let slot = course.slot(quarter);
            sums[slot] += course.at(quarter);
            counts[slot] += 1;
        }
        let mean = sums.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>().max(1));
        // A day more of the mean: four quarter hours in each slot.
        let usual = |slot: usize| (sums[slot] + 4.0 * mean) / (f64::from(counts[slot]) + 4.0);
        Some(Self { usd_per_quarter: (0..SLOTS).map(usual).collect(), days })
    }

    fn at(&self, slot: usize) -> f64 {
        self.usd_per_quarter.get(slot).copied().unwrap_or(0.0)
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

/// What is expected to be used, by the recent rate and the habit.
///
/// The recent rate (a mean of the last day that fades with age, half in an hour) gives way to the habit of the hour, half
/// after an hour; the habit is scaled by how the last eight hours compared to it. Without a habit the recent rate stays. Times
/// blocked by the limit count in none of them. Every value grows with the load.
pub(crate) struct Hopes<'a> {
    course: &'a Course,
    habit: Option<HabitSums>,
}

/// A habit laid out over the stretch of a course, with its sums.
struct HabitSums {
    habit: Habit,
    busiest_hour: f64,
    /// The usual use before each quarter hour, and in all of them; the same of those that no limit blocked.
    sums: Vec<f64>,
    free_sums: Vec<f64>,
    /// From each quarter hour on, the usual use to the end of the stretch, which fades with the way there.
    faded: Vec<f64>,
}

impl<'a> Hopes<'a> {
    pub(crate) fn of(course: &'a Course, habit: Option<&Habit>) -> Self {
        let sums = |habit: &Habit| {
            let usual: Vec<f64> = course.hours().map(|(slot, _)| habit.at(slot)).collect();
            let free = usual.iter().zip(course.hours());
            let free = free.map(|(usual, (_, is_blocked))| if is_blocked { 0.0 } else { *usual });
            let mut faded = vec![0.0; usual.len() + 1];
            for (place, usual) in usual.iter().enumerate().rev() {
                faded[place] = usual + FADING * faded[place + 1];
            }
            HabitSums {
                habit: habit.clone(),
                busiest_hour: 4.0 * habit.usd_per_quarter.iter().copied().fold(0.0, f64::max),
                free_sums: running_sums(free),
                sums: running_sums(usual.iter().copied()),
                faded,
            }
        };
        Self { course, habit: habit.map(sums) }
    }

    /// Returns the expected use of each of the next quarter hours, in dollars, without end.
    pub(crate) fn way(&self, from: i64) -> impl Iterator<Item = f64> + '_ {
        let recent = self.course.recent(from);
        let habit = self.habit.as_ref().map(|sums| (&sums.habit, sums.level(self.course, from)));
        let mut weight = 1.0;
        (from..).map(move |at| {
            let usual = habit.map_or(recent, |(habit, level)| habit.at(self.course.slot(at)) * level);
            let usd = recent * weight + usual * (1.0 - weight);
            weight *= FADING;
            usd
        })
    }

    /// Returns the sums of that way until each of some horizons within the stretch; `weights` are those of the recent rate.
    fn sums<'b>(
        &'b self,
        from: i64,
        horizons: impl Iterator<Item = &'b usize> + 'b,
        weights: &'b [f64],
    ) -> impl Iterator<Item = f64> + 'b {
        let recent = self.course.recent(from);
        let habit = self.habit.as_ref().map(|sums| (sums, sums.level(self.course, from)));
        horizons.map(move |&horizon| {
            let Some((sums, level)) = habit else { return recent * horizon as f64 };
            let to = from + horizon as i64;
            let faded = |at: i64| sums.faded[self.course.place_of(at)];
            let usual = self.course.between(&sums.sums, from, to);
            let replaced = faded(from) - weights[horizon] * faded(to);
            recent * (1.0 - weights[horizon]) / (1.0 - FADING) + level * (usual - replaced)
        })
    }
}

impl HabitSums {
    /// Returns how this day compares to a usual one: the use of the last eight hours by the usual use of these hours, to each of
    /// which one busiest hour is added, so that a quiet night decides nothing. Grows with the load.
    fn level(&self, course: &Course, from: i64) -> f64 {
        let was = self.busiest_hour + course.free_sum(from - LEVEL_FROM, from);
        let usual = self.busiest_hour + course.between(&self.free_sums, from - LEVEL_FROM, from);
        if usual > 0.0 { was / usual } else { 1.0 }
    }
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
    use crate::rate::start_of;
    use proptest::prelude::*;
    use session_store::Zone;

    /// A Monday.
    const FROM: i64 = 1_790_553_600_000 / 900_000;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sums_of_hopes_are_those_of_the_way(
            used in proptest::collection::vec((0..1_500i64, 0.0..3.0f64), 1..200),
            blocked in proptest::collection::vec((0..1_500i64, 1..60i64), 0..4),
            from in 800..1_500i64,
            has_habit: bool,
        ) {
            let at = |quarter: i64| start_of(FROM + quarter);
            let load = Load::of_dollars(used.into_iter().map(|(quarter, usd)| (at(quarter), usd)));
            let load = load.blocked_in(blocked.into_iter().map(|(from, length)| at(from)..at(from + length)));
            let course = Course::of(&load, &Zone::utc(), FROM, FROM + 2_200);
            let habit = Habit::learn(&course, at(1_500)).filter(|_| has_habit);
            let horizons = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 672];
            let hopes = Hopes::of(&course, habit.as_ref());
            let weights: Vec<f64> = (0..700).map(|quarters| FADING.powi(quarters)).collect();
            let hoped = hopes.sums(FROM + from, horizons.iter(), &weights);
            for (horizon, hoped) in horizons.into_iter().zip(hoped) {
                let way: f64 = hopes.way(FROM + from).take(horizon).sum();
                prop_assert!((way - hoped).abs() <= 1e-6 * (1.0 + way), "{horizon}: {way} {hoped}");
            }
        }

        #[test]
        fn quantiles_need_no_order(
            mut values in proptest::collection::vec(-1e9..1e9f64, 0..80),
            share in 0.0..=1.0f64,
        ) {
            let found = quantile_of(&mut values, share);
            values.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(found.to_bits(), quantile(&values, share).to_bits());
        }

        #[test]
        fn a_course_sums_like_its_load(
            used in proptest::collection::vec((0..400i64, 0.0..3.0f64), 0..60),
            from in 0..400_000_000i64,
            length in 0..100_000_000i64,
        ) {
            let load = Load::of_dollars(used.into_iter().map(|(quarter, usd)| (start_of(FROM + quarter), usd)));
            let course = Course::of(&load, &Zone::utc(), FROM, FROM + 500);
            let from = Timestamp::from_millis(start_of(FROM).as_millis() + from);
            let to = Timestamp::from_millis(from.as_millis() + length);
            prop_assert!((course.usd(from, to) - load.usd(from, to)).abs() < 1e-9);
        }
    }
}
