//! What a user can do about spending and limits, each with the numbers behind it.

mod cache;
mod context;
mod limits;
mod model;
mod tariff;
mod waste;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_store::{Ledger, Timestamp, Zone};

use crate::history::History;
use crate::money::Usd;
use crate::pricing::PriceBook;
use crate::score::{self, Effort};
use crate::sessions::{SessionInfo, Sessions};

/// The time that recommendations look at: thirty days.
pub const LOOKED_AT: Duration = Duration::from_secs(30 * 86_400);
/// Savings below this are not worth a line: ten cents in thirty days.
const SAVING_MIN: Usd = Usd::from_nanos(100_000_000);
/// Waiting below this is not worth a line: a quarter hour in thirty days.
const WAIT_MIN: Duration = Duration::from_secs(15 * 60);

/// What recommendations are made of.
#[derive(Debug)]
pub struct RecommendInput<'a> {
    /// Turns and facts of at least the last thirty days.
    pub ledger: &'a Ledger,
    /// The prices.
    pub book: &'a PriceBook,
    /// The sessions, as far as they are known.
    pub sessions: &'a Sessions,
    /// The account, for what concerns it as a whole.
    pub account: &'a str,
    /// In which hours and weekdays are told.
    pub zone: &'a Zone,
    /// The moment.
    pub now: Timestamp,
}

/// Something a user can do, and what it would have saved.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// Which rule says so.
    pub kind: Kind,
    /// A few words.
    pub title: String,
    /// What was seen, and what to do.
    pub text: String,
    /// The numbers behind it, by names that end with their unit.
    pub evidence: BTreeMap<&'static str, Evidence>,
    /// How much it matters.
    pub impact: Impact,
    /// How sure it is that the saving would have come, 0 to 1; each kind's documentation says why.
    pub confidence: f64,
    /// Whom it concerns.
    pub applies_to: Subject,
    /// What it would have saved over the last thirty days.
    pub saving: Saving,
}

/// A kind of recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Pauses outlived the prompt cache, which was then paid for again. Saving: what was written again, at the difference
    /// between writing and reading. Confidence 0.8: the next prompt would have read it for certain, but a pause is not always
    /// one's choice.
    CacheExpired,
    /// Writes to the one-hour cache that were never read after five minutes. Saving: the difference of the two writes.
    /// Confidence 0.7: which cache is used is a setting of Claude Code that not every plan has.
    LongCacheUnused,
    /// Large prompts that were neither read from the cache nor written to it. Saving: the difference between input and reading.
    /// Confidence 0.5: not every prompt repeats.
    UncachedPrompts,
    /// Conversations that carry more than 100,000 tokens from reply to reply. Saving: what reading the part beyond cost, less
    /// one summary of 100,000 tokens for each such stretch. Confidence 0.6: a summary may leave out what is needed later.
    LargeContext,
    /// Replies in the dearer tier for long prompts. Saving: the difference to the plain tier. Confidence 0.6, as above.
    LongContextTier,
    /// Sub-agents of little output on a dear model. Saving: the difference to Sonnet at the same tokens. Confidence 0.5: a smaller
    /// model may need more turns.
    DearModel,
    /// Many sub-agents at once, each paying for a prompt of its own. Saving: the first prompts of those beyond four in ten minutes.
    /// Confidence 0.5: fewer agents may take longer.
    SubAgentBurst,
    /// Replies that came to nothing: errors, interruptions, refusals. Saving: their cost. Confidence 0.6: not every failure can
    /// be avoided.
    FailedReplies,
    /// Fast mode. Saving: its surcharge. Confidence 0.9: the same tokens at the plain price, only slower.
    FastMode,
    /// Inference in the United States alone. Saving: its surcharge. Confidence 0.9, where no rule demands it.
    UsInference,
    /// Scripts that used much of windows whose limit then was hit. Saving: the time that other sessions waited. Confidence 0.6: the
    /// others may have hit the limit anyway, only later.
    BackgroundWork,
    /// One session that used most of windows whose limit then was hit. Saving: the time that the others waited. Confidence 0.6.
    StarvingSession,
    /// Windows spent early, with hours to wait for the reset. Saving: the waiting beyond what an even pace would have needed.
    /// Confidence 0.5: work does not always spread.
    SpentEarly,
    /// Most of a window's use in its last hour, with the limit hit just before the reset. Saving: the waiting. Confidence 0.7: the
    /// budget of the next window was minutes away.
    PiledAgainstReset,
    /// Limits hit at the same hour of the same weekday. Saving: the waiting. Confidence 0.6.
    SameHour,
    /// Hours that were never limited and little used, while others were. Saving: the waiting. Confidence 0.4: not everybody can
    /// choose their hours.
    Headroom,
}

/// A number behind a recommendation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// How many.
    Count(u64),
    /// Dollars.
    Money(Usd),
    /// A share, 0 to 1.
    Share(f64),
    /// Minutes.
    Minutes(f64),
    /// A name, such as a model's.
    Text(String),
}

/// How much a recommendation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Less than 3 % of the spending of thirty days, and less than an hour of waiting.
    Low,
    /// Less than 10 %, and less than five hours.
    Medium,
    /// More.
    High,
}

/// Whom a recommendation concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A session, by its five-part id.
    Session(Arc<str>),
    /// An account.
    Account(String),
}

/// What would have been saved over the last thirty days; never nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saving {
    /// Dollars of the list price.
    pub cost: Usd,
    /// Time that was waited for a limit.
    pub waiting: Duration,
}

impl Kind {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheExpired => "cache_expired",
            Self::LongCacheUnused => "long_cache_unused",
            Self::UncachedPrompts => "uncached_prompts",
            Self::LargeContext => "large_context",
            Self::LongContextTier => "long_context_tier",
            Self::DearModel => "dear_model",
            Self::SubAgentBurst => "sub_agent_burst",
            Self::FailedReplies => "failed_replies",
            Self::FastMode => "fast_mode",
            Self::UsInference => "us_inference",
            Self::BackgroundWork => "background_work",
            Self::StarvingSession => "starving_session",
            Self::SpentEarly => "spent_early",
            Self::PiledAgainstReset => "piled_against_reset",
            Self::SameHour => "same_hour",
            Self::Headroom => "headroom",
        }
    }

    fn confidence(self) -> f64 {
        match self {
            Self::FastMode | Self::UsInference => 0.9,
            Self::CacheExpired => 0.8,
            Self::LongCacheUnused | Self::PiledAgainstReset => 0.7,
            Self::LargeContext
            | Self::LongContextTier
            | Self::FailedReplies
            | Self::BackgroundWork
            | Self::StarvingSession
            | Self::SameHour => 0.6,
            Self::UncachedPrompts | Self::DearModel | Self::SubAgentBurst | Self::SpentEarly => 0.5,
            Self::Headroom => 0.4,
        }
    }
}

impl Impact {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn of(saving: &Saving, spent: Usd) -> Self {
        let percent = match spent.as_picos() {
            0 => 0,
            spent => saving.cost.as_picos().saturating_mul(100) / spent,
        };
        let hours = saving.waiting.as_secs() / 3600;
        if percent >= 10 || hours >= 5 {
            Self::High
        } else if percent >= 3 || hours >= 1 {
            Self::Medium
        } else {
            Self::Low
        }
    }
}

impl Subject {
    /// Returns the session's id or the account's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Session(id) => id,
            Self::Account(name) => name,
        }
    }
}

impl Saving {
    /// Returns whether it is worth a line.
    fn is_worth_it(&self) -> bool {
        self.cost >= SAVING_MIN || self.waiting >= WAIT_MIN
    }
}

/// Returns what can be recommended: the greatest impact first, then the greatest saving; no two of one kind for one subject.
///
/// Every rule looks at the thirty days before the moment and is silent where it would have saved less than ten cents and
/// less than a quarter hour. The same arguments give the same list, in whatever order the events came.
pub fn recommendations(input: &RecommendInput<'_>) -> Vec<Recommendation> {
    View::of(input).recommendations()
}

/// Returns the recommendations and the [`efforts`](crate::efforts) of the same thirty days, after one look at them instead of two.
pub fn recommendations_and_efforts(
    input: &RecommendInput<'_>,
) -> (Vec<Recommendation>, BTreeMap<Option<Arc<str>>, Effort>) {
    let view = View::of(input);
    (view.recommendations(), score::of_history(&view.history))
}

/// What the rules look at.
struct View<'a> {
    input: &'a RecommendInput<'a>,
    history: History<'a>,
    /// What everything cost.
    spent: Usd,
}

/// What a rule found.
struct Finding {
    kind: Kind,
    title: String,
    text: String,
    evidence: BTreeMap<&'static str, Evidence>,
    /// The name of the session; the account where `None`.
    session: Option<Arc<str>>,
    saving: Saving,
}

impl<'a> View<'a> {
    fn of(input: &'a RecommendInput<'a>) -> Self {
        let range = input.now.before(LOOKED_AT)..Timestamp::MAX;
        let history = History::of(input.ledger, input.book, input.sessions, range, input.now);
        Self { input, spent: history.cost(), history }
    }

    fn recommendations(&self) -> Vec<Recommendation> {
        let rules: [fn(&View<'_>) -> Vec<Finding>; 6] =
            [cache::find, context::find, model::find, waste::find, tariff::find, limits::find];
        let findings =
            rules.iter().flat_map(|rule| rule(self)).filter(|finding| finding.saving.is_worth_it());
        let mut all: Vec<Recommendation> = findings.map(|finding| self.recommendation(finding)).collect();
        all.sort_by(|a, b| {
            let rank = |it: &Recommendation| (it.impact, it.saving.cost, it.saving.waiting);
            rank(b).cmp(&rank(a)).then((a.kind, &a.applies_to).cmp(&(b.kind, &b.applies_to)))
        });
        all
    }

    fn recommendation(&self, finding: Finding) -> Recommendation {
        let Finding { kind, title, text, mut evidence, session, saving } = finding;
        let info = session.and_then(|name| self.history.sessions.get(&name));
        let applies_to = match info {
            Some(info) => Subject::Session(info.session_id.clone()),
            None => Subject::Account(self.input.account.to_owned()),
        };
        if saving.cost > Usd::ZERO {
            evidence.insert("saving_usd", Evidence::Money(saving.cost));
        }
        if saving.waiting > Duration::ZERO {
            evidence.insert("saving_minutes", Evidence::Minutes(saving.waiting.as_secs() as f64 / 60.0));
        }
        evidence.insert("days", Evidence::Count(LOOKED_AT.as_secs() / 86_400));
        Recommendation {
            kind,
            title,
            text: match info.and_then(|info| advice_for(kind, info)) {
                Some(advice) => format!("{text} {advice}"),
                None => text,
            },
            evidence,
            impact: Impact::of(&saving, self.spent),
            confidence: kind.confidence(),
            applies_to,
            saving,
        }
    }
}

/// Returns what the place where a session runs makes possible, beside what helps everywhere.
fn advice_for(kind: Kind, info: &SessionInfo) -> Option<&'static str> {
    let advice = match (kind, &*info.session_type) {
        (Kind::CacheExpired, "ssh") => {
            "Over SSH, tmux keeps the session at hand, so that going back to it takes no login."
        }
        (Kind::CacheExpired, "vscode") => {
            "In VS Code, answer in the terminal that waits before opening another."
        }
        (Kind::CacheExpired, "jupyter") => "In a notebook, run the cells that ask Claude Code together.",
        (Kind::CacheExpired | Kind::UncachedPrompts, "script") => {
            "A script that runs more often than every five minutes keeps the cache warm; one that runs less often does not."
        }
        (Kind::CacheExpired, "container") => {
            "A container that is started anew begins without a conversation: use --continue."
        }
        (Kind::LargeContext | Kind::LongContextTier, "script") => {
            "A script can begin a new conversation for each task."
        }
        (Kind::FastMode, "script" | "container") => "Nobody waits for the replies of a script.",
        (Kind::DearModel, "script") => "A script can name its model with --model.",
        _ => return None,
    };
    Some(advice)
}
