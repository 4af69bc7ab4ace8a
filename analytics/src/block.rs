//! Five-hour blocks: the windows in which Claude Code's session limit counts.

use std::ops::Range;
use std::time::Duration;

use session_store::{Cell, Fact, Ledger, LimitCause, LimitWindow, Timestamp};

/// The length of a block.
pub const BLOCK_LENGTH: Duration = Duration::from_secs(5 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
/// Two resets this near tell of one window.
const SAME_RESET: Duration = Duration::from_secs(60);

/// A five-hour window of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment after it; earlier than five hours after the start where an official window begins before.
    pub end: Timestamp,
    /// Whether an official reset fixes it; otherwise it is inferred from when use began.
    pub anchored: bool,
}

impl Block {
    /// Returns whether the block holds this moment.
    pub fn contains(&self, at: Timestamp) -> bool {
        (self.start..self.end).contains(&at)
    }
}

/// Returns the windows that official resets fix, in order and without overlap.
///
/// A reset at R says that the window is the five hours before R. Where windows overlap, which two accounts can
/// cause, the earlier one stands.
pub fn anchors(facts: &Ledger) -> Vec<Block> {
    let mut resets: Vec<Timestamp> = facts.iter().filter_map(|event| reset_of(&event.fact)).collect();
    resets.sort_unstable();
    resets.dedup_by(|later, earlier| later.since(*earlier) <= SAME_RESET);
    let mut blocks: Vec<Block> = Vec::new();
    for end in resets {
        let start = end.before(BLOCK_LENGTH);
        if blocks.last().is_none_or(|last| last.end <= start) {
            blocks.push(Block { start, end, anchored: true });
        }
    }
    blocks
}

fn reset_of(fact: &Fact) -> Option<Timestamp> {
    match fact {
        Fact::LimitHit(hit) if hit.cause == LimitCause::Quota && hit.window == LimitWindow::FiveHour => {
            hit.resets_at.0
        }
        Fact::LimitSample(sample) if sample.window == LimitWindow::FiveHour => sample.resets_at,
        _ => None,
    }
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
    let mut blocks: Vec<Block> = Vec::new();
    for cell in cells {
        let at = cell.key.start;
        if blocks.last().is_some_and(|block| block.contains(at)) {
            continue;
        }
        let next_anchor = anchors.partition_point(|anchor| anchor.end <= at);
        let block = match anchors.get(next_anchor) {
            Some(anchor) if anchor.contains(at) => *anchor,
            next => {
                let before = next_anchor.checked_sub(1).map_or(Timestamp::MIN, |last| anchors[last].end);
                let before = blocks.last().map_or(before, |last| last.end.max(before));
                inferred(at, before..next.map_or(Timestamp::MAX, |anchor| anchor.start))
            }
        };
        blocks.push(block);
    }
    blocks
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
