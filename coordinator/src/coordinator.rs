//! A member at work: what its owner may ask of it, and what it tells.

mod runner;

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use session_store::Figures;

use crate::account::AccountId;
use crate::bell::Waker;
use crate::board::NoticeBoard;
use crate::clock::uptime;
use crate::error::{Error, ErrorKind};
use crate::lease::Term;
use crate::life::{Input, Life, Role};
use crate::notice::Notice;
use crate::registry::{Introduction, Member, MemberId, MemberRole, Registry};
use crate::runtime::Candidate;
use runner::Runner;

/// Counts second monitors that became viewers.
pub const CONFLICTS_RESOLVED: &str = "conflicts_resolved";
/// Counts work that one member did for others, such as a source read or a folder watched once for all.
pub const RESOURCES_SHARED: &str = "resources_shared";

/// Who coordinates, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorOptions {
    /// Where the runtime folder may be, best first; see [`crate::RuntimePlaces`].
    pub candidates: Vec<Candidate>,
    /// Who it is.
    pub introduction: Introduction,
    /// The accounts it uses.
    pub accounts: Vec<AccountId>,
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
///             folder: None,
///             isolation: Isolation::Unified,
///             host: "host".into(),
///             version: "0.1.0".into(),
///             started_at: now,
///         },
///         accounts: vec!["account".into()],
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
    thread: Mutex<Option<JoinHandle<()>>>,
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
        Ok(Self { commands, shared, thread: Mutex::new(Some(thread)) })
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

    /// Leaves its place and ends its thread, as when it is dropped: for one that others hold as well. It cannot be undone.
    pub fn leave(&self) {
        self.command(Command::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
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
        self.leave();
    }
}
