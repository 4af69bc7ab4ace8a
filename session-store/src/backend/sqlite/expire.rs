//! Retention: what ended before a moment goes, with its part of the sums, in one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::row;
use super::sums::{self, Place};
use crate::cell::{CELL_WIDTH, CellSum, PriceClass};
use crate::event::Fact;
use crate::id::ModelId;
use crate::time::Timestamp;

/// Returns the moment before which nothing is kept. A store of an older format, read only, keeps everything.
pub(super) fn horizon(connection: &Connection) -> rusqlite::Result<Timestamp> {
    let has_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'horizon')";
    if !connection.prepare_cached(has_table)?.query_row([], |row| row.get(0))? {
        return Ok(Timestamp::MIN);
    }
    let mut select = connection.prepare_cached("SELECT before FROM horizon")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.map_or(Timestamp::MIN, Timestamp::from_millis))
}

pub(super) fn expire(connection: &mut Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO horizon VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET before = max(before, excluded.before)",
        [before.as_millis()],
    )?;
    let sums = sums_before(&transaction, before)?;
    sums::write(&transaction, sums)?;
    let turns = transaction.execute("DELETE FROM turn WHERE at < ?1", [before.as_millis()])?;
    let facts = delete_facts(&transaction, before)?;
    transaction.execute_batch(
        "DELETE FROM conversation WHERE id NOT IN (SELECT conversation FROM turn UNION SELECT conversation FROM fact);
         DELETE FROM model WHERE id NOT IN (SELECT model FROM turn)",
    )?;
    transaction.commit()?;
    Ok((turns + facts) as u64)
}

/// Sums up what goes out of each cell.
fn sums_before(
    transaction: &Transaction<'_>,
    before: Timestamp,
) -> rusqlite::Result<BTreeMap<Place, (CellSum, CellSum)>> {
    let mut select = transaction.prepare(
        "SELECT at, conversation, model, class, input, output, cache_write_5m, cache_write_1h, cache_read, web_searches
         FROM turn WHERE at < ?1",
    )?;
    let mut rows = select.query([before.as_millis()])?;
    let mut sums: BTreeMap<Place, (CellSum, CellSum)> = BTreeMap::new();
    // The price class does not depend on the model's name.
    let model = ModelId::from("");
    while let Some(row) = rows.next()? {
        let turn = row::turn(row, 2, model.clone())?;
        let place = Place {
            quarter: row.get::<_, i64>(0)?.div_euclid(CELL_WIDTH.as_millis() as i64),
            conversation: row.get(1)?,
            model: row.get(2)?,
            class: row::cell_class(PriceClass::of(&turn)),
        };
        sums.entry(place).or_default().1.add(&CellSum::of(&turn));
    }
    Ok(sums)
}

/// A conversation ends with its latest line, which stands in its body. What only a newer version can read stays.
fn delete_facts(transaction: &Transaction<'_>, before: Timestamp) -> rusqlite::Result<usize> {
    let mut gone: Vec<String> = Vec::new();
    let mut select = transaction.prepare("SELECT id, body FROM fact WHERE at < ?1 OR kind = ?2")?;
    let mut rows = select.query(params![before.as_millis(), row::CONVERSATION])?;
    while let Some(row) = rows.next()? {
        let is_over = match row::fact(row.get_ref(1)?.as_str()?) {
            Some(Fact::Conversation(conversation)) => conversation.last.at < before,
            fact => fact.is_some(),
        };
        if is_over {
            gone.push(row.get(0)?);
        }
    }
    let mut delete = transaction.prepare("DELETE FROM fact WHERE id = ?1")?;
    gone.iter().try_for_each(|id| delete.execute([id]).map(drop))?;
    Ok(gone.len())
}
