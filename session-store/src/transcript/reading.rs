//! What a reader hands on: the events of some lines, and what was not counted.

use super::ProblemKind;
use crate::event::Event;

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
