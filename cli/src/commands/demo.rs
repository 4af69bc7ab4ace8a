//! `claudewatch demo`: the monitor over a generated history that goes on live, in a scratch folder.

mod account;

use std::thread;
use std::time::Duration;

use session_store::Timestamp;
use session_store::corpus::{Corpus, Live};
use tempfile::TempDir;

use super::monitor::{self, Mode};
use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::context::Context;
use crate::error::CliError;
use account::Account;

/// Two weeks of a diligent user.
const HISTORY_BYTES: u64 = 6_000_000;
const HISTORY_DAYS: u32 = 14;
/// How often the removal of the scratch folder is tried.
const REMOVALS_MAX: usize = 100;

pub(crate) fn run(mut config: Config) -> Result<u8, CliError> {
    let cannot = |error| CliError::store("cannot make the scratch folder").because(error);
    let scratch = tempfile::Builder::new().prefix("claudewatch-demo-").tempdir().map_err(cannot)?;
    remove_on_signal(&scratch, &config)?;
    let claude_dir = scratch.path().join("claude");
    let seed = now().as_millis().unsigned_abs();
    let start = now().as_millis();
    let history =
        Corpus { seed, bytes: HISTORY_BYTES, days: HISTORY_DAYS, end_unix_seconds: start / 1000 - 60 };
    history.write(&claude_dir).map_err(cannot)?;
    config.data_dir = scratch.path().join("data");
    config.claude_dirs = vec![claude_dir.clone()];
    config.all = true;
    config.mode = SessionMode::Uncoordinated;
    let context = Context::new(config);
    let live = Live::new(seed, &claude_dir, start).map_err(cannot)?;
    let reset = Timestamp::from_millis(live.resets_at_unix_ms());
    let account = Account::new(claude_dir, Timestamp::from_millis(start), reset);
    account.tell_past(&context.archive()?.store, &context.prices()?)?;
    go_on_live(live, account)?;
    monitor::run(&context, Mode::Demo)?;
    Ok(context.code())
}

/// Writes the conversations on, line by line, as Claude Code would, and what it would keep of the account.
fn go_on_live(mut live: Live, mut account: Account) -> Result<(), CliError> {
    let cannot = |error| CliError::store("cannot write the generated history").because(error);
    account.tell(now()).map_err(cannot)?;
    let write_on = move || {
        // It ends when the scratch folder goes, at the latest with the process.
        while let Ok(wait_ms) = account.tell(now()).and_then(|()| live.step(now().as_millis())) {
            thread::sleep(Duration::from_millis(wait_ms));
        }
    };
    thread::Builder::new().name("demo".into()).spawn(write_on).map_err(cannot)?;
    Ok(())
}

/// Removes the scratch folder when a signal ends the program, which then runs no destructors.
#[cfg(unix)]
fn remove_on_signal(scratch: &TempDir, config: &Config) -> Result<(), CliError> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    if monitor::is_full_screen(config) {
        // The full screen ends in good order by itself.
        return Ok(());
    }
    let cannot = |error| CliError::store("cannot handle signals").because(error);
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(cannot)?;
    let path = scratch.path().to_owned();
    let end = move || {
        if let Some(signal) = signals.forever().next() {
            // The threads at work may put a file into a folder that is just being emptied.
            for _ in 0..REMOVALS_MAX {
                if std::fs::remove_dir_all(&path).is_ok() {
                    break;
                }
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(end).map_err(cannot)?;
    Ok(())
}

#[cfg(not(unix))]
fn remove_on_signal(_: &TempDir, _: &Config) -> Result<(), CliError> {
    Ok(())
}
