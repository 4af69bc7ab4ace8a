//! Rules about limits that were hit: who used the window, when, and at what hours.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use session_store::{CELL_WIDTH, LimitWindow, Timestamp};

use super::{Evidence, Finding, Kind, Saving, View};
use crate::history::Blocked;
use crate::money::Usd;

const HOUR: Duration = Duration::from_secs(3600);
/// The share of a window from which on scripts are called its eaters.
const BACKGROUND_SHARE: f64 = 0.3;
/// The share of a window from which on a session is said to starve the others.
const STARVING_SHARE: f64 = 0.6;
/// So much of the window left when it was spent is early.
const EARLY_LEFT: Duration = Duration::from_secs(2 * 3600);
/// Windows or hits without which a pattern is chance.
const CASES_MIN: usize = 3;
const WEEKDAYS: [&str; 7] =
    ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

pub(super) fn find(view: &View<'_>) -> Vec<Finding> {
    let spent = spent_windows(view);
    let mut findings = eaters(view, &spent);
    findings.extend(early(&spent));
    findings.extend(piled(view, &spent));
    findings.extend(same_hour(view));
    findings.extend(headroom(view));
    findings
}

/// A window whose limit was hit.
struct Spent<'a> {
    kind: LimitWindow,
    range: Range<Timestamp>,
    hit_at: Timestamp,
    blocked: Vec<&'a Blocked>,
}

/// Puts the hits together by window. A limit of unknown kind is taken for the five hours; a hit without a reset tells too little.
fn spent_windows<'a>(view: &'a View<'_>) -> Vec<Spent<'a>> {
    let mut windows: BTreeMap<(LimitWindow, Timestamp), Vec<&Blocked>> = BTreeMap::new();
    for blocked in &view.history.blocked {
        let Some(reset) = blocked.hit.resets_at else { continue };
        let kind = match &blocked.hit.window {
            LimitWindow::Unspecified => LimitWindow::FiveHour,
            kind => kind.clone(),
        };
        // Resets within the same minute or two are one.
        let reset = reset.after(Duration::from_secs(60)).floor(Duration::from_secs(120));
        windows.entry((kind, reset)).or_default().push(blocked);
    }
    let spent = |((kind, reset), blocked): ((LimitWindow, Timestamp), Vec<&'a Blocked>)| {
        let length = kind.length()?;
        let hit_at = blocked.iter().map(|it| it.range.start).min()?;
        Some(Spent { kind, range: reset.before(length)..reset, hit_at, blocked })
    };
    windows.into_iter().filter_map(spent).collect()
}

impl Spent<'_> {
    /// Returns what each session spent in the window before the hit, by its name.
    fn by_session(&self, view: &View<'_>) -> BTreeMap<Option<Arc<str>>, Usd> {
        let mut costs: BTreeMap<Option<Arc<str>>, Usd> = BTreeMap::new();
        let inside = view.history.replies_in(self.range.start..self.hit_at);
        for reply in inside.iter().filter(|reply| self.kind.counts(reply.model.as_str())) {
            *costs.entry(reply.session.clone()).or_default() += reply.cost;
        }
        costs
    }

    fn waiting(&self, concerns: impl Fn(&Blocked) -> bool) -> Duration {
        waiting(self.blocked.iter().copied().filter(|blocked| concerns(blocked)))
    }
}

/// Returns how long somebody waited; times in which several did count once.
fn waiting<'a>(blocked: impl Iterator<Item = &'a Blocked>) -> Duration {
    let mut ranges: Vec<&Range<Timestamp>> = blocked.map(|blocked| &blocked.range).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    let (mut sum, mut until) = (Duration::ZERO, Timestamp::MIN);
    for range in ranges {
        sum += range.end.since(range.start.max(until));
        until = until.max(range.end);
    }
    sum
}

/// Finds sessions that used so much of spent windows that others had to wait.
fn eaters(view: &View<'_>, spent: &[Spent<'_>]) -> Vec<Finding> {
    let mut sums: BTreeMap<(Kind, Arc<str>), (u64, f64, Duration)> = BTreeMap::new();
    for window in spent {
        let costs = window.by_session(view);
        let total: Usd = costs.values().copied().sum();
        for (session, cost) in &costs {
            let Some(session) = session else { continue };
            let is_script =
                view.history.sessions.get(session).is_some_and(|info| &*info.session_type == "script");
            let (kind, share_min) = match is_script {
                true => (Kind::BackgroundWork, BACKGROUND_SHARE),
                false => (Kind::StarvingSession, STARVING_SHARE),
            };
            let share = cost.as_picos() as f64 / (total.as_picos() as f64).max(1.0);
            let waited = window.waiting(|blocked| blocked.session.as_ref().is_some_and(|it| it != session));
            if share >= share_min && waited > Duration::ZERO {
                let (windows, shares, sum) = sums.entry((kind, session.clone())).or_default();
                *windows += 1;
                *shares += share;
                *sum += waited;
            }
        }
    }
    sums.into_iter()
        .map(|((kind, session), (windows, shares, waited))| {
            let share = shares / windows as f64;
            let percent = (share * 100.0).round();
            let (title, text) = match kind {
                Kind::BackgroundWork => (
                    "Background work uses up the limit",
                    format!(
                        "In {windows} windows this script used {percent} % of what was spent before the limit was hit, and other \
                         sessions waited. Give it the priority `background`, or run it after the reset."
                    ),
                ),
                _ => (
                    "One session starves the others",
                    format!(
                        "In {windows} windows this session used {percent} % of what was spent before the limit was hit, and \
                         others waited. Spread its work, or give the others a higher priority."
                    ),
                ),
            };
            Finding {
                kind,
                title: title.to_owned(),
                text,
                evidence: BTreeMap::from([
                    ("windows", Evidence::Count(windows)),
                    ("share", Evidence::Share(share)),
                ]),
                session: Some(session),
                saving: Saving { waiting: waited, ..Saving::default() },
            }
        })
        .collect()
}

fn early(spent: &[Spent<'_>]) -> Option<Finding> {
    let is_early = |window: &&Spent<'_>| {
        window.kind == LimitWindow::FiveHour && window.range.end.since(window.hit_at) >= EARLY_LEFT
    };
    let windows: Vec<&Spent<'_>> = spent.iter().filter(is_early).collect();
    if windows.len() < CASES_MIN {
        return None;
    }
    let waited: Duration = windows.iter().map(|window| window.waiting(|_| true)).sum();
    let left: Duration = windows.iter().map(|window| window.range.end.since(window.hit_at)).sum();
    let left_minutes = left.as_secs_f64() / 60.0 / windows.len() as f64;
    Some(Finding {
        kind: Kind::SpentEarly,
        title: "Windows are spent long before their reset".to_owned(),
        text: format!(
            "{} five-hour windows were spent with {left_minutes:.0} minutes to go on average. A slower pace, fewer sessions at once or a \
             smaller model lasts until the reset.",
            windows.len(),
        ),
        evidence: BTreeMap::from([
            ("windows", Evidence::Count(windows.len() as u64)),
            ("mean_minutes_left", Evidence::Minutes(left_minutes)),
        ]),
        session: None,
        saving: Saving { waiting: waited, ..Saving::default() },
    })
}

fn piled(view: &View<'_>, spent: &[Spent<'_>]) -> Option<Finding> {
    let is_piled = |window: &&Spent<'_>| {
        let cost = |range: Range<Timestamp>| -> Usd {
            view.history.replies_in(range).iter().map(|reply| reply.cost).sum()
        };
        let late = cost(window.range.end.before(HOUR)..window.hit_at);
        let all = cost(window.range.start..window.hit_at);
        window.kind == LimitWindow::FiveHour
            && window.range.end.since(window.hit_at) < HOUR
            && late.as_picos() * 2 > all.as_picos()
    };
    let windows: Vec<&Spent<'_>> = spent.iter().filter(is_piled).collect();
    if windows.len() < 2 {
        return None;
    }
    let waited: Duration = windows.iter().map(|window| window.waiting(|_| true)).sum();
    Some(Finding {
        kind: Kind::PiledAgainstReset,
        title: "Work piles up against the reset".to_owned(),
        text: format!(
            "{} windows were spent in their last hour, most of it there, minutes before a fresh one. Begin what is large right after \
             the reset.",
            windows.len(),
        ),
        evidence: BTreeMap::from([("windows", Evidence::Count(windows.len() as u64))]),
        session: None,
        saving: Saving { waiting: waited, ..Saving::default() },
    })
}

fn same_hour(view: &View<'_>) -> Option<Finding> {
    let zone = view.input.zone;
    let mut slots: BTreeMap<(i8, i8), (BTreeSet<_>, Vec<&Blocked>)> = BTreeMap::new();
    for blocked in &view.history.blocked {
        let (date, (hour, _)) = (zone.date_of(blocked.range.start), zone.clock_of(blocked.range.start));
        let (dates, all) = slots.entry((date.weekday(), hour)).or_default();
        dates.insert(date);
        all.push(blocked);
    }
    // Of equal slots the earlier in the week.
    let best = slots.into_iter().rev().max_by_key(|(_, (dates, _))| dates.len());
    let ((weekday, hour), (dates, all)) = best.filter(|(_, (dates, _))| dates.len() >= CASES_MIN)?;
    let weekday = WEEKDAYS[usize::try_from(weekday).unwrap_or(0) % 7];
    Some(Finding {
        kind: Kind::SameHour,
        title: "The limit is hit at the same hour each week".to_owned(),
        text: format!(
            "On {} {weekday} the limit was hit between {hour:02}:00 and {:02}:00. Begin earlier on that day, or move part of the \
             work to another.",
            dates.len(),
            (hour + 1) % 24,
        ),
        evidence: BTreeMap::from([
            ("days_hit", Evidence::Count(dates.len() as u64)),
            ("weekday", Evidence::Text(weekday.to_owned())),
            ("hour", Evidence::Text(format!("{hour:02}:00"))),
        ]),
        session: None,
        saving: Saving { waiting: waiting(all.into_iter()), ..Saving::default() },
    })
}

/// Finds hours in which the account works now and then, never met a limit, and uses less than half of its mean hour.
fn headroom(view: &View<'_>) -> Option<Finding> {
    let zone = view.input.zone;
    if view.history.hits.len() < CASES_MIN {
        return None;
    }
    let hour_of = |at| usize::try_from(zone.clock_of(at).0).unwrap_or(0) % 24;
    let mut costs = [Usd::ZERO; 24];
    let mut days: [BTreeSet<_>; 24] = std::array::from_fn(|_| BTreeSet::new());
    let mut limited = [false; 24];
    // Replies come in the order of their times, many to a quarter hour, and no zone of today changes its hour within one.
    for replies in view.history.replies.chunk_by(|a, b| a.at.floor(CELL_WIDTH) == b.at.floor(CELL_WIDTH)) {
        let hour = hour_of(replies[0].at);
        costs[hour] += replies.iter().map(|reply| reply.cost).sum();
        days[hour].insert(zone.date_of(replies[0].at));
    }
    for blocked in &view.history.blocked {
        let mut at = blocked.range.start;
        while at < blocked.range.end {
            limited[hour_of(at)] = true;
            at = at.after(HOUR);
        }
        limited[hour_of(blocked.range.end)] = true;
    }
    let used = costs.iter().filter(|cost| **cost > Usd::ZERO).count();
    let mean = costs.iter().copied().sum::<Usd>().as_picos() / used.max(1) as i128;
    let is_free =
        |hour: &usize| !limited[*hour] && days[*hour].len() >= 2 && costs[*hour].as_picos() * 2 < mean;
    let free: Vec<usize> = (0..24).filter(is_free).collect();
    if free.is_empty() {
        return None;
    }
    let hours: Vec<String> = free.iter().map(|hour| format!("{hour:02}:00")).collect();
    let hours = hours.join(", ");
    Some(Finding {
        kind: Kind::Headroom,
        title: "There are hours with headroom".to_owned(),
        text: format!(
            "Limits were hit {} times, but never in the hours from {hours}, which are little used. Work that can wait fits there.",
            view.history.hits.len(),
        ),
        evidence: BTreeMap::from([
            ("hits", Evidence::Count(view.history.hits.len() as u64)),
            ("hours", Evidence::Text(hours)),
        ]),
        session: None,
        saving: Saving { waiting: waiting(view.history.blocked.iter()), ..Saving::default() },
    })
}
