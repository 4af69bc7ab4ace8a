//! `prune`: shows, asks, deletes; nothing that goes is unnamed, nothing comes back, and no instant to be killed at is a bad one.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use session_store::{EventBackend, Stores, Timestamp};
use unicode_width::UnicodeWidthStr;

use crate::env::{Env, Outcome, PATIENCE, Reply, now};

fn days_ago(days: u64) -> Timestamp {
    now().before(Duration::from_secs(days * 86_400))
}

/// Old and young replies of a conversation whose transcript is still there, and of one whose transcript is gone.
fn history() -> Env {
    let env = Env::new();
    for (conversation, folder) in [("kept", "/p/shop"), ("deleted", "/p/blog")] {
        let reply = |age| {
            let id = format!("msg_{conversation}_{age}");
            Reply::new(&id, &days_ago(age).to_string()).of(conversation).folder(folder)
        };
        env.write(conversation, &[reply(200), reply(150), reply(3)]);
    }
    assert_eq!(messages(&env), 6);
    fs::remove_file(env.transcript("deleted")).unwrap();
    env
}

fn messages(env: &Env) -> u64 {
    env.json(&["report"])["totals"]["messages"].as_u64().unwrap()
}

#[test]
fn nothing_is_deleted_without_a_word_for_it() {
    let env = history();
    let text = env.run(&["prune"]).ok();
    assert_eq!(text, "There is nothing to prune.\n", "no record goes unless an age was said");
    assert_eq!(env.run(&["prune", "--older-than", "1y", "--yes"]).ok(), "There is nothing to prune.\n");
    let refused = env.run(&["prune", "--older-than", "100d"]);
    refused.fails(2, &["nobody can be asked here", "--dry-run", "--yes"]);
    env.run(&["prune", "--older-than", "100d", "--json"]).fails(2, &["nobody can be asked here"]);
    env.run(&["prune", "--older-than", "soon"]).fails(2, &["write days, weeks or years: 90d, 12w, 2y"]);
    env.run(&["prune", "--dry-run", "--yes"]).fails(2, &["cannot be used with"]);
    let plan = env.run(&["prune", "--older-than", "100d", "--dry-run"]).ok();
    for part in [
        "🧹 What would be pruned\n",
        "4 replies of 2 conversations\n",
        "│ deleted ",
        "│ kept ",
        "/p/blog",
        "│ nothing ",
        "│ transcript │",
        "⚠️  1 of them lie only here",
    ] {
        assert!(plan.contains(part), "`{part}` is not in\n{plan}");
    }
    assert_eq!(messages(&env), 6);
    // Nothing known at all is nothing to prune either, and makes no archive.
    let fresh = Env::new();
    assert_eq!(fresh.run(&["prune"]).ok(), "There is nothing to prune.\n");
    assert!(!fresh.data().exists());
}

#[test]
fn what_is_deleted_stays_away_though_its_transcript_is_read_again() {
    let env = history();
    let done = env.json(&["prune", "--older-than", "100d", "--yes"]);
    assert_eq!(done["schema_version"], 1);
    assert_eq!(done["done"]["records"], 4, "{done}");
    let told: Vec<(&str, &Value)> = done["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["conversation_id"].as_str().unwrap(), &it["only_here"]))
        .collect();
    assert_eq!(told, [("deleted", &json!(true)), ("kept", &json!(false))]);
    assert_eq!(
        (&done["conversations"][0]["messages"], &done["conversations"][0]["total_tokens"]),
        (&json!(2), &json!(60))
    );
    assert_eq!(messages(&env), 2);
    // Rewritten, the transcript is read from its start.
    let text = fs::read_to_string(env.transcript("kept")).unwrap();
    let again = Reply::now("msg_new").of("kept");
    fs::write(env.transcript("kept"), format!("{again}\n{text}{text}")).unwrap();
    assert_eq!(messages(&env), 3);
    assert_eq!(env.run(&["prune", "--older-than", "100d", "--yes"]).ok(), "There is nothing to prune.\n");
    // What travelled from another host is refused too.
    let other = history();
    let file = env.path("events.jsonl");
    other.run(&["events", "export", file.to_str().unwrap()]).ok();
    env.run(&["events", "import", file.to_str().unwrap()]).ok();
    assert_eq!(messages(&env), 3, "the young ones are known, the old ones stay away");
}

#[test]
fn monitors_go_on_meanwhile() {
    let env = history();
    let monitor = env.start(&["--json", "--all"]);
    monitor.until_messages(PATIENCE, 6);
    env.run(&["prune", "--older-than", "100d", "--yes"]).ok();
    env.write("kept", &[Reply::now("msg_new").of("kept")]);
    monitor.until_messages(PATIENCE, 3);
    drop(monitor);
    let plan = env.json(&["prune", "--dry-run"]);
    assert_eq!((&plan["stale_locks"], &plan["done"]), (&json!(1), &Value::Null));
    let done = env.run(&["prune", "--yes"]).ok();
    assert!(done.contains("lock files of monitors that have ended: 1\n"), "{done}");
    assert_eq!(env.json(&["status"])["sessions"], json!([]));
}

/// Killed at instants all over its work, it leaves nothing lost that was to stay, and nothing twice.
#[test]
fn killed_at_any_instant_it_can_be_run_again() {
    let (env, truth) = Env::with_corpus(7, 400_000);
    assert_eq!(messages(&env), truth.messages);
    let stores = || Stores::open(&env.data(), now());
    let cut = {
        let mut times: Vec<Timestamp> = Vec::new();
        for id in stores().turn_ids().unwrap().chunks(500) {
            times.extend(stores().turns_of(id).unwrap().iter().map(|event| event.at));
        }
        times.sort();
        times[times.len() / 2]
    };
    let days = now().since(cut).as_secs() / 86_400;
    let age = format!("{}d", days.max(1));
    let mut delay = Duration::from_millis(1);
    loop {
        let mut child = env
            .command(&["prune", "--yes", "--older-than", &age])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(delay);
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        if ended {
            break;
        }
        delay *= 2;
    }
    env.run(&["prune", "--yes", "--older-than", &age]).ok();
    let horizon = days_ago(days.max(1));
    let left = stores();
    let ids = left.turn_ids().unwrap();
    let turns = left.turns_of(&ids).unwrap();
    assert!(turns.iter().all(|event| event.at >= horizon.before(Duration::from_secs(120))));
    let sum: u64 =
        left.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap().iter().map(|cell| cell.sum.messages).sum();
    assert_eq!(sum, ids.len() as u64);
    // A fresh reading of the same transcripts, pruned once, comes to the same.
    let fresh = env.path("fresh");
    let at = |args: &[&str]| {
        let dir = fresh.to_str().unwrap();
        env.run(&[args, &["--data-dir", dir]].concat())
    };
    at(&["report"]).ok();
    at(&["prune", "--yes", "--older-than", &age]).ok();
    // The moment itself has moved on a little.
    let young = |stores: &Stores| -> Vec<session_store::Event> {
        let turns = stores.turns_of(&stores.turn_ids().unwrap()).unwrap();
        turns.into_iter().filter(|event| event.at >= horizon.after(Duration::from_secs(3600))).collect()
    };
    let (mine, again) = (young(&left), young(&Stores::open(&fresh, now())));
    assert!(!mine.is_empty() && (mine.len() as u64) < truth.messages);
    assert_eq!(again, mine);
}

#[test]
#[cfg(target_os = "linux")]
fn stores_and_files_left_over_are_named_and_go() {
    let env = history();
    let claude = crate::claude::FakeClaude::start(&env, "kept");
    env.write("kept", &[Reply::now("msg_live").of("kept")]);
    assert_eq!(messages(&env), 7);
    let store = claude.store(&env);
    assert_eq!(env.run(&["prune"]).ok(), "There is nothing to prune.\n", "it is running");
    drop(claude);
    let damaged = env.data().join(format!("archive.db.corrupt-{}", days_ago(40).as_millis()));
    let orphan = env.data().join("sessions/s-gone.db-wal");
    let run = env.data().join("run/another-boot");
    fs::create_dir_all(&run).unwrap();
    for path in [&damaged, &orphan, &run.join("board.db")] {
        fs::write(path, "left").unwrap();
        let past = SystemTime::now() - Duration::from_secs(40 * 86_400);
        fs::File::options().write(true).open(path).unwrap().set_modified(past).unwrap();
    }
    fs::File::open(&run).unwrap().set_modified(SystemTime::now() - Duration::from_secs(40 * 86_400)).unwrap();
    for width in [60, 100, 160] {
        let mut command = env.command(&["prune", "--dry-run", "--older-than", "100d"]);
        let text = Outcome::of(command.env("COLUMNS", width.to_string())).ok();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(['┌', '│', '└'])).collect();
        assert!(!rows.is_empty() && rows.iter().all(|row| row.width() <= width), "{width}:\n{text}");
        let name = store.file_name().unwrap().to_str().unwrap();
        for path in [damaged.to_str().unwrap(), orphan.to_str().unwrap(), run.to_str().unwrap(), name] {
            assert!(text.contains(path), "{path} is not in\n{text}");
        }
    }
    env.run(&["prune", "--yes"]).ok();
    assert!([&damaged, &orphan, &run, &store].iter().all(|path| !path.exists()));
    assert_eq!(messages(&env), 7, "what the session held is in the archive");
}
