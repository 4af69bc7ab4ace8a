//! Tests of session-analytics at its boundary, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]

mod history;
mod live;
mod story;

#[cfg(target_os = "linux")]
mod browser;
mod forecast;
mod golden;
mod page;
mod recommend;
mod views;
