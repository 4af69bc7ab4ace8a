//! As little of a transcript as tells whose it may be: its name, when it was last written, and how it begins.
//!
//! What a transcript is about is the business of whoever counts it; here at most its first 64 KiB are read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::folder::{beginning, names};
use super::moment::of_iso;
use super::record::is_conversation;

/// How much of a transcript is read, in bytes and in lines.
const HEAD_MAX: usize = 64 << 10;
const LINES_MAX: usize = 16;

/// What a command that began a conversation anew leaves in the first lines: as a prompt, as a hook's name, as a field.
const CLEARED: [&str; 3] =
    ["<command-name>/clear</command-name>", "SessionStart:clear", "\"commandRun\":{\"command\":\"clear\""];

/// A transcript of a project's folder.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) conversation: String,
    pub(crate) path: PathBuf,
    /// When it was last written.
    pub(crate) modified: SystemTime,
}

/// How a transcript begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) working_folder: Option<PathBuf>,
    /// The first time written in it.
    pub(crate) begun: Option<SystemTime>,
    /// Whether it began with `/clear`.
    pub(crate) cleared: bool,
}

/// Returns the folder that holds the transcript of a conversation. It is searched by the file's name: a project's folder
/// cannot be told from the working folder for certain.
pub(crate) fn project_of(config_folder: &Path, conversation: &str) -> Option<PathBuf> {
    let projects = config_folder.join("projects");
    let file = format!("{conversation}.jsonl");
    let folders = names(&projects).ok()?.0.into_iter().map(|name| projects.join(name));
    folders
        .into_iter()
        .find(|folder| std::fs::symlink_metadata(folder.join(&file)).is_ok_and(|it| it.is_file()))
}

/// Returns the folder that Claude Code gives to a working folder; `None` where it shortens the name by a hash.
pub(crate) fn project_for(config_folder: &Path, working_folder: &Path) -> Option<PathBuf> {
    let text = working_folder.to_str().filter(|text| text.encode_utf16().count() <= 200)?;
    // Claude Code counts in UTF-16 and replaces each unit.
    let dashes = |letter: char| {
        if letter.is_ascii_alphanumeric() { letter.to_string() } else { "-".repeat(letter.len_utf16()) }
    };
    Some(config_folder.join("projects").join(text.chars().map(dashes).collect::<String>()))
}

/// Lists the transcripts of a project's folder, last written first; those of sub-agents are not among them.
pub(crate) fn transcripts(folder: &Path) -> Vec<Transcript> {
    let transcript = |name: String| {
        let conversation = name.strip_suffix(".jsonl").filter(|id| is_conversation(id))?.to_owned();
        let path = folder.join(&name);
        let meta = std::fs::symlink_metadata(&path).ok().filter(|meta| meta.is_file())?;
        let agent = conversation.starts_with("agent-");
        (!agent).then_some(Transcript { conversation, path, modified: meta.modified().ok()? })
    };
    let mut found: Vec<Transcript> = names(folder)
        .map(|(names, _)| names)
        .unwrap_or_default()
        .into_iter()
        .filter_map(transcript)
        .collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.modified));
    found
}

/// Reads how a transcript begins; what cannot be read tells nothing.
pub(crate) fn head(path: &Path) -> Head {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        cwd: Option<String>,
        #[serde(default)]
        timestamp: Option<String>,
    }
    let bytes = beginning(path, HEAD_MAX).unwrap_or_default();
    let mut head = Head::default();
    for line in bytes.split(|byte| *byte == b'\n').take(LINES_MAX) {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        head.cleared |= CLEARED.iter().any(|mark| text.contains(mark));
        if let Ok(line) = serde_json::from_str::<Line>(text) {
            head.working_folder = head.working_folder.or(line.cwd.map(PathBuf::from));
            let time = line.timestamp.as_deref().and_then(of_iso);
            head.begun = head.begun.into_iter().chain(time).min();
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_by_its_folder() {
        let check = |folder: &str, wanted: &str| {
            let found = project_for(Path::new("/c"), Path::new(folder)).expect("it is short");
            assert_eq!(found, Path::new("/c/projects").join(wanted), "{folder}");
        };
        check("/home/u/my.app_2", "-home-u-my-app-2");
        check("/ä/𝄞", "-----");
        assert_eq!(project_for(Path::new("/c"), Path::new(&"x".repeat(201))), None);
    }
}
