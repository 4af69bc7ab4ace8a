//! Forecasts against the truth of synthetic accounts, beside a plain line.

use std::time::Duration;

use session_analytics::{ForecastInput, Learned, Prediction, PriceBook, WindowState, told_samples};
use session_store::{Cell, Fact, LimitWindow, Timestamp, Zone, fold_cells};

use crate::account::{Account, TrueWindow};

/// Weeks that are learned from before the first question.
const LEARNED_WEEKS: u64 = 5;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// How forecasts did.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Questions asked.
    pub questions: u32,
    /// Questions where the limit ran out, or somebody said so.
    pub cases: u32,
    /// Errors in minutes where the limit ran out or the forecast said so, sorted; who is behind the reset is taken to be at it.
    pub errors: Vec<f64>,
    /// How often the truth lay within the interval, of all cases.
    pub covered: u32,
    /// How often it was said to run out and did not.
    pub false_alarms: u32,
    /// How often it ran out and was said not to.
    pub missed: u32,
}

impl Verdict {
    /// Returns a quantile of the errors in minutes.
    pub fn error(&self, share: f64) -> f64 {
        let place = (share * self.errors.len().saturating_sub(1) as f64).round() as usize;
        self.errors.get(place).copied().unwrap_or(0.0)
    }

    fn judge(
        &mut self,
        window: &TrueWindow,
        low: Option<Timestamp>,
        time: Option<Timestamp>,
        high: Option<Timestamp>,
    ) {
        let until = |at: Option<Timestamp>| at.unwrap_or(window.end);
        let (truth, said) = (until(window.ran_out_at), until(time));
        self.cases += 1;
        self.errors.push(truth.max(said).since(truth.min(said)).as_secs_f64() / 60.0);
        self.covered += u32::from(until(low) <= truth && truth <= until(high));
        self.false_alarms += u32::from(time.is_some() && window.ran_out_at.is_none());
        self.missed += u32::from(time.is_none() && window.ran_out_at.is_some());
    }
}

/// Asks both methods of each account every half hour at work, after some weeks of learning; learns anew each week.
///
/// Returns the verdict of the forecasts and that of the line, over the same questions: those where the limit ran out, or
/// one of both said so.
pub fn compare(accounts: &[Account]) -> (Verdict, Verdict) {
    let (mut ours, mut line) = (Verdict::default(), Verdict::default());
    for account in accounts {
        ask(account, &mut ours, &mut line);
    }
    ours.errors.sort_unstable_by(f64::total_cmp);
    line.errors.sort_unstable_by(f64::total_cmp);
    (ours, line)
}

fn ask(account: &Account, ours: &mut Verdict, line: &mut Verdict) {
    let (book, zone) = (PriceBook::built_in(), Zone::utc());
    let all = fold_cells(&account.ledger, Timestamp::MIN..Timestamp::MAX, &[]);
    let samples = told_samples(account.ledger.iter(), "a", &LimitWindow::FiveHour);
    let Some(first) = account.windows.first() else { return };
    let from = first.start.after(WEEK * LEARNED_WEEKS as u32);
    let mut learned: Option<(Timestamp, Learned)> = None;
    for window in account.windows.iter().filter(|window| window.start >= from) {
        let mut now = window.start.after(Duration::from_secs(1800));
        while now < window.ran_out_at.unwrap_or(window.end) {
            let known = known_at(account, &all, now);
            let past: Vec<WindowState> =
                samples.iter().filter(|sample| sample.observed_at <= now).cloned().collect();
            let latest = past.iter().max_by_key(|sample| sample.observed_at);
            let state = latest.filter(|state| state.resets_at == Some(window.end));
            let is_at_work = account
                .ledger
                .turns()
                .any(|(event, _)| (now.before(Duration::from_secs(1800))..now).contains(&event.at));
            if let Some(state) = state.filter(|_| is_at_work) {
                let input =
                    ForecastInput { cells: &known, book: &book, zone: &zone, state, samples: &past, now };
                if learned.as_ref().is_none_or(|(at, _)| now.since(*at) >= WEEK) {
                    let limits = [(LimitWindow::FiveHour.name().to_owned(), input.learn())];
                    learned = Some((now, Learned { limits: limits.into() }));
                }
                let Some((_, learned)) = &learned else { return };
                let prediction = Prediction::of(&input, learned);
                let straight = straight(state, window, now);
                ours.questions += 1;
                line.questions += 1;
                if [window.ran_out_at, prediction.runs_out_at, straight].iter().any(Option::is_some) {
                    ours.judge(window, prediction.low, prediction.runs_out_at, prediction.high);
                    line.judge(window, straight, straight, straight);
                }
            }
            now = now.after(Duration::from_secs(1800));
        }
    }
}

/// Returns the sums as they are at a moment: a quarter hour that is still running holds what was used so far.
fn known_at(account: &Account, all: &[Cell], now: Timestamp) -> Vec<Cell> {
    let running = now.floor(session_store::CELL_WIDTH);
    let before = all.partition_point(|cell| cell.key.start < running);
    let mut known = all[..before].to_vec();
    known.extend(fold_cells(&account.ledger, running..now, &[]));
    known
}

/// Continues the mean rate since the window began.
fn straight(state: &WindowState, window: &TrueWindow, now: Timestamp) -> Option<Timestamp> {
    let used = state.used_percentage.filter(|used| *used > 0.0)?;
    let passed = state.observed_at.since(window.start).as_millis() as f64;
    let whole = Duration::from_millis((passed * 100.0 / used).min(1e12) as u64);
    Some(window.start.after(whole).max(now)).filter(|at| *at < window.end)
}

/// Returns how many refusals a ledger holds.
pub fn refusals(account: &Account) -> usize {
    account.ledger.iter().filter(|event| matches!(event.fact, Fact::LimitHit(_))).count()
}
