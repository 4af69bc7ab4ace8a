//! `claudewatch` itself: a full screen on a terminal, one line per change in a pipe.

use std::io::IsTerminal;

use session_analytics::{Live, LiveInput, PriceBook, SourceState};
use session_store::{Checkpoint, EventBackend, Selection, SourceKind, Timestamp};

use crate::context::{Context, figures, now};
use crate::error::CliError;

/// Over how much time turns are read one by one, for the burn rate and the states.
const RECENT: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The user's own sessions.
    Watch,
    /// A generated history.
    Demo,
}

pub(crate) fn run(_context: &Context, _mode: Mode) -> Result<(), CliError> {
    let _ = std::io::stdout().is_terminal();
    Ok(())
}

/// Works out what is shown now.
pub(crate) fn live<'a>(
    context: &Context,
    book: &PriceBook,
    store: &dyn EventBackend,
    checkpoints: impl Iterator<Item = &'a Checkpoint>,
    scope: Option<&str>,
) -> Result<Live, CliError> {
    let figures = figures(store)?;
    let now = now();
    let range = now.before(RECENT)..Timestamp::MAX;
    let recent = store.events(&Selection { range, turns: true, conversation: None })?;
    let sources: Vec<SourceState> = checkpoints.filter_map(source_state).collect();
    let input = LiveInput {
        figures: &figures,
        recent: &recent,
        sources: &sources,
        book,
        zone: &context.config.zone,
        scope,
        now,
    };
    Ok(Live::build(&input, &context.project_of()))
}

fn source_state(checkpoint: &Checkpoint) -> Option<SourceState> {
    let SourceKind::Main { conversation } = &checkpoint.kind else { return None };
    Some(SourceState {
        conversation: conversation.clone(),
        turn_open: checkpoint.position.turn_open,
        written_at: Timestamp::from_millis(checkpoint.stamp.modified_ns / 1_000_000),
    })
}
