//! Three people's sessions of the real Claude Code, each in a terminal of its own: one meets a limit, the others act on it,
//! and after the reset all go on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_store::{Deed, Timestamp};

use crate::env::now;
use crate::real_client::stderr_of;
use crate::real_client_hooks::{A, B, C, Stage};
use crate::terminal::{PATIENCE, Terminal};

/// Opens a terminal in which the client works on a first prompt and then waits for the next.
fn open(stage: &Stage, conversation: &str, prompt: &str) -> Option<Terminal> {
    let folder = stage.0.dir.path().display();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_client/sandbox");
    let client = format!(
        "claude --session-id {conversation} --permission-mode default --allowedTools Bash,Agent -- '{prompt}'"
    );
    let command = format!("bash {} {folder} {client}", script.display());
    Terminal::start(stage.0.control(&format!("terminal-{}", &conversation[..1])), &command)
}

#[track_caller]
fn wait_for(what: &str, terminals: [&Terminal; 3], seen: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !seen() {
        let screens = || terminals.map(Terminal::screen).join("\n===\n");
        assert!(Instant::now() < end, "{what} does not come:\n{}", screens());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How often the API refused a request.
fn hits(stage: &Stage) -> usize {
    let told = fs::read_to_string(stage.0.control("told.jsonl")).unwrap_or_default();
    told.lines().filter(|line| line.contains(r#""limit":true"#)).count()
}

/// The lines of a conversation's transcript, as far as they are whole.
fn lines(stage: &Stage, conversation: &str) -> Vec<Value> {
    let written =
        stage.transcript(conversation).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    written.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Returns whether a person's prompt stands in a conversation's transcript.
fn was_asked(stage: &Stage, conversation: &str, prompt: &str) -> bool {
    lines(stage, conversation)
        .iter()
        .any(|line| line["type"] == "user" && line["message"]["content"] == prompt)
}

/// When the model came to the end of a turn.
fn ended_at(stage: &Stage, conversation: &str) -> Option<Timestamp> {
    let lines = lines(stage, conversation);
    let last = lines.iter().rfind(|line| line["message"]["content"][0]["text"] == "Here you are.")?;
    Timestamp::parse(last["timestamp"].as_str()?)
}

#[test]
fn three_terminals_act_on_one_limit() {
    let Some(stage) = Stage::new() else { return };
    // What is left of the account is said with each reply, also by the replies to those who are still at work.
    let spent = |reset_in_seconds: u64| json!({"share": 1.0, "reset_in_seconds": reset_in_seconds});
    let busy = |name: &str| format!("touch {name}.ready; until [ -e go ]; do sleep 0.05; done");
    let Some(b) = open(&stage, B, &format!("[[bash: {}]] [[agent]]", busy("b"))) else { return };
    let Some(c) = open(&stage, C, &format!("[[bash: {}]] [[bash: touch c.went]]", busy("c"))) else { return };
    let Some(a) = open(&stage, A, "[[bash: touch a.ready]]") else { return };
    let all = [&a, &b, &c];
    wait_for("all at work", all, || ["a.ready", "b.ready", "c.ready"].iter().all(|name| stage.has(name)));

    let output = stage.0.claudewatch(&["status", "--json"]).output().expect("claudewatch can be run");
    let status: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr_of(&output)));
    let clients = status["sessions"].as_array().expect("a list").iter().filter(|it| it["role"] == "claude");
    let places: BTreeSet<(&str, &str)> = clients
        .filter(|it| it["presence"] == "alive")
        .map(|it| (it["conversation_id"].as_str().unwrap_or("?"), it["session_id"].as_str().expect("a text")))
        .collect();
    assert_eq!(
        places.iter().map(|(conversation, _)| *conversation).collect::<Vec<_>>(),
        [A, B, C],
        "{status}"
    );
    let sessions: BTreeSet<&str> = places.iter().map(|(_, session)| *session).collect();
    assert!(sessions.len() == 3 && sessions.iter().all(|it| it.starts_with("pts/")), "{sessions:?}");

    // A meets the limit, while B and C wait for their tools.
    stage.0.script(json!({"spent": {"reset_in_seconds": 3600}, "five_hour": spent(3600)}));
    a.enter("[[limit]]", || hits(&stage) == 1);
    let hit_on_board = || {
        let look = stage.board().since(Default::default()).expect("nobody holds it");
        look.notices.iter().find(|(_, notice)| notice.kind.name() == "limit_hit").map(|(_, it)| it.clone())
    };
    wait_for("the notice", all, || hit_on_board().is_some());
    let notice = hit_on_board().expect("it was there");
    fs::write(stage.path("go"), "").expect("the sandbox is ours");

    // The next sub-agent of B and the next tool call of C are refused, and their models told until when.
    wait_for("the ends of both turns", all, || [B, C].iter().all(|it| ended_at(&stage, it).is_some()));
    // Each reply of the stand-in API counts from its own moment on.
    let reset = notice.resets_at.expect("the API said so");
    let is_near = |refusal: &str| {
        let told = refusal.split_once('(').and_then(|(_, told)| Timestamp::parse(told.get(..20)?));
        told.is_some_and(|told| told.as_millis().abs_diff(reset.as_millis()) < 60_000)
    };
    for conversation in [B, C] {
        let refusals = stage.refusals(conversation);
        assert_eq!(refusals.len(), 1, "{conversation}: {refusals:?}");
        assert!(is_near(&refusals[0]), "{reset} is not in {refusals:?}");
    }
    assert!(!stage.has("c.went"));
    let refused = stage.journal();
    let calls: Vec<_> =
        refused.iter().map(|(event, it)| (event.owner.conversation.as_str(), &*it.tool)).collect();
    assert!(calls.len() == 2 && calls.contains(&(B, "Agent")) && calls.contains(&(C, "Bash")), "{refused:?}");
    assert!(refused.iter().all(|(_, it)| it.done && it.deed == Deed::Refused), "{refused:?}");
    // Their people see it in the status line, which has told by then what came with the last reply.
    wait_for("the last words in the status lines", all, || {
        let lines = stage.board().board().lines().expect("nobody holds it");
        let is_told = |it: &str| {
            lines.iter().any(|line| *line.conversation == *it && Some(line.at) >= ended_at(&stage, it))
        };
        is_told(B) && is_told(C)
    });
    for terminal in [&b, &c] {
        terminal.wait_for("5-hour limit hit");
    }

    // Another refusal says that the reset is near; from then on the API answers again.
    stage.0.script(json!({"spent": {"reset_in_seconds": 4}, "five_hour": spent(4)}));
    a.enter("[[limit]] again", || hits(&stage) == 2);
    stage.0.script(json!({"spent": false, "five_hour": {"share": 0.02, "reset_in_seconds": 18_000}}));
    let told = stage.0.told();
    let near = told.iter().rfind(|reply| reply["limit"] == true).expect("it was refused");
    let near = Timestamp::parse(near["resets_at"].as_str().expect("a text")).expect("a time");
    wait_for("the near reset on the board", all, || {
        let samples = stage.board().board().observed().expect("nobody holds it");
        samples.iter().any(|it| {
            it.sample.resets_at.is_some_and(|at| at.as_millis().abs_diff(near.as_millis()) < 60_000)
        })
    });
    wait_for("the reset", all, || now() > near);
    let next = [
        (&a, A, "[[bash: touch a.on]]"),
        (&b, B, "[[agent]] [[bash: touch b.on]]"),
        (&c, C, "[[bash: touch c.on]]"),
    ];
    for (terminal, conversation, prompt) in next {
        terminal.enter(prompt, || was_asked(&stage, conversation, prompt));
    }
    wait_for("all to go on", all, || ["a.on", "b.on", "c.on"].iter().all(|name| stage.has(name)));
    let refused = [stage.refusals(B), stage.refusals(C)].concat();
    assert_eq!(refused.len(), 2, "nothing more is refused: {refused:?}");
}
