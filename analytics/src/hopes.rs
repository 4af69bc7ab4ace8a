//! What is expected of an account from a moment on: the recent rate, giving way to its habit.

use serde::{Deserialize, Serialize};
use session_store::Timestamp;

use crate::course::{Course, FADING, LEARNED_FROM, running_sums};
use crate::rate::{quarter_of, start_of};

/// Days of history without which no habit is told.
const DAYS_MIN: u32 = 7;
/// How many quarter hours tell how this day compares to a usual one.
const LEVEL_FROM: i64 = 32;
/// Hours of a working day, then those of a day at the weekend.
const SLOTS: usize = 48;

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

/// What is expected to be used, by the recent rate and the habit.
///
/// The recent rate (a mean of the last day that fades with age, half in an hour) gives way to the habit of the hour, half
/// after an hour; the habit is scaled by how the last eight hours compared to it. Without a habit the recent rate stays. Times
/// blocked by the limit count in none of them. Every value grows with the load.
pub(crate) struct Hopes<'a> {
    pub(crate) course: &'a Course,
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

    /// Returns when what is left is used up: the early end of the interval, the time, the late end, each `None` where it lies
    /// behind the reset; `None` where it is not known how far forecasts miss. `quotients` are those of
    /// each of the quarter hours ahead.
    pub(crate) fn crossings(
        &self,
        quotients: &[[f64; 3]],
        now: Timestamp,
        resets_at: Timestamp,
        left_usd: f64,
    ) -> Option<[Option<Timestamp>; 3]> {
        let farthest = quotients.last()?;
        let from = quarter_of(now);
        let steps = usize::try_from(quarter_of(resets_at) - from + 1).unwrap_or(0);
        let mut used = 0.0;
        let mut before = [0.0; 3];
        let mut times = [None; 3];
        for (step, usd) in self.way(from).take(steps).enumerate() {
            used += usd;
            let quotients = quotients.get(step).unwrap_or(farthest);
            // A high quotient makes an early time.
            for (time, quotient) in [2, 1, 0].into_iter().enumerate() {
                let reached = (used * quotients[quotient]).max(before[time]);
                if times[time].is_none() && reached >= left_usd {
                    let part = if reached > before[time] {
                        (left_usd - before[time]) / (reached - before[time])
                    } else {
                        0.0
                    };
                    // The path starts now, not at the quarter hour.
                    let since = start_of(1).as_millis() as f64 * (step as f64 + part.clamp(0.0, 1.0));
                    times[time] = Some(Timestamp::from_millis(now.as_millis() + since as i64));
                }
                before[time] = reached;
            }
            if times.iter().all(Option::is_some) {
                break;
            }
        }
        Some(times.map(|time| time.filter(|at| *at < resets_at)))
    }

    /// Returns the sums of that way until each of some horizons within the stretch; `weights` are those of the recent rate.
    pub(crate) fn sums<'b>(
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

impl Habit {
    pub(crate) fn learn(course: &Course, now: Timestamp) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Load;
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
    }
}
