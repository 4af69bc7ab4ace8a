//! Reads every transcript of a config folder into events and drops them: `parse FOLDER`. The cost of reading alone.

use std::ops::Range;
use std::sync::Arc;

use session_coordinator::Ingestor;
use session_store::{
    Batch, Cell, Change, Checkpoint, Error, EventBackend, EventId, Ledger, Selection, Timestamp, Zone,
};

/// A store that keeps nothing.
struct Nowhere;

impl EventBackend for Nowhere {
    fn commit(&self, _: Batch) -> Result<Change, Error> {
        Ok(Change::Unchanged)
    }

    fn expire(&self, _: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        Ok(Vec::new())
    }

    fn cells(&self, _: Range<Timestamp>, _: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        Ok(Vec::new())
    }

    fn events(&self, _: &Selection) -> Result<Ledger, Error> {
        Ok(Ledger::default())
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        Ok(Vec::new())
    }

    fn turns_of(&self, _: &[EventId]) -> Result<Ledger, Error> {
        Ok(Ledger::default())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: parse FOLDER")?;
    let scan = Ingestor::new(Arc::new(Nowhere), vec![folder.into()], Zone::utc()).scan(&|_| {})?;
    println!("{} sources, {} bytes", scan.sources, scan.bytes_read);
    Ok(())
}
