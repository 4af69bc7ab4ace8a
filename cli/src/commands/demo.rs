//! `claudewatch demo`: the monitor over a generated history that goes on live, in a scratch folder.

mod account;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use session_store::Timestamp;
use session_store::corpus::{Corpus, Live};
use tempfile::TempDir;

use super::monitor::{self, Mode};
use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::context::Context;
use crate::ending::Endings;
use crate::error::CliError;
use account::Account;

/// Two weeks of a diligent user.
const HISTORY_BYTES: u64 = 6_000_000;
const HISTORY_DAYS: u32 = 14;
/// How often the removal of the scratch folder is tried.
const REMOVALS_MAX: usize = 100;

pub(crate) fn run(config: Config) -> Result<u8, CliError> {
    let cannot = |error| CliError::store("cannot make the scratch folder").because(error);
    // The full screen ends in good order by itself.
    let endings = if monitor::is_full_screen(&config) { None } else { Some(Endings::heed()?) };
    let scratch = tempfile::Builder::new().prefix("claudewatch-demo-").tempdir().map_err(cannot)?;
    let ending = Arc::new(Mutex::new(()));
    if let Some(endings) = endings {
        let (path, ending) = (scratch.path().to_owned(), ending.clone());
        endings.at_first(move |signal| {
            // Held until the program is no more.
            std::mem::forget(ending.lock());
            remove_and_end(&path, signal);
        })?;
    }
    let result = shown(config, &scratch);
    // Where a signal has begun to remove the folder, it also ends the program.
    let _ended_here = ending.lock();
    remove(&scratch.keep());
    result
}

/// The monitor over a history in `scratch`, until it ends.
fn shown(mut config: Config, scratch: &TempDir) -> Result<u8, CliError> {
    let cannot = |error| CliError::store("cannot write the generated history").because(error);
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

/// Removes the folder and ends by the signal, in a shell that takes this program's place: then no thread is left that
/// could put files into it or make it anew.
fn remove_and_end(path: &Path, signal: i32) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        use std::process::{Command, Stdio};
        let script = r#"trap "" HUP INT TERM; rm -rf -- "$1"; trap - HUP INT TERM; kill -"$2" $$"#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(path).arg(signal.to_string()).stderr(Stdio::null());
        // It returns only where there is no such shell.
        let _ = shell.exec();
    }
    let _ = signal;
    remove(path);
}

/// Removes a folder that threads at work may put files into, or make anew.
fn remove(path: &Path) {
    for _ in 0..REMOVALS_MAX {
        // A file of its name keeps the folder from being made anew.
        if fs::remove_dir_all(path).is_ok() && fs::File::create_new(path).is_ok() {
            let _ = fs::remove_file(path);
            return;
        }
    }
}
