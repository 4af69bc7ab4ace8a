//! The windows in which limits count: when each begins and ends, and how sure that is.

use std::ops::Range;
use std::time::Duration;

use session_store::{Cell, Fact, Ledger, LimitCause, LimitWindow, Timestamp};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Two resets this near tell of one window.
const SAME_RESET: Duration = Duration::from_secs(60);

/// One stretch of time in which a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it: earlier than its length would have it where the next official window begins before.
    pub end: Timestamp,
    /// Whether an official reset fixes it; otherwise it is inferred from use.
    pub anchored: bool,
}

/// What time is made of: windows, and gaps in which none ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// A window.
    Window(Window),
    /// Nothing counted from here to there.
    Gap(Timestamp, Timestamp),
}

impl Window {
    /// Returns whether the window holds this moment.
    pub fn contains(&self, at: Timestamp) -> bool {
        (self.start..self.end).contains(&at)
    }

    /// Returns its moments.
    pub fn range(&self) -> Range<Timestamp> {
        self.start..self.end
    }
}

/// Returns the windows of a kind that official resets fix, in order and without overlap.
///
/// A reset at R says that the window is the five hours or seven days before R. Resets within a minute are one; where
/// windows overlap, which two accounts can cause, the earlier one stands. `resets` are known from elsewhere, such as
/// samples of a status line.
pub fn official(kind: &LimitWindow, facts: &Ledger, resets: &[Timestamp]) -> Vec<Window> {
    let Some(length) = kind.length() else { return Vec::new() };
    let told = facts.iter().filter_map(|event| reset_of(&event.fact, kind));
    let mut resets: Vec<Timestamp> = told.chain(resets.iter().copied()).collect();
    // Most samples repeat the reset of the one before, and there are many more samples than windows.
    resets.dedup();
    resets.sort_unstable();
    resets.dedup_by(|later, earlier| later.since(*earlier) <= SAME_RESET);
    let mut windows: Vec<Window> = Vec::new();
    for end in resets {
        let start = end.before(length);
        if windows.last().is_none_or(|last| last.end <= start) {
            windows.push(Window { start, end, anchored: true });
        }
    }
    windows
}

fn reset_of(fact: &Fact, kind: &LimitWindow) -> Option<Timestamp> {
    match fact {
        Fact::LimitHit(hit) if hit.cause == LimitCause::Quota && hit.window == *kind => hit.resets_at.0,
        Fact::LimitSample(sample) if sample.window == *kind => sample.resets_at,
        _ => None,
    }
}

/// Returns the windows of a kind in which there was use, in order and without overlap.
///
/// `official` come from [`official`]; the cells are in the order of their times. Use outside official windows infers one: a
/// five-hour window begins at the full hour (UTC) of the first use after the window before. Weeks keep the weekday and the
/// time of the nearest official reset, before or after; without any, they begin like five-hour windows. An inferred window is
/// cut short where an official one begins.
///
/// Limits: inferring sees the use of this machine alone, so use from elsewhere moves the true windows.
pub fn windows(kind: &LimitWindow, cells: &[Cell], official: &[Window]) -> Vec<Window> {
    let Some(length) = kind.length() else { return Vec::new() };
    let mut windows: Vec<Window> = Vec::new();
    for cell in cells.iter().filter(|cell| kind.counts(cell.key.model.as_str())) {
        let at = cell.key.start;
        if windows.last().is_some_and(|window| window.contains(at)) {
            continue;
        }
        let next = official.partition_point(|window| window.end <= at);
        let window = match official.get(next) {
            Some(window) if window.contains(at) => *window,
            after => {
                let before = next.checked_sub(1).map(|last| &official[last]);
                let free = Range {
                    start: [windows.last(), before].into_iter().flatten().map(|window| window.end).max(),
                    end: after.map(|window| window.start),
                };
                inferred(at, length, free.start..free.end, before.or(after))
            }
        };
        windows.push(window);
    }
    windows
}

/// Makes the window of a use at `at` that fits into what is free, in step with an official window if it is a week.
fn inferred(
    at: Timestamp,
    length: Duration,
    free: Range<Option<Timestamp>>,
    near: Option<&Window>,
) -> Window {
    let (start, end) = match near {
        Some(near) if length > DAY => {
            let step = length.as_millis() as i64;
            let since = at.as_millis().saturating_sub(near.end.as_millis()).rem_euclid(step);
            let start = Timestamp::from_millis(at.as_millis().saturating_sub(since));
            (free.start.map_or(start, |from| start.max(from)), start.after(length))
        }
        _ => {
            let start = at.floor(HOUR);
            let start = free.start.map_or(start, |from| start.max(from));
            (start, start.after(length))
        }
    };
    Window { start, end: free.end.map_or(end, |to| end.min(to)), anchored: false }
}

/// Returns what a range of time is made of: the windows, cut to the range, and the gaps between them.
///
/// The stretches follow each other without overlap and cover the range exactly. The windows are in order, as [`windows`]
/// returns them.
pub fn stretches(windows: &[Window], range: Range<Timestamp>) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut from = range.start;
    for window in windows {
        let (start, end) = (window.start.max(range.start), window.end.min(range.end));
        if start >= end {
            continue;
        }
        if from < start {
            stretches.push(Stretch::Gap(from, start));
        }
        stretches.push(Stretch::Window(Window { start, end, ..*window }));
        from = end;
    }
    if from < range.end {
        stretches.push(Stretch::Gap(from, range.end));
    }
    stretches
}
