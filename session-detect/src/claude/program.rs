//! Whether a program is Claude Code, and whether that is a session or a helper: from its name, file and first words.
//!
//! Decides from what it is given and keeps none of it: command lines may hold secrets.

use crate::probe::Invocation;

/// How Claude Code was installed, as far as its process tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// The binary `claude`, by the installer or by npm.
    Native,
    /// A copy that came with an SDK, an editor's extension or the desktop app.
    Bundled,
    /// A script under Node, Bun or Deno, as npm installed it up to 2.1.112.
    Script,
    /// Something else; only its record says that it is Claude Code.
    Unknown,
}

/// What a process of Claude Code does that is not itself a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelperKind {
    /// Started ahead of time for the next background session, and not in use: `--bg-spare`.
    Spare,
    /// Holds the terminal of a background session: `--bg-pty-host`.
    PtyHost,
    /// Keeps background sessions: `daemon`.
    Daemon,
    /// Serves or manages tools: `mcp`.
    Mcp,
    /// A search program inside Claude Code's own binary: `rg`, `ugrep`, `bfs`.
    Tool,
    /// A command that ends by itself or only shows something: `update`, `agents`, `attach`, ….
    Command,
}

impl HelperKind {
    /// Returns the name: `spare`, `pty-host`, `daemon`, `mcp`, `tool` or `command`.
    ///
    /// ```
    /// assert_eq!(session_detect::claude::HelperKind::PtyHost.name(), "pty-host");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Spare => "spare",
            Self::PtyHost => "pty-host",
            Self::Daemon => "daemon",
            Self::Mcp => "mcp",
            Self::Tool => "tool",
            Self::Command => "command",
        }
    }
}

/// First words after which `claude` is not a conversation.
const COMMANDS: &[(&str, HelperKind)] = &[
    ("daemon", HelperKind::Daemon),
    ("supervisor", HelperKind::Daemon),
    ("mcp", HelperKind::Mcp),
    ("--claude-in-chrome-mcp", HelperKind::Mcp),
    ("--chrome-native-host", HelperKind::Mcp),
    ("--computer-use-mcp", HelperKind::Mcp),
    ("--ripgrep", HelperKind::Tool),
    ("agents", HelperKind::Command),
    ("attach", HelperKind::Command),
    ("auth", HelperKind::Command),
    ("auto-mode", HelperKind::Command),
    ("config", HelperKind::Command),
    ("doctor", HelperKind::Command),
    ("install", HelperKind::Command),
    ("kill", HelperKind::Command),
    ("logs", HelperKind::Command),
    ("migrate-installer", HelperKind::Command),
    ("plugin", HelperKind::Command),
    ("plugins", HelperKind::Command),
    ("project", HelperKind::Command),
    ("rm", HelperKind::Command),
    ("setup-token", HelperKind::Command),
    ("stop", HelperKind::Command),
    ("update", HelperKind::Command),
    ("upgrade", HelperKind::Command),
    ("--bg", HelperKind::Command),
    ("--version", HelperKind::Command),
    ("-v", HelperKind::Command),
    ("--help", HelperKind::Command),
];

/// Flags that stand among others. The host of a terminal names the spare it starts, so the first one found counts.
const FLAGS: &[(&str, HelperKind)] =
    &[("--bg-pty-host", HelperKind::PtyHost), ("--bg-spare", HelperKind::Spare)];

/// Names under which Claude Code's binary starts itself as a search program.
const TOOLS: &[&str] = &["rg", "ripgrep", "ugrep", "bfs"];

/// Parts of a path that only copies inside another product have.
const BUNDLES: &[&str] =
    &["claude-agent-sdk", "claude_agent_sdk", "anthropic.claude-code", "/Claude/claude-code/"];

/// Parts of the path of the desktop app's own window, which is another program.
const DESKTOP: &[&str] = &["AnthropicClaude", "Claude.app/Contents/MacOS"];

/// Whether a process of this name needs a closer look; most do not.
pub(crate) fn may_be(name: &str) -> bool {
    is_claude(name) || is_version(name) || is_runtime(name)
}

/// What kind of Claude Code a process is; `None` for any other program.
pub(crate) fn program(name: &str, invocation: &Invocation) -> Option<Program> {
    let Invocation { exe, words } = invocation;
    if words.iter().any(|word| word.starts_with("--type=")) {
        return None; // A window of a desktop program.
    }
    let script = script(words).map(|(_, word)| of_path(word, Program::Script));
    let Some(exe) = exe.as_deref().map(|path| path.strip_suffix(" (deleted)").unwrap_or(path)) else {
        return script.or_else(|| by_name_only(name, words));
    };
    if DESKTOP.iter().any(|part| exe.contains(part)) {
        None
    } else if is_binary(exe) {
        Some(of_path(exe, Program::Native))
    } else if is_runtime(base(exe)) {
        // A script that set its title shows that instead of its command line.
        script.or_else(|| is_claude(name).then_some(Program::Script))
    } else {
        None
    }
}

/// What helper a process of Claude Code is; `None` for a session.
pub(crate) fn helper(invocation: &Invocation) -> Option<HelperKind> {
    let words = &invocation.words;
    let first = words.first().map_or("", |word| base(word));
    if TOOLS.contains(&first) {
        return Some(HelperKind::Tool);
    }
    let begin = script(words).map_or(1, |(at, _)| at + 1);
    let arguments = words.get(begin..).unwrap_or_default();
    let flag = arguments.iter().find_map(|word| listed(FLAGS, word));
    flag.or_else(|| listed(COMMANDS, arguments.first()?))
}

/// The version in the path of a binary that the installer put into a folder of its own.
pub(crate) fn version(invocation: &Invocation) -> Option<String> {
    let exe = invocation.exe.as_deref()?;
    let after = exe.split_once("/claude/versions/")?.1;
    let name = after.split(['/', ' ']).next().unwrap_or_default();
    is_version(name).then(|| name.to_owned())
}

fn listed(table: &[(&str, HelperKind)], word: &str) -> Option<HelperKind> {
    table.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
}

/// The program file may not be seen: another user's process.
fn by_name_only(name: &str, words: &[String]) -> Option<Program> {
    let called = words.first().is_some_and(|word| is_claude(base(word.split(' ').next().unwrap_or(word))));
    let named = is_claude(name) || is_version(name);
    (named && (called || words.is_empty())).then_some(Program::Native)
}

/// The script that an interpreter runs: the first word that is no option of its own. Others may only name the package,
/// as an installer's do.
fn script(words: &[String]) -> Option<(usize, &str)> {
    if !is_runtime(base(words.first()?)) {
        return None;
    }
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-r" | "--require" | "--import" | "--loader" | "--experimental-loader" => at += 2,
            "run" | "x" => at += 1,
            option if option.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let word = words.get(at)?;
    let packaged = ["@anthropic-ai/claude-code/", "@anthropic-ai/claude-agent-sdk/", "anthropic.claude-code"];
    let path = word.replace('\\', "/");
    let found = packaged.iter().any(|part| path.contains(part)) || base(word) == "claude";
    found.then_some((at, word))
}

fn of_path(path: &str, otherwise: Program) -> Program {
    let path = path.replace('\\', "/");
    if BUNDLES.iter().any(|part| path.contains(part)) { Program::Bundled } else { otherwise }
}

fn is_binary(path: &str) -> bool {
    // Nix wraps programs and calls the true one `.claude-wrapped` or `.claude-unwrapped`.
    let name = base(path);
    is_claude(name) || path.replace('\\', "/").contains("/claude/versions/")
}

fn is_claude(name: &str) -> bool {
    matches!(name, "claude" | "claude.exe") || name.starts_with(".claude-")
}

fn is_runtime(name: &str) -> bool {
    let name = name.strip_suffix(".exe").unwrap_or(name);
    // `MainThread` is what Node calls its first thread from version 24 on.
    ["node", "bun", "deno"].iter().any(|runtime| name.starts_with(runtime)) || name == "MainThread"
}

/// `2.1.139`: binaries are also started by the name of the file they lie in.
fn is_version(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').count() == 3 && name.split('.').all(digits)
}

fn base(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(exe: &str, line: &str) -> Invocation {
        let words = line.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Invocation { exe: (!exe.is_empty()).then(|| exe.to_owned()), words }
    }

    fn check(name: &str, exe: &str, line: &str, wanted: Option<(Program, Option<HelperKind>)>) {
        let invocation = invocation(exe, line);
        let found = program(name, &invocation).map(|found| (found, helper(&invocation)));
        assert_eq!(found, wanted, "{name} {exe} {line}");
        assert!(wanted.is_none() || may_be(name), "{name} is looked at");
    }

    #[test]
    fn sessions() {
        let session = |program| Some((program, None));
        check("claude", "/home/u/.local/share/claude/versions/2.1.330", "claude", session(Program::Native));
        check("2.1.12", "/home/u/.local/share/claude/versions/2.1.12", "2.1.12", session(Program::Native));
        check(
            "claude.exe",
            "/n/@anthropic-ai/claude-code/bin/claude.exe",
            "claude",
            session(Program::Native),
        );
        check("claude", "/home/u/claude/versions/2.1.9 (deleted)", "claude|-c", session(Program::Native));
        check("claude", "/nix/store/x/bin/.claude-wrapped", "claude", session(Program::Native));
        check("claude", "/usr/bin/node", "claude", session(Program::Script));
        check(
            "node",
            "/usr/bin/node",
            "node|/n/@anthropic-ai/claude-code/cli.js|-p|x",
            session(Program::Script),
        );
        check(
            "MainThread",
            "/usr/bin/node",
            "node|--no-warnings|-r|x.js|/usr/bin/claude",
            session(Program::Script),
        );
        check("bun", "/b/bun", "bun|run|/n/@anthropic-ai/claude-code/cli.js", session(Program::Script));
        check("node", "/n/node", "node|/a/@anthropic-ai/claude-agent-sdk/cli.js", session(Program::Bundled));
        let extension =
            "/home/u/.vscode/extensions/anthropic.claude-code-2.1.9/resources/native-binary/claude";
        check("claude", extension, "claude|--input-format|stream-json", session(Program::Bundled));
        check("claude", "/v/claude_agent_sdk/_bundled/claude", "claude|-p", session(Program::Bundled));
        check("claude", "", "claude|--resume", session(Program::Native));
        check("claude", "/bin/claude", "claude|fix the daemon", session(Program::Native));
    }

    #[test]
    fn helpers() {
        let helper = |kind| Some((Program::Native, Some(kind)));
        let exe = "/n/bin/claude.exe";
        check("claude.exe", exe, "claude bg-spare|--bg-spare|/s.sock", helper(HelperKind::Spare));
        let host = "claude bg-pty-host|--bg-pty-host|/s.sock|200|50|--|/n/bin/claude.exe|--bg-spare|/t.sock";
        check("claude.exe", exe, host, helper(HelperKind::PtyHost));
        check("claude.exe", exe, "/n/bin/claude.exe|daemon|run|--origin|x", helper(HelperKind::Daemon));
        check("claude", exe, "claude|mcp|serve", helper(HelperKind::Mcp));
        check("claude", exe, "ugrep|-r|x", helper(HelperKind::Tool));
        check("claude", exe, "claude|update", helper(HelperKind::Command));
        let script = Some((Program::Script, Some(HelperKind::Mcp)));
        check("node", "/bin/node", "node|/n/@anthropic-ai/claude-code/cli.js|mcp|serve", script);
    }

    #[test]
    fn others() {
        check("node", "/usr/bin/node", "node|/usr/bin/npm|install|@anthropic-ai/claude-code/", None);
        check("node", "/usr/bin/node", "node|server.js", None);
        check("claude", "/usr/bin/bash", "/bin/sh|/home/u/bin/claude", None);
        check("claude", "/usr/lib/claude-desktop/claude", "claude|--type=renderer", None);
        check("Claude", "/Applications/Claude.app/Contents/MacOS/Claude", "Claude", None);
        check("claude", "", "python|x.py", None);
        check("bash", "/usr/bin/bash", "bash|claude", None);
        check("claude) S 1", "/bin/x", "", None);
    }

    #[test]
    fn a_version_stands_in_the_path() {
        let found = |exe| version(&invocation(exe, "claude"));
        assert_eq!(found("/u/.local/share/claude/versions/2.1.9 (deleted)").as_deref(), Some("2.1.9"));
        assert_eq!(found("/u/bin/claude"), None);
    }
}
