//! The sorts of sessions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The sort of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A terminal of this machine.
    Local,
    /// A login from another machine.
    Ssh,
    /// A terminal or an extension of VS Code or an editor of its family.
    VsCode,
    /// A notebook's kernel or terminal.
    Jupyter,
    /// The inside of a container.
    Container,
    /// Nobody's screen: cron, a service, a detached program.
    Script,
}

impl Kind {
    /// Returns the name: `local`, `ssh`, `vscode`, `jupyter`, `container` or `script`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ssh => "ssh",
            Self::VsCode => "vscode",
            Self::Jupyter => "jupyter",
            Self::Container => "container",
            Self::Script => "script",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
