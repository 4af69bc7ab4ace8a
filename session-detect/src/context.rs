//! What people want to know of a session beyond its identity: terminal, network, user, times.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::facts::Facts;
use crate::names::display_name;
use crate::probe::variables::kept;
use crate::session::Session;

/// The surroundings of a process.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Context {
    /// The process's number.
    pub pid: u32,
    /// Its parent's, or that of whoever the chain goes on with.
    pub parent_pid: Option<u32>,
    /// The names of those above it, nearest first.
    pub process_tree: Vec<String>,
    /// The session's terminal, `/dev/pts/1`.
    pub tty: Option<String>,
    /// The program that draws it.
    pub terminal_emulator: Option<String>,
    /// The address of this machine: the one that the SSH login came to, else the first that is not for this machine alone.
    pub local_ip: Option<String>,
    /// The address that the SSH login came from.
    pub remote_ip: Option<String>,
    /// Whose session it is.
    pub user: String,
    /// In whose name the process runs, where that is somebody else.
    pub effective_user: Option<String>,
    /// The host's name.
    pub hostname: String,
    /// The process's folder, where it may be seen.
    pub working_directory: Option<PathBuf>,
    /// The variables that tell where a process runs; see [`crate::variables`].
    pub environment: BTreeMap<String, String>,
    /// When the session began.
    pub started_at: Option<SystemTime>,
    /// When its terminal was last typed into or written to; the kernel keeps this to 8 seconds.
    pub last_activity: Option<SystemTime>,
    /// How long the session lasts by now; time in which the machine slept is counted.
    pub duration: Option<Duration>,
}

impl Context {
    /// Tells what the facts alone hold: no folder, no times, no address that is not in the environment.
    pub fn of(facts: &Facts, session: &Session) -> Self {
        let leader = session.leader.and_then(|leader| facts.ancestry.get(leader));
        let own = facts.ancestry.first();
        let effective =
            facts.euid.filter(|euid| leader.and_then(|leader| leader.uid).is_some_and(|uid| uid != *euid));
        let name = |uid: u32| facts.users.get(&uid).cloned().unwrap_or_else(|| format!("#{uid}"));
        Self {
            pid: own.map_or(0, |own| own.pid),
            parent_pid: facts.ancestry.get(1).map(|parent| parent.pid),
            process_tree: facts.ancestry.iter().skip(1).map(|it| display_name(it).to_owned()).collect(),
            tty: leader.and_then(|leader| leader.tty.as_ref()).map(|tty| format!("/dev/{tty}")),
            terminal_emulator: session.terminal_emulator.clone(),
            local_ip: session.connection.as_ref().map(|ends| ends.local_ip.clone()),
            remote_ip: session.connection.as_ref().map(|ends| ends.remote_ip.clone()),
            user: session.user.clone(),
            effective_user: effective.map(name),
            hostname: session.host.clone(),
            environment: kept(&facts.env),
            ..Self::default()
        }
    }

    /// Adds what only the running machine can tell: folder, address and times. A few small reads, 0.1 ms.
    pub fn observed(facts: &Facts, session: &Session) -> Self {
        let mut context = Self::of(facts, session);
        context.working_directory = working_directory(context.pid);
        context.local_ip = context.local_ip.or_else(local_address);
        context.last_activity = context.tty.as_deref().and_then(last_activity);
        let start = session.leader.and_then(|leader| facts.ancestry.get(leader)).map(|leader| leader.start);
        context.duration = start.and_then(|start| since(start, &facts.os));
        context.started_at = context.duration.and_then(|duration| SystemTime::now().checked_sub(duration));
        context
    }
}

fn working_directory(pid: u32) -> Option<PathBuf> {
    if pid == std::process::id() {
        return std::env::current_dir().ok();
    }
    let path = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let gone = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
    Some(gone.unwrap_or(path))
}

fn last_activity(tty: &str) -> Option<SystemTime> {
    let meta = std::fs::metadata(tty).ok()?;
    let (typed, written) = (meta.accessed().ok(), meta.modified().ok());
    typed.max(written)
}

/// How long ago a process began. The clock that counts sleep too is the one that process starts are counted in.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn since(start: u64, os: &str) -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};
    use nix::unistd::{SysconfVar, sysconf};

    let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??)
        .ok()
        .filter(|ticks| *ticks > 0 && os == "linux")?;
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    now.checked_sub(Duration::from_millis(start.checked_mul(1000)? / ticks))
}

/// How long ago a process began.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn since(start: u64, os: &str) -> Option<Duration> {
    let begun = match os {
        "macos" => Duration::from_micros(start),
        "windows" => Duration::from_nanos(start.checked_mul(100)?),
        _ => return None,
    };
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH.checked_add(begun)?).ok()
}

#[cfg(unix)]
fn local_address() -> Option<String> {
    use nix::net::if_::InterfaceFlags;

    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    let usable = addresses.filter(|it| {
        it.flags.contains(InterfaceFlags::IFF_UP) && !it.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    });
    let texts = usable.filter_map(|it| {
        let address = it.address?;
        let v4 = address.as_sockaddr_in().map(|v4| std::net::IpAddr::from(v4.ip()));
        let v6 = || address.as_sockaddr_in6().map(|v6| std::net::IpAddr::from(v6.ip()));
        v4.or_else(v6).filter(|ip| !is_link_local(ip))
    });
    texts.map(|ip| ip.to_string()).next()
}

#[cfg(unix)]
fn is_link_local(ip: &std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(not(unix))]
fn local_address() -> Option<String> {
    None
}
