//! The thread of a member: it sleeps until something is heard or due, asks its life what to do, and does it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use session_store::BoardMember;

use super::{CONFLICTS_RESOLVED, Command, CoordinatorOptions, News, Pace, Shared, Standing};
use crate::bell::{Bell, Heard, Listener, Waker};
use crate::board::{Cursor, Look, NoticeBoard};
use crate::clock::uptime;
use crate::error::{Error, ErrorKind};
use crate::lease::{Acquire, AcquireError, Lease, Term};
use crate::life::{Input, Life, LifeOptions, Output, Role};
use crate::notice::Notice;
use crate::registry::{JoinError, Member, MemberId, MemberRole, Membership, Registry};
use crate::runtime::{FileId, RuntimeDir};

/// How long the lock of a leader that was heard to end is tried: the system tells of the end a moment before it.
const HANDOVER: Duration = Duration::from_millis(40);
/// After how many beats the leader sweeps up: about once a minute.
const BEATS_TO_SWEEP: u64 = 100;

pub(super) struct Runner {
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
    pub(super) shared: Arc<Mutex<Shared>>,
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
    pub(super) fn new(
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

    pub(super) fn run(mut self) {
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
    pub(super) fn handle(&mut self, input: Input) {
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
            project: self.options.introduction.folder.as_ref().map(|folder| folder.to_string_lossy().into()),
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
            Ok(_) => Input::Posted,
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
