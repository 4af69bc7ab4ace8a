//! Lines of bookkeeping, which have no envelope.

use std::collections::BTreeMap;

use super::Counts;
use super::chance::{SUMMARY_BYTES, token, uuid};
use super::client::{Era, OPUS_5_5, SONNET_5_5};
use super::clock::stamp;
use super::response::tokens;
use super::scribe::{Scribe, Teller, put};

impl Scribe {
    pub(super) fn snapshot(&mut self, teller: &Teller) -> &str {
        let id = uuid(&mut self.rng);
        let template = r#"{"type":"file-history-snapshot","messageId":"@","snapshot":{"messageId":"@","trackedFileBackups":{},"timestamp":"@"},"isSnapshotUpdate":false}"#;
        self.note(template, &[&id, &id, &stamp(teller.clock)])
    }

    pub(super) fn summary(&mut self) -> &str {
        let (text, leaf) = (self.text(SUMMARY_BYTES), uuid(&mut self.rng));
        self.note(r#"{"type":"summary","summary":"@","leafUuid":"@"}"#, &[&text, &leaf])
    }

    pub(super) fn queue_operation(&mut self, teller: &Teller, operation: &str) -> &str {
        let template = r#"{"type":"queue-operation","operation":"@","timestamp":"@","sessionId":"@"@}"#;
        let content = if operation == "enqueue" { r#","content":"and then the tests""# } else { "" };
        self.note(template, &[&operation, &stamp(teller.clock), &teller.session, &content])
    }

    pub(super) fn last_prompt(&mut self, teller: &Teller) -> &str {
        let template =
            r#"{"type":"last-prompt","lastPrompt":"and then the tests","leafUuid":@,"sessionId":"@"}"#;
        self.note(template, &[&teller.parent, &teller.session])
    }

    /// Renders the client's own running total of a conversation.
    pub(super) fn cost_state(&mut self, teller: &Teller, spent: &BTreeMap<&str, Counts>) -> &str {
        let total: f64 = spent.iter().map(|(model, counts)| cost_usd(model, counts)).sum();
        let template = r#"{"type":"cost-state","sessionId":"@","totalCostUSD":@,"totalAPIDuration":90000,"totalAPIDurationWithoutRetries":88000,"totalToolDuration":41000,"totalLinesAdded":12,"totalLinesRemoved":3,"totalDuration":600000,"startTime":@,"modelUsage":{"#;
        self.note(template, &[&teller.session, &format_args!("{total:.6}"), &(teller.clock - 600_000)]);
        let mut comma = "";
        for (model, counts) in spent {
            let template = r#"@"@":{"inputTokens":@,"outputTokens":@,"thinkingTokens":0,"cacheReadInputTokens":@,"cacheCreationInputTokens":@,"webSearchRequests":0,"costUSD":@}"#;
            let Counts { input, output, cache_read, .. } = counts;
            let (written, cost) = (counts.cache_write(), format!("{:.6}", cost_usd(model, counts)));
            put(&mut self.line, template, &[&comma, model, input, output, cache_read, &written, &cost]);
            comma = ",";
        }
        self.line.push_str(r#"},"hasUnknownModelCost":false}"#);
        &self.line
    }

    /// Renders the `.meta.json` of a sub-agent.
    pub(super) fn agent_description(&mut self, teller: &Teller) -> &str {
        match teller.client.era {
            Era::Newest => self.note(
                r#"{"agentType":"general-purpose","isBuiltIn":true,"description":"look around","spawnDepth":1,"model":"@","finished":true}"#,
                &[&teller.model],
            ),
            _ => self.note(r#"{"agentType":"general-purpose","description":"look around"}"#, &[]),
        }
    }

    /// Renders a journal line with a message id of its own: who counts journals gets wrong totals.
    pub(super) fn journal_entry(&mut self, teller: &Teller, agent: &str, spent: &Counts) -> &str {
        let id = token(&mut self.rng, "msg_01", 22);
        let template = r#"{"type":"assistant","key":"v2:@","agentId":"@","timestamp":"@","message":{"id":"@","model":"claude-opus-5-5","role":"assistant","usage":{@}}}"#;
        self.note(template, &[&agent, &agent, &stamp(teller.clock), &id, &tokens(spent)])
    }
}

/// Prices what a model spent at list prices of autumn 2026, for the client's own totals only.
fn cost_usd(model: &str, counts: &Counts) -> f64 {
    let [input, output, write_5m, write_1h, read] = match model {
        OPUS_5_5 => [4.0, 20.0, 5.0, 8.0, 0.2],
        SONNET_5_5 => [2.0, 10.0, 2.5, 4.0, 0.1],
        _ => [0.1, 0.5, 0.125, 0.2, 0.01],
    };
    (counts.input as f64 * input
        + counts.output as f64 * output
        + counts.cache_write_5m as f64 * write_5m
        + counts.cache_write_1h as f64 * write_1h
        + counts.cache_read as f64 * read)
        / 1e6
}
