//! Everything that an export tells, worked out once: figures over time, by model, project and session, windows, hits.

mod spread;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use session_store::{ConversationId, Date, ModelId, Timestamp, Zone};

use crate::money::Usd;
use crate::pricing::PriceBook;
use crate::report::{
    By, Figures, Filter, Hit, Known, Problems, Report, ReportOptions, Row, Totals, projects, quota_hits,
};
use crate::sessions::{SessionInfo, Sessions};
use spread::Spread;

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
    /// Which conversation ran in which session, as far as it is known.
    pub sessions: &'a Sessions,
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
    /// By session, the known ones, also those that used nothing.
    pub sessions: Vec<SessionLine>,
    /// By user and by session type of the known sessions; what no session is known of is `unknown`.
    pub users: Vec<Row>,
    /// The same by session type.
    pub types: Vec<Row>,
    /// The quota hits, in the order of their times.
    pub hits: Vec<Hit>,
    /// Everything, day by day: what each conversation used of each model, in the order of days.
    pub details: Vec<Detail>,
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

/// What a conversation used of a model on one day.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The day.
    pub date: Date,
    /// The name of the session it ran in, where one is known.
    pub session: Option<Arc<str>>,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its project, where it is known.
    pub project: Option<String>,
    /// The model.
    pub model: ModelId,
    /// What it came to; limit hits are not among it.
    pub totals: Totals,
}

/// What one session did.
#[derive(Clone, Debug, Default)]
pub struct SessionLine {
    /// The name under which it was noted in [`Sessions`].
    pub name: Arc<str>,
    /// What is known of it.
    pub info: SessionInfo,
    /// What it used.
    pub totals: Totals,
    /// Its conversations that used something or were refused.
    pub conversations: BTreeSet<ConversationId>,
    /// Their projects.
    pub projects: BTreeSet<String>,
    /// Its quota hits, in the order of their times.
    pub hits: Vec<Hit>,
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
    /// `project_of` tells the project of a working folder.
    pub fn build(input: &OverviewInput<'_>, project_of: &dyn Fn(&str) -> String) -> Self {
        let projects = projects(&input.figures.facts, project_of);
        let all_hits = quota_hits(&input.figures.facts);
        let sessions_unknown = Sessions::default();
        let report = |by| {
            let options = ReportOptions {
                by,
                zone: input.zone.clone(),
                range: input.range.clone(),
                filter: input.filter.clone(),
                now: input.now,
            };
            let facts = Known { hits: &all_hits, projects: &projects };
            Report::build_from(input.figures, facts, &sessions_unknown, input.book, &options)
        };
        let daily = report(By::Daily);
        let conversations = report(By::Conversation).rows;
        let days = daily.rows.first().zip(daily.rows.last());
        let days = days.and_then(|(first, last)| Some((Date::parse(&first.key)?, Date::parse(&last.key)?)));
        let (step, slots) = slots(days);
        let spread = Spread::of(input, &conversations);
        let hits = hits(input, &conversations, &all_hits);
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
            sessions: sessions(input.sessions, &spread.details, &hits),
            users: Vec::new(),
            types: Vec::new(),
            hits,
            step,
            slots,
            by_model: Series::default(),
            by_session: Series::default(),
            knows_sessions: spread.details.iter().any(|detail| detail.session.is_some()),
            hours: spread.hours,
            cache_saved: spread.saved,
            details: spread.details,
            conversations,
        };
        overview.users = overview.rows_by(|info| &info.user);
        overview.types = overview.rows_by(|info| &info.session_type);
        overview.by_model = overview.series(|detail| detail.model.as_str().to_owned());
        overview.by_session = match overview.knows_sessions {
            true => {
                let names =
                    overview.sessions.iter().map(|it| (&it.name, overview.session_name(Some(&it.name))));
                let names: BTreeMap<&Arc<str>, String> = names.collect();
                let name =
                    |detail: &Detail| detail.session.as_ref().and_then(|name| names.get(name)).cloned();
                overview.series(|detail| name(detail).unwrap_or_else(|| UNKNOWN.to_owned()))
            }
            false => overview.series(|detail| detail.project.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
        };
        overview
    }

    /// Returns how a session is called: the first four parts of its id, all five where several share the four.
    pub fn session_name(&self, name: Option<&Arc<str>>) -> String {
        let Some(line) = name.and_then(|name| self.sessions.iter().find(|line| line.name == *name)) else {
            return UNKNOWN.to_owned();
        };
        let short = short_id(&line.info.session_id);
        let several =
            self.sessions.iter().filter(|other| short_id(&other.info.session_id) == short).count() > 1;
        if several { line.info.session_id.to_string() } else { short.to_owned() }
    }

    /// Sums up the sessions that are alike, and what no session is known of; a hit counts where it was.
    fn rows_by(&self, part: impl Fn(&SessionInfo) -> &Arc<str>) -> Vec<Row> {
        let mut rows: BTreeMap<&str, Totals> = BTreeMap::new();
        let mut known_hits = 0;
        for line in self.sessions.iter().filter(|line| !line.conversations.is_empty()) {
            rows.entry(part(&line.info)).or_default().add(&line.totals);
            known_hits += line.totals.rate_limit_events;
        }
        for detail in self.details.iter().filter(|detail| detail.session.is_none()) {
            rows.entry(UNKNOWN).or_default().add(&detail.totals);
        }
        let unknown_hits = (self.hits.len() as u64).saturating_sub(known_hits);
        if unknown_hits > 0 {
            rows.entry(UNKNOWN).or_default().rate_limit_events += unknown_hits;
        }
        rows.into_iter().map(|(key, totals)| Row { key: key.to_owned(), totals, ..Row::default() }).collect()
    }

    fn series(&self, name: impl Fn(&Detail) -> String) -> Series {
        let mut by_name: BTreeMap<String, BTreeMap<usize, Usd>> = BTreeMap::new();
        for detail in &self.details {
            if let Some(slot) = self.slot_of(detail.date) {
                *by_name.entry(name(detail)).or_default().entry(slot).or_default() += detail.totals.cost;
            }
        }
        Series::of(&by_name, self.slots.len())
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
        days if days <= DAYS_MAX => return (Step::Day, all),
        days if days <= WEEK_DAYS_MAX => (Step::Week, Date::monday),
        _ => (Step::Month, Date::first_of_month),
    };
    for day in &mut all {
        *day = start(*day);
    }
    all.dedup();
    (step, all)
}

/// Use of which the session or the project is not known.
pub(crate) const UNKNOWN: &str = "unknown";

/// The first four parts of a session's id.
fn short_id(id: &str) -> &str {
    id.rsplit_once(':').map_or(id, |(short, _)| short)
}

/// Returns the quota hits that are covered; a hit has no model, so one model's figures tell of none, as in reports.
fn hits(input: &OverviewInput<'_>, conversations: &[Row], all: &[Hit]) -> Vec<Hit> {
    let covered = |hit: &Hit| {
        let id = hit.conversation.as_str();
        input.range.contains(&hit.at)
            && conversations.binary_search_by(|row| row.key.as_str().cmp(id)).is_ok()
    };
    match input.filter.model {
        Some(_) => Vec::new(),
        None => all.iter().filter(|hit| covered(hit)).cloned().collect(),
    }
}

/// Returns the known sessions, in the order of their ids and names, each with what it did.
fn sessions(known: &Sessions, details: &[Detail], hits: &[Hit]) -> Vec<SessionLine> {
    let line = |(name, info): (&Arc<str>, &SessionInfo)| {
        let line = SessionLine { name: name.clone(), info: info.clone(), ..SessionLine::default() };
        (name.clone(), line)
    };
    let mut lines: BTreeMap<Arc<str>, SessionLine> = known.iter().map(line).collect();
    for detail in details {
        let Some(line) = detail.session.as_ref().and_then(|name| lines.get_mut(name)) else { continue };
        line.totals.add(&detail.totals);
        line.conversations.insert(detail.conversation.clone());
        line.projects.extend(detail.project.clone());
    }
    for hit in hits {
        let name = known.name_of(&hit.conversation, hit.at);
        let Some(line) = name.and_then(|name| lines.get_mut(name)) else { continue };
        line.totals.rate_limit_events += 1;
        line.conversations.insert(hit.conversation.clone());
        line.hits.push(hit.clone());
    }
    let mut lines: Vec<SessionLine> = lines.into_values().collect();
    lines.sort_by(|a, b| (&a.info.session_id, &a.name).cmp(&(&b.info.session_id, &b.name)));
    lines
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

impl Series {
    fn of(by_name: &BTreeMap<String, BTreeMap<usize, Usd>>, slots: usize) -> Self {
        let mut sums: Vec<(&str, Usd)> = Vec::new();
        for (name, amounts) in by_name {
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
