//! Makes synthetic Claude Code transcripts whose right totals are known by construction.
//!
//! [`Corpus`] writes a finished history for benchmarks, tests and fuzz seeds; [`Live`] goes on writing
//! one as time passes, for demonstrations. Shapes, shares and lengths follow genuine transcripts of the
//! clients 1.0.64 to 2.1.330; no text of theirs is used. The same seed gives the same bytes.
//!
//! The traps are those that make counters wrong: responses spread over several lines with placeholder
//! counts, copied histories, echoes of sub-agents, objects named `usage` where nothing was used, torn and
//! damaged lines. [`Truth`] says what counts.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fastrand::Rng;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Describes a history to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// Chooses the history; equal seeds give equal bytes.
    pub seed: u64,
    /// Size of all transcripts together in bytes; exceeded by at most a conversation's last steps or its
    /// copy.
    pub bytes: u64,
    /// Length of the history in days; at least one.
    pub days: u32,
    /// End of the history in Unix seconds; no line is later.
    pub end_unix_seconds: i64,
}

impl Corpus {
    /// Describes thirty days that end on 2026-11-20 at 12:00 UTC.
    pub fn new(seed: u64, bytes: u64) -> Self {
        Corpus { seed, bytes, days: 30, end_unix_seconds: 1_795_176_000 }
    }

    /// Writes the history below `config_dir/projects` and returns the right answer.
    ///
    /// Files of the same name are replaced, others stay. One gigabyte takes a few seconds.
    ///
    /// # Errors
    ///
    /// When a folder or a file cannot be created or written.
    pub fn write(&self, config_dir: &Path) -> io::Result<Truth> {
        let mut generator = Generator::new(self, config_dir);
        while generator.truth.bytes < self.bytes {
            generator.conversation()?;
        }
        Ok(generator.truth)
    }
}

/// Holds the right answer, known by construction.
///
/// A transcript is a `.jsonl` file below `projects` other than a workflow's `journal.jsonl`. One
/// message is one `message.id` (or one advisor entry of its `usage.iterations`), however many lines and
/// files repeat it; it counts with the greatest output written for it, on the UTC day of its earliest
/// line, for the oldest conversation that holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Transcripts written.
    pub files: u64,
    /// Bytes in them, torn lines included.
    pub bytes: u64,
    /// Lines in them that end with a newline, damaged ones included.
    pub lines: u64,
    /// Lines that state a usage which counts: of `assistant` lines and of `progress` lines that echo one,
    /// repeats and copies included, `<synthetic>`, damaged and torn ones not.
    pub usage_lines: u64,
    /// Distinct messages, advisor entries included.
    pub messages: u64,
    /// Complete lines that are not JSON; all contain `"usage":{` and count nothing.
    pub damaged_lines: u64,
    /// Files whose last line is incomplete and has no newline; neither counted nor a problem.
    pub torn_files: u64,
    /// Lines that report a spent quota, distinct by `uuid`; short throttles are none.
    pub limit_hits: u64,
    /// Sum over all messages.
    pub totals: Counts,
    /// Sums by UTC day (`YYYY-MM-DD`) and model.
    pub by_day_model: BTreeMap<(String, String), Counts>,
    /// Sums by conversation (`sessionId`), sub-agents with their parent.
    pub by_conversation: BTreeMap<String, Counts>,
}

impl Truth {
    fn count(&mut self, session: Uuid, at_ms: i64, model: &str, counts: &Counts) {
        self.messages += 1;
        self.totals.add(counts);
        let mut day = Stamp(at_ms).to_string();
        day.truncate(10);
        self.by_day_model.entry((day, model.to_owned())).or_default().add(counts);
        self.by_conversation.entry(session.to_string()).or_default().add(counts);
    }
}

/// Sums up messages and their tokens.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// Input tokens that no cache held.
    pub input: u64,
    /// Output tokens, as far as the transcript ever stated them.
    pub output: u64,
    /// Tokens written to the five-minute cache; also those whose cache is not stated.
    pub cache_write_5m: u64,
    /// Tokens written to the one-hour cache.
    pub cache_write_1h: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.messages += other.messages;
        self.input += other.input;
        self.output += other.output;
        self.cache_write_5m += other.cache_write_5m;
        self.cache_write_1h += other.cache_write_1h;
        self.cache_read += other.cache_read;
    }

    fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    fn all(&self) -> u64 {
        self.input + self.output + self.cache_write() + self.cache_read
    }
}

/// Writes a history that goes on: five conversations in four projects, one with sub-agents.
///
/// About forty seconds after the start one conversation hits its five-hour limit, which resets ten
/// minutes later. Lines appear only when [`Live::step`] is called and carry the time they were due.
pub struct Live {
    scribe: Scribe,
    actors: Vec<Actor>,
    due: BTreeMap<(i64, u64), (PathBuf, String)>,
    planned: u64,
}

impl Live {
    /// Starts the conversations below `config_dir/projects`; the first lines are due at once.
    ///
    /// `start_unix_ms` is in Unix milliseconds. Creates the folders, writes no line yet.
    ///
    /// # Errors
    ///
    /// When a folder cannot be created.
    pub fn new(seed: u64, config_dir: &Path, start_unix_ms: i64) -> io::Result<Self> {
        let mut scribe = Scribe::new(seed, 64 << 10);
        let mut actors = Vec::new();
        for (index, (cwd, model)) in LIVE_CAST.into_iter().enumerate() {
            let teller = Teller::new(&mut scribe.rng, NEWEST, cwd);
            let folder = config_dir.join("projects").join(slug(cwd));
            let path = folder.join(format!("{}.jsonl", teller.session));
            fs::create_dir_all(folder.join(teller.session.to_string()).join("subagents"))?;
            let clock = start_unix_ms + index as i64 * 900;
            let hit_ms = (index == 1).then_some(start_unix_ms + 40 * SECOND_MS);
            actors.push(Actor { teller, model, path, context: 18_000, clock, hit_ms, turns: 0 });
        }
        Ok(Live { scribe, actors, due: BTreeMap::new(), planned: 0 })
    }

    /// Appends what happens up to `now_unix_ms` and returns the milliseconds until the next line is due.
    ///
    /// The answer is at least one. After a long pause all that was missed is written at once.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened or written.
    pub fn step(&mut self, now_unix_ms: i64) -> io::Result<u64> {
        for index in 0..self.actors.len() {
            while self.actors[index].clock <= now_unix_ms {
                self.plan_turn(index);
            }
        }
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now_unix_ms {
                break;
            }
            let (path, line) = entry.remove();
            OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?;
        }
        let line = self.due.keys().next().map(|key| key.0);
        let next = self.actors.iter().map(|actor| actor.clock).chain(line).min();
        Ok(next.map_or(1, |next| next.saturating_sub(now_unix_ms).max(1) as u64))
    }

    /// Plans one turn of an actor, line by line, and the pause after it.
    fn plan_turn(&mut self, index: usize) {
        // The actor leaves the list for a moment, so that its lines can be put on the plan.
        let mut actor = self.actors.swap_remove(index);
        self.prompt(&mut actor);
        let responses = self.scribe.rng.u32(3..9);
        for number in 0..responses {
            actor.clock += self.scribe.rng.i64(1_200..4_000);
            if actor.hit_ms.is_some_and(|hit_ms| actor.clock >= hit_ms) {
                self.hit_limit(&mut actor);
                break;
            }
            let delegates = index == 0 && number == 1 && actor.turns.is_multiple_of(2);
            let tool = if delegates { Tool::Agent } else { self.scribe.plain_tool() };
            self.response(&mut actor, (number + 1 < responses).then_some(tool));
        }
        actor.turns += 1;
        if actor.context > 150_000 {
            self.scribe.compact_boundary(&mut actor.teller, actor.context, actor.clock);
            self.plan(&actor.path, actor.clock);
            actor.context = 20_000;
        }
        // A person reads the answer, and now and then goes for a coffee.
        actor.clock += match self.scribe.rng.u32(0..4) {
            0 => self.scribe.rng.i64(15_000..40_000),
            _ => self.scribe.rng.i64(3_000..12_000),
        };
        self.actors.push(actor);
        let last = self.actors.len() - 1;
        self.actors.swap(index, last);
    }

    fn prompt(&mut self, actor: &mut Actor) {
        if actor.turns == 0 {
            for operation in ["enqueue", "dequeue"] {
                self.scribe.queue_operation(&actor.teller, operation, actor.clock);
                self.plan(&actor.path, actor.clock);
            }
        }
        actor.teller.prompt = Uuid::new(&mut self.scribe.rng);
        self.scribe.prompt(&mut actor.teller, actor.clock);
        self.plan(&actor.path, actor.clock);
    }

    fn response(&mut self, actor: &mut Actor, tool: Option<Tool>) {
        let manner = Manner { outputs: Outputs::Growing, advised: false };
        let mut response =
            self.scribe.response(&actor.teller, actor.model, &mut actor.context, tool, manner, actor.clock);
        while self.scribe.next_block(&mut actor.teller, &mut response) {
            self.plan(&actor.path, response.at_ms);
            response.at_ms += self.scribe.rng.i64(300..2_500);
        }
        actor.clock = response.at_ms;
        let Some(tool) = tool else {
            self.scribe.turn_duration(&mut actor.teller, actor.clock);
            return self.plan(&actor.path, actor.clock);
        };
        match tool {
            Tool::Agent => self.sub_agent(actor, &response),
            _ => {
                actor.clock += self.scribe.rng.i64(500..5_000);
                self.scribe.tool_result(&mut actor.teller, &response, 2_000, actor.clock);
                self.plan(&actor.path, actor.clock);
            }
        }
    }

    fn sub_agent(&mut self, actor: &mut Actor, call: &Response) {
        let agent = format!("a{:016x}", self.scribe.rng.u64(..));
        let folder = actor.path.with_extension("").join("subagents");
        let path = folder.join(format!("agent-{agent}.jsonl"));
        let mut teller = actor.teller.agent(agent.clone());
        let mut context = 9_000;
        let mut spent = Counts::default();
        self.scribe.prompt(&mut teller, actor.clock);
        self.plan(&path, actor.clock);
        let responses = self.scribe.rng.u32(2..6);
        for number in 0..responses {
            actor.clock += self.scribe.rng.i64(800..2_500);
            let tool = (number + 1 < responses).then_some(Tool::Shell);
            let manner = Manner { outputs: Outputs::Growing, advised: false };
            let mut response =
                self.scribe.response(&teller, NEWEST.helper, &mut context, tool, manner, actor.clock);
            while self.scribe.next_block(&mut teller, &mut response) {
                self.plan(&path, response.at_ms);
                response.at_ms += self.scribe.rng.i64(300..1_500);
            }
            actor.clock = response.at_ms + 400;
            spent.add(&response.counts);
            if tool.is_some() {
                self.scribe.tool_result(&mut teller, &response, 1_500, actor.clock);
                self.plan(&path, actor.clock);
            }
        }
        self.scribe.agent_result(&mut actor.teller, call, &agent, &spent, actor.clock);
        self.plan(&actor.path, actor.clock);
    }

    /// Ends the turn at a limit; the actor waits until it resets.
    fn hit_limit(&mut self, actor: &mut Actor) {
        let reset_ms = (actor.clock + 10 * MINUTE_MS) / SECOND_MS * SECOND_MS;
        self.scribe.limit(&mut actor.teller, Window::FiveHour, reset_ms, actor.clock);
        self.plan(&actor.path, actor.clock);
        actor.hit_ms = None;
        actor.clock = reset_ms + self.scribe.rng.i64(2_000..9_000);
    }

    /// Puts the line just rendered on the plan.
    fn plan(&mut self, path: &Path, at_ms: i64) {
        self.planned += 1;
        let line = format!("{}\n", self.scribe.line);
        self.due.insert((at_ms, self.planned), (path.to_owned(), line));
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Live").field("planned", &self.planned).finish_non_exhaustive()
    }
}

/// One of the conversations of [`Live`].
struct Actor {
    teller: Teller,
    model: &'static str,
    path: PathBuf,
    /// Tokens that the conversation holds.
    context: u64,
    /// When the next turn starts, or the next line of the turn being planned.
    clock: i64,
    hit_ms: Option<i64>,
    turns: u32,
}

const LIVE_CAST: [(&str, &str); 5] = [
    ("/home/dev/shop/frontend", "claude-opus-5-5"),
    ("/home/dev/shop/backend", "claude-sonnet-5-5"),
    ("/home/dev/notes", "claude-haiku-5-5"),
    ("/home/dev/shop/backend", "claude-opus-5-5"),
    ("/home/dev/infra_tools", "claude-sonnet-5-5"),
];

/// Writes the files of a [`Corpus`] and keeps its truth.
struct Generator<'a> {
    corpus: &'a Corpus,
    projects: PathBuf,
    scribe: Scribe,
    truth: Truth,
    /// No tool result is longer, so that a small corpus still has many files.
    result_bytes_max: u64,
    /// No main transcript grows much beyond it.
    conversation_bytes_max: u64,
    start_ms: i64,
    end_ms: i64,
}

/// A main transcript being written.
struct Conversation {
    teller: Teller,
    main: Transcript,
    folder: PathBuf,
    model: &'static str,
    clock: i64,
    /// Tokens that the conversation holds.
    context: u64,
    /// Spent so far, for the client's own `cost-state` lines.
    spent: BTreeMap<&'static str, Counts>,
    /// The last response as a `message` object, for replays by sub-agents.
    last_message: String,
}

/// A sub-agent at work.
struct Agent {
    teller: Teller,
    id: String,
    home: Home,
    model: &'static str,
    context: u64,
}

/// Where the lines of a sub-agent go.
enum Home {
    /// Into the main transcript, as side chain.
    Main,
    /// Into a file of its own.
    File(Transcript),
    /// Nowhere: its file is gone, only echoes in the main transcript are left.
    Gone,
}

impl<'a> Generator<'a> {
    fn new(corpus: &'a Corpus, config_dir: &Path) -> Self {
        let end_ms = corpus.end_unix_seconds * SECOND_MS;
        Generator {
            corpus,
            projects: config_dir.join("projects"),
            scribe: Scribe::new(corpus.seed, 1 << 20),
            truth: Truth::default(),
            result_bytes_max: (corpus.bytes / 40).clamp(4_000, 1_000_000),
            conversation_bytes_max: (corpus.bytes / 12).max(40_000),
            start_ms: end_ms - i64::from(corpus.days.max(1)) * DAY_MS,
            end_ms,
        }
    }

    /// Writes one conversation with its sub-agents and, now and then, its forks.
    fn conversation(&mut self) -> io::Result<()> {
        let rng = &mut self.scribe.rng;
        let cwd = PROJECTS[rng.usize(0..PROJECTS.len())];
        let clock = start_of_work(rng, self.start_ms, self.end_ms);
        let age = (self.end_ms - clock) as f64 / (self.end_ms - self.start_ms) as f64;
        let client = Client::of_age(rng, age);
        let teller = Teller::new(rng, client, cwd);
        let forks = if rng.f64() < 0.05 { rng.u32(1..3) } else { 0 };
        let model = client.main[rng.usize(0..client.main.len())];
        let turns = quantile(rng, &TURNS);
        let mut conversation = self.open(teller, self.projects.join(slug(cwd)), model, clock)?;
        conversation.main.copies = (forks > 0).then(Vec::new);
        self.header(&mut conversation)?;
        self.turns(&mut conversation, turns)?;
        let copies = conversation.main.copies.take().unwrap_or_default();
        let teller = conversation.teller.clone();
        let (folder, clock) = (conversation.folder.clone(), conversation.clock);
        self.close(conversation)?;
        for _ in 0..forks {
            self.fork(&teller, &folder, model, clock, &copies)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        teller: Teller,
        folder: PathBuf,
        model: &'static str,
        clock: i64,
    ) -> io::Result<Conversation> {
        let path = folder.join(format!("{}.jsonl", teller.session));
        let main = Transcript::create(&path, &mut self.scribe.rng)?;
        let context = self.scribe.rng.u64(12_000..24_000);
        let (spent, last_message) = (BTreeMap::new(), String::new());
        Ok(Conversation { teller, main, folder, model, clock, context, spent, last_message })
    }

    /// Writes the lines that a client puts first.
    fn header(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, clock, .. } = conversation;
        let era = teller.client.era;
        if era <= Era::Siblings && self.scribe.rng.u32(0..3) == 0 {
            self.scribe.summary();
            main.note(&self.scribe.line)?;
        }
        if era >= Era::Siblings {
            self.scribe.queue_operation(teller, "dequeue", *clock);
            main.note(&self.scribe.line)?;
            *clock += 40;
        }
        if era >= Era::Newest {
            self.scribe.note(r#"{"type":"mode","mode":"normal","sessionId":"@"}"#, &[&teller.session]);
            main.note(&self.scribe.line)?;
            self.scribe.note(r#"{"type":"atis-latch","atis":"","sessionId":"@"}"#, &[&teller.session]);
            main.note(&self.scribe.line)?;
        }
        if era >= Era::Final {
            for _ in 0..self.scribe.rng.u32(1..4) {
                self.scribe.attachment(teller, *clock);
                main.say(&self.scribe.line, Says::Nothing)?;
            }
        }
        Ok(())
    }

    fn turns(&mut self, conversation: &mut Conversation, count: u64) -> io::Result<()> {
        for _ in 0..count {
            self.turn(conversation)?;
            conversation.clock += quantile(&mut self.scribe.rng, &THINKING_MS) as i64;
            if self.is_full(conversation) {
                break;
            }
        }
        Ok(())
    }

    /// Says whether the conversation must end: by size, by the size of all, or by time.
    fn is_full(&self, conversation: &Conversation) -> bool {
        let bytes = conversation.main.bytes;
        bytes >= self.conversation_bytes_max
            || self.truth.bytes + bytes >= self.corpus.bytes
            || conversation.clock >= self.end_ms - 15 * MINUTE_MS
    }

    fn turn(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        self.prompt(conversation)?;
        let responses = self.scribe.rng.u32(1..12);
        for number in 1..=responses {
            conversation.clock += self.scribe.rng.i64(1_500..20_000);
            self.mishap(conversation)?;
            let tool = (number < responses).then(|| self.scribe.tool(conversation.teller.client));
            let response = self.respond(conversation, tool)?;
            if tool.is_some() {
                self.run_tool(conversation, &response)?;
            }
            if self.is_full(conversation) {
                return Ok(());
            }
        }
        if conversation.teller.client.era >= Era::Echoes {
            self.scribe.turn_duration(&mut conversation.teller, conversation.clock);
            conversation.main.say(&self.scribe.line, Says::Nothing)?;
        }
        if conversation.context > 150_000 {
            self.compact(conversation)?;
        }
        Ok(())
    }

    fn prompt(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, clock, .. } = conversation;
        teller.prompt = Uuid::new(&mut self.scribe.rng);
        if teller.client.era >= Era::Inline {
            self.scribe.snapshot(*clock);
            main.note(&self.scribe.line)?;
        }
        self.scribe.prompt(teller, *clock);
        main.say(&self.scribe.line, Says::Nothing)
    }

    /// Lets something go wrong now and then: a limit, a busy server, a lost connection.
    fn mishap(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, clock, .. } = conversation;
        match self.scribe.rng.u32(0..1_000) {
            0..=1 => {
                let window = if self.scribe.rng.u32(0..4) == 0 { Window::Week } else { Window::FiveHour };
                let reset_ms = (*clock / (10 * MINUTE_MS) + self.scribe.rng.i64(1..18)) * 10 * MINUTE_MS;
                self.scribe.limit(teller, window, reset_ms, *clock);
                self.truth.limit_hits += 1;
                *clock = (reset_ms + MINUTE_MS).min(self.end_ms - MINUTE_MS).max(*clock);
            }
            2..=3 => self.scribe.throttle(teller, *clock),
            4..=5 => self.scribe.no_response(teller, *clock),
            6..=9 => self.scribe.retry(teller, *clock),
            10..=29 => {
                self.scribe.queue_operation(teller, "enqueue", *clock);
                return main.note(&self.scribe.line);
            }
            30..=99 if teller.client.era >= Era::Final => self.scribe.attachment(teller, *clock),
            30..=199 if teller.client.era == Era::Echoes => self.scribe.shell_progress(teller, *clock),
            _ => return Ok(()),
        }
        main.say(&self.scribe.line, Says::Nothing)
    }

    /// Writes one response of the main conversation, line by line, and counts it.
    fn respond(&mut self, conversation: &mut Conversation, tool: Option<Tool>) -> io::Result<Response> {
        let Conversation { teller, main, model, clock, context, last_message, .. } = conversation;
        let advised = teller.client.era == Era::Newest && self.scribe.rng.u32(0..40) == 0;
        let manner = Manner { outputs: teller.client.outputs, advised };
        let mut response = self.scribe.response(teller, model, context, tool, manner, *clock);
        while self.scribe.next_block(teller, &mut response) {
            main.say(&self.scribe.line, Says::Usage)?;
            *clock = response.at_ms;
            response.at_ms += self.scribe.pause_ms();
        }
        last_message.clone_from(&self.scribe.message);
        self.count(conversation, &response);
        Ok(response)
    }

    fn count(&mut self, conversation: &mut Conversation, response: &Response) {
        let Conversation { teller, spent, .. } = conversation;
        self.truth.count(teller.session, response.first_ms, response.model, &response.counts);
        spent.entry(response.model).or_default().add(&response.counts);
        if let Some(counts) = &response.advisor {
            self.truth.count(teller.session, response.first_ms, ADVISOR, counts);
            spent.entry(ADVISOR).or_default().add(counts);
        }
    }

    fn run_tool(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        match call.tool {
            Some(Tool::Agent) => return self.delegate(conversation, call),
            Some(Tool::Workflow) => return self.workflow(conversation, call),
            _ => {}
        }
        let bytes = quantile(&mut self.scribe.rng, &RESULT_BYTES).min(self.result_bytes_max);
        let Conversation { teller, main, clock, .. } = conversation;
        *clock += quantile(&mut self.scribe.rng, &TOOL_MS) as i64;
        self.scribe.tool_result(teller, call, bytes, *clock);
        main.say(&self.scribe.line, Says::Nothing)
    }

    /// Runs one sub-agent and writes its result, whose `usage` counts nothing.
    fn delegate(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        let id = conversation.teller.client.agent_id(&mut self.scribe.rng);
        let folder = conversation.agents_folder();
        let responses = self.scribe.rng.u32(3..28);
        let spent = self.sub_agent(conversation, &id, &folder, responses, &call.tool_id)?;
        let Conversation { teller, main, clock, .. } = conversation;
        self.scribe.agent_result(teller, call, &id, &spent, *clock);
        main.say(&self.scribe.line, Says::Nothing)
    }

    /// Runs a workflow of several sub-agents with its journal, which repeats usage and counts nothing.
    fn workflow(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        let id = format!("wf_{:08x}-{:03x}", self.scribe.rng.u32(..), self.scribe.rng.u32(0..4096));
        let folder = conversation.agents_folder().join("workflows").join(&id);
        let mut journal = String::new();
        let mut spent = Counts::default();
        for _ in 0..self.scribe.rng.u32(2..6) {
            let agent = conversation.teller.client.agent_id(&mut self.scribe.rng);
            let responses = self.scribe.rng.u32(2..12);
            let counts = self.sub_agent(conversation, &agent, &folder, responses, &call.tool_id)?;
            self.scribe.journal_entry(&agent, &counts, conversation.clock);
            journal.push_str(&self.scribe.line);
            journal.push('\n');
            spent.add(&counts);
        }
        fs::write(folder.join("journal.jsonl"), journal)?;
        let Conversation { teller, main, clock, .. } = conversation;
        self.scribe.agent_result(teller, call, &id, &spent, *clock);
        main.say(&self.scribe.line, Says::Nothing)
    }

    /// Writes the work of one sub-agent and returns what it spent.
    fn sub_agent(
        &mut self,
        conversation: &mut Conversation,
        id: &str,
        folder: &Path,
        responses: u32,
        tool_id: &str,
    ) -> io::Result<Counts> {
        let mut agent = self.hire(conversation, id, folder)?;
        let mut spent = Counts::default();
        self.scribe.prompt(&mut agent.teller, conversation.clock);
        self.say(conversation, &mut agent, tool_id, Says::Nothing)?;
        self.replay(conversation, &mut agent)?;
        for number in 1..=responses {
            conversation.clock += self.scribe.rng.i64(800..9_000);
            let is_last = number == responses || self.is_over(conversation, &agent);
            let tool = (!is_last).then(|| self.scribe.plain_tool());
            let response = self.respond_as(conversation, &mut agent, tool, tool_id)?;
            spent.add(&response.counts);
            if is_last {
                break;
            }
            let bytes = quantile(&mut self.scribe.rng, &RESULT_BYTES).min(self.result_bytes_max);
            conversation.clock += quantile(&mut self.scribe.rng, &TOOL_MS) as i64;
            self.scribe.tool_result(&mut agent.teller, &response, bytes, conversation.clock);
            self.say(conversation, &mut agent, tool_id, Says::Nothing)?;
        }
        if let Home::File(transcript) = agent.home {
            let torn = self.scribe.torn_line(&mut agent.teller, conversation.clock);
            transcript.finish(torn, &mut self.truth)?;
        }
        Ok(spent)
    }

    /// Says whether a sub-agent must end: by the size of all, or by time.
    fn is_over(&self, conversation: &Conversation, agent: &Agent) -> bool {
        let own = if let Home::File(transcript) = &agent.home { transcript.bytes } else { 0 };
        self.truth.bytes + conversation.main.bytes + own >= self.corpus.bytes
            || conversation.clock >= self.end_ms - 10 * MINUTE_MS
    }

    fn hire(&mut self, conversation: &Conversation, id: &str, folder: &Path) -> io::Result<Agent> {
        let client = conversation.teller.client;
        let rng = &mut self.scribe.rng;
        let home = match client.era {
            Era::Flat | Era::Inline => Home::Main,
            // About one sub-agent in twenty overall has lost its file.
            Era::Echoes if rng.u32(0..7) == 0 => Home::Gone,
            _ => Home::File(Transcript::create(&folder.join(format!("agent-{id}.jsonl")), rng)?),
        };
        let model = if rng.u32(0..3) == 0 { conversation.model } else { client.helper };
        let mut teller = conversation.teller.agent(id.to_owned());
        if let Home::Main = home {
            teller.agent = None;
        }
        if client.era >= Era::Final {
            self.scribe.agent_description(client, model);
            fs::write(folder.join(format!("agent-{id}.meta.json")), &self.scribe.line)?;
        }
        let context = self.scribe.rng.u64(6_000..14_000);
        Ok(Agent { teller, id: id.to_owned(), home, model, context })
    }

    fn respond_as(
        &mut self,
        conversation: &mut Conversation,
        agent: &mut Agent,
        tool: Option<Tool>,
        tool_id: &str,
    ) -> io::Result<Response> {
        let manner = Manner { outputs: agent.teller.client.outputs, advised: false };
        let Agent { teller, model, context, .. } = agent;
        let mut response = self.scribe.response(teller, model, context, tool, manner, conversation.clock);
        while self.scribe.next_block(&mut agent.teller, &mut response) {
            conversation.clock = response.at_ms;
            self.say(conversation, agent, tool_id, Says::Usage)?;
            response.at_ms += self.scribe.pause_ms();
        }
        self.count(conversation, &response);
        Ok(response)
    }

    /// Puts the line just rendered where the sub-agent's lines go, and its echo into the main transcript.
    fn say(
        &mut self,
        conversation: &mut Conversation,
        agent: &mut Agent,
        tool_id: &str,
        says: Says,
    ) -> io::Result<()> {
        let Conversation { teller, main, clock, .. } = conversation;
        match &mut agent.home {
            Home::Main => main.say(&self.scribe.line, says)?,
            Home::File(transcript) => transcript.say(&self.scribe.line, says)?,
            Home::Gone => {}
        }
        let share = match (says, &agent.home) {
            // With its file gone every line must be echoed, or the greatest count would be unknown.
            (Says::Usage, Home::Gone) => 1.0,
            (Says::Usage, _) => 0.8,
            (Says::Nothing, _) => 0.3,
        };
        if teller.client.era == Era::Echoes && self.scribe.rng.f64() < share {
            self.scribe.echo(teller, &agent.id, says, tool_id, *clock);
            main.say(&self.scribe.line, says)?;
        }
        Ok(())
    }

    /// Repeats the parent's last response in a sub-agent's file under a new request id, as side questions do.
    fn replay(&mut self, conversation: &Conversation, agent: &mut Agent) -> io::Result<()> {
        let Home::File(transcript) = &mut agent.home else { return Ok(()) };
        if conversation.last_message.is_empty() || self.scribe.rng.u32(0..30) != 0 {
            return Ok(());
        }
        self.scribe.replay(&mut agent.teller, &conversation.last_message, conversation.clock);
        transcript.say(&self.scribe.line, Says::Usage)
    }

    /// Shortens a full context: an agent writes the summary, then a boundary line and the summary follow.
    fn compact(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        conversation.clock += 5 * SECOND_MS;
        if conversation.teller.client.era >= Era::Final {
            let id = format!("acompact-{:06x}", self.scribe.rng.u32(0..1 << 24));
            let folder = conversation.agents_folder();
            self.sub_agent(conversation, &id, &folder, 1, "")?;
        }
        let Conversation { teller, main, clock, context, .. } = conversation;
        self.scribe.compact_boundary(teller, *context, *clock);
        main.say(&self.scribe.line, Says::Nothing)?;
        self.scribe.prompt(teller, *clock + 1);
        main.say(&self.scribe.line, Says::Nothing)?;
        *context = 20_000;
        Ok(())
    }

    fn close(&mut self, mut conversation: Conversation) -> io::Result<()> {
        let Conversation { teller, main, clock, spent, .. } = &mut conversation;
        if teller.client.era >= Era::Final {
            self.scribe.last_prompt(teller);
            main.note(&self.scribe.line)?;
        }
        if teller.client.era >= Era::Newest {
            self.scribe.cost_state(teller, spent, *clock);
            main.note(&self.scribe.line)?;
        }
        let torn = self.scribe.torn_line(teller, *clock);
        conversation.main.finish(torn, &mut self.truth)
    }

    /// Copies a conversation into a new file, as resuming and forking do, and goes on there.
    fn fork(
        &mut self,
        original: &Teller,
        folder: &Path,
        model: &'static str,
        ended_ms: i64,
        copies: &[(String, Says)],
    ) -> io::Result<()> {
        let rng = &mut self.scribe.rng;
        let clock = ended_ms + rng.i64(MINUTE_MS..20 * HOUR_MS);
        if clock >= self.end_ms - HOUR_MS || self.truth.bytes >= self.corpus.bytes {
            return Ok(());
        }
        let session = Uuid::new(rng);
        let teller = Teller { session, ..original.clone() };
        let mut conversation = self.open(teller, folder.to_owned(), model, clock)?;
        self.header(&mut conversation)?;
        let form = original.client.copy_form();
        let stamp = Stamp(conversation.clock).to_string();
        let (old, new) = (original.session.to_string(), session.to_string());
        for (line, says) in copies {
            let line = match form {
                CopyForm::Restamped => restamped(&line.replace(&old, &new), &stamp),
                CopyForm::Kept => line.clone(),
                CopyForm::Renamed => line.replace(&old, &new),
            };
            conversation.main.say(&line, *says)?;
        }
        let turns = self.scribe.rng.u64(1..6);
        conversation.clock += SECOND_MS;
        self.turns(&mut conversation, turns)?;
        self.close(conversation)
    }
}

impl Conversation {
    fn agents_folder(&self) -> PathBuf {
        match self.teller.client.era {
            Era::Flat | Era::Inline | Era::Siblings => self.folder.clone(),
            _ => self.folder.join(self.teller.session.to_string()).join("subagents"),
        }
    }
}

/// Gives a copied line the time of the copy and takes its request id, as clients up to 2.0.0 did.
fn restamped(line: &str, stamp: &str) -> String {
    const KEY: &str = r#""timestamp":""#;
    let mut copy = String::with_capacity(line.len());
    for (index, piece) in line.split(KEY).enumerate() {
        if index == 0 {
            copy.push_str(piece);
        } else {
            copy.push_str(KEY);
            copy.push_str(stamp);
            copy.push_str(piece.get(stamp.len()..).unwrap_or(""));
        }
    }
    if let Some(start) = copy.find(r#""requestId":""#) {
        let end = copy[start..].find(r#"","#).map_or(copy.len(), |length| start + length + 2);
        copy.replace_range(start..end, "");
    }
    copy
}

/// Chooses a moment at which people work, so that a chart of the hours looks like one.
fn start_of_work(rng: &mut Rng, start_ms: i64, end_ms: i64) -> i64 {
    const HOURS: [i64; 16] = [7, 8, 8, 9, 9, 10, 10, 11, 13, 14, 14, 15, 16, 17, 20, 22];
    let any = rng.i64(start_ms..end_ms - HOUR_MS);
    let hour = HOURS[rng.usize(0..HOURS.len())];
    let chosen = any - any.rem_euclid(DAY_MS) + hour * HOUR_MS + rng.i64(0..HOUR_MS);
    if (start_ms..end_ms - HOUR_MS).contains(&chosen) { chosen } else { any }
}

/// Tells whether a line states a usage that counts.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Usage,
    Nothing,
}

/// One transcript on its way to the disk.
struct Transcript {
    out: BufWriter<File>,
    bytes: u64,
    lines: u64,
    usage_lines: u64,
    damaged_lines: u64,
    /// A damaged line, and after how many lines it comes.
    damage: Option<(u64, Vec<u8>)>,
    is_torn: bool,
    /// The lines that a fork will copy, when one is to come.
    copies: Option<Vec<(String, Says)>>,
}

impl Transcript {
    fn create(path: &Path, rng: &mut Rng) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let is_damaged = rng.u32(0..100) == 0;
        Ok(Transcript {
            out: BufWriter::with_capacity(256 << 10, File::create(path)?),
            bytes: 0,
            lines: 0,
            usage_lines: 0,
            damaged_lines: 0,
            damage: is_damaged.then(|| (rng.u64(3..9), damaged_line(rng))),
            is_torn: rng.u32(0..20) == 0,
            copies: None,
        })
    }

    /// Writes a line of the conversation itself, which a fork copies.
    fn say(&mut self, line: &str, says: Says) -> io::Result<()> {
        if let Some(copies) = &mut self.copies {
            copies.push((line.to_owned(), says));
        }
        self.usage_lines += u64::from(says == Says::Usage);
        self.note(line)
    }

    /// Writes a line of bookkeeping, which no fork copies.
    fn note(&mut self, line: &str) -> io::Result<()> {
        self.put(line.as_bytes())?;
        if let Some((_, damaged)) = self.damage.take_if(|(after, _)| *after == self.lines) {
            self.damaged_lines += 1;
            self.put(&damaged)?;
        }
        Ok(())
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        self.bytes += line.len() as u64 + 1;
        self.lines += 1;
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }

    /// Ends the file, perhaps within a line, and adds it to the truth.
    fn finish(mut self, torn: &[u8], truth: &mut Truth) -> io::Result<()> {
        if self.is_torn {
            self.out.write_all(torn)?;
            self.bytes += torn.len() as u64;
        }
        self.out.flush()?;
        truth.files += 1;
        truth.bytes += self.bytes;
        truth.lines += self.lines;
        truth.usage_lines += self.usage_lines;
        truth.damaged_lines += self.damaged_lines;
        truth.torn_files += u64::from(self.is_torn);
        Ok(())
    }
}

/// Makes a line as a crash leaves it: cut within the usage, or with junk of the disk in front.
fn damaged_line(rng: &mut Rng) -> Vec<u8> {
    let mut line = Vec::new();
    if rng.bool() {
        line.extend((0..rng.usize(8..200)).map(|_| rng.u8(..)).filter(|byte| *byte != b'\n'));
        line.extend([0, 0, 0xff, 0xfe]);
    }
    let id = token(rng, "msg_01", 22);
    line.extend(br#"{"parentUuid":null,"isSidechain":false,"type":"assistant","message":{"id":""#);
    line.extend(id.as_bytes());
    line.extend(
        br#"","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"#,
    );
    line.extend(br#""usage":{"input_tokens":977,"output_tokens":12,"cache_creation_inp"#);
    line
}

/// Who speaks in a line: the client, the conversation, the sub-agent.
#[derive(Clone)]
struct Teller {
    client: &'static Client,
    session: Uuid,
    /// Working folder, escaped for JSON.
    cwd: String,
    agent: Option<String>,
    is_sidechain: bool,
    parent: Option<Uuid>,
    prompt: Uuid,
}

impl Teller {
    fn new(rng: &mut Rng, client: &'static Client, cwd: &str) -> Self {
        let (session, prompt) = (Uuid::new(rng), Uuid::new(rng));
        let cwd = cwd.replace('\\', r"\\");
        Teller { client, session, cwd, agent: None, is_sidechain: false, parent: None, prompt }
    }

    fn agent(&self, id: String) -> Self {
        Teller { agent: Some(id), is_sidechain: true, parent: None, ..self.clone() }
    }
}

/// One answer of the API, which becomes one line for each block of its content.
struct Response {
    id: String,
    request: String,
    model: &'static str,
    /// What it spent; the output is the greatest that a line states.
    counts: Counts,
    /// The output that each line states.
    outputs: Vec<u64>,
    advisor: Option<Counts>,
    tool: Option<Tool>,
    tool_id: String,
    first_ms: i64,
    /// Time of the line last rendered, and of the next one.
    at_ms: i64,
    /// Lines rendered so far.
    step: usize,
    searches: u32,
    quirk: Quirk,
}

/// How a response is written down, beside what it says.
#[derive(Clone, Copy)]
struct Manner {
    outputs: Outputs,
    advised: bool,
}

/// What the lines of one response state as its output.
#[derive(Clone, Copy, PartialEq)]
enum Outputs {
    /// The final count on every line.
    Final,
    /// Placeholders, then the final count on the last line.
    Growing,
    /// Placeholders only: the final count was never written.
    Placeholder,
    /// One response this way, the next that way.
    Mixed,
}

/// Oddities of single usage objects.
#[derive(Clone, Copy, PartialEq)]
enum Quirk {
    None,
    /// The flat count of cache writes is 0 although the nested ones are not.
    FlatZero,
    /// Optional fields are null.
    Nulls,
    /// The answer was given in fast mode.
    Fast,
    /// `iterations` holds a plain entry, which repeats the numbers around it.
    Iterations,
}

#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Shell,
    Read,
    Edit,
    /// A tool whose argument is named `usage`.
    Billing,
    Agent,
    Workflow,
}

/// The window of a spent quota.
#[derive(Clone, Copy)]
enum Window {
    FiveHour,
    Week,
}

/// Renders lines into a buffer that every line reuses.
struct Scribe {
    rng: Rng,
    filler: Filler,
    /// The line rendered last, without its newline.
    line: String,
    /// The `message` object of that line, where it has one.
    message: String,
    /// Identity of that line and, for a response, its request.
    uuid: Uuid,
    request: String,
}

impl Scribe {
    fn new(seed: u64, filler_bytes: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let filler = Filler::new(&mut rng, filler_bytes);
        let (line, message, request) = (String::new(), String::new(), String::new());
        Scribe { rng, filler, line, message, uuid: Uuid(0), request }
    }

    /// Draws what a response spends and says; `context` grows by it.
    fn response(
        &mut self,
        teller: &Teller,
        model: &'static str,
        context: &mut u64,
        tool: Option<Tool>,
        manner: Manner,
        at_ms: i64,
    ) -> Response {
        let rng = &mut self.rng;
        let written = quantile(rng, &CACHE_WRITE);
        let one_hour = match teller.client.era {
            Era::Flat | Era::Inline | Era::Siblings => 0,
            _ if teller.is_sidechain => 0,
            _ if rng.u32(0..10) == 0 => written / 3,
            _ => written,
        };
        let input = if rng.u32(0..12) == 0 { rng.u64(100..6_000) } else { rng.u64(1..12) };
        let spent = quantile(rng, &OUTPUT);
        let outputs = outputs_by_line(rng, manner.outputs, spent);
        let counts = Counts {
            messages: 1,
            input,
            output: outputs.iter().copied().max().unwrap_or(0),
            cache_write_5m: written - one_hour,
            cache_write_1h: one_hour,
            cache_read: *context,
        };
        *context += written + spent + input;
        Response {
            id: token(rng, "msg_01", 22),
            request: token(rng, "req_011C", 20),
            model,
            counts,
            outputs,
            advisor: manner.advised.then(|| advice(rng)),
            tool,
            tool_id: token(rng, "toolu_01", 22),
            first_ms: at_ms,
            at_ms,
            step: 0,
            searches: if rng.u32(0..40) == 0 { rng.u32(1..4) } else { 0 },
            quirk: Quirk::draw(rng, teller.client),
        }
    }

    /// Renders the next line of a response; says false when there is none.
    fn next_block(&mut self, teller: &mut Teller, response: &mut Response) -> bool {
        let Some(output) = response.outputs.get(response.step).copied() else { return false };
        let is_last = response.step + 1 == response.outputs.len();
        self.message_object(teller, response, output, is_last);
        self.open(teller);
        self.line.push_str(r#""message":"#);
        self.line.push_str(&self.message);
        if teller.client.era >= Era::Newest {
            put(&mut self.line, r#","apiBlockIndex":@"#, &[&response.step]);
        }
        put(&mut self.line, r#","requestId":"@","type":"assistant""#, &[&response.request]);
        self.stamp(teller, response.at_ms);
        if teller.client.era >= Era::Newest {
            self.line.push_str(r#","effort":"medium","madeBy":"model""#);
        }
        self.seal(teller);
        self.request.clone_from(&response.request);
        response.step += 1;
        true
    }

    fn message_object(&mut self, teller: &Teller, response: &Response, output: u64, is_last: bool) {
        let era = teller.client.era;
        self.message.clear();
        let head = match era {
            Era::Siblings | Era::Echoes => {
                r#"{"model":"@","id":"@","type":"message","role":"assistant","content":["#
            }
            _ => r#"{"id":"@","type":"message","role":"assistant","model":"@","content":["#,
        };
        let (id, model) = (&response.id, &response.model);
        match era {
            Era::Siblings | Era::Echoes => put(&mut self.message, head, &[model, id]),
            _ => put(&mut self.message, head, &[id, model]),
        }
        self.block(era, response, is_last);
        let stop = match (is_last || era >= Era::Final, response.tool) {
            (false, _) => "null",
            (true, Some(_)) => r#""tool_use""#,
            (true, None) => r#""end_turn""#,
        };
        put(&mut self.message, r#"],"stop_reason":@,"stop_sequence":null,"#, &[&stop]);
        write_usage(&mut self.message, era, response, output);
        self.message.push_str(if era >= Era::Final { r#","stop_details":null}"# } else { "}" });
    }

    fn block(&mut self, era: Era, response: &Response, is_last: bool) {
        let text = self.filler.take(&mut self.rng, &BLOCK_BYTES);
        let out = &mut self.message;
        let Some(tool) = response.tool.filter(|_| is_last) else {
            if is_last || response.step > 0 {
                return put(out, r#"{"type":"text","text":"@"}"#, &[&text]);
            }
            let signature = token(&mut self.rng, "Et", 240);
            let template = r#"{"type":"thinking","thinking":"@","signature":"@"}"#;
            return put(out, template, &[&text, &signature]);
        };
        put(
            out,
            r#"{"type":"tool_use","id":"@","name":"@","input":{"#,
            &[&response.tool_id, &tool.name(era)],
        );
        let input = match tool {
            Tool::Shell => r#""command":"@","description":"Run it""#,
            Tool::Read => r#""file_path":"/home/dev/@","limit":200"#,
            Tool::Edit => r#""file_path":"/home/dev/a.rs","old_string":"","new_string":"@""#,
            Tool::Billing => {
                r#""query":"@","usage":{"input_tokens":5,"output_tokens":70007,"cache_read_input_tokens":9},"message":{"id":"msg_decoy","model":"claude-opus-5-5","usage":{"input_tokens":11,"output_tokens":99999}}"#
            }
            Tool::Agent => r#""description":"Look around","prompt":"@","subagent_type":"general-purpose""#,
            Tool::Workflow => r#""script":"@","background":false"#,
        };
        put(out, input, &[&text]);
        out.push_str("}}");
    }

    fn prompt(&mut self, teller: &mut Teller, at_ms: i64) {
        let text = self.filler.take(&mut self.rng, &PROMPT_BYTES);
        self.message.clear();
        let template = match self.rng.u32(0..3) {
            0 => r#"{"role":"user","content":[{"type":"text","text":"@"}]}"#,
            _ => r#"{"role":"user","content":"@"}"#,
        };
        put(&mut self.message, template, &[&text]);
        self.open(teller);
        put(&mut self.line, r#""type":"user","message":@"#, &[&self.message]);
        self.stamp(teller, at_ms);
        if teller.client.era >= Era::Echoes {
            self.line.push_str(r#","permissionMode":"default""#);
        }
        self.seal(teller);
    }

    /// Renders the answer of a tool; the line has about `bytes` bytes, as both its halves hold the text.
    fn tool_result(&mut self, teller: &mut Teller, call: &Response, bytes: u64, at_ms: i64) {
        let range = self.filler.slice(&mut self.rng, (bytes.saturating_sub(700) / 2) as usize);
        let template = r#"{"role":"user","content":[{"tool_use_id":"@","type":"tool_result","content":"@","is_error":false}]}"#;
        self.message.clear();
        put(&mut self.message, template, &[&call.tool_id, &&self.filler.text[range.clone()]]);
        let source = Nullable(teller.parent);
        self.open(teller);
        put(&mut self.line, r#""type":"user","message":@"#, &[&self.message]);
        self.stamp(teller, at_ms);
        let template = match call.tool {
            Some(Tool::Read) => {
                r#","toolUseResult":{"type":"text","file":{"filePath":"/home/dev/a.rs","content":"@","numLines":200}}"#
            }
            Some(Tool::Billing) => {
                r#","toolUseResult":{"type":"assistant","text":"@","message":{"id":"msg_01BillingReportIsNoMessage","model":"claude-opus-5-5","role":"assistant","usage":{"input_tokens":400,"output_tokens":88888}}}"#
            }
            _ => r#","toolUseResult":{"stdout":"@","stderr":"","interrupted":false,"isImage":false}"#,
        };
        put(&mut self.line, template, &[&&self.filler.text[range]]);
        if teller.client.era >= Era::Echoes {
            put(&mut self.line, r#","sourceToolAssistantUUID":@"#, &[&source]);
        }
        self.seal(teller);
    }

    /// Renders the answer of a sub-agent, whose totals and `usage` repeat what other lines say.
    fn agent_result(
        &mut self,
        teller: &mut Teller,
        call: &Response,
        agent: &str,
        spent: &Counts,
        at_ms: i64,
    ) {
        let text = self.text(&PROMPT_BYTES);
        self.open(teller);
        let template = r#""type":"user","message":{"role":"user","content":[{"tool_use_id":"@","type":"tool_result","content":[{"type":"text","text":"@"},{"type":"text","text":"agentId: @\n<usage>total_tokens: @</usage>"}]}]}"#;
        put(&mut self.line, template, &[&call.tool_id, &text, &agent, &spent.all()]);
        self.stamp(teller, at_ms);
        let template = r#","toolUseResult":{"status":"completed","agentId":"@","content":[{"type":"text","text":"@"}],"totalDurationMs":@,"totalTokens":@,"totalToolUseCount":@,"usage":{"input_tokens":@,"cache_creation_input_tokens":@,"cache_read_input_tokens":@,"output_tokens":@,"service_tier":"standard"}}"#;
        let duration = at_ms - call.at_ms;
        put(
            &mut self.line,
            template,
            &[
                &agent,
                &text,
                &duration,
                &spent.all(),
                &spent.messages,
                &spent.input,
                &spent.cache_write(),
                &spent.cache_read,
                &spent.output,
            ],
        );
        self.seal(teller);
    }

    /// Wraps the message just rendered for a sub-agent into a `progress` line of its parent.
    fn echo(&mut self, parent: &mut Teller, id: &str, says: Says, tool_id: &str, at_ms: i64) {
        // The nested time attributes the message; the line's own is a little later, yet never on another day.
        let later_ms = at_ms + self.rng.i64(0..4);
        let line_ms = if later_ms.div_euclid(DAY_MS) == at_ms.div_euclid(DAY_MS) { later_ms } else { at_ms };
        let (kind, request) = match says {
            Says::Usage => ("assistant", format!(r#","requestId":"{}""#, self.request)),
            Says::Nothing => ("user", String::new()),
        };
        let nested = self.uuid;
        self.open(parent);
        let template = r#""type":"progress","data":{"message":{"type":"@","timestamp":"@","message":@@,"uuid":"@"},"normalizedMessages":[],"type":"agent_progress","prompt":"","agentId":"@"},"toolUseID":"agent_@","parentToolUseID":"@""#;
        put(
            &mut self.line,
            template,
            &[&kind, &Stamp(at_ms), &self.message, &request, &nested, &id, &tool_id, &tool_id],
        );
        self.stamp(parent, line_ms);
        self.seal(parent);
    }

    fn replay(&mut self, teller: &mut Teller, message: &str, at_ms: i64) {
        let request = token(&mut self.rng, "req_011C", 20);
        self.entry(teller, at_ms, r#""message":@,"requestId":"@","type":"assistant""#, &[&message, &request]);
    }

    /// Renders the line of a spent quota as the teller's client words it.
    fn limit(&mut self, teller: &mut Teller, window: Window, reset_ms: i64, at_ms: i64) {
        let seconds = reset_ms / SECOND_MS;
        let clock = Clock(reset_ms);
        let (_, month, day) = civil(reset_ms.div_euclid(DAY_MS));
        let month = MONTHS[month as usize - 1];
        let (label, kind) = match window {
            Window::FiveHour => ("session", "five_hour"),
            Window::Week => ("weekly", "seven_day"),
        };
        let text = match (teller.client.era, window) {
            (Era::Flat, _) => format!("Claude AI usage limit reached|{seconds}"),
            (Era::Inline, Window::FiveHour) => format!("5-hour limit reached ∙ resets {clock}"),
            (Era::Siblings, Window::FiveHour) => format!("Session limit reached ∙ resets {clock}"),
            (Era::Inline | Era::Siblings, Window::Week) => {
                format!("Weekly limit reached ∙ resets {month} {day}, {clock}")
            }
            (Era::Newest, Window::FiveHour) => format!("You've hit your 5-hour limit · resets {clock} (UTC)"),
            (Era::Newest, Window::Week) => format!("You've hit your weekly limit · resets {clock} (UTC)"),
            _ if teller.client.has_quota_limits => {
                format!("You've hit your {label} limit · resets {clock} (UTC)")
            }
            _ => format!("You've hit your limit · resets {clock} (UTC)"),
        };
        let quota = format!(
            r#","quotaLimits":{{"status":"rejected","resetsAt":{seconds},"unifiedRateLimitFallbackAvailable":false,"rateLimitType":"{kind}","overageStatus":"rejected","overageDisabledReason":"org_level_disabled","isUsingOverage":false}}"#
        );
        let mut fields = String::new();
        if teller.client.era >= Era::Newest {
            fields.push_str(r#","apiError":"usage_limit_reached""#);
        }
        if teller.client.has_quota_limits {
            fields.push_str(&quota);
        }
        if teller.client.era >= Era::Siblings {
            fields.push_str(r#","error":"rate_limit""#);
        }
        fields.push_str(r#","isApiErrorMessage":true"#);
        if teller.client.era >= Era::Final {
            fields.push_str(r#","apiErrorStatus":429"#);
        }
        self.synthetic(teller, at_ms, &text, &fields);
    }

    /// Renders an error that looks like a limit and is none.
    fn throttle(&mut self, teller: &mut Teller, at_ms: i64) {
        let (text, error, status) = match self.rng.u32(0..3) {
            0 => ("API Error: Rate limit reached", "rate_limit", 429),
            1 => (
                "API Error: 529 Overloaded. This is a server-side issue, usually temporary",
                "overloaded",
                529,
            ),
            _ => ("API Error: Usage credits required for 1M context", "rate_limit", 429),
        };
        let fields = format!(r#","error":"{error}","isApiErrorMessage":true,"apiErrorStatus":{status}"#);
        self.synthetic(teller, at_ms, text, &fields);
    }

    fn no_response(&mut self, teller: &mut Teller, at_ms: i64) {
        self.synthetic(teller, at_ms, "No response requested.", r#","isApiErrorMessage":false"#);
    }

    /// Renders a line that the client wrote itself: no usage, a uuid as message id.
    fn synthetic(&mut self, teller: &mut Teller, at_ms: i64, text: &str, fields: &str) {
        let id = Uuid::new(&mut self.rng);
        let nulls = match teller.client.era {
            Era::Flat | Era::Inline => "",
            Era::Siblings => {
                r#","cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0}"#
            }
            _ => {
                r#","cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"inference_geo":null,"iterations":null,"speed":null"#
            }
        };
        let template = r#""type":"assistant","message":{"id":"@","model":"<synthetic>","role":"assistant","stop_reason":"stop_sequence","stop_sequence":"","type":"message","usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"server_tool_use":{"web_search_requests":0},"service_tier":null@},"content":[{"type":"text","text":"@"}]}@"#;
        self.entry(teller, at_ms, template, &[&id, &nulls, &text, &fields]);
    }

    fn retry(&mut self, teller: &mut Teller, at_ms: i64) {
        let (wait, attempt) = (self.rng.u32(500..8_000), self.rng.u32(1..10));
        let template = r#""type":"system","subtype":"api_error","level":"error","error":{"status":529},"retryInMs":@.5,"retryAttempt":@,"maxRetries":10"#;
        self.entry(teller, at_ms, template, &[&wait, &attempt]);
    }

    fn turn_duration(&mut self, teller: &mut Teller, at_ms: i64) {
        let duration = self.rng.u32(4_000..300_000);
        let template = r#""type":"system","subtype":"turn_duration","durationMs":@,"isMeta":false"#;
        self.entry(teller, at_ms, template, &[&duration]);
    }

    fn compact_boundary(&mut self, teller: &mut Teller, tokens: u64, at_ms: i64) {
        let logical = teller.parent.take().unwrap_or(self.uuid);
        let template = r#""logicalParentUuid":"@","type":"system","subtype":"compact_boundary","content":"Conversation compacted","isMeta":false,"level":"info","compactMetadata":{"trigger":"auto","preTokens":@}"#;
        self.entry(teller, at_ms, template, &[&logical, &tokens]);
    }

    fn attachment(&mut self, teller: &mut Teller, at_ms: i64) {
        let text = self.text(&BLOCK_BYTES);
        let template = match self.rng.u32(0..3) {
            0 => {
                r#""attachment":{"type":"skill_listing","content":"@","skillCount":14,"isInitial":true},"type":"attachment""#
            }
            1 => {
                r#""attachment":{"type":"hook_success","hookName":"PostToolUse:Edit","stdout":"@","exitCode":0},"type":"attachment""#
            }
            _ => {
                r#""attachment":{"type":"queued_command","prompt":"@","commandMode":"prompt"},"type":"attachment""#
            }
        };
        self.entry(teller, at_ms, template, &[&text]);
    }

    fn shell_progress(&mut self, teller: &mut Teller, at_ms: i64) {
        let text = self.text(&BLOCK_BYTES);
        let template = r#""type":"progress","data":{"type":"bash_progress","output":"@","fullOutput":"@","elapsedTimeSeconds":3,"totalLines":9},"toolUseID":"bash-progress-1","parentToolUseID":"toolu_1""#;
        self.entry(teller, at_ms, template, &[&text, &text]);
    }

    fn snapshot(&mut self, at_ms: i64) {
        let id = Uuid::new(&mut self.rng);
        let template = r#"{"type":"file-history-snapshot","messageId":"@","snapshot":{"messageId":"@","trackedFileBackups":{},"timestamp":"@"},"isSnapshotUpdate":false}"#;
        self.note(template, &[&id, &id, &Stamp(at_ms)]);
    }

    fn summary(&mut self) {
        let (text, leaf) = (self.text(&[(0.0, 20.0), (1.0, 60.0)]), Uuid::new(&mut self.rng));
        self.note(r#"{"type":"summary","summary":"@","leafUuid":"@"}"#, &[&text, &leaf]);
    }

    fn queue_operation(&mut self, teller: &Teller, operation: &str, at_ms: i64) {
        let template = r#"{"type":"queue-operation","operation":"@","timestamp":"@","sessionId":"@"@}"#;
        let content = if operation == "enqueue" { r#","content":"and then the tests""# } else { "" };
        self.note(template, &[&operation, &Stamp(at_ms), &teller.session, &content]);
    }

    fn last_prompt(&mut self, teller: &Teller) {
        let template =
            r#"{"type":"last-prompt","lastPrompt":"and then the tests","leafUuid":"@","sessionId":"@"}"#;
        let leaf = teller.parent.unwrap_or(self.uuid);
        self.note(template, &[&leaf, &teller.session]);
    }

    /// Renders the client's own running total of a conversation.
    fn cost_state(&mut self, teller: &Teller, spent: &BTreeMap<&'static str, Counts>, at_ms: i64) {
        let total: f64 = spent.iter().map(|(model, counts)| cost_usd(model, counts)).sum();
        let template = r#"{"type":"cost-state","sessionId":"@","totalCostUSD":@,"totalAPIDuration":90000,"totalAPIDurationWithoutRetries":88000,"totalToolDuration":41000,"totalLinesAdded":12,"totalLinesRemoved":3,"totalDuration":600000,"startTime":@,"modelUsage":{"#;
        self.note(template, &[&teller.session, &format_args!("{total:.6}"), &(at_ms - 600_000)]);
        for (index, (model, counts)) in spent.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let template = r#"@"@":{"inputTokens":@,"outputTokens":@,"thinkingTokens":0,"cacheReadInputTokens":@,"cacheCreationInputTokens":@,"webSearchRequests":0,"costUSD":@}"#;
            let cost = cost_usd(model, counts);
            let Counts { input, output, cache_read, .. } = counts;
            put(
                &mut self.line,
                template,
                &[
                    &comma,
                    model,
                    input,
                    output,
                    cache_read,
                    &counts.cache_write(),
                    &format_args!("{cost:.6}"),
                ],
            );
        }
        self.line.push_str(r#"},"hasUnknownModelCost":false}"#);
    }

    /// Renders the `.meta.json` of a sub-agent.
    fn agent_description(&mut self, client: &Client, model: &str) {
        match client.era {
            Era::Newest => self.note(
                r#"{"agentType":"general-purpose","isBuiltIn":true,"description":"look around","spawnDepth":1,"model":"@","finished":true}"#,
                &[&model],
            ),
            _ => self.note(r#"{"agentType":"general-purpose","description":"look around"}"#, &[]),
        }
    }

    /// Renders a journal line with a message id of its own: who counts journals gets wrong totals.
    fn journal_entry(&mut self, agent: &str, spent: &Counts, at_ms: i64) {
        let id = token(&mut self.rng, "msg_01", 22);
        let template = r#"{"type":"assistant","key":"v2:@","agentId":"@","timestamp":"@","message":{"id":"@","model":"claude-opus-5-5","role":"assistant","usage":{"input_tokens":@,"cache_creation_input_tokens":@,"cache_read_input_tokens":@,"output_tokens":@}}}"#;
        let Counts { input, output, cache_read, .. } = spent;
        let values: [&dyn Display; 8] =
            [&agent, &agent, &Stamp(at_ms), &id, input, &spent.cache_write(), cache_read, output];
        self.note(template, &values);
    }

    /// Renders the beginning of a response that the client did not finish to write.
    fn torn_line(&mut self, teller: &mut Teller, at_ms: i64) -> &[u8] {
        let manner = Manner { outputs: Outputs::Final, advised: false };
        let mut response = self.response(teller, teller.client.helper, &mut 9_000, None, manner, at_ms);
        self.next_block(teller, &mut response);
        let end = self.rng.usize(20..self.line.len());
        &self.line.as_bytes()[..end]
    }

    fn tool(&mut self, client: &Client) -> Tool {
        match self.rng.u32(0..1_000) {
            0..=39 => Tool::Agent,
            40..=43 if client.era >= Era::Final => Tool::Workflow,
            _ => self.plain_tool(),
        }
    }

    fn plain_tool(&mut self) -> Tool {
        match self.rng.u32(0..400) {
            0 => Tool::Billing,
            1..=180 => Tool::Shell,
            181..=300 => Tool::Read,
            _ => Tool::Edit,
        }
    }

    /// Draws the time between two lines of a response; now and then there is none.
    fn pause_ms(&mut self) -> i64 {
        if self.rng.u32(0..12) == 0 { 0 } else { self.rng.i64(1..2_500) }
    }

    fn text(&mut self, lengths: &[(f64, f64)]) -> String {
        self.filler.take(&mut self.rng, lengths).to_owned()
    }

    /// Renders a whole line that needs no more than its body.
    fn entry(&mut self, teller: &mut Teller, at_ms: i64, body: &str, values: &[&dyn Display]) {
        self.open(teller);
        put(&mut self.line, body, values);
        self.stamp(teller, at_ms);
        self.seal(teller);
    }

    /// Renders a line without envelope.
    fn note(&mut self, template: &str, values: &[&dyn Display]) {
        self.line.clear();
        put(&mut self.line, template, values);
    }

    /// Begins a line with the envelope of the teller's client.
    fn open(&mut self, teller: &Teller) {
        self.line.clear();
        let Teller { client, session, cwd, is_sidechain, parent, .. } = teller;
        put(&mut self.line, r#"{"parentUuid":@,"isSidechain":@,"#, &[&Nullable(*parent), is_sidechain]);
        if client.era < Era::Final {
            let template =
                r#""userType":"external","cwd":"@","sessionId":"@","version":"@","gitBranch":"main","#;
            put(&mut self.line, template, &[cwd, session, &client.version]);
        }
        if let Some(agent) = &teller.agent {
            put(&mut self.line, r#""agentId":"@","#, &[agent]);
        }
        if client.era >= Era::Final {
            put(&mut self.line, r#""promptId":"@","#, &[&teller.prompt]);
        }
    }

    fn stamp(&mut self, teller: &mut Teller, at_ms: i64) {
        self.uuid = Uuid::new(&mut self.rng);
        teller.parent = Some(self.uuid);
        put(&mut self.line, r#","uuid":"@","timestamp":"@""#, &[&self.uuid, &Stamp(at_ms)]);
    }

    fn seal(&mut self, teller: &Teller) {
        if teller.client.era >= Era::Final {
            let template = r#","userType":"external","entrypoint":"cli","cwd":"@","sessionId":"@","version":"@","gitBranch":"main""#;
            put(&mut self.line, template, &[&teller.cwd, &teller.session, &teller.client.version]);
        }
        self.line.push('}');
    }
}

/// Draws how many lines a response has and which output each of them states.
fn outputs_by_line(rng: &mut Rng, outputs: Outputs, spent: u64) -> Vec<u64> {
    let lines = match rng.u32(0..1_000) {
        0..=169 => 1,
        170..=719 => 2,
        720..=944 => 3,
        945..=996 => 4,
        _ => 14,
    };
    let outputs = match outputs {
        Outputs::Mixed if rng.u32(0..10) < 3 => Outputs::Growing,
        Outputs::Mixed => Outputs::Placeholder,
        other => other,
    };
    let mut placeholder = if rng.u32(0..3) == 0 { rng.u64(1..9) } else { 1 };
    let mut stated = Vec::with_capacity(lines);
    for line in 1..=lines {
        // Placeholders may grow a little; they never shrink.
        placeholder += u64::from(rng.u32(0..10) == 0);
        stated.push(match outputs {
            Outputs::Final => spent,
            Outputs::Growing if line == lines => spent.max(placeholder),
            _ => placeholder,
        });
    }
    stated
}

/// Draws what asking the advisor spends.
fn advice(rng: &mut Rng) -> Counts {
    Counts {
        messages: 1,
        input: rng.u64(500..20_000),
        output: rng.u64(100..2_000),
        cache_write_5m: rng.u64(0..2) * rng.u64(500..9_000),
        cache_write_1h: 0,
        cache_read: rng.u64(0..30_000),
    }
}

impl Quirk {
    fn draw(rng: &mut Rng, client: &Client) -> Self {
        match rng.u32(0..100) {
            _ if client.era < Era::Final => Quirk::None,
            0..=2 if !client.has_quota_limits => Quirk::FlatZero,
            3..=30 => Quirk::Nulls,
            31..=34 => Quirk::Fast,
            35..=60 => Quirk::Iterations,
            _ => Quirk::None,
        }
    }
}

impl Tool {
    fn name(self, era: Era) -> &'static str {
        match self {
            Tool::Shell => "Bash",
            Tool::Read => "Read",
            Tool::Edit => "Edit",
            Tool::Billing => "mcp__billing__report",
            Tool::Agent if era >= Era::Final => "Agent",
            Tool::Agent => "Task",
            Tool::Workflow => "Workflow",
        }
    }
}

/// Writes the `usage` of a response as clients of the era do.
fn write_usage(out: &mut String, era: Era, response: &Response, output: u64) {
    let Response { counts, quirk, .. } = response;
    let flat = if *quirk == Quirk::FlatZero { 0 } else { counts.cache_write() };
    let template = r#""usage":{"input_tokens":@,"cache_creation_input_tokens":@,"cache_read_input_tokens":@,"output_tokens":@,"service_tier":"standard""#;
    put(out, template, &[&counts.input, &flat, &counts.cache_read, &output]);
    if era > Era::Flat {
        let template = r#","cache_creation":{"ephemeral_5m_input_tokens":@,"ephemeral_1h_input_tokens":@}"#;
        put(out, template, &[&counts.cache_write_5m, &counts.cache_write_1h]);
    }
    if response.searches > 0 || era >= Era::Final {
        let template = r#","server_tool_use":{"web_search_requests":@,"web_fetch_requests":0}"#;
        put(out, template, &[&response.searches]);
    }
    if era >= Era::Newest {
        out.push_str(r#","output_tokens_details":{"thinking_tokens":0},"fallback_credit":null"#);
    }
    if era >= Era::Final {
        write_iterations(out, response, output);
        out.push_str(match quirk {
            Quirk::Nulls => r#","inference_geo":null,"speed":null"#,
            Quirk::Fast => r#","inference_geo":"","speed":"fast""#,
            _ => r#","inference_geo":"not_available","speed":"standard""#,
        });
    }
    out.push('}');
}

/// Writes `iterations`, of which only the advisor's entries count beside the numbers around them.
fn write_iterations(out: &mut String, response: &Response, output: u64) {
    if response.advisor.is_none() && response.quirk != Quirk::Iterations {
        let is_null = response.quirk == Quirk::Nulls;
        return out.push_str(if is_null { r#","iterations":null"# } else { r#","iterations":[]"# });
    }
    out.push_str(r#","iterations":[{"type":"message","#);
    write_iteration(out, &Counts { output, ..response.counts });
    if let Some(advice) = &response.advisor {
        put(out, r#",{"type":"advisor_message","model":"@","#, &[&ADVISOR]);
        write_iteration(out, advice);
    }
    out.push(']');
}

fn write_iteration(out: &mut String, counts: &Counts) {
    let Counts { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = counts;
    let template = r#""input_tokens":@,"output_tokens":@,"cache_read_input_tokens":@,"cache_creation_input_tokens":@,"cache_creation":{"ephemeral_5m_input_tokens":@,"ephemeral_1h_input_tokens":@}}"#;
    let written = counts.cache_write();
    put(out, template, &[input, output, cache_read, &written, cache_write_5m, cache_write_1h]);
}

/// A client version and how it writes.
struct Client {
    version: &'static str,
    /// Share of the conversations, in percent.
    share: u32,
    era: Era,
    outputs: Outputs,
    has_quota_limits: bool,
    main: &'static [&'static str],
    helper: &'static str,
}

/// Periods of the format; later ones keep what earlier ones brought.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Era {
    /// One number for cache writes; sub-agents are side chains of the main transcript.
    Flat,
    /// Cache writes by lifetime.
    Inline,
    /// Sub-agents have files beside the main transcript.
    Siblings,
    /// Sub-agents have files in a folder of the session and are echoed in `progress` lines.
    Echoes,
    /// The final count stands on every line; no more echoes; the envelope comes last.
    Final,
    /// The client notes its own costs.
    Newest,
}

/// How a client copies a conversation that is resumed or forked.
enum CopyForm {
    /// New session id, one new time for all lines, no request ids.
    Restamped,
    /// Lines unchanged, old session id included.
    Kept,
    /// New session id, old times.
    Renamed,
}

impl Client {
    /// Draws the client of a conversation of some age, from 0 (now) to 1 (the start of the history).
    fn of_age(rng: &mut Rng, age: f64) -> &'static Client {
        let position = (1.0 - age) * 75.0 + rng.f64() * 40.0 - 10.0;
        let mut sum = 0.0;
        CLIENTS
            .iter()
            .find(|client| {
                sum += f64::from(client.share);
                position < sum
            })
            .unwrap_or(NEWEST)
    }

    fn copy_form(&self) -> CopyForm {
        match self.era {
            Era::Flat | Era::Inline => CopyForm::Restamped,
            Era::Echoes => CopyForm::Kept,
            Era::Siblings | Era::Final | Era::Newest => CopyForm::Renamed,
        }
    }

    fn agent_id(&self, rng: &mut Rng) -> String {
        match self.era {
            Era::Flat | Era::Inline | Era::Siblings => format!("{:08x}", rng.u32(..)),
            Era::Echoes => format!("a{:06x}", rng.u32(0..1 << 24)),
            Era::Final | Era::Newest => format!("a{:016x}", rng.u64(..)),
        }
    }
}

const ADVISOR: &str = "claude-opus-5-5";
const OPUS_4_1: &str = "claude-opus-4-1-20250805";
const OPUS_4_5: &str = "claude-opus-4-5-20251101";
const SONNET_4: &str = "claude-sonnet-4-20250514";
const SONNET_4_5: &str = "claude-sonnet-4-5-20250929";
const HAIKU_3_5: &str = "claude-3-5-haiku-20241022";
const HAIKU_4_5: &str = "claude-haiku-4-5-20251001";

static NEWEST: &Client = &CLIENTS[CLIENTS.len() - 1];

static CLIENTS: [Client; 10] = [
    client("1.0.64", 4, Era::Flat, Outputs::Final, &[SONNET_4, OPUS_4_1], HAIKU_3_5),
    client("1.0.120", 5, Era::Inline, Outputs::Final, &[SONNET_4, OPUS_4_1], HAIKU_3_5),
    client("2.0.30", 5, Era::Siblings, Outputs::Final, &[SONNET_4_5, OPUS_4_1], HAIKU_4_5),
    client("2.0.76", 8, Era::Siblings, Outputs::Growing, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.5", 8, Era::Echoes, Outputs::Growing, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.20", 9, Era::Echoes, Outputs::Placeholder, &[OPUS_4_5, SONNET_4_5], HAIKU_4_5),
    client("2.1.44", 13, Era::Echoes, Outputs::Mixed, &["claude-opus-4-6", SONNET_4_5], HAIKU_4_5),
    client("2.1.142", 12, Era::Final, Outputs::Final, &["claude-opus-4-8", "claude-sonnet-4-6"], HAIKU_4_5),
    Client {
        has_quota_limits: true,
        ..client("2.1.243", 12, Era::Final, Outputs::Final, &["claude-opus-5", "claude-sonnet-5"], HAIKU_4_5)
    },
    Client {
        has_quota_limits: true,
        ..client(
            "2.1.330",
            24,
            Era::Newest,
            Outputs::Final,
            &["claude-opus-5-5", "claude-sonnet-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"],
            "claude-haiku-5-5",
        )
    },
];

const fn client(
    version: &'static str,
    share: u32,
    era: Era,
    outputs: Outputs,
    main: &'static [&'static str],
    helper: &'static str,
) -> Client {
    Client { version, share, era, outputs, has_quota_limits: false, main, helper }
}

/// Working folders; two of them share a slug, as real ones may.
const PROJECTS: [&str; 10] = [
    "/home/dev/shop/frontend",
    "/home/dev/shop/backend",
    "/home/dev/notes",
    "/home/dev/infra_tools",
    "/home/dev/my.app",
    "/home/dev/my-app",
    "/srv/data pipelines/etl",
    "/Users/dev/Library/fonts",
    r"C:\src\printer",
    "/workspace",
];

/// Names the folder of a project as Claude Code does.
fn slug(cwd: &str) -> String {
    cwd.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// Prices what a model spent at list prices of autumn 2026, for the client's own totals only.
fn cost_usd(model: &str, counts: &Counts) -> f64 {
    let [input, output, write_5m, write_1h, read] = match model {
        "claude-opus-5-5" => [4.0, 20.0, 5.0, 8.0, 0.2],
        "claude-sonnet-5-5" => [2.0, 10.0, 2.5, 4.0, 0.1],
        _ => [0.1, 0.5, 0.125, 0.2, 0.01],
    };
    (counts.input as f64 * input
        + counts.output as f64 * output
        + counts.cache_write_5m as f64 * write_5m
        + counts.cache_write_1h as f64 * write_1h
        + counts.cache_read as f64 * read)
        / 1e6
}

// Points of distributions: a share and the value below which that share lies. The first three follow
// genuine transcripts; tables instead of logarithms give the same bytes on every platform.
const RESULT_BYTES: [(f64, f64); 11] = [
    (0.0, 800.0),
    (0.1, 1_000.0),
    (0.25, 1_500.0),
    (0.5, 3_800.0),
    (0.75, 10_800.0),
    (0.9, 36_000.0),
    (0.95, 68_000.0),
    (0.99, 225_000.0),
    (0.999, 600_000.0),
    (0.9999, 900_000.0),
    (1.0, 1_000_000.0),
];
const BLOCK_BYTES: [(f64, f64); 6] =
    [(0.0, 20.0), (0.3, 90.0), (0.5, 210.0), (0.9, 1_100.0), (0.99, 5_000.0), (1.0, 30_000.0)];
const PROMPT_BYTES: [(f64, f64); 4] = [(0.0, 5.0), (0.5, 120.0), (0.95, 1_500.0), (1.0, 20_000.0)];
const OUTPUT: [(f64, f64); 4] = [(0.0, 9.0), (0.5, 190.0), (0.9, 1_200.0), (1.0, 9_000.0)];
const CACHE_WRITE: [(f64, f64); 4] = [(0.0, 0.0), (0.5, 400.0), (0.9, 2_500.0), (1.0, 20_000.0)];
const TURNS: [(f64, f64); 4] = [(0.0, 1.0), (0.5, 4.0), (0.9, 12.0), (1.0, 50.0)];
const THINKING_MS: [(f64, f64); 4] = [(0.0, 3e3), (0.6, 90e3), (0.95, 1_800e3), (1.0, 30_000e3)];
const TOOL_MS: [(f64, f64); 4] = [(0.0, 20.0), (0.7, 900.0), (0.97, 20e3), (1.0, 120e3)];

/// Draws a value from a distribution given by points.
fn quantile(rng: &mut Rng, points: &[(f64, f64)]) -> u64 {
    let share = rng.f64();
    let end = points.partition_point(|point| point.0 <= share).clamp(1, points.len() - 1);
    let ((low, from), (high, to)) = (points[end - 1], points[end]);
    (from + (to - from) * (share - low) / (high - low)) as u64
}

/// Text of the kind that tools print, escaped for JSON, to cut pieces from.
struct Filler {
    text: String,
    /// Where a piece may begin and end without breaking an escape.
    cuts: Vec<usize>,
}

impl Filler {
    fn new(rng: &mut Rng, bytes: usize) -> Self {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut filler = Filler { text: String::with_capacity(bytes + 400), cuts: vec![0] };
        while filler.text.len() < bytes {
            filler.line(rng, &words);
        }
        filler
    }

    fn line(&mut self, rng: &mut Rng, words: &[&str]) {
        match rng.u32(0..400) {
            // Numbers quoted by a program, and a limit quoted by a person: both only text.
            0 => self.push(r#"{\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":40}}}"#),
            1 => self.push("You've hit your limit · resets 6pm (UTC)"),
            2 => self.push(r"C:\\src\\printer\\queue.rs"),
            3..=8 => self.push(r"\u001b[32mok\u001b[0m"),
            _ => {
                for _ in 0..rng.u32(0..2) {
                    self.push(r"\t");
                }
                for _ in 0..rng.u32(3..12) {
                    let word = words[rng.usize(0..words.len())];
                    self.word(rng, word);
                }
            }
        }
        self.push(r"\n");
    }

    fn word(&mut self, rng: &mut Rng, word: &str) {
        if rng.u32(0..16) == 0 {
            self.text.push_str(r#"\""#);
            self.text.push_str(word);
            self.push(r#"\","#);
        } else {
            self.text.push_str(word);
            self.push(" ");
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.cuts.push(self.text.len());
    }

    /// Finds a piece of about this many bytes, or the longest there is.
    fn slice(&self, rng: &mut Rng, bytes: usize) -> Range<usize> {
        let fitting = self.text.len().saturating_sub(bytes);
        let last = self.cuts.partition_point(|cut| *cut <= fitting).max(1);
        let start = self.cuts[rng.usize(0..last)];
        let end = self.cuts.partition_point(|cut| *cut <= start + bytes).max(1);
        start..self.cuts[end - 1].max(start)
    }

    fn take(&self, rng: &mut Rng, lengths: &[(f64, f64)]) -> &str {
        let bytes = quantile(rng, lengths) as usize;
        &self.text[self.slice(rng, bytes)]
    }
}

const WORDS: &str = "fn let self.queue match return Result<()> => error warning: test ok (0.03s) src/main.rs \
    the order of printer jobs is kept when a page fails const export import useEffect Button props { } (); == \
    0x1f 128 select from where größer naïve 日本語 → async await customer_id checkout |";

/// A version 4 UUID.
#[derive(Clone, Copy, PartialEq)]
struct Uuid(u128);

impl Uuid {
    fn new(rng: &mut Rng) -> Self {
        Uuid(rng.u128(..) & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62)
    }
}

impl Display for Uuid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        let (a, b, c) = (bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff);
        let (d, e) = (bits >> 48 & 0xffff, bits & 0xffff_ffff_ffff);
        write!(out, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

/// A moment in Unix milliseconds, shown as RFC 3339 in UTC.
struct Stamp(i64);

impl Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (ms / HOUR_MS, ms / MINUTE_MS % 60);
        let (second, ms) = (ms / SECOND_MS % 60, ms % SECOND_MS);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in Unix milliseconds, shown as the time of day that limit texts name: `6pm`, `6:30pm`.
struct Clock(i64);

impl Display for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.rem_euclid(DAY_MS) / MINUTE_MS;
        let (hour, minute) = (minutes / 60, minutes % 60);
        write!(out, "{}", (hour + 11) % 12 + 1)?;
        if minute > 0 {
            write!(out, ":{minute:02}")?;
        }
        out.write_str(if hour < 12 { "am" } else { "pm" })
    }
}

/// Turns days since 1970-01-01 into year, month and day.
///
/// Howard Hinnant's `civil_from_days`: years that begin in March put the leap day last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A value or JSON's `null`.
struct Nullable<T>(Option<T>);

impl<T: Display> Display for Nullable<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(out, "\"{value}\""),
            None => out.write_str("null"),
        }
    }
}

/// An id of a prefix and random letters and digits.
fn token(rng: &mut Rng, prefix: &str, length: usize) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    id.extend((0..length).map(|_| rng.alphanumeric()));
    id
}

/// Appends a template, each `@` of it replaced by the next value, so that the JSON stays readable.
fn put(out: &mut String, template: &str, values: &[&dyn Display]) {
    debug_assert_eq!(template.matches('@').count(), values.len(), "values for {template}");
    let mut pieces = template.split('@');
    out.push_str(pieces.next().unwrap_or(""));
    for (piece, value) in pieces.zip(values) {
        // Writing to a string never fails.
        let _ = write!(out, "{value}");
        out.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use serde_json::Value;

    use super::*;

    /// A folder that goes when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("corpus-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            Folder(folder)
        }

        fn transcripts(&self) -> Vec<PathBuf> {
            let mut found = Vec::new();
            let mut folders = vec![self.0.clone()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|end| end == "jsonl")
                        && !path.ends_with("journal.jsonl")
                    {
                        found.push(path);
                    }
                }
            }
            found.sort();
            found
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// What is known of a message: output and other counts, earliest time, owner, model.
    type Known = ((u64, Counts), String, (bool, String, String), String);

    /// Reads everything again, slowly, by the rules that [`Truth`] states.
    #[derive(Default)]
    struct Reader {
        truth: Truth,
        known: HashMap<(String, usize), Known>,
        hits: BTreeSet<String>,
    }

    impl Reader {
        fn read(folder: &Folder) -> Truth {
            let mut reader = Reader::default();
            for path in folder.transcripts() {
                reader.file(&path);
            }
            for ((_, counts), time, owner, model) in reader.known.values() {
                let truth = &mut reader.truth;
                truth.messages += 1;
                truth.totals.add(counts);
                truth.by_day_model.entry((time[..10].into(), model.clone())).or_default().add(counts);
                truth.by_conversation.entry(owner.2.clone()).or_default().add(counts);
            }
            reader.truth.limit_hits = reader.hits.len() as u64;
            reader.truth
        }

        fn file(&mut self, path: &Path) {
            let bytes = fs::read(path).unwrap();
            self.truth.files += 1;
            self.truth.bytes += bytes.len() as u64;
            let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            let tail = lines.pop().unwrap();
            assert!(tail.is_empty() || serde_json::from_slice::<Value>(tail).is_err());
            self.truth.torn_files += u64::from(!tail.is_empty());
            let name = path.file_name().unwrap().to_string_lossy();
            let mut first = None;
            for line in lines {
                self.truth.lines += 1;
                let Ok(line) = serde_json::from_slice::<Value>(line) else {
                    self.truth.damaged_lines += 1;
                    continue;
                };
                let time = line["timestamp"].as_str().map(str::to_owned);
                first = first.or(time);
                let age = first.clone().unwrap_or_default();
                self.line(
                    &line,
                    (name.starts_with("agent-"), age, line["sessionId"].to_string().replace('"', "")),
                );
            }
        }

        fn line(&mut self, line: &Value, owner: (bool, String, String)) {
            let stated = match line["type"].as_str() {
                Some("assistant") => line,
                Some("progress") if line["data"]["message"]["type"] == "assistant" => {
                    &line["data"]["message"]
                }
                _ => return,
            };
            let (message, time) = (&stated["message"], stated["timestamp"].as_str().unwrap());
            if message["model"] == "<synthetic>" {
                let text = message["content"][0]["text"].as_str().unwrap();
                if text.contains("limit") && (text.contains("resets") || text.contains('|')) {
                    self.hits.insert(line["uuid"].to_string());
                }
                return;
            }
            self.truth.usage_lines += 1;
            self.know(
                message["id"].to_string(),
                0,
                message["model"].as_str(),
                &message["usage"],
                time,
                &owner,
            );
            for (index, entry) in message["usage"]["iterations"].as_array().into_iter().flatten().enumerate()
            {
                if entry["type"] == "advisor_message" {
                    self.know(message["id"].to_string(), index, entry["model"].as_str(), entry, time, &owner);
                }
            }
        }

        fn know(
            &mut self,
            id: String,
            index: usize,
            model: Option<&str>,
            usage: &Value,
            time: &str,
            owner: &(bool, String, String),
        ) {
            let number = |key: &str| usage[key].as_u64().unwrap_or(0);
            let nested = |key: &str| usage["cache_creation"][key].as_u64();
            let counts = Counts {
                messages: 1,
                input: number("input_tokens"),
                output: number("output_tokens"),
                cache_write_5m: nested("ephemeral_5m_input_tokens")
                    .unwrap_or_else(|| number("cache_creation_input_tokens")),
                cache_write_1h: nested("ephemeral_1h_input_tokens").unwrap_or(0),
                cache_read: number("cache_read_input_tokens"),
            };
            let new = ((counts.output, counts), time.to_owned(), owner.clone(), model.unwrap().to_owned());
            let known = self.known.entry((id, index)).or_insert_with(|| new.clone());
            if new.0.0 > known.0.0 {
                known.0 = new.0;
            }
            known.1 = new.1.min(known.1.clone());
            known.2 = new.2.min(known.2.clone());
        }
    }

    #[test]
    fn truth_agrees_with_a_naive_reader() {
        for seed in 0..6 {
            let folder = Folder::new(&format!("truth-{seed}"));
            let truth = Corpus::new(seed, 3_000_000).write(&folder.0).unwrap();
            assert_eq!(truth, Reader::read(&folder), "seed {seed}");
            assert!(truth.bytes >= 3_000_000 && truth.messages > 100, "{truth:?}");
        }
    }

    #[test]
    fn equal_seeds_give_equal_bytes() {
        let (one, two) = (Folder::new("one"), Folder::new("two"));
        let corpus = Corpus::new(7, 1_000_000);
        assert_eq!(corpus.write(&one.0).unwrap(), corpus.write(&two.0).unwrap());
        let relative = |folder: &Folder| -> Vec<_> {
            let files = folder.transcripts().into_iter();
            files
                .map(|path| (path.strip_prefix(&folder.0).unwrap().to_owned(), fs::read(path).unwrap()))
                .collect()
        };
        assert!(relative(&one) == relative(&two));
        let other = Folder::new("other");
        Corpus::new(8, 1_000_000).write(&other.0).unwrap();
        assert!(relative(&one) != relative(&other));
    }

    #[test]
    fn no_line_is_later_than_the_end() {
        let folder = Folder::new("end");
        let corpus = Corpus { days: 1, ..Corpus::new(3, 2_000_000) };
        let truth = corpus.write(&folder.0).unwrap();
        let days: BTreeSet<&str> = truth.by_day_model.keys().map(|(day, _)| day.as_str()).collect();
        assert_eq!(days, BTreeSet::from(["2026-11-19", "2026-11-20"]));
        let end = Stamp(corpus.end_unix_seconds * SECOND_MS).to_string();
        for path in folder.transcripts() {
            for line in fs::read(path).unwrap().split(|byte| *byte == b'\n') {
                let line: Value = serde_json::from_slice(line).unwrap_or_default();
                assert!(line["timestamp"].as_str().is_none_or(|time| time <= end.as_str()), "{line}");
            }
        }
    }

    #[test]
    fn a_live_history_is_due_step_by_step_and_hits_a_limit() {
        let folder = Folder::new("live");
        let start = 1_795_176_000_000;
        let mut live = Live::new(1, &folder.0, start).unwrap();
        let mut now = start;
        while now < start + 2 * MINUTE_MS {
            now += live.step(now).unwrap() as i64;
        }
        let files = folder.transcripts();
        let lines: Vec<Value> = files
            .iter()
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect();
        assert!(files.len() >= 6 && lines.len() > 60, "{} lines in {} files", lines.len(), files.len());
        let hits: Vec<&Value> = lines.iter().filter(|line| line["quotaLimits"].is_object()).collect();
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0]["quotaLimits"]["rateLimitType"], "five_hour");
        let latest = lines.iter().filter_map(|line| line["timestamp"].as_str()).max().unwrap();
        assert!(latest <= Stamp(now).to_string().as_str(), "{latest}");
    }

    #[test]
    fn moments_are_shown_as_clients_show_them() {
        assert_eq!(Stamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Stamp(1_709_164_799_001).to_string(), "2024-02-28T23:59:59.001Z");
        assert_eq!(Stamp(1_709_251_200_000).to_string(), "2024-03-01T00:00:00.000Z");
        assert_eq!(Stamp(1_795_176_000_000).to_string(), "2026-11-20T12:00:00.000Z");
        assert_eq!(Clock(0).to_string(), "12am");
        assert_eq!(Clock(12 * HOUR_MS + 30 * MINUTE_MS).to_string(), "12:30pm");
        assert_eq!(slug(r"C:\src\x.y_z"), "C--src-x-y-z");
    }

    #[test]
    fn a_restamped_copy_has_one_time_and_no_request() {
        let line = r#"{"requestId":"req_1","a":"\"timestamp\":\"x","timestamp":"2026-01-01T00:00:00.000Z"}"#;
        let copy = restamped(line, "2026-02-02T00:00:00.000Z");
        assert_eq!(copy, r#"{"a":"\"timestamp\":\"x","timestamp":"2026-02-02T00:00:00.000Z"}"#);
    }
}
