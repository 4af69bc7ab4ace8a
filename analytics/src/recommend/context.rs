//! Rules about the size of the context: carried from reply to reply, and priced dearer beyond a threshold.

use std::collections::BTreeMap;
use std::sync::Arc;

use session_store::{Fact, PriceClass, PromptBand, Usage};

use super::{Evidence, Finding, Kind, Saving, View};
use crate::human::Tokens;
use crate::money::Usd;
use crate::pricing::Prices;

/// Beyond so many tokens a context is called large.
const LARGE: u64 = 100_000;
/// Replies with a large context without which a stretch is not worth a summary.
const STRETCH_MIN: usize = 5;
/// What a summary costs: it reads the context, writes a page or two, and begins a new context.
const SUMMARY: Usage = Usage {
    input: 0,
    output: 5_000,
    cache_write_5m: 20_000,
    cache_write_1h: 0,
    cache_read: LARGE,
    web_searches: 0,
};

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let mut findings = carried(view);
    findings.extend(dear_tier(view));
    findings
}

#[derive(Default)]
struct Carried {
    replies: u64,
    stretches: u64,
    tokens: u64,
    cost: Usd,
}

fn carried(view: &View<'_>) -> Vec<Finding> {
    let mut sums: BTreeMap<Option<Arc<str>>, Carried> = BTreeMap::new();
    for places in view.history.threads.values() {
        let is_large = |place: &usize| view.history.replies[*place].usage.cache_read > LARGE;
        for stretch in places.chunk_by(|a, b| is_large(a) == is_large(b)) {
            if !is_large(&stretch[0]) || stretch.len() < STRETCH_MIN {
                continue;
            }
            let (mut cost, mut tokens) = (Usd::ZERO, 0);
            let first = &view.history.replies[stretch[0]];
            for reply in stretch.iter().map(|place| &view.history.replies[*place]) {
                let beyond = Usage { cache_read: reply.usage.cache_read - LARGE, ..Usage::default() };
                tokens += beyond.cache_read;
                cost += reply.price.as_ref().map_or(Usd::ZERO, |price| price.cost(&beyond));
            }
            let summary = first.price.as_ref().map_or(Usd::ZERO, |price| price.cost(&SUMMARY));
            if cost > summary {
                let sum = sums.entry(first.session.clone()).or_default();
                sum.replies += stretch.len() as u64;
                sum.stretches += 1;
                sum.tokens += tokens;
                sum.cost += cost - summary;
            }
        }
    }
    let compactions = view.input.ledger.iter().filter(
        |event| matches!(&event.fact, Fact::Compaction(compaction) if compaction.tokens_before > LARGE),
    );
    let compactions = compactions.count() as u64;
    sums.into_iter()
        .map(|(session, sum)| Finding {
            kind: Kind::LargeContext,
            title: "Contexts grow large before they are compacted".to_owned(),
            text: format!(
                "{} replies carried {} tokens beyond the first 100k of their context. Compact at a natural end (/compact), or \
                 begin a new conversation for a new task (/clear).",
                sum.replies,
                Tokens(sum.tokens),
            ),
            evidence: BTreeMap::from([
                ("replies", Evidence::Count(sum.replies)),
                ("stretches", Evidence::Count(sum.stretches)),
                ("tokens", Evidence::Count(sum.tokens)),
                ("late_compactions", Evidence::Count(compactions)),
            ]),
            session,
            saving: Saving { cost: sum.cost, ..Saving::default() },
        })
        .collect()
}

fn dear_tier(view: &View<'_>) -> Vec<Finding> {
    let mut sums: BTreeMap<Option<Arc<str>>, (u64, Usd)> = BTreeMap::new();
    let mut prices = Prices::of(view.history.book);
    for reply in &view.history.replies {
        let plain = PriceClass { tariff: reply.tariff, prompt: PromptBand::UpTo100k };
        let Some(plain) = prices.price(reply.model, reply.at, plain) else { continue };
        let surcharge = reply.cost - plain.cost(&reply.usage);
        if surcharge > Usd::ZERO {
            let (replies, cost) = sums.entry(reply.session.clone()).or_default();
            *replies += 1;
            *cost += surcharge;
        }
    }
    sums.into_iter()
        .map(|(session, (replies, cost))| Finding {
            kind: Kind::LongContextTier,
            title: "Long prompts are priced dearer".to_owned(),
            text: format!(
                "{replies} replies had prompts beyond the threshold above which their model costs more for the whole request. \
                 Compact before it, or use a model without such a threshold."
            ),
            evidence: BTreeMap::from([("replies", Evidence::Count(replies))]),
            session,
            saving: Saving { cost, ..Saving::default() },
        })
        .collect()
}
