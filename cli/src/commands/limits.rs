//! `claudewatch limits`: each limit of each account, from whom it is known, and who uses it.

use serde::Serialize;
use session_analytics::{LimitOut, LimitStatus, NEAR, PredictionOut};

use crate::args::LimitsArgs;
use crate::context::{Context, print, print_json};
use crate::error::{CliError, exit};
use crate::forecast::{self, Wanted};
use crate::limits::Known;

#[derive(Serialize)]
struct LimitsOut<'a> {
    schema_version: u32,
    limits: Vec<LimitOut<'a>>,
    refused_values: u64,
    predictions: Vec<PredictionOut<'a>>,
}

/// Prints the limits; returns the code that the check came to.
pub(crate) fn run(context: &Context, args: &LimitsArgs) -> Result<Option<u8>, CliError> {
    let book = context.prices()?;
    let archive = context.archive()?;
    let wanted = if args.backtest { Wanted::Tried } else { Wanted::Open };
    let known = Known::gather(context, &archive.store, &book, wanted)?;
    if context.config.json {
        let refused_values = known.limits.refused.values().sum();
        let predictions = known.predictions().map(PredictionOut::of).collect();
        let out = LimitsOut { schema_version: 1, limits: known.json(), refused_values, predictions };
        print_json(&out)?;
    } else if !(args.check && context.config.quiet) {
        print(&known.table(context))?;
        if args.backtest {
            print(&forecast::table(&known.predictions().collect::<Vec<_>>(), context))?;
        }
    }
    Ok(args.check.then(|| code(&known)).flatten())
}

/// A limit of any account that is hit counts before one that is near. What is not known is neither.
fn code(known: &Known) -> Option<u8> {
    let open = || known.limits.limits.iter().filter(|limit| !limit.is_over);
    if open().any(|limit| limit.status == LimitStatus::Rejected) {
        return Some(exit::HIT);
    }
    let is_near = open().any(|limit| limit.status == LimitStatus::Warning || limit.used_now() >= Some(NEAR));
    is_near.then_some(exit::NEAR)
}
