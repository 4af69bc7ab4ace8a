//! Claude Code's JSONL as it comes: every field optional, every type tolerated.
//!
//! This and [`super::limit`] are the only places that know the names in Claude Code's files. A field of an
//! unexpected type reads as absent, an unknown field is passed over; only text that is no JSON fails, or that sets a
//! field twice.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::json::{Json, Value};

/// What is read from the fields of an object.
pub(super) trait Fields<'a>: Default {
    /// Reads or skips the value of a field.
    fn field(&mut self, key: &str, seen: &mut u32, json: &mut Json<'a>) -> Option<()>;

    fn read_fields(&mut self, json: &mut Json<'a>) -> Option<()> {
        let mut seen = 0;
        json.object(|json, key| self.field(key, &mut seen, json))
    }
}

/// Declares an object by the names and the types of its fields.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? {
        $($(#[$field_doc:meta])* $key:literal $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> Fields<'a> for $name $(<$life>)? {
            fn field(&mut self, key: &str, seen: &mut u32, json: &mut Json<'a>) -> Option<()> {
                #[expect(non_camel_case_types, reason = "they number the fields, by whose names they go")]
                enum Bit { $($field),* }
                let bit = match key {
                    $($key => {
                        self.$field.read(json)?;
                        1 << Bit::$field as u32
                    })*
                    _ => return json.skip(),
                };
                let is_first = *seen & bit == 0;
                *seen |= bit;
                is_first.then_some(())
            }
        }
    };
}

object! {
    /// One line of a transcript.
    Line<'a> {
        "type" kind: Text<'a>,
        "subtype" subtype: Text<'a>,
        "sessionId" session_id: Text<'a>,
        "uuid" uuid: Text<'a>,
        "requestId" request_id: Text<'a>,
        "timestamp" timestamp: Text<'a>,
        "cwd" cwd: Text<'a>,
        "version" version: Text<'a>,
        "gitBranch" git_branch: Text<'a>,
        "entrypoint" entrypoint: Text<'a>,
        "isSidechain" is_sidechain: Flag,
        "agentId" agent_id: Text<'a>,
        "message" message: Object<Message<'a>>,
        /// What a `progress` line reports.
        "data" data: Object<Box<Progress<'a>>>,

        "isApiErrorMessage" is_api_error_message: Flag,
        "apiErrorIsTransient" api_error_is_transient: Flag,
        "error" error: Text<'a>,
        "quotaLimits" quota_limits: Object<Box<QuotaLimits<'a>>>,

        "compactMetadata" compact_metadata: Object<Box<CompactMetadata<'a>>>,

        "totalCostUSD" total_cost_usd: Number,
        "totalDuration" total_duration: Number,
        "startTime" start_time: Number,
        "modelUsage" model_usage: Object<BTreeMap<String, Object<ModelUsage>>>,
        "hasUnknownModelCost" has_unknown_model_cost: Flag,
    }
}

object! {
    /// The API's message inside an assistant line.
    Message<'a> {
        "id" id: Text<'a>,
        "model" model: Text<'a>,
        "stop_reason" stop_reason: Text<'a>,
        "usage" usage: Billed<'a>,
    }
}

object! {
    /// The `usage` object of a message or of one of its iterations.
    TokenUsage<'a> {
        "input_tokens" input_tokens: Number,
        "output_tokens" output_tokens: Number,
        "cache_creation_input_tokens" cache_creation_input_tokens: Number,
        "cache_read_input_tokens" cache_read_input_tokens: Number,
        "cache_creation" cache_creation: Object<CacheCreation>,
        "server_tool_use" server_tool_use: Object<ServerToolUse>,
        "speed" speed: Text<'a>,
        "inference_geo" inference_geo: Text<'a>,
        "iterations" iterations: List<Iteration<'a>>,
    }
}

object! {
    CacheCreation {
        "ephemeral_5m_input_tokens" ephemeral_5m_input_tokens: Number,
        "ephemeral_1h_input_tokens" ephemeral_1h_input_tokens: Number,
    }
}

object! {
    ServerToolUse {
        "web_search_requests" web_search_requests: Number,
    }
}

object! {
    /// One step inside a request; an advisor's step is billed beside the message.
    Iteration<'a> {
        "type" kind: Text<'a>,
        "model" model: Text<'a>,
        "input_tokens" input_tokens: Number,
        "output_tokens" output_tokens: Number,
        "cache_creation_input_tokens" cache_creation_input_tokens: Number,
        "cache_read_input_tokens" cache_read_input_tokens: Number,
        "cache_creation" cache_creation: Object<CacheCreation>,
    }
}

object! {
    /// What a `progress` line carries of a sub-agent.
    Progress<'a> {
        "type" kind: Text<'a>,
        "agentId" agent_id: Text<'a>,
        "message" message: Object<Echo<'a>>,
    }
}

object! {
    /// A sub-agent's line, echoed in the transcript of its parent.
    Echo<'a> {
        "type" kind: Text<'a>,
        "uuid" uuid: Text<'a>,
        "requestId" request_id: Text<'a>,
        "timestamp" timestamp: Text<'a>,
        "message" message: Object<Message<'a>>,
    }
}

object! {
    QuotaLimits<'a> {
        "status" status: Text<'a>,
        "rateLimitType" rate_limit_type: Text<'a>,
        /// Unix seconds.
        "resetsAt" resets_at: Number,
        /// 0 to 1.
        "utilization" utilization: Number,
    }
}

object! {
    CompactMetadata<'a> {
        "trigger" trigger: Text<'a>,
        "preTokens" pre_tokens: Number,
    }
}

object! {
    /// One model's part of a `cost-state` line.
    ModelUsage {
        "inputTokens" input_tokens: Number,
        "outputTokens" output_tokens: Number,
        "cacheReadInputTokens" cache_read_input_tokens: Number,
        "cacheCreationInputTokens" cache_creation_input_tokens: Number,
        "cacheCreationEphemeral5mInputTokens" cache_creation_5m: Number,
        "cacheCreationEphemeral1hInputTokens" cache_creation_1h: Number,
        "webSearchRequests" web_search_requests: Number,
        "costUSD" cost_usd: Number,
    }
}

impl<'a> Line<'a> {
    /// Reads one line into the default, in its place; `None` where it is no JSON object in UTF-8. Usage written as
    /// `known_usage` is not read again.
    pub(super) fn read(&mut self, bytes: &'a [u8], known_usage: &'a str) -> Option<()> {
        let mut json = Json::new(bytes, known_usage)?;
        self.read_fields(&mut json)?;
        json.end()
    }
}

/// Reads the text of the first content block of a line's message, or the content itself where it is a string.
///
/// Content is most of a line and of interest in errors only, so they alone are read twice.
pub(super) fn first_text(line: &[u8]) -> String {
    object! {
        Outer<'a> {
            "message" message: Object<Inner<'a>>,
        }
    }
    object! {
        Inner<'a> {
            "content" content: Raw<'a>,
        }
    }
    let mut outer = Outer::default();
    let read = Json::new(line, "").and_then(|mut json| outer.read_fields(&mut json));
    let content = read.and(outer.message.0).and_then(|message| serde_json::from_str(message.content.0).ok());
    match content {
        Some(serde_json::Value::String(text)) => text,
        Some(serde_json::Value::Array(blocks)) => {
            blocks.iter().find_map(|block| block.get("text")?.as_str()).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// Text, or nothing where something else stands.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    /// Returns the text unless it is absent, empty or longer than any honest value of its kind.
    pub(super) fn within(&self, bytes_max: usize) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty() && text.len() <= bytes_max)
    }

    pub(super) fn is(&self, expected: &str) -> bool {
        self.0.as_deref() == Some(expected)
    }
}

/// True, or false where anything else stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flag(pub bool);

/// A number; what is no number is told apart from what is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Number {
    #[default]
    Absent,
    Whole(u64),
    Fraction(f64),
    Wrong,
}

impl Number {
    /// Returns a count of at most `max`, zero where absent; `None` where no such count was written.
    pub(super) fn count(self, max: u64) -> Option<u64> {
        let count = match self {
            Self::Absent => 0,
            Self::Whole(count) => count,
            Self::Fraction(value) if value >= 0.0 && value.fract() == 0.0 && value <= max as f64 => {
                value as u64
            }
            Self::Fraction(_) | Self::Wrong => return None,
        };
        (count <= max).then_some(count)
    }

    /// Reads a number as JSON writes it; `None` where it is larger than any.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(count) = text.parse() {
            return Some(Self::Whole(count));
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).map(Self::Fraction)
    }

    pub(super) fn float(self) -> Option<f64> {
        match self {
            Self::Whole(count) => Some(count as f64),
            Self::Fraction(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// A reply's usage, which its other lines repeat to the byte.
#[derive(Debug, Default)]
pub(super) enum Billed<'a> {
    /// There is none.
    #[default]
    Absent,
    /// It is the known one.
    Known,
    /// It is another one, as it is written and as it reads.
    New(&'a str, TokenUsage<'a>),
}

/// A value as it is written.
#[derive(Debug, Default)]
struct Raw<'a>(&'a str);

/// An object, or nothing where something else stands.
#[derive(Debug)]
pub(super) struct Object<T>(pub Option<T>);

/// A list, empty where something else stands.
#[derive(Debug)]
pub(super) struct List<T>(pub Vec<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a> Value<'a> for Text<'a> {
    fn read(&mut self, json: &mut Json<'a>) -> Option<()> {
        if json.peek() != b'"' {
            return json.skip();
        }
        self.0 = Some(json.string()?);
        Some(())
    }
}

impl Value<'_> for Flag {
    fn read(&mut self, json: &mut Json<'_>) -> Option<()> {
        self.0 = json.peek() == b't';
        json.skip()
    }
}

impl Value<'_> for Number {
    fn read(&mut self, json: &mut Json<'_>) -> Option<()> {
        *self = match json.peek() {
            b'-' | b'0'..=b'9' => return Self::parse(json.number()?).map(|number| *self = number),
            b'n' => Self::Absent,
            _ => Self::Wrong,
        };
        json.skip()
    }
}

impl<'a> Value<'a> for Billed<'a> {
    fn read(&mut self, json: &mut Json<'a>) -> Option<()> {
        if json.take_known() {
            *self = Self::Known;
            return Some(());
        }
        let mut usage = Object::default();
        let written = json.written(|json| usage.read(json))?;
        *self = usage.0.map_or(Self::Absent, |usage| Self::New(written, usage));
        Some(())
    }
}

impl<'a> Value<'a> for Raw<'a> {
    fn read(&mut self, json: &mut Json<'a>) -> Option<()> {
        self.0 = json.written(Json::skip)?;
        Some(())
    }
}

impl<'a, T: Fields<'a>> Value<'a> for Object<T> {
    fn read(&mut self, json: &mut Json<'a>) -> Option<()> {
        match json.peek() {
            b'{' => self.0.insert(T::default()).read_fields(json),
            _ => json.skip(),
        }
    }
}

impl<'a, T: Fields<'a>> Value<'a> for List<T> {
    fn read(&mut self, json: &mut Json<'a>) -> Option<()> {
        if json.peek() != b'[' {
            return json.skip();
        }
        json.array(|json| {
            let mut item = Object::default();
            item.read(json)?;
            self.0.push(item.0.unwrap_or_default());
            Some(())
        })
    }
}

/// What few lines have, so that the others need not carry room for it.
impl<'a, T: Fields<'a>> Fields<'a> for Box<T> {
    fn field(&mut self, key: &str, seen: &mut u32, json: &mut Json<'a>) -> Option<()> {
        (**self).field(key, seen, json)
    }
}

/// An object whose keys are names; of a name written twice the last stands.
impl<'a, T: Value<'a>> Fields<'a> for BTreeMap<String, T> {
    fn field(&mut self, key: &str, _: &mut u32, json: &mut Json<'a>) -> Option<()> {
        let mut value = T::default();
        value.read(json)?;
        self.insert(key.to_owned(), value);
        Some(())
    }
}
