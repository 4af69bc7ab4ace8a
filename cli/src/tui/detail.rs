//! The selected conversation in full.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use session_analytics::{Grouped, LiveConversation, State};
use session_store::{ModelId, Timestamp, Usage, Zone};

use super::lines::{NO_PROJECT, put, rows, rule};
use super::paint::{Kind, Palette};
use crate::words;

/// From this width on, facts and tokens stand side by side.
const TWO_COLUMNS_FROM: u16 = 56;
/// From this width on, each kind of tokens has its share beside it.
const SHARES_FROM: u16 = 76;
/// The width of the tokens: glyph, name, number, and where there is room the share.
const TOKENS_WIDTH: u16 = 31;
const SHARE_WIDTH: u16 = 8;
/// The widest column of facts, so that what belongs together is not torn apart on a wide screen.
const FACTS_WIDTH_MAX: u16 = 72;
const FACTS: u16 = 8;
/// The kinds, their sum and the web searches.
const COUNTS: u16 = 7;

/// Returns how many rows the details need in an area of this width.
pub(crate) fn height(width: u16) -> u16 {
    let body = if width >= TWO_COLUMNS_FROM { FACTS.max(COUNTS) } else { FACTS + COUNTS };
    body + 3
}

/// What is shown, and how.
#[derive(Clone, Copy)]
pub(crate) struct Detail<'a> {
    pub(super) conversation: &'a LiveConversation,
    /// The models without a price.
    pub(super) unpriced: &'a BTreeSet<ModelId>,
    pub(super) zone: &'a Zone,
    pub(super) palette: Palette,
    pub(super) now: Timestamp,
}

/// Paints the details of a conversation.
pub(crate) fn draw(detail: Detail<'_>, buffer: &mut Buffer, area: Rect) {
    let Detail { conversation, palette, .. } = detail;
    let mut lines = rows(area);
    let Some(top) = lines.next() else { return };
    let id = words::clip(conversation.id.as_str(), usize::from(top.width).saturating_sub(24));
    let name = vec![Span::styled("Conversation", palette.strong()), Span::raw(format!(" {id}"))];
    put(buffer, top, rule(name, "", top.width, palette));
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let bar_at = if body.height > 2 { body.bottom() - 1 } else { body.bottom() };
    let body = Rect { height: bar_at - body.y, ..body };
    let has_shares = area.width >= SHARES_FROM;
    let (facts_width, counts) = if area.width >= TWO_COLUMNS_FROM {
        let tokens_width = TOKENS_WIDTH + if has_shares { SHARE_WIDTH } else { 0 };
        let left = (area.width - tokens_width - 2).min(FACTS_WIDTH_MAX);
        (left, Rect { x: body.x + left + 2, width: tokens_width, ..body })
    } else {
        let above = FACTS.min(body.height);
        (body.width, Rect { y: body.y + above, height: body.height - above, ..body })
    };
    let facts = facts(detail, usize::from(facts_width));
    for (row, line) in rows(Rect { width: facts_width, ..body }).zip(facts) {
        put(buffer, row, line);
    }
    for (row, line) in rows(counts).zip(token_counts(conversation.usage(), has_shares, palette)) {
        put(buffer, row, line);
    }
    let bar_row = Rect { y: bar_at, height: area.bottom() - bar_at, ..area };
    put(buffer, bar_row, stacked_bar(conversation.usage(), usize::from(area.width), palette));
}

fn facts<'a>(detail: Detail<'_>, width: usize) -> Vec<Line<'a>> {
    let Detail { conversation, unpriced, zone, palette, now } = detail;
    let room = width.saturating_sub(14);
    let fact = |name: &str, value: String, style: Style| {
        Line::from(vec![Span::styled(format!("{name:<14}"), palette.dim()), Span::styled(value, style)])
    };
    let plain = |name: &str, value: String| fact(name, words::clip(&value, room), Style::new());
    let totals = &conversation.totals;
    let project = if conversation.project.is_empty() { NO_PROJECT } else { &conversation.project };
    let (state_style, symbol) = palette.state(conversation.state);
    let last = conversation.last_activity;
    let activity = match words::ago(last, now).as_str() {
        "–" => "unknown".to_owned(),
        "now" => "now".to_owned(),
        ago => format!("{} ({ago} ago)", words::moment(zone, last, now)),
    };
    let hits = match totals.rate_limit_events {
        0 => fact("Limits hit", "never".to_owned(), Style::new()),
        count => fact("Limits hit", Grouped(count).to_string(), palette.alarm()),
    };
    vec![
        fact("Project", words::shorten(project, room), palette.strong()),
        plain("Models", models(conversation, room)),
        fact("State", format!("{symbol} {}", state_words(conversation.state)), state_style),
        plain("Last activity", activity),
        plain("Messages", Grouped(totals.sum.messages).to_string()),
        fact("Cost", words::clip(&cost(conversation, unpriced), room), palette.strong()),
        plain("Tokens/min", Grouped(words::whole(conversation.tokens_per_minute)).to_string()),
        hits,
    ]
}

/// Returns the models, by their full names if these have room.
fn models(conversation: &LiveConversation, room: usize) -> String {
    let models = || conversation.totals.models.iter().map(|model| model.as_str());
    let full = models().collect::<Vec<_>>().join(", ");
    match () {
        () if full.is_empty() => "none".to_owned(),
        () if full.len() <= room => full,
        () => models().map(words::model_name).collect::<Vec<_>>().join(", "),
    }
}

fn state_words(state: State) -> &'static str {
    match state {
        State::Working => "working",
        State::Limited => "stopped by a limit",
        State::Idle => "waiting for you",
    }
}

/// Returns the cost, and why it is not exact.
fn cost(conversation: &LiveConversation, unpriced: &BTreeSet<ModelId>) -> String {
    let totals = &conversation.totals;
    let why = match () {
        () if !unpriced.is_disjoint(&totals.models) => "  (a model has no price)",
        () if totals.estimated => "  (estimated by the model's family)",
        () if totals.sum.under_reported > 0 => "  (output was recorded too low)",
        () => "",
    };
    words::cost(totals, unpriced) + why
}

fn token_counts<'a>(usage: &Usage, has_shares: bool, palette: Palette) -> Vec<Line<'a>> {
    let total = usage.total();
    let row = |glyph: &'static str, style: Style, name: &'static str, count: u64, share: String| {
        Line::from(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{name:<15}"), palette.dim()),
            Span::raw(format!("{:>14}", Grouped(count))),
            Span::styled(format!("{share:>8}"), palette.dim()),
        ])
    };
    let mut lines: Vec<Line<'a>> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let count = kind.of(usage);
            let share = if has_shares { percent(count, total) } else { String::new() };
            row(kind.glyph(), palette.kind(kind), kind.name(), count, share)
        })
        .collect();
    lines.push(row(" ", Style::new(), "Total", total, String::new()).style(palette.strong()));
    if usage.web_searches > 0 {
        lines.push(row(" ", Style::new(), "Web searches", usage.web_searches, String::new()));
    }
    lines
}

fn percent(part: u64, whole: u64) -> String {
    match (part, part as f64 / whole.max(1) as f64 * 100.0) {
        (0, _) => String::new(),
        (_, ratio) if ratio < 0.1 => "<0.1 %".to_owned(),
        (_, ratio) => format!("{ratio:.1} %"),
    }
}

/// Returns a bar divided by the kinds of tokens.
///
/// Each edge is placed by the sum up to it, so that rounding never makes the bar longer or shorter; a kind below half
/// a column is not seen in it, and its number stands above.
fn stacked_bar<'a>(usage: &Usage, width: usize, palette: Palette) -> Line<'a> {
    let total = usage.total();
    let mut line = Line::default();
    if total == 0 {
        return line;
    }
    let edge =
        |sum: u64| ((u128::from(sum) * width as u128 + u128::from(total) / 2) / u128::from(total)) as usize;
    let (mut sum, mut at) = (0_u64, 0);
    for kind in Kind::ALL {
        sum = sum.saturating_add(kind.of(usage));
        let end = edge(sum).min(width);
        line.push_span(Span::styled(kind.glyph().repeat(end - at), palette.kind(kind)));
        at = end;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stacked_bar_is_as_long_as_it_should_be() {
        let palette = Palette { color: false };
        let bar = |usage: Usage, width| stacked_bar(&usage, width, palette).to_string();
        let usage = Usage {
            input: 10,
            output: 20,
            cache_write_5m: 30,
            cache_write_1h: 0,
            cache_read: 40,
            web_searches: 9,
        };
        assert_eq!(bar(usage, 10), "▒██▓▓▓░░░░");
        assert_eq!(bar(Usage::default(), 10), "");
        let huge = Usage { input: u64::MAX, output: u64::MAX, cache_read: u64::MAX, ..usage };
        for width in 0..50 {
            assert_eq!(bar(usage, width).chars().count(), width);
            assert_eq!(bar(huge, width).chars().count(), width);
        }
    }

    #[test]
    fn shares() {
        assert_eq!(percent(0, 0), "");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(3, 3), "100.0 %");
    }
}
