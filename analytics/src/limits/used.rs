//! A limit as it is shown: with what it may have come to since, and who used it.

use std::sync::Arc;

use session_store::{ConversationId, Timestamp};

use super::{Limit, Share, Spend};
use crate::forecast::Prediction;

/// Begins the name of one who spent and whose session is not known; no session's id begins so.
const CONVERSATION: &str = "conversation:";

/// A limit with what is worked out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// The limit.
    pub limit: Limit,
    /// Where its value may have moved to since, in hundredths of a percent; `None` where it is fresh.
    pub estimate: Option<u32>,
    /// Who used it, the greatest part first.
    pub shares: Vec<Share>,
    /// The part that came from elsewhere, 0 to 1.
    pub elsewhere: f64,
    /// What comes next; `None` where nobody has forecast it.
    pub forecast: Option<Prediction>,
}

impl LimitUse {
    /// Works out what a limit came to and who used it.
    pub fn of(limit: &Limit, spends: &[Spend], now: Timestamp) -> Self {
        let (shares, elsewhere) = limit.shares(spends);
        let estimate = limit.estimate(spends, now);
        // Its course served for the shares alone, and is not handed on.
        let limit = Limit { course: Vec::new(), ..limit.clone() };
        Self { limit, estimate, shares, elsewhere, forecast: None }
    }
}

impl Share {
    /// Names one whose session is not known, for [`Spend::who`].
    pub fn name_of_conversation(conversation: &ConversationId) -> Arc<str> {
        format!("{CONVERSATION}{conversation}").into()
    }

    /// Returns the session, by its five-part id; `None` where it is not known.
    pub fn session(&self) -> Option<&str> {
        self.conversation().is_none().then_some(&*self.who)
    }

    /// Returns the conversation, where its session is not known.
    pub fn conversation(&self) -> Option<&str> {
        self.who.strip_prefix(CONVERSATION)
    }

    /// Returns a short name: a session without its process, the beginning of a conversation's id.
    pub fn short_name(&self) -> &str {
        match self.conversation() {
            Some(conversation) => conversation.get(..8).unwrap_or(conversation),
            None => self.who.rsplit_once(':').map_or(&*self.who, |(short, _)| short),
        }
    }
}
