//! Days as people write them, in English.

use session_store::Date;

use crate::overview::{Step, weekday};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// From Monday on.
pub(super) const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `20 Nov`.
pub(super) fn short(date: Date) -> String {
    format!("{} {}", date.day, month(date))
}

/// `Fri 20 Nov`.
pub(super) fn named(date: Date) -> String {
    format!("{} {}", WEEKDAYS[weekday(date)], short(date))
}

/// `20 Nov 2026`.
pub(super) fn long(date: Date) -> String {
    format!("{} {}", short(date), date.year)
}

/// `20 Oct – 19 Nov 2026`, with both years where they differ.
pub(super) fn span(first: Date, last: Date) -> String {
    match () {
        () if first == last => long(first),
        () if first.year == last.year => format!("{} – {}", short(first), long(last)),
        () => format!("{} – {}", long(first), long(last)),
    }
}

/// The name of a slot that begins with this day.
pub(super) fn slot(step: Step, first: Date) -> String {
    match step {
        Step::Day => named(first),
        Step::Week => format!("Week of {}", long(first)),
        Step::Month => format!("{} {}", month(first), first.year),
    }
}

/// The same for an axis.
pub(super) fn tick(step: Step, first: Date) -> String {
    match step {
        Step::Month => format!("{} {}", month(first), first.year),
        _ => short(first),
    }
}

fn month(date: Date) -> &'static str {
    MONTHS[usize::try_from(date.month - 1).unwrap_or(0).min(11)]
}
