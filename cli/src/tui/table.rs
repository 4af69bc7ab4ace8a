//! The table of conversations.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use session_analytics::{LiveConversation, State, Tokens};
use session_store::Timestamp;

use super::app::App;
use super::history::SLOTS;
use super::lines::{NO_PROJECT, put, rows, rule};
use super::paint::Palette;
use super::plan::heading_height;
use crate::words;

/// The narrowest column of projects beside others.
const PROJECT_MIN: usize = 14;
/// One in which most projects are told apart.
const PROJECT_ENOUGH: usize = 24;
/// The widest one; longer paths are shortened.
const PROJECT_MAX: usize = 56;
const MODEL_MAX: usize = 16;

/// Steps of height, for a curve of one row.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A column beside the first two, which mark the row and name the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Model,
    Input,
    Output,
    Write,
    Read,
    Total,
    Cost,
    Rate,
    Curve,
    Last,
}

impl Column {
    /// In the order of the screen.
    const ALL: [Self; 10] = [
        Self::Model,
        Self::Input,
        Self::Output,
        Self::Write,
        Self::Read,
        Self::Total,
        Self::Cost,
        Self::Rate,
        Self::Curve,
        Self::Last,
    ];
    /// The most important first: what has no room is left out from the end.
    const BY_NEED: [Self; 10] = [
        Self::Last,
        Self::Cost,
        Self::Total,
        Self::Model,
        Self::Rate,
        Self::Output,
        Self::Input,
        Self::Read,
        Self::Write,
        Self::Curve,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Input => "In",
            Self::Output => "Out",
            Self::Write => "Cache wr",
            Self::Read => "Cache rd",
            Self::Total => "Total",
            Self::Cost => "Cost",
            Self::Rate => "Tok/min",
            Self::Curve => "Last 5 min",
            Self::Last => "Active",
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Model | Self::Curve)
    }
}

/// What a row is painted with.
struct Context<'a> {
    app: &'a App,
    palette: Palette,
    now: Timestamp,
    peak: u64,
}

/// The columns that have room, and how wide they are.
#[derive(Debug)]
struct Grid {
    project: usize,
    columns: Vec<(Column, usize)>,
    gap: usize,
}

/// Paints the rows that have room.
pub(crate) fn draw(app: &App, palette: Palette, buffer: &mut Buffer, area: Rect, now: Timestamp) {
    let heading = heading_height(area.height);
    let room = usize::from(area.height - heading);
    let first = app.first_row(room);
    let shown: Vec<&LiveConversation> = app.rows().skip(first).take(room).collect();
    let context = Context { app, palette, now, peak: app.history.peak(now) };
    let grid = Grid::new(&context, &shown, usize::from(area.width));
    let mut lines = rows(area);
    if let (2, Some(row)) = (heading, lines.next()) {
        put(buffer, row, title(app, palette, row.width, first, shown.len()));
    }
    if let (1.., Some(row)) = (heading, lines.next()) {
        put(buffer, row, grid.heading(palette));
    }
    for ((place, conversation), row) in shown.iter().enumerate().zip(lines) {
        let is_selected = first + place == app.selected_row();
        put(buffer, row, grid.row(&context, conversation, is_selected));
    }
}

fn title<'a>(app: &App, palette: Palette, width: u16, first: usize, shown: usize) -> Line<'a> {
    let all = app.rows().len();
    let mut left = vec![
        Span::styled("Conversations", palette.strong()),
        Span::styled(format!(" · {}", app.sort.name()), palette.dim()),
    ];
    if !app.filter.is_empty() {
        let filter = words::clip(&app.filter, 24);
        left.push(Span::styled(format!(" · with “{filter}”"), palette.notice()));
    }
    let right =
        if shown < all { format!("{}–{} of {all}", first + 1, first + shown) } else { all.to_string() };
    rule(left, &right, width, palette)
}

impl Grid {
    /// Gives columns room by need, and what is left to the projects and the gaps.
    fn new(context: &Context<'_>, shown: &[&LiveConversation], width: usize) -> Self {
        const MARK: usize = 3;
        let longest = context.app.rows().map(|row| row.project.chars().count()).max().unwrap_or_default();
        let wanted = longest.clamp(NO_PROJECT.len(), PROJECT_MAX);
        let mut left = width.saturating_sub(MARK + PROJECT_MIN.min(wanted));
        let mut chosen = Vec::new();
        for column in Column::BY_NEED {
            let needed = column_width(context, shown, column) + 1;
            let Some(rest) = left.checked_sub(needed) else { break };
            left = rest;
            chosen.push((column, needed - 1));
        }
        let columns: Vec<_> = Column::ALL
            .into_iter()
            .filter_map(|column| chosen.iter().find(|(chosen, _)| *chosen == column).copied())
            .collect();
        let mut project = PROJECT_MIN.min(wanted).min(width.saturating_sub(MARK));
        let mut gap = 1;
        // Air between the columns is worth more than the whole of a long path, but less than its last parts.
        for enough in [PROJECT_ENOUGH.min(wanted), wanted] {
            let growth = left.min(enough.saturating_sub(project));
            (project, left) = (project + growth, left - growth);
            if let (true, Some(rest)) = (!columns.is_empty(), left.checked_sub(columns.len())) {
                (gap, left) = (gap + 1, rest);
            }
        }
        Self { project, columns, gap }
    }

    fn heading<'a>(&self, palette: Palette) -> Line<'a> {
        let mut text = format!("   {:<width$}", "Project", width = self.project);
        for (column, width) in &self.columns {
            text.push_str(&" ".repeat(self.gap));
            text.push_str(&aligned(*column, column.title(), *width));
        }
        Line::styled(text, palette.dim())
    }

    fn row<'a>(&self, context: &Context<'_>, row: &LiveConversation, is_selected: bool) -> Line<'a> {
        let palette = context.palette;
        let emphasis =
            if is_selected { palette.strong().remove_modifier(Modifier::DIM) } else { Style::new() };
        let (state_style, symbol) = palette.state(row.state);
        let project = if row.project.is_empty() { NO_PROJECT } else { &row.project };
        let project = words::shorten(project, self.project);
        let fill = self.project.saturating_sub(Span::raw(project.as_str()).width());
        let project_style = if row.state == State::Idle { Style::new() } else { palette.strong() };
        let mut line = Line::from(vec![
            Span::styled(if is_selected { "▌" } else { " " }, palette.accent()),
            Span::styled(format!("{symbol} "), state_style),
            Span::styled(project, project_style.patch(emphasis)),
            Span::raw(" ".repeat(fill)),
        ]);
        for (column, width) in &self.columns {
            let text = aligned(*column, &text_of(context, row, *column), *width);
            line.push_span(" ".repeat(self.gap));
            line.push_span(Span::styled(text, style_of(palette, row, *column).patch(emphasis)));
        }
        line
    }
}

fn column_width(context: &Context<'_>, shown: &[&LiveConversation], column: Column) -> usize {
    let longest = |max: usize| {
        let texts = shown.iter().map(|row| Span::raw(text_of(context, row, column)).width());
        texts.max().unwrap_or_default().clamp(column.title().len(), max)
    };
    match column {
        Column::Model => longest(MODEL_MAX),
        Column::Cost => longest(14),
        Column::Input | Column::Output | Column::Total | Column::Last => 6,
        Column::Write | Column::Read => 8,
        Column::Rate => 7,
        Column::Curve => SLOTS,
    }
}

fn aligned(column: Column, text: &str, width: usize) -> String {
    let text = words::clip(text, width);
    let fill = " ".repeat(width.saturating_sub(Span::raw(text.as_str()).width()));
    if column.is_text() { text + &fill } else { fill + &text }
}

fn text_of(context: &Context<'_>, row: &LiveConversation, column: Column) -> String {
    let usage = row.usage();
    let tokens = |count: u64| if count == 0 { "–".to_owned() } else { Tokens(count).to_string() };
    match column {
        Column::Model => {
            row.model.as_ref().map_or("–".to_owned(), |model| words::model_name(model.as_str()))
        }
        Column::Input => tokens(usage.input),
        Column::Output => tokens(usage.output),
        Column::Write => tokens(usage.cache_write_5m.saturating_add(usage.cache_write_1h)),
        Column::Read => tokens(usage.cache_read),
        Column::Total => tokens(usage.total()),
        Column::Cost => {
            let unpriced = context.app.live.as_ref().map(|live| &live.unpriced_models);
            unpriced.map_or_else(String::new, |unpriced| words::cost(&row.totals, unpriced))
        }
        Column::Rate => tokens(words::whole(row.tokens_per_minute)),
        Column::Curve => curve(context.app.history.curve(&row.id, context.now), context.peak),
        Column::Last => words::ago(row.last_activity, context.now),
    }
}

fn style_of(palette: Palette, row: &LiveConversation, column: Column) -> Style {
    match column {
        Column::Input | Column::Output | Column::Write | Column::Read => palette.dim(),
        Column::Curve => palette.bar(),
        Column::Last if row.state == State::Idle => palette.dim(),
        Column::Rate if words::whole(row.tokens_per_minute) == 0 => palette.dim(),
        _ => Style::new(),
    }
}

/// Draws a curve in one row; a slot without tokens stays empty, so that rest looks like rest.
fn curve(slots: [u64; SLOTS], peak: u64) -> String {
    let step = |tokens: u64| match tokens {
        0 => ' ',
        _ => {
            let height = u128::from(tokens) * STEPS.len() as u128 / u128::from(peak.max(1));
            STEPS[(height as usize).min(STEPS.len() - 1)]
        }
    };
    slots.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_rise_with_use() {
        assert_eq!(curve([0, 1, 100, 200, 400, 799, 800, 0, 0, 0], 800), " ▁▂▃▅██   ");
        assert_eq!(curve([u64::MAX; SLOTS], u64::MAX), "█".repeat(SLOTS));
        assert_eq!(curve([5; SLOTS], 0), "█".repeat(SLOTS));
    }
}
