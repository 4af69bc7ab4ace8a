//! Lines of a conversation that the client writes itself: limits, errors, system messages, attachments.

use std::mem;

use super::chance::{BLOCK_BYTES, uuid};
use super::client::Era;
use super::clock::{SECOND_MS, month_day, time_of_day};
use super::scribe::{Scribe, Teller};

/// The window of a spent quota.
#[derive(Clone, Copy)]
pub(super) enum Window {
    FiveHour,
    Week,
}

impl Scribe {
    /// Renders the line of a spent quota as the teller's client words it.
    pub(super) fn limit(&mut self, teller: &mut Teller, window: Window, reset_ms: i64) -> &str {
        let era = teller.client.era;
        let seconds = reset_ms / SECOND_MS;
        let time = time_of_day(reset_ms);
        let label = match window {
            _ if era < Era::Quotas => "",
            Window::Week => "weekly ",
            Window::FiveHour if era >= Era::Newest => "5-hour ",
            Window::FiveHour => "session ",
        };
        let text = match (era, window) {
            (Era::Flat, _) => format!("Claude AI usage limit reached|{seconds}"),
            (Era::Inline, Window::FiveHour) => format!("5-hour limit reached ∙ resets {time}"),
            (Era::Siblings, Window::FiveHour) => format!("Session limit reached ∙ resets {time}"),
            (Era::Inline | Era::Siblings, Window::Week) => {
                format!("Weekly limit reached ∙ resets {}, {time}", month_day(reset_ms))
            }
            _ => format!("You've hit your {label}limit · resets {time} (UTC)"),
        };
        let kind = match window {
            Window::FiveHour => "five_hour",
            Window::Week => "seven_day",
        };
        let quota = format!(
            r#","quotaLimits":{{"status":"rejected","resetsAt":{seconds},"unifiedRateLimitFallbackAvailable":false,"rateLimitType":"{kind}","overageStatus":"rejected","overageDisabledReason":"org_level_disabled","isUsingOverage":false}}"#
        );
        let fields = [
            era.since(Era::Newest, r#","apiError":"usage_limit_reached""#),
            era.since(Era::Quotas, &quota),
            era.since(Era::Siblings, r#","error":"rate_limit""#),
            r#","isApiErrorMessage":true"#,
            era.since(Era::Final, r#","apiErrorStatus":429"#),
        ]
        .concat();
        self.synthetic(teller, &text, &fields)
    }

    /// Renders an error that looks like a limit and is none.
    pub(super) fn throttle(&mut self, teller: &mut Teller) -> &str {
        const OVERLOADED: &str = "API Error: 529 Overloaded. This is a server-side issue, usually temporary";
        let (text, error, status) = match self.rng.u32(0..3) {
            0 => ("API Error: Rate limit reached", "rate_limit", 429),
            1 => (OVERLOADED, "overloaded", 529),
            _ => ("API Error: Usage credits required for 1M context", "rate_limit", 429),
        };
        let fields = format!(r#","error":"{error}","isApiErrorMessage":true,"apiErrorStatus":{status}"#);
        self.synthetic(teller, text, &fields)
    }

    pub(super) fn no_response(&mut self, teller: &mut Teller) -> &str {
        self.synthetic(teller, "No response requested.", r#","isApiErrorMessage":false"#)
    }

    /// Renders an answer without an API: no usage, a uuid as message id.
    fn synthetic(&mut self, teller: &mut Teller, text: &str, fields: &str) -> &str {
        let id = uuid(&mut self.rng);
        let era = teller.client.era;
        let cache = r#","cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0}"#;
        let nulls = r#","inference_geo":null,"iterations":null,"speed":null"#;
        let (cache, nulls) = (era.since(Era::Siblings, cache), era.since(Era::Echoes, nulls));
        let template = r#""type":"assistant","message":{"id":"@","model":"<synthetic>","role":"assistant","stop_reason":"stop_sequence","stop_sequence":"","type":"message","usage":{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"server_tool_use":{"web_search_requests":0},"service_tier":null@@},"content":[{"type":"text","text":"@"}]}@"#;
        self.entry(teller, template, &[&id, &cache, &nulls, &text, &fields])
    }

    pub(super) fn retry(&mut self, teller: &mut Teller) -> &str {
        let (wait, attempt) = (self.rng.u32(500..8_000), self.rng.u32(1..10));
        let template = r#""type":"system","subtype":"api_error","level":"error","error":{"status":529},"retryInMs":@.5,"retryAttempt":@,"maxRetries":10"#;
        self.entry(teller, template, &[&wait, &attempt])
    }

    pub(super) fn turn_duration(&mut self, teller: &mut Teller) -> &str {
        let duration = self.rng.u32(4_000..300_000);
        let template = r#""type":"system","subtype":"turn_duration","durationMs":@,"isMeta":false"#;
        self.entry(teller, template, &[&duration])
    }

    /// Empties the context and renders the line that says so.
    pub(super) fn compact_boundary(&mut self, teller: &mut Teller) -> &str {
        let tokens = mem::replace(&mut teller.context, 20_000);
        let logical = mem::replace(&mut teller.parent, "null".to_owned());
        let template = r#""logicalParentUuid":@,"type":"system","subtype":"compact_boundary","content":"Conversation compacted","isMeta":false,"level":"info","compactMetadata":{"trigger":"auto","preTokens":@}"#;
        self.entry(teller, template, &[&logical, &tokens])
    }

    pub(super) fn attachment(&mut self, teller: &mut Teller) -> &str {
        let text = self.text(BLOCK_BYTES);
        let fields = match self.rng.u32(0..3) {
            0 => r#""type":"skill_listing","content":"@","skillCount":14,"isInitial":true"#,
            1 => r#""type":"hook_success","hookName":"PostToolUse:Edit","stdout":"@","exitCode":0"#,
            _ => r#""type":"queued_command","prompt":"@","commandMode":"prompt""#,
        };
        let template = format!(r#""attachment":{{{fields}}},"type":"attachment""#);
        self.entry(teller, &template, &[&text])
    }

    pub(super) fn shell_progress(&mut self, teller: &mut Teller) -> &str {
        let text = self.text(BLOCK_BYTES);
        let template = r#""type":"progress","data":{"type":"bash_progress","output":"@","fullOutput":"@","elapsedTimeSeconds":3,"totalLines":9},"toolUseID":"bash-progress-1","parentToolUseID":"toolu_1""#;
        self.entry(teller, template, &[&text, &text])
    }
}
