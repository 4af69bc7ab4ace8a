//! `claudewatch metrics`: figures in the text form of Prometheus, printed or put where the node exporter collects files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use session_analytics::{LimitSource, Limits, MetricsInput, Reading, metrics_text};
use session_store::{Fact, Ledger, Timestamp};

use crate::args::MetricsArgs;
use crate::context::{Context, figures, now};
use crate::coordination::Others;
use crate::error::CliError;
use crate::feed::Feed;
use crate::output::Output;
use crate::presence::Presence;

pub(crate) fn run(context: &Context, args: &MetricsArgs) -> Result<(), CliError> {
    let book = context.prices()?;
    let archive = context.archive()?;
    let figures = figures(&archive.store)?;
    let live = Feed::new(context, archive.store.clone(), book.clone(), None, &archive.ingestor).live()?;
    let others = Others::look(&context.config);
    let types = Presence::look(context, &live, &others).types();
    let sessions: BTreeMap<String, usize> =
        types.into_iter().map(|(kind, count)| (kind.name().to_owned(), count)).collect();
    let account = context.config.claude_dirs.first().map(|dir| dir.to_string_lossy().into_owned());
    let input = MetricsInput {
        figures: &figures,
        book: &book,
        limits: &told(&figures.facts, &account.unwrap_or_default(), now()),
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

/// Returns the limits that transcripts tell of.
pub(super) fn told(facts: &Ledger, account: &str, now: Timestamp) -> Limits {
    let account: Arc<str> = account.into();
    let readings = facts.iter().filter_map(|event| match &event.fact {
        Fact::LimitHit(hit) => Reading::of_hit(account.clone(), hit, event.at),
        Fact::LimitSample(sample) => {
            Some(Reading::of_sample(account.clone(), sample, event.at, LimitSource::Transcript))
        }
        _ => None,
    });
    Limits::merge(readings, now)
}
