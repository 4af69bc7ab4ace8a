//! `claudewatch setup`: settings of every shape take ours in and come back to the byte.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::env::{Env, parse};

fn settings(env: &Env) -> PathBuf {
    env.claude().join("settings.json")
}

fn installed(env: &Env) -> Value {
    let text = fs::read_to_string(settings(env)).unwrap();
    parse(text.trim_start_matches('\u{feff}'))
}

#[test]
fn settings_of_every_shape_come_back_to_the_byte() {
    let huge = format!("{{\"env\": {{\"A\": \"{}\"}}}}", "x".repeat(1 << 20));
    let shapes: [&[u8]; 9] = [
        b"",
        b"\n",
        b"{}",
        b"{\"model\":\"opus\"}",
        b"{\r\n\t\"model\" : \"opus\" ,\r\n\t\"hooks\": {}\r\n}\r\n",
        b"\xef\xbb\xbf{\n    \"env\": {}\n}\n",
        b"{\n  \"hooks\": {\n    \"Stop\": [],\n    \"PreToolUse\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"x\"}]}]\n  }\n}",
        b"{\"statusLine\": {\"type\": \"command\", \"command\": \"echo 'me'\"}}",
        huge.as_bytes(),
    ];
    for shape in shapes {
        let env = Env::new();
        fs::write(settings(&env), shape).unwrap();
        env.run(&["setup", "--yes"]).ok();
        let first = fs::read(settings(&env)).unwrap();
        for event in ["SessionStart", "PreToolUse", "StopFailure"] {
            let groups = installed(&env)["hooks"][event].as_array().unwrap().clone();
            let line = groups.last().unwrap()["hooks"][0]["command"].as_str().unwrap().to_owned();
            assert!(line.ends_with("claudewatch hook"), "{line}");
        }
        let again = env.run(&["setup", "--yes"]).ok();
        assert!(again.contains("in it already"), "{again}");
        assert_eq!(fs::read(settings(&env)).unwrap(), first, "twice is once");
        env.run(&["setup", "--uninstall", "--yes"]).ok();
        assert_eq!(
            fs::read(settings(&env)).unwrap(),
            shape,
            "{:?}",
            String::from_utf8_lossy(&shape[..shape.len().min(80)])
        );
        let nothing = env.run(&["setup", "--uninstall", "--yes"]).ok();
        assert!(nothing.contains("nothing of ours"), "{nothing}");
    }
}

#[test]
fn settings_that_are_missing_are_made_and_removed_again() {
    let env = Env::new();
    env.run(&["setup", "--yes"]).ok();
    assert!(installed(&env)["hooks"].is_object());
    env.run(&["setup", "--uninstall", "--yes"]).ok();
    assert!(!settings(&env).exists());
}

#[test]
fn what_was_edited_since_stays() {
    let env = Env::new();
    fs::write(settings(&env), "{\n  \"model\": \"opus\"\n}\n").unwrap();
    env.run(&["setup", "--yes"]).ok();
    let edited = fs::read_to_string(settings(&env)).unwrap().replace("opus", "haiku");
    fs::write(settings(&env), edited).unwrap();
    let said = env.run(&["setup", "--uninstall", "--yes"]).ok();
    assert!(said.contains("edited since"), "{said}");
    assert_eq!(fs::read_to_string(settings(&env)).unwrap(), "{\n  \"model\": \"haiku\"\n}\n");
}

#[test]
fn settings_that_cannot_be_read_are_left_alone() {
    for (text, word) in [
        ("{\n  // mine\n  \"a\": 1\n}", "comments"),
        ("{\"a\": 1,}", "not plain JSON"),
        ("{\"hooks\": 7}", "`hooks`"),
        ("[]", "no JSON object"),
    ] {
        let env = Env::new();
        fs::write(settings(&env), text).unwrap();
        for args in [&["setup", "--yes"][..], &["setup", "--uninstall", "--yes"], &["setup", "--dry-run"]] {
            env.run(args).fails(3, &[word, "left as it is"]);
        }
        assert_eq!(fs::read_to_string(settings(&env)).unwrap(), text);
    }
    let env = Env::new();
    fs::write(settings(&env), b"{\"a\": \"\xff\"}").unwrap();
    env.run(&["setup", "--yes"]).fails(3, &["no UTF-8"]);
}

#[test]
fn looking_changes_nothing() {
    let env = Env::new();
    fs::write(settings(&env), "{}").unwrap();
    let planned = env.run(&["setup", "--dry-run"]).ok();
    assert!(planned.contains("SessionStart") && planned.contains("Nothing was changed"), "{planned}");
    let printed = parse(&env.run(&["setup", "--print"]).ok());
    assert_eq!(printed["hooks"]["PreToolUse"][0]["hooks"][0]["timeout"], 30);
    env.run(&["setup"]).fails(2, &["no terminal", "--yes"]);
    assert_eq!(fs::read_to_string(settings(&env)).unwrap(), "{}");
    assert!(!env.data().exists(), "nothing is kept of what was not done");
    let told = env.json(&["setup", "--yes"]);
    assert_eq!((&told["schema_version"], &told["files"][0]["changed"]), (&json!(1), &json!(true)));
}

#[cfg(unix)]
#[test]
fn links_modes_and_read_only_files() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let env = Env::new();
    let target = env.path("dotfiles.json");
    fs::write(&target, "{}").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, settings(&env)).unwrap();
    env.run(&["setup", "--yes"]).ok();
    assert!(settings(&env).is_symlink());
    assert!(fs::read_to_string(&target).unwrap().contains("claudewatch hook"));
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    fs::set_permissions(&target, fs::Permissions::from_mode(0o440)).unwrap();
    env.run(&["setup", "--uninstall", "--yes"]).fails(3, &["read-only", "chmod"]);
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    env.run(&["setup", "--uninstall", "--yes"]).ok();
    assert_eq!((fs::read_to_string(&target).unwrap().as_str(), settings(&env).is_symlink()), ("{}", true));

    fs::remove_file(&target).unwrap();
    env.run(&["setup", "--yes"]).fails(3, &["leads nowhere"]);
    fs::remove_file(settings(&env)).unwrap();
    fs::create_dir(settings(&env)).unwrap();
    env.run(&["setup", "--yes"]).fails(3, &["no file"]);
}

#[test]
fn the_plugin_holds_the_same_hooks_and_a_skill() {
    let env = Env::new();
    let folder = env.path("plugin");
    let name = folder.to_str().unwrap();
    for _ in 0..2 {
        let said = env.run(&["setup", "--plugin", name]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
        assert!(said.stderr.contains("claude plugin install"), "{}", said.stderr);
    }
    let read = |path: &str| parse(&fs::read_to_string(folder.join(path)).unwrap());
    env.run(&["setup", "--yes"]).ok();
    assert_eq!(read("hooks/hooks.json")["hooks"], installed(&env)["hooks"]);
    assert_eq!(read(".claude-plugin/plugin.json")["name"], "claudewatch");
    assert_eq!(read(".claude-plugin/marketplace.json")["plugins"][0]["source"], "./");
    let skill = fs::read_to_string(folder.join("skills/claudewatch/SKILL.md")).unwrap();
    assert!(
        skill.starts_with("---\nname: claudewatch\ndescription: ") && !skill.contains("{program}"),
        "{skill}"
    );
    env.run(&["setup", "--plugin", env.path("home").to_str().unwrap()]).fails(2, &["something else"]);
}
