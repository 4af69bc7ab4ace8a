//! Claude Code's JSONL as it comes: every field optional, every type tolerated.
//!
//! This and [`super::limit`] are the only places that know the names in Claude Code's files. A field of an
//! unexpected type reads as absent, an unknown field is passed over; only text that is no JSON fails.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How many brackets a line may open, those in its strings included, before it is read with no stack at all.
///
/// Ordinary lines nest ten deep. Each level takes some hundred bytes, without optimisation up to eight thousand.
const BRACKETS_MAX: usize = 128;

/// One line of a transcript.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub subtype: Text<'a>,
    #[serde(borrow)]
    pub session_id: Text<'a>,
    #[serde(borrow)]
    pub uuid: Text<'a>,
    #[serde(borrow)]
    pub request_id: Text<'a>,
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    #[serde(borrow)]
    pub cwd: Text<'a>,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub git_branch: Text<'a>,
    #[serde(borrow)]
    pub entrypoint: Text<'a>,
    pub is_sidechain: Flag,
    #[serde(borrow)]
    pub agent_id: Text<'a>,
    #[serde(borrow)]
    pub message: Object<Message<'a>>,
    /// What a `progress` line reports.
    #[serde(borrow)]
    pub data: Object<Progress<'a>>,

    pub is_api_error_message: Flag,
    pub api_error_is_transient: Flag,
    #[serde(borrow)]
    pub error: Text<'a>,
    #[serde(borrow)]
    pub quota_limits: Object<QuotaLimits<'a>>,

    #[serde(borrow)]
    pub compact_metadata: Object<CompactMetadata<'a>>,

    #[serde(rename = "totalCostUSD")]
    pub total_cost_usd: Number,
    pub total_duration: Number,
    pub start_time: Number,
    pub model_usage: Object<BTreeMap<String, Object<ModelUsage>>>,
    pub has_unknown_model_cost: Flag,
}

/// The API's message inside an assistant line.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub model: Text<'a>,
    #[serde(borrow)]
    pub stop_reason: Text<'a>,
    pub usage: Object<TokenUsage>,
}

/// The `usage` object of a message or of one of its iterations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenUsage {
    pub input_tokens: Number,
    pub output_tokens: Number,
    pub cache_creation_input_tokens: Number,
    pub cache_read_input_tokens: Number,
    pub cache_creation: Object<CacheCreation>,
    pub server_tool_use: Object<ServerToolUse>,
    pub speed: Word,
    pub inference_geo: Word,
    pub iterations: List<Iteration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CacheCreation {
    pub ephemeral_5m_input_tokens: Number,
    pub ephemeral_1h_input_tokens: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerToolUse {
    pub web_search_requests: Number,
}

/// One step inside a request; an advisor's step is billed beside the message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Iteration {
    #[serde(rename = "type")]
    pub kind: Word,
    pub model: Word,
    pub input_tokens: Number,
    pub output_tokens: Number,
    pub cache_creation_input_tokens: Number,
    pub cache_read_input_tokens: Number,
    pub cache_creation: Object<CacheCreation>,
}

/// What a `progress` line carries of a sub-agent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Progress<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub agent_id: Text<'a>,
    #[serde(borrow)]
    pub message: Object<Echo<'a>>,
}

/// A sub-agent's line, echoed in the transcript of its parent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Echo<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub uuid: Text<'a>,
    #[serde(borrow)]
    pub request_id: Text<'a>,
    #[serde(borrow)]
    pub timestamp: Text<'a>,
    #[serde(borrow)]
    pub message: Object<Message<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct QuotaLimits<'a> {
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub rate_limit_type: Text<'a>,
    /// Unix seconds.
    pub resets_at: Number,
    /// 0 to 1.
    pub utilization: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CompactMetadata<'a> {
    #[serde(borrow)]
    pub trigger: Text<'a>,
    pub pre_tokens: Number,
}

/// One model's part of a `cost-state` line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModelUsage {
    pub input_tokens: Number,
    pub output_tokens: Number,
    pub cache_read_input_tokens: Number,
    pub cache_creation_input_tokens: Number,
    #[serde(rename = "cacheCreationEphemeral5mInputTokens")]
    pub cache_creation_5m: Number,
    #[serde(rename = "cacheCreationEphemeral1hInputTokens")]
    pub cache_creation_1h: Number,
    pub web_search_requests: Number,
    #[serde(rename = "costUSD")]
    pub cost_usd: Number,
}

impl<'a> Line<'a> {
    /// Reads one line; `None` where it is no JSON object in UTF-8.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        // This is where an import spends its time: passing over content with vector instructions is a sixth faster
        // than serde_json, as the bench `transcript` shows. But it takes stack for each bracket that opens, without an
        // end; serde_json does not.
        if memchr::memchr2_iter(b'[', b'{', bytes).nth(BRACKETS_MAX).is_some() {
            return serde_json::from_slice(bytes).ok();
        }
        sonic_rs::from_slice(bytes).ok()
    }
}

/// Reads the text of the first content block of a line's message, or the content itself where it is a string.
///
/// Content is most of a line and of interest in errors only, so they alone are read twice.
pub(super) fn first_text(line: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        message: Object<Inner>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        content: serde_json::Value,
    }
    let content = serde_json::from_slice::<Outer>(line).ok().and_then(|line| line.message.0);
    match content.map(|message| message.content) {
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

/// A short word that is compared and forgotten, or kept once in a while.
#[derive(Debug, Default)]
pub(super) struct Word(pub Option<Box<str>>);

impl Word {
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

    pub(super) fn float(self) -> Option<f64> {
        match self {
            Self::Whole(count) => Some(count as f64),
            Self::Fraction(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

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

/// Writes the arms that turn every kind of JSON value into the default of the visitor's type.
macro_rules! otherwise {
    ($($method:ident($($arg:ident: $type:ty)?)),* $(,)?) => {
        $(fn $method<E: serde::de::Error>(self $(, $arg: $type)?) -> Result<Self::Value, E> {
            $(let _ = $arg;)?
            Ok(Self::Value::default())
        })*
    };
}

fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

macro_rules! expecting {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }
    };
}

macro_rules! skip_containers {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            skip_map(map).map(|()| Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            skip_seq(seq).map(|()| Self::Value::default())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;
            expecting!();
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            otherwise!(visit_unit(), visit_bool(v: bool), visit_u64(v: u64), visit_i64(v: i64), visit_f64(v: f64));
            skip_containers!();
        }
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;
        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word;
            expecting!();
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Word(Some(text.into())))
            }
            otherwise!(visit_unit(), visit_bool(v: bool), visit_u64(v: u64), visit_i64(v: i64), visit_f64(v: f64));
            skip_containers!();
        }
        deserializer.deserialize_any(WordVisitor)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;
        impl<'de> Visitor<'de> for FlagVisitor {
            type Value = Flag;
            expecting!();
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Flag(value))
            }
            otherwise!(visit_unit(), visit_str(v: &str), visit_u64(v: u64), visit_i64(v: i64), visit_f64(v: f64));
            skip_containers!();
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;
            expecting!();
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Absent)
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number::Whole(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(u64::try_from(value).map_or(Number::Wrong, Number::Whole))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Fraction(value))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number::Wrong)
            }
            fn visit_str<E>(self, _: &str) -> Result<Number, E> {
                Ok(Number::Wrong)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
                skip_map(map).map(|()| Number::Wrong)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Number, A::Error> {
                skip_seq(seq).map(|()| Number::Wrong)
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            expecting!();
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                skip_seq(seq).map(|()| Object(None))
            }
            otherwise!(
                visit_unit(), visit_bool(v: bool), visit_str(v: &str), visit_u64(v: u64), visit_i64(v: i64),
                visit_f64(v: f64)
            );
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            expecting!();
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Object<T>>()? {
                    items.push(item.0.unwrap_or_default());
                }
                Ok(List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                skip_map(map).map(|()| List(Vec::new()))
            }
            otherwise!(
                visit_unit(), visit_bool(v: bool), visit_str(v: &str), visit_u64(v: u64), visit_i64(v: i64),
                visit_f64(v: f64)
            );
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}
