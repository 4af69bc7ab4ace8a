//! `export`: the files with the shapes of their schemas, whole or not at all.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::env::{Env, Outcome, Reply, counts, files_below, parse};

/// Exports into a folder of its own and returns the names of what is there.
#[track_caller]
fn export(env: &Env, name: &str, more: &[&str]) -> Vec<String> {
    let folder = env.path("out");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    env.run(&[&["export", path.to_str().unwrap(), "--quiet"], more].concat()).ok();
    names(&folder)
}

fn names(folder: &Path) -> Vec<String> {
    files_below(folder).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn read(env: &Env, name: &str) -> Value {
    parse(&fs::read_to_string(env.path("out").join(name)).unwrap())
}

/// Checks a document by its schema, and that the schema knows every field: one that it does not describe is a defect of ours.
#[track_caller]
fn assert_valid(document: &Value, schema: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{schema}.schema.json"));
    let mut schema = parse(&fs::read_to_string(path).unwrap());
    close(&mut schema);
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

/// Forbids what a schema does not describe; published it allows more, because fields may be added.
fn close(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") {
            object.insert("additionalProperties".into(), json!(false));
        }
        object.values_mut().for_each(close);
    } else if let Some(array) = schema.as_array_mut() {
        array.iter_mut().for_each(close);
    }
}

#[test]
fn three_files_with_the_shapes_of_the_contract() {
    let (env, truth) = Env::with_corpus(73, 500_000);
    let expected = ["report.analytics.json", "report.json", "report.sessions.json"];
    assert_eq!(export(&env, "report.json", &[]), expected);
    let report = read(&env, "report.json");
    assert_valid(&report, "report");
    assert_valid(&read(&env, "report.sessions.json"), "sessions");
    assert_valid(&read(&env, "report.analytics.json"), "analytics");
    let total = truth.totals.input + truth.totals.output + truth.totals.cache_read;
    let total = total + truth.totals.cache_write_5m + truth.totals.cache_write_1h;
    assert_eq!(report["total_usage"]["combined_tokens"], total);
    assert_eq!(report["total_usage"]["messages"], truth.totals.messages);
    assert_eq!(report["total_usage"]["cost_usd"], env.json(&["report"])["totals"]["cost_usd"]);
    assert_eq!(report["problems"]["lines_skipped"], truth.damaged_lines);
    for part in ["projects", "users", "session_type_comparison"] {
        let rows = report[part].as_array().unwrap();
        assert_eq!(rows.iter().map(|row| counts(row).messages).sum::<u64>(), truth.totals.messages, "{part}");
    }
}

/// The option in place of the command does the same; only the moment differs.
#[test]
fn the_option_is_the_command() {
    let (env, _) = Env::with_corpus(74, 200_000);
    let names = export(&env, "report.json", &[]);
    let other = env.path("other");
    fs::create_dir(&other).unwrap();
    let path = other.join("report.json");
    env.run(&["--export-report", path.to_str().unwrap(), "--quiet"]).ok();
    assert_eq!(self::names(&other), names);
    for name in names {
        let mut documents = [read(&env, &name), parse(&fs::read_to_string(other.join(&name)).unwrap())];
        documents.iter_mut().for_each(|it| it["generated_at"] = json!(""));
        assert_eq!(documents[0], documents[1], "{name}");
    }
    // With the options of the command, wherever they stand.
    let until = ["--until", "2020-01-01", "--format", "csv"];
    let csv = env.run(&[&["export", "-"], &until[..]].concat()).ok();
    assert_eq!(env.run(&[&["--export-report", "-"], &until[..]].concat()).ok(), csv);
    assert_eq!(env.run(&[&until[..], &["--export-report=-"]].concat()).ok(), csv);
    env.run(&["--export-report", "-", "--nonsense"]).fails(2, &["--nonsense"]);
    env.run(&["--nonsense", "--status"]).fails(2, &["--nonsense"]);
}

#[test]
#[cfg(target_os = "linux")]
fn sessions_are_told_of_in_full() {
    let env = crate::status::at_work();
    let running = crate::claude::FakeClaude::start(&env, "limited-conversation");
    export(&env, "report.json", &[]);
    let key = running.key();
    let (report, sessions, analytics) =
        (read(&env, "report.json"), read(&env, "report.sessions.json"), read(&env, "report.analytics.json"));
    assert_valid(&report, "report");
    assert_valid(&sessions, "sessions");
    assert_valid(&analytics, "analytics");

    assert_eq!(report["active_sessions"], 1);
    assert_eq!(report["session_types"], json!({key.kind().name(): 1}));
    assert_eq!(report["limits"][0]["status"], "rejected");
    assert_eq!(report["limits"][0]["used_percentage"], 100.0);
    assert_eq!(report["predictions"][0]["method"], "limit_hit");
    let row = |part: &str, key: &str| {
        let rows = report[part].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {rows:?}")).clone()
    };
    assert_eq!(row("session_type_comparison", key.kind().name())["rate_limit_events"], 1);
    assert_eq!(row("users", &key.user())["messages"], 1);
    assert_eq!(row("users", "unknown")["messages"], 3);

    let session = &sessions["sessions"][0];
    assert_eq!(session["isolation_key"], json!(key));
    assert_eq!(session["detection"]["isolation_key"], json!(key));
    assert_eq!(session["detection"]["context"]["pid"], running.pid());

    let one = &analytics["sessions"][0];
    assert_eq!(
        (&one["session_id"], &one["session_type"]),
        (&json!(key.session_id()), &json!(key.kind().name()))
    );
    let stats = &one["usage_stats"];
    assert_eq!((&stats["total_tokens"], &stats["rate_limit_events"]), (&json!(30), &json!(1)));
    assert_eq!(stats["efficiency_score"], Value::Null, "too little is known for a score");
    assert_eq!(one["rate_limit_history"][0]["window"], "five_hour");
    assert_eq!(one["working_directory"], json!(env.path("work").canonicalize().unwrap()));

    // Ended, its store still says what was its own.
    drop(running);
    export(&env, "report.json", &[]);
    assert_eq!(read(&env, "report.sessions.json")["sessions"], json!([]));
    let analytics = read(&env, "report.analytics.json");
    assert_valid(&analytics, "analytics");
    assert_eq!(analytics["sessions"][0]["usage_stats"]["total_tokens"], 30);
    assert_eq!(analytics["sessions"][0]["working_directory"], "/p/other");
}

#[test]
fn csv_has_a_line_for_everything() {
    let (env, truth) = Env::with_corpus(75, 300_000);
    assert_eq!(export(&env, "usage.csv", &[]), ["usage.csv"]);
    let text = fs::read_to_string(env.path("out/usage.csv")).unwrap();
    let mut lines = text.split_terminator("\r\n");
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        &head[..8],
        ["date", "session_id", "session_type", "user", "host", "project", "conversation_id", "model"]
    );
    let column = |name: &str| head.iter().position(|it| *it == name).unwrap();
    let sum = |name: &str| -> u64 {
        let lines = text.split_terminator("\r\n").skip(1);
        lines.map(|line| line.split(',').nth(column(name)).unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(sum("messages"), truth.totals.messages);
    assert_eq!(sum("output_tokens"), truth.totals.output);
    assert_eq!(sum("cache_read_tokens"), truth.totals.cache_read);
    assert_eq!(env.run(&["export", "-", "--format", "csv"]).ok(), text);
}

#[test]
fn formulas_and_markup_in_names_stay_names() {
    let env = Env::new();
    let names = [
        "=HYPERLINK(\"http://evil\")",
        "+1",
        "-1",
        "@sum",
        "/p/<script>alert(1)</script>",
        "/p/\"><img src=x onerror=y>",
    ];
    for (number, name) in names.iter().enumerate() {
        let id = format!("msg_{number}");
        env.write(&id, &[Reply::new(&id, "2026-11-20T10:00:00Z").of(&id).folder(name).model(name)]);
    }
    let csv = env.run(&["export", "-", "--format", "csv"]).ok();
    for start in ["=", "+", "-1", "@"] {
        assert!(!csv.split([',', '\n']).any(|cell| cell.trim_matches('"').starts_with(start)), "{csv}");
    }
    let html = env.run(&["export", "-", "--format", "html"]).ok();
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;"), "{html}");
}

#[test]
fn standard_output_takes_the_report_alone() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let report = env.run(&["export", "-"]).json();
    assert_valid(&report, "report");
    assert_eq!(report["total_usage"]["combined_tokens"], 30);
    assert!(env.run(&["export", "-", "--format", "html"]).ok().starts_with("<!DOCTYPE html>"));
}

#[test]
fn spans_and_filters_hold_for_every_form() {
    let env = Env::new();
    env.write("a", &[Reply::new("msg_1", "2026-11-19T10:07:00Z").of("a").folder("/p/one")]);
    env.write(
        "b",
        &[Reply::new("msg_2", "2026-11-20T10:07:00Z").of("b").folder("/p/two").model("claude-opus-5-5")],
    );
    let tokens = |more: &[&str]| {
        let report = env.run(&[&["export", "-"], more].concat()).json();
        let csv = env.run(&[&["export", "-", "--format", "csv"], more].concat()).ok();
        assert_eq!(csv.lines().count() as u64 - 1, report["total_usage"]["messages"].as_u64().unwrap());
        report["total_usage"]["combined_tokens"].as_u64().unwrap()
    };
    assert_eq!(tokens(&[]), 60);
    assert_eq!(tokens(&["--since", "2026-11-20"]), 30);
    assert_eq!(tokens(&["--until", "2026-11-19T10:06"]), 0);
    assert_eq!(tokens(&["--project", "one"]), 30);
    assert_eq!(tokens(&["--model", "opus"]), 30);
    assert_eq!(tokens(&["--model", "opus", "--project", "one"]), 0);
    env.run(&["export", "-", "--since", "2026-11-20", "--until", "2026-11-19"])
        .fails(2, &["--since is not before"]);
}

#[test]
fn an_empty_history_is_a_report_too() {
    let env = Env::new();
    export(&env, "report.json", &[]);
    assert_valid(&read(&env, "report.json"), "report");
    assert_eq!(export(&env, "page.html", &[]).len(), 4);
    let page = fs::read_to_string(env.path("out/page.html")).unwrap();
    assert!(page.contains("Nothing was used in this time."), "{page}");
}

#[test]
fn names_say_the_form() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    assert_eq!(export(&env, "a.b.JSON", &[]), ["a.b.JSON", "a.b.analytics.json", "a.b.sessions.json"]);
    assert_eq!(
        export(&env, "usage", &["--format", "json"]).iter().filter(|it| it.starts_with("usage")).count(),
        3
    );
    env.run(&["export", "report.pdf"]).fails(2, &["cannot tell the form of report.pdf", ".html"]);
    env.run(&["export", "report"]).fails(2, &["cannot tell the form"]);
    env.run(&["export"]).fails(2, &["<FILE>"]);
    let said = env.run(&["export", "said.html"]);
    said.fails(0, &["wrote said.html"]);
    assert!(env.path("work/said.html").exists());
}

#[test]
fn what_cannot_be_written_leaves_everything_as_it_was() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    env.run(&["export", "/nowhere/report.json"]).fails(
        3,
        &[
            "cannot write /nowhere/report.json: No such file or directory (os error 2)\n",
            "make the folder first",
        ],
    );
    let folder = env.path("out/report.html");
    fs::create_dir_all(&folder).unwrap();
    env.run(&["export", folder.to_str().unwrap()]).fails(3, &["it is a folder"]);
    // One of the three cannot be written: none is.
    fs::create_dir_all(env.path("out/report.analytics.json")).unwrap();
    fs::write(env.path("out/report.json"), "old").unwrap();
    env.run(&["export", env.path("out/report.json").to_str().unwrap()]).fails(3, &["report.analytics.json"]);
    assert_eq!(fs::read_to_string(env.path("out/report.json")).unwrap(), "old");
    assert_eq!(names(&env.path("out")), ["report.json"], "nothing is left beside it");
}

/// The system would end who writes more than a user's limit allows; that is no answer to a full disk.
#[test]
#[cfg(unix)]
fn a_limit_of_file_sizes_is_an_error() {
    let env = Env::with_corpus(11, 3_000_000).0;
    fs::write(env.path("work/report.html"), "old").unwrap();
    let limited = |args: &str| {
        let mut shell = std::process::Command::new("sh");
        let program = env!("CARGO_BIN_EXE_claudewatch");
        // Blocks of 512 bytes or of 1024, as the shell likes.
        shell.args(["-c", &format!("ulimit -f 8; exec {program} {args}")]);
        let plain = env.command(&[]);
        shell.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        crate::env::Outcome::of(shell.current_dir(env.path("work")))
    };
    let report = limited("report");
    report.fails(3, &["what is new was not kept"]);
    assert!(report.stdout.contains("Total"), "{}", report.stdout);
    limited("export report.html")
        .fails(3, &["report.html: File too large (os error 27)\n", "free some space"]);
    assert_eq!(fs::read_to_string(env.path("work/report.html")).unwrap(), "old");
    assert_eq!(limited("hook").code, Some(0));
    env.run(&["report"]).ok();
}

#[test]
#[cfg(unix)]
fn a_folder_that_may_not_be_written_to() {
    use std::os::unix::fs::PermissionsExt;
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    fs::create_dir(env.path("closed")).unwrap();
    let Some(env) = env.bound_by_modes() else { return };
    fs::set_permissions(env.path("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let outcome = env.run(&["export", env.path("closed/report.html").to_str().unwrap()]);
    outcome.fails(3, &["cannot write", "choose a folder that you may write to"]);
    fs::set_permissions(env.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
#[cfg(unix)]
fn a_full_disk_keeps_the_old_files() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let at = env.path("out");
    fs::create_dir(&at).unwrap();
    let Some(disk) = crate::faults::Disk::mount(&at, 256) else { return };
    export(&env, "report.json", &[]);
    let old = fs::read(at.join("report.json")).unwrap();
    fs::remove_file(at.join("report.analytics.json")).unwrap();
    let filler = disk.fill();
    let path = at.join("report.json");
    let outcome: Outcome = env.run(&["export", path.to_str().unwrap()]);
    outcome.fails(3, &["cannot write", "free some space"]);
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(names(&at), ["filler", "report.json", "report.sessions.json"]);
    fs::remove_file(filler).unwrap();
    env.run(&["export", path.to_str().unwrap(), "--quiet"]).ok();
    assert_eq!(names(&at).len(), 3);
}

/// Links are followed, as the shell's `>` does; what a device is given is written in place.
#[test]
#[cfg(target_os = "linux")]
fn links_and_devices() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    fs::create_dir(env.path("out")).unwrap();
    fs::write(env.path("out/real.html"), "old").unwrap();
    std::os::unix::fs::symlink("real.html", env.path("out/link.html")).unwrap();
    export(&env, "link.html", &[]);
    assert!(fs::symlink_metadata(env.path("out/link.html")).unwrap().is_symlink());
    assert!(fs::read_to_string(env.path("out/real.html")).unwrap().starts_with("<!DOCTYPE"));
    env.run(&["export", "/dev/null", "--format", "html", "--quiet"]).ok();
    env.run(&["export", "/dev/full", "--format", "html"])
        .fails(3, &["cannot write /dev/full", "free some space"]);
}
