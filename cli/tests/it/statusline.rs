//! `statusline`: what it prints, whom it tells, and that nothing at all brings it to fail.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use session_store::{BoardBackend, SqliteBoard};

use crate::env::{Env, Outcome, PATIENCE, Running, now, parse};

/// Runs a status line with an input; it must succeed in silence, and its output must be safe to show.
#[track_caller]
fn say(command: &mut Command, input: &[u8]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let line = Outcome::of(command.stdin(Stdio::from(file))).ok();
    assert!(!line.contains('\x1b'), "{line:?}");
    line
}

/// Claude Code's input in a conversation, a minute after its first answer.
fn status(env: &Env, conversation: &str, used: f64, answers: u64) -> Value {
    // The same for all calls: a repeated answer repeats its resets, also when a minute ends between the two.
    static MINUTE: OnceLock<i64> = OnceLock::new();
    let minute = *MINUTE.get_or_init(|| now().as_millis() / 60_000 * 60);
    let reset = |seconds: i64| minute + seconds;
    json!({
        "session_id": conversation, "transcript_path": env.transcript(conversation), "cwd": "/p/shop",
        "model": {"id": "claude-opus-5", "display_name": "Opus"}, "version": "2.1.330",
        "cost": {"total_cost_usd": 0.5 * answers as f64, "total_duration_ms": 60_000, "total_api_duration_ms": answers},
        "rate_limits": {
            "five_hour": {"used_percentage": used, "resets_at": reset(7200)},
            "seven_day": {"used_percentage": 41.2, "resets_at": reset(300_000)},
        },
    })
}

fn line(env: &Env, status: &Value) -> String {
    say(&mut env.command(&["statusline"]), status.to_string().as_bytes())
}

fn board(env: &Env) -> SqliteBoard {
    SqliteBoard::open(&env.path("run/live.db")).unwrap()
}

fn problems(env: &Env) -> u64 {
    board(env).counters().unwrap().get("statusline_problems").copied().unwrap_or(0)
}

#[test]
fn terminals_of_one_account_show_one_truth() {
    let env = Env::new();
    let first = line(&env, &status(&env, "a", 60.0, 1));
    assert!(first.starts_with("5h ████▉░░░ 60% ↻") && first.contains(" · $0.50"), "{first}");
    assert_eq!(first.lines().count(), 1);
    // The other one had its last answer before.
    let other = line(&env, &status(&env, "b", 40.0, 1));
    assert!(other.contains(" 60% ↻") && other.contains("50% of it here"), "{other}");
    let first = line(&env, &status(&env, "a", 61.5, 3));
    assert!(first.contains(" 62% ↻") && first.contains("75% of it here"), "{first}");
    assert!(line(&env, &status(&env, "b", 40.0, 1)).contains(" 62% ↻"));
    let limits = env.json(&["limits"]);
    let five_hour = &limits["limits"][0];
    assert_eq!((&limits["schema_version"], &five_hour["window"]), (&json!(1), &json!("five_hour")));
    assert_eq!((&five_hour["used_percentage"], &five_hour["source"]), (&json!(61.5), &json!("statusline")));
    assert_eq!(five_hour["account"], env.claude().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(problems(&env), 0);
}

/// A status that is shown again makes a value no newer, and who tells of a fall has to tell it twice.
#[test]
fn only_answers_count() {
    let env = Env::new();
    line(&env, &status(&env, "a", 60.0, 1));
    let before = board(&env).observed().unwrap();
    line(&env, &status(&env, "a", 60.0, 1));
    assert_eq!(board(&env).observed().unwrap(), before);
    line(&env, &status(&env, "b", 20.0, 1));
    assert!(line(&env, &status(&env, "b", 20.0, 1)).contains(" 60% "));
    // The reset of the same answer, told a minute later, makes it no other answer.
    let mut again = status(&env, "b", 20.0, 1);
    let reset = again["rate_limits"]["five_hour"]["resets_at"].as_i64().unwrap();
    again["rate_limits"]["five_hour"]["resets_at"] = json!(reset + 60);
    assert!(line(&env, &again).contains(" 60% "));
    assert!(line(&env, &status(&env, "b", 21.0, 2)).contains(" 21% "));
    assert!(line(&env, &status(&env, "a", 60.0, 1)).contains(" 21% "));
}

#[test]
fn accounts_do_not_mix() {
    let env = Env::new();
    let folders = ["one", "two"].map(|name| env.path("home").join(name));
    let say_in = |folder: &Path, conversation: &str, used: f64| {
        let mut status = status(&env, conversation, used, 1);
        status["transcript_path"] = json!(folder.join("projects/-p").join(format!("{conversation}.jsonl")));
        let mut command = env.command(&["statusline"]);
        say(command.env("CLAUDE_CONFIG_DIR", folder), status.to_string().as_bytes())
    };
    for folder in &folders {
        fs::create_dir_all(folder.join("projects")).unwrap();
    }
    assert!(say_in(&folders[0], "a", 90.0).contains(" 90% "));
    assert!(say_in(&folders[1], "b", 10.0).contains(" 10% "));
    assert!(say_in(&folders[0], "c", 20.0).contains(" 90% "));
    let dirs = folders.each_ref().map(|folder| folder.to_str().unwrap());
    let both = ["limits", "--claude-dir", dirs[0], "--claude-dir", dirs[1]];
    let limits = env.json(&both);
    let told: Vec<(&str, f64)> = limits["limits"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["window"] == "five_hour")
        .map(|it| {
            (
                it["account"].as_str().unwrap().rsplit('/').next().unwrap(),
                it["used_percentage"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("one", 90.0), ("two", 10.0)]);
    let table = env.run(&both).ok();
    assert!(table.contains("Account") && table.contains("/two"), "{table}");
    assert!(!env.run(&["limits", "--claude-dir", dirs[0]]).ok().contains("Account"));
    // A conversation of neither account tells nobody anything, and is told nothing.
    let foreign = say_in(&env.path("elsewhere"), "d", 99.0);
    assert!(foreign.contains(" 99% "), "{foreign}");
    let mut status = status(&env, "e", 99.0, 1);
    status["transcript_path"] = json!(folders[0].join("projects/../../two/projects/-p/e.jsonl"));
    let mut command = env.command(&["statusline"]);
    say(command.env("CLAUDE_CONFIG_DIR", &folders[0]), status.to_string().as_bytes());
    assert!(say_in(&folders[0], "c", 20.0).contains(" 90% "));
    assert!(say_in(&folders[1], "b", 10.0).contains(" 10% "));
}

#[test]
fn any_input_is_borne() {
    let env = Env::new();
    line(&env, &status(&env, "a", 60.0, 1));
    let bytes: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"null",
        b"[1,2]",
        b"\"x\"",
        b"{",
        b"{}}",
        b"\xff\xfe\x00",
        b"{\"session_id\":}",
        b"\xef\xbb\xbf{}",
        b"nan",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .chain([vec![b'['; 200_000], b"{\"a\":".repeat(50_000), vec![b' '; 3 << 20]])
    .collect();
    for (number, input) in bytes.iter().enumerate() {
        let line = say(&mut env.command(&["statusline"]), input);
        assert_eq!(line, "", "{}", String::from_utf8_lossy(&input[..input.len().min(40)]));
        assert_eq!(problems(&env), number as u64 + 1, "each is one problem");
    }
    let counted = problems(&env);
    let odd = [
        ("/rate_limits/five_hour/used_percentage", json!(1e9)),
        ("/rate_limits/five_hour/used_percentage", json!("many")),
        ("/rate_limits/five_hour/used_percentage", json!(-3)),
        ("/rate_limits/five_hour/resets_at", json!(now().as_millis())),
        ("/rate_limits/five_hour/resets_at", json!([])),
        ("/rate_limits/five_hour", json!(7)),
        ("/rate_limits", json!("none")),
        ("/session_id", json!({"a": 1})),
        ("/model/display_name", json!(["\u{1b}[31m"])),
        ("/cost/total_cost_usd", json!("\u{1b}]0;x\u{7}")),
        ("/context_window", json!({"used_percentage": 1e300})),
    ];
    for (number, (path, value)) in odd.into_iter().enumerate() {
        let mut status = status(&env, &format!("b{number}"), 30.0, 7);
        let (parent, key) = path.rsplit_once('/').unwrap();
        status.pointer_mut(parent).unwrap()[key] = value;
        let line = line(&env, &status);
        assert!(line.contains(" 60% "), "{path}: {line}");
        assert_eq!(problems(&env), counted + number as u64 + 1, "{path}");
    }
    // Absent is not odd.
    for path in [
        "/session_id",
        "/transcript_path",
        "/cwd",
        "/model",
        "/cost",
        "/rate_limits",
        "/rate_limits/five_hour",
    ] {
        let mut status = status(&env, &format!("c{}", path.len()), 30.0, 7);
        let (parent, key) = path.rsplit_once('/').unwrap();
        status.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        assert!(line(&env, &status).contains(" 60% "), "{path}");
    }
    assert_eq!(problems(&env), counted + 11);
}

#[test]
fn names_are_made_safe() {
    let env = Env::new();
    fs::write(env.config().join("config.toml"), "statusline_template = \"{model} in {project} \\u001b[31m\"")
        .unwrap();
    let mut status = status(&env, "a", 60.0, 1);
    status["model"]["display_name"] = json!("\u{1b}]0;owned\u{7}\u{202e}Opus");
    status["workspace"] = json!({"project_dir": "/p/\u{1b}[2Jx\ny"});
    assert_eq!(line(&env, &status), "�]0;owned��Opus in /p/�[2Jx�y �[31m\n");
}

/// What cannot be shared is still said: Claude Code's own numbers.
#[test]
fn without_a_board_it_says_what_claude_code_says() {
    let env = Env::new();
    let input = status(&env, "a", 60.0, 1);
    let apart = |command: &mut Command| {
        let line = say(command, input.to_string().as_bytes());
        assert!(line.contains(" 60% "), "{line}");
    };
    let mut command = env.command(&["statusline"]);
    apart(command.env("CLAUDEWATCH_RUNTIME_DIR", env.path("no/such/folder")));
    assert!(!env.path("no").exists(), "no folder above it is made");
    assert!(!env.data().exists(), "nothing is kept");
    apart(&mut env.command(&["statusline", "--no-coordination"]));
    assert!(!env.path("run").exists());

    fs::write(env.path("run"), "a file").unwrap();
    apart(&mut env.command(&["statusline"]));
    fs::remove_file(env.path("run")).unwrap();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir(env.path("run")).unwrap();
        fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o777)).unwrap();
        apart(&mut env.command(&["statusline"]));
        assert_eq!(
            fs::read_dir(env.path("run")).unwrap().count(),
            0,
            "a folder open to others is not touched"
        );
        if nix::unistd::geteuid().is_root() {
            fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
            std::os::unix::fs::chown(env.path("run"), Some(65_534), None).unwrap();
            apart(&mut env.command(&["statusline"]));
            assert_eq!(fs::read_dir(env.path("run")).unwrap().count(), 0, "nor is another user's");
        }
        fs::remove_dir(env.path("run")).unwrap();
    }

    fs::write(env.config().join("config.toml"), "no such = file").unwrap();
    assert_eq!(say(&mut env.command(&["statusline"]), input.to_string().as_bytes()), "");
    fs::remove_file(env.config().join("config.toml")).unwrap();

    line(&env, &input);
    set_format(&env, 9);
    let mut other = status(&env, "b", 20.0, 1);
    assert!(line(&env, &other).contains(" 20% "), "a newer board is left alone");
    set_format(&env, 1);
    other["session_id"] = json!("c");
    assert!(line(&env, &other).contains(" 60% "));
}

fn set_format(env: &Env, version: u32) {
    let connection = rusqlite::Connection::open(env.path("run/live.db")).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

#[test]
fn the_former_command_comes_first_and_reads_the_same() {
    let env = Env::new();
    let configure = |text: &str| fs::write(env.config().join("config.toml"), text).unwrap();
    let input = status(&env, "a", 60.0, 1);
    configure("statusline_command = \"printf 'former '; cat | wc -c; exit 0\"");
    let lines = line(&env, &input);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, format!("former {}", input.to_string().len()).as_str()));
    assert!(lines[1].starts_with("5h "));
    // It sees the same variables, and one that does not read is no trouble.
    configure("statusline_command = \"echo $COLUMNS\"");
    assert!(line(&env, &input).starts_with("100\n5h "));
    let mut large = input.clone();
    large["padding"] = json!("x".repeat(500_000));
    assert!(line(&env, &large).starts_with("100\n5h "));
    for failing in ["exit 3", "kill -9 $$", "/no/such/program", "echo half; exit 1"] {
        configure(&format!("statusline_command = \"{failing}\""));
        assert!(line(&env, &input).starts_with("5h "), "{failing}");
    }
    // One that hangs is ended with what it started.
    configure(
        "statusline_timeout_ms = 200\nstatusline_command = \"echo slow; sleep 600 & echo $! >$HOME/pid; wait\"",
    );
    assert!(line(&env, &input).starts_with("5h "));
    #[cfg(target_os = "linux")]
    {
        let pid: u32 = fs::read_to_string(env.path("home/pid")).unwrap().trim().parse().unwrap();
        let end = std::time::Instant::now() + crate::env::PATIENCE;
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(std::time::Instant::now() < end, "{pid} was left behind");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Many terminals see a threshold passed at one moment; the user is told once.
#[test]
#[cfg(unix)]
fn each_threshold_is_told_once() {
    let env = Env::new();
    let told = env.path("told");
    let settings = "notify_command = \"cat >>$HOME/../told; echo >>$HOME/../ends\"";
    fs::write(env.config().join("config.toml"), settings).unwrap();
    let all = |used: f64, answers: u64| {
        let running: Vec<_> = (0..6)
            .map(|number| {
                let mut file = tempfile::tempfile().unwrap();
                let status = status(&env, &format!("c{number}"), used, answers).to_string();
                file.write_all(status.as_bytes()).and_then(|()| std::io::Seek::rewind(&mut file)).unwrap();
                env.command(&["statusline"]).stdin(file).stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut it in running {
            assert!(it.wait().unwrap().success());
        }
    };
    let wait_for = |count: usize| {
        let end = std::time::Instant::now() + crate::env::PATIENCE;
        loop {
            let text = fs::read_to_string(env.path("ends")).unwrap_or_default();
            if text.lines().count() >= count {
                return fs::read_to_string(&told).unwrap();
            }
            assert!(std::time::Instant::now() < end, "{count} are to be told");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    all(74.9, 1);
    all(76.0, 2);
    wait_for(1);
    all(77.0, 3);
    // From 77 to 100 two thresholds are passed; people are told of the last.
    all(100.0, 4);
    let text = wait_for(2);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> =
        lines.iter().map(|it| (it["kind"].as_str().unwrap(), it["threshold"].as_u64().unwrap())).collect();
    assert_eq!(kinds, [("limit_near", 75), ("limit_hit", 100)]);
    assert_eq!((&lines[0]["schema_version"], &lines[0]["window"]), (&json!(1), &json!("five_hour")));
    assert!(
        lines[0]["text"].as_str().unwrap().starts_with("75% of the 5-hour limit used, resets at "),
        "{text}"
    );
}

#[test]
#[cfg(unix)]
fn nobody_is_told_who_does_not_want_to_be() {
    for settings in ["no_notifications = true", "quiet_hours = \"00:00-23:59\"\nno_notify_desktop = true"] {
        let env = Env::new();
        let command = "notify_command = \"touch $HOME/../told\"";
        fs::write(env.config().join("config.toml"), format!("{settings}\n{command}")).unwrap();
        line(&env, &status(&env, "a", 95.0, 1));
        // Whoever was to be told would have been by the end of another command.
        assert!(env.run(&["limits"]).ok().contains("95%"));
        let minute = now().as_millis() / 60_000 % 1440;
        assert!(
            !env.path("told").exists() || (minute == 1439 && settings.starts_with("quiet")),
            "{settings}"
        );
    }
}

/// A frozen process that holds the board keeps nobody waiting.
#[test]
fn a_held_board_does_not_matter() {
    let env = Env::new();
    line(&env, &status(&env, "a", 60.0, 1));
    let held = held_board(&env.path("run/live.db"));
    let line_meanwhile = line(&env, &status(&env, "b", 70.0, 1));
    assert!(line_meanwhile.contains(" 70% "), "{line_meanwhile}");
    drop(held);
    // What could not be told then is told with the next call.
    line(&env, &status(&env, "b", 70.0, 1));
    assert!(line(&env, &status(&env, "a", 60.0, 1)).contains(" 70% "));
}

/// Holds the write lock of a database until it is dropped.
fn held_board(path: &Path) -> impl Drop + use<> {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    Held(connection)
}

struct Held(rusqlite::Connection);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.execute_batch("ROLLBACK");
    }
}

/// Three monitors and a terminal: the user is told once, by a monitor, of the threshold and of the reset.
#[test]
#[cfg(unix)]
fn of_several_monitors_one_tells() {
    let env = Env::new();
    env.write("c", &[crate::env::Reply::now("msg_1")]);
    let settings = "notify_command = \"cat >>$HOME/../told; echo $PPID >>$HOME/../ends\"";
    fs::write(env.config().join("config.toml"), settings).unwrap();
    let monitors: Vec<_> = ["one", "two", "three"]
        .map(|name| {
            let folder = env.path(format!("work/{name}"));
            fs::create_dir_all(&folder).unwrap();
            crate::env::Running::of(env.command(&[]).current_dir(folder))
        })
        .into();
    for monitor in &monitors {
        monitor.line();
    }
    line(&env, &status(&env, "a", 80.0, 1));
    for monitor in &monitors {
        let told =
            monitor.until(crate::env::PATIENCE, |line| line.contains("5-hour limit is near: 75% used"));
        assert!(!told.contains('\x1b'), "{told:?}");
    }
    let told = || fs::read_to_string(env.path("told")).unwrap_or_default();
    let end = std::time::Instant::now() + crate::env::PATIENCE;
    while told().lines().count() == 0 {
        assert!(std::time::Instant::now() < end, "somebody tells");
        std::thread::sleep(Duration::from_millis(5));
    }
    // All have heard of the hit, so all have had their turn with what came before.
    line(&env, &status(&env, "a", 100.0, 2));
    for monitor in &monitors {
        monitor.until(crate::env::PATIENCE, |line| line.contains("5-hour limit hit"));
    }
    while told().lines().count() < 2 {
        assert!(std::time::Instant::now() < end, "somebody tells");
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = told();
    let kinds: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["threshold"].clone()).collect();
    assert_eq!(kinds, [json!(75), json!(100)]);
}

/// What a status line tells reaches the screens of all monitors, though no transcript was written.
#[test]
fn monitors_follow_what_status_lines_tell() {
    let env = Env::new();
    let monitor = || {
        let command = env.command(&["--json", "--all"]);
        let mut own = Command::new("setsid");
        own.arg(command.get_program()).args(command.get_args()).env_clear();
        own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let running = Running::of(own.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null()));
        running.until(PATIENCE, |line| parse(line)["limits"] == json!([]));
        running
    };
    let monitors = [monitor(), monitor()];
    for (used, answers) in [(60.0, 1), (61.5, 2)] {
        line(&env, &status(&env, "a", used, answers));
        for monitor in &monitors {
            let told = monitor.until(PATIENCE, |line| parse(line)["limits"][0]["used_percentage"] == used);
            let limits = &parse(&told)["limits"];
            assert_eq!(
                (&limits[0]["window"], &limits[1]["window"]),
                (&json!("five_hour"), &json!("seven_day"))
            );
        }
    }
}

/// The board ends with the system's run; what was told on it does not, and is there once however often it was kept.
#[test]
fn samples_outlive_the_board() {
    let env = Env::new();
    let samples = |env: &Env| {
        let lines = env.run(&["events", "export"]).ok();
        lines.lines().map(parse).filter(|line| line["id"].as_str().unwrap().starts_with("sample:")).count()
    };
    let mut status = status(&env, "a", 60.0, 1);
    for answers in [1, 2, 3] {
        status["cost"]["total_api_duration_ms"] = json!(answers);
        line(&env, &status);
        env.json(&["limits"]);
    }
    assert_eq!(samples(&env), 2, "one of each window");
    status["cost"]["total_api_duration_ms"] = json!(4);
    status["rate_limits"]["five_hour"]["used_percentage"] = json!(61.5);
    line(&env, &status);
    env.json(&["report"]);
    let before = env.json(&["limits"]);
    assert_eq!(samples(&env), 3);
    fs::remove_dir_all(env.path("run")).unwrap();
    let after = env.json(&["limits"]);
    for place in 0..2 {
        let told = |limits: &Value| {
            let limit = &limits["limits"][place];
            ["used_percentage", "resets_at", "source", "window", "account"].map(|name| limit[name].clone())
        };
        assert_eq!(told(&after), told(&before));
    }
    assert_eq!(after["limits"][0]["used_percentage"], 61.5);
    assert_eq!(after["limits"][0]["source"], "statusline");
}

/// Whoever leads keeps them as they come.
#[test]
fn a_leader_keeps_samples() {
    let env = Env::new();
    let monitor = env.start(&["--json", "--all"]);
    monitor.until(PATIENCE, |line| parse(line)["limits"] == json!([]));
    line(&env, &status(&env, "a", 60.0, 1));
    monitor.until(PATIENCE, |line| parse(line)["limits"][0]["used_percentage"] == 60.0);
    monitor.kill();
    fs::remove_dir_all(env.path("run")).unwrap();
    assert_eq!(env.json(&["limits"])["limits"][0]["used_percentage"], 60.0);
}
