//! What the real Claude Code client was told it had used, beside what ClaudeWatch says it used.
//!
//! `tests/real_client/sandbox` runs the client offline and `messages-api.mjs` there keeps a record of every reply. Where
//! a machine cannot do that the tests say so and pass; with `CLAUDEWATCH_REQUIRE_REAL_CLIENT=1` they fail instead.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::env::PATIENCE;

/// Half a cent, in dollars: sums that differ by less are the same to the cent.
const HALF_A_CENT: f64 = 0.005;

/// The monitor promises a second; a machine that tests may be busy. What was missed would be found after five minutes.
pub(crate) const LATENCY_MAX: Duration = Duration::from_secs(10);

#[test]
fn reports_equal_what_the_client_was_told() {
    let Some(sandbox) = Sandbox::new() else { return };

    let plain = sandbox.ask("Hello.", &["--model", "claude-opus-5-5"]);
    let tool = sandbox.ask("[[bash: echo done]]", &["--allowedTools", "Bash"]);
    let agents = sandbox.ask("[[agent]]", &["--model", "claude-haiku-5-5"]);
    let continued = sandbox.ask("And another. [[agent]]", &["--continue", "--model", "claude-haiku-5-5"]);
    assert_eq!(continued, agents, "--continue stays in the newest conversation");
    let resumed = sandbox.ask("Again.", &["--resume", &plain, "--model", "claude-opus-5-5"]);
    assert_eq!(resumed, plain, "--resume stays in the conversation");
    let fork = sandbox.ask("Differently.", &["--resume", &tool, "--fork-session"]);
    assert_ne!(fork, tool, "a fork is a conversation of its own");

    // All that changes a price at once: fast mode, inference in the US, searches, a prompt of a long-context tier.
    sandbox.script(json!({"speed": "fast", "geo": "us", "usage": {"web_search": 30}}));
    sandbox.ask("Search the web.", &["--resume", &plain, "--model", "claude-opus-5-5"]);
    sandbox.script(json!({"usage": {"input": 60_000, "cache_read": 60_000}}));
    sandbox.ask("Read all of it.", &["--resume", &agents, "--model", "claude-haiku-5-5"]);
    sandbox.script(json!({}));

    let compacted = sandbox.ask("Hello.", &[]);
    sandbox.ask("/compact", &["--resume", &compacted]);
    sandbox.ask("Go on.", &["--resume", &compacted]);

    sandbox.script(json!({"limit": {"claim": "five_hour"}}));
    let limited = sandbox.ask("Once more.", &[]);

    let told = sandbox.told();
    assert!(
        told.iter().any(|reply| reply["kind"] == "compaction"),
        "the client compacted by a reply of its own"
    );
    let total = sandbox.report(&[]);
    assert_eq!(Counters::of_report(&total["totals"]), Counters::of_told(&told), "report");
    assert_eq!(total["totals"]["rate_limit_events"], 1, "report");

    let by_model = sandbox.report(&["model"]);
    assert_eq!(counters_by_key(&by_model), counters_told_by(&told, "model"), "report model");

    let by_conversation = sandbox.report(&["conversation"]);
    assert_eq!(
        counters_by_key(&by_conversation),
        counters_told_by(&told, "conversation"),
        "report conversation"
    );
    let limited_row = row(&by_conversation, &limited).expect("the conversation that met the limit has a row");
    assert_eq!(limited_row["rate_limit_events"], 1, "report conversation");

    // A fork's own sum starts from its parent's. A compaction is in the client's sum, but in no transcript.
    let client = sandbox.client_costs();
    let mut expected: BTreeMap<&str, f64> =
        [&plain, &tool, &agents].map(|id| (id.as_str(), client[id])).into();
    expected.insert(&fork, client[&fork] - client[&tool]);
    for (id, cost) in expected {
        let ours = row(&by_conversation, id).map(cost_of).expect("every conversation has a row");
        assert!((ours - cost).abs() < HALF_A_CENT, "conversation {id}: {ours} USD, the client says {cost}");
    }
}

#[test]
fn the_live_stream_follows_the_client() {
    let Some(sandbox) = Sandbox::new() else { return };
    // Where nothing at all is found the monitor says so and ends.
    std::fs::create_dir_all(sandbox.projects()).expect("the sandbox is ours");
    let monitor = Monitor::start(&sandbox);
    monitor.wait_for("the first line", |_| true);
    let transcripts = TranscriptWatch::start(sandbox.projects());

    let plain = sandbox.ask("Hello.", &[]);
    sandbox.ask("[[bash: echo done]]", &["--allowedTools", "Bash"]);
    sandbox.ask("[[agent]]", &["--model", "claude-haiku-5-5"]);
    sandbox.ask("Again.", &["--resume", &plain]);
    sandbox.ask("Differently.", &["--resume", &plain, "--fork-session"]);
    sandbox.script(json!({"limit": {"claim": "five_hour"}}));
    let limited = sandbox.ask("Once more.", &["--resume", &plain]);
    assert_eq!(limited, plain);

    let told = sandbox.told();
    let expected = Counters::of_told(&told);
    monitor.wait_for("the sum of what the client was told, and the limit", |line| {
        Counters::of_report(&line["totals"]) == expected && line["totals"]["rate_limit_events"] == 1
    });
    let lines = monitor.stop();
    let written = transcripts.stop();

    let (_, last) = lines.last().expect("the monitor printed");
    assert_eq!(last["schema_version"], 1);
    assert_eq!(Counters::of_report(&last["totals"]), expected, "the last line's totals");
    let conversations = last["conversations"].as_array().expect("conversations is a list");
    let by_conversation: BTreeMap<String, Counters> =
        conversations.iter().map(|one| (text(one, "conversation_id"), Counters::of_report(one))).collect();
    assert_eq!(by_conversation, counters_told_by(&told, "conversation"), "the last line's conversations");

    let refused = told.iter().find(|reply| reply["limit"] == true).expect("the API refused a request");
    let hit = &last["last_limit"];
    assert_eq!(hit["conversation_id"], limited.as_str());
    assert_eq!(hit["window"], "five_hour");
    // To the second; how many digits follow is the printer's choice.
    assert_eq!(text(hit, "resets_at").get(..19), text(refused, "resets_at").get(..19));
    let state =
        conversations.iter().find(|one| one["conversation_id"] == limited.as_str()).map(|one| &one["state"]);
    assert_eq!(state, Some(&json!("limited")));

    assert_eq!(
        written.messages.len() as u64,
        expected.messages,
        "the transcripts hold what the client was told"
    );
    for (index, at) in written.messages.iter().enumerate() {
        let count = index as u64 + 1;
        let shown = first(&lines, |line| line["totals"]["messages"].as_u64() >= Some(count));
        assert_soon(&format!("message {count}"), *at, shown);
    }
    let shown =
        first(&lines, |line| line["totals"]["rate_limit_events"] == 1 && !line["last_limit"].is_null());
    assert_soon("the limit", written.limit.expect("the transcript tells of the limit"), shown);
}

/// What a tool of the client runs belongs to the session that the client runs in, and while it runs the client is listed
/// there with its conversation.
#[test]
fn the_clients_children_are_of_its_session() {
    let Some(sandbox) = Sandbox::new() else { return };
    let program = env!("CARGO_BIN_EXE_claudewatch");
    let data = sandbox.dir.path().join("data");
    let status = format!("{program} status --json --data-dir {}", data.display());
    // The client writes a reply down some time after it acts on it.
    let known = format!(
        "until {status} >status.json && grep -q 'total_tokens\":[^0]' status.json; do sleep 0.1; done"
    );
    let prompt = format!("[[bash: {program} detect --json >detect.json && {known}]]");
    let conversation = sandbox.ask(&prompt, &["--allowedTools", "Bash"]);

    let read = |name: &str| -> Value {
        let text = fs::read(sandbox.dir.path().join("project").join(name)).expect("the tool was run");
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let (child, status) = (read("detect.json"), read("status.json"));
    assert_eq!(child["agent"], "claude-code", "{child}");
    let claude = json!({"signal": "CLAUDE_PID", "verdict": "verified"});
    let told = child["evidence"].as_array().expect("a list");
    let is_claude = |it: &&Value| it["signal"] == claude["signal"] && it["verdict"] == claude["verdict"];
    assert!(told.iter().any(|it| is_claude(&it)), "{child}");
    let of_conversation = |it: &&Value| it["conversation_id"] == conversation.as_str();
    let session = status["sessions"].as_array().and_then(|all| all.iter().find(of_conversation));
    let session = session.unwrap_or_else(|| panic!("{conversation} is not in {status}"));
    assert_eq!((&session["role"], &session["presence"]), (&json!("claude"), &json!("alive")));
    assert_eq!(session["isolation_key"], child["isolation_key"], "the child is of the client's session");
    assert!(session["total_tokens"].as_u64() > Some(0), "{session}");
    let kept: Vec<_> = fs::read_dir(data.join("sessions")).expect("the session has a store").collect();
    assert!(!kept.is_empty());
}

fn first(lines: &[(Instant, Value)], wanted: impl Fn(&Value) -> bool) -> Instant {
    lines.iter().find(|(_, line)| wanted(line)).map(|(at, _)| *at).expect("a line shows it")
}

fn assert_soon(what: &str, written: Instant, shown: Instant) {
    let latency = shown.saturating_duration_since(written);
    eprintln!("{what}: shown {latency:?} after it was written");
    assert!(latency < LATENCY_MAX, "{what} was shown {latency:?} after it was written");
}

/// A home with the client in it, and the record of what its API said.
pub(crate) struct Sandbox {
    pub(crate) dir: TempDir,
}

impl Sandbox {
    /// Installs the client where that has not happened; `None` where this machine cannot run it.
    pub(crate) fn new() -> Option<Self> {
        let sandbox = Self { dir: TempDir::new().expect("a temporary folder can be made") };
        let why = match sandbox.run(&["true"]) {
            Ok(output) if output.status.success() => return Some(sandbox),
            Ok(output) if matches!(output.status.code(), Some(80..=82)) => stderr_of(&output),
            Ok(output) => panic!("the sandbox failed with {}: {}", output.status, stderr_of(&output)),
            Err(error) => format!("bash cannot be run: {error}"),
        };
        assert!(
            std::env::var_os("CLAUDEWATCH_REQUIRE_REAL_CLIENT").is_none_or(|value| value != "1"),
            "the real client is required: {why}"
        );
        eprintln!("SKIPPED real client: {why}");
        None
    }

    pub(crate) fn run(&self, command: &[&str]) -> std::io::Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_client/sandbox");
        Command::new("bash").arg(script).arg(self.dir.path()).args(command).stdin(Stdio::null()).output()
    }

    /// Steers the API from now on; what `script` leaves out goes back to its default.
    pub(crate) fn script(&self, script: Value) {
        fs::write(self.control("script.json"), script.to_string()).expect("the script can be written");
    }

    /// Runs the client for one prompt, to its end, and returns the conversation's id.
    pub(crate) fn ask(&self, prompt: &str, options: &[&str]) -> String {
        let command = [&["claude", "--print", prompt, "--output-format", "json"], options].concat();
        let output = self.run(&command).expect("the sandbox has run before");
        let result: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{prompt}: no result ({error}): {}", stderr_of(&output)));
        text(&result, "session_id")
    }

    /// The API's record of its replies.
    pub(crate) fn told(&self) -> Vec<Value> {
        let record = fs::read_to_string(self.control("told.jsonl")).expect("the API was asked");
        record.lines().map(|line| serde_json::from_str(line).expect("the API writes JSON")).collect()
    }

    /// What the client says each conversation has cost, in dollars. It writes its sum again whenever it ends.
    fn client_costs(&self) -> HashMap<String, f64> {
        let mut costs = HashMap::new();
        for transcript in transcripts_below(&self.projects()) {
            let lines = fs::read_to_string(&transcript).expect("a transcript can be read");
            for line in lines.lines().filter(|line| line.contains(r#""type":"cost-state""#)) {
                let line: Value = serde_json::from_str(line).expect("the client writes JSON");
                costs.insert(
                    text(&line, "sessionId"),
                    line["totalCostUSD"].as_f64().expect("a sum is a number"),
                );
            }
        }
        costs
    }

    /// `claudewatch` for the sandbox's home, in the sandbox's project, with nothing of the caller's environment.
    pub(crate) fn claudewatch(&self, arguments: &[&str]) -> Command {
        let home = self.dir.path().join("home");
        let state = self.dir.path().join("claudewatch");
        fs::create_dir_all(&state).expect("a folder can be made");
        let mut command = Command::new(env!("CARGO_BIN_EXE_claudewatch"));
        command.args(arguments).arg("--claude-dir").arg(home.join(".claude"));
        command.arg("--data-dir").arg(state.join("data"));
        command.current_dir(self.dir.path().join("project")).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).env("TZ", "UTC").env("XDG_CONFIG_HOME", state.join("config"));
        command.env("CLAUDEWATCH_RUNTIME_DIR", state.join("run"));
        command
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let arguments = [&["report"], arguments, &["--json"]].concat();
        let output = self.claudewatch(&arguments).output().expect("claudewatch can be run");
        assert!(output.status.success(), "claudewatch {arguments:?}: {}", stderr_of(&output));
        serde_json::from_slice(&output.stdout).expect("--json prints JSON")
    }

    pub(crate) fn projects(&self) -> PathBuf {
        self.dir.path().join("home/.claude/projects")
    }

    pub(crate) fn control(&self, name: &str) -> PathBuf {
        self.dir.path().join("control").join(name)
    }
}

/// What both sides count.
#[derive(Debug, Default, PartialEq)]
struct Counters {
    messages: u64,
    input: u64,
    output: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    cache_read: u64,
    total: u64,
}

impl Counters {
    /// The sum of the replies that belong into a transcript.
    fn of_told(told: &[Value]) -> Self {
        let mut sum = Self::default();
        told.iter().filter(|reply| is_counted(reply)).for_each(|reply| sum += Self::of_reply(reply));
        sum
    }

    fn of_reply(reply: &Value) -> Self {
        let usage = |name: &str| number(&reply["usage"], name);
        let mut counters = Self {
            messages: 1,
            input: usage("input"),
            output: usage("output"),
            cache_write_5m: usage("cache_write_5m"),
            cache_write_1h: usage("cache_write_1h"),
            cache_read: usage("cache_read"),
            total: 0,
        };
        counters.total = counters.input
            + counters.output
            + counters.cache_write_5m
            + counters.cache_write_1h
            + counters.cache_read;
        counters
    }

    /// From the totals or a row of a report, or from a line of the live stream.
    fn of_report(report: &Value) -> Self {
        Self {
            messages: number(report, "messages"),
            input: number(report, "input_tokens"),
            output: number(report, "output_tokens"),
            cache_write_5m: number(report, "cache_write_5m_tokens"),
            cache_write_1h: number(report, "cache_write_1h_tokens"),
            cache_read: number(report, "cache_read_tokens"),
            total: number(report, "total_tokens"),
        }
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.input += other.input;
        self.output += other.output;
        self.cache_write_5m += other.cache_write_5m;
        self.cache_write_1h += other.cache_write_1h;
        self.cache_read += other.cache_read;
        self.total += other.total;
    }
}

fn is_counted(reply: &Value) -> bool {
    reply["kind"] == "turn" && reply["limit"] == false
}

fn counters_told_by(told: &[Value], field: &str) -> BTreeMap<String, Counters> {
    let mut sums: BTreeMap<String, Counters> = BTreeMap::new();
    for reply in told.iter().filter(|reply| is_counted(reply)) {
        *sums.entry(text(reply, field)).or_default() += Counters::of_reply(reply);
    }
    sums
}

/// The rows of a report that count messages; a limit alone may have a row as well.
fn counters_by_key(report: &Value) -> BTreeMap<String, Counters> {
    let rows = rows_of(report).iter().map(|row| (text(row, "key"), Counters::of_report(row)));
    rows.filter(|(_, counters)| counters.messages > 0).collect()
}

fn rows_of(report: &Value) -> &[Value] {
    report["rows"].as_array().expect("rows is a list")
}

fn row<'a>(report: &'a Value, key: &str) -> Option<&'a Value> {
    rows_of(report).iter().find(|row| row["key"] == key)
}

fn cost_of(row: &Value) -> f64 {
    row["cost_usd"].as_f64().unwrap_or_else(|| panic!("cost_usd is missing in {row}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is missing in {value}"))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {value}")).to_owned()
}

pub(crate) fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// `claudewatch --json` in the background, with the moment at which each of its lines came.
pub(crate) struct Monitor {
    pub(crate) child: Child,
    lines: Arc<Mutex<Vec<(Instant, Value)>>>,
}

impl Monitor {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.claudewatch(&["--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("claudewatch can be run");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("every line is JSON");
                sink.lock().expect("no holder panics").push((Instant::now(), line));
            }
        });
        Self { child, lines }
    }

    /// Waits until the newest line is as wanted.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines.lock().expect("the reader did not panic");
            if lines.last().is_some_and(|(_, line)| wanted(line)) {
                return;
            }
            assert!(Instant::now() < end, "no line shows {what}; the last is {:?}", lines.last());
            drop(lines);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(mut self) -> Vec<(Instant, Value)> {
        self.end();
        std::mem::take(&mut *self.lines.lock().expect("the reader did not panic"))
    }

    fn end(&mut self) {
        // It may have ended by itself; what it printed is judged elsewhere.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.end();
    }
}

/// Notes when the client wrote what, by looking every few milliseconds.
struct TranscriptWatch {
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<Written>,
}

/// What was seen in the transcripts, with the moment at which it was seen first.
#[derive(Default)]
struct Written {
    messages: Vec<Instant>,
    limit: Option<Instant>,
    ids: HashSet<String>,
    offsets: HashMap<PathBuf, u64>,
}

impl TranscriptWatch {
    fn start(projects: PathBuf) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut written = Written::default();
            while !flag.load(Ordering::Relaxed) {
                written.look(&projects);
                thread::sleep(Duration::from_millis(5));
            }
            written
        });
        Self { ended, thread }
    }

    fn stop(self) -> Written {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch did not panic")
    }
}

impl Written {
    fn look(&mut self, projects: &Path) {
        for path in transcripts_below(projects) {
            let offset = self.offsets.entry(path.clone()).or_default();
            let added = whole_lines_after(&path, *offset);
            *offset += added.len() as u64;
            for line in added.lines().filter(|line| line.contains(r#""type":"assistant""#)) {
                self.note(&serde_json::from_str(line).expect("the client writes JSON"));
            }
        }
    }

    fn note(&mut self, line: &Value) {
        let now = Instant::now();
        if line["quotaLimits"].is_object() {
            self.limit.get_or_insert(now);
        }
        let id = line["message"]["id"].as_str().unwrap_or_default();
        if id.starts_with("msg_") && self.ids.insert(id.to_owned()) {
            self.messages.push(now);
        }
    }
}

fn whole_lines_after(path: &Path, offset: u64) -> String {
    let mut added = Vec::new();
    let mut file = File::open(path).expect("a transcript can be opened");
    file.seek(SeekFrom::Start(offset)).expect("a file can be sought");
    file.read_to_end(&mut added).expect("a transcript can be read");
    added.truncate(added.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    String::from_utf8(added).expect("the client writes UTF-8")
}

pub(crate) fn transcripts_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // There is none before the first conversation.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(transcripts_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
    found
}
