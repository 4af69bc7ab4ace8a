//! The life of members in a simulated world: crashes, freezes, lost and doubled rings, clocks that jump, full disks,
//! a runtime folder that is taken away. One thread, one seed, always the same story.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use session_coordinator::{Cursor, Input, Life, LifeOptions, Look, MemberId, Notice, Output, Role, Term};
use session_store::{BoardBackend, Generation, MemoryBoard, Timestamp};

const MS: u64 = 1000;
const SECOND: u64 = 1000 * MS;
/// Until then things go wrong.
const FAULTS: u64 = 9 * SECOND;
/// Until then they must be right again.
const END: u64 = FAULTS + 6 * SECOND;
/// For how long a leader may believe that it leads although its folder was taken away: two beats, and the look in
/// between that was late.
const BELIEF: u64 = 2500 * MS;
const ACCOUNTS: [&str; 2] = ["a", "b"];

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Post(usize),
    Crash(usize),
    Start(usize),
    /// With the board in its hand, or without.
    Freeze(usize, u64, bool),
    Jump(usize, i64),
    PlaceLost,
    DiskFull(u64),
    /// Rings are lost for a while.
    Deaf(u64),
}

#[derive(Clone)]
struct Story {
    seed: u64,
    members: usize,
    faults: Vec<(u64, Fault)>,
}

/// Numbers that look random (SplitMix64).
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

impl Story {
    fn of(seed: u64) -> Self {
        let mut chance = Chance(seed);
        // Few members make most of the trouble; now and then there is a crowd.
        let members = match chance.below(40) {
            0 => 2 + chance.below(49),
            1..4 => 2 + chance.below(16),
            _ => 2 + chance.below(4),
        } as usize;
        let count = 3 + chance.below(14);
        let mut faults: Vec<_> =
            (0..count).map(|_| (chance.below(FAULTS), Fault::any(&mut chance, members))).collect();
        faults.sort_by_key(|(at, _)| *at);
        Self { seed, members, faults }
    }
}

impl Fault {
    fn any(chance: &mut Chance, members: usize) -> Self {
        let member = chance.below(members as u64) as usize;
        match chance.below(20) {
            0..7 => Self::Post(member),
            7..9 => Self::Crash(member),
            9..11 => Self::Start(member),
            11..15 => Self::Freeze(member, (1 + chance.below(80)) * 100 * MS, chance.one_in(3)),
            15..17 => {
                let far = [31_557_600, 5, 1][chance.below(3) as usize] * SECOND as i64;
                Self::Jump(member, if chance.one_in(2) { far } else { -far })
            }
            17 => Self::PlaceLost,
            18 => Self::DiskFull(chance.below(4000) * MS),
            _ => Self::Deaf(chance.below(3000) * MS),
        }
    }
}

/// A runtime folder, also when no path leads to it any more.
struct Place {
    board: MemoryBoard,
    /// Who holds the lease's lock, and the term written beside it.
    lease: Option<usize>,
    term: u64,
    /// Who froze with the board in its hand.
    writer: Option<usize>,
    spool: Vec<Notice>,
    lost_at: Option<u64>,
}

impl Place {
    fn new(generation: u64) -> Self {
        let board = MemoryBoard::new(Generation(generation));
        Self { board, lease: None, term: 0, writer: None, spool: Vec::new(), lost_at: None }
    }
}

struct Actor {
    life: Option<Life>,
    /// Which life it is; what was meant for an earlier one is forgotten.
    epoch: u32,
    account: &'static str,
    frozen_until: u64,
    last_frozen: u64,
    last_jump: u64,
    /// Microseconds that its clock is ahead.
    ahead: i64,
    place: Option<usize>,
    lease: Option<usize>,
    first_joined: Option<u64>,
    inbox: VecDeque<Input>,
    todo: VecDeque<Output>,
    /// The one run that counts; others were planned before something changed.
    run: u64,
    delivered: Vec<String>,
}

struct Told {
    text: String,
    author: usize,
    epoch: u32,
    account: &'static str,
    accepted_at: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Fault(usize),
    Run(usize, u64),
    Hear(usize, u32, Sound),
    Thaw(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sound {
    Rang,
    LeadChanged,
    PlaceLost,
}

struct World {
    story: Story,
    chance: Chance,
    now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    places: Vec<Place>,
    actors: Vec<Actor>,
    told: Vec<Told>,
    disk_full_until: u64,
    deaf_until: u64,
    losses: Vec<u64>,
    crashes: Vec<u64>,
    trace: Option<Vec<String>>,
}

impl World {
    fn new(story: &Story, traced: bool) -> Self {
        let mut world = Self {
            story: story.clone(),
            chance: Chance(story.seed ^ 0x5eed),
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            places: vec![Place::new(1)],
            actors: Vec::new(),
            told: Vec::new(),
            disk_full_until: 0,
            deaf_until: 0,
            losses: Vec::new(),
            crashes: Vec::new(),
            trace: traced.then(Vec::new),
        };
        for index in 0..story.members {
            let account = ACCOUNTS[usize::from(index % 5 == 4)];
            world.actors.push(Actor::new(account));
            let at = world.chance.below(300 * MS);
            world.start(index, at);
        }
        for (index, (at, _)) in story.faults.iter().enumerate() {
            world.plan(*at, Event::Fault(index));
        }
        world
    }

    fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = format!("{:9.3} ms  {}", self.now as f64 / 1000.0, what(self));
            self.trace.get_or_insert_default().push(line);
        }
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, event)));
    }

    fn current(&self) -> usize {
        self.places.len() - 1
    }

    fn start(&mut self, index: usize, at: u64) {
        let actor = &mut self.actors[index];
        if actor.life.is_none() {
            actor.life = Some(Life::new(LifeOptions::new(vec![actor.account.into()])));
            actor.first_joined = None;
            actor.delivered.clear();
            self.plan_run(index, at);
        }
    }

    fn plan_run(&mut self, index: usize, at: u64) {
        self.actors[index].run += 1;
        let run = self.actors[index].run;
        let at = at.max(self.actors[index].frozen_until);
        self.plan(at, Event::Run(index, run));
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            if at > END {
                break;
            }
            self.now = at;
            match event {
                Event::Fault(number) => self.fault(self.story.faults[number].1),
                Event::Hear(index, epoch, sound) => self.hear(index, epoch, sound),
                Event::Thaw(index) => self.thaw(index),
                Event::Run(index, run) if self.actors[index].run == run => self.act(index),
                Event::Run(..) => {}
            }
            self.check_leaders();
        }
        self.check_end();
    }

    fn fault(&mut self, fault: Fault) {
        self.note(|_| format!("fault {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Post(index) => {
                let text = format!("notice {} of {index}", self.told.len());
                let (epoch, account) = (self.actors[index].epoch, self.actors[index].account);
                if self.actors[index].life.is_some() {
                    let from = MemberId::new(index.to_string());
                    let notice = Notice::message(account.into(), from, Timestamp::MIN, &text);
                    self.told.push(Told { text, author: index, epoch, account, accepted_at: None });
                    self.actors[index].inbox.push_back(Input::Post(notice));
                    self.plan_run(index, now);
                }
            }
            Fault::Crash(index) => self.crash(index),
            Fault::Start(index) => self.start(index, now),
            Fault::Freeze(index, time, holding) => {
                let actor = &mut self.actors[index];
                if actor.life.is_none() || actor.frozen_until > now {
                    return;
                }
                actor.last_frozen = now;
                actor.frozen_until = (now + time).min(FAULTS);
                let (until, place) = (actor.frozen_until, actor.place);
                if let Some(place) = place.filter(|_| holding)
                    && self.places[place].writer.is_none()
                {
                    self.places[place].writer = Some(index);
                }
                self.plan(until, Event::Thaw(index));
                self.plan_run(index, until);
            }
            Fault::Jump(index, by) => {
                let actor = &mut self.actors[index];
                actor.ahead += by;
                actor.last_jump = now;
            }
            Fault::PlaceLost => {
                let lost = self.current();
                self.places[lost].lost_at = Some(now);
                self.losses.push(now);
                self.places.push(Place::new(lost as u64 + 2));
                self.sound(lost, Sound::PlaceLost);
            }
            Fault::DiskFull(time) => self.disk_full_until = (now + time).min(FAULTS),
            Fault::Deaf(time) => self.deaf_until = (now + time).min(FAULTS),
        }
    }

    fn crash(&mut self, index: usize) {
        let actor = &mut self.actors[index];
        if actor.life.take().is_none() {
            return;
        }
        actor.epoch += 1;
        actor.run += 1;
        actor.frozen_until = 0;
        (actor.inbox, actor.todo) = Default::default();
        (actor.place, actor.ahead) = (None, 0);
        self.crashes.push(self.now);
        self.release(index);
        self.put_down(index);
    }

    /// Ends what a process does with the board, as its death or waking does.
    fn put_down(&mut self, index: usize) {
        for place in &mut self.places {
            place.writer = place.writer.filter(|writer| *writer != index);
        }
    }

    fn release(&mut self, index: usize) {
        if let Some(place) = self.actors[index].lease.take() {
            self.places[place].lease = None;
            self.sound(place, Sound::LeadChanged);
        }
    }

    /// Lets everybody at a place hear something: late, twice or never.
    fn sound(&mut self, place: usize, sound: Sound) {
        let deaf = self.now < self.deaf_until;
        for index in 0..self.actors.len() {
            let (here, epoch) = (self.actors[index].place == Some(place), self.actors[index].epoch);
            if !here || deaf || self.chance.one_in(20) {
                continue;
            }
            for _ in 0..=u32::from(self.chance.one_in(30)) {
                let spread = if self.chance.one_in(10) { 60 * MS } else { 2 * MS };
                let at = self.now + self.chance.below(spread);
                self.plan(at, Event::Hear(index, epoch, sound));
            }
        }
    }

    fn hear(&mut self, index: usize, epoch: u32, sound: Sound) {
        let actor = &mut self.actors[index];
        if actor.epoch != epoch || actor.life.is_none() {
            return;
        }
        actor.inbox.push_back(match sound {
            Sound::Rang => Input::Rang,
            Sound::LeadChanged => Input::LeadChanged,
            // The runner looks itself before it believes it.
            Sound::PlaceLost if actor.place == Some(self.places.len() - 1) => Input::Rang,
            Sound::PlaceLost => Input::PlaceLost,
        });
        if actor.todo.is_empty() {
            self.plan_run(index, self.now);
        }
    }

    fn thaw(&mut self, index: usize) {
        // It may have died in its sleep.
        if self.actors[index].frozen_until != self.now {
            return;
        }
        self.put_down(index);
        let (since, place) = (self.actors[index].last_frozen, self.current());
        let calm_since = self.now.saturating_sub(4 * SECOND);
        let leader_was_frozen = self.actors[index].lease == Some(place) && self.actors[index].life.is_some();
        if !leader_was_frozen || since > calm_since || self.losses.iter().any(|at| *at > calm_since) {
            return;
        }
        for actor in &self.actors {
            let awake = actor.last_frozen < calm_since
                && actor.frozen_until < calm_since
                && actor.last_jump < calm_since
                && actor.first_joined.is_some_and(|at| at < calm_since)
                && actor.place == Some(place)
                && actor.lease.is_none();
            if let Some(life) = actor.life.as_ref().filter(|_| awake) {
                assert_eq!(life.role(), &Role::SelfServing, "a frozen leader is noticed within four seconds");
            }
        }
    }

    fn clock(&self, index: usize) -> Duration {
        let base = 10 * 365 * 86_400 * SECOND;
        Duration::from_micros((base + self.now).saturating_add_signed(self.actors[index].ahead))
    }

    /// Does the next thing that a member has to do.
    fn act(&mut self, index: usize) {
        if self.actors[index].life.is_none() {
            return;
        }
        if self.actors[index].frozen_until > self.now {
            return self.plan_run(index, 0);
        }
        let mut cost = self.chance.below(300);
        if let Some(output) = self.actors[index].todo.pop_front() {
            self.note(|_| format!("{index} does {output:?}"));
            let (answer, waited) = self.perform(index, output);
            cost += waited;
            if let Some(answer) = answer {
                self.step(index, answer);
            }
        } else {
            let input = self.actors[index].inbox.pop_front().unwrap_or(Input::Time);
            self.step(index, input);
        }
        if self.chance.one_in(200) {
            cost += self.chance.below(40 * MS);
        }
        let actor = &self.actors[index];
        let Some(life) = &actor.life else { return };
        let is_idle = actor.todo.is_empty() && actor.inbox.is_empty();
        let wait = life.wake_at().saturating_sub(self.clock(index)).as_micros() as u64;
        self.plan_run(index, self.now + cost + if is_idle { wait } else { 0 });
    }

    fn step(&mut self, index: usize, input: Input) {
        let now = self.clock(index);
        self.note(|_| format!("{index} takes {input:?}"));
        let actor = &mut self.actors[index];
        if let Some(life) = &mut actor.life {
            actor.todo.extend(life.step(now, input));
        }
    }

    /// Does one thing to the world; returns what came of it and how long it took.
    fn perform(&mut self, index: usize, output: Output) -> (Option<Input>, u64) {
        let here = self.current();
        let is_here = self.actors[index].place == Some(here);
        let is_full = self.now < self.disk_full_until;
        let is_held = self.places[here].writer.is_some_and(|writer| writer != index);
        match output {
            Output::Join => {
                self.release(index);
                if is_full && self.chance.one_in(2) {
                    return (Some(Input::NotJoined), 0);
                }
                let actor = &mut self.actors[index];
                actor.place = Some(here);
                actor.first_joined.get_or_insert(self.now);
                let look = self.places[here].board.look(u64::MAX).unwrap();
                let generation = self.places[here].board.generation();
                (Some(Input::Joined { generation, newest: look.newest }), MS)
            }
            Output::Look(_) | Output::Beat(_) | Output::Post(_) if !is_here => {
                if let Output::Post(notices) = &output
                    && let Some(place) = self.actors[index].place
                    && self.places[place].lost_at.is_some_and(|at| self.now < at + 5 * MS)
                {
                    // It had looked, and then the folder went.
                    self.places[place].board.post(&rows(notices)).unwrap();
                    return (Some(Input::Posted), 0);
                }
                (Some(Input::PlaceLost), 0)
            }
            Output::Look(cursor) => (Some(Input::Looked(Box::new(self.look(here, cursor)))), 0),
            Output::TryLead(seen) => (Some(self.try_lead(index, here, seen, is_full)), 0),
            Output::Beat(_) if self.actors[index].lease != Some(here) => (Some(Input::PlaceLost), 0),
            Output::Beat(_) if is_full => (Some(Input::NotBeaten), 0),
            Output::Beat(_) if is_held => (Some(Input::NotBeaten), 250 * MS),
            Output::Beat(term) => (Some(self.beat(here, term)), 0),
            Output::Post(_) if is_full => (Some(Input::NotPosted), if is_held { 250 * MS } else { 0 }),
            Output::Post(notices) => {
                let waited = if is_held {
                    self.places[here].spool.extend(notices.iter().cloned());
                    250 * MS
                } else {
                    let place = &mut self.places[here];
                    let spooled = std::mem::take(&mut place.spool);
                    place.board.post(&rows(&spooled)).unwrap();
                    place.board.post(&rows(&notices)).unwrap();
                    0
                };
                for notice in &notices {
                    let told =
                        self.told.iter_mut().find(|told| *told.text == *notice.text).expect("not invented");
                    told.accepted_at.get_or_insert(self.now);
                }
                self.sound(here, Sound::Rang);
                (Some(Input::Posted), waited)
            }
            Output::Deliver(notice) => {
                self.deliver(index, &notice);
                (None, 0)
            }
            _ => (None, 0),
        }
    }

    fn look(&self, here: usize, cursor: Cursor) -> Look {
        let place = &self.places[here];
        let generation = place.board.generation();
        let after = if cursor.generation == Some(generation) { cursor.seq } else { 0 };
        let look = place.board.look(after).unwrap();
        let notice = |row: &session_store::BoardNotice| {
            let from = MemberId::new(row.from.clone());
            Notice::message(session_coordinator::AccountId::new(row.account.clone()), from, row.at, &row.text)
        };
        Look {
            generation,
            leader: look.leader,
            notices: look.notices.iter().map(|(seq, row)| (*seq, notice(row))).collect(),
            spooled: place.spool.clone(),
            newest: look.newest,
            changes: look.changes,
            published: look.published,
            samples: look.samples,
        }
    }

    fn try_lead(&mut self, index: usize, here: usize, seen: Term, is_full: bool) -> Input {
        if self.places[here].lease.is_some() || is_full && self.chance.one_in(2) {
            return Input::LeadHeld;
        }
        // A lease of a folder that is gone is given up by taking another.
        self.release(index);
        let place = &mut self.places[here];
        place.term = place.term.max(seen.number()) + 1;
        place.lease = Some(index);
        self.actors[index].lease = Some(here);
        Input::Leads(Term::new(self.places[here].term))
    }

    fn beat(&mut self, here: usize, term: Term) -> Input {
        let place = &mut self.places[here];
        if place.board.beat(term.number(), Duration::ZERO).unwrap() {
            return Input::Beaten(term);
        }
        let seen = place.board.look(u64::MAX).unwrap().leader.map_or(0, |leader| leader.term);
        place.term = place.term.max(seen + 1);
        assert!(place.board.lead(place.term, "leader", Timestamp::MIN).unwrap());
        Input::Beaten(Term::new(place.term))
    }

    fn deliver(&mut self, index: usize, notice: &Notice) {
        let told = self.told.iter().find(|told| *told.text == *notice.text).expect("no notice is invented");
        let actor = &mut self.actors[index];
        assert_eq!(told.account, actor.account, "no notice of another account is shown");
        assert!(
            told.author != index || told.epoch != actor.epoch,
            "nobody is told what it told itself: {}",
            told.text
        );
        assert!(!actor.delivered.contains(&told.text), "{index} was told twice: {}", told.text);
        actor.delivered.push(told.text.clone());
    }

    /// At most one leads, and is sure of it, in a folder; one of a folder that is gone learns it soon.
    fn check_leaders(&self) {
        let here = self.current();
        let mut leaders = 0;
        for (index, actor) in self.actors.iter().enumerate() {
            let Some(life) = actor.life.as_ref().filter(|_| actor.frozen_until <= self.now) else { continue };
            if life.leads_at(self.clock(index)).is_none() {
                continue;
            }
            let place = actor.lease.expect("who believes that it leads holds a lease");
            assert_eq!(self.places[place].lease, Some(index));
            if place == here {
                leaders += 1;
            } else {
                let lost_at = self.places[place].lost_at.expect("it is gone");
                // Whose clock went back in its sleep knows nothing of the time until its next step.
                let has_jumped = actor.last_jump + 3 * SECOND > lost_at
                    || actor.last_jump > 0 && actor.last_jump >= actor.last_frozen;
                assert!(self.now < lost_at + BELIEF || has_jumped, "{index} still leads where nobody is");
            }
        }
        assert!(leaders <= 1, "{leaders} lead");
    }

    fn check_end(&self) {
        self.check_leader_was_found();
        for told in &self.told {
            let Some(accepted_at) = told.accepted_at else {
                let actor = &self.actors[told.author];
                assert!(actor.epoch != told.epoch, "{} was never accepted", told.text);
                continue;
            };
            // Known to none but those who died, and on a board that was taken away.
            let near =
                |crash: &u64, loss: u64| loss >= accepted_at.min(*crash) && crash.abs_diff(loss) < 8 * SECOND;
            let may_be_lost = self.losses.iter().any(|loss| {
                *loss + 5 * MS >= accepted_at && self.crashes.iter().any(|crash| near(crash, *loss))
            });
            if may_be_lost {
                continue;
            }
            for (index, actor) in self.actors.iter().enumerate() {
                let is_author = index == told.author && actor.epoch == told.epoch;
                let was_here = actor.first_joined.is_some_and(|at| at < accepted_at);
                if actor.life.is_some() && was_here && !is_author && actor.account == told.account {
                    assert!(actor.delivered.contains(&told.text), "{index} was not told: {}", told.text);
                }
            }
        }
        if self.losses.is_empty() {
            self.check_order();
        }
    }

    fn check_leader_was_found(&self) {
        let living = || self.actors.iter().filter(|actor| actor.life.is_some());
        let roles: Vec<&Role> = living().filter_map(|actor| Some(actor.life.as_ref()?.role())).collect();
        let leaders = roles.iter().filter(|role| matches!(role, Role::Leading(_))).count();
        assert_eq!(leaders, usize::from(!roles.is_empty()), "one leads in the end: {roles:?}");
        let followers = roles.iter().filter(|role| matches!(role, Role::Following)).count();
        assert_eq!(leaders + followers, roles.len(), "all others follow: {roles:?}");
        assert!(living().all(|actor| actor.place == Some(self.current())), "all have found each other");
        let waiting = living().filter_map(|actor| Some(actor.life.as_ref()?.waiting())).sum::<usize>();
        assert_eq!(waiting, 0, "nothing is left untold");
    }

    /// What one member told is heard in the order it was told.
    fn check_order(&self) {
        for actor in &self.actors {
            for author in 0..self.actors.len() {
                let place_of = |text: &String| self.told.iter().position(|told| told.text == *text);
                let of_author = |place: &usize| self.told[*place].author == author;
                let heard: Vec<usize> =
                    actor.delivered.iter().filter_map(place_of).filter(of_author).collect();
                assert!(heard.is_sorted(), "told out of order: {:?}", actor.delivered);
            }
        }
    }
}

impl Actor {
    fn new(account: &'static str) -> Self {
        Self {
            life: None,
            epoch: 0,
            account,
            frozen_until: 0,
            last_frozen: 0,
            last_jump: 0,
            ahead: 0,
            place: None,
            lease: None,
            first_joined: None,
            inbox: VecDeque::new(),
            todo: VecDeque::new(),
            run: 0,
            delivered: Vec::new(),
        }
    }
}

fn rows(notices: &[Notice]) -> Vec<session_store::BoardNotice> {
    notices
        .iter()
        .map(|notice| session_store::BoardNotice {
            dedup: notice.dedup.clone(),
            account: notice.account.as_str().into(),
            from: notice.from.as_str().into(),
            at: notice.at,
            text: notice.text.clone(),
            ..Default::default()
        })
        .collect()
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} members", self.seed, self.members)?;
        self.faults
            .iter()
            .try_for_each(|(at, fault)| writeln!(f, "{:9.3} ms  {fault:?}", *at as f64 / 1000.0))
    }
}

/// Tells a story; returns what was wrong with it.
fn failure_of(story: &Story) -> Option<String> {
    let told = catch_unwind(AssertUnwindSafe(|| World::new(story, false).run()));
    told.err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}

/// Takes away all that a failure does not need.
fn minimal(mut story: Story) -> Story {
    loop {
        let shorter = (0..story.faults.len()).find_map(|index| {
            let mut shorter = story.clone();
            shorter.faults.remove(index);
            failure_of(&shorter).map(|_| shorter)
        });
        match shorter {
            Some(shorter) => story = shorter,
            None => return story,
        }
    }
}

fn fail(seed: u64) -> ! {
    let story = minimal(Story::of(seed));
    let mut world = World::new(&story, true);
    let wrong = catch_unwind(AssertUnwindSafe(|| world.run())).err();
    let trace = world.trace.take().unwrap_or_default();
    let last = trace.iter().skip(trace.len().saturating_sub(120)).cloned().collect::<Vec<_>>();
    let wrong = wrong.and_then(|it| it.downcast::<String>().ok());
    panic!("{story}\n{}\n{wrong:?}", last.join("\n"));
}

#[test]
fn whatever_happens_members_find_and_tell_each_other() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().expect("a number"))
    };
    let begin = number("SESSION_COORDINATOR_SEED", 0);
    let seeds = number("SESSION_COORDINATOR_SEEDS", 10_000);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get() as u64);
    let failed: HashSet<u64> = std::thread::scope(|scope| {
        let find = |thread: u64| {
            let mut mine = (begin..begin + seeds).filter(move |seed| seed % threads == thread);
            mine.find(|seed| failure_of(&Story::of(*seed)).is_some())
        };
        let searches: Vec<_> = (0..threads).map(|thread| scope.spawn(move || find(thread))).collect();
        searches.into_iter().filter_map(|search| search.join().unwrap()).collect()
    });
    if let Some(seed) = failed.into_iter().min() {
        fail(seed);
    }
}
