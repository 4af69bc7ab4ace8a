//! `explain`: the records behind a figure, kept or dropped, which come to what the report says.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use session_store::{Batch, Event, EventBackend, Fact, Owner, Role, Stores, Tariff, Timestamp, Turn, Usage};

use crate::env::{Env, Reply, append, counts, now, prompt, row, rows};

const MINUTE: Duration = Duration::from_secs(60);

fn verdicts(explained: &Value) -> BTreeMap<String, u64> {
    let records = explained["records"].as_object().unwrap();
    records.iter().map(|(verdict, count)| (verdict.clone(), count.as_u64().unwrap())).collect()
}

/// A message that every kind of record tells of.
fn told_five_times() -> Env {
    let env = Env::new();
    let reply = |output: u64| Reply::new("msg_1", "2026-11-20T10:00:00Z").of("parent").output(output);
    env.write("parent", &[reply(1), reply(57), reply(57)]);
    // The fork is younger than what it copies.
    append(&env.transcript("fork"), &[prompt("fork", "2026-11-20T11:00:00Z")]);
    append(&env.transcript("fork"), &[reply(57).of("fork")]);
    let replay = reply(57).set("/isSidechain", true).set("/agentId", "a1");
    append(&env.projects().join("-p/parent/subagents/agent-a1.jsonl"), &[replay]);
    env
}

#[test]
fn each_record_has_a_verdict() {
    let env = told_five_times();
    let expected = [("kept", 1), ("placeholder", 1), ("repeat", 1), ("copy", 1), ("echo", 1)];
    let expected: BTreeMap<_, _> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    for what in ["2026-11-20", "2026-11", "parent", "par", "/p/shop", "shop", "sonnet", "msg_1"] {
        let explained = env.json(&["explain", what]);
        assert_eq!(explained["subject"], what);
        assert_eq!(verdicts(&explained), expected, "{what}");
        assert_eq!((&explained["messages"], &explained["output_tokens"]), (&json!(1), &json!(57)), "{what}");
        assert_eq!(explained["archive_only_messages"], 0);
    }
    let explained = env.json(&["explain", "msg_1"]);
    let details = &explained["details"][0];
    assert_eq!((&details["id"], &details["conversation_id"]), (&json!("msg_1"), &json!("parent")));
    let kept = details["records"].as_array().unwrap().iter().find(|it| it["verdict"] == "kept").unwrap();
    let transcript = fs::read_to_string(kept["source"].as_str().unwrap()).unwrap();
    let line = &transcript[kept["line_at"].as_u64().unwrap() as usize..];
    assert!(line.starts_with('{') && line.contains("msg_1"), "the place is that of the line: {line}");

    let text = env.run(&["explain", "msg_1"]).ok();
    for part in
        ["msg_1: 1 message, 67 tokens, $0.0006", "1 records placeholder", "1 records kept", "sonnet-5-5"]
    {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn figures_are_those_of_the_report() {
    let (env, _) = Env::with_corpus(21, 400_000);
    let same = |what: &str, told: &Value| {
        let explained = env.json(&["explain", what]);
        assert_eq!(counts(&explained), counts(told), "{what}");
        let difference = explained["cost_usd"].as_f64().unwrap() - told["cost_usd"].as_f64().unwrap();
        assert!(difference.abs() < 1e-9, "{what}: {difference} USD");
        assert_eq!(verdicts(&explained)["kept"], told["messages"].as_u64().unwrap(), "{what}");
        let priced: f64 = explained["prices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["cost_usd"].as_f64().unwrap())
            .sum();
        assert!(
            (priced - told["cost_usd"].as_f64().unwrap()).abs() < 1e-9,
            "{what}: the prices make up the cost"
        );
    };
    for by in ["daily", "monthly", "conversation"] {
        let report = env.json(&["report", by]);
        let used: Vec<&Value> = rows(&report).iter().filter(|row| row["messages"] != 0).collect();
        for row in [used[0], used[used.len() / 2], used[used.len() - 1]] {
            same(row["key"].as_str().unwrap(), row);
        }
    }
    // A shorter name stands for all that contain it, in both commands.
    same("opus", &env.json(&["report", "--model", "opus"])["totals"]);
    let projects = env.json(&["report", "project"]);
    let project = rows(&projects)[0]["key"].as_str().unwrap();
    same(project, &env.json(&["report", "--project", project])["totals"]);
}

#[test]
fn days_are_those_of_the_zone() {
    let env = Env::new();
    env.write(
        "c",
        &[Reply::new("msg_1", "2026-11-30T18:29:59Z"), Reply::new("msg_2", "2026-11-30T18:30:00Z")],
    );
    let explained = |what: &str| {
        let mut command = env.command(&["explain", what, "--json"]);
        command.env("CLAUDEWATCH_TIMEZONE", "Asia/Kolkata");
        crate::env::Outcome::of(&mut command).json()["messages"].clone()
    };
    for what in ["2026-11-30", "2026-12-01", "2026-11", "2026-12"] {
        assert_eq!(explained(what), 1, "{what}");
    }
    assert_eq!(explained("2026-11-29"), 0);
}

#[test]
fn deleted_lines_are_said_to_be_in_the_archive_alone() {
    let env = told_five_times();
    env.run(&["report"]).ok();
    fs::remove_dir_all(env.projects()).unwrap();
    let explained = env.json(&["explain", "2026-11-20"]);
    assert_eq!((&explained["archive_only_messages"], &explained["output_tokens"]), (&json!(1), &json!(57)));
    assert_eq!(verdicts(&explained), BTreeMap::new());
    let text = env.run(&["explain", "2026-11-20"]).ok();
    assert!(text.contains("1 messages are in the archive alone"), "{text}");
}

#[test]
fn models_without_a_price_are_named() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z").model("gpt-7")]);
    let explained = env.json(&["explain", "msg_1"]);
    assert_eq!(explained["unpriced_models"], json!(["gpt-7"]));
    assert_eq!((&explained["cost_usd"], &explained["details"][0]["cost_usd"]), (&json!(0.0), &Value::Null));
    let text = env.run(&["explain", "msg_1"]).ok();
    assert!(text.contains("Without a price: gpt-7\n") && text.contains("no price"), "{text}");
}

#[test]
fn what_nobody_knows_is_not_found() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    for what in ["msg_2", "nobody", "/q"] {
        env.run(&["explain", what]).fails(1, &["nothing is known of", what, "name a day"]);
    }
    env.run(&["explain"]).fails(2, &["Usage"]);
    // A day without any use is an answer, also at the end of the calendar.
    for what in ["2026-11-19", "2026-10", "9999-12", "9999-12-31"] {
        assert_eq!(env.json(&["explain", what])["messages"], 0, "{what}");
    }
    let report = env.json(&["report"]);
    assert_eq!(row(&report, "2026-11-20")["messages"], 1);
}

#[test]
fn a_limit_comes_with_what_was_told_learned_and_used() {
    let env = Env::new();
    let at = |minutes: u64| Timestamp::from_seconds(now().as_millis() / 1000).before(MINUTE * minutes as u32);
    let reset = at(0).after(MINUTE * 60);
    let told = |conversation: &str, minutes: u64| {
        let reply = Reply::new(&format!("msg_{conversation}_{minutes}"), &at(minutes).to_string());
        reply.of(conversation).output(100)
    };
    let refused = |minutes: u64, reset: Timestamp| {
        let id = format!("err_{minutes}");
        Reply::new(&id, &at(minutes).to_string()).of("c").refused("five_hour", reset.as_millis() / 1000)
    };
    env.write("c", &[told("c", 500), refused(490, at(400)), told("c", 200), refused(30, reset)]);

    let explained = env.json(&["explain", "five_hour"]);
    // What is used of the window: the reply within it, with its line and its price.
    assert_eq!((&explained["messages"], &explained["details"][0]["id"]), (&json!(1), &json!("msg_c_200")));
    assert_eq!(explained["prices"].as_array().unwrap().len(), 1);
    let limit = &explained["limits"][0];
    assert_eq!((&limit["window"], &limit["status"]), (&json!("five_hour"), &json!("rejected")));
    let readings: Vec<_> = limit["readings"].as_array().unwrap().iter().collect();
    let verdicts: Vec<_> = readings.iter().map(|it| it["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["kept", "other_window"], "{limit}");
    let transcript = fs::read_to_string(readings[0]["transcript"].as_str().unwrap()).unwrap();
    let line = &transcript[readings[0]["line_at"].as_u64().unwrap() as usize..];
    assert!(line.lines().next().unwrap().contains("err_30"), "{line}");
    assert_eq!(limit["prediction"]["method"], "limit_hit");
    assert!(limit["learned"].is_object());

    let text = env.run(&["explain", "five_hour"]).ok();
    for part in
        ["5-hour limit of ", "    kept ", "    other_window ", "Forecast: hit (limit_hit)", "msg_c_200"]
    {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    env.run(&["explain", "seven_day"]).fails(1, &["nothing is known of the limit `seven_day`"]);
    // Where there was no reply there is nothing to price or to list.
    assert_eq!(env.run(&["explain", "2025-01-01"]).ok(), "2025-01-01: 0 messages, 0 tokens, $0.00\n");
}

#[test]
fn a_session_comes_with_its_efficiency() {
    let env = Env::new();
    let stores = Stores::open(&env.data(), now());
    let key = "s-pts=1+local+ada+box+41~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.41.86c30";
    stores.set_owners(HashMap::from([("one".into(), key.to_owned())]));
    let turn = |number: u64, conversation: &str| {
        let at = now().before(MINUTE * (60 + number as u32));
        let usage = Usage { input: 1_000, cache_read: 3_000, output: 10, ..Usage::default() };
        let turn =
            Turn { usage, model: "claude-opus-5-5".into(), tariff: Tariff::default(), under_reported: false };
        let owner = Owner { role: Role::Main, since: at, conversation: conversation.into(), agent: None };
        Event {
            id: format!("msg_{conversation}_{number}").as_str().into(),
            at,
            owner,
            fact: Fact::Turn(turn),
        }
    };
    let ledger = (0..20).map(|number| turn(number, "one")).chain([turn(1, "two")]).collect();
    let _ = stores.commit(Batch { ledger, checkpoints: Vec::new() }).unwrap();

    let explained = env.json(&["explain", "pts/1:local:ada:box:41"]);
    assert_eq!((&explained["messages"], &explained["archive_only_messages"]), (&json!(20), &json!(20)));
    let efficiency = &explained["efficiency"];
    assert_eq!((&efficiency["replies"], &efficiency["prompt_tokens"]), (&json!(20), &json!(80_000)));
    // 0.4 of three quarters from the cache, and all of the rest.
    assert_eq!(efficiency["cached"], json!({"share": 0.75, "weight": 0.4}));
    assert!((efficiency["score"].as_f64().unwrap() - 0.9).abs() < 1e-9, "{efficiency}");
    let text = env.run(&["explain", "pts/1:local:ada"]).ok();
    assert!(
        text.contains("Efficiency over the last 30 days: 0.90\n    0.40 × 0.75  60.0k of 80.0k tokens"),
        "{text}"
    );
}

/// A conversation may consist of nothing but a refusal; what the report counts is explained all the same.
#[test]
fn limit_hits_are_behind_figures_too() {
    let env = Env::new();
    let reset = now().after(MINUTE * 60);
    let refused = |id: &str| {
        Reply::now(id).of("refused").folder("/p/shop").refused("five_hour", reset.as_millis() / 1000)
    };
    // A second try at the same limit is no second hit.
    env.write("refused", &[refused("err_1"), refused("err_2")]);
    assert_eq!(env.json(&["report", "conversation"])["totals"]["rate_limit_events"], 1);
    for what in ["refused", "/p/shop", &now().to_string()[..10]] {
        let explained = env.json(&["explain", what]);
        let hits = explained["limit_hits"].as_array().unwrap();
        assert_eq!((&explained["messages"], hits.len()), (&json!(0), 1), "{what}: {explained}");
        assert_eq!(
            (&hits[0]["window"], &hits[0]["conversation_id"]),
            (&json!("five_hour"), &json!("refused"))
        );
        assert_eq!(hits[0]["transcript"], env.transcript("refused").to_str().unwrap());
        assert!(env.run(&["explain", what]).ok().contains("1 limit hit, the newest first:\n"));
    }
}
