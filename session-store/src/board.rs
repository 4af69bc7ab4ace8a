//! The board: what live sessions tell each other while they live.
//!
//! Nothing on it is history. It stands in a folder that ends with the system's run, any session may lose it at any
//! moment, and a new one is as good as the old.

pub(crate) mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::event::{LimitSample, LimitWindow, Owner};
use crate::id::EventId;
use crate::time::Timestamp;

/// How many notices a board keeps; a reader that is further behind misses the oldest.
pub const NOTICES_KEPT: u64 = 1000;

/// Keeps what live sessions tell each other.
///
/// Every method is one short transaction. Values are shared between threads and, but for [`crate::MemoryBoard`],
/// between processes. The trait is for the boards of this crate; it may grow in any 0.x release.
///
/// ```
/// use session_store::{BoardBackend, BoardNotice, MemoryBoard, Posted};
/// # fn main() -> Result<(), session_store::Error> {
/// let board = MemoryBoard::default();
/// let notice = BoardNotice { dedup: "limit".into(), account: "a".into(), ..BoardNotice::default() };
/// assert_eq!(board.post(&[notice.clone()])?, [Posted::New(1)]);
/// assert_eq!(board.post(&[notice.clone()])?, [Posted::Known(1)]);
/// assert_eq!(board.look(0)?.notices, [(1, notice)]);
/// # Ok(())
/// # }
/// ```
pub trait BoardBackend: Send + Sync + fmt::Debug {
    /// Returns what tells this board from one made later in its place.
    fn generation(&self) -> Generation;

    /// Writes a member, over what stood there of it.
    ///
    /// # Errors
    ///
    /// The board cannot be written: [`crate::ErrorKind::Busy`] after a quarter of a second, or
    /// [`crate::ErrorKind::Full`]. So with all that write; nothing is kept then.
    fn enter(&self, member: &BoardMember) -> Result<(), Error>;

    /// Removes a member.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn leave(&self, id: &str) -> Result<(), Error>;

    /// Returns the members, in the order of their ids. Who lives among them is not for the board to know.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn members(&self) -> Result<Vec<BoardMember>, Error>;

    /// Makes a member the leader; `false` where one of the same or a greater term has been it.
    ///
    /// What an earlier leader published is gone then: nobody knows what happened since.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn lead(&self, term: u64, member: &str, since: Timestamp) -> Result<bool, Error>;

    /// Counts one beat of the leader; `false` where its term is over. `uptime` is the time since the system started.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn beat(&self, term: u64, uptime: Duration) -> Result<bool, Error>;

    /// Adds notices in their order, all or none; of those whose `dedup` is known the first stands.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn post(&self, notices: &[BoardNotice]) -> Result<Vec<Posted>, Error>;

    /// Returns the leader and all notices after a number, as of one instant.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn look(&self, after: u64) -> Result<BoardLook, Error>;

    /// Returns the notices of the last so many numbers given, in their order.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn newest(&self, count: u64) -> Result<Vec<BoardNotice>, Error>;

    /// Adds to a counter.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn count(&self, counter: &str, by: u64) -> Result<(), Error>;

    /// Returns all counters.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn counters(&self) -> Result<BTreeMap<String, u64>, Error>;

    /// Counts that a member wrote to stores, so that the others look at them again and take no figures for new that were
    /// published before.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn changed(&self) -> Result<(), Error>;

    /// Publishes what the leader computed; `false` where its term is over.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn publish(&self, term: u64, name: &str, figures: &Figures) -> Result<bool, Error>;

    /// Returns what this leader published last under a name.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn published(&self, name: &str) -> Result<Option<Figures>, Error>;

    /// Keeps the two newest samples of each limit and source; an older one changes nothing. Of two told at one moment
    /// the greater stands.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn observe(&self, sample: &BoardSample) -> Result<(), Error> {
        self.tell(None, std::slice::from_ref(sample))
    }

    /// Keeps what a status line told, all or nothing: the line in place of the conversation's last one, and the samples
    /// as [`BoardBackend::observe`] does.
    ///
    /// Samples whose window ended a day before, and lines of the week before, go.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    fn tell(&self, line: Option<&BoardLine>, samples: &[BoardSample]) -> Result<(), Error>;

    /// Returns what the status lines told last, in the order of their conversations.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn lines(&self) -> Result<Vec<BoardLine>, Error>;

    /// Returns `true` to the first who asks for a deed by this name, and to nobody after; what was asked for a month before is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// The board cannot be read or, by the first, not be written.
    fn is_first(&self, deed: &str, at: Timestamp) -> Result<bool, Error>;

    /// Returns the samples of all accounts, in the order of account, window, source and time.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    fn observed(&self) -> Result<Vec<BoardSample>, Error>;
}

/// Tells one board from the next that stands in its place; numbers of notices begin anew with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// A member as the board knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardMember {
    /// Its name.
    pub id: Arc<str>,
    /// The accounts whose notices it wants.
    pub accounts: Vec<Arc<str>>,
    /// The folder it works in.
    pub project: Option<Arc<str>>,
    /// When it last did something worth telling.
    pub active_at: Timestamp,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardLeader {
    /// Which leader it is.
    pub term: u64,
    /// The member.
    pub member: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// How often its heart has beaten. Who sees the number stand still knows the leader to be frozen, without
    /// comparing clocks.
    pub beats: u64,
    /// How long the system had been running at the last beat. For one that looks only once: it cannot see the number
    /// stand still.
    pub beat_at: Duration,
}

/// A notice as the board knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardNotice {
    /// Notices of one meaning have one such text; it is told once.
    pub dedup: Arc<str>,
    /// The sort of notice.
    pub kind: Arc<str>,
    /// The account it is about.
    pub account: Arc<str>,
    /// The project it came from.
    pub project: Option<Arc<str>>,
    /// The member that posted it.
    pub from: Arc<str>,
    /// When what it tells happened.
    pub at: Timestamp,
    /// The limit it is about.
    pub window: Option<LimitWindow>,
    /// When the limit is reset.
    pub resets_at: Option<Timestamp>,
    /// More, for people.
    pub text: Arc<str>,
    /// The event it was made of.
    pub source: Option<Box<NoticeSource>>,
}

/// The event that a notice was made of, so that who is told can keep the same event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeSource {
    /// The event.
    pub event: EventId,
    /// Whose it is.
    pub owner: Owner,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It stands on the board, under this number.
    New(u64),
    /// It, or one of the same meaning, stood there before, under this number.
    Known(u64),
}

/// What one look at a board shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardLook {
    /// Who leads, or did last.
    pub leader: Option<BoardLeader>,
    /// The notices after the number asked for, in their order; each number is greater than those before.
    pub notices: Vec<(u64, BoardNotice)>,
    /// The greatest number given so far.
    pub newest: u64,
    /// How often members said that they wrote to stores.
    pub changes: u64,
    /// How often a leader published figures.
    pub published: u64,
    /// How often samples of limits were told.
    pub samples: u64,
}

/// What a leader computed, for the others to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// As of when.
    pub at: Timestamp,
    /// The figures, in a form that the publisher knows.
    pub body: Vec<u8>,
    /// How many changes of stores the board counted before they were computed. Where it counts another number now, the
    /// figures are not of now.
    pub changes: u64,
}

/// The state of a limit as one source told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardSample {
    /// The account.
    pub account: Arc<str>,
    /// Who told it, such as `statusline`.
    pub source: Arc<str>,
    /// When it was told.
    pub at: Timestamp,
    /// The state.
    pub sample: LimitSample,
}

/// What the status line of a conversation told last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoardLine {
    /// The conversation.
    pub conversation: Arc<str>,
    /// The account.
    pub account: Arc<str>,
    /// When it told something new.
    pub at: Timestamp,
    /// Tells the answer of the API that it speaks of from the one before.
    pub mark: u64,
    /// What Claude Code says the conversation has cost, in nano-dollars (10⁻⁹ USD).
    pub cost_nanos: u64,
    /// The end of the five-hour window that it told of.
    pub window_end: Option<Timestamp>,
    /// What the conversation had cost before that window, in nano-dollars.
    pub cost_before_nanos: u64,
}

/// How many samples of one limit and source are kept: a fall has to be told twice to be believed.
pub(crate) const SAMPLES_KEPT: usize = 2;
/// How long samples are kept after the end of their window.
pub(crate) const SAMPLES_LAST: Duration = Duration::from_secs(86_400);
/// How long deeds are known.
pub(crate) const DEEDS_LAST: Duration = Duration::from_secs(31 * 86_400);
/// How long lines are kept.
pub(crate) const LINES_LAST: Duration = Duration::from_secs(7 * 86_400);

impl BoardSample {
    /// Returns what samples are kept of.
    pub(crate) fn slot(&self) -> (Arc<str>, String, Arc<str>) {
        (self.account.clone(), self.sample.window.name().to_owned(), self.source.clone())
    }

    /// Adds this one to those kept of its slot, by time; whoever was first, the same are kept.
    pub(crate) fn join_into(&self, kept: &mut Vec<Self>) {
        match kept.binary_search_by_key(&self.at, |other| other.at) {
            Ok(place) if kept[place].sample < self.sample => kept[place] = self.clone(),
            Ok(_) => {}
            Err(place) => kept.insert(place, self.clone()),
        }
        kept.drain(..kept.len().saturating_sub(SAMPLES_KEPT));
    }

    /// Returns whether its window ended so long before a moment that nobody asks for it.
    pub(crate) fn is_past(&self, now: Timestamp) -> bool {
        self.sample.resets_at.is_some_and(|reset| reset < now.before(SAMPLES_LAST))
    }
}
