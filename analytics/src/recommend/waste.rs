//! The rule about replies that came to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use session_store::Failure;

use super::{Evidence, Finding, Kind, Saving, View};
use crate::money::Usd;

/// Fewer failures are chance.
const FAILURES_MIN: u64 = 5;

#[derive(Default)]
struct Failed {
    counts: BTreeMap<Failure, u64>,
    cost: Usd,
}

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let mut sums: BTreeMap<Option<Arc<str>>, Failed> = BTreeMap::new();
    for (failure, place) in &view.history.failures {
        let reply = &view.history.replies[*place];
        let failed = sums.entry(reply.session.clone()).or_default();
        *failed.counts.entry(*failure).or_default() += 1;
        failed.cost += reply.cost;
    }
    let finding = |(session, Failed { counts, cost }): (Option<Arc<str>>, Failed)| {
        let of = |failure| counts.get(&failure).copied().unwrap_or(0);
        let [errors, interrupted, refused] = [Failure::Error, Failure::Interrupted, Failure::Refused].map(of);
        (errors + interrupted + refused >= FAILURES_MIN).then(|| Finding {
            kind: Kind::FailedReplies,
            title: "Replies come to nothing".to_owned(),
            text: format!(
                "{errors} errors, {interrupted} interruptions and {refused} refusals ended work that was paid for. Plan before \
                 letting it run (plan mode), and look at what fails again and again before trying once more."
            ),
            evidence: BTreeMap::from([
                ("errors", Evidence::Count(errors)),
                ("interruptions", Evidence::Count(interrupted)),
                ("refusals", Evidence::Count(refused)),
            ]),
            session,
            saving: Saving { cost, ..Saving::default() },
        })
    };
    sums.into_iter().filter_map(finding).collect()
}
