//! Names, numbers and costs of the page, as short words.

use crate::human::Grouped;
use crate::report::{Problems, Totals};

/// The last part of a path; what is no path stays whole.
pub(super) fn folder(path: &str) -> String {
    let name = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path);
    if name.is_empty() { path.to_owned() } else { name.to_owned() }
}

/// What stands before the last part of a path.
pub(super) fn above(path: &str) -> String {
    let path = path.trim_end_matches(['/', '\\']);
    path.rfind(['/', '\\']).map(|slash| path[..slash].to_owned()).unwrap_or_default()
}

/// The beginning of an id, enough to name it.
pub(super) fn beginning(id: &str) -> String {
    id.chars().take(8).collect()
}

/// A cost, with a mark where it is estimated.
pub(super) fn cost_text(totals: &Totals) -> String {
    if totals.estimated { format!("~{}", totals.cost) } else { totals.cost.to_string() }
}

/// A cost with a mark where it is not exact.
pub(super) fn money(totals: &Totals, problems: &Problems) -> String {
    if problems.unpriced_models.is_empty() { cost_text(totals) } else { format!("≥{}", totals.cost) }
}

/// A number with its noun.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", Grouped(number), if number == 1 { one } else { many })
}
