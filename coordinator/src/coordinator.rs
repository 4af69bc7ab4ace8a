//! The runner of a member's life: one thread that sleeps until something is heard or due.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use session_store::{BoardMember, Figures};

use crate::account::AccountId;
use crate::bell::{Bell, Heard, Listener, Waker};
use crate::board::{Cursor, Look, NoticeBoard};
use crate::clock::uptime;
use crate::error::{Error, ErrorKind};
use crate::lease::{Acquire, AcquireError, Lease, Term};
use crate::life::{Input, Life, LifeOptions, Output, Role};
use crate::notice::Notice;
use crate::registry::{Introduction, JoinError, Member, MemberId, MemberRole, Membership, Registry};
use crate::runtime::{Candidate, FileId, RuntimeDir};

/// How long the lock of a leader that was heard to end is tried: the system tells of the end a moment before it.
const HANDOVER: Duration = Duration::from_millis(40);
/// After how many beats the leader sweeps up: about once a minute.
const BEATS_TO_SWEEP: u64 = 100;
/// Counts second monitors that became viewers.
pub const CONFLICTS_RESOLVED: &str = "conflicts_resolved";
/// Counts work that one member did for others, such as a source read or a folder watched once for all.
pub const RESOURCES_SHARED: &str = "resources_shared";
/// Counts notices that were posted.
pub const NOTICES: &str = "notices";

/// Who coordinates, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorOptions {
    /// Where the runtime folder may be, best first; see [`crate::RuntimePlaces`].
    pub candidates: Vec<Candidate>,
    /// Who it is.
    pub introduction: Introduction,
    /// The accounts it uses.
    pub accounts: Vec<AccountId>,
    /// The folder it works in.
    pub project: Option<PathBuf>,
    /// How often it looks around.
    pub pace: Pace,
}

/// How often a member looks although nothing was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pace {
    /// Each second; a frozen leader is noticed after less than two.
    #[default]
    Prompt,
    /// Every three seconds, for many sessions on one host; a frozen leader is noticed after six.
    Sparing,
}

/// What a coordinator tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// It took its place: as the session's monitor, or as a viewer beside the one named.
    Joined {
        /// What it is there for.
        role: MemberRole,
        /// The monitor it is a viewer beside of.
        beside: Option<Box<Member>>,
    },
    /// What it does for the others has changed.
    Role(Role),
    /// Another member tells something.
    Notice(Notice),
    /// A member came or went.
    Members,
    /// Others wrote to the stores, or the leader published figures.
    Changed,
    /// A limit was told of on the board.
    Samples,
    /// These members have ended; told to the leader alone.
    Ended(Vec<Member>),
    /// It is not coordinated at the moment, and why; it is tried again.
    Apart(Error),
    /// It is coordinated with a delay, and why.
    Degraded(String),
}

/// A member at work: present among the others, following or leading, hearing and telling.
///
/// One thread, which rests where nothing happens but for a look each second. It survives the loss of the runtime folder,
/// a full disk, other members' crashes and freezes; where coordination is impossible it says so and goes on trying.
/// Dropping it leaves.
///
/// ```
/// use session_coordinator::*;
/// use session_store::{LimitWindow, Timestamp};
/// use std::sync::mpsc::channel;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// let now = Timestamp::from_seconds(1_795_367_381);
/// let options = |pid: u32| -> Result<CoordinatorOptions, session_detect::ParseKeyError> {
///     let key =
///         format!("pts/{pid}:local:ada:host:{pid}~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.{pid}.{pid:x}");
///     Ok(CoordinatorOptions {
///         candidates: vec![Candidate { path: place.path().join("claudewatch"), make_parents: false }],
///         introduction: Introduction {
///             key: key.parse()?,
///             scope: Scope::Everything,
///             isolation: Isolation::Unified,
///             host: "host".into(),
///             version: "0.1.0".into(),
///             started_at: now,
///         },
///         accounts: vec!["account".into()],
///         project: None,
///         pace: Pace::Prompt,
///     })
/// };
/// let first = Coordinator::start(options(1)?, |_| {})?;
/// let (tell, told) = channel();
/// let second = Coordinator::start(options(2)?, move |news| drop(tell.send(news)))?;
///
/// first.post(Notice::limit_hit("account".into(), first.member(), now, LimitWindow::FiveHour, None));
/// let heard = told.iter().find_map(|news| match news {
///     News::Notice(notice) => Some(notice),
///     _ => None,
/// });
/// assert_eq!(heard.unwrap().kind, NoticeKind::LimitHit);
/// assert_eq!(second.members()?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Coordinator {
    commands: Sender<Command>,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Post(Notice),
    Stop,
}

/// What a coordinator is at the moment.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name among the members.
    pub member: MemberId,
    /// What it is there for.
    pub member_role: MemberRole,
    /// What it does for the others.
    pub role: Role,
    /// The runtime folder, while it has a place there.
    pub runtime: Option<PathBuf>,
    /// Candidates that were passed over before it, and why, as texts for people.
    pub passed_over: Vec<String>,
    /// Why it is not coordinated, or only with a delay.
    pub trouble: Option<String>,
    /// How many of its notices are not on a board yet.
    pub waiting: usize,
}

/// What the thread shows to the coordinator's owner.
#[derive(Debug)]
struct Shared {
    standing: Standing,
    /// The term under which it leads, and until when it may be sure of it.
    life: Life,
    registry: Option<Registry>,
    board: Option<NoticeBoard>,
    waker: Option<Waker>,
    /// Notices that the thread has not taken yet.
    queued: usize,
}

impl Coordinator {
    /// Takes a place and starts the thread; `tell` is called from it.
    ///
    /// The first attempt to join is made before this returns, so [`Coordinator::standing`] says at once what came of it.
    /// That it failed is no error here: it is told and tried again.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub fn start(
        options: CoordinatorOptions,
        tell: impl FnMut(News) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, orders) = channel();
        let mut runner = Runner::new(options, orders, Box::new(tell));
        runner.handle(Input::Time);
        let shared = runner.shared.clone();
        let thread = thread::Builder::new().name("coordinator".into()).spawn(move || runner.run())?;
        Ok(Self { commands, shared, thread: Some(thread) })
    }

    /// Tells the other members of an account something; it is kept until it can be told.
    ///
    /// Returns at once.
    pub fn post(&self, notice: Notice) {
        self.shared().queued += 1;
        self.command(Command::Post(notice));
    }

    /// Returns what the coordinator is at the moment.
    pub fn standing(&self) -> Standing {
        let shared = self.shared();
        let waiting = shared.standing.waiting + shared.queued;
        Standing { waiting, ..shared.standing.clone() }
    }

    /// Returns its name among the members.
    pub fn member(&self) -> MemberId {
        self.shared().standing.member.clone()
    }

    /// Returns the term under which it may do a leader's work now.
    pub fn leads(&self) -> Option<Term> {
        self.shared().life.leads_at(uptime())
    }

    /// Returns all members with their presence.
    ///
    /// # Errors
    ///
    /// There is no runtime folder at the moment, or it cannot be read.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        let registry = self.shared().registry.clone();
        registry.ok_or_else(|| Error::new(ErrorKind::Replaced))?.members()
    }

    /// Publishes what it computed as the leader, for the others to show; `false` where it does not lead, or not for sure.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn publish(&self, name: &str, figures: &Figures) -> Result<bool, Error> {
        match (self.leads(), self.board()) {
            (Some(term), Some(board)) => board.publish(term, name, figures),
            _ => Ok(false),
        }
    }

    /// Publishes what it found as the leader for who happens to look, waking nobody; `false` where it does not lead, or not for
    /// sure.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn lay_out(&self, name: &str, figures: &Figures) -> Result<bool, Error> {
        match (self.leads(), self.board()) {
            (Some(term), Some(board)) => board.lay_out(term, name, figures),
            _ => Ok(false),
        }
    }

    /// Takes back what it published as the leader, before it writes what makes it old.
    pub fn withdraw(&self, name: &str) {
        if let (Some(term), Some(board)) = (self.leads(), self.board()) {
            // Whoever is shown it all the same sees what was true a moment ago.
            let _ = board.withdraw(term, name);
        }
    }

    /// Returns how many changes of stores the board counts, to be published with what is computed next.
    pub fn changes(&self) -> u64 {
        let look = self.board().and_then(|board| board.board().look(u64::MAX).ok());
        look.map_or(u64::MAX, |look| look.changes)
    }

    /// Returns what a leader published last under a name, and whether it is of now: the leader's heart beats, and nobody
    /// has written to stores since.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    pub fn published(&self, name: &str) -> Result<Option<(Figures, bool)>, Error> {
        let follows = *self.shared().life.role() == Role::Following;
        let Some(board) = self.board() else { return Ok(None) };
        let published = board.last_published(name)?;
        Ok(published.map(|(figures, is_of_now)| (figures, is_of_now && follows)))
    }

    /// Tells the others that it wrote to stores, which it does not lead to publish.
    pub fn changed(&self) {
        if let Some(board) = self.board() {
            // Who is not told finds out when it next computes something.
            let _ = board.changed();
        }
    }

    /// Adds to a counter on the board.
    pub fn count(&self, counter: &str, by: u64) {
        if let Some(board) = self.board().filter(|_| by > 0) {
            // Nothing depends on it.
            let _ = board.board().count(counter, by);
        }
    }

    /// Returns the board, while there is one and the isolation allows it.
    pub fn board(&self) -> Option<NoticeBoard> {
        self.shared().board.clone()
    }

    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
        // Without a place the thread waits for commands alone.
        if let Some(waker) = &self.shared().waker {
            waker.wake();
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Runner {
    options: CoordinatorOptions,
    life: Life,
    seat: Option<Seat>,
    lease: Option<Lease>,
    beats: u64,
    /// A leader was heard to end, so its lock is worth a second try.
    lead_heard: bool,
    conflict_counted: bool,
    is_apart: bool,
    /// Everything was found where the others find it, within what is being handled now.
    is_found: bool,
    orders: Receiver<Command>,
    shared: Arc<Mutex<Shared>>,
    tell: Box<dyn FnMut(News) + Send>,
}

/// A place among the members, with all that belongs to it.
struct Seat {
    runtime: RuntimeDir,
    registry: Registry,
    membership: Membership,
    board: Option<NoticeBoard>,
    bell: Bell,
    listener: Listener,
    waker: Waker,
    bell_file: Option<FileId>,
    /// Folders whose coming would make a better place possible.
    better: Vec<PathBuf>,
    passed_over: Vec<String>,
}

impl Seat {
    /// Returns whether all of it is still where the others find it.
    fn is_current(&self) -> bool {
        self.runtime.is_current()
            && self.membership.is_current()
            && self.board.as_ref().is_none_or(NoticeBoard::is_current)
            && self.bell_file.is_some()
            && FileId::at(self.bell.path()) == self.bell_file
            && !self.better.iter().any(|folder| folder.is_dir())
    }
}

impl Runner {
    fn new(
        options: CoordinatorOptions,
        orders: Receiver<Command>,
        tell: Box<dyn FnMut(News) + Send>,
    ) -> Self {
        let who = &options.introduction;
        let mut rhythm = LifeOptions::new(options.accounts.clone());
        rhythm.uses_board = who.isolation.uses_board();
        if options.pace == Pace::Sparing {
            (rhythm.look, rhythm.frozen_after) = (3 * rhythm.look, 3 * rhythm.frozen_after);
        }
        let life = Life::new(rhythm);
        let standing = Standing {
            member: MemberId::of(&who.key, &who.scope),
            member_role: MemberRole::Monitor,
            role: Role::Apart,
            runtime: None,
            passed_over: Vec::new(),
            trouble: None,
            waiting: 0,
        };
        let shared =
            Shared { standing, life: life.clone(), registry: None, board: None, waker: None, queued: 0 };
        Self {
            options,
            life,
            seat: None,
            lease: None,
            beats: 0,
            lead_heard: false,
            conflict_counted: false,
            is_apart: false,
            is_found: false,
            orders,
            shared: Arc::new(Mutex::new(shared)),
            tell,
        }
    }

    fn run(mut self) {
        loop {
            let mut is_idle = true;
            while let Ok(order) = self.orders.try_recv() {
                is_idle = false;
                if !self.obey(order) {
                    return;
                }
            }
            if is_idle && !self.wait() {
                return;
            }
        }
    }

    /// Does what the owner says; `false` ends the thread.
    fn obey(&mut self, order: Command) -> bool {
        match order {
            Command::Post(notice) => {
                self.handle(Input::Post(notice));
                self.shared.lock().unwrap_or_else(PoisonError::into_inner).queued -= 1;
                true
            }
            Command::Stop => {
                self.handle(Input::Stop);
                false
            }
        }
    }

    /// Waits until something is heard or due, and handles it; `false` ends the thread.
    fn wait(&mut self) -> bool {
        let time = self.life.wake_at().saturating_sub(uptime());
        let Some(seat) = &mut self.seat else {
            return match self.orders.recv_timeout(time) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {
                    self.handle(Input::Time);
                    true
                }
                Err(RecvTimeoutError::Disconnected) => self.obey(Command::Stop),
            };
        };
        let heard = seat.listener.wait(time);
        self.hear(heard);
        true
    }

    fn hear(&mut self, heard: Heard) {
        if heard.place_changed && self.seat.as_ref().is_some_and(|seat| !seat.is_current()) {
            return self.handle(Input::PlaceLost);
        }
        if heard.lead_changed {
            self.lead_heard = true;
            self.handle(Input::LeadChanged);
            self.lead_heard = false;
        }
        if heard.members_changed {
            self.take_the_free_place();
            (self.tell)(News::Members);
        }
        if heard.rang || !heard.woken {
            self.handle(if heard.rang { Input::Rang } else { Input::Time });
        }
    }

    /// Lets the life take in what happened and does what it wants, until it wants no more.
    fn handle(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        self.is_found = false;
        while let Some(input) = inputs.pop_front() {
            for output in self.life.step(uptime(), input) {
                inputs.extend(self.perform(output));
            }
        }
        self.show();
    }

    /// Does one thing and returns what came of it.
    fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Join => Some(self.join()),
            Output::Look(cursor) => Some(self.look(cursor)),
            Output::TryLead(seen) => Some(self.try_lead(seen)),
            Output::Beat(term) => Some(self.beat(term)),
            Output::Post(notices) => Some(self.post(&notices)),
            Output::Deliver(notice) => {
                (self.tell)(News::Notice(notice));
                None
            }
            Output::Changed => {
                (self.tell)(News::Changed);
                None
            }
            Output::Samples => {
                (self.tell)(News::Samples);
                None
            }
            Output::Role(role) => {
                (self.tell)(News::Role(role));
                None
            }
            Output::Leave => {
                self.leave();
                None
            }
        }
    }

    fn join(&mut self) -> Input {
        self.leave();
        self.is_found = false;
        match self.take_seat() {
            Ok((seat, newest, beside)) => {
                let generation = seat.board.as_ref().map(|board| board.board().generation());
                let degraded = seat.listener.trouble().map(ToString::to_string);
                let role = seat.membership.role();
                self.seat = Some(seat);
                self.is_apart = false;
                (self.tell)(News::Joined { role, beside });
                self.show_trouble(degraded.clone());
                if let Some(reason) = degraded {
                    (self.tell)(News::Degraded(reason));
                }
                Input::Joined { generation: generation.unwrap_or(session_store::Generation(0)), newest }
            }
            Err(error) => {
                self.show_trouble(Some(error.to_string()));
                // Once is enough for one trouble, however often it is tried.
                if !std::mem::replace(&mut self.is_apart, true) {
                    (self.tell)(News::Apart(error));
                }
                Input::NotJoined
            }
        }
    }

    /// Returns whether its place is still where the others find it; looked at once for all that is due at one moment.
    fn is_in_place(&mut self) -> bool {
        self.is_found = self.is_found || self.seat.as_ref().is_some_and(Seat::is_current);
        self.is_found
    }

    fn take_seat(&mut self) -> Result<(Seat, u64, Option<Box<Member>>), Error> {
        let (runtime, refusals) = RuntimeDir::open_first(&self.options.candidates)?;
        let who = &self.options.introduction;
        let registry = Registry::open(&runtime)?;
        let (membership, beside) = match registry.join(who) {
            Ok(membership) => (membership, None),
            Err(JoinError::Held { by }) => (registry.attach(who)?, by),
            Err(JoinError::Failed(error)) => return Err(error),
        };
        let mut listener = Listener::open(&runtime)?;
        let bell = Bell::open(&runtime)?;
        let (lock, path) = membership.lock();
        let waker = listener.waker(lock, path, &bell);
        let board = if who.isolation.uses_board() { Some(NoticeBoard::open(&runtime)?) } else { None };
        let newest = match &board {
            Some(board) => self.register(board, &membership)?,
            None => 0,
        };
        let missing = refusals.iter().filter(|refusal| refusal.kind() == ErrorKind::Missing);
        let seat = Seat {
            registry,
            membership,
            board,
            bell_file: FileId::at(bell.path()),
            bell,
            listener,
            waker,
            better: missing.filter_map(|refusal| refusal.path().map(Into::into)).collect(),
            passed_over: refusals.iter().map(ToString::to_string).collect(),
            runtime,
        };
        Ok((seat, newest, beside))
    }

    /// Writes itself on the board and returns the number of its newest notice.
    fn register(&mut self, board: &NoticeBoard, membership: &Membership) -> Result<u64, Error> {
        let is_conflict = membership.role() == MemberRole::Viewer && !self.conflict_counted;
        // Nothing depends on these rows, so a board that cannot be written at the moment is good enough.
        let _ = board.board().enter(&BoardMember {
            id: membership.id().as_str().into(),
            accounts: self.options.accounts.iter().map(|account| account.as_str().into()).collect(),
            project: self.options.project.as_ref().map(|folder| folder.to_string_lossy().into()),
            active_at: self.options.introduction.started_at,
        });
        if is_conflict {
            self.conflict_counted = board.board().count(CONFLICTS_RESOLVED, 1).is_ok();
        }
        let end = Cursor { generation: Some(board.board().generation()), seq: u64::MAX };
        Ok(board.since(end)?.newest)
    }

    fn leave(&mut self) {
        self.lease = None;
        // It shares the lock file, which is to be free.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).waker = None;
        if let Some(seat) = self.seat.take()
            && let Some(board) = &seat.board
            && seat.is_current()
        {
            let _ = board.board().leave(seat.membership.id().as_str());
        }
    }

    fn look(&mut self, cursor: Cursor) -> Input {
        if !self.is_in_place() {
            return Input::PlaceLost;
        }
        let Some(seat) = &self.seat else { return Input::PlaceLost };
        let Some(board) = &seat.board else { return Input::Looked(Box::new(nothing(cursor))) };
        match board.since(cursor) {
            Ok(look) => {
                if !look.spooled.is_empty() && self.lease.is_some() {
                    // Who leads tidies up; should the board still be held, the spool stays.
                    let _ = board.import();
                }
                Input::Looked(Box::new(look))
            }
            Err(error) if error.kind() == ErrorKind::Damaged => Input::PlaceLost,
            Err(_) => Input::NotLooked,
        }
    }

    fn try_lead(&mut self, seen: Term) -> Input {
        let Some(seat) = &self.seat else { return Input::LeadHeld };
        let how = if self.lead_heard { Acquire::Within(HANDOVER) } else { Acquire::Immediately };
        let acquired = Lease::acquire(&seat.runtime, seat.membership.id(), how).and_then(|mut lease| {
            lease.raise_above(seen)?;
            Ok(lease)
        });
        match acquired {
            Ok(lease) => {
                let term = lease.term();
                self.lease = Some(lease);
                self.beats = 0;
                Input::Leads(term)
            }
            Err(AcquireError::Held { .. } | AcquireError::Failed(_)) => Input::LeadHeld,
        }
    }

    fn beat(&mut self, term: Term) -> Input {
        let is_in_place = self.is_in_place();
        let (Some(seat), Some(lease)) = (&self.seat, &mut self.lease) else { return Input::PlaceLost };
        let Some(board) = seat.board.as_ref().filter(|_| is_in_place && lease.is_current()) else {
            return Input::PlaceLost;
        };
        match beat(board, lease, term, self.options.introduction.started_at) {
            Ok(term) => {
                if self.beats.is_multiple_of(BEATS_TO_SWEEP) {
                    self.sweep();
                }
                self.beats += 1;
                Input::Beaten(term)
            }
            Err(_) => Input::NotBeaten,
        }
    }

    /// Removes what ended members left behind.
    fn sweep(&mut self) {
        let Some(seat) = &self.seat else { return };
        let ended = seat.registry.sweep().unwrap_or_default();
        for member in &ended {
            if let Some(board) = &seat.board {
                let _ = board.board().leave(member.id.as_str());
            }
        }
        if !ended.is_empty() {
            (self.tell)(News::Ended(ended));
        }
    }

    fn post(&mut self, notices: &[Notice]) -> Input {
        let Some(board) = self.seat.as_ref().and_then(|seat| seat.board.as_ref()) else {
            return Input::NotPosted;
        };
        if !board.is_current() {
            return Input::PlaceLost;
        }
        match board.post(notices) {
            Ok(fates) => {
                let new = fates.iter().filter(|fate| !matches!(fate, crate::Fate::Known(_))).count();
                let _ = board.board().count(NOTICES, new as u64);
                Input::Posted
            }
            Err(_) => Input::NotPosted,
        }
    }

    /// Lets a viewer become the session's monitor when that one has ended.
    fn take_the_free_place(&mut self) {
        let Some(seat) = &mut self.seat else { return };
        if seat.membership.role() != MemberRole::Viewer {
            return;
        }
        if let Ok(membership) = seat.registry.join(&self.options.introduction) {
            let (lock, path) = membership.lock();
            seat.waker = seat.listener.waker(lock, path, &seat.bell);
            seat.membership = membership;
            (self.tell)(News::Joined { role: MemberRole::Monitor, beside: None });
        }
    }

    /// Shows the owner how things stand.
    fn show(&mut self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.life = self.life.clone();
        shared.standing.role = self.life.role().clone();
        shared.standing.waiting = self.life.waiting();
        let seat = self.seat.as_ref();
        shared.standing.runtime = seat.map(|seat| seat.runtime.path().to_owned());
        shared.registry = seat.map(|seat| seat.registry.clone());
        shared.board = seat.and_then(|seat| seat.board.clone());
        shared.waker = seat.map(|seat| seat.waker.clone());
        if let Some(seat) = seat {
            shared.standing.member = seat.membership.id().clone();
            shared.standing.member_role = seat.membership.role();
            shared.standing.passed_over.clone_from(&seat.passed_over);
        }
    }

    fn show_trouble(&self, trouble: Option<String>) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).standing.trouble = trouble;
    }
}

/// Counts a beat; where another term stands on the board, this leader's becomes the greatest.
fn beat(
    board: &NoticeBoard,
    lease: &mut Lease,
    term: Term,
    since: session_store::Timestamp,
) -> Result<Term, Error> {
    let rows = board.board();
    if rows.beat(term.number(), uptime()).map_err(Error::from)? {
        return Ok(term);
    }
    let seen = rows.look(u64::MAX).map_err(Error::from)?.leader.map_or(0, |leader| leader.term);
    lease.raise_above(Term::new(seen))?;
    let term = lease.term();
    rows.lead(term.number(), lease.member().as_str(), since).map_err(Error::from)?;
    Ok(term)
}

/// What a member sees that takes no part in the board.
fn nothing(cursor: Cursor) -> Look {
    let generation = cursor.generation.unwrap_or(session_store::Generation(0));
    let (notices, spooled) = (Vec::new(), Vec::new());
    Look {
        generation,
        leader: None,
        notices,
        spooled,
        newest: cursor.seq,
        changes: 0,
        published: 0,
        samples: 0,
    }
}
