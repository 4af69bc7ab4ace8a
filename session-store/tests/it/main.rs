//! Tests of session-store at its boundary, in one binary.
//!
//! The first two modules are what the others are told with; each of the rest tests one subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]

mod child;
mod lines;

mod backends;
mod board;
mod corpus;
mod counting;
mod exchange;
mod fixtures;
mod laws;
mod locate;
mod retention;
mod sqlite;
mod stores;
mod tail;
