//! Why a reading is or is not the one that a limit shows.

use session_store::Timestamp;

use super::reading::{Reading, Refusal};
use super::{Limit, SAME_RESET, gap};

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is what the limit shows.
    Kept,
    /// It cannot be true.
    Refused(Refusal),
    /// It tells of another window than the one that stands.
    OtherWindow,
    /// Something later, or greater, was told.
    Earlier,
    /// It tells the same again.
    Repeat,
    /// It is lower, and who told it has not told it twice.
    Unconfirmed,
}

impl Verdict {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Refused(_) => "refused",
            Self::OtherWindow => "other_window",
            Self::Earlier => "earlier",
            Self::Repeat => "repeat",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Says it in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Kept => "shown",
            Self::Refused(refusal) => refusal.name(),
            Self::OtherWindow => "of another window",
            Self::Earlier => "something newer or greater was told",
            Self::Repeat => "tells the same again",
            Self::Unconfirmed => "lower, and not told twice by the same",
        }
    }
}

impl Limit {
    /// Tells what became of a reading of this limit; `now` is the moment of the merge.
    pub fn judge(&self, reading: &Reading, now: Timestamp) -> Verdict {
        let reading = match reading.clone().checked(now) {
            Ok(reading) => reading,
            Err(refusal) => return Verdict::Refused(refusal),
        };
        let is_other = match (reading.resets_at, self.resets_at) {
            (Some(one), Some(other)) => gap(one, other) > SAME_RESET,
            _ => self.began_at().is_some_and(|began| reading.at < began),
        };
        match reading.value() {
            _ if is_other => Verdict::OtherWindow,
            value
                if value == self.used && (reading.at, reading.source) == (self.observed_at, self.source) =>
            {
                Verdict::Kept
            }
            _ if reading.at < self.observed_at => Verdict::Earlier,
            value if value < self.used => Verdict::Unconfirmed,
            _ => Verdict::Repeat,
        }
    }
}
