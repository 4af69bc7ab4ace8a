//! The calls of Claude Code's hooks.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use session_coordinator::{NoticeBoard, RuntimeDir};
use session_store::{BoardSample, LimitSample, LimitWindow, Timestamp};
use tempfile::TempDir;

/// What stands for the folder of the sessions in an input.
const FOLDER: &str = "FOLDER";

/// A hook call: whatever it says, it is answered with nothing, a refusal of a tool call that was asked about, or a message;
/// never with leave to do something, and never twice in two ways.
///
/// `FOLDER` in the data stands for a config folder whose account has spent its limit.
pub fn hook_call(data: &[u8]) {
    let folder = folder();
    let text = String::from_utf8_lossy(data);
    let claude = folder.join("claude-dir");
    let known = text.replace(FOLDER, claude.to_str().expect("it is a text"));
    let call = if known == text { data } else { known.as_bytes() };
    let Some(answer) = claudewatch::answer_hook(&folder, call) else { return };

    let asked: Value = serde_json::from_slice(call).expect("only JSON is answered");
    assert_eq!(asked["hook_event_name"], "PreToolUse", "{answer}");
    assert!(
        answer.len() < 4096 && !answer.contains('\n') && !answer.chars().any(char::is_control),
        "{answer}"
    );
    let told: Value = serde_json::from_str(&answer).expect("it answers in JSON");
    let keys: Vec<&String> = told.as_object().expect("it answers an object").keys().collect();
    match keys.as_slice() {
        [key] if *key == "systemMessage" => {}
        [key] if *key == "hookSpecificOutput" => {
            assert_eq!(told["hookSpecificOutput"]["permissionDecision"], "deny", "{answer}");
            assert_eq!(told["hookSpecificOutput"]["hookEventName"], "PreToolUse", "{answer}");
        }
        _ => panic!("{answer}"),
    }
}

/// Makes the folder once: a config folder, and a board that says its limit is spent.
fn folder() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let claude = folder.path().join("claude-dir");
        std::fs::create_dir_all(claude.join("projects")).expect("a folder can be made");
        let runtime = RuntimeDir::open(&folder.path().join("runtime-dir")).expect("a folder can be made");
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs() as i64;
        let sample = LimitSample {
            window: LimitWindow::FiveHour,
            resets_at: Some(Timestamp::from_seconds(now + 3 * 3600)),
            used_hundredths: None,
            status: "rejected".into(),
        };
        let account = claude.canonicalize().expect("it is there").to_str().expect("it is a text").into();
        let told =
            BoardSample { account, source: "statusline".into(), at: Timestamp::from_seconds(now), sample };
        let board = NoticeBoard::open(&runtime).expect("a board can be made");
        board.board().observe(&told).expect("the board can be written");
        folder
    });
    folder.path().to_owned()
}
