//! Tests of what the library promises, at its boundary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]

mod forecast;
mod golden;
mod recommend;
mod story;
mod views;
