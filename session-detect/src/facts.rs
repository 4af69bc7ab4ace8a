//! What was observed of a process, as plain data: one record, in memory and as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What was observed of a process and of those above it.
///
/// Any value is legal: [`crate::classify`] judges it without looking at anything else. As JSON it is what `claudewatch
/// detect --record` prints and `--facts` reads; fields that are missing there are taken as unknown, others are ignored.
/// It holds no command line, no folder, and only
/// the variables that [`crate::variables`] lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// A name for the record, handed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The environment, as far as it tells where a process runs. Of some variables only that they are set is known;
    /// their value is `set`.
    pub env: BTreeMap<String, String>,
    /// What the leader of the process's terminal was started with, where that differs; in a multiplexer it outlives
    /// what the shell exports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_env: Option<BTreeMap<String, String>>,
    /// The process itself, then its parent, and so on. Where a parent died, the leader of the terminal follows instead;
    /// see [`Process::via`].
    pub ancestry: Vec<Process>,
    /// Whether standard input, output and error are terminals.
    pub isatty: [bool; 3],
    /// The namespaces.
    pub ns: Namespaces,
    /// Which files that mark a container exist.
    pub marker_files: Vec<String>,
    /// What the container's manager calls itself in `/run/host/container-manager`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_manager: Option<String>,
    /// `/proc/self/cgroup`.
    pub cgroup: String,
    /// The line of `/proc/self/mountinfo` for `/`; empty where nothing else suggests a container, or `/` is the top of a
    /// disk.
    pub root_mount: String,
    /// From whose folder the files that a runtime makes for a container, such as `/etc/hosts`, are mounted: `kubelet`,
    /// `podman` or `containers` for docker and others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounted_by: Vec<String>,
    /// Whether the root folder is that of process 1; `None` where that may not be seen.
    #[serde(deserialize_with = "maybe_bool")]
    pub root_same_as_pid1: Option<bool>,
    /// The kernel's release, which names WSL and gVisor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// The real user.
    #[serde(deserialize_with = "maybe_number")]
    pub uid: Option<u32>,
    /// The effective user.
    #[serde(deserialize_with = "maybe_number")]
    pub euid: Option<u32>,
    /// The names of the users that occur.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<u32, String>,
    /// The host's name.
    pub hostname: String,
    /// The boot's id, 32 hexadecimal digits with or without hyphens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The first eight digits of the boot's id, in records that keep no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id8: Option<String>,
    /// Which system this was seen on, as [`std::env::consts::OS`] names it; empty means `linux`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
}

/// The namespaces of a process, as `/proc/<pid>/ns` names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// The process ids': `pid:[4026531836]`, or `init` for the machine's own.
    pub pid: String,
    /// The mounts'.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mnt: String,
}

impl Namespaces {
    /// The inode of the machine's own process-id namespace, a constant of Linux (`PROC_PID_INIT_INO`).
    pub(crate) const INIT_PID: u64 = 0xEFFF_FFFC;

    /// Returns the inode of the process-id namespace, where it is known.
    pub(crate) fn pid_inode(&self) -> Option<u64> {
        Self::inode(&self.pid)
    }

    pub(crate) fn inode(link: &str) -> Option<u64> {
        if link == "init" {
            return Some(Self::INIT_PID);
        }
        link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
    }
}

/// One process of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Its number, in the namespace it was seen from.
    pub pid: u32,
    /// Its number in its own namespace, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_inside: Option<u32>,
    /// Its process-id namespace, where that is not [`Facts::ns`]'s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns: Option<String>,
    /// Its name, at most 15 bytes on Linux.
    pub comm: String,
    /// The first word of its command line, as it calls itself; a folder in it is dropped.
    pub arg0: String,
    /// The file name of its program; empty or beginning with `!` where that may not be seen.
    pub exe: String,
    /// The words of its command line that [`crate::MARKS`] lists; the line itself is never kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mark: Vec<String>,
    /// Its controlling terminal without `/dev/`.
    #[serde(serialize_with = "terminal_or_none", deserialize_with = "maybe_terminal")]
    pub tty: Option<String>,
    /// Its session, by the number of the leader; 0 where that lies outside the namespace.
    pub sid: u32,
    /// Its process group.
    pub pgrp: u32,
    /// The process group in the terminal's foreground; -1 for none.
    pub tpgid: i64,
    /// When it began: on Linux in clock ticks since boot, on macOS in microseconds, on Windows in units of 100 ns.
    pub start: u64,
    /// Its real user.
    #[serde(deserialize_with = "maybe_number")]
    pub uid: Option<u32>,
    /// Set where the process exists but may not be looked at; all else is then unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err: Option<String>,
    /// How the chain came here, where not from child to parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

impl Process {
    /// Whether it leads the session of a terminal.
    pub(crate) fn leads_terminal(&self) -> bool {
        self.tty.is_some() && self.pid == self.sid
    }
}

/// A step of the chain that is not one from child to parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Via {
    /// The parent died; the leader of the same terminal is alive.
    SessionLeader,
    /// The parent died; `CLAUDE_PID` names the Claude Code that started the process.
    ClaudePid,
}

fn terminal_or_none<S: Serializer>(tty: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(tty.as_deref().unwrap_or("none"))
}

fn maybe_terminal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let name = text.strip_prefix("/dev/").unwrap_or(&text);
    Ok(Some(name).filter(|name| !name.is_empty() && *name != "none").map(str::to_owned))
}

/// A value that some records give as a number, others as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Bool(bool),
    Number(u32),
    Text(String),
    Other(serde::de::IgnoredAny),
}

fn maybe_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Bool(value) => Some(value),
        Loose::Text(text) => text.to_ascii_lowercase().parse().ok(),
        Loose::Number(_) | Loose::Other(_) => None,
    })
}

fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(match Loose::deserialize(deserializer)? {
        Loose::Number(value) => Some(value),
        Loose::Text(text) => text.parse().ok(),
        Loose::Bool(_) | Loose::Other(_) => None,
    })
}
