//! The incremental reader: bytes in; events, problems and a resumable position out.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{Span, packed};
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::ProblemKind;
use super::line::Line;
use super::locate::SourceKind;
use super::map::{Mapper, Mark};
use super::reading::Reading;
use crate::time::Timestamp;
use crate::zone::Zone;

/// The longest line that is read, in bytes (16 MiB); a longer one is passed over and counted.
///
/// The longest replies are under 2 MB; only tool results, which hold no usage, grow further.
pub const LINE_BYTES_MAX: usize = 16 << 20;
const PIECE_BYTES_MAX: usize = 1 << 20;

/// Reads one transcript as it grows.
///
/// ```
/// use session_store::{Fact, SourceKind, Tail, Zone};
///
/// let line = br#"{"type":"assistant","sessionId":"c","timestamp":"2026-11-22T17:09:41.874Z",
///     "message":{"id":"msg_1","model":"claude-opus-5-5","usage":{"input_tokens":3,"output_tokens":57}}}"#;
/// let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').chain([b'\n']).collect();
///
/// let mut tail = Tail::new(SourceKind::Main { conversation: "c".into() }, Zone::utc());
/// let reading = tail.feed(&line[..100]);
/// assert!(reading.found.is_empty()); // The line is not finished,
/// assert_eq!(tail.position().offset, 0); // so a reader that starts again here misses nothing.
///
/// let reading = tail.feed(&line[100..]);
/// let Fact::Turn(turn) = &reading.found[0].event.fact else { panic!("a turn") };
/// assert_eq!(turn.usage.output, 57);
/// assert_eq!(tail.position().offset, line.len() as u64);
/// ```
///
/// Only lines that can hold something countable are parsed; the others, nine tenths of the bytes, cost one search
/// each for a handful of words.
#[derive(Debug)]
pub struct Tail {
    position: Position,
    unfinished: Vec<u8>,
    /// The bytes of a line longer than allowed that were passed over so far; zero where the line is not.
    passed_over: u64,
    mapper: Mapper,
}

/// Where a reader stands, and the little it must remember to go on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes read: the end of the last whole line.
    pub offset: u64,
    /// The first time written in the transcript, its age.
    pub since: Option<Timestamp>,
    /// Whether a reply is outstanding: the last prompt or tool result has no final reply after it.
    pub turn_open: bool,
}

/// Finds the words that only lines of interest contain, all in one pass.
///
/// Inside JSON strings quotes are escaped, so text that quotes a transcript does not match.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let words = ["\"usage\"", "\"cost-state\"", "\"compact_boundary\"", "\"isApiErrorMessage\"", USER];
    packed::Searcher::new(words).map_or_else(|| Words::Plain(Box::new(words.map(Finder::new))), Words::Vector)
});

/// The search for the words, by vector instructions where the processor has them.
enum Words {
    Vector(packed::Searcher),
    Plain(Box<[Finder<'static>; 5]>),
}

impl Words {
    /// Returns the first word from a place on: which one, where it begins and where it ends.
    fn find(&self, lines: &[u8], from: usize) -> Option<(usize, Range<usize>)> {
        match self {
            Self::Vector(searcher) => {
                let word = searcher.find_in(lines, Span::from(from..lines.len()))?;
                Some((word.pattern().as_usize(), word.range()))
            }
            Self::Plain(words) => {
                let found = words.iter().enumerate().filter_map(|(which, word)| {
                    let at = from + word.find(&lines[from..])?;
                    Some((which, at..at + word.needle().len()))
                });
                found.min_by_key(|(_, place)| place.start)
            }
        }
    }
}

/// Marks prompts and tool results. They are not parsed; only that one came after a reply matters.
const USER: &str = "\"type\":\"user\"";
const USER_WORD: usize = 4;

/// Stands in every line that may be counted although a prompt is quoted in it.
static ASSISTANT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"assistant\""));
static INTERRUPTED: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"[Request interrupted by user"));
static TIMESTAMP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"timestamp\""));

impl Tail {
    /// Starts at the beginning of a transcript; `zone` is where limit texts without a zone belong.
    pub fn new(kind: SourceKind, zone: Zone) -> Self {
        Self::resume(kind, zone, Position::default())
    }

    /// Goes on from a position that [`Tail::position`] returned; the next byte fed is the one at its offset.
    pub fn resume(kind: SourceKind, zone: Zone, position: Position) -> Self {
        let mut mapper = Mapper::new(kind, zone);
        mapper.set_since(position.since);
        Self { position, unfinished: Vec::new(), passed_over: 0, mapper }
    }

    /// Returns where a new reader could go on: after the last whole line.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Reads the next bytes of the transcript.
    ///
    /// Never fails: what cannot be understood is reported beside what can. An unfinished line is kept, at most
    /// [`LINE_BYTES_MAX`] of it, until its end comes.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        let mut reading = Reading::default();
        self.feed_into(bytes, &mut reading);
        reading
    }

    /// Reads the next bytes into a reading that may hold earlier ones.
    pub fn feed_into(&mut self, bytes: &[u8], reading: &mut Reading) {
        // Within a piece no line can be too long, so that it does not matter how the caller cuts.
        for piece in bytes.chunks(PIECE_BYTES_MAX) {
            let rest = self.finish_line(piece, reading);
            let whole_bytes = memrchr(b'\n', rest).map_or(0, |newline| newline + 1);
            let (whole, begun) = rest.split_at(whole_bytes);
            self.read_lines(whole, reading);
            self.keep_unfinished(begun);
        }
        self.mapper.flush(self.position.offset, reading);
    }

    /// Reads whole lines only and returns how many bytes that were, so that the caller keeps the begun line.
    ///
    /// For a reader with a buffer of its own, which then copies little: it feeds the begun line again with what
    /// follows. Where a line fills the buffer and nothing is taken, [`Tail::feed_into`] takes it piece by piece.
    pub fn feed_lines(&mut self, bytes: &[u8], reading: &mut Reading) -> usize {
        let rest = self.finish_line(bytes, reading);
        if self.is_within_line() {
            self.keep_unfinished(rest);
            return bytes.len();
        }
        let whole_bytes = memrchr(b'\n', rest).map_or(0, |newline| newline + 1);
        self.read_lines(&rest[..whole_bytes], reading);
        self.mapper.flush(self.position.offset, reading);
        bytes.len() - rest.len() + whole_bytes
    }

    fn is_within_line(&self) -> bool {
        !self.unfinished.is_empty() || self.passed_over > 0
    }

    /// Ends the unfinished line if its newline has come, and returns the bytes after it.
    fn finish_line<'a>(&mut self, bytes: &'a [u8], reading: &mut Reading) -> &'a [u8] {
        if !self.is_within_line() {
            return bytes;
        }
        let Some(newline) = memchr(b'\n', bytes) else { return bytes };
        let (end, rest) = bytes.split_at(newline + 1);
        self.keep_unfinished(end);
        if self.passed_over > 0 {
            reading.problems.push((ProblemKind::TooLong, self.position.offset));
            self.position.offset += std::mem::take(&mut self.passed_over);
        } else {
            let line = std::mem::take(&mut self.unfinished);
            self.read_lines(&line, reading);
            self.reuse(line);
        }
        rest
    }

    fn keep_unfinished(&mut self, bytes: &[u8]) {
        if self.passed_over > 0 || self.unfinished.len() + bytes.len() > LINE_BYTES_MAX {
            self.passed_over += (self.unfinished.len() + bytes.len()) as u64;
            self.unfinished = Vec::new();
        } else {
            self.unfinished.extend_from_slice(bytes);
        }
    }

    /// Keeps the buffer for the next line unless one long line made it large.
    fn reuse(&mut self, mut buffer: Vec<u8>) {
        const KEPT_BYTES_MAX: usize = 1 << 20;
        if buffer.capacity() <= KEPT_BYTES_MAX {
            buffer.clear();
            self.unfinished = buffer;
        }
    }

    /// Reads whole lines; the last byte is a newline.
    fn read_lines(&mut self, lines: &[u8], reading: &mut Reading) {
        if lines.is_empty() {
            return;
        }
        let start = self.position.offset;
        let mut first_time = if self.position.since.is_none() { first_time(lines) } else { None };
        let mut last_user = None;
        let (mut from, mut looked_at) = (0, 0);
        while let Some((word, place)) = WORDS.find(lines, from) {
            if word == USER_WORD {
                last_user = Some(place.start);
                from = place.end;
                if place.start >= looked_at {
                    // A tool's result, whatever it tells of usage; that is told elsewhere too. Such lines are three
                    // quarters of all bytes, and one word is found sooner than five.
                    let line = line_around(lines, place.start);
                    looked_at = line.end;
                    if is_interruption(&lines[line.clone()]) {
                        if let Some((_, since)) = first_time.take_if(|(at, _)| *at <= line.start) {
                            self.set_since(since);
                        }
                        self.mapper.interruption(&lines[line.clone()], start + line.start as u64, reading);
                    }
                    // Where the field is the line's own, what comes after it cannot make the line another's.
                    let beginning = &lines[line.start..place.start];
                    let telling = if is_of_line(beginning) { beginning } else { &lines[line] };
                    if ASSISTANT.find(telling).is_none() {
                        from = looked_at;
                    }
                }
                continue;
            }
            let line = line_around(lines, place.start);
            // Only what was written up to a line counts for it, or it would matter how the caller cuts.
            if let Some((_, since)) = first_time.take_if(|(at, _)| *at <= line.start) {
                self.set_since(since);
            }
            match self.mapper.read(&lines[line.clone()], start + line.start as u64, reading) {
                Mark::Reply { ends_turn } => {
                    self.position.turn_open = !ends_turn;
                    last_user = None;
                }
                Mark::User => last_user = Some(line.start),
                Mark::Other => {}
            }
            from = line.end;
        }
        if let Some((_, since)) = first_time {
            self.set_since(since);
        }
        if let Some(at) = last_user {
            self.position.turn_open = !is_interruption(&lines[line_around(lines, at)]);
        }
        self.position.offset = start + lines.len() as u64;
    }

    fn set_since(&mut self, since: Timestamp) {
        self.position.since = Some(since);
        self.mapper.set_since(self.position.since);
    }
}

/// Returns the first line that has a time, by its place, and the time; times inside a line, such as a snapshot's, do
/// not count.
fn first_time(lines: &[u8]) -> Option<(usize, Timestamp)> {
    let mut from = 0;
    // Each line is parsed once, however many times stand in it.
    while let Some(at) = TIMESTAMP.find(&lines[from..]) {
        let line = line_around(lines, from + at);
        let mut read = Line::default();
        let time = read
            .read(&lines[line.clone()], "")
            .and_then(|()| Timestamp::parse(read.timestamp.within(64)?).filter(|at| at.is_plausible()));
        if let Some(time) = time {
            return Some((line.start, time));
        }
        from = line.end;
    }
    None
}

fn line_around(lines: &[u8], at: usize) -> Range<usize> {
    let start = memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1);
    start..line_end(lines, at)
}

fn line_end(lines: &[u8], at: usize) -> usize {
    at + memchr(b'\n', &lines[at..]).unwrap_or(lines.len() - at)
}

/// Tells whether the field after the beginning of a line is the line's own: nothing else was opened before it.
fn is_of_line(beginning: &[u8]) -> bool {
    beginning.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() == 1
}

/// Tells whether a user line is Claude Code's note that the user stopped the turn; such lines are short.
fn is_interruption(line: &[u8]) -> bool {
    line.len() < 4096 && INTERRUPTED.find(line).is_some()
}
