//! Looks for transcripts with several threads: where there are thousands, most of a report's time goes there.

use std::path::PathBuf;
use std::thread;

use session_store::{Folder, Listing, Located};

/// Fewer folders or files than these are looked at sooner than a thread starts.
const PARALLEL_MIN: usize = 64;

/// Finds every transcript under some config folders; one that lies under two of them is found twice.
pub(crate) fn search(config_dirs: &[PathBuf]) -> Located {
    let mut located = Located::default();
    let mut files = Vec::new();
    let mut folders: Vec<Folder> = config_dirs.iter().map(|dir| Folder::root(dir)).collect();
    // Level by level, because each can be shared evenly.
    while !folders.is_empty() {
        let listings = in_parts(&folders, |part| part.iter().map(Folder::list).collect::<Vec<_>>());
        folders.clear();
        for Listing { folders: below, files: found, problems } in listings.into_iter().flatten() {
            folders.extend(below);
            files.extend(found);
            located.problems.extend(problems);
        }
    }
    for part in in_parts(&files, Located::of) {
        located.extend(part);
    }
    located
}

/// Does the same to each part of some items, with a thread for each part where that pays.
fn in_parts<Item: Sync, Out: Send>(items: &[Item], each: impl Fn(&[Item]) -> Out + Sync) -> Vec<Out> {
    if items.len() < PARALLEL_MIN {
        return vec![each(items)];
    }
    let each = &each;
    thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(crate::threads()));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || each(part))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Out>| thread.join();
        threads
            .into_iter()
            .map(|thread| join(thread).unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
