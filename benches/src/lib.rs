//! What the benchmarks share: a corpus on disk, made once, and its events.

pub mod account;
pub mod trial;

use std::io::Read;
use std::path::PathBuf;

use session_store::corpus::Corpus;
use session_store::{Event, Reading, Source, Tail, Zone, locate};

/// A generated history in a scratch folder.
#[derive(Debug)]
pub struct History {
    folder: tempfile::TempDir,
    /// The size of its transcripts in bytes.
    pub bytes: u64,
}

impl History {
    /// Makes a history of about so many bytes; the same number makes the same history.
    ///
    /// # Panics
    ///
    /// The scratch folder cannot be written, without which there is nothing to measure.
    pub fn of(bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("because benches need a scratch folder");
        let truth = Corpus::new(1, bytes).write(folder.path()).expect("because benches need a corpus");
        Self { folder, bytes: truth.bytes }
    }

    /// Returns the config folder.
    pub fn config_dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Returns the transcripts with their bytes.
    ///
    /// # Panics
    ///
    /// One cannot be read.
    pub fn transcripts(&self) -> Vec<(Source, Vec<u8>)> {
        let read = |source: Source| {
            let mut bytes = Vec::new();
            let file = source.open().and_then(|mut file| file.read_to_end(&mut bytes));
            file.expect("because the corpus was just written");
            (source, bytes)
        };
        locate(self.folder.path()).sources.into_iter().map(read).collect()
    }

    /// Returns every event as its line tells it, repeats and copies included.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (source, bytes) in self.transcripts() {
            events.extend(read(&source, &bytes).found.into_iter().map(|found| found.event));
        }
        events
    }
}

/// Reads a transcript from its start.
pub fn read(source: &Source, bytes: &[u8]) -> Reading {
    Tail::new(source.kind.clone(), Zone::utc()).feed(bytes)
}
