//! Linux: everything stands in `/proc`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::stat::{Stat, tty_name};
use super::variables::reduced;
use super::{Absence, Domain, Invocation, Seen};
use crate::classify::CHAIN_MAX;
use crate::error::{Error, ErrorKind};
use crate::facts::{Facts, Namespaces, Process, Via};
use crate::names::{Role, marks, named, role};

/// A command line longer than this is cut; what it starts is told by its first words.
const CMDLINE_MAX: u64 = 8 << 10;
/// An environment longer than this is cut.
const ENVIRON_MAX: u64 = 256 << 10;
/// A list of mounts longer than this is cut; that of `/` is among the first.
const MOUNTINFO_MAX: u64 = 64 << 10;

/// The files whose existence is a fact; the last three are not of containers.
const MARKER_FILES: &[&str] = &[
    "/.dockerenv",
    "/run/.containerenv",
    "/run/.toolboxenv",
    "/run/host/container-manager",
    "/run/systemd/container",
    "/dev/lxd/sock",
    "/dev/incus/sock",
    "/.flatpak-info",
    "/run/systemd/system",
    WSL_INTEROP,
];

/// Files that container runtimes write for each container and mount into it.
const RUNTIME_FILES: &[&str] =
    &["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log", "/run/.containerenv"];

/// Looked at only where something else speaks of WSL: elsewhere to ask for it makes systemd mount the folder.
const WSL_INTEROP: &str = "/proc/sys/fs/binfmt_misc/WSLInterop";

pub(super) fn capture() -> Facts {
    let proc = ProcFs::default();
    let lookup = |name: &str| std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec);
    let env = reduced(lookup);
    // In a process namespace over a foreign /proc this number is not the one the kernel tells.
    let own = fs::read_link(proc.root.join("self")).ok().and_then(|link| link.to_str()?.parse().ok());
    let isatty = [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    let facts = match own {
        Some(pid) => proc.facts(pid, "self", env.clone(), ""),
        None => Err(Error::new(ErrorKind::NotFound, 0, None)),
    };
    let facts = facts.unwrap_or_else(|_| without_proc(env));
    Facts { isatty, ..facts }
}

pub(super) fn capture_of(pid: u32) -> Result<Facts, Error> {
    ProcFs::default().capture(pid)
}

/// A view of processes: `/proc`, or a folder of the same form.
#[derive(Clone, Debug)]
pub struct ProcFs {
    root: PathBuf,
}

impl Default for ProcFs {
    fn default() -> Self {
        Self { root: PathBuf::from("/proc") }
    }
}

impl ProcFs {
    /// Looks at a folder instead of `/proc`, for tests and for a host's `/proc` mounted elsewhere.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Captures what can be learned of a process; see [`Facts::capture_of`].
    ///
    /// # Errors
    ///
    /// As [`Facts::capture_of`].
    pub fn capture(&self, pid: u32) -> Result<Facts, Error> {
        let folder = pid.to_string();
        let environ = self.read(&folder, "environ", ENVIRON_MAX).unwrap_or_default();
        let env = reduced(|name| in_environ(&environ, name));
        let root = self.root.join(&folder).join("root");
        let mut facts = self.facts(pid, &folder, env, &root.to_string_lossy())?;
        if facts.ns.pid.is_empty() {
            return Err(Error::new(ErrorKind::Unreadable, pid, None));
        }
        facts.isatty = [0, 1, 2].map(|stream| self.is_terminal(&folder, stream));
        Ok(facts)
    }

    /// Returns what is looked at.
    pub(crate) fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// Lists every living process. A file is read for each, so 500 processes take some milliseconds; those that end
    /// meanwhile are left out.
    pub(crate) fn everyone(&self) -> io::Result<Vec<Seen>> {
        let entries = fs::read_dir(&self.root)?;
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(pids.filter_map(|pid| self.look(pid).ok()).collect())
    }

    /// Looks at one process; one that has ended and is only waited for counts as gone.
    pub(crate) fn look(&self, pid: u32) -> Result<Seen, Absence> {
        match self.stat(pid) {
            Ok(stat) if stat.zombie || stat.pid != pid => Err(Absence::Gone),
            Ok(stat) => {
                let name = String::from_utf8_lossy(&stat.comm).into_owned();
                Ok(Seen { pid, start: stat.start, name })
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Absence::Hidden),
            Err(_) if self.root_is_ours() => Err(Absence::of(pid)),
            Err(_) => Err(Absence::Gone),
        }
    }

    /// Reads what a process was started as; empty where that may not be seen.
    pub(crate) fn invocation(&self, pid: u32) -> Invocation {
        let folder = pid.to_string();
        let line = self.read(&folder, "cmdline", CMDLINE_MAX).unwrap_or_default();
        let line = line.strip_suffix(b"\0").unwrap_or(&line);
        let words = line.split(|byte| *byte == 0).filter(|_| !line.is_empty());
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        let exe = fs::read_link(self.root.join(&folder).join("exe")).ok();
        Invocation { exe: exe.map(|path| path.to_string_lossy().into_owned()), words: words.collect() }
    }

    /// Returns the folder a process works in, as named in its own mount namespace.
    pub(crate) fn working_folder(&self, pid: u32) -> Option<PathBuf> {
        let path = fs::read_link(self.root.join(pid.to_string()).join("cwd")).ok()?;
        let gone = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
        Some(gone.unwrap_or(path))
    }

    /// Tells where a process's number counts.
    pub(crate) fn domain(&self, pid: u32) -> Domain {
        let folder = pid.to_string();
        let namespace = self.namespaces(&folder).pid_inode();
        let numbers = self.numbers_inside(&folder).unwrap_or_default();
        let machine = self.machine(&folder);
        Domain { machine, namespace, pid: numbers.last().copied().unwrap_or(pid) }
    }

    /// Tells where the numbers of this view count.
    pub(crate) fn own_domain(&self) -> Domain {
        let namespace = self.namespaces("self").pid_inode();
        Domain { machine: self.machine("self"), namespace, pid: 0 }
    }

    /// The machine's id as a process sees it: a container has its own. Compared, never kept.
    fn machine(&self, folder: &str) -> Option<String> {
        let path = self.root.join(folder).join("root/etc/machine-id");
        // It is a file of somebody else's root, so it may be anything.
        let file = fs::metadata(&path).is_ok_and(|meta| meta.is_file());
        let mut text = String::new();
        file.then(|| open(&path)?.take(64).read_to_string(&mut text)).and_then(Result::ok)?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Whether a record's text names this start.
    pub(crate) fn is_start(text: &str, start: u64) -> Option<bool> {
        Some(text == start.to_string())
    }

    pub(crate) fn stat(&self, pid: u32) -> io::Result<Stat> {
        let mut path = self.root.join(pid.to_string());
        path.push("stat");
        let mut line = [0; 1024];
        let length = open(&path)?.read(&mut line)?;
        Stat::parse(&line[..length]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn facts(
        &self,
        pid: u32,
        folder: &str,
        env: BTreeMap<String, String>,
        root: &str,
    ) -> Result<Facts, Error> {
        let own = self.stat(pid).map_err(|source| Error::new(ErrorKind::NotFound, pid, Some(source)))?;
        let claude = env.get("CLAUDE_PID").and_then(|pid| pid.parse().ok());
        let mut ancestry = self.chain(own, claude);
        let ns = self.namespaces(folder);
        // Whoever finds its own number in `self` is counted as it counts.
        if folder != "self" || pid != std::process::id() {
            self.number_inside(&mut ancestry, &ns);
        }
        let cgroup = self.text(folder, "cgroup");
        let system = nix::sys::utsname::uname().ok();
        let name = |part: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
            system.as_ref().map(|system| part(system).to_string_lossy().into_owned()).unwrap_or_default()
        };
        let kernel = name(|system| system.release());
        let wsl = ["microsoft", "Microsoft", "WSL", "wsl"].iter().any(|it| kernel.contains(it))
            || env.contains_key("WSL_INTEROP")
            || env.contains_key("WSL_DISTRO_NAME");
        let marker_files: Vec<String> = MARKER_FILES
            .iter()
            .filter(|file| wsl || **file != WSL_INTEROP)
            .filter(|file| exists(&format!("{root}{file}")))
            .map(|file| (*file).to_owned())
            .collect();
        let suspicious = !marker_files.is_empty()
            || env.contains_key("container")
            || ns.pid_inode() != Some(Namespaces::INIT_PID)
            || env.contains_key("KUBERNETES_SERVICE_HOST")
            || cgroup.contains("kubepods");
        let looks = suspicious && !is_whole_ext(root);
        let (root_mount, mounted_by) = if looks { self.mounts(folder) } else { Default::default() };
        let manager = || fs::read_to_string(format!("{root}/run/host/container-manager")).ok();
        let manager =
            marker_files.iter().any(|file| file.ends_with("/container-manager")).then(manager).flatten();
        let ids = self.user_ids(folder);
        Ok(Facts {
            label: None,
            birth_env: self.birth_env(&ancestry),
            users: users(&ancestry),
            isatty: [false; 3],
            container_manager: manager.map(|text| text.trim().chars().take(32).collect()),
            root_same_as_pid1: self.same_root(root),
            kernel,
            hostname: name(|system| system.nodename()),
            uid: ids.map(|ids| ids.0),
            euid: ids.map(|ids| ids.1),
            boot_id: Some(self.text("sys", "kernel/random/boot_id").trim().to_owned())
                .filter(|id| !id.is_empty()),
            boot_id8: None,
            os: "linux".to_owned(),
            env,
            ancestry,
            ns,
            marker_files,
            cgroup,
            root_mount,
            mounted_by,
        })
    }

    /// The chain from the process up; see [`Facts::ancestry`].
    fn chain(&self, own: Stat, claude: Option<u32>) -> Vec<Process> {
        let mut chain: Vec<Process> = Vec::with_capacity(8);
        self.climb(own, None, &mut chain);
        if let Some(claude) = claude.filter(|_| is_orphan(&chain)) {
            self.adopt(claude, &mut chain);
        }
        chain
    }

    fn climb(&self, from: Stat, via: Option<Via>, chain: &mut Vec<Process>) {
        let mut current = from;
        let mut via = via;
        while chain.len() < CHAIN_MAX {
            chain.push(Process { via, ..self.process(&current) });
            let parent = self.parent(&mut current);
            if let Some(leader) = self.living_leader(&current, parent.as_ref(), chain) {
                (current, via) = (leader, Some(Via::SessionLeader));
                continue;
            }
            match parent {
                Some(Ok(parent)) => (current, via) = (parent, None),
                Some(Err(pid)) => {
                    let err = Some("unreadable".to_owned());
                    chain.push(Process { pid, err, ..Process::default() });
                    return;
                }
                None => return,
            }
            if chain.iter().any(|process| process.pid == current.pid) {
                return;
            }
        }
    }

    /// The parent; `Err` with its number where it may not be seen, `None` at the top.
    fn parent(&self, child: &mut Stat) -> Option<Result<Stat, u32>> {
        for _ in 0..3 {
            if child.ppid == 0 {
                return None;
            }
            if let Ok(parent) = self.stat(child.ppid) {
                return Some(Ok(parent));
            }
            // It may have ended just now, and the child have another.
            match self.stat(child.pid) {
                Ok(again) if again.ppid != child.ppid && again.start == child.start => *child = again,
                _ => break,
            }
        }
        Some(Err(child.ppid))
    }

    /// The leader of an orphan's session: its parent is gone or elsewhere, and the terminal still has its shell.
    fn living_leader(
        &self,
        process: &Stat,
        parent: Option<&Result<Stat, u32>>,
        chain: &[Process],
    ) -> Option<Stat> {
        let in_session = process.sid != 0 && process.sid != process.pid && process.tty != 0;
        let parent_inside = matches!(parent, Some(Ok(parent)) if parent.sid == process.sid);
        if !in_session || parent_inside || chain.iter().any(|seen| seen.pid == process.sid) {
            return None;
        }
        let leader = self.stat(process.sid).ok()?;
        (leader.start <= process.start && leader.tty == process.tty && !leader.zombie).then_some(leader)
    }

    /// Goes on at the Claude Code that a hook or a detached command was started by.
    fn adopt(&self, claude: u32, chain: &mut Vec<Process>) {
        let Ok(stat) = self.stat(claude) else { return };
        let process = self.process(&stat);
        let same_user = process.uid.is_some() && process.uid == chain[0].uid;
        let older = stat.start <= chain[0].start;
        if same_user && older && matches!(role(&process), Some(Role::Agent("claude-code"))) {
            chain.truncate(orphan_length(chain));
            self.climb(stat, Some(Via::ClaudePid), chain);
        }
    }

    /// Everything about one process. Its program and command line are read only where its name does not say enough.
    pub(crate) fn process(&self, stat: &Stat) -> Process {
        let comm = String::from_utf8_lossy(&stat.comm).into_owned();
        let folder = stat.pid.to_string();
        // In a container process 1 may be anything.
        let plain = matches!(named(&comm), Some(Role::Shell | Role::Relay))
            || stat.pid == 1 && matches!(comm.as_str(), "init" | "systemd");
        let (mut arg0, mut mark, mut exe) = (String::new(), Vec::new(), String::new());
        if !plain {
            let line = self.read(&folder, "cmdline", CMDLINE_MAX).unwrap_or_default();
            exe = match fs::read_link(self.root.join(&folder).join("exe")) {
                Ok(path) => path.to_string_lossy().into_owned(),
                Err(error) => format!("!{}", error.kind()),
            };
            let text = String::from_utf8_lossy(&line);
            let words: Vec<&str> = text.split('\0').filter(|word| !word.is_empty()).collect();
            mark = marks(&words, &exe);
            arg0 = title(&line);
        }
        Process {
            pid: stat.pid,
            pid_inside: None,
            ns: None,
            comm,
            arg0,
            exe: program_name(&exe),
            mark,
            tty: tty_name(stat.tty),
            sid: stat.sid,
            pgrp: stat.pgrp,
            tpgid: stat.tpgid,
            start: stat.start,
            uid: fs::metadata(self.root.join(&folder)).ok().map(|meta| meta.uid()),
            err: None,
            via: None,
        }
    }

    fn namespaces(&self, folder: &str) -> Namespaces {
        let link = |name: &str| {
            let path = self.root.join(folder).join("ns").join(name);
            fs::read_link(path).map(|link| link.to_string_lossy().into_owned())
        };
        let inside = || self.numbers_inside(folder).is_some_and(|numbers| numbers.len() == 1);
        // Another user's namespace may not be read; a process with one number lives in ours.
        let pid = link("pid").or_else(|error| {
            let own =
                fs::read_link(self.root.join("self/ns/pid")).map(|link| link.to_string_lossy().into_owned());
            if inside() { own } else { Err(error) }
        });
        Namespaces { pid: pid.unwrap_or_default(), mnt: link("mnt").unwrap_or_default() }
    }

    /// The process's numbers, from this view's namespace to its own.
    fn numbers_inside(&self, folder: &str) -> Option<Vec<u32>> {
        let status = self.text(folder, "status");
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
    }

    /// Where the process is seen from outside its namespace: how each of the chain calls itself.
    fn number_inside(&self, chain: &mut [Process], ns: &Namespaces) {
        let own_pid = || chain.first().map(|process| process.pid) == Some(std::process::id());
        let viewed =
            || fs::read_link(self.root.join("self/ns/pid")).map(|link| link.to_string_lossy().into_owned());
        if self.root_is_ours() && (own_pid() || viewed().is_ok_and(|viewed| viewed == ns.pid)) {
            return;
        }
        for process in chain.iter_mut().filter(|process| process.err.is_none()) {
            let folder = process.pid.to_string();
            process.pid_inside = self.numbers_inside(&folder).and_then(|numbers| numbers.last().copied());
            let inner = self.namespaces(&folder);
            process.ns = Some(inner.pid).filter(|pid| *pid != ns.pid && !pid.is_empty());
        }
    }

    /// Whether this `/proc` counts processes as this process is counted.
    fn root_is_ours(&self) -> bool {
        let own = fs::read_link(self.root.join("self")).ok();
        own.and_then(|link| link.to_str()?.parse::<u32>().ok()) == Some(std::process::id())
    }

    /// The line of `/` in the list of mounts, and whose folders are mounted into it.
    fn mounts(&self, folder: &str) -> (String, Vec<String>) {
        let bytes = self.read(folder, "mountinfo", MOUNTINFO_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let field = |line: &'_ str, index: usize| line.split(' ').nth(index).unwrap_or_default().to_owned();
        let root = text.lines().find(|line| field(line, 4) == "/").unwrap_or_default().to_owned();
        let made = |line: &&str| RUNTIME_FILES.contains(&field(line, 4).as_str());
        let sources: Vec<String> = text.lines().filter(made).map(|line| field(line, 3)).collect();
        let by = |mark: &str| sources.iter().any(|source| source.contains(mark));
        let known =
            [("kubelet", "/kubelet/pods/"), ("podman", "-containers/"), ("containers", "/containers/")];
        (root, known.into_iter().filter(|(_, mark)| by(mark)).map(|(name, _)| name.to_owned()).collect())
    }

    fn same_root(&self, root: &str) -> Option<bool> {
        let first = fs::metadata(self.root.join("1/root/.")).ok()?;
        let own = fs::metadata(format!("{root}/")).ok()?;
        Some((first.dev(), first.ino()) == (own.dev(), own.ino()))
    }

    fn user_ids(&self, folder: &str) -> Option<(u32, u32)> {
        if folder == "self" {
            return Some((nix::unistd::getuid().as_raw(), nix::unistd::geteuid().as_raw()));
        }
        let status = self.text(folder, "status");
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    /// What the leader of a terminal was started with, where something in the chain keeps terminals alive.
    fn birth_env(&self, chain: &[Process]) -> Option<BTreeMap<String, String>> {
        let keeps = |process: &Process| {
            matches!(role(process), Some(Role::Mux(_) | Role::Keeper(_) | Role::VsCodeServer(_)))
        };
        let keeper = chain.iter().position(keeps)?;
        let leader = chain[..keeper].iter().rev().find(|process| process.leads_terminal())?;
        let environ = self.read(&leader.pid.to_string(), "environ", ENVIRON_MAX).ok()?;
        Some(reduced(|name| (name == "SSH_CONNECTION").then(|| in_environ(&environ, name)).flatten()))
    }

    fn is_terminal(&self, folder: &str, stream: u32) -> bool {
        let link = fs::read_link(self.root.join(folder).join("fd").join(stream.to_string()));
        link.is_ok_and(|path| {
            path.to_str().is_some_and(|path| path.starts_with("/dev/pts/") || path.starts_with("/dev/tty"))
        })
    }

    fn text(&self, folder: &str, name: &str) -> String {
        let bytes = self.read(folder, name, CMDLINE_MAX).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn read(&self, folder: &str, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let mut file = open(&self.root.join(folder).join(name))?;
        // Most are shorter than this and come in one piece; lists of mounts come in several.
        let mut first = [0; 4096];
        let length = file.read(&mut first[..max.min(4096) as usize])?;
        let mut bytes = first[..length].to_vec();
        if length == first.len() || name == "mountinfo" {
            file.take(max - length as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Opens a file of a view that may be hostile: a FIFO in it must not make anybody wait.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)
}

fn exists(path: &str) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::F_OK).is_ok()
}

/// Whether a root folder is the top of an ext file system, as that of a machine is and that of an image's layers is not.
/// To learn it costs a tenth of reading the mounts, and machines themselves may be built from images.
fn is_whole_ext(root: &str) -> bool {
    /// The inode of the top, `EXT4_ROOT_INO`.
    const TOP: u64 = 2;
    let path = format!("{root}/");
    fs::metadata(&path).is_ok_and(|meta| meta.ino() == TOP)
        && nix::sys::statfs::statfs(path.as_str())
            .is_ok_and(|it| it.filesystem_type() == nix::sys::statfs::EXT4_SUPER_MAGIC)
}

/// What is left of a program's path: its file name.
fn program_name(exe: &str) -> String {
    if exe.starts_with('!') { exe.to_owned() } else { exe.rsplit('/').next().unwrap_or_default().to_owned() }
}

/// The first word of a command line without its folder. An SSH server tells there whom it serves.
fn title(line: &[u8]) -> String {
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(&first[..first.len().min(64)]).into_owned();
    if text.starts_with("sshd") {
        return text;
    }
    let word = text.split(' ').next().unwrap_or_default();
    word.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Whether nobody is above the process but those who take in orphans, and it has no terminal.
fn is_orphan(chain: &[Process]) -> bool {
    let length = orphan_length(chain);
    let agent = |process: &Process| matches!(role(process), Some(Role::Agent(_)));
    length < chain.len() && chain[..length].iter().all(|process| process.tty.is_none() && !agent(process))
}

/// How many processes stand below the one that took the last of them in.
fn orphan_length(chain: &[Process]) -> usize {
    let takes_in = |process: &Process| process.pid == 1 || role(process) == Some(Role::Scheduler);
    chain.iter().position(takes_in).unwrap_or(chain.len())
}

fn users(chain: &[Process]) -> BTreeMap<u32, String> {
    let mut users = BTreeMap::new();
    for uid in chain.iter().filter_map(|process| process.uid) {
        if let std::collections::btree_map::Entry::Vacant(slot) = users.entry(uid) {
            let found = if uid == 0 { Some("root".to_owned()) } else { user_name(uid) };
            if let Some(name) = found {
                slot.insert(name);
            }
        }
    }
    users
}

fn user_name(uid: u32) -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// Where no `/proc` can be read: the environment, and what the kernel tells of oneself.
fn without_proc(env: BTreeMap<String, String>) -> Facts {
    let pid = std::process::id();
    let sid = nix::unistd::getsid(None).ok().and_then(|sid| u32::try_from(sid.as_raw()).ok()).unwrap_or(pid);
    let tty = nix::unistd::ttyname(io::stdin()).ok();
    let tty = tty.and_then(|path| path.to_str()?.strip_prefix("/dev/").map(str::to_owned));
    let uid = nix::unistd::getuid().as_raw();
    let own = Process { pid, sid, tty, uid: Some(uid), ..Process::default() };
    let above = Process { err: Some("unreadable".to_owned()), ..Process::default() };
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    Facts {
        env,
        users: users(std::slice::from_ref(&own)),
        ancestry: vec![own, above],
        uid: Some(uid),
        euid: Some(nix::unistd::geteuid().as_raw()),
        hostname: host.unwrap_or_default(),
        boot_id: Some(super::random_id()),
        os: "unknown".to_owned(),
        ..Facts::default()
    }
}

/// Looks a variable up in the bytes of `/proc/<pid>/environ`. A program may have written its title there, so what is not
/// `NAME=value` is skipped.
fn in_environ(environ: &[u8], name: &str) -> Option<Vec<u8>> {
    let value = |entry: &[u8]| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    environ.split(|byte| *byte == 0).find_map(value)
}
