//! What storage must do, and what passes through it.

pub(crate) mod memory;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::ops::Range;

use crate::Change;
use crate::cell::{Cell, together};
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::Error;
use crate::id::{ConversationId, EventId};
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::transcript::Listings;

/// Keeps events and how far each source has been read.
///
/// Every backend is a ledger with a disk under it: committing joins, so committing twice, in another order, or from
/// two processes leads to the same state. The trait is for the backends of this crate; it may grow in any 0.x
/// release.
pub trait EventBackend: Send + Sync {
    /// Joins a batch in one transaction: all of its events and checkpoints, or nothing.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is kept. [`crate::ErrorKind::Full`], [`crate::ErrorKind::Busy`] and
    /// [`crate::ErrorKind::Unwritable`] leave everything stored before as it was.
    fn commit(&self, batch: Batch) -> Result<Change, Error>;

    /// Tidies up after many commits, such as a first import.
    ///
    /// Without it everything is right, only slower.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    fn settle(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Deletes all events that ended before a moment, and refuses such events from now on: what a transcript tells of
    /// again stays away. Returns how many were deleted.
    ///
    /// How far sources were read stays known. The moment never goes back. Of an event whose copies carry different
    /// times, one with a later time than the deleted one's counts as new.
    ///
    /// # Errors
    ///
    /// The store cannot be written; nothing is deleted then.
    fn expire(&self, before: Timestamp) -> Result<u64, Error>;

    /// Returns how far each source has been read, in the order of their ids.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error>;

    /// Returns the same for one who needs few of many: with SQLite at a fifth of the cost, about 0.2 µs a source.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn known(&self) -> Result<Checkpoints, Error> {
        Ok(self.checkpoints()?.into_iter().collect())
    }

    /// Returns what folders held when they were last listed, as far as that was kept.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn listings(&self) -> Result<Listings, Error> {
        Ok(Listings::default())
    }

    /// Keeps what folders held in place of what was kept before.
    ///
    /// Without it everything is right, only slower.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    fn keep_listings(&self, listings: &Listings) -> Result<(), Error> {
        let _ = listings;
        Ok(())
    }

    /// Returns the sums of all turns in a range of time, in the order of their keys.
    ///
    /// No cell reaches over the ends of the range or over a cut; `cuts` are sorted. Cost: with SQLite proportional
    /// to the number of cells, not of turns; each cut adds the turns of one quarter hour.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error>;

    /// Returns the same with the sums of all conversations added up, and an empty id for their conversation: for one who
    /// does not tell them apart, at half the cost with SQLite.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn cells_together(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        Ok(together(self.cells(range, cuts)?))
    }

    /// Returns whole events.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn events(&self, selection: &Selection) -> Result<Ledger, Error>;

    /// Returns the ids of all turns, in order.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn turn_ids(&self) -> Result<Vec<EventId>, Error>;

    /// Returns the turns with these ids, as far as there are any.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error>;
}

/// Events and checkpoints that belong together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events.
    pub ledger: Ledger,
    /// Where their sources have been read to.
    pub checkpoints: Vec<Checkpoint>,
}

/// Which events to return.
#[derive(Clone, Debug)]
pub struct Selection {
    /// When they happened; the facts of conversations are returned whatever their time.
    pub range: Range<Timestamp>,
    /// Whether turns are wanted, which are nearly all events.
    pub turns: bool,
    /// Whether the facts of conversations are wanted, which are most of what is left.
    pub conversations: bool,
    /// Whether anything else but limit hits is wanted; those are returned in any case.
    pub others: bool,
    /// The conversation they belong to, all where `None`.
    pub conversation: Option<ConversationId>,
}

impl Selection {
    /// Selects everything but turns, of all time.
    pub fn facts() -> Self {
        let range = Timestamp::MIN..Timestamp::MAX;
        Self { range, turns: false, conversations: true, others: true, conversation: None }
    }

    /// Selects limit hits, of all time.
    pub fn limit_hits() -> Self {
        Self { conversations: false, others: false, ..Self::facts() }
    }

    /// Selects everything.
    pub fn all() -> Self {
        Self { turns: true, ..Self::facts() }
    }

    /// Returns whether an event is selected.
    pub fn holds(&self, event: &crate::Event) -> bool {
        let in_time = match event.fact {
            crate::Fact::Conversation(_) => self.conversations,
            crate::Fact::Turn(_) => self.turns && self.range.contains(&event.at),
            crate::Fact::LimitHit(_) => self.range.contains(&event.at),
            _ => self.others && self.range.contains(&event.at),
        };
        in_time && self.conversation.as_ref().is_none_or(|wanted| event.owner.conversation == *wanted)
    }
}
