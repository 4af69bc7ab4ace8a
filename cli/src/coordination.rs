//! The monitor's place among the others of this user and host, and what can be seen of theirs.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use session_coordinator::{
    AccountId, Candidate, Coordinator, CoordinatorOptions, Holder, Introduction, Isolation, Lease, Member,
    News, NoticeBoard, Presence, Registry, RuntimeDir, RuntimePlaces, Scope,
};
use session_detect::Session;

use crate::config::Config;
use crate::context::now;

/// A monitor that the others know of, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    coordinator: Coordinator,
    news: Receiver<News>,
}

impl Place {
    /// Takes a place for this session; `None` where coordination is not wanted or nothing identifies the session.
    pub(crate) fn take(config: &Config, session: &Session, scope: Option<&str>) -> Option<Self> {
        let key = session.key.clone().filter(|_| !config.no_coordination)?;
        let introduction = Introduction {
            key,
            scope: scope.map_or(Scope::Everything, |folder| Scope::Project(PathBuf::from(folder))),
            isolation: Isolation::Unified,
            host: session.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now(),
        };
        let options = CoordinatorOptions {
            candidates: candidates(config),
            introduction,
            accounts: config.claude_dirs.iter().map(|dir| account(dir)).collect(),
            project: env::current_dir().ok(),
        };
        let (tell, news) = channel();
        let coordinator = Coordinator::start(options, move |news| drop(tell.send(news))).ok()?;
        Some(Self { coordinator, news })
    }

    /// Says what is worth knowing of the place: beside whom it views, or why it is alone.
    pub(crate) fn remark(&self) -> Option<String> {
        let joined = self.news.try_iter().find_map(|news| match news {
            News::Joined { beside: Some(first), .. } => Some(beside(&first)),
            _ => None,
        });
        joined.or_else(|| {
            Some(format!("not coordinated with other monitors: {}", self.coordinator.standing().trouble?))
        })
    }
}

fn beside(first: &Member) -> String {
    format!("a viewer beside the monitor of this session and project, process {}", first.pid)
}

/// An account is known by its config folder, by whatever links that was named.
pub(crate) fn account(dir: &Path) -> AccountId {
    AccountId::new(dir.canonicalize().as_deref().unwrap_or(dir).to_string_lossy())
}

/// Returns the runtime folder for one who must be quick; no folder above it is made, and nothing is said of trouble.
pub(crate) fn nearest_runtime(config: &Config) -> Option<RuntimeDir> {
    if config.no_coordination {
        return None;
    }
    let mut candidates = candidates(config);
    candidates.iter_mut().for_each(|candidate| candidate.make_parents = false);
    RuntimeDir::open_first(&candidates).ok().map(|(runtime, _)| runtime)
}

/// Opens the board where there is one; makes none.
pub(crate) fn existing_board(config: &Config) -> Option<(RuntimeDir, NoticeBoard)> {
    if config.no_coordination {
        return None;
    }
    let existing: Vec<Candidate> = candidates(config).into_iter().filter(|it| it.path.is_dir()).collect();
    let (runtime, _) = RuntimeDir::open_first(&existing).ok()?;
    let board = NoticeBoard::open(&runtime).ok()?;
    Some((runtime, board))
}

/// What can be seen of the live monitors without taking part.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Whether coordination is wanted at all.
    pub(crate) wanted: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) leader: Option<Holder>,
    pub(crate) counters: std::collections::BTreeMap<String, u64>,
}

impl Others {
    /// Looks into the runtime folder, where there is one; makes none.
    pub(crate) fn look(config: &Config) -> Self {
        if config.no_coordination {
            return Self::default();
        }
        let existing: Vec<Candidate> = candidates(config).into_iter().filter(|it| it.path.is_dir()).collect();
        let Ok((runtime, _)) = RuntimeDir::open_first(&existing) else {
            return Self { wanted: true, ..Self::default() };
        };
        let members = Registry::open(&runtime).and_then(|registry| registry.members()).unwrap_or_default();
        let board = NoticeBoard::open(&runtime).ok();
        Self {
            wanted: true,
            members: members.into_iter().filter(|member| member.presence != Presence::Gone).collect(),
            leader: Lease::holder(&runtime),
            counters: board.and_then(|board| board.board().counters().ok()).unwrap_or_default(),
        }
    }
}

fn candidates(config: &Config) -> Vec<Candidate> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let places = RuntimePlaces {
        chosen: config.runtime_dir.clone(),
        xdg_runtime_dir: folder("XDG_RUNTIME_DIR"),
        system_run: Some(PathBuf::from("/run/user")).filter(|run| run.is_dir()),
        temp_dir: folder("TMPDIR"),
        temp_dir_is_private: cfg!(target_os = "macos"),
        state_dir: Some(config.data_dir.clone()),
        boot_id: boot_id.map(|id| id.trim().to_owned()),
        uid: uid(),
    };
    places.candidates()
}

#[cfg(unix)]
fn uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

#[cfg(not(unix))]
fn uid() -> u32 {
    0
}
