//! `completions` and `man`: what shells and man(1) can read, with every command in it.

use std::process::{Command, Stdio};

use crate::env::Env;

const COMMANDS: [&str; 5] = ["report", "explain", "status", "detect", "events"];

#[test]
fn every_shell_is_told_of_every_command() {
    let env = Env::bare();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.run(&["completions", shell]).ok();
        for name in COMMANDS {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    env.run(&["completions", "tcsh"]).fails(2, &["tcsh"]);
}

#[test]
fn bash_completes() {
    if Command::new("bash").arg("-c").arg("complete -p || true").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no bash");
        return;
    }
    let script = Env::bare().run(&["completions", "bash"]).ok();
    let ask = "COMP_WORDS=(claudewatch rep); COMP_CWORD=1; _claudewatch claudewatch rep claudewatch; echo ${COMPREPLY[@]}";
    let output = Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "report\n", "{output:?}");
}

#[test]
fn manual_pages() {
    let env = Env::bare();
    let page = env.run(&["man"]).ok();
    assert!(page.contains(".TH claudewatch 1"), "{page}");
    for name in COMMANDS {
        assert!(page.contains(name), "{name}");
    }
    let report = env.run(&["man", "report"]).ok();
    assert!(report.contains("claudewatch\\-report") && report.contains("\\-\\-since"), "{report}");
    let import = env.run(&["man", "events", "import"]).ok();
    assert!(import.contains("claudewatch\\-events\\-import"), "{import}");
    env.run(&["man", "reports"]).fails(2, &["there is no command `reports`", "claudewatch help"]);
}
