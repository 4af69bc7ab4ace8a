//! Lines rendered into a buffer that every line reuses, and the envelope around them.

use std::fmt::{Display, Write as _};
use std::mem;

use fastrand::Rng;

use super::chance::{Points, uuid};
use super::client::{Client, Era, Outputs};
use super::clock::stamp;
use super::filler::Filler;

/// Who speaks in a line, when and how: the client, the conversation, the sub-agent.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) client: &'static Client,
    pub(super) session: String,
    /// Working folder, escaped for JSON.
    pub(super) cwd: String,
    /// Id of the sub-agent, where it is one.
    pub(super) agent: Option<String>,
    pub(super) model: &'static str,
    /// Tokens that the model keeps in mind.
    pub(super) context: u64,
    pub(super) outputs: Outputs,
    pub(super) asks_advisor: bool,
    pub(super) prompt: String,
    /// Id of the last line as JSON, `null` before the first.
    pub(super) parent: String,
    /// Time of the last line, in Unix milliseconds.
    pub(super) last_ms: i64,
    /// Time of the next line, in Unix milliseconds.
    pub(super) clock: i64,
}

impl Teller {
    pub(super) fn new(rng: &mut Rng, client: &'static Client, cwd: &str, clock: i64) -> Self {
        Teller {
            client,
            session: uuid(rng),
            cwd: cwd.replace('\\', r"\\"),
            agent: None,
            model: client.main[0],
            context: 0,
            outputs: client.outputs,
            asks_advisor: client.era >= Era::Newest,
            prompt: uuid(rng),
            parent: "null".to_owned(),
            last_ms: clock,
            clock,
        }
    }

    /// Lets a sub-agent speak in the same conversation.
    pub(super) fn agent(&self, id: &str) -> Self {
        let (agent, parent) = (Some(id.to_owned()), "null".to_owned());
        Teller { agent, parent, asks_advisor: false, ..self.clone() }
    }
}

/// Renders lines; what they are is found in the files of their kinds.
pub(super) struct Scribe {
    pub(super) rng: Rng,
    pub(super) filler: Filler,
    /// The line rendered last, without its newline.
    pub(super) line: String,
    /// The `message` object of that line and the request behind it, where it has them.
    pub(super) message: String,
    pub(super) request: String,
}

impl Scribe {
    pub(super) fn new(seed: u64, filler_bytes: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let filler = Filler::new(&mut rng, filler_bytes);
        let (line, message, request) = (String::new(), String::new(), String::new());
        Scribe { rng, filler, line, message, request }
    }

    /// Draws the time between two lines of a response; now and then there is none.
    pub(super) fn pause_ms(&mut self) -> i64 {
        if self.rng.u32(0..12) == 0 { 0 } else { self.rng.i64(1..2_500) }
    }

    pub(super) fn text(&mut self, lengths: &Points) -> String {
        self.filler.take(&mut self.rng, lengths).to_owned()
    }

    /// Renders a line that needs no more than its body.
    pub(super) fn entry(&mut self, teller: &mut Teller, body: &str, values: &[&dyn Display]) -> &str {
        self.wrap(teller, &fill(body, values), "")
    }

    /// Renders a line: body and tail in the envelope of the teller's client, with an id and the time.
    pub(super) fn wrap(&mut self, teller: &mut Teller, body: &str, tail: &str) -> &str {
        let uuid = format!(r#""{}""#, uuid(&mut self.rng));
        let parent = mem::replace(&mut teller.parent, uuid);
        teller.last_ms = teller.clock;
        let Teller { client, session, cwd, agent, prompt, .. } = teller;
        let is_sidechain = agent.is_some();
        let named = agent.as_ref().filter(|_| client.era >= Era::Siblings);
        let agent = named.map(|agent| format!(r#""agentId":"{agent}","#)).unwrap_or_default();
        let place = r#""cwd":"@","sessionId":"@","version":"@","gitBranch":"main""#;
        let place = fill(place, &[cwd, session, &client.version]);
        let (head, end) = if client.era < Era::Final {
            (format!(r#""userType":"external",{place},{agent}"#), String::new())
        } else {
            let end = format!(r#","userType":"external","entrypoint":"cli",{place}"#);
            (format!(r#"{agent}"promptId":"{prompt}","#), end)
        };
        let template = r#"{"parentUuid":@,"isSidechain":@,@@,"uuid":@,"timestamp":"@"@@}"#;
        let time = stamp(teller.clock);
        self.note(template, &[&parent, &is_sidechain, &head, &body, &teller.parent, &time, &tail, &end])
    }

    /// Renders a line without an envelope.
    pub(super) fn note(&mut self, template: &str, values: &[&dyn Display]) -> &str {
        self.line.clear();
        put(&mut self.line, template, values);
        &self.line
    }
}

/// Fills a template: each `@` of it is replaced by the next value, so that the JSON stays readable.
pub(super) fn fill(template: &str, values: &[&dyn Display]) -> String {
    let mut text = String::new();
    put(&mut text, template, values);
    text
}

/// Appends a filled template.
pub(super) fn put(out: &mut String, template: &str, values: &[&dyn Display]) {
    debug_assert_eq!(template.matches('@').count(), values.len(), "values for {template}");
    let mut pieces = template.split('@');
    out.push_str(pieces.next().unwrap_or(""));
    for (piece, value) in pieces.zip(values) {
        // Writing to a string never fails.
        let _ = write!(out, "{value}");
        out.push_str(piece);
    }
}
