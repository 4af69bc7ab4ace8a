//! The monitor's place among the others of this user and host.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use session_coordinator::{
    AccountId, Candidate, Coordinator, CoordinatorOptions, Introduction, Member, News, Pace, RuntimePlaces,
    Scope,
};
use session_detect::Session;

use crate::config::{Config, SessionMode};
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
        let key = session.key.clone().filter(|_| config.mode == SessionMode::Multi)?;
        let introduction = Introduction {
            key,
            scope: scope.map_or(Scope::Everything, |folder| Scope::Project(PathBuf::from(folder))),
            isolation: config.isolation,
            host: session.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now(),
        };
        let options = CoordinatorOptions {
            candidates: candidates(config),
            introduction,
            accounts: config.claude_dirs.iter().map(|dir| account(dir)).collect(),
            project: env::current_dir().ok(),
            pace: Pace::Prompt,
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

/// An account is known by its config folder.
fn account(dir: &Path) -> AccountId {
    AccountId::new(dir.to_string_lossy())
}

/// Returns where monitors may meet, best first.
pub(crate) fn candidates(config: &Config) -> Vec<Candidate> {
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
