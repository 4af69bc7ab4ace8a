//! The journal: every wait and refusal, written down by the hook that caused it.
//!
//! A file a day in the data folder, a line an entry, each written at once, so that hooks of many sessions need neither a
//! lock nor the archive. A report reads what was done and what would have been done.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_store::Timestamp;

use crate::error::Error;
use crate::runtime::{has_ending, open_plain};

const FOLDER: &str = "journal";
const ENDING: &str = ".jsonl";
const LINE_BYTES_MAX: usize = 4096;

/// A wait, a refusal or a word to the human, done or only due.
///
/// Texts were written by others and are cut at 200 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When the call came, in milliseconds since 1970.
    pub at: i64,
    /// `waited`, `refused`, `told`, or `released` where the circuit breaker let a call through.
    pub what: String,
    /// Whether it was done; otherwise it was only observed that it was due.
    pub done: bool,
    /// Why: `limit_hit`, `ahead_of_pace` or `after_reset`.
    pub why: String,
    /// The window's name.
    pub window: String,
    /// When that is reset, in milliseconds since 1970.
    pub resets_at: Option<i64>,
    /// How much of it was used, in hundredths of a percent.
    pub used_hundredths: Option<u32>,
    /// How long the wait was to be, in milliseconds.
    pub due_ms: u64,
    /// How long it was, measured; zero where nothing was waited.
    pub waited_ms: u64,
    /// The tool.
    pub tool: String,
    /// The priority of the session.
    pub priority: String,
    /// The session's five-part id.
    pub session: String,
    /// The conversation.
    pub conversation: String,
    /// The account.
    pub account: String,
    /// The folder it works in.
    pub folder: String,
}

/// What hooks did and would have done, summed up. What that was good for, such as a limit that was not met, cannot be
/// measured and is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Calls that waited.
    pub waits: u64,
    /// How long, all together, in milliseconds.
    pub waited_ms: u64,
    /// Calls that were refused.
    pub refusals: u64,
    /// Calls that the circuit breaker let through.
    pub released: u64,
    /// Calls that would have waited.
    pub waits_due: u64,
    /// How long, all together, in milliseconds.
    pub due_ms: u64,
    /// Calls that would have been refused.
    pub refusals_due: u64,
}

impl Deeds {
    /// Sums entries up.
    pub fn of(entries: &[Entry]) -> Self {
        let mut deeds = Self::default();
        for entry in entries {
            match (entry.what.as_str(), entry.done) {
                ("waited", true) => {
                    deeds.waits += 1;
                    deeds.waited_ms = deeds.waited_ms.saturating_add(entry.waited_ms);
                }
                ("waited", false) => {
                    deeds.waits_due += 1;
                    deeds.due_ms = deeds.due_ms.saturating_add(entry.due_ms);
                }
                ("refused", true) => deeds.refusals += 1,
                ("refused", false) => deeds.refusals_due += 1,
                ("released", _) => deeds.released += 1,
                _ => {}
            }
        }
        deeds
    }
}

/// The journal of a data folder.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Names the journal of a data folder; touches nothing.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// Writes an entry down.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be made or written.
    pub fn add(&self, entry: &Entry) -> Result<(), Error> {
        let mut entry = entry.clone();
        for text in [
            &mut entry.tool,
            &mut entry.session,
            &mut entry.conversation,
            &mut entry.account,
            &mut entry.folder,
        ] {
            let end = (0..=200.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
        let mut line = serde_json::to_vec(&entry).map_err(std::io::Error::from)?;
        line.push(b'\n');
        let path = self.folder.join(format!("{}{ENDING}", day(Timestamp::from_millis(entry.at))));
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

    /// Returns the entries from a moment on, in the order of time; lines that are not legible are passed over.
    pub fn since(&self, from: Timestamp) -> Vec<Entry> {
        let first = day(from.max(Timestamp::from_millis(0)));
        let paths = self.days().into_iter().filter(|(day, _)| *day >= first).map(|(_, path)| path);
        let mut entries: Vec<Entry> = paths.flat_map(|path| read(&path)).collect();
        entries.retain(|entry| entry.at >= from.as_millis());
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// Deletes the files of days that ended so long ago; returns how many.
    pub fn prune(&self, now: Timestamp, keep: Duration) -> usize {
        let last = day(now.before(keep));
        let old = self.days().into_iter().filter(|(day, _)| *day < last);
        old.filter(|(_, path)| fs::remove_file(path).is_ok()).count()
    }

    fn days(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let mut days: Vec<_> = names
            .filter(|name| has_ending(name, ENDING))
            .filter_map(|name| {
                let day = name.to_str()?.strip_suffix(ENDING)?.to_owned();
                Some((day, self.folder.join(name)))
            })
            .collect();
        days.sort();
        days
    }
}

/// The day in UTC, `2026-11-22`.
fn day(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Error::from(error).at(path))
}

fn read(path: &Path) -> Vec<Entry> {
    let Ok(file) = open_plain(File::options().read(true), path) else { return Vec::new() };
    let mut lines = BufReader::new(file);
    let mut entries = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut lines).take(LINE_BYTES_MAX as u64);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return entries,
            Ok(_) => entries.extend(serde_json::from_slice::<Entry>(&line).ok()),
        }
    }
}
