//! Reading back: sums and events.
//!
//! Each function is called within a transaction, so that a commit in between cannot leave numbers without names.

use std::ops::Range;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use super::super::Selection;
use super::row;
use super::sums::{self, Place};
use crate::cell::{CELL_WIDTH, Cell, CellKey, CellSum, fold_cells, together};
use crate::event::{Event, Fact};
use crate::id::{ConversationId, EventId, ModelId};
use crate::ledger::Ledger;
use crate::time::Timestamp;
use crate::transcript::Listings;

const QUARTER_MS: i64 = CELL_WIDTH.as_millis() as i64;

/// Returns what the store's session shares; a store of an older format, read only, says nothing of it.
pub(super) fn sharing(connection: &Connection) -> rusqlite::Result<Option<String>> {
    match connection.prepare_cached("SELECT level FROM sharing") {
        Ok(mut select) => select.query_row([], |row| row.get(0)).optional(),
        Err(error) => {
            // A store of an older format that may only be read has no such table.
            let has_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sharing')";
            if connection.query_row(has_table, [], |row| row.get(0))? { Err(error) } else { Ok(None) }
        }
    }
}

/// Returns whether the store was closed for good.
pub(super) fn is_closed(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM closed)")?.query_row([], |row| row.get(0))
}

/// Reads what folders held; damage is as good as nothing, because it is only a hint.
pub(super) fn listings(connection: &Connection) -> rusqlite::Result<Listings> {
    let mut select = match connection.prepare_cached("SELECT folders FROM listing") {
        Ok(select) => select,
        // A store of an older format that may only be read has none.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => return Ok(Listings::default()),
        Err(error) => return Err(error),
    };
    let mut rows = select.query([])?;
    match rows.next()? {
        Some(row) => Ok(Listings::unpack(row.get_ref(0)?.as_blob()?).unwrap_or_default()),
        None => Ok(Listings::default()),
    }
}

/// Reads whole quarters from their sums and divided ones from their turns.
pub(super) fn cells(
    connection: &Connection,
    range: Range<Timestamp>,
    cuts: &[Timestamp],
) -> rusqlite::Result<Vec<Cell>> {
    let names = Names::read(connection)?;
    let mut cells = Vec::new();
    for_whole_quarters(connection, &range, cuts, |place, sum| {
        cells.push(Cell { key: names.key(place), sum });
    })?;
    Ok(in_order(cells, divided_cells(connection, &names, &range, cuts)?))
}

/// Reads the same with the sums of all conversations added up, before anything is made of them; their names are not read.
pub(super) fn cells_together(
    connection: &Connection,
    range: Range<Timestamp>,
    cuts: &[Timestamp],
) -> rusqlite::Result<Vec<Cell>> {
    let mut sums: Vec<(Place, CellSum)> = Vec::new();
    for_whole_quarters(connection, &range, cuts, |place, sum| {
        let place = Place { conversation: 0, ..place };
        // Those of a quarter hour are a handful.
        let mut of_quarter = sums.iter_mut().rev().take_while(|(known, _)| known.quarter == place.quarter);
        match of_quarter.find(|(known, _)| *known == place) {
            Some((_, known)) => known.add(&sum),
            None => sums.push((place, sum)),
        }
    })?;
    let names =
        Names { conversations: vec![(0, ConversationId::from(""))], models: Names::models(connection)? };
    let cells = sums.into_iter().map(|(place, sum)| Cell { key: names.key(place), sum }).collect();
    Ok(in_order(cells, together(divided_cells(connection, &names, &range, cuts)?)))
}

fn for_whole_quarters(
    connection: &Connection,
    range: &Range<Timestamp>,
    cuts: &[Timestamp],
    mut each: impl FnMut(Place, CellSum),
) -> rusqlite::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let divided = divided_quarters(range, cuts);
    let first = range.start.as_millis().div_euclid(QUARTER_MS);
    let last = range.end.as_millis().saturating_sub(1).div_euclid(QUARTER_MS);
    let mut select = connection.prepare_cached("SELECT day, sums FROM cell WHERE day >= ?1 AND day <= ?2")?;
    let mut rows = select.query([sums::day_of(first), sums::day_of(last)])?;
    while let Some(row) = rows.next()? {
        sums::unpack(row.get(0)?, row.get_ref(1)?.as_blob()?, |place, sum| {
            let is_whole = divided.binary_search(&place.quarter).is_err();
            if is_whole && (first..=last).contains(&place.quarter) {
                each(place, sum);
            }
        })?;
    }
    Ok(())
}

/// Reads the parts of the quarters that are divided.
fn divided_cells(
    connection: &Connection,
    names: &Names,
    range: &Range<Timestamp>,
    cuts: &[Timestamp],
) -> rusqlite::Result<Vec<Cell>> {
    let mut cells = Vec::new();
    let divided = if range.is_empty() { Vec::new() } else { divided_quarters(range, cuts) };
    for quarter in divided {
        let start = Timestamp::from_millis(quarter.saturating_mul(QUARTER_MS));
        let part = start.max(range.start)..start.after(CELL_WIDTH).min(range.end);
        let selection = Selection { range: part.clone(), ..Selection::all() };
        let turns = read_turns(connection, names, &selection)?;
        cells.extend(fold_cells(&turns, part, cuts));
    }
    Ok(cells)
}

/// Puts cells in order: whole quarters, which come by quarter already, and parts of divided ones.
fn in_order(mut cells: Vec<Cell>, parts: Vec<Cell>) -> Vec<Cell> {
    // Conversations are numbered in another order than their names'.
    for quarter in cells.chunk_by_mut(|a, b| a.key.start == b.key.start) {
        quarter.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    }
    if !parts.is_empty() {
        cells.extend(parts);
        cells.sort_by(|a, b| a.key.cmp(&b.key));
    }
    cells
}

/// Returns the quarters that an end of the range or a cut divides, each once, in order.
fn divided_quarters(range: &Range<Timestamp>, cuts: &[Timestamp]) -> Vec<i64> {
    let inner =
        |at: &Timestamp| at.as_millis().rem_euclid(QUARTER_MS) != 0 && range.start <= *at && *at <= range.end;
    let ends = [range.start, range.end];
    let finite = ends.iter().filter(|at| **at != Timestamp::MIN && **at != Timestamp::MAX);
    let mut quarters: Vec<i64> = cuts
        .iter()
        .chain(finite)
        .filter(|at| inner(at))
        .map(|at| at.as_millis().div_euclid(QUARTER_MS))
        .collect();
    quarters.sort_unstable();
    quarters.dedup();
    quarters
}

pub(super) fn events(connection: &Connection, selection: &Selection) -> rusqlite::Result<Ledger> {
    let mut names = None;
    let mut ledger = match selection.turns {
        true => read_turns(connection, names_once(&mut names, connection)?, selection)?,
        false => Ledger::default(),
    };
    let (from, to) = (selection.range.start.as_millis(), selection.range.end.as_millis());
    let mut select = connection.prepare_cached(match selection.conversations || selection.others {
        true => FACTS,
        false => LIMIT_HITS,
    })?;
    let mut rows = match selection.conversations || selection.others {
        true => select.query(params![
            from,
            to,
            row::CONVERSATION,
            selection.conversations,
            selection.others,
            row::LIMIT_HIT
        ])?,
        false => select.query([from, to])?,
    };
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        // A kind that only a newer version knows is passed over.
        if let Some(fact) = row::fact(row.get_ref(1)?.as_str()?) {
            let event = event(row, 2, names_once(&mut names, connection)?, fact)?;
            facts.extend(selection.holds(&event).then_some(event));
        }
    }
    // In order they make a ledger at once.
    if ledger.is_empty() {
        return Ok(facts.into_iter().collect());
    }
    ledger.extend(facts);
    Ok(ledger)
}

/// Returns whether there are facts that cannot be read: of a kind that only a newer version knows.
pub(super) fn holds_unknown(connection: &Connection) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT body FROM fact")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if row::fact(row.get_ref(0)?.as_str()?).is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn turn_ids(connection: &Connection) -> rusqlite::Result<Vec<EventId>> {
    let mut select = connection.prepare_cached("SELECT id FROM turn ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(EventId::from(row.get_ref(0)?.as_str()?));
    }
    Ok(ids)
}

pub(super) fn turns_of(connection: &Connection, ids: &[EventId]) -> rusqlite::Result<Ledger> {
    let mut ledger = Ledger::default();
    let mut select = connection.prepare_cached(&format!("{TURNS} WHERE id = ?1"))?;
    let mut names = None;
    for id in ids {
        let mut rows = select.query([id.as_str()])?;
        if let Some(row) = rows.next()? {
            let _ = ledger.apply(turn_event(row, names_once(&mut names, connection)?)?);
        }
    }
    Ok(ledger)
}

/// Facts of any sort.
const FACTS: &str = "SELECT id, body, at, role, since, conversation, agent FROM fact
                     WHERE CASE kind WHEN ?3 THEN ?4 ELSE (?5 OR kind = ?6) AND at >= ?1 AND at < ?2 END";
/// Limit hits alone, few among thousands of facts, by the index that [`super::write::settle`] makes: written out, because
/// SQLite takes it for no parameter.
const LIMIT_HITS: &str = "SELECT id, body, at, role, since, conversation, agent FROM fact
                          WHERE kind = 'limit_hit' AND at >= ?1 AND at < ?2";

/// The columns that [`turn_event`] reads.
const TURNS: &str =
    "SELECT id, at, role, since, conversation, agent, model, class, input, output, cache_write_5m,
                            cache_write_1h, cache_read, web_searches FROM turn";

fn turn_event(row: &Row<'_>, names: &Names) -> rusqlite::Result<Event> {
    let fact = Fact::Turn(row::turn(row, 6, names.model(row.get(6)?))?);
    event(row, 1, names, fact)
}

fn read_turns(connection: &Connection, names: &Names, selection: &Selection) -> rusqlite::Result<Ledger> {
    let (from, to) = (selection.range.start.as_millis(), selection.range.end.as_millis());
    // The sign keeps SQLite from its index, which leads from row to row all over the table.
    let at = if is_large_part(connection, from, to)? { "+at" } else { "at" };
    let mut select = connection.prepare_cached(&format!("{TURNS} WHERE {at} >= ?1 AND {at} < ?2"))?;
    let mut rows = select.query(params![from, to])?;
    let mut turns = Vec::new();
    while let Some(row) = rows.next()? {
        let turn = turn_event(row, names)?;
        if selection.holds(&turn) {
            turns.push(turn);
        }
    }
    Ok(turns.into_iter().collect())
}

/// Returns whether a range holds so much of the time of all turns that going through all of them costs less than looking for
/// each.
fn is_large_part(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<bool> {
    const PART: i64 = 16;
    const DAY_MS: i64 = 86_400_000;
    if to.saturating_sub(from) <= DAY_MS {
        return Ok(false);
    }
    let end = |sql: &str| {
        let mut select = connection.prepare_cached(sql)?;
        select.query_row([], |row| row.get::<_, Option<i64>>(0))
    };
    let ends = end("SELECT min(at) FROM turn")?.zip(end("SELECT max(at) FROM turn")?);
    let Some((first, last)) = ends else { return Ok(false) };
    let inside = to.min(last).saturating_sub(from.max(first));
    Ok(inside > last.saturating_sub(first) / PART)
}

/// Reads an event from its id in the first column and its time and owner from column `at` on.
fn event(row: &Row<'_>, at: usize, names: &Names, fact: Fact) -> rusqlite::Result<Event> {
    Ok(Event {
        id: EventId::from(row.get_ref(0)?.as_str()?),
        at: Timestamp::from_millis(row.get(at)?),
        owner: row::owner(row, at + 1, names.conversation(row.get(at + 3)?))?,
        fact,
    })
}

/// The names behind the numbers, in the order of the numbers.
struct Names {
    conversations: Vec<(i64, ConversationId)>,
    models: Vec<(i64, ModelId)>,
}

/// Reads the names where that has not been done: most that look for a few events find none.
fn names_once<'n>(names: &'n mut Option<Names>, connection: &Connection) -> rusqlite::Result<&'n Names> {
    Ok(match names {
        Some(names) => names,
        none => none.insert(Names::read(connection)?),
    })
}

impl Names {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut conversations = connection.prepare_cached("SELECT id, name FROM conversation ORDER BY id")?;
        let conversations = conversations
            .query_map([], |row| Ok((row.get(0)?, ConversationId::from(row.get_ref(1)?.as_str()?))))?
            .collect::<Result<_, _>>()?;
        Ok(Self { conversations, models: Self::models(connection)? })
    }

    fn models(connection: &Connection) -> rusqlite::Result<Vec<(i64, ModelId)>> {
        let mut models = connection.prepare_cached("SELECT id, name FROM model ORDER BY id")?;
        models.query_map([], |row| Ok((row.get(0)?, ModelId::from(row.get_ref(1)?.as_str()?))))?.collect()
    }

    fn key(&self, place: Place) -> CellKey {
        CellKey {
            start: Timestamp::from_millis(place.quarter.saturating_mul(QUARTER_MS)),
            conversation: self.conversation(place.conversation),
            model: self.model(place.model),
            class: row::price_class(place.class),
        }
    }

    fn conversation(&self, number: i64) -> ConversationId {
        named(&self.conversations, number).unwrap_or_else(|| ConversationId::from("unknown"))
    }

    fn model(&self, number: i64) -> ModelId {
        named(&self.models, number).unwrap_or_else(|| ModelId::from("unknown"))
    }
}

/// Looks up a number. They are given from one on, so its place is known in advance where none before it has gone.
fn named<Name: Clone>(names: &[(i64, Name)], number: i64) -> Option<Name> {
    let at_its_place = usize::try_from(number).ok().and_then(|number| names.get(number.checked_sub(1)?));
    let (_, name) = match at_its_place {
        Some(there) if there.0 == number => there,
        _ => &names[names.binary_search_by_key(&number, |(number, _)| *number).ok()?],
    };
    Some(name.clone())
}

#[cfg(test)]
mod tests {
    use super::super::{OpenMode, Sqlite};
    use super::*;
    use crate::backend::EventBackend;

    #[test]
    fn limit_hits_are_found_by_their_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("archive.db"), OpenMode::ReadWrite).unwrap();
        let plan = |sql: &str| {
            let connection = store.connection().unwrap();
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = explain.query([0, 1]).unwrap();
            rows.next().unwrap().unwrap().get::<_, String>(3).unwrap()
        };
        assert!(plan(LIMIT_HITS).starts_with("SCAN fact"), "a first import goes without");
        store.settle().unwrap();
        assert!(plan(LIMIT_HITS).contains("INDEX limit_hit_at"), "{}", plan(LIMIT_HITS));
        assert!(LIMIT_HITS.contains(row::LIMIT_HIT));
    }
}
