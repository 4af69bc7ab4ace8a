//! Where the monitors of this user and host meet, and what a session says that it shares.

use std::env;
use std::path::{Path, PathBuf};

use session_coordinator::{AccountId, Candidate, Isolation, NoticeBoard, RuntimeDir, RuntimePlaces};

use crate::config::{Config, SessionMode};

/// An account is known by its config folder, whatever path leads there.
pub(crate) fn account(dir: &Path) -> AccountId {
    AccountId::new(dir.canonicalize().as_deref().unwrap_or(dir).to_string_lossy())
}

/// Returns the runtime folder for one who must be quick; no folder above it is made, and nothing is said of trouble.
pub(crate) fn nearest_runtime(config: &Config) -> Option<RuntimeDir> {
    if config.mode != SessionMode::Multi {
        return None;
    }
    let mut candidates = candidates(config);
    candidates.iter_mut().for_each(|candidate| candidate.make_parents = false);
    RuntimeDir::open_first(&candidates).ok().map(|(runtime, _)| runtime)
}

/// Opens the board where there is one; makes none.
pub(crate) fn existing_board(config: &Config) -> Option<(RuntimeDir, NoticeBoard)> {
    if config.mode != SessionMode::Multi || !config.isolation.uses_board() {
        return None;
    }
    let existing: Vec<Candidate> = candidates(config).into_iter().filter(|it| it.path.is_dir()).collect();
    let (runtime, _) = RuntimeDir::open_first(&existing).ok()?;
    let board = NoticeBoard::open(&runtime).ok()?;
    Some((runtime, board))
}

/// Tells monitors, where there are any, that the stores are not what they were.
pub(crate) fn tell_changed(config: &Config) {
    if let Some((_, board)) = existing_board(config) {
        // Who is not told finds out when it next computes something.
        let _ = board.changed();
    }
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

/// Reads what a session said of its sharing; a word of a newer version is taken for the strictest level.
pub(crate) fn level(said: Option<&str>) -> Isolation {
    said.map_or(Isolation::Unified, |name| name.parse().unwrap_or(Isolation::Complete))
}
