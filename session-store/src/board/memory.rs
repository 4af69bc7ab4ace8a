//! The reference board: plain collections in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    BoardBackend, BoardLeader, BoardLine, BoardLook, BoardMember, BoardNotice, BoardSample, DEEDS_LAST,
    Figures, Generation, LINES_LAST, NOTICES_KEPT, Posted,
};
use crate::error::Error;
use crate::time::Timestamp;

/// Keeps a board in memory; clones share it.
///
/// The model that other boards are tested against, and what simulations use.
#[derive(Clone, Debug, Default)]
pub struct MemoryBoard {
    generation: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    members: BTreeMap<Arc<str>, BoardMember>,
    leader: Option<BoardLeader>,
    notices: BTreeMap<u64, BoardNotice>,
    newest: u64,
    changes: u64,
    published: u64,
    told: u64,
    counters: BTreeMap<String, u64>,
    figures: BTreeMap<String, Figures>,
    samples: BTreeMap<(Arc<str>, String, Arc<str>), Vec<BoardSample>>,
    lines: BTreeMap<Arc<str>, BoardLine>,
    deeds: BTreeMap<String, Timestamp>,
}

impl MemoryBoard {
    /// Makes an empty board of a generation.
    pub fn new(generation: Generation) -> Self {
        Self { generation: generation.0, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment or insertion; a panic elsewhere cannot leave half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn post(&mut self, notice: &BoardNotice) -> Posted {
        if let Some((seq, _)) = self.notices.iter().find(|(_, known)| known.dedup == notice.dedup) {
            return Posted::Known(*seq);
        }
        self.newest += 1;
        self.notices.insert(self.newest, notice.clone());
        Posted::New(self.newest)
    }

    fn leads(&self, term: u64) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.term == term)
    }
}

impl BoardBackend for MemoryBoard {
    fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    fn enter(&self, member: &BoardMember) -> Result<(), Error> {
        self.state().members.insert(member.id.clone(), member.clone());
        Ok(())
    }

    fn leave(&self, id: &str) -> Result<(), Error> {
        self.state().members.remove(id);
        Ok(())
    }

    fn members(&self) -> Result<Vec<BoardMember>, Error> {
        Ok(self.state().members.values().cloned().collect())
    }

    fn lead(&self, term: u64, member: &str, since: Timestamp) -> Result<bool, Error> {
        let mut state = self.state();
        let is_later = state.leader.as_ref().is_none_or(|leader| leader.term < term);
        if is_later {
            state.leader =
                Some(BoardLeader { term, member: member.into(), since, beats: 0, beat_at: Duration::ZERO });
            state.figures.clear();
        }
        Ok(is_later)
    }

    fn beat(&self, term: u64, uptime: Duration) -> Result<bool, Error> {
        let mut state = self.state();
        let leads = state.leads(term);
        if let Some(leader) = state.leader.as_mut().filter(|_| leads) {
            leader.beats += 1;
            leader.beat_at = uptime;
        }
        Ok(leads)
    }

    fn post(&self, notices: &[BoardNotice]) -> Result<Vec<Posted>, Error> {
        let mut state = self.state();
        let posted = notices.iter().map(|notice| state.post(notice)).collect();
        let oldest = (state.newest + 1).saturating_sub(NOTICES_KEPT);
        state.notices = state.notices.split_off(&oldest);
        Ok(posted)
    }

    fn look(&self, after: u64) -> Result<BoardLook, Error> {
        let state = self.state();
        let notices = state.notices.range(after.saturating_add(1)..);
        Ok(BoardLook {
            leader: state.leader.clone(),
            notices: notices.map(|(seq, notice)| (*seq, notice.clone())).collect(),
            newest: state.newest,
            changes: state.changes,
            published: state.published,
            samples: state.told,
        })
    }

    fn newest(&self, count: u64) -> Result<Vec<BoardNotice>, Error> {
        let state = self.state();
        let after = state.newest.saturating_sub(count);
        Ok(state.notices.range(after.saturating_add(1)..).map(|(_, notice)| notice.clone()).collect())
    }

    fn count(&self, counter: &str, by: u64) -> Result<(), Error> {
        *self.state().counters.entry(counter.to_owned()).or_default() += by;
        Ok(())
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Error> {
        Ok(self.state().counters.clone())
    }

    fn changed(&self) -> Result<(), Error> {
        self.state().changes += 1;
        Ok(())
    }

    fn publish(&self, term: u64, name: &str, figures: &Figures) -> Result<bool, Error> {
        let mut state = self.state();
        let leads = state.leads(term);
        if leads {
            state.figures.insert(name.to_owned(), figures.clone());
            state.published += 1;
        }
        Ok(leads)
    }

    fn published(&self, name: &str) -> Result<Option<Figures>, Error> {
        Ok(self.state().figures.get(name).cloned())
    }

    fn tell(&self, line: Option<&BoardLine>, samples: &[BoardSample]) -> Result<(), Error> {
        let mut state = self.state();
        state.told += u64::from(!samples.is_empty());
        for sample in samples {
            sample.join_into(state.samples.entry(sample.slot()).or_default());
            let (account, window, _) = sample.slot();
            let limit = state.samples.iter_mut().filter(|(slot, _)| slot.0 == account && slot.1 == window);
            limit.for_each(|(_, kept)| kept.retain(|kept| !kept.is_past(sample.at)));
        }
        if let Some(line) = line {
            state.lines.retain(|_, kept| kept.at >= line.at.before(LINES_LAST));
            state.lines.insert(line.conversation.clone(), line.clone());
        }
        Ok(())
    }

    fn lines(&self) -> Result<Vec<BoardLine>, Error> {
        Ok(self.state().lines.values().cloned().collect())
    }

    fn is_first(&self, deed: &str, at: Timestamp) -> Result<bool, Error> {
        let mut state = self.state();
        if state.deeds.contains_key(deed) {
            return Ok(false);
        }
        state.deeds.retain(|_, done| *done >= at.before(DEEDS_LAST));
        state.deeds.insert(deed.to_owned(), at);
        Ok(true)
    }

    fn observed(&self) -> Result<Vec<BoardSample>, Error> {
        Ok(self.state().samples.values().flatten().cloned().collect())
    }
}
