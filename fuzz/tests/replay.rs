//! Replays the corpora: every input that was worth keeping goes through its target once.

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files {
        // Shown only where the target panics, to tell which input did it.
        println!("{}", file.display());
        check(&fs::read(&file).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn transcript_line() {
    replay("transcript_line", claudewatch_fuzz::transcript_line);
}

#[test]
fn transcript_tail() {
    replay("transcript_tail", claudewatch_fuzz::transcript_tail);
}

#[test]
fn ledger_join() {
    replay("ledger_join", claudewatch_fuzz::ledger_join);
}

#[test]
fn isolation_key() {
    replay("isolation_key", claudewatch_fuzz::isolation_key);
}

#[test]
fn classifier() {
    replay("classifier", claudewatch_fuzz::classifier);
}

#[test]
fn record() {
    replay("record", claudewatch_fuzz::record);
}

#[test]
fn stat_line() {
    replay("stat_line", claudewatch_fuzz::stat_line);
}

#[test]
fn hook_call() {
    replay("hook_call", claudewatch_fuzz::hook_call);
}

#[test]
fn html_escape() {
    replay("html_escape", claudewatch_fuzz::html_escape);
}

#[test]
fn statusline_input() {
    replay("statusline_input", claudewatch_fuzz::statusline_input);
}
