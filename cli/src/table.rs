//! Tables that fit the terminal: aligned, framed, and narrowed before they break.

use unicode_width::UnicodeWidthStr;

use crate::printable::printable;
use crate::words::{clip, shorten};

/// The width where there is no terminal.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) align: Align,
    /// Columns of a higher number are left out first where the table is too wide; 0 is never left out.
    pub(crate) expendable: u8,
    /// Whether it is cut down to [`PATH_MIN`] before it is left out.
    shrinks: bool,
}

/// What is kept of a column that shrinks, before another is left out for it and before it is left out itself.
const PATH_COMFORTABLE: usize = 24;
const PATH_MIN: usize = 12;
/// What is kept of any text.
const TEXT_MIN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table of texts.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// Rows after this many are set apart as totals.
    totals_from: Option<usize>,
}

impl Column {
    pub(crate) const fn left(title: &'static str, expendable: u8) -> Self {
        Self { title, align: Align::Left, expendable, shrinks: false }
    }

    /// A column of long texts, such as paths, of which a part says enough.
    pub(crate) const fn long(title: &'static str, expendable: u8) -> Self {
        Self { title, align: Align::Left, expendable, shrinks: true }
    }

    pub(crate) const fn right(title: &'static str, expendable: u8) -> Self {
        Self { title, align: Align::Right, expendable, shrinks: false }
    }
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), totals_from: None }
    }

    /// Adds a row of as many cells as there are columns; what cannot be printed is replaced.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells.iter().map(|cell| printable(cell).into_owned()).collect());
    }

    /// Adds a row that is set apart at the end.
    pub(crate) fn totals(&mut self, cells: Vec<String>) {
        self.totals_from.get_or_insert(self.rows.len());
        self.row(cells);
    }

    /// Draws the table within a width; titles are bold where `color` is set.
    pub(crate) fn draw(&self, width: usize, color: bool) -> String {
        let shown = self.fit(width);
        let widths: Vec<usize> = shown.iter().map(|(_, width)| *width).collect();
        let mut out = String::new();
        rule(&mut out, &widths, ['┌', '┬', '┐']);
        let titles: Vec<&str> = shown.iter().map(|(column, _)| self.columns[*column].title).collect();
        self.line(&mut out, &shown, &titles, color);
        rule(&mut out, &widths, ['├', '┼', '┤']);
        for (place, row) in self.rows.iter().enumerate() {
            if self.totals_from == Some(place) && place > 0 {
                rule(&mut out, &widths, ['├', '┼', '┤']);
            }
            let cells: Vec<&str> = shown.iter().map(|(column, _)| row[*column].as_str()).collect();
            self.line(&mut out, &shown, &cells, false);
        }
        rule(&mut out, &widths, ['└', '┴', '┘']);
        out
    }

    /// Chooses the columns that fit, and narrows the widest texts where even the last resort is too wide.
    fn fit(&self, width: usize) -> Vec<(usize, usize)> {
        let mut shown: Vec<(usize, usize)> =
            (0..self.columns.len()).map(|column| (column, self.natural_width(column))).collect();
        let total = |shown: &[(usize, usize)]| shown.iter().map(|(_, width)| width + 3).sum::<usize>() + 1;
        let shrinks = |column: usize| self.columns[column].shrinks;
        // Paths give way a little before anything is left out, and much before they are left out themselves.
        for (column, natural) in shown.iter_mut().filter(|(column, _)| shrinks(*column)) {
            *natural = self.natural_width(*column).min(PATH_COMFORTABLE);
        }
        while total(&shown) > width {
            let dearest =
                shown.iter().enumerate().filter(|(_, (column, _))| self.columns[*column].expendable > 0);
            let Some((place, (column, natural))) =
                dearest.max_by_key(|(_, (column, _))| self.columns[*column].expendable)
            else {
                break;
            };
            let narrow = natural.saturating_sub(total(&shown) - width);
            if shrinks(*column) && narrow >= PATH_MIN {
                shown[place].1 = narrow;
            } else {
                shown.remove(place);
            }
        }
        // What was left out for a wide one may fit where that one did not.
        let mut out: Vec<usize> = (0..self.columns.len())
            .filter(|column| shown.iter().all(|(is_shown, _)| is_shown != column))
            .collect();
        out.sort_by_key(|column| self.columns[*column].expendable);
        for column in out {
            let natural = self.natural_width(column);
            if total(&shown) + natural + 3 <= width {
                shown.insert(shown.partition_point(|(before, _)| *before < column), (column, natural));
            }
        }
        let room = width.saturating_sub(total(&shown));
        if let Some((column, wide)) = shown.iter_mut().find(|(column, _)| shrinks(*column)) {
            *wide = self.natural_width(*column).min(*wide + room);
        }
        let is_left = |(column, _): &&mut (usize, usize)| self.columns[*column].align == Align::Left;
        for _ in 0..total(&shown).saturating_sub(width) {
            // Of several the first, which names the row, gives way last.
            let Some((_, widest)) = shown.iter_mut().filter(is_left).max_by_key(|(_, width)| *width) else {
                break;
            };
            if *widest <= TEXT_MIN {
                break;
            }
            *widest -= 1;
        }
        shown
    }

    fn natural_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].width());
        cells.chain([self.columns[column].title.width()]).max().unwrap_or(0)
    }

    fn line(&self, out: &mut String, shown: &[(usize, usize)], cells: &[&str], bold: bool) {
        for ((column, width), cell) in shown.iter().zip(cells) {
            let text = cut(cell, *width);
            let blank = " ".repeat(width.saturating_sub(text.width()));
            let text = if bold { format!("\x1b[1m{text}\x1b[0m") } else { text };
            match self.columns[*column].align {
                Align::Left => out.push_str(&format!("│ {text}{blank} ")),
                Align::Right => out.push_str(&format!("│ {blank}{text} ")),
            }
        }
        out.push_str("│\n");
    }
}

/// Cuts a cell to a width: of a path the end says the most, of anything else the beginning, as of a session its terminal.
fn cut(cell: &str, width: usize) -> String {
    let is_path = cell.starts_with(['/', '~', '…']) || cell.get(1..3) == Some(":\\");
    if is_path { shorten(cell, width) } else { clip(cell, width) }
}

fn rule(out: &mut String, widths: &[usize], [left, middle, right]: [char; 3]) {
    for (place, width) in widths.iter().enumerate() {
        out.push(if place == 0 { left } else { middle });
        out.push_str(&"─".repeat(width + 2));
    }
    out.push(right);
    out.push('\n');
}

/// Returns the width of the terminal, or that of a page where there is none.
pub(crate) fn terminal_width() -> usize {
    use std::io::IsTerminal;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    if !std::io::stdout().is_terminal() {
        return columns.unwrap_or(WIDTH_WITHOUT_TERMINAL);
    }
    crossterm::terminal::size()
        .map(|(width, _)| usize::from(width))
        .ok()
        .or(columns)
        .unwrap_or(WIDTH_WITHOUT_TERMINAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[Column::left("Project", 0), Column::right("Tokens", 2), Column::right("Cost", 0)]);
        table.row(vec!["/home/dev/shop".into(), "15.0k".into(), "$0.42".into()]);
        table.totals(vec!["Total".into(), "15.0k".into(), "$0.42".into()]);
        table
    }

    #[test]
    fn fits_the_width() {
        let wide = "\
┌────────────────┬────────┬───────┐
│ Project        │ Tokens │  Cost │
├────────────────┼────────┼───────┤
│ /home/dev/shop │  15.0k │ $0.42 │
├────────────────┼────────┼───────┤
│ Total          │  15.0k │ $0.42 │
└────────────────┴────────┴───────┘
";
        assert_eq!(table().draw(100, false), wide);
        let narrow = "\
┌────────────┬───────┐
│ Project    │  Cost │
├────────────┼───────┤
│ …/dev/shop │ $0.42 │
├────────────┼───────┤
│ Total      │ $0.42 │
└────────────┴───────┘
";
        assert_eq!(table().draw(22, false), narrow);
    }

    #[test]
    fn what_tells_apart_is_kept() {
        assert_eq!(cut("pts/1:local:herb:box", 10), "pts/1:loc…");
        assert_eq!(cut("C:\\src\\printer", 10), shorten("C:\\src\\printer", 10));
        assert_eq!(cut("/home/dev/shop", 10), "…/dev/shop");
    }
}
