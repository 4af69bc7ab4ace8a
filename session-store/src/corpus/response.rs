//! Answers of the API: what they spend, and the lines over which a client spreads them.

use fastrand::Rng;

use super::Counts;
use super::chance::{BLOCK_BYTES, CACHE_WRITE, OUTPUT, quantile, token};
use super::client::{ADVISOR, Client, Era, Outputs};
use super::scribe::{Scribe, Teller, fill};

/// One answer of the API, which becomes one line for each block of its content.
pub(super) struct Response {
    id: String,
    request: String,
    pub(super) model: &'static str,
    /// What it spent; the output is the greatest that a line states.
    pub(super) counts: Counts,
    /// The output that each line states.
    outputs: Vec<u64>,
    /// What asking the advisor spent.
    pub(super) advice: Option<Counts>,
    pub(super) tool: Option<Tool>,
    pub(super) tool_id: String,
    pub(super) first_ms: i64,
    /// Time of the line last rendered, and of the next one.
    pub(super) at_ms: i64,
    /// Lines rendered so far.
    step: usize,
    searches: u32,
    quirk: Quirk,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Tool {
    Shell,
    Read,
    Edit,
    /// A tool whose argument is named `usage`.
    Billing,
    Agent,
    Workflow,
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

impl Scribe {
    pub(super) fn tool(&mut self, client: &Client) -> Tool {
        match self.rng.u32(0..1_000) {
            0..=39 => Tool::Agent,
            40..=43 if client.era >= Era::Final => Tool::Workflow,
            _ => self.plain_tool(),
        }
    }

    /// Draws a tool that runs no sub-agents.
    pub(super) fn plain_tool(&mut self) -> Tool {
        match self.rng.u32(0..400) {
            0 => Tool::Billing,
            1..=180 => Tool::Shell,
            181..=300 => Tool::Read,
            _ => Tool::Edit,
        }
    }

    /// Draws what a response spends and says; the context grows by it.
    pub(super) fn response(&mut self, teller: &mut Teller, tool: Option<Tool>) -> Response {
        let rng = &mut self.rng;
        let era = teller.client.era;
        let is_advised = teller.asks_advisor && rng.u32(0..40) == 0;
        let written = quantile(rng, CACHE_WRITE);
        let keeps_an_hour = era >= Era::Echoes && teller.agent.is_none();
        let one_hour = match keeps_an_hour.then(|| rng.u32(0..10)) {
            None => 0,
            Some(0) => written / 3,
            Some(_) => written,
        };
        let input = if rng.u32(0..12) == 0 { rng.u64(100..6_000) } else { rng.u64(1..12) };
        let spent = quantile(rng, OUTPUT);
        let outputs = outputs_by_line(rng, teller.outputs, spent);
        let counts = Counts {
            messages: 1,
            input,
            output: outputs.iter().copied().max().unwrap_or(0),
            cache_write_5m: written - one_hour,
            cache_write_1h: one_hour,
            cache_read: teller.context,
        };
        teller.context += written + spent + input;
        Response {
            id: token(rng, "msg_01", 22),
            request: token(rng, "req_011C", 20),
            model: teller.model,
            counts,
            outputs,
            advice: is_advised.then(|| advice(rng)),
            tool,
            tool_id: token(rng, "toolu_01", 22),
            first_ms: teller.clock,
            at_ms: teller.clock,
            step: 0,
            searches: if rng.u32(0..40) == 0 { rng.u32(1..4) } else { 0 },
            quirk: quirk(rng, era),
        }
    }

    /// Renders the next line of a response, if there is one.
    pub(super) fn next_block(&mut self, teller: &mut Teller, response: &mut Response) -> Option<&str> {
        let output = *response.outputs.get(response.step)?;
        let era = teller.client.era;
        teller.clock = response.at_ms;
        self.message = self.message_object(era, response, output);
        self.request.clone_from(&response.request);
        let index = format!(r#","apiBlockIndex":{}"#, response.step);
        let index = era.since(Era::Newest, &index);
        let template = r#""message":@@,"requestId":"@","type":"assistant""#;
        let body = fill(template, &[&self.message, &index, &response.request]);
        response.step += 1;
        Some(self.wrap(teller, &body, era.since(Era::Newest, r#","effort":"medium","madeBy":"model""#)))
    }

    /// Renders the beginning of a response that the client did not finish to write.
    pub(super) fn torn_line(&mut self, teller: &Teller) -> &[u8] {
        let mut teller = Teller {
            model: teller.client.helper,
            context: 9_000,
            outputs: Outputs::Final,
            asks_advisor: false,
            ..teller.clone()
        };
        let mut response = self.response(&mut teller, None);
        self.next_block(&mut teller, &mut response);
        let end = self.rng.usize(20..self.line.len());
        &self.line.as_bytes()[..end]
    }

    fn message_object(&mut self, era: Era, response: &Response, output: u64) -> String {
        let is_last = response.step + 1 == response.outputs.len();
        let model = format!(r#""model":"{}""#, response.model);
        let id = format!(r#""id":"{}","type":"message","role":"assistant""#, response.id);
        let is_model_first = matches!(era, Era::Siblings | Era::Echoes);
        let (first, second) = if is_model_first { (model, id) } else { (id, model) };
        let block = self.block(era, response, is_last);
        let stop = match (is_last || era >= Era::Final, response.tool) {
            (false, _) => "null",
            (true, Some(_)) => r#""tool_use""#,
            (true, None) => r#""end_turn""#,
        };
        let (usage, details) =
            (usage(era, response, output), era.since(Era::Final, r#","stop_details":null"#));
        let template = r#"{@,@,"content":[@],"stop_reason":@,"stop_sequence":null,"usage":@@}"#;
        fill(template, &[&first, &second, &block, &stop, &usage, &details])
    }

    fn block(&mut self, era: Era, response: &Response, is_last: bool) -> String {
        let text = self.filler.take(&mut self.rng, BLOCK_BYTES);
        let Some(tool) = response.tool.filter(|_| is_last) else {
            if is_last || response.step > 0 {
                return fill(r#"{"type":"text","text":"@"}"#, &[&text]);
            }
            let signature = token(&mut self.rng, "Et", 240);
            return fill(r#"{"type":"thinking","thinking":"@","signature":"@"}"#, &[&text, &signature]);
        };
        let (name, input) = match tool {
            Tool::Shell => ("Bash", r#""command":"@","description":"Run it""#),
            Tool::Read => ("Read", r#""file_path":"/home/dev/@","limit":200"#),
            Tool::Edit => ("Edit", r#""file_path":"/home/dev/a.rs","old_string":"","new_string":"@""#),
            Tool::Billing => (
                "mcp__billing__report",
                r#""query":"@","usage":{"input_tokens":5,"output_tokens":70007,"cache_read_input_tokens":9},"message":{"id":"msg_decoy","model":"claude-opus-5-5","usage":{"input_tokens":11,"output_tokens":99999}}"#,
            ),
            Tool::Agent => (
                if era >= Era::Final { "Agent" } else { "Task" },
                r#""description":"Look around","prompt":"@","subagent_type":"general-purpose""#,
            ),
            Tool::Workflow => ("Workflow", r#""script":"@","background":false"#),
        };
        let template = r#"{"type":"tool_use","id":"@","name":"@","input":{@}}"#;
        fill(template, &[&response.tool_id, &name, &fill(input, &[&text])])
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
    let output_of = |line| {
        // Placeholders may grow a little; they never shrink.
        placeholder += u64::from(rng.u32(0..10) == 0);
        match outputs {
            Outputs::Final => spent,
            Outputs::Growing if line == lines => spent.max(placeholder),
            _ => placeholder,
        }
    };
    (1..=lines).map(output_of).collect()
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

fn quirk(rng: &mut Rng, era: Era) -> Quirk {
    match rng.u32(0..100) {
        _ if era < Era::Final => Quirk::None,
        0..=2 if era < Era::Quotas => Quirk::FlatZero,
        3..=30 => Quirk::Nulls,
        31..=34 => Quirk::Fast,
        35..=60 => Quirk::Iterations,
        _ => Quirk::None,
    }
}

/// Renders the `usage` of a response as clients of the era do.
fn usage(era: Era, response: &Response, output: u64) -> String {
    let counts = Counts { output, ..response.counts };
    let flat = match response.quirk {
        Quirk::FlatZero => Counts { cache_write_5m: 0, cache_write_1h: 0, ..counts },
        _ => counts,
    };
    let first_to_search = if response.searches > 0 { Era::Flat } else { Era::Final };
    let template = r#","server_tool_use":{"web_search_requests":@,"web_fetch_requests":0}"#;
    let searches = fill(template, &[&response.searches]);
    let speed = match response.quirk {
        Quirk::Nulls => r#","inference_geo":null,"speed":null"#,
        Quirk::Fast => r#","inference_geo":"","speed":"fast""#,
        _ => r#","inference_geo":"not_available","speed":"standard""#,
    };
    [
        &format!(r#"{{{},"service_tier":"standard""#, tokens(&flat)),
        era.since(Era::Inline, &lifetimes(&counts)),
        era.since(first_to_search, &searches),
        era.since(Era::Newest, r#","output_tokens_details":{"thinking_tokens":0},"fallback_credit":null"#),
        era.since(Era::Final, &iterations(response, &counts)),
        era.since(Era::Final, speed),
        "}",
    ]
    .concat()
}

/// Renders `iterations`, of which only the advisor's entries count beside the numbers around them.
fn iterations(response: &Response, counts: &Counts) -> String {
    let own = || iteration(r#""message""#, counts);
    let advisor = || format!(r#""advisor_message","model":"{ADVISOR}""#);
    match (&response.advice, response.quirk) {
        (Some(advice), _) => format!(r#","iterations":[{},{}]"#, own(), iteration(&advisor(), advice)),
        (None, Quirk::Iterations) => format!(r#","iterations":[{}]"#, own()),
        (None, Quirk::Nulls) => r#","iterations":null"#.to_owned(),
        (None, _) => r#","iterations":[]"#.to_owned(),
    }
}

fn iteration(kind: &str, counts: &Counts) -> String {
    let Counts { input, output, cache_read, .. } = counts;
    let template = r#"{"type":@,"input_tokens":@,"output_tokens":@,"cache_read_input_tokens":@,"cache_creation_input_tokens":@@}"#;
    fill(template, &[&kind, input, output, cache_read, &counts.cache_write(), &lifetimes(counts)])
}

/// Renders the tokens of a usage, its cache writes as one number.
pub(super) fn tokens(counts: &Counts) -> String {
    let Counts { input, output, cache_read, .. } = counts;
    let template =
        r#""input_tokens":@,"cache_creation_input_tokens":@,"cache_read_input_tokens":@,"output_tokens":@"#;
    fill(template, &[input, &counts.cache_write(), cache_read, output])
}

fn lifetimes(counts: &Counts) -> String {
    let template = r#","cache_creation":{"ephemeral_5m_input_tokens":@,"ephemeral_1h_input_tokens":@}"#;
    fill(template, &[&counts.cache_write_5m, &counts.cache_write_1h])
}
