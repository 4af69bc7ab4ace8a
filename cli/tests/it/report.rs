//! `report`: right totals however the files came, days of every zone, spans, filters, and the forms of its output.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use serde_json::{Value, json};
use session_store::corpus::{Counts, Truth};
use session_store::{
    Batch, Date, Event, EventBackend, Fact, Owner, Role, Stores, Tariff, Timestamp, Turn, Usage,
};

use crate::env::{Env, Reply, append, counts, files_below, messages, now, row, rows, sum, write_bytes};

const GROUPINGS: [&str; 11] = [
    "daily",
    "weekly",
    "monthly",
    "conversation",
    "project",
    "model",
    "block",
    "session",
    "type",
    "user",
    "host",
];

#[track_caller]
fn assert_truth(report: &Value, truth: &Truth) {
    assert_eq!(counts(&report["totals"]), truth.totals);
    assert_eq!(report["problems"]["lines_skipped"], truth.damaged_lines);
}

/// The truth of the days and models that are wanted.
fn part(truth: &Truth, wanted: impl Fn(&str, &str) -> bool) -> Counts {
    let parts = truth.by_day_model.iter().filter(|((day, model), _)| wanted(day, model));
    sum(parts.map(|(_, counts)| counts))
}

fn keyed(report: &Value) -> BTreeMap<String, Counts> {
    // A conversation that was only refused has a row without messages.
    let used = rows(report).iter().filter(|row| row["messages"] != 0);
    used.map(|row| (row["key"].as_str().unwrap().to_owned(), counts(row))).collect()
}

#[test]
fn every_grouping_equals_the_truth() {
    let (env, truth) = Env::with_corpus(11, 1_200_000);
    let report = |by: &str| env.json(&["report", by]);
    for by in GROUPINGS {
        let report = report(by);
        assert_truth(&report, &truth);
        let rows: Vec<Counts> = rows(&report).iter().map(counts).collect();
        assert_eq!(sum(&rows), truth.totals, "{by}: the rows make up the totals");
    }
    assert_eq!(keyed(&report("conversation")), truth.by_conversation);

    let days: BTreeSet<&str> = truth.by_day_model.keys().map(|(day, _)| day.as_str()).collect();
    let models: BTreeSet<&str> = truth.by_day_model.keys().map(|(_, model)| model.as_str()).collect();
    let of = |names: &BTreeSet<&str>, counts: &dyn Fn(&str) -> Counts| {
        names.iter().map(|name| ((*name).to_owned(), counts(name))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(keyed(&report("model")), of(&models, &|name| part(&truth, |_, model| model == name)));
    assert_eq!(keyed(&report("daily")), of(&days, &|name| part(&truth, |day, _| day == name)));
    for name in &models {
        let by_day = env.json(&["report", "--model", name]);
        let wanted = |day: &str| part(&truth, |its, model| its == day && model.contains(name));
        let expected: BTreeMap<_, _> =
            of(&days, &wanted).into_iter().filter(|(_, counts)| counts.messages > 0).collect();
        assert_eq!(keyed(&by_day), expected, "--model {name}");
    }

    let months: BTreeSet<&str> = days.iter().map(|day| &day[..7]).collect();
    assert_eq!(
        keyed(&report("monthly")),
        of(&months, &|month| part(&truth, |day, _| day.starts_with(month)))
    );
    for (monday, counts) in keyed(&report("weekly")) {
        let mut week = vec![Date::parse(&monday).unwrap()];
        week.extend((1..7).scan(week[0], |day, _| Some(std::mem::replace(day, day.tomorrow()).tomorrow())));
        let week: Vec<String> = week.iter().map(Date::to_string).collect();
        assert_eq!(counts, part(&truth, |day, _| week.iter().any(|it| it == day)), "week of {monday}");
    }
}

#[test]
fn a_second_run_prints_the_same() {
    let (env, truth) = Env::with_corpus(12, 300_000);
    for by in GROUPINGS {
        let first = env.run(&["report", by, "--json"]).ok();
        assert_eq!(env.run(&["report", by, "--json"]).ok(), first, "{by}");
        // A fresh archive, filled in one go, says the same as the one that was there.
        let data = env.path(format!("data-{by}"));
        let fresh = env.run(&["report", by, "--json", "--data-dir", data.to_str().unwrap()]);
        assert_eq!(fresh.ok(), first, "{by}");
    }
    assert_truth(&env.json(&["report"]), &truth);
}

#[test]
fn files_that_grow_by_arbitrary_bytes_end_in_the_same_totals() {
    const STEPS: usize = 12;
    let (whole, truth) = Env::with_corpus(13, 400_000);
    let growing = Env::new();
    let mut random = fastrand::Rng::with_seed(13);
    let mut files: Vec<(_, Vec<u8>, usize)> = files_below(&whole.claude())
        .into_iter()
        .map(|path| (path.strip_prefix(whole.claude()).unwrap().to_owned(), fs::read(&path).unwrap(), 0))
        .collect();
    let mut counted = 0;
    for step in 1..=STEPS {
        for (path, bytes, written) in &mut files {
            let left = bytes.len() - *written;
            *written += if step == STEPS { left } else { random.usize(0..=left.min(bytes.len() / 6)) };
            write_bytes(&growing.claude().join(path), &bytes[..*written]);
        }
        let so_far = counts(&growing.json(&["report"])["totals"]).messages;
        assert!(so_far >= counted, "nothing counted is lost");
        counted = so_far;
    }
    let report = growing.json(&["report", "conversation"]);
    assert_truth(&report, &truth);
    assert_eq!(keyed(&report), truth.by_conversation);
}

#[test]
fn files_given_twice_are_counted_once() {
    let (env, truth) = Env::with_corpus(14, 200_000);
    let twin = env.path("twin");
    fs::create_dir(&twin).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(env.projects(), twin.join("projects")).unwrap();
    let claude = env.claude();
    let inside = env.projects();
    for second in [&claude, &twin, &inside] {
        let (first, second) = (claude.to_str().unwrap(), second.to_str().unwrap());
        let report = env.json(&["report", "--claude-dir", first, "--claude-dir", second]);
        assert_eq!(counts(&report["totals"]), truth.totals, "{second}");
    }
}

/// Writes a reply at the start of each quarter hour from one day to another, by UTC.
fn quarters(env: &Env, from: &str, to: &str) {
    let [mut at, end] = [from, to].map(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap());
    let mut replies = Vec::new();
    while at < end {
        replies.push(Reply::new(&format!("msg_{at}"), &at.to_string()));
        at = at.after(std::time::Duration::from_secs(900));
    }
    env.write("c", &replies);
}

#[test]
fn days_begin_and_end_by_the_zone() {
    let check = |zone: &str, from: &str, to: &str, day: &str, hours: f64| {
        let env = Env::new();
        quarters(&env, from, to);
        let report = env.json(&["report", "--timezone", zone]);
        assert_eq!(report["timezone"], zone);
        assert_eq!(row(&report, day)["messages"], (hours * 4.0) as u64, "{day} in {zone}");
        // The day as a span holds what the day as a row holds.
        let until = Date::parse(day).unwrap().tomorrow().to_string();
        let span = env.json(&["report", "--timezone", zone, "--since", day, "--until", &until]);
        assert_eq!(messages(&span), [(day.to_owned(), (hours * 4.0) as u64)], "{day} in {zone}");
    };
    check("UTC", "2026-03-28", "2026-03-31", "2026-03-29", 24.0);
    check("Europe/Berlin", "2026-03-28", "2026-03-31", "2026-03-29", 23.0);
    check("Europe/Berlin", "2026-10-24", "2026-10-27", "2026-10-25", 25.0);
    check("America/New_York", "2026-10-31", "2026-11-03", "2026-11-01", 25.0);
    check("Australia/Lord_Howe", "2026-04-04", "2026-04-07", "2026-04-05", 24.5);
    check("Asia/Kolkata", "2026-06-01", "2026-06-04", "2026-06-02", 24.0);
    check("Asia/Kathmandu", "2026-06-01", "2026-06-04", "2026-06-02", 24.0);
    // The clocks go forward at midnight, so that the day begins at one o'clock.
    check("Africa/Cairo", "2026-04-23", "2026-04-26", "2026-04-24", 23.0);
    check("Pacific/Kiritimati", "2026-06-01", "2026-06-04", "2026-06-03", 24.0);
}

#[test]
fn a_moment_belongs_to_the_day_of_the_zone() {
    let env = Env::new();
    env.write(
        "c",
        &[Reply::new("msg_1", "2026-11-30T18:29:59.999Z"), Reply::new("msg_2", "2026-11-30T18:30:00Z")],
    );
    let keys = |by: &str, zone: &str| messages(&env.json(&["report", by, "--timezone", zone]));
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
    };
    assert_eq!(keys("daily", "UTC"), pairs(&[("2026-11-30", 2)]));
    assert_eq!(keys("daily", "Asia/Kolkata"), pairs(&[("2026-11-30", 1), ("2026-12-01", 1)]));
    assert_eq!(keys("monthly", "Asia/Kolkata"), pairs(&[("2026-11", 1), ("2026-12", 1)]));
    assert_eq!(keys("weekly", "Asia/Kolkata"), pairs(&[("2026-11-30", 2)]));
    assert_eq!(keys("weekly", "America/Los_Angeles"), pairs(&[("2026-11-30", 2)]));
    assert_eq!(keys("weekly", "Pacific/Kiritimati"), pairs(&[("2026-11-30", 2)]));
}

#[test]
fn spans_take_dates_times_and_moments() {
    let env = Env::new();
    let times = ["09:59:59.999", "10:00:00", "10:07:00", "10:07:00.001", "10:14:59", "10:15:00", "23:30:00"];
    let reply =
        |(place, time): (usize, &&str)| Reply::new(&format!("msg_{place}"), &format!("2026-11-20T{time}Z"));
    env.write("c", &times.iter().enumerate().map(reply).collect::<Vec<_>>());
    let check = |options: &[&str], expected: u64| {
        for by in GROUPINGS {
            let report = env.json(&[&["report", by], options].concat());
            assert_eq!(report["totals"]["messages"], expected, "{by} {options:?}");
        }
    };
    check(&[], 7);
    check(&["--since", "2026-11-20"], 7);
    check(&["--until", "2026-11-20"], 0);
    check(&["--since", "2026-11-21"], 0);
    check(&["--since", "2026-11-20", "--until", "2026-11-21"], 7);
    // The start is inclusive, the end exclusive.
    check(&["--since", "2026-11-20T10:00"], 6);
    check(&["--until", "2026-11-20T10:00"], 1);
    check(&["--since", "2026-11-20 10:00", "--until", "2026-11-20 10:15"], 4);
    // A time within a quarter hour, to the millisecond.
    check(&["--since", "2026-11-20T10:07"], 5);
    check(&["--since", "2026-11-20T10:07:00.001Z"], 4);
    check(&["--until", "2026-11-20T10:07:00.001Z"], 3);
    check(&["--since", "2026-11-20T10:07:00Z", "--until", "2026-11-20T10:07:00.001Z"], 1);
    check(&["--since", "2026-11-20T12:07:00.001+02:00"], 4);
    // Dates and times without a zone are of the zone asked for.
    check(&["--since", "2026-11-21", "--timezone", "Europe/Berlin"], 1);
    check(&["--since", "2026-11-20T11:07", "--timezone", "Europe/Berlin"], 5);
    check(&["--since", "2026-11-20T10:07:00Z", "--timezone", "Europe/Berlin"], 5);

    let told = env.json(&["report", "--since", "2026-11-20T12:07:00+02:00", "--until", "2026-11-21"]);
    assert_eq!(told["since"], "2026-11-20T10:07:00.000Z");
    assert_eq!(told["until"], "2026-11-21T00:00:00.000Z");
    for wrong in ["yesterday", "2026-11-31", "2026-11-20T25:00", "20.11.2026", "2026-11-20T", ""] {
        env.run(&["report", "--since", wrong])
            .fails(2, &["--since", "is no date or time", "2026-11-22T14:00"]);
        env.run(&["report", "--until", wrong]).fails(2, &["--until", "is no date or time"]);
    }
    let backwards = ["report", "--since", "2026-11-20", "--until", "2026-11-20"];
    env.run(&backwards).fails(2, &["--since is not before --until"]);
}

#[test]
fn a_time_that_the_clocks_skip_or_repeat_is_taken() {
    let env = Env::new();
    quarters(&env, "2026-03-29", "2026-03-30");
    let since = |time: &str| {
        let report = env.json(&["report", "--timezone", "Europe/Berlin", "--since", time]);
        report["since"].as_str().unwrap().to_owned()
    };
    // Half past two does not exist on this day, and exists twice on the other; the earlier one covers more.
    assert_eq!(since("2026-03-29T02:30"), "2026-03-29T01:30:00.000Z");
    assert_eq!(since("2026-10-25T02:30"), "2026-10-25T00:30:00.000Z");
}

#[test]
fn filters_take_projects_and_models() {
    let env = Env::new();
    let reply = |id: &str, folder: &str, model: &str| {
        Reply::new(id, "2026-11-20T10:00:00Z").of(id).folder(folder).model(model)
    };
    env.write(
        "c",
        &[
            reply("msg_1", "/p/shop", "claude-opus-5-5"),
            reply("msg_2", "/p/shop/frontend", "claude-opus-5"),
            reply("msg_3", "/p/shopping", "claude-sonnet-5-5"),
            reply("msg_4", "/q/shop", "claude-haiku-5-5"),
            reply("msg_5", r"C:\work\shop", "claude-haiku-5-5"),
        ],
    );
    let check = |options: &[&str], expected: u64| {
        let report = env.json(&[&["report"], options].concat());
        assert_eq!(report["totals"]["messages"], expected, "{options:?}");
    };
    check(&["--project", "/p/shop"], 2);
    check(&["--project", "/p/shop/"], 2);
    check(&["--project", "/p"], 3);
    check(&["--project", "/"], 4);
    check(&["--project", "shop"], 3);
    check(&["--project", "/p/sho"], 0);
    check(&["--model", "opus"], 2);
    check(&["--model", "claude-opus-5-5"], 1);
    check(&["--model", "gpt"], 0);
    check(&["--project", "/p/shop", "--model", "opus-5-5"], 1);
    let by_project = env.json(&["report", "project"]);
    let keys: Vec<String> = messages(&by_project).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["/p/shop", "/p/shop/frontend", "/p/shopping", "/q/shop", r"C:\work\shop"]);
    let nothing = env.run(&["report", "--model", "gpt"]).ok();
    assert_eq!(nothing, "Nothing was used in this time.\n");
}

#[test]
fn folders_of_one_repository_are_one_project() {
    let env = Env::new();
    let repository = env.path("work/shop");
    fs::create_dir_all(repository.join(".git")).unwrap();
    fs::create_dir_all(repository.join("frontend/src")).unwrap();
    let reply = |id: &str, below: &str| {
        let folder = repository.join(below);
        Reply::new(id, "2026-11-20T10:00:00Z").of(id).folder(folder.to_str().unwrap())
    };
    env.write("c", &[reply("msg_1", "backend"), reply("msg_2", "frontend/src"), reply("msg_3", "gone")]);
    let report = env.json(&["report", "project"]);
    assert_eq!(messages(&report), [(repository.to_str().unwrap().to_owned(), 3)]);
}

/// Checks that an object has these fields, each of the type of the example beside it.
#[track_caller]
fn assert_fields(told: &Value, expected: &Value) {
    let (told, expected) = (told.as_object().unwrap(), expected.as_object().unwrap());
    let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(told), names(expected));
    for (name, example) in expected {
        let value = &told[name];
        let same = match example {
            Value::Null => true,
            Value::Number(number) if number.is_f64() => value.is_f64(),
            Value::Number(_) => value.is_u64(),
            _ => std::mem::discriminant(value) == std::mem::discriminant(example),
        };
        assert!(same, "{name} is {value}, not like {example}");
    }
}

fn with(base: &Value, more: Value) -> Value {
    let mut base = base.as_object().unwrap().clone();
    base.extend(more.as_object().unwrap().clone());
    Value::Object(base)
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let (env, _) = Env::with_corpus(15, 150_000);
    let totals = json!({
        "messages": 1, "input_tokens": 1, "output_tokens": 1, "cache_write_5m_tokens": 1,
        "cache_write_1h_tokens": 1, "cache_read_tokens": 1, "total_tokens": 1, "web_searches": 1,
        "cost_usd": 0.5, "estimated": false, "models": [], "rate_limit_events": 1,
    });
    for by in GROUPINGS {
        let report = env.json(&["report", by]);
        assert_fields(
            &report,
            &json!({
                "schema_version": 1, "by": "", "timezone": "", "since": null, "until": null, "rows": [],
                "totals": {}, "problems": {},
            }),
        );
        assert_eq!((&report["schema_version"], &report["by"]), (&json!(1), &json!(by)));
        assert_eq!((&report["since"], &report["until"]), (&Value::Null, &Value::Null));
        assert_fields(&report["totals"], &totals);
        assert_fields(
            &report["problems"],
            &json!({
                "lines_skipped": 1, "files_skipped": 1, "unpriced_models": [], "under_reported_messages": 1,
            }),
        );
        let mut expected = with(&totals, json!({"key": ""}));
        if by == "block" {
            expected = with(&expected, json!({"start": "", "end": "", "anchored": null, "active": false}));
        }
        if by == "conversation" {
            expected = with(
                &expected,
                json!({
                    "project": "", "started_at": "", "last_activity": "", "client_cost_usd": null,
                    "client_difference_usd": null,
                }),
            );
        }
        assert!(!rows(&report).is_empty(), "{by}");
        rows(&report).iter().for_each(|row| assert_fields(row, &expected));
        let keys: Vec<&str> = rows(&report).iter().map(|row| row["key"].as_str().unwrap()).collect();
        assert!(keys.is_sorted(), "{by}: {keys:?}");
    }
}

/// Reads CSV by RFC 4180.
fn csv(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut letters = text.strip_suffix("\r\n").expect("each line ends with CRLF").chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let record = records.last_mut().unwrap();
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => record.last_mut().unwrap().push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\r' if !quoted => {
                assert_eq!(letters.next(), Some('\n'));
                records.push(vec![String::new()]);
            }
            letter => record.last_mut().unwrap().push(letter),
        }
    }
    records
}

#[test]
fn csv_says_what_json_says() {
    let (env, _) = Env::with_corpus(16, 200_000);
    for by in GROUPINGS {
        let report = env.json(&["report", by]);
        let records = csv(&env.run(&["report", by, "--csv"]).ok());
        let (header, lines) = records.split_first().unwrap();
        assert_eq!(header[..2], ["key", "messages"]);
        assert_eq!(lines.len(), rows(&report).len(), "{by}");
        for (line, row) in lines.iter().zip(rows(&report)) {
            assert_eq!(line.len(), header.len());
            for (name, cell) in header.iter().zip(line) {
                let expected = match &row[name] {
                    Value::String(text) => text.clone(),
                    Value::Array(models) => {
                        models.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(" ")
                    }
                    other => other.to_string(),
                };
                let same_number = cell.parse::<f64>().is_ok_and(|cell| Ok(cell) == expected.parse());
                assert!(*cell == expected || same_number, "{by} {name}: {cell} is not {expected}");
            }
        }
    }
}

#[test]
fn csv_quotes_and_disarms_texts() {
    let env = Env::new();
    let folders = ["/p/a,b", "/p/say \"hi\"", "/p/two\nlines", "=1+1", "@here"];
    for (place, folder) in folders.iter().enumerate() {
        let id = format!("msg_{place}");
        env.write("c", &[Reply::new(&id, "2026-11-20T10:00:00Z").of(&id).folder(folder)]);
    }
    let records = csv(&env.run(&["report", "project", "--csv"]).ok());
    let keys: BTreeSet<&str> = records[1..].iter().map(|record| record[0].as_str()).collect();
    // A spreadsheet would run the last two; an apostrophe makes texts of them.
    assert_eq!(keys, BTreeSet::from(["/p/a,b", "/p/say \"hi\"", "/p/two\nlines", "'=1+1", "'@here"]));
}

#[test]
fn csv_is_printed_although_json_is_configured() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    fs::write(env.config().join("config.toml"), "json = true\n").unwrap();
    assert!(env.run(&["report", "--csv"]).ok().starts_with("key,"));
    env.run(&["report", "--csv", "--json"]).fails(2, &["cannot be used with"]);
}

#[test]
fn blocks_are_inferred_anchored_and_active() {
    let env = Env::new();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let reset = at("2026-11-20T18:12:00Z").as_millis() / 1000;
    env.write(
        "c",
        &[
            Reply::new("msg_1", "2026-11-19T10:45:00Z"),
            Reply::new("msg_2", "2026-11-19T14:59:59Z"),
            Reply::new("msg_3", "2026-11-19T15:00:00Z"),
            // The official window from 13:12 on divides the quarter hour, and cuts the inferred block short.
            Reply::new("msg_4", "2026-11-20T10:45:00Z"),
            Reply::new("msg_5", "2026-11-20T13:11:59Z"),
            Reply::new("msg_6", "2026-11-20T13:12:00Z"),
            Reply::new("err_7", "2026-11-20T16:00:00Z").refused("five_hour", reset),
        ],
    );
    let report = env.json(&["report", "block"]);
    let told: Vec<(&str, &str, u64, bool, u64)> = rows(&report)
        .iter()
        .map(|row| {
            let text = |name: &str| &row[name].as_str().unwrap()[5..16];
            assert_eq!(row["key"], row["start"]);
            assert_eq!(row["active"], false);
            let number = |name: &str| row[name].as_u64().unwrap();
            let anchored = row["anchored"].as_bool().unwrap();
            (text("start"), text("end"), number("messages"), anchored, number("rate_limit_events"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("11-19T10:00", "11-19T15:00", 2, false, 0),
            ("11-19T15:00", "11-19T20:00", 1, false, 0),
            ("11-20T10:00", "11-20T13:12", 2, false, 0),
            ("11-20T13:12", "11-20T18:12", 1, true, 1),
        ]
    );
    // What came before decides where a block begins, whatever the span.
    let later = env.json(&["report", "block", "--since", "2026-11-19T14:00"]);
    assert_eq!(rows(&later)[0]["start"], "2026-11-19T10:00:00.000Z");
    assert_eq!(rows(&later)[0]["messages"], 1);

    env.write("now", &[Reply::now("msg_now").of("now")]);
    let report = env.json(&["report", "block"]);
    let last = rows(&report).last().unwrap();
    assert_eq!((&last["active"], &last["anchored"]), (&json!(true), &json!(false)));
    let now = now();
    let reset = now.as_millis() / 1000 + 7200;
    env.write("now", &[Reply::new("err_now", &now.to_string()).of("now").refused("five_hour", reset)]);
    let report = env.json(&["report", "block"]);
    let last = rows(&report).last().unwrap();
    assert_eq!((&last["active"], &last["anchored"]), (&json!(true), &json!(true)));
    assert_eq!(last["end"], Timestamp::from_seconds(reset).to_string());
}

#[test]
fn a_refusal_without_any_use_has_a_block() {
    let env = Env::new();
    let reset = Timestamp::parse("2026-11-20T18:12:00Z").unwrap().as_millis() / 1000;
    env.write(
        "c",
        &[
            Reply::new("err_1", "2026-11-18T09:20:00Z").refused("seven_day", reset),
            Reply::new("msg_2", "2026-11-19T09:20:00Z"),
            Reply::new("err_3", "2026-11-20T16:00:00Z").refused("five_hour", reset),
        ],
    );
    let report = env.json(&["report", "block"]);
    let told: Vec<_> = rows(&report).iter().map(|row| row["start"].as_str().unwrap()).collect();
    assert_eq!(told, ["2026-11-18T09:00:00.000Z", "2026-11-19T09:00:00.000Z", "2026-11-20T13:12:00.000Z"]);
    assert_eq!(report["totals"]["rate_limit_events"], 2);
}

#[test]
fn tables_show_limits_only_where_one_was_hit() {
    let env = Env::new();
    let mut lines: Vec<_> = ["claude-opus-5-5", "claude-opus-4-8", "claude-sonnet-5-5"]
        .iter()
        .enumerate()
        .map(|(number, model)| Reply::new(&format!("msg_{number}"), "2026-11-20T10:00:00Z").model(model))
        .collect();
    env.write("c", &lines);
    let wide = || {
        let mut command = env.command(&["report", "block"]);
        crate::env::Outcome::of(command.env("COLUMNS", "160")).ok()
    };
    let table = wide();
    assert!(!table.contains("Limits") && table.contains(" opus ×2 sonnet-5-5 "), "{table}");
    assert!(
        table.contains(" ~10:00–15:00 ") && table.contains("~ before the times of a block: inferred"),
        "{table}"
    );
    lines.push(Reply::new("err", "2026-11-20T11:00:00Z").refused("five_hour", 1_795_186_800));
    env.write("c", &lines);
    let table = wide();
    let total = table.lines().find(|line| line.contains("Total")).unwrap();
    assert!(table.contains("│ Limits │") && total.contains("│      1 │"), "{table}");
}

#[test]
fn hits_of_one_window_are_one() {
    let env = Env::new();
    let reset = Timestamp::parse("2026-11-20T18:12:00Z").unwrap().as_millis() / 1000;
    let refused = |id: &str, at: &str, window: &str, reset: i64| {
        Reply::new(id, &format!("2026-11-20T{at}Z")).refused(window, reset)
    };
    let busy = |id: &str| {
        Reply::new(id, "2026-11-20T17:00:00Z").refused("five_hour", reset).set("/apiErrorIsTransient", true)
    };
    env.write(
        "c",
        &[
            refused("err_1", "16:00:00", "five_hour", reset),
            // Tried again, told by a sub-agent, copied: still the same hit.
            refused("err_2", "16:05:00", "five_hour", reset),
            refused("err_3", "16:05:01", "five_hour", reset + 1).set("/isSidechain", true),
            refused("err_1", "16:00:00", "five_hour", reset),
            // Another window, another reset, another conversation are others.
            refused("err_4", "16:10:00", "seven_day", reset + 86_400),
            refused("err_5", "22:00:00", "five_hour", reset + 5 * 3600),
            refused("err_6", "16:00:30", "five_hour", reset).of("other"),
            // A busy server is no quota.
            busy("err_7"),
        ],
    );
    for by in GROUPINGS {
        let report = env.json(&["report", by]);
        assert_eq!(report["totals"]["rate_limit_events"], 4, "{by}");
        let sum: u64 = rows(&report).iter().map(|row| row["rate_limit_events"].as_u64().unwrap()).sum();
        // A refusal has no model, so that by model only the totals tell of it.
        assert_eq!(sum, if by == "model" { 0 } else { 4 }, "{by}");
    }
    let report = env.json(&["report", "conversation"]);
    assert_eq!(row(&report, "c")["rate_limit_events"], 3);
    assert_eq!(row(&report, "other")["rate_limit_events"], 1);
    assert_eq!(report["totals"]["messages"], 0);
}

fn cost_state(conversation: &str, cost: f64, started_ms: i64, duration_ms: u64) -> Value {
    json!({
        "type": "cost-state", "sessionId": conversation, "totalCostUSD": cost, "totalDuration": duration_ms,
        "startTime": started_ms, "modelUsage": {},
    })
}

#[test]
fn conversations_show_what_claude_code_says_they_cost() {
    let env = Env::new();
    let at = |text: &str| Timestamp::parse(text).unwrap().as_millis();
    // 50,000 tokens in at 2 dollars a million, and 10,000 out at 10.
    let dear =
        |id: &str, at: &str| Reply::new(id, at).set("/message/usage/input_tokens", 50_000).output(10_000);
    env.write("equal", &[dear("msg_1", "2026-11-20T10:00:00Z").of("equal")]);
    env.write(
        "equal",
        &[
            cost_state("equal", 0.1, at("2026-11-20T09:59:00Z"), 60_000),
            cost_state("equal", 0.2, at("2026-11-20T09:59:00Z"), 90_000),
        ],
    );
    env.write("less", &[dear("msg_2", "2026-11-20T11:00:00Z").of("less")]);
    env.write("less", &[cost_state("less", 0.25, at("2026-11-20T10:59:00Z"), 60_000)]);
    env.write("silent", &[dear("msg_3", "2026-11-20T12:00:00Z").of("silent")]);
    // A fork goes on with the sum, and the start, of the conversation that it was forked from.
    env.write("fork", &[dear("msg_4", "2026-11-20T13:00:00Z").of("fork")]);
    env.write("fork", &[cost_state("fork", 0.4, at("2026-11-20T09:59:00Z"), 90_000)]);

    let report = env.json(&["report", "conversation"]);
    let check = |conversation: &str, cost: Value, difference: Option<f64>| {
        let row = row(&report, conversation);
        assert_eq!(row["cost_usd"], 0.2, "{conversation}");
        assert_eq!(row["client_cost_usd"], cost, "{conversation}");
        match (row["client_difference_usd"].as_f64(), difference) {
            (Some(told), Some(expected)) => assert!((told - expected).abs() < 1e-9, "{conversation}: {told}"),
            (told, expected) => assert_eq!(told, expected, "{conversation}"),
        }
    };
    check("equal", json!(0.2), Some(0.0));
    check("less", json!(0.25), Some(-0.05));
    check("silent", Value::Null, None);
    check("fork", json!(0.4), None);
    assert_eq!(row(&report, "equal")["started_at"], "2026-11-20T10:00:00.000Z");
    assert_eq!(row(&report, "equal")["project"], "/p/shop");
    let mut wide = env.command(&["report", "conversation"]);
    let table = crate::env::Outcome::of(wide.env("COLUMNS", "200")).ok();
    for text in ["$0.20 =", "$0.25 (ours -$0.0500)", "$0.40 with parent"] {
        assert!(table.contains(text), "`{text}` is not in\n{table}");
    }
}

#[test]
fn models_without_a_price_are_estimated_or_listed() {
    let env = Env::new();
    let reply = |id: &str, model: &str| Reply::new(id, "2026-11-20T10:00:00Z").model(model).output(1_000_000);
    env.write(
        "c",
        &[reply("msg_1", "claude-opus-9-9"), reply("msg_2", "gpt-7"), reply("msg_3", "claude-opus-5-5")],
    );
    let report = env.json(&["report", "model"]);
    assert_eq!(report["problems"]["unpriced_models"], json!(["gpt-7"]));
    assert_eq!(row(&report, "claude-opus-9-9")["estimated"], true);
    assert_eq!(row(&report, "claude-opus-9-9")["cost_usd"], row(&report, "claude-opus-5-5")["cost_usd"]);
    assert_eq!(row(&report, "claude-opus-5-5")["estimated"], false);
    assert_eq!(
        (&row(&report, "gpt-7")["cost_usd"], &row(&report, "gpt-7")["estimated"]),
        (&json!(0.0), &json!(false))
    );
    assert_eq!(report["totals"]["estimated"], true);
    let table = env.run(&["report", "model"]).ok();
    assert!(table.contains("Without a price, so not in the cost: gpt-7\n"), "{table}");
    assert!(table.contains("~$20.00"), "{table}");
}

#[test]
fn a_users_own_prices_come_first() {
    let env = Env::new();
    let reply = |id: &str, at: &str| Reply::new(id, at).model("gpt-7").output(1_000_000);
    env.write("c", &[reply("msg_1", "2026-11-20T10:00:00Z"), reply("msg_2", "2026-11-21T10:00:00Z")]);
    let rates = |from: Option<&str>, output: f64| json!({"from": from, "input": 0, "output": output, "cache_write_5m": 0, "cache_write_1h": 0, "cache_read": 0});
    let prices = env.config().join("prices.json");
    let book =
        json!({"models": [{"model": "gpt-7", "rates": [rates(None, 3.0), rates(Some("2026-11-21"), 4.0)]}]});
    fs::write(&prices, book.to_string()).unwrap();
    let report = env.json(&["report"]);
    assert_eq!(row(&report, "2026-11-20")["cost_usd"], 3.0);
    assert_eq!(row(&report, "2026-11-21")["cost_usd"], 4.0);
    assert_eq!(report["problems"]["unpriced_models"], json!([]));

    for (text, complaint) in [
        ("{", "not a price book"),
        (r#"{"models": [{"model": "m", "rates": [{"input": 1}]}]}"#, "missing field"),
        (&book.to_string().replace("2026-11-21", "2026-11-32"), "`2026-11-32` is not a date"),
        (&book.to_string().replace("4.0", "-4.0"), "out of range"),
    ] {
        fs::write(&prices, text).unwrap();
        env.run(&["report"]).fails(2, &["prices.json", complaint]);
    }
}

#[test]
fn what_claude_code_deletes_stays_counted() {
    let (env, truth) = Env::with_corpus(17, 200_000);
    env.run(&["report"]).ok();
    let files = files_below(&env.projects());
    fs::remove_file(&files[0]).unwrap();
    assert_eq!(counts(&env.json(&["report"])["totals"]), truth.totals);
    fs::remove_dir_all(env.claude()).unwrap();
    let report = env.json(&["report", "conversation"]);
    assert_eq!(keyed(&report), truth.by_conversation);
}

#[test]
fn copies_repeats_and_placeholders_count_once() {
    let env = Env::new();
    let reply = |output: u64| Reply::new("msg_1", "2026-11-20T10:00:00Z").of("parent").output(output);
    env.write("parent", &[reply(1), reply(1), reply(57), reply(57)]);
    append(&env.transcript("fork"), &[reply(57).of("fork")]);
    append(
        &env.projects().join("-p/parent/subagents/agent-a1.jsonl"),
        &[reply(57).set("/isSidechain", true)],
    );
    let report = env.json(&["report"]);
    assert_eq!(report["totals"]["messages"], 1);
    assert_eq!(report["totals"]["output_tokens"], 57);
}

/// Two sessions ran a conversation each, one of them has ended and lies in the archive; who ran the third nobody saw.
#[test]
fn sessions_are_told_apart_also_when_they_have_ended() {
    let env = Env::new();
    let stores = Stores::open(&env.data(), now());
    let key = |display: &str, pid: u32| {
        format!("{display}+{pid}~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.{pid}.86c30")
    };
    let (here, there) = (key("s-pts=1+local+ada+box", 41), key("s-pts=2+ssh_client+bob+server", 42));
    stores.set_owners(HashMap::from([("one".into(), here.clone()), ("two".into(), there.clone())]));
    let turn = |id: &str, conversation: &str, output| {
        let at = Timestamp::parse("2026-11-20T10:07:00Z").unwrap();
        let usage = Usage { output, ..Usage::default() };
        let turn =
            Turn { usage, model: "claude-opus-5-5".into(), tariff: Tariff::default(), under_reported: false };
        let owner = Owner { role: Role::Main, since: at, conversation: conversation.into(), agent: None };
        Event { id: id.into(), at, owner, fact: Fact::Turn(turn) }
    };
    let ledger = [turn("msg_1", "one", 10), turn("msg_2", "two", 20), turn("msg_3", "three", 40)];
    let _ = stores.commit(Batch { ledger: ledger.into_iter().collect(), checkpoints: Vec::new() }).unwrap();
    assert!(stores.compact(&there).unwrap());

    let check = |args: &[&str], expected: &[(&str, u64)]| {
        let report = env.json(&[&["report"], args].concat());
        let told: Vec<(&str, u64)> = rows(&report)
            .iter()
            .map(|row| (row["key"].as_str().unwrap(), row["output_tokens"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, expected, "{args:?}");
    };
    check(
        &["session"],
        &[("pts/1:local:ada:box:41", 10), ("pts/2:ssh_client:bob:server:42", 20), ("unknown", 40)],
    );
    check(&["type"], &[("local", 10), ("ssh", 20), ("unknown", 40)]);
    check(&["user"], &[("ada", 10), ("bob", 20), ("unknown", 40)]);
    check(&["host"], &[("box", 10), ("server", 20), ("unknown", 40)]);
    check(&["daily", "--type", "ssh"], &[("2026-11-20", 20)]);
    check(&["model", "--session", "pts/1:local:ada"], &[("claude-opus-5-5", 10)]);
    check(&["daily", "--type", "jupyter"], &[]);
    let table = env.run(&["report", "session"]).ok();
    assert!(table.contains("pts/1:local:ada:box:41") && table.contains("unknown: "), "{table}");
    env.run(&["report", "--type", "laptop"]).fails(2, &["laptop"]);
}
