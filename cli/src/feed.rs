//! From the store to the screen: what is shown now, rebuilt when something changed.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use session_analytics::{Live, LiveInput, PriceBook, SourceState, State};
use session_coordinator::Update;
use session_store::{Checkpoint, ConversationId, EventBackend, Selection, SourceKind, Stores, Timestamp};

use crate::context::{Context, figures, now};
use crate::error::{CliError, hint_for};

/// Over how much time turns are read one by one, for the burn rate and the states.
const RECENT: Duration = Duration::from_secs(6 * 3600);
/// The shortest time between two views; thirty sessions at work bring more changes than anyone can read.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How long a view stays while something burns, because rates fall without any event.
const BURNING: Duration = Duration::from_secs(10);
/// How often is asked at rest whether time alone changed the view: days end, blocks end, limits reset.
const RESTING: Duration = Duration::from_secs(60);

/// Makes views of the store.
pub(crate) struct Feed<'c> {
    context: &'c Context,
    store: Stores,
    book: PriceBook,
    scope: Option<String>,
    sources: HashMap<ConversationId, SourceState>,
    /// What is said where nothing is more pressing.
    remark: String,
}

/// What a view is shown on.
pub(crate) trait Show {
    /// Shows a view; an error ends the feed.
    fn live(&mut self, live: Live) -> Result<(), CliError>;
    /// Shows a line of trouble or advice, none where it is empty.
    fn note(&mut self, note: String);
}

impl<'c> Feed<'c> {
    pub(crate) fn new(
        context: &'c Context,
        store: Stores,
        book: PriceBook,
        scope: Option<String>,
        sources: &session_coordinator::Ingestor,
    ) -> Self {
        let mut feed = Self { context, store, book, scope, sources: HashMap::new(), remark: String::new() };
        feed.learn(sources.checkpoints());
        feed
    }

    /// Says something where nothing is more pressing.
    pub(crate) fn with_remark(self, remark: Option<String>) -> Self {
        Self { remark: remark.unwrap_or_default(), ..self }
    }

    fn learn<'a>(&mut self, checkpoints: impl Iterator<Item = &'a Checkpoint>) {
        for state in checkpoints.filter_map(source_state) {
            self.sources.insert(state.conversation.clone(), state);
        }
    }

    /// Works out what there is to show now.
    pub(crate) fn live(&self) -> Result<Live, CliError> {
        let figures = figures(&self.store)?;
        let now = now();
        let range = now.before(RECENT)..Timestamp::MAX;
        let recent = Selection { range, turns: true, conversations: false, conversation: None };
        let recent = self.store.events(&recent)?;
        let sources: Vec<SourceState> = self.sources.values().cloned().collect();
        let input = LiveInput {
            figures: &figures,
            recent: &recent,
            sources: &sources,
            book: &self.book,
            zone: &self.context.config.zone,
            scope: self.scope.as_deref(),
            now,
        };
        Ok(Live::build(&input, &self.context.project_of()))
    }

    /// Shows a view at once and a new one whenever something changed, until the updates or the screen end.
    pub(crate) fn run(mut self, updates: &Receiver<Update>, screen: &mut impl Show) -> Result<(), CliError> {
        let mut degraded = String::new();
        loop {
            let live = self.live()?;
            let burning = live.tokens_per_minute > 0.0
                || live.conversations.iter().any(|it| it.state == State::Working);
            let turn = if burning { Timestamp::MIN } else { self.next_turn(&live) };
            let note = self.note(&live, &degraded);
            screen.note(note);
            screen.live(live)?;
            let shown_at = Instant::now();
            loop {
                match updates.recv_timeout(if burning { BURNING } else { RESTING }) {
                    Ok(update) => break self.take(update, &mut degraded),
                    Err(RecvTimeoutError::Timeout) if now() < turn => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            while let Ok(update) = updates.recv_timeout(SHOW_EVERY.saturating_sub(shown_at.elapsed())) {
                self.take(update, &mut degraded);
            }
        }
    }

    /// Returns when a view at rest changes by time alone.
    fn next_turn(&self, live: &Live) -> Timestamp {
        let zone = &self.context.config.zone;
        let tomorrow = zone.start_of(zone.date_of(live.at).tomorrow());
        let block = live.block.as_ref().map(|(block, _)| block.end);
        let reset = live.last_limit.as_ref().and_then(|hit| hit.resets_at).filter(|reset| *reset > live.at);
        [block, reset].into_iter().flatten().fold(tomorrow, Timestamp::min)
    }

    fn take(&mut self, update: Update, degraded: &mut String) {
        match update {
            Update::Read(scan) => self.learn(scan.touched.iter()),
            Update::Failed(error) => *degraded = error.to_string(),
            Update::Degraded(reason) => *degraded = reason,
            _ => {}
        }
    }

    fn note(&self, live: &Live, degraded: &str) -> String {
        if let Some(trouble) = self.store.trouble() {
            let hint = hint_for(trouble.kind()).unwrap_or_default();
            return format!("{trouble}; going on in memory; {hint}");
        }
        if !degraded.is_empty() {
            return degraded.to_owned();
        }
        match &self.scope {
            Some(scope) if live.scope_widened => format!("nothing below {scope}; showing all projects"),
            _ => self.remark.clone(),
        }
    }
}

fn source_state(checkpoint: &Checkpoint) -> Option<SourceState> {
    let SourceKind::Main { conversation } = &checkpoint.kind else { return None };
    Some(SourceState {
        conversation: conversation.clone(),
        turn_open: checkpoint.position.turn_open,
        written_at: Timestamp::from_millis(checkpoint.stamp.modified_ns / 1_000_000),
    })
}
