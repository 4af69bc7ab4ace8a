//! From a line to events: identity, owner, counters.

use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use super::ProblemKind;
use super::limit;
use super::line::{
    Billed, CacheCreation, Echo, Iteration, Line, Message, ModelUsage, Number, Object, TokenUsage, first_text,
};
use super::locate::SourceKind;
use super::reading::{Found, Reading};
use crate::event::{
    Compaction, Conversation, CostState, Event, Fact, Failure, ModelCost, Owner, Role, Setting, Tariff, Turn,
};
use crate::id::{AgentId, ConversationId, EventId, ModelId};
use crate::join::Join;
use crate::time::Timestamp;
use crate::usage::Usage;
use crate::zone::Zone;

/// More tokens than any request can use; a larger count is a mistake or malice.
const COUNT_MAX: u64 = 1_000_000_000_000;
const ID_BYTES_MAX: usize = 256;
const FOLDER_BYTES_MAX: usize = 4096;
/// Usage written longer is not kept for comparison.
const USAGE_BYTES_MAX: usize = 4096;
/// The model of lines that Claude Code writes itself.
const SYNTHETIC: &str = "<synthetic>";

/// Turns lines of one source into events.
#[derive(Debug)]
pub(super) struct Mapper {
    kind: SourceKind,
    zone: Zone,
    since: Option<Timestamp>,
    /// The ids seen last, so that a run of lines shares them; a line without an id does not inherit them.
    conversation: Option<ConversationId>,
    agent: Option<AgentId>,
    model: Option<ModelId>,
    /// What the lines since the last flush told of the conversation.
    told: Option<(ConversationId, Conversation)>,
    /// The last setting, whose texts the next line most likely repeats.
    setting: Option<Setting>,
    /// The last usage as it was written, and what it says: the lines of one reply repeat it.
    billed: (String, Usage, Tariff),
}

/// What a line means for the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A model replied.
    Reply {
        /// Whether nothing follows until the user speaks.
        ends_turn: bool,
    },
    /// A prompt or a tool's result, which asks for a reply.
    User,
    /// Anything else.
    Other,
}

/// Why a line's usage was not taken.
type Refusal = ProblemKind;

impl Mapper {
    pub(super) fn new(kind: SourceKind, zone: Zone) -> Self {
        Self {
            kind,
            zone,
            since: None,
            conversation: None,
            agent: None,
            model: None,
            told: None,
            setting: None,
            billed: Default::default(),
        }
    }

    pub(super) fn set_since(&mut self, since: Option<Timestamp>) {
        self.since = since;
    }

    /// Reads one line; returns what it means for the turn.
    pub(super) fn read(&mut self, bytes: &[u8], line_at: u64, reading: &mut Reading) -> Mark {
        let written = std::mem::take(&mut self.billed.0);
        let mark = self.read_knowing(&written, bytes, line_at, reading);
        if self.billed.0.is_empty() {
            self.billed.0 = written;
        }
        mark
    }

    fn read_knowing(&mut self, usage: &str, bytes: &[u8], line_at: u64, reading: &mut Reading) -> Mark {
        let mut line = Line::default();
        if line.read(bytes, usage).is_none() {
            reading.problems.push((ProblemKind::Damaged, line_at));
            return Mark::Other;
        }
        let result = match line.kind.0.as_deref() {
            Some("assistant") => self.assistant(&line, bytes, line_at, reading),
            Some("progress") => self.progress(&line, line_at, reading),
            Some("cost-state") => self.cost_state(&line, line_at, reading),
            Some("system") if line.subtype.is("compact_boundary") => self.compaction(&line, line_at, reading),
            Some("user") => Ok(Mark::User),
            _ => Ok(Mark::Other),
        };
        result.unwrap_or_else(|refusal| {
            reading.problems.push((refusal, line_at));
            Mark::Other
        })
    }

    /// Reads a user line that may be Claude Code's note that the user stopped the reply; one that only quotes it is none.
    ///
    /// Such lines are not read otherwise, so one that cannot be understood is no problem.
    pub(super) fn interruption(&mut self, bytes: &[u8], line_at: u64, reading: &mut Reading) {
        let mut line = Line::default();
        if line.read(bytes, "").is_none() || !line.kind.is("user") {
            return;
        }
        let Ok(at) = time_of(line.timestamp.within(64)) else { return };
        if !first_text(bytes).starts_with("[Request interrupted by user") {
            return;
        }
        let role = if line.is_sidechain.0 || self.is_agent_source() { Role::SubAgent } else { Role::Main };
        let owner = self.owner(&line, role, line.agent_id.within(ID_BYTES_MAX), at);
        let id = line.uuid.within(ID_BYTES_MAX).map_or_else(
            || nameless_id("interrupted", &owner, at),
            |uuid| EventId::new(format!("interrupted:{uuid}")),
        );
        let event = Event { id, at, owner, fact: Fact::Failure(Failure::Interrupted) };
        reading.found.push(Found { line_at, event });
    }

    /// Hands over what was learned of the conversation.
    pub(super) fn flush(&mut self, line_at: u64, reading: &mut Reading) {
        let Some((conversation, told)) = self.told.take() else { return };
        let event = Event {
            id: EventId::new(format!("conversation:{conversation}")),
            at: told.first.at,
            owner: Owner { role: Role::Main, since: told.first.at, conversation, agent: None },
            fact: Fact::Conversation(told),
        };
        reading.found.push(Found { line_at, event });
    }

    fn assistant(
        &mut self,
        line: &Line<'_>,
        bytes: &[u8],
        line_at: u64,
        reading: &mut Reading,
    ) -> Result<Mark, Refusal> {
        let Some(message) = &line.message.0 else { return Ok(Mark::Other) };
        let is_error = line.is_api_error_message.0;
        if matches!(message.usage, Billed::Absent) && !is_error {
            return Ok(Mark::Other);
        }
        let at = time_of(line.timestamp.within(64))?;
        let role = if line.is_sidechain.0 || self.is_agent_source() { Role::SubAgent } else { Role::Main };
        let owner = self.owner(line, role, line.agent_id.within(ID_BYTES_MAX), at);
        self.learn(line, &owner.conversation, at, line_at, reading);
        if is_error {
            let fact = limit::read(line, bytes, at, &self.zone).unwrap_or(Fact::Failure(Failure::Error));
            let id = error_id(line, message, &owner, at);
            reading.found.push(Found { line_at, event: Event { id, at, owner, fact } });
            return Ok(Mark::Reply { ends_turn: true });
        }
        let ends_turn = ends_turn(message, bytes);
        let id = message_id(message, line.request_id.within(ID_BYTES_MAX), line.uuid.within(ID_BYTES_MAX))
            .unwrap_or_else(|| nameless_id("turn", &owner, at));
        if message.stop_reason.is("refusal") {
            let (id, owner) = (EventId::new(format!("refusal:{id}")), owner.clone());
            reading.found.push(Found {
                line_at,
                event: Event { id, at, owner, fact: Fact::Failure(Failure::Refused) },
            });
        }
        let under_reported = line.version.within(64).is_some_and(is_under_reporting);
        self.turns(message, id, at, owner, under_reported, line_at, reading)?;
        Ok(Mark::Reply { ends_turn })
    }

    /// Reads a sub-agent's message echoed in its parent's transcript, at times its only trace.
    fn progress(&mut self, line: &Line<'_>, line_at: u64, reading: &mut Reading) -> Result<Mark, Refusal> {
        let Some(progress) = line.data.0.as_ref().filter(|data| data.kind.is("agent_progress")) else {
            return Ok(Mark::Other);
        };
        let Some(echo) = progress.message.0.as_ref().filter(|echo| echo.kind.is("assistant")) else {
            return Ok(Mark::Other);
        };
        let Echo { message: Object(Some(message)), .. } = echo else { return Ok(Mark::Other) };
        if matches!(message.usage, Billed::Absent) {
            return Ok(Mark::Other);
        }
        let at = time_of(echo.timestamp.within(64).or(line.timestamp.within(64)))?;
        let owner = self.owner(line, Role::SubAgent, progress.agent_id.within(ID_BYTES_MAX), at);
        self.learn(line, &owner.conversation, at, line_at, reading);
        let id = message_id(message, echo.request_id.within(ID_BYTES_MAX), echo.uuid.within(ID_BYTES_MAX))
            .unwrap_or_else(|| nameless_id("turn", &owner, at));
        let under_reported = line.version.within(64).is_some_and(is_under_reporting);
        self.turns(message, id, at, owner, under_reported, line_at, reading)?;
        Ok(Mark::Other)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event, put together here alone")]
    fn turns(
        &mut self,
        message: &Message<'_>,
        id: EventId,
        at: Timestamp,
        owner: Owner,
        under_reported: bool,
        line_at: u64,
        reading: &mut Reading,
    ) -> Result<(), Refusal> {
        let model = message.model.within(ID_BYTES_MAX).unwrap_or("unknown");
        if model == SYNTHETIC {
            return Ok(());
        }
        let model = self.model(model);
        let mut steps: &[_] = &[];
        let (usage, tariff) = match &message.usage {
            Billed::Absent => return Ok(()),
            Billed::Known => (self.billed.1, self.billed.2),
            Billed::New(written, usage) => {
                let tariff = Tariff { fast: usage.speed.is("fast"), us_only: usage.inference_geo.is("us") };
                let counts = counts(usage)?;
                steps = &usage.iterations.0;
                // What an advisor's step costs stands in it alone and must be read each time.
                if written.len() <= USAGE_BYTES_MAX && !steps.iter().any(is_advisor) {
                    self.billed = ((*written).to_owned(), counts, tariff);
                }
                (counts, tariff)
            }
        };
        let turn = Turn { usage, model, tariff, under_reported };
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| is_advisor(step)) {
            let advisor = step.model.0.as_deref().unwrap_or("unknown");
            let turn = Turn {
                usage: step_counts(step)?,
                model: ModelId::from(advisor),
                tariff: Tariff::default(),
                under_reported: false,
            };
            let id = EventId::new(format!("{id}#{index}"));
            let event = Event { id, at, owner: owner.clone(), fact: Fact::Turn(turn) };
            reading.found.push(Found { line_at, event });
        }
        reading.found.push(Found { line_at, event: Event { id, at, owner, fact: Fact::Turn(turn) } });
        Ok(())
    }

    fn cost_state(&mut self, line: &Line<'_>, line_at: u64, reading: &mut Reading) -> Result<Mark, Refusal> {
        let absurd = ProblemKind::AbsurdNumber;
        let start = line.start_time.count(u64::MAX >> 1).ok_or(absurd)?;
        let at = Timestamp::from_millis(start as i64);
        if !at.is_plausible() {
            return Err(ProblemKind::AbsurdTime);
        }
        let models = line.model_usage.0.iter().flatten();
        // What is no object tells nothing of its model.
        let models = models.filter_map(|(model, usage)| Some(model_cost(model, usage.0.as_ref()?)));
        let state = CostState {
            duration_ms: line.total_duration.count(COUNT_MAX).ok_or(absurd)?,
            cost_nanos: nanos(line.total_cost_usd).ok_or(absurd)?,
            models: models.collect::<Option<_>>().ok_or(absurd)?,
            has_unknown_model: line.has_unknown_model_cost.0,
        };
        let conversation = self.conversation(line.session_id.within(ID_BYTES_MAX));
        let event = Event {
            id: EventId::new(format!("cost-state:{conversation}")),
            at,
            owner: Owner { role: Role::Main, since: at, conversation, agent: None },
            fact: Fact::CostState(state),
        };
        reading.found.push(Found { line_at, event });
        Ok(Mark::Other)
    }

    fn compaction(&mut self, line: &Line<'_>, line_at: u64, reading: &mut Reading) -> Result<Mark, Refusal> {
        let Some(metadata) = &line.compact_metadata.0 else { return Ok(Mark::Other) };
        let at = time_of(line.timestamp.within(64))?;
        let owner = self.owner(line, Role::Main, None, at);
        let id = line.uuid.within(ID_BYTES_MAX).map_or_else(
            || nameless_id("compaction", &owner, at),
            |uuid| EventId::new(format!("compaction:{uuid}")),
        );
        let fact = Fact::Compaction(Compaction {
            by_user: metadata.trigger.is("manual"),
            tokens_before: metadata.pre_tokens.count(COUNT_MAX).ok_or(ProblemKind::AbsurdNumber)?,
        });
        reading.found.push(Found { line_at, event: Event { id, at, owner, fact } });
        Ok(Mark::Other)
    }

    fn is_agent_source(&self) -> bool {
        matches!(self.kind, SourceKind::SubAgent { .. })
    }

    fn owner(&mut self, line: &Line<'_>, role: Role, agent: Option<&str>, at: Timestamp) -> Owner {
        let conversation = self.conversation(line.session_id.within(ID_BYTES_MAX));
        let agent = match role {
            Role::Main => None,
            Role::SubAgent => self.agent(agent),
        };
        Owner { role, since: self.since.unwrap_or(at), conversation, agent }
    }

    /// Returns the conversation that a line names, else the one that the file's place names.
    fn conversation(&mut self, written: Option<&str>) -> ConversationId {
        let by_place = match &self.kind {
            SourceKind::Main { conversation } => Some(conversation),
            SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
        };
        match (written, by_place) {
            (Some(written), _) => {
                shared(&mut self.conversation, written, |id| id.as_str(), |text| text.into())
            }
            (None, Some(conversation)) => conversation.clone(),
            (None, None) => ConversationId::from("unknown"),
        }
    }

    /// Returns the sub-agent that a line names, else the one that the file's name names.
    fn agent(&mut self, written: Option<&str>) -> Option<AgentId> {
        match (written, &self.kind) {
            (Some(written), _) => {
                Some(shared(&mut self.agent, written, |id| id.as_str(), |text| text.into()))
            }
            (None, SourceKind::SubAgent { agent, .. }) => Some(agent.clone()),
            (None, SourceKind::Main { .. }) => None,
        }
    }

    fn model(&mut self, name: &str) -> ModelId {
        shared(&mut self.model, name, |id| id.as_str(), |text| text.into())
    }

    /// Notes where and how the conversation runs.
    fn learn(
        &mut self,
        line: &Line<'_>,
        conversation: &ConversationId,
        at: Timestamp,
        line_at: u64,
        reading: &mut Reading,
    ) {
        if let Some((told, known)) = &mut self.told
            && told == conversation
            && known.last.at <= at
            && is_same_setting(&known.last, line)
        {
            // The usual case: another line of the same conversation, with nothing new but its time.
            known.last.at = at;
            return;
        }
        let last = self.setting.take();
        let last = last.as_ref();
        let text = |old: Option<&Arc<str>>, new: Option<&str>| share_text(old, new);
        let setting = Setting {
            at,
            folder: text(last.and_then(|it| it.folder.as_ref()), line.cwd.within(FOLDER_BYTES_MAX)),
            branch: text(last.and_then(|it| it.branch.as_ref()), line.git_branch.within(ID_BYTES_MAX)),
            version: text(last.and_then(|it| it.version.as_ref()), line.version.within(64)),
            entrypoint: text(last.and_then(|it| it.entrypoint.as_ref()), line.entrypoint.within(64)),
        };
        if self.told.as_ref().is_some_and(|(told, _)| told != conversation) {
            self.flush(line_at, reading);
        }
        let told = Conversation { first: setting.clone(), last: setting.clone() };
        self.setting = Some(setting);
        match &mut self.told {
            Some((_, known)) => {
                let _ = known.join(told);
            }
            None => self.told = Some((conversation.clone(), told)),
        }
    }
}

/// Returns the id for a text, the one kept where it is the same.
fn shared<T: Clone>(kept: &mut Option<T>, written: &str, text: fn(&T) -> &str, make: fn(&str) -> T) -> T {
    match kept {
        Some(id) if text(id) == written => id.clone(),
        _ => kept.insert(make(written)).clone(),
    }
}

fn is_same_setting(setting: &Setting, line: &Line<'_>) -> bool {
    let is = |known: &Option<Arc<str>>, written: Option<&str>| known.as_deref() == written;
    is(&setting.folder, line.cwd.within(FOLDER_BYTES_MAX))
        && is(&setting.branch, line.git_branch.within(ID_BYTES_MAX))
        && is(&setting.version, line.version.within(64))
        && is(&setting.entrypoint, line.entrypoint.within(64))
}

fn share_text(old: Option<&Arc<str>>, new: Option<&str>) -> Option<Arc<str>> {
    let new = new?;
    Some(old.filter(|old| &***old == new).cloned().unwrap_or_else(|| new.into()))
}

fn time_of(text: Option<&str>) -> Result<Timestamp, Refusal> {
    let at = text.and_then(Timestamp::parse).ok_or(ProblemKind::NoTime)?;
    if at.is_plausible() { Ok(at) } else { Err(ProblemKind::AbsurdTime) }
}

/// Identifies a reply: by the API's message id, else by the request, else by the line.
///
/// A colon sets the ids of other facts apart, so a text with one is not taken as it is: no line may pass its turn off
/// as the record of something else.
fn message_id(message: &Message<'_>, request: Option<&str>, uuid: Option<&str>) -> Option<EventId> {
    let id = message.id.within(ID_BYTES_MAX);
    let text = id.filter(|id| id.starts_with("msg_")).or(request).or(uuid).or(id)?;
    let is_plain = text.starts_with("msg_") || !text.contains(':');
    Some(if is_plain { EventId::from(text) } else { EventId::new(format!("turn:{text}")) })
}

/// Identifies an error line. Claude Code makes up its message id, and copies keep it.
fn error_id(line: &Line<'_>, message: &Message<'_>, owner: &Owner, at: Timestamp) -> EventId {
    let id = message.id.within(ID_BYTES_MAX).or(line.uuid.within(ID_BYTES_MAX));
    id.map_or_else(|| nameless_id("error", owner, at), |id| EventId::new(format!("error:{id}")))
}

/// Identifies what carries no id at all by whose it is and when it was.
fn nameless_id(kind: &str, owner: &Owner, at: Timestamp) -> EventId {
    let agent = owner.agent.as_ref().map_or("", |agent| agent.as_str());
    EventId::new(format!("{kind}:nameless:{}:{agent}:{}", owner.conversation, at.as_millis()))
}

/// Tells whether a reply is the last of its turn. Versions that write no reason end with text, not with a tool.
fn ends_turn(message: &Message<'_>, line: &[u8]) -> bool {
    match message.stop_reason.0.as_deref() {
        Some(reason) => !matches!(reason, "tool_use" | "pause_turn"),
        None => GOES_ON.iter().all(|block| block.find(line).is_none()),
    }
}

/// The content blocks after which a turn goes on.
static GOES_ON: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new(b"\"type\":\"tool_use\""), Finder::new(b"\"type\":\"thinking\"")]);

fn counts(usage: &TokenUsage<'_>) -> Result<Usage, Refusal> {
    let searches = usage.server_tool_use.0.as_ref().map_or(Number::Absent, |used| used.web_search_requests);
    let (cache_write_5m, cache_write_1h) =
        cache_writes(usage.cache_creation_input_tokens, usage.cache_creation.0.as_ref())?;
    Ok(Usage {
        input: count(usage.input_tokens)?,
        output: count(usage.output_tokens)?,
        cache_write_5m,
        cache_write_1h,
        cache_read: count(usage.cache_read_input_tokens)?,
        web_searches: count(searches)?,
    })
}

fn is_advisor(step: &Iteration<'_>) -> bool {
    step.kind.is("advisor_message")
}

fn step_counts(step: &Iteration<'_>) -> Result<Usage, Refusal> {
    let (cache_write_5m, cache_write_1h) =
        cache_writes(step.cache_creation_input_tokens, step.cache_creation.0.as_ref())?;
    Ok(Usage {
        input: count(step.input_tokens)?,
        output: count(step.output_tokens)?,
        cache_write_5m,
        cache_write_1h,
        cache_read: count(step.cache_read_input_tokens)?,
        web_searches: 0,
    })
}

/// Splits cache writes by lifetime. What the flat sum holds beyond the split was written for five minutes; some
/// versions left the flat sum at zero, so the split counts by itself.
fn cache_writes(flat: Number, split: Option<&CacheCreation>) -> Result<(u64, u64), Refusal> {
    let flat = count(flat)?;
    let (short, long) = match split {
        Some(split) => (count(split.ephemeral_5m_input_tokens)?, count(split.ephemeral_1h_input_tokens)?),
        None => (0, 0),
    };
    Ok((short.max(flat.saturating_sub(long)), long))
}

fn count(number: Number) -> Result<u64, Refusal> {
    number.count(COUNT_MAX).ok_or(ProblemKind::AbsurdNumber)
}

fn model_cost(model: &str, usage: &ModelUsage) -> Option<ModelCost> {
    let long = usage.cache_creation_1h.count(COUNT_MAX)?;
    let writes = usage.cache_creation_input_tokens.count(COUNT_MAX)?;
    Some(ModelCost {
        model: ModelId::from(model),
        usage: Usage {
            input: usage.input_tokens.count(COUNT_MAX)?,
            output: usage.output_tokens.count(COUNT_MAX)?,
            cache_write_5m: usage.cache_creation_5m.count(COUNT_MAX)?.max(writes.saturating_sub(long)),
            cache_write_1h: long,
            cache_read: usage.cache_read_input_tokens.count(COUNT_MAX)?,
            web_searches: usage.web_search_requests.count(COUNT_MAX)?,
        },
        cost_nanos: nanos(usage.cost_usd)?,
    })
}

/// Reads dollars as nano-dollars; a billion dollars and more is refused.
fn nanos(usd: Number) -> Option<u64> {
    let usd = if usd == Number::Absent { 0.0 } else { usd.float()? };
    (0.0..1e9).contains(&usd).then(|| (usd * 1e9).round() as u64)
}

/// Tells the versions that keep the placeholder of a streamed reply's output (2.1.12 to 2.1.96).
fn is_under_reporting(version: &str) -> bool {
    let patch = version.strip_prefix("2.1.").and_then(|patch| patch.parse::<u32>().ok());
    patch.is_some_and(|patch| (12..=96).contains(&patch))
}
