//! How the user wants to be told of limits, and when not.

use session_store::{Timestamp, Zone};

/// How the user wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// Whether at all.
    pub(crate) is_off: bool,
    /// A command that gets the notice as JSON.
    pub(crate) command: Option<String>,
    /// Whether the desktop is left alone.
    pub(crate) no_desktop: bool,
    pub(crate) terminal: TerminalWay,
    pub(crate) quiet: Option<QuietHours>,
}

/// How a monitor's terminal is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TerminalWay {
    /// By the sequence OSC 9, which many terminals show as a notification and the others pass over.
    #[default]
    Sequence,
    /// By the bell.
    Bell,
    /// Not at all.
    Off,
}

/// A part of the day in which nobody is told, in minutes after midnight; it may reach over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuietHours {
    from: u32,
    to: u32,
}

impl QuietHours {
    /// Reads `22:00-07:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let minutes = |clock: &str| {
            let (hour, minute) = clock.trim().split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60 && clock.trim().len() >= 4).then_some(hour * 60 + minute)
        };
        let (from, to) = text.split_once('-')?;
        Some(Self { from: minutes(from)?, to: minutes(to)? })
    }

    /// Returns whether a moment lies in them, by the clock of a zone.
    pub(crate) fn hold(self, zone: &Zone, at: Timestamp) -> bool {
        let (hour, minute) = zone.clock_of(at);
        let at = u32::from(hour.unsigned_abs()) * 60 + u32::from(minute.unsigned_abs());
        if self.from <= self.to {
            (self.from..self.to).contains(&at)
        } else {
            at >= self.from || at < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_reach_over_midnight() {
        let holds = |hours: &str, clock: &str| {
            let at = Timestamp::parse(&format!("2026-11-23T{clock}:00Z")).unwrap();
            QuietHours::parse(hours).unwrap().hold(&Zone::utc(), at)
        };
        assert!(
            holds("22:00-07:00", "23:30") && holds("22:00-07:00", "06:59") && holds("22:00-07:00", "22:00")
        );
        assert!(!holds("22:00-07:00", "07:00") && !holds("22:00-07:00", "21:59"));
        assert!(
            holds("9:30-10:00", "09:45") && !holds("9:30-10:00", "10:00") && !holds("08:00-08:00", "08:00")
        );
        for wrong in ["", "22-7", "22:00", "25:00-07:00", "22:60-07:00", "a:b-c:d", "-22:00-07:00"] {
            assert_eq!(QuietHours::parse(wrong), None, "{wrong}");
        }
    }
}
