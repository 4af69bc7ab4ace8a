//! What coordination did about limits: calls that waited or were refused, and how the windows ended in which that was.
//!
//! Only what was measured is told: waits by the clock, refusals by their number, hits and resets as they were. What would have
//! been without it nobody can measure, so no limit is said to have been avoided and no time to have been gained; how often
//! windows in which calls were held back were hit stands beside how often those were in which it was only due.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use session_store::{ConversationId, Date, Deed, Fact, Ledger, LimitWindow, Restraint, Timestamp, Why, Zone};

use crate::limits::{SAME_RESET, gap};
use crate::report::{Hit, quota_hits};

/// Restraints summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restraints {
    /// Calls that waited.
    pub waits: u64,
    /// How long, all together, in milliseconds.
    pub waited_ms: u64,
    /// Calls that were refused.
    pub refusals: u64,
    /// Calls whose human was told of a limit.
    pub told: u64,
    /// Calls that went on because their conversation had borne enough.
    pub released: u64,
    /// Calls that would have waited under another policy.
    pub waits_due: u64,
    /// How long, all together, in milliseconds.
    pub due_ms: u64,
    /// Calls that would have been refused under another policy.
    pub refusals_due: u64,
}

impl Restraints {
    /// Adds one.
    pub fn add(&mut self, restraint: &Restraint) {
        match (restraint.deed, restraint.done) {
            (Deed::Waited { waited_ms, .. }, true) => {
                self.waits += 1;
                self.waited_ms = self.waited_ms.saturating_add(waited_ms);
            }
            (Deed::Waited { due_ms, .. }, false) => {
                self.waits_due += 1;
                self.due_ms = self.due_ms.saturating_add(due_ms);
            }
            (Deed::Refused, true) => self.refusals += 1,
            (Deed::Refused, false) => self.refusals_due += 1,
            (Deed::Told, true) => self.told += 1,
            (Deed::Released, _) => self.released += 1,
            // Nothing is withheld from who is only to be told.
            (Deed::Told, false) => {}
        }
    }

    /// Sums up those of a ledger within a range of time.
    pub fn of(facts: &Ledger, range: &Range<Timestamp>) -> Self {
        let mut sum = Self::default();
        restraints(facts, range).for_each(|(_, _, restraint)| sum.add(restraint));
        sum
    }

    /// Returns whether there was nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What coordination did within some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coordination {
    /// By day, those on which there was something.
    pub days: BTreeMap<Date, Restraints>,
    /// All together.
    pub totals: Restraints,
    /// The windows in which something was done or due, by their resets.
    pub windows: Vec<RestrainedWindow>,
    /// How the windows ended in which calls were held back before any hit.
    pub held_back: Ends,
    /// How those ended in which that was only due.
    pub only_due: Ends,
}

/// A window of an account in which calls were held back, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrainedWindow {
    /// The account; empty where it is not known.
    pub account: Arc<str>,
    /// Which limit.
    pub window: LimitWindow,
    /// When it is reset or was.
    pub resets_at: Timestamp,
    /// When the first call came that was held back or would have been.
    pub first_at: Timestamp,
    /// How much was used then, in hundredths of a percent, where that was known.
    pub used_hundredths: Option<u32>,
    /// What was done in it and what was due.
    pub restraints: Restraints,
    /// When it was hit first, as far as is known here.
    pub hit_at: Option<Timestamp>,
}

/// How windows ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// How many have ended.
    pub ended: u64,
    /// How many of them were hit.
    pub hit: u64,
    /// From the hits to the resets, all together, in milliseconds.
    pub blocked_ms: u64,
}

impl Coordination {
    /// Works out what was done within a range of time; whether a window was hit is looked for in all of the ledger.
    ///
    /// `account` tells whose a conversation is. The same arguments give the same figures.
    pub fn of(
        facts: &Ledger,
        range: &Range<Timestamp>,
        zone: &Zone,
        account: &dyn Fn(&ConversationId) -> Option<Arc<str>>,
        now: Timestamp,
    ) -> Self {
        let mut told = Self::default();
        let mut by_limit: BTreeMap<(Arc<str>, LimitWindow), Vec<Found<'_>>> = BTreeMap::new();
        for (at, conversation, restraint) in restraints(facts, range) {
            told.totals.add(restraint);
            told.days.entry(zone.date_of(at)).or_default().add(restraint);
            if let Some(resets_at) = restraint.resets_at {
                let limit = (account(conversation).unwrap_or_default(), restraint.window.clone());
                by_limit.entry(limit).or_default().push(Found { resets_at, at, restraint });
            }
        }
        let hits = quota_hits(facts);
        for ((account_name, window), mut found) in by_limit {
            let of_limit = |hit: &&Hit| {
                hit.window == window && account(&hit.conversation).unwrap_or_default() == account_name
            };
            let hits: Vec<&Hit> = hits.iter().filter(of_limit).collect();
            found.sort_by_key(|it| (it.resets_at, it.at));
            let is_same =
                |one: &Found<'_>, other: &Found<'_>| gap(one.resets_at, other.resets_at) <= SAME_RESET;
            for of_window in found.chunk_by(is_same) {
                let (it, before_hit) = RestrainedWindow::of(&account_name, &window, of_window, &hits);
                match before_hit {
                    _ if it.resets_at > now => {}
                    Some(Attempt::Done) => told.held_back.add(&it),
                    Some(Attempt::Due) => told.only_due.add(&it),
                    None => {}
                }
                told.windows.push(it);
            }
        }
        told.windows
            .sort_by(|a, b| (a.resets_at, &a.window, &a.account).cmp(&(b.resets_at, &b.window, &b.account)));
        told
    }
}

impl RestrainedWindow {
    /// Sums up what was done in one window, and says whether calls were held back before it was hit, or due to be.
    fn of(
        account: &Arc<str>,
        window: &LimitWindow,
        found: &[Found<'_>],
        hits: &[&Hit],
    ) -> (Self, Option<Attempt>) {
        let resets_at = found[0].resets_at;
        let mut restraints = Restraints::default();
        found.iter().for_each(|it| restraints.add(it.restraint));
        let is_its = |hit: &&&Hit| hit.resets_at.is_some_and(|reset| gap(reset, resets_at) <= SAME_RESET);
        let told = hits.iter().filter(is_its).map(|hit| hit.at);
        // A hit that another machine met stands in no transcript here; those whom it held back knew of it.
        let known = found.iter().filter(|it| it.restraint.why == Why::LimitHit).map(|it| it.at);
        let hit_at = told.chain(known).min();
        let until = hit_at.unwrap_or(resets_at);
        let early = || found.iter().filter(|it| it.at < until && it.restraint.why == Why::AheadOfPace);
        let attempt = match early().any(|it| it.restraint.done) {
            true => Some(Attempt::Done),
            false => early().next().map(|_| Attempt::Due),
        };
        let first = found.iter().fold(&found[0], |first, it| if it.at < first.at { it } else { first });
        let window = Self {
            account: account.clone(),
            window: window.clone(),
            resets_at,
            first_at: first.at,
            used_hundredths: first.restraint.used_hundredths,
            restraints,
            hit_at,
        };
        (window, attempt)
    }
}

impl Ends {
    fn add(&mut self, window: &RestrainedWindow) {
        self.ended += 1;
        if let Some(hit_at) = window.hit_at {
            self.hit += 1;
            let blocked = u64::try_from(window.resets_at.since(hit_at).as_millis()).unwrap_or(u64::MAX);
            self.blocked_ms = self.blocked_ms.saturating_add(blocked);
        }
    }
}

/// A restraint for a window whose reset was known.
#[derive(Clone, Copy)]
struct Found<'a> {
    resets_at: Timestamp,
    at: Timestamp,
    restraint: &'a Restraint,
}

/// What was made of calls before a hit, because the window would have run out.
enum Attempt {
    Done,
    Due,
}

fn restraints<'a>(
    facts: &'a Ledger,
    range: &Range<Timestamp>,
) -> impl Iterator<Item = (Timestamp, &'a ConversationId, &'a Restraint)> {
    facts.iter().filter(move |event| range.contains(&event.at)).filter_map(|event| match &event.fact {
        Fact::Restraint(restraint) => Some((event.at, &event.owner.conversation, restraint)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_store::{Event, LimitCause, LimitHit, Owner, Reset, Role};

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);
    const HOUR: Duration = Duration::from_secs(3600);

    fn act(
        conversation: &str,
        at: Timestamp,
        resets_at: Timestamp,
        why: Why,
        deed: Deed,
        done: bool,
    ) -> Event {
        let restraint = Restraint {
            deed,
            done,
            why,
            window: LimitWindow::FiveHour,
            resets_at: Some(resets_at),
            used_hundredths: Some(6_000),
            tool: "Bash".into(),
            priority: "normal".into(),
        };
        restraint.event(&conversation.into(), at, 1)
    }

    fn waited(conversation: &str, at: Timestamp, resets_at: Timestamp, done: bool) -> Event {
        let deed = Deed::Waited { due_ms: 1_000, waited_ms: if done { 1_010 } else { 0 } };
        act(conversation, at, resets_at, Why::AheadOfPace, deed, done)
    }

    fn hit(conversation: &str, at: Timestamp, resets_at: Timestamp) -> Event {
        let hit = LimitHit {
            cause: LimitCause::Quota,
            resets_at: Reset(Some(resets_at)),
            window: LimitWindow::FiveHour,
        };
        let owner = Owner { role: Role::Main, since: at, conversation: conversation.into(), agent: None };
        let id = format!("error:{conversation}:{}", at.as_millis());
        Event { id: id.as_str().into(), at, owner, fact: Fact::LimitHit(hit) }
    }

    fn told(events: impl IntoIterator<Item = Event>) -> Coordination {
        let account = |conversation: &ConversationId| Some(Arc::from(&conversation.as_str()[..1]));
        let all = Timestamp::MIN..Timestamp::MAX;
        Coordination::of(&events.into_iter().collect(), &all, &Zone::utc(), &account, NOW)
    }

    #[test]
    fn what_was_done_and_what_was_due_are_told_apart() {
        let reset = NOW.after(HOUR);
        let at = |seconds: u64| NOW.before(Duration::from_secs(seconds));
        let other = |at, deed, done| act("a", at, reset, Why::LimitHit, deed, done);
        let told = told([
            waited("a", at(9), reset, true),
            waited("a", at(8), reset, true),
            waited("a", at(7), reset, false),
            other(at(6), Deed::Refused, true),
            other(at(5), Deed::Refused, false),
            other(at(4), Deed::Released, false),
            other(at(3), Deed::Told, true),
            other(at(2), Deed::Told, false),
        ]);
        let expected = Restraints {
            waits: 2,
            waited_ms: 2_020,
            refusals: 1,
            told: 1,
            released: 1,
            waits_due: 1,
            due_ms: 1_000,
            refusals_due: 1,
        };
        assert_eq!(told.totals, expected);
        assert_eq!(told.days.into_values().collect::<Vec<_>>(), [expected]);
        assert_eq!((told.windows.len(), told.windows[0].hit_at), (1, Some(at(6))));
        assert_eq!((told.held_back, told.only_due), Default::default(), "it has not ended");
    }

    /// Each account and each window by itself; a hit is one of the same window, and what came after it did not prevent it.
    #[test]
    fn windows_end_with_a_hit_or_without() {
        let ends = |hours: u32| NOW.before(HOUR * hours);
        let within = |hours: u32| ends(hours).before(HOUR);
        let early = |hours: u32| ends(hours).before(HOUR * 2);
        let told = told([
            // Held back, and never hit; told a little differently, it is the same window.
            waited("a1", within(40), ends(40), true),
            waited("a2", within(40).after(HOUR / 2), ends(40).after(Duration::from_secs(30)), true),
            // Held back, and hit an hour before the reset all the same.
            waited("a1", early(30), ends(30), true),
            hit("a3", within(30), ends(30)),
            // Only due, and hit.
            waited("b1", early(30), ends(30), false),
            hit("b1", within(30), ends(30)),
            // Hit first: what was refused then is no attempt to prevent it, nor is a start put off after the reset.
            hit("a1", early(20), ends(20)),
            act("a2", within(20), ends(20), Why::LimitHit, Deed::Refused, true),
            act("a2", ends(20), ends(20), Why::AfterReset, Deed::Waited { due_ms: 1, waited_ms: 1 }, true),
            // Not ended.
            waited("a1", NOW, NOW.after(HOUR), true),
        ]);
        assert_eq!(told.held_back, Ends { ended: 2, hit: 1, blocked_ms: 3_600_000 });
        assert_eq!(told.only_due, Ends { ended: 1, hit: 1, blocked_ms: 3_600_000 });
        let windows: Vec<_> = told.windows.iter().map(|it| (&*it.account, it.hit_at)).collect();
        let expected = [
            ("a", None),
            ("a", Some(within(30))),
            ("b", Some(within(30))),
            ("a", Some(early(20))),
            ("a", None),
        ];
        assert_eq!(windows, expected);
        assert_eq!((told.windows[0].first_at, told.windows[0].restraints.waits), (within(40), 2));
    }
}
