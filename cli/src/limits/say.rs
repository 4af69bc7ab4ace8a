//! A limit in the words that tables and the screen share.

use session_analytics::{LimitStatus, LimitUse};
use session_store::{Timestamp, Zone};

use crate::forecast;
use crate::line::percent;
use crate::words;

/// How many of those who share a limit are named.
const NAMED: usize = 3;

/// Says how much is used: `42%`, `~45%` where that is estimated, `100% hit` where requests are refused.
pub(crate) fn used(it: &LimitUse) -> String {
    let used = it.limit.used_now();
    let shown = match (used, it.estimate) {
        (Some(used), Some(estimate)) if percent(estimate) != percent(used) => {
            format!("~{}%", percent(estimate))
        }
        (Some(used), _) => format!("{}%", percent(used)),
        (None, _) => "?".to_owned(),
    };
    if it.limit.status == LimitStatus::Rejected { format!("{shown} hit") } else { shown }
}

/// Says when it is reset.
pub(crate) fn reset(it: &LimitUse, zone: &Zone, now: Timestamp) -> String {
    match it.limit.resets_at {
        Some(reset) if it.limit.is_over || reset <= now => words::past(reset, now),
        Some(reset) => format!("{} (in {})", words::moment(zone, reset, now), words::until(reset, now)),
        None => "unknown".to_owned(),
    }
}

/// Says what comes first, its end or its reset; nothing where it is hit or over, or nobody forecast it.
pub(crate) fn forecast(it: &LimitUse, zone: &Zone, now: Timestamp) -> String {
    let is_past = it.limit.is_over || it.limit.status == LimitStatus::Rejected;
    let forecast = it.forecast.as_ref().filter(|_| !is_past);
    forecast.map(|forecast| forecast::runs_out(forecast, zone, now)).unwrap_or_default()
}

/// Names those with the greatest shares.
pub(crate) fn shares(it: &LimitUse) -> String {
    let part = |name: &str, part: f64| format!("{name} {:.0}%", part * 100.0);
    let named = it.shares.iter().take(NAMED).map(|it| part(it.short_name(), it.part));
    let rest: f64 = it.shares.iter().skip(NAMED).map(|it| it.part).sum();
    let rest = (rest > 0.0).then(|| part("others", rest));
    let elsewhere = (it.elsewhere >= 0.005).then(|| part("elsewhere", it.elsewhere));
    named.chain(rest).chain(elsewhere).collect::<Vec<_>>().join(", ")
}
