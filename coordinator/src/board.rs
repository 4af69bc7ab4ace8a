//! Where sessions tell each other: numbered rows on the board, woken by the bell.
//!
//! At least once and in order: a notice that was accepted stands on the board until a thousand newer ones do, and a reader
//! keeps its place. Where another process holds the board, perhaps frozen, a notice goes into the spool: a file of its
//! own, which every reader sees at once and the next writer brings to the board.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use session_store::{BoardBackend, BoardLeader, BoardNotice, Figures, Generation, SqliteBoard};

use crate::bell::Bell;
use crate::clock::uptime;
use crate::error::{Error, ErrorKind};
use crate::lease::{self, Lease, Term};
use crate::notice::Notice;
use crate::runtime::{FileId, RuntimeDir};
use crate::spool::Spool;

/// Counts notices that came onto a board.
pub const NOTICES: &str = "notices";

/// More changes than a board ever counts: the mark of what was taken back.
const NEVER: u64 = i64::MAX.cast_unsigned();
/// The board's file.
const FILE: &str = "live.db";
/// How long ago the last beat of a leader is at most that is not frozen: three of its beats.
const LATELY: Duration = Duration::from_millis(1800);

/// Where a reader is on a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The board; on another one the reader begins at the start.
    pub generation: Option<Generation>,
    /// The number of the last notice that was read.
    pub seq: u64,
}

/// What a look at the board shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which board it was.
    pub generation: Generation,
    /// Who leads, or did last.
    pub leader: Option<BoardLeader>,
    /// The notices after the cursor, in order.
    pub notices: Vec<(u64, Notice)>,
    /// Notices on their way to the board; they will come again with a number.
    pub spooled: Vec<Notice>,
    /// The greatest number given so far.
    pub newest: u64,
    /// How often members said that they wrote to stores.
    pub changes: u64,
    /// How often a leader published figures.
    pub published: u64,
    /// How often samples of limits were told.
    pub samples: u64,
}

impl Look {
    /// Returns where to look on from.
    pub fn cursor(&self) -> Cursor {
        Cursor { generation: Some(self.generation), seq: self.newest }
    }
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stands on the board under this number.
    Posted(u64),
    /// One of the same meaning stood there already.
    Known(u64),
    /// Another process held the board; it lies in the spool.
    Spooled,
}

/// The notices of one runtime folder.
///
/// ```
/// use session_coordinator::{Cursor, Fate, MemberId, Notice, NoticeBoard, RuntimeDir};
/// use session_store::{LimitWindow, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// let runtime = RuntimeDir::open(&place.path().join("claudewatch"))?;
/// let (one, other) = (NoticeBoard::open(&runtime)?, NoticeBoard::open(&runtime)?);
/// let begin = other.since(Cursor::default())?.cursor();
///
/// let now = Timestamp::from_seconds(1_795_367_381);
/// let hit = |from| Notice::limit_hit("account".into(), MemberId::new(from), now, LimitWindow::FiveHour, None);
/// assert_eq!(one.post(&[hit("one")])?, [Fate::Posted(1)]);
/// assert_eq!(one.post(&[hit("two")])?, [Fate::Known(1)]); // Seen by two, one hit all the same.
///
/// let look = other.since(begin)?;
/// assert_eq!(look.notices, [(1, hit("one"))]);
/// assert!(other.since(look.cursor())?.notices.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NoticeBoard {
    board: Arc<dyn BoardBackend>,
    spool: Spool,
    bell: Bell,
    path: PathBuf,
    /// The file the board was opened as.
    file: Option<FileId>,
}

impl NoticeBoard {
    /// Opens the board of a runtime folder, making it where it is missing.
    ///
    /// # Errors
    ///
    /// The board cannot be opened: [`ErrorKind::Busy`], [`ErrorKind::Full`], [`ErrorKind::Newer`]; or the folder was
    /// taken away meanwhile, [`ErrorKind::Replaced`].
    pub fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        let path = runtime.file(FILE);
        let board = SqliteBoard::open(&path)?;
        Self::around(runtime, path, board)
    }

    /// Opens the board, making it where it is missing, for one who must be quick: it waits no longer than this for another
    /// process, each time.
    ///
    /// # Errors
    ///
    /// As [`NoticeBoard::open`].
    pub fn open_within(runtime: &RuntimeDir, patience: Duration) -> Result<Self, Error> {
        let path = runtime.file(FILE);
        let board = SqliteBoard::open_within(&path, patience)?;
        Self::around(runtime, path, board)
    }

    fn around(runtime: &RuntimeDir, path: PathBuf, board: SqliteBoard) -> Result<Self, Error> {
        // A log of another file would be taken for this one's if the folder was replaced while it was opened.
        let file = FileId::at(&path);
        if !runtime.is_current() || file.is_none() {
            return Err(Error::new(ErrorKind::Replaced).at(runtime.path()));
        }
        let (spool, bell) = (Spool::open(runtime)?, Bell::open(runtime)?);
        Ok(Self { board: Arc::new(board), spool, bell, path, file })
    }

    /// Returns whether there is a board in a runtime folder, for who makes none.
    pub fn exists(runtime: &RuntimeDir) -> bool {
        runtime.file(FILE).is_file()
    }

    /// Returns the board itself: members, leader, counters, figures, samples.
    pub fn board(&self) -> &Arc<dyn BoardBackend> {
        &self.board
    }

    /// Returns the board's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the path still leads to the file that is open.
    pub fn is_current(&self) -> bool {
        self.file.is_some() && FileId::at(&self.path) == self.file
    }

    /// Posts notices in their order and rings; all or none.
    ///
    /// What lies in the spool is brought to the board first. Costs a tenth of a millisecond; where another process holds
    /// the board, a quarter of a second.
    ///
    /// # Errors
    ///
    /// Nothing was kept: try again. [`ErrorKind::Full`], [`ErrorKind::Unwritable`], [`ErrorKind::Damaged`].
    pub fn post(&self, notices: &[Notice]) -> Result<Vec<Fate>, Error> {
        let fates = match self.post_on_board(notices) {
            Ok(fates) => fates,
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.spool.put(notices)?;
                vec![Fate::Spooled; notices.len()]
            }
            Err(error) => return Err(error),
        };
        // Who does not hear it looks within a second.
        let _ = self.bell.ring();
        Ok(fates)
    }

    fn post_on_board(&self, notices: &[Notice]) -> Result<Vec<Fate>, Error> {
        let spooled = self.spool.list();
        let waiting = spooled.iter().flat_map(|file| &file.notices);
        let rows: Vec<BoardNotice> = waiting.chain(notices).map(Notice::to_row).collect();
        let posted = self.board.post(&rows).map_err(Error::from)?;
        spooled.iter().for_each(|file| self.spool.remove(file));
        let fates: Vec<Fate> = posted.into_iter().map(Fate::from).collect();
        let new = fates.iter().filter(|fate| !matches!(fate, Fate::Known(_))).count();
        if new > 0 {
            let _ = self.board.count(NOTICES, new as u64);
        }
        Ok(fates.into_iter().skip(rows.len() - notices.len()).collect())
    }

    /// Publishes what the leader of a term computed, and rings; `false` where the term is over. `figures.changes` is what the
    /// board counted before anything was read for them.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn publish(&self, term: Term, name: &str, figures: &Figures) -> Result<bool, Error> {
        let leads = self.board.publish(term.number(), name, figures).map_err(Error::from)?;
        if leads {
            let _ = self.bell.ring();
        }
        Ok(leads)
    }

    /// Publishes what the leader of a term found for who happens to look, and rings nobody; `false` where the term is over.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn lay_out(&self, term: Term, name: &str, figures: &Figures) -> Result<bool, Error> {
        self.board.publish(term.number(), name, figures).map_err(Error::from)
    }

    /// Takes back what the leader of a term published, before it writes what makes it old; rings nobody.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn withdraw(&self, term: Term, name: &str) -> Result<(), Error> {
        let old = Figures { changes: NEVER, ..Figures::default() };
        self.board.publish(term.number(), name, &old).map(drop).map_err(Error::from)
    }

    /// Returns what a leader published last under a name, if that is of now: the leader's heart has beaten lately, and nobody
    /// has written to stores since. For one that looks only once; members ask [`crate::Coordinator::published`].
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    pub fn fresh(&self, name: &str) -> Result<Option<Figures>, Error> {
        let look = self.board.look(u64::MAX).map_err(Error::from)?;
        let beats = |leader: &BoardLeader| uptime().saturating_sub(leader.beat_at) < LATELY;
        if !look.leader.as_ref().is_some_and(beats) {
            return Ok(None);
        }
        Ok(self.last_published(name)?.filter(|(_, is_of_now)| *is_of_now).map(|(figures, _)| figures))
    }

    /// Returns what a leader published last under a name, and whether nobody has written to stores, nor taken the lead, since.
    pub(crate) fn last_published(&self, name: &str) -> Result<Option<(Figures, bool)>, Error> {
        let figures = self.board.published(name).map_err(Error::from)?;
        let Some(figures) = figures.filter(|figures| figures.changes != NEVER) else { return Ok(None) };
        let look = self.board.look(u64::MAX).map_err(Error::from)?;
        // Between taking the lock and saying so on the board, a new leader's board is still that of the one before.
        let holder = Lease::holder_at(&self.path.with_file_name(lease::LOCK));
        let told = look.leader.as_ref().map(|leader| leader.term);
        let is_told = holder.map(|holder| holder.term.number()) == told;
        let is_of_now = is_told && figures.changes == look.changes;
        Ok(Some((figures, is_of_now)))
    }

    /// Tells the others that stores were written, and rings: what was published before is no longer new.
    ///
    /// # Errors
    ///
    /// The board cannot be written.
    pub fn changed(&self) -> Result<(), Error> {
        self.board.changed().map_err(Error::from)?;
        let _ = self.bell.ring();
        Ok(())
    }

    /// Returns the newest notices that stand on the board, in order.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    pub fn newest(&self, count: u64) -> Result<Vec<Notice>, Error> {
        Ok(self.board.newest(count).map_err(Error::from)?.into_iter().map(Notice::from_row).collect())
    }

    /// Returns the notices on their way to the board. Asked for before those that stand there, none is missed that moves
    /// meanwhile.
    pub fn spooled(&self) -> Vec<Notice> {
        self.spool.list().into_iter().flat_map(|file| file.notices).collect()
    }

    /// Brings what lies in the spool to the board; costs one system call where nothing does.
    ///
    /// # Errors
    ///
    /// The board cannot be written; the spool is as it was.
    pub fn import(&self) -> Result<(), Error> {
        if self.spool.is_empty() { Ok(()) } else { self.post_on_board(&[]).map(drop) }
    }

    /// Returns what came after a cursor; all that the board keeps, where the cursor is of another board.
    ///
    /// Costs some ten microseconds where there is nothing.
    ///
    /// # Errors
    ///
    /// The board cannot be read.
    pub fn since(&self, cursor: Cursor) -> Result<Look, Error> {
        let generation = self.board.generation();
        let after = if cursor.generation == Some(generation) { cursor.seq } else { 0 };
        // The spool first: what moves to the board meanwhile is then seen twice, not missed.
        let spooled = self.spooled();
        let look = self.board.look(after).map_err(Error::from)?;
        let notices = look.notices.into_iter().map(|(seq, row)| (seq, Notice::from_row(row))).collect();
        let (leader, newest) = (look.leader, look.newest);
        Ok(Look {
            generation,
            leader,
            notices,
            spooled,
            newest,
            changes: look.changes,
            published: look.published,
            samples: look.samples,
        })
    }
}

impl From<session_store::Posted> for Fate {
    fn from(posted: session_store::Posted) -> Self {
        match posted {
            session_store::Posted::New(seq) => Self::Posted(seq),
            session_store::Posted::Known(seq) => Self::Known(seq),
        }
    }
}
