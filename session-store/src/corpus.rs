//! Makes synthetic Claude Code transcripts whose right totals are known by construction.
//!
//! [`Corpus`] writes a finished history for benchmarks, tests and fuzz seeds; [`Live`] goes on writing
//! one as time passes, for demonstrations. Shapes, shares and lengths follow genuine transcripts of the
//! clients 1.0.64 to 2.1.330; no text of theirs is used. The same seed gives the same bytes.
//!
//! The traps are those that make counters wrong: responses spread over several lines with placeholder
//! counts, copied histories, echoes of sub-agents, objects named `usage` where nothing was used, torn and
//! damaged lines. [`Truth`] says what counts.

// What happens: a finished history and one that goes on.
mod delegate;
mod fork;
mod generate;
mod live;
mod transcript;

// How it is written down.
mod client;
mod message;
mod note;
mod notice;
mod response;
mod scribe;

// What it is made of.
mod chance;
mod clock;
mod filler;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::time::Timestamp;
use crate::zone::Zone;

pub use live::Live;

/// Describes a history to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// Chooses the history; equal seeds give equal bytes.
    pub seed: u64,
    /// Size of all transcripts together in bytes; exceeded by at most a conversation's last steps or its
    /// copy.
    pub bytes: u64,
    /// Length of the history in days; at least one.
    pub days: u32,
    /// End of the history in Unix seconds; no line is later.
    pub end_unix_seconds: i64,
}

impl Corpus {
    /// Describes thirty days that end on 2026-11-20 at 12:00 UTC.
    pub fn new(seed: u64, bytes: u64) -> Self {
        Corpus { seed, bytes, days: 30, end_unix_seconds: 1_795_176_000 }
    }

    /// Writes the history below `config_dir/projects` and returns the right answer.
    ///
    /// Each file was last modified when its last line was written, as in a real history. Files of the same
    /// name are replaced, others stay. One gigabyte takes a few seconds.
    ///
    /// # Errors
    ///
    /// When a folder or a file cannot be created or written.
    pub fn write(&self, config_dir: &Path) -> io::Result<Truth> {
        generate::write(self, config_dir)
    }
}

/// Holds the right answer, known by construction.
///
/// A transcript is a `.jsonl` file below `projects` other than a workflow's `journal.jsonl`. One
/// message is one `message.id` (or one advisor entry of its `usage.iterations`), however many lines and
/// files repeat it; it counts with the greatest output written for it, on the UTC day of its earliest
/// line, for the oldest conversation that holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Transcripts written.
    pub files: u64,
    /// Bytes in them, torn lines included.
    pub bytes: u64,
    /// Lines in them that end with a newline, damaged ones included.
    pub lines: u64,
    /// Lines that state a usage which counts: of `assistant` lines and of `progress` lines that echo one,
    /// repeats and copies included, `<synthetic>`, damaged and torn ones not.
    pub usage_lines: u64,
    /// Distinct messages, advisor entries included.
    pub messages: u64,
    /// Complete lines that are not JSON; all contain `"usage":{` and count nothing.
    pub damaged_lines: u64,
    /// Files whose last line is incomplete and has no newline; neither counted nor a problem.
    pub torn_files: u64,
    /// Lines that report a spent quota, distinct by `uuid`; short throttles are none.
    pub limit_hits: u64,
    /// Sum over all messages.
    pub totals: Counts,
    /// Sums by UTC day (`YYYY-MM-DD`) and model.
    pub by_day_model: BTreeMap<(String, String), Counts>,
    /// Sums by conversation (`sessionId`), sub-agents with their parent.
    pub by_conversation: BTreeMap<String, Counts>,
}

impl Truth {
    fn count(&mut self, session: String, at_ms: i64, model: &str, counts: &Counts) {
        let day = Zone::utc().date_of(Timestamp::from_millis(at_ms)).to_string();
        self.messages += 1;
        self.totals.add(counts);
        self.by_day_model.entry((day, model.to_owned())).or_default().add(counts);
        self.by_conversation.entry(session).or_default().add(counts);
    }
}

/// Sums up messages and their tokens.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// Input tokens that no cache held.
    pub input: u64,
    /// Output tokens, as far as the transcript ever stated them.
    pub output: u64,
    /// Tokens written to the five-minute cache; also those whose cache is not stated.
    pub cache_write_5m: u64,
    /// Tokens written to the one-hour cache.
    pub cache_write_1h: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.messages += other.messages;
        self.input += other.input;
        self.output += other.output;
        self.cache_write_5m += other.cache_write_5m;
        self.cache_write_1h += other.cache_write_1h;
        self.cache_read += other.cache_read;
    }

    fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    fn all(&self) -> u64 {
        self.input + self.output + self.cache_write() + self.cache_read
    }
}
