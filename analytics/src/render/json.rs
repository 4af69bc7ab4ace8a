//! Versioned JSON types: fields are added, never renamed or removed within a schema version.

use serde::Serialize;
use session_store::{ConversationId, LimitWindow, Timestamp, Usage};

use crate::limits::{LimitUse, Share};
use crate::live::{Live, LiveNotice};
use crate::printable::printable_json;
use crate::report::{By, Report, Row, Totals};

const SCHEMA_VERSION: u32 = 1;
/// The conversations a live line tells of, the latest ones.
const CONVERSATIONS_MAX: usize = 200;

#[derive(Serialize)]
struct ReportOut<'a> {
    schema_version: u32,
    by: &'a str,
    timezone: String,
    since: Option<String>,
    until: Option<String>,
    rows: Vec<RowOut<'a>>,
    totals: TotalsOut<'a>,
    problems: ProblemsOut<'a>,
}

#[derive(Serialize)]
struct RowOut<'a> {
    key: &'a str,
    #[serde(flatten)]
    totals: TotalsOut<'a>,
    #[serde(flatten)]
    block: Option<BlockOut>,
    #[serde(flatten)]
    conversation: Option<ConversationRowOut<'a>>,
}

/// Tokens and searches, as every document of ours spells them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UsageOut {
    input_tokens: u64,
    output_tokens: u64,
    cache_write_5m_tokens: u64,
    cache_write_1h_tokens: u64,
    cache_read_tokens: u64,
    total_tokens: u64,
    web_searches: u64,
}

/// Figures, as every document of ours spells them.
#[derive(Clone, Debug, Serialize)]
pub struct TotalsOut<'a> {
    messages: u64,
    #[serde(flatten)]
    usage: UsageOut,
    cost_usd: f64,
    estimated: bool,
    models: Vec<&'a str>,
    rate_limit_events: u64,
}

#[derive(Serialize)]
struct BlockOut {
    start: String,
    end: String,
    active: bool,
    anchored: bool,
}

#[derive(Serialize)]
struct ConversationRowOut<'a> {
    project: Option<&'a str>,
    started_at: Option<String>,
    last_activity: Option<String>,
    client_cost_usd: Option<f64>,
    client_difference_usd: Option<f64>,
}

#[derive(Serialize)]
struct ProblemsOut<'a> {
    lines_skipped: u64,
    files_skipped: u64,
    unpriced_models: Vec<&'a str>,
    under_reported_messages: u64,
}

/// Writes a report as one JSON object.
pub fn report_json(report: &Report) -> String {
    let moment = |at: Timestamp| (at != Timestamp::MIN && at != Timestamp::MAX).then(|| at.to_string());
    let out = ReportOut {
        schema_version: SCHEMA_VERSION,
        by: report.by.name(),
        timezone: report.zone.to_string(),
        since: moment(report.range.start),
        until: moment(report.range.end),
        rows: report.rows.iter().map(|row| RowOut::of(row, report.by)).collect(),
        totals: TotalsOut::of(&report.totals),
        problems: ProblemsOut {
            lines_skipped: report.problems.lines_skipped,
            files_skipped: report.problems.files_skipped,
            unpriced_models: report.problems.unpriced_models.iter().map(|model| model.as_str()).collect(),
            under_reported_messages: report.problems.under_reported_messages,
        },
    };
    printable_json(&out)
}

impl<'a> RowOut<'a> {
    fn of(row: &'a Row, by: By) -> Self {
        Self {
            key: &row.key,
            totals: TotalsOut::of(&row.totals),
            block: row.block.map(|(block, active)| BlockOut {
                start: block.start.to_string(),
                end: block.end.to_string(),
                active,
                anchored: block.anchored,
            }),
            conversation: (by == By::Conversation).then(|| ConversationRowOut {
                project: row.project.as_deref(),
                started_at: row.span.map(|(start, _)| start.to_string()),
                last_activity: row.span.map(|(_, end)| end.to_string()),
                client_cost_usd: row.client.map(|client| client.cost.as_dollars()),
                client_difference_usd: row
                    .client
                    .and_then(|client| client.difference)
                    .map(|difference| difference.as_dollars()),
            }),
        }
    }
}

impl UsageOut {
    /// Takes the shape of a usage.
    pub fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cache_write_5m_tokens: usage.cache_write_5m,
            cache_write_1h_tokens: usage.cache_write_1h,
            cache_read_tokens: usage.cache_read,
            total_tokens: usage.total(),
            web_searches: usage.web_searches,
        }
    }
}

impl<'a> TotalsOut<'a> {
    /// Takes the shape of totals.
    pub fn of(totals: &'a Totals) -> Self {
        Self {
            messages: totals.sum.messages,
            usage: UsageOut::of(totals.usage()),
            cost_usd: totals.cost.as_dollars(),
            estimated: totals.estimated,
            models: totals.models.iter().map(|model| model.as_str()).collect(),
            rate_limit_events: totals.rate_limit_events,
        }
    }
}

#[derive(Serialize)]
struct LiveOut<'a> {
    schema_version: u32,
    at: String,
    conversations: Vec<LiveConversationOut<'a>>,
    conversations_total: usize,
    totals: TotalsOut<'a>,
    today: TotalsOut<'a>,
    block: Option<LiveBlockOut<'a>>,
    tokens_per_minute: f64,
    cost_usd_per_hour: f64,
    limits: Vec<LimitOut<'a>>,
    last_limit: Option<HitOut<'a>>,
    blocked_until: Option<String>,
    notices: Vec<NoticeOut<'a>>,
    unpriced_models: Vec<&'a str>,
}

#[derive(Serialize)]
struct LiveConversationOut<'a> {
    conversation_id: &'a str,
    project: &'a str,
    model: Option<&'a str>,
    state: &'a str,
    #[serde(flatten)]
    totals: TotalsOut<'a>,
    tokens_per_minute: f64,
    last_activity: String,
}

#[derive(Serialize)]
struct LiveBlockOut<'a> {
    #[serde(flatten)]
    block: BlockOut,
    #[serde(flatten)]
    totals: TotalsOut<'a>,
}

/// A limit, as every document of ours spells it.
#[derive(Clone, Debug, Serialize)]
pub struct LimitOut<'a> {
    account: &'a str,
    window: &'a str,
    used_percentage: Option<f64>,
    /// Where the value may have moved to since it was observed; `null` where it is fresh.
    estimated_percentage: Option<f64>,
    status: &'a str,
    resets_at: Option<String>,
    is_over: bool,
    source: &'a str,
    observed_at: String,
    age_seconds: u64,
    /// As forecast; `null` where the reset comes first or the data are too few.
    runs_out_at: Option<String>,
    shares: Vec<ShareOut<'a>>,
    elsewhere_share: f64,
}

#[derive(Clone, Debug, Serialize)]
struct ShareOut<'a> {
    /// `unknown` for a conversation whose session is not known, as in the report by session.
    session_id: &'a str,
    conversation_id: Option<&'a str>,
    share: f64,
}

impl<'a> LimitOut<'a> {
    /// Takes the shape of a limit at a moment.
    pub fn of(it: &'a LimitUse, at: Timestamp) -> Self {
        let limit = &it.limit;
        let runs_out_at = it.forecast.as_ref().and_then(|forecast| forecast.runs_out_at);
        let hundredths = |used: u32| f64::from(used) / 100.0;
        Self {
            account: &limit.account,
            window: limit.window.name(),
            used_percentage: limit.used_now().map(hundredths),
            estimated_percentage: it.estimate.map(hundredths),
            status: limit.status.name(),
            resets_at: limit.resets_at.map(|at| at.to_string()),
            is_over: limit.is_over,
            source: limit.source.name(),
            observed_at: limit.observed_at.to_string(),
            age_seconds: at.since(limit.observed_at).as_secs(),
            runs_out_at: runs_out_at.map(|at| at.to_string()),
            shares: it.shares.iter().map(ShareOut::of).collect(),
            elsewhere_share: it.elsewhere,
        }
    }
}

impl<'a> ShareOut<'a> {
    fn of(share: &'a Share) -> Self {
        let session_id = share.session().unwrap_or("unknown");
        Self { session_id, conversation_id: share.conversation(), share: share.part }
    }
}

#[derive(Serialize)]
struct HitOut<'a> {
    at: String,
    conversation_id: &'a str,
    window: &'a str,
    resets_at: Option<String>,
}

#[derive(Serialize)]
struct NoticeOut<'a> {
    at: String,
    kind: &'a str,
    window: Option<&'a str>,
    resets_at: Option<String>,
    account: &'a str,
    project: Option<&'a str>,
    same_project: bool,
    conversation_id: Option<&'a str>,
    text: &'a str,
}

impl<'a> NoticeOut<'a> {
    fn of(notice: &'a LiveNotice) -> Self {
        Self {
            at: notice.at.to_string(),
            kind: &notice.kind,
            window: notice.window.as_ref().map(LimitWindow::name),
            resets_at: notice.resets_at.map(|at| at.to_string()),
            account: &notice.account,
            project: notice.project.as_deref(),
            same_project: notice.same_project,
            conversation_id: notice.conversation.as_ref().map(ConversationId::as_str),
            text: &notice.text,
        }
    }
}

/// Writes notices as a JSON array, for those who tell of them beside other things.
pub fn notices_json(notices: &[LiveNotice]) -> serde_json::Value {
    let notices: Vec<NoticeOut<'_>> = notices.iter().map(NoticeOut::of).collect();
    serde_json::to_value(notices).expect("because the type holds only texts")
}

/// Writes a live view as one line of JSON; of the conversations it tells the 200 latest.
pub fn live_json(live: &Live) -> String {
    let conversations = live.conversations.iter().take(CONVERSATIONS_MAX);
    let out = LiveOut {
        schema_version: SCHEMA_VERSION,
        at: live.at.to_string(),
        conversations: conversations
            .map(|it| LiveConversationOut {
                conversation_id: it.id.as_str(),
                project: &it.project,
                model: it.model.as_ref().map(|model| model.as_str()),
                state: it.state.name(),
                totals: TotalsOut::of(&it.totals),
                tokens_per_minute: it.tokens_per_minute,
                last_activity: it.last_activity.to_string(),
            })
            .collect(),
        conversations_total: live.conversations.len(),
        totals: TotalsOut::of(&live.totals),
        today: TotalsOut::of(&live.today),
        block: live.block.as_ref().map(|(block, totals)| LiveBlockOut {
            block: BlockOut {
                start: block.start.to_string(),
                end: block.end.to_string(),
                active: true,
                anchored: block.anchored,
            },
            totals: TotalsOut::of(totals),
        }),
        tokens_per_minute: live.tokens_per_minute,
        cost_usd_per_hour: live.cost_per_hour.as_dollars(),
        limits: live.limits.iter().map(|it| LimitOut::of(it, live.at)).collect(),
        last_limit: live.last_limit.as_ref().map(|hit| HitOut {
            at: hit.at.to_string(),
            conversation_id: hit.conversation.as_str(),
            window: hit.window.name(),
            resets_at: hit.resets_at.map(|at| at.to_string()),
        }),
        blocked_until: live.blocked_until().map(|at| at.to_string()),
        notices: live.notices.iter().map(NoticeOut::of).collect(),
        unpriced_models: live.unpriced_models.iter().map(|model| model.as_str()).collect(),
    };
    printable_json(&out)
}
