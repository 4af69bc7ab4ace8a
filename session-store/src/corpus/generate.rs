//! Conversations of a finished history, turn by turn, until the corpus has its size.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::chance::{RESULT_BYTES, THINKING_MS, TOOL_MS, TURNS, quantile, uuid};
use super::client::{ADVISOR, Client, Era, slug};
use super::clock::{DAY_MS, MINUTE_MS, SECOND_MS, start_of_work};
use super::notice::Window;
use super::response::{Response, Tool};
use super::scribe::{Scribe, Teller};
use super::transcript::{Says, Transcript};
use super::{Corpus, Counts, Truth};

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

pub(super) fn write(corpus: &Corpus, config_dir: &Path) -> io::Result<Truth> {
    let end_ms = corpus.end_unix_seconds * SECOND_MS;
    let mut generator = Generator {
        projects: config_dir.join("projects"),
        scribe: Scribe::new(corpus.seed, 1 << 20),
        truth: Truth::default(),
        bytes: corpus.bytes,
        result_bytes_max: (corpus.bytes / 40).clamp(4_000, 1_000_000),
        conversation_bytes_max: (corpus.bytes / 12).max(40_000),
        start_ms: end_ms - i64::from(corpus.days.max(1)) * DAY_MS,
        end_ms,
    };
    while generator.truth.bytes < corpus.bytes {
        generator.conversation()?;
    }
    Ok(generator.truth)
}

/// Writes the files of a [`Corpus`] and keeps its truth.
pub(super) struct Generator {
    projects: PathBuf,
    pub(super) scribe: Scribe,
    pub(super) truth: Truth,
    /// Size of the whole history, see [`Corpus::bytes`].
    pub(super) bytes: u64,
    /// No tool result is longer, so that a small corpus still has many files.
    result_bytes_max: u64,
    /// No main transcript grows much beyond it.
    conversation_bytes_max: u64,
    start_ms: i64,
    pub(super) end_ms: i64,
}

/// A main transcript being written.
pub(super) struct Conversation {
    pub(super) teller: Teller,
    pub(super) main: Transcript,
    pub(super) folder: PathBuf,
    /// Spent so far, for the client's own `cost-state` lines.
    spent: BTreeMap<&'static str, Counts>,
    /// The last response as a `message` object, for replays by sub-agents.
    pub(super) last_message: String,
}

impl Generator {
    /// Writes one conversation with its sub-agents and, now and then, its forks.
    fn conversation(&mut self) -> io::Result<()> {
        let rng = &mut self.scribe.rng;
        let cwd = PROJECTS[rng.usize(0..PROJECTS.len())];
        let clock = start_of_work(rng, self.start_ms, self.end_ms);
        let age = (self.end_ms - clock) as f64 / (self.end_ms - self.start_ms) as f64;
        let client = Client::of_age(rng, age);
        let mut teller = Teller::new(rng, client, cwd, clock);
        let forks = if rng.f64() < 0.05 { rng.u32(1..3) } else { 0 };
        teller.model = client.main[rng.usize(0..client.main.len())];
        let turns = quantile(rng, TURNS);
        let mut conversation = self.open(teller, self.projects.join(slug(cwd)))?;
        conversation.main.copies = (forks > 0).then(Vec::new);
        self.header(&mut conversation)?;
        self.turns(&mut conversation, turns)?;
        self.close(&mut conversation)?;
        for _ in 0..forks {
            self.fork(&conversation)?;
        }
        Ok(())
    }

    pub(super) fn open(&mut self, teller: Teller, folder: PathBuf) -> io::Result<Conversation> {
        let path = folder.join(format!("{}.jsonl", teller.session));
        let main = Transcript::create(&path, &mut self.scribe.rng)?;
        let teller = Teller { context: self.scribe.rng.u64(12_000..24_000), ..teller };
        let (spent, last_message) = (BTreeMap::new(), String::new());
        Ok(Conversation { teller, main, folder, spent, last_message })
    }

    /// Writes the lines that a client puts first.
    pub(super) fn header(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, .. } = conversation;
        let era = teller.client.era;
        if era <= Era::Siblings && self.scribe.rng.u32(0..3) == 0 {
            main.note(self.scribe.summary())?;
        }
        if era >= Era::Siblings {
            main.note(self.scribe.queue_operation(teller, "dequeue"))?;
            teller.clock += 40;
        }
        if era >= Era::Newest {
            for template in [
                r#"{"type":"mode","mode":"normal","sessionId":"@"}"#,
                r#"{"type":"atis-latch","atis":"","sessionId":"@"}"#,
            ] {
                main.note(self.scribe.note(template, &[&teller.session]))?;
            }
        }
        if era >= Era::Final {
            for _ in 0..self.scribe.rng.u32(1..4) {
                main.say(self.scribe.attachment(teller), Says::Nothing)?;
            }
        }
        Ok(())
    }

    pub(super) fn turns(&mut self, conversation: &mut Conversation, count: u64) -> io::Result<()> {
        for _ in 0..count {
            self.turn(conversation)?;
            conversation.teller.clock += quantile(&mut self.scribe.rng, THINKING_MS) as i64;
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
            || self.truth.bytes + bytes >= self.bytes
            || conversation.teller.clock >= self.end_ms - 15 * MINUTE_MS
    }

    fn turn(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        self.prompt(conversation)?;
        let responses = self.scribe.rng.u32(1..12);
        for number in 1..=responses {
            conversation.teller.clock += self.scribe.rng.i64(1_500..20_000);
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
        let Conversation { teller, main, .. } = conversation;
        if teller.client.era >= Era::Echoes {
            main.say(self.scribe.turn_duration(teller), Says::Nothing)?;
        }
        if teller.context > 150_000 {
            self.compact(conversation)?;
        }
        Ok(())
    }

    fn prompt(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, .. } = conversation;
        teller.prompt = uuid(&mut self.scribe.rng);
        if teller.client.era >= Era::Inline {
            main.note(self.scribe.snapshot(teller))?;
        }
        main.say(self.scribe.prompt(teller), Says::Nothing)
    }

    /// Lets something go wrong now and then: a limit, a busy server, a lost connection.
    fn mishap(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, .. } = conversation;
        let line = match self.scribe.rng.u32(0..1_000) {
            0..=1 => {
                let window = if self.scribe.rng.u32(0..4) == 0 { Window::Week } else { Window::FiveHour };
                let reset_ms =
                    (teller.clock / (10 * MINUTE_MS) + self.scribe.rng.i64(1..18)) * 10 * MINUTE_MS;
                let line = self.scribe.limit(teller, window, reset_ms);
                self.truth.limit_hits += 1;
                teller.clock = (reset_ms + MINUTE_MS).min(self.end_ms - MINUTE_MS).max(teller.clock);
                line
            }
            2..=3 => self.scribe.throttle(teller),
            4..=5 => self.scribe.no_response(teller),
            6..=9 => self.scribe.retry(teller),
            10..=29 => return main.note(self.scribe.queue_operation(teller, "enqueue")),
            30..=99 if teller.client.era >= Era::Final => self.scribe.attachment(teller),
            30..=199 if teller.client.era == Era::Echoes => self.scribe.shell_progress(teller),
            _ => return Ok(()),
        };
        main.say(line, Says::Nothing)
    }

    /// Writes one response of the main conversation, line by line, and counts it.
    fn respond(&mut self, conversation: &mut Conversation, tool: Option<Tool>) -> io::Result<Response> {
        let Conversation { teller, main, last_message, .. } = conversation;
        let mut response = self.scribe.response(teller, tool);
        while let Some(line) = self.scribe.next_block(teller, &mut response) {
            main.say(line, Says::Usage)?;
            response.at_ms += self.scribe.pause_ms();
        }
        last_message.clone_from(&self.scribe.message);
        self.count(conversation, &response);
        Ok(response)
    }

    pub(super) fn count(&mut self, conversation: &mut Conversation, response: &Response) {
        let Conversation { teller, spent, .. } = conversation;
        let advice = response.advice.as_ref().map(|counts| (ADVISOR, counts));
        for (model, counts) in [(response.model, &response.counts)].into_iter().chain(advice) {
            self.truth.count(teller.session.clone(), response.first_ms, model, counts);
            spent.entry(model).or_default().add(counts);
        }
    }

    fn run_tool(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        match call.tool {
            Some(Tool::Agent) => return self.delegate(conversation, call),
            Some(Tool::Workflow) => return self.workflow(conversation, call),
            _ => {}
        }
        let Conversation { teller, main, .. } = conversation;
        main.say(self.tool_result(teller, call), Says::Nothing)
    }

    /// Lets a tool run for a while and renders its result.
    pub(super) fn tool_result(&mut self, teller: &mut Teller, call: &Response) -> &str {
        let bytes = quantile(&mut self.scribe.rng, RESULT_BYTES).min(self.result_bytes_max);
        teller.clock += quantile(&mut self.scribe.rng, TOOL_MS) as i64;
        self.scribe.tool_result(teller, call, bytes)
    }

    /// Shortens a full context: an agent writes the summary, then a boundary line and the summary follow.
    fn compact(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        conversation.teller.clock += 5 * SECOND_MS;
        if conversation.teller.client.era >= Era::Final {
            self.summarize(conversation)?;
        }
        let Conversation { teller, main, .. } = conversation;
        main.say(self.scribe.compact_boundary(teller), Says::Nothing)?;
        // The summary comes a moment later, which the clock itself does not count.
        teller.clock += 1;
        main.say(self.scribe.prompt(teller), Says::Nothing)?;
        teller.clock -= 1;
        Ok(())
    }

    /// Writes the lines that a client puts last and ends the file.
    pub(super) fn close(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let Conversation { teller, main, spent, .. } = conversation;
        if teller.client.era >= Era::Final {
            main.note(self.scribe.last_prompt(teller))?;
        }
        if teller.client.era >= Era::Newest {
            main.note(self.scribe.cost_state(teller, spent))?;
        }
        self.finish(main, teller)
    }

    pub(super) fn finish(&mut self, file: &mut Transcript, teller: &Teller) -> io::Result<()> {
        let torn = self.scribe.torn_line(teller);
        file.finish(torn, teller.last_ms, &mut self.truth)
    }
}
