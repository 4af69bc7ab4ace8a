//! Replies one by one, in threads, priced: what scores and recommendations look at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use session_store::{
    AgentId, ConversationId, Event, Fact, Failure, Ledger, ModelId, PriceClass, Tariff, Timestamp, Usage,
};

use crate::money::Usd;
use crate::pricing::{Price, PriceBook, Prices};
use crate::report::{Hit, quota_hits};
use crate::sessions::Sessions;

/// Everything that scores and recommendations look at, put in order.
pub(crate) struct History<'a> {
    pub(crate) book: &'a PriceBook,
    pub(crate) sessions: &'a Sessions,
    /// In the order of their times, then ids.
    pub(crate) replies: Vec<Reply<'a>>,
    /// The replies of each thread, by their places, in order.
    pub(crate) threads: BTreeMap<Thread<'a>, Vec<usize>>,
    /// The failures, with the place of the reply that came to nothing.
    pub(crate) failures: Vec<(Failure, usize)>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) blocked: Vec<Blocked>,
}

/// The main thread of a conversation, or one of its sub-agents.
pub(crate) type Thread<'a> = (&'a ConversationId, Option<&'a AgentId>);

/// A turn with its price.
pub(crate) struct Reply<'a> {
    pub(crate) at: Timestamp,
    pub(crate) conversation: &'a ConversationId,
    pub(crate) agent: Option<&'a AgentId>,
    pub(crate) model: &'a ModelId,
    pub(crate) tariff: Tariff,
    pub(crate) usage: Usage,
    /// `None` where the model has no price.
    pub(crate) price: Option<Arc<Price>>,
    pub(crate) cost: Usd,
    /// The name of the session, where one is known.
    pub(crate) session: Option<Arc<str>>,
}

/// A time in which a conversation could not work because of a limit.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) hit: Hit,
    pub(crate) session: Option<Arc<str>>,
    /// From the refusal to the reset or to the next reply, whichever is first.
    pub(crate) range: Range<Timestamp>,
}

impl<'a> History<'a> {
    /// Puts a range of a ledger in order; what is after `now` has not happened.
    pub(crate) fn of(
        ledger: &'a Ledger,
        book: &'a PriceBook,
        sessions: &'a Sessions,
        range: Range<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let range = range.start..range.end.min(now.after(std::time::Duration::from_millis(1)));
        let mut prices = Prices::of(book);
        let mut turns: Vec<_> = ledger.turns().filter(|(event, _)| range.contains(&event.at)).collect();
        turns.sort_by(|(a, _), (b, _)| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let reply = |(event, turn): (&'a Event, &'a session_store::Turn)| {
            let price = prices.shared(&turn.model, event.at, PriceClass::of(turn));
            Reply {
                at: event.at,
                conversation: &event.owner.conversation,
                agent: event.owner.agent.as_ref(),
                model: &turn.model,
                tariff: turn.tariff,
                usage: turn.usage,
                cost: price.as_ref().map_or(Usd::ZERO, |price| price.cost(&turn.usage)),
                price,
                session: sessions.name_of(&event.owner.conversation, event.at).cloned(),
            }
        };
        let replies: Vec<Reply<'a>> = turns.into_iter().map(reply).collect();
        // Hashed first: to compare ids with each other for every reply takes longer than all the rest.
        let mut threads: HashMap<Thread<'a>, Vec<usize>> = HashMap::new();
        for (place, reply) in replies.iter().enumerate() {
            threads.entry((reply.conversation, reply.agent)).or_default().push(place);
        }
        let threads: BTreeMap<Thread<'a>, Vec<usize>> = threads.into_iter().collect();
        let failures = failures(ledger, &range, &replies, &threads);
        let hits: Vec<Hit> = quota_hits(ledger).into_iter().filter(|hit| range.contains(&hit.at)).collect();
        let blocked = blocked(&hits, &replies, sessions, now);
        Self { book, sessions, replies, threads, failures, hits, blocked }
    }

    /// Returns what all replies cost.
    pub(crate) fn cost(&self) -> Usd {
        self.replies.iter().map(|reply| reply.cost).sum()
    }

    /// Returns the replies of a range of time.
    pub(crate) fn replies_in(&self, range: Range<Timestamp>) -> &[Reply<'a>] {
        let place = |moment| self.replies.partition_point(|reply| reply.at < moment);
        let (from, to) = (place(range.start), place(range.end));
        self.replies.get(from..to).unwrap_or_default()
    }
}

/// Finds the reply that each failure brought to nothing: the last one of its thread before it, counted once.
fn failures(
    ledger: &Ledger,
    range: &Range<Timestamp>,
    replies: &[Reply<'_>],
    threads: &BTreeMap<Thread<'_>, Vec<usize>>,
) -> Vec<(Failure, usize)> {
    let mut lost: BTreeMap<usize, Failure> = BTreeMap::new();
    for event in ledger.iter().filter(|event| range.contains(&event.at)) {
        let Fact::Failure(failure) = event.fact else { continue };
        let thread = (&event.owner.conversation, event.owner.agent.as_ref());
        let Some(places) = threads.get(&thread) else { continue };
        let after = places.partition_point(|&place| replies[place].at <= event.at);
        if let Some(&place) = after.checked_sub(1).and_then(|last| places.get(last)) {
            let kept = lost.entry(place).or_insert(failure);
            *kept = (*kept).min(failure);
        }
    }
    lost.into_iter().map(|(place, failure)| (failure, place)).collect()
}

fn blocked(hits: &[Hit], replies: &[Reply<'_>], sessions: &Sessions, now: Timestamp) -> Vec<Blocked> {
    let mut times: BTreeMap<&ConversationId, Vec<Timestamp>> = BTreeMap::new();
    let refused: BTreeSet<&ConversationId> = hits.iter().map(|hit| &hit.conversation).collect();
    for reply in replies.iter().filter(|reply| !refused.is_empty() && refused.contains(reply.conversation)) {
        times.entry(reply.conversation).or_default().push(reply.at);
    }
    let mut blocked: Vec<Blocked> = hits
        .iter()
        .map(|hit| {
            let times = times.get(&hit.conversation).map_or(&[][..], Vec::as_slice);
            let after = times.partition_point(|at| *at <= hit.at);
            let reset = hit.resets_at.unwrap_or_else(|| hit.at.after(crate::block::BLOCK_LENGTH));
            let end = times.get(after).copied().unwrap_or(Timestamp::MAX).min(reset).min(now).max(hit.at);
            let session = sessions.name_of(&hit.conversation, hit.at).cloned();
            Blocked { hit: hit.clone(), session, range: hit.at..end }
        })
        .collect();
    blocked.sort_by(|a, b| {
        (&a.session, a.range.start, &a.hit.conversation).cmp(&(
            &b.session,
            b.range.start,
            &b.hit.conversation,
        ))
    });
    blocked
}
