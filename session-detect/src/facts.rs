//! What was observed of a process, as plain data.

use std::collections::BTreeMap;

/// The environment variables that tell where a process runs; no other is looked at.
pub(crate) const VARIABLES: [&str; 9] = [
    "CONTAINER_ID",
    "JPY_PARENT_PID",
    "JUPYTER_SERVER_ROOT",
    "KUBERNETES_SERVICE_HOST",
    "SSH_CONNECTION",
    "SSH_TTY",
    "TERM_PROGRAM",
    "VSCODE_IPC_HOOK_CLI",
    "container",
];

/// What was observed of a process.
///
/// Any value is legal; [`crate::Session::of`] judges it without looking at anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The controlling terminal without `/dev/`, such as `pts/1`; `None` where there is none.
    pub tty: Option<String>,
    /// The leader of the process's session: the shell of the terminal, the same for all that is started in it.
    pub leader_pid: u32,
    /// The user's name, or `#` and the number where it has none.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// The variables that tell where a process runs, as far as they are set.
    pub environment: BTreeMap<String, String>,
    /// The container runtime by its marker file, such as `docker` or `podman`.
    pub container_mark: Option<String>,
}
