//! Listening through inotify: one instance, four watches, no thread.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::Heard;
use crate::error::{Error, ErrorKind};
use crate::runtime::RuntimeDir;

/// A folder came to stand elsewhere, or ended. Its attributes are not watched: those of the files in it would be too, and
/// SQLite, run by root, sets the owner of two of them whenever somebody opens the board.
const FOLDER_MOVED: AddWatchFlags =
    AddWatchFlags::IN_DELETE_SELF.union(AddWatchFlags::IN_MOVE_SELF).union(AddWatchFlags::IN_DONT_FOLLOW);
/// A file came to stand elsewhere, or ended. The link count of one that is removed changes at once, while its end waits
/// for the last who has it open.
const MOVED: AddWatchFlags = FOLDER_MOVED.union(AddWatchFlags::IN_ATTRIB);

#[derive(Debug)]
pub(super) struct Ear {
    inotify: Inotify,
    bell: WatchDescriptor,
    lead: WatchDescriptor,
    members: WatchDescriptor,
    own: Option<WatchDescriptor>,
}

impl Ear {
    pub(super) fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(sort)?;
        let watch = |path: &std::path::Path, flags| inotify.add_watch(path, flags).map_err(sort);
        let bell = watch(&runtime.file(super::FILE), MOVED | AddWatchFlags::IN_MODIFY)?;
        // Whoever leads has the file open for writing; those who try to have not.
        let lead = watch(&runtime.file(crate::lease::LOCK), MOVED | AddWatchFlags::IN_CLOSE_WRITE)?;
        // The same with the lock files of members.
        let folder = runtime.file(crate::registry::FOLDER);
        let members =
            watch(&folder, FOLDER_MOVED | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE)?;
        watch(runtime.path(), FOLDER_MOVED)?;
        Ok(Self { inotify, bell, lead, members, own: None })
    }

    /// Watches a file whose writing means nothing but to wake up.
    pub(super) fn watch_own(&mut self, path: &std::path::Path) -> Result<(), Error> {
        self.own = Some(self.inotify.add_watch(path, AddWatchFlags::IN_MODIFY).map_err(sort)?);
        Ok(())
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> Heard {
        let until = Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // A whole millisecond more, so that the time has passed when silence is told.
            let millis = if left.is_zero() { 0 } else { left.as_millis() + 1 };
            let millis = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX));
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, millis);
            let heard = self.read();
            if !heard.is_silence() || Instant::now() >= until {
                return heard;
            }
        }
    }

    fn read(&self) -> Heard {
        let mut heard = Heard::default();
        // Fails with EAGAIN when everything was read.
        while let Ok(events) = self.inotify.read_events() {
            events.iter().for_each(|event| self.note(event, &mut heard));
        }
        heard
    }

    fn note(&self, event: &InotifyEvent, heard: &mut Heard) {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            let (rang, woken) = (true, true);
            *heard = Heard { rang, lead_changed: true, members_changed: true, place_changed: true, woken };
        } else if event.mask.intersects(MOVED | AddWatchFlags::IN_IGNORED) && event.name.is_none() {
            heard.place_changed = true;
        } else if event.wd == self.bell {
            heard.rang = true;
        } else if Some(event.wd) == self.own {
            heard.woken = true;
        } else if event.wd == self.lead {
            heard.lead_changed = true;
        } else if event.wd == self.members {
            heard.members_changed = true;
        }
    }
}

fn sort(errno: Errno) -> Error {
    let kind = match errno {
        Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC => ErrorKind::Exhausted,
        Errno::ENOENT => ErrorKind::Missing,
        _ => ErrorKind::Other,
    };
    Error::new(kind).because(errno)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn attributes_of_the_files_within_wake_nobody() {
        let place = tempfile::tempdir().expect("a folder");
        let runtime = RuntimeDir::open(&place.path().join("claudewatch")).expect("a runtime folder");
        for name in [crate::bell::FILE, crate::lease::LOCK, "live.db-wal"] {
            File::create(runtime.file(name)).expect("a file");
        }
        let members = runtime.subfolder(crate::registry::FOLDER).expect("a folder");
        File::create(members.join("one.lock")).expect("a file");
        let ear = Ear::open(&runtime).expect("inotify");
        for file in [runtime.file("live.db-wal"), members.join("one.lock")] {
            std::os::unix::fs::chown(&file, Some(nix::unistd::geteuid().as_raw()), None).expect("it is ours");
        }
        assert_eq!(ear.inotify.read_events().err(), Some(Errno::EAGAIN));
        fs::remove_file(runtime.file(crate::bell::FILE)).expect("it is there");
        assert!(ear.read().place_changed);
    }
}
