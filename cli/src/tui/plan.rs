//! Where everything goes on a screen of some size.

use ratatui::layout::{Rect, Size};
use session_analytics::Live;

use super::{Settings, detail, limits, summary};

/// Below this width no column is given away to margins.
const MARGIN_FROM: u16 = 40;
/// The rows a table keeps beside the details; where it cannot, the details take its place.
const TABLE_ROWS_BESIDE_DETAIL: u16 = 5;
/// How many conversations are shown before the first limit, and before all of them.
const ROWS_MIN: u16 = 3;
const ROWS_BEFORE_LIMITS: u16 = 8;

/// What is there to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(super) live: Option<&'a Live>,
    pub(super) settings: &'a Settings,
    /// How many rows the table has.
    pub(super) rows: usize,
    /// Whether a conversation's details are wanted.
    pub(super) detail: bool,
    /// Whether there is something to say above the keys.
    pub(super) note: bool,
}

/// Where everything goes; what has no room has a height of zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    pub(super) title: Rect,
    pub(super) figures: Rect,
    pub(super) block: Rect,
    pub(super) limits_heading: Rect,
    pub(super) limits: Rect,
    pub(super) limit: Rect,
    pub(super) notice: Rect,
    pub(super) table: Rect,
    pub(super) detail: Rect,
    pub(super) note: Rect,
    pub(super) footer: Rect,
}

impl Plan {
    /// Divides a screen: first the table and the sums of today, then the rest by how much it is missed.
    pub(crate) fn new(shown: &Shown<'_>, size: Size) -> Self {
        let live = shown.live;
        let mut left = size.height;
        let mut take = |wanted: bool, rows: u16, keep: u16| {
            let taken = if wanted && left >= rows.saturating_add(keep) { rows } else { 0 };
            left -= taken;
            taken
        };
        let figures = take(live.is_some(), 1, 0);
        let title = take(true, 1, 2);
        let footer = take(true, 1, 2);
        let block = take(live.is_some(), 1, 4);
        let limit = take(live.is_some_and(|live| live.last_limit.is_some()), 1, 4);
        let notice = take(live.is_some_and(|live| summary::shown_notice(live).is_some()), 1, 4);
        let note = take(shown.note, 1, 6);
        let wanted = live.map_or(0, |live| limits::height(live, shown.settings));
        let table_wanted = (shown.rows as u16).clamp(ROWS_MIN, ROWS_BEFORE_LIMITS) + 2;
        let keep = |nth| if nth == 0 { ROWS_MIN + 2 } else { table_wanted };
        let limits = (0..wanted).map(|nth| take(true, 1, keep(nth))).sum();
        let limits_heading = take(limits > 0, 2, table_wanted + 5);
        let gap_above_table = take(live.is_some(), 1, 8);
        let gap_below_title = take(true, 1, 10);
        let margin = u16::from(size.width >= MARGIN_FROM);
        let (mut y, width) = (0, size.width - 2 * margin);
        let beside = take(shown.detail, detail::height(width), TABLE_ROWS_BESIDE_DETAIL);
        let instead = if shown.detail && beside == 0 { left } else { 0 };
        let table = left - instead;

        let mut place = |height: u16| {
            let area = Rect::new(margin, y, width, height);
            y += height;
            area
        };
        let title = place(title);
        place(gap_below_title);
        let (figures, block) = (place(figures), place(block));
        let (limit, notice) = (place(limit), place(notice));
        let (limits_heading, limits) = (place(limits_heading), place(limits));
        place(gap_above_table);
        let (table, detail) = (place(table), place(beside + instead));
        let (note, footer) = (place(note), place(footer));
        Self { title, figures, block, limits_heading, limits, limit, notice, table, detail, note, footer }
    }

    /// Returns how many rows of the table have room.
    pub(crate) fn room(&self) -> usize {
        usize::from(self.table.height - heading_height(self.table.height))
    }
}

/// Returns how many rows of a table of this height name what is below.
pub(crate) fn heading_height(height: u16) -> u16 {
    match height {
        0..3 => 0,
        3..5 => 1,
        _ => 2,
    }
}
