//! Names as people say them: models without what all share, limits in words.

use session_store::LimitWindow;

use crate::printable::printable;

/// Returns a limit in words.
pub fn limit_name(window: &LimitWindow) -> String {
    match window {
        LimitWindow::FiveHour => "5-hour limit".to_owned(),
        LimitWindow::SevenDay => "weekly limit".to_owned(),
        LimitWindow::SevenDayOpus => "weekly Opus limit".to_owned(),
        LimitWindow::SevenDaySonnet => "weekly Sonnet limit".to_owned(),
        LimitWindow::Overage => "extra usage limit".to_owned(),
        LimitWindow::Unspecified => "usage limit".to_owned(),
        other => format!("{} limit", printable(other.name()).replace('_', " ")),
    }
}

/// Returns a model's name without what all have in common: maker, `claude-` and the date of the version.
pub fn model_name(model: &str) -> String {
    let name = model.split_once("claude-").map_or(model, |(_, rest)| rest);
    let is_date = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('-') {
        Some((name, date)) if is_date(date) => name,
        _ => name,
    };
    printable(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_lose_what_all_share() {
        let check = |model, name: &str| assert_eq!(model_name(model), name);
        check("claude-opus-4-5-20251101", "opus-4-5");
        check("claude-sonnet-5", "sonnet-5");
        check("us.anthropic.claude-haiku-4-5", "haiku-4-5");
        check("claude-3-5-sonnet-20241022", "3-5-sonnet");
        check("other\u{1b}model", "other�model");
        check("", "");
    }
}
