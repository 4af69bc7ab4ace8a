//! Everything that an export tells, worked out once: figures over time, by model, project and session, windows, hits.

use std::collections::BTreeMap;
use std::ops::Range;

use session_store::{ConversationId, Date, Timestamp, Usage, Zone};

use crate::money::Usd;
use crate::pricing::{Price, PriceBook, Prices};
use crate::report::{By, Figures, Filter, Hit, Problems, Report, ReportOptions, Row, Totals, quota_hits};

/// Up to so many days there is a slot for each, up to so many weeks' days one for each week, then one for each month.
const DAYS_MAX: usize = 92;
const WEEK_DAYS_MAX: usize = 2 * 366;
/// The names of a series that are told apart; the rest is one more.
const NAMES_MAX: usize = 7;

/// What an overview is made of.
#[derive(Debug)]
pub struct OverviewInput<'a> {
    /// Sums and facts of all time, divided at the cuts of the anchored blocks and at the ends of `range`.
    pub figures: &'a Figures,
    /// The prices.
    pub book: &'a PriceBook,
    /// Where days begin.
    pub zone: &'a Zone,
    /// The time covered; the end is exclusive.
    pub range: Range<Timestamp>,
    /// What is left out.
    pub filter: &'a Filter,
    /// The moment.
    pub now: Timestamp,
}

/// Figures over time, by model, project, session and conversation, with windows and limit hits.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The moment it was made.
    pub at: Timestamp,
    /// Where days begin.
    pub zone: Zone,
    /// The first and the last day with use; `None` where nothing was used.
    pub days: Option<(Date, Date)>,
    /// The sum of everything covered.
    pub totals: Totals,
    /// What was not counted.
    pub problems: Problems,
    /// By day, for the extremes.
    pub daily: Vec<Row>,
    /// By model, project, conversation and five-hour block, each in the order of the keys.
    pub models: Vec<Row>,
    /// By project.
    pub projects: Vec<Row>,
    /// By conversation.
    pub conversations: Vec<Row>,
    /// By five-hour block.
    pub blocks: Vec<Row>,
    /// The quota hits, in the order of their times.
    pub hits: Vec<Hit>,
    /// How the slots of the series follow each other.
    pub step: Step,
    /// The first day of each slot.
    pub slots: Vec<Date>,
    /// What each model cost in each slot.
    pub by_model: Series,
    /// What each session cost in each slot; each project where no session is known.
    pub by_session: Series,
    /// Whether the sessions of some use are known, so that `by_session` is by session.
    pub knows_sessions: bool,
    /// What was used in each hour of the week, the first that from Monday at midnight.
    pub hours: Vec<Usd>,
    /// What prompts would have cost more without a cache; negative where writing to it cost more than reading saved.
    pub cache_saved: Usd,
}

/// How the slots of a series follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Day by day.
    Day,
    /// Week by week, from Monday.
    Week,
    /// Month by month.
    Month,
}

/// Amounts by name and slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The names with their sums, the greatest first.
    pub names: Vec<(String, Usd)>,
    /// How many smaller ones the last name stands for; 0 where it is itself.
    pub merged: usize,
    /// For each slot the amount of each name.
    pub slots: Vec<Vec<Usd>>,
}

impl Overview {
    /// Works everything out; the same input gives the same overview.
    ///
    /// `project_of` tells the project of a working folder, `session_of` the session that a conversation ran in at a moment, by the
    /// name to show, where it is known.
    pub fn build(
        input: &OverviewInput<'_>,
        project_of: &dyn Fn(&str) -> String,
        session_of: &dyn Fn(&ConversationId, Timestamp) -> Option<String>,
    ) -> Self {
        let report = |by| {
            let options = ReportOptions {
                by,
                zone: input.zone.clone(),
                range: input.range.clone(),
                filter: input.filter.clone(),
                now: input.now,
            };
            Report::build(input.figures, input.book, &options, project_of)
        };
        let daily = report(By::Daily);
        let conversations = report(By::Conversation).rows;
        let days = daily.rows.first().zip(daily.rows.last());
        let days = days.and_then(|(first, last)| Some((Date::parse(&first.key)?, Date::parse(&last.key)?)));
        let (step, slots) = slots(days);
        let mut overview = Self {
            at: input.now,
            zone: input.zone.clone(),
            days,
            totals: daily.totals,
            problems: daily.problems,
            daily: daily.rows,
            models: report(By::Model).rows,
            projects: report(By::Project).rows,
            blocks: report(By::Block).rows,
            hits: Vec::new(),
            step,
            slots,
            by_model: Series::default(),
            by_session: Series::default(),
            knows_sessions: false,
            hours: vec![Usd::ZERO; 7 * 24],
            cache_saved: Usd::ZERO,
            conversations,
        };
        let covered = overview.conversations.iter().map(|row| (row.key.as_str(), row.project.as_deref()));
        let covered: BTreeMap<&str, Option<&str>> = covered.collect();
        // A hit has no model; one model's figures tell of none, as in reports.
        let all_models = input.filter.model.is_none();
        let wanted = |hit: &Hit| {
            all_models && input.range.contains(&hit.at) && covered.contains_key(hit.conversation.as_str())
        };
        let hits = quota_hits(&input.figures.facts).into_iter().filter(wanted).collect();
        let mut spread = Spread::over(&overview);
        spread.count(input, &covered, session_of);
        let Spread { by_model, by_session, by_project, knows_sessions, hours, saved, .. } = spread;
        let slots = overview.slots.len();
        let by_model = Series::of(by_model, slots);
        let by_session = Series::of(if knows_sessions { by_session } else { by_project }, slots);
        overview.by_model = by_model;
        overview.by_session = by_session;
        overview.knows_sessions = knows_sessions;
        overview.hours = hours;
        overview.cache_saved = saved;
        overview.hits = hits;
        overview
    }

    /// Returns the slot of a day.
    pub fn slot_of(&self, date: Date) -> Option<usize> {
        self.slots.partition_point(|first| *first <= date).checked_sub(1)
    }
}

/// Cuts the time between two days into slots, none left out.
fn slots(days: Option<(Date, Date)>) -> (Step, Vec<Date>) {
    let Some((first, last)) = days else { return (Step::Day, Vec::new()) };
    let mut all = vec![first];
    let mut day = first;
    // The calendar's last day is its own tomorrow.
    while day < last && day.tomorrow() != day {
        day = day.tomorrow();
        all.push(day);
    }
    let (step, start): (Step, fn(Date) -> Date) = match all.len() {
        0..=DAYS_MAX => return (Step::Day, all),
        ..=WEEK_DAYS_MAX => (Step::Week, Date::monday),
        _ => (Step::Month, Date::first_of_month),
    };
    for day in &mut all {
        *day = start(*day);
    }
    all.dedup();
    (step, all)
}

type BySlot<'a> = BTreeMap<std::borrow::Cow<'a, str>, BTreeMap<usize, Usd>>;

/// The cells, spread over slots, names and hours.
struct Spread<'a> {
    overview: &'a Overview,
    by_model: BySlot<'a>,
    by_session: BySlot<'a>,
    by_project: BySlot<'a>,
    knows_sessions: bool,
    hours: Vec<Usd>,
    saved: Usd,
    /// The hour asked for last, its slot and its place in the week; cells come in the order of their times.
    hour: Option<(Timestamp, Option<usize>, usize)>,
}

impl<'a> Spread<'a> {
    fn over(overview: &'a Overview) -> Self {
        Self {
            overview,
            by_model: BTreeMap::new(),
            by_session: BTreeMap::new(),
            by_project: BTreeMap::new(),
            knows_sessions: false,
            hours: vec![Usd::ZERO; 7 * 24],
            saved: Usd::ZERO,
            hour: None,
        }
    }

    fn count(
        &mut self,
        input: &'a OverviewInput<'_>,
        covered: &BTreeMap<&'a str, Option<&'a str>>,
        session_of: &dyn Fn(&ConversationId, Timestamp) -> Option<String>,
    ) {
        let mut prices = Prices::of(input.book);
        for cell in &input.figures.cells {
            let key = &cell.key;
            let model_part = input.filter.model.as_deref();
            let wanted = input.range.contains(&key.start)
                && model_part.is_none_or(|part| key.model.as_str().contains(part));
            let Some(project) = covered.get(key.conversation.as_str()).filter(|_| wanted) else { continue };
            let price = prices.price(&key.model, key.start, key.class);
            let cost = price.map_or(Usd::ZERO, |price| price.cost(&cell.sum.usage));
            self.saved += price.map_or(Usd::ZERO, |price| saved(price, &cell.sum.usage));
            let (slot, hour) = self.place(key.start);
            self.hours[hour] += cost;
            let Some(slot) = slot else { continue };
            let session = session_of(&key.conversation, key.start);
            self.knows_sessions |= session.is_some();
            let session = session.map_or(NOT_KNOWN.into(), Into::into);
            add(&mut self.by_model, key.model.as_str().into(), slot, cost);
            add(&mut self.by_session, session, slot, cost);
            add(&mut self.by_project, project.unwrap_or(NOT_KNOWN).into(), slot, cost);
        }
    }

    fn place(&mut self, at: Timestamp) -> (Option<usize>, usize) {
        // No zone of today changes its hour within a quarter of one.
        let quarter = at.floor(session_store::CELL_WIDTH);
        if let Some((known, slot, hour)) = self.hour
            && known == quarter
        {
            return (slot, hour);
        }
        let date = self.overview.zone.date_of(at);
        let (hour, _) = self.overview.zone.clock_of(at);
        let place = weekday(date) * 24 + usize::try_from(hour).unwrap_or(0).min(23);
        let slot = self.overview.slot_of(date);
        self.hour = Some((quarter, slot, place));
        (slot, place)
    }
}

/// Use of which the session or the project is not known.
const NOT_KNOWN: &str = "not known";

fn add<'a>(series: &mut BySlot<'a>, name: std::borrow::Cow<'a, str>, slot: usize, cost: Usd) {
    *series.entry(name).or_default().entry(slot).or_default() += cost;
}

/// Returns the day of the week, 0 for Monday to 6 for Sunday.
pub(crate) fn weekday(date: Date) -> usize {
    let mut day = date.monday();
    let mut place = 0;
    while day < date && place < 6 {
        day = day.tomorrow();
        place += 1;
    }
    place
}

/// Returns what a usage would have cost more without a cache: all of its prompt at the price of plain input.
fn saved(price: &Price, usage: &Usage) -> Usd {
    let rates = &price.rates;
    let rate = |rate: Usd, count: u64| {
        Usd::from_picos((rates.input.as_picos() - rate.as_picos()).saturating_mul(i128::from(count)))
    };
    rate(rates.cache_read, usage.cache_read)
        + rate(rates.cache_write_5m, usage.cache_write_5m)
        + rate(rates.cache_write_1h, usage.cache_write_1h)
}

impl Series {
    fn of(by_name: BySlot<'_>, slots: usize) -> Self {
        let mut sums: Vec<(&str, Usd)> = Vec::new();
        for (name, amounts) in &by_name {
            sums.push((name, amounts.values().copied().sum()));
        }
        sums.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        let merged = if sums.len() > NAMES_MAX + 1 { sums.len() - NAMES_MAX } else { 0 };
        let shown = sums.len() - merged;
        let mut names: Vec<(String, Usd)> =
            sums[..shown].iter().map(|(name, sum)| ((*name).to_owned(), *sum)).collect();
        if merged > 0 {
            names.push((format!("{merged} others"), sums[shown..].iter().map(|(_, sum)| *sum).sum()));
        }
        let mut table = vec![vec![Usd::ZERO; names.len()]; slots];
        for (place, (name, _)) in sums.iter().enumerate() {
            for (slot, amount) in &by_name[*name] {
                table[*slot][place.min(names.len() - 1)] += *amount;
            }
        }
        Self { names, merged, slots: table }
    }

    /// Returns the sum of a slot.
    pub fn slot_sum(&self, slot: usize) -> Usd {
        self.slots[slot].iter().copied().sum()
    }
}
