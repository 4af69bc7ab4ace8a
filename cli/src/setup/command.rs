//! The command lines by which Claude Code runs us, and how they are recognised.

use std::ffi::OsStr;
use std::path::Path;

/// How our program is named wherever it lies.
const NAME: &str = "claudewatch";
/// By this variable the program is told which command to run besides; it stands before the program, as in a shell.
const FORMER: &str = "CLAUDEWATCH_STATUSLINE_COMMAND=";

/// Writes the command line that runs a program with a command of ours.
///
/// It is for a shell, because versions of Claude Code before 2.1.139 know no other form and would leave the command out.
pub(crate) fn line(program: &Path, command: &str) -> String {
    format!("{} {command}", quoted(&program.to_string_lossy()))
}

/// Writes a word for a shell, in quotes where it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Writes the command line of a status line that runs the user's former one too.
pub(crate) fn status_line(program: &Path, former: Option<&str>) -> String {
    let line = line(program, "statusline");
    match former {
        Some(former) => format!("{FORMER}{} {line}", quoted(former)),
        None => line,
    }
}

/// Returns the former command that a status line of ours runs too.
pub(crate) fn former(line: &str) -> Option<String> {
    let (word, _) = first_word(line.trim_start())?;
    word.strip_prefix(FORMER).map(str::to_owned)
}

/// Returns whether a command line runs a command of ours, wherever the program lies.
pub(crate) fn is_ours(line: &str, command: &str) -> bool {
    let Some((program, rest)) = program_and_rest(line) else { return false };
    let name = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (is_named_like_us(name) || is_this_program(name))
        && first_word(rest.trim_start()).is_some_and(|(word, _)| word == command)
}

/// Returns whether a program has our name, perhaps with what packagers put around it: `claudewatch-0.1.0`,
/// `.claudewatch-wrapped`, `claudewatch.exe`.
fn is_named_like_us(name: &str) -> bool {
    let rest = name.strip_prefix('.').unwrap_or(name).strip_prefix(NAME);
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphabetic()))
}

/// Returns whether a program has the name of this one, which its user may have renamed.
fn is_this_program(name: &str) -> bool {
    std::env::current_exe().is_ok_and(|own| own.file_name() == Some(OsStr::new(name)))
}

/// Returns the program that a command line runs.
pub(crate) fn program(line: &str) -> Option<String> {
    program_and_rest(line).map(|(word, _)| word)
}

fn program_and_rest(line: &str) -> Option<(String, &str)> {
    let (word, rest) = first_word(line.trim_start())?;
    if word.starts_with(FORMER) { first_word(rest.trim_start()) } else { Some((word, rest)) }
}

/// Divides a line of a shell after its first word, which is given without its quotes.
fn first_word(line: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = line;
    loop {
        match rest.chars().next() {
            None | Some(' ' | '\t') => break,
            Some(quote @ ('\'' | '"')) => {
                let end = rest[1..].find(quote)? + 1;
                word.push_str(&rest[1..end]);
                rest = &rest[end + 1..];
            }
            Some('\\') => {
                let escaped = rest.chars().nth(1)?;
                word.push(escaped);
                rest = &rest[1 + escaped.len_utf8()..];
            }
            Some(plain) => {
                word.push(plain);
                rest = &rest[plain.len_utf8()..];
            }
        }
    }
    (!word.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_are_recognised_wherever_the_program_lies() {
        let renamed = std::env::current_exe().unwrap();
        for place in [
            "/usr/bin/claudewatch",
            "/home/it's me/claudewatch",
            "/a b/claudewatch",
            "claudewatch",
            "/opt/claudewatch-0.1.0",
            "/nix/store/x/bin/.claudewatch-wrapped",
            "C:/claudewatch.exe",
            renamed.to_str().unwrap(),
        ] {
            let line = line(Path::new(place), "hook");
            assert!(is_ours(&line, "hook"), "{line}");
            assert_eq!(program(&line).as_deref(), Some(place));
            assert!(is_ours(&format!("{line} --policy enforce"), "hook"));
            assert!(!is_ours(&line, "statusline"));
        }
        let chained = status_line(Path::new("/a b/claudewatch"), Some("jq -r '.model' | tr \"a\" b"));
        assert_eq!(former(&chained).as_deref(), Some("jq -r '.model' | tr \"a\" b"), "{chained}");
        assert!(is_ours(&chained, "statusline"));
        assert_eq!(former(&status_line(Path::new("claudewatch"), None)), None);
        for line in [
            "",
            "claudewatch",
            "claudewatch hooks",
            "other hook",
            "claudewatchful hook",
            "echo claudewatch hook",
            "'claudewatch hook",
            "claudewatch 'hook x'",
        ] {
            assert!(!is_ours(line, "hook"), "{line}");
        }
    }
}
