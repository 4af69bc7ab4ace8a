//! The monitor in a pipe, as text and as JSON, and the demonstration: a line per change, soon, to a quiet end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::env::{Env, PATIENCE, Reply, append, append_bytes, counts, parse, wait, write_bytes};

/// The monitor promises a second; a machine that tests may be busy. What was missed would be found after five minutes.
const LATENCY_MAX: Duration = Duration::from_secs(10);

#[test]
fn json_begins_at_once_and_follows_every_line() {
    let (env, truth) = Env::with_corpus(31, 200_000);
    let monitor = env.start(&["--json"]);
    let first = parse(&monitor.line());
    assert_eq!(first["schema_version"], 1);
    assert_eq!(counts(&first["totals"]), truth.totals);
    let conversations = first["conversations_total"].as_u64().unwrap();
    assert!(conversations >= truth.by_conversation.len() as u64, "refused ones are told of as well");

    env.write("live", &[Reply::now("msg_live_1").of("live").output(7)]);
    let line = monitor.until_messages(LATENCY_MAX, truth.totals.messages + 1);
    let newest = &line["conversations"][0];
    assert_eq!((&newest["conversation_id"], &newest["state"]), (&json!("live"), &json!("idle")));
    assert_eq!((&newest["output_tokens"], &newest["project"]), (&json!(7), &json!("/p/shop")));
    assert_eq!(line["block"]["active"], true);
    assert!(line["tokens_per_minute"].as_f64().is_some_and(|rate| rate > 0.0));

    // A line in pieces counts when it is whole.
    let reply = format!("{}\n", Reply::now("msg_live_2").of("live"));
    let (head, tail) = reply.split_at(reply.len() / 2);
    append_bytes(&env.transcript("live"), head.as_bytes());
    let early = monitor.line_within(Duration::from_millis(400));
    assert!(early.is_none_or(|line| parse(&line)["totals"]["messages"] == truth.totals.messages + 1));
    append_bytes(&env.transcript("live"), tail.as_bytes());
    monitor.until_messages(LATENCY_MAX, truth.totals.messages + 2);

    // A prompt brings no tokens, and is news all the same.
    env.write("live", &[crate::env::prompt("live", &crate::env::now().to_string())]);
    monitor.until(LATENCY_MAX, |line| parse(line)["conversations"][0]["state"] == "working");
}

#[test]
fn text_has_a_summary_and_a_line_for_each_change() {
    let env = Env::new();
    env.write("old", &[Reply::new("msg_1", "2026-11-20T10:00:00Z").of("old")]);
    let monitor = env.start(&["--all"]);
    let first = monitor.line();
    assert!(first.contains("1 conversation, 30 tokens, $0.0002; today "), "{first}");
    env.write("live", &[Reply::now("msg_2").of("live").folder("/p/live")]);
    let line = monitor.until(LATENCY_MAX, |line| line.contains("/p/live"));
    assert!(line.contains("idle") && line.contains("sonnet-5-5  1 message  30 tokens"), "{line}");
    assert!(!line.contains('\x1b'), "no colours in a pipe: {line}");
    env.write("live", &[Reply::now("msg_3").of("live").folder("/p/live")]);
    monitor.until(LATENCY_MAX, |line| line.contains("2 messages  60 tokens"));
}

#[test]
fn new_files_and_folders_are_seen() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_0")]);
    let monitor = env.start(&["--json"]);
    parse(&monitor.line());
    let mut messages = 1;
    let mut appear = |path: &str, conversation: &str| {
        messages += 1;
        append(&env.claude().join(path), &[Reply::now(&format!("msg_{messages}")).of(conversation)]);
        monitor.until_messages(LATENCY_MAX, messages);
    };
    appear("projects/-p/d.jsonl", "d");
    appear("projects/-q/e.jsonl", "e");
    appear("projects/-q/e/subagents/agent-a1.jsonl", "e");
    appear("projects/-q/e/subagents/workflows/wf_1/agent-a2.jsonl", "e");
    appear("projects/-q/e/subagents/workflows/wf_1/agent-a3.jsonl", "e");
    appear("projects/-r/agent-a4.jsonl", "f");
}

#[test]
fn a_folder_moved_into_place_is_seen() {
    let env = Env::new();
    let monitor = env.start(&["--json"]);
    monitor.line();
    let outside = env.path("outside");
    append(&outside.join("g.jsonl"), &[Reply::now("msg_1").of("g")]);
    fs::rename(&outside, env.projects().join("-moved")).unwrap();
    monitor.until_messages(LATENCY_MAX, 1);
    // A file that is written elsewhere and renamed is seen, too.
    append(&env.path("h"), &[Reply::now("msg_2").of("h")]);
    fs::rename(env.path("h"), env.projects().join("-moved/h.jsonl")).unwrap();
    monitor.until_messages(LATENCY_MAX, 2);
}

#[test]
fn a_projects_folder_that_comes_later_is_seen() {
    let env = Env::bare();
    fs::create_dir(env.claude()).unwrap();
    fs::write(env.claude().join("settings.json"), "{}").unwrap();
    let monitor = env.start(&["--json"]);
    assert_eq!(parse(&monitor.line())["conversations_total"], 0);
    env.write("c", &[Reply::now("msg_1")]);
    monitor.until_messages(LATENCY_MAX, 1);
    env.write("c", &[Reply::now("msg_2")]);
    monitor.until_messages(LATENCY_MAX, 2);
    // Somebody cleans up, and Claude Code begins anew.
    fs::remove_dir_all(env.claude()).unwrap();
    env.write("d", &[Reply::now("msg_3").of("d")]);
    monitor.until_messages(LATENCY_MAX, 3);
    env.write("d", &[Reply::now("msg_4").of("d")]);
    monitor.until_messages(LATENCY_MAX, 4);
}

#[test]
fn truncated_and_rewritten_files_lose_and_repeat_nothing() {
    let env = Env::new();
    let reply = |number: u64| Reply::now(&format!("msg_{number}"));
    env.write("c", &[reply(1), reply(2), reply(3)]);
    let monitor = env.start(&["--json"]);
    monitor.until_messages(PATIENCE, 3);
    let transcript = env.transcript("c");
    let whole = fs::read(&transcript).unwrap();
    // Cut, and written on.
    fs::File::options().write(true).open(&transcript).unwrap().set_len(whole.len() as u64 / 2).unwrap();
    append(&transcript, &["", &reply(4).to_string()]);
    monitor.until_messages(LATENCY_MAX, 4);
    // Rewritten with what it had and one more.
    write_bytes(&transcript, &[whole.as_slice(), format!("{}\n", reply(5)).as_bytes()].concat());
    monitor.until_messages(LATENCY_MAX, 5);
    // Replaced by another file of the same length.
    let other = env.path("other");
    let text = String::from_utf8(fs::read(&transcript).unwrap()).unwrap();
    write_bytes(&other, text.replace("\"msg_1\"", "\"msg_6\"").as_bytes());
    fs::rename(&other, &transcript).unwrap();
    monitor.until_messages(LATENCY_MAX, 6);
    // Emptied, and begun anew.
    write_bytes(&transcript, b"");
    append(&transcript, &[reply(7)]);
    monitor.until_messages(LATENCY_MAX, 7);
}

#[test]
fn the_working_folders_project_is_shown_unless_all_are_wanted() {
    let env = Env::new();
    let work = env.path("work").canonicalize().unwrap();
    env.write("here", &[Reply::now("msg_1").of("here").folder(work.to_str().unwrap())]);
    env.write("there", &[Reply::now("msg_2").of("there").folder("/p/there")]);
    let shown = |args: &[&str]| parse(&env.start(args).line())["conversations_total"].clone();
    assert_eq!(shown(&["--json"]), 1);
    assert_eq!(shown(&["--json", "--all"]), 2);
    fs::remove_dir_all(env.data()).unwrap();
    fs::remove_file(env.transcript("here")).unwrap();
    // Where there is nothing, everything is better.
    assert_eq!(shown(&["--json"]), 1);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_a_quiet_end() {
    for args in [&["--json"][..], &["--all"]] {
        let env = Env::new();
        env.write("c", &[Reply::now("msg_1")]);
        let mut monitor = env.start(args);
        monitor.line();
        monitor.close_pipe();
        // The first line closes the pipe at the reader, a later one tells the writer.
        let end = Instant::now() + PATIENCE;
        for number in 2.. {
            env.write("c", &[Reply::now(&format!("msg_{number}"))]);
            std::thread::sleep(Duration::from_millis(50));
            if monitor.child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < end, "the monitor goes on without a reader");
        }
        let (status, stderr) = monitor.end();
        assert_eq!(status.code(), Some(0));
        assert!(!stderr.contains("rror"), "{stderr}");
    }
}

/// `claudewatch | head -1`, where nothing happens.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_is_noticed_at_once() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let mut monitor = env.command(&["--json"]);
    let mut monitor = monitor.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    // No other line comes that could not be written.
    drop(lines);
    assert_eq!(wait(&mut monitor).expect("it ends").code(), Some(0));
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it() {
    use std::os::unix::process::ExitStatusExt;
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    let monitor = env.start(&["--json"]);
    monitor.line();
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
    let (status, _) = monitor.end();
    assert_eq!(status.signal(), Some(15));
    assert_eq!(env.ended_without_a_word(), 0);
    // What it had read is in the archive.
    fs::remove_dir_all(env.projects()).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], 1);
}

#[cfg(unix)]
#[test]
fn the_demo_leaves_nothing_behind() {
    use nix::sys::signal::Signal;
    let left = |env: &Env| fs::read_dir(env.path("tmp")).unwrap().count();
    // A demonstration needs no Claude Code, and touches neither its data nor ours.
    let env = Env::bare();
    let demo = env.start(&["demo", "--json"]);
    let first = parse(&demo.line());
    assert!(first["totals"]["messages"].as_u64().unwrap() > 100, "{first}");
    let shown = first["totals"]["messages"].clone();
    demo.until(PATIENCE, |line| parse(line)["totals"]["messages"] != shown);
    // Its account has limits that rise, with shares of those who work, as if there were status lines.
    demo.until(PATIENCE, |line| {
        let limits = parse(line)["limits"].as_array().unwrap().clone();
        let is_used = |it: &serde_json::Value| it["used_percentage"].as_f64().is_some_and(|used| used > 50.0);
        let is_shared = |it: &serde_json::Value| it["shares"].as_array().is_some_and(|all| !all.is_empty());
        let windows: Vec<_> = limits.iter().map(|it| it["window"].as_str().unwrap()).collect();
        windows == ["five_hour", "seven_day"] && limits.iter().all(|it| is_used(it) && is_shared(it))
    });
    assert_eq!(left(&env), 1);
    demo.signal(Signal::SIGTERM);
    demo.end();
    assert_eq!(left(&env), 0, "the scratch folder is removed");
    assert_eq!(fs::read_dir(env.path("home")).unwrap().count(), 0);

    // A signal while the history is being written leaves nothing, either.
    let demo = env.start(&["demo", "--json"]);
    let end = Instant::now() + PATIENCE;
    while left(&env) == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    // Not SIGINT, which a shell has its background jobs ignore.
    demo.signal(Signal::SIGTERM);
    demo.end();
    assert_eq!(left(&env), 0, "the scratch folder is removed");
}

#[test]
fn two_monitors_may_start_at_the_same_instant() {
    for seed in 32..35 {
        let (env, truth) = Env::with_corpus(seed, 150_000);
        let monitors = [env.start(&["--json"]), env.start(&["--json"])];
        for monitor in &monitors {
            let first = parse(&monitor.line());
            assert_eq!(counts(&first["totals"]), truth.totals);
        }
        env.write("live", &[Reply::now("msg_live").of("live")]);
        for monitor in &monitors {
            monitor.until_messages(LATENCY_MAX, truth.totals.messages + 1);
        }
    }
}
