//! Five-hour blocks: the windows in which Claude Code's session limit counts.

use std::ops::Range;
use std::time::Duration;

use session_store::{Cell, Ledger, LimitWindow, Timestamp};

use crate::window::{self, Window};

/// The length of a block.
pub const BLOCK_LENGTH: Duration = Duration::from_secs(5 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// A five-hour window of use.
pub type Block = Window;

/// Returns the windows that official resets fix, in order and without overlap, as [`window::official`] does.
pub fn anchors(facts: &Ledger) -> Vec<Block> {
    window::official(&LimitWindow::FiveHour, facts, &[])
}

/// Returns the moments at which cells must be divided so that none reaches over the edge of an anchored block.
pub fn cuts(anchors: &[Block]) -> Vec<Timestamp> {
    let mut cuts: Vec<Timestamp> = anchors.iter().flat_map(|block| [block.start, block.end]).collect();
    cuts.dedup();
    cuts
}

/// Returns the blocks that hold some cells, in order; the cells are in order and divided at [`cuts`].
///
/// Outside anchored windows a block begins with the first use after the block before, at the full hour (UTC), as
/// Claude Code's limit does, and ends five hours later or where an anchored one begins.
pub fn blocks(cells: &[Cell], anchors: &[Block]) -> Vec<Block> {
    window::windows(&LimitWindow::FiveHour, cells, anchors)
}

/// Adds the block of a refused request where no block holds it: windows pass also where nothing was used.
///
/// The blocks stay in order and without overlap.
pub(crate) fn add_refused(blocks: &mut Vec<Block>, at: Timestamp, anchors: &[Block]) {
    let place = blocks.partition_point(|block| block.start <= at);
    let next_anchor = anchors.partition_point(|anchor| anchor.start <= at);
    let last = |blocks: &[Block]| blocks.last().copied();
    let before = [last(&blocks[..place]), last(&anchors[..next_anchor])];
    if let Some(block) = before.into_iter().flatten().find(|block| block.contains(at)) {
        if last(&blocks[..place]) != Some(block) {
            blocks.insert(place, block);
        }
        return;
    }
    let after = [blocks.get(place), anchors.get(next_anchor)];
    let from = before.into_iter().flatten().map(|block| block.end).max().unwrap_or(Timestamp::MIN);
    let to = after.into_iter().flatten().map(|block| block.start).min().unwrap_or(Timestamp::MAX);
    blocks.insert(place, inferred(at, from..to));
}

/// Makes the block of a use at `at` that fits into `free`.
fn inferred(at: Timestamp, free: Range<Timestamp>) -> Block {
    let start = at.floor(HOUR).max(free.start);
    Block { start, end: start.after(BLOCK_LENGTH).min(free.end), anchored: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_store::{CellKey, CellSum, PriceClass};

    fn cells(times: &[&str]) -> Vec<Cell> {
        let cell = |at: &&str| Cell {
            key: CellKey {
                start: Timestamp::parse(at).unwrap(),
                conversation: "c".into(),
                model: "m".into(),
                class: PriceClass::default(),
            },
            sum: CellSum::default(),
        };
        times.iter().map(cell).collect()
    }

    fn check(times: &[&str], resets: &[&str], expected: &[(&str, &str)]) {
        let anchors: Vec<Block> = resets
            .iter()
            .map(|at| Timestamp::parse(at).unwrap())
            .map(|end| Block { start: end.before(BLOCK_LENGTH), end, anchored: true })
            .collect();
        let found: Vec<(String, String)> = blocks(&cells(times), &anchors)
            .iter()
            .map(|block| (block.start.to_string()[5..16].to_owned(), block.end.to_string()[5..16].to_owned()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn begin_with_use_or_where_the_reset_says() {
        check(&["2026-11-20T10:45:00Z", "2026-11-20T14:45:00Z"], &[], &[("11-20T10:00", "11-20T15:00")]);
        check(
            &["2026-11-20T10:45:00Z", "2026-11-20T15:00:00Z"],
            &[],
            &[("11-20T10:00", "11-20T15:00"), ("11-20T15:00", "11-20T20:00")],
        );
        // An official window from 13:12 on cuts the inferred one short.
        check(
            &["2026-11-20T10:45:00Z", "2026-11-20T13:12:00Z", "2026-11-20T18:15:00Z"],
            &["2026-11-20T18:12:00Z"],
            &[("11-20T10:00", "11-20T13:12"), ("11-20T13:12", "11-20T18:12"), ("11-20T18:12", "11-20T23:12")],
        );
        check(&[], &["2026-11-20T18:12:00Z"], &[]);
    }
}
