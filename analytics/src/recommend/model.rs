//! Rules about who does the work: models dearer than it, and too many sub-agents at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use session_store::{ModelId, PriceClass, PromptBand, Timestamp, Usage};

use super::{Evidence, Finding, Kind, Saving, View};
use crate::history::Reply;
use crate::money::Usd;
use crate::pricing::Prices;

/// What a dear model is compared with.
const PLAIN_MODEL: &str = "claude-sonnet-5-5";
/// A sub-agent that wrote no more had little to do.
const SMALL_OUTPUT: u64 = 2_000;
const AGENTS_MIN: u64 = 3;
/// So many sub-agents at once are no burst.
const AT_ONCE: usize = 4;
const BURST: Duration = Duration::from_secs(10 * 60);

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let mut findings = dear(view);
    findings.extend(bursts(view));
    findings
}

#[derive(Default)]
struct Dear {
    agents: u64,
    output: u64,
    cost: Usd,
    models: BTreeSet<String>,
}

fn dear(view: &View<'_>) -> Vec<Finding> {
    let plain = ModelId::from(PLAIN_MODEL);
    let mut prices = Prices::of(view.history.book);
    let mut plainly = |reply: &Reply<'_>| {
        let class = PriceClass { tariff: reply.tariff, prompt: PromptBand::of(reply.usage.prompt()) };
        prices.price(&plain, reply.at, class).map(|price| price.cost(&reply.usage))
    };
    let mut sums: BTreeMap<Option<Arc<str>>, Dear> = BTreeMap::new();
    for ((_, agent), places) in &view.history.threads {
        let replies: Vec<_> = places.iter().map(|place| &view.history.replies[*place]).collect();
        let output: u64 = replies.iter().map(|reply| reply.usage.output).sum();
        if agent.is_none() || output > SMALL_OUTPUT {
            continue;
        }
        let cost: Usd = replies.iter().map(|reply| reply.cost).sum();
        let plainly: Option<Usd> = replies.iter().map(|reply| plainly(reply)).sum();
        let Some(plainly) = plainly.filter(|plainly| cost.as_picos() > plainly.as_picos() * 3 / 2) else {
            continue;
        };
        let sum = sums.entry(replies[0].session.clone()).or_default();
        sum.agents += 1;
        sum.output += output;
        sum.cost += cost - plainly;
        sum.models.extend(replies.iter().map(|reply| reply.model.to_string()));
    }
    let finding = |(session, sum): (Option<Arc<str>>, Dear)| {
        let models = sum.models.into_iter().collect::<Vec<_>>().join(", ");
        (sum.agents >= AGENTS_MIN).then(|| Finding {
            kind: Kind::DearModel,
            title: "Small tasks run on a dear model".to_owned(),
            text: format!(
                "{} sub-agents wrote {} tokens in all on {models}. Name a smaller model for them: `model: sonnet` in the agent's \
                 file, or CLAUDE_CODE_SUBAGENT_MODEL.",
                sum.agents, sum.output,
            ),
            evidence: BTreeMap::from([
                ("sub_agents", Evidence::Count(sum.agents)),
                ("output_tokens", Evidence::Count(sum.output)),
                ("models", Evidence::Text(models)),
                ("compared_with", Evidence::Text(PLAIN_MODEL.to_owned())),
            ]),
            session,
            saving: Saving { cost: sum.cost, ..Saving::default() },
        })
    };
    sums.into_iter().filter_map(finding).collect()
}

fn bursts(view: &View<'_>) -> Vec<Finding> {
    let replies = &view.history.replies;
    // The first reply of each sub-agent, by its conversation.
    let mut starts: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for ((conversation, agent), places) in &view.history.threads {
        if agent.is_some() {
            starts.entry(*conversation).or_default().extend(places.first());
        }
    }
    let mut sums: BTreeMap<Option<Arc<str>>, (u64, usize, Usd)> = BTreeMap::new();
    for mut starts in starts.into_values() {
        starts.sort_unstable();
        let times: Vec<Timestamp> = starts.iter().map(|place| replies[*place].at).collect();
        for (number, place) in starts.iter().enumerate() {
            let reply = &replies[*place];
            let first = times.partition_point(|at| *at < reply.at.before(BURST));
            let at_once = number - first.min(number) + 1;
            if at_once <= AT_ONCE {
                continue;
            }
            let prompt = Usage { output: 0, cache_read: 0, web_searches: 0, ..reply.usage };
            let (agents, most, cost) = sums.entry(reply.session.clone()).or_default();
            *agents += 1;
            *most = (*most).max(at_once);
            *cost += reply.price.as_ref().map_or(Usd::ZERO, |price| price.cost(&prompt));
        }
    }
    sums.into_iter()
        .map(|(session, (agents, most, cost))| Finding {
            kind: Kind::SubAgentBurst,
            title: "Many sub-agents start at once".to_owned(),
            text: format!(
                "{agents} sub-agents started while four others had within ten minutes, up to {most} at once, and each paid for a \
                 prompt of its own. Let fewer of them do more each."
            ),
            evidence: BTreeMap::from([
                ("sub_agents", Evidence::Count(agents)),
                ("most_at_once", Evidence::Count(most as u64)),
            ]),
            session,
            saving: Saving { cost, ..Saving::default() },
        })
        .collect()
}
