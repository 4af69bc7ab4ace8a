//! Spans and moments in milliseconds, written as Claude Code writes them.

use fastrand::Rng;

use crate::time::Timestamp;
use crate::zone::Zone;

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Shows a moment in Unix milliseconds as RFC 3339 in UTC.
pub(super) fn stamp(at_ms: i64) -> Timestamp {
    Timestamp::from_millis(at_ms)
}

/// Says when a limit resets, in UTC: `6pm`, `6:30pm`.
pub(super) fn time_of_day(at_ms: i64) -> String {
    let (hour, minute) = Zone::utc().clock_of(stamp(at_ms));
    let half = if hour < 12 { "am" } else { "pm" };
    let hour = (hour + 11) % 12 + 1;
    if minute == 0 { format!("{hour}{half}") } else { format!("{hour}:{minute:02}{half}") }
}

/// Says on which day a limit resets, in UTC: `Nov 20`.
pub(super) fn month_day(at_ms: i64) -> String {
    let date = Zone::utc().date_of(stamp(at_ms));
    format!("{} {}", MONTHS[date.month as usize - 1], date.day)
}

/// Chooses a moment at which people work, so that a chart of the hours looks like one.
pub(super) fn start_of_work(rng: &mut Rng, start_ms: i64, end_ms: i64) -> i64 {
    const HOURS: [i64; 16] = [7, 8, 8, 9, 9, 10, 10, 11, 13, 14, 14, 15, 16, 17, 20, 22];
    let any = rng.i64(start_ms..end_ms - HOUR_MS);
    let hour = HOURS[rng.usize(0..HOURS.len())];
    let chosen = any - any.rem_euclid(DAY_MS) + hour * HOUR_MS + rng.i64(0..HOUR_MS);
    if (start_ms..end_ms - HOUR_MS).contains(&chosen) { chosen } else { any }
}
