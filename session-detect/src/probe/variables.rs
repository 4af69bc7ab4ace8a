//! Which environment variables are looked at, and how much of each is kept.
//!
//! A list of what is kept, never of what is not: a variable that no line names does not exist here.

use std::collections::BTreeMap;

/// How much of a variable's value is kept.
#[derive(Clone, Copy)]
enum Keep {
    /// The value, cut to 128 bytes.
    Value,
    /// Only that it is set: the value may hold a token or a path of the user's.
    Presence,
    /// The file name of a program.
    FileName,
    /// What stands from the first comma on: `TMUX` begins with the path of a socket.
    AfterComma,
}

use Keep::{AfterComma, FileName, Presence, Value};

const KEPT: &[(&str, Keep)] = &[
    ("TERM", Value),
    ("COLORTERM", Value),
    ("TERM_PROGRAM", Value),
    ("TERM_PROGRAM_VERSION", Value),
    ("LC_TERMINAL", Value),
    ("SSH_CONNECTION", Value),
    ("SSH_TTY", Value),
    ("TMUX", AfterComma),
    ("TMUX_PANE", Value),
    ("STY", Value),
    ("ZELLIJ_SESSION_NAME", Value),
    ("INSIDE_EMACS", Value),
    ("VIM_TERMINAL", Value),
    ("TERMINAL_EMULATOR", Value),
    ("WSL_DISTRO_NAME", Value),
    ("container", Value),
    ("CLAUDECODE", Value),
    ("CLAUDE_CODE_ENTRYPOINT", Value),
    ("CLAUDE_CODE_SESSION_ID", Value),
    ("CLAUDE_PID", Value),
    ("XDG_SESSION_TYPE", Value),
    ("XDG_SESSION_ID", Value),
    ("SHELL", FileName),
    ("SUDO_UID", Value),
    ("SYSTEMD_EXEC_PID", Value),
    ("JPY_PARENT_PID", Value),
    ("KITTY_PID", Value),
    ("VSCODE_PID", Value),
    ("ET_VERSION", Value),
    ("CI", Value),
    ("GITHUB_ACTIONS", Presence),
    ("GITLAB_CI", Presence),
    ("BUILDKITE", Presence),
    ("CIRCLECI", Presence),
    ("JENKINS_URL", Presence),
    ("TEAMCITY_VERSION", Presence),
    ("TF_BUILD", Presence),
    ("TRAVIS", Presence),
    ("DRONE", Presence),
    ("SSH_CLIENT", Presence),
    ("SSH_AUTH_SOCK", Presence),
    ("VSCODE_IPC_HOOK_CLI", Presence),
    ("VSCODE_GIT_IPC_HANDLE", Presence),
    ("VSCODE_INJECTION", Presence),
    ("CURSOR_TRACE_ID", Presence),
    ("GIT_ASKPASS", Presence),
    ("GIT_INDEX_FILE", Presence),
    ("GIT_EXEC_PATH", Presence),
    ("GIT_DIR", Presence),
    ("NVIM", Presence),
    ("KUBERNETES_SERVICE_HOST", Presence),
    ("JUPYTER_SERVER_ROOT", Presence),
    ("JUPYTER_SERVER_URL", Presence),
    ("COLAB_RELEASE_TAG", Presence),
    ("COLAB_GPU", Presence),
    ("KAGGLE_KERNEL_RUN_TYPE", Presence),
    ("REMOTE_CONTAINERS", Presence),
    ("CODESPACES", Presence),
    ("DEVPOD", Presence),
    ("CONTAINER_ID", Presence),
    ("DISTROBOX_ENTER_PATH", Presence),
    ("SNAP", Presence),
    ("DISPLAY", Presence),
    ("WAYLAND_DISPLAY", Presence),
    ("WSL_INTEROP", Presence),
    ("INVOCATION_ID", Presence),
];

/// The longest value that is kept, in bytes.
const VALUE_MAX: usize = 128;

/// What stands for a value that is not kept.
const SET: &str = "set";

/// The names of the variables that are looked at; no other is ever read.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEPT.iter().map(|(name, _)| *name)
}

/// Reduces an environment to what is kept of it.
pub(crate) fn reduced(lookup: impl Fn(&str) -> Option<Vec<u8>>) -> BTreeMap<String, String> {
    KEPT.iter().filter_map(|(name, keep)| Some(((*name).to_owned(), keep.of(&lookup(name)?)))).collect()
}

/// Reduces an environment from a record, which may hold more than is kept here.
pub(crate) fn kept(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    reduced(|name| env.get(name).map(|value| value.clone().into_bytes()))
}

/// Reduces one value; a variable that is not listed says only that it is set.
pub(crate) fn kept_value(name: &str, value: &str) -> String {
    let keep = KEPT.iter().find(|(kept, _)| *kept == name).map_or(Presence, |(_, keep)| *keep);
    keep.of(value.as_bytes())
}

impl Keep {
    fn of(self, value: &[u8]) -> String {
        let value = match self {
            Presence => return SET.to_owned(),
            Value => value,
            FileName => value.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
            AfterComma => match value.iter().position(|byte| *byte == b',') {
                Some(comma) => &value[comma..],
                None => return SET.to_owned(),
            },
        };
        String::from_utf8_lossy(&value[..value.len().min(VALUE_MAX)]).into_owned()
    }
}
