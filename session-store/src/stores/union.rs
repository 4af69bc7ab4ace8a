//! What several stores hold, read as one: an event that two of them hold counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::backend::Selection;
use crate::cell::{Cell, CellKey, CellSum, fold_cells};
use crate::error::Error;
use crate::event::{Event, Fact};
use crate::id::EventId;
use crate::join::Join;
use crate::ledger::Ledger;
use crate::store::Snapshot;
use crate::time::Timestamp;

/// Joins before it selects: a copy outside the selection may give an event another time or owner.
pub(super) fn united_events(stores: &[Snapshot], selection: &Selection) -> Result<Ledger, Error> {
    let Selection { conversations, others, .. } = *selection;
    let facts = Selection { conversations, others, ..Selection::facts() };
    let facts = joined(stores.iter().map(|store| store.events(&facts)))?;
    let mut union: Ledger = facts.into_iter().filter(|event| selection.holds(event)).collect();
    if selection.turns {
        let whole = joined(copies(stores)?.into_iter().map(Ok))?;
        for store in stores {
            let turns = store.events(&Selection { conversations: false, ..selection.clone() })?;
            let single =
                |event: &Event| matches!(event.fact, Fact::Turn(_)) && whole.get(&event.id).is_none();
            union.extend(turns.into_iter().filter(single));
        }
        union.extend(whole.into_iter().filter(|event| selection.holds(event)));
    }
    Ok(union)
}

pub(super) fn joined(ledgers: impl Iterator<Item = Result<Ledger, Error>>) -> Result<Ledger, Error> {
    let mut union = Ledger::default();
    for ledger in ledgers {
        let _ = union.join(ledger?);
    }
    Ok(union)
}

pub(super) fn united_cells(
    stores: &[Snapshot],
    range: Range<Timestamp>,
    cuts: &[Timestamp],
) -> Result<Vec<Cell>, Error> {
    let mut sums: BTreeMap<CellKey, CellSum> = BTreeMap::new();
    for store in stores {
        for cell in store.cells(range.clone(), cuts)? {
            sums.entry(cell.key).or_default().add(&cell.sum);
        }
    }
    let mut joined = Ledger::default();
    for copy in copies(stores)? {
        for cell in fold_cells(&copy, range.clone(), cuts) {
            sums.entry(cell.key).or_default().subtract(&cell.sum);
        }
        let _ = joined.join(copy);
    }
    for cell in fold_cells(&joined, range, cuts) {
        sums.entry(cell.key).or_default().add(&cell.sum);
    }
    let present = sums.into_iter().filter(|(_, sum)| sum.messages > 0);
    Ok(present.map(|(key, sum)| Cell { key, sum }).collect())
}

/// Returns the turns that more than one store holds, as each of these stores has them.
fn copies(stores: &[Snapshot]) -> Result<Vec<Ledger>, Error> {
    let Some((archive, sessions)) = stores.split_first() else { return Ok(Vec::new()) };
    let mut seen: BTreeSet<EventId> = BTreeSet::new();
    let mut shared: BTreeSet<EventId> = BTreeSet::new();
    for session in sessions {
        for id in session.turn_ids()? {
            if !seen.insert(id.clone()) {
                shared.insert(id);
            }
        }
    }
    let seen: Vec<EventId> = seen.into_iter().collect();
    shared.extend(archive.turns_of(&seen)?.into_iter().map(|event| event.id));
    let shared: Vec<EventId> = shared.into_iter().collect();
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    stores.iter().map(|store| store.turns_of(&shared)).collect()
}
