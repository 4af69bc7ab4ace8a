//! Forecasts of the limits, and how well such forecasts would have done so far: one computation for all that tell of them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use session_analytics::{
    ForecastInput, Learned, LearnedLimit, Lesson, Limit, Method, Prediction, PriceBook, WindowState,
    told_samples,
};
use session_store::{Cell, ConversationId, LimitWindow, Timestamp, Zone};

use crate::accounts::Accounts;
use crate::clock::now;
use crate::context::Context;
use crate::error::CliError;
use crate::sums::Sums;
use crate::table::{Column, Table, terminal_width};
use crate::words;

/// Which limits are forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those whose window is open.
    Open,
    /// All that are known, and of those that every account has what the past says, even where nothing is known of them now.
    Tried,
}

/// A forecast, and what it was learned from.
pub(crate) type Forecast = (Prediction, LearnedLimit);

/// What was learned last of each limit of each account: it stands until what it was learned from changes.
#[derive(Debug, Default)]
pub(crate) struct Lessons(RefCell<HashMap<(Arc<str>, LimitWindow), Lesson>>);

/// What forecasts are made of.
pub(crate) struct Past<'a> {
    pub(crate) zone: &'a Zone,
    pub(crate) book: &'a PriceBook,
    pub(crate) sums: &'a Sums<'a>,
    pub(crate) accounts: &'a Accounts,
    pub(crate) now: Timestamp,
    /// When somebody replied last.
    pub(crate) last_reply: Timestamp,
    pub(crate) lessons: &'a Lessons,
}

impl Past<'_> {
    /// Forecasts a limit.
    pub(crate) fn forecast(&self, limit: &Limit, wanted: Wanted) -> Result<Forecast, CliError> {
        self.predict(&state(limit), wanted)
    }

    /// Tries forecasts of the two limits that every account has, of those that are not among the known ones.
    pub(crate) fn unknown(&self, limits: &[Limit]) -> Result<Vec<Prediction>, CliError> {
        let account = limits.first().map(|limit| limit.account.to_string()).unwrap_or_default();
        let missing = [LimitWindow::FiveHour, LimitWindow::SevenDay]
            .into_iter()
            .filter(|window| limits.iter().all(|limit| limit.window != *window));
        let nothing = |window| WindowState {
            account: account.clone(),
            window,
            used_percentage: None,
            resets_at: None,
            observed_at: self.now,
        };
        missing.map(|window| Ok(self.predict(&nothing(window), Wanted::Tried)?.0)).collect()
    }

    fn predict(&self, state: &WindowState, wanted: Wanted) -> Result<Forecast, CliError> {
        let is_open = state.used_percentage.is_some() && state.resets_at.is_some();
        if !is_open && wanted == Wanted::Open {
            // Nothing can be said of it, so nothing need be learned for it.
            let prediction = Prediction::of(&self.input(state, &[], &[]), &Learned::default());
            return Ok((prediction, LearnedLimit::default()));
        }
        let is_all =
            state.account.is_empty() || self.accounts.only().is_some_and(|it| **it == *state.account);
        let is_its = |conversation: &ConversationId| {
            let account = || self.accounts.name(conversation);
            is_all || account().is_none_or(|account| **account == *state.account)
        };
        let cells = match is_all {
            true => Cow::Borrowed(self.sums.cells()?),
            false => {
                self.sums.cells()?.iter().filter(|cell| is_its(&cell.key.conversation)).cloned().collect()
            }
        };
        let told = self.sums.facts.iter().filter(|event| is_its(&event.owner.conversation));
        let samples = told_samples(told, &state.account, &state.window);
        let place = (Arc::from(&*state.account), state.window.clone());
        let mut lessons = self.lessons.0.borrow_mut();
        let (prediction, lesson) = self.input(state, &cells, &samples).predict(lessons.get(&place));
        let learned = lesson.learned.clone();
        lessons.insert(place, lesson);
        Ok((prediction, learned))
    }

    fn input<'b>(
        &'b self,
        state: &'b WindowState,
        cells: &'b [Cell],
        samples: &'b [WindowState],
    ) -> ForecastInput<'b> {
        let now = ForecastInput::moment(self.now, self.last_reply.max(state.observed_at));
        ForecastInput { cells, book: self.book, zone: self.zone, state, samples, now }
    }
}

fn state(limit: &Limit) -> WindowState {
    WindowState {
        account: limit.account.to_string(),
        window: limit.window.clone(),
        used_percentage: limit.used.filter(|_| !limit.is_over).map(|used| f64::from(used) / 100.0),
        resets_at: limit.resets_at.filter(|_| !limit.is_over),
        observed_at: limit.observed_at,
    }
}

/// Says in a few words when a limit runs out.
pub(crate) fn runs_out(prediction: &Prediction, zone: &Zone, at: Timestamp) -> String {
    match (prediction.runs_out_at, prediction.resets_first) {
        _ if prediction.method == Method::Hit => "hit".to_owned(),
        (Some(full), _) => format!("full {}", words::moment(zone, full, at)),
        (None, Some(true)) => "resets first".to_owned(),
        _ => "not enough data".to_owned(),
    }
}

/// Says between which times a limit runs out, and how well such forecasts did; `None` where there is no forecast.
pub(crate) fn line(prediction: &Prediction, context: &Context, at: Timestamp) -> Option<String> {
    let zone = &context.config.zone;
    let tried = prediction.backtest.filter(|_| prediction.resets_first.is_some())?;
    if prediction.method == Method::Hit {
        return None;
    }
    let between = match (prediction.low, prediction.high) {
        (Some(low), Some(high)) => {
            format!("full between {} and {}", words::moment(zone, low, at), words::moment(zone, high, at))
        }
        (Some(low), None) => format!("full {} at the earliest", words::moment(zone, low, at)),
        _ => "resets first, also at the highest rate that is likely".to_owned(),
    };
    let name = words::limit_name(&prediction.window);
    Some(format!(
        "{name}: {between}. Of {} forecasts tried on the past, {:.0} % held the truth between their times; the median was {:.0} \
         minutes off.\n",
        tried.samples,
        tried.coverage * 100.0,
        tried.median_error_minutes,
    ))
}

/// Draws the forecasts with what the past says of them.
pub(crate) fn table(predictions: &[&Prediction], context: &Context) -> String {
    let mut table = Table::new(&[
        Column::left("Forecast", 0),
        Column::left("Runs out", 0),
        Column::left("80 % between", 3),
        Column::right("Tried on", 1),
        Column::right("Within", 2),
        Column::right("Median error", 1),
        Column::right("A plain line's", 4),
    ]);
    let (zone, now) = (&context.config.zone, now());
    for prediction in predictions {
        let moment = |at| words::moment(zone, at, now);
        let between = match (prediction.low, prediction.high) {
            (Some(low), Some(high)) => format!("{} – {}", moment(low), moment(high)),
            (Some(low), None) => format!("{} – the reset", moment(low)),
            _ => String::new(),
        };
        let tried = prediction.backtest.as_ref();
        let minutes = |minutes: f64| format!("{minutes:.0} m");
        let tell = |text: Option<String>| text.unwrap_or_default();
        table.row(vec![
            words::limit_name(&prediction.window),
            runs_out(prediction, zone, now),
            between,
            tell(tried.map(|it| it.samples.to_string())),
            tell(tried.map(|it| format!("{:.0} %", it.coverage * 100.0))),
            tell(tried.map(|it| minutes(it.median_error_minutes))),
            tell(tried.map(|it| minutes(it.linear_error_minutes))),
        ]);
    }
    let mut text = table.draw(terminal_width(), context.config.colors_stdout());
    for prediction in predictions {
        if let Method::InsufficientData(lack) = prediction.method {
            text.push_str(&format!("{}: {}.\n", words::limit_name(&prediction.window), lack.text()));
        }
    }
    text
}
