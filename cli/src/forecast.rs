//! Forecasts of the limits from the archive, and how well such forecasts would have done so far.

use session_analytics::{
    ForecastInput, Learned, Limit, Limits, Method, Prediction, PriceBook, WindowState, told_samples,
};
use session_store::{EventBackend, LimitWindow, Stores};

use crate::clock::now;
use crate::context::{Context, figures};
use crate::error::CliError;
use crate::table::{Column, Table, terminal_width};
use crate::words;

/// Learns from everything in the stores and forecasts each limit; the two that every account has are tried on the past even where
/// nothing is known of them now.
pub(crate) fn predictions(
    context: &Context,
    stores: &Stores,
    book: &PriceBook,
    limits: &Limits,
) -> Result<Vec<Prediction>, CliError> {
    let figures = figures(stores as &dyn EventBackend)?;
    let now = now();
    let mut states: Vec<WindowState> = limits.limits.iter().map(state).collect();
    for window in [LimitWindow::FiveHour, LimitWindow::SevenDay] {
        if states.iter().all(|state| state.window != window) {
            let account = states.first().map(|state| state.account.clone()).unwrap_or_default();
            states.push(WindowState {
                account,
                window,
                used_percentage: None,
                resets_at: None,
                observed_at: now,
            });
        }
    }
    let predict = |state: &WindowState| {
        let samples = told_samples(&figures.facts, &state.account, &state.window);
        let zone = &context.config.zone;
        let input = ForecastInput { cells: &figures.cells, book, zone, state, samples: &samples, now };
        let limits = [(state.window.name().to_owned(), input.learn())].into();
        Prediction::of(&input, &Learned { limits })
    };
    Ok(states.iter().map(predict).collect())
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

/// Draws the forecasts with what the past says of them.
pub(crate) fn table(predictions: &[Prediction], context: &Context) -> String {
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
        let runs_out = match (prediction.runs_out_at, prediction.resets_first) {
            _ if prediction.method == Method::Hit => "hit".to_owned(),
            (Some(at), _) => moment(at),
            (None, Some(true)) => "resets first".to_owned(),
            _ => "not enough data".to_owned(),
        };
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
            runs_out,
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
