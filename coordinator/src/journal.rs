//! The journal: what hooks did, on its way into the stores.
//!
//! A hook has some milliseconds and opens no store. It adds a line to a file in the data folder, in the form of [`exchange`];
//! the next one who may write keeps the event in its store and forgets the file. Files are by the hour of the event, so that
//! one which is kept can go as a whole while hooks write the next.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use session_store::{Event, Ledger, Timestamp, exchange};

use crate::error::Error;
use crate::runtime::{has_ending, open_plain};

const FOLDER: &str = "journal";
const ENDING: &str = ".jsonl";
/// How long after its hour a file may still be written to: a call waits for some seconds before it is written down.
const LATE: Duration = Duration::from_secs(3600);

/// The journal of a data folder.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// What stood in a journal when it was read.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// The events.
    pub events: Ledger,
    /// The files that nobody writes to any more, with their sizes in bytes.
    over: Vec<(PathBuf, u64)>,
}

impl Journal {
    /// Names the journal of a data folder; touches nothing.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// Writes an event down; others may do so at the same time.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be made or written.
    pub fn add(&self, event: &Event) -> Result<(), Error> {
        let mut line = exchange::line(event).into_bytes();
        line.push(b'\n');
        let path = self.folder.join(format!("{}{ENDING}", hour(event.at)));
        let open = || open_plain(File::options().append(true).create(true), &path);
        let mut file = match open() {
            Err(error) if error.kind() == crate::ErrorKind::Missing => {
                make_folder(&self.folder)?;
                open()?
            }
            opened => opened?,
        };
        file.write_all(&line).map_err(|error| Error::from(error).at(&path))
    }

    /// Reads what stands in it; lines that are not legible are passed over.
    pub fn read(&self, now: Timestamp) -> Entries {
        let mut entries = Entries::default();
        let open = hour(now.before(LATE));
        for path in self.files() {
            let Ok(file) = open_plain(File::options().read(true), &path) else { continue };
            let Ok(size) = file.metadata().map(|metadata| metadata.len()) else { continue };
            let mut lines = exchange::Lines::new(BufReader::new(file));
            while let Ok(Some(line)) = lines.next_line() {
                entries.events.extend(line.ok());
            }
            if path.file_stem().is_some_and(|name| *name < *open) {
                entries.over.push((path, size));
            }
        }
        entries
    }

    /// Deletes the files that nobody writes to any more, once what stood in them is kept.
    pub fn forget(&self, entries: &Entries) {
        for (path, size) in &entries.over {
            if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.len() == *size) {
                // Who reads it again keeps it again, which changes nothing.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names.filter(|name| has_ending(name, ENDING)).map(|name| self.folder.join(name)).collect()
    }
}

/// The hour in UTC, `2026-11-22T17`.
fn hour(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(text.find(':').unwrap_or(text.len()));
    text
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::from(error).at(path))
}
