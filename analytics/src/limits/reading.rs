//! What one source told of a limit, and whether it can be true.

use std::sync::Arc;
use std::time::Duration;

use session_store::{LimitCause, LimitHit, LimitSample, LimitWindow, Timestamp};

use super::WHOLE;

/// Clocks of one machine and its API may differ by this much.
const CLOCKS_APART: Duration = Duration::from_secs(600);
/// No window is known to be longer than a month.
const LONGEST: Duration = Duration::from_secs(32 * 86_400);

/// What one source told of one limit.
///
/// Any value is legal here; [`super::Limits::merge`] refuses those that cannot be true, and counts them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// The account.
    pub account: Arc<str>,
    /// Which limit.
    pub window: LimitWindow,
    /// When it was so: when the API said it, not when somebody repeated it.
    pub at: Timestamp,
    /// How much of it was used, in hundredths of a percent; `None` where only a state was told.
    pub used: Option<u32>,
    /// Whether requests were accepted.
    pub status: LimitStatus,
    /// When the window ends.
    pub resets_at: Option<Timestamp>,
    /// By what way it came.
    pub source: LimitSource,
    /// Who told it, such as a conversation; who tells of a fall has to tell it twice.
    pub by: Arc<str>,
}

/// Whether requests are accepted, as Claude Code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitStatus {
    /// They are.
    Allowed,
    /// They are, but not for long.
    Warning,
    /// They are not, until the reset.
    Rejected,
}

impl LimitStatus {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warning => "warning",
            Self::Rejected => "rejected",
        }
    }

    /// Reads Claude Code's word for a state; one that is not known is no refusal.
    pub fn from_name(name: &str) -> Self {
        match name {
            "rejected" => Self::Rejected,
            "allowed_warning" | "warning" => Self::Warning,
            _ => Self::Allowed,
        }
    }
}

/// Who told of a limit; of two that tell the same at one moment, the later in this list is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitSource {
    /// What Claude Code keeps of its last look at the account.
    Cache,
    /// A hook that failed for a limit.
    Hook,
    /// A status line.
    StatusLine,
    /// A transcript of Claude Code's.
    Transcript,
}

impl LimitSource {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Hook => "hook",
            Self::StatusLine => "statusline",
            Self::Transcript => "transcript",
        }
    }

    /// Reads the name of a source on the board, which may be followed by who it is: `statusline:<conversation>`.
    pub fn from_name(name: &str) -> Option<Self> {
        let kind = name.split_once(':').map_or(name, |(kind, _)| kind);
        [Self::Cache, Self::Hook, Self::StatusLine, Self::Transcript].into_iter().find(|it| it.name() == kind)
    }
}

/// Why a reading was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// More than the whole was used.
    OutOfRange,
    /// It was told at an impossible time, or its window ends at one.
    AbsurdTime,
}

impl Refusal {
    /// Returns the reason in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfRange => "out of range",
            Self::AbsurdTime => "absurd time",
        }
    }
}

impl Reading {
    /// Takes what a transcript tells of a refused request; a busy server tells nothing of a limit.
    pub fn of_hit(account: Arc<str>, hit: &LimitHit, at: Timestamp, by: Arc<str>) -> Option<Self> {
        (hit.cause == LimitCause::Quota).then(|| Self {
            account,
            window: hit.window.clone(),
            at,
            used: None,
            status: LimitStatus::Rejected,
            resets_at: hit.resets_at.0,
            source: LimitSource::Transcript,
            by,
        })
    }

    /// Takes a sample of a limit.
    pub fn of_sample(
        account: Arc<str>,
        sample: &LimitSample,
        at: Timestamp,
        source: LimitSource,
        by: Arc<str>,
    ) -> Self {
        Self {
            account,
            window: sample.window.clone(),
            at,
            used: sample.used_hundredths,
            status: LimitStatus::from_name(&sample.status),
            resets_at: sample.resets_at,
            source,
            by,
        }
    }

    /// Turns a percentage, 0 to 100, into hundredths of a percent; `None` where it is none.
    pub fn hundredths(percentage: f64) -> Option<u32> {
        (0.0..=100.0).contains(&percentage).then(|| (percentage * 100.0).round() as u32)
    }

    /// Returns whether a request was refused.
    pub(super) fn is_refusal(&self) -> bool {
        self.status == LimitStatus::Rejected
    }

    /// Returns what was used; at a refusal it is all.
    pub(super) fn value(&self) -> Option<u32> {
        if self.is_refusal() { Some(WHOLE) } else { self.used }
    }

    /// Returns the reading if it can be true.
    ///
    /// A refusal was made whatever is said of its reset; one that cannot be true is left out.
    pub(super) fn checked(mut self, now: Timestamp) -> Result<Self, Refusal> {
        if self.used.is_some_and(|used| used > WHOLE) {
            return Err(Refusal::OutOfRange);
        }
        if !self.at.is_plausible() || self.at > now.after(CLOCKS_APART) {
            return Err(Refusal::AbsurdTime);
        }
        let latest = self.at.after(self.window.length().unwrap_or(LONGEST)).after(CLOCKS_APART);
        let is_absurd = self.resets_at.is_some_and(|reset| !reset.is_plausible() || reset > latest);
        match (is_absurd, self.is_refusal()) {
            (false, _) => Ok(self),
            (true, true) => {
                self.resets_at = None;
                Ok(self)
            }
            (true, false) => Err(Refusal::AbsurdTime),
        }
    }
}
