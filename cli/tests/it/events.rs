//! `events`: a history goes from one host to another, once however often it is sent, whatever happens to it on the way.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::env::{Env, Outcome, Reply};

/// What two hosts must agree on: every row of every grouping that needs no folder of the host.
fn figures(env: &Env) -> Vec<Value> {
    let groupings = ["daily", "conversation", "model", "block"];
    let mut reports: Vec<Value> = groupings.map(|by| env.json(&["report", by])).into();
    for report in &mut reports {
        // Lines that one host could not read are its own.
        report["problems"]["lines_skipped"] = json!(0);
    }
    reports
}

fn import(env: &Env, text: &str) -> Outcome {
    let path = env.path("import.ndjson");
    fs::write(&path, text).unwrap();
    let mut command = env.command(&["events", "import", "--json"]);
    Outcome::of(command.stdin(Stdio::from(fs::File::open(path).unwrap())))
}

#[test]
fn a_history_moves_to_another_host() {
    let (here, _) = Env::with_corpus(71, 400_000);
    let text = here.run(&["events", "export"]).ok();
    assert_eq!(here.run(&["events", "export", "-"]).ok(), text, "the same ledger gives the same bytes");
    let file = here.path("events.ndjson");
    here.run(&["events", "export", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    let there = Env::bare();
    let events = text.lines().count();
    let first = import(&there, &text).json();
    assert_eq!(first, json!({"schema_version": 1, "events": events, "added": events, "skipped": {}}));
    assert_eq!(figures(&there), figures(&here));
    assert_eq!(import(&there, &text).json()["added"], 0);
    assert_eq!(there.run(&["events", "export"]).ok(), text);

    // A host with a history of its own holds both, once.
    let (both, _) = Env::with_corpus(71, 400_000);
    both.write("own", &[Reply::new("msg_own", "2026-11-20T10:00:00Z").of("own")]);
    let messages = |env: &Env| env.json(&["report"])["totals"]["messages"].as_u64().unwrap();
    let before = messages(&both);
    assert_eq!(before, messages(&here) + 1);
    assert_eq!(import(&both, &text).json()["added"], 0);
    assert_eq!(messages(&both), before);
}

#[test]
fn damage_is_counted_and_never_fatal() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let text = env.run(&["events", "export"]).ok();
    let good = text.lines().count();
    let torn = &text[..text.len() - 9];
    let mixed = format!("\u{1b}[2J\n{text}{{\"v\":2,\"new\":true}}\n\n{}\n{torn}", "[".repeat(1000));

    let there = Env::bare();
    let outcome = import(&there, &mixed).json();
    assert_eq!(outcome["events"], good + good - 1);
    assert_eq!(outcome["added"], good);
    assert_eq!(outcome["skipped"], json!({"damaged": 3, "newer": 1}));
    let path = there.path("import.ndjson");
    let said = there.run(&["events", "import", path.to_str().unwrap()]).ok();
    assert!(
        said.contains("0 of them new.\n4 lines were passed over: 3 damaged or cut, 1 of a newer version."),
        "{said}"
    );
    assert!(said.contains("The first is line 1 of ") && !said.contains('\u{1b}'), "{said}");

    let nothing = import(&Env::bare(), "not an event\n");
    assert_eq!(nothing.json_with(1)["skipped"], json!({"damaged": 1}));
    assert_eq!(import(&Env::bare(), "").json()["events"], 0);
}

#[test]
fn a_span_is_a_part_of_the_history() {
    let env = Env::new();
    let at = |id: &str, at: &str| Reply::new(id, at);
    env.write("c", &[at("msg_1", "2026-11-19T23:59:59Z"), at("msg_2", "2026-11-20T00:00:00Z")]);
    let ids = |args: &[&str]| {
        let text = env.run(&[&["events", "export"], args].concat()).ok();
        ["msg_1", "msg_2"].map(|id| text.contains(id))
    };
    assert_eq!(ids(&[]), [true, true]);
    assert_eq!(ids(&["--since", "2026-11-20"]), [false, true]);
    assert_eq!(ids(&["--until", "2026-11-20"]), [true, false]);
    env.run(&["events", "export", "--since", "tomorrow"]).fails(2, &["--since"]);
}

/// Names come as they were, but a terminal the lines are looked at in is safe from them.
#[test]
fn names_of_folders_do_no_harm() {
    let (there, here) = (Env::new(), Env::new());
    there.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z").folder("/p/\u{9b}31m\u{202e}")]);
    let lines = there.run(&["events", "export"]).ok();
    assert!(lines.is_ascii() && lines.contains(r"\u009b31m\u202e"), "{lines}");
    import(&here, &lines);
    let project = |env: &Env| env.json(&["report", "project"])["rows"][0]["key"].clone();
    assert_eq!(project(&here), project(&there));
}

#[test]
fn what_was_pruned_stays_away_and_is_said() {
    let (there, here) = (Env::new(), Env::new());
    there.write("old", &[Reply::new("msg_1", "2025-03-05T10:00:00Z"), Reply::now("msg_2")]);
    here.write("pruned", &[Reply::new("msg_3", "2025-01-01T10:00:00Z")]);
    here.run(&["report"]).ok();
    here.run(&["prune", "--older-than", "90d", "--yes"]).ok();
    let lines = there.run(&["events", "export"]).ok();
    let told = import(&here, &lines).json();
    assert_eq!((&told["added"], &told["skipped"]), (&json!(2), &json!({"pruned": 1})), "{told}");
    assert_eq!(here.json(&["report"])["totals"]["messages"], 1);
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    env.run(&["events", "import", "/nowhere/events"]).fails(3, &["cannot read /nowhere/events"]);
    env.run(&["events", "export", "/nowhere/events"])
        .fails(3, &["cannot write /nowhere/events", "make the folder first"]);
    env.run(&["events", "export", env.path("tmp").to_str().unwrap()]).fails(3, &["it is a folder"]);
    #[cfg(target_os = "linux")]
    env.run(&["events", "export", "/dev/full"]).fails(3, &["cannot write /dev/full", "free some space"]);
}
