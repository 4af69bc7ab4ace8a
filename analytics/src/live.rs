//! What a monitor shows: the conversations as they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use session_store::{CellKey, CellSum, ConversationId, Fact, LimitWindow, ModelId, Timestamp, Usage, Zone};

use crate::block::{self, Block};
use crate::by_text::ByText;
use crate::limits::LimitUse;
use crate::money::Usd;
use crate::pricing::{PriceBook, Prices};
use crate::report::{Figures, Hit, Totals, is_project, projects, quota_hits};

/// The stretch over which the burn rate is measured.
const BURN_WINDOW: Duration = Duration::from_secs(10 * 60);
/// An open turn that wrote nothing for so long is taken as abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(10 * 60);

/// What a live view is made of.
#[derive(Debug)]
pub struct LiveInput<'a> {
    /// Sums and facts of all time, divided at the cuts of the anchored blocks.
    pub figures: &'a Figures,
    /// The turns of the last ten minutes or more.
    pub recent: &'a session_store::Ledger,
    /// The sources of main transcripts.
    pub sources: &'a [SourceState],
    /// The prices.
    pub book: &'a PriceBook,
    /// Where days begin.
    pub zone: &'a Zone,
    /// The moment.
    pub now: Timestamp,
}

impl LiveInput<'_> {
    fn today(&self) -> Range<Timestamp> {
        let date = self.zone.date_of(self.now);
        self.zone.start_of(date)..self.zone.start_of(date.tomorrow())
    }
}

/// How the main transcript of a conversation stands.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether a reply is outstanding.
    pub turn_open: bool,
    /// When it was last written.
    pub written_at: Timestamp,
}

/// The conversations as they are now.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The moment.
    pub at: Timestamp,
    /// The conversations in scope, the latest first.
    pub conversations: Vec<LiveConversation>,
    /// Everything in scope, of all time.
    pub totals: Totals,
    /// Everything in scope, of today.
    pub today: Totals,
    /// The running five-hour block, over all projects: limits belong to the account.
    pub block: Option<(Block, Totals)>,
    /// Tokens a minute over all projects.
    pub tokens_per_minute: f64,
    /// Dollars an hour over all projects.
    pub cost_per_hour: Usd,
    /// The latest quota hit, over all projects.
    pub last_limit: Option<Hit>,
    /// The limits of all accounts, as whoever made the view gathered them.
    pub limits: Vec<LimitUse>,
    /// What other sessions told, the latest first.
    pub notices: Vec<LiveNotice>,
    /// Models without a price.
    pub unpriced_models: BTreeSet<ModelId>,
    /// Whether the scope held nothing and everything is shown in its place.
    pub scope_widened: bool,
}

/// Something that a session told the others of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveNotice {
    /// When it happened.
    pub at: Timestamp,
    /// The sort of notice, such as `limit_hit`.
    pub kind: String,
    /// The limit it is about.
    pub window: Option<LimitWindow>,
    /// When the limit is reset.
    pub resets_at: Option<Timestamp>,
    /// The account it is about.
    pub account: String,
    /// The project it came from.
    pub project: Option<String>,
    /// Whether that is the project shown here.
    pub same_project: bool,
    /// The conversation that was refused.
    pub conversation: Option<ConversationId>,
    /// Words for people.
    pub text: String,
}

/// One conversation as it is now.
#[derive(Clone, Debug)]
pub struct LiveConversation {
    /// Its id.
    pub id: ConversationId,
    /// Its project.
    pub project: String,
    /// The model of its latest turns.
    pub model: Option<ModelId>,
    /// Whether it works.
    pub state: State,
    /// What it used in all.
    pub totals: Totals,
    /// What it used today; boxed, because most did nothing.
    pub today: Option<Box<Totals>>,
    /// Tokens a minute over the last ten minutes.
    pub tokens_per_minute: f64,
    /// When it last did something.
    pub last_activity: Timestamp,
}

/// Whether a conversation works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A reply is outstanding.
    Working,
    /// A limit was hit and neither its reset nor another reply has come.
    Limited,
    /// It waits for the user.
    Idle,
}

impl State {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Limited => "limited",
            Self::Idle => "idle",
        }
    }
}

impl Live {
    /// Makes the view of all projects; `project_of` tells the project of a working folder.
    pub fn build(input: &LiveInput<'_>, project_of: &dyn Fn(&str) -> String) -> Self {
        let projects = projects(&input.figures.facts, project_of);
        let hits = quota_hits(&input.figures.facts);
        let mut live = Self { at: input.now, last_limit: hits.last().cloned(), ..Self::default() };
        let mut conversations = live.sum_up(input);
        for hit in &hits {
            let new = || LiveConversation::new(hit.conversation.clone());
            let conversation = conversations.entry(hit.conversation.clone()).or_insert_with(new);
            conversation.totals.rate_limit_events += 1;
            if input.today().contains(&hit.at) {
                conversation.today.get_or_insert_default().rate_limit_events += 1;
            }
            if let Some((_, totals)) = live.block.as_mut().filter(|(block, _)| block.contains(hit.at)) {
                totals.rate_limit_events += 1;
            }
        }
        describe(&mut conversations, input, &projects);
        live.burn(input, &mut conversations);
        settle_states(&mut conversations, input, &hits);
        live.conversations = conversations.into_values().collect();
        live.conversations.sort_by(|a, b| (b.last_activity, &b.id).cmp(&(a.last_activity, &a.id)));
        live.add_up();
        live
    }

    /// Narrows the view of all projects to one, all where `None`; where nothing was used in that project all stay.
    ///
    /// What belongs to the account, that is block, burn rate and limits, stays as it is. So one view of all projects serves
    /// every monitor of the user.
    pub fn within(mut self, scope: Option<&str>) -> Self {
        let Some(scope) = scope else { return self };
        let is_used = |it: &&LiveConversation| it.totals.sum.messages > 0;
        let is_wanted = |it: &LiveConversation| is_project(&it.project, scope);
        let mut used = self.conversations.iter().filter(is_used).peekable();
        if used.peek().is_some() && !used.any(is_wanted) {
            self.scope_widened = true;
            return self;
        }
        self.conversations.retain(is_wanted);
        self.add_up();
        self
    }

    /// Returns until when requests are refused, as far as that is known.
    pub fn blocked_until(&self) -> Option<Timestamp> {
        self.last_limit.as_ref()?.resets_at.filter(|reset| self.at < *reset)
    }

    /// Sums the conversations up.
    pub(crate) fn add_up(&mut self) {
        (self.totals, self.today) = Default::default();
        for conversation in &self.conversations {
            self.totals.add(&conversation.totals);
            if let Some(today) = &conversation.today {
                self.today.add(today);
            }
        }
    }

    /// Sums the cells by conversation, in all and today, and those of the running block.
    fn sum_up(&mut self, input: &LiveInput<'_>) -> BTreeMap<ConversationId, LiveConversation> {
        let blocks = block::blocks(&input.figures.cells, &block::anchors(&input.figures.facts));
        // Not the last: a machine whose clock is ahead writes of blocks to come.
        let running = blocks.iter().rev().find(|block| block.contains(input.now)).copied();
        let mut block_totals = Totals::default();
        let mut prices = Prices::of(input.book);
        let today = input.today();
        let mut places = ByText::default();
        let mut conversations: Vec<LiveConversation> = Vec::new();
        for cell in &input.figures.cells {
            let key = &cell.key;
            let priced = self.price(&mut prices, key, &cell.sum);
            if running.is_some_and(|block| block.contains(key.start)) {
                priced.add_to(&mut block_totals);
            }
            let place = places.get(key.conversation.as_str()).unwrap_or_else(|| {
                places.insert(key.conversation.as_str(), conversations.len());
                conversations.push(LiveConversation::new(key.conversation.clone()));
                conversations.len() - 1
            });
            let conversation = &mut conversations[place];
            if today.contains(&key.start) {
                priced.add_to(conversation.today.get_or_insert_default());
            }
            priced.add_to(&mut conversation.totals);
            if conversation.model.as_ref() != Some(&key.model) {
                conversation.model = Some(key.model.clone());
            }
            conversation.last_activity = conversation.last_activity.max(key.start);
        }
        self.block = running.map(|block| (block, block_totals));
        conversations.into_iter().map(|it| (it.id.clone(), it)).collect()
    }

    fn price<'c>(&mut self, prices: &mut Prices<'_>, key: &'c CellKey, sum: &'c CellSum) -> Priced<'c> {
        let price = prices.price(&key.model, key.start, key.class);
        if price.is_none() && !self.unpriced_models.contains(&key.model) {
            self.unpriced_models.insert(key.model.clone());
        }
        Priced {
            model: &key.model,
            sum,
            cost: price.map_or(Usd::ZERO, |price| price.cost(&sum.usage)),
            estimated: price.is_some_and(|price| price.estimated),
        }
    }

    /// Measures how fast tokens and money go.
    fn burn(
        &mut self,
        input: &LiveInput<'_>,
        conversations: &mut BTreeMap<ConversationId, LiveConversation>,
    ) {
        // Clocks differ a little; what lies further ahead is no use of now.
        let window = input.now.before(BURN_WINDOW)..input.now.after(BURN_WINDOW);
        let mut latest: BTreeMap<&ConversationId, Timestamp> = BTreeMap::new();
        let mut tokens: BTreeMap<&ConversationId, u64> = BTreeMap::new();
        let mut cost = Usd::ZERO;
        for (event, turn) in input.recent.turns().filter(|(event, _)| window.contains(&event.at)) {
            let id = &event.owner.conversation;
            *tokens.entry(id).or_default() += turn.usage.total();
            if latest.get(id).is_none_or(|at| *at <= event.at) {
                latest.insert(id, event.at);
                if let Some(conversation) = conversations.get_mut(id) {
                    conversation.model = Some(turn.model.clone());
                }
            }
            let class = session_store::PriceClass::of(turn);
            let price = input.book.price(&turn.model, event.at, class);
            cost += price.map_or(Usd::ZERO, |price| price.cost(&turn.usage));
        }
        let minutes = BURN_WINDOW.as_secs_f64() / 60.0;
        for (id, tokens) in &tokens {
            if let Some(conversation) = conversations.get_mut(*id) {
                conversation.tokens_per_minute = *tokens as f64 / minutes;
            }
        }
        self.tokens_per_minute = tokens.values().sum::<u64>() as f64 / minutes;
        self.cost_per_hour = Usd::from_picos(cost.as_picos() * 3600 / BURN_WINDOW.as_secs() as i128);
    }
}

/// A sum with its cost.
struct Priced<'a> {
    model: &'a ModelId,
    sum: &'a CellSum,
    cost: Usd,
    estimated: bool,
}

impl Priced<'_> {
    fn add_to(&self, totals: &mut Totals) {
        totals.sum.add(self.sum);
        totals.cost += self.cost;
        totals.estimated |= self.estimated;
        if !totals.models.contains(self.model) {
            totals.models.insert(self.model.clone());
        }
    }
}

/// Adds project and times to the conversations.
fn describe(
    conversations: &mut BTreeMap<ConversationId, LiveConversation>,
    input: &LiveInput<'_>,
    projects: &BTreeMap<ConversationId, String>,
) {
    for (id, conversation) in conversations.iter_mut() {
        conversation.project = projects.get(id).cloned().unwrap_or_default();
    }
    for event in input.figures.facts.iter() {
        if let Fact::Conversation(told) = &event.fact
            && let Some(conversation) = conversations.get_mut(&event.owner.conversation)
        {
            conversation.last_activity = conversation.last_activity.max(told.last.at);
        }
    }
}

fn settle_states(
    conversations: &mut BTreeMap<ConversationId, LiveConversation>,
    input: &LiveInput<'_>,
    hits: &[Hit],
) {
    for source in input.sources {
        if source.turn_open
            && input.now.since(source.written_at) < ABANDONED_AFTER
            && let Some(conversation) = conversations.get_mut(&source.conversation)
        {
            conversation.state = State::Working;
            conversation.last_activity = conversation.last_activity.max(source.written_at.min(input.now));
        }
    }
    let mut last_turn: BTreeMap<&ConversationId, Timestamp> = BTreeMap::new();
    for (event, _) in input.recent.turns() {
        let at = last_turn.entry(&event.owner.conversation).or_insert(event.at);
        *at = (*at).max(event.at);
    }
    for hit in hits {
        let Some(conversation) = conversations.get_mut(&hit.conversation) else { continue };
        let until = hit.resets_at.unwrap_or_else(|| hit.at.after(block::BLOCK_LENGTH));
        let went_on = last_turn.get(&hit.conversation).is_some_and(|at| *at > hit.at)
            || conversation.last_activity > hit.at.after(Duration::from_secs(60));
        if (hit.at..until).contains(&input.now) && !went_on {
            conversation.state = State::Limited;
        }
    }
}

impl LiveConversation {
    fn new(id: ConversationId) -> Self {
        Self {
            id,
            project: String::new(),
            model: None,
            state: State::Idle,
            totals: Totals::default(),
            today: None,
            tokens_per_minute: 0.0,
            last_activity: Timestamp::MIN,
        }
    }

    /// Returns the usage.
    pub fn usage(&self) -> &Usage {
        self.totals.usage()
    }
}
