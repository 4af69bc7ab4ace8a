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
    assert!(text.contains("ago, resets in 1 h 59 m\n"), "{text}");
    assert!(
        text.contains("🤝  Coordination: multi-session, isolation unified, notices shown\n    no leader; "),
        "{text}"
    );
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
        assert_eq!(rows.len(), 10, "{text}");
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

/// Every field of the contract, of the type that it promises, with a monitor and a Claude Code at work.
#[test]
#[cfg(target_os = "linux")]
fn json_is_what_the_contract_promises() {
    let env = at_work();
    let client = FakeClaude::start(&env, "limited-conversation");
    let monitor = env.start(&["--json", "--all"]);
    monitor.until_messages(crate::env::PATIENCE, 4);
    let status = env.json(&["status"]);
    let check = |value: &serde_json::Value, fields: &[(&str, &str)]| {
        for (field, kind) in fields {
            let it = value.get(*field).unwrap_or_else(|| panic!("no {field} in {value}"));
            let fits = kind.split('|').any(|kind| match kind {
                "text" => it.is_string(),
                "time" => it.as_str().is_some_and(|text| Timestamp::parse(text).is_some()),
                "count" => it.is_u64(),
                "number" => it.is_f64(),
                "flag" => it.is_boolean(),
                "object" => it.is_object(),
                "list" => it.is_array(),
                _ => it.is_null(),
            });
            assert!(fits, "{field}: {it} is no {kind}");
        }
    };
    let parts = [
        ("schema_version", "count"),
        ("current_session", "object"),
        ("active_sessions", "count"),
        ("session_types", "object"),
        ("sessions", "list"),
        ("limits", "list"),
        ("coordination", "object"),
    ];
    check(&status, &parts);
    let of_session = ["session_id", "isolation_key", "session_type", "project"].map(|field| (field, "text"));
    check(&status["current_session"], &[&of_session[..], &[("label", "text")]].concat());
    let sessions = status["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &status["active_sessions"]), (2, &json!(2)));
    for session in sessions {
        check(session, &of_session);
        let more = [
            ("pid", "count"),
            ("role", "text"),
            ("presence", "text"),
            ("conversation_id", "text|null"),
            ("store", "text"),
            ("started_at", "time"),
            ("last_activity", "time"),
            ("rate_limit_events", "count"),
            ("total_tokens", "count"),
            ("cost_usd", "number"),
            ("cpu_percent", "number|null"),
            ("memory_bytes", "count|null"),
        ];
        check(session, &more);
        let is_claude = session["role"] == "claude";
        assert_eq!(session["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), is_claude, "{session}");
    }
    let hers = sessions.iter().find(|it| it["pid"] == client.pid()).unwrap();
    assert_eq!(hers["store"], format!("{}.db", client.key().file_name()));
    let limit = &status["limits"][0];
    let of_limit = [
        ("account", "text"),
        ("window", "text"),
        ("used_percentage", "number|null"),
        ("status", "text"),
        ("resets_at", "time|null"),
        ("source", "text"),
        ("observed_at", "time"),
        ("age_seconds", "count"),
        ("shares", "list"),
        ("elsewhere_share", "number"),
    ];
    check(limit, &of_limit);
    assert_eq!((&limit["window"], &limit["status"]), (&json!("five_hour"), &json!("rejected")));
    let coordination = &status["coordination"];
    let counts = ["conflicts_resolved", "resources_shared", "notices"].map(|field| (field, "count"));
    check(coordination, &counts);
    check(coordination, &[("mode", "text"), ("isolation", "text"), ("notify", "flag"), ("leader", "object")]);
    check(&coordination["leader"], &[("pid", "count"), ("since", "time")]);
    assert_eq!(coordination["leader"]["pid"], monitor.child.id());
}

/// A monitor that was killed is told of, is no active session, and leads nobody.
#[test]
#[cfg(target_os = "linux")]
fn a_killed_monitor_is_stale() {
    let env = at_work();
    let monitor = env.start(&["--json"]);
    monitor.line();
    drop(monitor);
    let status = env.json(&["status"]);
    assert_eq!(status["sessions"][0]["presence"], "stale", "{status}");
    assert_eq!((&status["active_sessions"], &status["session_types"]), (&json!(0), &json!({})));
    assert_eq!(status["coordination"]["leader"], serde_json::Value::Null);
    let text = env.run(&["status"]).ok();
    assert!(text.contains("Active Sessions: 0\n") && text.contains("monitor (stale)"), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn debug_tells_who_leads_where_things_are_and_who_is_alone() {
    let env = at_work();
    let client = FakeClaude::start(&env, "limited-conversation");
    let debug = |args: &[&str]| {
        let outcome = env.run(args);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("DEBUG"), "the log is on standard error");
        outcome.stdout
    };
    let text = debug(&["status", "--debug"]);
    let run = env.path("run");
    for part in [
        "runtime folder  none\n".to_owned(),
        format!("passed over   {}: not there\n", run.display()),
        format!("data folder     {}\n", env.data().display()),
        "lag             ".to_owned(),
        " (this session): there is no runtime folder".to_owned(),
    ] {
        assert!(text.contains(&part), "`{part}` is not in\n{text}");
    }
    let monitor = env.start(&["--json"]);
    monitor.line();
    let text = debug(&["--debug", "--status"]);
    let (leader, member) =
        (monitor.child.id(), format!("process {}, monitor, lock held", monitor.child.id()));
    for part in [
        format!("runtime folder  {}\n", run.canonicalize().unwrap().display()),
        format!("leader          process {leader}, term 1, since "),
        "its heart beat after ".to_owned(),
        member,
        "isolation unified; ".to_owned(),
        " watches in ".to_owned(),
        format!("{}: no monitor runs in it", client.key().session_id()),
    ] {
        assert!(text.contains(&part), "`{part}` is not in\n{text}");
    }
    assert!(!text.contains("(this session)"), "it is coordinated:\n{text}");
    let text = debug(&["status", "--debug", "--no-coordination"]);
    assert!(text.contains("not coordinated this session: --no-coordination\n"), "{text}");
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

#[test]
fn a_monitor_of_all_projects_works_in_one_folder() {
    let env = at_work();
    let monitor = env.start(&["--json", "--all"]);
    monitor.line();
    let status = env.json(&["status"]);
    assert_eq!(status["sessions"][0]["role"], "monitor", "{status}");
    assert_eq!(status["sessions"][0]["project"], status["current_session"]["project"]);
}
