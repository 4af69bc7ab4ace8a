//! What users meet: printed text, JSON and exit codes of the program itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]

#[cfg(target_os = "linux")]
mod claude;
mod env;

#[cfg(target_os = "linux")]
mod chaos;
#[cfg(target_os = "linux")]
mod clock;
mod completions;
mod config;
mod coordination;
mod detect;
mod doctor;
mod events;
mod explain;
mod export;
#[cfg(unix)]
mod faults;
mod hook;
#[cfg(unix)]
mod hostile;
#[cfg(target_os = "linux")]
mod isolation;
mod layers;
mod limits;
mod metrics;
mod monitor;
mod prune;
mod real_client;
mod real_client_hooks;
mod real_client_terminals;
mod real_status_line;
mod report;
#[cfg(target_os = "linux")]
mod scarce;
#[cfg(unix)]
mod screen;
mod setup;
#[cfg(target_os = "linux")]
mod sharing;
mod status;
mod statusline;
mod terminal;
