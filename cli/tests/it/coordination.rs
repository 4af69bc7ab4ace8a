//! Several monitors at once: they know of each other, and a second one for the same terminal and project says so.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::env::{Env, PATIENCE, Reply};

fn members(env: &Env) -> Vec<(String, String)> {
    let status = env.json(&["status"]);
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let sessions = status["sessions"].as_array().unwrap();
    sessions.iter().map(|it| (text(it, "role"), text(it, "presence"))).collect()
}

fn until(env: &Env, expected: &[(&str, &str)]) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = members(env);
        let same = found
            .iter()
            .map(|(role, presence)| (role.as_str(), presence.as_str()))
            .eq(expected.iter().copied());
        if same {
            return;
        }
        assert!(Instant::now() < end, "{found:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn with_history() -> Env {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    env
}

#[test]
fn a_second_monitor_of_one_terminal_and_project_is_a_viewer() {
    let env = with_history();
    assert_eq!(env.json(&["status"])["coordination"]["leader"], Value::Null);
    let first = env.start(&["--json"]);
    first.until_messages(PATIENCE, 1);
    until(&env, &[("monitor", "alive")]);
    let second = env.start(&["--json"]);
    second.until_messages(PATIENCE, 1);
    until(&env, &[("monitor", "alive"), ("viewer", "alive")]);
    let status = env.json(&["status"]);
    assert_eq!(
        (&status["active_sessions"], &status["coordination"]["conflicts_resolved"]),
        (&json!(1), &json!(1))
    );
    assert!(status["coordination"]["leader"]["pid"].is_u64(), "{status}");
    assert_eq!(status["sessions"][0]["isolation_key"], json!(session_detect::detect().key));
    drop((first, second));
}

#[test]
fn monitors_of_two_projects_are_members_of_one_session() {
    let env = with_history();
    let one = env.start(&["--json"]);
    let all = env.start(&["--json", "--all"]);
    one.until_messages(PATIENCE, 1);
    all.until_messages(PATIENCE, 1);
    until(&env, &[("monitor", "alive"), ("monitor", "alive")]);
    assert_eq!(env.json(&["status"])["active_sessions"], 1);
}

#[test]
fn who_wants_no_coordination_is_not_seen_and_sees_nobody() {
    let env = with_history();
    let alone = env.start(&["--json", "--no-coordination"]);
    alone.until_messages(PATIENCE, 1);
    assert_eq!(members(&env), Vec::new());
    assert!(!env.path("run").exists(), "no runtime folder is made");
    assert_eq!(env.json(&["status", "--no-coordination"])["coordination"]["mode"], "none");
}

/// A folder that others may write to is not trusted; the monitor says why and does its work alone.
#[test]
#[cfg(unix)]
fn a_runtime_folder_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let env = with_history();
    std::fs::create_dir(env.path("run")).unwrap();
    std::fs::set_permissions(env.path("run"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let monitor = env.start(&["--json"]);
    monitor.until_messages(PATIENCE, 1);
    assert_eq!(members(&env), Vec::new());
    assert_eq!(std::fs::read_dir(env.path("run")).unwrap().count(), 0);
}
