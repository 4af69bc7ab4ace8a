//! All stores of one user: the archive, and one for each session, behind one face.
//!
//! What belongs to a conversation goes to the store of the session that runs it, else of the one that ran it last while
//! that has a store, everything else to the archive. Reading joins
//! them: an event that two stores hold, because a conversation was forked, moved or is just being compacted, counts
//! once, as if one store held everything.

mod open;
mod summary;
mod union;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::backend::{Batch, EventBackend, Selection};
use crate::cell::{Cell, together};
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::error::{Error, ErrorKind};
use crate::event::Ownership;
use crate::id::{ConversationId, EventId, SourceId};
use crate::join::Change;
use crate::ledger::Ledger;

use crate::store::{Snapshot, Store};
use crate::time::Timestamp;
use crate::transcript::{Listings, SourceKind};

use self::open::{Open, open_max};
pub use self::summary::Summaries;
use self::union::{joined, united_cells, united_events};

/// The folder of the sessions' stores, beside the archive.
pub(crate) const SESSIONS: &str = "sessions";
const ENDING: &str = ".db";

/// The archive and the stores of sessions in one data folder.
///
/// `sessions/<name>.db` is a session's store; its name is the file name of the session's isolation key. Cloning is cheap and
/// shares everything.
///
/// ```
/// use std::collections::HashMap;
/// use session_store::{EventBackend, Stores, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let now = Timestamp::from_seconds(1_795_367_381);
/// let stores = Stores::open(folder.path(), now);
/// stores.set_owners(HashMap::from([("conversation-1".into(), "s-pts=1".to_owned())]));
/// assert!(stores.cells(Timestamp::MIN..Timestamp::MAX, &[])?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stores(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    now: Timestamp,
    archive: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Open,
    owners: HashMap<ConversationId, String>,
    /// Which session's store has read a conversation last; it stays there when nobody runs it any more.
    homes: HashMap<ConversationId, (Rank, String)>,
    /// Decides which stores are read.
    see: Option<See>,
    /// Tells the owners anew, and when it was last asked.
    ask: Option<(Ask, Option<Instant>)>,
    /// Is told before something is committed.
    warn: Option<Warn>,
    /// What another process found in stores, which need not be opened to find it again.
    trusted: Summaries,
}

/// Is told that something is about to be committed.
type Warn = Arc<dyn Fn() + Send + Sync>;

/// One of the stores, where it is decided whether it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part<'a> {
    /// The archive.
    Archive,
    /// A session's store.
    Session {
        /// Its name.
        name: &'a str,
        /// What the session shares, in the words it was said in; `None` where nothing was said.
        sharing: Option<&'a str>,
    },
}

/// Decides whether a store is read.
type See = Arc<dyn Fn(Part<'_>) -> bool + Send + Sync>;
/// Tells which conversation belongs to which session.
type Ask = Arc<dyn Fn() -> HashMap<ConversationId, String> + Send + Sync>;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("owners", &self.owners).finish_non_exhaustive()
    }
}

/// How long an answer of who owns what is good.
const OWNERS_KEPT: Duration = Duration::from_secs(2);

impl Stores {
    /// Opens the archive of a data folder; the stores of sessions are opened when they are needed.
    ///
    /// Never fails, as [`Store::open`]; `now` names damaged files that are moved aside.
    pub fn open(folder: &Path, now: Timestamp) -> Self {
        Self::around(folder, now, Store::open(&folder.join("archive.db"), now))
    }

    /// Puts the stores of sessions in a data folder beside an archive that is already open.
    pub fn around(folder: &Path, now: Timestamp, archive: Store) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { folder: folder.to_owned(), now, archive: Arc::new(archive), state }))
    }

    /// Returns the data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Returns the archive.
    pub fn archive(&self) -> &Arc<Store> {
        &self.0.archive
    }

    /// Tells which conversation belongs to which session, by the name of its store; all others belong to the archive.
    ///
    /// It decides where new events go; those stored before stay where they are.
    pub fn set_owners(&self, owners: HashMap<ConversationId, String>) {
        self.state().owners = owners;
    }

    /// Asks for the owners instead of being told: before something is committed, and at most every two seconds.
    pub fn ask_for_owners(&self, ask: impl Fn() -> HashMap<ConversationId, String> + Send + Sync + 'static) {
        self.state().ask = Some((Arc::new(ask), None));
    }

    /// Decides which stores events and sums are read from, instead of all.
    ///
    /// How far a source was read is still asked of all: what one store hides must not be read again into another.
    pub fn show_only(&self, see: impl Fn(Part<'_>) -> bool + Send + Sync + 'static) {
        self.state().see = Some(Arc::new(see));
    }

    /// Returns the names of the sessions whose stores may hold something.
    fn sessions_to_read(&self) -> Result<Vec<String>, Error> {
        let mut sessions = self.sessions()?;
        let state = self.state();
        sessions.retain(|name| state.trusted.get(name).is_none_or(|summary| !summary.is_empty));
        Ok(sessions)
    }

    /// Returns what a session shares, in the words it was said in; `None` where it has no store or nothing was said.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn sharing(&self, name: &str) -> Result<Option<String>, Error> {
        if let Some(trusted) = self.state().trusted.get(name) {
            return Ok(trusted.sharing.clone());
        }
        self.seen(name).map_or(Ok(None), |store| store.sharing())
    }

    /// Returns the same of the session that a conversation belongs to; `None` also for one of the archive.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn sharing_of(&self, conversation: &ConversationId) -> Result<Option<String>, Error> {
        self.owner(conversation).map_or(Ok(None), |name| self.sharing(&name))
    }

    /// Returns the conversations that are at home in a session's store: of those read so far, the ones that the session ran
    /// last.
    pub fn at_home(&self, name: &str) -> Vec<ConversationId> {
        let state = self.state();
        let here = state.homes.iter().filter(|(_, (_, home))| home == name);
        here.map(|(conversation, _)| conversation.clone()).collect()
    }

    /// Has someone told each time before events are committed, so that nothing computed before passes for new meanwhile.
    pub fn before_commit(&self, warn: impl Fn() + Send + Sync + 'static) {
        self.state().warn = Some(Arc::new(warn));
    }

    /// Returns whether stores were removed while they were open: by now all that they held lies in fresh ones, or in memory.
    pub fn were_removed(&self) -> bool {
        self.0.archive.was_removed()
    }

    /// Goes on in fresh files where the data folder was removed or replaced.
    ///
    /// Looked at by the archive alone, before anything is read or written.
    fn follow_folder(&self) {
        if !self.0.archive.is_current() {
            self.0.archive.follow_path();
            for store in self.state().open.all() {
                store.follow_path();
            }
        }
    }

    /// Returns why one of the open stores is not written to the disk, while that is so.
    pub fn trouble(&self) -> Option<Arc<Error>> {
        let open = self.state().open.all();
        std::iter::once(&self.0.archive).chain(&open).find_map(|store| store.trouble())
    }

    /// Writes what is in memory alone to the disk where it allows that again; [`Stores::trouble`] tells what came of it.
    ///
    /// Every commit does so, too: this is for whoever has nothing to commit for long. The disk is tried every five seconds at
    /// most, and not at all while everything is kept.
    pub fn retry(&self) {
        let open = self.state().open.all();
        std::iter::once(&self.0.archive).chain(&open).for_each(|store| store.retry());
    }

    /// Returns when a session's store was last written to; `None` where there is none.
    pub fn written_at(&self, name: &str) -> Option<SystemTime> {
        let path = self.path(name);
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        // Who only reads makes an empty log.
        let log = fs::metadata(log).ok().filter(|log| log.len() > 0);
        fs::metadata(path).ok()?.modified().ok().max(log.and_then(|log| log.modified().ok()))
    }

    fn refresh_owners(&self) {
        let due =
            |(_, asked): &&(Ask, Option<Instant>)| asked.is_none_or(|asked| asked.elapsed() > OWNERS_KEPT);
        let Some(ask) = self.state().ask.as_ref().filter(due).map(|(ask, _)| ask.clone()) else { return };
        // Asking takes a while, and others read meanwhile.
        let owners = ask();
        let mut state = self.state();
        state.owners = owners;
        state.ask = Some((ask, Some(Instant::now())));
    }

    /// Returns the names of the sessions that have a store, in order.
    ///
    /// # Errors
    ///
    /// The folder cannot be read; that there is none is no error.
    pub fn sessions(&self) -> Result<Vec<String>, Error> {
        let folder = self.0.folder.join(SESSIONS);
        let unreadable = |error: io::Error| Error::new(ErrorKind::Unreadable).at(&folder).because(error);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => Some(entries),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            Err(error) => return Err(unreadable(error)),
        };
        // What could not be written to the disk is in memory alone.
        let mut names: BTreeSet<String> = self.state().open.in_memory().collect();
        for entry in entries.into_iter().flatten() {
            let entry = entry.map_err(unreadable)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let name = entry.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(ENDING)).filter(|_| is_file) {
                names.insert(name.to_owned());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Opens the store of a session, making it where it is missing.
    pub fn session(&self, name: &str) -> Arc<Store> {
        let mut state = self.state();
        // Who opens it may write to it.
        state.trusted.remove(name);
        if let Some(store) = state.open.get(name).filter(|store| store.follow_path()) {
            return store;
        }
        let store = Arc::new(Store::open(&self.path(name), self.0.now));
        state.open.insert(name, store.clone());
        store
    }

    /// Opens the stores of sessions that were just seen, several at once where there are many: most of an opening is waiting
    /// for threads and locks.
    fn open_seen(&self, names: &[String]) {
        /// Fewer are opened one by one.
        const MANY: usize = 8;
        let is_closed = |name: &&String| !self.state().open.holds(name);
        let closed: Vec<&String> = names.iter().take(open_max()).filter(is_closed).collect();
        if closed.len() < MANY {
            return;
        }
        // Asking reads several files each time.
        let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
        thread::scope(|scope| {
            for part in closed.chunks(closed.len().div_ceil(threads)) {
                scope.spawn(move || {
                    for name in part {
                        let store = Arc::new(Store::open_existing(&self.path(name), self.0.now));
                        if store.is_current() {
                            self.state().open.insert(name, store);
                        }
                    }
                });
            }
        });
    }

    /// Opens the store of a session that was just seen; `None` where it has been moved into the archive since.
    fn seen(&self, name: &str) -> Option<Arc<Store>> {
        let path = self.path(name);
        let mut state = self.state();
        if let Some(store) = state.open.get(name).filter(|store| store.follow_path()) {
            return Some(store);
        }
        state.open.remove(name);
        let store = path.exists().then(|| Arc::new(Store::open_existing(&path, self.0.now)))?;
        if !path.exists() {
            return None;
        }
        state.open.insert(name, store.clone());
        Some(store)
    }

    /// Opens one of all stores, which is not kept open where there are more than may be.
    fn seen_as(&self, number: usize, name: &str) -> Option<Arc<Store>> {
        if number < open_max() || self.state().open.holds(name) {
            return self.seen(name);
        }
        let store = Store::open_existing(&self.path(name), self.0.now);
        self.path(name).exists().then(|| Arc::new(store))
    }

    /// Moves what an ended session's store holds into the archive and deletes the store.
    ///
    /// The store is closed first, so that nobody adds to it meanwhile: what comes later goes to the archive. Killed at
    /// any instant it loses and doubles nothing; compacting again finishes the work. Returns whether there was a store to be
    /// moved: one that holds facts of a kind that only a newer version knows stays, for that version to move.
    ///
    /// # Errors
    ///
    /// The session's store cannot be read, or the archive cannot be written; then the session's store stays.
    pub fn compact(&self, name: &str) -> Result<bool, Error> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(false);
        }
        let store = self.session(name);
        if store.holds_unknown()? {
            return Ok(false);
        }
        store.close()?;
        let (ledger, checkpoints) = (store.events(&Selection::all())?, store.checkpoints()?);
        // A checkpoint that the archive has newer must not go back.
        let newer = self.0.archive.checkpoints()?;
        let checkpoints = latest(newer.into_iter().chain(checkpoints)).into_values().collect();
        let _ = self.0.archive.commit(Batch { ledger, checkpoints })?;
        if let Some(trouble) = self.0.archive.trouble() {
            return Err(Error::new(trouble.kind()).at(&self.0.folder).because(trouble.to_string()));
        }
        self.state().open.remove(name);
        Store::delete(&path)?;
        Ok(true)
    }

    /// Does something with each store that exists, one after the other: the archive first.
    fn each(&self, mut act: impl FnMut(&Store) -> Result<(), Error>) -> Result<(), Error> {
        act(&self.0.archive)?;
        let sessions = self.sessions()?;
        self.open_seen(&sessions);
        let stores = sessions.iter().enumerate().filter_map(|(number, name)| self.seen_as(number, name));
        stores.into_iter().try_for_each(|store| act(&store))
    }

    /// Returns the stores that may be read, as they are now: the archive first, or what comes first without it.
    ///
    /// The archive is looked at last: what is moved into it meanwhile is then seen there, or where it was, or in both. Where
    /// there are more stores than may be open, the others are read into memory one by one.
    fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.follow_folder();
        let see = self.state().see.clone();
        let is_seen = |part: Part<'_>| see.as_ref().is_none_or(|see| see(part));
        let sessions = self.sessions_to_read()?;
        self.open_seen(&sessions);
        let mut snapshots = Vec::new();
        for (number, name) in sessions.iter().enumerate().rev() {
            let Some(store) = self.seen_as(number, name) else { continue };
            let (snapshot, sharing) = store.snapshot_shared()?;
            if is_seen(Part::Session { name, sharing: sharing.as_deref() }) {
                snapshots.push(if number < open_max() { snapshot } else { snapshot.into_memory()? });
            }
        }
        if is_seen(Part::Archive) {
            snapshots.push(self.0.archive.snapshot()?);
        }
        snapshots.reverse();
        Ok(snapshots)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.folder.join(SESSIONS).join(format!("{name}{ENDING}"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where the events of a conversation go: `None` is the archive.
    fn owner(&self, conversation: &ConversationId) -> Option<String> {
        let state = self.state();
        let home =
            || state.homes.get(conversation).map(|(_, name)| name).filter(|name| self.path(name).exists());
        state.owners.get(conversation).or_else(home).cloned()
    }

    /// Reads the checkpoints in the stores of sessions, and learns from them where conversations are at home. The archive is
    /// to be read after them: what is moved into it meanwhile is then seen there, or where it was.
    fn checkpoints_of_sessions(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut all = Vec::new();
        let sessions = self.sessions_to_read()?;
        self.open_seen(&sessions);
        for (number, name) in sessions.into_iter().enumerate() {
            let Some(store) = self.seen_as(number, &name) else { continue };
            let checkpoints = store.checkpoints()?;
            self.learn_homes(&name, &checkpoints);
            all.extend(checkpoints);
        }
        Ok(all)
    }

    /// Learns where conversations are at home, from how far sessions' stores have read them.
    fn learn_homes(&self, name: &str, checkpoints: &[Checkpoint]) {
        let read = checkpoints.iter().filter_map(|checkpoint| match &checkpoint.kind {
            SourceKind::Main { conversation } => Some((conversation.clone(), rank(checkpoint))),
            SourceKind::SubAgent { .. } => None,
        });
        self.settle_homes(name, read);
    }

    fn settle_homes(&self, name: &str, read: impl IntoIterator<Item = (ConversationId, Rank)>) {
        let mut state = self.state();
        for (conversation, rank) in read {
            let home = (rank, name.to_owned());
            match state.homes.get(&conversation) {
                Some(known) if *known >= home => {}
                _ => drop(state.homes.insert(conversation, home)),
            }
        }
    }

    /// Reads the stores that may be read, as they are at one moment.
    fn read<T>(&self, read: impl Fn(&[Snapshot]) -> Result<T, Error>) -> Result<T, Error> {
        self.healed(|| read(&self.snapshots()?))
    }

    /// Does something with all stores; a session's store that turns out damaged is moved aside first, to be filled again
    /// from the transcripts, and one that has just been moved into the archive is read there.
    fn healed<T>(&self, act: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let error = match act() {
                Err(error) => error,
                result => return result,
            };
            // Of a session's store it must be: with the folder itself nothing would change, however often it is tried.
            let name = error.path().and_then(|path| path.file_stem()?.to_str()).map(str::to_owned);
            let Some(name) = name.filter(|name| error.path() == Some(&*self.path(name))) else {
                return Err(error);
            };
            if !self.path(&name).exists() {
                self.state().open.remove(&name);
            } else if error.kind() == ErrorKind::Corrupt {
                self.afresh(&name)?;
            } else {
                return Err(error);
            }
        }
    }

    /// Moves a session's damaged store aside and puts a fresh one in its place.
    fn afresh(&self, name: &str) -> Result<Arc<Store>, Error> {
        let path = self.path(name);
        let is_replaced = self.state().open.get(name).is_some_and(|damaged| !damaged.is_current());
        // Another process was faster: what stands there now is its fresh one.
        let fresh = match is_replaced {
            true => Store::open(&path, self.0.now),
            false => Store::open_afresh(&path, self.0.now)?,
        };
        let fresh = Arc::new(fresh);
        self.state().open.insert(name, fresh.clone());
        Ok(fresh)
    }

    /// Commits to a session's store; one that was closed meanwhile leaves its events to the archive.
    fn commit_to(&self, owner: Option<&str>, batch: Batch) -> Result<Change, Error> {
        let Some(name) = owner else { return self.0.archive.commit(batch) };
        self.learn_homes(name, &batch.checkpoints);
        match self.session(name).commit(batch.clone()) {
            Err(error) if error.kind() == ErrorKind::Closed => {
                self.state().open.remove(name);
                self.0.archive.commit(batch)
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => self.afresh(name)?.commit(batch),
            result => result,
        }
    }

    /// Divides a batch by the stores it goes to.
    fn divided(&self, batch: Batch) -> BTreeMap<Option<String>, Batch> {
        let mut parts: BTreeMap<Option<String>, Batch> = BTreeMap::new();
        let mut ran: BTreeMap<(String, ConversationId), (Timestamp, Timestamp)> = BTreeMap::new();
        for event in batch.ledger {
            let owner = self.owner(&event.owner.conversation);
            if let Some(name) = owner.clone() {
                let (from, until) =
                    ran.entry((name, event.owner.conversation.clone())).or_insert((event.at, event.at));
                (*from, *until) = ((*from).min(event.at), (*until).max(event.at));
            }
            let _ = parts.entry(owner).or_default().ledger.apply(event);
        }
        // Whose it was has to be known also when the store is no more.
        for ((name, conversation), (from, until)) in ran {
            let told = Ownership::event(&conversation, &name, from, until);
            let _ = parts.entry(Some(name)).or_default().ledger.apply(told);
        }
        for checkpoint in batch.checkpoints {
            let conversation = match &checkpoint.kind {
                SourceKind::Main { conversation } => Some(conversation),
                SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
            };
            let owner = conversation.and_then(|conversation| self.owner(conversation));
            parts.entry(owner).or_default().checkpoints.push(checkpoint);
        }
        parts
    }
}

impl EventBackend for Stores {
    /// Joins a batch, each part where it belongs.
    ///
    /// What goes to one store is one transaction. A batch for several stores commits all events before the first
    /// checkpoint: killed in between, the events are read again and join to the same.
    fn commit(&self, batch: Batch) -> Result<Change, Error> {
        let warn = self.state().warn.clone();
        if let Some(warn) = warn.filter(|_| !batch.ledger.is_empty()) {
            warn();
        }
        self.refresh_owners();
        self.follow_folder();
        let mut parts = self.divided(batch);
        if parts.len() <= 1 {
            return match parts.pop_first() {
                Some((owner, part)) => self.commit_to(owner.as_deref(), part),
                None => Ok(Change::Unchanged),
            };
        }
        let mut change = Change::Unchanged;
        for (owner, part) in &mut parts {
            let events = Batch { ledger: std::mem::take(&mut part.ledger), checkpoints: Vec::new() };
            change = change.or(self.commit_to(owner.as_deref(), events)?);
        }
        for (owner, part) in parts.into_iter().filter(|(_, part)| !part.checkpoints.is_empty()) {
            change = change.or(self.commit_to(owner.as_deref(), part)?);
        }
        Ok(change)
    }

    fn settle(&self) -> Result<(), Error> {
        self.healed(|| self.each(|store| store.settle()))
    }

    /// Deletes from all stores, the archive first; killed in between, doing it again finishes the work.
    fn expire(&self, before: Timestamp) -> Result<u64, Error> {
        self.healed(|| {
            let mut expired = 0;
            self.each(|store| {
                expired += store.expire(before)?;
                Ok(())
            })?;
            Ok(expired)
        })
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.follow_folder();
        self.healed(|| {
            let mut all = self.checkpoints_of_sessions()?;
            let archived = self.0.archive.checkpoints()?;
            if all.is_empty() {
                return Ok(archived);
            }
            all.extend(archived);
            Ok(latest(all).into_values().collect())
        })
    }

    fn known(&self) -> Result<Checkpoints, Error> {
        self.follow_folder();
        self.healed(|| {
            let sessions = self.checkpoints_of_sessions()?;
            let mut known = self.0.archive.known()?;
            known.unpack(sessions.iter().map(|checkpoint| &checkpoint.source));
            for checkpoint in sessions {
                if known.get(&checkpoint.source).is_none_or(|known| rank(known) < rank(&checkpoint)) {
                    known.insert(checkpoint);
                }
            }
            Ok(known)
        })
    }

    fn listings(&self) -> Result<Listings, Error> {
        self.0.archive.listings()
    }

    fn keep_listings(&self, listings: &Listings) -> Result<(), Error> {
        self.0.archive.keep_listings(listings)
    }

    /// Adds the cells of all stores and corrects them by the events that several stores hold.
    ///
    /// Cost: that of each store, and a look-up in the others for each turn of a session's store.
    fn cells(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.read(|stores| match stores {
            [only] => only.cells(range.clone(), cuts),
            several => united_cells(several, range.clone(), cuts),
        })
    }

    fn cells_together(&self, range: Range<Timestamp>, cuts: &[Timestamp]) -> Result<Vec<Cell>, Error> {
        self.read(|stores| match stores {
            [only] => only.cells_together(range.clone(), cuts),
            several => Ok(together(united_cells(several, range.clone(), cuts)?)),
        })
    }

    fn events(&self, selection: &Selection) -> Result<Ledger, Error> {
        self.read(|stores| match stores {
            [only] => only.events(selection),
            several => united_events(several, selection),
        })
    }

    fn turn_ids(&self) -> Result<Vec<EventId>, Error> {
        self.read(|stores| {
            let mut ids = BTreeSet::new();
            for store in stores {
                ids.extend(store.turn_ids()?);
            }
            Ok(ids.into_iter().collect())
        })
    }

    fn turns_of(&self, ids: &[EventId]) -> Result<Ledger, Error> {
        self.read(|stores| joined(stores.iter().map(|store| store.turns_of(ids))))
    }
}

/// Keeps for each source the checkpoint that is of the latest state of the file, then the farthest.
fn latest(checkpoints: impl IntoIterator<Item = Checkpoint>) -> BTreeMap<SourceId, Checkpoint> {
    let mut latest: BTreeMap<SourceId, Checkpoint> = BTreeMap::new();
    for checkpoint in checkpoints {
        match latest.get(&checkpoint.source) {
            Some(known) if rank(known) >= rank(&checkpoint) => {}
            _ => drop(latest.insert(checkpoint.source.clone(), checkpoint)),
        }
    }
    latest
}

/// The time of the file's last change when it was read, and how far it was.
type Rank = (i64, u64);

fn rank(checkpoint: &Checkpoint) -> Rank {
    (checkpoint.stamp.modified_ns, checkpoint.position.offset)
}
