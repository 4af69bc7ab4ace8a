//! What can be seen of the live monitors without taking part.

use std::collections::BTreeMap;
use std::path::PathBuf;

use session_analytics::Live;
use session_coordinator::{
    Candidate, Isolation, IsolationKey, Lease, Member, NoticeBoard, Presence, Registry, RuntimeDir,
};
use session_store::{Summaries, Timestamp};

use crate::config::{Config, SessionMode};
use crate::coordination::candidates;
use crate::place;
use crate::told::Told;

/// The monitors of this user and host, and what stands on their board.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Those that live, and those that ended without a word.
    pub(crate) members: Vec<Member>,
    pub(crate) leader: Option<Leader>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) place: Place,
    /// What was told lately and may still matter.
    pub(crate) told: Told,
    /// The view of all projects, where the leader has it and nothing was written since.
    pub(crate) view: Option<Live>,
    /// What that leader found in the stores of sessions.
    pub(crate) stores: Summaries,
}

/// Who leads now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) pid: u32,
    pub(crate) term: u64,
    /// `None` where the board does not tell of it yet.
    pub(crate) since: Option<Timestamp>,
    pub(crate) beats: u64,
}

/// Where they meet.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) runtime: Option<RuntimeDir>,
    /// The folders that come before it, and why each is not the one.
    pub(crate) passed_over: Vec<(PathBuf, String)>,
    /// What keeps the board from being read.
    pub(crate) trouble: Option<String>,
}

impl Others {
    /// Looks only who is there: the board stays closed, because what SQLite opens beside a connection that stays open is
    /// kept open until that one is closed.
    pub(crate) fn present(config: &Config) -> Self {
        if config.mode != SessionMode::Multi {
            return Self::default();
        }
        let place = Place::find(&candidates(config));
        Self { members: place.members(), place, ..Self::default() }
    }

    /// Looks into the runtime folder, where there is one; makes none. A session that shares nothing but its presence
    /// sees nothing of the board.
    pub(crate) fn look(config: &Config) -> Self {
        let mut others = Self::present(config);
        if let Some(runtime) = others.place.runtime.as_ref().filter(|_| config.isolation.uses_board()) {
            match NoticeBoard::open(runtime) {
                Ok(board) => {
                    others.leader = leader(runtime, &board, &others.members);
                    others.counters = board.board().counters().unwrap_or_default();
                    if config.notify() {
                        others.told = Told::on(&board, config);
                    }
                    others.view = place::published(config, &board);
                    if others.view.is_some() {
                        others.stores = place::stores_laid_out(&board);
                    }
                }
                Err(error) => others.place.trouble = Some(error.to_string()),
            }
        }
        others
    }

    /// Returns how much a session shares, by what its live monitors say; the strictest counts.
    pub(crate) fn isolation_of(&self, key: &IsolationKey) -> Isolation {
        let of_session = self.live().filter(|member| member.key == *key);
        of_session.map(|member| member.isolation).min().unwrap_or_default()
    }

    /// Returns the monitors that live.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.presence == Presence::Alive)
    }
}

/// The lock file tells who led last; whoever has ended leads no more.
pub(crate) fn leader(runtime: &RuntimeDir, board: &NoticeBoard, members: &[Member]) -> Option<Leader> {
    let holder = Lease::holder(runtime)?;
    let lives = |member: &Member| member.id == holder.member && member.presence == Presence::Alive;
    members.iter().find(|member| lives(member))?;
    let told = board.board().look(u64::MAX).ok().and_then(|look| look.leader);
    let told = told.filter(|told| told.term == holder.term.number());
    Some(Leader {
        pid: holder.pid,
        term: holder.term.number(),
        since: told.as_ref().map(|told| told.since),
        beats: told.map_or(0, |told| told.beats),
    })
}

impl Place {
    /// Returns the members, but for those who have left.
    fn members(&self) -> Vec<Member> {
        let registry = self.runtime.as_ref().and_then(|runtime| Registry::open(runtime).ok());
        let mut members = registry.and_then(|registry| registry.members().ok()).unwrap_or_default();
        members.retain(|member| member.presence != Presence::Gone);
        members
    }

    /// Finds the first folder that is there and can be trusted.
    pub(crate) fn find(candidates: &[Candidate]) -> Self {
        let mut place = Self::default();
        for candidate in candidates {
            if !candidate.path.is_dir() {
                place.passed_over.push((candidate.path.clone(), "not there".to_owned()));
                continue;
            }
            match RuntimeDir::open_first(std::slice::from_ref(candidate)) {
                Ok((runtime, _)) => {
                    place.runtime = Some(runtime);
                    break;
                }
                Err(error) => place.passed_over.push((candidate.path.clone(), error.to_string())),
            }
        }
        place
    }
}
