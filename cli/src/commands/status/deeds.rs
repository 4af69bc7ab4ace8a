//! What hooks did about limits within the last day, and what they would have done under another policy.

use std::time::Duration;

use serde::Serialize;
use session_analytics::Elapsed;
use session_coordinator::{Deeds, Journal};

use crate::clock::now;
use crate::context::Context;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize)]
pub(super) struct DeedsOut {
    policy: &'static str,
    waits: u64,
    waited_seconds: f64,
    refusals: u64,
    released: u64,
    waits_due: u64,
    due_seconds: f64,
    refusals_due: u64,
}

fn deeds(context: &Context) -> Deeds {
    Deeds::of(&Journal::of(&context.config.data_dir).since(now().before(DAY)))
}

/// Tells of it in a line; of nothing where there was nothing to do.
pub(super) fn text(context: &Context) -> String {
    let deeds = deeds(context);
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

pub(super) fn json(context: &Context) -> DeedsOut {
    let deeds = deeds(context);
    DeedsOut {
        policy: context.config.policy.name(),
        waits: deeds.waits,
        waited_seconds: deeds.waited_ms as f64 / 1000.0,
        refusals: deeds.refusals,
        released: deeds.released,
        waits_due: deeds.waits_due,
        due_seconds: deeds.due_ms as f64 / 1000.0,
        refusals_due: deeds.refusals_due,
    }
}
