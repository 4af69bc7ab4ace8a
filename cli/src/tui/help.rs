//! The help, laid over the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph, Widget};

use super::paint::{Kind, Palette};
use crate::words::clip;

const KEYS: [(&str, &str); 10] = [
    ("↑ ↓  k j", "select a conversation"),
    ("PgUp PgDn", "a page up or down"),
    ("Home End  g G", "the first, the last"),
    ("Enter  d", "show it in full, or not"),
    ("s", "order: latest, cost, tokens, project"),
    ("/", "only projects and models that contain …"),
    ("Esc", "a step back; at the end, quit"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "to the background"),
    ("q  Ctrl-C", "quit"),
];

const SIGNS: [(&str, &str); 5] = [
    ("● ○ ■", "working, waiting for you, stopped by a limit"),
    ("~09:00", "a block inferred from use, not told by a reset"),
    ("~$1.00", "a price estimated by the model's family"),
    ("≥$1.00", "a model without a price is not in it"),
    ("Last 5 min", "tokens of each half minute, beside the others"),
];

/// Paints the help in the middle of an area.
pub(crate) fn draw(palette: Palette, buffer: &mut Buffer, area: Rect) {
    let lines = lines(palette, usize::from(area.width.saturating_sub(4)));
    let width = lines.iter().map(Line::width).max().unwrap_or_default() as u16 + 6;
    let height = lines.len() as u16 + 4;
    let width = width.min(area.width);
    let height = height.min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let place = Rect::new(x, y, width, height);
    Clear.render(place, buffer);
    let frame = Block::bordered().border_type(BorderType::Rounded).border_style(palette.dim());
    let frame = frame.title(Span::styled(" Help ", palette.accent()));
    // On a small screen the text matters more than the air around it.
    let air =
        if height == lines.len() as u16 + 4 { Padding::symmetric(2, 1) } else { Padding::horizontal(1) };
    Paragraph::new(lines).block(frame.padding(air)).render(place, buffer);
}

/// Returns the lines, of which none but the last is wider than there is room.
fn lines<'a>(palette: Palette, room: usize) -> Vec<Line<'a>> {
    let pair = |(name, meaning): (&'static str, &'static str)| {
        let name = format!("{name:<15}");
        let meaning = clip(meaning, room.saturating_sub(name.chars().count()));
        Line::from(vec![Span::styled(name, palette.strong()), Span::raw(meaning)])
    };
    let kinds = Kind::ALL.into_iter().flat_map(|kind| {
        [
            Span::styled(kind.glyph(), palette.kind(kind)),
            Span::raw(format!(" {}  ", kind.name().to_lowercase())),
        ]
    });
    let mut lines: Vec<Line<'a>> = KEYS.into_iter().map(pair).collect();
    lines.push(Line::default());
    lines.extend(SIGNS.into_iter().map(pair));
    lines.push(Line::default());
    lines.push(Line::from_iter(kinds));
    lines
}
