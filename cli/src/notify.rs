//! Telling people of limits: once for each threshold and window, however many sessions see it.
//!
//! What is to be told is a notice on the board, which every session hears of. The monitor that is first tells the user too, on
//! its terminal, on the desktop and by a command; where no monitor runs a status line does, but for the terminal, which is
//! not its own.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Serialize;
use session_analytics::{Limit, SAME_RESET, WHOLE};
use session_coordinator::{AccountId, Fate, MemberId, Notice, NoticeBoard, NoticeKind};
use session_store::{Timestamp, Zone};

use crate::former::shell;
use crate::limits;
use crate::printable::{printable, printable_json};
use crate::ways::{TerminalWay, Ways};
use crate::words;

/// A reset that was so long ago is no news.
const RESET_IS_NEWS_MS: i64 = 3_600_000;

/// Returns what is to be told of limits: the thresholds that are reached, from the least, and resets.
///
/// A limit whose reset is not known has no window to tell its notices apart by, but for a refusal.
pub(crate) fn notices(limits: &[Limit], from: &MemberId, now: Timestamp) -> Vec<Notice> {
    let mut notices = Vec::new();
    for limit in limits {
        let (account, window) = (AccountId::new(limit.account.clone()), limit.window.clone());
        let Some(resets_at) = limit.resets_at else { continue };
        if limit.is_over {
            let since = now.as_millis() - resets_at.as_millis();
            if since < RESET_IS_NEWS_MS && limit.used.is_some_and(|used| used >= session_analytics::NEAR) {
                notices.push(Notice::limit_reset(account, from.clone(), now, window, resets_at));
            }
            continue;
        }
        let reached = session_analytics::THRESHOLDS.into_iter().filter(|it| Some(*it) <= limit.threshold());
        for threshold in reached {
            let (account, from, window) = (account.clone(), from.clone(), window.clone());
            notices.push(if threshold == WHOLE {
                Notice::limit_hit(account, from, now, window, Some(resets_at))
            } else {
                Notice::limit_near(account, from, now, window, resets_at, threshold / 100)
            });
        }
    }
    notices
}

/// Posts what is to be told of limits; what was told before stays as it is. Returns what was not.
pub(crate) fn post(board: &NoticeBoard, limits: &[Limit], from: &MemberId, now: Timestamp) -> Vec<Notice> {
    let notices = notices(limits, from, now);
    if notices.is_empty() {
        return Vec::new();
    }
    let Ok(fates) = board.post(&notices) else { return Vec::new() };
    let new = notices.into_iter().zip(fates).filter(|(_, fate)| !matches!(fate, Fate::Known(_)));
    new.map(|(notice, _)| notice).collect()
}

/// Tells the user of notices; returns what a terminal is to be sent for it.
///
/// Of all processes that call this with a notice the first alone tells, and of several thresholds passed at once only the
/// greatest is told. Neither desktop nor command is waited for, and that they fail is nobody's trouble.
pub(crate) fn tell(board: &NoticeBoard, ways: &Ways, news: &[Notice], zone: &Zone, now: Timestamp) -> String {
    let mut sequence = String::new();
    let told = board.newest(limits::NOTICES_SEEN).unwrap_or_default();
    for notice in news.iter().filter(|notice| rank(notice).is_some()) {
        // Also what is told to nobody now is not told later: it would be no news then.
        let is_first = board.board().is_first(&format!("tell:{}", notice.dedup), now).unwrap_or(false);
        let is_outdone =
            told.iter().any(|other| is_of_one_window(notice, other) && rank(other) > rank(notice));
        if !is_first || is_outdone || ways.is_off || ways.quiet.is_some_and(|quiet| quiet.hold(zone, now)) {
            continue;
        }
        if let Some(command) = &ways.command {
            run(shell(command), json(notice, zone, now).as_bytes());
        }
        if !ways.no_desktop && has_desktop() {
            let mut command = Command::new("notify-send");
            command.args(["--app-name=claudewatch", "--", "ClaudeWatch", &text(notice, zone, now)]);
            run(command, b"");
        }
        match ways.terminal {
            TerminalWay::Sequence => {
                sequence = format!("\x1b]9;{}\x1b\\", printable(&text(notice, zone, now)));
            }
            TerminalWay::Bell => sequence = "\x07".to_owned(),
            TerminalWay::Off => {}
        }
    }
    sequence
}

/// Orders the notices of one window; `None` for what is not told beyond the screen.
fn rank(notice: &Notice) -> Option<u32> {
    match notice.kind {
        NoticeKind::LimitNear => Some(percent_of(notice).unwrap_or(0)),
        NoticeKind::LimitHit => Some(100),
        NoticeKind::LimitReset => Some(101),
        _ => None,
    }
}

fn percent_of(notice: &Notice) -> Option<u32> {
    notice.text.split('%').next()?.parse().ok()
}

fn is_of_one_window(one: &Notice, other: &Notice) -> bool {
    let is_one_reset = match (one.resets_at, other.resets_at) {
        (Some(one), Some(other)) => one.since(other).max(other.since(one)) <= SAME_RESET,
        (one, other) => one == other,
    };
    is_one_reset && one.account == other.account && one.window == other.window
}

/// Returns a notice in words.
pub(crate) fn text(notice: &Notice, zone: &Zone, now: Timestamp) -> String {
    let limit = notice.window.as_ref().map(words::limit_name).unwrap_or_default();
    let reset = notice.resets_at.filter(|at| *at > now);
    let reset = reset.map(|at| format!(", resets at {}", words::moment(zone, at, now))).unwrap_or_default();
    match notice.kind {
        NoticeKind::LimitHit => format!("{limit} hit{reset}"),
        NoticeKind::LimitNear => match percent_of(notice) {
            Some(percent) => format!("{percent}% of the {limit} used{reset}"),
            None => format!("{limit} is near{reset}"),
        },
        NoticeKind::LimitReset => format!("{limit} was reset"),
        _ => printable(&notice.text).into_owned(),
    }
}

#[derive(Serialize)]
struct NoticeOut<'a> {
    schema_version: u32,
    kind: &'a str,
    account: &'a str,
    window: Option<&'a str>,
    threshold: Option<u32>,
    resets_at: Option<String>,
    at: String,
    text: String,
}

fn json(notice: &Notice, zone: &Zone, now: Timestamp) -> String {
    let threshold = match notice.kind {
        NoticeKind::LimitHit => Some(100),
        NoticeKind::LimitNear => percent_of(notice),
        _ => None,
    };
    let out = NoticeOut {
        schema_version: 1,
        kind: notice.kind.name(),
        account: notice.account.as_str(),
        window: notice.window.as_ref().map(|window| window.name()),
        threshold,
        resets_at: notice.resets_at.map(|at| at.to_string()),
        at: notice.at.to_string(),
        text: text(notice, zone, now),
    };
    printable_json(&out) + "\n"
}

fn has_desktop() -> bool {
    cfg!(target_os = "linux")
        && ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()))
}

/// Starts a command with an input and leaves it to itself.
fn run(mut command: Command, input: &[u8]) {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Who ends the caller, as Claude Code does with a status line that is due again, is not to end it too.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    if let Ok(mut child) = command.spawn()
        && let Some(mut stdin) = child.stdin.take()
    {
        // Some hundred bytes, which a pipe takes at once.
        let _ = stdin.write_all(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_analytics::{LimitSource, LimitStatus, Limits, Reading};
    use session_store::LimitWindow;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_400_000);

    fn told(used: u32, minutes: i64) -> Vec<String> {
        let reading = Reading {
            account: "a".into(),
            window: LimitWindow::FiveHour,
            at: NOW.before(std::time::Duration::from_secs(3600)),
            used: Some(used),
            status: LimitStatus::Allowed,
            resets_at: Some(Timestamp::from_millis(NOW.as_millis() + minutes * 60_000)),
            source: LimitSource::StatusLine,
            by: "c".into(),
        };
        let limits = Limits::merge([reading], NOW);
        let notices = notices(&limits.limits, &MemberId::new("m"), NOW);
        notices.iter().map(|notice| text(notice, &Zone::utc(), NOW)).collect()
    }

    #[test]
    fn each_threshold_is_a_notice() {
        let near = |percent| format!("{percent}% of the 5-hour limit used, resets at 03:13");
        let hit = "5-hour limit hit, resets at 03:13".to_owned();
        assert_eq!(told(7_499, 60), Vec::<String>::new());
        assert_eq!(told(7_500, 60), [near(75)]);
        assert_eq!(told(9_999, 60), [near(75), near(90)]);
        assert_eq!(told(10_000, 60), [near(75), near(90), hit]);
        assert_eq!(told(8_000, -5), ["5-hour limit was reset"]);
        assert_eq!(told(5_000, -5), Vec::<String>::new());
        assert_eq!(told(8_000, -61), Vec::<String>::new());
    }
}
