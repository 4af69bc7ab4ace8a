//! Rules about the prompt cache: lost in pauses, kept longer than needed, not used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Evidence, Finding, Kind, Saving, View};
use crate::history::Reply;
use crate::human::Tokens;
use crate::money::Usd;
use crate::pricing::TokenRates;

const SHORT_LIFE: Duration = Duration::from_secs(5 * 60);
const LONG_LIFE: Duration = Duration::from_secs(60 * 60);
/// After a day nobody goes on where they were.
const GAP_MAX: Duration = Duration::from_secs(86_400);
/// Smaller prompts are not worth a cache.
const TOKENS_MIN: u64 = 4_000;
/// Fewer cases are chance.
const CASES_MIN: u64 = 3;

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let mut sums: BTreeMap<Option<Arc<str>>, [Case; 3]> = BTreeMap::new();
    for places in view.history.threads.values() {
        let replies: Vec<&Reply<'_>> = places.iter().map(|place| &view.history.replies[*place]).collect();
        for pair in replies.windows(2) {
            let [before, reply] = [pair[0], pair[1]];
            let Some(rates) = rates(reply) else { continue };
            let [expired, _, uncached] = sums.entry(reply.session.clone()).or_default();
            expired.add(lost_in_pause(before, reply), |tokens| written(reply, rates, tokens));
            uncached.add(not_cached(before, reply), |tokens| {
                times(rates.input, tokens) - times(rates.cache_read, tokens)
            });
        }
        if replies.windows(2).all(|pair| !outlives_short(pair[0], pair[1])) {
            for reply in replies {
                let Some(rates) = rates(reply) else { continue };
                let [_, long, _] = sums.entry(reply.session.clone()).or_default();
                long.add(Some(reply.usage.cache_write_1h).filter(|tokens| *tokens > 0), |tokens| {
                    times(rates.cache_write_1h, tokens) - times(rates.cache_write_5m, tokens)
                });
            }
        }
    }
    let findings = |(session, [expired, long, uncached]): (Option<Arc<str>>, [Case; 3])| {
        [
            expired.finding(Kind::CacheExpired, &session),
            long.finding(Kind::LongCacheUnused, &session),
            uncached.finding(Kind::UncachedPrompts, &session),
        ]
    };
    sums.into_iter().flat_map(findings).flatten().collect()
}

/// How often something happened, to how many tokens, at what cost.
#[derive(Default)]
struct Case {
    count: u64,
    tokens: u64,
    cost: Usd,
}

impl Case {
    fn add(&mut self, tokens: Option<u64>, cost: impl Fn(u64) -> Usd) {
        if let Some(tokens) = tokens {
            self.count += 1;
            self.tokens += tokens;
            self.cost += cost(tokens);
        }
    }

    fn finding(&self, kind: Kind, session: &Option<Arc<str>>) -> Option<Finding> {
        if self.count < CASES_MIN {
            return None;
        }
        let (count, tokens) = (self.count, Tokens(self.tokens));
        let (title, text) = match kind {
            Kind::CacheExpired => (
                "Pauses outlive the prompt cache",
                format!(
                    "{count} times the next prompt came after the cache had ended, and {tokens} tokens were written to it \
                     again. Answer within its life, or end with /compact or /clear before a long pause."
                ),
            ),
            Kind::LongCacheUnused => (
                "The one-hour cache was paid for and not needed",
                format!(
                    "{count} replies wrote {tokens} tokens to the one-hour cache in conversations that never paused for more \
                     than five minutes. The five-minute cache would have served them for less."
                ),
            ),
            _ => (
                "Repeated prompts are not cached",
                format!(
                    "{count} prompts repeated {tokens} tokens of the prompt before at the full price. Look for what changes the \
                     beginning of the prompt: settings, tools that come and go, a gateway without caching."
                ),
            ),
        };
        Some(Finding {
            kind,
            title: title.to_owned(),
            text,
            evidence: BTreeMap::from([
                ("times", Evidence::Count(self.count)),
                ("tokens", Evidence::Count(self.tokens)),
            ]),
            session: session.clone(),
            saving: Saving { cost: self.cost, ..Saving::default() },
        })
    }
}

/// Returns how many tokens were written again because the cache had ended.
fn lost_in_pause(before: &Reply<'_>, reply: &Reply<'_>) -> Option<u64> {
    let gap = reply.at.since(before.at);
    let life = if before.usage.cache_write_1h > 0 { LONG_LIFE } else { SHORT_LIFE };
    if gap <= life || gap > GAP_MAX || before.model != reply.model {
        return None;
    }
    let known = before.usage.prompt().min(reply.usage.prompt());
    let lost = known.saturating_sub(reply.usage.cache_read);
    (known >= TOKENS_MIN && lost > known / 2).then_some(lost)
}

/// Returns how many tokens a prompt repeated without a cache although the pause was short.
fn not_cached(before: &Reply<'_>, reply: &Reply<'_>) -> Option<u64> {
    let usage = &reply.usage;
    if reply.at.since(before.at) > SHORT_LIFE || usage.input < usage.prompt() / 2 {
        return None;
    }
    Some(before.usage.prompt().min(usage.input)).filter(|tokens| *tokens >= TOKENS_MIN)
}

fn outlives_short(before: &Reply<'_>, reply: &Reply<'_>) -> bool {
    let gap = reply.at.since(before.at);
    gap > SHORT_LIFE && gap <= LONG_LIFE
}

fn written(reply: &Reply<'_>, rates: TokenRates, tokens: u64) -> Usd {
    let rate = match &reply.usage {
        usage if usage.cache_write_1h > 0 => rates.cache_write_1h,
        usage if usage.cache_write_5m > 0 => rates.cache_write_5m,
        _ => rates.input,
    };
    times(rate, tokens) - times(rates.cache_read, tokens)
}

fn rates(reply: &Reply<'_>) -> Option<TokenRates> {
    reply.price.as_ref().map(|price| price.rates)
}

fn times(rate: Usd, tokens: u64) -> Usd {
    Usd::from_picos(rate.as_picos().saturating_mul(i128::from(tokens)))
}
