//! Small histories to test with: who said what when, in one line each.

use std::time::Duration;

use session_analytics::{SessionInfo, Sessions};
use session_store::{
    Event, Fact, Failure, Ledger, LimitCause, LimitHit, LimitWindow, Owner, Reset, Role, Tariff, Timestamp,
    Turn, Usage,
};

/// A Monday, nine o'clock UTC.
pub(crate) const MONDAY: &str = "2026-11-02T09:00:00Z";

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A history in the making.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) ledger: Ledger,
    pub(crate) sessions: Sessions,
    events: u32,
}

/// A reply of Opus in the main thread, unless said otherwise.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) conversation: &'static str,
    pub(crate) agent: Option<String>,
    pub(crate) model: &'static str,
    pub(crate) tariff: Tariff,
    pub(crate) usage: Usage,
}

impl Default for Reply {
    fn default() -> Self {
        Self {
            conversation: "c",
            agent: None,
            model: "claude-opus-5-5",
            tariff: Tariff::default(),
            usage: Usage {
                input: 100,
                output: 1_000,
                cache_read: 20_000,
                cache_write_5m: 500,
                ..Usage::default()
            },
        }
    }
}

impl Story {
    /// Adds a session that runs a conversation, from the beginning on.
    pub(crate) fn session(mut self, name: &str, sort: &str, conversation: &str) -> Self {
        let info = SessionInfo {
            session_id: format!("{name}:local:ada:host:1").into(),
            isolation_key: name.into(),
            session_type: sort.into(),
            user: "ada".into(),
            host: "host".into(),
        };
        self.sessions.ran(name, info, &conversation.into(), Timestamp::MIN);
        self
    }

    pub(crate) fn reply(&mut self, at: Timestamp, reply: &Reply) {
        let Reply { conversation, agent, model, tariff, usage } = reply.clone();
        let turn = Turn { usage, model: model.into(), tariff, under_reported: false };
        let owner = Owner {
            role: if agent.is_some() { Role::SubAgent } else { Role::Main },
            since: self::at("2026-01-01T00:00:00Z"),
            conversation: conversation.into(),
            agent: agent.as_deref().map(Into::into),
        };
        self.event("msg_", at, owner, Fact::Turn(turn));
    }

    pub(crate) fn failure(&mut self, at: Timestamp, conversation: &str, failure: Failure) {
        self.event("failure:", at, owner(conversation), Fact::Failure(failure));
    }

    pub(crate) fn hit(&mut self, at: Timestamp, conversation: &str, resets_at: Timestamp) {
        let hit = LimitHit {
            cause: LimitCause::Quota,
            resets_at: Reset(Some(resets_at)),
            window: LimitWindow::FiveHour,
        };
        self.event("error:", at, owner(conversation), Fact::LimitHit(hit));
    }

    fn event(&mut self, kind: &str, at: Timestamp, owner: Owner, fact: Fact) {
        self.events += 1;
        let id = session_store::EventId::new(format!("{kind}{:05}", self.events));
        let _ = self.ledger.apply(Event { id, at, owner, fact });
    }
}

fn owner(conversation: &str) -> Owner {
    let since = at("2026-01-01T00:00:00Z");
    Owner { role: Role::Main, since, conversation: conversation.into(), agent: None }
}
