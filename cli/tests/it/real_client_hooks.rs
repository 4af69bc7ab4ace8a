//! Three sessions of the real Claude Code on one account: one meets a limit, the others act on it by their priorities.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_coordinator::{Candidate, Claims, Cursor, NoticeBoard, RuntimeDir, STAGGER};
use session_store::{BoardSample, Deed, Event, LimitSample, LimitWindow, Restraint, Timestamp, Why};

use crate::env::{PATIENCE, now};
use crate::hook::written_down;
use crate::real_client::{LATENCY_MAX, Monitor, Sandbox};

/// The sessions by their conversations, which decide when they start after a reset: B after 0.2 s, C after 8 s.
pub(crate) const A: &str = "a0000000-0000-4000-8000-000000000000";
pub(crate) const B: &str = "b0000000-0000-4000-8000-000000000023";
pub(crate) const C: &str = "c0000000-0000-4000-8000-000000000023";

/// A sandbox whose client calls our hooks.
pub(crate) struct Stage(pub(crate) Sandbox);

impl Stage {
    pub(crate) fn new() -> Option<Self> {
        let sandbox = Sandbox::new()?;
        fs::create_dir_all(sandbox.projects()).expect("the sandbox is ours");
        let stage = Self(sandbox);
        stage.policy("enforce");
        let setup = stage.0.claudewatch(&["setup", "--yes"]).output().expect("claudewatch can be run");
        assert!(setup.status.success(), "{setup:?}");
        Some(stage)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.0.dir.path().join("claudewatch").join(name)
    }

    /// The client hands no variables of ours to its hooks; they find everything by the configuration.
    fn policy(&self, policy: &str) {
        let folder = self.0.dir.path().join("home/.config/claudewatch");
        fs::create_dir_all(&folder).expect("the sandbox is ours");
        let (data, run) = (self.state("data"), self.state("run"));
        let text = format!(
            "policy = {policy:?}\ndata_dir = {data:?}\nruntime_dir = {run:?}\n\
             [priority]\n{A:?} = \"critical\"\n{C:?} = \"background\"\n"
        );
        fs::write(folder.join("config.toml"), text).expect("the sandbox is ours");
    }

    fn runtime(&self) -> RuntimeDir {
        let candidate = Candidate { path: self.state("run"), make_parents: true };
        RuntimeDir::open_first(&[candidate]).expect("the sandbox is ours").0
    }

    pub(crate) fn board(&self) -> NoticeBoard {
        NoticeBoard::open(&self.runtime()).expect("nobody holds it")
    }

    pub(crate) fn journal(&self) -> Vec<(Event, Restraint)> {
        written_down(&self.state("data"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.dir.path().join("project").join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Runs a session for one prompt: the first of a conversation, or a further one.
    fn ask(&self, conversation: &str, prompt: &str) {
        let is_known = self.0.projects().exists() && self.transcript(conversation).is_some();
        let option = if is_known { "--resume" } else { "--session-id" };
        let told = self.0.ask(prompt, &[option, conversation, "--allowedTools", "Bash"]);
        assert_eq!(told, conversation);
    }

    pub(crate) fn transcript(&self, conversation: &str) -> Option<PathBuf> {
        let all = crate::real_client::transcripts_below(&self.0.projects());
        all.into_iter().find(|path| path.file_stem().is_some_and(|name| name == conversation))
    }

    /// What the tools of a conversation answered its model with, as errors.
    pub(crate) fn refusals(&self, conversation: &str) -> Vec<String> {
        let text =
            fs::read_to_string(self.transcript(conversation).expect("it has one")).expect("it can be read");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // Terminals also write down what they sent to the API.
        let lines = lines.filter(|line| line["type"] == "user");
        let contents = lines.filter_map(|line| line.pointer("/message/content")?.as_array().cloned());
        let errors = contents.flatten().filter(|block| block["is_error"] == true);
        errors.map(|block| block["content"].to_string()).filter(|it| it.contains("ClaudeWatch")).collect()
    }

    fn wait_for(&self, what: &str, seen: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !seen() {
            assert!(Instant::now() < end, "{what} within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has B and C do a first call each, and their second one only when A has met the limit.
    fn limit_in_the_middle(&self, resets_in: u64, tag: &str) {
        self.0.script(json!({"spent": {"reset_in_seconds": resets_in}}));
        let wait = |name: &str| format!("touch {name}.ready; until [ -e {tag}.go ]; do sleep 0.05; done");
        thread::scope(|scope| {
            let (b, c) = (format!("{tag}.b"), format!("{tag}.c"));
            let prompts = [
                (B, format!("[[bash: {}]] [[agent]]", wait(&b))),
                (C, format!("[[bash: {}]] [[bash: touch {c}.went]]", wait(&c))),
            ];
            let others = prompts.map(|(id, prompt)| scope.spawn(move || self.ask(id, &prompt)));
            self.wait_for("B and C at work", || {
                self.has(&format!("{b}.ready")) && self.has(&format!("{c}.ready"))
            });
            self.ask(A, "[[limit]]");
            fs::write(self.path(&format!("{tag}.go")), "").expect("the sandbox is ours");
            for other in others {
                other.join().expect("the client ends well");
            }
        });
    }
}

#[test]
fn a_limit_of_one_session_holds_back_the_others() {
    let Some(stage) = Stage::new() else { return };
    // Nothing depends on a monitor; the one there was dies at once.
    let mut monitor = Monitor::start(&stage.0);
    monitor.wait_for("the first line", |_| true);
    monitor.child.kill().expect("it is ours");
    monitor.child.wait().expect("it is ours");

    stage.limit_in_the_middle(3600, "first");
    let told = stage.0.told();
    let refused = told.iter().find(|reply| reply["limit"] == true).expect("the API refused a request");
    let reset = refused["resets_at"].as_str().expect("a text").get(..19).expect("a time").to_owned();

    // Who runs which conversation is known exactly.
    let claims = Claims::open(&stage.runtime()).expect("the sandbox is ours");
    for conversation in [A, B, C] {
        let claim = claims.get(conversation).expect("its hook registered it");
        assert!(claim.process.is_some() && claim.ended, "{claim:?}");
        let account = stage.0.dir.path().join("home/.claude");
        assert_eq!(claim.account.as_str(), account.to_str().expect("it is a text"));
    }

    // It was told once, and each acted by its priority; the models were told until when.
    let notices = stage.board().since(Cursor::default()).expect("nobody holds it").notices;
    let hits: Vec<_> = notices.iter().filter(|(_, notice)| notice.kind.name() == "limit_hit").collect();
    assert_eq!(hits.len(), 1, "{notices:?}");
    assert_eq!(hits[0].1.window, Some(LimitWindow::FiveHour));
    for conversation in [B, C] {
        let refusals = stage.refusals(conversation);
        assert_eq!(refusals.len(), 1, "{conversation}: {refusals:?}");
        assert!(refusals[0].contains(&reset), "{reset} is not in {refusals:?}");
    }
    assert!(!stage.has("first.c.went"));
    let entries = stage.journal();
    let refused: Vec<(&str, &str)> =
        entries.iter().map(|(event, it)| (event.owner.conversation.as_str(), &*it.tool)).collect();
    assert!(
        refused.contains(&(B, "Agent")) && refused.contains(&(C, "Bash")) && refused.len() == 2,
        "{entries:?}"
    );
    assert!(entries.iter().all(|(_, it)| it.done && it.deed == Deed::Refused));
    let known = entries.iter().map(|(event, _)| event.at.since(hits[0].1.at)).max().unwrap_or_default();
    eprintln!("the limit was acted on {known:?} after it was met");
    assert!(known < LATENCY_MAX + PATIENCE);

    // The reset moves near; after it all go on, one after the other.
    stage.0.script(json!({"spent": {"reset_in_seconds": 2}}));
    stage.ask(A, "[[limit]]");
    let samples = stage.board().board().observed().expect("nobody holds it");
    let reset = samples.iter().filter_map(|it| it.sample.resets_at).min().expect("it was told");
    stage.wait_for("the reset", || now() > reset);
    thread::scope(|scope| {
        scope.spawn(|| stage.ask(B, "[[agent]]"));
        scope.spawn(|| stage.ask(C, "[[bash: touch c.went]]"));
    });
    assert!(stage.has("c.went"));
    assert_eq!(stage.refusals(B).len() + stage.refusals(C).len(), 2, "nothing more was refused");
    for (event, it) in stage.journal().iter().filter(|(_, it)| it.why == Why::AfterReset) {
        let Deed::Waited { due_ms, waited_ms } = it.deed else { panic!("{it:?}") };
        let starts = event.at.after(Duration::from_millis(due_ms)).since(reset);
        eprintln!("{} starts {starts:?} after the reset", event.owner.conversation);
        assert!(starts <= STAGGER && waited_ms >= due_ms);
    }
}

#[test]
fn observing_or_in_trouble_the_client_goes_on_unharmed() {
    let Some(stage) = Stage::new() else { return };
    stage.policy("observe");
    stage.limit_in_the_middle(3600, "observed");
    assert!(stage.has("observed.c.went"));
    assert!(stage.refusals(B).is_empty() && stage.refusals(C).is_empty());
    let entries = stage.journal();
    let due: Vec<&str> = entries.iter().map(|(event, _)| event.owner.conversation.as_str()).collect();
    assert!(due.contains(&B) && due.contains(&C), "{entries:?}");
    assert!(entries.iter().all(|(_, it)| !it.done && it.deed == Deed::Refused), "{entries:?}");

    // Enforced again, but the board is held as by a process that is frozen.
    stage.policy("enforce");
    let held = rusqlite::Connection::open(stage.state("run/live.db")).expect("it is a database");
    held.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO counter VALUES ('held', 1);",
    )
    .expect("nobody else holds it");
    stage.ask(C, "[[bash: touch held.went]]");
    assert!(stage.has("held.went"));
    drop(held);
    stage.ask(C, "[[bash: touch free.went]]");
    assert!(!stage.has("free.went"), "the test would see a refusal");

    // Where nothing can be written down nothing is done.
    fs::remove_dir_all(stage.state("data/journal")).expect("it is there");
    fs::write(stage.state("data/journal"), "no folder").expect("the sandbox is ours");
    stage.ask(C, "[[bash: touch full.went]]");
    assert!(stage.has("full.went"));
}

#[test]
fn who_is_ahead_of_pace_waits_and_goes_on() {
    let Some(stage) = Stage::new() else { return };
    let plugin = stage.state("plugin").to_str().expect("it is a text").to_owned();
    let made = stage.0.claudewatch(&["setup", "--plugin", &plugin]).output().expect("claudewatch can be run");
    assert!(made.status.success(), "{made:?}");
    let judged =
        stage.0.run(&["claude", "plugin", "validate", "--strict", &plugin]).expect("it has run before");
    assert!(judged.status.success(), "{judged:?}");

    let at = now();
    // One point above the line in the middle of the window: a wait of a second.
    let sample = LimitSample {
        window: LimitWindow::FiveHour,
        resets_at: Some(Timestamp::from_millis(at.as_millis() + 9_000_000)),
        used_hundredths: Some(5_600),
        status: "allowed".into(),
    };
    let account = stage.0.dir.path().join("home/.claude").to_str().expect("it is a text").into();
    let sample = BoardSample { account, source: "statusline".into(), at, sample };
    stage.board().board().observe(&sample).expect("nobody holds it");
    stage.ask(B, "[[bash: touch b.went]]");
    assert!(stage.has("b.went"));
    let entries = stage.journal();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let Deed::Waited { due_ms, waited_ms } = entries[0].1.deed else { panic!("{entries:?}") };
    assert_eq!(entries[0].1.why, Why::AheadOfPace);
    assert!(waited_ms >= due_ms && due_ms > 500, "{entries:?}");
}
