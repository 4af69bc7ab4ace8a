//! The model: what can be known from a transcript, each fact with a stable identity.

use std::cmp::Ordering;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{AgentId, ConversationId, EventId, ModelId};
use crate::join::{Change, Join, keep_greatest, keep_least};
use crate::time::Timestamp;
use crate::usage::Usage;

/// One fact, told by one or more lines of one or more transcripts.
///
/// # Join
///
/// Two records of one event join as a product of three joins: the earliest time, the least [`Owner`], and the
/// [`Fact`] by the rule of its kind. A turn keeps one record whole; no usage is ever put together from two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What makes this fact the same wherever it is told.
    pub id: EventId,
    /// When it happened: the earliest time any copy carries.
    pub at: Timestamp,
    /// Whose it is.
    pub owner: Owner,
    /// What happened.
    pub fact: Fact,
}

/// Says which conversation a fact belongs to when several transcripts tell of it.
///
/// The least owner wins: the main transcript before a sub-agent's, the older transcript before the younger, then by
/// conversation and agent. A fork thus never takes a turn from its parent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Whether the main thread or a sub-agent caused it.
    pub role: Role,
    /// The first time written in the transcript, its age.
    pub since: Timestamp,
    /// The conversation.
    pub conversation: ConversationId,
    /// The sub-agent, where one did it.
    pub agent: Option<AgentId>,
}

/// Tells the main thread of a conversation from its sub-agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The main thread.
    Main,
    /// A sub-agent, at any depth.
    SubAgent,
}

/// What an event tells.
///
/// Records of one event may be of several kinds where an error line was understood better by one reader than by another;
/// of these the kind that comes later here wins: the reader who found a limit in the line understood it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fact {
    /// A reply of a model, with what it used.
    Turn(Turn),
    /// A reply that came to nothing.
    Failure(Failure),
    /// The state of a limit without a refusal.
    LimitSample(LimitSample),
    /// A request refused for a limit.
    LimitHit(LimitHit),
    /// Claude Code's own running totals.
    CostState(CostState),
    /// The context was compacted.
    Compaction(Compaction),
    /// What is known of a conversation as a whole.
    Conversation(Conversation),
    /// A session ran a conversation.
    Ownership(Ownership),
    /// A call was held back for a limit, or would have been.
    Restraint(Restraint),
}

/// A reply of a model, with what it used.
///
/// Claude Code writes one line per content block and repeats the usage; early lines may hold a placeholder of the
/// output. The record that is greatest in the order of [`Turn::cmp`] wins as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The tokens and searches of the request.
    pub usage: Usage,
    /// The model that replied.
    pub model: ModelId,
    /// What sets its price apart from the plain one.
    pub tariff: Tariff,
    /// Whether the client that wrote it is known to record too little output (2.1.12 to 2.1.96).
    pub under_reported: bool,
}

/// What beside the model decides the price of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tariff {
    /// Fast mode, which has a price of its own.
    pub fast: bool,
    /// Inference held in the United States, which costs more.
    pub us_only: bool,
}

/// A request refused because of a limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitHit {
    /// Whether a quota is used up or the server was merely busy.
    pub cause: LimitCause,
    /// When requests are accepted again, where it was said. An earlier reset beats a later one, so that copies
    /// whose time was shifted lose against the original.
    pub resets_at: Reset,
    /// Which limit.
    pub window: LimitWindow,
}

/// Tells a used-up quota from a busy server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitCause {
    /// A short throttle; it says nothing about the account's limits.
    Burst,
    /// A quota of the account is used up.
    Quota,
}

/// A time of reset, ordered so that a known one beats an unknown and the earlier beats the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reset(pub Option<Timestamp>);

impl PartialOrd for Reset {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reset {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(mine), Some(theirs)) => theirs.cmp(&mine),
            (mine, theirs) => mine.is_some().cmp(&theirs.is_some()),
        }
    }
}

/// Names a limit of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitWindow {
    /// A limit whose kind was not said.
    Unspecified,
    /// The rolling five hours.
    FiveHour,
    /// The week over all models.
    SevenDay,
    /// The week of Opus alone.
    SevenDayOpus,
    /// The week of Sonnet alone.
    SevenDaySonnet,
    /// Paid use beyond the plan, or a spending cap.
    Overage,
    /// Another one, by Claude Code's own name.
    Other(Arc<str>),
}

impl LimitWindow {
    /// Reads Claude Code's name of a limit (`rateLimitType`).
    pub fn from_name(name: &str) -> Self {
        match name {
            "" | "unspecified" => Self::Unspecified,
            "five_hour" => Self::FiveHour,
            "seven_day" => Self::SevenDay,
            "seven_day_opus" => Self::SevenDayOpus,
            "seven_day_sonnet" => Self::SevenDaySonnet,
            "overage" => Self::Overage,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the name, which [`LimitWindow::from_name`] reads back.
    pub fn name(&self) -> &str {
        match self {
            Self::Unspecified => "unspecified",
            Self::FiveHour => "five_hour",
            Self::SevenDay => "seven_day",
            Self::SevenDayOpus => "seven_day_opus",
            Self::SevenDaySonnet => "seven_day_sonnet",
            Self::Overage => "overage",
            Self::Other(name) => name,
        }
    }

    /// Returns how long its windows last: five hours, or seven days; `None` for limits that are no windows (paid use) or
    /// whose kind is not known.
    pub fn length(&self) -> Option<Duration> {
        const HOUR: u64 = 3600;
        match self.name() {
            name if name.starts_with("five_hour") => Some(Duration::from_secs(5 * HOUR)),
            name if name.starts_with("seven_day") => Some(Duration::from_secs(7 * 24 * HOUR)),
            _ => None,
        }
    }

    /// Tells whether a model's use counts in it: that of all models but in the weeks of one model alone.
    ///
    /// The week that Claude Code names `seven_day_overage_included` is that of the Fable models; any other `seven_day_x` is
    /// taken as the week of models whose name holds `x`.
    pub fn counts(&self, model: &str) -> bool {
        match self.name().strip_prefix("seven_day_") {
            Some("overage_included") => model.contains("fable"),
            Some(family) => model.contains(family),
            None => true,
        }
    }
}

/// The state of a limit, seen without a refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitSample {
    /// Which limit.
    pub window: LimitWindow,
    /// When the window ends.
    pub resets_at: Option<Timestamp>,
    /// How much of it is used, in hundredths of a percent (0 to 10,000).
    pub used_hundredths: Option<u32>,
    /// Claude Code's word for the state, such as `allowed_warning`.
    pub status: Arc<str>,
}

/// Claude Code's own running totals of a conversation; the last written is the greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CostState {
    /// How long the process had run, in milliseconds; first in the order, because totals only grow with it.
    pub duration_ms: u64,
    /// The whole cost in nano-dollars (10⁻⁹ USD).
    pub cost_nanos: u64,
    /// The same by model, in the order of their names.
    pub models: Vec<ModelCost>,
    /// Whether Claude Code itself lacked the price of a model.
    pub has_unknown_model: bool,
}

/// Claude Code's own total of one model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelCost {
    /// The model, with a suffix such as `[1m]` where one was in use.
    pub model: ModelId,
    /// The usage.
    pub usage: Usage,
    /// The cost in nano-dollars (10⁻⁹ USD).
    pub cost_nanos: u64,
}

/// The context was replaced by a summary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compaction {
    /// Whether the user asked for it.
    pub by_user: bool,
    /// The tokens of the context before.
    pub tokens_before: u64,
}

/// A reply that came to nothing: what was spent on the reply before it in its thread brought no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// An error of the API that is no limit; limits are [`LimitHit`]s.
    Error,
    /// The user stopped it.
    Interrupted,
    /// The model declined to answer.
    Refused,
}

impl Failure {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
        }
    }
}

/// A session ran a conversation, from the time of the event at least.
///
/// Another session may go on with the conversation later; then there are two of these, and [`crate::Ledger::session_of`]
/// says whose a moment was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ownership {
    /// The session, by the name of its store.
    pub session: Arc<str>,
    /// Until when at least.
    pub until: Timestamp,
}

impl Ownership {
    /// Makes the event that a session ran a conversation from one moment to another; all of the same two are records of one.
    pub fn event(conversation: &ConversationId, session: &str, from: Timestamp, until: Timestamp) -> Event {
        let owner = Owner { role: Role::Main, since: from, conversation: conversation.clone(), agent: None };
        Event {
            id: EventId::new(format!("owner:{conversation}:{session}")),
            at: from,
            owner,
            fact: Fact::Ownership(Self { session: session.into(), until }),
        }
    }
}

/// What was done before a tool call because of a limit, or would have been under another policy.
///
/// Each is told once, by whoever did it, at the time of the call; two records of one differ only where one was altered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Restraint {
    /// What it was.
    pub deed: Deed,
    /// Whether it was done; otherwise it was only observed that it was due.
    pub done: bool,
    /// Why.
    pub why: Why,
    /// Which limit.
    pub window: LimitWindow,
    /// When that is reset, where it was known.
    pub resets_at: Option<Timestamp>,
    /// How much of it was used, in hundredths of a percent, where it was known.
    pub used_hundredths: Option<u32>,
    /// The tool that was to be called.
    pub tool: Arc<str>,
    /// How much the session matters, in a word of who decided it.
    pub priority: Arc<str>,
}

impl Restraint {
    /// Makes the event of a call in a conversation; `process` is whose work it was, and tells calls of one moment apart.
    pub fn event(self, conversation: &ConversationId, at: Timestamp, process: u32) -> Event {
        let owner = Owner { role: Role::Main, since: at, conversation: conversation.clone(), agent: None };
        let id = EventId::new(format!("restraint:{conversation}:{}:{process}", at.as_millis()));
        Event { id, at, owner, fact: Fact::Restraint(self) }
    }
}

/// Why a call was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// A limit of the account is spent.
    LimitHit,
    /// It will be before it is reset.
    AheadOfPace,
    /// It has just been reset, and all want to start.
    AfterReset,
}

impl Why {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::LimitHit, Self::AheadOfPace, Self::AfterReset];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LimitHit => "limit_hit",
            Self::AheadOfPace => "ahead_of_pace",
            Self::AfterReset => "after_reset",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What was done before a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// It waited.
    Waited {
        /// How long it was to wait, in milliseconds.
        due_ms: u64,
        /// How long it waited, measured, in milliseconds; zero where it was only due.
        waited_ms: u64,
    },
    /// It was refused, and the model told why.
    Refused,
    /// It went on, and the human was told of the limit.
    Told,
    /// It was due to wait or to be refused, and went on because the conversation had borne enough.
    Released,
}

impl Deed {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waited { .. } => "waited",
            Self::Refused => "refused",
            Self::Told => "told",
            Self::Released => "released",
        }
    }
}

/// What is known of a conversation as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conversation {
    /// The setting at its earliest line.
    pub first: Setting,
    /// The setting at its latest line.
    pub last: Setting,
}

/// Where and how a conversation ran at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// The moment.
    pub at: Timestamp,
    /// The working folder.
    pub folder: Option<Arc<str>>,
    /// The git branch, where there was one.
    pub branch: Option<Arc<str>>,
    /// The version of Claude Code.
    pub version: Option<Arc<str>>,
    /// How Claude Code was started, such as `cli`, `sdk-cli` or `claude-vscode`.
    pub entrypoint: Option<Arc<str>>,
}

impl Event {
    /// Returns whether all that it tells of ended before a moment; a conversation ends with its latest line.
    pub fn ended_before(&self, at: Timestamp) -> bool {
        match &self.fact {
            Fact::Conversation(conversation) => conversation.last.at < at,
            _ => self.at < at,
        }
    }
}

impl Turn {
    fn rank(&self) -> impl Ord + '_ {
        let Self { usage, model, tariff, under_reported } = self;
        (usage.output, usage.total(), *usage, model, tariff, under_reported)
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    /// Compares by output, then by the total, then by every other counter and field.
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl Join for Event {
    /// Merges a record of the same event; of records of two kinds the one of the greater kind stands as it is.
    ///
    /// The caller sees to it that the ids are equal; [`crate::Ledger`] does.
    fn join(&mut self, other: Self) -> Change {
        debug_assert_eq!(self.id, other.id, "only records of one event join");
        if mem::discriminant(&self.fact) != mem::discriminant(&other.fact) {
            if other.fact < self.fact {
                return Change::Unchanged;
            }
            *self = other;
            return Change::Grew;
        }
        keep_least(&mut self.at, other.at)
            .or(keep_least(&mut self.owner, other.owner))
            .or(self.fact.join(other.fact))
    }
}

impl Join for Fact {
    fn join(&mut self, other: Self) -> Change {
        match (&mut *self, other) {
            (Self::Conversation(mine), Self::Conversation(theirs)) => mine.join(theirs),
            (_, other) => keep_greatest(self, other),
        }
    }
}

impl Join for Conversation {
    fn join(&mut self, other: Self) -> Change {
        keep_least(&mut self.first, other.first).or(keep_greatest(&mut self.last, other.last))
    }
}
