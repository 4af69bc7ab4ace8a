//! The status line's input: every field optional, every type tolerated, what cannot be meant left out and counted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use session_analytics::{LimitSource, LimitStatus, Limits, Reading};
use session_store::{LimitWindow, Timestamp};

/// Claude Code sends some thousands of bytes; more than this is no status.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// The longest text that is taken, in bytes; ids and names are far shorter.
const TEXT_BYTES_MAX: usize = 4096;
/// More windows than this no account has.
const WINDOWS_MAX: usize = 16;

/// What Claude Code said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status {
    pub(crate) conversation: Option<String>,
    pub(crate) transcript: Option<PathBuf>,
    pub(crate) project: Option<String>,
    pub(crate) model: Option<String>,
    /// What the conversation cost so far, in dollars.
    pub(crate) cost_usd: Option<f64>,
    /// How long the process has run, in milliseconds.
    pub(crate) duration_ms: Option<u64>,
    /// How much of the context is used, 0 to 100.
    pub(crate) context_percentage: Option<f64>,
    /// Tells the answer of the API that it speaks of from the one before.
    pub(crate) mark: u64,
    /// The limits, as they were said.
    pub(crate) windows: Vec<Window>,
    /// Whether something in it cannot be meant.
    pub(crate) is_odd: bool,
}

/// One limit as it was said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) window: LimitWindow,
    pub(crate) used_percentage: f64,
    pub(crate) resets_at: Option<Timestamp>,
}

impl Status {
    /// Reads the input; `None` where it is no JSON object at all.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let Value::Object(root) = serde_json::from_slice(bytes).ok()? else { return None };
        let part = |name: &str| root.get(name).and_then(Value::as_object);
        let mut status = Self::default();
        status.conversation = text(&root, "session_id", &mut status.is_odd);
        status.transcript = text(&root, "transcript_path", &mut status.is_odd).map(PathBuf::from);
        let empty = Map::new();
        let workspace = part("workspace").unwrap_or(&empty);
        let project = text(workspace, "project_dir", &mut status.is_odd);
        status.project = project.or_else(|| text(&root, "cwd", &mut status.is_odd));
        let model = part("model").unwrap_or(&empty);
        let name = text(model, "display_name", &mut status.is_odd);
        status.model = name.or_else(|| text(model, "id", &mut status.is_odd));
        let cost = part("cost").unwrap_or(&empty);
        status.cost_usd = number(cost, "total_cost_usd", 0.0..=1e9, &mut status.is_odd);
        status.duration_ms =
            number(cost, "total_duration_ms", 0.0..=1e15, &mut status.is_odd).map(|ms| ms as u64);
        let context = part("context_window").unwrap_or(&empty);
        status.context_percentage = number(context, "used_percentage", 0.0..=100.0, &mut status.is_odd);
        status.mark = mark(cost, context);
        status.is_odd |=
            root.get("rate_limits").is_some_and(|limits| !limits.is_null() && !limits.is_object());
        status.read_windows(part("rate_limits").unwrap_or(&empty));
        Some(status)
    }

    fn read_windows(&mut self, limits: &Map<String, Value>) {
        self.is_odd |= limits.len() > WINDOWS_MAX;
        for (name, limit) in limits.iter().take(WINDOWS_MAX) {
            let is_name =
                name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let Value::Object(limit) = limit else {
                self.is_odd |= !limit.is_null();
                continue;
            };
            let Some(used_percentage) = limit.get("used_percentage").filter(|used| !used.is_null()) else {
                continue;
            };
            let resets_at = limit.get("resets_at").filter(|at| !at.is_null());
            let read_reset = resets_at.map(moment);
            let (Some(used_percentage), true, false) =
                (used_percentage.as_f64(), is_name, read_reset == Some(None))
            else {
                self.is_odd = true;
                continue;
            };
            let window = LimitWindow::from_name(name);
            self.windows.push(Window { window, used_percentage, resets_at: read_reset.flatten() });
        }
    }

    /// Returns the limits as readings of an account made at a moment, and whether some were left out because they cannot
    /// be true.
    pub(crate) fn readings(&self, account: &Arc<str>, at: Timestamp) -> (Vec<Reading>, bool) {
        let by: Arc<str> = self.conversation.as_deref().unwrap_or_default().into();
        let mut refused = false;
        let mut readings = Vec::new();
        for told in &self.windows {
            let reading = Reading::hundredths(told.used_percentage).map(|used| Reading {
                account: account.clone(),
                window: told.window.clone(),
                at,
                used: Some(used),
                status: LimitStatus::Allowed,
                resets_at: told.resets_at,
                source: LimitSource::StatusLine,
                by: by.clone(),
            });
            match reading {
                Some(reading) if Limits::merge([reading.clone()], at).refused.is_empty() => {
                    readings.push(reading)
                }
                _ => refused = true,
            }
        }
        (readings, refused)
    }
}

/// Reads a text; one of another type or without an end is odd.
fn text(map: &Map<String, Value>, name: &str, is_odd: &mut bool) -> Option<String> {
    match map.get(name)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if text.len() <= TEXT_BYTES_MAX => Some(text.clone()),
        _ => {
            *is_odd = true;
            None
        }
    }
}

fn number(
    map: &Map<String, Value>,
    name: &str,
    range: std::ops::RangeInclusive<f64>,
    is_odd: &mut bool,
) -> Option<f64> {
    let value = map.get(name).filter(|value| !value.is_null())?;
    let number = value.as_f64().filter(|number| range.contains(number));
    *is_odd |= number.is_none();
    number
}

/// Reads a time in Unix seconds or as RFC 3339.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse(text),
        // Whether it can be true is decided where the limits are merged.
        value => value.as_f64().map(|seconds| Timestamp::from_seconds(seconds as i64)),
    }
}

/// Sums up what grows with each answer of the API. Asked for its status without a new answer, Claude Code sends the same.
fn mark(cost: &Map<String, Value>, context: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in [
        cost.get("total_api_duration_ms"),
        cost.get("total_cost_usd"),
        context.get("total_input_tokens"),
        context.get("total_output_tokens"),
    ] {
        value.and_then(Value::as_f64).map(f64::to_bits).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_795_400_000);

    #[test]
    fn an_ordinary_one_is_read() {
        let status = Status::read(
            br#"{"session_id":"c-1","transcript_path":"/h/.claude/projects/-p/c-1.jsonl","cwd":"/p",
            "model":{"id":"claude-opus-5","display_name":"Opus"},"workspace":{"project_dir":"/p/shop"},
            "cost":{"total_cost_usd":0.5,"total_duration_ms":45000},"context_window":{"used_percentage":8},
            "rate_limits":{"five_hour":{"used_percentage":23.5,"resets_at":1795403600},
                           "seven_day":{"used_percentage":41,"resets_at":null},"seven_day_opus":null}}"#,
        )
        .unwrap();
        assert_eq!(status.conversation.as_deref(), Some("c-1"));
        assert_eq!((status.model.as_deref(), status.project.as_deref()), (Some("Opus"), Some("/p/shop")));
        assert_eq!(
            (status.cost_usd, status.context_percentage, status.is_odd),
            (Some(0.5), Some(8.0), false)
        );
        let (readings, refused) = status.readings(&"a".into(), AT);
        let told: Vec<_> = readings.iter().map(|it| (it.window.name(), it.used, it.resets_at)).collect();
        let reset = Some(Timestamp::from_seconds(1_795_403_600));
        assert_eq!(told, [("five_hour", Some(2_350), reset), ("seven_day", Some(4_100), None)]);
        assert!(!refused);
    }

    #[test]
    fn the_same_answer_has_the_same_mark() {
        let of = |text: &str| Status::read(text.as_bytes()).unwrap().mark;
        let first = of(r#"{"cost":{"total_api_duration_ms":10,"total_duration_ms":20}}"#);
        assert_eq!(first, of(r#"{"cost":{"total_api_duration_ms":10,"total_duration_ms":99}}"#));
        assert_ne!(first, of(r#"{"cost":{"total_api_duration_ms":11,"total_duration_ms":99}}"#));
    }

    #[test]
    fn what_cannot_be_meant_is_left_out() {
        for text in ["", "null", "[]", "7", "\"x\"", "{", "{\"a\":1}{", "\u{feff}{}"] {
            assert_eq!(Status::read(text.as_bytes()), None, "{text}");
        }
        let check = |text: &str, readings: usize| {
            let status = Status::read(text.as_bytes()).unwrap();
            let (told, refused) = status.readings(&"a".into(), AT);
            assert!(status.is_odd || refused, "{text}");
            assert_eq!(told.len(), readings, "{text}");
        };
        check(r#"{"session_id":7}"#, 0);
        check(r#"{"rate_limits":[]}"#, 0);
        check(r#"{"rate_limits":{"five_hour":[]}}"#, 0);
        check(
            r#"{"rate_limits":{"five_hour":{"used_percentage":"9"},"seven_day":{"used_percentage":9}}}"#,
            1,
        );
        check(
            r#"{"rate_limits":{"five_hour":{"used_percentage":1e9},"seven_day":{"used_percentage":9}}}"#,
            1,
        );
        check(r#"{"rate_limits":{"five_hour":{"used_percentage":-1}}}"#, 0);
        check(r#"{"rate_limits":{"five_hour":{"used_percentage":9,"resets_at":1795403600000}}}"#, 0);
        check(r#"{"rate_limits":{"five_hour":{"used_percentage":9,"resets_at":"soon"}}}"#, 0);
        check("{\"rate_limits\":{\"a\\u001b[31m\":{\"used_percentage\":9}}}", 0);
        check(r#"{"cost":{"total_cost_usd":-1}}"#, 0);
        check(&format!(r#"{{"session_id":"{}"}}"#, "x".repeat(5000)), 0);
        assert_eq!(
            Status::read("{}".as_bytes()).unwrap(),
            Status { mark: mark(&Map::new(), &Map::new()), ..Status::default() }
        );
        assert_eq!(Status::read(&vec![b' '; BYTES_MAX + 1]), None);
    }
}
