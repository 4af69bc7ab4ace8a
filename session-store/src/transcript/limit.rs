//! Limit messages of all client versions: structured fields first, then the texts with their zones.

use crate::event::{Fact, LimitCause, LimitHit, LimitSample, LimitWindow, Reset};
use crate::time::Timestamp;
use crate::zone::{ClockTime, Zone};

use super::line::{Line, QuotaLimits, first_text};

/// Reads what an API error line says of a limit, `None` where it speaks of something else.
///
/// The order is that of trust: `quotaLimits`, then the text, then the bare kind of error.
pub(super) fn read(line: &Line<'_>, bytes: &[u8], at: Timestamp, zone: &Zone) -> Option<Fact> {
    if !line.is_api_error_message.0 {
        // The same words stand in tool results and quotations.
        return None;
    }
    let quota = line.quota_limits.0.as_ref();
    if let Some(quota) = quota {
        if line.api_error_is_transient.0 {
            return Some(burst());
        }
        if !quota.status.is("rejected") {
            return sample(quota);
        }
        return Some(Fact::LimitHit(LimitHit {
            cause: LimitCause::Quota,
            resets_at: Reset(reset_of(quota)),
            window: window_of(quota),
        }));
    }
    let text = first_text(bytes);
    if let Some(hit) = read_text(&text, at, zone) {
        return Some(Fact::LimitHit(hit));
    }
    let busy = ["rate_limit", "overloaded", "server_error"].iter().any(|kind| line.error.is(kind));
    (busy && !is_entitlement(&text)).then(burst)
}

fn burst() -> Fact {
    Fact::LimitHit(LimitHit {
        cause: LimitCause::Burst,
        resets_at: Reset(None),
        window: LimitWindow::Unspecified,
    })
}

fn sample(quota: &QuotaLimits<'_>) -> Option<Fact> {
    let status = quota.status.within(64)?;
    let used = quota.utilization.float().filter(|used| (0.0..=1.0).contains(used));
    Some(Fact::LimitSample(LimitSample {
        window: window_of(quota),
        resets_at: reset_of(quota),
        used_hundredths: used.map(|used| (used * 10_000.0).round() as u32),
        status: status.into(),
    }))
}

fn window_of(quota: &QuotaLimits<'_>) -> LimitWindow {
    LimitWindow::from_name(quota.rate_limit_type.within(64).unwrap_or_default())
}

fn reset_of(quota: &QuotaLimits<'_>) -> Option<Timestamp> {
    let seconds = quota.resets_at.count(u64::from(u32::MAX)).filter(|&seconds| seconds > 0)?;
    Some(Timestamp::from_seconds(seconds as i64)).filter(|at| at.is_plausible())
}

/// Reads a quota message by its text; `at` is when it was written, `zone` where times without a zone belong.
fn read_text(text: &str, at: Timestamp, zone: &Zone) -> Option<LimitHit> {
    let text = normalize(text);
    let hit = |window, resets_at: Option<Timestamp>| LimitHit {
        cause: LimitCause::Quota,
        resets_at: Reset(resets_at.filter(|at| at.is_plausible())),
        window,
    };
    if let Some((_, seconds)) = text.split_once("usage limit reached|") {
        let seconds: String = seconds.chars().take_while(char::is_ascii_digit).collect();
        return Some(hit(LimitWindow::Unspecified, seconds.parse().ok().map(Timestamp::from_seconds)));
    }
    if !is_quota(&text) {
        return None;
    }
    Some(hit(window_named_in(&text), reset_named_in(&text, at, zone)))
}

/// Lower case, with one form each of the apostrophe and the middle dot.
fn normalize(text: &str) -> String {
    let line: String = text.chars().take(400).collect();
    line.to_lowercase().replace('’', "'").replace(['∙', '•'], "·")
}

fn is_entitlement(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("1m context") || text.contains("long context")
}

fn is_quota(text: &str) -> bool {
    if text.contains("not your usage limit") || text.contains("rate limit") || is_entitlement(text) {
        return false;
    }
    let reached = text.contains("limit reached") || text.contains("spending cap reached");
    let hit = text.contains("hit your") && text.contains("limit");
    let out = text.contains("out of extra usage") || text.contains("out of usage credits");
    let api = text.contains("reached your") && text.contains("usage limit");
    reached || hit || out || api
}

fn window_named_in(text: &str) -> LimitWindow {
    // The part before the first dot names the limit; what follows may speak of another one's reset.
    let name = text.split('·').next().unwrap_or(text);
    let has = |word: &str| name.contains(word);
    if has("spend") || has("extra usage") || has("credit") || has("monthly") || has("api usage") {
        LimitWindow::Overage
    } else if has("opus") {
        LimitWindow::SevenDayOpus
    } else if has("sonnet") {
        LimitWindow::SevenDaySonnet
    } else if has("fable") {
        LimitWindow::from_name("seven_day_overage_included")
    } else if has("weekly") || has("week") {
        LimitWindow::SevenDay
    } else if has("session") || has("5-hour") || has("five-hour") {
        LimitWindow::FiveHour
    } else {
        LimitWindow::Unspecified
    }
}

fn reset_named_in(text: &str, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let (_, rest) = ["resets", "reset at", "access on"].iter().find_map(|word| text.split_once(word))?;
    let mut time = ClockTime::default();
    let mut named = false;
    let mut zone = zone.clone();
    for word in rest.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).take(8) {
        let word = word.trim_end_matches([')', '·']);
        if let Some(name) = word.strip_prefix('(') {
            zone = zone_named(name).unwrap_or(zone);
            break;
        }
        if let Some(zone_said) = ["utc", "gmt"].contains(&word).then(Zone::utc) {
            zone = zone_said;
            break;
        }
        named |= read_word(word, &mut time);
    }
    if named { zone.next(time, at) } else { None }
}

/// IANA names are looked up without regard to case, so the lower-cased text does.
fn zone_named(name: &str) -> Option<Zone> {
    Zone::named(name)
}

fn read_word(word: &str, time: &mut ClockTime) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let starts = |names: &[&str]| {
        let head = word.get(..3)?;
        let letters = word.chars().all(|letter| letter.is_ascii_alphabetic());
        names.iter().position(|name| letters && *name == head).map(|place| place as i8)
    };
    if let Some((hour, minute)) = read_clock(word) {
        (time.hour, time.minute) = (hour, minute);
    } else if let Some(date) = crate::zone::Date::parse(word) {
        (time.year, time.month_day) = (Some(date.year), Some((date.month, date.day)));
    } else if let Some(month) = starts(&MONTHS) {
        time.month_day = Some((month + 1, 1));
    } else if let Some(weekday) = starts(&WEEKDAYS) {
        time.weekday = Some(weekday);
    } else if let (Some((month, _)), Ok(number)) = (time.month_day, word.parse::<i16>()) {
        match number {
            1..=31 => time.month_day = Some((month, number as i8)),
            2020..=2100 => time.year = Some(number),
            _ => return false,
        }
    } else {
        return false;
    }
    true
}

/// Reads `3pm`, `3:45pm` or `15:45`.
fn read_clock(word: &str) -> Option<(i8, i8)> {
    let (clock, afternoon) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(clock), _) => (clock, Some(false)),
        (_, Some(clock)) => (clock, Some(true)),
        _ => (word, None),
    };
    let (hour, minute) = match clock.split_once(':') {
        Some((hour, minute)) => (hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?),
        None => (clock.parse::<i8>().ok().filter(|_| afternoon.is_some())?, 0),
    };
    let hour = match afternoon {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(true) => hour % 12 + 12,
        Some(false) => hour % 12,
        None => hour,
    };
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour, minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, Option<&str>)>) {
        let at = Timestamp::parse("2026-11-22T17:09:16.284Z").unwrap();
        let zone = Zone::named("Europe/Berlin").unwrap();
        let hit = read_text(text, at, &zone);
        let told = hit.map(|hit| (hit.window.name().to_owned(), hit.resets_at.0.map(|at| at.to_string())));
        let expected = expected.map(|(window, reset)| (window.to_owned(), reset.map(str::to_owned)));
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn texts_of_all_versions() {
        check(
            "Claude AI usage limit reached|1795370918",
            Some(("unspecified", Some("2026-11-22T18:08:38.000Z"))),
        );
        check(
            "Claude usage limit reached. Your limit will reset at 5pm (America/New_York).",
            Some(("unspecified", Some("2026-11-22T22:00:00.000Z"))),
        );
        check("5-hour limit reached ∙ resets 3pm", Some(("five_hour", Some("2026-11-23T14:00:00.000Z"))));
        check("Session limit reached ∙ resets 4am", Some(("five_hour", Some("2026-11-23T03:00:00.000Z"))));
        check(
            "Weekly limit reached ∙ resets Nov 25, 10am",
            Some(("seven_day", Some("2026-11-25T09:00:00.000Z"))),
        );
        check(
            "Opus weekly limit reached ∙ resets Jan 10, 5pm",
            Some(("seven_day_opus", Some("2027-01-10T16:00:00.000Z"))),
        );
        check(
            "Limit reached · resets 2pm (America/Sao_Paulo)",
            Some(("unspecified", Some("2026-11-23T17:00:00.000Z"))),
        );
        check(
            "You've hit your limit · resets 6:10pm (UTC)",
            Some(("unspecified", Some("2026-11-22T18:10:00.000Z"))),
        );
        check(
            "You’ve hit your 5-hour limit · resets 6:12pm (UTC)",
            Some(("five_hour", Some("2026-11-22T18:12:00.000Z"))),
        );
        check(
            "You've hit your weekly limit · resets Mon 12:00am (UTC)",
            Some(("seven_day", Some("2026-11-23T00:00:00.000Z"))),
        );
        check(
            "You've hit your Opus limit · resets 3:45pm (UTC)",
            Some(("seven_day_opus", Some("2026-11-23T15:45:00.000Z"))),
        );
        check("You've hit your Fable limit", Some(("seven_day_overage_included", None)));
        check(
            "You've hit your weekly limit · resets Dec 2 at 7am (UTC)",
            Some(("seven_day", Some("2026-12-02T07:00:00.000Z"))),
        );
        check(
            "You've hit your individual spend limit · run /usage-credits to go on · your session limit resets 7:50am (UTC)",
            Some(("overage", Some("2026-11-23T07:50:00.000Z"))),
        );
        check("Spending cap reached resets 6:09pm", Some(("overage", Some("2026-11-22T17:09:00.000Z"))));
        check(
            "You're out of extra usage · resets 9pm (UTC)",
            Some(("overage", Some("2026-11-22T21:00:00.000Z"))),
        );
        check("You've hit your org's monthly usage limit", Some(("overage", None)));
        check(
            "spend limit reached (daily; resets 2026-11-24 00:00 UTC)",
            Some(("overage", Some("2026-11-24T00:00:00.000Z"))),
        );
        check(
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            Some(("overage", Some("2026-12-01T00:00:00.000Z"))),
        );
    }

    #[test]
    fn what_is_no_quota() {
        check("API Error: Rate limit reached", None);
        check("API Error: Request rejected (429) · this may be a temporary capacity issue", None);
        check("Server is temporarily limiting requests (not your usage limit)", None);
        check("API Error: 529 Overloaded", None);
        check("Extra usage is required for 1M context", None);
        check("Invalid API key · Please run /login", None);
        check("Prompt is too long", None);
        check("", None);
    }

    proptest::proptest! {
        #[test]
        fn reading_is_total(text in "(You've hit your limit · resets )?\\PC{0,60}") {
            let _ = read_text(&text, Timestamp::from_seconds(1_795_367_381), &Zone::utc());
        }
    }
}
