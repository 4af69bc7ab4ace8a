//! The status line: what is known, put into the user's template.

use session_analytics::{Elapsed, Limit, LimitStatus, NEAR, WHOLE};
use session_store::{LimitWindow, Timestamp, Zone};
use unicode_width::UnicodeWidthStr;

use crate::printable::printable;
use crate::words;

/// What is shown where the user wants nothing else.
pub(crate) const TEMPLATE: &str = "{limits} · {share} · {burn} · {cost} · {notice}";
/// What stands between two pieces of a template; a piece that has nothing to say goes with it.
const BETWEEN: &str = " · ";
/// The cells of a bar.
const CELLS: u32 = 8;
/// A value that is older than this is shown with its age.
const OLD: std::time::Duration = std::time::Duration::from_secs(600);

/// What a status line can say.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) limits: Vec<&'a Limit>,
    /// The part of this conversation in what was spent here since the five-hour window began, 0 to 1.
    pub(crate) share: Option<f64>,
    pub(crate) model: Option<&'a str>,
    pub(crate) project: Option<&'a str>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) context_percentage: Option<f64>,
    pub(crate) notice: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) zone: &'a Zone,
    pub(crate) color: bool,
}

/// Fills a template within a width; pieces that do not fit are left out from the end.
pub(crate) fn fill(template: &str, facts: &Facts<'_>, width: usize) -> String {
    let mut line = String::new();
    for piece in template.split(BETWEEN) {
        let Some(piece) = fill_piece(piece, facts) else { continue };
        let more = if line.is_empty() { piece } else { format!("{BETWEEN}{piece}") };
        if shown_width(&line) + shown_width(&more) <= width {
            line.push_str(&more);
        }
    }
    line
}

/// Fills one piece; `None` where its placeholders have nothing to say.
fn fill_piece(piece: &str, facts: &Facts<'_>) -> Option<String> {
    let mut out = String::new();
    let (mut asked, mut said) = (false, false);
    let mut rest = piece;
    while let Some((before, from)) = rest.split_once('{') {
        let Some((name, after)) = from.split_once('}') else { break };
        out.push_str(&printable(before));
        match placeholder(name, facts) {
            Some(text) => {
                (asked, said) = (true, said || !text.is_empty());
                out.push_str(&text);
            }
            // What is no placeholder stands for itself, so that the mistake is seen.
            None => out.push_str(&printable(&format!("{{{name}}}"))),
        }
        rest = after;
    }
    out.push_str(&printable(rest));
    (!asked || said).then_some(out).filter(|text| !text.trim().is_empty())
}

/// Returns what stands for a placeholder; `None` where there is no such one.
fn placeholder(name: &str, facts: &Facts<'_>) -> Option<String> {
    let of = |window: &LimitWindow| facts.limits.iter().find(|it| it.window == *window);
    let limit_or_nothing = |it: Option<&&Limit>| it.map(|it| limit(it, facts)).unwrap_or_default();
    Some(match name {
        "limits" => facts.limits.iter().map(|it| limit(it, facts)).collect::<Vec<_>>().join("  "),
        "five_hour" => limit_or_nothing(of(&LimitWindow::FiveHour)),
        "seven_day" => limit_or_nothing(of(&LimitWindow::SevenDay)),
        "share" => facts.share.map(|share| format!("{:.0}% of it here", share * 100.0)).unwrap_or_default(),
        "burn" => burn(facts),
        "cost" => facts.cost_usd.map(|cost| format!("${cost:.2}")).unwrap_or_default(),
        "context" => facts.context_percentage.map(|used| format!("context {used:.0}%")).unwrap_or_default(),
        "model" => words::clip(facts.model.unwrap_or_default(), 24),
        "project" => words::shorten(facts.project.unwrap_or_default(), 32),
        "notice" => facts.notice.clone().unwrap_or_default(),
        _ => return None,
    })
}

/// Returns the name of a limit as short as it goes.
pub(crate) fn short_name(window: &LimitWindow) -> String {
    match window {
        LimitWindow::FiveHour => "5h".to_owned(),
        LimitWindow::SevenDay => "7d".to_owned(),
        LimitWindow::SevenDayOpus => "7d Opus".to_owned(),
        LimitWindow::SevenDaySonnet => "7d Sonnet".to_owned(),
        LimitWindow::Overage => "extra".to_owned(),
        LimitWindow::Unspecified => "limit".to_owned(),
        // That is what Claude Code calls the week of Fable.
        LimitWindow::Other(name) if &**name == "seven_day_overage_included" => "7d Fable".to_owned(),
        other => words::clip(&other.name().replace("seven_day_", "7d ").replace('_', " "), 16),
    }
}

fn limit(limit: &Limit, facts: &Facts<'_>) -> String {
    let used = limit.used_now();
    let percent = used.map_or_else(|| "?".to_owned(), |used| format!("{}%", percent(used)));
    let bar = colored(&bar(used.unwrap_or(0), CELLS), limit, facts.color);
    let age = facts.now.since(limit.observed_at);
    let age =
        if age > OLD && !limit.is_over { format!(" ({} ago)", words::span(age)) } else { String::new() };
    let mark = if limit.status == LimitStatus::Rejected { "⛔ " } else { "" };
    let reset = match limit.resets_at {
        Some(_) if limit.is_over => " reset".to_owned(),
        Some(at) => format!(" ↻{}", reset(at, facts)),
        None => String::new(),
    };
    format!("{mark}{} {bar} {percent}{reset}{age}", short_name(&limit.window))
}

/// Returns when a limit is reset: the clock within a day, else how long it is until then.
fn reset(at: Timestamp, facts: &Facts<'_>) -> String {
    if at.since(facts.now).as_secs() < 86_400 {
        words::clock(facts.zone, at)
    } else {
        Elapsed(at.since(facts.now)).to_string()
    }
}

/// Returns hundredths of a percent as a whole percentage, 100 for nothing less than the whole.
pub(crate) fn percent(used: u32) -> u32 {
    if used >= WHOLE { 100 } else { ((used + 50) / 100).min(99) }
}

/// Draws how much is used, in eighths of a cell.
pub(crate) fn bar(used: u32, cells: u32) -> String {
    const EIGHTHS: [char; 9] = ['░', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    let eighths = (u64::from(used.min(10_000)) * u64::from(cells) * 8).div_ceil(10_000);
    let cell = |cell: u32| EIGHTHS[eighths.saturating_sub(u64::from(cell) * 8).min(8) as usize];
    (0..cells).map(cell).collect()
}

fn colored(bar: &str, limit: &Limit, color: bool) -> String {
    let code = match limit.threshold() {
        _ if !color => return bar.to_owned(),
        Some(NEAR) => 33,
        Some(_) => 31,
        None => 32,
    };
    format!("\x1b[{code}m{bar}\x1b[0m")
}

/// Returns how fast the limit goes that goes first: its mean rate, and when it will be used up if before its reset.
fn burn(facts: &Facts<'_>) -> String {
    let open = facts.limits.iter().filter(|it| it.status != LimitStatus::Rejected);
    let with_end = open.clone().filter_map(|it| Some((it.runs_out_at(facts.now)?, it)));
    if let Some((at, it)) = with_end.min_by_key(|(at, _)| *at) {
        let rate = rate(it, facts.now).unwrap_or_default();
        return format!("{rate}, full {}", reset(at, facts));
    }
    let five_hour = open.clone().find(|it| it.window == LimitWindow::FiveHour);
    five_hour.and_then(|it| rate(it, facts.now)).unwrap_or_default()
}

fn rate(limit: &Limit, now: Timestamp) -> Option<String> {
    let pace = limit.pace(now)? / 100.0;
    let text = if pace < 9.95 { format!("{pace:.1}") } else { format!("{pace:.0}") };
    (pace > 0.0).then(|| format!("{} {text}%/h", short_name(&limit.window)))
}

/// Returns the width of a line without our own colours.
fn shown_width(text: &str) -> usize {
    let mut width = 0;
    for (place, part) in text.split('\x1b').enumerate() {
        let plain = if place == 0 { part } else { part.split_once('m').map_or("", |(_, plain)| plain) };
        width += plain.width();
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_analytics::{LimitSource, Limits, Reading};

    const NOW: Timestamp = Timestamp::from_seconds(1_795_400_000);

    fn limits() -> Limits {
        let reading = |window, used, minutes: u64, status| Reading {
            account: "a".into(),
            window: LimitWindow::from_name(window),
            at: NOW,
            used: Some(used),
            status,
            resets_at: Some(NOW.after(std::time::Duration::from_secs(minutes * 60))),
            source: LimitSource::StatusLine,
            by: "c".into(),
        };
        let all = [
            reading("five_hour", 4_200, 180, LimitStatus::Allowed),
            reading("seven_day", 9_950, 4000, LimitStatus::Allowed),
        ];
        Limits::merge(all, NOW)
    }

    fn check(template: &str, width: usize, expected: &str) {
        let limits = limits();
        let zone = Zone::utc();
        let facts = Facts {
            limits: limits.limits.iter().collect(),
            share: Some(0.384),
            model: Some("Op\x1b[31mus"),
            project: Some("/p/shop"),
            cost_usd: Some(1.5),
            context_percentage: None,
            notice: None,
            now: NOW,
            zone: &zone,
            color: false,
        };
        assert_eq!(fill(template, &facts, width), expected, "{template}");
    }

    #[test]
    fn templates_are_filled() {
        let five_hour = "5h ███▍░░░░ 42% ↻05:13";
        let seven_day = "7d ████████ 99% ↻2 d 18 h";
        check("{five_hour}", 100, five_hour);
        check("{limits}", 100, &format!("{five_hour}  {seven_day}"));
        check("{burn}", 100, "7d 1.0%/h, full 02:43");
        check("{share} · {context} · {cost} · {notice}", 100, "38% of it here · $1.50");
        check("it costs {cost} · context: {context}", 100, "it costs $1.50");
        check("{model} in {project}", 100, "Op�[31mus in /p/shop");
        check("{nothing} {", 100, "{nothing} {");
        check("", 100, "");
        check("plain\x1b[2J text", 100, "plain�[2J text");
        // What does not fit is left out.
        check("{five_hour} · {cost} · {share}", 33, &format!("{five_hour} · $1.50"));
    }

    #[test]
    fn bars_show_eighths() {
        let check = |used, text: &str| assert_eq!(bar(used, 4), text, "{used}");
        check(0, "░░░░");
        check(1, "▏░░░");
        check(5_000, "██░░");
        check(5_001, "██▏░");
        check(10_000, "████");
        check(u32::MAX, "████");
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(shown_width("\x1b[31m██\x1b[0m 42%"), 6);
    }
}
