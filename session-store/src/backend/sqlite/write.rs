//! Committing a batch: join row by row, keep the sums in step, write it all or nothing.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::super::Batch;
use super::sums::{self, Place};
use super::{expire, row};
use crate::cell::{CELL_WIDTH, CellSum, PriceClass};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::pack::problems_text;
use crate::event::{Event, Fact, Turn};
use crate::id::{ConversationId, EventId, ModelId};
use crate::join::{Change, Join};
use crate::time::Timestamp;
use crate::transcript::{Listings, SourceKind};

/// Joins a batch; `None` where the store was closed.
pub(super) fn commit(connection: &mut Connection, batch: Batch) -> rusqlite::Result<Option<Change>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.query_row("SELECT EXISTS (SELECT 1 FROM closed)", [], |row| row.get(0))? {
        return Ok(None);
    }
    let mut writer = Writer::new(&transaction)?;
    let horizon = expire::horizon(&transaction)?;
    let mut change = Change::Unchanged;
    for event in batch.ledger.into_iter().filter(|event| !event.ended_before(horizon)) {
        change = change.or(writer.join(event)?);
    }
    let cells = std::mem::take(&mut writer.cells);
    drop(writer);
    sums::write(&transaction, cells)?;
    write_checkpoints(&transaction, &batch.checkpoints)?;
    transaction.commit()?;
    Ok(Some(change))
}

/// Packs the sums of the first format, a row for each cell, by days.
pub(super) fn pack_days(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut cells = BTreeMap::new();
    {
        let mut select = transaction.prepare(
            "SELECT quarter, conversation, model, class, messages, under_reported, input, output, cache_write_5m,
                    cache_write_1h, cache_read, web_searches
             FROM cell_by_quarter",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
            let place = Place {
                quarter: row.get(0)?,
                conversation: row.get(1)?,
                model: row.get(2)?,
                class: row.get(3)?,
            };
            let sum = CellSum { messages: count(4)?, under_reported: count(5)?, usage: row::usage(row, 6)? };
            cells.insert(place, (sum, CellSum::default()));
        }
    }
    sums::write(transaction, cells)?;
    transaction.execute_batch("DROP TABLE cell_by_quarter")
}

/// Keeps what folders held.
pub(super) fn listings(connection: &Connection, listings: &Listings) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO listing VALUES (1, ?1)", [listings.pack()]).map(drop)
}

/// Marks the store as closed, so that every later commit is refused, whoever's: in the file itself, because a mark in its log
/// alone would go with the log.
pub(super) fn close(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("INSERT INTO closed VALUES (1) ON CONFLICT DO NOTHING")?;
    // Others who are reading may keep some of the log from being moved; then the mark stays in it.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Says what the store's session shares.
pub(super) fn set_sharing(connection: &Connection, level: &str) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO sharing VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET level = excluded.level",
    )?;
    upsert.execute([level]).map(drop)
}

/// Makes the indexes by time, of turns and of limit hits, which a first import is faster without.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE INDEX IF NOT EXISTS turn_at ON turn (at);
         CREATE INDEX IF NOT EXISTS limit_hit_at ON fact (at) WHERE kind = 'limit_hit'",
    )
}

struct Writer<'t> {
    insert_turn: CachedStatement<'t>,
    select_turn: CachedStatement<'t>,
    update_turn: CachedStatement<'t>,
    insert_fact: CachedStatement<'t>,
    select_fact: CachedStatement<'t>,
    update_fact: CachedStatement<'t>,
    conversations: Names<'t, ConversationId>,
    models: Names<'t, ModelId>,
    /// What goes into each cell, and what goes out of it.
    cells: BTreeMap<Place, (CellSum, CellSum)>,
}

impl<'t> Writer<'t> {
    fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            insert_turn: transaction.prepare_cached(
                "INSERT INTO turn VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT DO NOTHING",
            )?,
            select_turn: transaction.prepare_cached(
                "SELECT turn.at, role, since, conversation, agent, model, class, input, output, cache_write_5m,
                        cache_write_1h, cache_read, web_searches, conversation.name, model.name
                 FROM turn JOIN conversation ON conversation.id = turn.conversation
                           JOIN model ON model.id = turn.model
                 WHERE turn.id = ?1",
            )?,
            update_turn: transaction.prepare_cached(
                "UPDATE turn SET at = ?2, role = ?3, since = ?4, conversation = ?5, agent = ?6, model = ?7,
                        class = ?8, input = ?9, output = ?10, cache_write_5m = ?11, cache_write_1h = ?12,
                        cache_read = ?13, web_searches = ?14
                 WHERE id = ?1",
            )?,
            insert_fact: transaction.prepare_cached(
                "INSERT INTO fact VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )?,
            select_fact: transaction.prepare_cached(
                "SELECT fact.at, role, since, conversation, agent, body, conversation.name
                 FROM fact JOIN conversation ON conversation.id = fact.conversation
                 WHERE fact.id = ?1",
            )?,
            update_fact: transaction.prepare_cached(
                "UPDATE fact SET kind = ?2, at = ?3, role = ?4, since = ?5, conversation = ?6, agent = ?7, body = ?8
                 WHERE id = ?1",
            )?,
            conversations: Names::new(
                transaction,
                "SELECT id FROM conversation WHERE name = ?1",
                "INSERT INTO conversation (name) VALUES (?1)",
            )?,
            models: Names::new(
                transaction,
                "SELECT id FROM model WHERE name = ?1",
                "INSERT INTO model (name) VALUES (?1)",
            )?,
            cells: BTreeMap::new(),
        })
    }

    fn join(&mut self, event: Event) -> rusqlite::Result<Change> {
        if let Fact::Turn(turn) = &event.fact {
            if write_turn(&mut self.insert_turn, &mut self.conversations, &mut self.models, &event, turn)? {
                self.count(&event, turn, Side::In)?;
                return Ok(Change::Grew);
            }
        } else if write_fact(&mut self.insert_fact, &mut self.conversations, &event)? {
            return Ok(Change::Grew);
        }
        self.join_known(event)
    }

    /// Joins an event whose id is in the store already.
    fn join_known(&mut self, event: Event) -> rusqlite::Result<Change> {
        let is_turn = matches!(event.fact, Fact::Turn(_));
        let known = if is_turn { self.known_turn(&event.id)? } else { self.known_fact(&event.id)? };
        // A fact whose body a newer version wrote is left alone.
        let Some(mut joined) = known else { return Ok(Change::Unchanged) };
        let before = joined.clone();
        if joined.join(event) == Change::Unchanged {
            return Ok(Change::Unchanged);
        }
        if let (Fact::Turn(old), Fact::Turn(new)) = (&before.fact, &joined.fact) {
            self.count(&before, old, Side::Out)?;
            self.count(&joined, new, Side::In)?;
            write_turn(&mut self.update_turn, &mut self.conversations, &mut self.models, &joined, new)?;
        } else {
            write_fact(&mut self.update_fact, &mut self.conversations, &joined)?;
        }
        Ok(Change::Grew)
    }

    fn known_turn(&mut self, id: &EventId) -> rusqlite::Result<Option<Event>> {
        self.select_turn
            .query_row([id.as_str()], |row| {
                let conversation = ConversationId::from(row.get_ref(13)?.as_str()?);
                let model = ModelId::from(row.get_ref(14)?.as_str()?);
                Ok(Event {
                    id: id.clone(),
                    at: Timestamp::from_millis(row.get(0)?),
                    owner: row::owner(row, 1, conversation)?,
                    fact: Fact::Turn(row::turn(row, 5, model)?),
                })
            })
            .optional()
    }

    fn known_fact(&mut self, id: &EventId) -> rusqlite::Result<Option<Event>> {
        let found = self
            .select_fact
            .query_row([id.as_str()], |row| {
                let conversation = ConversationId::from(row.get_ref(6)?.as_str()?);
                Ok(row::fact(row.get_ref(5)?.as_str()?).map(|fact| {
                    Ok::<_, rusqlite::Error>(Event {
                        id: id.clone(),
                        at: Timestamp::from_millis(row.get(0)?),
                        owner: row::owner(row, 1, conversation)?,
                        fact,
                    })
                }))
            })
            .optional()?;
        found.flatten().transpose()
    }

    fn count(&mut self, event: &Event, turn: &Turn, side: Side) -> rusqlite::Result<()> {
        let quarter = event.at.as_millis().div_euclid(CELL_WIDTH.as_millis() as i64);
        let place = Place {
            quarter,
            conversation: self.conversations.number(&event.owner.conversation)?,
            model: self.models.number(&turn.model)?,
            class: row::cell_class(PriceClass::of(turn)),
        };
        let (incoming, outgoing) = self.cells.entry(place).or_default();
        match side {
            Side::In => incoming.add(&CellSum::of(turn)),
            Side::Out => outgoing.add(&CellSum::of(turn)),
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Side {
    In,
    Out,
}

/// Writes a turn by a statement with fourteen parameters; returns whether a row was written.
fn write_turn(
    statement: &mut CachedStatement<'_>,
    conversations: &mut Names<'_, ConversationId>,
    models: &mut Names<'_, ModelId>,
    event: &Event,
    turn: &Turn,
) -> rusqlite::Result<bool> {
    let Event { id, at, owner, .. } = event;
    let written = statement.execute(params![
        id.as_str(),
        at.as_millis(),
        row::role_number(owner.role),
        owner.since.as_millis(),
        conversations.number(&owner.conversation)?,
        owner.agent.as_ref().map(|agent| agent.as_str()),
        models.number(&turn.model)?,
        row::turn_class(turn),
        row::column(turn.usage.input),
        row::column(turn.usage.output),
        row::column(turn.usage.cache_write_5m),
        row::column(turn.usage.cache_write_1h),
        row::column(turn.usage.cache_read),
        row::column(turn.usage.web_searches),
    ])?;
    Ok(written > 0)
}

/// Writes any other event by a statement with eight parameters; returns whether a row was written.
fn write_fact(
    statement: &mut CachedStatement<'_>,
    conversations: &mut Names<'_, ConversationId>,
    event: &Event,
) -> rusqlite::Result<bool> {
    let Event { id, at, owner, fact } = event;
    let Some((kind, body)) = row::fact_row(fact) else { return Ok(true) };
    let written = statement.execute(params![
        id.as_str(),
        kind,
        at.as_millis(),
        row::role_number(owner.role),
        owner.since.as_millis(),
        conversations.number(&owner.conversation)?,
        owner.agent.as_ref().map(|agent| agent.as_str()),
        body,
    ])?;
    Ok(written > 0)
}

/// Numbers for names, remembered for the length of a transaction.
struct Names<'t, Name> {
    select: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    known: HashMap<Name, i64>,
    /// The one asked for last, which is most often asked for again.
    last: Option<(Name, i64)>,
}

impl<'t, Name: AsName> Names<'t, Name> {
    fn new(transaction: &'t Transaction<'_>, select: &str, insert: &str) -> rusqlite::Result<Self> {
        let (select, insert) = (transaction.prepare_cached(select)?, transaction.prepare_cached(insert)?);
        Ok(Self { select, insert, known: HashMap::new(), last: None })
    }

    fn number(&mut self, name: &Name) -> rusqlite::Result<i64> {
        match &self.last {
            Some((last, number)) if last == name => return Ok(*number),
            _ => {}
        }
        let number = self.look_up(name)?;
        self.last = Some((name.clone(), number));
        Ok(number)
    }

    fn look_up(&mut self, name: &Name) -> rusqlite::Result<i64> {
        match self.known.entry(name.clone()) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(place) => {
                let stored = self.select.query_row([name.as_name()], |row| row.get(0)).optional()?;
                let number = match stored {
                    Some(number) => number,
                    None => self.insert.insert([name.as_name()])?,
                };
                Ok(*place.insert(number))
            }
        }
    }
}

trait AsName: Clone + Eq + std::hash::Hash {
    fn as_name(&self) -> &str;
}

impl AsName for ConversationId {
    fn as_name(&self) -> &str {
        self.as_str()
    }
}

impl AsName for ModelId {
    fn as_name(&self) -> &str {
        self.as_str()
    }
}

fn write_checkpoints(transaction: &Transaction<'_>, checkpoints: &[Checkpoint]) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO source (path, conversation, agent, device, inode, size, modified_ns, \"offset\", since, turn_open,
                             fingerprint, problems)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (path) DO UPDATE SET conversation = excluded.conversation, agent = excluded.agent,
            device = excluded.device, inode = excluded.inode, size = excluded.size,
            modified_ns = excluded.modified_ns, \"offset\" = excluded.\"offset\", since = excluded.since,
            turn_open = excluded.turn_open, fingerprint = excluded.fingerprint, problems = excluded.problems",
    )?;
    for checkpoint in checkpoints {
        let Checkpoint { source, kind, stamp, position, fingerprint, problems } = checkpoint;
        let (conversation, agent) = match kind {
            SourceKind::Main { conversation } => (Some(conversation), None),
            SourceKind::SubAgent { conversation, agent } => (conversation.as_ref(), Some(agent)),
        };
        upsert.execute(params![
            source.path().as_os_str().as_encoded_bytes(),
            conversation.map(|id| id.as_str()),
            agent.map(|id| id.as_str()),
            stamp.file.0 as i64,
            stamp.file.1 as i64,
            row::column(stamp.size),
            stamp.modified_ns,
            row::column(position.offset),
            position.since.map(Timestamp::as_millis),
            position.turn_open,
            *fingerprint as i64,
            problems_text(problems),
        ])?;
    }
    Ok(())
}
