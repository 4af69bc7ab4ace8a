//! The sums of a day in one row: a report reads every cell there is, and a row for each took most of its time.
//!
//! A cell is twelve numbers: place and sum.

use std::collections::BTreeMap;

use rusqlite::{Transaction, ffi, params};

use crate::cell::CellSum;
use crate::packed::{read_number, write_number};
use crate::usage::Usage;

/// Cells in a day.
const QUARTERS: i64 = 96;

/// Where a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// The quarter hour since 1970 (UTC).
    pub quarter: i64,
    pub conversation: i64,
    pub model: i64,
    pub class: u8,
}

impl Place {
    pub(super) fn day(&self) -> i64 {
        day_of(self.quarter)
    }
}

/// Returns the day of a quarter hour, since 1970 (UTC).
pub(super) fn day_of(quarter: i64) -> i64 {
    quarter.div_euclid(QUARTERS)
}

/// Writes the cells of one day.
pub(super) fn pack(cells: &BTreeMap<Place, CellSum>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * 32);
    for (place, sum) in cells {
        let Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches } = sum.usage;
        let quarter = place.quarter.rem_euclid(QUARTERS) as u64;
        let (conversation, model) = (place.conversation as u64, place.model as u64);
        for number in [quarter, conversation, model, place.class.into(), sum.messages, sum.under_reported] {
            write_number(&mut bytes, number);
        }
        for number in [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] {
            write_number(&mut bytes, number);
        }
    }
    bytes
}

/// Reads the cells of a day, in the order of their places.
pub(super) fn unpack(
    day: i64,
    mut bytes: &[u8],
    mut each: impl FnMut(Place, CellSum),
) -> rusqlite::Result<()> {
    while !bytes.is_empty() {
        let mut numbers = [0; 12];
        for number in &mut numbers {
            *number = read_number(&mut bytes).ok_or_else(damaged)?;
        }
        let [quarter, conversation, model, class, messages, under_reported, usage @ ..] = numbers;
        let [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] = usage;
        let place = Place {
            quarter: day.saturating_mul(QUARTERS).saturating_add_unsigned(quarter),
            conversation: conversation as i64,
            model: model as i64,
            class: u8::try_from(class).map_err(|_| damaged())?,
        };
        let usage = Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches };
        each(place, CellSum { messages, under_reported, usage });
    }
    Ok(())
}

/// What SQLite itself says of a damaged page.
fn damaged() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None)
}

/// Adds to sums, and takes out of them, by place.
pub(super) fn write(
    transaction: &Transaction<'_>,
    changes: BTreeMap<Place, (CellSum, CellSum)>,
) -> rusqlite::Result<()> {
    let mut select = transaction.prepare_cached("SELECT sums FROM cell WHERE day = ?1")?;
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO cell VALUES (?1, ?2)")?;
    let mut changes = changes.into_iter().peekable();
    while let Some(day) = changes.peek().map(|(place, _)| place.day()) {
        let mut cells = BTreeMap::new();
        let mut rows = select.query([day])?;
        if let Some(row) = rows.next()? {
            unpack(day, row.get_ref(0)?.as_blob()?, |place, sum| {
                cells.insert(place, sum);
            })?;
        }
        while let Some((place, (incoming, outgoing))) = changes.next_if(|(place, _)| place.day() == day) {
            let sum: &mut CellSum = cells.entry(place).or_default();
            sum.add(&incoming);
            sum.subtract(&outgoing);
        }
        cells.retain(|_, sum| sum.messages > 0);
        write.execute(params![day, pack(&cells)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells() -> impl Strategy<Value = BTreeMap<Place, CellSum>> {
        let place = (0..QUARTERS, any::<i64>(), any::<i64>(), any::<u8>());
        let number = || (any::<u64>(), 0..64u32).prop_map(|(number, bits)| number >> bits);
        let sum = proptest::array::uniform8(number());
        proptest::collection::btree_map(place, sum, 0..9).prop_map(|cells| {
            let cell = |((quarter, conversation, model, class), sum): (_, [u64; 8])| {
                let [
                    messages,
                    under_reported,
                    input,
                    output,
                    cache_write_5m,
                    cache_write_1h,
                    cache_read,
                    web_searches,
                ] = sum;
                let usage = Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches };
                let place = Place { quarter: quarter - QUARTERS, conversation, model, class };
                (place, CellSum { messages, under_reported, usage })
            };
            cells.into_iter().map(cell).collect()
        })
    }

    proptest! {
        #[test]
        fn unpack_undoes_pack(cells in cells()) {
            let mut read = BTreeMap::new();
            unpack(-1, &pack(&cells), |place, sum| {
                read.insert(place, sum);
            }).unwrap();
            prop_assert_eq!(read, cells);
        }

        #[test]
        fn unpack_is_total(bytes in any::<Vec<u8>>(), day: i64) {
            let _ = unpack(day, &bytes, |_, _| {});
        }
    }
}
