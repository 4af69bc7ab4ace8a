//! Figures by day, week, month, conversation, project, model, block, session, its type, user or host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use session_store::{
    Cell, CellKey, CellSum, ConversationId, Date, Fact, Join, Ledger, LimitCause, LimitWindow, ModelId,
    PriceClass, Timestamp, Usage, Zone, fold_cells,
};

use crate::block::{self, Block};
use crate::by_text::ByText;
use crate::money::Usd;
use crate::pricing::{DAY, PriceBook, Prices};
use crate::sessions::{SessionInfo, Sessions};

/// What a report is made of: sums of turns, and everything else that happened.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The sums, in the order of their keys, divided at [`block::cuts`] where blocks are wanted.
    pub cells: Vec<Cell>,
    /// Limit hits, cost states, the facts of conversations; turns in it are passed over.
    pub facts: Ledger,
}

impl Figures {
    /// Takes the figures from a ledger in memory.
    pub fn of(ledger: &Ledger) -> Self {
        let cuts = block::cuts(&block::anchors(ledger));
        Self::of_divided(ledger, &cuts)
    }

    /// Takes the figures from a ledger in memory, divided at given moments, which are sorted.
    pub fn of_divided(ledger: &Ledger, cuts: &[Timestamp]) -> Self {
        Self { cells: fold_cells(ledger, Timestamp::MIN..Timestamp::MAX, cuts), facts: ledger.clone() }
    }

    /// Adds the figures of others, such as another session's; no turn may be in both, and both are divided alike.
    ///
    /// The result is what the figures of all their events would be.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let mut cells: BTreeMap<CellKey, CellSum> = BTreeMap::new();
        for cell in self.cells.into_iter().chain(other.cells) {
            cells.entry(cell.key).or_default().add(&cell.sum);
        }
        let mut facts = self.facts;
        let _ = facts.join(other.facts);
        Self { cells: cells.into_iter().map(|(key, sum)| Cell { key, sum }).collect(), facts }
    }
}

/// By what the rows of a report are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum By {
    /// The day, in the report's zone.
    Daily,
    /// The week, by its Monday.
    Weekly,
    /// The month.
    Monthly,
    /// The conversation.
    Conversation,
    /// The project.
    Project,
    /// The model.
    Model,
    /// The five-hour block.
    Block,
    /// The session, by its five-part id.
    Session,
    /// The sort of session: `local`, `ssh`, `vscode`, `jupyter`, `container` or `script`.
    Type,
    /// The user whose session it is.
    User,
    /// The host.
    Host,
}

impl By {
    /// Returns the name in options and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Conversation => "conversation",
            Self::Project => "project",
            Self::Model => "model",
            Self::Block => "block",
            Self::Session => "session",
            Self::Type => "type",
            Self::User => "user",
            Self::Host => "host",
        }
    }
}

/// What a report covers and how it is told.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// What the rows are.
    pub by: By,
    /// Where days begin.
    pub zone: Zone,
    /// The time covered; the end is exclusive.
    pub range: Range<Timestamp>,
    /// What is left out.
    pub filter: Filter,
    /// The moment of the report, which tells the active block.
    pub now: Timestamp,
}

impl ReportOptions {
    /// Returns whether the report depends on the facts of conversations; without them it is the same otherwise. Where it
    /// depends on no sessions either, its cells may be those of all conversations together.
    pub fn needs_conversations(&self) -> bool {
        matches!(self.by, By::Conversation | By::Project) || self.filter.project.is_some()
    }

    /// Returns whether the report depends on facts other than limit hits and those of conversations; without them it is the
    /// same otherwise.
    pub fn needs_others(&self) -> bool {
        matches!(self.by, By::Conversation | By::Block)
    }

    /// Returns whether the report depends on which session ran what; without that it is the same otherwise.
    pub fn needs_sessions(&self) -> bool {
        let Filter { session, session_type, .. } = &self.filter;
        let by_session = matches!(self.by, By::Session | By::Type | By::User | By::Host);
        by_session || session.is_some() || session_type.is_some()
    }
}

/// Which turns are counted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only projects at or below this path, or whose last part is this name.
    pub project: Option<String>,
    /// Only models whose name contains this.
    pub model: Option<String>,
    /// Only this conversation, by its id or the beginning of it.
    pub conversation: Option<String>,
    /// Only sessions whose five-part id begins with this.
    pub session: Option<String>,
    /// Only sessions of this sort.
    pub session_type: Option<String>,
}

/// What was not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Lines that could not be read, over all sources.
    pub lines_skipped: u64,
    /// Files and folders that could not be read.
    pub files_skipped: u64,
    /// Models without a price, whose turns cost nothing here.
    pub unpriced_models: BTreeSet<ModelId>,
    /// Turns whose output Claude Code is known to have recorded too low.
    pub under_reported_messages: u64,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the rows are.
    pub by: By,
    /// Where days begin.
    pub zone: Zone,
    /// The time covered.
    pub range: Range<Timestamp>,
    /// The rows, in the order of their keys.
    pub rows: Vec<Row>,
    /// The sum of all rows.
    pub totals: Totals,
    /// What was not counted.
    pub problems: Problems,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What the row is about: a date, an id, a path, a name.
    pub key: String,
    /// The figures.
    pub totals: Totals,
    /// The project of a conversation.
    pub project: Option<String>,
    /// The first and the last moment of a conversation.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Claude Code's own cost of a conversation, where it wrote one.
    pub client: Option<ClientCheck>,
    /// The block, and whether it is running.
    pub block: Option<(Block, bool)>,
}

/// Claude Code's own total of a conversation beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCheck {
    /// What Claude Code says the conversation cost.
    pub cost: Usd,
    /// Ours minus Claude Code's; `None` where its total includes a conversation this one was forked from.
    pub difference: Option<Usd>,
}

/// What some turns come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Turns and tokens.
    pub sum: CellSum,
    /// What they cost by the price book.
    pub cost: Usd,
    /// Whether a price was taken from a model's family.
    pub estimated: bool,
    /// The models.
    pub models: BTreeSet<ModelId>,
    /// Quota hits.
    pub rate_limit_events: u64,
}

/// A quota hit: all lines of one conversation that tell of the same window and reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// When it was first told.
    pub at: Timestamp,
    /// The conversation that was refused.
    pub conversation: ConversationId,
    /// The limit.
    pub window: LimitWindow,
    /// When requests are accepted again, where it was said.
    pub resets_at: Option<Timestamp>,
}

/// Returns the quota hits in a ledger, in the order of their times.
///
/// Sub-agents and repeated tries are told of by lines of their own; the same conversation, window and reset make one
/// hit. Hits without a reset are one while they follow within five hours. Burst limits are none.
pub fn quota_hits(facts: &Ledger) -> Vec<Hit> {
    let mut lines: Vec<Hit> = facts
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::LimitHit(hit) if hit.cause == LimitCause::Quota => Some(Hit {
                at: event.at,
                conversation: event.owner.conversation.clone(),
                window: hit.window.clone(),
                resets_at: hit.resets_at.0,
            }),
            _ => None,
        })
        .collect();
    lines.sort_by(|a, b| (a.at, &a.conversation).cmp(&(b.at, &b.conversation)));
    let mut known: BTreeMap<(&ConversationId, &LimitWindow), Vec<&Hit>> = BTreeMap::new();
    let is_first: Vec<bool> = lines
        .iter()
        .map(|line| {
            let hits = known.entry((&line.conversation, &line.window)).or_default();
            let is_first = !hits.iter().rev().any(|hit| is_same_reset(hit, line));
            if is_first {
                hits.push(line);
            }
            is_first
        })
        .collect();
    let mut is_first = is_first.into_iter();
    lines.retain(|_| is_first.next().unwrap_or(true));
    lines
}

fn is_same_reset(earlier: &Hit, later: &Hit) -> bool {
    match (earlier.resets_at, later.resets_at) {
        (Some(one), Some(other)) => one.max(other).since(one.min(other)) <= Duration::from_secs(60),
        (None, None) => later.at.since(earlier.at) < block::BLOCK_LENGTH,
        _ => false,
    }
}

impl Report {
    /// Makes a report in which no session is known.
    ///
    /// `project_of` tells the project of a working folder, for instance its repository's root. The same arguments
    /// give the same report.
    pub fn build(
        figures: &Figures,
        book: &PriceBook,
        options: &ReportOptions,
        project_of: &dyn Fn(&str) -> String,
    ) -> Self {
        Self::build_with(figures, &Sessions::default(), book, options, project_of)
    }

    /// Makes a report that tells sessions apart: what no session is known of is `unknown`.
    pub fn build_with(
        figures: &Figures,
        sessions: &Sessions,
        book: &PriceBook,
        options: &ReportOptions,
        project_of: &dyn Fn(&str) -> String,
    ) -> Self {
        let projects = match options.needs_conversations() {
            true => projects(&figures.facts, project_of),
            false => BTreeMap::new(),
        };
        let facts = Known { hits: &quota_hits(&figures.facts), projects: &projects };
        Self::build_from(figures, facts, sessions, book, options)
    }

    /// Makes a report of facts that are put in order already, for those who make several.
    pub(crate) fn build_from(
        figures: &Figures,
        Known { hits, projects }: Known<'_>,
        sessions: &Sessions,
        book: &PriceBook,
        options: &ReportOptions,
    ) -> Self {
        let mut builder = Builder {
            options,
            prices: Prices::of(book),
            projects,
            sessions,
            blocks: Vec::new(),
            begun: 0,
            day: None,
            rows: Vec::new(),
            places: HashMap::new(),
            last: None,
            by_conversation: ByText::default(),
            hits: 0,
            problems: Problems::default(),
        };
        if options.by == By::Block {
            let anchors = block::anchors(&figures.facts);
            builder.blocks = block::blocks(&figures.cells, &anchors);
            for hit in hits {
                block::add_refused(&mut builder.blocks, hit.at, &anchors);
            }
        }
        builder.count_cells(&figures.cells);
        builder.count_hits(hits);
        builder.describe(&figures.facts);
        builder.finish()
    }
}

/// What the facts tell, put in order.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) hits: &'a [Hit],
    /// Those that are known; a report that is not about projects needs none.
    pub(crate) projects: &'a BTreeMap<ConversationId, String>,
}

/// Returns the project of each conversation whose folder is known.
pub(crate) fn projects(
    facts: &Ledger,
    project_of: &dyn Fn(&str) -> String,
) -> BTreeMap<ConversationId, String> {
    facts
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Conversation(told) => {
                let folder = told.first.folder.as_ref().or(told.last.folder.as_ref())?;
                Some((event.owner.conversation.clone(), project_of(folder)))
            }
            _ => None,
        })
        .collect()
}

struct Builder<'a> {
    options: &'a ReportOptions,
    prices: Prices<'a>,
    projects: &'a BTreeMap<ConversationId, String>,
    sessions: &'a Sessions,
    blocks: Vec<Block>,
    /// How many of them had begun at the moment that was asked for last.
    begun: usize,
    /// The day asked for last and the date that its row is named for; cells come in the order of their times.
    day: Option<(Range<Timestamp>, Date)>,
    /// In the order in which they were met.
    rows: Vec<(RowKey<'a>, Row)>,
    places: HashMap<RowKey<'a>, usize>,
    /// The row that was asked for last; most cells fall into that of the one before.
    last: Option<(RowKey<'a>, usize)>,
    /// The rows of conversations that are in one row with all they did.
    by_conversation: ByText<'a>,
    hits: u64,
    problems: Problems,
}

/// What some cells that follow each other add to one row, all at one price.
struct Share<'a> {
    /// Which of the rows.
    place: usize,
    /// The day (UTC), within which no price changes.
    day: Timestamp,
    model: &'a ModelId,
    class: PriceClass,
    sum: CellSum,
}

/// Shares that are looked through for each cell. A day of daily rows has less than twenty; of conversations there may be
/// hundreds, and those of one cell are near the end.
const SHARES_MAX: usize = 32;

/// What a row is about. Most cells fall into a row that there is, so its name is made at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum RowKey<'a> {
    /// A day, or the first of a week or a month.
    Date(Date),
    /// A conversation, a project or a model.
    Name(&'a str),
    /// The block that begins then.
    Block(Timestamp),
}

/// The row of turns whose project is not known.
const UNKNOWN: &str = "unknown";

impl<'a> Builder<'a> {
    /// Adds cells up by row and price before each sum is priced once.
    fn count_cells(&mut self, cells: &'a [Cell]) {
        let mut shares: Vec<Share<'a>> = Vec::new();
        for cell in cells {
            let key = &cell.key;
            if !self.covers(key.start)
                || !self.wants(&key.conversation, key.start)
                || !self.wants_model(&key.model)
            {
                continue;
            }
            let place = self.row(key.start, &key.conversation, Some(&key.model));
            let day = key.start.floor(DAY);
            if shares.len() >= SHARES_MAX || shares.first().is_some_and(|share| share.day != day) {
                self.count_shares(&mut shares);
            }
            let is_its = |share: &&mut Share<'_>| {
                share.place == place && share.class == key.class && *share.model == key.model
            };
            match shares.iter_mut().rev().find(is_its) {
                Some(share) => share.sum.add(&cell.sum),
                None => {
                    let (model, class, sum) = (&key.model, key.class, cell.sum);
                    shares.push(Share { place, day, model, class, sum });
                }
            }
        }
        self.count_shares(&mut shares);
    }

    fn count_shares(&mut self, shares: &mut Vec<Share<'a>>) {
        for Share { place, day, model, class, sum } in shares.drain(..) {
            let price = self.prices.price(model, day, class);
            if price.is_none() {
                self.problems.unpriced_models.insert(model.clone());
            }
            self.problems.under_reported_messages += sum.under_reported;
            let totals = &mut self.rows[place].1.totals;
            totals.sum.add(&sum);
            if !totals.models.contains(model) {
                totals.models.insert(model.clone());
            }
            totals.estimated |= price.is_some_and(|price| price.estimated);
            totals.cost += price.map_or(Usd::ZERO, |price| price.cost(&sum.usage));
        }
    }

    /// Adds the quota hits; a hit has no model, so by model only the totals tell of it.
    fn count_hits(&mut self, hits: &'a [Hit]) {
        if self.options.filter.model.is_some() {
            return;
        }
        for hit in hits {
            if !self.covers(hit.at) || !self.wants(&hit.conversation, hit.at) {
                continue;
            }
            self.hits += 1;
            if self.options.by != By::Model {
                let place = self.row(hit.at, &hit.conversation, None);
                self.rows[place].1.totals.rate_limit_events += 1;
            }
        }
    }

    /// Adds what is known of conversations and blocks beside the sums.
    fn describe(&mut self, facts: &'a Ledger) {
        match self.options.by {
            By::Conversation => self.describe_conversations(facts),
            By::Block => {
                for block in &self.blocks {
                    if let Some(place) = self.places.get(&RowKey::Block(block.start)) {
                        self.rows[*place].1.block = Some((*block, block.contains(self.options.now)));
                    }
                }
            }
            _ => {}
        }
    }

    fn describe_conversations(&mut self, facts: &'a Ledger) {
        // A forked conversation starts with its parent's totals and the parent's start.
        let mut oldest: BTreeMap<Timestamp, (Timestamp, &ConversationId)> = BTreeMap::new();
        let mut begun: BTreeMap<&ConversationId, Timestamp> = BTreeMap::new();
        for event in facts.iter() {
            if let Fact::Conversation(told) = &event.fact {
                if let Some(place) = self.by_conversation.get(event.owner.conversation.as_str()) {
                    let row = &mut self.rows[place].1;
                    row.project = self.projects.get(&event.owner.conversation).cloned();
                    row.span = Some((told.first.at, told.last.at));
                }
                begun.insert(&event.owner.conversation, told.first.at);
            }
        }
        let states = || {
            facts.iter().filter_map(|event| match &event.fact {
                Fact::CostState(state) => Some((event, state)),
                _ => None,
            })
        };
        for (event, _) in states() {
            let conversation = &event.owner.conversation;
            let candidate = (begun.get(conversation).copied().unwrap_or(Timestamp::MAX), conversation);
            let first = oldest.entry(event.at).or_insert(candidate);
            *first = (*first).min(candidate);
        }
        for (event, state) in states() {
            let conversation = &event.owner.conversation;
            let Some(place) = self.by_conversation.get(conversation.as_str()) else { continue };
            let row = &mut self.rows[place].1;
            let is_fork = oldest.get(&event.at).is_some_and(|(_, first)| *first != conversation);
            let cost = Usd::from_nanos(state.cost_nanos);
            let difference = (!is_fork).then(|| row.totals.cost - cost);
            row.client = Some(ClientCheck { cost, difference });
        }
    }

    fn finish(mut self) -> Report {
        let mut totals = Totals::default();
        let ReportOptions { by, zone, range, .. } = self.options.clone();
        let named = |(key, row): (RowKey<'_>, Row)| Row { key: key.name(by), ..row };
        self.rows.sort_unstable_by_key(|(key, _)| *key);
        let rows: Vec<Row> = self.rows.into_iter().map(named).collect();
        for row in &rows {
            totals.add(&row.totals);
        }
        totals.rate_limit_events = self.hits;
        Report { by, zone, range, rows, totals, problems: self.problems }
    }

    fn covers(&self, at: Timestamp) -> bool {
        self.options.range.contains(&at)
    }

    fn wants(&self, conversation: &ConversationId, at: Timestamp) -> bool {
        let Filter { project, conversation: prefix, session, session_type, .. } = &self.options.filter;
        let in_project = project.as_ref().is_none_or(|wanted| {
            self.projects.get(conversation).is_some_and(|project| is_project(project, wanted))
        });
        let is_session =
            |wanted: &dyn Fn(&SessionInfo) -> bool| self.sessions.of(conversation, at).is_some_and(wanted);
        in_project
            && prefix.as_ref().is_none_or(|prefix| conversation.as_str().starts_with(prefix))
            && session.as_ref().is_none_or(|it| is_session(&|info| info.session_id.starts_with(it.as_str())))
            && session_type.as_ref().is_none_or(|it| is_session(&|info| *info.session_type == **it))
    }

    fn wants_model(&self, model: &ModelId) -> bool {
        self.options.filter.model.as_ref().is_none_or(|part| model.as_str().contains(part.as_str()))
    }

    /// Returns the place of a row, which is made where there is none.
    fn row(&mut self, at: Timestamp, conversation: &'a ConversationId, model: Option<&'a ModelId>) -> usize {
        if let Some(place) = self.by_conversation.get(conversation.as_str()) {
            return place;
        }
        let key = self.row_key(at, conversation, model);
        if let Some((_, place)) = self.last.filter(|(last, _)| *last == key) {
            return place;
        }
        let place = *self.places.entry(key).or_insert_with(|| {
            self.rows.push((key, Row::default()));
            self.rows.len() - 1
        });
        let is_settled = match self.options.by {
            By::Conversation | By::Project => true,
            By::Session | By::Type | By::User | By::Host => !self.sessions.has_moved(conversation),
            _ => false,
        };
        if is_settled {
            self.by_conversation.insert(conversation.as_str(), place);
        } else {
            self.last = Some((key, place));
        }
        place
    }

    fn row_key(
        &mut self,
        at: Timestamp,
        conversation: &'a ConversationId,
        model: Option<&'a ModelId>,
    ) -> RowKey<'a> {
        match self.options.by {
            By::Daily | By::Weekly | By::Monthly => RowKey::Date(self.date(at)),
            By::Conversation => RowKey::Name(conversation.as_str()),
            By::Project => RowKey::Name(self.projects.get(conversation).map_or(UNKNOWN, String::as_str)),
            By::Model => RowKey::Name(model.map_or(UNKNOWN, ModelId::as_str)),
            By::Session => self.session_key(conversation, at, |info| &info.session_id),
            By::Type => self.session_key(conversation, at, |info| &info.session_type),
            By::User => self.session_key(conversation, at, |info| &info.user),
            By::Host => self.session_key(conversation, at, |info| &info.host),
            By::Block => RowKey::of_block(self.block(at)),
        }
    }

    /// Returns the last block that had begun; cells come in the order of their times.
    fn block(&mut self, at: Timestamp) -> Option<&Block> {
        let begins_after = |place: usize| self.blocks.get(place).is_none_or(|block| at < block.start);
        let is_known = self.begun.checked_sub(1).is_none_or(|last| self.blocks[last].start <= at);
        if !is_known || !begins_after(self.begun) {
            self.begun = self.blocks.partition_point(|block| block.start <= at);
        }
        self.begun.checked_sub(1).map(|last| &self.blocks[last])
    }

    fn session_key(
        &self,
        conversation: &ConversationId,
        at: Timestamp,
        name: fn(&SessionInfo) -> &str,
    ) -> RowKey<'a> {
        RowKey::Name(self.sessions.of(conversation, at).map_or(UNKNOWN, name))
    }

    /// Returns the date that the row of a moment is named for.
    fn date(&mut self, at: Timestamp) -> Date {
        if let Some((day, date)) = &self.day
            && day.contains(&at)
        {
            return *date;
        }
        let zone = &self.options.zone;
        let date = zone.date_of(at);
        let day = zone.start_of(date)..zone.start_of(date.tomorrow());
        let date = match self.options.by {
            By::Weekly => date.monday(),
            By::Monthly => date.first_of_month(),
            _ => date,
        };
        self.day = Some((day, date));
        date
    }
}

impl RowKey<'_> {
    fn of_block(block: Option<&Block>) -> Self {
        block.map_or(Self::Name(UNKNOWN), |block| Self::Block(block.start))
    }

    fn name(&self, by: By) -> String {
        match self {
            Self::Date(date) if by == By::Monthly => date.to_string()[..7].to_owned(),
            Self::Date(date) => date.to_string(),
            Self::Name(name) => (*name).to_owned(),
            Self::Block(start) => start.to_string(),
        }
    }
}

/// Tells whether a project is the wanted one: at or below its path, or of its name.
pub fn is_project(project: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('/');
    let below = project.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below || project.rsplit(['/', '\\']).next() == Some(wanted)
}

impl Totals {
    /// Adds other totals.
    pub fn add(&mut self, other: &Self) {
        self.sum.add(&other.sum);
        self.cost += other.cost;
        self.estimated |= other.estimated;
        self.models.extend(other.models.iter().cloned());
        self.rate_limit_events += other.rate_limit_events;
    }

    /// Returns the usage.
    pub fn usage(&self) -> &Usage {
        &self.sum.usage
    }
}
