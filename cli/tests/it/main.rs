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
mod events;
mod explain;
#[cfg(unix)]
mod faults;
mod hook;
#[cfg(unix)]
mod hostile;
#[cfg(target_os = "linux")]
mod isolation;
mod layers;
mod limits;
mod monitor;
mod prune;
mod real_client;
mod real_client_hooks;
mod report;
#[cfg(target_os = "linux")]
mod scarce;
#[cfg(unix)]
mod screen;
mod setup;
mod status;
mod statusline;
