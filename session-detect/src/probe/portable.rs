//! macOS, Windows and the rest: the process table by sysinfo, the terminal by the own streams.
//!
//! Compiled for these systems and tested by its types only, not on a running one; verdicts from here are never
//! [`crate::Confidence::Verified`].

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::Command;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::variables::reduced;
use super::{Absence, Domain, Invocation, Seen};
use crate::classify::CHAIN_MAX;
use crate::claude::moment;
use crate::error::{Error, ErrorKind};
use crate::facts::{Facts, Process};
use crate::names::marks;

pub(super) fn capture() -> Facts {
    let pid = std::process::id();
    let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned().into_bytes());
    let isatty = [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    let mut ancestry = chain(pid);
    // The table does not tell terminals; whoever shares our session shares ours.
    let sid = ancestry.first().map_or(0, |own| own.sid);
    let tty = own_terminal(isatty[0]);
    for process in ancestry.iter_mut().filter(|process| process.sid == sid) {
        process.tty.clone_from(&tty);
    }
    Facts { env: reduced(lookup), isatty, ..facts(ancestry) }
}

pub(super) fn capture_of(pid: u32) -> Result<Facts, Error> {
    let ancestry = chain(pid);
    if ancestry.is_empty() { Err(Error::new(ErrorKind::NotFound, pid, None)) } else { Ok(facts(ancestry)) }
}

/// The processes of this machine, as they were when the table was made.
pub(crate) struct Table {
    system: Option<System>,
}

impl Default for Table {
    fn default() -> Self {
        let wanted = ProcessRefreshKind::nothing()
            .without_tasks()
            .with_exe(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_cwd(UpdateKind::Always);
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
        }
        Self { system }
    }
}

impl Table {
    /// Returns what is looked at.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from("the process table")
    }

    /// Lists every living process.
    pub(crate) fn everyone(&self) -> io::Result<Vec<Seen>> {
        let system = self.system.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        Ok(system.processes().keys().filter_map(|pid| self.look(pid.as_u32()).ok()).collect())
    }

    /// Looks at one process.
    pub(crate) fn look(&self, pid: u32) -> Result<Seen, Absence> {
        let found = self.process(pid).filter(|found| found.status() != ProcessStatus::Zombie);
        let found = found.ok_or_else(|| Absence::of(pid))?;
        let name = found.name().to_string_lossy().into_owned();
        Ok(Seen { pid, start: found.start_time().saturating_mul(UNITS_PER_SECOND), name })
    }

    /// Tells what a process was started as.
    pub(crate) fn invocation(&self, pid: u32) -> Invocation {
        let Some(found) = self.process(pid) else { return Invocation::default() };
        let words = found.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Invocation { exe: found.exe().map(|path| path.to_string_lossy().into_owned()), words }
    }

    /// Returns the folder a process works in.
    pub(crate) fn working_folder(&self, pid: u32) -> Option<PathBuf> {
        self.process(pid)?.cwd().map(PathBuf::from)
    }

    /// Here every number counts everywhere.
    pub(crate) fn domain(&self, pid: u32) -> Domain {
        Domain { pid, ..Domain::default() }
    }

    /// As [`Table::domain`].
    pub(crate) fn own_domain(&self) -> Domain {
        Domain::default()
    }

    /// Captures as from the table's machine now.
    pub(crate) fn capture(&self, pid: u32) -> Result<Facts, Error> {
        capture_of(pid)
    }

    /// Whether a record's text names this start; `None` where the text has a form that is not known. The text is a local
    /// time of some zone, and zones differ by quarters of an hour.
    pub(crate) fn is_start(text: &str, start: u64) -> Option<bool> {
        const ZONE_MAX: u64 = 15 * 3600;
        let (local, start) = (moment::of_ctime(text)?, start / UNITS_PER_SECOND);
        let apart = local.abs_diff(start);
        let off = (apart + 1) % 900;
        Some(apart <= ZONE_MAX && off <= 2)
    }

    fn process(&self, pid: u32) -> Option<&sysinfo::Process> {
        self.system.as_ref()?.process(Pid::from_u32(pid)).filter(|found| found.thread_kind().is_none())
    }
}

fn facts(ancestry: Vec<Process>) -> Facts {
    let (boot_id, os) = match boot_id() {
        Some(id) => (id, std::env::consts::OS),
        None => (super::random_id(), "unknown"),
    };
    let uid = ancestry.first().and_then(|own| own.uid);
    let users = uid.and_then(|uid| Some((uid, user_name(uid)?))).into_iter().collect();
    let hostname = System::host_name().unwrap_or_default();
    Facts { ancestry, users, uid, hostname, boot_id: Some(boot_id), os: os.to_owned(), ..Facts::default() }
}

fn chain(own: u32) -> Vec<Process> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    let wanted = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_exe(UpdateKind::Always)
        .with_cmd(UpdateKind::Always);
    let wanted = wanted.with_user(UpdateKind::Always);
    let mut chain: Vec<Process> = Vec::new();
    let mut next = Some(own);
    while let Some(pid) = next.filter(|pid| chain.len() < CHAIN_MAX && chain.iter().all(|it| it.pid != *pid))
    {
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), false, wanted);
        let Some(found) = system.process(Pid::from_u32(pid)) else { break };
        chain.push(process(pid, found));
        next = found.parent().map(Pid::as_u32);
    }
    chain
}

fn process(pid: u32, found: &sysinfo::Process) -> Process {
    let words: Vec<String> = found.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let base = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let exe = found.exe().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
    Process {
        pid,
        comm: found.name().to_string_lossy().into_owned(),
        arg0: words.first().map(|word| base(word)).unwrap_or_default(),
        mark: marks(&borrowed, &exe),
        sid: found.session_id().map_or(0, Pid::as_u32),
        start: found.start_time().saturating_mul(UNITS_PER_SECOND),
        uid: user_id(found),
        tpgid: -1,
        exe: base(&exe),
        ..Process::default()
    }
}

/// The unit of [`crate::System`]; the table itself counts in seconds.
const UNITS_PER_SECOND: u64 = if cfg!(windows) { 10_000_000 } else { 1_000_000 };

#[cfg(unix)]
fn user_id(process: &sysinfo::Process) -> Option<u32> {
    process.user_id().map(|uid| **uid)
}

#[cfg(not(unix))]
fn user_id(_: &sysinfo::Process) -> Option<u32> {
    // Windows names users by more than a number; the name below is that of the own one.
    Some(0)
}

#[cfg(unix)]
fn user_name(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

#[cfg(not(unix))]
fn user_name(_: u32) -> Option<String> {
    std::env::var("USERNAME").ok()
}

#[cfg(unix)]
fn own_terminal(_: bool) -> Option<String> {
    let names = [
        nix::unistd::ttyname(io::stdin()),
        nix::unistd::ttyname(io::stdout()),
        nix::unistd::ttyname(io::stderr()),
    ];
    names.into_iter().find_map(|name| name.ok()?.to_str()?.strip_prefix("/dev/").map(str::to_owned))
}

#[cfg(not(unix))]
fn own_terminal(is_terminal: bool) -> Option<String> {
    is_terminal.then(|| "con".to_owned())
}

/// What identifies this boot, or at least this machine.
#[cfg(target_os = "macos")]
fn boot_id() -> Option<String> {
    output(Command::new("/usr/sbin/sysctl").args(["-n", "kern.bootsessionuuid"]))
}

/// What identifies this boot, or at least this machine.
#[cfg(windows)]
fn boot_id() -> Option<String> {
    let key = r"HKLM\SOFTWARE\Microsoft\Cryptography";
    let text = output(Command::new("reg").args(["query", key, "/v", "MachineGuid"]))?;
    text.split_whitespace().next_back().map(str::to_owned)
}

/// What identifies this boot, or at least this machine.
#[cfg(not(any(target_os = "macos", windows)))]
fn boot_id() -> Option<String> {
    None
}

#[cfg(any(target_os = "macos", windows))]
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty())
}
