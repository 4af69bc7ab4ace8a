//! Which sessions' stores are open: the ones used last, as many as the process can afford.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::store::Store;

/// More are never kept open, however many files the system allows.
const MOST: usize = 128;
/// Fewer would be opened anew all the time.
const LEAST: usize = 4;
/// A store has three files open, five while two threads read it, and stores are not all that a process opens.
const FILES_EACH: usize = 8;

/// Returns how many sessions' stores may be open at once, by how many files the system allowed this process when it was
/// first asked.
pub(crate) fn open_max() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| files_allowed().map_or(MOST, |files| (files / FILES_EACH).clamp(LEAST, MOST)))
}

#[cfg(unix)]
fn files_allowed() -> Option<usize> {
    use nix::sys::resource::{Resource, getrlimit};
    let (soft, _hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    usize::try_from(soft).ok()
}

#[cfg(not(unix))]
fn files_allowed() -> Option<usize> {
    None
}

/// The open stores by name.
#[derive(Default)]
pub(crate) struct Open {
    stores: BTreeMap<String, (Arc<Store>, u64)>,
    /// Grows with each use.
    uses: u64,
}

impl Open {
    pub(crate) fn get(&mut self, name: &str) -> Option<Arc<Store>> {
        let (store, used) = self.stores.get_mut(name)?;
        self.uses += 1;
        *used = self.uses;
        Some(store.clone())
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        self.stores.contains_key(name)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Store>> {
        self.stores.values().map(|(store, _)| store.clone()).collect()
    }

    /// Returns the names of those whose disk refuses.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = String> {
        self.stores.iter().filter(|(_, (store, _))| store.trouble().is_some()).map(|(name, _)| name.clone())
    }

    /// Takes in a store, and closes the one that was used longest ago where there are too many; not one whose disk refuses,
    /// which would lose what it holds.
    pub(crate) fn insert(&mut self, name: &str, store: Arc<Store>) {
        self.uses += 1;
        self.stores.insert(name.to_owned(), (store, self.uses));
        if self.stores.len() > open_max() {
            let kept =
                |(_, (store, used)): &(&String, &(Arc<Store>, u64))| *used != self.uses && store.is_kept();
            let oldest = self.stores.iter().filter(kept).min_by_key(|(_, (_, used))| *used);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.stores.remove(&name);
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.stores.remove(name);
    }
}
