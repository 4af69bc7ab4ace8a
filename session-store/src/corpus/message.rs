//! Lines that carry what people, tools and sub-agents say.

use super::Counts;
use super::chance::{PROMPT_BYTES, token};
use super::client::Era;
use super::clock::{DAY_MS, stamp};
use super::response::{Response, Tool, tokens};
use super::scribe::{Scribe, Teller, fill};
use super::transcript::Says;

impl Scribe {
    pub(super) fn prompt(&mut self, teller: &mut Teller) -> &str {
        let text = self.filler.take(&mut self.rng, PROMPT_BYTES);
        let template = match self.rng.u32(0..3) {
            0 => r#"{"role":"user","content":[{"type":"text","text":"@"}]}"#,
            _ => r#"{"role":"user","content":"@"}"#,
        };
        self.message = fill(template, &[&text]);
        let body = format!(r#""type":"user","message":{}"#, self.message);
        self.wrap(teller, &body, teller.client.era.since(Era::Echoes, r#","permissionMode":"default""#))
    }

    /// Renders the answer of a tool; the line has about `bytes` bytes, as both its halves hold the text.
    pub(super) fn tool_result(&mut self, teller: &mut Teller, call: &Response, bytes: u64) -> &str {
        let text = self.filler.cut(&mut self.rng, (bytes.saturating_sub(700) / 2) as usize).to_owned();
        let template = r#"{"role":"user","content":[{"tool_use_id":"@","type":"tool_result","content":"@","is_error":false}]}"#;
        self.message = fill(template, &[&call.tool_id, &text]);
        let body = format!(r#""type":"user","message":{}"#, self.message);
        let template = match call.tool {
            Some(Tool::Read) => {
                r#","toolUseResult":{"type":"text","file":{"filePath":"/home/dev/a.rs","content":"@","numLines":200}}"#
            }
            Some(Tool::Billing) => {
                r#","toolUseResult":{"type":"assistant","text":"@","message":{"id":"msg_01BillingReportIsNoMessage","model":"claude-opus-5-5","role":"assistant","usage":{"input_tokens":400,"output_tokens":88888}}}"#
            }
            _ => r#","toolUseResult":{"stdout":"@","stderr":"","interrupted":false,"isImage":false}"#,
        };
        let source = format!(r#","sourceToolAssistantUUID":{}"#, teller.parent);
        let tail = fill(template, &[&text]) + teller.client.era.since(Era::Echoes, &source);
        self.wrap(teller, &body, &tail)
    }

    /// Renders the answer of a sub-agent, whose totals and `usage` repeat what other lines say.
    pub(super) fn agent_result(
        &mut self,
        teller: &mut Teller,
        call: &Response,
        agent: &str,
        spent: &Counts,
    ) -> &str {
        let text = self.text(PROMPT_BYTES);
        let template = r#""type":"user","message":{"role":"user","content":[{"tool_use_id":"@","type":"tool_result","content":[{"type":"text","text":"@"},{"type":"text","text":"agentId: @\n<usage>total_tokens: @</usage>"}]}]}"#;
        let body = fill(template, &[&call.tool_id, &text, &agent, &spent.all()]);
        let template = r#","toolUseResult":{"status":"completed","agentId":"@","content":[{"type":"text","text":"@"}],"totalDurationMs":@,"totalTokens":@,"totalToolUseCount":@,"usage":{@,"service_tier":"standard"}}"#;
        let (duration, usage) = (teller.clock - call.at_ms, tokens(spent));
        let tail = fill(template, &[&agent, &text, &duration, &spent.all(), &spent.messages, &usage]);
        self.wrap(teller, &body, &tail)
    }

    /// Wraps the message just rendered for a sub-agent into a `progress` line of its parent.
    pub(super) fn echo(&mut self, parent: &mut Teller, agent: &Teller, says: Says, call: &str) -> &str {
        // The nested time attributes the message; the line's own is a little later, yet never on another day.
        let (time, later_ms) = (stamp(agent.clock), agent.clock + self.rng.i64(0..4));
        let is_same_day = later_ms.div_euclid(DAY_MS) == agent.clock.div_euclid(DAY_MS);
        parent.clock = if is_same_day { later_ms } else { agent.clock };
        let (kind, request) = match says {
            Says::Usage => ("assistant", format!(r#","requestId":"{}""#, self.request)),
            Says::Nothing => ("user", String::new()),
        };
        let template = r#""type":"progress","data":{"message":{"type":"@","timestamp":"@","message":@@,"uuid":@},"normalizedMessages":[],"type":"agent_progress","prompt":"","agentId":"@"},"toolUseID":"agent_@","parentToolUseID":"@""#;
        let (uuid, id) = (&agent.parent, agent.agent.as_deref().unwrap_or_default());
        let body = fill(template, &[&kind, &time, &self.message, &request, uuid, &id, &call, &call]);
        self.wrap(parent, &body, "")
    }

    /// Renders a message again under a new request.
    pub(super) fn replay(&mut self, teller: &mut Teller, message: &str) -> &str {
        let request = token(&mut self.rng, "req_011C", 20);
        self.entry(teller, r#""message":@,"requestId":"@","type":"assistant""#, &[&message, &request])
    }
}
