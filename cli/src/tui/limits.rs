//! The account's limits: a bar for each, when it is reset, who used it, and what hooks make of it.

use ratatui::text::{Line, Span};
use session_analytics::{LimitStatus, LimitUse, Live, NEAR};
use session_coordinator::{Act, Advice, Cause, Policy, Priority, Question, WindowStanding, advise};
use session_store::{Timestamp, Why};
use unicode_width::UnicodeWidthStr;

use super::Settings;
use super::lines::bar;
use super::paint::Palette;
use crate::limits::say;
use crate::line::short_name;
use crate::words::{self, Piece, fit};

/// The longest name of a limit or an account, in columns.
const NAME_MAX: usize = 24;
/// The longest bar, in columns.
const BAR_MAX: usize = 24;
const BAR_MIN: usize = 8;
/// Below this width names are short, and from that one on the clock is told, too.
const NARROW: usize = 60;
const WIDE: usize = 140;

/// Returns no more lines than rows: the limits that bind most, then what hooks do about them.
pub(crate) fn lines<'a>(
    live: &Live,
    settings: &Settings,
    palette: Palette,
    now: Timestamp,
    (width, rows): (u16, u16),
) -> Vec<Line<'a>> {
    let width = usize::from(width);
    let pace = pace(live, settings).filter(|_| rows > 1);
    let limits = shown(live, rows - u16::from(pace.is_some()));
    let texts: Vec<Texts> = limits.iter().map(|it| Texts::of(it, settings, now, width)).collect();
    let widest = |text: fn(&Texts) -> &String| texts.iter().map(|it| text(it).width()).max().unwrap_or(0);
    let (name, used, reset) = (widest(|it| &it.name), widest(|it| &it.used), widest(|it| &it.reset));
    let has_accounts = limits.iter().any(|it| it.limit.account != limits[0].limit.account);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (it, texts) in limits.iter().zip(&texts) {
        let style = style(it, palette);
        let ratio = f64::from(it.estimate.or(it.limit.used_now()).unwrap_or(0)) / 10_000.0;
        let head = |columns| {
            let mut head = vec![Span::raw(pad(&texts.name, name) + " ")];
            head.extend(bar(ratio, columns, palette, style));
            let used = " ".repeat(used.saturating_sub(texts.used.width())) + &texts.used;
            head.push(Span::styled(format!(" {used}"), style.patch(palette.strong())));
            head
        };
        let dim = |text: &str| vec![Span::styled(text.to_owned(), palette.dim())];
        let plain = |text: String| vec![Span::raw(text)];
        let account = if has_accounts { words::shorten(&it.limit.account, NAME_MAX) } else { String::new() };
        let pieces = [
            Piece::new(0, head((width / 14).clamp(BAR_MIN, BAR_MAX)), vec![]),
            Piece::new(1, plain(pad(&texts.reset, reset)), vec![]),
            Piece::new(2, plain(account), vec![]),
            Piece::new(3, plain(texts.forecast.clone()), vec![]),
            Piece::new(4, plain(words::clip(&texts.shares, width / 2)), vec![]),
            Piece::new(5, dim(&texts.age), vec![]),
        ];
        let is_said = |piece: &Piece<'_>| piece.long.iter().any(|span| !span.content.is_empty());
        lines.push(fit(pieces.into_iter().filter(is_said).collect(), 3, width));
    }
    if let Some(text) = pace {
        lines.push(Line::from(vec![
            Span::styled("▲ ", palette.notice()),
            Span::raw(words::clip(&text, width.saturating_sub(2))),
        ]));
    }
    lines
}

/// Returns how many lines there are to show.
pub(crate) fn height(live: &Live, settings: &Settings) -> u16 {
    let lines = live.limits.len() + usize::from(pace(live, settings).is_some());
    u16::try_from(lines).unwrap_or(u16::MAX)
}

/// Returns so many of the limits as have room, those that bind most, in the order of all.
fn shown(live: &Live, rows: u16) -> Vec<&LimitUse> {
    let mut by_weight: Vec<usize> = (0..live.limits.len()).collect();
    by_weight.sort_by_key(|at| {
        let limit = &live.limits[*at].limit;
        std::cmp::Reverse((!limit.is_over, limit.status, live.limits[*at].estimate.or(limit.used)))
    });
    by_weight.truncate(rows.into());
    by_weight.sort_unstable();
    by_weight.into_iter().map(|at| &live.limits[at]).collect()
}

/// A limit in words.
struct Texts {
    name: String,
    used: String,
    reset: String,
    forecast: String,
    shares: String,
    age: String,
}

impl Texts {
    fn of(it: &LimitUse, settings: &Settings, now: Timestamp, width: usize) -> Self {
        let zone = &settings.zone;
        let limit = &it.limit;
        let name = if width < NARROW { short_name(&limit.window) } else { words::limit_name(&limit.window) };
        let is_past = limit.is_over || limit.resets_at.is_some_and(|reset| reset <= now);
        let reset = match limit.resets_at {
            None => "reset unknown".to_owned(),
            Some(at) if is_past => format!("was reset {}", words::past(at, now)),
            Some(at) if width >= WIDE => {
                format!("resets in {} ({})", words::until(at, now), words::moment(zone, at, now))
            }
            Some(at) if width >= NARROW => format!("resets in {}", words::until(at, now)),
            Some(at) => format!("in {}", words::until(at, now)),
        };
        let age = now.since(it.limit.observed_at);
        Self {
            name: words::clip(&name, NAME_MAX),
            used: say::used(it),
            reset,
            forecast: say::forecast(it, zone, now),
            shares: say::shares(it),
            age: match age.as_secs() {
                0..60 => it.limit.source.name().to_owned(),
                _ => format!("{} {}", it.limit.source.name(), words::past(it.limit.observed_at, now)),
            },
        }
    }
}

fn style(it: &LimitUse, palette: Palette) -> ratatui::style::Style {
    match it.limit.used_now() {
        _ if it.limit.is_over => palette.dim(),
        _ if it.limit.status == LimitStatus::Rejected => palette.alarm(),
        Some(used) if used >= NEAR => palette.notice(),
        _ => palette.bar(),
    }
}

fn pad(text: &str, width: usize) -> String {
    let room = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(room))
}

/// Says what hooks do about the limits before the tool calls of this project, or would do; `None` where they let all pass.
fn pace(live: &Live, settings: &Settings) -> Option<String> {
    if settings.policy == Policy::Off {
        return None;
    }
    let mut accounts: Vec<_> = live.limits.iter().map(|it| &it.limit.account).collect();
    accounts.dedup();
    accounts.into_iter().find_map(|account| {
        let of_account = live.limits.iter().filter(|it| it.limit.account == *account);
        let standings: Vec<WindowStanding> = of_account.map(standing).collect();
        let ask = |act| {
            let (standings, priority) = (standings.as_slice(), settings.priority);
            advise(Question { now: live.at, standings, priority, act, model: None, seed: "" })
        };
        let (work, delegate) = (ask(Act::Work), ask(Act::Delegate));
        let cause = work.cause().or(delegate.cause())?;
        let (wait, are) = match settings.policy {
            Policy::Enforce => ("wait", "are"),
            _ => ("would wait", "would be"),
        };
        let deed = match (&work, &delegate) {
            (Advice::Tell(_), _) => "nothing is held back".to_owned(),
            (Advice::Wait(time, _), Advice::Refuse(_)) => {
                format!("tool calls {wait} {}, sub-agents {are} refused", words::span(*time))
            }
            (Advice::Wait(time, _), _) => format!("tool calls {wait} {}", words::span(*time)),
            (Advice::Refuse(_), _) => format!("tool calls {are} refused"),
            (Advice::Proceed, _) => format!("sub-agents and background jobs {are} refused"),
        };
        let priority = match settings.priority {
            Priority::Normal => String::new(),
            other => format!(", {}", other.name()),
        };
        Some(format!("{}: {deed} ({}{priority})", why(cause), settings.policy.name()))
    })
}

fn standing(it: &LimitUse) -> WindowStanding {
    let limit = &it.limit;
    WindowStanding {
        window: limit.window.clone(),
        used_hundredths: limit.used_now(),
        resets_at: limit.resets_at,
        hit: !limit.is_over && limit.status == LimitStatus::Rejected,
        at: limit.observed_at,
    }
}

fn why(cause: &Cause) -> String {
    let limit = words::limit_name(&cause.window);
    match cause.why {
        Why::LimitHit => format!("{limit} is spent"),
        Why::AheadOfPace => format!("{limit} is ahead of its pace"),
        Why::AfterReset => format!("{limit} was reset"),
    }
}
