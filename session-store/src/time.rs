//! Moments, in whole milliseconds of UTC.

use std::fmt;
use std::time::{Duration, SystemTime};

const DAY_MS: i64 = 86_400_000;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Claude Code writes milliseconds, so nothing is lost. Any `i64` is legal; arithmetic saturates.
///
/// ```
/// use session_store::Timestamp;
/// let at = Timestamp::parse("2026-11-22T17:09:41.874Z").unwrap();
/// assert_eq!(at.as_millis(), 1_795_367_381_874);
/// assert_eq!(at.to_string(), "2026-11-22T17:09:41.874Z");
/// let now = Timestamp::from(std::time::SystemTime::now());
/// assert!(now > at.before(std::time::Duration::from_secs(86_400 * 3650)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest value, before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest value, after every event.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes a timestamp from milliseconds since 1970 (UTC).
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes a timestamp from seconds since 1970 (UTC).
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns milliseconds since 1970 (UTC).
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns whether the moment lies from 2020 to 2100, where facts about Claude Code can lie.
    pub const fn is_plausible(self) -> bool {
        const FROM: i64 = 1_577_836_800_000;
        const TO: i64 = 4_102_444_800_000;
        FROM <= self.0 && self.0 < TO
    }

    /// Reads RFC 3339 with `T` and either `Z` or a numeric offset; fractions beyond milliseconds are cut.
    ///
    /// Returns `None` for anything else, dates that do not exist included.
    pub fn parse(text: &str) -> Option<Self> {
        let (date_time, offset_minutes) = split_offset(text)?;
        let bytes = date_time.as_bytes();
        if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || !matches!(bytes[10], b'T' | b't') {
            return None;
        }
        if bytes[13] != b':' || bytes[16] != b':' {
            return None;
        }
        let (year, month, day) = (digits(&bytes[0..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?);
        let (hour, minute, second) =
            (digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
        Some(Self((seconds - offset_minutes * 60) * 1000 + fraction_millis(&bytes[19..])?))
    }

    /// Returns the moment later by `duration`, the latest one if that overflows.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis().try_into().unwrap_or(i64::MAX)))
    }

    /// Returns the moment earlier by `duration`, the earliest one if that overflows.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_millis().try_into().unwrap_or(i64::MAX)))
    }

    /// Returns the time passed since `earlier`, zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// Returns the start of the stretch of `width` that holds this moment, counted from 1970.
    pub fn floor(self, width: Duration) -> Self {
        let width = (width.as_millis() as i64).max(1);
        Self(self.0.saturating_sub(self.0.rem_euclid(width)))
    }
}

impl From<SystemTime> for Timestamp {
    /// Takes a moment of the system's clock, or of a file.
    fn from(at: SystemTime) -> Self {
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(0).after(since),
            Err(error) => Self(0).before(error.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(days);
        let (seconds, fraction) = (millis / 1000, millis % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:03}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return Some((rest, 0));
    }
    let at = text.len().checked_sub(6)?;
    let (rest, offset) = (text.get(..at)?, text.get(at..)?.as_bytes());
    let sign = match offset[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(&offset[1..3])?, digits(&offset[4..6])?);
    (offset[3] == b':' && hours < 24 && minutes < 60).then_some((rest, sign * (hours * 60 + minutes)))
}

fn fraction_millis(bytes: &[u8]) -> Option<i64> {
    let Some((b'.', fraction)) = bytes.split_first() else {
        return bytes.is_empty().then_some(0);
    };
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((0..3).fold(0, |millis, place| {
        millis * 10 + i64::from(fraction.get(place).map_or(0, |digit| digit - b'0'))
    }))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts days since 1970 by eras of 400 years that begin in March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_of_the_system_keeps_its_milliseconds() {
        let check =
            |at: SystemTime, millis: i64| assert_eq!(Timestamp::from(at).as_millis(), millis, "{at:?}");
        check(SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_367_381_874_999), 1_795_367_381_874);
        check(SystemTime::UNIX_EPOCH, 0);
        check(SystemTime::UNIX_EPOCH - Duration::from_millis(1500), -1500);
    }

    #[test]
    fn reads_what_is_written_in_transcripts() {
        let check = |text: &str, millis: Option<i64>| {
            assert_eq!(Timestamp::parse(text).map(Timestamp::as_millis), millis, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01T00:00:00.5Z", Some(500));
        check("1970-01-01T00:00:00.123456789Z", Some(123));
        check("1970-01-01T02:00:00+02:00", Some(0));
        check("1969-12-31T19:30:00.001-04:30", Some(1));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000));
        check("2023-02-29T00:00:00Z", None);
        check("2026-13-01T00:00:00Z", None);
        check("2026-11-22 17:09:41Z", None);
        check("2026-11-22T17:09:41", None);
        check("2026-11-22T17:09:41.Z", None);
        check("2026-11-22T24:09:41Z", None);
        check("ä026-11-22T17:09:41Z", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn parse_undoes_display(millis in -62_000_000_000_000i64..250_000_000_000_000) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        }

        #[test]
        fn parse_is_total(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
