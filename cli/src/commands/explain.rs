//! `claudewatch explain`: the records behind a figure, what was dropped and why, and the prices used.

mod efficiency;
mod hits;
mod limit;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;
use session_analytics::{
    Effort, Hit, LOOKED_AT, Price, PriceBook, SessionInfo, Sessions, Tokens, UsageOut, Usd, efforts,
    quota_hits,
};
use session_store::{
    ConversationId, Date, Event, EventBackend, EventId, Fact, Found, Ledger, PriceClass, Reading, Role,
    Selection, Source, Tail, Timestamp, Turn, Usage, Zone, locate,
};

use crate::accounts::Accounts;
use crate::args::ExplainArgs;
use crate::clock::now;
use crate::context::{Context, print};
use crate::error::CliError;
use crate::forecast::Wanted;
use crate::limits::Known;
use crate::printable::{printable, printable_json};
use crate::sessions;
use crate::table::{Column, Table, terminal_width};
use crate::words::{self, model_name};
use efficiency::EfficiencyOut;

/// Messages listed one by one for people; JSON lists all.
const LISTED_MAX: usize = 20;

pub(crate) fn run(context: &Context, args: &ExplainArgs) -> Result<(), CliError> {
    let book = context.prices()?;
    let archive = context.archive()?;
    let facts = archive.store.events(&Selection::facts())?;
    let turns = archive.store.events(&Selection { turns: true, ..Selection::all() })?;
    let sessions = sessions::of_stores(&archive.store, &facts)?;
    // What is no limit's name is not worth gathering limits for.
    let known = match args.what.starts_with("five_hour") || args.what.starts_with("seven_day") {
        true => Some(Known::gather(context, &archive.store, &book, Wanted::Open)?),
        false => None,
    };
    let subject = match &known {
        Some(known) => Subject::of_limit(&args.what, known)?,
        None => Subject::of(&args.what, context, &turns, &facts, &sessions)?,
    };
    let accounts = Accounts::known(&context.config, &archive.store)?;
    let mut chosen = match (&subject, &known) {
        (Subject::Limit(window), Some(known)) => used_of(known, window, &turns, &facts, &accounts),
        _ => subject.choose(&turns, &facts, context, &sessions),
    };
    let hits = subject.hits(&facts, context, &sessions);
    chosen.extend(hits::events_of(&hits, &facts));
    let records = records_of(context, &chosen);
    let hits = hits::told(hits, &records);
    let explain = |known: Known| limit::Explained::of(&known, &args.what, &records, &facts, &accounts);
    let limits = known.map(explain).unwrap_or_default();
    let efficiency = match &subject {
        Subject::Session(id) => Some(efficiency_of(&chosen, &facts, &book, &sessions, id, now())),
        _ => None,
    };
    let account = Account { hits, limits, efficiency, ..Account::of(subject, chosen, records, &book) };
    if context.config.json {
        return print(&account.json());
    }
    print(&account.text(context))
}

/// Returns what was used of the open windows of a limit, and what was told of them.
fn used_of(known: &Known, window: &str, turns: &Ledger, facts: &Ledger, accounts: &Accounts) -> Ledger {
    let rows = || known.rows.iter().filter(|row| row.limit.window.name() == window);
    let is_its = |event: &Event| {
        let account = accounts.name(&event.owner.conversation);
        rows().map(|row| &row.limit).filter(|limit| account == Some(&limit.account)).any(|limit| {
            let is_in = limit.began_at().is_some_and(|began| (began..known.at).contains(&event.at));
            match &event.fact {
                Fact::Turn(turn) => is_in && limit.window.counts(turn.model.as_str()),
                Fact::LimitHit(hit) => hit.window == limit.window,
                Fact::LimitSample(sample) => sample.window == limit.window,
                _ => false,
            }
        })
    };
    let turns = turns.turns().map(|(event, _)| event);
    turns.chain(facts.iter()).filter(|event| is_its(event)).cloned().collect()
}

/// Returns what the efficiency of a session is made of.
fn efficiency_of(
    chosen: &Ledger,
    facts: &Ledger,
    book: &PriceBook,
    sessions: &Sessions,
    id: &str,
    now: Timestamp,
) -> EfficiencyOut {
    let since = now.before(LOOKED_AT);
    let turns = chosen.turns().map(|(event, _)| event);
    let recent = turns.chain(facts.iter()).filter(|event| event.at >= since).cloned().collect();
    let mut sum = Effort::default();
    for (name, effort) in efforts(&recent, book, sessions, now) {
        let info = name.and_then(|name| sessions.get(&name));
        if info.is_some_and(|info| info.session_id.starts_with(id)) {
            sum.add(&effort);
        }
    }
    EfficiencyOut::of(&sum, LOOKED_AT.as_secs() / 86_400)
}

/// What is to be explained.
enum Subject {
    Message(EventId),
    Days(String, Range<Timestamp>),
    Conversation(String),
    Model(String),
    Project(String),
    /// A session by its five-part id, or the beginning of it.
    Session(String),
    /// A limit by its name in JSON.
    Limit(String),
}

impl Subject {
    fn of_limit(what: &str, known: &Known) -> Result<Self, CliError> {
        match known.rows.iter().any(|row| row.limit.window.name() == what) {
            true => Ok(Self::Limit(what.to_owned())),
            false => Err(CliError::nothing(format!("nothing is known of the limit `{what}`"))
                .hinted("claudewatch limits --json names those that are known, as `window`")),
        }
    }

    fn of(
        what: &str,
        context: &Context,
        turns: &Ledger,
        facts: &Ledger,
        sessions: &Sessions,
    ) -> Result<Self, CliError> {
        if turns.get(&EventId::from(what)).is_some() {
            return Ok(Self::Message(EventId::from(what)));
        }
        if let Some(range) = days(what, &context.config.zone) {
            return Ok(Self::Days(what.to_owned(), range));
        }
        let any =
            |holds: &dyn Fn(&Event, &Turn) -> bool| turns.turns().any(|(event, turn)| holds(event, turn));
        let is_hit = |subject: &Self| !subject.hits(facts, context, sessions).is_empty();
        let conversation = Self::Conversation(what.to_owned());
        if any(&|event, _| event.owner.conversation.as_str().starts_with(what)) || is_hit(&conversation) {
            return Ok(conversation);
        }
        let is_session = |info: &SessionInfo| info.session_id.starts_with(what);
        let session = Self::Session(what.to_owned());
        let is_used = || any(&|event, _| session_of(sessions, event).is_some_and(is_session));
        if what.contains(':') && (is_used() || is_hit(&session)) {
            return Ok(session);
        }
        if any(&|_, turn| turn.model.as_str().contains(what)) {
            return Ok(Self::Model(what.to_owned()));
        }
        let project = Self::Project(what.to_owned());
        if project.choose(turns, facts, context, sessions).is_empty() && !is_hit(&project) {
            return Err(CliError::nothing(format!("nothing is known of `{what}`")).hinted(
                "name a day (2026-11-22), a month (2026-11), a conversation, a session (pts/1:local:…), a project, a model, a \
                 message (msg_…) or a limit (five_hour)",
            ));
        }
        Ok(project)
    }

    /// Returns the turns that the subject is made of.
    fn choose(&self, turns: &Ledger, facts: &Ledger, context: &Context, sessions: &Sessions) -> Ledger {
        let projects = self.projects(facts, context);
        let wanted = |event: &Event, turn: &Turn| match self {
            Self::Message(id) => event.id == *id,
            Self::Days(_, range) => range.contains(&event.at),
            Self::Conversation(prefix) => event.owner.conversation.as_str().starts_with(prefix.as_str()),
            Self::Session(id) => {
                session_of(sessions, event).is_some_and(|info| info.session_id.starts_with(id.as_str()))
            }
            Self::Limit(_) => false,
            Self::Model(part) => turn.model.as_str().contains(part.as_str()),
            Self::Project(wanted) => projects
                .get(&event.owner.conversation)
                .is_some_and(|project| session_analytics::is_project(project, wanted)),
        };
        turns.turns().filter(|(event, turn)| wanted(event, turn)).map(|(event, _)| event.clone()).collect()
    }

    /// Returns the limit hits that the subject's figures count.
    fn hits(&self, facts: &Ledger, context: &Context, sessions: &Sessions) -> Vec<Hit> {
        let projects = self.projects(facts, context);
        let is_wanted = |hit: &Hit| match self {
            Self::Days(_, range) => range.contains(&hit.at),
            Self::Conversation(prefix) => hit.conversation.as_str().starts_with(prefix.as_str()),
            Self::Session(id) => sessions
                .of(&hit.conversation, hit.at)
                .is_some_and(|info| info.session_id.starts_with(id.as_str())),
            Self::Project(wanted) => projects
                .get(&hit.conversation)
                .is_some_and(|project| session_analytics::is_project(project, wanted)),
            // A hit has no message and no model, and a limit lists its own.
            Self::Message(_) | Self::Model(_) | Self::Limit(_) => false,
        };
        quota_hits(facts).into_iter().filter(is_wanted).collect()
    }

    /// Returns the project of each conversation, where the subject is one.
    fn projects<'f>(&self, facts: &'f Ledger, context: &Context) -> BTreeMap<&'f ConversationId, String> {
        let project = |event: &'f Event| match &event.fact {
            Fact::Conversation(told) => {
                Some((&event.owner.conversation, context.projects.of(told.first.folder.as_deref()?)))
            }
            _ => None,
        };
        match self {
            Self::Project(_) => facts.iter().filter_map(project).collect(),
            _ => BTreeMap::new(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Message(id) => id.as_str(),
            Self::Days(name, _)
            | Self::Conversation(name)
            | Self::Model(name)
            | Self::Project(name)
            | Self::Session(name)
            | Self::Limit(name) => name,
        }
    }
}

fn session_of<'a>(sessions: &'a Sessions, event: &Event) -> Option<&'a SessionInfo> {
    sessions.of(&event.owner.conversation, event.at)
}

/// Reads a day or a month.
fn days(text: &str, zone: &Zone) -> Option<Range<Timestamp>> {
    if let Some(day) = Date::parse(text) {
        return Some(zone.start_of(day)..zone.start_of(day.tomorrow()));
    }
    let first = Date::parse(&format!("{text}-01"))?;
    let mut last = first;
    // The calendar ends with December 9999, whose last day is its own tomorrow.
    while last.tomorrow().month == first.month && last.tomorrow() != last {
        last = last.tomorrow();
    }
    Some(zone.start_of(first)..zone.start_of(last.tomorrow()))
}

/// A line of a transcript that tells of a message.
struct Record {
    source: PathBuf,
    found: Found,
}

/// The lines that tell of each event.
type Records = BTreeMap<EventId, Vec<Record>>;

/// Reads the transcripts again for every line that tells of the chosen messages.
fn records_of(context: &Context, chosen: &Ledger) -> Records {
    let mut records = Records::new();
    let mut seen = BTreeSet::new();
    for dir in &context.config.claude_dirs {
        for source in locate(dir).sources {
            if seen.insert(source.id.clone()) {
                // A transcript that went away in the meantime has nothing to tell any more.
                let _ = read_records(&source, &context.config.zone, chosen, &mut records);
            }
        }
    }
    records
}

fn read_records(source: &Source, zone: &Zone, chosen: &Ledger, records: &mut Records) -> std::io::Result<()> {
    let mut file = source.open()?;
    let mut tail = Tail::new(source.kind.clone(), zone.clone());
    let mut block = vec![0; 64 << 10];
    loop {
        let bytes = file.read(&mut block)?;
        if bytes == 0 {
            return Ok(());
        }
        let mut reading = Reading::default();
        tail.feed_into(&block[..bytes], &mut reading);
        for found in reading.found {
            if chosen.get(&found.event.id).is_some() {
                let record = Record { source: source.id.path().to_owned(), found };
                records.entry(record.found.event.id.clone()).or_default().push(record);
            }
        }
    }
}

/// Why a record is or is not the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Kept,
    Placeholder,
    Repeat,
    Copy,
    Echo,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Placeholder => "placeholder",
            Self::Repeat => "repeat",
            Self::Copy => "copy",
            Self::Echo => "echo",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Kept => "counted",
            Self::Placeholder => "written while the reply streamed, with less output",
            Self::Repeat => "another content block of the same message, with the same usage",
            Self::Copy => "the same message copied into another conversation by a resume or fork",
            Self::Echo => "a sub-agent's message told again in another transcript",
        }
    }
}

/// The whole explanation.
struct Account {
    subject: String,
    messages: Vec<Explained>,
    prices: BTreeMap<(String, PriceClass, Timestamp), PriceLine>,
    unpriced: BTreeSet<String>,
    hits: Vec<hits::Told>,
    /// What is behind the limits that are explained.
    limits: Vec<limit::Explained>,
    /// What is behind the score of the session that is explained.
    efficiency: Option<EfficiencyOut>,
}

/// One message, the records that tell of it, and its cost.
struct Explained {
    event: Event,
    turn: Turn,
    cost: Option<Usd>,
    records: Vec<(Record, Verdict)>,
}

/// A price and what was counted at it.
struct PriceLine {
    price: Price,
    usage: Usage,
    messages: u64,
    cost: Usd,
}

impl Account {
    fn of(subject: Subject, chosen: Ledger, mut records: Records, book: &PriceBook) -> Self {
        let mut account = Self {
            subject: subject.name().to_owned(),
            messages: Vec::new(),
            prices: BTreeMap::new(),
            unpriced: BTreeSet::new(),
            hits: Vec::new(),
            limits: Vec::new(),
            efficiency: None,
        };
        for event in chosen {
            let Fact::Turn(turn) = event.fact.clone() else { continue };
            let records = judge(&event, &turn, records.remove(&event.id).unwrap_or_default());
            let cost = account.price(&event, &turn, book);
            account.messages.push(Explained { event, turn, cost, records });
        }
        account.messages.sort_by_key(|it| it.event.at);
        account
    }

    fn price(&mut self, event: &Event, turn: &Turn, book: &PriceBook) -> Option<Usd> {
        let class = PriceClass::of(turn);
        let Some(price) = book.price(&turn.model, event.at, class) else {
            self.unpriced.insert(turn.model.to_string());
            return None;
        };
        let cost = price.cost(&turn.usage);
        let key = (turn.model.to_string(), class, price.since);
        let line = self.prices.entry(key).or_insert_with(|| PriceLine {
            price,
            usage: Usage::default(),
            messages: 0,
            cost: Usd::ZERO,
        });
        line.usage.add(&turn.usage);
        line.messages += 1;
        line.cost += cost;
        Some(cost)
    }

    fn usage(&self) -> Usage {
        self.messages.iter().map(|it| it.turn.usage).sum()
    }

    fn cost(&self) -> Usd {
        self.messages.iter().filter_map(|it| it.cost).sum()
    }

    /// Counts the records by verdict.
    fn verdicts(&self) -> BTreeMap<Verdict, usize> {
        let mut counts = BTreeMap::new();
        for (_, verdict) in self.messages.iter().flat_map(|it| &it.records) {
            *counts.entry(*verdict).or_default() += 1;
        }
        counts
    }

    fn archive_only(&self) -> usize {
        self.messages.iter().filter(|it| it.records.is_empty()).count()
    }

    fn text(&self, context: &Context) -> String {
        let mut out = String::new();
        // A limit speaks for itself; the replies that met it are few, or not known.
        if !self.messages.is_empty() || self.limits.is_empty() {
            out.push_str(&format!(
                "{}: {}, {} tokens, {}\n\n",
                printable(&self.subject),
                words::count(self.messages.len() as u64, "message"),
                Tokens(self.usage().total()),
                self.cost()
            ));
        }
        if !self.hits.is_empty() {
            out.push_str(&hits::text(&self.hits, LISTED_MAX));
            out.push('\n');
        }
        for limit in &self.limits {
            out.push_str(&limit.text(context, LISTED_MAX));
            out.push('\n');
        }
        if let Some(efficiency) = &self.efficiency {
            out.push_str(&efficiency.text());
            out.push('\n');
        }
        for (verdict, count) in self.verdicts() {
            out.push_str(&format!("{count:>8} records {:<12} {}\n", verdict.name(), verdict.reason()));
        }
        let alone = self.archive_only();
        if alone > 0 {
            out.push_str(&format!(
                "{alone:>8} messages are in the archive alone: Claude Code deleted their lines\n"
            ));
        }
        if self.messages.is_empty() {
            return out.trim_end().to_owned() + "\n";
        }
        out.push_str("\nPrices, in dollars per million tokens:\n");
        out.push_str(&self.price_table().draw(terminal_width(), context.config.colors_stdout()));
        for model in &self.unpriced {
            out.push_str(&format!("Without a price: {}\n", printable(model)));
        }
        out.push_str("\nMessages and their records:\n");
        for it in self.messages.iter().take(LISTED_MAX) {
            out.push_str(&it.text());
        }
        if let Some(more) = self.messages.len().checked_sub(LISTED_MAX).filter(|more| *more > 0) {
            out.push_str(&format!("… and {more} more; --json lists all\n"));
        }
        out
    }

    fn price_table(&self) -> Table {
        let mut table = Table::new(&[
            Column::left("Model", 0),
            Column::left("Class", 6),
            Column::right("Messages", 7),
            Column::right("Input", 2),
            Column::right("Output", 2),
            Column::right("Write 5 m", 3),
            Column::right("Write 1 h", 4),
            Column::right("Read", 3),
            Column::right("Cost", 0),
        ]);
        for ((model, class, _), line) in &self.prices {
            let rates = &line.price.rates;
            let side =
                |tokens: u64, rate: Usd| format!("{} × {}", Tokens(tokens), rate.as_picos() as f64 / 1e6);
            let estimated =
                if line.price.estimated { format!(" (as {})", line.price.row) } else { String::new() };
            table.row(vec![
                format!("{}{estimated}", model_name(model)),
                class_name(*class),
                line.messages.to_string(),
                side(line.usage.input, rates.input),
                side(line.usage.output, rates.output),
                side(line.usage.cache_write_5m, rates.cache_write_5m),
                side(line.usage.cache_write_1h, rates.cache_write_1h),
                side(line.usage.cache_read, rates.cache_read),
                line.cost.to_string(),
            ]);
        }
        table
    }

    fn json(&self) -> String {
        let out = AccountOut {
            schema_version: 1,
            subject: &self.subject,
            messages: self.messages.len(),
            usage: UsageOut::of(&self.usage()),
            cost_usd: self.cost().as_dollars(),
            unpriced_models: self.unpriced.iter().map(String::as_str).collect(),
            records: self.verdicts().into_iter().map(|(verdict, count)| (verdict.name(), count)).collect(),
            archive_only_messages: self.archive_only(),
            prices: self
                .prices
                .iter()
                .map(|((model, class, _), line)| PriceOut::of(model, *class, line))
                .collect(),
            details: self.messages.iter().map(MessageOut::of).collect(),
            limit_hits: self.hits.iter().map(hits::HitOut::of).collect(),
            limits: self.limits.iter().map(limit::Explained::json).collect(),
            efficiency: self.efficiency.as_ref(),
        };
        let text = printable_json(&out);
        format!("{text}\n")
    }
}

/// Tells of each record whether it is the one that counts; the first of several equal ones is.
fn judge(event: &Event, turn: &Turn, records: Vec<Record>) -> Vec<(Record, Verdict)> {
    let is_winner = |record: &Record| {
        record.found.event.owner == event.owner
            && matches!(&record.found.event.fact, Fact::Turn(told) if told == turn)
    };
    let winner = records.iter().position(is_winner);
    let verdict = |place: usize, record: &Record| {
        let told = &record.found.event;
        let Fact::Turn(told_turn) = &told.fact else { return Verdict::Repeat };
        if winner == Some(place) {
            Verdict::Kept
        } else if told.owner.conversation != event.owner.conversation {
            Verdict::Copy
        } else if told_turn < turn {
            Verdict::Placeholder
        } else if told.owner != event.owner && told.owner.role == Role::SubAgent {
            Verdict::Echo
        } else {
            Verdict::Repeat
        }
    };
    let verdicts: Vec<Verdict> = records.iter().enumerate().map(|(place, it)| verdict(place, it)).collect();
    records.into_iter().zip(verdicts).collect()
}

fn class_name(class: PriceClass) -> String {
    let mut parts = Vec::new();
    if class.tariff.fast {
        parts.push("fast");
    }
    if class.tariff.us_only {
        parts.push("us");
    }
    match class.prompt {
        session_store::PromptBand::UpTo100k => {}
        session_store::PromptBand::UpTo200k => parts.push(">100k"),
        _ => parts.push(">200k"),
    }
    parts.join(" ")
}

impl Explained {
    fn text(&self) -> String {
        let usage = &self.turn.usage;
        let cost = self.cost.map_or_else(|| "no price".to_owned(), |cost| cost.to_string());
        let mut out = format!(
            "{}  {}  {}  in {} out {} write {}+{} read {}  {cost}\n",
            self.event.at,
            printable(self.event.id.as_str()),
            printable(self.turn.model.as_str()),
            usage.input,
            usage.output,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.cache_read,
        );
        for (record, verdict) in &self.records {
            let Fact::Turn(told) = &record.found.event.fact else { continue };
            let path = record.source.display().to_string();
            out.push_str(&format!(
                "    {:<11} out {:<6} {} at byte {}\n",
                verdict.name(),
                told.usage.output,
                printable(&path),
                record.found.line_at
            ));
        }
        out
    }
}

#[derive(Serialize)]
struct AccountOut<'a> {
    schema_version: u32,
    subject: &'a str,
    messages: usize,
    #[serde(flatten)]
    usage: UsageOut,
    cost_usd: f64,
    unpriced_models: Vec<&'a str>,
    records: BTreeMap<&'a str, usize>,
    archive_only_messages: usize,
    prices: Vec<PriceOut<'a>>,
    details: Vec<MessageOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limit_hits: Vec<hits::HitOut<'a>>,
    limits: Vec<limit::ExplainedOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    efficiency: Option<&'a EfficiencyOut>,
}

#[derive(Serialize)]
struct PriceOut<'a> {
    model: &'a str,
    row: &'a str,
    source: &'a str,
    estimated: bool,
    class: String,
    messages: u64,
    input_usd_per_mtok: f64,
    output_usd_per_mtok: f64,
    cache_write_5m_usd_per_mtok: f64,
    cache_write_1h_usd_per_mtok: f64,
    cache_read_usd_per_mtok: f64,
    web_search_usd: f64,
    cost_usd: f64,
}

#[derive(Serialize)]
struct MessageOut<'a> {
    id: &'a str,
    at: String,
    conversation_id: &'a str,
    agent: Option<&'a str>,
    model: &'a str,
    #[serde(flatten)]
    usage: UsageOut,
    cost_usd: Option<f64>,
    records: Vec<RecordOut<'a>>,
}

#[derive(Serialize)]
struct RecordOut<'a> {
    verdict: &'a str,
    source: String,
    line_at: u64,
    output_tokens: u64,
    conversation_id: &'a str,
}

impl<'a> PriceOut<'a> {
    fn of(model: &'a str, class: PriceClass, line: &'a PriceLine) -> Self {
        let per_million = |rate: Usd| rate.as_picos() as f64 / 1e6;
        let rates = &line.price.rates;
        Self {
            model,
            row: &line.price.row,
            source: &line.price.source,
            estimated: line.price.estimated,
            class: class_name(class),
            messages: line.messages,
            input_usd_per_mtok: per_million(rates.input),
            output_usd_per_mtok: per_million(rates.output),
            cache_write_5m_usd_per_mtok: per_million(rates.cache_write_5m),
            cache_write_1h_usd_per_mtok: per_million(rates.cache_write_1h),
            cache_read_usd_per_mtok: per_million(rates.cache_read),
            web_search_usd: line.price.web_search.as_dollars(),
            cost_usd: line.cost.as_dollars(),
        }
    }
}

impl<'a> MessageOut<'a> {
    fn of(it: &'a Explained) -> Self {
        Self {
            id: it.event.id.as_str(),
            at: it.event.at.to_string(),
            conversation_id: it.event.owner.conversation.as_str(),
            agent: it.event.owner.agent.as_ref().map(|agent| agent.as_str()),
            model: it.turn.model.as_str(),
            usage: UsageOut::of(&it.turn.usage),
            cost_usd: it.cost.map(Usd::as_dollars),
            records: it.records.iter().map(RecordOut::of).collect(),
        }
    }
}

impl<'a> RecordOut<'a> {
    fn of((record, verdict): &'a (Record, Verdict)) -> Self {
        let output_tokens = match &record.found.event.fact {
            Fact::Turn(turn) => turn.usage.output,
            _ => 0,
        };
        Self {
            verdict: verdict.name(),
            source: record.source.display().to_string(),
            line_at: record.found.line_at,
            output_tokens,
            conversation_id: record.found.event.owner.conversation.as_str(),
        }
    }
}
