//! Settings by option, variable, file and default; what is wrong is said, with the exit codes of the contract.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::env::{Env, Outcome, Reply, append, messages, parse, rows};

/// Writes one reply into a config folder, by which it is recognised.
fn fill(claude_dir: &Path, name: &str) {
    let reply =
        Reply::new(&format!("msg_{name}"), "2026-11-20T23:30:00Z").of(name).folder(&format!("/p/{name}"));
    append(&claude_dir.join(format!("projects/-p/{name}.jsonl")), &[reply]);
}

/// The names of the config folders that a report covers.
fn covered(report: &Value) -> Vec<String> {
    rows(report).iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

fn with(env: &Env, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    Outcome::of(env.command(args).envs(variables.iter().copied()))
}

#[test]
fn option_variable_file_default() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let day = |args: &[&str], variables: &[(&str, &str)]| {
        let report = with(&env, &[&["report", "--json"], args].concat(), variables).json();
        messages(&report).remove(0).0
    };
    let (today, tomorrow) = ("2026-11-20", "2026-11-21");
    // Each layer asks for another zone: west, far east, UTC.
    assert_eq!(day(&[], &[]), today, "the system's zone is UTC here");
    assert_eq!(day(&[], &[("TZ", "Asia/Tokyo")]), tomorrow, "TZ is the system's setting");
    fs::write(env.config().join("config.toml"), "timezone = \"Asia/Tokyo\"\n").unwrap();
    assert_eq!(day(&[], &[]), tomorrow, "the file comes before the default");
    assert_eq!(day(&[], &[("CLAUDEWATCH_TIMEZONE", "UTC")]), today, "the variable comes before the file");
    assert_eq!(day(&[], &[("CLAUDEWATCH_TIMEZONE", "")]), tomorrow, "an empty variable is none");
    let both = [("CLAUDEWATCH_TIMEZONE", "UTC")];
    assert_eq!(day(&["--timezone", "Asia/Tokyo"], &both), tomorrow, "the option comes first");

    // Flags, too: what the file turns on a variable turns off.
    fs::write(env.config().join("config.toml"), "json = true\n").unwrap();
    parse(&env.run(&["report"]).ok());
    assert!(with(&env, &["report"], &[("CLAUDEWATCH_JSON", "no")]).ok().starts_with('┌'));
    fs::write(env.config().join("config.toml"), "json = false\n").unwrap();
    parse(&with(&env, &["report"], &[("CLAUDEWATCH_JSON", "1")]).ok());
    parse(&env.run(&["report", "--json"]).ok());
}

/// What `status` says of coordination: mode, isolation, whether notices are shown.
fn coordination(env: &Env, args: &[&str], variables: &[(&str, &str)]) -> (String, String, bool) {
    let status = with(env, &[&["status", "--json"], args].concat(), variables).json();
    let told = &status["coordination"];
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    (text("mode"), text("isolation"), told["notify"].as_bool().unwrap())
}

#[test]
fn coordination_is_set_by_all_layers() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let file = env.config().join("config.toml");
    let check = |text: &str, variables: &[(&str, &str)], args: &[&str], expected: (&str, &str, bool)| {
        fs::write(&file, text).unwrap();
        let (mode, isolation, notify) = coordination(&env, args, variables);
        assert_eq!((mode.as_str(), isolation.as_str(), notify), expected, "{text} {variables:?} {args:?}");
    };
    let (multi, single, none) = ("multi-session", "single-session", "none");
    check("", &[], &[], (multi, "unified", true));

    // The three options of the mode are one setting, which the first layer that speaks decides.
    check("single_session = true\n", &[], &[], (single, "unified", false));
    check("multi_session = false\n", &[], &[], (single, "unified", false));
    check("single_session = true\n", &[("CLAUDEWATCH_NO_COORDINATION", "1")], &[], (none, "unified", false));
    check("no_coordination = true\n", &[("CLAUDEWATCH_MULTI_SESSION", "1")], &[], (multi, "unified", true));
    check("single_session = true\n", &[("CLAUDEWATCH_SINGLE_SESSION", "0")], &[], (multi, "unified", true));
    let variable = [("CLAUDEWATCH_SINGLE_SESSION", "1")];
    check("", &variable, &["--multi-session"], (multi, "unified", true));
    check("", &variable, &["--no-coordination"], (none, "unified", false));
    check("no_coordination = true\n", &[], &["--single-session"], (single, "unified", false));

    check("isolation = \"complete\"\n", &[], &[], (multi, "complete", false));
    let variable = [("CLAUDEWATCH_ISOLATION", "shared-learning")];
    check("isolation = \"complete\"\n", &variable, &[], (multi, "shared-learning", true));
    check("isolation = \"complete\"\n", &variable, &["--isolation=unified"], (multi, "unified", true));
    check("", &variable, &["--isolation", "complete"], (multi, "complete", false));

    check("cross_session_notify = false\n", &[], &[], (multi, "unified", false));
    check("no_cross_session_notify = true\n", &[], &[], (multi, "unified", false));
    let variable = [("CLAUDEWATCH_CROSS_SESSION_NOTIFY", "yes")];
    check("no_cross_session_notify = true\n", &variable, &[], (multi, "unified", true));
    check("", &variable, &["--no-cross-session-notify"], (multi, "unified", false));
    let variable = [("CLAUDEWATCH_NO_CROSS_SESSION_NOTIFY", "1")];
    check("", &variable, &[], (multi, "unified", false));
    check("", &variable, &["--cross-session-notify"], (multi, "unified", true));
    check("optimize_resources = true\n", &[], &[], (multi, "unified", true));
}

#[test]
fn contradictions_are_named() {
    let env = Env::new();
    fill(&env.claude(), "c");
    for pair in [
        ["--single-session", "--multi-session"],
        ["--no-coordination", "--multi-session"],
        ["--cross-session-notify", "--no-cross-session-notify"],
    ] {
        env.run(&[&["status"], &pair[..]].concat()).fails(2, &["cannot be used with"]);
    }
    env.run(&["status", "--isolation", "none"]).fails(2, &["complete, shared-learning, unified"]);
    let check = |variables: &[(&str, &str)], complaint: &str| {
        with(&env, &["status"], variables).fails(2, &[complaint]);
    };
    check(
        &[("CLAUDEWATCH_SINGLE_SESSION", "1"), ("CLAUDEWATCH_MULTI_SESSION", "1")],
        "single_session and multi_session exclude each other",
    );
    check(
        &[("CLAUDEWATCH_CROSS_SESSION_NOTIFY", "1"), ("CLAUDEWATCH_NO_CROSS_SESSION_NOTIFY", "1")],
        "the environment: cross_session_notify and no_cross_session_notify contradict each other",
    );
    check(
        &[("CLAUDEWATCH_ISOLATION", "none")],
        "isolation: `none` is none of complete, shared-learning, unified",
    );
    fs::write(env.config().join("config.toml"), "no_coordination = true\nmulti_session = true\n").unwrap();
    let file = "config.toml: no_coordination and multi_session exclude each other";
    env.run(&["status"]).fails(2, &[file]);
}

#[test]
fn the_configuration_may_lie_elsewhere() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let elsewhere = env.path("elsewhere.toml");
    fs::write(&elsewhere, "json = true\n").unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    parse(&env.run(&["report", "--config", elsewhere]).ok());
    parse(&with(&env, &["report"], &[("CLAUDEWATCH_CONFIG", elsewhere)]).ok());
    assert!(with(&env, &["report"], &[("CLAUDEWATCH_CONFIG", "")]).ok().starts_with('┌'));
    // Below XDG_CONFIG_HOME, if that is an absolute path.
    fs::create_dir_all(env.path("xdg/claudewatch")).unwrap();
    fs::write(env.path("xdg/claudewatch/config.toml"), "json = true\n").unwrap();
    parse(&with(&env, &["report"], &[("XDG_CONFIG_HOME", env.path("xdg").to_str().unwrap())]).ok());
    assert!(with(&env, &["report"], &[("XDG_CONFIG_HOME", "../xdg")]).ok().starts_with('┌'));
    // One that was asked for must be there.
    env.run(&["report", "--config", "missing.toml"]).fails(2, &["cannot read missing.toml", "No such file"]);
}

#[test]
fn wrong_settings_are_named() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let file = env.config().join("config.toml");
    let check = |text: &str, complaints: &[&str]| {
        fs::write(&file, text).unwrap();
        let outcome = env.run(&["report"]);
        outcome.fails(2, complaints);
        assert!(outcome.stderr.contains("config.toml") && outcome.stdout.is_empty(), "{text}");
    };
    check("timezome = \"UTC\"\n", &["unknown key `timezome`", "known keys: ", "timezone"]);
    check("timezone = 1\n", &["`timezone` must be a text"]);
    check("quiet = \"yes\"\n", &["`quiet` must be true or false"]);
    check("claude_dir = [1]\n", &["`claude_dir` must be a path or a list of paths"]);
    check("data_dir = [\"a\"]\n", &["`data_dir` must be a text"]);
    check("timezone = \n", &["TOML parse error"]);
    check("\u{fffd}", &["TOML parse error"]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    env.run(&["report"]).fails(2, &["cannot read", "config.toml"]);
    fs::remove_dir(&file).unwrap();

    let check = |variables: &[(&str, &str)], complaints: &[&str]| {
        with(&env, &["report"], variables).fails(2, complaints);
    };
    check(&[("CLAUDEWATCH_QUIET", "maybe")], &["CLAUDEWATCH_QUIET: `maybe` is neither true nor false"]);
    check(&[("CLAUDEWATCH_COLOR", "blue")], &["`blue` is none of auto, always, never"]);
    check(
        &[("CLAUDEWATCH_TIMEZONE", "Mars/Olympus")],
        &["unknown time zone `Mars/Olympus`", "Europe/Berlin"],
    );
    env.run(&["report", "--timezone", "../../etc/passwd"]).fails(2, &["unknown time zone"]);
    for args in
        [&["report", "hourly"][..], &["rapport"], &["report", "--colour"], &["report", "--color", "blue"]]
    {
        env.run(args).fails(2, &["error: "]);
    }
}

#[test]
fn config_folders_are_found() {
    let env = Env::bare();
    let [one, two, xdg] = ["one", "two", "home/.config/claude"].map(|name| env.path(name));
    fill(&env.claude(), "home");
    fill(&xdg, "xdg");
    fill(&one, "one");
    fill(&two, "two");
    let [one, two] = [one, two].map(|dir| dir.to_str().unwrap().to_owned());
    let data = std::cell::Cell::new(0);
    let check = |args: &[&str], variables: &[(&str, &str)], expected: &[&str]| {
        // An archive of its own for each, because nothing counted is forgotten.
        data.set(data.get() + 1);
        let dir = env.path(format!("data-{}", data.get()));
        let args =
            [&["report", "conversation", "--json", "--data-dir", dir.to_str().unwrap()], args].concat();
        assert_eq!(covered(&with(&env, &args, variables).json()), expected, "{args:?} {variables:?}");
    };
    check(&[], &[], &["home", "xdg"]);
    check(&[], &[("CLAUDE_CONFIG_DIR", &one)], &["one"]);
    check(&[], &[("CLAUDE_CONFIG_DIR", &format!("{one}, {two},"))], &["one", "two"]);
    check(&[], &[("CLAUDE_CONFIG_DIR", "~/.claude")], &["home"]);
    check(&[], &[("CLAUDE_CONFIG_DIR", "")], &["home", "xdg"]);
    check(&[], &[("CLAUDE_CONFIG_DIR", &one), ("CLAUDEWATCH_CLAUDE_DIR", &two)], &["two"]);
    check(&["--claude-dir", &one], &[("CLAUDEWATCH_CLAUDE_DIR", &two)], &["one"]);
    check(&["--claude-dir", &one, "--claude-dir", &two], &[], &["one", "two"]);
    check(&["--claude-dir", "../one"], &[], &["one"]);
    check(&[], &[("XDG_CONFIG_HOME", &one)], &["home"]);
    fs::write(env.config().join("config.toml"), "claude_dir = [\"~/.claude\", \"~/../two\"]\n").unwrap();
    check(&[], &[("CLAUDE_CONFIG_DIR", &one)], &["home", "two"]);
    fs::write(env.config().join("config.toml"), "claude_dir = \"~/.config/claude\"\n").unwrap();
    check(&[], &[], &["xdg"]);
}

#[test]
fn the_archive_lies_where_it_should() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let check = |args: &[&str], variables: &[(&str, &str)], expected: &str| {
        let archive = env.path(expected).join("archive.db");
        assert!(!archive.exists());
        with(&env, &[&["report"], args].concat(), variables).ok();
        assert!(archive.exists(), "{expected}");
    };
    check(&[], &[], "home/.local/share/claudewatch");
    check(&[], &[("XDG_DATA_HOME", env.path("xdg").to_str().unwrap())], "xdg/claudewatch");
    check(&[], &[("CLAUDEWATCH_DATA_DIR", "~/variable/deep")], "home/variable/deep");
    check(&["--data-dir", "relative"], &[("CLAUDEWATCH_DATA_DIR", "~/other")], "work/relative");
    fs::write(env.config().join("config.toml"), "data_dir = \"~/file\"\n").unwrap();
    check(&[], &[], "home/file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&env.data()), 0o700, "the folder is the owner's alone");
        assert_eq!(mode(&env.archive()), 0o600, "the archive is the owner's alone");
    }
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let env = Env::bare();
    let odd = env.path(OsStr::from_bytes(b"caf\xe9"));
    fill(&odd, "odd");
    let report = |command: &mut std::process::Command| covered(&Outcome::of(command).json());
    let args = ["report", "conversation", "--json"];
    assert_eq!(report(env.command(&args).arg("--claude-dir").arg(&odd)), ["odd"]);
    assert_eq!(
        report(env.command(&args).env("CLAUDE_CONFIG_DIR", &odd).env("CLAUDEWATCH_DATA_DIR", &odd)),
        ["odd"]
    );
    assert!(odd.join("archive.db").exists());
}

#[test]
fn where_nothing_is_found_it_is_said_where_it_was_looked_for() {
    let env = Env::bare();
    let home = env.path("home");
    let [xdg, own] = [".config/claude", ".claude"].map(|name| home.join(name).to_str().unwrap().to_owned());
    for args in [&["report"][..], &[], &["status"], &["explain", "2026-11-20"], &["--json"]] {
        let outcome = env.run(args);
        outcome.fails(1, &["no Claude Code data found", &xdg, &own, "--claude-dir", "claudewatch demo"]);
        assert_eq!(outcome.stdout, "");
    }
    env.run(&["report", "--claude-dir", "nowhere"]).fails(1, &["  nowhere\n"]);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "nothing is made where nothing was found");
    Outcome::of(env.command(&["report"]).env("CLAUDE_CONFIG_DIR", "~/elsewhere"))
        .fails(1, &[home.join("elsewhere").to_str().unwrap()]);
}

#[test]
fn colours_are_for_those_who_want_them() {
    let env = Env::new();
    fill(&env.claude(), "c");
    let check = |args: &[&str], variables: &[(&str, &str)], colored: bool| {
        let text = with(&env, &[&["report"], args].concat(), variables).ok();
        assert_eq!(text.contains("\x1b["), colored, "{args:?} {variables:?}");
    };
    check(&[], &[], false);
    check(&["--color", "always"], &[], true);
    check(&["--color", "always"], &[("NO_COLOR", "1")], true);
    check(&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false);
    check(&[], &[("CLICOLOR_FORCE", "1")], true);
    check(&[], &[("CLICOLOR_FORCE", "0")], false);
    check(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
    check(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true);
    check(&[], &[("CLAUDEWATCH_COLOR", "always")], true);
    check(&["--json", "--color", "always"], &[], false);
    check(&["--csv", "--color", "always"], &[], false);
}

#[test]
fn help_and_version_are_success() {
    let env = Env::bare();
    let help = env.run(&["--help"]).ok();
    for part in
        ["report", "explain", "status", "demo", "--claude-dir", "--data-dir", "--timezone", "Exit codes"]
    {
        assert!(help.contains(part), "`{part}` is not in\n{help}");
    }
    assert!(env.run(&["--version"]).ok().starts_with("claudewatch "));
    // What a command takes itself comes first, in one piece.
    let report = env.run(&["report", "--help"]).ok();
    let place = |text: &str| report.find(text).unwrap_or_else(|| panic!("`{text}` is not in\n{report}"));
    let order = ["--since", "--csv", "Everywhere:", "--json", "Monitor and status:", "--all"].map(place);
    assert!(order.is_sorted(), "{report}");
}

#[test]
fn options_of_reports_are_set_by_all_layers() {
    let env = Env::new();
    let replies = [("msg_1", "2026-11-20T10:00:00Z"), ("msg_2", "2026-11-21T10:00:00Z")];
    env.write("c", &replies.map(|(id, at)| Reply::new(id, at).folder("/p/one")));
    let counted = |args: &[&str], variables: &[(&str, &str)]| {
        let report = with(&env, &[&["report", "--json"], args].concat(), variables).json();
        report["totals"]["messages"].as_u64().unwrap()
    };
    assert_eq!(counted(&[], &[]), 2);
    for (name, value, left) in [
        ("SINCE", "2026-11-21", 1),
        ("UNTIL", "2026-11-20", 0),
        ("PROJECT", "/p/two", 0),
        ("MODEL", "opus", 0),
        ("SESSION", "pts/9", 0),
        ("TYPE", "ssh", 0),
        ("CSV", "1", 2),
    ] {
        assert_eq!(counted(&[], &[(&format!("CLAUDEWATCH_{name}"), value)]), left, "{name}");
    }
    assert_eq!(counted(&["--project", "/p/one"], &[("CLAUDEWATCH_PROJECT", "/p/two")]), 2);
    with(&env, &["report"], &[("CLAUDEWATCH_TYPE", "martian")]).fails(2, &["martian"]);
    assert!(with(&env, &["report"], &[("CLAUDEWATCH_CSV", "1")]).ok().starts_with("key,"));
    fs::write(env.config().join("config.toml"), "since = \"2026-11-21\"\ncsv = true\n").unwrap();
    assert_eq!(env.run(&["report"]).ok().lines().count(), 2);
    assert_eq!(counted(&["--since", "2026-11-20"], &[]), 2);
    let export = env.run(&["export", "-"]).json();
    assert_eq!(export["total_usage"]["messages"], 1);
}

#[test]
fn options_that_are_commands_stand_alone() {
    let env = Env::new();
    env.run(&["--status", "report"]).fails(2, &["--status", "leave the other command out"]);
    env.run(&["--export-report", "x.json", "report"]).fails(2, &["--export-report"]);
    assert!(!env.path("work/x.json").exists());
}

#[test]
fn a_config_folder_that_is_not_there_is_said() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    assert_eq!(env.run(&["report"]).stderr, "");
    let elsewhere = env.run(&["report", "--claude-dir", "/nowhere"]);
    elsewhere.fails(0, &["there is no folder /nowhere"]);
    assert_eq!(env.run(&["report", "--claude-dir", "/nowhere", "--quiet"]).stderr, "");
}

#[test]
fn priorities_are_set_and_shown() {
    let env = Env::new();
    let file = env.config().join("config.toml");
    std::fs::write(&file, "# mine\npolicy = \"enforce\"\n").unwrap();
    assert!(env.run(&["priority"]).ok().contains("Every session is normal"));
    env.run(&["priority", "~/shop", "critical"]).ok();
    env.run(&["priority", "*try*", "background"]).ok();
    let set = env.json(&["priority", "~/shop", "background"]);
    assert_eq!((&set["scope"], &set["priority"]), (&"~/shop".into(), &"background".into()));
    let shown = env.json(&["priority"]);
    let home = env.path("home/shop");
    let rules = serde_json::json!([
        {"scope": "*try*", "priority": "background"},
        {"scope": home, "priority": "background"},
    ]);
    assert_eq!((&shown["policy"], &shown["priorities"]), (&serde_json::json!("enforce"), &rules));
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("# mine\npolicy = \"enforce\"\n"));
    env.run(&["priority", "x"]).fails(2, &[]);
    env.run(&["priority", "", "critical"]).fails(2, &[]);
    env.run(&["priority", "x", "high"]).fails(2, &["critical"]);
    std::fs::write(&file, "[priority]\nx = \"high\"\n").unwrap();
    env.run(&["priority"]).fails(2, &["priority", "config.toml"]);
    std::fs::write(&file, "policy = \"harsh\"\n").unwrap();
    env.run(&["status"]).fails(2, &["observe"]);
}
