//! The efficiency score: how much of what a session spent did work, from 0 to 1, with its parts.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use session_store::{CELL_WIDTH, Ledger, Timestamp};

use crate::history::History;
use crate::money::Usd;
use crate::pricing::PriceBook;
use crate::sessions::Sessions;

/// The weight of the cache's part.
pub const WEIGHT_CACHED: f64 = 0.4;
/// The weight of the part that did not fail.
pub const WEIGHT_FINISHED: f64 = 0.4;
/// The weight of the time that no limit blocked.
pub const WEIGHT_UNBLOCKED: f64 = 0.2;
/// Replies without which there is no score.
pub const REPLIES_MIN: u64 = 20;
/// Tokens of prompts without which there is no score.
pub const PROMPT_TOKENS_MIN: u64 = 50_000;

/// What a score is made of; sums, so that those of parts add up to those of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Replies.
    pub replies: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Of these, tokens that the cache served.
    pub cached_tokens: u64,
    /// What the replies cost by the price book.
    pub cost: Usd,
    /// Of this, what ended in an error, an interruption or a refusal: the cost of each reply after which the next thing in its
    /// thread was one.
    pub lost: Usd,
    /// Milliseconds at work: fifteen minutes for each quarter hour (UTC) of each conversation with a reply in it.
    pub active_ms: u64,
    /// Milliseconds blocked: from each quota hit of a conversation to its next reply or the reset, at most five hours where no
    /// reset was told. Hits of one conversation that overlap count once.
    pub blocked_ms: u64,
}

/// An efficiency score.
///
/// ```text
/// score = 0.4 · cached_tokens / prompt_tokens
///       + 0.4 · (cost − lost) / cost
///       + 0.2 · active_ms / (active_ms + blocked_ms)
/// ```
///
/// Below 20 replies or 50,000 tokens of prompts there is none. Where nothing was priced the second part is missing and the
/// others share its weight in proportion.
///
/// # What it does not mean
///
/// It says nothing about whether the work was worth doing, was right, or was done by the cheapest model: it is how little was lost
/// on the way. A long conversation serves most of its prompts from the cache and scores well although it is dear; a
/// short one cannot. Compare a session with itself over time rather than people with each other. Errors and interruptions are
/// known from the version on that recorded them; transcripts read earlier have none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The score, 0 to 1.
    pub value: f64,
    /// The share of prompt tokens that the cache served, 0 to 1.
    pub cached: f64,
    /// The share of spending that did not end in an error, an interruption or a refusal, 0 to 1; `None` where nothing had a price.
    pub finished: Option<f64>,
    /// The share of the time at work that no limit blocked, 0 to 1.
    pub unblocked: f64,
}

impl Effort {
    /// Adds the effort of others, who share no conversation with this.
    pub fn add(&mut self, other: &Self) {
        self.replies += other.replies;
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.cost += other.cost;
        self.lost += other.lost;
        self.active_ms += other.active_ms;
        self.blocked_ms += other.blocked_ms;
    }

    /// Returns the score, `None` below the minimum of data.
    pub fn score(&self) -> Option<Score> {
        if self.replies < REPLIES_MIN || self.prompt_tokens < PROMPT_TOKENS_MIN {
            return None;
        }
        let share = |part: f64, whole: f64| (part / whole).clamp(0.0, 1.0);
        let cached = share(self.cached_tokens as f64, self.prompt_tokens as f64);
        let finished = (self.cost > Usd::ZERO)
            .then(|| share((self.cost - self.lost).as_picos() as f64, self.cost.as_picos() as f64));
        let unblocked = share(self.active_ms as f64, (self.active_ms + self.blocked_ms) as f64);
        let parts =
            [(WEIGHT_CACHED, Some(cached)), (WEIGHT_FINISHED, finished), (WEIGHT_UNBLOCKED, Some(unblocked))];
        let known = parts.into_iter().filter_map(|(weight, part)| Some((weight, part?)));
        let (sum, weights) =
            known.fold((0.0, 0.0), |(sum, weights), (weight, part)| (sum + weight * part, weights + weight));
        Some(Score { value: sum / weights, cached, finished, unblocked })
    }
}

/// Returns the effort of each session by its name, `None` for what no session is known of; all events up to a moment.
pub fn efforts(
    ledger: &Ledger,
    book: &PriceBook,
    sessions: &Sessions,
    now: Timestamp,
) -> BTreeMap<Option<Arc<str>>, Effort> {
    of_history(&History::of(ledger, book, sessions, Timestamp::MIN..Timestamp::MAX, now))
}

/// Returns the same of a history.
pub(crate) fn of_history(history: &History<'_>) -> BTreeMap<Option<Arc<str>>, Effort> {
    let mut efforts: BTreeMap<Option<Arc<str>>, Effort> = BTreeMap::new();
    let mut quarters = HashSet::new();
    for reply in &history.replies {
        let effort = efforts.entry(reply.session.clone()).or_default();
        effort.replies += 1;
        effort.prompt_tokens = effort.prompt_tokens.saturating_add(reply.usage.prompt());
        effort.cached_tokens = effort.cached_tokens.saturating_add(reply.usage.cache_read);
        effort.cost += reply.cost;
        if quarters.insert((&reply.session, reply.conversation, reply.at.floor(CELL_WIDTH))) {
            effort.active_ms += CELL_WIDTH.as_millis() as u64;
        }
    }
    for (_, place) in &history.failures {
        let reply = &history.replies[*place];
        efforts.entry(reply.session.clone()).or_default().lost += reply.cost;
    }
    let mut until = BTreeMap::new();
    for blocked in &history.blocked {
        let before = until.entry((&blocked.session, &blocked.hit.conversation)).or_insert(Timestamp::MIN);
        let from = blocked.range.start.max(*before);
        let millis = blocked.range.end.since(from).as_millis() as u64;
        efforts.entry(blocked.session.clone()).or_default().blocked_ms += millis;
        *before = (*before).max(blocked.range.end);
    }
    efforts
}
