//! What Claude Code keeps of its last look at the account's use, in `.claude.json`.
//!
//! Exactly one key of that file is read; the rest, some of it private, is passed over.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use session_analytics::{LimitSource, LimitStatus, Reading};
use session_store::{LimitWindow, Timestamp};

const FILE: &str = ".claude.json";
/// It holds a line for each project; nobody has so many.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Root {
    #[serde(rename = "cachedUsageUtilization")]
    cached: Option<Value>,
}

/// Returns what is kept for a config folder: in the folder itself, or beside the one in the user's home.
pub(crate) fn readings(dir: &Path, home: Option<&Path>, account: &Arc<str>) -> Vec<Reading> {
    let beside = home.filter(|home| home.join(".claude") == dir).map(|home| home.join(FILE));
    let files: Vec<PathBuf> = [dir.join(FILE)].into_iter().chain(beside).collect();
    files
        .iter()
        .find_map(|file| read_file(file))
        .map(|cached| readings_of(&cached, account))
        .unwrap_or_default()
}

fn read_file(path: &Path) -> Option<Value> {
    let metadata =
        path.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() <= BYTES_MAX)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    File::open(path).ok()?.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice::<Root>(&bytes).ok()?.cached
}

/// Reads the windows; one whose value or time is of another form is left out.
fn readings_of(cached: &Value, account: &Arc<str>) -> Vec<Reading> {
    let Some(at) = cached["fetchedAtMs"].as_f64().map(|ms| Timestamp::from_millis(ms as i64)) else {
        return Vec::new();
    };
    let reading = |window: LimitWindow, used: &Value, resets_at: &Value| {
        let resets_at = match resets_at {
            Value::String(text) => Some(Timestamp::parse(text)?),
            _ => None,
        };
        Some(Reading {
            account: account.clone(),
            window,
            at,
            used: Some(Reading::hundredths(used.as_f64()?)?),
            status: LimitStatus::Allowed,
            resets_at,
            source: LimitSource::Cache,
            by: "cache".into(),
        })
    };
    let utilization = &cached["utilization"];
    let named = utilization.as_object().into_iter().flatten().filter(|(name, _)| is_window(name));
    let named = named.filter_map(|(name, limit)| {
        reading(LimitWindow::from_name(name), &limit["utilization"], &limit["resets_at"])
    });
    let scoped = utilization["limits"].as_array().into_iter().flatten();
    let scoped = scoped.filter(|limit| limit["kind"] == "weekly_scoped").filter_map(|limit| {
        let model = limit["scope"]["model"]["display_name"].as_str()?.to_lowercase();
        let is_name = model.len() <= 32 && model.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let window = is_name.then(|| window_of_model(&model))?;
        reading(window, &limit["percent"], &limit["resets_at"])
    });
    named.chain(scoped).collect()
}

fn is_window(name: &str) -> bool {
    name == "five_hour" || name.starts_with("seven_day")
}

/// Claude Code has a name of its own for the week of Fable.
fn window_of_model(model: &str) -> LimitWindow {
    match model {
        "fable" => LimitWindow::from_name("seven_day_overage_included"),
        model => LimitWindow::from_name(&format!("seven_day_{model}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_those_of_models_are_read() {
        let cached = serde_json::json!({
            "fetchedAtMs": 1_795_400_000_000_u64, "accountUuid": "u",
            "utilization": {
                "five_hour": {"utilization": 12.5, "resets_at": "2026-11-23T05:00:00.000Z"},
                "seven_day": {"utilization": 50, "resets_at": null},
                "seven_day_opus": null, "extra_usage": {"utilization": 7},
                "limits": [{"kind": "weekly_scoped", "percent": 98, "resets_at": "2026-11-25T00:00:00Z",
                            "scope": {"model": {"display_name": "Fable"}}},
                           {"kind": "session", "percent": 12}, 7],
            },
        });
        let told: Vec<_> = readings_of(&cached, &"a".into())
            .iter()
            .map(|it| (it.window.name().to_owned(), it.used, it.resets_at.is_some()))
            .collect();
        let expected = [
            ("five_hour", 1_250, true),
            ("seven_day", 5_000, false),
            ("seven_day_overage_included", 9_800, true),
        ];
        assert_eq!(told, expected.map(|(name, used, reset)| (name.to_owned(), Some(used), reset)));
        for other in ["null", "[]", "{}", r#"{"fetchedAtMs":"x"}"#, r#"{"fetchedAtMs":1,"utilization":[{}]}"#]
        {
            assert_eq!(readings_of(&serde_json::from_str(other).unwrap(), &"a".into()), []);
        }
    }

    #[test]
    fn the_file_is_in_the_folder_or_beside_that_of_the_home() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join(".claude");
        std::fs::create_dir(&dir).unwrap();
        let read = |dir: &Path| readings(dir, Some(home.path()), &"a".into()).len();
        let text = r#"{"x":{"y":[1]},"cachedUsageUtilization":{"fetchedAtMs":1,"utilization":{"five_hour":{"utilization":1}}}}"#;
        assert_eq!(read(&dir), 0);
        std::fs::write(home.path().join(FILE), text).unwrap();
        assert_eq!((read(&dir), read(&home.path().join("other"))), (1, 0));
        std::fs::write(dir.join(FILE), "{").unwrap();
        assert_eq!(read(&dir), 1, "one that cannot be read is as good as none");
    }
}
