//! Events as lines of JSON: how they travel from one host to another.
//!
//! A line stands alone: files may be cut at line ends, joined and sorted, and reading a line twice changes nothing, because
//! events join. Every line carries the version of the form; one of a later version is refused, not guessed at. Times are RFC 3339
//! in UTC; those within a `fact` are milliseconds since 1970, as the store keeps them.
//!
//! ```
//! use session_store::exchange;
//! let line = br#"{"v":1,"id":"msg_1","at":"2026-11-22T17:12:29.000Z","since":"2026-11-22T17:00:00.000Z",
//!     "conversation":"c","turn":{"model":"claude-sonnet-5-5","input":11,"output":57}}"#;
//! let event = exchange::read(line).unwrap();
//! assert_eq!(exchange::read(exchange::line(&event).as_bytes()), Ok(event));
//! assert_eq!(exchange::read(br#"{"v":2}"#), Err(exchange::Refused::Newer));
//! ```

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::backend::sqlite::row::{fact, fact_row};
use crate::event::{Event, Fact, Owner, Role, Tariff, Turn};
use crate::id::EventId;
use crate::time::Timestamp;
use crate::transcript::LINE_BYTES_MAX;
use crate::usage::Usage;

/// The version of the form that [`line()`] writes and [`read`] knows.
pub const VERSION: u32 = 1;

/// The greatest count of tokens that a turn may tell, as for transcripts.
const COUNT_MAX: u64 = 1_000_000_000_000;

/// Why a line was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// It is no JSON object of this form; also the last line of a file that was cut.
    Damaged,
    /// It is of a version or a kind that is not known here.
    Newer,
    /// A count or a time lies where none can be, or the id belongs to another kind of fact.
    Absurd,
    /// It is longer than [`LINE_BYTES_MAX`].
    TooLong,
}

impl Refused {
    /// Returns a stable name, such as `damaged`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Newer => "newer",
            Self::Absurd => "absurd",
            Self::TooLong => "too_long",
        }
    }
}

/// One line. Fields are added, never renamed; unknown ones are passed over.
#[derive(Serialize, Deserialize)]
struct LineForm {
    v: u32,
    id: String,
    at: Moment,
    #[serde(default, skip_serializing_if = "is_false")]
    sub_agent: bool,
    since: Moment,
    conversation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<TurnForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fact: Option<Box<RawValue>>,
}

/// What is read of a line of another version.
#[derive(Deserialize)]
struct VersionForm {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct TurnForm {
    model: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    input: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    output: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_5m: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_write_1h: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    cache_read: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    web_searches: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    fast: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    us_only: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    under_reported: bool,
}

/// A time as text, or as milliseconds where no calendar has a name for it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Millis(i64),
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Writes an event as one line, without its end.
pub fn line(event: &Event) -> String {
    let Event { id, at, owner, fact } = event;
    let body = fact_row(fact).map(|(_, body)| body);
    let form = LineForm {
        v: VERSION,
        id: id.as_str().to_owned(),
        at: Moment::of(*at),
        sub_agent: owner.role == Role::SubAgent,
        since: Moment::of(owner.since),
        conversation: owner.conversation.as_str().to_owned(),
        agent: owner.agent.as_ref().map(|agent| agent.as_str().to_owned()),
        turn: match fact {
            Fact::Turn(turn) => Some(TurnForm::of(turn)),
            _ => None,
        },
        fact: body.map(|body| RawValue::from_string(body).expect("because the store's bodies are JSON")),
    };
    serde_json::to_string(&form).expect("because the form holds only texts, numbers and JSON")
}

/// Reads a line, with or without its end.
///
/// # Errors
///
/// The line is not of the form, is of a later version, or tells what cannot be; nothing is wrong with the lines beside it.
pub fn read(line: &[u8]) -> Result<Event, Refused> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    let form: LineForm = match serde_json::from_slice(line) {
        Ok(LineForm { v, .. }) if v != VERSION => return Err(Refused::Newer),
        Ok(form) => form,
        Err(_) => {
            let version = serde_json::from_slice::<VersionForm>(line).map(|form| form.v);
            return Err(if version.is_ok_and(|v| v > VERSION) { Refused::Newer } else { Refused::Damaged });
        }
    };
    let owner = Owner {
        role: if form.sub_agent { Role::SubAgent } else { Role::Main },
        since: form.since.timestamp()?,
        conversation: form.conversation.as_str().into(),
        agent: form.agent.as_deref().map(Into::into),
    };
    let fact = match (form.turn, form.fact) {
        (Some(turn), None) => Fact::Turn(turn.into_turn()?),
        (None, Some(body)) => fact(body.get()).ok_or(Refused::Newer)?,
        // A kind of event that this version does not know may carry neither.
        (None, None) => return Err(Refused::Newer),
        (Some(_), Some(_)) => return Err(Refused::Damaged),
    };
    let at = form.at.timestamp()?;
    if !at.is_plausible() || is_turn_id(&form.id) != matches!(fact, Fact::Turn(_)) {
        return Err(Refused::Absurd);
    }
    Ok(Event { id: EventId::new(form.id), at, owner, fact })
}

/// Tells whether an id is that of a turn: a colon sets the ids of other facts apart.
fn is_turn_id(id: &str) -> bool {
    id.starts_with("msg_") || id.starts_with("turn:") || !id.contains(':')
}

impl Moment {
    fn of(at: Timestamp) -> Self {
        let text = at.to_string();
        if Timestamp::parse(&text) == Some(at) { Self::Text(text) } else { Self::Millis(at.as_millis()) }
    }

    fn timestamp(&self) -> Result<Timestamp, Refused> {
        match self {
            Self::Text(text) => Timestamp::parse(text).ok_or(Refused::Damaged),
            Self::Millis(millis) => Ok(Timestamp::from_millis(*millis)),
        }
    }
}

impl TurnForm {
    fn of(turn: &Turn) -> Self {
        let Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches } = turn.usage;
        Self {
            model: turn.model.as_str().to_owned(),
            input,
            output,
            cache_write_5m,
            cache_write_1h,
            cache_read,
            web_searches,
            fast: turn.tariff.fast,
            us_only: turn.tariff.us_only,
            under_reported: turn.under_reported,
        }
    }

    fn into_turn(self) -> Result<Turn, Refused> {
        let Self { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches, .. } = self;
        let counts = [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches];
        if counts.into_iter().any(|count| count > COUNT_MAX) {
            return Err(Refused::Absurd);
        }
        Ok(Turn {
            usage: Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches },
            model: self.model.as_str().into(),
            tariff: Tariff { fast: self.fast, us_only: self.us_only },
            under_reported: self.under_reported,
        })
    }
}

/// Reads lines one by one, never more than [`LINE_BYTES_MAX`] of each into memory; empty lines are passed over.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from here on.
    pub fn new(input: R) -> Self {
        Self { input, buffer: Vec::new() }
    }

    /// Returns the next line's event, or why there is none in it; `None` at the end.
    ///
    /// # Errors
    ///
    /// The input cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Result<Event, Refused>>> {
        loop {
            self.buffer.clear();
            let bound = LINE_BYTES_MAX as u64 + 1;
            let bytes = self.input.by_ref().take(bound).read_until(b'\n', &mut self.buffer)?;
            if bytes == 0 {
                return Ok(None);
            }
            if self.buffer.len() > LINE_BYTES_MAX && !self.buffer.ends_with(b"\n") {
                self.pass_over()?;
                return Ok(Some(Err(Refused::TooLong)));
            }
            let line = self.buffer.trim_ascii();
            if !line.is_empty() {
                return Ok(Some(read(line)));
            }
        }
    }

    /// Passes over the rest of a line.
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            let bytes = self.input.by_ref().take(1 << 16).read_until(b'\n', &mut self.buffer)?;
            if bytes == 0 || self.buffer.ends_with(b"\n") {
                return Ok(());
            }
        }
    }
}
