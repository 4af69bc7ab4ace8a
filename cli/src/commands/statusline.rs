//! `claudewatch statusline`: one line for Claude Code's status line, made within milliseconds and never with an error.
//!
//! One plain connection to the board and nothing else: no store is opened, no folder listed, no thread started. Where there is
//! no board, or one that must not be used, the line says what Claude Code itself said.

use std::io::{self, IsTerminal, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use session_analytics::{Limit, LimitStatus, Limits, Reading, SAME_RESET};
use session_coordinator::{AccountId, Lease, MemberId, Notice, NoticeBoard, NoticeKind, RuntimeDir};
use session_store::{BoardLine, BoardSample, LimitSample, LimitWindow, Timestamp};

use crate::args::ColorWhen;
use crate::clock::now;
use crate::config::Config;
use crate::coordination;
use crate::error::exit;
use crate::former::Former;
use crate::host::statusline::{BYTES_MAX, Status};
use crate::limits;
use crate::line::{self, Facts};
use crate::notify;
use crate::printable::printable;
use crate::words;

/// How long another process that holds the board is waited for; the line is to be there within 20 ms.
const PATIENCE: Duration = Duration::from_millis(8);
/// How long a notice stands in the line.
const NOTICE_SHOWN: Duration = Duration::from_secs(300);
/// Counts calls in which something could not be meant.
pub(crate) const ODD_CALLS: &str = "statusline_problems";
/// Claude Code tells the width of its terminal; where it does not, lines are short enough for most.
const WIDTH: usize = 120;

/// Prints the line. Whatever happens, nothing else is printed, and the exit code is that of success: a monitor must never
/// stand in the way of what it watches.
pub(crate) fn run(config: Option<&Config>) -> u8 {
    if io::stdin().is_terminal() {
        let _ =
            writeln!(io::stderr(), "claudewatch: statusline expects Claude Code's JSON on standard input");
        return exit::DONE;
    }
    std::panic::set_hook(Box::new(|_| {}));
    let bytes = read_input();
    let former = config.and_then(|config| Former::start(config, &bytes));
    let line = catch_unwind(AssertUnwindSafe(|| line(config, &bytes))).unwrap_or_default();
    let mut text = former.map(Former::finish).unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    if !line.is_empty() {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    let mut out = io::stdout().lock();
    let _ = out.write_all(&text).and_then(|()| out.flush());
    exit::DONE
}

/// Returns the line for an input, without its end.
fn line(config: Option<&Config>, bytes: &[u8]) -> String {
    let Some(config) = config else { return String::new() };
    let now = now();
    let status = Status::read(bytes);
    let board = board(config);
    let Some(status) = status else {
        count_odd(board.as_ref());
        return String::new();
    };
    let account = account(config, &status);
    let name: Arc<str> = account.as_ref().map_or("", AccountId::as_str).into();
    let (own, refused) = status.readings(&name, now);
    if status.is_odd || refused || (account.is_none() && status.transcript.is_some()) {
        count_odd(board.as_ref());
    }
    let shared = board
        .zip(account)
        .and_then(|(board, account)| Shared::take(config, &board, &account, &status, &own, now));
    // What was said to this session alone counts where nothing is shared.
    let limits = shared.as_ref().map_or_else(|| Limits::merge(own, now), |shared| shared.limits.clone());
    let facts = Facts {
        limits: shown(&limits.limits, &name),
        share: shared.as_ref().and_then(|shared| shared.share),
        model: status.model.as_deref(),
        project: status.project.as_deref(),
        cost_usd: status.cost_usd,
        context_percentage: status.context_percentage,
        notice: shared.as_ref().and_then(|shared| shared.notice.clone()),
        now,
        zone: &config.zone,
        color: config.color == ColorWhen::Always,
    };
    let template = config.statusline_template.as_deref().unwrap_or(line::TEMPLATE);
    line::fill(template, &facts, width())
}

fn read_input() -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is larger than any status is not read to its end, so that its writer is not waited for.
    let _ = io::stdin().lock().take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    bytes
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.filter(|columns| *columns >= 20).unwrap_or(WIDTH)
}

fn board(config: &Config) -> Option<(RuntimeDir, NoticeBoard)> {
    if !config.isolation.uses_board() {
        return None;
    }
    let runtime = coordination::nearest_runtime(config)?;
    let board = NoticeBoard::open_within(&runtime, PATIENCE).ok()?;
    Some((runtime, board))
}

fn count_odd(board: Option<&(RuntimeDir, NoticeBoard)>) {
    if let Some((_, board)) = board {
        let _ = board.board().count(ODD_CALLS, 1);
    }
}

/// Returns the account of a conversation by its transcript; `None` where that lies in none of the config folders.
fn account(config: &Config, status: &Status) -> Option<AccountId> {
    let dirs = &config.claude_dirs;
    let Some(transcript) = &status.transcript else {
        // Nothing tells; where there is one account only, it is that.
        let mut existing = dirs.iter().filter(|dir| dir.is_dir());
        return existing.next().filter(|_| existing.next().is_none()).map(|dir| coordination::account(dir));
    };
    if transcript.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let named = dirs.iter().find(|dir| transcript.starts_with(dir.join("projects")));
    let real = |dir: &Path| dir.canonicalize().ok();
    // The folder may be named by a link: <config>/projects/<project>/<conversation>.jsonl.
    let reached = || {
        let above = real(transcript.ancestors().nth(3)?)?;
        dirs.iter().find(|dir| real(dir).as_deref() == Some(&above))
    };
    named.or_else(reached).map(|dir| coordination::account(dir))
}

/// Returns the limits to show: those not over, and the five hours also when they are.
fn shown<'a>(limits: &'a [Limit], account: &str) -> Vec<&'a Limit> {
    let of_account = limits.iter().filter(|limit| *limit.account == *account);
    of_account.filter(|limit| !limit.is_over || limit.window == LimitWindow::FiveHour).collect()
}

/// What the sessions of the account know together.
struct Shared {
    limits: Limits,
    share: Option<f64>,
    notice: Option<String>,
}

impl Shared {
    /// Takes what the others told, and tells them what is new; `None` where the board cannot be read.
    fn take(
        config: &Config,
        (runtime, board): &(RuntimeDir, NoticeBoard),
        account: &AccountId,
        status: &Status,
        own: &[Reading],
        now: Timestamp,
    ) -> Option<Self> {
        let rows = board.board();
        let mut lines = rows.lines().ok()?;
        let mut samples = rows.observed().ok()?;
        samples.retain(|sample| *sample.account == *account.as_str());
        lines.retain(|line| *line.account == *account.as_str());
        let news = status
            .conversation
            .as_deref()
            .and_then(|conversation| News::find(account, conversation, status, own, &lines, &samples, now));
        if let Some(news) = &news {
            // Where another process holds the board, the next call tells it.
            let _ = rows.tell(Some(&news.line), &news.samples);
            samples.extend(news.samples.iter().cloned());
            lines.retain(|line| line.conversation != news.line.conversation);
            lines.push(news.line.clone());
        }
        let mut notices = board.newest(limits::NOTICES_SEEN).unwrap_or_default();
        notices.retain(|notice| notice.account == *account);
        let told = notices.iter().filter_map(limits::of_notice);
        let mut readings: Vec<Reading> = samples.iter().filter_map(limits::of_board).chain(told).collect();
        if status.conversation.is_none() {
            // Nobody could be told who said it, but here it counts.
            readings.extend(own.iter().cloned());
        }
        let limits = Limits::merge(readings, now);
        if news.is_some() {
            let from = MemberId::new("statusline");
            let posted = notify::post(board, &limits.limits, &from, now);
            // A monitor has a terminal to tell it on.
            if !posted.is_empty() && !Lease::is_held(runtime) {
                notify::tell(board, &config.ways, &posted, &config.zone, now);
            }
        }
        let notice = newest_notice(&notices, now).filter(|_| config.notify());
        let share =
            status.conversation.as_deref().and_then(|conversation| share(&lines, conversation, &limits));
        Some(Self { limits, share, notice })
    }
}

/// What a status tells that the board does not know.
struct News {
    line: BoardLine,
    samples: Vec<BoardSample>,
}

impl News {
    /// Finds what is new; `None` where Claude Code shows again what it showed before. Only a new answer of the API makes a
    /// value newer, for a terminal at rest repeats its last one for hours.
    fn find(
        account: &AccountId,
        conversation: &str,
        status: &Status,
        own: &[Reading],
        lines: &[BoardLine],
        samples: &[BoardSample],
        now: Timestamp,
    ) -> Option<Self> {
        let kept = lines.iter().find(|line| *line.conversation == *conversation);
        let source: Arc<str> = format!("statusline:{conversation}").into();
        let told: Vec<BoardSample> = own.iter().map(|reading| board_sample(reading, &source)).collect();
        let is_known = |sample: &BoardSample| {
            let newest =
                samples.iter().rfind(|it| it.source == source && it.sample.window == sample.sample.window);
            newest.is_some_and(|newest| says_same(&newest.sample, &sample.sample))
        };
        if kept.is_some_and(|kept| kept.mark == status.mark) && told.iter().all(is_known) {
            return None;
        }
        let five_hour = own.iter().find(|reading| reading.window == LimitWindow::FiveHour);
        let window_end = five_hour.and_then(|reading| reading.resets_at);
        let cost_nanos = (status.cost_usd.unwrap_or(0.0) * 1e9) as u64;
        let line = BoardLine {
            conversation: conversation.into(),
            account: account.as_str().into(),
            at: now,
            mark: status.mark,
            cost_nanos,
            window_end: window_end.or(kept.and_then(|kept| kept.window_end)),
            cost_before_nanos: cost_before(kept, window_end, cost_nanos, status, now),
        };
        Some(Self { line, samples: told })
    }
}

fn board_sample(reading: &Reading, source: &Arc<str>) -> BoardSample {
    BoardSample {
        account: reading.account.clone(),
        source: source.clone(),
        at: reading.at,
        sample: LimitSample {
            window: reading.window.clone(),
            resets_at: reading.resets_at,
            used_hundredths: reading.used,
            status: LimitStatus::name(reading.status).into(),
        },
    }
}

/// Returns what a conversation had cost before the five-hour window began, as far as that was seen.
fn cost_before(
    kept: Option<&BoardLine>,
    window_end: Option<Timestamp>,
    cost: u64,
    status: &Status,
    now: Timestamp,
) -> u64 {
    let before = match (kept, window_end) {
        (Some(kept), Some(end)) if kept.window_end.is_none_or(|known| is_same(known, end)) => {
            kept.cost_before_nanos
        }
        (Some(kept), Some(_)) => kept.cost_nanos,
        (Some(kept), None) => kept.cost_before_nanos,
        (None, end) => {
            let begun = now.before(Duration::from_millis(status.duration_ms.unwrap_or(u64::MAX)));
            let is_of_window = end.is_none_or(|end| begun >= end.before(Duration::from_secs(5 * 3600)));
            if is_of_window && status.duration_ms.is_some() { 0 } else { cost }
        }
    };
    before.min(cost)
}

/// Returns whether two samples of a window say the same; a reset may be told a little differently.
fn says_same(a: &LimitSample, b: &LimitSample) -> bool {
    let is_near = match (a.resets_at, b.resets_at) {
        (Some(a), Some(b)) => is_same(a, b),
        (a, b) => a == b,
    };
    is_near && a.used_hundredths == b.used_hundredths && a.status == b.status
}

fn is_same(a: Timestamp, b: Timestamp) -> bool {
    a.since(b).max(b.since(a)) <= SAME_RESET
}

/// Returns the part of a conversation in what was spent since the five-hour window began, by the costs in the status lines.
fn share(lines: &[BoardLine], conversation: &str, limits: &Limits) -> Option<f64> {
    let five_hour =
        limits.limits.iter().find(|limit| limit.window == LimitWindow::FiveHour && !limit.is_over)?;
    let end = five_hour.resets_at?;
    let spent = |line: &BoardLine| line.cost_nanos.saturating_sub(line.cost_before_nanos) as f64;
    let of_window = lines.iter().filter(|line| line.window_end.is_some_and(|known| is_same(known, end)));
    let (mut own, mut all, mut others) = (0.0, 0.0, false);
    for line in of_window {
        all += spent(line);
        if *line.conversation == *conversation {
            own = spent(line);
        } else {
            others |= spent(line) > 0.0;
        }
    }
    // Where nobody else spends, there is nothing to compare with.
    (others && all > 0.0).then(|| own / all)
}

/// Returns in words what was told last to the sessions of the account, while it is new.
fn newest_notice(notices: &[Notice], now: Timestamp) -> Option<String> {
    let new = notices.iter().rev().filter(|it| now.since(it.at) < NOTICE_SHOWN && it.is_news(now));
    // That a limit is near, the line says by itself.
    new.into_iter().find_map(|notice| match notice.kind {
        NoticeKind::LimitHit => Some(format!(
            "{} hit {}",
            words::limit_name(notice.window.as_ref()?),
            words::past(notice.at, now)
        )),
        NoticeKind::LimitReset => Some(format!("{} was reset", words::limit_name(notice.window.as_ref()?))),
        NoticeKind::Message => Some(words::clip(&printable(&notice.text), 60)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(conversation: &str, end: i64, cost: u64, before: u64) -> BoardLine {
        BoardLine {
            conversation: conversation.into(),
            window_end: Some(Timestamp::from_seconds(end)),
            cost_nanos: cost,
            cost_before_nanos: before,
            ..BoardLine::default()
        }
    }

    #[test]
    fn costs_before_the_window_are_not_of_it() {
        let now = Timestamp::from_seconds(1_795_400_000);
        let (end, next) = (Timestamp::from_seconds(1_795_403_600), Timestamp::from_seconds(1_795_421_600));
        let young = Status { duration_ms: Some(60_000), ..Status::default() };
        let old = Status { duration_ms: Some(86_400_000), ..Status::default() };
        let kept = line("c", 1_795_403_600, 7, 3);
        assert_eq!(cost_before(None, Some(end), 9, &young, now), 0);
        assert_eq!(cost_before(None, Some(end), 9, &old, now), 9);
        assert_eq!(cost_before(None, Some(end), 9, &Status::default(), now), 9);
        assert_eq!(cost_before(Some(&kept), Some(end), 9, &old, now), 3);
        assert_eq!(cost_before(Some(&kept), Some(next), 9, &old, now), 7);
        assert_eq!(cost_before(Some(&kept), None, 9, &old, now), 3);
        assert_eq!(cost_before(Some(&kept), Some(next), 2, &old, now), 2, "costs can begin anew");
    }
}
