//! Who sees whose usage: the isolation levels between stores of real sessions, and the work of a single session.

use serde_json::{Value, json};
use session_coordinator::{Claims, Isolation, NoticeBoard, RuntimeDir};
use session_store::{EventBackend, Stores, Timestamp};

use crate::claude::{FakeClaude, elsewhere};
use crate::env::{Env, PATIENCE, Reply, append, now, parse};

/// A host with a conversation in the session of the tests, one in another session, and one that nobody runs.
fn three_conversations() -> (Env, FakeClaude, FakeClaude) {
    let env = Env::new();
    let (own, other) = (FakeClaude::start_here(&env, "own"), FakeClaude::start(&env, "other"));
    assert_ne!(own.key(), other.key());
    for conversation in ["own", "other", "nobody"] {
        env.write(conversation, &[Reply::now(&format!("msg_{conversation}")).of(conversation)]);
    }
    (env, own, other)
}

/// The conversations that a report covers.
fn covered(report: &Value) -> Vec<&str> {
    report["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect()
}

fn report(env: &Env, args: &[&str]) -> Value {
    env.json(&[&["report", "conversation"], args].concat())
}

fn stores(env: &Env) -> Stores {
    Stores::open(&env.data(), now())
}

#[test]
fn reports_are_of_the_own_session_but_for_the_unified() {
    let (env, _own, other) = three_conversations();
    assert_eq!(covered(&report(&env, &[])), ["nobody", "other", "own"]);
    for level in ["complete", "shared-learning"] {
        let report = report(&env, &["--isolation", level]);
        assert_eq!(covered(&report), ["own"], "{level}");
        assert_eq!(report["totals"]["messages"], 1);
    }
    // What the others used is in no figure, while their presence is told.
    let status = env.json(&["status", "--isolation", "complete"]);
    let conversations = status["conversations"].as_array().unwrap();
    assert_eq!(conversations.iter().map(|it| &it["conversation_id"]).collect::<Vec<_>>(), [&json!("own")]);
    let sessions = status["sessions"].as_array().unwrap();
    assert_eq!(status["active_sessions"], 2);
    let hers = sessions.iter().find(|it| it["isolation_key"] == json!(other.key())).unwrap();
    assert_eq!((&hers["total_tokens"], &hers["conversation_id"]), (&json!(0), &Value::Null));
    // A session that nobody runs Claude Code in has used nothing.
    let report = elsewhere(&env, &["report", "--json", "--isolation", "complete"]).json();
    assert_eq!(report["totals"]["messages"], 0);
}

#[test]
fn a_session_that_shares_less_is_left_out_also_when_its_monitor_has_ended() {
    let (env, own, _other) = three_conversations();
    let all = |env: &Env| elsewhere(env, &["report", "conversation", "--json"]).json();
    for (level, expected) in [
        ("complete", &["nobody", "other"][..]),
        ("shared-learning", &["nobody", "other"]),
        ("unified", &["nobody", "other", "own"]),
    ] {
        let monitor = env.start(&["--json", "--all", "--isolation", level]);
        let seen = if level == "unified" { 3 } else { 1 };
        monitor.until_messages(PATIENCE, seen);
        assert_eq!(covered(&all(&env)), expected, "{level}, while it runs");
        drop(monitor);
        assert_eq!(covered(&all(&env)), expected, "{level}, when it has ended");
        // The session itself sees its own whatever it said.
        assert_eq!(covered(&report(&env, &[])).len(), 3, "{level}");
        let status = elsewhere(&env, &["status", "--json"]).json();
        let sessions = status["sessions"].as_array().unwrap();
        let hers = sessions.iter().find(|it| it["pid"] == own.pid()).unwrap();
        let tokens = if level == "unified" { 30 } else { 0 };
        assert_eq!(hers["total_tokens"], tokens, "{level}");
    }
}

/// One session's monitor reads the transcripts of all; what another does not share it does not tell.
#[test]
fn a_limit_of_a_session_that_shares_nothing_is_told_to_nobody() {
    let (env, _own, other) = three_conversations();
    assert_eq!(report(&env, &[])["totals"]["messages"], 3);
    stores(&env).session(&other.key().file_name()).set_sharing(Isolation::Complete.name());
    let monitor = env.start(&["--json", "--all"]);
    monitor.line();
    let reset = now().as_millis() / 1000 + 3600;
    let refused = |conversation: &str| {
        let id = format!("err_{conversation}");
        env.write(conversation, &[Reply::now(&id).of(conversation).refused("five_hour", reset)]);
    };
    refused("other");
    // Read in the order they are written in: by the time the second is told, the first would be.
    let read = || stores(&env).events(&session_store::Selection::limit_hits()).unwrap().len();
    let end = std::time::Instant::now() + PATIENCE;
    while read() == 0 {
        assert!(std::time::Instant::now() < end, "the hit is not read");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    refused("own");
    let told = monitor.until(PATIENCE, |line| !parse(line)["notices"].as_array().unwrap().is_empty());
    let notices = parse(&told)["notices"].clone();
    let who: Vec<&Value> = notices.as_array().unwrap().iter().map(|it| &it["conversation_id"]).collect();
    assert_eq!(who, [&json!("own")], "{notices}");
}

#[test]
fn ended_sessions_go_into_the_archive_unless_they_shared_less() {
    let env = Env::new();
    let (open, closed) = (FakeClaude::start(&env, "open"), FakeClaude::start(&env, "closed"));
    for conversation in ["open", "closed"] {
        env.write(conversation, &[Reply::now(&format!("msg_{conversation}")).of(conversation)]);
    }
    assert_eq!(report(&env, &[])["totals"]["messages"], 2);
    let [open_name, closed_name] = [&open, &closed].map(|client| client.key().file_name());
    stores(&env).session(&closed_name).set_sharing(Isolation::Complete.name());
    drop((open, closed));
    let has_store = |name: &str| stores(&env).sessions().unwrap().iter().any(|it| it == name);
    assert_eq!(covered(&report(&env, &[])), ["open"]);
    assert!(has_store(&open_name), "it is kept for a day");
    assert_eq!(covered(&report(&env, &["--optimize-resources"])), ["open"]);
    assert!(!has_store(&open_name), "where many sessions run it is kept no longer than needed");
    assert!(has_store(&closed_name));
    assert_eq!(stores(&env).archive().turn_ids().unwrap(), ["msg_open".into()]);
}

#[test]
fn a_single_session_reads_its_own_project_and_meets_nobody() {
    let env = Env::new();
    let work = env.path("work").canonicalize().unwrap();
    let slug: String =
        work.to_str().unwrap().chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
    let reply = |id: &str| Reply::now(id).of(id).folder(work.to_str().unwrap());
    append(&env.projects().join(&slug).join("a.jsonl"), &[reply("msg_a")]);
    append(&env.projects().join(format!("{slug}-below")).join("b.jsonl"), &[reply("msg_b")]);
    append(&env.projects().join(format!("{slug}x")).join("c.jsonl"), &[reply("msg_c")]);
    env.write("elsewhere", &[Reply::now("msg_d").of("msg_d")]);
    let monitor = env.start(&["--json", "--single-session"]);
    monitor.until_messages(PATIENCE, 2);
    append(&env.projects().join(&slug).join("a.jsonl"), &[reply("msg_e").of("msg_a")]);
    env.write("elsewhere", &[Reply::now("msg_f").of("msg_d")]);
    monitor.until_messages(PATIENCE, 3);
    assert_eq!(stores(&env).turn_ids().unwrap(), ["msg_a".into(), "msg_b".into(), "msg_e".into()]);
    assert!(!env.path("run").exists(), "no runtime folder is made");
    let status = env.json(&["status", "--single-session"]);
    assert_eq!(status["coordination"]["mode"], "single-session");
    assert_eq!((&status["coordination"]["leader"], &status["active_sessions"]), (&Value::Null, &json!(0)));
    // What it passed over is read by who reads everything.
    assert_eq!(env.json(&["report"])["totals"]["messages"], 6);
    let cells = stores(&env).cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap();
    assert_eq!(cells.iter().map(|cell| cell.sum.messages).sum::<u64>(), 6);
}

/// What hooks and status lines share at each level: who shares nothing is known to run, and neither reads the board nor writes it.
#[test]
fn hooks_and_status_lines_share_as_much_as_the_level_allows() {
    for (level, shares) in [("complete", false), ("shared-learning", true), ("unified", true)] {
        let env = Env::new();
        let reset = now().as_millis() / 60_000 * 60 + 3600;
        let call = |level: &str, command: &str, input: &Value| {
            let mut command = env.command(&[command]);
            command.env("CLAUDEWATCH_ISOLATION", level).env("CLAUDEWATCH_POLICY", "enforce");
            crate::hook::call_with(command, input.to_string().as_bytes()).ok()
        };
        let line = |level: &str, conversation: &str, used: f64| {
            let input = json!({
                "session_id": conversation, "transcript_path": env.transcript(conversation), "cwd": "/p",
                "cost": {"total_cost_usd": 0.5, "total_duration_ms": 60_000, "total_api_duration_ms": 5},
                "rate_limits": {"five_hour": {"used_percentage": used, "resets_at": reset}},
            });
            call(level, "statusline", &input)
        };
        let told = |env: &Env| {
            let board = NoticeBoard::open(&RuntimeDir::open(&env.path("run")).unwrap()).unwrap();
            let (samples, counters) = (board.board().observed().unwrap(), board.board().counters().unwrap());
            (samples.len(), board.newest(9).unwrap().len(), counters.values().sum::<u64>())
        };
        assert_eq!(call(level, "hook", &crate::hook::event(&env, "SessionStart", "one")), "");
        let claims = Claims::open(&RuntimeDir::open(&env.path("run")).unwrap()).unwrap();
        assert_eq!(claims.list().len(), 1, "{level}: whose conversation it is, is presence");

        // It writes: what its status line says, a limit that it met, a call that makes no sense.
        assert!(line(level, "one", 40.0).contains(" 40% "), "{level}");
        env.write("one", &[Reply::now("msg_1").of("one").refused("five_hour", reset)]);
        let mut failure = crate::hook::event(&env, "StopFailure", "one");
        failure["error"] = "rate_limit".into();
        assert_eq!(call(level, "hook", &failure), "");
        assert_eq!(call(level, "hook", &json!([])), "");
        let (samples, notices, counted) = told(&env);
        assert_eq!((samples > 0, notices > 0, counted > 0), (shares, shares, shares), "{level}");

        // It reads: what a session that shares everything tells.
        assert!(line("unified", "other", 90.0).contains("5h "));
        call("unified", "hook", &failure);
        let own = line(level, "two", 10.0);
        assert_eq!(own.contains(" 10% "), !shares, "{level}: {own}");
        assert_eq!(own.contains('⛔'), shares, "{level}: {own}");
        let refused = call(level, "hook", &crate::hook::tool(&env, "two", "Agent"));
        assert_eq!(refused.contains("deny"), shares, "{level}: {refused}");
    }
}
