//! What other sessions told: kept while it may matter, shown with a mark where it is of the same project.

use std::time::Duration;

use session_analytics::{LiveNotice, is_project};
use session_coordinator::{AccountId, Cursor, Notice, NoticeBoard, NoticeKind};
use session_store::{Event, Timestamp};

use crate::config::Config;
use crate::coordination::account;
use crate::printable::printable;
use crate::words::limit_name;

/// A reset that was so long ago is no news.
const RESET_IS_NEWS: Duration = Duration::from_secs(3600);
/// How many are kept.
const KEPT: usize = 50;

/// The notices that may still matter, the latest first.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<Notice>);

impl Told {
    /// Returns what stands on a board for the accounts of these settings.
    pub(crate) fn on(board: &NoticeBoard, config: &Config) -> Self {
        let accounts: Vec<AccountId> = config.claude_dirs.iter().map(|dir| account(dir)).collect();
        let look = board.since(Cursor::default()).ok();
        let notices = look.into_iter().flat_map(|look| look.notices).map(|(_, notice)| notice);
        let mut told = Self::default();
        for notice in notices.filter(|notice| accounts.contains(&notice.account)) {
            told.take(notice);
        }
        told
    }

    /// Takes in a notice; `false` where it was known.
    pub(crate) fn take(&mut self, notice: Notice) -> bool {
        if self.0.iter().any(|known| known.dedup == notice.dedup) {
            return false;
        }
        let place = self.0.partition_point(|known| known.at > notice.at);
        self.0.insert(place, notice);
        self.0.truncate(KEPT);
        true
    }

    /// Returns the limits told of that were reset within the last hour, with the reset.
    pub(crate) fn resets(&self, now: Timestamp) -> Vec<(Notice, Timestamp)> {
        let is_full = |notice: &&Notice| matches!(notice.kind, NoticeKind::LimitHit | NoticeKind::LimitNear);
        let reset = |notice: &Notice| {
            let reset =
                notice.resets_at.filter(|reset| *reset <= now && now.since(*reset) < RESET_IS_NEWS)?;
            Some((notice.clone(), reset))
        };
        self.0.iter().filter(is_full).filter_map(reset).collect()
    }

    /// Returns the events that what may still matter was made of.
    pub(crate) fn events(&self, now: Timestamp) -> impl Iterator<Item = Event> {
        self.0.iter().filter(move |notice| notice.is_news(now)).filter_map(Notice::event)
    }

    /// Returns what may still matter at a moment, as seen from a project.
    pub(crate) fn news(&self, now: Timestamp, project: Option<&str>) -> Vec<LiveNotice> {
        let news = self.0.iter().filter(|notice| notice.is_news(now));
        news.map(|notice| live_notice(notice, project)).collect()
    }
}

/// Makes a notice one of the view.
fn live_notice(notice: &Notice, project: Option<&str>) -> LiveNotice {
    let from = notice.project.as_ref().map(|folder| folder.to_string_lossy().into_owned());
    LiveNotice {
        at: notice.at,
        kind: notice.kind.name().to_owned(),
        window: notice.window.clone(),
        resets_at: notice.resets_at,
        account: notice.account.as_str().to_owned(),
        same_project: from.as_deref().zip(project).is_some_and(|(theirs, ours)| {
            // A repository and a folder of it are one project, whichever of them is seen from.
            is_project(theirs, ours) || is_project(ours, theirs)
        }),
        project: from,
        conversation: notice.source.as_ref().map(|source| source.owner.conversation.clone()),
        text: notice.text.to_string(),
    }
}

/// Says what a notice tells, in words that may reach a terminal.
pub(crate) fn words(notice: &LiveNotice) -> String {
    let limit = || notice.window.as_ref().map_or_else(|| "a limit".to_owned(), limit_name);
    let what = match NoticeKind::from_name(&notice.kind) {
        NoticeKind::LimitHit => format!("{} hit", limit()),
        NoticeKind::LimitNear => format!("{} is near", limit()),
        NoticeKind::LimitReset => format!("{} was reset", limit()),
        NoticeKind::Message => String::new(),
        _ => notice.kind.clone(),
    };
    let words = [what.as_str(), &notice.text].into_iter().filter(|part| !part.is_empty());
    printable(&words.collect::<Vec<_>>().join(": ")).into_owned()
}
