//! From files to the store: finds what is new in the sources, reads it in parallel, commits it once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use session_store::{
    Batch, Change, Checkpoint, Checkpoints, ConversationId, Error, Event, EventBackend, Fact, Join,
    LimitCause, Listings, Position, ProblemKind, Reading, Selection, Source, SourceId, SourceKind, Tail,
    Zone,
};

mod block;

use self::block::{Block, fill};
use crate::search::{Search, search};

/// Events a reading thread gathers before it hands them over.
const HAND_OVER: usize = 2 << 10;
/// Events in one transaction, twice in memory while they are sorted. It bounds the memory of an import of any size.
const COMMIT: usize = 32 << 10;
/// Bytes before a position that must be the same for reading to go on there.
const FINGERPRINT_BYTES: u64 = 64;
/// Bytes below which a second thread costs more than it saves.
const PARALLEL_BYTES: u64 = 4 << 20;

/// Reads what is new in the transcripts of some config folders into a store.
///
/// A source is read by byte offset, from where the store says it was left; rows and offset are committed together,
/// so a reader killed at any instant loses nothing and counts nothing twice. Two ingestors of one store do no harm:
/// what both read joins to the same.
///
/// ```
/// use std::sync::Arc;
/// use session_coordinator::Ingestor;
/// use session_store::{EventBackend, Memory, Timestamp, Zone, corpus::Corpus};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = tempfile::tempdir()?;
/// let truth = Corpus::new(1, 200_000).write(config.path())?;
///
/// let store = Arc::new(Memory::default());
/// let mut ingestor = Ingestor::new(store.clone(), vec![config.path().to_owned()], Zone::utc());
/// ingestor.scan(&|_| {})?;
/// ingestor.scan(&|_| {})?; // The second finds nothing new.
///
/// let messages: u64 =
///     store.cells(Timestamp::MIN..Timestamp::MAX, &[])?.iter().map(|cell| cell.sum.messages).sum();
/// assert_eq!(messages, truth.messages);
/// # Ok(())
/// # }
/// ```
pub struct Ingestor {
    store: Arc<dyn EventBackend>,
    config_dirs: Vec<PathBuf>,
    zone: Zone,
    /// How far each source has been read.
    known: Checkpoints,
    listings: Listings,
    /// Whether the store was asked what is known, and what folders held.
    has_asked: bool,
    /// The states of the sources that there are, as they were before they were read; see [`Source::state`].
    present: HashSet<u64>,
    /// Which sources are read, where not all are.
    wanted: Option<Wanted>,
}

type Wanted = Box<dyn Fn(&Source) -> bool + Send>;

/// How far a scan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes_done: u64,
    /// Bytes to read in all.
    pub bytes_total: u64,
}

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    /// The sources there are.
    pub sources: usize,
    /// How many of them had something new.
    pub sources_read: usize,
    /// The bytes read.
    pub bytes_read: u64,
    /// Whether the store learned anything.
    pub change: Change,
    /// Lines that were not counted, by reason, over all sources there are.
    pub lines_skipped: BTreeMap<ProblemKind, u64>,
    /// Files and folders that were passed over, and why.
    pub files_skipped: Vec<(ProblemKind, PathBuf)>,
    /// The sources that were read, as they stand now.
    pub touched: Vec<Checkpoint>,
    /// A number for the state of all sources that was read; see [`sources_digest`].
    pub digest: u64,
    /// The used-up quotas that the lines read tell of, also those that the store knew.
    pub hits: Vec<SeenHit>,
}

/// A request that was refused because a quota was used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenHit {
    /// What the store keeps of it.
    pub event: Event,
    /// The config folder it belongs to, which stands for its account.
    pub config_dir: PathBuf,
}

/// A source with something new, and where to begin.
struct Job {
    source: Source,
    known: Option<Checkpoint>,
}

/// What a reading thread hands over.
#[derive(Default)]
struct Parcel {
    events: Vec<Event>,
    checkpoints: Vec<Checkpoint>,
    unreadable: Vec<(ProblemKind, PathBuf)>,
    hits: Vec<SeenHit>,
}

impl Ingestor {
    /// Makes an ingestor that asks the store how far each source has been read when it first reads.
    ///
    /// `zone` is where limit texts that name no zone belong.
    pub fn new(store: Arc<dyn EventBackend>, config_dirs: Vec<PathBuf>, zone: Zone) -> Self {
        let (known, listings, present) = Default::default();
        Self { store, config_dirs, zone, known, listings, has_asked: false, present, wanted: None }
    }

    /// Reads some sources only; the others are passed over as if there were none.
    pub fn only(self, wanted: impl Fn(&Source) -> bool + Send + 'static) -> Self {
        Self { wanted: Some(Box::new(wanted)), ..self }
    }

    /// Forgets how far each source has been read, to ask the store again: another one may have read on.
    ///
    /// Without it nothing is wrong, only read twice.
    pub fn forget(&mut self) {
        (self.known, self.listings, self.has_asked, self.present) = Default::default();
    }

    /// Returns a number for the state of all sources that was read; see [`sources_digest`].
    pub fn digest(&self) -> u64 {
        digest_of(&self.present)
    }

    /// Returns the used-up quotas of all time that the store knows.
    ///
    /// A reader killed after it had committed one, and before it could tell of it, leaves it to the next reader.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn hits(&self) -> Result<Vec<SeenHit>, Error> {
        let facts = self.store.events(&Selection::limit_hits())?;
        let mut dirs: Option<HashMap<ConversationId, PathBuf>> = None;
        let mut hits = Vec::new();
        for event in facts.into_iter().filter(is_quota_hit) {
            let dirs = match &mut dirs {
                Some(dirs) => dirs,
                none => none.insert(self.dirs_of_conversations()?),
            };
            let dir = dirs.get(&event.owner.conversation).or(self.config_dirs.first());
            hits.extend(dir.map(|dir| SeenHit { config_dir: dir.clone(), event }));
        }
        Ok(hits)
    }

    fn dirs_of_conversations(&self) -> Result<HashMap<ConversationId, PathBuf>, Error> {
        let checkpoints = self.store.checkpoints()?.into_iter();
        Ok(checkpoints
            .filter_map(|known| match known.kind {
                SourceKind::Main { conversation } => {
                    Some((conversation, dir_of(&self.config_dirs, &known.source)?.to_owned()))
                }
                SourceKind::SubAgent { .. } => None,
            })
            .collect())
    }

    /// Returns the config folders.
    pub fn config_dirs(&self) -> &[PathBuf] {
        &self.config_dirs
    }

    /// Looks at every source and reads what is new, telling `progress` now and then from the reading threads.
    ///
    /// Blocks until done: about 10 µs a source, and a second for 1 to 2 GB to read.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written. What was committed before stays; a later scan goes on from there.
    pub fn scan(&mut self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Scan, Error> {
        self.ask()?;
        let found = search(&self.config_dirs, &self.listings, &|state| self.known.covers(state));
        let Search { sources, states, problems, listings } = found;
        let mut scan = self.read(sources, progress)?;
        scan.sources = states.len();
        self.present = states.into_iter().collect();
        scan.digest = self.digest();
        scan.files_skipped.extend(problems);
        if let Some(listings) = listings {
            self.store.keep_listings(&listings)?;
            self.listings = listings;
        }
        Ok(scan)
    }

    /// Looks at some sources only, such as those a watch told of; paths that are no transcripts are passed over.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    pub fn refresh(&mut self, paths: &BTreeSet<PathBuf>) -> Result<Scan, Error> {
        let located: Vec<Source> = paths.iter().filter_map(|path| self.locate_one(path)).collect();
        let ids: Vec<SourceId> = paths.iter().map(|path| SourceId::new(path.clone())).collect();
        self.ask()?;
        self.known.unpack(&ids);
        let before: Vec<u64> = ids.iter().filter_map(|id| Some(self.known.get(id)?.state())).collect();
        let states: Vec<u64> = located.iter().map(Source::state).collect();
        let mut scan = self.read(located, &|_| {})?;
        self.present.retain(|state| !before.contains(state));
        self.present.extend(states);
        scan.digest = self.digest();
        Ok(scan)
    }

    /// Asks the store for both at once: where there are thousands of sources, each takes a millisecond.
    fn ask(&mut self) -> Result<(), Error> {
        if self.has_asked {
            return Ok(());
        }
        let store = &*self.store;
        let (known, listings) = thread::scope(|scope| {
            let known = scope.spawn(|| store.known());
            let listings = store.listings();
            (known.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), listings)
        });
        (self.known, self.listings, self.has_asked) = (known?, listings?, true);
        Ok(())
    }

    fn locate_one(&self, path: &Path) -> Option<Source> {
        self.config_dirs.iter().find_map(|config_dir| Source::at(config_dir, path).ok().flatten())
    }

    fn read(
        &mut self,
        mut sources: Vec<Source>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Scan, Error> {
        if let Some(wanted) = &self.wanted {
            sources.retain(|source| wanted(source));
        }
        self.known.unpack(sources.iter().map(|source| &source.id));
        let mut lines_skipped = BTreeMap::new();
        let mut jobs = Vec::new();
        for source in sources {
            match self.known.get(&source.id) {
                Some(known) if known.stamp == source.stamp => add_problems(&mut lines_skipped, known),
                known => jobs.push(Job { known: known.cloned(), source }),
            }
        }
        // The largest first, so that the threads end together.
        jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.bytes_new()));
        let bytes_total = jobs.iter().map(Job::bytes_new).sum();
        let mut scan = Scan {
            sources: 0,
            sources_read: jobs.len(),
            bytes_read: bytes_total,
            change: Change::Unchanged,
            lines_skipped,
            files_skipped: Vec::new(),
            touched: Vec::new(),
            digest: 0,
            hits: Vec::new(),
        };
        let read: Vec<SourceId> = jobs.iter().map(|job| job.source.id.clone()).collect();
        let reader = Reader {
            jobs: &jobs,
            next: AtomicUsize::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_total,
            zone: self.zone.clone(),
            config_dirs: self.config_dirs.clone(),
            progress,
        };
        let threads = if bytes_total < PARALLEL_BYTES { 1 } else { crate::threads() };
        let mut pending = Parcel::default();
        thread::scope(|scope| {
            let (sender, parcels) = sync_channel(threads);
            for _ in 0..threads {
                let (reader, sender) = (&reader, sender.clone());
                scope.spawn(move || reader.run(&sender));
            }
            drop(sender);
            for parcel in parcels {
                scan.files_skipped.extend(parcel.unreadable);
                scan.hits.extend(parcel.hits);
                pending.events.extend(parcel.events);
                pending.checkpoints.extend(parcel.checkpoints);
                if pending.events.len() >= COMMIT {
                    scan.change = scan.change.or(self.commit(std::mem::take(&mut pending))?);
                }
            }
            scan.change = scan.change.or(self.commit(pending)?);
            if !read.is_empty() {
                self.store.settle()?;
            }
            scan.touched = read.iter().filter_map(|id| self.known.get(id)).cloned().collect();
            scan.touched.iter().for_each(|known| add_problems(&mut scan.lines_skipped, known));
            if bytes_total > 0 {
                // Threads overtake each other, and files vanish: what was told last may have been less than all.
                progress(Progress { bytes_done: bytes_total, bytes_total });
            }
            Ok(scan)
        })
    }

    fn commit(&mut self, pending: Parcel) -> Result<Change, Error> {
        let Parcel { events, checkpoints, .. } = pending;
        if checkpoints.is_empty() && events.is_empty() {
            return Ok(Change::Unchanged);
        }
        let batch = Batch { ledger: events.into_iter().collect(), checkpoints: checkpoints.clone() };
        let change = self.store.commit(batch)?;
        checkpoints.into_iter().for_each(|known| self.known.insert(known));
        Ok(change)
    }
}

/// Returns a number for the state of all transcripts of some config folders: the same while none was written, made or
/// removed.
///
/// Equal to [`Ingestor::digest`] it says that what that one read is everything there is. Costs about 10 µs a source.
pub fn sources_digest(config_dirs: &[PathBuf]) -> u64 {
    digest_of(&search(config_dirs, &Listings::default(), &|_| true).states)
}

fn digest_of<'a>(states: impl IntoIterator<Item = &'a u64>) -> u64 {
    states.into_iter().fold(0, |digest, state| digest ^ state)
}

impl std::fmt::Debug for Ingestor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingestor").field("config_dirs", &self.config_dirs).finish_non_exhaustive()
    }
}

fn is_quota_hit(event: &Event) -> bool {
    matches!(&event.fact, Fact::LimitHit(hit) if hit.cause == LimitCause::Quota)
}

/// Returns the config folder that a source lies in.
fn dir_of<'a>(config_dirs: &'a [PathBuf], source: &SourceId) -> Option<&'a Path> {
    config_dirs.iter().find(|dir| source.path().starts_with(dir)).map(PathBuf::as_path)
}

fn add_problems(problems: &mut BTreeMap<ProblemKind, u64>, known: &Checkpoint) {
    for (kind, count) in &known.problems {
        *problems.entry(*kind).or_default() += count;
    }
}

impl Parcel {
    /// Adds an event; the lines of one reply follow each other, so most repeats join here already.
    fn add(&mut self, event: Event) {
        match self.events.last_mut() {
            Some(last) if last.id == event.id => drop(last.join(event)),
            _ => self.events.push(event),
        }
    }
}

impl Job {
    fn bytes_new(&self) -> u64 {
        let offset = self.known.as_ref().map_or(0, |known| known.position.offset);
        self.source.stamp.size.checked_sub(offset).unwrap_or(self.source.stamp.size)
    }

    /// Opens the source and returns where to go on in it.
    ///
    /// A file that is another one, shorter than before, or different before the position was rewritten and is read
    /// from its start; what it repeats joins to what is known.
    fn open(&self) -> io::Result<(File, Option<&Checkpoint>)> {
        let mut file = self.source.open()?;
        let Some(known) = &self.known else { return Ok((file, None)) };
        let same_file = known.stamp.file == self.source.stamp.file;
        let long_enough = self.source.stamp.size >= known.position.offset;
        if same_file && long_enough && fingerprint(&mut file, known.position)? == known.fingerprint {
            file.seek(SeekFrom::Start(known.position.offset))?;
            return Ok((file, Some(known)));
        }
        file.seek(SeekFrom::Start(0))?;
        Ok((file, None))
    }
}

/// What the reading threads share.
struct Reader<'a> {
    jobs: &'a [Job],
    next: AtomicUsize,
    bytes_done: AtomicU64,
    bytes_total: u64,
    zone: Zone,
    config_dirs: Vec<PathBuf>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Reader<'_> {
    /// Takes one job after the other; ends early when nobody wants the parcels any more.
    fn run(&self, parcels: &SyncSender<Parcel>) {
        let mut parcel = Parcel::default();
        let mut block = Block::new();
        while let Some(job) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            match self.read(job, &mut block, &mut parcel, parcels) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let kind = match error.kind() {
                        io::ErrorKind::InvalidInput => ProblemKind::NotAFile,
                        _ => ProblemKind::Unreadable,
                    };
                    parcel.unreadable.push((kind, job.source.id.path().to_owned()));
                }
            }
        }
        let _ = parcels.send(parcel);
    }

    /// Reads one source to its end; returns whether to go on.
    fn read(
        &self,
        job: &Job,
        block: &mut Block,
        parcel: &mut Parcel,
        parcels: &SyncSender<Parcel>,
    ) -> io::Result<bool> {
        let (mut file, known) = job.open()?;
        let kind = job.source.kind.clone();
        let (mut tail, mut problems) = match known {
            Some(known) => (Tail::resume(kind, self.zone.clone(), known.position), known.problems.clone()),
            None => (Tail::new(kind, self.zone.clone()), BTreeMap::new()),
        };
        let mut reading = Reading::default();
        block.clear();
        loop {
            let bytes = block.feed(&mut file, &mut tail, &mut reading)?;
            if bytes == 0 {
                break;
            }
            for (kind, _) in reading.problems.drain(..) {
                *problems.entry(kind).or_default() += 1;
            }
            for found in reading.found.drain(..) {
                if is_quota_hit(&found.event)
                    && let Some(dir) = dir_of(&self.config_dirs, &job.source.id)
                {
                    let (event, config_dir) = (found.event.clone(), dir.to_owned());
                    parcel.hits.push(SeenHit { event, config_dir });
                }
                parcel.add(found.event);
            }
            self.tell(bytes as u64);
            if parcel.events.len() >= HAND_OVER {
                let reached = checkpoint(job, tail.position(), &problems, &mut file, false)?;
                parcel.checkpoints.push(reached);
                if parcels.send(std::mem::take(parcel)).is_err() {
                    return Ok(false);
                }
            }
        }
        parcel.checkpoints.push(checkpoint(job, tail.position(), &problems, &mut file, true)?);
        Ok(true)
    }

    fn tell(&self, bytes: u64) {
        let bytes_done = self.bytes_done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(Progress { bytes_done, bytes_total: self.bytes_total });
    }
}

/// Makes the checkpoint of a position; one reached on the way has a stamp that no file has, so that reading goes on.
fn checkpoint(
    job: &Job,
    position: Position,
    problems: &BTreeMap<ProblemKind, u64>,
    file: &mut File,
    at_end: bool,
) -> io::Result<Checkpoint> {
    let mut stamp = job.source.stamp;
    let fingerprint = if at_end {
        fingerprint(file, position)?
    } else {
        let here = file.stream_position()?;
        let fingerprint = fingerprint(file, position)?;
        file.seek(SeekFrom::Start(here))?;
        stamp.size = position.offset;
        stamp.modified_ns = 0;
        fingerprint
    };
    let (source, kind) = (job.source.id.clone(), job.source.kind.clone());
    Ok(Checkpoint { source, kind, stamp, position, fingerprint, problems: problems.clone() })
}

/// Hashes the last bytes before a position.
fn fingerprint(file: &mut File, position: Position) -> io::Result<u64> {
    let start = position.offset.saturating_sub(FINGERPRINT_BYTES);
    let mut bytes = [0; FINGERPRINT_BYTES as usize];
    let bytes = &mut bytes[..(position.offset - start) as usize];
    file.seek(SeekFrom::Start(start))?;
    let length = fill(file, bytes)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes[..length]);
    Ok(hasher.finish())
}
