//! `claudewatch doctor`: each thing that can be wrong is named, with a way out.

use std::fs;

use serde_json::{Value, json};
use session_coordinator::{NoticeBoard, RuntimeDir};

use crate::env::{Env, Reply};

fn status(told: &Value, id: &str) -> String {
    let checks = told["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id} in {told}"));
    assert!(check["text"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
    assert_eq!(check["hint"].is_null(), check["status"] == "ok", "{check}");
    check["status"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_in_order_is_said() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    let before = env.json(&["doctor"]);
    assert_eq!((&before["schema_version"], &before["ok"]), (&json!(1), &json!(true)));
    for (id, expected) in [
        ("sources", "ok"),
        ("stores", "ok"),
        ("lines", "ok"),
        ("clock", "ok"),
        ("hooks", "warn"),
        ("status-line", "warn"),
    ] {
        assert_eq!(status(&before, id), expected, "{id}");
    }
    env.run(&["setup", "--yes"]).ok();
    let after = env.json(&["doctor"]);
    assert_eq!((status(&after, "hooks").as_str(), status(&after, "status-line").as_str()), ("ok", "ok"));
    let text = env.run(&["doctor"]).ok();
    assert!(text.contains("✔ hooks") && !text.contains('✘'), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_a_way_out() {
    let env = Env::new();
    env.write("c", &["{\"usage\" \"isApiErrorMessage\" damaged", &Reply::now("msg_1").to_string()]);
    let board = NoticeBoard::open(&RuntimeDir::open(&env.path("run")).unwrap()).unwrap();
    board.board().count("hook_problems", 3).unwrap();
    let gone =
        json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "/gone/claudewatch hook"}]}]}});
    fs::write(env.claude().join("settings.json"), gone.to_string()).unwrap();
    let told = env.json(&["doctor"]);
    for id in ["lines", "board", "hooks"] {
        assert_eq!(status(&told, id), "warn", "{id}: {told}");
    }

    // All of them there, but the program is not.
    fs::remove_file(env.claude().join("settings.json")).unwrap();
    env.run(&["setup", "--yes"]).ok();
    let settings = fs::read_to_string(env.claude().join("settings.json")).unwrap();
    let moved = settings.replace(env!("CARGO_BIN_EXE_claudewatch"), "/gone/claudewatch");
    fs::write(env.claude().join("settings.json"), &moved).unwrap();
    let told = env.run(&["doctor", "--json"]).json_with(1);
    assert_eq!((&told["ok"], status(&told, "hooks").as_str()), (&json!(false), "fail"));
    assert!(env.run(&["doctor"]).stdout.contains("→ claudewatch setup"));
    fs::write(env.claude().join("settings.json"), settings.replacen('{', "{\"disableAllHooks\": true,", 1))
        .unwrap();
    assert_eq!(status(&env.json(&["doctor"]), "hooks"), "warn");
}

#[cfg(unix)]
#[test]
fn a_place_that_others_can_enter_is_a_failure() {
    use std::os::unix::fs::PermissionsExt;
    let env = Env::new();
    fs::create_dir(env.path("run")).unwrap();
    fs::set_permissions(env.path("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = env.run(&["doctor", "--json"]).json_with(1);
    assert_eq!(status(&told, "runtime"), "fail");
}
