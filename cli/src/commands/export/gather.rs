//! Everything that goes into an export, gathered from the stores, the processes and the board.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use session_analytics::{
    Coordination, Effort, Figures, Filter, LOOKED_AT, Limit, Overview, OverviewInput, Page, Prediction,
    RecommendInput, Recommendation, SessionContext, anchors, cuts, recommendations_and_efforts,
};
use session_detect::{Context as Surroundings, Facts, Session, classify};
use session_store::{EventBackend, Selection, Stores, Timestamp};

use crate::accounts::Accounts;
use crate::args::SpanArgs;
use crate::clock::now;
use crate::commands::report::{coordination_of, note_problems, range};
use crate::context::Context;
use crate::error::CliError;
use crate::feed::Feed;
use crate::limits::Known;
use crate::others::Others;
use crate::presence::Presence;
use crate::sessions;

/// What an export tells.
pub(super) struct Gathered {
    pub(super) overview: Overview,
    pub(super) presence: Presence,
    pub(super) others: Others,
    /// What hooks did about limits.
    pub(super) coordination: Coordination,
    pub(super) known: Known,
    limits: Vec<Limit>,
    pub(super) predictions: Vec<Prediction>,
    pub(super) recommendations: Vec<Recommendation>,
    /// By the name of the session, over the last thirty days.
    pub(super) efforts: BTreeMap<Option<Arc<str>>, Effort>,
    /// Where each live process of a session runs, by its number; those that may not be looked at are missing.
    pub(super) surroundings: BTreeMap<u32, (Session, Surroundings)>,
    /// What of it a page tells, by the name of the session.
    contexts: BTreeMap<Arc<str>, SessionContext>,
}

impl Gathered {
    pub(super) fn of(context: &Context, span: &SpanArgs) -> Result<Self, CliError> {
        let range = range(span, &context.config.zone)?;
        let filter = Filter { project: span.project.clone(), model: span.model.clone(), ..Filter::default() };
        let (book, now) = (context.prices()?, now());
        let archive = context.archive()?;
        let figures = figures_divided(&archive.store, &range)?;
        let recent = Selection { range: now.before(LOOKED_AT)..Timestamp::MAX, ..Selection::all() };
        let recent = archive.store.events(&recent)?;
        let feed = Feed::new(context, archive.store.clone(), book.clone(), None).informed()?;
        let (live, known_limits) = feed.look(&figures, &recent)?;
        let others = Others::look(&context.config);
        let presence = Presence::look(context, &archive.store, &live, &others);
        let known = sessions::known(&archive.store, &figures.facts, &presence)?;
        let zone = &context.config.zone;
        let input = OverviewInput {
            figures: &figures,
            book: &book,
            zone,
            range: range.clone(),
            filter: &filter,
            sessions: &known,
            now,
        };
        let mut overview = Overview::build(&input, &context.project_of());
        note_problems(&mut overview.problems, &archive);

        let accounts = Accounts::known(&context.config, &archive.store)?;
        let coordination = coordination_of(context, &figures.facts, &range, &accounts, now);
        let account = context.config.claude_dirs.first().map(|dir| dir.to_string_lossy().into_owned());
        let account = account.unwrap_or_default();
        let limits = known_limits.limits.limits.clone();
        let (recommendations, efforts) = recommendations_and_efforts(&RecommendInput {
            ledger: &recent,
            book: &book,
            sessions: &known,
            account: &account,
            zone,
            now,
        });
        let surroundings = surroundings(&presence);
        Ok(Self {
            contexts: contexts(&presence, &surroundings),
            predictions: known_limits.predictions().cloned().collect(),
            recommendations,
            efforts,
            surroundings,
            overview,
            presence,
            others,
            coordination,
            limits,
            known: known_limits,
        })
    }

    /// Returns what a page tells.
    pub(super) fn page(&self) -> Page<'_> {
        Page {
            overview: &self.overview,
            limits: &self.limits,
            predictions: &self.predictions,
            coordination: &self.coordination,
            recommendations: &self.recommendations,
            efforts: &self.efforts,
            contexts: &self.contexts,
        }
    }
}

/// Reads sums and facts of all time, the sums divided also at the ends of a range.
fn figures_divided(stores: &Stores, range: &Range<Timestamp>) -> Result<Figures, CliError> {
    let facts = stores.events(&Selection::facts())?;
    let mut cuts = cuts(&anchors(&facts));
    let ends = [range.start, range.end].into_iter();
    cuts.extend(ends.filter(|at| *at != Timestamp::MIN && *at != Timestamp::MAX));
    cuts.sort_unstable();
    let cells = stores.cells(Timestamp::MIN..Timestamp::MAX, &cuts)?;
    Ok(Figures { cells, facts })
}

/// Looks at each live process as `detect` does.
fn surroundings(presence: &Presence) -> BTreeMap<u32, (Session, Surroundings)> {
    let alive = presence.participants.iter().filter(|it| it.is_alive);
    let look = |pid| {
        let facts = Facts::capture_of(pid).ok()?;
        let session = classify(&facts);
        let surroundings = Surroundings::observed(&facts, &session);
        Some((pid, (session, surroundings)))
    };
    alive.filter_map(|it| look(it.pid)).collect()
}

/// Says in a few words where each session runs.
fn contexts(
    presence: &Presence,
    surroundings: &BTreeMap<u32, (Session, Surroundings)>,
) -> BTreeMap<Arc<str>, SessionContext> {
    let mut contexts: BTreeMap<Arc<str>, SessionContext> = BTreeMap::new();
    for it in &presence.participants {
        let context = contexts.entry(it.key.file_name().into()).or_default();
        context.is_alive |= it.is_alive;
        let Some((session, around)) = surroundings.get(&it.pid) else { continue };
        let notes = [
            around.terminal_emulator.clone(),
            session.mux.clone(),
            session.host_app.clone(),
            session.container.clone(),
            around.remote_ip.as_ref().map(|remote| format!("from {remote}")),
        ];
        for note in notes.into_iter().flatten() {
            if !context.notes.contains(&note) {
                context.notes.push(note);
            }
        }
    }
    contexts
}
