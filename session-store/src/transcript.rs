//! Claude Code's transcripts: where they lie, how they grow, what they tell.
//!
//! ```text
//! config folder ── locate ──▶ Source ── open, read ──▶ bytes ── Tail::feed ──▶ events, problems, a position
//! ```
//!
//! [`Tail`] touches no file: bytes go in, events come out. Cut the bytes anywhere and the same events come out.

mod json;
mod limit;
mod line;
mod listings;
mod locate;
mod map;
mod reading;
mod tail;

pub use listings::{FolderStamp, Listed, Listings};
pub use locate::{FileNames, Folder, Glimpse, Listing, Located, Source, SourceKind, Stamp, locate};
pub use reading::{Found, Reading};
pub use tail::{LINE_BYTES_MAX, Position, Tail};

/// Why a line or a file was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The line is no JSON, although it looks as if it told of usage or limits.
    Damaged,
    /// The line is longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// The line tells of usage without a time.
    NoTime,
    /// The line's time lies outside 2020 to 2100.
    AbsurdTime,
    /// A count is negative, fractional, or larger than any request can be.
    AbsurdNumber,
    /// The file or folder could not be read.
    Unreadable,
    /// A link, pipe, socket or device where a transcript was expected; it is not followed.
    NotAFile,
    /// Folders nest deeper than any layout of Claude Code.
    TooDeep,
}

impl ProblemKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Damaged,
        Self::TooLong,
        Self::NoTime,
        Self::AbsurdTime,
        Self::AbsurdNumber,
        Self::Unreadable,
        Self::NotAFile,
        Self::TooDeep,
    ];

    /// Returns a stable name, such as `damaged`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::TooLong => "too_long",
            Self::NoTime => "no_time",
            Self::AbsurdTime => "absurd_time",
            Self::AbsurdNumber => "absurd_number",
            Self::Unreadable => "unreadable",
            Self::NotAFile => "not_a_file",
            Self::TooDeep => "too_deep",
        }
    }

    /// Reads back a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns whether a whole file is missing, not just a line.
    pub fn is_of_file(self) -> bool {
        matches!(self, Self::Unreadable | Self::NotAFile | Self::TooDeep)
    }
}
