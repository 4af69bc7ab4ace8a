//! The corpus read again by a slow reader that shares no code with the fast one.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::client::slug;
use super::clock::{HOUR_MS, MINUTE_MS, month_day, stamp, time_of_day};
use super::*;

fn transcripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(transcripts(&path));
        } else if path.extension().is_some_and(|end| end == "jsonl") && !path.ends_with("journal.jsonl") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What is known of a message: greatest output and its counts, first time, owner, model.
type Known = (u64, Counts, String, Owner, String);

/// Whether the file is a sub-agent's, its first time and its session: the least owns a message.
type Owner = (bool, String, String);

/// Reads everything again by the rules that [`Truth`] states.
fn read(folder: &Path) -> Truth {
    let mut truth = Truth::default();
    let mut known = HashMap::new();
    let mut hits = BTreeSet::new();
    for path in transcripts(folder) {
        let bytes = fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let is_agent = path.file_name().unwrap().to_string_lossy().starts_with("agent-");
        let mut first = None;
        truth.files += 1;
        truth.bytes += bytes.len() as u64;
        for text in lines {
            let line = serde_json::from_slice::<Value>(text);
            if !text.ends_with(b"\n") {
                assert!(line.is_err());
                truth.torn_files += 1;
                continue;
            }
            truth.lines += 1;
            let Ok(line) = line else {
                truth.damaged_lines += 1;
                continue;
            };
            first = first.or(line["timestamp"].as_str().map(str::to_owned));
            let session = line["sessionId"].as_str().unwrap_or_default().to_owned();
            let said = &line["message"]["content"][0]["text"];
            if line["message"]["model"] != "<synthetic>" {
                truth.usage_lines +=
                    know(&mut known, &line, &(is_agent, first.clone().unwrap_or_default(), session));
            } else if said.as_str().is_some_and(|text| text.contains("resets") || text.contains('|')) {
                hits.insert(line["uuid"].to_string());
            }
        }
    }
    for (_, counts, time, (.., session), model) in known.into_values() {
        truth.messages += 1;
        truth.totals.add(&counts);
        truth.by_day_model.entry((time[..10].to_owned(), model)).or_default().add(&counts);
        truth.by_conversation.entry(session).or_default().add(&counts);
    }
    truth.limit_hits = hits.len() as u64;
    truth
}

/// Adds the messages of a line to what is known, by id and place in `iterations`; returns 1 if it has any.
fn know(known: &mut HashMap<(String, usize), Known>, line: &Value, owner: &Owner) -> u64 {
    let nested = &line["data"]["message"];
    let stated = match line["type"].as_str() {
        Some("assistant") => line,
        Some("progress") if nested["type"] == "assistant" => nested,
        _ => return 0,
    };
    let (message, time) = (&stated["message"], stated["timestamp"].as_str().unwrap());
    let iterations = message["usage"]["iterations"].as_array().into_iter().flatten().enumerate();
    let advice = iterations.filter(|(_, entry)| entry["type"] == "advisor_message");
    let advice = advice.map(|(index, entry)| (index, &entry["model"], entry));
    for (index, model, usage) in [(0, &message["model"], &message["usage"])].into_iter().chain(advice) {
        let number = |key: &str| usage[key].as_u64().unwrap_or(0);
        let cache = |key: &str| usage["cache_creation"][key].as_u64();
        let counts = Counts {
            messages: 1,
            input: number("input_tokens"),
            output: number("output_tokens"),
            cache_write_5m: cache("ephemeral_5m_input_tokens")
                .unwrap_or_else(|| number("cache_creation_input_tokens")),
            cache_write_1h: cache("ephemeral_1h_input_tokens").unwrap_or(0),
            cache_read: number("cache_read_input_tokens"),
        };
        let key = (message["id"].as_str().unwrap().to_owned(), index);
        let new = (counts.output, counts, time.to_owned(), owner.clone(), model.as_str().unwrap().to_owned());
        let known = known.entry(key).or_insert_with(|| new.clone());
        if new.0 > known.0 {
            (known.0, known.1) = (new.0, new.1);
        }
        known.2 = new.2.min(known.2.clone());
        known.3 = new.3.min(known.3.clone());
    }
    1
}

/// The complete lines of a transcript that are JSON.
fn lines(path: &Path) -> Vec<Value> {
    let bytes = fs::read(path).unwrap();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[test]
fn truth_agrees_with_a_naive_reader() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let truth = Corpus::new(seed, 3_000_000).write(folder.path()).unwrap();
        assert_eq!(truth, read(folder.path()), "seed {seed}");
        assert!(truth.bytes >= 3_000_000 && truth.messages > 100, "{truth:?}");
    }
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let written = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let truth = Corpus::new(seed, 1_000_000).write(folder.path()).unwrap();
        let file = |path: PathBuf| (path.strip_prefix(&folder).unwrap().to_owned(), fs::read(path).unwrap());
        (truth, transcripts(folder.path()).into_iter().map(file).collect::<Vec<_>>())
    };
    assert!(written(7) == written(7));
    assert!(written(7) != written(8));
}

#[test]
fn no_line_is_later_than_the_end_or_than_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus { days: 1, ..Corpus::new(3, 2_000_000) };
    let truth = corpus.write(folder.path()).unwrap();
    let days: BTreeSet<&str> = truth.by_day_model.keys().map(|(day, _)| day.as_str()).collect();
    assert_eq!(days, BTreeSet::from(["2026-11-19", "2026-11-20"]));
    for path in transcripts(folder.path()) {
        let time = |line: &Value| line["timestamp"].as_str().and_then(Timestamp::parse);
        let times: Vec<Timestamp> = lines(&path).iter().filter_map(time).collect();
        assert!(times.iter().all(|time| *time <= Timestamp::from_seconds(corpus.end_unix_seconds)));
        let modified = UNIX_EPOCH + Duration::from_millis(times.last().unwrap().as_millis() as u64);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified, "{}", path.display());
    }
}

#[test]
fn a_live_history_is_due_step_by_step_and_hits_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let start = 1_795_176_000_000;
    let mut live = Live::new(1, folder.path(), start).unwrap();
    let mut now = start;
    while now < start + 2 * MINUTE_MS {
        now += live.step(now).unwrap() as i64;
    }
    let files = transcripts(folder.path());
    let lines: Vec<Value> = files.iter().flat_map(|path| lines(path)).collect();
    assert!(files.len() >= 6 && lines.len() > 60, "{} lines in {} files", lines.len(), files.len());
    let hits: Vec<&Value> = lines.iter().filter(|line| line["quotaLimits"].is_object()).collect();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["quotaLimits"]["rateLimitType"], "five_hour");
    assert_eq!(hits[0]["quotaLimits"]["resetsAt"], live.resets_at_unix_ms() / 1000);
    let latest = lines.iter().filter_map(|line| line["timestamp"].as_str()).max().unwrap();
    assert!(latest <= stamp(now).to_string().as_str(), "{latest}");
}

#[test]
fn names_and_times_are_those_of_the_clients() {
    assert_eq!(time_of_day(0), "12am");
    assert_eq!(time_of_day(12 * HOUR_MS + 30 * MINUTE_MS), "12:30pm");
    assert_eq!(month_day(1_709_251_200_000), "Mar 1");
    assert_eq!(slug(r"C:\src\x.y_z"), "C--src-x-y-z");
}
