//! What one session tells the others of its account.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session_store::{
    BoardNotice, ConversationId, Event, EventId, Fact, LimitCause, LimitHit, LimitWindow, NoticeSource,
    Owner, Reset, Role, Timestamp,
};

use crate::account::AccountId;
use crate::registry::MemberId;

/// Resets that differ by less are taken for one.
const SAME_RESET_MS: i64 = 300_000;
/// How long something is news.
const NEWS: Duration = Duration::from_secs(5 * 3600);

/// Something that one session tells the others of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Notices with the same text here mean the same and are shown once.
    pub dedup: Arc<str>,
    /// The sort of notice.
    pub kind: NoticeKind,
    /// The account it is about; sessions of others are not told.
    pub account: AccountId,
    /// The project it came from; sessions of the same one may mark it.
    pub project: Option<PathBuf>,
    /// Who told it.
    pub from: MemberId,
    /// When it happened.
    pub at: Timestamp,
    /// The limit it is about.
    pub window: Option<LimitWindow>,
    /// When the limit is reset.
    pub resets_at: Option<Timestamp>,
    /// More, for people; others wrote it, so escape it before it reaches a terminal.
    pub text: Arc<str>,
    /// The event it was made of, where it was made of one.
    pub source: Option<Box<NoticeSource>>,
}

/// The sort of a notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoticeKind {
    /// A limit was hit.
    LimitHit,
    /// A limit is near.
    LimitNear,
    /// A limit was reset.
    LimitReset,
    /// Words for people.
    Message,
    /// One of a newer version, by its name.
    Other(Arc<str>),
}

impl NoticeKind {
    /// Returns the name.
    pub fn name(&self) -> &str {
        match self {
            Self::LimitHit => "limit_hit",
            Self::LimitNear => "limit_near",
            Self::LimitReset => "limit_reset",
            Self::Message => "message",
            Self::Other(name) => name,
        }
    }

    /// Reads a name; one that is not known is kept.
    pub fn from_name(name: &str) -> Self {
        [Self::LimitHit, Self::LimitNear, Self::LimitReset, Self::Message]
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or_else(|| Self::Other(name.into()))
    }
}

impl Notice {
    /// Makes words for the people at all sessions of an account.
    pub fn message(account: AccountId, from: MemberId, at: Timestamp, text: &str) -> Self {
        let dedup = format!("message:{from}:{}:{text}", at.as_millis()).into();
        let kind = NoticeKind::Message;
        Self {
            dedup,
            kind,
            account,
            project: None,
            from,
            at,
            window: None,
            resets_at: None,
            text: text.into(),
            source: None,
        }
    }

    /// Makes the notice of a limit that was hit.
    ///
    /// Many sessions may see one hit: those that name the same window and the same reset, to about five minutes, mean
    /// the same. A hit whose reset was not said is one with those of the same five minutes.
    pub fn limit_hit(
        account: AccountId,
        from: MemberId,
        at: Timestamp,
        window: LimitWindow,
        resets_at: Option<Timestamp>,
    ) -> Self {
        let (sort, moment) = resets_at.map_or(("at", at), |resets_at| ("until", resets_at));
        let slot = slot_of(moment);
        let dedup = format!("limit_hit:{account}:{}:{sort}:{slot}", window.name()).into();
        let (kind, window, text) = (NoticeKind::LimitHit, Some(window), "".into());
        Self { dedup, kind, account, project: None, from, at, window, resets_at, text, source: None }
    }

    /// Makes the notice of an event; `None` where the event is no quota that was used up.
    pub fn of_event(account: AccountId, from: MemberId, event: &Event) -> Option<Self> {
        let Fact::LimitHit(hit) = &event.fact else { return None };
        if hit.cause != LimitCause::Quota {
            return None;
        }
        let notice = Self::limit_hit(account, from, event.at, hit.window.clone(), hit.resets_at.0);
        let source = NoticeSource { event: event.id.clone(), owner: event.owner.clone() };
        Some(Self { source: Some(Box::new(source)), ..notice })
    }

    /// Says which conversation was refused, where that is known without an event, as by a hook of Claude Code.
    pub fn in_conversation(self, conversation: ConversationId) -> Self {
        let event = EventId::new(format!("told:{}:{conversation}", self.dedup));
        let owner = Owner { role: Role::Main, since: self.at, conversation, agent: None };
        Self { source: Some(Box::new(NoticeSource { event, owner })), ..self }
    }

    /// Returns the event that the notice tells of, for who is told to keep.
    ///
    /// It has the id that it has in the store of who saw it, so that joined stores count it once.
    pub fn event(&self) -> Option<Event> {
        let source = self.source.as_ref().filter(|_| self.kind == NoticeKind::LimitHit)?;
        let window = self.window.clone().unwrap_or(LimitWindow::Unspecified);
        let hit = LimitHit { cause: LimitCause::Quota, resets_at: Reset(self.resets_at), window };
        let (id, owner) = (source.event.clone(), source.owner.clone());
        Some(Event { id, at: self.at, owner, fact: Fact::LimitHit(hit) })
    }

    /// Returns whether it tells of what still is: within the last five hours, and of a limit that is near or hit while its
    /// reset, where one was said, is to come.
    ///
    /// Five hours, because the shortest window is as long: of an older hit everybody has heard. A history that is read for
    /// the first time holds hits of years; they are no news.
    pub fn is_news(&self, now: Timestamp) -> bool {
        let is_over = self.kind != NoticeKind::LimitReset && self.resets_at.is_some_and(|reset| reset <= now);
        now.since(self.at) < NEWS && !is_over
    }

    /// Makes the notice that so many whole percent of a limit are used; one for each window and percentage.
    pub fn limit_near(
        account: AccountId,
        from: MemberId,
        at: Timestamp,
        window: LimitWindow,
        resets_at: Timestamp,
        percent: u32,
    ) -> Self {
        let slot = slot_of(resets_at);
        let dedup = format!("limit_near:{account}:{}:until:{slot}:{percent}", window.name()).into();
        let (kind, window, resets_at) = (NoticeKind::LimitNear, Some(window), Some(resets_at));
        let text = format!("{percent}% used").into();
        Self { dedup, kind, account, project: None, from, at, window, resets_at, text, source: None }
    }

    /// Makes the notice that a limit was reset.
    pub fn limit_reset(
        account: AccountId,
        from: MemberId,
        at: Timestamp,
        window: LimitWindow,
        resets_at: Timestamp,
    ) -> Self {
        let slot = slot_of(resets_at);
        let dedup = format!("limit_reset:{account}:{}:until:{slot}", window.name()).into();
        let (kind, window, resets_at) = (NoticeKind::LimitReset, Some(window), Some(resets_at));
        Self {
            dedup,
            kind,
            account,
            project: None,
            from,
            at,
            window,
            resets_at,
            text: "".into(),
            source: None,
        }
    }

    pub(crate) fn to_row(&self) -> BoardNotice {
        BoardNotice {
            dedup: self.dedup.clone(),
            kind: self.kind.name().into(),
            account: self.account.as_str().into(),
            project: self.project.as_ref().map(|folder| folder.to_string_lossy().into()),
            from: self.from.as_str().into(),
            at: self.at,
            window: self.window.clone(),
            resets_at: self.resets_at,
            text: self.text.clone(),
            source: self.source.clone(),
        }
    }

    /// Reads a notice as a board keeps it.
    pub fn from_row(row: BoardNotice) -> Self {
        Self {
            dedup: row.dedup,
            kind: NoticeKind::from_name(&row.kind),
            account: AccountId::new(row.account),
            project: row.project.map(|folder| PathBuf::from(&*folder)),
            from: MemberId::new(row.from),
            at: row.at,
            window: row.window,
            resets_at: row.resets_at,
            text: row.text,
            source: row.source,
        }
    }
}

/// Returns a number that moments within about five minutes share.
fn slot_of(moment: Timestamp) -> i64 {
    moment.as_millis().saturating_add(SAME_RESET_MS / 2).div_euclid(SAME_RESET_MS)
}
