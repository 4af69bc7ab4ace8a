//! The verdict: which session it is.

use std::fmt;

use crate::facts::Facts;

/// A terminal context: what a person would point at and call a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The sort of context.
    pub kind: Kind,
    /// Where the person looks: `pts/1`, `vscode`, `jupyter`, `container` or `script`.
    pub place: String,
    /// How it is reached: `local`, `ssh_client`, `docker`, `podman`, `kubernetes` or `container`.
    pub link: String,
    /// The user's name.
    pub user: String,
    /// The host's name.
    pub host: String,
    /// The process that leads it.
    pub pid: u32,
}

/// The sort of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A terminal of this machine.
    Local,
    /// A login over SSH.
    Ssh,
    /// A terminal in VS Code or an editor of its family.
    VsCode,
    /// A notebook's kernel or terminal.
    Jupyter,
    /// The inside of a container.
    Container,
    /// No terminal at all.
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

impl Session {
    /// Judges some facts; total and without any I/O.
    ///
    /// The order is from the inside out: a notebook, an editor's terminal, a container, an SSH login, a terminal of
    /// this machine, no terminal. The variables are taken at their word.
    pub fn of(facts: &Facts) -> Self {
        let has = |name: &str| facts.environment.get(name).is_some_and(|value| !value.is_empty());
        let is = |name: &str, value: &str| facts.environment.get(name).is_some_and(|found| found == value);
        let container = facts.container_mark.clone().or_else(|| {
            let by_variable = || has("container").then(|| facts.environment["container"].clone());
            let kubernetes = || has("KUBERNETES_SERVICE_HOST").then(|| "kubernetes".to_owned());
            by_variable().or_else(kubernetes).or_else(|| has("CONTAINER_ID").then(|| "docker".to_owned()))
        });
        let ssh = has("SSH_CONNECTION") || has("SSH_TTY");
        let kind = if has("JPY_PARENT_PID") || has("JUPYTER_SERVER_ROOT") {
            Kind::Jupyter
        } else if is("TERM_PROGRAM", "vscode") || has("VSCODE_IPC_HOOK_CLI") {
            Kind::VsCode
        } else if container.is_some() {
            Kind::Container
        } else if ssh {
            Kind::Ssh
        } else if facts.tty.is_some() {
            Kind::Local
        } else {
            Kind::Script
        };
        let place = match kind {
            Kind::Local | Kind::Ssh => facts.tty.clone().unwrap_or_else(|| "notty".to_owned()),
            other => other.name().to_owned(),
        };
        let link = match container {
            Some(runtime) => runtime,
            None if ssh => "ssh_client".to_owned(),
            None => "local".to_owned(),
        };
        let (user, host, pid) = (facts.user.clone(), facts.host.clone(), facts.leader_pid);
        Self { kind, place, link, user, host, pid }
    }

    /// Returns the five-part id, `pts/1:local:herb:workstation:12345`.
    ///
    /// Bytes of the parts outside `A-Za-z0-9._-` are written `%XX`, so that the parts can be told apart.
    pub fn id(&self) -> String {
        format!("{}:{}", self.short_id(), self.pid)
    }

    /// Returns the first four parts of the id, as tables print them.
    pub fn short_id(&self) -> String {
        let place: Vec<String> = self.place.split('/').map(escaped).collect();
        format!("{}:{}:{}:{}", place.join("/"), escaped(&self.link), escaped(&self.user), escaped(&self.host))
    }

    /// Returns `herb@workstation:pts/1:12345`, as people say it.
    pub fn label(&self) -> String {
        format!("{}@{}:{}:{}", escaped(&self.user), escaped(&self.host), self.place, self.pid)
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

fn escaped(part: &str) -> String {
    if part.is_empty() {
        return "%3F".to_owned();
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    part.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tty: Option<&str>, environment: &[(&str, &str)], mark: Option<&str>, id: &str, kind: Kind) {
        let facts = Facts {
            tty: tty.map(str::to_owned),
            leader_pid: 12345,
            user: "herb".into(),
            host: "workstation".into(),
            environment: environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            container_mark: mark.map(str::to_owned),
        };
        let session = Session::of(&facts);
        assert_eq!((session.id().as_str(), session.kind), (id, kind));
    }

    #[test]
    fn the_forms_of_the_guide() {
        let ssh = ("SSH_CONNECTION", "10.0.0.9 51000 10.0.0.1 22");
        check(Some("pts/1"), &[], None, "pts/1:local:herb:workstation:12345", Kind::Local);
        check(Some("pts/1"), &[ssh], None, "pts/1:ssh_client:herb:workstation:12345", Kind::Ssh);
        let code = ("TERM_PROGRAM", "vscode");
        check(Some("pts/2"), &[code], None, "vscode:local:herb:workstation:12345", Kind::VsCode);
        check(Some("pts/2"), &[code, ssh], None, "vscode:ssh_client:herb:workstation:12345", Kind::VsCode);
        check(None, &[("JPY_PARENT_PID", "7")], None, "jupyter:local:herb:workstation:12345", Kind::Jupyter);
        check(Some("pts/0"), &[], Some("docker"), "container:docker:herb:workstation:12345", Kind::Container);
        check(None, &[], None, "script:local:herb:workstation:12345", Kind::Script);
    }

    #[test]
    fn parts_cannot_be_mixed_up() {
        let session = Session {
            kind: Kind::Local,
            place: "pts/0".into(),
            link: "local".into(),
            user: "a:b".into(),
            host: String::new(),
            pid: 1,
        };
        assert_eq!(session.id(), "pts/0:local:a%3Ab:%3F:1");
    }
}
