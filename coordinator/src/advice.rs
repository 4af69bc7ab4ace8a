//! What a session should do about the limits of its account, as one pure function.
//!
//! # The pace line
//!
//! A window of known length that is used evenly lasts until its reset. Sessions come in bursts, so a tenth may be used
//! at once: after the part `e` of the window (0 to 1) the pace line allows
//!
//! ```text
//! line(e) = 0.1 + 0.9 · e
//! ```
//!
//! of the quota. The line never lies below `e`, so whoever is above it runs out before the reset if it goes on as it did.
//! The wait grows with how far above the line `u` the account is: `20 s · min(1, (u − line) / 0.2)`.

use std::time::Duration;

use session_store::{LimitWindow, Timestamp, Why};

use crate::priority::Priority;

/// The longest wait before a tool call; hooks are given longer.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// Over how much time sessions start again after a reset.
pub const STAGGER: Duration = Duration::from_secs(20);
/// How long a hit holds whose reset nobody said.
const HELD_WITHOUT_RESET: Duration = Duration::from_secs(300);
/// What may be used at once, in hundredths of a percent.
const HEAD_START: u64 = 1_000;
/// How far above the line the longest wait begins, in hundredths of a percent.
const FULL_WAIT_AT: u64 = 2_000;
const WHOLE: u64 = 10_000;

/// What is done about limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Nothing; nothing is recorded either.
    Off,
    /// Nothing, but what would be done is recorded.
    #[default]
    Observe,
    /// Calls are delayed and refused.
    Enforce,
}

impl Policy {
    /// Every policy, the one that does least first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Observe, Self::Enforce];

    /// Returns the name that options use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What a tool call is, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Work that ends soon: reading, searching, a command.
    Work,
    /// A change to a file. It is not waited for, lest one of several changes that belong together stand alone.
    Edit,
    /// The start of something that goes on by itself: a sub-agent, a background job, a schedule.
    Delegate,
    /// The end of such a thing, or a question to a human: always let through.
    Settle,
}

impl Act {
    /// Returns what a call of Claude Code's tool is; `in_background` is what its input says of itself.
    ///
    /// Tools that are not known, those of MCP servers for one, are [`Act::Work`].
    pub fn of_tool(name: &str, in_background: bool) -> Self {
        match name {
            "Agent" | "Task" | "Workflow" | "Monitor" | "CronCreate" | "ScheduleWakeup" => Self::Delegate,
            _ if in_background => Self::Delegate,
            "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => Self::Edit,
            "KillShell" | "KillBash" | "TaskStop" | "CronDelete" | "AskUserQuestion" | "ExitPlanMode" => {
                Self::Settle
            }
            _ => Self::Work,
        }
    }
}

/// How a window of an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowStanding {
    /// Which limit.
    pub window: LimitWindow,
    /// How much is used, in hundredths of a percent.
    pub used_hundredths: Option<u32>,
    /// When it is reset; where that is not known a refusal is believed for five minutes.
    pub resets_at: Option<Timestamp>,
    /// Whether a request was refused for it.
    pub hit: bool,
    /// When that was told.
    pub at: Timestamp,
}

/// What is asked before a tool call.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The windows of the account.
    pub standings: &'a [WindowStanding],
    /// How much the session matters.
    pub priority: Priority,
    /// What it is about to do.
    pub act: Act,
    /// The model it uses, where that is known: the limit of one model does not bind the others.
    pub model: Option<&'a str>,
    /// What tells it from the other sessions; the order of starts after a reset depends on it.
    pub seed: &'a str,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Go on.
    Proceed,
    /// Go on, but let the human know.
    Tell(Cause),
    /// Wait so long, then go on.
    Wait(Duration, Cause),
    /// Do not do it.
    Refuse(Cause),
}

impl Advice {
    /// Returns the cause, where there is something to do.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Proceed => None,
            Self::Tell(cause) | Self::Wait(_, cause) | Self::Refuse(cause) => Some(cause),
        }
    }
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The sort of cause.
    pub why: Why,
    /// The window it is about.
    pub window: LimitWindow,
    /// When that is reset.
    pub resets_at: Option<Timestamp>,
    /// How much of it is used, in hundredths of a percent.
    pub used_hundredths: Option<u32>,
}

/// Says what a session should do before a tool call.
///
/// ```
/// use session_coordinator::*;
/// use session_store::{LimitWindow, Timestamp};
/// use std::time::Duration;
/// let now = Timestamp::from_seconds(1_795_367_381);
/// let spent = WindowStanding {
///     window: LimitWindow::FiveHour,
///     used_hundredths: Some(10_000),
///     resets_at: Some(now.after(Duration::from_secs(600))),
///     hit: true,
///     at: now,
/// };
/// let ask = |priority, act| {
///     let standings = std::slice::from_ref(&spent);
///     advise(Question { now, standings, priority, act, model: None, seed: "c" })
/// };
/// assert!(matches!(ask(Priority::Critical, Act::Delegate), Advice::Tell(_)));
/// assert!(matches!(ask(Priority::Normal, Act::Delegate), Advice::Refuse(_)));
/// assert_eq!(ask(Priority::Normal, Act::Work), Advice::Proceed);
/// assert!(matches!(ask(Priority::Background, Act::Work), Advice::Refuse(_)));
/// ```
pub fn advise(question: Question<'_>) -> Advice {
    let Question { now, priority, act, .. } = question;
    let binding = question.standings.iter().filter(|it| binds(&it.window, question.model));
    if let Some(cause) = binding.clone().filter(|it| holds(it, now)).max_by_key(|it| it.resets_at).map(hit) {
        return match (priority, act) {
            (Priority::Critical, _) => Advice::Tell(cause),
            (_, Act::Settle) => Advice::Proceed,
            (Priority::Normal, Act::Delegate) | (Priority::Background, _) => Advice::Refuse(cause),
            (Priority::Normal, _) => Advice::Proceed,
        };
    }
    if priority == Priority::Critical || matches!(act, Act::Edit | Act::Settle) {
        return Advice::Proceed;
    }
    let ahead = binding.clone().filter_map(|it| Some((ahead_of_pace(it, now)?, it)));
    if let Some((ahead, it)) = ahead.max_by_key(|(ahead, _)| *ahead) {
        let cause = cause(Why::AheadOfPace, it);
        return match (priority, act) {
            (Priority::Background, Act::Delegate) => Advice::Refuse(cause),
            _ => Advice::Wait(WAIT_MAX.mul_f64(ahead.min(FULL_WAIT_AT) as f64 / FULL_WAIT_AT as f64), cause),
        };
    }
    let starts = binding.filter_map(|it| Some((start_after_reset(it, question.seed, now)?, it)));
    match starts.max_by_key(|(start, _)| *start) {
        Some((start, it)) => Advice::Wait(start.since(now).min(WAIT_MAX), cause(Why::AfterReset, it)),
        None => Advice::Proceed,
    }
}

/// Returns how much of a window the pace line allows to be used by a moment, in hundredths of a percent; `None` for a window
/// of unknown length.
pub fn pace_line(window: &LimitWindow, resets_at: Timestamp, now: Timestamp) -> Option<u64> {
    let length = window.length()?;
    let left = resets_at.since(now).min(length);
    let elapsed = WHOLE - (left.as_millis() * u128::from(WHOLE) / length.as_millis()) as u64;
    Some(HEAD_START + (WHOLE - HEAD_START) * elapsed / WHOLE)
}

/// Returns whether a limit binds whoever uses a model; whom one concerns that nobody has described is not known.
fn binds(window: &LimitWindow, model: Option<&str>) -> bool {
    let is_known = !matches!(window, LimitWindow::Other(_)) || window.length().is_some();
    is_known && window.counts(model.unwrap_or_default())
}

fn holds(standing: &WindowStanding, now: Timestamp) -> bool {
    standing.hit && now < standing.resets_at.unwrap_or_else(|| standing.at.after(HELD_WITHOUT_RESET))
}

fn hit(standing: &WindowStanding) -> Cause {
    cause(Why::LimitHit, standing)
}

fn cause(why: Why, standing: &WindowStanding) -> Cause {
    let WindowStanding { window, used_hundredths, resets_at, .. } = standing.clone();
    Cause { why, window, resets_at, used_hundredths }
}

/// How far above the line a window is; `None` where it is not.
fn ahead_of_pace(standing: &WindowStanding, now: Timestamp) -> Option<u64> {
    let resets_at = standing.resets_at.filter(|resets_at| *resets_at > now)?;
    let line = pace_line(&standing.window, resets_at, now)?;
    u64::from(standing.used_hundredths?).min(WHOLE).checked_sub(line).filter(|ahead| *ahead > 0)
}

/// When a session starts again after a reset, while that is still to come.
fn start_after_reset(standing: &WindowStanding, seed: &str, now: Timestamp) -> Option<Timestamp> {
    let resets_at = standing.resets_at.filter(|resets_at| standing.hit && *resets_at <= now)?;
    // FNV-1a, and a step that lets the last letters count as much as the first; every process computes the same.
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let start = resets_at.after(STAGGER.mul_f64((hash >> 40) as f64 / f64::from(1 << 24)));
    (start > now).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);
    const HOUR: Duration = Duration::from_secs(3600);

    fn window(used: u32, left: Duration) -> WindowStanding {
        let resets_at = Some(NOW.after(left));
        WindowStanding {
            window: LimitWindow::FiveHour,
            used_hundredths: Some(used),
            resets_at,
            hit: false,
            at: NOW,
        }
    }

    fn spent(left: Duration) -> WindowStanding {
        WindowStanding { hit: true, ..window(10_000, left) }
    }

    fn ask(standings: &[WindowStanding], priority: Priority, act: Act) -> Advice {
        advise(Question { now: NOW, standings, priority, act, model: None, seed: "c" })
    }

    /// One letter for what is to be done: `-` nothing, `t`ell, `w`ait, `r`efuse; work, edit, delegate, settle.
    fn row(standings: &[WindowStanding], priority: Priority) -> String {
        let acts = [Act::Work, Act::Edit, Act::Delegate, Act::Settle];
        let letter = |act| match ask(standings, priority, act) {
            Advice::Proceed => '-',
            Advice::Tell(_) => 't',
            Advice::Wait(..) => 'w',
            Advice::Refuse(_) => 'r',
        };
        acts.map(letter).into_iter().collect()
    }

    /// The table of the policy, cell by cell.
    #[test]
    fn the_table() {
        let check = |state: &[WindowStanding], expected: [&str; 3]| {
            let rows = [Priority::Critical, Priority::Normal, Priority::Background].map(|it| row(state, it));
            assert_eq!(rows, expected, "{state:?}");
        };
        let half = 5 * HOUR / 2;
        check(&[], ["----", "----", "----"]);
        check(&[window(5_500, half)], ["----", "----", "----"]);
        check(&[window(5_600, half)], ["----", "w-w-", "w-r-"]);
        check(&[spent(half)], ["tttt", "--r-", "rrr-"]);
        // What is spent goes before what will be.
        check(&[spent(half), window(9_000, half)], ["tttt", "--r-", "rrr-"]);
        // The reset has just been.
        let reset = WindowStanding { resets_at: Some(NOW), ..spent(half) };
        check(&[reset], ["----", "w-w-", "w-w-"]);
        check(
            &[WindowStanding { resets_at: Some(NOW.before(STAGGER)), ..spent(half) }],
            ["----", "----", "----"],
        );
    }

    #[test]
    fn the_wait_grows_with_the_distance() {
        let wait = |used| match ask(&[window(used, 5 * HOUR / 2)], Priority::Normal, Act::Work) {
            Advice::Wait(wait, _) => wait,
            _ => Duration::ZERO,
        };
        // In the middle the line is at 55 %.
        assert_eq!(wait(5_500), Duration::ZERO);
        assert_eq!(wait(6_500), WAIT_MAX / 2);
        assert_eq!(wait(7_500), WAIT_MAX);
        assert_eq!(wait(10_000), WAIT_MAX);
    }

    #[test]
    fn a_hit_ends_with_its_reset_or_after_some_minutes() {
        let told = |at, resets_at| {
            let standing = WindowStanding { resets_at, at, ..spent(HOUR) };
            row(&[standing], Priority::Background)
        };
        assert_eq!(told(NOW.before(HELD_WITHOUT_RESET / 2), None), "rrr-");
        assert_eq!(told(NOW.before(HELD_WITHOUT_RESET), None), "----");
        assert_eq!(told(NOW, Some(NOW.before(HOUR))), "----");
    }

    #[test]
    fn the_limit_of_one_model_binds_those_who_use_it() {
        let ask_of = |window: &str, model| {
            let window = LimitWindow::from_name(window);
            let (standings, act) = ([WindowStanding { window, ..spent(HOUR) }], Act::Work);
            let standings = &standings;
            let question =
                Question { now: NOW, standings, priority: Priority::Background, act, model, seed: "" };
            matches!(advise(question), Advice::Refuse(_))
        };
        let ask = |model| ask_of("seven_day_opus", model);
        assert!(ask(Some("claude-opus-5-5")));
        assert!(!ask(Some("claude-haiku-5-5")));
        assert!(!ask(None), "where the model is not known, nobody is stopped");
        assert!(ask_of("seven_day_overage_included", Some("claude-fable-5-2")));
        assert!(!ask_of("seven_day_overage_included", Some("claude-opus-5-5")));
        assert!(!ask_of("a_new_kind", Some("claude-opus-5-5")), "nor by what nobody has described");
    }

    #[test]
    fn tools() {
        let check =
            |name: &str, in_background, act| assert_eq!(Act::of_tool(name, in_background), act, "{name}");
        check("Agent", false, Act::Delegate);
        check("Task", false, Act::Delegate);
        check("Bash", true, Act::Delegate);
        check("Bash", false, Act::Work);
        check("Edit", false, Act::Edit);
        check("TaskStop", false, Act::Settle);
        check("mcp__server__tool", false, Act::Work);
        check("", false, Act::Work);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_allowed_and_critical_never_waits(
            used in any::<u32>(), left in -100_000_000_000i64..100_000_000_000, hit in any::<bool>(), seed in ".{0,8}",
            priority in prop::sample::select(Priority::ALL.to_vec()), now in any::<i64>(),
        ) {
            let now = Timestamp::from_millis(now);
            let resets_at = Some(Timestamp::from_millis(now.as_millis().saturating_add(left)));
            let standing = WindowStanding { resets_at, hit, at: now, ..window(used, HOUR) };
            let question = Question {
                now, standings: &[standing], priority, act: Act::Work, model: None, seed: &seed,
            };
            match advise(question) {
                Advice::Wait(wait, _) => {
                    prop_assert!(wait <= WAIT_MAX && priority != Priority::Critical);
                }
                Advice::Refuse(_) => prop_assert!(priority == Priority::Background),
                Advice::Tell(_) => prop_assert!(priority == Priority::Critical),
                Advice::Proceed => {}
            }
        }

        #[test]
        fn who_is_above_the_line_runs_out_before_the_reset(used in 0u32..=10_000, left in 0u64..=18_000) {
            let left = Duration::from_secs(left);
            if ahead_of_pace(&window(used, left), NOW).is_some() {
                let elapsed = 1.0 - left.as_secs_f64() / (5.0 * 3600.0);
                prop_assert!(f64::from(used) / 10_000.0 > elapsed);
            }
        }

        #[test]
        fn starts_after_a_reset_are_spread(seeds in prop::collection::hash_set("pts/[0-9]{3}", 64)) {
            let reset = WindowStanding { resets_at: Some(NOW.before(Duration::from_millis(1))), ..spent(HOUR) };
            let starts = seeds.iter().filter_map(|seed| start_after_reset(&reset, seed, NOW));
            let early = starts.clone().filter(|start| start.since(NOW) < STAGGER / 2).count();
            prop_assert!(starts.count() >= 60 && (12..=52).contains(&early), "{early}");
        }
    }
}
