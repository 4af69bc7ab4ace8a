//! A member's life as a state machine without I/O: what it knows, what it wants done next, when it wants to be woken.
//!
//! [`Life::step`] takes the time and one thing that happened and returns what is to be done. The runner does it against
//! the system, the simulator against a model of it; every promise about crashes, freezes and clocks is kept here.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use session_store::Generation;

use crate::account::AccountId;
use crate::board::{Cursor, Look};
use crate::lease::Term;
use crate::notice::Notice;

/// How many notices a member remembers, to know them again and to bring them to a board that is new.
const REMEMBERED: usize = 1024;
/// How many of these it brings to a new board.
const BROUGHT: usize = 128;

/// The rhythm of a life, and what it takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifeOptions {
    /// The accounts whose notices are wanted; those of others are passed over.
    pub accounts: Vec<AccountId>,
    /// Whether it takes part in the board at all, or is merely present.
    pub uses_board: bool,
    /// How often the leader's heart beats. Default: 600 ms.
    pub beat: Duration,
    /// After how long without a beat the leader counts as frozen. Default: 1.8 s.
    pub frozen_after: Duration,
    /// How often a member looks although nothing was heard. Default: 1 s.
    pub look: Duration,
    /// How long after a failure the same is tried again. Default: 250 ms.
    pub retry: Duration,
}

impl LifeOptions {
    /// Makes the ordinary options for some accounts.
    pub fn new(accounts: Vec<AccountId>) -> Self {
        Self {
            accounts,
            uses_board: true,
            beat: Duration::from_millis(600),
            frozen_after: Duration::from_millis(1800),
            look: Duration::from_secs(1),
            retry: Duration::from_millis(250),
        }
    }
}

/// What a member does beside its own session's work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It has not joined, or lost its place and is about to join again; it works for itself.
    Apart,
    /// It is present and shares nothing else.
    Isolated,
    /// Another one leads.
    Following,
    /// Another one holds the lead and is frozen: this one works for itself meanwhile.
    SelfServing,
    /// It leads.
    Leading(Term),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// Nothing but that time passed.
    Time,
    /// The bell rang.
    Rang,
    /// The leader may have ended.
    LeadChanged,
    /// The runtime folder, or something in it, was taken away.
    PlaceLost,
    /// [`Output::Join`] was done: on this board, whose newest notice has this number.
    Joined {
        /// The board.
        generation: Generation,
        /// Its newest notice.
        newest: u64,
    },
    /// [`Output::Join`] failed.
    NotJoined,
    /// [`Output::Look`] was done.
    Looked(Box<Look>),
    /// [`Output::Look`] failed for now.
    NotLooked,
    /// [`Output::TryLead`] was done: the lease is held.
    Leads(Term),
    /// [`Output::TryLead`] was done in vain: another one holds the lease, or it could not be tried.
    LeadHeld,
    /// [`Output::Beat`] was done, under this term.
    Beaten(Term),
    /// [`Output::Beat`] failed for now.
    NotBeaten,
    /// The caller wants to tell the others something.
    Post(Notice),
    /// [`Output::Post`] was done.
    Posted,
    /// [`Output::Post`] failed for now; nothing of it was kept.
    NotPosted,
    /// The member is to leave.
    Stop,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Give up what is held and take a place among the members, on a new board where the old is gone.
    Join,
    /// Look at the board after a cursor, having made sure that place, lock and board are those that were joined.
    Look(Cursor),
    /// Try to acquire the lease, with a term above this one.
    TryLead(Term),
    /// Beat the leader's heart, having made sure that the lease is current.
    Beat(Term),
    /// Post notices in this order.
    Post(Vec<Notice>),
    /// Show a notice of another member.
    Deliver(Notice),
    /// Look at the stores, or at what the leader published: other members wrote.
    Changed,
    /// Look at the samples of limits on the board.
    Samples,
    /// The role has changed.
    Role(Role),
    /// Give up the lease, if held, and the place.
    Leave,
}

/// A member's life.
///
/// ```
/// use session_coordinator::{Input, Life, LifeOptions, Output, Role};
/// use session_store::Generation;
/// use std::time::Duration;
/// let mut life = Life::new(LifeOptions::new(vec!["account".into()]));
/// let now = Duration::from_secs(100);
/// assert_eq!(life.step(now, Input::Time), [Output::Join]);
/// let joined = Input::Joined { generation: Generation(1), newest: 0 };
/// let todo = life.step(now, joined);
/// assert!(todo.iter().any(|it| matches!(it, Output::TryLead(_))));
/// life.step(now, Input::LeadHeld);
/// assert_eq!(life.role(), &Role::Following);
/// assert!(life.wake_at() <= now + Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct Life {
    options: LifeOptions,
    role: Role,
    time: Time,
    /// The place on a board, while there is one.
    place: Option<Cursor>,
    joined_at: Duration,
    /// The last board, to know whether the next is another.
    last_board: Option<Generation>,
    /// The newest terms seen on any board.
    term_seen: Term,
    heart: Heart,
    /// How often was written, published and told of limits, as last seen.
    counted: Option<[u64; 3]>,
    /// What was asked for and not answered yet.
    asked: Asked,
    due: Due,
    memory: Memory,
    /// Notices that are not on a board yet, oldest first.
    outbox: VecDeque<Notice>,
    /// Until when a leader may believe that it leads.
    sure_until: Duration,
}

/// The time that passes for a member: never backwards, whatever its clock does.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    raw: Duration,
    passed: Duration,
}

/// What was last seen of the leader's heart.
#[derive(Clone, Debug, Default)]
struct Heart {
    last: Option<(u64, u64)>,
    seen_at: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    join: bool,
    look: bool,
    lead: bool,
    beat: bool,
    /// How many notices of the outbox are being posted.
    post: usize,
    /// Something was heard while a look was under way, which may not have seen it.
    look_again: bool,
}

/// When to do what next.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    join: Duration,
    look: Duration,
    beat: Duration,
    post: Duration,
}

/// The notices a member knows, oldest first.
#[derive(Clone, Debug, Default)]
struct Memory {
    order: VecDeque<Notice>,
    known: HashSet<Arc<str>>,
}

impl Memory {
    /// Remembers a notice; `false` where it was known.
    fn take(&mut self, notice: &Notice) -> bool {
        if !self.known.insert(notice.dedup.clone()) {
            return false;
        }
        self.order.push_back(notice.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest.dedup);
        }
        true
    }
}

impl Life {
    /// Begins a life; the first step asks to join.
    pub fn new(options: LifeOptions) -> Self {
        Self {
            options,
            role: Role::Apart,
            time: Time::default(),
            place: None,
            joined_at: Duration::ZERO,
            last_board: None,
            term_seen: Term::default(),
            heart: Heart::default(),
            counted: None,
            asked: Asked::default(),
            due: Due::default(),
            memory: Memory::default(),
            outbox: VecDeque::new(),
            sure_until: Duration::ZERO,
        }
    }

    /// Returns what the member does beside its own session's work.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Returns how many notices of its own are not on a board yet.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Returns the term under which the member may do a leader's work at a moment of its clock.
    ///
    /// A leader that has not beaten for a while, because it was frozen or the board cannot be written, does not know
    /// whether it still leads.
    pub fn leads_at(&self, now: Duration) -> Option<Term> {
        match self.role {
            // A clock that went back says nothing.
            Role::Leading(term) if self.time.raw <= now && self.time.after(now) < self.sure_until => {
                Some(term)
            }
            _ => None,
        }
    }

    /// Returns when to step again at the latest, by the clock whose time the last step was given.
    pub fn wake_at(&self) -> Duration {
        let Due { join, look, beat, post } = self.due;
        let passed = if self.place.is_none() {
            join
        } else {
            let mut next = look;
            if let Role::Leading(_) = self.role {
                next = next.min(beat);
            } else if self.role == Role::Following {
                next = next.min(self.heart.seen_at + self.options.frozen_after);
            }
            if self.outbox.is_empty() { next } else { next.min(post) }
        };
        self.time.raw + passed.saturating_sub(self.time.passed)
    }

    /// Takes in what happened at a moment and returns what to do, in order.
    ///
    /// `now` is the time of a clock that counts sleep, such as Linux's boot time; should it jump all the same,
    /// nothing worse happens than something being done early once.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Output> {
        let role = self.role.clone();
        self.pass(now);
        let mut outputs = Vec::new();
        if self.take(input, &mut outputs) {
            self.plan(&mut outputs);
        }
        if self.role != role {
            outputs.push(Output::Role(self.role.clone()));
        }
        outputs
    }

    /// Lets time pass. Who has slept through a beat cannot say who else has.
    fn pass(&mut self, now: Duration) {
        let passed = self.time.after(now);
        if passed - self.time.passed > self.options.look + self.options.retry {
            self.heart.seen_at = passed;
        }
        if now < self.time.raw {
            // How long that was nobody knows: nothing is sure until it was looked at.
            self.sure_until = passed;
            self.due.look = self.due.look.min(passed);
            self.due.beat = self.due.beat.min(passed);
        }
        self.time = Time { raw: now, passed };
    }

    /// Takes in what happened; `false` ends the life.
    fn take(&mut self, input: Input, outputs: &mut Vec<Output>) -> bool {
        let now = self.time.passed;
        match input {
            Input::Time => {}
            Input::Rang if self.asked.look => self.asked.look_again = true,
            Input::Rang => self.due.look = now,
            Input::LeadChanged => self.try_lead(outputs),
            Input::PlaceLost => self.lose_place(),
            Input::Joined { generation, newest } => self.settle(generation, newest, outputs),
            Input::NotJoined => {
                self.asked.join = false;
                self.due.join = now + self.options.retry;
            }
            Input::Looked(look) => self.see(*look, outputs),
            Input::NotLooked => {
                self.asked.look = false;
                self.due.look = now + self.options.retry;
            }
            Input::Leads(term) if self.place.is_some() => {
                self.asked.lead = false;
                self.term_seen = self.term_seen.max(term);
                self.role = Role::Leading(term);
                self.due.beat = now;
            }
            // It was asked for before the place was lost, and is given up by joining anew.
            Input::Leads(_) | Input::LeadHeld => {
                self.asked.lead = false;
                self.follow();
            }
            Input::Beaten(term) => self.beaten(term),
            Input::NotBeaten => {
                self.asked.beat = false;
                self.due.beat = now + self.options.retry;
            }
            Input::Post(notice) => {
                // What is known already was told by another one.
                if self.memory.take(&notice) {
                    self.outbox.push_back(notice);
                    self.due.post = now;
                }
            }
            Input::Posted => {
                self.outbox.drain(..self.asked.post.min(self.outbox.len()));
                self.asked.post = 0;
                self.due.post = now;
            }
            Input::NotPosted => {
                self.asked.post = 0;
                self.due.post = now + self.options.retry;
            }
            Input::Stop => {
                if self.place.is_some() && self.options.uses_board && !self.outbox.is_empty() {
                    outputs.push(Output::Post(self.outbox.drain(..).collect()));
                }
                self.role = Role::Apart;
                outputs.push(Output::Leave);
                return false;
            }
        }
        true
    }

    /// Asks for what is due.
    fn plan(&mut self, outputs: &mut Vec<Output>) {
        let now = self.time.passed;
        let Some(cursor) = self.place else {
            if !self.asked.join && self.due.join <= now {
                self.asked.join = true;
                outputs.push(Output::Join);
            }
            return;
        };
        if self.role == Role::Following && self.heart.seen_at + self.options.frozen_after <= now {
            self.role = Role::SelfServing;
        }
        if let Role::Leading(term) = self.role
            && !self.asked.beat
            && self.due.beat <= now
        {
            self.asked.beat = true;
            outputs.push(Output::Beat(term));
            // A look that would be due before the next beat is made now: waking up costs more than either.
            if self.due.look <= now + self.options.beat {
                self.due.look = now;
            }
        }
        if !self.asked.look && self.due.look <= now {
            self.asked.look = true;
            outputs.push(Output::Look(cursor));
            // The end of a leader is heard; should it not be, this finds out.
            self.try_lead(outputs);
        }
        if self.options.uses_board && self.asked.post == 0 && !self.outbox.is_empty() && self.due.post <= now
        {
            self.asked.post = self.outbox.len();
            outputs.push(Output::Post(self.outbox.iter().cloned().collect()));
        }
    }

    fn try_lead(&mut self, outputs: &mut Vec<Output>) {
        let may = self.place.is_some() && self.options.uses_board && !self.asked.lead;
        if may && !matches!(self.role, Role::Leading(_)) {
            self.asked.lead = true;
            outputs.push(Output::TryLead(self.term_seen));
        }
    }

    fn lose_place(&mut self) {
        self.place = None;
        self.role = Role::Apart;
        // A place that is lost again at once, for whatever reason, is not fought for.
        self.due.join = self.time.passed.max(self.joined_at + self.options.retry);
        // An answer to what was asked at the old place may still come; it is taken for what it says.
        self.asked.beat = false;
        self.asked.look = false;
        self.asked.post = 0;
    }

    fn settle(&mut self, generation: Generation, newest: u64, outputs: &mut Vec<Output>) {
        let now = self.time.passed;
        self.asked = Asked::default();
        let seq = match self.last_board {
            // The first time, what came before is for the caller to look up.
            None => newest,
            // The same board: what was missed is there. Another one: everything on it may be news.
            Some(_) => self.place_on(generation),
        };
        self.last_board = Some(generation);
        self.place = Some(Cursor { generation: Some(generation), seq });
        self.joined_at = now;
        self.heart = Heart { last: None, seen_at: now };
        self.counted = None;
        self.due = Due { join: now, look: now, beat: now, post: now };
        self.role = if self.options.uses_board { Role::Following } else { Role::Isolated };
        self.try_lead(outputs);
    }

    /// Returns where to begin reading, and has the outbox hold what a new board does not know.
    fn place_on(&mut self, generation: Generation) -> u64 {
        if self.last_board != Some(generation) {
            let unposted: HashSet<_> = self.outbox.iter().map(|notice| notice.dedup.clone()).collect();
            let known = self.memory.order.iter().filter(|notice| !unposted.contains(&notice.dedup));
            let skipped = known.clone().count().saturating_sub(BROUGHT);
            let mut brought: VecDeque<Notice> = known.skip(skipped).cloned().collect();
            brought.append(&mut self.outbox);
            self.outbox = brought;
        }
        // What is known is not delivered again, so beginning at the start costs nothing but the reading.
        0
    }

    fn see(&mut self, look: Look, outputs: &mut Vec<Output>) {
        let now = self.time.passed;
        self.asked.look = false;
        let leads = matches!(self.role, Role::Leading(_));
        // What it sees it shows to all the others, so it looks with each beat.
        self.due.look =
            now + if leads { self.options.beat.min(self.options.look) } else { self.options.look };
        if std::mem::take(&mut self.asked.look_again) {
            self.due.look = now;
        }
        let Some(place) = &mut self.place else { return };
        if self.options.uses_board && place.generation != Some(look.generation) {
            return self.lose_place();
        }
        place.seq = place.seq.max(look.newest);
        let counted = [look.changes, look.published, look.samples];
        if let Some(before) = self.counted.replace(counted) {
            let [changes, published, samples] = [0, 1, 2].map(|it| before[it] != counted[it]);
            if changes || published && !leads {
                outputs.push(Output::Changed);
            }
            if samples {
                outputs.push(Output::Samples);
            }
        }
        let numbered = look.notices.into_iter().map(|(_, notice)| notice);
        for notice in numbered.chain(look.spooled) {
            // Its own it knows since it posted them.
            if self.memory.take(&notice) && self.options.accounts.contains(&notice.account) {
                outputs.push(Output::Deliver(notice));
            }
        }
        if let Some(leader) = look.leader {
            self.term_seen = self.term_seen.max(Term::new(leader.term));
            let beat = (leader.term, leader.beats);
            if self.heart.last != Some(beat) {
                self.heart = Heart { last: Some(beat), seen_at: now };
                if self.role == Role::SelfServing {
                    self.role = Role::Following;
                }
            }
        }
    }

    fn follow(&mut self) {
        if matches!(self.role, Role::Leading(_)) && self.place.is_some() {
            self.role = Role::Following;
            self.heart.seen_at = self.time.passed;
        }
    }

    fn beaten(&mut self, term: Term) {
        self.asked.beat = false;
        if let Role::Leading(_) = self.role {
            self.role = Role::Leading(term);
            self.term_seen = self.term_seen.max(term);
            self.due.beat = self.time.passed + self.options.beat;
            self.sure_until = self.time.passed + 2 * self.options.beat;
        }
    }
}

impl Time {
    fn after(self, now: Duration) -> Duration {
        self.passed + now.saturating_sub(self.raw)
    }
}
