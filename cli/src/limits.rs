//! The limits of all accounts: gathered from the stores, the board and Claude Code's own files, merged, and as rows.

pub(crate) mod say;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use session_analytics::{
    Elapsed, LearnedLimit, Limit, LimitOut, LimitSource, LimitStatus, LimitUse, Limits, Prediction,
    PriceBook, Reading, Share, Spend, Usd,
};
use session_coordinator::{Notice, NoticeBoard, NoticeKind};
use session_detect::{IsolationKey, claude};
use session_store::{
    BoardSample, CELL_WIDTH, ConversationId, Event, EventBackend, Fact, Ledger, LimitHit, LimitWindow,
    ModelId, PriceClass, Selection, Stores, Timestamp, Usage, Zone,
};

use crate::accounts::Accounts;
use crate::clock::now;
use crate::config::Config;
use crate::context::Context;
use crate::coordination;
use crate::error::CliError;
use crate::forecast::{self, Lessons, Past, Wanted};
use crate::kept;
use crate::line::bar;
use crate::sums::Sums;
use crate::table::{Column, Table, terminal_width};
use crate::words;

/// The window whose shares are worked out reply by reply.
const FIVE_HOURS: Duration = Duration::from_secs(5 * 3600);
/// No window is longer than a month.
const LONGEST: Duration = Duration::from_secs(32 * 86_400);
/// What was asked before a refusal may still be answered after it.
const ANSWERS_LATE: Duration = Duration::from_secs(60);
/// How many of the newest notices are looked at for limits that were hit.
pub(crate) const NOTICES_SEEN: u64 = 32;
/// So long after a window ended it is told that it did.
const RESET_IS_NEWS: Duration = Duration::from_secs(3600);
const BAR_CELLS: u32 = 10;

/// All that is known of the limits, as of one moment.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) limits: Limits,
    /// Each limit with who uses it and what comes next.
    pub(crate) rows: Vec<LimitUse>,
    /// What was learned of each of them.
    pub(crate) learned: Vec<LearnedLimit>,
    /// What the past says of forecasts of limits that are not known; none unless that was wanted.
    tried: Vec<Prediction>,
    /// All that was told.
    pub(crate) readings: Vec<Reading>,
    pub(crate) at: Timestamp,
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

/// Returns what the board tells of these accounts.
pub(crate) fn board_readings(accounts: &Accounts, board: &NoticeBoard) -> Vec<Reading> {
    let samples = board.board().observed().unwrap_or_default();
    let samples = samples.iter().filter(|sample| accounts.holds(&sample.account)).filter_map(of_board);
    let told = board.newest(NOTICES_SEEN).unwrap_or_default();
    let told = told.iter().filter(|notice| accounts.holds(notice.account.as_str())).filter_map(of_notice);
    samples.chain(told).collect()
}

/// Returns whether anything but transcripts tells of a limit.
pub(crate) fn is_told(config: &Config) -> bool {
    let accounts = Accounts::of(config);
    let board = coordination::existing_board(config);
    let on_board = board.is_some_and(|(_, board)| !board_readings(&accounts, &board).is_empty());
    on_board || !accounts.cached().is_empty()
}

/// Returns what transcripts and Claude Code's own files tell.
pub(crate) fn readings_on_disk(accounts: &Accounts, stores: &Stores) -> Result<Vec<Reading>, CliError> {
    let at = now();
    let facts = facts(stores)?;
    let mut readings = transcript_readings(&Sums::unread(stores, &facts, at), accounts, at)?;
    readings.extend(accounts.cached());
    Ok(readings)
}

/// Returns everything that was told, but for turns.
fn facts(stores: &Stores) -> Result<Ledger, CliError> {
    Ok(stores.events(&Selection { conversations: false, ..Selection::facts() })?)
}

/// The sessions that run conversations, by their five-part ids.
pub(crate) type Running = HashMap<ConversationId, Arc<str>>;

/// What limits are gathered from.
pub(crate) struct Basis<'a> {
    pub(crate) sums: &'a Sums<'a>,
    pub(crate) book: &'a PriceBook,
    pub(crate) zone: &'a Zone,
    pub(crate) accounts: &'a Accounts,
    /// Which session runs which conversation now.
    pub(crate) sessions: &'a Running,
    /// The turns of the last five hours at least.
    pub(crate) recent: &'a Ledger,
    /// The board, where there is one.
    pub(crate) board: Option<&'a NoticeBoard>,
    /// What was learned when it was gathered last.
    pub(crate) lessons: &'a Lessons,
}

impl<'a> Basis<'a> {
    /// Gathers and merges everything, divides it among the sessions, and forecasts what comes next.
    pub(crate) fn gather(&self, at: Timestamp, wanted: Wanted) -> Result<Known, CliError> {
        let mut readings = transcript_readings(self.sums, self.accounts, at)?;
        readings.extend(self.accounts.cached());
        readings.extend(self.board.into_iter().flat_map(|board| board_readings(self.accounts, board)));
        let mut limits = Limits::merge(readings.iter().cloned(), at);
        limits.limits.retain(|limit| is_news(limit, at));
        let past = self.past(at);
        let ran = ran_in(self.sums.facts);
        let (mut rows, mut learned) = (Vec::new(), Vec::new());
        for limit in &limits.limits {
            let (forecast, lesson) = past.forecast(limit, wanted)?;
            let row = LimitUse::of(limit, &self.spends(limit, &ran)?, at);
            rows.push(LimitUse { forecast: Some(forecast), ..row });
            learned.push(lesson);
        }
        let tried = match wanted {
            Wanted::Open => Vec::new(),
            Wanted::Tried => past.unknown(&limits.limits)?,
        };
        Ok(Known { limits, rows, learned, tried, readings, at })
    }

    fn past(&self, at: Timestamp) -> Past<'a> {
        Past {
            zone: self.zone,
            book: self.book,
            sums: self.sums,
            accounts: self.accounts,
            now: at,
            last_reply: self.recent.turns().map(|(event, _)| event.at).max().unwrap_or(Timestamp::MIN),
            lessons: self.lessons,
        }
    }

    /// Returns what was spent of a limit since its window began: by reply in the last hours, by quarter hour before.
    fn spends(&self, limit: &Limit, ran: &Running) -> Result<Vec<Spend>, CliError> {
        let Some(began) = limit.began_at().filter(|_| !limit.is_over) else { return Ok(Vec::new()) };
        let mut spends = Vec::new();
        let mut add = |conversation: &ConversationId, model: &ModelId, when, cost| {
            if limit.window.counts(model.as_str()) && self.accounts.name(conversation) == Some(&limit.account)
            {
                let named = || Share::name_of_conversation(conversation);
                let session = self.sessions.get(conversation).or_else(|| ran.get(conversation));
                let who = session.cloned().unwrap_or_else(named);
                spends.push(Spend { at: when, who, cost });
            }
        };
        let price = |model: &ModelId, when, class, usage: &Usage| {
            self.book.price(model, when, class).map_or(Usd::ZERO, |it| it.cost(usage))
        };
        if limit.window == LimitWindow::FiveHour {
            for (event, turn) in self.recent.turns().filter(|(event, _)| event.at >= began) {
                let cost = price(&turn.model, event.at, PriceClass::of(turn), &turn.usage);
                add(&event.owner.conversation, &turn.model, event.at, cost);
            }
        } else {
            // Within a quarter hour nobody knows what was before and what after.
            let first = began.floor(CELL_WIDTH);
            let cells = self.sums.cells()?;
            for cell in &cells[cells.partition_point(|cell| cell.key.start < first)..] {
                let key = &cell.key;
                let cost = price(&key.model, key.start, key.class, &cell.sum.usage);
                add(&key.conversation, &key.model, key.start, cost);
            }
        }
        Ok(spends)
    }
}

impl Known {
    /// Knows of no limit.
    pub(crate) fn nothing() -> Self {
        let limits = Limits::merge([], now());
        let (rows, learned, tried, readings) = Default::default();
        Self { limits, rows, learned, tried, readings, at: now() }
    }

    /// Gathers everything for one who looks once.
    pub(crate) fn gather(
        context: &Context,
        stores: &Stores,
        book: &PriceBook,
        wanted: Wanted,
    ) -> Result<Self, CliError> {
        let at = now();
        let accounts = Accounts::known(&context.config, stores)?;
        let range = at.before(FIVE_HOURS)..Timestamp::MAX;
        let recent = stores.events(&Selection { range, turns: true, ..Selection::limit_hits() })?;
        let board = coordination::existing_board(&context.config);
        let facts = facts(stores)?;
        let basis = Basis {
            sums: &Sums::unread(stores, &facts, at),
            book,
            zone: &context.config.zone,
            accounts: &accounts,
            sessions: &sessions(&context.config),
            recent: &recent,
            board: board.as_ref().map(|(_, board)| board),
            lessons: &Lessons::default(),
        };
        basis.gather(at, wanted)
    }

    /// Returns the forecasts of the limits, in their order, then what was tried without one.
    pub(crate) fn predictions(&self) -> impl Iterator<Item = &Prediction> {
        self.rows.iter().filter_map(|row| row.forecast.as_ref()).chain(&self.tried)
    }

    /// Returns the limits as `status --json` and `limits --json` tell them.
    pub(crate) fn json(&self) -> Vec<LimitOut<'_>> {
        self.rows.iter().map(|row| LimitOut::of(row, self.at)).collect()
    }

    /// Draws the limits as a table; says so where none is known.
    pub(crate) fn table(&self, context: &Context) -> String {
        if self.rows.is_empty() {
            return "No limit is known now: no status line has told of one, and no refusal that still holds.\n".to_owned();
        }
        let mut accounts: Vec<&str> = self.rows.iter().map(|row| &*row.limit.account).collect();
        accounts.dedup();
        let account = (accounts.len() > 1).then(|| Column::left("Account", 0));
        let columns = [
            Column::left("Limit", 0),
            Column::left("Used", 0),
            Column::left("Resets", 0),
            Column::long("Shares", 4),
            Column::left("Source", 2),
            Column::right("Age", 3),
            Column::left("Forecast", 1),
        ];
        let mut table = Table::new(&account.iter().copied().chain(columns).collect::<Vec<_>>());
        for row in &self.rows {
            let mut cells = cells(row, context, self.at);
            if account.is_some() {
                cells.insert(0, words::shorten(&row.limit.account, 24));
            }
            table.row(cells);
        }
        let mut out = table.draw(terminal_width(), context.config.colors_stdout());
        for prediction in self.rows.iter().filter_map(|row| row.forecast.as_ref()) {
            out.push_str(&forecast::line(prediction, context, self.at).unwrap_or_default());
        }
        for (refusal, count) in &self.limits.refused {
            let values = if *count == 1 { "value was" } else { "values were" };
            out.push_str(&format!("{count} {values} refused: {}.\n", refusal.name()));
        }
        out
    }
}

fn cells(it: &LimitUse, context: &Context, at: Timestamp) -> Vec<String> {
    let (limit, zone) = (&it.limit, &context.config.zone);
    let (used, shares) = match limit.is_over {
        true => ("reset".to_owned(), String::new()),
        false => {
            let bar = bar(it.estimate.or(limit.used_now()).unwrap_or(0), BAR_CELLS);
            // The figure comes first: of a cell that is cut the beginning stays.
            (format!("{:>4} {bar}", say::used(it)), say::shares(it))
        }
    };
    vec![
        words::limit_name(&limit.window),
        used,
        say::reset(it, zone, at),
        shares,
        limit.source.name().to_owned(),
        Elapsed(at.since(limit.observed_at)).to_string(),
        say::forecast(it, zone, at),
    ]
}

/// Takes the refusals and samples of the last month.
///
/// A refused conversation that was answered again is refused no longer, whatever was said of the reset.
fn transcript_readings(
    sums: &Sums<'_>,
    accounts: &Accounts,
    at: Timestamp,
) -> Result<Vec<Reading>, CliError> {
    let since = at.before(LONGEST);
    let doubtful = |hit: &LimitHit| hit.resets_at.0.is_none_or(|reset| reset > at);
    let told = || sums.facts.iter().filter(|event| event.at >= since);
    let refused = told().filter(|event| matches!(&event.fact, Fact::LimitHit(hit) if doubtful(hit)));
    let answered = last_answers(sums, refused)?;
    let mut readings = Vec::new();
    for event in told() {
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
                let source = kept::source_of(&event.id);
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

/// Returns when each conversation that was refused was answered last, as exactly as is needed to tell it from the refusals.
fn last_answers<'a>(
    sums: &Sums<'_>,
    refused: impl Iterator<Item = &'a Event>,
) -> Result<HashMap<ConversationId, Timestamp>, CliError> {
    let mut times: HashMap<&ConversationId, Vec<Timestamp>> = HashMap::new();
    for event in refused {
        times.entry(&event.owner.conversation).or_default().push(event.at.after(ANSWERS_LATE));
    }
    let Some(first) = times.values().flatten().min() else { return Ok(HashMap::new()) };
    let cells = sums.cells()?;
    let mut last: HashMap<&ConversationId, Timestamp> = HashMap::new();
    for cell in cells[cells.partition_point(|cell| cell.key.start < first.floor(CELL_WIDTH))..].iter().rev() {
        if times.contains_key(&cell.key.conversation) {
            last.entry(&cell.key.conversation).or_insert(cell.key.start);
        }
        if last.len() == times.len() {
            break;
        }
    }
    // A reply of the same quarter hour may have come before or after the refusal.
    let quarter = |at: Timestamp| at.floor(CELL_WIDTH);
    let in_doubt = |conversation: &ConversationId, last: Timestamp| {
        times[conversation].iter().filter(move |time| **time > last && quarter(**time) == quarter(last))
    };
    let mut cuts: Vec<Timestamp> =
        last.iter().flat_map(|(conversation, last)| in_doubt(conversation, *last)).copied().collect();
    cuts.sort_unstable();
    let mut answered: HashMap<ConversationId, Timestamp> =
        last.into_iter().map(|(conversation, last)| (conversation.clone(), last)).collect();
    if let (Some(first), Some(last)) = (cuts.first(), cuts.last()) {
        let range = quarter(*first)..quarter(*last).after(CELL_WIDTH);
        for cell in sums.stores.cells(range, &cuts)? {
            if let Some(last) = answered.get_mut(&cell.key.conversation) {
                *last = cell.key.start.max(*last);
            }
        }
    }
    Ok(answered)
}

/// Returns which session ran a conversation last, for when it runs in none any more.
fn ran_in(facts: &Ledger) -> Running {
    let mut ids: HashMap<&str, Option<Arc<str>>> = HashMap::new();
    let mut ran: HashMap<&ConversationId, (Timestamp, Arc<str>)> = HashMap::new();
    for event in facts.iter() {
        let Fact::Ownership(told) = &event.fact else { continue };
        let id = || IsolationKey::from_file_name(&told.session).map(|key| Arc::from(key.session_id()));
        let Some(id) = ids.entry(&told.session).or_insert_with(id) else { continue };
        let last = ran.entry(&event.owner.conversation).or_insert_with(|| (told.until, id.clone()));
        if last.0 < told.until {
            *last = (told.until, id.clone());
        }
    }
    ran.into_iter().map(|(conversation, (_, id))| (conversation.clone(), id)).collect()
}

/// Returns which session runs which conversation now.
pub(crate) fn sessions(config: &Config) -> Running {
    let found = claude::find(&config.claude_dirs);
    let pair = |running: &claude::Running| {
        let key = running.session.as_ref().ok()?.key.as_ref()?;
        Some((ConversationId::from(running.conversation.id()?), Arc::from(key.session_id())))
    };
    found.running.iter().filter_map(pair).collect()
}
