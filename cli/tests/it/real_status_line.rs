//! The status line in the real Claude Code client, in a terminal of tmux: what it is given, and what it shows of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::real_client::Sandbox;
use crate::terminal::{PATIENCE, Terminal};

/// Waits until a file holds a text.
fn wait_for(file: &Path, wanted: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.contains(wanted) {
            return text;
        }
        assert!(Instant::now() < end, "`{wanted}` is not in {text:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_real_client_gives_and_shows_the_limits() {
    let Some(sandbox) = Sandbox::new() else { return };
    let shown = sandbox.control("shown.txt");
    let line = format!(
        "CLAUDEWATCH_RUNTIME_DIR={} {} statusline | tee -a {}",
        sandbox.control("../claudewatch/run").display(),
        env!("CARGO_BIN_EXE_claudewatch"),
        shown.display()
    );
    let settings = sandbox.control("../home/.claude/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::create_dir_all(sandbox.control("../claudewatch")).unwrap();
    fs::write(&settings, json!({"statusLine": {"type": "command", "command": line}}).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_client/sandbox");
    let command = format!("bash {} {} claude", script.display(), sandbox.control("..").display());
    let Some(terminal) = Terminal::start(sandbox.control("tmux"), &command) else { return };
    wait_for(&shown, "$0.00");
    terminal.enter("Hello.", || fs::read_to_string(sandbox.control("told.jsonl")).is_ok());
    // What the stand-in API says of the account.
    let text = wait_for(&shown, "30% ↻");
    assert!(text.contains("7d █▋░░░░░░ 20% ↻"), "{text}");
    let limits = || {
        let output = sandbox.claudewatch(&["limits", "--json"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let is_told = || limits()["limits"].as_array().is_some_and(|all| !all.is_empty());
    // On a machine too busy for the board to be had within milliseconds, the next answer tells.
    for prompt in ["Again.", "And again."] {
        let lines = || fs::read_to_string(&shown).unwrap().matches("30% ↻").count();
        let before = lines();
        if !is_told() {
            terminal.enter(prompt, || lines() > before);
        }
    }
    let limits = limits();
    let told: Vec<_> = limits["limits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["window"].as_str().unwrap(),
                it["used_percentage"].as_f64().unwrap(),
                it["source"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("five_hour", 30.0, "statusline"), ("seven_day", 20.0, "statusline")]);
    assert_eq!(limits["refused_values"], 0);
    // Its own conversation is charged with all of it.
    let shares = limits["limits"][0]["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 1, "{limits}");
}
