//! Tests of session-coordinator at its boundary, in one binary.
//!
//! The first two modules are what the others are told with; each of the rest tests one subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]

mod child;
mod claim;
mod people;

mod bell;
mod coordinator;
mod lease;
mod life;
mod monitor;
mod notice;
mod registry;
mod runtime;
mod scope;
mod sim;
