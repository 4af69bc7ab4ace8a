//! The two forms in which Claude Code's files write a time.

use std::time::{Duration, SystemTime};

/// Reads `2026-11-22T22:40:40.767Z`; `None` for any other form, other zones and times before 1970.
pub(crate) fn of_iso(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-')?;
    let seconds = of_civil([year, month, day], numbers(time, ':')?)?;
    let digits = fraction.get(..fraction.len().min(3)).filter(|_| plain(fraction))?;
    let millis = digits.parse::<u64>().ok()? * 10u64.pow(3 - u32::try_from(digits.len()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(seconds.checked_mul(1000)? + millis))
}

/// Reads `Sun Nov 22 22:36:44 2026` as seconds since 1970 of a clock whose zone is not known.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) fn of_ctime(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, month, day, time, year] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? as u64 + 1;
    of_civil([year.parse().ok()?, month, day.parse().ok()?], numbers(time, ':')?)
}

/// Days by the proleptic Gregorian calendar: <https://howardhinnant.github.io/date_algorithms.html>, `days_from_civil`.
fn of_civil([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<u64> {
    let legal = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !legal || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok().filter(|_| plain(part)));
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let check = |text: &str, millis: u64| {
            assert_eq!(of_iso(text), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)), "{text}");
        };
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T12:00:00.5Z", 951_825_600_500);
        check("2026-11-22T22:40:40.767Z", 1_795_387_240_767);
        check("2026-11-22T22:40:40.767999Z", 1_795_387_240_767);
        assert_eq!(of_ctime("Sun Nov 22 22:40:40 2026"), Some(1_795_387_240));
        assert_eq!(of_ctime("Tue Feb  1 00:00:00 2028"), Some(1_832_976_000));
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "Z",
            "T",
            "2026-11-22T22:40:40+01:00",
            "2026-13-22T22:40:40Z",
            "2026-11-22T24:40:40Z",
            "1969-12-31T23:59:59Z",
            "2026-11-22T22:40:40.Z",
            "2026-11-22T22:40:40.é9Z",
            "+2026-1-1T0:0:0Z",
            "99999999999999999999-01-01T00:00:00Z",
        ] {
            assert_eq!(of_iso(text), None, "{text}");
        }
        assert_eq!(of_ctime("soon"), None);
    }
}
