//! Every recorded process tree gets the verdict that the way it was built demands.

use std::collections::BTreeMap;

use serde::Deserialize;
use session_detect::{Confidence, Facts, Session, classify};

#[derive(Deserialize)]
struct Record {
    expect: Expect,
    #[serde(flatten)]
    facts: Facts,
}

#[derive(Deserialize)]
struct Expect {
    kind: String,
    link: String,
}

fn records() -> Vec<Record> {
    let text = include_str!("../data/facts.jsonl");
    let records: Vec<Record> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(records.len(), 100);
    records
}

fn label(record: &Record) -> &str {
    record.facts.label.as_deref().expect("every record has a label")
}

fn session(name: &str) -> Session {
    let record = records().into_iter().find(|record| label(record) == name).expect("the record exists");
    classify(&record.facts)
}

#[test]
fn every_recorded_tree_gets_its_kind_and_link() {
    let wrong: Vec<String> = records()
        .iter()
        .filter_map(|record| {
            let session = classify(&record.facts);
            let (found, wanted) = (
                format!("{}:{}", session.kind, session.link),
                format!("{}:{}", record.expect.kind, record.expect.link),
            );
            (found != wanted).then(|| format!("{}: {found}, not {wanted}", label(record)))
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_record_has_a_key_and_the_key_can_be_read_back() {
    for record in records() {
        let key = classify(&record.facts).key.expect("the records hold what a key needs");
        let read: session_detect::IsolationKey = key.to_string().parse().expect("a printed key parses");
        assert_eq!((read.to_string(), &read), (key.to_string(), &key), "{}", label(&record));
    }
}

/// Without any variable the kind stays what it was wherever processes told it.
#[test]
fn a_verified_kind_needs_no_environment() {
    for mut record in records() {
        let before = classify(&record.facts);
        record.facts.env.clear();
        let after = classify(&record.facts);
        if before.confidence == Confidence::Verified {
            assert_eq!((before.kind, before.leader), (after.kind, after.leader), "{}", label(&record));
        }
    }
}

#[test]
fn a_record_written_again_is_the_same_record() {
    for record in records() {
        let text = serde_json::to_string(&record.facts).expect("facts can be written");
        let again: Facts = serde_json::from_str(&text).expect("and read");
        assert_eq!(again, record.facts);
    }
}

#[test]
fn a_verdict_can_be_kept_and_read_again() {
    for record in records() {
        let session = classify(&record.facts);
        let text = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&text).unwrap(), session, "{text}");
    }
    let session = classify(&records()[0].facts);
    assert_eq!(serde_json::to_value(&session).unwrap()["confidence"], session.confidence.to_string());
}

#[test]
fn of_nothing_nothing_is_verified() {
    let session = classify(&Facts::default());
    assert_eq!((session.confidence, session.evidence, session.key), (Confidence::Assumed, Vec::new(), None));
}

#[test]
fn containers_that_look_alike_have_different_keys() {
    assert_ne!(session("podman-samehost-A").key, session("podman-samehost-B").key);
}

#[test]
fn one_kernel_is_one_session_however_a_cell_starts_a_program() {
    let mut leaders: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for record in records().iter().filter(|record| label(record).starts_with("jup-kernel")) {
        let session = classify(&record.facts);
        let kernel = record
            .facts
            .ancestry
            .iter()
            .find(|process| process.mark.iter().any(|mark| mark == "ipykernel_launcher"));
        assert_eq!(Some(session.pid), kernel.map(|kernel| kernel.pid), "{}", label(record));
        leaders.entry(session.pid).or_default().push(label(record).to_owned());
    }
    assert!(!leaders.is_empty());
}

#[test]
fn sudo_leaves_the_session_what_it_was() {
    for name in ["ssh-sudo", "ssh-sudo-i", "ssh-sudo-su"] {
        let session = session(name);
        assert_eq!((session.place.as_str(), session.link.as_str()), ("pts/2", "ssh_client"), "{name}");
    }
}

fn check(name: &str, confidence: Confidence, mux: Option<&str>, host_app: Option<&str>) {
    let session = session(name);
    let found = (session.confidence, session.mux.as_deref(), session.host_app.as_deref());
    assert_eq!(found, (confidence, mux, host_app), "{name}");
}

#[test]
fn the_verdict_says_how_far_it_can_be_trusted_and_what_is_around() {
    check("ssh-exec-tty", Confidence::Verified, None, None);
    check("ssh-tmux-detached-pane", Confidence::Inherited, Some("tmux"), None);
    check("ssh-screen-local-reattach-newwindow", Confidence::Inherited, Some("screen"), None);
    check("ssh-tmux-newwindow-after-local-attach", Confidence::Verified, Some("tmux"), None);
    check("hidepid2-ssh-tty-env-i", Confidence::Assumed, None, None);
    check("nvim-terminal", Confidence::Verified, None, Some("nvim"));
    check("sim-vscode-from-tmux", Confidence::Verified, None, Some("vscode"));
    check("local-pty-bg", Confidence::Assumed, None, None);
}
