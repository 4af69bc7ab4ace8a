//! The sums of quarter hours, spread over days, sessions and hours of the week.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use session_store::{ConversationId, Date, ModelId, Timestamp, Usage, Zone};

use super::{Detail, OverviewInput, weekday};
use crate::money::Usd;
use crate::pricing::{Price, Prices};
use crate::report::{Row, Totals};

/// What one pass over the cells tells.
pub(super) struct Spread {
    pub(super) details: Vec<Detail>,
    /// The spend of each hour of the week, from Monday at midnight on.
    pub(super) hours: Vec<Usd>,
    /// What prompts would have cost more without a cache.
    pub(super) saved: Usd,
}

/// What the turns of a detail share.
type Place<'a> = (Date, Option<&'a Arc<str>>, &'a ConversationId, &'a ModelId);

impl Spread {
    /// Counts what is covered: the cells of these conversations that the range and the filter leave.
    pub(super) fn of(input: &OverviewInput<'_>, conversations: &[Row]) -> Self {
        let covered: BTreeMap<&str, Option<&String>> =
            conversations.iter().map(|row| (row.key.as_str(), row.project.as_ref())).collect();
        let mut clock = Clock { zone: input.zone, quarter: None };
        let mut prices = Prices::of(input.book);
        let mut places: BTreeMap<Place<'_>, Totals> = BTreeMap::new();
        let (mut hours, mut saved) = (vec![Usd::ZERO; 7 * 24], Usd::ZERO);
        for cell in &input.figures.cells {
            let key = &cell.key;
            let part = input.filter.model.as_deref();
            let wanted = input.range.contains(&key.start)
                && part.is_none_or(|part| key.model.as_str().contains(part))
                && covered.contains_key(key.conversation.as_str());
            if !wanted {
                continue;
            }
            let price = prices.price(&key.model, key.start, key.class);
            let cost = price.map_or(Usd::ZERO, |price| price.cost(&cell.sum.usage));
            saved += price.map_or(Usd::ZERO, |price| saving(price, &cell.sum.usage));
            let (date, hour) = clock.read(key.start);
            hours[hour] += cost;
            let session = input.sessions.name_of(&key.conversation, key.start);
            let totals = places.entry((date, session, &key.conversation, &key.model)).or_default();
            totals.sum.add(&cell.sum);
            totals.cost += cost;
            totals.estimated |= price.is_some_and(|price| price.estimated);
        }
        let detail = |((date, session, conversation, model), mut totals): (Place<'_>, Totals)| {
            totals.models = BTreeSet::from([model.clone()]);
            Detail {
                date,
                session: session.cloned(),
                conversation: conversation.clone(),
                project: covered.get(conversation.as_str()).copied().flatten().cloned(),
                model: model.clone(),
                totals,
            }
        };
        Self { details: places.into_iter().map(detail).collect(), hours, saved }
    }
}

/// Reads days and hours; cells come in the order of their times, many to a quarter hour.
struct Clock<'a> {
    zone: &'a Zone,
    quarter: Option<(Timestamp, Date, usize)>,
}

impl Clock<'_> {
    /// Returns the day, and the hour of the week.
    fn read(&mut self, at: Timestamp) -> (Date, usize) {
        // No zone of today changes its hour within a quarter of one.
        let quarter = at.floor(session_store::CELL_WIDTH);
        match self.quarter {
            Some((known, date, hour)) if known == quarter => (date, hour),
            _ => {
                let date = self.zone.date_of(at);
                let (hour, _) = self.zone.clock_of(at);
                let hour = weekday(date) * 24 + usize::try_from(hour).unwrap_or(0).min(23);
                self.quarter = Some((quarter, date, hour));
                (date, hour)
            }
        }
    }
}

/// Returns what a usage would have cost more without a cache: all of its prompt at the price of plain input.
fn saving(price: &Price, usage: &Usage) -> Usd {
    let rates = &price.rates;
    let rate = |rate: Usd, count: u64| {
        Usd::from_picos((rates.input.as_picos() - rate.as_picos()).saturating_mul(i128::from(count)))
    };
    rate(rates.cache_read, usage.cache_read)
        + rate(rates.cache_write_5m, usage.cache_write_5m)
        + rate(rates.cache_write_1h, usage.cache_write_1h)
}
