//! Lines as all parts of the screen draw them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::Palette;

/// What a project is called where it is not known.
pub(crate) const NO_PROJECT: &str = "(unknown)";

/// Writes a line into an area, cut at its right edge.
pub(crate) fn put(buffer: &mut Buffer, area: Rect, line: Line<'_>) {
    let area = area.intersection(buffer.area);
    if !area.is_empty() {
        buffer.set_line(area.x, area.y, &line, area.width);
    }
}

/// Returns the rows of an area, one after the other.
pub(crate) fn rows(area: Rect) -> impl Iterator<Item = Rect> {
    (area.top()..area.bottom()).map(move |y| Rect { y, height: 1, ..area })
}

/// Returns a rule with text at both ends: `── left ───── right ──`.
pub(crate) fn rule<'a>(left: Vec<Span<'a>>, right: &str, width: u16, palette: Palette) -> Line<'a> {
    let dim = palette.dim();
    let used: usize = left.iter().map(Span::width).sum::<usize>() + 4;
    let right = if right.is_empty() { String::new() } else { format!(" {right} ──") };
    let room = usize::from(width).saturating_sub(used);
    let right_width = Span::raw(right.as_str()).width();
    let right = if right_width < room { right } else { String::new() };
    let fill = room - if right.is_empty() { 0 } else { right_width };
    let mut line = Line::from(Span::styled("── ", dim));
    line.extend(left);
    line.push_span(Span::styled(format!(" {}", "─".repeat(fill)), dim));
    line.push_span(Span::styled(right, dim));
    line
}

/// Returns a bar that is full up to `ratio`, which may be anything.
pub(crate) fn bar<'a>(ratio: f64, width: usize, palette: Palette, style: Style) -> Vec<Span<'a>> {
    // Half a cell is the finest step that a line of this weight has.
    let halves = (ratio.clamp(0.0, 1.0) * width as f64 * 2.0).round() as usize;
    let (full, half) = (halves / 2, halves % 2);
    let done = "━".repeat(full) + if half == 1 { "╸" } else { "" };
    vec![
        Span::styled(done, style),
        Span::styled("─".repeat(width.saturating_sub(full + half)), palette.dim()),
    ]
}
