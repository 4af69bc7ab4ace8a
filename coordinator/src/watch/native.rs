//! The system's own notification: inotify, FSEvents, ReadDirectoryChangesW.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{EventKind, ModifyKind};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher};
use session_store::Stamp;

use super::{FileWatch, WatchError, WatchEvent};

/// Watches whole trees through the system; a change is told within a millisecond, rest costs nothing.
#[derive(Debug)]
pub struct Native {
    _watcher: RecommendedWatcher,
    places: Vec<Place>,
    /// The system dropped events or refused a watch, so that folders may have come that are not watched.
    has_gaps: Arc<AtomicBool>,
}

/// A folder that is wanted, and what is watched for it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    wanted: PathBuf,
    watched: PathBuf,
    /// Device and number of the watched folder: a new folder at the same path is another one.
    file: (u64, u64),
}

impl Native {
    /// Watches the `projects` folders below some config folders.
    ///
    /// Where one does not exist, its nearest existing ancestor is watched instead, and [`WatchEvent::Lost`] is told
    /// when something appears there, so that the caller can look and watch anew.
    ///
    /// # Errors
    ///
    /// The system refuses; [`super::Poll`] is the way out.
    pub fn start(
        config_dirs: &[PathBuf],
        tell: impl Fn(WatchEvent) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let places: Vec<Place> =
            config_dirs.iter().filter_map(|dir| Place::near(dir.join("projects"))).collect();
        let wanted: Vec<PathBuf> = places.iter().map(|place| place.wanted.clone()).collect();
        let has_gaps = Arc::new(AtomicBool::new(false));
        let gaps = has_gaps.clone();
        let handler = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => {
                gaps.store(true, Ordering::SeqCst);
                tell(WatchEvent::Lost);
            }
            Ok(event) if is_change(event.kind) => {
                for path in event.paths {
                    // A wanted folder, or one on the way to it, came or went. And in a folder that is new, files may
                    // have been made before it was watched.
                    if wanted.iter().any(|wanted| wanted.starts_with(&path))
                        || is_new_folder(event.kind, &path)
                    {
                        tell(WatchEvent::Lost);
                    } else {
                        tell(WatchEvent::Changed(path));
                    }
                }
            }
            Ok(_) => {}
            Err(_) => {
                gaps.store(true, Ordering::SeqCst);
                tell(WatchEvent::Lost);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(handler, config).map_err(sort)?;
        for place in &places {
            let mode =
                if place.is_missing() { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
            watcher.watch(&place.watched, mode).map_err(sort)?;
        }
        Ok(Self { _watcher: watcher, places, has_gaps })
    }
}

impl FileWatch for Native {
    fn degraded(&self) -> Option<&WatchError> {
        None
    }

    fn is_outdated(&self) -> bool {
        self.has_gaps.load(Ordering::SeqCst)
            || self.places.iter().any(|place| Place::near(place.wanted.clone()).as_ref() != Some(place))
    }
}

impl Place {
    /// Finds what to watch for a folder: itself, or its nearest existing ancestor.
    fn near(wanted: PathBuf) -> Option<Self> {
        let (watched, metadata) = wanted.ancestors().find_map(|ancestor| {
            let metadata = std::fs::metadata(ancestor).ok().filter(std::fs::Metadata::is_dir)?;
            Some((ancestor.to_owned(), metadata))
        })?;
        Some(Self { wanted, watched, file: Stamp::of(&metadata).file })
    }

    fn is_missing(&self) -> bool {
        self.watched != self.wanted
    }
}

/// Reading a transcript must not wake the reader, so accesses are no changes.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn is_new_folder(kind: EventKind, path: &std::path::Path) -> bool {
    matches!(kind, EventKind::Any | EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
        && path.is_dir()
}

fn sort(error: notify::Error) -> WatchError {
    use std::io::ErrorKind as Io;
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => WatchError::TooManyWatches(error),
        notify::ErrorKind::Io(io) if io.kind() == Io::StorageFull => WatchError::TooManyWatches(error),
        // EMFILE, which the standard library gives no kind of its own.
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(24) => WatchError::TooManyInstances(error),
        _ => WatchError::Other(error),
    }
}
