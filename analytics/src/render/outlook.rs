//! Predictions and recommendations as JSON: the shapes of the contract.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::forecast::Prediction;
use crate::learn::Backtest;
use crate::recommend::{Evidence, Recommendation};

/// A prediction in its JSON shape.
#[derive(Debug, Serialize)]
pub struct PredictionOut<'a> {
    account: &'a str,
    window: &'a str,
    used_percentage: Option<f64>,
    resets_at: Option<String>,
    runs_out_at: Option<String>,
    low: Option<String>,
    high: Option<String>,
    resets_first: Option<bool>,
    turns_left: Option<u64>,
    usd_per_hour: Option<f64>,
    method: &'a str,
    lacks: Option<&'a str>,
    backtest: Option<BacktestOut>,
}

#[derive(Debug, Serialize)]
struct BacktestOut {
    samples: u32,
    coverage: f64,
    median_error_minutes: f64,
    linear_error_minutes: f64,
}

/// A recommendation in its JSON shape.
#[derive(Debug, Serialize)]
pub struct RecommendationOut<'a> {
    kind: &'a str,
    title: &'a str,
    text: &'a str,
    evidence: Map<String, Value>,
    impact: &'a str,
    confidence: f64,
    applies_to: &'a str,
}

impl<'a> PredictionOut<'a> {
    /// Takes the shape of a prediction.
    pub fn of(prediction: &'a Prediction) -> Self {
        let moment = |at: Option<session_store::Timestamp>| at.map(|at| at.to_string());
        let lacks = match prediction.method {
            crate::forecast::Method::InsufficientData(lack) => Some(lack.text()),
            _ => None,
        };
        Self {
            account: &prediction.account,
            window: prediction.window.name(),
            used_percentage: prediction.used_percentage.map(short),
            resets_at: moment(prediction.resets_at),
            runs_out_at: moment(prediction.runs_out_at),
            low: moment(prediction.low),
            high: moment(prediction.high),
            resets_first: prediction.resets_first,
            turns_left: prediction.turns_left,
            usd_per_hour: prediction.burn.map(|burn| short(burn.usd_per_hour)),
            method: prediction.method.name(),
            lacks,
            backtest: prediction.backtest.as_ref().map(BacktestOut::of),
        }
    }
}

impl BacktestOut {
    fn of(backtest: &Backtest) -> Self {
        Self {
            samples: backtest.samples,
            coverage: short(backtest.coverage),
            median_error_minutes: short(backtest.median_error_minutes),
            linear_error_minutes: short(backtest.linear_error_minutes),
        }
    }
}

impl<'a> RecommendationOut<'a> {
    /// Takes the shape of a recommendation.
    pub fn of(recommendation: &'a Recommendation) -> Self {
        let value = |evidence: &Evidence| match evidence {
            Evidence::Count(count) => Value::from(*count),
            Evidence::Money(usd) => Value::from(usd.as_dollars()),
            Evidence::Share(number) | Evidence::Minutes(number) => Value::from(short(*number)),
            Evidence::Text(text) => Value::from(text.as_str()),
        };
        let evidence = &recommendation.evidence;
        Self {
            kind: recommendation.kind.name(),
            title: &recommendation.title,
            text: &recommendation.text,
            evidence: evidence.iter().map(|(name, it)| ((*name).to_owned(), value(it))).collect(),
            impact: recommendation.impact.name(),
            confidence: recommendation.confidence,
            applies_to: recommendation.applies_to.name(),
        }
    }
}

/// Cuts a number to four decimals; more would promise what no estimate holds.
fn short(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
