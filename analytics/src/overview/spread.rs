//! The sums of quarter hours, spread over days, sessions and hours of the week.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use session_store::{ConversationId, Date, ModelId, Timestamp, Usage, Zone};

use super::{Detail, OverviewInput, weekday};
use crate::by_text::{AddressHasher, ByText};
use crate::money::Usd;
use crate::pricing::{Price, Prices};
use crate::report::{Row, Totals};
use crate::sessions::Sessions;

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

/// The same in numbers, to be looked up soon: the day, the session's name by its address, the conversation, the model.
type Number = (Date, usize, usize, usize);

impl Spread {
    /// Counts what is covered: the cells of these conversations that the range and the filter leave.
    pub(super) fn of(input: &OverviewInput<'_>, conversations: &[Row]) -> Self {
        let mut covered = ByText::default();
        for (place, row) in conversations.iter().enumerate() {
            covered.insert(&row.key, place);
        }
        let mut owners = Owners { sessions: input.sessions, known: vec![None; conversations.len()] };
        let (mut models, mut model_count) = (ByText::default(), 0);
        let mut clock = Clock { zone: input.zone, quarter: None };
        let mut prices = Prices::of(input.book);
        let mut places: HashMap<Number, usize, BuildHasherDefault<AddressHasher>> = HashMap::default();
        let mut sums: Vec<(Place<'_>, usize, Totals)> = Vec::new();
        let (mut hours, mut saved) = (vec![Usd::ZERO; 7 * 24], Usd::ZERO);
        for cell in &input.figures.cells {
            let key = &cell.key;
            let part = input.filter.model.as_deref();
            let is_wanted =
                input.range.contains(&key.start) && part.is_none_or(|part| key.model.as_str().contains(part));
            let Some(row) = covered.get(key.conversation.as_str()).filter(|_| is_wanted) else { continue };
            let price = prices.price(&key.model, key.start, key.class);
            let cost = price.map_or(Usd::ZERO, |price| price.cost(&cell.sum.usage));
            saved += price.map_or(Usd::ZERO, |price| saving(price, &cell.sum.usage));
            let (date, hour) = clock.read(key.start);
            hours[hour] += cost;
            let session = owners.session(row, &key.conversation, key.start);
            let model = models.get(key.model.as_str()).unwrap_or_else(|| {
                models.insert(key.model.as_str(), model_count);
                model_count += 1;
                model_count - 1
            });
            let number = (date, session.map_or(0, |name| name.as_ptr() as usize), row, model);
            let place = *places.entry(number).or_insert_with(|| {
                sums.push(((date, session, &key.conversation, &key.model), row, Totals::default()));
                sums.len() - 1
            });
            let totals = &mut sums[place].2;
            totals.sum.add(&cell.sum);
            totals.cost += cost;
            totals.estimated |= price.is_some_and(|price| price.estimated);
        }
        sums.sort_unstable_by_key(|(place, ..)| *place);
        let detail =
            |((date, session, conversation, model), row, totals): (Place<'_>, usize, Totals)| Detail {
                date,
                session: session.cloned(),
                conversation: conversation.clone(),
                project: conversations[row].project.clone(),
                model: model.clone(),
                totals: Totals { models: BTreeSet::from([model.clone()]), ..totals },
            };
        Self { details: sums.into_iter().map(detail).collect(), hours, saved }
    }
}

/// Tells in which session a conversation ran, of most of them once and for all.
struct Owners<'a> {
    sessions: &'a Sessions,
    known: Vec<Option<Option<&'a Arc<str>>>>,
}

impl<'a> Owners<'a> {
    fn session(&mut self, row: usize, conversation: &ConversationId, at: Timestamp) -> Option<&'a Arc<str>> {
        if let Some(known) = self.known[row] {
            return known;
        }
        let session = self.sessions.name_of(conversation, at);
        if !self.sessions.has_moved(conversation) {
            self.known[row] = Some(session);
        }
        session
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
