//! Lines of transcripts as the tests write them, and what a reader made of them, as text and as values.

use session_store::{
    Event, Fact, Ledger, LimitCause, Position, ProblemKind, Reading, Role, SourceKind, Tail, Timestamp, Zone,
};

/// The transcript `<conversation>.jsonl`.
pub(crate) fn main_of(conversation: &str) -> SourceKind {
    SourceKind::Main { conversation: conversation.into() }
}

/// The transcript `agent-<agent>.jsonl`, beside its parent's or in its folder.
pub(crate) fn agent_of(conversation: Option<&str>, agent: &str) -> SourceKind {
    SourceKind::SubAgent { conversation: conversation.map(Into::into), agent: agent.into() }
}

/// What came of reading a transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) ledger: Ledger,
    pub(crate) problems: Vec<(ProblemKind, u64)>,
    pub(crate) position: Position,
    /// The events in the order of their lines, without the facts of conversations, which are told once a piece.
    pub(crate) found: Vec<(u64, Event)>,
}

impl Told {
    pub(crate) fn take(&mut self, reading: Reading) {
        self.problems.extend(reading.problems);
        for found in reading.found {
            if !matches!(found.event.fact, Fact::Conversation(_)) {
                self.found.push((found.line_at, found.event.clone()));
            }
            let _ = self.ledger.apply(found.event);
        }
    }
}

/// Reads a whole transcript as one piece.
pub(crate) fn read(kind: SourceKind, bytes: &[u8]) -> Told {
    read_in_pieces(kind, &[bytes])
}

/// Reads a transcript as it grows piece by piece.
pub(crate) fn read_in_pieces(kind: SourceKind, pieces: &[&[u8]]) -> Told {
    let mut told = Told::default();
    let mut tail = Tail::new(kind, Zone::utc());
    for piece in pieces {
        told.take(tail.feed(piece));
    }
    told.position = tail.position();
    told
}

/// Writes an event on one line, zeros and defaults left out.
pub(crate) fn written(event: &Event) -> String {
    let Event { id, at, owner, fact } = event;
    let place = match (owner.role, &owner.agent) {
        (Role::Main, _) => owner.conversation.to_string(),
        (Role::SubAgent, agent) => {
            format!("{}/{}", owner.conversation, agent.as_ref().map_or("?", |agent| agent.as_str()))
        }
    };
    let moment = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| at.to_string());
    match fact {
        Fact::Turn(turn) => {
            let usage = turn.usage;
            let counts = [
                ("in", usage.input),
                ("out", usage.output),
                ("5m", usage.cache_write_5m),
                ("1h", usage.cache_write_1h),
                ("read", usage.cache_read),
                ("web", usage.web_searches),
            ];
            let marks = [
                ("fast", turn.tariff.fast),
                ("us", turn.tariff.us_only),
                ("under-reported", turn.under_reported),
            ];
            let counts =
                counts.iter().filter(|count| count.1 > 0).map(|(name, count)| format!(" {name}={count}"));
            let marks = marks.iter().filter(|mark| mark.1).map(|(name, _)| format!(" {name}"));
            let rest: String = counts.chain(marks).collect();
            format!("turn {id} {} of {place}: {}{rest}", &at.to_string()[11..23], turn.model)
        }
        Fact::LimitHit(hit) => {
            let cause = if hit.cause == LimitCause::Quota { "quota" } else { "burst" };
            format!("{cause} {id} of {place}: {} until {}", hit.window.name(), moment(hit.resets_at.0))
        }
        Fact::LimitSample(sample) => format!(
            "sample {id} of {place}: {} {} {:?} until {}",
            sample.window.name(),
            sample.status,
            sample.used_hundredths,
            moment(sample.resets_at)
        ),
        Fact::CostState(state) => {
            let models: Vec<String> = state
                .models
                .iter()
                .map(|cost| format!(" {}={}/{}", cost.model, cost.usage.total(), cost.cost_nanos))
                .collect();
            let unknown = if state.has_unknown_model { " unknown" } else { "" };
            format!(
                "{id} of {place}: {} ms {} nano{}{unknown}",
                state.duration_ms,
                state.cost_nanos,
                models.concat()
            )
        }
        Fact::Compaction(compaction) => {
            let cause = if compaction.by_user { "manual" } else { "auto" };
            format!("{id} of {place}: {cause} at {}", compaction.tokens_before)
        }
        Fact::Conversation(told) => {
            let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
            let setting = |setting: &session_store::Setting| {
                let parts =
                    [&setting.folder, &setting.branch, &setting.version, &setting.entrypoint].map(text);
                format!("{} {}", &setting.at.to_string()[11..23], parts.join(" "))
            };
            format!("{id}: {} to {}", setting(&told.first), setting(&told.last))
        }
        Fact::Failure(failure) => format!("{} {id} of {place}", failure.name()),
        Fact::Restraint(restraint) => {
            format!("{} {id} of {place}: {}", restraint.deed.name(), restraint.why.name())
        }
        _ => unreachable!("a new kind of fact wants a way to be written"),
    }
}

/// A small turn with this id.
pub(crate) fn turn_event(id: &str) -> session_store::Event {
    use session_store::{Event, Fact, Owner, Role, Timestamp, Turn, Usage};

    let at = Timestamp::from_seconds(1_795_367_000);
    let usage = Usage { input: 3, output: 5, ..Usage::default() };
    let turn =
        Turn { usage, model: "claude-opus-5-5".into(), tariff: Default::default(), under_reported: false };
    let owner = Owner { role: Role::Main, since: at, conversation: "c".into(), agent: None };
    Event { id: id.into(), at, owner, fact: Fact::Turn(turn) }
}
