//! Checkpoints in one row: a report needs those of every source, and a row for each took more time than reading did.
//!
//! A commit writes rows of `source`, as few as it has read sources. Where they have become many they are packed onto
//! the shelf, which holds all others; of two checkpoints of one source the row is the newer.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, ffi};

use crate::checkpoint::pack::{kind, merged, pack, problems, unpack};
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::id::{AgentId, ConversationId, SourceId, as_path};
use crate::time::Timestamp;
use crate::transcript::{Position, Stamp};

/// Rows that are worth packing: each report reads them one by one, packing writes the whole shelf.
const ROWS_MAX: u32 = 256;

/// Reads all checkpoints, in the order of their paths, within a transaction, so that no row can move to the shelf between the
/// two looks.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Checkpoint>> {
    let rows = rows(connection)?;
    Ok(merged(unpack(&shelf(connection)?).ok_or_else(damaged)?, rows))
}

/// The same for one who needs few of them.
pub(super) fn read_packed(connection: &Connection) -> rusqlite::Result<Checkpoints> {
    let rows = rows(connection)?;
    Checkpoints::of_packed(shelf(connection)?, rows).ok_or_else(damaged)
}

/// Returns what is on the shelf, packed; nothing where there is none, as in a store of an older format that may only be read.
fn shelf(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    let has_shelf =
        connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'shelf'")?.exists([])?;
    if !has_shelf {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached("SELECT checkpoints FROM shelf")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Packs the rows where they have become many.
pub(super) fn tidy(connection: &mut Connection) -> rusqlite::Result<()> {
    let count = |connection: &Connection| -> rusqlite::Result<u32> {
        connection.prepare_cached("SELECT count(*) FROM source")?.query_row([], |row| row.get(0))
    };
    if count(connection)? < ROWS_MAX {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    pack_rows(&transaction)?;
    transaction.commit()
}

fn pack_rows(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let all = pack(&read(transaction)?);
    transaction.execute("INSERT OR REPLACE INTO shelf VALUES (1, ?1)", [all])?;
    transaction.execute("DELETE FROM source", [])?;
    Ok(())
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<Checkpoint>> {
    let mut select = connection.prepare_cached(
        "SELECT path, conversation, agent, device, inode, size, modified_ns, \"offset\", since, turn_open, fingerprint,
                problems
         FROM source ORDER BY path",
    )?;
    select.query_map([], checkpoint)?.collect()
}

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    let conversation = row.get_ref(1)?.as_str_or_null()?.map(ConversationId::from);
    let agent = row.get_ref(2)?.as_str_or_null()?.map(AgentId::from);
    let problems = row.get_ref(11)?.as_str_or_null()?.map(problems).unwrap_or_default();
    Ok(Checkpoint {
        source: SourceId::again(&as_path(row.get_ref(0)?.as_blob()?)),
        kind: kind(conversation, agent),
        stamp: Stamp {
            file: (row.get::<_, i64>(3)? as u64, row.get::<_, i64>(4)? as u64),
            size: row.get::<_, i64>(5)? as u64,
            modified_ns: row.get(6)?,
        },
        position: Position {
            offset: row.get::<_, i64>(7)? as u64,
            since: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
            turn_open: row.get(9)?,
        },
        fingerprint: row.get::<_, i64>(10)? as u64,
        problems,
    })
}

/// What SQLite itself says of a damaged page.
fn damaged() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None)
}
