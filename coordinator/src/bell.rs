//! The doorbell: a file whose writing wakes everybody who listens, and nothing more.
//!
//! What there is to know stands on the board. A ring that gets lost costs the time until the next look.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify;
mod look;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::runtime::{RuntimeDir, make_plain, open_plain};

/// The file.
pub(crate) const FILE: &str = "bell";

/// Rings for everybody who listens at a runtime folder.
#[derive(Clone, Debug)]
pub struct Bell {
    path: PathBuf,
}

impl Bell {
    /// Finds the bell of a runtime folder, making it where it is missing.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        let path = runtime.file(FILE);
        make_plain(&path)?;
        Ok(Self { path })
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Wakes everybody who listens; costs some ten microseconds and keeps no file open.
    ///
    /// # Errors
    ///
    /// The file is gone or cannot be written.
    pub fn ring(&self) -> Result<(), Error> {
        // Always the same byte at the same place: the bell does not grow and needs no space on a full disk.
        let mut file = open_plain(File::options().write(true), &self.path)?;
        file.write_all(b"!").map_err(|error| Error::from(error).at(&self.path))
    }
}

/// What was heard. More may be told than happened, never less but for what [`Listener::trouble`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The bell was rung.
    pub rang: bool,
    /// The leader may have ended.
    pub lead_changed: bool,
    /// A member came or went.
    pub members_changed: bool,
    /// The runtime folder or the bell was removed or replaced.
    pub place_changed: bool,
    /// The listener was woken by its owner.
    pub woken: bool,
}

impl Heard {
    /// Returns whether nothing was heard: the time had passed.
    pub fn is_silence(self) -> bool {
        self == Self::default()
    }
}

/// Wakes one listener and nobody else.
#[derive(Clone, Debug)]
pub(crate) enum Waker {
    /// By writing to the lock file of its own member, which it watches: no descriptor is needed for it.
    Own(Arc<File>),
    /// By the bell, which wakes all.
    Bell(Bell),
}

impl Waker {
    pub(crate) fn wake(&self) {
        // Who is not woken looks within a second.
        let _ = match self {
            // What is there begins with this very byte.
            Self::Own(lock) => write_at_start(lock, b"{").map_err(Error::from),
            Self::Bell(bell) => bell.ring(),
        };
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Seek;
    file.rewind()?;
    file.write_all(bytes)
}

/// Listens at a runtime folder.
///
/// Through inotify on Linux, which costs nothing at rest and wakes within a fraction of a millisecond. Elsewhere, and
/// where the system grants no more inotify instances, by looking at the files every 50 ms.
///
/// ```
/// use session_coordinator::{Bell, Listener, RuntimeDir};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// let runtime = RuntimeDir::open(&place.path().join("claudewatch"))?;
/// let bell = Bell::open(&runtime)?;
/// let mut listener = Listener::open(&runtime)?;
/// assert!(listener.wait(Duration::ZERO).is_silence());
/// bell.ring()?;
/// assert!(listener.wait(Duration::from_secs(5)).rang);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    ear: Ear,
    trouble: Option<Error>,
}

#[derive(Debug)]
enum Ear {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Inotify(inotify::Ear),
    Look(look::Ear),
}

impl Listener {
    /// Starts to listen; everything after counts.
    ///
    /// # Errors
    ///
    /// The files that are listened to cannot be made. That the system grants no watch is no error, but
    /// [`Listener::trouble`].
    pub fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        Bell::open(runtime)?;
        make_plain(&runtime.file(crate::lease::LOCK))?;
        runtime.subfolder(crate::registry::FOLDER)?;
        Ok(Self::start(runtime))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn start(runtime: &RuntimeDir) -> Self {
        match inotify::Ear::open(runtime) {
            Ok(ear) => Self { ear: Ear::Inotify(ear), trouble: None },
            Err(trouble) => Self { ear: Ear::Look(look::Ear::open(runtime)), trouble: Some(trouble) },
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn start(runtime: &RuntimeDir) -> Self {
        Self { ear: Ear::Look(look::Ear::open(runtime)), trouble: None }
    }

    /// Returns why changes are seen with a delay, while they are.
    pub fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// Returns what wakes this listener: by its member's lock file, where that can be watched.
    pub(crate) fn waker(&mut self, lock: &Arc<File>, path: &Path, bell: &Bell) -> Waker {
        let is_watched = match &mut self.ear {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Ear::Inotify(ear) => ear.watch_own(path).is_ok(),
            Ear::Look(_) => false,
        };
        if is_watched { Waker::Own(lock.clone()) } else { Waker::Bell(bell.clone()) }
    }

    /// Waits until something is heard, or the time has passed.
    pub fn wait(&mut self, timeout: Duration) -> Heard {
        match &mut self.ear {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Ear::Inotify(ear) => ear.wait(timeout),
            Ear::Look(ear) => ear.wait(timeout),
        }
    }
}
