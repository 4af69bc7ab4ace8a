//! Several monitors of several sessions: one reads for all, whoever leads, and a limit that one hits is known to all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use session_store::{
    BoardBackend, EventBackend, Fact, OpenMode, Selection, Sqlite, SqliteBoard, Store, Timestamp,
};

use crate::claude::{FakeClaude, elsewhere};
use crate::env::{Env, PATIENCE, Reply, Running, counts, now, parse, prompt};

/// Starts a monitor in a session of its own.
fn monitor(env: &Env, args: &[&str]) -> Running {
    Running::of(&mut in_session(&env.command(args)))
}

/// Puts a command into a session of its own.
fn in_session(command: &Command) -> Command {
    let mut own = Command::new("setsid");
    own.arg(command.get_program()).args(command.get_args()).env_clear();
    own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    own.current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    own
}

/// Starts monitors one after the other, the leader first, and returns them when all have shown something.
fn monitors<const N: usize>(env: &Env, messages: u64) -> [Running; N] {
    std::array::from_fn(|_| {
        let monitor = monitor(env, &["--json", "--all"]);
        monitor.until_messages(PATIENCE, messages);
        monitor
    })
}

fn with_history() -> Env {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1").of("c"), Reply::now("msg_2").of("c")]);
    env
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns whether a process is told by the system of changes in a folder.
fn watches(pid: u32, folder: &Path) -> bool {
    let inode = format!(" ino:{:x} ", fs::metadata(folder).unwrap().ino());
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
    let infos = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    infos
        .flat_map(|info| info.lines().map(str::to_owned).collect::<Vec<_>>())
        .any(|line| line.starts_with("inotify ") && line.contains(&inode))
}

/// Checks that everything was counted once: by a reading of its own, and by all stores together.
fn check_counts(env: &Env, shown: &[Value]) {
    let fresh = env.path("fresh");
    let fresh = env.json(&["report", "--data-dir", fresh.to_str().unwrap(), "--no-coordination"]);
    let kept = env.json(&["report"]);
    for totals in shown.iter().map(|line| &line["totals"]).chain([&kept["totals"]]) {
        assert_eq!(counts(totals), counts(&fresh["totals"]));
        assert_eq!(totals["rate_limit_events"], fresh["totals"]["rate_limit_events"]);
        assert_eq!(totals["cost_usd"], fresh["totals"]["cost_usd"]);
    }
    fs::remove_dir_all(env.path("fresh")).unwrap();
}

#[test]
fn one_watches_and_reads_for_all() {
    let env = with_history();
    let all: [Running; 3] = monitors(&env, 2);
    assert_eq!(all.each_ref().map(|it| watches(it.child.id(), &env.projects())), [true, false, false]);
    env.write("c", &[Reply::now("msg_3").of("c").output(70)]);
    let shown = all.each_ref().map(|it| it.until_messages(PATIENCE, 3));
    check_counts(&env, &shown);
    let status = env.json(&["status"]);
    assert_eq!(status["coordination"]["leader"]["pid"], all[0].child.id());
    // Two folders watched for two others at most, and one source read for both.
    let shared = status["coordination"]["resources_shared"].as_u64().unwrap();
    assert!((3..=20).contains(&shared), "{shared}");
    // An open turn brings no event, and is news all the same.
    env.write("c", &[prompt("c", &now().to_string())]);
    for monitor in &all {
        monitor.until(PATIENCE, |line| parse(line)["conversations"][0]["state"] == "working");
    }
}

/// What a leader lays out of the stores is what `status` finds when it opens them itself.
#[test]
#[cfg(target_os = "linux")]
fn status_takes_from_the_leader_what_the_stores_hold() {
    let env = Env::new();
    let claude = FakeClaude::start_here(&env, "busy");
    env.write("busy", &[Reply::now("msg_1").of("busy"), Reply::now("msg_2").of("busy")]);
    // Of the same session, and of one that has nothing of its own.
    let own = env.start(&["--json", "--all"]);
    own.until_messages(PATIENCE, 2);
    let [_other] = monitors(&env, 2);
    let laid_out = || {
        let board = SqliteBoard::open(&env.path("run/live.db")).unwrap();
        let figures = board.published("stores").unwrap();
        figures.map_or(0, |it| parse(std::str::from_utf8(&it.body).unwrap()).as_object().unwrap().len())
    };
    until("both stores are laid out", || laid_out() == 2);
    let key = claude.key().to_string();
    let told = |status: Value, role: &str| {
        let sessions = status["sessions"].as_array().unwrap().iter();
        let found = sessions.filter(|it| it["role"] == role && it["isolation_key"] == *key);
        found.map(|it| (it["total_tokens"].clone(), it["conversation_id"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(env.json(&["status"]), "monitor"), [(json!(60), json!(null))]);
    assert_eq!(told(env.json(&["status"]), "claude"), [(json!(60), json!("busy"))]);
    // It opens them where it coordinates with nobody.
    assert_eq!(told(env.json(&["status", "--no-coordination"]), "claude"), [(json!(60), json!("busy"))]);
    // What is written to a store later is seen all the same.
    Store::open(&claude.store(&env), now()).set_sharing("complete");
    assert_eq!(told(elsewhere(&env, &["status", "--json"]).json(), "claude"), [(json!(0), json!(null))]);
}

#[test]
fn a_project_shows_its_part_of_what_the_leader_computed() {
    let env = with_history();
    let shop = env.path("shop");
    fs::create_dir(&shop).unwrap();
    let in_shop = |id: &str| Reply::now(id).of("shop").folder(shop.to_str().unwrap()).output(50);
    env.write("shop", &[in_shop("msg_shop_1")]);
    let [leader] = monitors(&env, 3);
    let part = Running::of(in_session(&env.command(&["--json"])).current_dir(&shop));
    let first = part.until_messages(PATIENCE, 1);
    assert_eq!((&first["conversations_total"], &first["output_tokens"]), (&json!(1), &Value::Null));
    assert!(!watches(part.child.id(), &env.projects()));
    env.write("shop", &[in_shop("msg_shop_2")]);
    let line = part.until_messages(PATIENCE, 2);
    assert_eq!((&line["totals"]["output_tokens"], &line["today"]["messages"]), (&json!(100), &json!(2)));
    leader.until_messages(PATIENCE, 4);
}

#[test]
fn a_killed_leader_is_followed_without_a_gap() {
    let env = with_history();
    let [mut leader, next, last]: [Running; 3] = monitors(&env, 2);
    leader.child.kill().unwrap();
    env.write("c", &[Reply::now("msg_3").of("c")]);
    leader.child.wait().unwrap();
    let shown = [next.until_messages(PATIENCE, 3), last.until_messages(PATIENCE, 3)];
    check_counts(&env, &shown);
    until("one of the two reads", || {
        [&next, &last].into_iter().filter(|it| watches(it.child.id(), &env.projects())).count() == 1
    });
    env.write("d", &[Reply::now("msg_4").of("d")]);
    let shown = [next.until_messages(PATIENCE, 4), last.until_messages(PATIENCE, 4)];
    check_counts(&env, &shown);
}

#[test]
fn who_takes_over_knows_who_works() {
    let env = with_history();
    env.write("c", &[prompt("c", &now().to_string())]);
    let [mut leader, next]: [Running; 2] = monitors(&env, 2);
    leader.child.kill().unwrap();
    leader.child.wait().unwrap();
    env.write("d", &[Reply::now("msg_3").of("d")]);
    let shown = next.until_messages(PATIENCE, 3);
    let state = |conversation: &str| {
        let shown = shown["conversations"].as_array().unwrap();
        shown.iter().find(|it| it["conversation_id"] == conversation).unwrap()["state"].clone()
    };
    assert_eq!((state("c"), state("d")), (json!("working"), json!("idle")));
}

#[test]
fn what_is_imported_and_pruned_shows_at_once() {
    // Where nothing burns, nobody looks again of himself before a minute has passed.
    let days_ago = |days: u64| now().before(Duration::from_secs(days * 86_400)).to_string();
    let reply = |id: &str, days: u64| Reply::new(id, &days_ago(days));
    let elsewhere = Env::new();
    elsewhere.write("old", &[reply("msg_8", 200), reply("msg_9", 3)]);
    let file = elsewhere.path("events");
    elsewhere.run(&["events", "export", file.to_str().unwrap()]).ok();
    let env = Env::new();
    env.write("c", &[reply("msg_1", 5), reply("msg_2", 4)]);
    let shown: [Running; 2] = monitors(&env, 2);
    env.run(&["events", "import", file.to_str().unwrap()]).ok();
    shown.iter().for_each(|it| drop(it.until_messages(PATIENCE / 2, 4)));
    env.run(&["prune", "--older-than", "90d", "--yes"]).ok();
    shown.iter().for_each(|it| drop(it.until_messages(PATIENCE / 2, 3)));
}

#[test]
fn while_a_leader_is_frozen_the_others_read_themselves() {
    let env = with_history();
    let [leader, one, two]: [Running; 3] = monitors(&env, 2);
    // One that is frozen while it writes would keep the others from that store.
    until("the sessions' stores are made", || {
        let stores = session_stores(&env);
        stores.len() == 3
            && stores.iter().all(|path| Store::open(path, Timestamp::default()).trouble().is_none())
    });
    leader.signal(Signal::SIGSTOP);
    env.write("c", &[Reply::now("msg_3").of("c")]);
    let shown = [one.until_messages(PATIENCE, 3), two.until_messages(PATIENCE, 3)];
    check_counts(&env, &shown);
    leader.signal(Signal::SIGCONT);
    leader.until_messages(PATIENCE, 3);
    until("the others rest again", || {
        [&one, &two].into_iter().all(|it| !watches(it.child.id(), &env.projects()))
    });
    env.write("c", &[Reply::now("msg_4").of("c")]);
    let shown = [&leader, &one, &two].map(|it| it.until_messages(PATIENCE, 4));
    check_counts(&env, &shown);
}

#[test]
fn who_coordinates_with_nobody_reads_itself() {
    let env = with_history();
    let [_leader] = monitors(&env, 2);
    // Who shares nothing sees its own usage alone, and this session has none.
    for (level, messages) in [("--no-coordination", 2), ("--isolation=complete", 0)] {
        let alone = monitor(&env, &["--json", "--all", level]);
        alone.until_messages(PATIENCE, messages);
        until("it watches", || watches(alone.child.id(), &env.projects()));
    }
}

/// Returns the ids of the quota hits that a store holds.
fn hits(store: &Path) -> BTreeSet<String> {
    let store = Store::open(store, Timestamp::default());
    let facts = store.events(&Selection::facts()).unwrap();
    let hits = facts.iter().filter(|event| matches!(event.fact, Fact::LimitHit(_)));
    hits.map(|event| event.id.to_string()).collect()
}

fn session_stores(env: &Env) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(env.data().join("sessions")).into_iter().flatten();
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "db")).collect()
}

#[test]
fn a_limit_hit_is_known_to_every_session_of_the_account() {
    let env = with_history();
    let shop = env.path("shop");
    fs::create_dir(&shop).unwrap();
    let folder = shop.to_str().unwrap();
    env.write("shop", &[Reply::now("msg_shop_1").of("shop").folder(folder)]);
    let [leader] = monitors(&env, 3);
    let in_shop = Running::of(in_session(&env.command(&["--json"])).current_dir(&shop));
    in_shop.until_messages(PATIENCE, 1);
    let text = Running::of(&mut in_session(&env.command(&["--all"])));
    text.line();
    let deaf = monitor(&env, &["--json", "--all", "--no-cross-session-notify"]);
    deaf.until_messages(PATIENCE, 3);
    let isolated = monitor(&env, &["--json", "--all", "--isolation=complete"]);
    isolated.until_messages(PATIENCE, 0);
    until("each session has a store", || session_stores(&env).len() == 5);

    let reset = now().as_millis() / 1000 + 7200;
    env.write("shop", &[Reply::now("msg_refused").of("shop").folder(folder).refused("five_hour", reset)]);
    let told = json!("limit_hit");
    for (monitor, kind, same_project) in
        [(&leader, &told, json!(false)), (&in_shop, &told, json!(true)), (&deaf, &Value::Null, Value::Null)]
    {
        // The figures of all tell of it, also of those that are told nothing.
        let line = monitor.until(PATIENCE, |line| {
            let line = parse(line);
            line["last_limit"]["conversation_id"] == "shop" && line["notices"][0]["kind"] == *kind
        });
        let line = parse(&line);
        assert_eq!(line["blocked_until"], line["last_limit"]["resets_at"]);
        assert_eq!(line["block"]["anchored"], true);
        let notice = &line["notices"][0];
        assert_eq!(notice["same_project"], same_project, "{notice}");
        if kind.is_string() {
            assert_eq!((&notice["window"], &notice["project"]), (&json!("five_hour"), &json!(folder)));
            assert_eq!(notice["conversation_id"], "shop");
        }
    }
    let line = text.until(PATIENCE, |line| line.contains("notice"));
    assert!(line.contains("5-hour limit hit") && line.contains(folder), "{line}");
    assert_eq!(env.json(&["status"])["coordination"]["notices"], 1, "told once, whoever read it");
    let told = env.json(&["status"])["recent_notices"].clone();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["kind"]), (1, &json!("limit_hit")));

    // It is kept by every session that may know of it, and counts once.
    let kept = || session_stores(&env).iter().filter(|path| hits(path).len() == 1).count();
    until("four of five sessions keep it", || kept() == 4);
    drop((leader, in_shop, text, deaf, isolated));
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["rate_limit_events"], 1);
    let all: BTreeSet<String> = session_stores(&env).iter().flat_map(|path| hits(path)).collect();
    assert_eq!(all, hits(&env.archive()), "one event, wherever it is");
    check_counts(&env, &[]);
}

#[test]
fn hits_of_a_history_are_no_news() {
    let env = with_history();
    let yesterday = now().as_millis() / 1000 - 86_400;
    let hour = 3600;
    let at = Timestamp::from_seconds(yesterday).to_string();
    env.write("old", &[Reply::new("msg_old", &at).of("old").refused("five_hour", yesterday + hour)]);
    let at = Timestamp::from_seconds(now().as_millis() / 1000 - hour).to_string();
    let over = now().as_millis() / 1000 - hour / 2;
    env.write("over", &[Reply::new("msg_over", &at).of("over").refused("five_hour", over)]);
    let [first, second] = monitors(&env, 2);
    env.write("c", &[Reply::now("msg_3").of("c")]);
    for monitor in [first, second] {
        assert_eq!(monitor.until_messages(PATIENCE, 3)["notices"], json!([]));
    }
    assert_eq!(env.json(&["status"])["coordination"]["notices"], 0);
}

/// Bytes that a process has read from files and pipes.
fn bytes_read(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn the_first_reading_is_done_once() {
    const BYTES: u64 = 12_000_000;
    let (env, truth) = Env::with_corpus(7, BYTES);
    let leader = monitor(&env, &["--json", "--all"]);
    until("it leads", || fs::read(env.path("run/lead.lock")).is_ok_and(|text| !text.is_empty()));
    let second = monitor(&env, &["--json", "--all"]);
    for monitor in [&leader, &second] {
        let first = parse(&monitor.line());
        assert_eq!(counts(&first["totals"]), truth.totals, "nobody shows a half");
    }
    let read = bytes_read(second.child.id());
    assert!(read < BYTES / 4, "the second read {read} bytes");
}

#[test]
fn a_first_reading_that_was_cut_off_is_finished_by_the_next() {
    let (env, truth) = Env::with_corpus(8, 12_000_000);
    let mut leader = monitor(&env, &["--json", "--all"]);
    until("it leads", || fs::read(env.path("run/lead.lock")).is_ok_and(|text| !text.is_empty()));
    leader.signal(Signal::SIGSTOP);
    let second = monitor(&env, &["--json", "--all"]);
    until("the second is there", || fs::read_dir(env.path("run/s")).is_ok_and(|files| files.count() == 2));
    leader.child.kill().unwrap();
    leader.child.wait().unwrap();
    let last = second.until_messages(PATIENCE, truth.totals.messages);
    assert_eq!(counts(&last["totals"]), truth.totals);
}

#[test]
fn many_sessions_spare_resources() {
    let env = with_history();
    let monitors: [Running; 3] = std::array::from_fn(|_| {
        let monitor = monitor(&env, &["--json", "--all", "--optimize-resources"]);
        monitor.until_messages(PATIENCE, 2);
        monitor
    });
    assert_eq!(monitors.each_ref().map(|it| watches(it.child.id(), &env.projects())), [true, false, false]);
    // Each keeps in its own store what it is told, which is counted once.
    let reset = now().as_millis() / 1000 + 3600;
    env.write("c", &[Reply::now("msg_3").of("c"), Reply::now("msg_4").of("c").refused("five_hour", reset)]);
    let told = |line: &str| parse(line)["totals"]["rate_limit_events"] == 1;
    monitors.iter().for_each(|it| drop(it.until(PATIENCE, told)));
    until("a store for each session", || session_stores(&env).len() == 3);

    let [leader, other, ended] = monitors;
    let pid = ended.child.id();
    drop(ended.kill());
    until("the ended session's store was moved at once", || session_stores(&env).len() == 2);
    assert!(!session_stores(&env).iter().any(|path| path.to_str().unwrap().contains(&format!("+{pid}~"))));
    env.write("c", &[Reply::now("msg_5").of("c")]);
    let shown = [&leader, &other].map(|it| it.until_messages(PATIENCE, 4));
    check_counts(&env, &shown);
}

/// Somebody clears the data folder away while monitors run.
#[test]
fn a_data_folder_removed_under_monitors() {
    let env = with_history();
    let [leader, other]: [Running; 2] = monitors(&env, 2);
    let is_made = |store: &std::path::PathBuf| Sqlite::open(store, OpenMode::ReadOnly).is_ok();
    until("a store for each session", || session_stores(&env).iter().filter(|it| is_made(it)).count() == 2);
    fs::remove_dir_all(env.data()).unwrap();
    env.write("c", &[Reply::now("msg_3").of("c")]);
    let shown = [&leader, &other].map(|it| it.until_messages(PATIENCE, 3));
    check_counts(&env, &shown);
    let (_, said) = leader.kill();
    assert!(said.contains("the data folder was removed while this runs"), "{said}");
    // What was kept is what they showed, although nobody reads the transcripts again.
    fs::remove_dir_all(env.projects()).unwrap();
    assert_eq!(env.json(&["report"])["totals"]["messages"], 3);
}
