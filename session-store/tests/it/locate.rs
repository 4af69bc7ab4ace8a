//! Where transcripts lie: every layout of Claude Code is found, and nothing that only looks like one does harm.

#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use session_store::{Source, SourceKind, locate};
use tempfile::TempDir;

use crate::child;

/// Makes a config folder with these files, each with five bytes.
fn config_with(files: &[&str]) -> TempDir {
    let config = TempDir::new().unwrap();
    for file in files {
        write(&config.path().join("projects").join(file));
    }
    config
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "five\n").unwrap();
}

fn written(kind: &SourceKind) -> String {
    match kind {
        SourceKind::Main { conversation } => format!("{conversation}"),
        SourceKind::SubAgent { conversation: Some(conversation), agent } => format!("{conversation}/{agent}"),
        SourceKind::SubAgent { conversation: None, agent } => format!("?/{agent}"),
    }
}

/// Lists what was found, sources then problems, as paths below the folder with what they are.
fn found(config_dir: &Path) -> Vec<String> {
    let located = locate(config_dir);
    let below = |path: &Path| path.strip_prefix(config_dir).unwrap_or(path).display().to_string();
    let mut sources: Vec<String> = located
        .sources
        .iter()
        .map(|source| {
            assert_eq!(source.stamp.size, 5, "{source:?}");
            assert!(source.stamp.modified_ns > 0 && source.stamp.file.1 > 0, "{source:?}");
            let again = Source::at(config_dir, source.id.path()).unwrap();
            assert_eq!(again.as_ref(), Some(source), "a look at one file tells the same as a look at all");
            assert!(source.open().is_ok(), "{source:?}");
            format!("{}: {}", below(source.id.path()), written(&source.kind))
        })
        .collect();
    let mut problems: Vec<String> =
        located.problems.iter().map(|(kind, path)| format!("{}: {}", below(path), kind.name())).collect();
    sources.sort();
    problems.sort();
    sources.into_iter().chain(problems).collect()
}

fn check(files: &[&str], expected: &[&str]) {
    let config = config_with(files);
    assert_eq!(found(config.path()), expected);
}

#[test]
fn every_layout() {
    check(
        &[
            // 1.0 and 2.0: sub-agents beside their parent, which only their lines name.
            "-home-dev-alpha/31696df2.jsonl",
            "-home-dev-alpha/agent-28bcb20f.jsonl",
            // 2.1: sub-agents in their parent's folder, with their workflows and notes.
            "-home-dev-beta/1549c4c5.jsonl",
            "-home-dev-beta/1549c4c5/subagents/agent-acea04e1.jsonl",
            "-home-dev-beta/1549c4c5/subagents/agent-acea04e1.meta.json",
            "-home-dev-beta/1549c4c5/subagents/agent-acompact-77.jsonl",
            "-home-dev-beta/1549c4c5/subagents/workflows/wf_1/agent-a1.jsonl",
            "-home-dev-beta/1549c4c5/subagents/workflows/wf_1/journal.jsonl",
            "-home-dev-beta/1549c4c5/tool-results/toolu_1.txt",
            "-home-dev-beta/1549c4c5/workflows/run.json",
            "-home-dev-beta/memory/MEMORY.md",
            "-home-dev-beta/sessions-index.json",
            // Transcripts whose parent is gone, and what is not quite a transcript.
            "-home-dev-beta/0ad1/subagents/agent-a9.jsonl",
            "-home-dev-beta/2f.jsonl.bak",
            "-home-dev-beta/2f.JSONL",
            "-home-dev-beta/.jsonl",
        ],
        &[
            "projects/-home-dev-alpha/31696df2.jsonl: 31696df2",
            "projects/-home-dev-alpha/agent-28bcb20f.jsonl: ?/28bcb20f",
            "projects/-home-dev-beta/.jsonl: .jsonl",
            "projects/-home-dev-beta/0ad1/subagents/agent-a9.jsonl: 0ad1/a9",
            "projects/-home-dev-beta/1549c4c5.jsonl: 1549c4c5",
            "projects/-home-dev-beta/1549c4c5/subagents/agent-acea04e1.jsonl: 1549c4c5/acea04e1",
            "projects/-home-dev-beta/1549c4c5/subagents/agent-acompact-77.jsonl: 1549c4c5/acompact-77",
            "projects/-home-dev-beta/1549c4c5/subagents/workflows/wf_1/agent-a1.jsonl: 1549c4c5/a1",
        ],
    );
}

#[test]
fn a_journal_is_no_transcript_anywhere() {
    check(&["a/journal.jsonl", "a/b/journal.jsonl", "journal.jsonl"], &[]);
    let config = config_with(&["a/b/journal.jsonl"]);
    assert_eq!(Source::at(config.path(), &config.path().join("projects/a/b/journal.jsonl")).unwrap(), None);
}

#[test]
fn where_nothing_is() {
    let config = TempDir::new().unwrap();
    let nothing: [String; 0] = [];
    assert_eq!(found(config.path()), nothing, "no projects yet");
    assert_eq!(found(&config.path().join("missing")), nothing);
    // Whatever else lies in a config folder is not searched.
    write(&config.path().join("history.jsonl"));
    write(&config.path().join("todos/a.jsonl"));
    assert_eq!(found(config.path()), nothing);
    fs::create_dir(config.path().join("projects")).unwrap();
    assert_eq!(found(config.path()), nothing);
    fs::remove_dir(config.path().join("projects")).unwrap();
    fs::write(config.path().join("projects"), "").unwrap();
    assert_eq!(found(config.path()), ["projects: unreadable"]);
}

#[test]
fn the_folder_of_projects_itself() {
    let config = config_with(&["a/1.jsonl", "a/1/subagents/agent-2.jsonl"]);
    let projects = config.path().join("projects");
    assert_eq!(found(&projects), ["a/1.jsonl: 1", "a/1/subagents/agent-2.jsonl: 1/2"]);
    // A folder of that name which holds one is a config folder.
    let nested = TempDir::new().unwrap();
    write(&nested.path().join("projects/projects/a/1.jsonl"));
    assert_eq!(found(&nested.path().join("projects")), ["projects/a/1.jsonl: 1"]);
}

#[test]
fn links_above_are_followed_and_links_below_are_not() {
    let real = config_with(&["a/1.jsonl"]);
    let config = TempDir::new().unwrap();
    symlink(real.path().join("projects"), config.path().join("projects")).unwrap();
    assert_eq!(found(config.path()), ["projects/a/1.jsonl: 1"]);

    let folder = real.path().join("projects/a");
    symlink(&folder, folder.join("loop")).unwrap();
    symlink("loop2.jsonl", folder.join("loop2.jsonl")).unwrap();
    symlink("missing.jsonl", folder.join("dangling.jsonl")).unwrap();
    symlink("1.jsonl", folder.join("link.jsonl")).unwrap();
    symlink("/", folder.join("root.jsonl")).unwrap();
    assert_eq!(
        found(real.path()),
        [
            "projects/a/1.jsonl: 1",
            "projects/a/dangling.jsonl: not_a_file",
            "projects/a/link.jsonl: not_a_file",
            "projects/a/loop2.jsonl: not_a_file",
            "projects/a/root.jsonl: not_a_file",
        ]
    );
    let link = Source::at(real.path(), &folder.join("link.jsonl"));
    assert_eq!(link.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

/// A pipe in place of a transcript is told of, and opening it does not wait for a writer that never comes.
#[test]
fn pipes_are_passed_over() {
    let config = config_with(&["a/1.jsonl", "a/2.jsonl"]);
    let source = locate(config.path())
        .sources
        .into_iter()
        .find(|source| source.id.path().ends_with("2.jsonl"))
        .unwrap();
    let path = source.id.path();
    fs::remove_file(path).unwrap();
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    assert_eq!(found(config.path()), ["projects/a/1.jsonl: 1", "projects/a/2.jsonl: not_a_file"]);
    assert_eq!(source.open().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    fs::remove_file(path).unwrap();
    assert_eq!(source.open().unwrap_err().kind(), io::ErrorKind::NotFound);
    symlink("1.jsonl", path).unwrap();
    assert!(source.open().is_err(), "a link that took the place of a transcript is not followed");
}

#[test]
fn depth_has_an_end() {
    let deep = format!("a/{}deep.jsonl", "d/".repeat(11));
    let deeper = format!("a/{}deeper.jsonl", "e/".repeat(12));
    let config = config_with(&[&deep, &deeper]);
    let all = found(config.path());
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].ends_with("deep.jsonl: d/deep"), "{all:?}");
    assert!(all[1].ends_with("e: too_deep"), "{all:?}");
}

#[test]
fn names_that_are_no_text() {
    let config = TempDir::new().unwrap();
    let slug = config.path().join("projects").join(OsStr::from_bytes(b"-home-\xff"));
    write(&slug.join(OsStr::from_bytes(b"\xfe\x80.jsonl")));
    write(&slug.join("na\nme\u{1b}[2J.jsonl"));
    let mut sources = locate(config.path()).sources;
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    let kinds: Vec<String> = sources.iter().map(|source| written(&source.kind)).collect();
    assert_eq!(kinds, ["na\nme\u{1b}[2J", "\u{fffd}\u{fffd}"]);
    assert!(sources.iter().all(|source| source.open().is_ok()), "the path is kept as it is");
}

#[test]
fn paths_that_are_no_transcripts() {
    let config = config_with(&["a/1.jsonl"]);
    let at = |path: &Path| Source::at(config.path(), path);
    assert_eq!(at(Path::new("/elsewhere/1.jsonl")).unwrap(), None);
    assert_eq!(at(&config.path().join("history.jsonl")).unwrap(), None);
    assert_eq!(at(&config.path().join("projects/a")).unwrap(), None);
    let missing = at(&config.path().join("projects/a/2.jsonl"));
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_may_not_be_read_is_told() {
    let config = config_with(&["a/1.jsonl", "b/2.jsonl"]);
    fs::set_permissions(config.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let closed = config.path().join("projects/b");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    child::run("locate::child_without_rights", config.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn child_without_rights() {
    let Some(config_dir) = child::place() else { return };
    child::become_nobody();
    assert_eq!(found(&config_dir), ["projects/a/1.jsonl: 1", "projects/b: unreadable"]);
}
