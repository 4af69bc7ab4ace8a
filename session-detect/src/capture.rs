//! The only input: what this process can learn of itself.

use std::env;
use std::path::Path;

use crate::facts::{Facts, VARIABLES};

impl Facts {
    /// Captures what can be learned of this process; what cannot is left empty.
    pub fn capture() -> Self {
        let environment = VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), env::var_os(name)?.to_string_lossy().into_owned())))
            .collect();
        Self {
            tty: tty(),
            leader_pid: leader_pid(),
            user: user(),
            host: host(),
            environment,
            container_mark: container_mark(),
        }
    }
}

fn container_mark() -> Option<String> {
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    marks.iter().find(|(path, _)| Path::new(path).exists()).map(|(_, runtime)| (*runtime).to_owned())
}

#[cfg(unix)]
fn leader_pid() -> u32 {
    let leader = nix::unistd::getsid(None).ok().map(nix::unistd::Pid::as_raw).filter(|pid| *pid > 0);
    leader.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_else(std::process::id)
}

#[cfg(unix)]
fn tty() -> Option<String> {
    // The controlling terminal itself has only the name /dev/tty, so one of the streams must tell.
    let named = |path: std::path::PathBuf| {
        let path = path.to_string_lossy().into_owned();
        path.strip_prefix("/dev/").map(str::to_owned)
    };
    let streams = [
        nix::unistd::ttyname(std::io::stdin()),
        nix::unistd::ttyname(std::io::stdout()),
        nix::unistd::ttyname(std::io::stderr()),
    ];
    streams.into_iter().find_map(|name| name.ok().and_then(named))
}

#[cfg(unix)]
fn user() -> String {
    let uid = nix::unistd::getuid();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("#{uid}"), |user| user.name)
}

#[cfg(unix)]
fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "?".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn leader_pid() -> u32 {
    std::process::id()
}

#[cfg(not(unix))]
fn tty() -> Option<String> {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal().then(|| "console".to_owned())
}

#[cfg(not(unix))]
fn user() -> String {
    env::var("USERNAME").unwrap_or_else(|_| "?".to_owned())
}

#[cfg(not(unix))]
fn host() -> String {
    env::var("COMPUTERNAME").unwrap_or_else(|_| "?".to_owned())
}
