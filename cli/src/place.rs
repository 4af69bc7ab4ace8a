//! The monitor's place among the others of this user and host: who reads, who computes, who is told what.
//!
//! The leader reads the transcripts for all and publishes the view of all projects; the others rest, and show that view
//! narrowed to their scope. Whatever keeps them from it, they fall back to reading and computing for themselves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use session_analytics::Live;
use session_coordinator::{
    Coordinator, CoordinatorOptions, Duty, Introduction, Isolation, Member, MemberId, MemberRole, News,
    Notice, NoticeBoard, Pace, Presence, Progress, RESOURCES_SHARED, Role, Scope, SeenHit, Steer,
    sources_digest,
};
use session_detect::Session;
use session_store::{EventBackend, Fact, Figures, Selection, Stores, Summaries};

use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::coordination::level;
use crate::coordination::{account, candidates};
use crate::heard::Heard;
use crate::projects::Projects;

/// The name under which the leader publishes the view of all projects.
const LIVE: &str = "live";
/// The name under which the leader publishes how far its first reading has come.
const PROGRESS: &str = "progress";
/// The name under which the leader lays out what the stores of sessions hold.
const STORES: &str = "stores";
/// How often at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// A monitor that the others know of, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    coordinator: Coordinator,
    wheel: Arc<Mutex<Wheel>>,
    hear: Sender<Heard>,
    basis: String,
    isolation: Isolation,
    /// The name of the session's own store.
    store: String,
    progress: Mutex<Option<Instant>>,
    /// How often this one began to write to the stores; held while something is published.
    writes: Mutex<u64>,
    /// How many others let this one read for them, as last counted; none where that may have changed.
    followers: AtomicUsize,
}

/// `followers` where they have to be counted again.
const UNCOUNTED: usize = usize::MAX;

/// What the monitor's duty follows from, and what tells it.
#[derive(Debug)]
struct Wheel {
    role: Role,
    member_role: MemberRole,
    pace: Pace,
    steer: Option<Steer>,
}

impl Wheel {
    fn duty(&self) -> Duty {
        match self.role {
            Role::Following => Duty::Rest,
            // The session's monitor works; its viewers make do with less.
            Role::SelfServing if self.pace == Pace::Sparing && self.member_role == MemberRole::Viewer => {
                Duty::Poll
            }
            _ => Duty::Watch,
        }
    }

    fn take(&mut self, news: &News) {
        match news {
            News::Role(role) => self.role = role.clone(),
            News::Joined { role, .. } => self.member_role = *role,
            _ => return,
        }
        if let Some(steer) = &self.steer {
            steer.set(self.duty());
        }
    }
}

/// What was written when a view began to be computed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    /// By this one.
    writes: u64,
    /// By others, as the board counts.
    changes: u64,
}

/// What the others know already.
pub(crate) enum Shared {
    /// The view of all projects.
    Live(Box<Live>),
    /// The leader reads everything for the first time and has come so far.
    Reading(Progress),
    /// The leader has not published anything yet, or took it back because it writes: it computes anew.
    Awaited,
    /// Nothing that could serve here.
    Unfit,
}

impl Place {
    /// Leaves it, so that nobody takes it for one whose process died.
    pub(crate) fn leave(&self) {
        self.coordinator.leave();
    }

    /// Takes a place for this session; `None` where coordination is not wanted or nothing identifies the session.
    pub(crate) fn take(
        config: &Config,
        session: &Session,
        scope: Option<&str>,
        hear: Sender<Heard>,
    ) -> Option<Self> {
        let key = session.key.clone().filter(|_| config.mode == SessionMode::Multi)?;
        let store = key.file_name();
        let introduction = Introduction {
            key,
            scope: scope.map_or(Scope::Everything, |folder| Scope::Project(PathBuf::from(folder))),
            folder: std::env::current_dir().ok().filter(|_| config.isolation != Isolation::Complete),
            isolation: config.isolation,
            host: session.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now(),
        };
        let pace = if config.optimize_resources { Pace::Sparing } else { Pace::Prompt };
        let options = CoordinatorOptions {
            candidates: candidates(config),
            introduction,
            accounts: config.claude_dirs.iter().map(|dir| account(dir)).collect(),
            pace,
        };
        let wheel = Wheel { role: Role::Apart, member_role: MemberRole::Monitor, pace, steer: None };
        let wheel = Arc::new(Mutex::new(wheel));
        let (steered, told) = (wheel.clone(), hear.clone());
        let tell = move |news| {
            steered.lock().unwrap_or_else(PoisonError::into_inner).take(&news);
            let _ = told.send(Heard::News(news));
        };
        let coordinator = Coordinator::start(options, tell).ok()?;
        Some(Self {
            coordinator,
            wheel,
            hear,
            basis: basis(config),
            isolation: config.isolation,
            store,
            progress: Mutex::default(),
            writes: Mutex::default(),
            followers: AtomicUsize::new(UNCOUNTED),
        })
    }

    /// Returns what the monitor's duty is now.
    pub(crate) fn duty(&self) -> Duty {
        self.wheel().duty()
    }

    /// Returns whether it leads.
    pub(crate) fn leads(&self) -> bool {
        self.coordinator.leads().is_some()
    }

    /// Has the monitor told its duty from now on.
    pub(crate) fn steer(&self, steer: Steer) {
        let mut wheel = self.wheel();
        steer.set(wheel.duty());
        wheel.steer = Some(steer);
    }

    /// Returns the name of the session's own store.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// Says why it is alone, where it is.
    pub(crate) fn trouble(&self) -> Option<String> {
        Some(format!("not coordinated with other monitors: {}", self.coordinator.standing().trouble?))
    }

    /// Returns what the others know already.
    pub(crate) fn shared(&self) -> Shared {
        if self.wheel().role != Role::Following || self.isolation != Isolation::Unified {
            return Shared::Unfit;
        }
        let published = |name| self.coordinator.published(name).ok().flatten();
        match published(LIVE) {
            Some((figures, true)) => match live_of(&figures.body, &self.basis) {
                Some(live) => Shared::Live(Box::new(live)),
                None => Shared::Unfit,
            },
            Some((_, false)) => Shared::Awaited,
            None => match published(PROGRESS).and_then(|(figures, _)| progress_of(&figures.body)) {
                Some(progress) if progress.bytes_done < progress.bytes_total => Shared::Reading(progress),
                _ => Shared::Awaited,
            },
        }
    }

    /// Makes what was published old: something is about to be written, which others may see before they are told.
    pub(crate) fn withdraw(&self) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        *writes += 1;
        if self.coordinator.leads().is_some() {
            self.coordinator.withdraw(LIVE);
        } else {
            self.coordinator.changed();
        }
    }

    /// Returns the state of the stores that a view is computed of from now on.
    pub(crate) fn state(&self) -> State {
        let writes = *self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        State { writes, changes: self.coordinator.changes() }
    }

    /// Publishes the view of all projects, if this is the leader; `false` where it has to be tried again.
    pub(crate) fn publish(&self, live: &Live, sources: u64, state: State) -> bool {
        if !matches!(self.wheel().role, Role::Leading(_)) {
            return true;
        }
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if *writes != state.writes {
            // More was written meanwhile, and will be told of.
            return true;
        }
        let mut body = serde_json::to_vec(&Header { basis: self.basis.clone(), sources }).unwrap_or_default();
        body.push(b'\n');
        // Whose usage is its own keeps it, and tells the others to look for themselves.
        if self.isolation == Isolation::Unified {
            body.extend(live.to_bytes());
        }
        let figures = Figures { at: live.at, body, changes: state.changes };
        // One that was frozen does not know whether it still leads before its heart has beaten.
        match self.coordinator.publish(LIVE, &figures) {
            Ok(is_published) => is_published,
            Err(error) => {
                tracing::debug!(%error, "cannot publish the view");
                false
            }
        }
    }

    /// Tells the others that this one wrote to stores, where no published view will tell them.
    pub(crate) fn wrote(&self) {
        if self.coordinator.leads().is_none() {
            self.coordinator.changed();
        }
    }

    /// Publishes now and then how far the first reading has come.
    pub(crate) fn publish_progress(&self, progress: Progress) {
        let mut told = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = progress.bytes_done >= progress.bytes_total;
        if !is_over && told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let (done, total) = (progress.bytes_done, progress.bytes_total);
        let body = serde_json::to_vec(&ProgressBytes { done, total }).unwrap_or_default();
        let _ = self.coordinator.publish(PROGRESS, &Figures { at: now(), body, changes: 0 });
    }

    /// Lays out what the stores of sessions hold, for commands that look once; only of sessions that share everything. `false`
    /// where it has to be tried again.
    pub(crate) fn lay_out_stores(&self, summaries: &Summaries) -> bool {
        let mut shared = summaries.clone();
        shared.retain(|sharing| self.isolation == Isolation::Unified && level(sharing) == Isolation::Unified);
        let figures = Figures { at: now(), body: shared.to_bytes(), changes: 0 };
        self.coordinator.lay_out(STORES, &figures).unwrap_or(false)
    }

    /// Tells the others of the account, and the own screen, of limits that were read to be hit; only of such as may still
    /// bind. Others may have read and told the same: the board knows it then.
    pub(crate) fn tell_of(&self, hits: &[SeenHit], stores: &Stores) {
        // Who shares nothing tells nothing, and keeps nothing of others.
        let hits = if self.isolation.uses_board() { hits } else { &[] };
        let is_told = |hit: &&SeenHit| {
            let said = stores.sharing_of(&hit.event.owner.conversation);
            said.is_ok_and(|said| level(said.as_deref()).uses_board())
        };
        for hit in hits.iter().filter(is_told) {
            let (account, from) = (account(&hit.config_dir), self.coordinator.member());
            let Some(notice) = Notice::of_event(account, from, &hit.event) else { continue };
            if !notice.is_news(now()) {
                continue;
            }
            let project = project_of(stores, hit).map(PathBuf::from);
            let notice = Notice { project, ..notice };
            self.coordinator.post(notice.clone());
            let _ = self.hear.send(Heard::Notice(notice));
        }
    }

    /// Returns its name among the members.
    pub(crate) fn member(&self) -> MemberId {
        self.coordinator.member()
    }

    /// Tells the others something.
    pub(crate) fn post(&self, notice: Notice) {
        self.coordinator.post(notice);
    }

    /// Returns the board, while there is one and the isolation allows it.
    pub(crate) fn board(&self) -> Option<NoticeBoard> {
        self.coordinator.board()
    }

    /// Counts that this one read sources for the others, too.
    pub(crate) fn count_reading(&self, sources: usize) {
        if sources > 0 && self.coordinator.leads().is_some() {
            self.coordinator.count(RESOURCES_SHARED, (sources * self.followers()) as u64);
        }
    }

    /// Counts that another one watches these folders for this one, too.
    pub(crate) fn count_watches(&self, folders: usize) {
        self.coordinator.count(RESOURCES_SHARED, folders as u64);
    }

    /// Has the members counted again.
    pub(crate) fn members_changed(&self) {
        self.followers.store(UNCOUNTED, Ordering::Relaxed);
    }

    fn followers(&self) -> usize {
        let counted = self.followers.load(Ordering::Relaxed);
        if counted != UNCOUNTED {
            return counted;
        }
        let follows = |it: &&Member| it.presence == Presence::Alive && it.isolation.uses_board();
        let members = self.coordinator.members().unwrap_or_default();
        let followers = members.iter().filter(follows).count().saturating_sub(1);
        self.followers.store(followers, Ordering::Relaxed);
        followers
    }

    fn wheel(&self) -> MutexGuard<'_, Wheel> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands before a published view.
#[derive(Serialize, Deserialize)]
struct Header {
    basis: String,
    /// Which state of the transcripts it is of.
    sources: u64,
}

#[derive(Serialize, Deserialize)]
struct ProgressBytes {
    done: u64,
    total: u64,
}

/// Reads a published view that was made on the same basis.
fn live_of(body: &[u8], basis: &str) -> Option<Live> {
    let (header, live) = split(body)?;
    if header.basis == basis { Live::from_bytes(live) } else { None }
}

fn split(body: &[u8]) -> Option<(Header, &[u8])> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&body[..end]).ok()?, &body[end + 1..]))
}

/// Returns the view that a leader published, for one that takes no part; `None` unless it is exactly what reading everything
/// anew would give.
pub(crate) fn published(config: &Config, board: &NoticeBoard) -> Option<Live> {
    if config.isolation != Isolation::Unified {
        return None;
    }
    let figures = board.fresh(LIVE).ok()??;
    let (header, _) = split(&figures.body)?;
    // Cheaper than to read, and without it what was written this moment would be missing.
    if header.sources != sources_digest(&config.claude_dirs) {
        return None;
    }
    Some(Live { at: now(), ..live_of(&figures.body, &basis(config))? })
}

/// Returns what a leader found in the stores of sessions, to be trusted where their files are still the same.
pub(crate) fn stores_laid_out(board: &NoticeBoard) -> Summaries {
    let figures = board.board().published(STORES).ok().flatten();
    figures.and_then(|figures| Summaries::from_bytes(&figures.body)).unwrap_or_default()
}

fn progress_of(body: &[u8]) -> Option<Progress> {
    let ProgressBytes { done, total } = serde_json::from_slice(body).ok()?;
    Some(Progress { bytes_done: done, bytes_total: total })
}

/// Returns what a view depends on beside the transcripts: two with the same basis would compute the same.
fn basis(config: &Config) -> String {
    let mut hasher = DefaultHasher::new();
    std::fs::read(&config.prices_file).ok().hash(&mut hasher);
    config.claude_dirs.hash(&mut hasher);
    config.data_dir.hash(&mut hasher);
    format!("{} {} {:016x}", env!("CARGO_PKG_VERSION"), config.zone, hasher.finish())
}

fn project_of(stores: &Stores, hit: &SeenHit) -> Option<String> {
    let conversation = Some(hit.event.owner.conversation.clone());
    let facts = stores.events(&Selection { conversation, ..Selection::facts() }).ok()?;
    facts.iter().find_map(|event| match &event.fact {
        Fact::Conversation(told) => {
            let folder = told.first.folder.as_ref().or(told.last.folder.as_ref())?;
            Some(Projects::default().of(folder))
        }
        _ => None,
    })
}
