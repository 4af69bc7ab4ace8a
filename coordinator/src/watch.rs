//! Being told of changes: by the system where it can, by looking again where it cannot.

mod count;
mod native;
mod poll;

use std::path::PathBuf;

pub use count::{Watches, watches_of};
pub use native::Native;
pub use poll::Poll;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A file was written, made, or renamed to this path.
    Changed(PathBuf),
    /// Something may have been missed: look at everything.
    Lost,
}

/// Tells of changes below some folders until it is dropped.
///
/// A watch may tell of more than happened, never of less without [`WatchEvent::Lost`].
pub trait FileWatch: Send + std::fmt::Debug {
    /// Returns what keeps the watch from being immediate, such as too few inotify watches.
    fn degraded(&self) -> Option<&WatchError>;

    /// Returns whether a watched folder has appeared or was replaced, or events were dropped, so that the watch should be
    /// set anew.
    fn is_outdated(&self) -> bool;
}

/// A watch could not be set, or not as well as wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The system allows no more watches for this user.
    #[error("too few inotify watches (raise fs.inotify.max_user_watches); looking every few seconds instead")]
    TooManyWatches(#[source] notify::Error),
    /// The system allows no more watching programs for this user.
    #[error(
        "too few inotify instances (raise fs.inotify.max_user_instances); looking every few seconds instead"
    )]
    TooManyInstances(#[source] notify::Error),
    /// Looking is enough.
    #[error("looking every few seconds, as wanted")]
    NotWanted,
    /// Something else.
    #[error("the folders cannot be watched; looking every few seconds instead")]
    Other(#[source] notify::Error),
}
