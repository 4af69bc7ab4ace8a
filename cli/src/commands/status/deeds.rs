//! What hooks did about limits within the last day, and what they would have done under another policy.

use std::time::Duration;

use serde::Serialize;
use session_analytics::{Elapsed, Restraints, RestraintsOut};
use session_store::{EventBackend, Selection, Stores, Timestamp};

use crate::clock::now;
use crate::context::Context;
use crate::error::CliError;
use crate::kept;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize)]
pub(super) struct DeedsOut {
    policy: &'static str,
    #[serde(flatten)]
    restraints: RestraintsOut,
}

/// Reads what was done within the last day.
pub(super) fn last_day(context: &Context, stores: &Stores) -> Result<Restraints, CliError> {
    kept::keep_restraints(stores, &context.config);
    let range = now().before(DAY)..Timestamp::MAX;
    let facts =
        stores.events(&Selection { range: range.clone(), conversations: false, ..Selection::facts() })?;
    Ok(Restraints::of(&facts, &range))
}

/// Tells of it in a line; of nothing where there was nothing to do.
pub(super) fn text(deeds: &Restraints) -> String {
    let time = |millis: u64| Elapsed(Duration::from_millis(millis));
    let mut parts = Vec::new();
    if deeds.waits + deeds.refusals > 0 {
        let (waits, waited) = (deeds.waits, time(deeds.waited_ms));
        parts.push(format!("{waits} calls waited {waited} in all, {} were refused", deeds.refusals));
    }
    if deeds.waits_due + deeds.refusals_due > 0 {
        let (waits, due) = (deeds.waits_due, time(deeds.due_ms));
        let refusals = deeds.refusals_due;
        parts.push(format!(
            "under `enforce` {waits} calls would have waited {due} in all, {refusals} been refused"
        ));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("    limits, last day: {}\n", parts.join("; "))
}

pub(super) fn json(context: &Context, deeds: &Restraints) -> DeedsOut {
    DeedsOut { policy: context.config.policy.name(), restraints: RestraintsOut::of(deeds) }
}
