//! Transcripts of ten client versions, counted by the library and by a naive reckoning that shares nothing with it.
//!
//! The reckoning reads whole files, keeps every line as a JSON value and looks up what it needs by name. Both must
//! come to the numbers in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use session_store::{Fact, Ledger, LimitCause, Position, Tail, Zone, locate};

/// What the transcripts of one version come to.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    messages: u64,
    input: u64,
    output: u64,
    cache_write: u64,
    cache_read: u64,
    /// Lines of one conversation that tell of the same window and reset are one hit.
    quota_hits: u64,
    /// Conversations that a message belongs to or that hit a limit.
    conversations: u64,
}

const fn sums(messages: u64, tokens: [u64; 4], quota_hits: u64, conversations: u64) -> Sums {
    let [input, output, cache_write, cache_read] = tokens;
    Sums { messages, input, output, cache_write, cache_read, quota_hits, conversations }
}

/// The table: version, messages, input, output, cache writes and reads, quota hits, conversations.
const EXPECTED: [(&str, Sums); 10] = [
    ("1.0.24", sums(0, [0, 0, 0, 0], 0, 0)),
    ("1.0.64", sums(6, [66, 342, 1200, 18000], 1, 4)),
    ("1.0.120", sums(7, [77, 399, 1400, 21000], 1, 5)),
    ("2.0.0", sums(7, [77, 399, 1400, 21000], 1, 4)),
    ("2.0.30", sums(15, [165, 855, 3000, 45000], 1, 4)),
    ("2.0.76", sums(15, [165, 855, 3000, 45000], 1, 4)),
    ("2.1.0", sums(19, [209, 1083, 3800, 57000], 1, 4)),
    ("2.1.44", sums(7, [77, 7, 1400, 21000], 1, 4)),
    ("2.1.142", sums(7, [77, 399, 1400, 21000], 1, 4)),
    ("2.1.330", sums(8, [88, 456, 1600, 24000], 1, 4)),
];

fn config_dir(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(version)
}

/// Reads all transcripts of a folder with the library; none of their lines may be a problem.
fn ledger_of(config_dir: &Path) -> Ledger {
    let located = locate(config_dir);
    assert_eq!(located.problems, []);
    let mut ledger = Ledger::default();
    for source in located.sources {
        let bytes = fs::read(source.id.path()).unwrap();
        let mut tail = Tail::new(source.kind, Zone::utc());
        let reading = tail.feed(&bytes);
        assert_eq!(reading.problems, [], "{:?}", source.id);
        assert_eq!(tail.position(), Position { offset: bytes.len() as u64, ..tail.position() });
        ledger.extend(reading.found.into_iter().map(|found| found.event));
    }
    ledger
}

fn sums_by_library(ledger: &Ledger) -> Sums {
    let mut sums = Sums::default();
    let (mut hits, mut conversations) = (BTreeSet::new(), BTreeSet::new());
    for (event, turn) in ledger.turns() {
        sums.messages += 1;
        sums.input += turn.usage.input;
        sums.output += turn.usage.output;
        sums.cache_write += turn.usage.cache_write_5m + turn.usage.cache_write_1h;
        sums.cache_read += turn.usage.cache_read;
        conversations.insert(event.owner.conversation.clone());
    }
    for event in ledger.iter() {
        match &event.fact {
            Fact::LimitHit(hit) if hit.cause == LimitCause::Quota => {
                hits.insert((event.owner.conversation.clone(), hit.window.clone(), hit.resets_at));
                conversations.insert(event.owner.conversation.clone());
            }
            _ => {}
        }
    }
    Sums { quota_hits: hits.len() as u64, conversations: conversations.len() as u64, ..sums }
}

/// Counts without the library: every line a value, every message by its greatest output, every limit by its words.
fn sums_by_hand(config_dir: &Path) -> Sums {
    let mut messages: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    // Of the transcripts that hold a message, the one that began first has it.
    let mut holders: BTreeMap<String, (String, String)> = BTreeMap::new();
    let (mut hits, mut stopped) = (BTreeSet::new(), BTreeSet::new());
    for path in files_below(config_dir) {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let began = lines.iter().find_map(|line| line["timestamp"].as_str()).unwrap_or_default();
        for line in &lines {
            let echoed = &line["data"]["message"];
            let (teller, message) = if line["type"] == "progress" {
                (echoed, &echoed["message"])
            } else {
                (line, &line["message"])
            };
            if teller["type"] != "assistant" {
                continue;
            }
            let conversation = line["sessionId"].as_str().unwrap().to_owned();
            let said = message["content"][0]["text"].as_str().unwrap_or_default();
            if line["isApiErrorMessage"] == true && is_about_a_quota(said) {
                let limit = match &line["quotaLimits"] {
                    Value::Null => said.to_owned(),
                    quota => format!("{} {}", quota["rateLimitType"], quota["resetsAt"]),
                };
                hits.insert((conversation.clone(), limit));
                stopped.insert(conversation.clone());
            }
            if message["model"] == "<synthetic>" || message["usage"].is_null() {
                continue;
            }
            let tokens =
                ["output_tokens", "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
                    .map(|name| message["usage"][name].as_u64().unwrap());
            let id = message["id"].as_str().unwrap().to_owned();
            let holder = (began.to_owned(), conversation);
            let first = holders.entry(id.clone()).or_insert_with(|| holder.clone());
            *first = holder.min(first.clone());
            let known = messages.entry(id).or_default();
            *known = tokens.max(*known);
        }
    }
    let conversations: BTreeSet<String> =
        holders.into_values().map(|(_, conversation)| conversation).chain(stopped).collect();
    let total = |place: usize| messages.values().map(|tokens| tokens[place]).sum();
    Sums {
        messages: messages.len() as u64,
        input: total(1),
        output: total(0),
        cache_write: total(2),
        cache_read: total(3),
        quota_hits: hits.len() as u64,
        conversations: conversations.len() as u64,
    }
}

fn is_about_a_quota(text: &str) -> bool {
    ["limit reached", "Spending cap reached", "hit your"].iter().any(|words| text.contains(words))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries
        .flat_map(below)
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect()
}

#[test]
fn every_version_comes_to_its_sums() {
    for (version, expected) in EXPECTED {
        let config_dir = config_dir(version);
        assert_eq!(sums_by_hand(&config_dir), expected, "{version} by hand");
        assert_eq!(sums_by_library(&ledger_of(&config_dir)), expected, "{version} by the library");
    }
}

#[test]
fn the_table_names_every_folder() {
    let folders = fs::read_dir(config_dir("")).unwrap().map(|entry| entry.unwrap());
    let folders: BTreeSet<String> = folders
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, EXPECTED.iter().map(|(version, _)| (*version).to_owned()).collect());
}
