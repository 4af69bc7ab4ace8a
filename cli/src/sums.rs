//! The sums that limits and forecasts look at: those at hand, or read when they are first asked for.

use std::borrow::Cow;
use std::cell::OnceCell;

use session_analytics::{ForecastInput, anchors, cuts};
use session_store::{Cell, EventBackend, Ledger, Stores, Timestamp};

use crate::error::CliError;

/// The sums since [`ForecastInput::history_from`] at least, divided at the edges of official windows.
pub(crate) struct Sums<'a> {
    pub(crate) stores: &'a Stores,
    /// Everything that was told, but for turns.
    pub(crate) facts: &'a Ledger,
    at: Timestamp,
    cells: OnceCell<Cow<'a, [Cell]>>,
}

impl<'a> Sums<'a> {
    /// Takes sums of all time that are at hand.
    pub(crate) fn known(stores: &'a Stores, facts: &'a Ledger, cells: &'a [Cell], at: Timestamp) -> Self {
        Self { stores, facts, at, cells: OnceCell::from(Cow::Borrowed(cells)) }
    }

    /// Leaves the reading for when they are asked for.
    pub(crate) fn unread(stores: &'a Stores, facts: &'a Ledger, at: Timestamp) -> Self {
        Self { stores, facts, at, cells: OnceCell::new() }
    }

    /// Returns the sums, in the order of their keys.
    pub(crate) fn cells(&self) -> Result<&[Cell], CliError> {
        if let Some(cells) = self.cells.get() {
            return Ok(cells);
        }
        let range = ForecastInput::history_from(self.at)..Timestamp::MAX;
        let cells = self.stores.cells(range, &cuts(&anchors(self.facts)))?;
        Ok(self.cells.get_or_init(|| Cow::Owned(cells)))
    }
}
