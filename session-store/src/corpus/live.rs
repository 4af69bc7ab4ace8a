//! A history that goes on as time passes, for demonstrations.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Counts;
use super::chance::uuid;
use super::client::{HAIKU_5_5, NEWEST, OPUS_5_5, Outputs, SONNET_5_5, slug};
use super::clock::{MINUTE_MS, SECOND_MS};
use super::notice::Window;
use super::response::{Response, Tool};
use super::scribe::{Scribe, Teller};

/// Working folders and models of the conversations.
const CAST: [(&str, &str); 5] = [
    ("/home/dev/shop/frontend", OPUS_5_5),
    ("/home/dev/shop/backend", SONNET_5_5),
    ("/home/dev/notes", HAIKU_5_5),
    ("/home/dev/shop/backend", OPUS_5_5),
    ("/home/dev/infra_tools", SONNET_5_5),
];

/// Writes a history that goes on: five conversations in four projects, one with sub-agents.
///
/// About forty seconds after the start one conversation hits its five-hour limit, which resets eleven
/// minutes after the start. Lines appear only when [`Live::step`] is called and carry the time they were due.
pub struct Live {
    actors: Vec<Actor>,
    stage: Stage,
    reset_ms: i64,
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
        let reset_ms = (start_unix_ms + 11 * MINUTE_MS) / SECOND_MS * SECOND_MS;
        let mut actors = Vec::new();
        for (index, (cwd, model)) in CAST.into_iter().enumerate() {
            let clock = start_unix_ms + index as i64 * 900;
            let teller = Teller {
                model,
                context: 18_000,
                outputs: Outputs::Growing,
                asks_advisor: false,
                ..Teller::new(&mut scribe.rng, NEWEST, cwd, clock)
            };
            let folder = config_dir.join("projects").join(slug(cwd)).join(&teller.session);
            fs::create_dir_all(folder.join("subagents"))?;
            let mut actor = Actor::new(teller, folder.with_extension("jsonl"));
            actor.delegates = index == 0;
            actor.limit = (index == 1).then_some(Limit { hit_ms: start_unix_ms + 40 * SECOND_MS, reset_ms });
            actors.push(actor);
        }
        Ok(Live { actors, stage: Stage { scribe, due: BTreeMap::new(), planned: 0 }, reset_ms })
    }

    /// Returns when the five-hour limit is reset, in Unix milliseconds.
    pub fn resets_at_unix_ms(&self) -> i64 {
        self.reset_ms
    }

    /// Appends what happens up to `now_unix_ms` and returns the milliseconds until the next line is due.
    ///
    /// The answer is at least one. After a long pause all that was missed is written at once.
    ///
    /// # Errors
    ///
    /// When a file cannot be opened or written.
    pub fn step(&mut self, now_unix_ms: i64) -> io::Result<u64> {
        for actor in &mut self.actors {
            while actor.teller.clock <= now_unix_ms {
                self.stage.turn(actor);
            }
        }
        while let Some(entry) = self.stage.due.first_entry() {
            if entry.key().0 > now_unix_ms {
                break;
            }
            let (path, line) = entry.remove();
            OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?;
        }
        let line = self.stage.due.keys().next().map(|key| key.0);
        let next = self.actors.iter().map(|actor| actor.teller.clock).chain(line).min();
        Ok(next.map_or(1, |next| next.saturating_sub(now_unix_ms).max(1) as u64))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Live").field("planned", &self.stage.planned).finish_non_exhaustive()
    }
}

/// A conversation or a sub-agent; its clock says when the next turn or line begins.
struct Actor {
    teller: Teller,
    path: PathBuf,
    /// Whether it uses sub-agents.
    delegates: bool,
    /// The limit that it is to hit.
    limit: Option<Limit>,
    turns: u32,
}

/// When a limit is hit, and when it is reset.
#[derive(Clone, Copy)]
struct Limit {
    hit_ms: i64,
    reset_ms: i64,
}

impl Actor {
    fn new(teller: Teller, path: PathBuf) -> Self {
        Actor { teller, path, delegates: false, limit: None, turns: 0 }
    }
}

/// Plans turns line by line.
struct Stage {
    scribe: Scribe,
    /// Lines by time and order of planning, with their files.
    due: BTreeMap<(i64, u64), (PathBuf, String)>,
    planned: u64,
}

impl Stage {
    /// Plans one turn of a conversation and the pause after it.
    fn turn(&mut self, actor: &mut Actor) {
        if actor.turns == 0 {
            for operation in ["enqueue", "dequeue"] {
                self.scribe.queue_operation(&actor.teller, operation);
                self.plan(actor);
            }
        }
        actor.teller.prompt = uuid(&mut self.scribe.rng);
        self.scribe.prompt(&mut actor.teller);
        self.plan(actor);
        let responses = self.scribe.rng.u32(3..9);
        for number in 1..=responses {
            actor.teller.clock += self.scribe.rng.i64(1_200..4_000);
            if let Some(limit) = actor.limit.take_if(|limit| actor.teller.clock >= limit.hit_ms) {
                self.hit_limit(actor, limit);
                break;
            }
            let delegates = actor.delegates && number == 2 && actor.turns.is_multiple_of(2);
            let tool = if delegates { Tool::Agent } else { self.scribe.plain_tool() };
            self.step(actor, (number < responses).then_some(tool));
        }
        actor.turns += 1;
        if actor.teller.context > 150_000 {
            self.scribe.compact_boundary(&mut actor.teller);
            self.plan(actor);
        }
        // A person reads the answer, and now and then goes for a coffee.
        actor.teller.clock += match self.scribe.rng.u32(0..4) {
            0 => self.scribe.rng.i64(15_000..40_000),
            _ => self.scribe.rng.i64(3_000..12_000),
        };
    }

    /// Plans a response and what its tool says.
    fn step(&mut self, actor: &mut Actor, tool: Option<Tool>) {
        let response = self.respond(actor, tool, 2_500);
        match tool {
            None => _ = self.scribe.turn_duration(&mut actor.teller),
            Some(Tool::Agent) => {
                let (id, spent) = self.sub_agent(actor);
                self.scribe.agent_result(&mut actor.teller, &response, &id, &spent);
            }
            Some(_) => {
                actor.teller.clock += self.scribe.rng.i64(500..5_000);
                self.scribe.tool_result(&mut actor.teller, &response, 2_000);
            }
        }
        self.plan(actor);
    }

    fn respond(&mut self, actor: &mut Actor, tool: Option<Tool>, pause_ms_max: i64) -> Response {
        let mut response = self.scribe.response(&mut actor.teller, tool);
        while self.scribe.next_block(&mut actor.teller, &mut response).is_some() {
            self.plan(actor);
            response.at_ms += self.scribe.rng.i64(300..pause_ms_max);
        }
        actor.teller.clock = response.at_ms;
        response
    }

    /// Plans the work of a sub-agent; returns its id and what it spent.
    fn sub_agent(&mut self, parent: &mut Actor) -> (String, Counts) {
        let id = NEWEST.agent_id(&mut self.scribe.rng);
        let teller = Teller { model: NEWEST.helper, context: 9_000, ..parent.teller.agent(&id) };
        let path = parent.path.with_extension("").join(format!("subagents/agent-{id}.jsonl"));
        let mut actor = Actor::new(teller, path);
        let mut spent = Counts::default();
        self.scribe.prompt(&mut actor.teller);
        self.plan(&actor);
        let responses = self.scribe.rng.u32(2..6);
        for number in 1..=responses {
            actor.teller.clock += self.scribe.rng.i64(800..2_500);
            let tool = (number < responses).then_some(Tool::Shell);
            let response = self.respond(&mut actor, tool, 1_500);
            actor.teller.clock += 400;
            spent.add(&response.counts);
            if tool.is_some() {
                self.scribe.tool_result(&mut actor.teller, &response, 1_500);
                self.plan(&actor);
            }
        }
        parent.teller.clock = actor.teller.clock;
        (id, spent)
    }

    /// Ends the turn at a limit; the actor waits until it resets.
    fn hit_limit(&mut self, actor: &mut Actor, Limit { reset_ms, .. }: Limit) {
        self.scribe.limit(&mut actor.teller, Window::FiveHour, reset_ms);
        self.plan(actor);
        actor.teller.clock = reset_ms + self.scribe.rng.i64(2_000..9_000);
    }

    /// Puts the line just rendered on the plan.
    fn plan(&mut self, actor: &Actor) {
        self.planned += 1;
        let line = format!("{}\n", self.scribe.line);
        self.due.insert((actor.teller.clock, self.planned), (actor.path.clone(), line));
    }
}
