//! `claudewatch metrics`: figures in the text form of Prometheus, printed or put where the node exporter collects files.

use std::collections::BTreeMap;
use std::path::Path;

use session_analytics::{MetricsInput, Prediction, metrics_text};

use crate::args::MetricsArgs;
use crate::context::{Context, figures};
use crate::error::CliError;
use crate::feed::{self, Feed};
use crate::others::Others;
use crate::output::Output;
use crate::presence::Presence;

pub(crate) fn run(context: &Context, args: &MetricsArgs) -> Result<(), CliError> {
    let book = context.prices()?;
    let archive = context.archive()?;
    let (figures, recent) = (figures(&archive.store)?, feed::recent(&archive.store)?);
    let feed = Feed::new(context, archive.store.clone(), book.clone(), None).informed()?;
    let (live, known) = feed.look(&figures, &recent)?;
    let others = Others::look(&context.config);
    let types = Presence::look(context, &archive.store, &live, &others).types();
    let sessions: BTreeMap<String, usize> =
        types.into_iter().map(|(kind, count)| (kind.name().to_owned(), count)).collect();
    let predictions: Vec<&Prediction> = known.predictions().collect();
    let input = MetricsInput {
        figures: &figures,
        book: &book,
        limits: &known.limits,
        predictions: &predictions,
        sessions: &sessions,
        counters: &others.counters,
        skipped: (archive.scan.lines_skipped.values().sum(), archive.scan.files_skipped.len() as u64),
        version: env!("CARGO_PKG_VERSION"),
    };
    let text = metrics_text(&input, &context.project_of());
    let mut out = Output::to(args.textfile.as_deref().unwrap_or(Path::new("-")))?;
    out.text(&text)?;
    out.finish()
}
