//! `claudewatch hook`: what a session is told, and that nothing of ours ever troubles Claude Code.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_coordinator::{Claims, Journal, NoticeBoard, RuntimeDir};
use session_store::{BoardSample, Deed, Event, Fact, LimitSample, LimitWindow, Restraint, Timestamp, Why};

use crate::env::{Env, Outcome, Reply, now, parse};

/// What Claude Code would have been told: nothing, or JSON.
pub(crate) fn call_with(mut command: Command, input: &[u8]) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A hook may have made up its mind before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn call(env: &Env, options: &[&str], input: &Value) -> String {
    call_with(env.command(&[&["hook"], options].concat()), input.to_string().as_bytes()).ok()
}

/// A call of a conversation in the environment's config folder.
pub(crate) fn event(env: &Env, name: &str, conversation: &str) -> Value {
    json!({
        "hook_event_name": name, "session_id": conversation, "transcript_path": env.transcript(conversation),
        "cwd": env.path("work"),
    })
}

pub(crate) fn tool(env: &Env, conversation: &str, tool: &str) -> Value {
    let mut call = event(env, "PreToolUse", conversation);
    call["tool_name"] = tool.into();
    call["tool_input"] = json!({"command": "true"});
    call
}

fn runtime(env: &Env) -> RuntimeDir {
    RuntimeDir::open(&env.path("run")).unwrap()
}

fn board(env: &Env) -> NoticeBoard {
    NoticeBoard::open(&runtime(env)).unwrap()
}

pub(crate) fn journal(env: &Env) -> Vec<(Event, Restraint)> {
    written_down(&env.data())
}

/// What hooks wrote down in a data folder, in the order of the calls.
pub(crate) fn written_down(data: &Path) -> Vec<(Event, Restraint)> {
    let restraint = |event: Event| match event.fact.clone() {
        Fact::Restraint(restraint) => (event, restraint),
        other => panic!("hooks write down no {other:?}"),
    };
    let mut found: Vec<_> = Journal::of(data).read(now()).events.into_iter().map(restraint).collect();
    found.sort_by_key(|(event, _)| event.at);
    found
}

/// Tells the board how the five-hour window of the account stands.
pub(crate) fn sample(env: &Env, used_hundredths: u32, resets_in: i64, status: &str) -> Timestamp {
    let at = now();
    let resets_at = Timestamp::from_seconds(at.as_millis() / 1000 + resets_in);
    let sample = LimitSample {
        window: LimitWindow::FiveHour,
        resets_at: Some(resets_at),
        used_hundredths: Some(used_hundredths),
        status: status.into(),
    };
    let account = env.claude().to_str().unwrap().into();
    board(env).board().observe(&BoardSample { account, source: "statusline".into(), at, sample }).unwrap();
    resets_at
}

pub(crate) fn priorities(env: &Env, policy: &str, rules: &str) {
    let text = format!("policy = \"{policy}\"\n[priority]\n{rules}\n");
    fs::write(env.config().join("config.toml"), text).unwrap();
}

/// What a refused model is told; `None` where it may go on.
fn reason(answer: &str) -> Option<String> {
    if answer.is_empty() {
        return None;
    }
    let answer = parse(answer);
    let decision = &answer["hookSpecificOutput"];
    assert_eq!(decision["hookEventName"], "PreToolUse", "{answer}");
    assert_eq!(decision["permissionDecision"], "deny", "{answer}");
    Some(decision["permissionDecisionReason"].as_str().unwrap().to_owned())
}

#[test]
fn a_limit_is_told_once_and_acted_on_by_priority() {
    let env = Env::new();
    priorities(&env, "enforce", "a = \"critical\"\nb = \"normal\"\n\"c*\" = \"background\"");
    for conversation in ["a", "b", "c"] {
        assert_eq!(call(&env, &[], &event(&env, "SessionStart", conversation)), "");
        for name in ["Bash", "Agent", "Edit"] {
            assert_eq!(call(&env, &[], &tool(&env, conversation, name)), "", "nothing is known of limits");
        }
    }
    let claims = Claims::open(&runtime(&env)).unwrap();
    assert_eq!(claims.list().len(), 3);

    let reset = now().as_millis() / 1000 + 3600;
    env.write("a", &[Reply::now("msg_1").of("a").refused("five_hour", reset)]);
    let mut failure = event(&env, "StopFailure", "a");
    failure["error"] = "rate_limit".into();
    for _ in 0..2 {
        assert_eq!(call(&env, &[], &failure), "");
    }
    let look = board(&env).since(session_coordinator::Cursor::default()).unwrap();
    assert_eq!(look.notices.len(), 1, "{look:?}");
    assert_eq!(look.notices[0].1.resets_at, Some(Timestamp::from_seconds(reset)));
    assert_eq!(board(&env).board().counters().unwrap()["notices"], 1);

    // Who is critical is told, once; who is normal starts nothing new; who can wait does nothing.
    let at = Timestamp::from_seconds(reset).to_string();
    let shown = at.get(..19).unwrap();
    let told = parse(&call(&env, &[], &tool(&env, "a", "Bash")));
    assert!(told["systemMessage"].as_str().unwrap().contains(shown), "{told}");
    assert_eq!(call(&env, &[], &tool(&env, "a", "Agent")), "");
    assert_eq!(call(&env, &[], &tool(&env, "b", "Bash")), "");
    let mut background = tool(&env, "b", "Bash");
    background["tool_input"]["run_in_background"] = true.into();
    for refused in [tool(&env, "b", "Agent"), background, tool(&env, "c", "Bash"), tool(&env, "c", "Edit")] {
        let reason = reason(&call(&env, &[], &refused)).expect("it is refused");
        assert!(reason.contains(shown) && reason.contains("5-hour limit"), "{reason}");
    }
    assert_eq!(call(&env, &[], &tool(&env, "c", "TaskStop")), "");

    let entries = journal(&env);
    let kinds: Vec<&str> = entries.iter().map(|(_, it)| it.deed.name()).collect();
    assert_eq!(kinds, ["told", "refused", "refused", "refused", "refused"]);
    let reset = Some(Timestamp::from_seconds(reset));
    assert!(entries.iter().all(|(_, it)| it.done && it.resets_at == reset), "{entries:?}");
}

/// Words that name no time are of the window that is open, so that a status line that tells of it tells nothing new.
#[test]
fn a_limit_without_a_time_is_that_of_the_open_window() {
    let env = Env::new();
    priorities(&env, "enforce", "");
    call(&env, &[], &event(&env, "SessionStart", "a"));
    let reset = sample(&env, 9_800, 3600, "allowed");
    let mut failure = event(&env, "StopFailure", "a");
    failure["error"] = "rate_limit".into();
    failure["last_assistant_message"] = "You've hit your session limit".into();
    assert_eq!(call(&env, &[], &failure), "");
    let look = board(&env).since(session_coordinator::Cursor::default()).unwrap();
    let told: Vec<_> = look.notices.iter().map(|(_, it)| (it.kind.name(), it.resets_at)).collect();
    assert_eq!(told, [("limit_hit", Some(reset))]);
}

#[test]
fn observing_changes_nothing_and_records_what_would_be_done() {
    let env = Env::new();
    priorities(&env, "observe", "c = \"background\"");
    call(&env, &[], &event(&env, "SessionStart", "c"));
    sample(&env, 10_000, 3600, "rejected");
    assert_eq!(call(&env, &[], &tool(&env, "c", "Bash")), "");
    assert_eq!(call(&env, &["--policy", "off"], &tool(&env, "c", "Bash")), "");
    let entries = journal(&env);
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].1.deed, entries[0].1.done), (Deed::Refused, false));
    env.write("c", &[Reply::now("msg_1").of("c")]);
    let told = env.json(&["status"])["coordination"]["last_day"].clone();
    assert_eq!((&told["refusals"], &told["refusals_due"]), (&json!(0), &json!(1)), "{told}");
    assert!(env.run(&["status"]).ok().contains("would have waited"));
    assert!(reason(&call(&env, &["--policy", "enforce"], &tool(&env, "c", "Bash"))).is_some());
}

/// The journal is only the way there: what hooks did is events, which outlive it and the board, and are there once.
#[test]
fn what_hooks_did_is_kept_and_reported() {
    let env = Env::new();
    priorities(&env, "enforce", "c = \"background\"");
    env.write("c", &[Reply::now("msg_1").of("c")]);
    call(&env, &[], &event(&env, "SessionStart", "c"));
    let reset = sample(&env, 10_000, 3600, "rejected").to_string();
    assert!(reason(&call(&env, &[], &tool(&env, "c", "Bash"))).is_some());
    call(&env, &["--policy", "observe"], &tool(&env, "c", "Edit"));

    let explained = env.json(&["explain", "five_hour"]);
    let held_back = explained["limits"][0]["held_back"].as_array().unwrap();
    let told: Vec<_> =
        held_back.iter().map(|it| (&it["deed"], &it["done"], &it["tool"], &it["why"])).collect();
    let (refused, why) = (json!("refused"), json!("limit_hit"));
    let expected =
        [(&refused, &json!(false), &json!("Edit"), &why), (&refused, &json!(true), &json!("Bash"), &why)];
    assert_eq!(told, expected);
    assert!(env.run(&["explain", "five_hour"]).ok().contains("refused: Bash of c (background, limit_hit)"));

    fs::remove_dir_all(env.data().join("journal")).unwrap();
    fs::remove_dir_all(env.path("run")).unwrap();
    let lines = env.run(&["events", "export"]).ok();
    assert_eq!(lines.lines().filter(|line| line.contains("\"restraint:c:")).count(), 2);
    let report = env.json(&["report", "coordination"]);
    assert_eq!((&report["schema_version"], &report["by"]), (&json!(1), &json!("coordination")));
    let totals = &report["totals"];
    assert_eq!(
        (&totals["refusals"], &totals["refusals_due"], &totals["waits"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!((report["rows"].as_array().unwrap().len(), &report["rows"][0]["refusals"]), (1, &json!(1)));
    let windows = report["windows"].as_array().unwrap();
    assert_eq!(
        (windows.len(), &windows[0]["resets_at"], &windows[0]["window"]),
        (1, &json!(reset), &json!("five_hour"))
    );
    assert_eq!(windows[0]["hit_at"], windows[0]["first_at"], "who was refused knew of a hit");
    assert_eq!(windows[0]["account"], env.claude().canonicalize().unwrap().to_str().unwrap());
    let text = env.run(&["report", "coordination"]).ok();
    assert!(text.contains("Refused") && text.contains("cannot be measured"), "{text}");
    let csv = env.run(&["report", "coordination", "--csv"]).ok();
    assert!(csv.lines().nth(1).unwrap().ends_with(",0,0,1,0,0,0,0,1"), "{csv}");
    assert_eq!(env.run(&["report", "coordination", "--since", "2099-01-01"]).ok().lines().count(), 1);
    assert_eq!(env.run(&["report", "coordination", "--session", "pts"]).code, Some(2));
    env.run(&["export", "report.json", "--quiet"]).ok();
    let export = parse(&fs::read_to_string(env.path("work/report.json")).unwrap());
    assert_eq!(export["coordination_stats"]["limits"]["totals"], *totals);
    let metrics = env.run(&["metrics"]).ok();
    for sample in ["{deed=\"refused\"} 1", "{deed=\"refusal_due\"} 1", "{deed=\"waited\"} 0"] {
        assert!(metrics.contains(&format!("claudewatch_restrained_calls_total{sample}\n")), "{metrics}");
    }
    assert!(metrics.contains("\nclaudewatch_waited_seconds_total 0\n"), "{metrics}");
    assert_eq!(env.json(&["status"])["coordination"]["last_day"]["refusals"], 1);
}

#[test]
fn who_is_ahead_of_pace_waits() {
    let env = Env::new();
    priorities(&env, "enforce", "a = \"critical\"\nc = \"background\"");
    call(&env, &[], &event(&env, "SessionStart", "b"));
    // Half of the window has passed, where 55 % are allowed; one point above the line is a wait of a second.
    sample(&env, 5_600, 9_000, "allowed");
    let begun = Instant::now();
    assert_eq!(call(&env, &[], &tool(&env, "a", "Bash")), "");
    assert_eq!(call(&env, &[], &tool(&env, "b", "Edit")), "");
    assert!(journal(&env).is_empty());
    assert_eq!(call(&env, &[], &tool(&env, "b", "Bash")), "");
    let took = begun.elapsed();
    let entries = journal(&env);
    assert_eq!(entries.len(), 1, "{entries:?}");
    let Deed::Waited { due_ms, waited_ms } = entries[0].1.deed else { panic!("{entries:?}") };
    assert_eq!((entries[0].1.why, entries[0].1.done), (Why::AheadOfPace, true));
    assert!((900..=1100).contains(&due_ms), "{entries:?}");
    assert!(waited_ms >= due_ms && took >= Duration::from_millis(waited_ms));
    // No sub-agent is started by who can wait.
    let reason = reason(&call(&env, &[], &tool(&env, "c", "Agent"))).expect("it is refused");
    assert!(reason.contains("faster than it lasts"), "{reason}");
}

/// A model that tries again and again is let through in the end.
#[test]
fn the_circuit_breaker_ends_refusals() {
    let env = Env::new();
    priorities(&env, "enforce", "c = \"background\"");
    call(&env, &[], &event(&env, "SessionStart", "c"));
    sample(&env, 10_000, 3600, "rejected");
    let answers: Vec<String> = (0..45).map(|_| call(&env, &[], &tool(&env, "c", "Bash"))).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.is_empty()).count(), 40);
    assert_eq!(journal(&env).iter().filter(|(_, it)| it.deed == Deed::Released).count(), 5);
}

#[test]
fn accounts_do_not_mix() {
    let env = Env::new();
    priorities(&env, "enforce", "c = \"background\"");
    call(&env, &[], &event(&env, "SessionStart", "c"));
    sample(&env, 10_000, 3600, "rejected");
    let other = env.path("other");
    fs::create_dir_all(other.join("projects/-p")).unwrap();
    let mut elsewhere = tool(&env, "c", "Bash");
    elsewhere["transcript_path"] = json!(other.join("projects/-p/c.jsonl"));
    let mut command = env.command(&["hook"]);
    command.env("CLAUDE_CONFIG_DIR", &other);
    assert_eq!(call_with(command, elsewhere.to_string().as_bytes()).ok(), "");
    // Outside all config folders nothing is read at all.
    assert_eq!(call(&env, &[], &elsewhere), "");
    assert!(reason(&call(&env, &[], &tool(&env, "c", "Bash"))).is_some());
}

#[test]
fn whatever_is_written_to_it_a_hook_is_silent() {
    let env = Env::new();
    board(&env);
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let long =
        json!({"hook_event_name": "Stop", "session_id": "c", "last_assistant_message": "x".repeat(3 << 20)});
    let inputs: [&[u8]; 9] = [
        b"",
        b"\0\xff\xfe",
        b"{",
        b"null",
        b"{}",
        nested.as_bytes(),
        br#"{"hook_event_name":"Stop","session_id":"\u001b[2J"}"#,
        b"{\"hook_event_name\":\"Unknown\"}",
        long.to_string().leak().as_bytes(),
    ];
    for input in inputs {
        let said = call_with(env.command(&["hook"]), input);
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""));
    }
    assert_eq!(board(&env).board().counters().unwrap()["hook_problems"], 7);
}

#[test]
fn a_wrong_call_of_the_command_refuses_nothing() {
    let env = Env::new();
    for args in [
        &["hook", "--what"][..],
        &["hook", "--policy", "harsh"],
        &["hook", "more"],
        &["--quiet", "hook", "more"],
        &["--what", "hook"],
    ] {
        assert_eq!(call_with(env.command(args), b"{}").ok(), "", "{args:?}");
    }
    fs::write(env.config().join("config.toml"), "policy = 7").unwrap();
    for args in [&["hook"][..], &["--quiet", "hook"]] {
        let said = call_with(env.command(args), b"{}");
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{args:?}");
    }
    env.run(&["explain", "hook", "--what"]).fails(2, &["--what"]);
}

/// No place to meet, one of somebody else's, one that is open to others, one of a later version, one that is held.
#[test]
fn where_coordination_is_impossible_a_hook_does_nothing() {
    let env = Env::new();
    priorities(&env, "enforce", "c = \"background\"");
    let refused = || reason(&call(&env, &[], &tool(&env, "c", "Bash")));
    assert_eq!(refused(), None);
    assert!(!env.path("run").exists(), "a call that only looks makes nothing");

    call(&env, &[], &event(&env, "SessionStart", "c"));
    sample(&env, 10_000, 3600, "rejected");
    assert!(refused().is_some(), "the test would see a refusal");

    let board_file: PathBuf = env.path("run/live.db");
    let holder = rusqlite_hold(&board_file);
    assert_eq!(refused(), None, "the board is held, and Claude Code goes on");
    drop(holder);
    assert!(refused().is_some());

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refused(), None);
        fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
    }
    version(&board_file, 99);
    assert_eq!(refused(), None);
    let mut failure = event(&env, "StopFailure", "c");
    failure["error"] = "rate_limit".into();
    failure["last_assistant_message"] = "You've hit your limit · resets 2:34am (UTC)".into();
    assert_eq!(call(&env, &[], &failure), "");
    fs::write(&board_file, "no database").unwrap();
    assert_eq!(refused(), None);
    fs::remove_dir_all(env.path("run")).unwrap();
    fs::write(env.path("run"), "a file").unwrap();
    assert_eq!(refused(), None);
    assert_eq!(call(&env, &[], &event(&env, "SessionStart", "c")), "");
}

/// Holds the board as a process does that is frozen while it owns the file.
fn rusqlite_hold(path: &std::path::Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO counter VALUES ('held', 1);",
        )
        .unwrap();
    connection
}

fn version(path: &std::path::Path, version: u32) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}
