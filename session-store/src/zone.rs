//! Time zones: from moments to calendar days and back, daylight saving included.

use std::fmt;
use std::time::Duration;

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// A time zone, in which days begin and clock times are read.
///
/// ```
/// use session_store::{Date, Timestamp, Zone};
/// let berlin = Zone::named("Europe/Berlin").unwrap();
/// let at = Timestamp::parse("2026-03-28T23:30:00Z").unwrap();
/// let day = berlin.date_of(at);
/// assert_eq!(day, Date { year: 2026, month: 3, day: 29 });
/// // The clocks go forward on that day, so it has 23 hours.
/// let length = berlin.start_of(day.tomorrow()).since(berlin.start_of(day));
/// assert_eq!(length.as_secs(), 23 * 3600);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A day of the calendar, in the zone that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year, -9999 to 9999.
    pub year: i16,
    /// The month, 1 to 12.
    pub month: i8,
    /// The day of the month, 1 to 31.
    pub day: i8,
}

/// A clock time that was written without a date, or with a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockTime {
    /// The hour, 0 to 23.
    pub hour: i8,
    /// The minute, 0 to 59.
    pub minute: i8,
    /// The day of the week, 0 for Monday to 6 for Sunday, where it was said.
    pub weekday: Option<i8>,
    /// Month and day of the month, where they were said.
    pub month_day: Option<(i8, i8)>,
    /// The year, where it was said.
    pub year: Option<i16>,
}

impl Zone {
    /// Returns UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Returns the zone of this IANA name, such as `Europe/Berlin`, if the system or the library knows it.
    pub fn named(name: &str) -> Option<Self> {
        // The library would look through every folder of zones for this one too.
        if name == "UTC" {
            return Some(Self::utc());
        }
        of_file(name).or_else(|| TimeZone::get(name).ok()).map(Self)
    }

    /// Returns the zone of the machine (`TZ`, then the system's setting), UTC where there is none.
    pub fn system() -> Self {
        let said = std::env::var_os("TZ").map_or_else(localtime, |name| name.into_string().ok());
        let found = || Some(TimeZone::system()).filter(|zone| !zone.is_unknown());
        Self(said.and_then(|name| of_file(&name)).or_else(found).unwrap_or(TimeZone::UTC))
    }

    /// Returns the IANA name, where the zone has one.
    pub fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    /// Returns the day that holds this moment.
    pub fn date_of(&self, at: Timestamp) -> Date {
        self.civil(at).date().into()
    }

    /// Returns hour and minute of this moment, as a clock on the wall shows them.
    pub fn clock_of(&self, at: Timestamp) -> (i8, i8) {
        let civil = self.civil(at);
        (civil.hour(), civil.minute())
    }

    /// Returns the first moment of a day.
    ///
    /// Where the clocks skip midnight this is the first moment after the gap; a day that does not exist is taken
    /// as the nearest that does.
    pub fn start_of(&self, date: Date) -> Timestamp {
        let at = date.civil().to_datetime(civil::Time::midnight());
        self.moment(at)
    }

    /// Returns the first moment at or after `from` that this clock time can mean.
    ///
    /// A minute of grace is given, because the seconds of the written time are not known.
    pub fn next(&self, time: ClockTime, from: Timestamp) -> Option<Timestamp> {
        let clock = civil::Time::new(time.hour, time.minute, 0, 0).ok()?;
        let earliest = from.before(Duration::from_secs(60));
        let mut day = self.civil(earliest).date();
        if let (Some(year), Some((month, day_of_month))) = (time.year, time.month_day) {
            let date = civil::Date::new(year, month, day_of_month).ok()?;
            return Some(self.moment(date.to_datetime(clock)));
        }
        // A date without a year recurs within four years and a day even for the 29th of February.
        for _ in 0..=1461 {
            let fits_week =
                time.weekday.is_none_or(|weekday| day.weekday().to_monday_zero_offset() == weekday);
            let fits_date = time.month_day.is_none_or(|(month, at)| day.month() == month && day.day() == at);
            let moment = self.moment(day.to_datetime(clock));
            if fits_week && fits_date && moment >= earliest {
                return Some(moment);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn civil(&self, at: Timestamp) -> DateTime {
        let limits = jiff::Timestamp::MIN.as_millisecond()..=jiff::Timestamp::MAX.as_millisecond();
        let millis = at.as_millis().clamp(*limits.start(), *limits.end());
        self.0.to_datetime(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    fn moment(&self, at: DateTime) -> Timestamp {
        match self.0.to_timestamp(at) {
            Ok(moment) => Timestamp::from_millis(moment.as_millisecond()),
            // Only the last hours of the year 9999 and the first of -9999 are out of reach.
            Err(_) if at.year() > 0 => Timestamp::MAX,
            Err(_) => Timestamp::MIN,
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("local"))
    }
}

impl Date {
    /// Reads `YYYY-MM-DD`; returns `None` for anything else and for days that do not exist.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<civil::Date>().ok().filter(|_| text.len() == 10).map(Self::from)
    }

    /// Returns the next day; the last day of the year 9999 is its own tomorrow.
    pub fn tomorrow(self) -> Self {
        let date = self.civil();
        date.tomorrow().unwrap_or(date).into()
    }

    /// Returns the day of the week, 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> i8 {
        self.civil().weekday().to_monday_zero_offset()
    }

    /// Returns the Monday of the week (ISO 8601) that holds this day.
    pub fn monday(self) -> Self {
        let date = self.civil();
        let days = date.weekday().to_monday_zero_offset();
        date.checked_sub(jiff::Span::new().days(days)).unwrap_or(date).into()
    }

    /// Returns the first day of the month.
    pub fn first_of_month(self) -> Self {
        Self { day: 1, ..self }
    }

    fn civil(self) -> civil::Date {
        civil::Date::new(self.year, self.month, self.day)
            .or_else(|_| civil::Date::new(self.year, self.month.clamp(1, 12), 1))
            .unwrap_or(civil::Date::ZERO)
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self { year: date.year(), month: date.month(), day: date.day() }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Reads a zone straight from the system's file of that name, where there is one.
fn of_file(name: &str) -> Option<TimeZone> {
    if std::env::var_os("TZDIR").is_some() {
        return None;
    }
    let is_plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    if !name.split('/').all(is_plain) {
        return None;
    }
    let bytes = std::fs::read(std::path::Path::new("/usr/share/zoneinfo").join(name)).ok()?;
    TimeZone::tzif(name, &bytes).ok()
}

/// Returns the name of the machine's zone, where its setting is a link to that zone's file.
fn localtime() -> Option<String> {
    let link = std::fs::read_link("/etc/localtime").ok()?;
    link.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zone that is read straight is the one that the library finds by its search.
    #[test]
    fn a_zone_of_a_file_is_that_of_the_library() {
        for name in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Seoul", "Etc/GMT+5", "UTC"] {
            let (Some(ours), Ok(theirs)) = (of_file(name), TimeZone::get(name)) else { continue };
            assert_eq!(ours.iana_name(), theirs.iana_name());
            for hours in (0..24 * 400).step_by(5) {
                let at = jiff::Timestamp::from_second(1_767_225_600 + hours * 3600).expect("it is plausible");
                assert_eq!(ours.to_datetime(at), theirs.to_datetime(at), "{name} at {at}");
            }
        }
        for name in ["", "/etc/passwd", "../../../etc/localtime", "Europe//Berlin", "a b", "Europe"] {
            assert!(of_file(name).is_none(), "{name}");
        }
    }
}
