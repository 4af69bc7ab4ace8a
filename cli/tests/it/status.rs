//! `status`: this session and the conversations at work, for people and as JSON.

use std::time::Duration;

use serde_json::json;
use session_store::Timestamp;
use unicode_width::UnicodeWidthStr;

#[cfg(target_os = "linux")]
use crate::claude::{FakeClaude, make_old};
use crate::env::{Env, Outcome, Reply, now, prompt};

fn minutes_ago(minutes: u64) -> Timestamp {
    now().before(Duration::from_secs(minutes * 60))
}

pub(crate) fn at_work() -> Env {
    let env = Env::new();
    let at = |minutes| minutes_ago(minutes).to_string();
    env.write("idle-conversation", &[Reply::new("msg_1", &at(30)).of("idle-conversation")]);
    env.write("busy-conversation", &[Reply::new("msg_2", &at(2)).of("busy-conversation").to_string()]);
    env.write("busy-conversation", &[prompt("busy-conversation", &at(1))]);
    let reset = now().as_millis() / 1000 + 7200;
    let refused = Reply::new("err_3", &at(3)).of("limited-conversation").refused("five_hour", reset);
    let reply = Reply::new("msg_3", &at(4)).of("limited-conversation").folder("/p/other");
    env.write("limited-conversation", &[reply, refused]);
    env.write("old", &[Reply::new("msg_4", &at(3 * 1440)).of("old")]);
    env
}

#[test]
fn json_tells_session_and_conversations() {
    let env = at_work();
    let status = env.json(&["status"]);
    assert_eq!(status["schema_version"], 1);
    let session = &status["current_session"];
    for name in ["session_id", "label", "session_type", "project"] {
        assert!(session[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {session}");
    }
    assert_eq!(session["project"], env.path("work").canonicalize().unwrap().to_str().unwrap());
    let conversations = status["conversations"].as_array().unwrap();
    let told: Vec<(&str, &str)> = conversations
        .iter()
        .map(|it| (it["conversation_id"].as_str().unwrap(), it["state"].as_str().unwrap()))
        .collect();
    // The latest first; what rests for more than a day is left out.
    let expected = [
        ("busy-conversation", "working"),
        ("limited-conversation", "limited"),
        ("idle-conversation", "idle"),
    ];
    assert_eq!(told, expected);
    let limited = &conversations[1];
    assert_eq!(limited["rate_limit_events"], 1);
    assert_eq!((&limited["total_tokens"], &limited["project"]), (&json!(30), &json!("/p/other")));
    assert!(limited["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0));
    assert!(Timestamp::parse(limited["last_activity"].as_str().unwrap()).is_some());
}

#[test]
fn people_are_told_in_the_form_of_the_guide() {
    let env = at_work();
    let text = env.run(&["status"]).ok();
    let head: Vec<&str> = text.lines().take(2).collect();
    assert_eq!(head, ["📊 ClaudeWatch - System Status", "=".repeat(50).as_str()]);
    for part in [
        "🖥️  Current Session: ",
        "📁  Project Path: ",
        "⏱️  Session Type: ",
        "📋 Conversations of the last day:\n",
        "Rate Limits",
        "⛔  Last limit: 5-hour limit in limited-conversation, 3 m",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert!(text.trim_end().ends_with("ago, resets in 1 h 59 m"), "{text}");
    let by_option = env.run(&["--status"]).ok();
    assert_eq!(by_option.lines().count(), text.lines().count());
    assert!(by_option.starts_with("📊 ClaudeWatch - System Status\n"));
}

#[test]
fn tables_fit_the_width() {
    let env = at_work();
    for width in [200, 100, 80, 60] {
        let text = Outcome::of(env.command(&["status"]).env("COLUMNS", width.to_string())).ok();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(['┌', '│', '└'])).collect();
        assert_eq!(rows.len(), 6, "{text}");
        assert!(rows.iter().all(|row| row.width() <= width), "{width}:\n{text}");
    }
    let text = Outcome::of(env.command(&["status"]).env_remove("COLUMNS")).ok();
    assert!(text.lines().all(|line| line.width() <= 100), "without a terminal, 100 columns:\n{text}");
}

#[test]
fn nothing_of_the_last_day_is_said_so() {
    let env = Env::new();
    env.write("old", &[Reply::new("msg_1", &minutes_ago(3 * 1440).to_string())]);
    let text = env.run(&["status"]).ok();
    assert!(text.contains("No conversation did anything within the last day.\n"), "{text}");
    assert_eq!(env.json(&["status"])["conversations"], json!([]));
}

#[test]
#[cfg(target_os = "linux")]
fn a_running_claude_code_is_a_session_with_its_conversation() {
    let env = at_work();
    let running = FakeClaude::start(&env, "limited-conversation");
    let status = env.json(&["status"]);
    let session = &status["sessions"][0];
    let own = session_detect::detect_process(running.pid()).unwrap();
    assert_eq!(status["active_sessions"], 1);
    assert_eq!(status["session_types"], json!({own.kind.name(): 1}));
    assert_eq!((&session["pid"], &session["role"]), (&json!(running.pid()), &json!("claude")));
    assert_eq!(session["isolation_key"], json!(own.key));
    assert_eq!(session["conversation_id"], "limited-conversation");
    assert_eq!((&session["total_tokens"], &session["rate_limit_events"]), (&json!(30), &json!(1)));
    let text = env.run(&["status"]).ok();
    assert!(text.contains("🔄  Active Sessions: 1\n"), "{text}");
    assert!(text.contains("📋 All Active Sessions:\n") && text.contains(&own.short_id()), "{text}");
    // Killed, it leaves its record behind, and that is no session.
    drop(running);
    assert_eq!(env.json(&["status"])["active_sessions"], 0);
}

/// What a running conversation says goes to its session's store; reports count both stores, and once.
#[test]
#[cfg(target_os = "linux")]
fn each_session_has_a_store_of_its_own() {
    let env = at_work();
    let before = env.json(&["report"])["totals"].clone();
    assert!(!env.data().join("sessions").exists());
    let running = FakeClaude::start(&env, "busy-conversation");
    let at = minutes_ago(1).to_string();
    // One reply is new, the other is a copy of what the archive holds already.
    let copy = Reply::new("msg_1", &minutes_ago(30).to_string()).of("busy-conversation");
    env.write("busy-conversation", &[Reply::new("msg_9", &at).of("busy-conversation"), copy]);
    let after = env.json(&["report"])["totals"].clone();
    let count = |totals: &serde_json::Value| totals["messages"].as_u64().unwrap();
    assert_eq!(count(&after), count(&before) + 1);
    let (key, store) = (running.key(), running.store(&env));
    assert!(store.exists(), "{store:?}");
    drop(running);
    assert_eq!(env.json(&["report"])["totals"], after);
    // After two days at rest it is part of the archive.
    make_old(&store);
    assert_eq!(env.json(&["report"])["totals"], after);
    assert_eq!(key.leader().liveness(), session_detect::Liveness::Ended);
    assert!(!store.exists());
    assert_eq!(env.json(&["report"])["totals"], after);
}
