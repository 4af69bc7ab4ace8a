//! Rules about surcharges: fast mode, and inference in one country.

use std::collections::BTreeMap;
use std::sync::Arc;

use session_store::{PriceClass, PromptBand, Tariff};

use super::{Evidence, Finding, Kind, Saving, View};
use crate::history::Reply;
use crate::money::Usd;
use crate::pricing::Prices;

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let mut findings = surcharge(view, Kind::FastMode, |tariff| Tariff { fast: false, ..tariff });
    findings.extend(surcharge(view, Kind::UsInference, |tariff| Tariff { us_only: false, ..tariff }));
    findings
}

fn surcharge(view: &View<'_>, kind: Kind, without: fn(Tariff) -> Tariff) -> Vec<Finding> {
    let mut sums: BTreeMap<Option<Arc<str>>, (u64, Usd, Usd)> = BTreeMap::new();
    let mut prices = Prices::of(view.history.book);
    let concerned = |reply: &&Reply<'_>| without(reply.tariff) != reply.tariff;
    for reply in view.history.replies.iter().filter(concerned) {
        let class =
            PriceClass { tariff: without(reply.tariff), prompt: PromptBand::of(reply.usage.prompt()) };
        let Some(plain) = prices.price(reply.model, reply.at, class) else { continue };
        let (replies, cost, surcharge) = sums.entry(reply.session.clone()).or_default();
        *replies += 1;
        *cost += reply.cost;
        *surcharge += reply.cost - plain.cost(&reply.usage);
    }
    let finding = |(session, (replies, cost, surcharge)): (Option<Arc<str>>, (u64, Usd, Usd))| {
        let (title, text) = match kind {
            Kind::FastMode => (
                "Fast mode costs extra",
                format!(
                    "{replies} replies in fast mode cost {cost}, {surcharge} of it for speed. /fast turns it off."
                ),
            ),
            _ => (
                "Inference in the United States costs extra",
                format!(
                    "{replies} replies held in the United States cost {cost}, {surcharge} of it for the place. Where no rule \
                     demands it, leave the place open."
                ),
            ),
        };
        (surcharge > Usd::ZERO).then(|| Finding {
            kind,
            title: title.to_owned(),
            text,
            evidence: BTreeMap::from([
                ("replies", Evidence::Count(replies)),
                ("cost_usd", Evidence::Money(cost)),
            ]),
            session,
            saving: Saving { cost: surcharge, ..Saving::default() },
        })
    };
    sums.into_iter().filter_map(finding).collect()
}
