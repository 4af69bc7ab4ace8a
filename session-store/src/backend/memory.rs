//! The reference backend: a ledger in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, EventBackend, Selection};
use crate::cell::{Cell, fold_cells};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::join::Change;
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::{Event, EventId, Fact, SourceId};

/// Keeps everything in memory and nothing on disk.
///
/// The model that other backends are tested against, and what a monitor falls back to where it may not write.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Arc<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    ledger: Ledger,
    checkpoints: BTreeMap<SourceId, Checkpoint>,
    /// What ended before is not kept.
    horizon: Option<Timestamp>,
}

impl Memory {
    /// Returns what is kept now; it is copied only if something is added while the copy is in use.
    #[cfg(feature = "sqlite")]
    pub(crate) fn snapshot(&self) -> Self {
        Self(Mutex::new(self.state().clone()))
    }

    fn state(&self) -> MutexGuard<'_, Arc<State>> {
        // A join either happened or not; a panic elsewhere cannot leave half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventBackend for Memory {
    fn commit(&self, batch: Batch) -> Result<Change, Error> {
        let mut state = self.state();
        let state = Arc::make_mut(&mut state);
        for checkpoint in batch.checkpoints {
            state.checkpoints.insert(checkpoint.source.clone(), checkpoint);
        }
        let horizon = state.horizon;
        let kept = batch
            .ledger
            .into_iter()
            .filter(|event| !horizon.is_some_and(|horizon| event.ended_before(horizon)));
        Ok(kept.fold(Change::Unchanged, |change, event| change.or(state.ledger.apply(event))))
    }

    fn expire(&self, before: Timestamp) -> Result<u64, Error> {
        let mut state = self.state();
        let state = Arc::make_mut(&mut state);
        state.horizon = state.horizon.max(Some(before));
        let count = state.ledger.len();
        let kept = std::mem::take(&mut state.ledger).into_iter().filter(|event| !event.ended_before(before));
        state.ledger = kept.collect();
        Ok((count - state.ledger.len()) as u64)
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        Ok(self.state().checkpoints.values().cloned().collect())
    }

    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        Ok(fold_cells(&self.state().ledger, range, cuts))
    }

    fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        let selected = |event: &&Event| selection.holds(event);
        Ok(self.state().ledger.iter().filter(selected).cloned().collect())
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        Ok(self.state().ledger.turns().map(|(event, _)| event.id.clone()).collect())
    }

    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        let state = self.state();
        let known = ids.iter().filter_map(|id| state.ledger.get(id));
        Ok(known.filter(|event| matches!(event.fact, Fact::Turn(_))).cloned().collect())
    }
}
