//! The incremental reader: bytes in; events, problems and a resumable position out.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};
use memchr::{memchr, memrchr};

use super::ProblemKind;
use super::line::Line;
use super::locate::SourceKind;
use super::map::Mapper;
use crate::event::Event;
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

/// What one piece of a transcript told.
#[derive(Debug, Default)]
pub struct Reading {
    /// The events, in the order of their lines; the facts of the conversations come last.
    pub found: Vec<Found>,
    /// What was not counted: why, and where its line begins.
    pub problems: Vec<(ProblemKind, u64)>,
}

/// An event and where it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the line begins, in bytes from the start of the file.
    pub line_at: u64,
    /// The event as this line tells it.
    pub event: Event,
}

/// The words that only lines of interest contain. Inside JSON strings quotes are escaped, so text that quotes a
/// transcript does not match.
struct Words {
    usage: Finder<'static>,
    rare: [Finder<'static>; 3],
    timestamp: Finder<'static>,
    user: FinderRev<'static>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    usage: Finder::new(b"\"usage\""),
    rare: [
        Finder::new(b"\"cost-state\""),
        Finder::new(b"\"compact_boundary\""),
        Finder::new(b"\"isApiErrorMessage\""),
    ],
    timestamp: Finder::new(b"\"timestamp\""),
    user: FinderRev::new(b"\"type\":\"user\""),
});

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

    /// Ends the unfinished line if its newline has come, and returns the bytes after it.
    fn finish_line<'a>(&mut self, bytes: &'a [u8], reading: &mut Reading) -> &'a [u8] {
        if self.unfinished.is_empty() && self.passed_over == 0 {
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
        let words = &*WORDS;
        let start = self.position.offset;
        let mut first_time = if self.position.since.is_none() { first_time(words, lines) } else { None };
        let mut last_reply = None;
        let mut rare = Rare::new(words, lines);
        let mut next_usage = words.usage.find(lines);
        loop {
            let next = match (next_usage, rare.peek()) {
                (Some(usage), Some(rare)) => usage.min(rare),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => break,
            };
            let line_start = memrchr(b'\n', &lines[..next]).map_or(0, |newline| newline + 1);
            let line_end = next + memchr(b'\n', &lines[next..]).unwrap_or(lines.len() - next);
            let line_at = start + line_start as u64;
            // Only what was written up to a line counts for it, or it would matter how the caller cuts.
            if let Some((_, since)) = first_time.take_if(|(at, _)| *at <= line_start) {
                self.set_since(since);
            }
            if let Some(ends_turn) = self.mapper.read(&lines[line_start..line_end], line_at, reading) {
                last_reply = Some((line_start, ends_turn));
            }
            rare.skip_to(line_end);
            if next_usage.is_some_and(|at| at < line_end) {
                next_usage = words.usage.find(&lines[line_end..]).map(|at| line_end + at);
            }
        }
        if let Some((_, since)) = first_time {
            self.set_since(since);
        }
        self.note_turn(words, lines, last_reply);
        self.position.offset = start + lines.len() as u64;
    }

    fn set_since(&mut self, since: Timestamp) {
        self.position.since = Some(since);
        self.mapper.set_since(self.position.since);
    }

    /// Notes whether a reply is outstanding after these lines.
    fn note_turn(&mut self, words: &Words, lines: &[u8], last_reply: Option<(usize, bool)>) {
        let after_reply = last_reply.map_or(0, |(at, _)| at);
        match (words.user.rfind(&lines[after_reply..]), last_reply) {
            (Some(at), _) if !is_interruption(&lines[line_around(lines, after_reply + at)]) => {
                self.position.turn_open = true;
            }
            (Some(_), _) => self.position.turn_open = false,
            (None, Some((_, ends_turn))) => self.position.turn_open = !ends_turn,
            (None, None) => {}
        }
    }
}

/// The places of the rare words in some lines, in order.
struct Rare {
    places: Vec<usize>,
    next: usize,
}

impl Rare {
    fn new(words: &Words, lines: &[u8]) -> Self {
        let mut places: Vec<usize> = words.rare.iter().flat_map(|word| word.find_iter(lines)).collect();
        places.sort_unstable();
        Self { places, next: 0 }
    }

    fn peek(&self) -> Option<usize> {
        self.places.get(self.next).copied()
    }

    fn skip_to(&mut self, end: usize) {
        while self.peek().is_some_and(|at| at < end) {
            self.next += 1;
        }
    }
}

/// Returns the first line that has a time, by its place, and the time; times inside a line, such as a snapshot's, do
/// not count.
fn first_time(words: &Words, lines: &[u8]) -> Option<(usize, Timestamp)> {
    let mut from = 0;
    // Each line is parsed once, however many times stand in it.
    while let Some(at) = words.timestamp.find(&lines[from..]) {
        let line = line_around(lines, from + at);
        let time = Line::read(&lines[line.clone()]).ok().and_then(|read| {
            Timestamp::parse(read.timestamp.within(64)?).filter(|at| at.is_plausible())
        });
        if let Some(time) = time {
            return Some((line.start, time));
        }
        from = line.end;
    }
    None
}

fn line_around(lines: &[u8], at: usize) -> Range<usize> {
    let start = memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1);
    let end = at + memchr(b'\n', &lines[at..]).unwrap_or(lines.len() - at);
    start..end
}

/// Tells whether a user line is Claude Code's note that the user stopped the turn; such lines are short.
fn is_interruption(line: &[u8]) -> bool {
    line.len() < 4096 && memchr::memmem::find(line, b"[Request interrupted by user").is_some()
}
