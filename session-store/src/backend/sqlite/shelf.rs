//! Checkpoints in one row: a report needs those of every source, and a row for each took more time than reading did.
//!
//! A commit writes rows of `source`, as few as it has read sources. Where they have become many they are packed onto
//! the shelf, which holds all others; of two checkpoints of one source the row is the newer.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, ffi};

use super::super::Checkpoint;
use super::row;
use crate::id::{AgentId, ConversationId, SourceId};
use crate::packed::{as_path, read_number, read_signed, read_text, write_number, write_signed, write_text};
use crate::time::Timestamp;
use crate::transcript::{Position, SourceKind, Stamp};

/// Rows that are worth packing: each report reads them one by one, packing writes the whole shelf.
const ROWS_MAX: u32 = 256;

const TURN_OPEN: u64 = 1;
const HAS_SINCE: u64 = 2;
const IS_SUB_AGENT: u64 = 4;
const HAS_CONVERSATION: u64 = 8;
/// The conversation is that of the checkpoint before.
const SAME_CONVERSATION: u64 = 16;
const HAS_PROBLEMS: u64 = 32;

/// Reads all checkpoints, in the order of their paths, within a transaction, so that no row can move to the shelf between the
/// two looks.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Checkpoint>> {
    let rows = rows(connection)?;
    // A store of an older format that may only be read has no shelf.
    let has_shelf =
        connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'shelf'")?.exists([])?;
    let mut packed = Vec::new();
    if has_shelf {
        let mut select = connection.prepare_cached("SELECT checkpoints FROM shelf")?;
        let mut shelf = select.query([])?;
        if let Some(row) = shelf.next()? {
            packed = unpack(row.get_ref(0)?.as_blob()?).ok_or_else(damaged)?;
        }
    }
    Ok(merged(packed, rows))
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
    let packed: Option<Vec<u8>> =
        transaction.query_row("SELECT checkpoints FROM shelf", [], |row| row.get(0)).optional()?;
    let packed = unpack(&packed.unwrap_or_default()).ok_or_else(damaged)?;
    let all = pack(&merged(packed, rows(transaction)?));
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
    let problems = row.get_ref(11)?.as_str_or_null()?.map(row::problems).unwrap_or_default();
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

fn kind(conversation: Option<ConversationId>, agent: Option<AgentId>) -> SourceKind {
    match agent {
        Some(agent) => SourceKind::SubAgent { conversation, agent },
        None => {
            SourceKind::Main { conversation: conversation.unwrap_or_else(|| ConversationId::from("unknown")) }
        }
    }
}

/// Merges two lists in the order of their paths; where both know a source the newer one counts.
fn merged(mut older: Vec<Checkpoint>, newer: Vec<Checkpoint>) -> Vec<Checkpoint> {
    // Nearly always the newer ones are of sources that were known: then thousands of others stay where they are.
    let replace = |new: Checkpoint| match older.binary_search_by(|known| known.source.cmp(&new.source)) {
        Ok(place) => {
            older[place] = new;
            None
        }
        Err(_) => Some(new),
    };
    let added: Vec<Checkpoint> = newer.into_iter().filter_map(replace).collect();
    if added.is_empty() {
        return older;
    }
    let mut all = Vec::with_capacity(older.len() + added.len());
    let mut added = added.into_iter().peekable();
    for known in older {
        while let Some(new) = added.next_if(|new| new.source < known.source) {
            all.push(new);
        }
        all.push(known);
    }
    all.extend(added);
    all
}

/// Writes checkpoints, each path as what sets it apart from the one before.
fn pack(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(checkpoints.len() * 96);
    let (mut path_before, mut conversation_before) = (&[][..], None);
    for Checkpoint { source, kind, stamp, position, fingerprint, problems } in checkpoints {
        let path = source.path().as_os_str().as_encoded_bytes();
        let shared = path.iter().zip(path_before).take_while(|(a, b)| a == b).count();
        write_number(&mut bytes, shared as u64);
        write_text(&mut bytes, &path[shared..]);
        path_before = path;

        let (conversation, agent) = match kind {
            SourceKind::Main { conversation } => (Some(conversation), None),
            SourceKind::SubAgent { conversation, agent } => (conversation.as_ref(), Some(agent)),
        };
        let is_same = conversation.is_some() && conversation == conversation_before;
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let flags = flag(position.turn_open, TURN_OPEN)
            | flag(position.since.is_some(), HAS_SINCE)
            | flag(agent.is_some(), IS_SUB_AGENT)
            | flag(conversation.is_some(), HAS_CONVERSATION)
            | flag(is_same, SAME_CONVERSATION)
            | flag(!problems.is_empty(), HAS_PROBLEMS);
        write_number(&mut bytes, flags);
        if let Some(conversation) = conversation.filter(|_| !is_same) {
            write_text(&mut bytes, conversation.as_str().as_bytes());
        }
        if let Some(agent) = agent {
            write_text(&mut bytes, agent.as_str().as_bytes());
        }
        conversation_before = conversation.or(conversation_before);

        for number in [stamp.file.0, stamp.file.1, stamp.size] {
            write_number(&mut bytes, number);
        }
        write_signed(&mut bytes, stamp.modified_ns);
        write_number(&mut bytes, position.offset);
        if let Some(since) = position.since {
            write_signed(&mut bytes, since.as_millis());
        }
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        if let Some(problems) = row::problems_text(problems) {
            write_text(&mut bytes, problems.as_bytes());
        }
    }
    bytes
}

/// Reads checkpoints back; `None` where they are damaged.
fn unpack(mut bytes: &[u8]) -> Option<Vec<Checkpoint>> {
    let bytes = &mut bytes;
    let mut checkpoints = Vec::new();
    let mut path_bytes = Vec::new();
    let mut conversation_before = None;
    while !bytes.is_empty() {
        let shared = usize::try_from(read_number(bytes)?).ok()?;
        if shared > path_bytes.len() {
            return None;
        }
        path_bytes.truncate(shared);
        path_bytes.extend_from_slice(read_text(bytes)?);

        let flags = read_number(bytes)?;
        let has = |flag: u64| flags & flag != 0;
        let conversation = match (has(HAS_CONVERSATION), has(SAME_CONVERSATION)) {
            (false, _) => None,
            (true, true) => Some(conversation_before.clone()?),
            (true, false) => Some(ConversationId::from(str::from_utf8(read_text(bytes)?).ok()?)),
        };
        let agent = match has(IS_SUB_AGENT) {
            true => Some(AgentId::from(str::from_utf8(read_text(bytes)?).ok()?)),
            false => None,
        };
        conversation_before = conversation.clone().or(conversation_before);

        let file = (read_number(bytes)?, read_number(bytes)?);
        let stamp = Stamp { file, size: read_number(bytes)?, modified_ns: read_signed(bytes)? };
        let offset = read_number(bytes)?;
        let since = match has(HAS_SINCE) {
            true => Some(Timestamp::from_millis(read_signed(bytes)?)),
            false => None,
        };
        let (fingerprint, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let problems = match has(HAS_PROBLEMS) {
            true => row::problems(str::from_utf8(read_text(bytes)?).ok()?),
            false => Default::default(),
        };
        checkpoints.push(Checkpoint {
            source: SourceId::again(&as_path(&path_bytes)),
            kind: kind(conversation, agent),
            stamp,
            position: Position { offset, since, turn_open: has(TURN_OPEN) },
            fingerprint: u64::from_le_bytes(*fingerprint),
            problems,
        });
    }
    Some(checkpoints)
}

/// What SQLite itself says of a damaged page.
fn damaged() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_is_total(bytes in any::<Vec<u8>>()) {
            let _ = unpack(&bytes);
        }
    }
}
