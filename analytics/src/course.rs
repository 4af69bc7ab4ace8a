//! A load quarter hour by quarter hour, with the hour of the week that each is: what learning looks at.

use std::cell::Cell;
use std::time::Duration;

use session_store::{CELL_WIDTH, Timestamp, Zone};

use crate::rate::{Load, quarter_of, share_inside, start_of};

/// How many past quarter hours the recent use looks at: a day.
const LOOK_BACK: i64 = 96;
/// How much of the past is learned from: eight weeks, so that habits that changed are forgotten.
pub(crate) const LEARNED_FROM: Duration = Duration::from_secs(56 * 86_400);
/// What a quarter hour of age takes from the weight of a past one, and a quarter hour ahead from the weight of the recent rate:
/// half of it is left after an hour (2^(-1/4)).
pub(crate) const FADING: f64 = 0.840_896_415_253_714_5;

/// A stretch of a load. Learning asks for the same quarter hours thousands of times; here each is one look, and no zone is asked twice.
///
/// Outside the stretch nothing was used.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    first: i64,
    quarters: Vec<Place>,
    used_from: Option<i64>,
    /// What was used before each quarter hour of the stretch, and in all of it.
    sums: Vec<f64>,
    /// The same of those in which no limit let nothing through.
    free_sums: Vec<f64>,
    /// The first quarter hour from each on in which a limit let nothing through, else the end of the stretch.
    next_blocked: Vec<i64>,
    /// The recent use at each quarter hour that was asked for; no number where none was yet.
    recent: Vec<Cell<f64>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    usd: f64,
    slot: u8,
    is_blocked: bool,
}

impl Course {
    /// Lays out a load from one quarter hour to another, the last exclusive.
    pub(crate) fn of(load: &Load, zone: &Zone, from: i64, to: i64) -> Self {
        let mut quarters = slots(zone, from, to);
        for (at, quarter) in load.quarters().range(from..to.max(from)) {
            quarters[(at - from) as usize].usd = quarter.usd;
        }
        for at in load.blocked().range(from..to.max(from)) {
            quarters[(at - from) as usize].is_blocked = true;
        }
        let sums = running_sums(quarters.iter().map(|quarter| quarter.usd));
        let free = |quarter: &Place| if quarter.is_blocked { 0.0 } else { quarter.usd };
        let free_sums = running_sums(quarters.iter().map(free));
        let recent = vec![Cell::new(f64::NAN); quarters.len()];
        let used_from = load.quarters().keys().next().copied();
        let mut next = from + quarters.len() as i64;
        let mut next_blocked = vec![next; quarters.len()];
        for (place, quarter) in quarters.iter().enumerate().rev() {
            if quarter.is_blocked {
                next = from + place as i64;
            }
            next_blocked[place] = next;
        }
        Self { first: from, quarters, used_from, sums, free_sums, next_blocked, recent }
    }

    /// Returns the first quarter hour that may be learned from: that of the first use, or of the stretch.
    pub(crate) fn begin(&self) -> Option<i64> {
        self.used_from.map(|used| used.max(self.first))
    }

    /// Returns the dollars of one quarter hour.
    pub(crate) fn at(&self, quarter: i64) -> f64 {
        self.place(quarter).usd
    }

    /// Returns the dollars of the quarter hours from one to another, the last exclusive.
    pub(crate) fn sum(&self, from: i64, to: i64) -> f64 {
        self.between(&self.sums, from, to)
    }

    /// Returns the same of those in which no limit let nothing through.
    pub(crate) fn free_sum(&self, from: i64, to: i64) -> f64 {
        self.between(&self.free_sums, from, to)
    }

    /// Returns the difference of two running sums over the stretch.
    pub(crate) fn between(&self, sums: &[f64], from: i64, to: i64) -> f64 {
        let last = sums.len() as i64 - 1;
        let before = |at: i64| sums[(at - self.first).clamp(0, last) as usize];
        before(to) - before(from)
    }

    /// Returns the place of a quarter hour in the stretch.
    pub(crate) fn place_of(&self, quarter: i64) -> usize {
        usize::try_from(quarter - self.first).unwrap_or(0).min(self.quarters.len())
    }

    /// Returns the hours of the week and whether they are blocked, quarter hour by quarter hour.
    pub(crate) fn hours(&self) -> impl ExactSizeIterator<Item = (usize, bool)> + DoubleEndedIterator {
        self.quarters.iter().map(|it| (usize::from(it.slot), it.is_blocked))
    }

    /// Returns what [`Load::usd`] does.
    pub(crate) fn usd(&self, from: Timestamp, to: Timestamp) -> f64 {
        if from >= to {
            return 0.0;
        }
        let (first, last) = (quarter_of(from), quarter_of(to));
        let edge = |at: i64| self.at(at) * share_inside(at, from, to);
        match first == last {
            true => edge(first),
            false => edge(first) + self.sum(first + 1, last) + edge(last),
        }
    }

    /// Returns the recent use of a quarter hour before another: the mean of the last day, which fades with age, half in an hour.
    pub(crate) fn recent(&self, before: i64) -> f64 {
        let known = usize::try_from(before - self.first).ok().and_then(|place| self.recent.get(place));
        if let Some(recent) = known.map(Cell::get).filter(|recent| !recent.is_nan()) {
            return recent;
        }
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
        for place in (before - LOOK_BACK..before).rev().map(|at| self.place(at)).filter(|it| !it.is_blocked) {
            sum += place.usd * weight;
            weights += weight;
            weight *= FADING;
        }
        let recent = if weights > 0.0 { sum / weights } else { 0.0 };
        if let Some(known) = known {
            known.set(recent);
        }
        recent
    }

    /// Returns the first quarter hour from one to another, the last exclusive, in which a limit let nothing through, else the last.
    pub(crate) fn free_until(&self, from: i64, to: i64) -> i64 {
        let place = usize::try_from(from - self.first).ok();
        place.and_then(|place| self.next_blocked.get(place)).map_or(to, |next| (*next).min(to))
    }

    /// Returns whether something was used within the hour before a quarter hour.
    pub(crate) fn is_at_work(&self, quarter: i64) -> bool {
        (quarter - 4..quarter).any(|at| self.at(at) > 0.0)
    }

    /// Returns whether a limit let nothing through.
    pub(crate) fn is_blocked(&self, quarter: i64) -> bool {
        self.place(quarter).is_blocked
    }

    /// Returns the hour of a working day, 0 to 23, or of a day at the weekend, 24 to 47.
    pub(crate) fn slot(&self, quarter: i64) -> usize {
        usize::from(self.place(quarter).slot)
    }

    fn place(&self, quarter: i64) -> Place {
        let place = usize::try_from(quarter - self.first).ok();
        place.and_then(|place| self.quarters.get(place)).copied().unwrap_or_default()
    }
}

/// Returns the sum of the values before each, and that of all.
pub(crate) fn running_sums(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in values {
        sum += value;
        sums.push(sum);
    }
    sums
}

/// Tells of each quarter hour which hour of the week it is. A day of 24 hours is taken to be without a change of the clock.
fn slots(zone: &Zone, from: i64, to: i64) -> Vec<Place> {
    let mut places = Vec::with_capacity(usize::try_from(to - from).unwrap_or(0));
    let mut quarter = from;
    while quarter < to {
        let date = zone.date_of(start_of(quarter));
        let (start, end) = (zone.start_of(date), zone.start_of(date.tomorrow()));
        let is_plain = end.since(start) == Duration::from_secs(86_400);
        let weekend = if date.weekday() >= 5 { 24 } else { 0 };
        let hour = |at: Timestamp| match is_plain {
            true => (at.since(start).as_secs() / 3600) as u8,
            false => zone.clock_of(at).0 as u8,
        };
        // The first quarter hour of the next day; the calendar's last day is its own tomorrow.
        let next = (quarter_of(end.before(CELL_WIDTH)) + 1).max(quarter + 1).min(to);
        places.extend(
            (quarter..next).map(|at| Place { slot: hour(start_of(at)) + weekend, ..Place::default() }),
        );
        quarter = next;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hours_of_the_week_are_those_of_the_clock() {
        for name in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"] {
            let zone = Zone::named(name).expect("it is known");
            // Half a year with a change of the clocks in it.
            let from = quarter_of(Timestamp::parse("2026-08-30T07:15:00Z").expect("a time"));
            let course = Course::of(&Load::default(), &zone, from, from + 96 * 180);
            for quarter in from..from + 96 * 180 {
                let at = start_of(quarter);
                let weekend = if zone.date_of(at).weekday() >= 5 { 24 } else { 0 };
                assert_eq!(course.slot(quarter), zone.clock_of(at).0 as usize + weekend, "{name} {at}");
            }
        }
    }

    /// A Monday.
    const FROM: i64 = 1_790_553_600_000 / 900_000;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
