//! How far sources have been read.

#[cfg(feature = "sqlite")]
pub(crate) mod pack;

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::id::SourceId;
use crate::transcript::{Position, ProblemKind, SourceKind, Stamp};

/// How far a source has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The source.
    pub source: SourceId,
    /// Whose transcript it is.
    pub kind: SourceKind,
    /// What its directory entry told when it was read; equal stamps need no reading.
    pub stamp: Stamp,
    /// Where to go on.
    pub position: Position,
    /// A hash of the last bytes before the position: a different one means the file was rewritten.
    pub fingerprint: u64,
    /// How many lines were not counted, by reason.
    pub problems: BTreeMap<ProblemKind, u64>,
}

impl Checkpoint {
    /// Returns the [`crate::Source::state`] that the source was read in.
    pub fn state(&self) -> u64 {
        self.stamp.state(self.source.path())
    }

    /// Returns the same where every line counted, so that nothing has to be told of the source.
    pub fn state_read(&self) -> Option<u64> {
        self.problems.is_empty().then(|| self.state())
    }
}

/// The checkpoints of all sources, for one who needs few of them: most stay packed.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    states: HashSet<u64, RandomState>,
    unpacked: HashMap<SourceId, Checkpoint>,
    /// What is unpacked where nothing newer is; whole, as was found when it came here.
    #[cfg(feature = "sqlite")]
    packed: Vec<u8>,
}

/// Some paths. They are long and each of thousands is looked up: hashing them the usual way takes several times as long.
type Paths<'p> = HashSet<&'p [u8], RandomState>;

impl Checkpoints {
    /// Takes packed checkpoints and newer ones; `None` where the packed ones are damaged.
    #[cfg(feature = "sqlite")]
    pub(crate) fn of_packed(packed: Vec<u8>, newer: Vec<Checkpoint>) -> Option<Self> {
        let mut known: Self = newer.into_iter().collect();
        pack::walk(&packed, |path, kept| {
            let state = || kept.stamp.state(&crate::id::as_path(path));
            known.states.extend(kept.problems.is_none().then(state));
            Some(())
        })?;
        Some(Self { packed, ..known })
    }

    /// Returns whether a source in this [`crate::Source::state`] was read to its end and every line counted, so that nothing
    /// is to be done about it.
    ///
    /// That may also be said of a state that a source was in before.
    pub fn covers(&self, state: u64) -> bool {
        self.states.contains(&state)
    }

    /// Unpacks the checkpoints of some sources, as far as there are any; 0.1 µs for each that is packed, so do it for many at
    /// once.
    pub fn unpack<'s>(&mut self, sources: impl IntoIterator<Item = &'s SourceId>) {
        let is_packed = |source: &&SourceId| !self.unpacked.contains_key(source);
        let wanted: Paths<'_> = sources.into_iter().filter(is_packed).map(SourceId::bytes).collect();
        if !wanted.is_empty() {
            self.take_out(&wanted);
        }
    }

    #[cfg(feature = "sqlite")]
    fn take_out(&mut self, wanted: &Paths<'_>) {
        let mut left = wanted.len();
        // It was found whole when it came here, so that it ends where no more are wanted.
        let _ = pack::walk(&self.packed, |path, kept| {
            if wanted.contains(path) {
                let known = kept.checkpoint(path, None);
                self.unpacked.insert(known.source.clone(), known);
                left -= 1;
            }
            (left > 0).then_some(())
        });
    }

    #[cfg(not(feature = "sqlite"))]
    fn take_out(&mut self, _: &Paths<'_>) {}

    /// Returns the checkpoint of a source, where it is unpacked.
    pub fn get(&self, source: &SourceId) -> Option<&Checkpoint> {
        self.unpacked.get(source)
    }

    /// Adds a checkpoint in place of the one that is unpacked of its source.
    pub fn insert(&mut self, checkpoint: Checkpoint) {
        let state = checkpoint.state_read();
        let before = self.unpacked.insert(checkpoint.source.clone(), checkpoint);
        if let Some(before) = before.and_then(|before| before.state_read()) {
            self.states.remove(&before);
        }
        self.states.extend(state);
    }
}

impl FromIterator<Checkpoint> for Checkpoints {
    fn from_iter<I: IntoIterator<Item = Checkpoint>>(checkpoints: I) -> Self {
        let mut known = Self::default();
        checkpoints.into_iter().for_each(|checkpoint| known.insert(checkpoint));
        known
    }
}
