//! Bad input of every kind in the tree of the transcripts: never a panic, right counts, nothing raw on a terminal.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::env::{Env, PATIENCE, Reply, append_bytes, now, parse, row, rows, write_bytes};

/// What a terminal would do this to is in the hands of whoever names a folder.
const ESCAPES: &str = "\x1b]0;owned\x07\x1b[31m\u{9b}2J\u{202e}\u{200b}\r\n\tend";

fn good(number: u64) -> Reply {
    Reply::new(&format!("msg_good_{number}"), "2026-11-20T10:00:00Z")
}

/// Tells whether a letter steers a terminal, or deceives who reads it: controls, directions, what has no width.
fn steers(letter: char) -> bool {
    let deceives =
        matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    letter != '\n' && (letter.is_control() || deceives)
}

/// Runs all that people read and checks that nothing in it could steer their terminals.
#[track_caller]
fn assert_printable(env: &Env) {
    let commands: [&[&str]; 13] = [
        &["report"],
        &["report", "weekly"],
        &["report", "monthly"],
        &["report", "conversation"],
        &["report", "project"],
        &["report", "model"],
        &["report", "block"],
        &["explain", "2026"],
        &["explain", "claude"],
        &["explain", "msg"],
        &["status"],
        &["report", "conversation", "--csv"],
        &["export", "-", "--format", "csv"],
    ];
    for args in commands {
        let outcome = env.run(args);
        assert!(matches!(outcome.code, Some(0 | 1)), "{args:?}: {}", outcome.stderr);
        // The lines of CSV end like those of letters.
        for text in [&outcome.stdout.replace("\r\n", "\n"), &outcome.stderr] {
            assert!(
                !text.contains(steers),
                "{args:?}: {:?}",
                text.lines().find(|line| line.contains(steers))
            );
        }
    }
}

#[test]
fn damaged_lines_are_counted_and_the_others_are_right() {
    let env = Env::new();
    let transcript = env.transcript("c");
    let line = good(1).to_string();
    let cut = |at: usize| &line.as_bytes()[..at];
    let mut damaged = 0;
    let mut put = |bytes: &[u8], counts: bool| {
        damaged += u64::from(counts);
        append_bytes(&transcript, &[bytes, b"\n"].concat());
    };
    put(line.as_bytes(), false);
    put(b"", false);
    put(b"\r", false);
    put(b"null", false);
    put(b"[]", false);
    put(b"not JSON at all", false);
    put(br#""usage""#, true);
    put(cut(line.len() - 3), true);
    put(&[cut(line.len() - 1), b"\xff\xfe}"].concat(), true);
    put(&line.replace("Done.", "Do\u{0}ne.").into_bytes(), true);
    put(&[b"\xef\xbb\xbf", line.as_bytes()].concat(), true);
    put(&[line.as_bytes(), line.as_bytes()].concat(), true);
    put(br#"{"type":"assistant","message":{"usage":{}}}"#, true);
    put(br#"{"type":"assistant","message":{"usage":"all"}}"#, false);
    put(br#"{"type":"assistant","message":"usage","usage":[]}"#, false);
    put(br#"{"type":7,"message":{"usage":{"input_tokens":1}}}"#, false);
    put(good(2).to_string().as_bytes(), false);
    put(&[good(3).to_string().as_bytes(), b"\r"].concat(), false);
    // Torn: neither counted nor a problem, because its end may come.
    append_bytes(&transcript, cut(line.len() / 2));

    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], 3);
    assert_eq!(report["problems"]["lines_skipped"], damaged);
    let text = env.run(&["report"]).ok();
    assert!(text.contains(&format!("Not counted: {damaged} damaged lines.\n")), "{text}");
    assert_printable(&env);
}

#[test]
fn files_of_nothing_but_damage_say_so() {
    let env = Env::new();
    let mut random = fastrand::Rng::with_seed(61);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(200_000).collect();
    write_bytes(&env.transcript("noise"), &noise);
    write_bytes(&env.transcript("empty"), b"");
    write_bytes(&env.transcript("newlines"), &[b'\n'; 5000]);
    write_bytes(&env.transcript("zeros"), &[0; 5000]);
    write_bytes(
        &env.transcript("utf16"),
        &"{\"usage\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    );
    write_bytes(&env.transcript("damaged"), b"{\"usage\": oh\n{\"usage\": no\n");
    let text = env.run(&["report"]).ok();
    assert_eq!(text, "Nothing was used in this time.\nNot counted: 2 damaged lines.\n");
    assert_eq!(env.json(&["report"])["problems"]["lines_skipped"], 2);
    assert_printable(&env);
}

#[test]
fn absurd_numbers_and_dates_are_refused() {
    let env = Env::new();
    let usage = |name: &str, value: Value| good(0).set(&format!("/message/usage/{name}"), value);
    let numbers = [
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1_000_000_000_001u64),
        json!(1e300),
        json!("10"),
        json!(true),
        json!([1]),
        json!({"n": 1}),
    ];
    let mut refused = 0;
    for name in ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"] {
        for number in &numbers {
            env.write("c", &[usage(name, number.clone())]);
            refused += 1;
        }
    }
    // Numbers that no number type holds.
    let plain = usage("input_tokens", json!(4711)).to_string();
    for number in ["1e999", "-1e999", "99999999999999999999999999", "0.1e-999999", "-0.5"] {
        env.write("c", &[plain.replace("4711", number)]);
        refused += u64::from(number != "0.1e-999999");
    }
    let times = [
        json!("1969-12-31T23:59:59Z"),
        json!("2019-12-31T23:59:59Z"),
        json!("2100-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("2026-02-30T00:00:00Z"),
        json!("2026-11-20"),
        json!("now"),
        json!(""),
        json!(1_795_367_381),
        json!(null),
        json!("2026-11-20T10:00:00+99:00"),
    ];
    for time in times {
        env.write("c", &[good(0).set("/timestamp", time)]);
        refused += 1;
    }
    // The greatest that is taken, a hundred times, with each zone's view of the last moment.
    let largest = |number: u64| {
        let usage = json!({"input_tokens": 1_000_000_000_000u64, "output_tokens": 1_000_000_000_000u64,
            "cache_creation_input_tokens": 1_000_000_000_000u64, "cache_read_input_tokens": 1_000_000_000_000u64});
        good(number).set("/message/usage", usage).set("/timestamp", "2099-12-31T23:59:59.999Z").of("large")
    };
    env.write("large", &(1..=100).map(largest).collect::<Vec<_>>());

    let report = env.json(&["report", "conversation"]);
    assert_eq!(report["problems"]["lines_skipped"], refused);
    assert_eq!(row(&report, "large")["total_tokens"], 400_000_000_000_000u64);
    // Only the tiny number was taken, as none.
    assert_eq!(row(&report, "c")["messages"], 1);
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        for by in ["daily", "weekly", "monthly", "block"] {
            let report = env.json(&["report", by, "--timezone", zone]);
            assert_eq!(report["totals"]["messages"], 101, "{zone} {by}");
        }
    }
    assert_printable(&env);
    assert_eq!(parse(&env.start(&["--json"]).line())["totals"]["messages"], 101);
}

#[test]
fn hostile_ids_and_paths() {
    let env = Env::new();
    let long = "x".repeat(10_000);
    let names = [
        ESCAPES,
        &long,
        "../../../etc/passwd",
        "/",
        "",
        ".",
        "a/b\\c",
        "\u{0}",
        "%s%n",
        "'; DROP TABLE turn; --",
        "🦀",
    ];
    let mut messages = 0;
    for name in names {
        let mut put = |path: &str| {
            messages += 1;
            env.write("c", &[good(messages).set(path, name)]);
        };
        for path in [
            "/sessionId",
            "/cwd",
            "/message/model",
            "/version",
            "/gitBranch",
            "/agentId",
            "/requestId",
            "/uuid",
        ] {
            put(path);
        }
        let reset = now().as_millis() / 1000 + 3600;
        let refused = |id: &str| Reply::now(id).of(name).folder(name).refused(name, reset);
        env.write("refused", &[refused(&format!("err_{messages}"))]);
        // The words of the message are read for the limit, and must do no harm.
        let told = refused(&format!("error_{messages}")).set("/quotaLimits", Value::Null);
        env.write(
            "refused",
            &[told.set("/message/content", format!("You've hit your limit · resets {name}"))],
        );
    }
    // Ids that differ, or are none at all.
    for name in names.iter().filter(|name| !name.is_empty() && name.len() < 256) {
        messages += 1;
        env.write(
            "c",
            &[good(0).set("/message/id", format!("msg_{name}")).set("/message/usage/input_tokens", 1)],
        );
    }
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], messages);
    assert_eq!(report["problems"]["lines_skipped"], 0);
    let conversations = env.json(&["report", "conversation"]);
    assert_eq!(row(&conversations, ESCAPES)["messages"], 1, "JSON tells the truth");
    assert!(rows(&conversations).iter().all(|row| row["key"].as_str().unwrap().len() <= 256));
    assert_printable(&env);

    let monitor = env.start(&["--all"]);
    monitor.line();
    env.write("c", &[Reply::now("msg_live").of(ESCAPES).folder(ESCAPES).model(ESCAPES)]);
    let line = monitor.until(PATIENCE, |line| line.contains("owned"));
    assert!(!line.contains(steers), "{line:?}");
    let live = parse(&env.start(&["--json", "--all"]).line());
    assert_eq!(live["totals"]["messages"], messages + 1);
}

#[test]
fn hostile_names_of_files_and_folders() {
    let env = Env::new();
    let long = "n".repeat(240);
    let names: [&[u8]; 6] =
        [ESCAPES.as_bytes(), b"\xff\xfe", b" ", b"-rf", b"'; DROP TABLE source; --", long.as_bytes()];
    let mut messages = 0;
    for name in names {
        let name = OsStr::from_bytes(name);
        let mut put = |path: &Path| {
            messages += 1;
            // Without an id of its own the line belongs to the conversation that the name tells.
            write_bytes(path, format!("{}\n", good(messages).set("/sessionId", Value::Null)).as_bytes());
        };
        let file = [name, OsStr::new(".jsonl")].into_iter().collect::<std::ffi::OsString>();
        put(&env.projects().join("-p").join(&file));
        put(&env.projects().join(name).join("c.jsonl"));
        put(&env.projects().join("-p").join(name).join("subagents/agent-a.jsonl"));
    }
    // What is no transcript is not read.
    for other in
        ["-p/c/subagents/workflows/wf_1/journal.jsonl", "-p/c.jsonl.bak", "-p/c.json", "../history.jsonl"]
    {
        write_bytes(&env.projects().join(other), format!("{}\n", good(0)).as_bytes());
    }
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], messages);
    assert_printable(&env);
    let archived = env.json(&["report", "conversation"]);
    assert_eq!(archived["totals"]["messages"], messages, "a second look finds the same files");
}

#[test]
fn links_pipes_devices_and_depths() {
    let env = Env::new();
    let project = env.projects().join("-p");
    env.write("c", &[good(1)]);
    write_bytes(&env.path("outside/o.jsonl"), format!("{}\n", good(9)).as_bytes());
    symlink(env.path("outside/o.jsonl"), project.join("link.jsonl")).unwrap();
    symlink(env.path("outside"), project.join("linked-folder")).unwrap();
    symlink("/nowhere", project.join("dangling.jsonl")).unwrap();
    symlink("/dev/zero", project.join("zero.jsonl")).unwrap();
    symlink("loop.jsonl", project.join("loop.jsonl")).unwrap();
    symlink(&project, project.join("up")).unwrap();
    symlink(env.projects(), env.projects().join("root")).unwrap();
    let fifo = project.join("fifo.jsonl");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let _socket = UnixListener::bind(project.join("socket.jsonl")).unwrap();
    fs::create_dir(project.join("folder.jsonl")).unwrap();
    let deep: String = (0..200).map(|depth| format!("/d{depth}")).collect();
    write_bytes(Path::new(&format!("{}{deep}/e.jsonl", project.display())), b"");

    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], 1);
    // Six that are no files, and one folder too deep.
    assert_eq!(report["problems"]["files_skipped"], 7);
    let text = env.run(&["report"]).ok();
    assert!(text.contains("Not counted: 7 unreadable files.\n"), "{text}");
    let doctor = env.run(&["doctor"]).ok();
    assert!(doctor.contains("! files        not read: ") && doctor.contains(", 4 more\n"), "{doctor}");

    // They do not hold up the monitor, either, nor do those that come while it runs.
    let monitor = env.start(&["--json"]);
    monitor.until_messages(PATIENCE, 1);
    nix::unistd::mkfifo(&project.join("late.jsonl"), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    symlink("/dev/zero", project.join("late-zero.jsonl")).unwrap();
    env.write("c", &[Reply::now("msg_2")]);
    monitor.until_messages(Duration::from_secs(2), 2);
}

#[test]
fn unreadable_files_and_folders_are_counted() {
    let env = Env::new();
    env.write("c", &[good(1)]);
    env.write("secret", &[good(2)]);
    write_bytes(&env.projects().join("-q/d.jsonl"), format!("{}\n", good(3)).as_bytes());
    let Some(env) = env.bound_by_modes() else { return };
    let set = |mode: u32| {
        for path in [env.transcript("secret"), env.projects().join("-q")] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o000);
    let report = env.json(&["report"]);
    assert_eq!((&report["totals"]["messages"], &report["problems"]["files_skipped"]), (&json!(1), &json!(2)));
    set(0o700);
    let report = env.json(&["report"]);
    assert_eq!((&report["totals"]["messages"], &report["problems"]["files_skipped"]), (&json!(3), &json!(0)));
}

/// Nothing would be counted, and nobody would know why.
#[test]
fn a_folder_of_which_nothing_can_be_read_is_said() {
    let env = Env::new();
    env.write("c", &[good(1)]);
    let Some(env) = env.bound_by_modes() else { return };
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let config = env.projects().parent().unwrap().to_owned();
    set(&config, 0o000);
    env.run(&["report"]).fails(3, &["cannot read", "Permission denied", "--claude-dir"]);
    let doctor = env.run(&["doctor"]);
    assert!(doctor.code == Some(1) && doctor.stdout.contains("✘ sources"), "{}", doctor.stdout);
    set(&config, 0o700);
    set(&env.projects(), 0o000);
    env.run(&["report"]).fails(3, &["what is new there is missing", "--claude-dir"]);
    set(&env.projects(), 0o700);
    assert_eq!(env.json(&["report"])["totals"]["messages"], 1);
}

#[test]
fn deep_nesting_ends_nothing() {
    let env = Env::new();
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let texts =
        [nested("[", "]"), nested("{\"a\":", "}"), "[".repeat(1_000_000), "{\"usage\":".repeat(100_000)];
    for (place, text) in texts.iter().enumerate() {
        let number = place as u64;
        let reply = good(10 + number).of("nested").to_string();
        // In what nobody reads, in what is read, and in the text of a limit, which is read a second time.
        let refused = Reply::now(&format!("err_{number}")).of("nested").refused("five_hour", 0);
        let refused = refused.set("/quotaLimits", Value::Null).to_string();
        env.write(
            "c",
            &[
                reply.replace("\"Done.\"", text),
                reply.replace("\"/p/shop\"", text),
                reply.replace("\"end_turn\"", text),
                refused.replace("\"Done.\"", text),
                good(number).to_string(),
            ],
        );
    }
    let report = env.json(&["report", "conversation"]);
    // Whether the nested lines are damage is a question of taste; those that never close are.
    assert_eq!(row(&report, "c")["messages"], 4);
    assert!(report["problems"]["lines_skipped"].as_u64().unwrap() >= 8);
}

/// Returns the greatest memory that a process has used so far, in kilobytes.
fn peak_kilobytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

#[test]
fn long_lines_need_little_memory() {
    const MEBIBYTE: usize = 1 << 20;
    const PEAK_KILOBYTES_MAX: u64 = 128 << 10;
    let env = Env::new();
    let padded = |number: u64, bytes: usize| good(number).to_string().replace("Done.", &"x".repeat(bytes));
    // A line that is long, but may be a reply, counts.
    env.write("long", &[padded(1, 15 * MEBIBYTE), good(2).to_string()]);
    // One that is longer than any reply does not, and costs the line after it nothing.
    env.write("longer", &[padded(3, 100 * MEBIBYTE), good(4).to_string()]);
    // A hole in a file is one long line, too.
    let sparse = env.transcript("sparse");
    let mut file = File::create(&sparse).unwrap();
    file.seek(SeekFrom::Start(200 << 20)).unwrap();
    writeln!(file, "\n{}", good(5)).unwrap();
    // The line that is still being written is not kept in memory whole.
    append_bytes(&sparse, padded(6, 40 * MEBIBYTE).as_bytes());

    let monitor = env.start(&["--json"]);
    let first = parse(&monitor.line());
    assert_eq!(first["totals"]["messages"], 4);
    match peak_kilobytes(monitor.child.id()) {
        Some(peak) => assert!(peak < PEAK_KILOBYTES_MAX, "{peak} kB"),
        None => eprintln!("SKIPPED: the system does not tell how much memory a process used"),
    }
    drop(monitor);
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], 4);
    assert_eq!(report["problems"]["lines_skipped"], 2);
}
