//! `detect`: the session of a process, of another process and of a record, for people and as JSON.

use std::fs;

use serde_json::{Value, json};

use crate::env::Env;

/// A login over SSH whose terminal still carries the variables of a notebook, with a secret among them.
fn record() -> Value {
    let process = |pid: u32, comm: &str, tty: &str, sid: u32| {
        json!({"pid": pid, "comm": comm, "arg0": comm, "exe": "!permission denied", "tty": tty, "sid": sid,
               "pgrp": sid, "tpgid": -1, "start": pid, "uid": 1000})
    };
    json!({
        "label": "login", "users": {"1000": "herb"}, "hostname": "server", "uid": 1000, "euid": 1000,
        "boot_id": "5f0c3b1e-9a7d-4c28-b6e1-0d93c4a2f781", "ns": {"pid": "pid:[4026531836]"},
        "env": {"SSH_CONNECTION": "203.0.113.9 51000 192.0.2.1 22", "JPY_PARENT_PID": "999", "TERM": "xterm",
                "ANTHROPIC_API_KEY": "sk-secret", "JUPYTER_SERVER_URL": "http://localhost/?token=sk-secret"},
        "ancestry": [process(40, "claudewatch", "pts/1", 30), process(30, "bash", "pts/1", 30),
                     process(20, "sshd-session", "none", 10), process(10, "sshd-session", "none", 10)],
    })
}

fn verdict(env: &Env, record: &Value) -> Value {
    let path = env.path("record.jsonl");
    fs::write(&path, format!("{record}\n")).unwrap();
    env.json(&["detect", "--facts", path.to_str().unwrap()])
}

#[test]
fn a_record_is_judged_without_looking_at_this_machine() {
    let env = Env::bare();
    let verdict = verdict(&env, &record());
    let told = |name: &str| verdict[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(verdict["schema_version"], 1);
    assert_eq!(
        (told("label"), told("kind"), told("link")),
        ("login".into(), "ssh".into(), "ssh_client".into())
    );
    assert_eq!((told("session_type"), told("confidence")), ("ssh".into(), "verified".into()));
    assert_eq!(told("session_id"), "pts/1:ssh_client:herb:server:30");
    let tag = "1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.30.1e";
    assert_eq!(told("isolation_key"), format!("pts/1:ssh_client:herb:server:30~{tag}"));
    let context = &verdict["context"];
    assert_eq!((&context["remote_ip"], &context["tty"]), (&json!("203.0.113.9"), &json!("/dev/pts/1")));
    assert_eq!(context["process_tree"], json!(["bash", "sshd-session", "sshd-session"]));
    assert_eq!(context["working_directory"], Value::Null);
    let stale = json!({"signal": "JPY_PARENT_PID", "value": "999", "verdict": "refuted"});
    assert!(verdict["evidence"].as_array().unwrap().contains(&stale), "{verdict}");
    assert!(!verdict.to_string().contains("sk-secret"));
}

#[test]
fn what_one_machine_records_another_can_judge() {
    let env = Env::bare();
    let live = env.json(&["detect"]);
    let recorded = env.json(&["detect", "--record"]);
    let again = verdict(&env, &recorded);
    for name in ["kind", "link", "place", "confidence", "label"] {
        assert_eq!(live[name], again[name], "{name}");
    }
    // As `status` says it.
    assert!(live["label"].as_str().is_some_and(|label| label.contains('@')), "{live}");
}

#[test]
fn another_process_is_seen_as_it_sees_itself() {
    let env = Env::bare();
    let own = std::process::id().to_string();
    let seen = env.json(&["detect", "--pid", &own]);
    assert_eq!(seen["context"]["pid"], std::process::id());
    assert_eq!(seen["isolation_key"], json!(session_detect::detect().key));
}

#[test]
fn people_read_why() {
    let env = Env::bare();
    let path = env.path("record.jsonl");
    fs::write(&path, format!("{}\n", record())).unwrap();
    let text = env.run(&["detect", "--facts", path.to_str().unwrap()]).ok();
    assert_eq!(text, "login: ssh (ssh_client), verified, pts/1:ssh_client:herb:server:30\n");
    let text = env.run(&["detect"]).ok();
    for part in ["Session ID", "Isolation key", "Type", "Why"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_cannot_be_judged_is_told() {
    let env = Env::bare();
    let path = env.path("records.jsonl");
    fs::write(&path, format!("{}\n{{\"ancestry\": 7}}\nnothing\n", record())).unwrap();
    let outcome = env.run(&["detect", "--facts", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.starts_with("login: ssh"), "{}", outcome.stdout);
    assert!(
        outcome.stderr.contains("2 of 3 lines") && outcome.stderr.contains("line 2:"),
        "{}",
        outcome.stderr
    );
    let outcome = env.run(&["detect", "--facts", env.path("missing").to_str().unwrap()]);
    assert_eq!(outcome.code, Some(3));
    let outcome = env.run(&["detect", "--pid", "4294967295"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("no process 4294967295"), "{}", outcome.stderr);
}
