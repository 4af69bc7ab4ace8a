//! Listening by looking, where the system does not tell.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::Heard;
use crate::runtime::{FileId, RuntimeDir};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Ear {
    runtime: PathBuf,
    seen: Seen,
}

/// What the files looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    place: Option<FileId>,
    bell: Option<(FileId, SystemTime)>,
    members: Option<(FileId, SystemTime)>,
}

impl Ear {
    pub(super) fn open(runtime: &RuntimeDir) -> Self {
        let runtime = runtime.path().to_owned();
        Self { seen: Seen::at(&runtime), runtime }
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> Heard {
        let until = Instant::now() + timeout;
        loop {
            let heard = self.look();
            let left = until.saturating_duration_since(Instant::now());
            if !heard.is_silence() || left.is_zero() {
                return heard;
            }
            thread::sleep(PAUSE.min(left));
        }
    }

    fn look(&mut self) -> Heard {
        let now = Seen::at(&self.runtime);
        let before = std::mem::replace(&mut self.seen, now);
        let file = |seen: Option<(FileId, SystemTime)>| seen.map(|(file, _)| file);
        let members_changed = now.members != before.members;
        Heard {
            rang: now.bell != before.bell,
            // The end of a leader shows nowhere but in its lock, so trying is the only way to know.
            lead_changed: members_changed,
            members_changed,
            place_changed: now.place != before.place || file(now.bell) != file(before.bell),
            woken: false,
        }
    }
}

impl Seen {
    fn at(runtime: &Path) -> Self {
        let changed = |name: &str| {
            let metadata = fs::symlink_metadata(runtime.join(name)).ok()?;
            Some((FileId::of(&metadata), metadata.modified().ok()?))
        };
        Self {
            place: FileId::at(runtime),
            bell: changed(super::FILE),
            members: changed(crate::registry::FOLDER),
        }
    }
}
