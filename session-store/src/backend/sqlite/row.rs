//! Rows: how events look in the tables.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::cell::{PriceClass, PromptBand};
use crate::event::{
    Compaction, Conversation, CostState, Deed, Fact, Failure, LimitCause, LimitHit, LimitSample, LimitWindow,
    ModelCost, Owner, Ownership, Reset, Restraint, Role, Setting, Tariff, Turn, Why,
};
use crate::id::{AgentId, ConversationId, ModelId};
use crate::time::Timestamp;
use crate::usage::Usage;

const FAST: u8 = 1;
const US_ONLY: u8 = 2;
const UNDER_REPORTED: u8 = 4;
const UP_TO_200K: u8 = 4;
const OVER_200K: u8 = 8;
/// The `kind` of what is known of a conversation.
pub(super) const CONVERSATION: &str = "conversation";

/// The `kind` of a request that was refused.
pub(super) const LIMIT_HIT: &str = "limit_hit";

/// Packs what sets a turn apart into the `class` column of `turn`.
pub(super) fn turn_class(turn: &Turn) -> u8 {
    tariff_bits(turn.tariff) | if turn.under_reported { UNDER_REPORTED } else { 0 }
}

/// Packs a price class into the `class` column of `cell`.
pub(super) fn cell_class(class: PriceClass) -> u8 {
    let band = match class.prompt {
        PromptBand::UpTo100k => 0,
        PromptBand::UpTo200k => UP_TO_200K,
        PromptBand::Over200k => OVER_200K,
    };
    tariff_bits(class.tariff) | band
}

pub(super) fn price_class(bits: u8) -> PriceClass {
    let prompt = match bits & (UP_TO_200K | OVER_200K) {
        0 => PromptBand::UpTo100k,
        UP_TO_200K => PromptBand::UpTo200k,
        _ => PromptBand::Over200k,
    };
    PriceClass { tariff: tariff(bits), prompt }
}

fn tariff_bits(tariff: Tariff) -> u8 {
    (if tariff.fast { FAST } else { 0 }) | (if tariff.us_only { US_ONLY } else { 0 })
}

fn tariff(bits: u8) -> Tariff {
    Tariff { fast: bits & FAST != 0, us_only: bits & US_ONLY != 0 }
}

pub(super) fn role_number(role: Role) -> u8 {
    match role {
        Role::Main => 0,
        Role::SubAgent => 1,
    }
}

/// Reads an owner from four columns: role, since, conversation, agent.
pub(super) fn owner(row: &Row<'_>, first: usize, conversation: ConversationId) -> rusqlite::Result<Owner> {
    Ok(Owner {
        role: if row.get::<_, u8>(first)? == 0 { Role::Main } else { Role::SubAgent },
        since: Timestamp::from_millis(row.get(first + 1)?),
        conversation,
        agent: row.get_ref(first + 3)?.as_str_or_null().ok().flatten().map(AgentId::from),
    })
}

/// Reads a turn from eight columns: model, class, and the six counters.
pub(super) fn turn(row: &Row<'_>, first: usize, model: ModelId) -> rusqlite::Result<Turn> {
    let class: u8 = row.get(first + 1)?;
    Ok(Turn {
        usage: usage(row, first + 2)?,
        model,
        tariff: tariff(class),
        under_reported: class & UNDER_REPORTED != 0,
    })
}

/// Reads six columns of counters.
pub(super) fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    let count = |column| row.get::<_, i64>(first + column).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(Usage {
        input: count(0)?,
        output: count(1)?,
        cache_write_5m: count(2)?,
        cache_write_1h: count(3)?,
        cache_read: count(4)?,
        web_searches: count(5)?,
    })
}

/// Returns a count as SQLite keeps it; larger ones, which no request has, are cut.
pub(super) fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The body of a row in `fact`. The names are the store's own: neither Claude Code's nor those of any output.
#[derive(Debug, Serialize, Deserialize)]
enum Body {
    LimitHit { quota: bool, window: String, resets_at: Option<i64> },
    LimitSample { window: String, resets_at: Option<i64>, used_hundredths: Option<u32>, status: String },
    CostState { duration_ms: u64, cost_nanos: u64, models: Vec<ModelBody>, has_unknown_model: bool },
    Compaction { by_user: bool, tokens_before: u64 },
    Ownership { session: String, until: i64 },
    Conversation { first: SettingBody, last: SettingBody },
    Failure { kind: FailureBody },
    Restraint(RestraintBody),
}

#[derive(Debug, Serialize, Deserialize)]
struct RestraintBody {
    deed: DeedBody,
    done: bool,
    why: String,
    window: String,
    resets_at: Option<i64>,
    used_hundredths: Option<u32>,
    tool: String,
    priority: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum DeedBody {
    Waited { due_ms: u64, waited_ms: u64 },
    Refused,
    Told,
    Released,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum FailureBody {
    Error,
    Interrupted,
    Refused,
}

#[derive(Debug, Serialize, Deserialize)]
struct ModelBody {
    model: String,
    usage: [u64; 6],
    cost_nanos: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SettingBody {
    at: i64,
    folder: Option<String>,
    branch: Option<String>,
    version: Option<String>,
    entrypoint: Option<String>,
}

/// Returns the kind and the body of a fact; `None` for turns, which have a table of their own.
pub(crate) fn fact_row(fact: &Fact) -> Option<(&'static str, String)> {
    let millis = |at: &Option<Timestamp>| at.map(Timestamp::as_millis);
    let (kind, body) = match fact {
        Fact::Turn(_) => return None,
        Fact::LimitHit(hit) => (
            LIMIT_HIT,
            Body::LimitHit {
                quota: hit.cause == LimitCause::Quota,
                window: hit.window.name().to_owned(),
                resets_at: millis(&hit.resets_at.0),
            },
        ),
        Fact::LimitSample(sample) => (
            "limit_sample",
            Body::LimitSample {
                window: sample.window.name().to_owned(),
                resets_at: millis(&sample.resets_at),
                used_hundredths: sample.used_hundredths,
                status: sample.status.to_string(),
            },
        ),
        Fact::CostState(state) => (
            "cost_state",
            Body::CostState {
                duration_ms: state.duration_ms,
                cost_nanos: state.cost_nanos,
                models: state.models.iter().map(ModelBody::of).collect(),
                has_unknown_model: state.has_unknown_model,
            },
        ),
        Fact::Compaction(compaction) => (
            "compaction",
            Body::Compaction { by_user: compaction.by_user, tokens_before: compaction.tokens_before },
        ),
        Fact::Conversation(told) => (
            CONVERSATION,
            Body::Conversation { first: SettingBody::of(&told.first), last: SettingBody::of(&told.last) },
        ),
        Fact::Ownership(told) => {
            let (session, until) = (told.session.to_string(), told.until.as_millis());
            ("ownership", Body::Ownership { session, until })
        }
        Fact::Failure(failure) => ("failure", Body::Failure { kind: FailureBody::of(*failure) }),
        Fact::Restraint(restraint) => ("restraint", Body::Restraint(RestraintBody::of(restraint))),
    };
    serde_json::to_string(&body).ok().map(|body| (kind, body))
}

/// Reads a fact back; `None` for a kind that a newer version wrote.
pub(crate) fn fact(body: &str) -> Option<Fact> {
    let at = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    Some(match serde_json::from_str(body).ok()? {
        Body::LimitHit { quota, window, resets_at } => Fact::LimitHit(LimitHit {
            cause: if quota { LimitCause::Quota } else { LimitCause::Burst },
            resets_at: Reset(at(resets_at)),
            window: LimitWindow::from_name(&window),
        }),
        Body::LimitSample { window, resets_at, used_hundredths, status } => Fact::LimitSample(LimitSample {
            window: LimitWindow::from_name(&window),
            resets_at: at(resets_at),
            used_hundredths,
            status: status.into(),
        }),
        Body::CostState { duration_ms, cost_nanos, models, has_unknown_model } => {
            Fact::CostState(CostState {
                duration_ms,
                cost_nanos,
                models: models.into_iter().map(ModelBody::into_cost).collect(),
                has_unknown_model,
            })
        }
        Body::Compaction { by_user, tokens_before } => {
            Fact::Compaction(Compaction { by_user, tokens_before })
        }
        Body::Conversation { first, last } => {
            Fact::Conversation(Conversation { first: first.into_setting(), last: last.into_setting() })
        }
        Body::Ownership { session, until } => {
            Fact::Ownership(Ownership { session: session.into(), until: Timestamp::from_millis(until) })
        }
        Body::Failure { kind } => Fact::Failure(kind.into_failure()),
        Body::Restraint(body) => Fact::Restraint(body.into_restraint()?),
    })
}

impl ModelBody {
    fn of(cost: &ModelCost) -> Self {
        let Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches } = cost.usage;
        Self {
            model: cost.model.to_string(),
            usage: [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches],
            cost_nanos: cost.cost_nanos,
        }
    }

    fn into_cost(self) -> ModelCost {
        let [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] = self.usage;
        ModelCost {
            model: ModelId::new(self.model),
            usage: Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches },
            cost_nanos: self.cost_nanos,
        }
    }
}

impl FailureBody {
    fn of(failure: Failure) -> Self {
        match failure {
            Failure::Error => Self::Error,
            Failure::Interrupted => Self::Interrupted,
            Failure::Refused => Self::Refused,
        }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Error => Failure::Error,
            Self::Interrupted => Failure::Interrupted,
            Self::Refused => Failure::Refused,
        }
    }
}

impl RestraintBody {
    fn of(restraint: &Restraint) -> Self {
        Self {
            deed: match restraint.deed {
                Deed::Waited { due_ms, waited_ms } => DeedBody::Waited { due_ms, waited_ms },
                Deed::Refused => DeedBody::Refused,
                Deed::Told => DeedBody::Told,
                Deed::Released => DeedBody::Released,
            },
            done: restraint.done,
            why: restraint.why.name().to_owned(),
            window: restraint.window.name().to_owned(),
            resets_at: restraint.resets_at.map(Timestamp::as_millis),
            used_hundredths: restraint.used_hundredths,
            tool: restraint.tool.to_string(),
            priority: restraint.priority.to_string(),
        }
    }

    fn into_restraint(self) -> Option<Restraint> {
        Some(Restraint {
            deed: match self.deed {
                DeedBody::Waited { due_ms, waited_ms } => Deed::Waited { due_ms, waited_ms },
                DeedBody::Refused => Deed::Refused,
                DeedBody::Told => Deed::Told,
                DeedBody::Released => Deed::Released,
            },
            done: self.done,
            why: Why::from_name(&self.why)?,
            window: LimitWindow::from_name(&self.window),
            resets_at: self.resets_at.map(Timestamp::from_millis),
            used_hundredths: self.used_hundredths,
            tool: self.tool.into(),
            priority: self.priority.into(),
        })
    }
}

impl SettingBody {
    fn of(setting: &Setting) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            at: setting.at.as_millis(),
            folder: text(&setting.folder),
            branch: text(&setting.branch),
            version: text(&setting.version),
            entrypoint: text(&setting.entrypoint),
        }
    }

    fn into_setting(self) -> Setting {
        Setting {
            at: Timestamp::from_millis(self.at),
            folder: self.folder.map(Into::into),
            branch: self.branch.map(Into::into),
            version: self.version.map(Into::into),
            entrypoint: self.entrypoint.map(Into::into),
        }
    }
}
