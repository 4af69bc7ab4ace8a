//! The limits of all accounts: gathered from the stores, the board and Claude Code's own files, merged, and as rows.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use session_analytics::{
    Elapsed, ForecastInput, LearnedLimit, Limit, LimitSource, LimitStatus, Limits, Prediction, PriceBook,
    Reading, Share, Spend, Usd,
};
use session_coordinator::{Notice, NoticeBoard, NoticeKind};
use session_detect::claude;
use session_store::{
    BoardSample, Checkpoint, ConversationId, EventBackend, Fact, Ledger, LimitHit, LimitWindow, ModelId,
    PriceClass, Selection, SourceKind, Stores, Timestamp, Usage,
};

use crate::config::{Config, home};
use crate::context::{Context, now};
use crate::coordination;
use crate::error::CliError;
use crate::forecast::{self, Past, Wanted};
use crate::host::cache;
use crate::line::{bar, percent};
use crate::table::{Column, Table, terminal_width};
use crate::words;

/// No window is longer than a month.
const LONGEST: Duration = Duration::from_secs(32 * 86_400);
/// What was asked before a refusal may still be answered after it.
const ANSWERS_LATE: Duration = Duration::from_secs(60);
/// How many of the newest notices are looked at for limits that were hit.
pub(crate) const NOTICES_SEEN: u64 = 32;
/// So long after a window ended it is told that it did.
const RESET_IS_NEWS: Duration = Duration::from_secs(3600);
const BAR_CELLS: u32 = 10;
/// How many of those who share a limit a table names.
const SHARES_NAMED: usize = 3;

/// All that is known of the limits, as of one moment.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) limits: Limits,
    pub(crate) rows: Vec<Row>,
    /// What the past says of forecasts of limits that are not known; none unless that was wanted.
    tried: Vec<Prediction>,
    /// All that was told.
    pub(crate) readings: Vec<Reading>,
    pub(crate) at: Timestamp,
}

/// A limit with what is worked out of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) limit: Limit,
    pub(crate) estimate: Option<u32>,
    pub(crate) forecast: Prediction,
    pub(crate) learned: LearnedLimit,
    shares: Vec<Share>,
    elsewhere: f64,
}

/// Takes a sample of the board; one whose source is not known tells nothing.
pub(crate) fn of_board(sample: &BoardSample) -> Option<Reading> {
    let source = LimitSource::from_name(&sample.source)?;
    let by = sample.source.split_once(':').map_or(&*sample.source, |(_, by)| by);
    Some(Reading::of_sample(sample.account.clone(), &sample.sample, sample.at, source, by.into()))
}

/// Takes the notice of a limit that was hit; no other tells the state of one.
pub(crate) fn of_notice(notice: &Notice) -> Option<Reading> {
    let window = notice.window.clone().filter(|_| notice.kind == NoticeKind::LimitHit)?;
    Some(Reading {
        account: notice.account.as_str().into(),
        window,
        at: notice.at,
        used: None,
        status: LimitStatus::Rejected,
        resets_at: notice.resets_at,
        source: LimitSource::Hook,
        by: notice.from.as_str().into(),
    })
}

/// Returns what the board tells of the accounts that are asked for.
pub(crate) fn board_readings(config: &Config, board: &NoticeBoard) -> Vec<Reading> {
    let samples = board.board().observed().unwrap_or_default();
    let accounts: Vec<_> = config.claude_dirs.iter().map(|dir| coordination::account(dir)).collect();
    let is_asked_for = |sample: &&BoardSample| accounts.iter().any(|it| it.as_str() == &*sample.account);
    let told = board.newest(NOTICES_SEEN).unwrap_or_default();
    let told = told.iter().filter(|notice| accounts.contains(&notice.account)).filter_map(of_notice);
    samples.iter().filter(is_asked_for).filter_map(of_board).chain(told).collect()
}

/// Returns what transcripts and Claude Code's own files tell.
pub(crate) fn readings_on_disk<'a>(
    context: &Context,
    stores: &Stores,
    checkpoints: impl Iterator<Item = &'a Checkpoint>,
) -> Result<Vec<Reading>, CliError> {
    let at = now();
    Accounts::of(&context.config, checkpoints).readings(stores, &told(stores, at.before(LONGEST))?, at)
}

/// Reads what was told of limits from a moment on.
fn told(stores: &Stores, from: Timestamp) -> Result<Ledger, CliError> {
    let range = from..Timestamp::MAX;
    Ok(stores.events(&Selection { range, turns: false, conversations: false, conversation: None })?)
}

impl Known {
    /// Gathers and merges everything, and divides it among the sessions.
    pub(crate) fn gather<'a>(
        context: &Context,
        stores: &Stores,
        book: &PriceBook,
        checkpoints: impl Iterator<Item = &'a Checkpoint>,
        wanted: Wanted,
    ) -> Result<Self, CliError> {
        let at = now();
        let accounts = Accounts::of(&context.config, checkpoints);
        let facts = told(stores, ForecastInput::history_from(at))?;
        let mut readings = accounts.readings(stores, &facts, at)?;
        if let Some((_, board)) = coordination::existing_board(&context.config) {
            readings.extend(board_readings(&context.config, &board));
        }
        let mut limits = Limits::merge(readings.iter().cloned(), at);
        limits.limits.retain(|limit| is_news(limit, at));
        let sessions = sessions(&context.config);
        let past = Past {
            zone: &context.config.zone,
            stores,
            book,
            facts: &facts,
            account_of: &|conversation| accounts.name(conversation).cloned(),
            now: at,
            cells: OnceCell::new(),
        };
        let forecasts = past.predictions(&limits.limits, wanted)?;
        let mut rows = Vec::new();
        for (limit, (forecast, learned)) in limits.limits.iter().zip(forecasts) {
            let spends = spends(stores, book, &accounts, &sessions, limit, at)?;
            let (shares, elsewhere) = match limit.is_over {
                true => Default::default(),
                false => limit.shares(&spends),
            };
            let estimate = limit.estimate(&spends, at);
            rows.push(Row { estimate, limit: limit.clone(), forecast, learned, shares, elsewhere });
        }
        let tried = match wanted {
            Wanted::Open => Vec::new(),
            Wanted::Tried => past.unknown(&limits.limits)?,
        };
        Ok(Self { limits, rows, tried, readings, at })
    }

    /// Returns the forecasts of the limits, in their order, then what was tried without one.
    pub(crate) fn predictions(&self) -> impl Iterator<Item = &Prediction> {
        self.rows.iter().map(|row| &row.forecast).chain(&self.tried)
    }

    /// Returns the limits as `status --json` and `limits --json` tell them.
    pub(crate) fn json(&self) -> Vec<LimitOut<'_>> {
        self.rows.iter().map(|row| row.json(self.at)).collect()
    }

    /// Draws the limits as a table; says so where none is known.
    pub(crate) fn table(&self, context: &Context) -> String {
        if self.rows.is_empty() {
            return "No limit is known: no status line and no refusal has told of one yet.\n".to_owned();
        }
        let mut accounts: Vec<&str> = self.rows.iter().map(|row| &*row.limit.account).collect();
        accounts.dedup();
        let account = (accounts.len() > 1).then(|| Column::left("Account", 0));
        let columns = [
            Column::left("Limit", 0),
            Column::left("Used", 0),
            Column::left("Resets", 0),
            Column::left("Shares", 3),
            Column::left("Source", 4),
            Column::right("Age", 2),
            Column::left("Forecast", 1),
        ];
        let mut table = Table::new(&account.iter().copied().chain(columns).collect::<Vec<_>>());
        for row in &self.rows {
            let mut cells = row.cells(context, self.at);
            if account.is_some() {
                cells.insert(0, words::shorten(&row.limit.account, 24));
            }
            table.row(cells);
        }
        let mut out = table.draw(terminal_width(), context.config.colors_stdout());
        for row in &self.rows {
            out.push_str(&forecast::line(&row.forecast, context, self.at).unwrap_or_default());
        }
        for (refusal, count) in &self.limits.refused {
            let values = if *count == 1 { "value was" } else { "values were" };
            out.push_str(&format!("{count} {values} refused: {}.\n", refusal.name()));
        }
        out
    }
}

impl Row {
    fn cells(&self, context: &Context, at: Timestamp) -> Vec<String> {
        let limit = &self.limit;
        let used = limit.used_now();
        let shown = match (used, self.estimate) {
            (Some(_), Some(estimate)) if percent(estimate) != used.map_or(0, percent) => {
                format!("~{}%", percent(estimate))
            }
            (Some(used), _) => format!("{}%", percent(used)),
            (None, _) => "?".to_owned(),
        };
        let state = if limit.status == LimitStatus::Rejected { " hit" } else { "" };
        let used = match limit.is_over {
            true => "reset".to_owned(),
            false => format!("{} {shown}{state}", bar(self.estimate.or(used).unwrap_or(0), BAR_CELLS)),
        };
        let zone = &context.config.zone;
        let resets = match limit.resets_at {
            Some(reset) if limit.is_over => format!("{} ago", words::ago(reset, at)),
            Some(reset) => format!("{} (in {})", words::moment(zone, reset, at), words::until(reset, at)),
            None => "unknown".to_owned(),
        };
        let forecast = match limit.is_over || limit.status == LimitStatus::Rejected {
            true => String::new(),
            false => forecast::runs_out(&self.forecast, zone, at),
        };
        vec![
            words::limit_name(&limit.window),
            used,
            resets,
            self.shares_in_words(),
            limit.source.name().to_owned(),
            Elapsed(at.since(limit.observed_at)).to_string(),
            forecast,
        ]
    }

    fn shares_in_words(&self) -> String {
        let part = |name: &str, part: f64| format!("{name} {:.0}%", part * 100.0);
        let named = self.shares.iter().take(SHARES_NAMED).map(|it| part(name_of(&it.who), it.part));
        let rest: f64 = self.shares.iter().skip(SHARES_NAMED).map(|it| it.part).sum();
        let rest = (rest > 0.0).then(|| part("others", rest));
        let elsewhere = (self.elsewhere >= 0.005).then(|| part("elsewhere", self.elsewhere));
        named.chain(rest).chain(elsewhere).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn json(&self, at: Timestamp) -> LimitOut<'_> {
        let limit = &self.limit;
        let hundredths = |used: u32| f64::from(used) / 100.0;
        LimitOut {
            account: &limit.account,
            window: limit.window.name(),
            used_percentage: limit.used_now().map(hundredths),
            estimated_percentage: self.estimate.map(hundredths),
            status: limit.status.name(),
            resets_at: limit.resets_at.map(|at| at.to_string()),
            is_over: limit.is_over,
            source: limit.source.name(),
            observed_at: limit.observed_at.to_string(),
            age_seconds: at.since(limit.observed_at).as_secs(),
            runs_out_at: self.forecast.runs_out_at.map(|at| at.to_string()),
            shares: self.shares.iter().map(ShareOut::of).collect(),
            elsewhere_share: self.elsewhere,
        }
    }
}

/// A limit in JSON, the same in every command.
#[derive(Debug, Serialize)]
pub(crate) struct LimitOut<'a> {
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

#[derive(Debug, Serialize)]
struct ShareOut<'a> {
    /// `null` for a conversation whose session has ended.
    session_id: Option<&'a str>,
    conversation_id: Option<&'a str>,
    share: f64,
}

impl<'a> ShareOut<'a> {
    fn of(share: &'a Share) -> Self {
        let conversation = share.who.strip_prefix(CONVERSATION);
        let session_id = conversation.is_none().then_some(&*share.who);
        Self { session_id, conversation_id: conversation, share: share.part }
    }
}

/// Begins the name of one who spent and whose session is not known; no session's id begins so.
const CONVERSATION: &str = "conversation:";

fn name_of(who: &str) -> &str {
    match who.strip_prefix(CONVERSATION) {
        Some(conversation) => conversation.get(..8).unwrap_or(conversation),
        None => who.rsplit_once(':').map_or(who, |(short, _)| short),
    }
}

/// Returns the account of each conversation as far as it is known.
pub(crate) fn account_of<'a, 'c>(
    config: &'c Config,
    checkpoints: impl Iterator<Item = &'a Checkpoint>,
) -> impl Fn(&ConversationId) -> Option<Arc<str>> + 'c {
    let accounts = Accounts::of(config, checkpoints);
    move |conversation| accounts.name(conversation).cloned()
}

/// Which account each conversation belongs to: that of the config folder its transcript lies in.
struct Accounts<'c> {
    config: &'c Config,
    names: Vec<Arc<str>>,
    by_conversation: HashMap<ConversationId, usize>,
}

impl<'c> Accounts<'c> {
    fn of<'a>(config: &'c Config, checkpoints: impl Iterator<Item = &'a Checkpoint>) -> Self {
        let dirs = &config.claude_dirs;
        let names = dirs.iter().map(|dir| coordination::account(dir).as_str().into()).collect();
        let mut by_conversation = HashMap::new();
        let place = |path: &Path| dirs.iter().position(|dir| path.starts_with(dir));
        for checkpoint in checkpoints {
            if let (Some(conversation), Some(place)) =
                (conversation_of(&checkpoint.kind), place(checkpoint.source.path()))
            {
                by_conversation.insert(conversation.clone(), place);
            }
        }
        Self { config, names, by_conversation }
    }

    /// Returns the account of a conversation; where its transcript is gone, the only account there is.
    fn name(&self, conversation: &ConversationId) -> Option<&Arc<str>> {
        let alone = || (self.names.len() == 1 || self.existing() == 1).then_some(0);
        let place = self.by_conversation.get(conversation).copied().or_else(alone)?;
        self.names.get(place)
    }

    fn existing(&self) -> usize {
        self.config.claude_dirs.iter().filter(|dir| dir.is_dir()).count()
    }

    /// Returns what is told on the disk; `facts` are those of a month at least.
    fn readings(&self, stores: &Stores, facts: &Ledger, at: Timestamp) -> Result<Vec<Reading>, CliError> {
        let mut readings = transcript_readings(stores, facts, self, at)?;
        readings.extend(self.cached());
        Ok(readings)
    }

    /// Reads what Claude Code keeps of each account.
    fn cached(&self) -> Vec<Reading> {
        let home = home();
        let of_dir =
            |(dir, name): (&std::path::PathBuf, &Arc<str>)| cache::readings(dir, home.as_deref(), name);
        self.config.claude_dirs.iter().zip(&self.names).flat_map(of_dir).collect()
    }
}

fn conversation_of(kind: &SourceKind) -> Option<&ConversationId> {
    match kind {
        SourceKind::Main { conversation } => Some(conversation),
        SourceKind::SubAgent { conversation, .. } => conversation.as_ref(),
    }
}

/// Takes the refusals and samples of the last month.
///
/// A refused conversation that was answered again is refused no longer, whatever was said of the reset.
fn transcript_readings(
    stores: &Stores,
    facts: &Ledger,
    accounts: &Accounts<'_>,
    at: Timestamp,
) -> Result<Vec<Reading>, CliError> {
    let facts = || facts.iter().filter(|event| event.at >= at.before(LONGEST));
    let doubtful = |hit: &LimitHit| hit.resets_at.0.is_none_or(|reset| reset > at);
    let refused = facts().filter(|event| matches!(&event.fact, Fact::LimitHit(hit) if doubtful(hit)));
    let answered = last_answers(stores, refused.map(|event| event.at.after(ANSWERS_LATE)).collect())?;
    let mut readings = Vec::new();
    for event in facts() {
        let conversation = &event.owner.conversation;
        let Some(account) = accounts.name(conversation) else { continue };
        let by: Arc<str> = conversation.as_str().into();
        match &event.fact {
            Fact::LimitHit(hit) => {
                let answered = answered.get(conversation);
                let went_on = answered.is_some_and(|answered| *answered >= event.at.after(ANSWERS_LATE));
                if !doubtful(hit) || !went_on {
                    readings.extend(Reading::of_hit(account.clone(), hit, event.at, by));
                }
            }
            Fact::LimitSample(sample) => {
                let source = LimitSource::Transcript;
                readings.push(Reading::of_sample(account.clone(), sample, event.at, source, by));
            }
            _ => {}
        }
    }
    Ok(readings)
}

/// Returns whether a limit tells something of now: its window is open, or has just ended, so that it is free again.
///
/// Later nobody knows what is used of the window that followed, and nothing is told of it.
fn is_news(limit: &Limit, at: Timestamp) -> bool {
    !limit.is_over || limit.resets_at.is_some_and(|reset| at.since(reset) < RESET_IS_NEWS)
}

/// Returns when each conversation was answered last, as exactly as is needed to tell it from each of these times.
fn last_answers(
    stores: &Stores,
    mut times: Vec<Timestamp>,
) -> Result<HashMap<ConversationId, Timestamp>, CliError> {
    times.sort_unstable();
    let Some(first) = times.first() else { return Ok(HashMap::new()) };
    let mut answered = HashMap::new();
    for cell in stores.cells(*first..Timestamp::MAX, &times)? {
        let last = answered.entry(cell.key.conversation).or_insert(cell.key.start);
        *last = cell.key.start.max(*last);
    }
    Ok(answered)
}

/// Returns which session runs which conversation now.
fn sessions(config: &Config) -> HashMap<ConversationId, Arc<str>> {
    let found = claude::find(&config.claude_dirs);
    let pair = |running: &claude::Running| {
        let key = running.session.as_ref().ok()?.key.as_ref()?;
        Some((ConversationId::from(running.conversation.id()?), Arc::from(key.session_id())))
    };
    found.running.iter().filter_map(pair).collect()
}

/// Returns what was spent of a limit since its window began: by reply in the last hours, by quarter hour before.
fn spends(
    stores: &Stores,
    book: &PriceBook,
    accounts: &Accounts<'_>,
    sessions: &HashMap<ConversationId, Arc<str>>,
    limit: &Limit,
    at: Timestamp,
) -> Result<Vec<Spend>, CliError> {
    let Some(began) = limit.began_at().filter(|_| !limit.is_over) else { return Ok(Vec::new()) };
    let mut spends = Vec::new();
    let mut add = |conversation: &ConversationId, model: &ModelId, when, cost| {
        if is_of(&limit.window, model.as_str()) && accounts.name(conversation) == Some(&limit.account) {
            let named = || Arc::from(format!("{CONVERSATION}{conversation}"));
            let who = sessions.get(conversation).cloned().unwrap_or_else(named);
            spends.push(Spend { at: when, who, cost });
        }
    };
    let price = |model: &ModelId, when, class, usage: &Usage| {
        book.price(model, when, class).map_or(Usd::ZERO, |it| it.cost(usage))
    };
    if limit.window == LimitWindow::FiveHour {
        let selection =
            Selection { range: began..Timestamp::MAX, turns: true, conversations: false, conversation: None };
        let turns = stores.events(&selection)?;
        for (event, turn) in turns.turns() {
            let cost = price(&turn.model, event.at, PriceClass::of(turn), &turn.usage);
            add(&event.owner.conversation, &turn.model, event.at, cost);
        }
    } else {
        for cell in stores.cells(began..Timestamp::MAX, &[limit.observed_at, at])? {
            let key = &cell.key;
            let cost = price(&key.model, key.start, key.class, &cell.sum.usage);
            add(&key.conversation, &key.model, key.start, cost);
        }
    }
    Ok(spends)
}

/// Returns whether a model draws on a limit.
fn is_of(window: &LimitWindow, model: &str) -> bool {
    let family = match window {
        LimitWindow::SevenDayOpus => "opus",
        LimitWindow::SevenDaySonnet => "sonnet",
        LimitWindow::Other(name) if &**name == "seven_day_overage_included" => "fable",
        LimitWindow::Other(name) => name.strip_prefix("seven_day_").unwrap_or_default(),
        _ => "",
    };
    model.to_lowercase().contains(family)
}
