//! The three JSON documents of an export, as the contract has them; `schema/` describes each.

use std::collections::BTreeMap;

use serde::Serialize;
use session_analytics::{
    CoordinationOut, Effort, Hit, LimitOut, Prediction, PredictionOut, Recommendation, RecommendationOut,
    Row, SessionLine, Subject, TotalsOut,
};
use session_coordinator::{CONFLICTS_RESOLVED, NOTICES, RESOURCES_SHARED};

use super::gather::Gathered;
use crate::commands::detect::DetectOut;
use crate::commands::status::json::{SessionOut, session_out};
use crate::presence::Participant;
use crate::printable::printable_json_pretty;

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct ReportOut<'a> {
    schema_version: u32,
    generated_at: String,
    timezone: String,
    active_sessions: usize,
    session_types: BTreeMap<&'a str, usize>,
    total_usage: UsageOut,
    coordination_stats: CoordinationStatsOut,
    limits: Vec<LimitOut<'a>>,
    predictions: Vec<PredictionOut<'a>>,
    projects: Vec<RowOut<'a>>,
    users: Vec<RowOut<'a>>,
    session_type_comparison: Vec<RowOut<'a>>,
    recommendations: Vec<RecommendationOut<'a>>,
    problems: ProblemsOut<'a>,
}

#[derive(Serialize)]
struct UsageOut {
    combined_tokens: u64,
    cross_session_events: u64,
    cost_usd: f64,
    messages: u64,
    rate_limit_events: u64,
}

#[derive(Serialize)]
struct CoordinationStatsOut {
    conflicts_resolved: u64,
    resources_shared: u64,
    limits: CoordinationOut,
}

/// The figures of a project, a user or a session type.
#[derive(Serialize)]
struct RowOut<'a> {
    key: &'a str,
    #[serde(flatten)]
    totals: TotalsOut<'a>,
}

#[derive(Serialize)]
struct ProblemsOut<'a> {
    lines_skipped: u64,
    files_skipped: u64,
    unpriced_models: Vec<&'a str>,
    under_reported_messages: u64,
}

/// Writes the report itself.
pub(super) fn report(gathered: &Gathered) -> String {
    let overview = &gathered.overview;
    let count = |counter: &str| gathered.others.counters.get(counter).copied().unwrap_or(0);
    let types = gathered.presence.types();
    let problems = &overview.problems;
    document(&ReportOut {
        schema_version: SCHEMA_VERSION,
        generated_at: overview.at.to_string(),
        timezone: overview.zone.to_string(),
        active_sessions: gathered.presence.live().count(),
        session_types: types.into_iter().map(|(kind, count)| (kind.name(), count)).collect(),
        total_usage: UsageOut {
            combined_tokens: overview.totals.usage().total(),
            cross_session_events: count(NOTICES),
            cost_usd: overview.totals.cost.as_dollars(),
            messages: overview.totals.sum.messages,
            rate_limit_events: overview.totals.rate_limit_events,
        },
        coordination_stats: CoordinationStatsOut {
            conflicts_resolved: count(CONFLICTS_RESOLVED),
            resources_shared: count(RESOURCES_SHARED),
            limits: CoordinationOut::of(&gathered.coordination),
        },
        limits: gathered.known.json(),
        predictions: gathered.predictions.iter().map(PredictionOut::of).collect(),
        projects: overview.projects.iter().map(RowOut::of).collect(),
        users: overview.users.iter().map(RowOut::of).collect(),
        session_type_comparison: overview.types.iter().map(RowOut::of).collect(),
        recommendations: gathered.recommendations.iter().map(RecommendationOut::of).collect(),
        problems: ProblemsOut {
            lines_skipped: problems.lines_skipped,
            files_skipped: problems.files_skipped,
            unpriced_models: problems.unpriced_models.iter().map(|model| model.as_str()).collect(),
            under_reported_messages: problems.under_reported_messages,
        },
    })
}

impl<'a> RowOut<'a> {
    fn of(row: &'a Row) -> Self {
        Self { key: &row.key, totals: TotalsOut::of(&row.totals) }
    }
}

#[derive(Serialize)]
struct SessionsOut<'a> {
    schema_version: u32,
    generated_at: String,
    sessions: Vec<SessionDetailOut<'a>>,
}

/// A process that takes part in a session, as `status` tells of it, and where it runs, as `detect` does.
#[derive(Serialize)]
struct SessionDetailOut<'a> {
    #[serde(flatten)]
    session: SessionOut<'a>,
    detection: Option<DetectOut<'a>>,
}

/// Writes what is known of each session that is alive.
pub(super) fn sessions(gathered: &Gathered) -> String {
    document(&SessionsOut {
        schema_version: SCHEMA_VERSION,
        generated_at: gathered.overview.at.to_string(),
        sessions: gathered
            .presence
            .participants
            .iter()
            .map(|it| SessionDetailOut::of(it, gathered))
            .collect(),
    })
}

impl<'a> SessionDetailOut<'a> {
    fn of(participant: &'a Participant, gathered: &'a Gathered) -> Self {
        let seen = gathered.surroundings.get(&participant.pid);
        let detection = seen.map(|(session, surroundings)| DetectOut::of(None, session, surroundings));
        Self { session: session_out(participant), detection }
    }
}

#[derive(Serialize)]
struct AnalyticsOut<'a> {
    schema_version: u32,
    generated_at: String,
    sessions: Vec<SessionAnalyticsOut<'a>>,
}

#[derive(Serialize)]
struct SessionAnalyticsOut<'a> {
    session_id: &'a str,
    isolation_key: &'a str,
    session_type: &'a str,
    user: &'a str,
    host: &'a str,
    working_directory: Option<&'a str>,
    projects: Vec<&'a str>,
    conversations: Vec<&'a str>,
    usage_stats: StatsOut<'a>,
    rate_limit_history: Vec<HitOut<'a>>,
    predictions: Vec<PredictionOut<'a>>,
    recommendations: Vec<RecommendationOut<'a>>,
}

#[derive(Serialize)]
struct StatsOut<'a> {
    #[serde(flatten)]
    totals: TotalsOut<'a>,
    efficiency_score: Option<f64>,
    efficiency_parts: Option<PartsOut>,
}

#[derive(Serialize)]
struct PartsOut {
    cached: f64,
    finished: Option<f64>,
    unblocked: f64,
}

#[derive(Serialize)]
struct HitOut<'a> {
    at: String,
    window: &'a str,
    resets_at: Option<String>,
    conversation_id: &'a str,
}

/// Writes the analytics of each session that is known.
pub(super) fn analytics(gathered: &Gathered) -> String {
    // One that ended and whose usage is not for this session to see has nothing to tell.
    let is_alive = |line: &SessionLine| {
        gathered.presence.live().any(|session| session[0].key.as_str() == &*line.info.isolation_key)
    };
    let lines = gathered.overview.sessions.iter();
    let lines = lines.filter(|line| !line.conversations.is_empty() || is_alive(line));
    document(&AnalyticsOut {
        schema_version: SCHEMA_VERSION,
        generated_at: gathered.overview.at.to_string(),
        sessions: lines.map(|line| SessionAnalyticsOut::of(line, gathered)).collect(),
    })
}

impl<'a> SessionAnalyticsOut<'a> {
    fn of(line: &'a SessionLine, gathered: &'a Gathered) -> Self {
        let effort = gathered.efforts.get(&Some(line.name.clone()));
        let concerns = |it: &&Recommendation| match &it.applies_to {
            Subject::Session(id) => *id == line.info.session_id,
            _ => false,
        };
        // The limits are the account's; every session of it runs against the same ones.
        let predictions: Vec<&Prediction> = gathered.predictions.iter().collect();
        let folder = gathered.surroundings.values().find_map(|(session, around)| {
            let is_it = session.key.as_ref().is_some_and(|key| key.as_str() == &*line.info.isolation_key);
            around.working_directory.as_ref().filter(|_| is_it)?.to_str()
        });
        Self {
            session_id: &line.info.session_id,
            isolation_key: &line.info.isolation_key,
            session_type: &line.info.session_type,
            user: &line.info.user,
            host: &line.info.host,
            working_directory: folder.or(line.projects.first().map(String::as_str)),
            projects: line.projects.iter().map(String::as_str).collect(),
            conversations: line.conversations.iter().map(|id| id.as_str()).collect(),
            usage_stats: StatsOut::of(line, effort),
            rate_limit_history: line.hits.iter().map(HitOut::of).collect(),
            predictions: predictions.into_iter().map(PredictionOut::of).collect(),
            recommendations: gathered
                .recommendations
                .iter()
                .filter(concerns)
                .map(RecommendationOut::of)
                .collect(),
        }
    }
}

impl<'a> StatsOut<'a> {
    fn of(line: &'a SessionLine, effort: Option<&Effort>) -> Self {
        let score = effort.and_then(Effort::score);
        Self {
            totals: TotalsOut::of(&line.totals),
            efficiency_score: score.map(|score| short(score.value)),
            efficiency_parts: score.map(|score| PartsOut {
                cached: short(score.cached),
                finished: score.finished.map(short),
                unblocked: short(score.unblocked),
            }),
        }
    }
}

impl<'a> HitOut<'a> {
    fn of(hit: &'a Hit) -> Self {
        Self {
            at: hit.at.to_string(),
            window: hit.window.name(),
            resets_at: hit.resets_at.map(|at| at.to_string()),
            conversation_id: hit.conversation.as_str(),
        }
    }
}

/// Three decimals; more would only look exact.
fn short(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}

fn document(out: &impl Serialize) -> String {
    let text = printable_json_pretty(out);
    format!("{text}\n")
}
