//! Sums by quarter hour, conversation, model and price class: what every report is made of.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::event::{Event, Tariff, Turn};
use crate::id::{ConversationId, ModelId};
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::usage::Usage;

/// The width of a cell. Every time zone of today begins its days on a quarter hour, so days, weeks and hourly
/// blocks are made of whole cells.
pub const CELL_WIDTH: Duration = Duration::from_secs(15 * 60);

/// The turns of one conversation with one model and price class within one quarter hour, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What the turns share.
    pub key: CellKey,
    /// What they come to.
    pub sum: CellSum,
}

/// What the turns of a cell share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The start of the quarter hour, or of the part of it that was asked for.
    pub start: Timestamp,
    /// The conversation that owns the turns.
    pub conversation: ConversationId,
    /// The model.
    pub model: ModelId,
    /// What beside the model decides the price.
    pub class: PriceClass,
}

/// What the turns of a cell come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellSum {
    /// The number of turns.
    pub messages: u64,
    /// How many of them Claude Code is known to have recorded with too little output.
    pub under_reported: u64,
    /// Their usage.
    pub usage: Usage,
}

/// What beside the model decides the price of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceClass {
    /// Fast mode and place of inference.
    pub tariff: Tariff,
    /// The size of the prompt.
    pub prompt: PromptBand,
}

/// The size of a prompt, by the two thresholds that price lists know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromptBand {
    /// Up to 100,000 tokens.
    #[default]
    UpTo100k,
    /// Up to 200,000 tokens.
    UpTo200k,
    /// More.
    Over200k,
}

impl PromptBand {
    /// Returns the band of a prompt of so many tokens, cached ones included.
    pub fn of(prompt_tokens: u64) -> Self {
        match prompt_tokens {
            0..=100_000 => Self::UpTo100k,
            100_001..=200_000 => Self::UpTo200k,
            _ => Self::Over200k,
        }
    }
}

impl PriceClass {
    /// Returns the class of a turn.
    pub fn of(turn: &Turn) -> Self {
        Self { tariff: turn.tariff, prompt: PromptBand::of(turn.usage.prompt()) }
    }
}

impl CellSum {
    /// Returns the sum of a single turn.
    pub fn of(turn: &Turn) -> Self {
        Self { messages: 1, under_reported: u64::from(turn.under_reported), usage: turn.usage }
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.under_reported = self.under_reported.saturating_add(other.under_reported);
        self.usage.add(&other.usage);
    }

    /// Takes out another sum, which was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.messages = self.messages.saturating_sub(other.messages);
        self.under_reported = self.under_reported.saturating_sub(other.under_reported);
        self.usage.subtract(&other.usage);
    }
}

impl CellKey {
    /// Returns the cell of a turn where quarter hours are divided at `cuts`, which are sorted.
    pub fn of(event: &Event, turn: &Turn, cuts: &[Timestamp]) -> Self {
        Self {
            start: cell_start(event.at, cuts),
            conversation: event.owner.conversation.clone(),
            model: turn.model.clone(),
            class: PriceClass::of(turn),
        }
    }
}

/// Adds up the cells of all conversations; the conversation of what comes of it is empty. Cells are given and returned in the
/// order of their keys.
///
/// The reference for what [`crate::EventBackend::cells_together`] returns.
pub fn together(cells: Vec<Cell>) -> Vec<Cell> {
    let mut sums: BTreeMap<CellKey, CellSum> = BTreeMap::new();
    let all = ConversationId::from("");
    for Cell { key, sum } in cells {
        sums.entry(CellKey { conversation: all.clone(), ..key }).or_default().add(&sum);
    }
    sums.into_iter().map(|(key, sum)| Cell { key, sum }).collect()
}

/// Returns the start of the cell that holds a moment: its quarter hour, or the last cut within it.
pub(crate) fn cell_start(at: Timestamp, cuts: &[Timestamp]) -> Timestamp {
    let quarter = at.floor(CELL_WIDTH);
    match cuts.partition_point(|&cut| cut <= at) {
        0 => quarter,
        after => quarter.max(cuts[after - 1]),
    }
}

/// Sums the turns of a ledger by cells, in the order of their keys; `cuts` are sorted.
///
/// The reference for what [`crate::EventBackend::cells`] returns.
pub fn fold_cells(ledger: &Ledger, range: Range<Timestamp>, cuts: &[Timestamp]) -> Vec<Cell> {
    let mut cells: BTreeMap<CellKey, CellSum> = BTreeMap::new();
    for (event, turn) in ledger.turns().filter(|(event, _)| range.contains(&event.at)) {
        let mut key = CellKey::of(event, turn, cuts);
        key.start = key.start.max(range.start);
        cells.entry(key).or_default().add(&CellSum::of(turn));
    }
    cells.into_iter().map(|(key, sum)| Cell { key, sum }).collect()
}
