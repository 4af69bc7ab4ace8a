//! The verdict: which session it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::claims::Connection;
use crate::evidence::{Confidence, Evidence};
use crate::key::IsolationKey;
use crate::kind::Kind;
use crate::process::ProcessId;

/// A terminal context: what a person would point at and call a session.
///
/// It can be kept and sent with serde: fields are added, never renamed or removed, and what is missing on reading is
/// an error only where it is no option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// The sort of context.
    pub kind: Kind,
    /// Where the person looks: the terminal (`pts/1`), `notty`, `vscode`, `jupyter`, `container` or `script`.
    pub place: String,
    /// How it is reached: `local`, `ssh_client`, `mosh`, `docker`, `podman`, ….
    pub link: String,
    /// Whose it is: the real user of the process that leads it, `#` and the number where it has no name, `?` where even
    /// that is unknown.
    pub user: String,
    /// The host's name, `?` where it is unknown.
    pub host: String,
    /// The number of the process that leads it; 0 where nothing is known.
    pub pid: u32,
    /// The identity; `None` where the facts do not suffice for one that could not be mistaken.
    pub key: Option<IsolationKey>,
    /// The multiplexer it lives in: `tmux`, `screen`, ….
    pub mux: Option<String>,
    /// The container it lives in, by runtime.
    pub container: Option<String>,
    /// The editor around it: `vscode`, `cursor`, `nvim`, `zed`, ….
    pub host_app: Option<String>,
    /// The coding agent between the human and the process: `claude-code`, ….
    pub agent: Option<String>,
    /// The continuous integration that runs it.
    pub ci: Option<String>,
    /// Whether git runs it as a hook.
    pub git_hook: bool,
    /// What confines it without being a container: `flatpak`, `bubblewrap`, `namespace`, ….
    pub sandbox: Option<String>,
    /// `wsl` inside the Windows Subsystem for Linux.
    pub platform: Option<String>,
    /// The program that draws the terminal, as far as processes tell.
    pub terminal_emulator: Option<String>,
    /// The ends of the SSH connection, where they are those of this login.
    pub connection: Option<Connection>,
    /// Whether somebody types into the process: it has a terminal, its input is one, and it is in the foreground.
    pub interactive: bool,
    /// How far the kind can be trusted.
    pub confidence: Confidence,
    /// What told it, the most telling first.
    pub evidence: Vec<Evidence>,
    /// What could make this session look like another, in sentences for people.
    pub warnings: Vec<String>,
    /// Which process of [`crate::Facts::ancestry`] leads it.
    pub leader: Option<usize>,
}

impl Session {
    /// Returns the five-part id, `pts/1:local:herb:workstation:12345`: unique among the sessions of one machine at one
    /// moment.
    pub fn id(&self) -> String {
        self.display_key().session_id().to_owned()
    }

    /// Returns the first four parts of the id, as tables print them where they are unique.
    pub fn short_id(&self) -> String {
        self.display_key().short().to_owned()
    }

    /// Returns `herb@workstation:pts/1:12345`, as people say it.
    pub fn label(&self) -> String {
        self.display_key().label()
    }

    /// The key, or where there is none one that shows the same and is never used as an identity.
    fn display_key(&self) -> IsolationKey {
        self.key.clone().unwrap_or_else(|| self.key_for(ProcessId::unknown(0, self.pid)))
    }

    pub(crate) fn key_for(&self, leader: ProcessId) -> IsolationKey {
        IsolationKey::new(
            self.place.as_bytes(),
            &self.link,
            self.user.as_bytes(),
            self.host.as_bytes(),
            leader,
        )
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}
