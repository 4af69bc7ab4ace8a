//! How well forecasts would have done on an account's own past.

use std::time::Duration;

use session_store::Timestamp;

use crate::course::Course;
use crate::hopes::Hopes;
use crate::learn::{Backtest, LearnedLimit, quantile};
use crate::rate::{quarter_of, share_inside, start_of};
use crate::window::Window;

/// How much of the past is tried.
const TRIED: Duration = Duration::from_secs(90 * 86_400);
/// Learning anew for every case would look at all of the past each time.
const LEARN_EVERY: Duration = Duration::from_secs(7 * 86_400);
/// Windows that must lie before the first that is tried.
const WINDOWS_BEFORE: usize = 3;

/// Tries the method on the past; `None` where there is nothing to try it on. `course` lays the load out.
pub(crate) fn backtest(windows: &[Window], course: &Course, now: Timestamp) -> Option<Backtest> {
    let ended = windows.iter().filter(|window| window.end <= now);
    let mut trial = Trial { course, errors: Vec::new(), linear_errors: Vec::new(), covered: 0 };
    let mut learned: Option<(Timestamp, Known<'_>)> = None;
    // What each window before used, sorted.
    let mut totals: Vec<f64> = Vec::new();
    for (place, window) in ended.enumerate() {
        if place >= WINDOWS_BEFORE && window.end > now.before(TRIED) {
            let is_stale = |(at, _): &(Timestamp, Known<'_>)| window.start.since(*at) >= LEARN_EVERY;
            if learned.as_ref().is_none_or(is_stale) {
                let steps = (window.end.since(window.start).as_secs() / 900) as usize;
                let (limit, hopes) = LearnedLimit::learn(course, window.start, steps);
                let quotients = limit.all_quotients(steps);
                learned = Some((window.start, Known { hopes, quotients }));
            }
            let Some((_, known)) = &learned else { continue };
            for share in [0.5, 0.8] {
                trial.try_window(window, known, quantile(&totals, share));
            }
        }
        let usd = course.usd(window.start, window.end);
        if usd > 0.0 {
            totals.insert(totals.partition_point(|less| *less < usd), usd);
        }
    }
    trial.verdict()
}

/// What was known at a moment.
struct Known<'a> {
    hopes: Hopes<'a>,
    quotients: Vec<[f64; 3]>,
}

struct Trial<'a> {
    course: &'a Course,
    errors: Vec<f64>,
    linear_errors: Vec<f64>,
    covered: u32,
}

impl Trial<'_> {
    fn try_window(&mut self, window: &Window, known: &Known<'_>, budget: f64) {
        let (first, last) = (quarter_of(window.start) + 1, quarter_of(window.end));
        let every = ((last - first) / 40).max(1);
        let mut used = self.course.usd(window.start, start_of(first));
        let mut asked = first - every;
        for quarter in first..last {
            let now = start_of(quarter);
            // What would have been used without the limit nobody knows.
            if used >= budget || self.course.is_blocked(quarter) {
                return;
            }
            if quarter >= asked + every && self.course.is_at_work(quarter) {
                asked = quarter;
                self.ask(window, known, now, budget, used);
            }
            used += self.course.at(quarter);
        }
    }

    fn ask(&mut self, window: &Window, known: &Known<'_>, now: Timestamp, budget: f64, used: f64) {
        let left = budget - used;
        let Some([low, time, high]) = known.hopes.crossings(&known.quotients, now, window.end, left) else {
            return;
        };
        let truth = reached(self.course, now, window.end, left);
        if truth.is_none() && time.is_none() {
            return;
        }
        let end = quarter_of(window.end);
        if truth.is_none() && self.course.free_until(quarter_of(now), end) < end {
            return;
        }
        let until = |at: Option<Timestamp>| at.unwrap_or(window.end);
        let error = |at| minutes_between(until(at), until(truth));
        self.errors.push(error(time));
        let passed = now.since(window.start).as_millis() as f64;
        let line = now.after(Duration::from_millis(((budget - used) / used * passed).min(1e12) as u64));
        self.linear_errors.push(error((used > 0.0 && line < window.end).then_some(line)));
        let is_after_low = low.is_some_and(|low| low <= until(truth)) || (low.is_none() && truth.is_none());
        let is_before_high = high.is_none_or(|high| truth.is_some_and(|truth| truth <= high));
        self.covered += u32::from(is_after_low && is_before_high);
    }

    fn verdict(mut self) -> Option<Backtest> {
        let samples = u32::try_from(self.errors.len()).unwrap_or(u32::MAX);
        if samples == 0 {
            return None;
        }
        self.errors.sort_unstable_by(f64::total_cmp);
        self.linear_errors.sort_unstable_by(f64::total_cmp);
        Some(Backtest {
            samples,
            coverage: f64::from(self.covered) / f64::from(samples),
            median_error_minutes: quantile(&self.errors, 0.5),
            linear_error_minutes: quantile(&self.linear_errors, 0.5),
        })
    }
}

/// Returns when so much was used, `None` where not before the end.
fn reached(course: &Course, from: Timestamp, end: Timestamp, usd: f64) -> Option<Timestamp> {
    let mut used = 0.0;
    for quarter in quarter_of(from)..quarter_of(end) + 1 {
        let (start, stop) = (start_of(quarter).max(from), start_of(quarter + 1).min(end));
        let is_whole = start == start_of(quarter) && stop == start_of(quarter + 1);
        let here = course.at(quarter) * if is_whole { 1.0 } else { share_inside(quarter, start, stop) };
        if here > 0.0 && used + here >= usd {
            let part = ((usd - used) / here).clamp(0.0, 1.0);
            return Some(
                start.after(Duration::from_millis((stop.since(start).as_millis() as f64 * part) as u64)),
            );
        }
        used += here;
    }
    None
}

fn minutes_between(one: Timestamp, other: Timestamp) -> f64 {
    one.max(other).since(one.min(other)).as_secs_f64() / 60.0
}
