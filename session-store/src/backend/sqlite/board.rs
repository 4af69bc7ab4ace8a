//! The board in an SQLite file that many processes share.
//!
//! One connection, no pool: a board is open as long as its process lives, and three file descriptors are all it takes.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::log;
use super::open::{BASE_FLAGS, beside, lock_beside, make_file, sort, write_ahead};
use super::row;
use crate::board::{
    BoardBackend, BoardLeader, BoardLine, BoardLook, BoardMember, BoardNotice, BoardSample, DEEDS_LAST,
    Figures, Generation, LINES_LAST, NOTICES_KEPT, NoticeSource, Posted, SAMPLES_LAST,
};
use crate::error::{Error, ErrorKind};
use crate::event::{LimitSample, LimitWindow};
use crate::id::{ConversationId, EventId};
use crate::time::Timestamp;

/// Marks the file as a board ("CWBD").
const APPLICATION_ID: i32 = 0x4357_4244;
const FORMAT: u32 = 1;
const SCHEMA: &str = include_str!("../../../migrations/board-0001.sql");
/// How long a writer waits for another one, who may be frozen: then the notice goes another way.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// A board in an SQLite file.
///
/// Opening costs about a millisecond, a look some ten microseconds, a post a tenth of a millisecond. The file must be in
/// a folder of this host that nobody else can write. Any number of processes may make it at the same instant.
///
/// ```
/// use session_store::{BoardBackend, SqliteBoard};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let (one, other) =
///     (SqliteBoard::open(&folder.path().join("live.db"))?, SqliteBoard::open(&folder.path().join("live.db"))?);
/// one.count("conflicts_resolved", 1)?;
/// assert_eq!(other.counters()?["conflicts_resolved"], 1);
/// assert_eq!(one.generation(), other.generation());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqliteBoard {
    connection: Mutex<Connection>,
    generation: Generation,
    path: PathBuf,
}

/// Hooks and status lines come one by one where no monitor runs, and each would find what all before it wrote.
impl Drop for SqliteBoard {
    fn drop(&mut self) {
        log::leave_up_to(log::LEFT_MAX, &self.connection(), &self.path);
    }
}

impl SqliteBoard {
    /// Opens a board, making it where it is missing. One that is damaged is moved aside, because nothing lasting is
    /// on it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where another process has been replacing a damaged one for a second,
    /// [`ErrorKind::Unwritable`] or [`ErrorKind::Full`] where it cannot be made, [`ErrorKind::Newer`] for one of a
    /// later format.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_within(path, BUSY_TIMEOUT)
    }

    /// Opens a board as [`SqliteBoard::open`], for one who waits no longer than this for another process, whatever it
    /// does with the board.
    ///
    /// # Errors
    ///
    /// As [`SqliteBoard::open`].
    pub fn open_within(path: &Path, patience: Duration) -> Result<Self, Error> {
        let opened = open(path, patience).and_then(|connection| Self::around(connection, path));
        opened.map_err(|error| error.at(path))
    }

    fn around(connection: Connection, path: &Path) -> Result<Self, Error> {
        let generation = connection.query_row("SELECT generation FROM board", [], |row| row.get::<_, i64>(0));
        let generation = Generation(generation.map_err(sort)?.cast_unsigned());
        Ok(Self { connection: Mutex::new(connection), generation, path: path.to_owned() })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic cut off was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes in one transaction that takes the lock first: a deferred one could fail half-way.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = self.connection();
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let result = begun.and_then(|transaction| {
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        result.map_err(sort)
    }

    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, Error> {
        let mut connection = self.connection();
        connection.transaction().and_then(|transaction| work(&transaction)).map_err(sort)
    }
}

fn open(path: &Path, patience: Duration) -> Result<Connection, Error> {
    if fs::symlink_metadata(path).is_err() {
        make(path)?;
    }
    match connect(path, patience) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {}
        opened => return opened,
    }
    let _lock = hold_lock_beside(path, patience)?;
    // Another process may have been faster.
    match connect(path, patience) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            move_aside(path)?;
            make(path)?;
            connect(path, patience)
        }
        opened => opened,
    }
}

/// Waits for whoever replaces a damaged board, but not for one that is frozen while it does.
fn hold_lock_beside(path: &Path, patience: Duration) -> Result<fs::File, Error> {
    let lock = lock_beside(path)?;
    let until = Instant::now() + 4 * patience;
    while let Err(error) = lock.try_lock() {
        match error {
            fs::TryLockError::WouldBlock if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            fs::TryLockError::WouldBlock => return Err(Error::new(ErrorKind::Busy)),
            fs::TryLockError::Error(error) => return Err(error.into()),
        }
    }
    Ok(lock)
}

/// Connects to a board; an empty file is a damaged one.
fn connect(path: &Path, patience: Duration) -> Result<Connection, Error> {
    let mut connection = bare_connection(path, patience)?;
    // Both of one instant, and one lock for both.
    let (format, id): (i64, i64) = connection
        .transaction()
        .and_then(|snapshot| {
            let pragma = |name| snapshot.query_row(name, [], |row| row.get(0));
            Ok((pragma("PRAGMA user_version")?, pragma("PRAGMA application_id")?))
        })
        .map_err(sort)?;
    match (u32::try_from(format).unwrap_or(u32::MAX), id) {
        (FORMAT, id) if id == i64::from(APPLICATION_ID) => Ok(connection),
        (found, id) if id == i64::from(APPLICATION_ID) => {
            Err(Error::new(ErrorKind::Newer { found, known: FORMAT }))
        }
        _ => Err(Error::new(ErrorKind::Corrupt)),
    }
}

fn bare_connection(path: &Path, patience: Duration) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | BASE_FLAGS;
    let connection = Connection::open_with_flags(path, flags).map_err(sort)?;
    connection.busy_timeout(patience).map_err(sort)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(sort)?;
    log::leave(&connection).map_err(sort)?;
    // The log is kept small, because it stands in memory.
    let settings = "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -256; PRAGMA wal_autocheckpoint = 200;
         PRAGMA journal_size_limit = 1048576; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings).map_err(sort)?;
    Ok(connection)
}

/// Makes a board beside its place and puts it there whole, so that nobody meets one that is being made or waits for who makes
/// it. Where another process was faster, its board stays.
fn make(path: &Path) -> Result<(), Error> {
    // Any number that no earlier board is likely to have had; the hasher's keys are random.
    let generation = RandomState::new().hash_one(path);
    let beside = beside(path, &format!(".{generation:016x}"));
    make_file(&beside)?;
    let made = fill(&beside, generation).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has links. Two that come here at once make two boards, and the first soon sees that it is alone.
        Err(_) => fs::rename(&beside, path).map_err(Error::from),
        Ok(()) => Ok(()),
    });
    let _ = fs::remove_file(&beside);
    made
}

fn fill(path: &Path, generation: u64) -> Result<(), Error> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | BASE_FLAGS).map_err(sort)?;
    let made = connection.pragma_update(None, "journal_mode", "MEMORY").and_then(|()| {
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO board VALUES (?, 0, 0, 0)", [generation.cast_signed()])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()
    });
    // The log is a property of the file: set once, it stays.
    made.and_then(|()| write_ahead(&connection, BUSY_TIMEOUT)).map_err(sort)
}

fn move_aside(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(beside(path, suffix), beside(path, &format!(".corrupt{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

impl BoardBackend for SqliteBoard {
    fn generation(&self) -> Generation {
        self.generation
    }

    fn enter(&self, member: &BoardMember) -> Result<(), Error> {
        let accounts = serde_json::to_string(&member.accounts.iter().map(|it| &**it).collect::<Vec<_>>())
            .map_err(|error| Error::new(ErrorKind::Other).because(error))?;
        self.write(|transaction| {
            let mut statement =
                transaction.prepare_cached("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)")?;
            let at = member.active_at.as_millis();
            statement.execute(params![&*member.id, accounts, member.project.as_deref(), at]).map(drop)
        })
    }

    fn leave(&self, id: &str) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.prepare_cached("DELETE FROM member WHERE id = ?")?.execute([id]).map(drop)
        })
    }

    fn members(&self) -> Result<Vec<BoardMember>, Error> {
        self.read(|transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT id, accounts, project, active_at FROM member ORDER BY id")?;
            statement.query_map([], read_member)?.collect()
        })
    }

    fn lead(&self, term: u64, member: &str, since: Timestamp) -> Result<bool, Error> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO leader VALUES (1, ?1, ?2, ?3, 0, 0) ON CONFLICT DO UPDATE
                 SET term = ?1, member = ?2, since = ?3, beats = 0, beat_at = 0 WHERE term < ?1",
            )?;
            let leads = statement.execute(params![integer(term), member, since.as_millis()])? == 1;
            if leads {
                transaction.prepare_cached("DELETE FROM figures")?.execute([])?;
            }
            Ok(leads)
        })
    }

    fn beat(&self, term: u64, uptime: Duration) -> Result<bool, Error> {
        self.write(|transaction| {
            let mut statement = transaction
                .prepare_cached("UPDATE leader SET beats = beats + 1, beat_at = ?2 WHERE term = ?1")?;
            let uptime = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX);
            Ok(statement.execute(params![integer(term), uptime])? == 1)
        })
    }

    fn post(&self, notices: &[BoardNotice]) -> Result<Vec<Posted>, Error> {
        self.write(|transaction| {
            let posted: rusqlite::Result<Vec<Posted>> =
                notices.iter().map(|notice| post(transaction, notice)).collect();
            transaction
                .prepare_cached("DELETE FROM notice WHERE seq <= (SELECT max(seq) FROM notice) - ?")?
                .execute([integer(NOTICES_KEPT)])?;
            posted
        })
    }

    fn look(&self, after: u64) -> Result<BoardLook, Error> {
        self.read(|transaction| {
            let mut leader =
                transaction.prepare_cached("SELECT term, member, since, beats, beat_at FROM leader")?;
            let leader = leader.query_row([], read_leader).optional()?;
            let mut newest =
                transaction.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'notice'")?;
            let newest = newest.query_row([], |row| row.get(0)).optional()?.map_or(0, number);
            let mut counts = transaction.prepare_cached("SELECT changes, published, samples FROM board")?;
            let [changes, published, samples] = counts
                .query_row([], |row| Ok([number(row.get(0)?), number(row.get(1)?), number(row.get(2)?)]))?;
            let look = BoardLook { leader, notices: Vec::new(), newest, changes, published, samples };
            if newest <= after {
                return Ok(look);
            }
            let mut notices = transaction.prepare_cached(&format!("{NOTICES} WHERE seq > ? ORDER BY seq"))?;
            let notices = notices.query_map([integer(after)], read_notice)?;
            let notices = notices.collect::<rusqlite::Result<_>>()?;
            Ok(BoardLook { notices, ..look })
        })
    }

    fn newest(&self, count: u64) -> Result<Vec<BoardNotice>, Error> {
        self.read(|transaction| {
            let mut notices = transaction.prepare_cached(&format!(
                "{NOTICES} WHERE seq > (SELECT seq FROM sqlite_sequence WHERE name = 'notice') - ? ORDER BY seq"
            ))?;
            notices.query_map([integer(count)], |row| Ok(read_notice(row)?.1))?.collect()
        })
    }

    fn count(&self, counter: &str, by: u64) -> Result<(), Error> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = value + ?2",
            )?;
            statement.execute(params![counter, integer(by)]).map(drop)
        })
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>, Error> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached("SELECT name, value FROM counter")?;
            statement.query_map([], |row| Ok((row.get(0)?, number(row.get(1)?))))?.collect()
        })
    }

    fn changed(&self) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.prepare_cached("UPDATE board SET changes = changes + 1")?.execute([]).map(drop)
        })
    }

    fn publish(&self, term: u64, name: &str, figures: &Figures) -> Result<bool, Error> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO figures SELECT ?1, ?2, ?3, ?4 FROM leader WHERE term = ?5",
            )?;
            let at = figures.at.as_millis();
            let leads = statement.execute(params![
                name,
                at,
                figures.body,
                integer(figures.changes),
                integer(term)
            ])? == 1;
            if leads {
                transaction.prepare_cached("UPDATE board SET published = published + 1")?.execute([])?;
            }
            Ok(leads)
        })
    }

    fn published(&self, name: &str) -> Result<Option<Figures>, Error> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT at, body, changes FROM figures WHERE name = ?")?;
            let read = |row: &Row<'_>| {
                Ok(Figures { at: moment(row.get(0)?), body: row.get(1)?, changes: number(row.get(2)?) })
            };
            statement.query_row([name], read).optional()
        })
    }

    fn tell(&self, line: Option<&BoardLine>, samples: &[BoardSample]) -> Result<(), Error> {
        self.write(|transaction| {
            if !samples.is_empty() {
                transaction.prepare_cached("UPDATE board SET samples = samples + 1")?.execute([])?;
            }
            samples.iter().try_for_each(|sample| observe(transaction, sample))?;
            line.map_or(Ok(()), |line| keep_line(transaction, line))
        })
    }

    fn lines(&self) -> Result<Vec<BoardLine>, Error> {
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT conversation, account, at, mark, cost, window_end, cost_before FROM line
                 ORDER BY conversation",
            )?;
            statement.query_map([], read_line)?.collect()
        })
    }

    fn is_first(&self, deed: &str, at: Timestamp) -> Result<bool, Error> {
        let is_done = self.read(|transaction| {
            transaction.prepare_cached("SELECT 1 FROM deed WHERE name = ?")?.exists([deed])
        })?;
        if is_done {
            return Ok(false);
        }
        self.write(|transaction| {
            let oldest = at.before(DEEDS_LAST).as_millis();
            let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO deed VALUES (?, ?)")?;
            let is_first = statement.execute(params![deed, at.as_millis()])? == 1;
            transaction
                .prepare_cached("DELETE FROM deed WHERE at < ? AND name != ?")?
                .execute(params![oldest, deed])?;
            Ok(is_first)
        })
    }

    fn observed(&self) -> Result<Vec<BoardSample>, Error> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached(&format!("{SAMPLES} ORDER BY account, \"window\", source, at"))?;
            statement.query_map([], read_sample)?.collect()
        })
    }
}

const NOTICES: &str = "SELECT seq, dedup, kind, account, project, \"from\", at, \"window\", resets_at, text, event, role, since,
    conversation, agent FROM notice";
const SAMPLES: &str = "SELECT account, \"window\", source, at, resets_at, used, status FROM sample";

fn observe(transaction: &Transaction<'_>, sample: &BoardSample) -> rusqlite::Result<()> {
    // Which samples are kept is written once, in Rust.
    let (account, window, source) = sample.slot();
    let slot = params![&*account, window, &*source];
    let kept: Vec<BoardSample> = transaction
        .prepare_cached(&format!(
            "{SAMPLES} WHERE account = ? AND \"window\" = ? AND source = ? ORDER BY at"
        ))?
        .query_map(slot, read_sample)?
        .collect::<rusqlite::Result<_>>()?;
    let mut joined = kept.clone();
    sample.join_into(&mut joined);
    for gone in kept.iter().filter(|sample| !joined.contains(sample)) {
        transaction
            .prepare_cached(
                "DELETE FROM sample WHERE account = ? AND \"window\" = ? AND source = ? AND at = ?",
            )?
            .execute(params![&*account, window, &*source, gone.at.as_millis()])?;
    }
    for new in joined.iter().filter(|sample| !kept.contains(sample)) {
        let LimitSample { resets_at, used_hundredths, status, .. } = &new.sample;
        let (at, resets_at) = (new.at.as_millis(), resets_at.map(Timestamp::as_millis));
        transaction.prepare_cached("INSERT INTO sample VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
            &*account,
            window,
            &*source,
            at,
            resets_at,
            used_hundredths,
            &**status
        ])?;
    }
    transaction
        .prepare_cached("DELETE FROM sample WHERE account = ? AND \"window\" = ? AND resets_at < ?")?
        .execute(params![&*account, window, sample.at.before(SAMPLES_LAST).as_millis()])
        .map(drop)
}

fn keep_line(transaction: &Transaction<'_>, line: &BoardLine) -> rusqlite::Result<()> {
    let oldest = line.at.before(LINES_LAST).as_millis();
    transaction.prepare_cached("DELETE FROM line WHERE at < ?")?.execute([oldest])?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            &*line.conversation,
            &*line.account,
            line.at.as_millis(),
            line.mark.cast_signed(),
            integer(line.cost_nanos),
            line.window_end.map(Timestamp::as_millis),
            integer(line.cost_before_nanos),
        ])
        .map(drop)
}

fn post(transaction: &Transaction<'_>, notice: &BoardNotice) -> rusqlite::Result<Posted> {
    let mut known = transaction.prepare_cached("SELECT seq FROM notice WHERE dedup = ?")?;
    if let Some(seq) = known.query_row([&*notice.dedup], |row| row.get(0)).optional()? {
        return Ok(Posted::Known(number(seq)));
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO notice (dedup, kind, account, project, \"from\", at, \"window\", resets_at, text,
                             event, role, since, conversation, agent)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let (event, owner) = notice.source.as_ref().map(|it| (it.event.as_str(), &it.owner)).unzip();
    let seq = statement.insert(params![
        &*notice.dedup,
        &*notice.kind,
        &*notice.account,
        notice.project.as_deref(),
        &*notice.from,
        notice.at.as_millis(),
        notice.window.as_ref().map(LimitWindow::name),
        notice.resets_at.map(Timestamp::as_millis),
        &*notice.text,
        event,
        owner.map(|owner| row::role_number(owner.role)),
        owner.map(|owner| owner.since.as_millis()),
        owner.map(|owner| owner.conversation.as_str()),
        owner.and_then(|owner| owner.agent.as_ref()).map(|agent| agent.as_str()),
    ])?;
    Ok(Posted::New(number(seq)))
}

fn read_member(row: &Row<'_>) -> rusqlite::Result<BoardMember> {
    let accounts: String = row.get(1)?;
    let accounts: Vec<String> = serde_json::from_str(&accounts).unwrap_or_default();
    Ok(BoardMember {
        id: row.get(0)?,
        accounts: accounts.into_iter().map(Arc::from).collect(),
        project: row.get(2)?,
        active_at: moment(row.get(3)?),
    })
}

fn read_leader(row: &Row<'_>) -> rusqlite::Result<BoardLeader> {
    let (term, beats) = (number(row.get(0)?), number(row.get(3)?));
    let beat_at = Duration::from_millis(number(row.get(4)?));
    Ok(BoardLeader { term, member: row.get(1)?, since: moment(row.get(2)?), beats, beat_at })
}

fn read_notice(row: &Row<'_>) -> rusqlite::Result<(u64, BoardNotice)> {
    let window: Option<String> = row.get(7)?;
    let notice = BoardNotice {
        dedup: row.get(1)?,
        kind: row.get(2)?,
        account: row.get(3)?,
        project: row.get(4)?,
        from: row.get(5)?,
        at: moment(row.get(6)?),
        window: window.as_deref().map(LimitWindow::from_name),
        resets_at: row.get::<_, Option<i64>>(8)?.map(moment),
        text: row.get(9)?,
        source: match row.get::<_, Option<String>>(10)? {
            Some(event) => {
                let conversation = ConversationId::new(row.get::<_, String>(13)?);
                Some(Box::new(NoticeSource {
                    event: EventId::new(event),
                    owner: row::owner(row, 11, conversation)?,
                }))
            }
            None => None,
        },
    };
    Ok((number(row.get(0)?), notice))
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<BoardLine> {
    Ok(BoardLine {
        conversation: row.get(0)?,
        account: row.get(1)?,
        at: moment(row.get(2)?),
        mark: row.get::<_, i64>(3)?.cast_unsigned(),
        cost_nanos: number(row.get(4)?),
        window_end: row.get::<_, Option<i64>>(5)?.map(moment),
        cost_before_nanos: number(row.get(6)?),
    })
}

fn read_sample(row: &Row<'_>) -> rusqlite::Result<BoardSample> {
    let window: String = row.get(1)?;
    let sample = LimitSample {
        window: LimitWindow::from_name(&window),
        resets_at: row.get::<_, Option<i64>>(4)?.map(moment),
        used_hundredths: row.get(5)?,
        status: row.get(6)?,
    };
    Ok(BoardSample { account: row.get(0)?, source: row.get(2)?, at: moment(row.get(3)?), sample })
}

fn moment(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// SQLite's integers have a sign; nothing that is counted here reaches so far.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
