//! From the store to the screen: what is shown now, rebuilt when something changed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use session_analytics::{Figures, ForecastInput, LimitUse, Live, LiveInput, PriceBook, SourceState, State};
use session_coordinator::{Duty, Ingestor, Member, News, Notice, Progress, Role, Update};
use session_store::{
    Batch, Change, Checkpoint, ConversationId, ErrorKind, EventBackend, Ledger, Selection, SourceKind,
    Stores, Summaries, Timestamp,
};

use crate::accounts::Accounts;
use crate::clock::now;
use crate::context::{Context, figures};
use crate::coordination::existing_board;
use crate::error::{CliError, hint_for};
use crate::forecast::{Lessons, Wanted};
use crate::heard::Heard;
use crate::kept;
use crate::limits::{self, Basis, Known, Running};
use crate::notify;
use crate::owners::{self, Retire};
use crate::place::{Place, Shared};
use crate::sums::Sums;
use crate::told::Told;
use crate::tui::NOTICE_SHOWN;

/// Over how much time turns are read one by one, for the burn rate and the states.
const RECENT: Duration = Duration::from_secs(6 * 3600);
/// The shortest time between two views; thirty sessions at work bring more changes than anyone can read.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// The shortest time between two views where nothing but samples of limits was told: the sessions of an account tell some each
/// second, and each view that a leader publishes wakes everybody. All monitors are to show a sample within a second.
const SAMPLED_EVERY: Duration = Duration::from_millis(500);
/// How long a view stays while something burns, because rates fall without any event.
const BURNING: Duration = Duration::from_secs(10);
/// How often is asked at rest whether time alone changed the view: days end, blocks end, limits reset.
const RESTING: Duration = Duration::from_secs(60);
/// How long one that follows waits for the leader's word before it computes for itself. If all did so at once, the leader
/// would be the last to come to it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often one that reads moves ended sessions into the archive.
const TIDYING: Duration = Duration::from_secs(3600);
/// After how long one that spares resources looks at a session whose monitor went: it ends a moment later.
const ENDING: Duration = Duration::from_secs(2);
/// How long after something changed a leader sums up what the stores hold; by then what starts together has started.
const SURVEYING: Duration = Duration::from_secs(2);
/// After how long a leader that could not publish tries again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a disk that refused is tried again.
const RETRYING: Duration = Duration::from_secs(5);

/// Makes views of the store.
pub(crate) struct Feed<'c> {
    context: &'c Context,
    store: Stores,
    book: PriceBook,
    scope: Option<String>,
    sources: HashMap<ConversationId, SourceState>,
    accounts: Accounts,
    /// Which session runs which conversation, and when that was looked up.
    sessions: RefCell<Option<(Instant, Running)>>,
    /// What forecasts are made with.
    lessons: Lessons,
    place: Option<&'c Place>,
    told: Told,
    /// The project of the working folder.
    project: Option<String>,
    /// What is said where nothing is more pressing.
    remark: String,
    degraded: String,
    /// Since when the leader's word is waited for.
    awaits: Option<Instant>,
    has_shown: bool,
    /// Whether everything was read that this process has to read.
    is_read: bool,
    /// Whether all that the stores know of sources is known here, and kept up by what this process reads.
    is_informed: bool,
    has_followed: bool,
    is_published: bool,
    /// Whether what was shown last was computed by the leader.
    is_served: bool,
    /// Whether samples of limits were told that it has not shown yet.
    has_samples: bool,
    /// Which state of the transcripts was read.
    digest: u64,
    /// When ended sessions were last looked for.
    tidied_at: Timestamp,
    /// What the stores of sessions hold, as last laid out for others, and when that is looked at again.
    survey: (Summaries, Option<Instant>),
}

/// What a view is shown on.
pub(crate) trait Show {
    /// Shows a view; an error ends the feed.
    fn live(&mut self, live: Live) -> Result<(), CliError>;
    /// Shows a line of trouble or advice, none where it is empty.
    fn note(&mut self, note: String);
    /// Shows how far the first reading has come, before there is a view.
    fn progress(&mut self, progress: Progress);
    /// Sends the terminal a notification, a bell or a sequence of its own making.
    fn alert(&mut self, sequence: String);
}

/// What there is to do after something was heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Todo {
    Nothing,
    View,
}

impl<'c> Feed<'c> {
    pub(crate) fn new(context: &'c Context, store: Stores, book: PriceBook, scope: Option<String>) -> Self {
        let project = std::env::current_dir().ok();
        Self {
            context,
            store,
            book,
            scope,
            sources: HashMap::new(),
            accounts: Accounts::of(&context.config),
            sessions: RefCell::default(),
            lessons: Lessons::default(),
            place: None,
            told: Told::default(),
            project: project.and_then(|folder| Some(context.projects.of(folder.to_str()?))),
            remark: String::new(),
            degraded: String::new(),
            awaits: None,
            has_shown: false,
            is_read: true,
            is_informed: false,
            has_followed: false,
            is_published: true,
            is_served: false,
            has_samples: false,
            digest: 0,
            tidied_at: now(),
            survey: Default::default(),
        }
    }

    /// Takes over what the stores know of all sources, for one that has read them.
    pub(crate) fn informed(mut self) -> Result<Self, CliError> {
        self.inform()?;
        Ok(self)
    }

    fn inform(&mut self) -> Result<(), CliError> {
        let checkpoints = self.store.checkpoints()?;
        self.sources.clear();
        self.learn(checkpoints.iter());
        self.is_informed = self.reads();
        Ok(())
    }

    /// Takes part in what the others know; `sources` has read everything, where this process has to read.
    pub(crate) fn at(mut self, place: Option<&'c Place>, sources: &Ingestor) -> Result<Self, CliError> {
        (self.place, self.digest) = (place, sources.digest());
        self.is_read = self.reads();
        let board = place.and_then(Place::board);
        if self.is_read {
            self.inform()?;
            if let Some(board) = &board {
                kept::keep_samples(&self.store, board, &self.accounts);
            }
        }
        self.told = board.map(|board| Told::on(&board, &self.context.config)).unwrap_or_default();
        Ok(self)
    }

    fn learn<'a>(&mut self, checkpoints: impl Iterator<Item = &'a Checkpoint>) {
        for checkpoint in checkpoints {
            self.accounts.learn([checkpoint]);
            if let Some(state) = source_state(checkpoint) {
                self.sources.insert(state.conversation.clone(), state);
            }
        }
    }

    /// Works out what there is to show now, and what is known of the limits.
    ///
    /// `figures` are divided at the edges of official windows at least; `recent` holds the turns of the last six hours at least.
    pub(crate) fn look(&self, figures: &Figures, recent: &Ledger) -> Result<(Live, Known), CliError> {
        let (live, known) = self.compute(figures, recent)?;
        Ok((live.within(self.scope.as_deref()), known))
    }

    /// The same for the view of all projects.
    fn compute(&self, figures: &Figures, recent: &Ledger) -> Result<(Live, Known), CliError> {
        let now = now();
        let sources: Vec<SourceState> = self.sources.values().cloned().collect();
        let input = LiveInput {
            figures,
            recent,
            sources: &sources,
            book: &self.book,
            zone: &self.context.config.zone,
            now,
        };
        let live = Live::build(&input, &self.context.project_of());
        let known = self.limits(figures, recent, now)?;
        Ok((Live { limits: known.rows.clone(), ..live }, known))
    }

    /// Gathers the limits with who uses them and what comes next.
    fn limits(&self, figures: &Figures, recent: &Ledger, at: Timestamp) -> Result<Known, CliError> {
        let mut sessions = self.sessions.borrow_mut();
        let sessions = match &mut *sessions {
            Some(known) if known.0.elapsed() < BURNING => known,
            old => old.insert((Instant::now(), limits::sessions(&self.context.config))),
        };
        let board = match self.place {
            Some(place) => place.board(),
            // Who takes no part looks all the same at what the others told.
            None => existing_board(&self.context.config).map(|(_, board)| board),
        };
        let basis = Basis {
            sums: &Sums::known(&self.store, &figures.facts, &figures.cells, at),
            book: &self.book,
            zone: &self.context.config.zone,
            accounts: &self.accounts,
            sessions: &sessions.1,
            recent,
            board: board.as_ref(),
            lessons: &self.lessons,
        };
        basis.gather(at, Wanted::Open)
    }

    /// Returns what there is to show now, by whoever computed it; `Err` where that has to be waited for, with the progress
    /// of a first reading.
    fn view(&mut self) -> Result<Result<Live, Option<Progress>>, CliError> {
        let shared = self.place.map_or(Shared::Unfit, Place::shared);
        self.is_served = matches!(shared, Shared::Live(_));
        let live = match shared {
            // It is of now until the leader says otherwise.
            Shared::Live(live) => Live { at: now(), ..*live },
            Shared::Reading(progress) if !self.has_shown => return Ok(Err(Some(progress))),
            Shared::Awaited if self.awaits.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {
                return Ok(Err(None));
            }
            // It began to follow and has to read after all: what is there may be a part of it.
            _ if !self.is_read && !self.has_shown && self.reads() => return Ok(Err(None)),
            _ => self.own_view()?,
        };
        self.awaits = None;
        let notices = if self.context.config.notify() {
            self.told.news(now(), self.project.as_deref())
        } else {
            Vec::new()
        };
        Ok(Ok(Live { notices, ..live.within(self.scope.as_deref()) }))
    }

    /// Keeps what status lines told; with the view that shows it, because keeping makes what was published old.
    fn keep_samples(&mut self) {
        if !std::mem::take(&mut self.has_samples) {
            return;
        }
        if let Some(board) = self.place.filter(|place| place.leads()).and_then(Place::board) {
            kept::keep_samples(&self.store, &board, &self.accounts);
        }
    }

    /// Returns how long it is until samples that were told are shown.
    fn unsampled(&self, shown_at: Instant) -> Duration {
        if self.has_samples { SAMPLED_EVERY.saturating_sub(shown_at.elapsed()) } else { TIDYING }
    }

    /// Returns how long it is until a disk that refused is tried again.
    fn unreturned(&self) -> Duration {
        if self.store.trouble().is_some() { RETRYING } else { TIDYING }
    }

    /// Writes what is in memory alone to a disk that refused; tells whether it is there now.
    fn has_returned(&self) -> bool {
        self.store.trouble().is_some() && {
            self.store.retry();
            self.store.trouble().is_none()
        }
    }

    fn reads(&self) -> bool {
        self.place.is_none_or(|place| place.duty() != Duty::Rest)
    }

    fn own_view(&mut self) -> Result<Live, CliError> {
        if !(self.is_informed && self.reads()) {
            self.inform()?;
        }
        let state = self.place.map(Place::state).unwrap_or_default();
        let (live, _) = self.compute(&figures(&self.store)?, &recent(&self.store)?)?;
        self.is_published = self.place.is_none_or(|place| place.publish(&live, self.digest, state));
        self.survey_soon();
        Ok(live)
    }

    /// Shows a view at once and a new one whenever something changed, until nothing is heard any more or the screen ends.
    pub(crate) fn run(mut self, heard: &Receiver<Heard>, screen: &mut impl Show) -> Result<(), CliError> {
        for early in heard.try_iter() {
            self.take(early, screen)?;
        }
        loop {
            self.tell_resets(screen);
            self.tidy();
            self.keep_samples();
            let (mut wait, mut turn) = (BURNING, Timestamp::MIN);
            match self.view()? {
                Ok(live) => {
                    if live.tokens_per_minute == 0.0
                        && !live.conversations.iter().any(|it| it.state == State::Working)
                    {
                        turn = self.next_turn(&live);
                        wait = RESTING.min(turn.since(now())).max(SHOW_EVERY);
                    }
                    if !self.is_published {
                        (wait, turn) = (AGAIN, Timestamp::MIN);
                    }
                    screen.note(self.note(live.scope_widened));
                    screen.live(live)?;
                    if !std::mem::replace(&mut self.has_shown, true) {
                        self.open_own_store();
                    }
                }
                Err(progress) => {
                    let waited = self.awaits.map_or(Duration::ZERO, |since| since.elapsed());
                    wait = PATIENCE.saturating_sub(waited).max(SHOW_EVERY);
                    screen.note(self.note(false));
                    progress.into_iter().for_each(|progress| screen.progress(progress));
                }
            }
            let shown_at = Instant::now();
            loop {
                let wait = wait.min(self.unsampled(shown_at));
                let chores = self.untidied().min(self.unsurveyed()).min(self.unreturned());
                match heard.recv_timeout(wait.min(chores)) {
                    Ok(heard) => {
                        if self.take(heard, screen)? == Todo::View {
                            break;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) if self.unsampled(shown_at).is_zero() => break,
                    Err(RecvTimeoutError::Timeout) if self.unsurveyed().is_zero() => self.lay_out_stores(),
                    Err(RecvTimeoutError::Timeout) if self.has_returned() => break,
                    Err(RecvTimeoutError::Timeout) if now() < turn => self.tidy(),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            while let Ok(heard) = heard.recv_timeout(SHOW_EVERY.saturating_sub(shown_at.elapsed())) {
                self.take(heard, screen)?;
            }
        }
    }

    /// Returns when a view at rest changes by time alone.
    fn next_turn(&self, live: &Live) -> Timestamp {
        let zone = &self.context.config.zone;
        let tomorrow = zone.start_of(zone.date_of(live.at).tomorrow());
        let block = live.block.as_ref().map(|(block, _)| block.end);
        let notices = live.notices.iter();
        let told = notices.flat_map(|notice| [notice.resets_at, Some(notice.at.after(NOTICE_SHOWN))]);
        let last_limit = live.last_limit.as_ref().and_then(|hit| hit.resets_at);
        let resets = live.limits.iter().filter_map(|it| it.limit.resets_at);
        let is_forecast = |it: &LimitUse| it.forecast.as_ref().is_some_and(|it| it.resets_first.is_some());
        let step = live.limits.iter().any(is_forecast).then(|| ForecastInput::next_moment(live.at));
        let turns = told.flatten().chain(resets).chain(last_limit).chain(step);
        let turns = turns.filter(|turn| *turn > live.at);
        turns.chain(block).fold(tomorrow, Timestamp::min)
    }

    fn take(&mut self, heard: Heard, screen: &mut impl Show) -> Result<Todo, CliError> {
        match heard {
            Heard::Update(update) => Ok(self.take_update(update, screen)),
            Heard::News(news) => Ok(self.take_news(news, screen)),
            Heard::Notice(notice) => Ok(self.take_notice(notice, screen)),
            Heard::Gone(error) => Err(error),
        }
    }

    fn take_update(&mut self, update: Update, screen: &mut impl Show) -> Todo {
        match update {
            Update::Read(scan) => {
                let is_first = !std::mem::replace(&mut self.is_read, true);
                let is_news = is_first || scan.sources_read > 0;
                self.learn(scan.touched.iter());
                self.digest = scan.digest;
                if let Some(place) = self.place.filter(|_| scan.sources_read > 0) {
                    place.count_reading(scan.sources_read);
                    if scan.change == Change::Grew {
                        place.wrote();
                    }
                }
                if !is_news {
                    return Todo::Nothing;
                }
            }
            Update::Progress(progress) => {
                if !self.has_shown {
                    screen.progress(progress);
                }
                return Todo::Nothing;
            }
            Update::Failed(error) => self.degraded = error.to_string(),
            Update::Degraded(reason) => self.degraded = reason,
            _ => {}
        }
        Todo::View
    }

    fn take_news(&mut self, news: News, screen: &mut impl Show) -> Todo {
        match news {
            News::Joined { beside, .. } => {
                self.remark = beside.as_deref().map(beside_whom).unwrap_or_default()
            }
            News::Apart(_) | News::Degraded(_) => {
                self.remark = self.place.and_then(Place::trouble).unwrap_or_default();
            }
            News::Role(Role::Following) => {
                self.degraded.clear();
                self.is_informed = false;
                if let Some(place) = self.place.filter(|_| !std::mem::replace(&mut self.has_followed, true)) {
                    place.count_watches(
                        self.context.config.claude_dirs.iter().filter(|it| it.is_dir()).count(),
                    );
                }
            }
            News::Role(_) => self.survey.0 = Summaries::default(),
            News::Changed => {}
            // Who leads sees it too, and publishes what it comes to.
            News::Samples if self.is_served => return Todo::Nothing,
            News::Samples => {
                self.has_samples = true;
                return Todo::Nothing;
            }
            News::Notice(notice) => return self.take_notice(notice, screen),
            News::Members => {
                if let Some(place) = self.place {
                    place.members_changed();
                }
                self.survey_soon();
                if self.context.config.optimize_resources {
                    self.tidied_at = now().before(self.tidying() - ENDING);
                }
                return Todo::Nothing;
            }
            _ => return Todo::Nothing,
        }
        Todo::View
    }

    /// Looks now and then for sessions that have ended, and for what hooks wrote down, because a monitor may run for weeks; a clock that was set back does not
    /// put that off.
    fn tidy(&mut self) {
        self.tidied_at = self.tidied_at.min(now());
        if self.reads() && now().since(self.tidied_at) >= self.tidying() {
            self.tidied_at = now();
            kept::keep_restraints(&self.store, &self.context.config);
            if let Err(error) = owners::retire(&self.store, Retire::by(&self.context.config)) {
                // What cannot be moved now is moved later.
                tracing::debug!(%error, "cannot move an ended session into the archive");
            }
        }
    }

    fn tidying(&self) -> Duration {
        if self.context.config.optimize_resources { RESTING } else { TIDYING }
    }

    /// Returns how long it is until the next look.
    fn untidied(&self) -> Duration {
        if self.reads() { self.tidying().saturating_sub(now().since(self.tidied_at)) } else { TIDYING }
    }

    /// Has the stores summed up in a moment, where this one leads.
    fn survey_soon(&mut self) {
        if self.place.is_some_and(Place::leads) {
            self.survey.1.get_or_insert_with(|| Instant::now() + SURVEYING);
        }
    }

    /// Returns how long it is until then.
    fn unsurveyed(&self) -> Duration {
        self.survey.1.map_or(TIDYING, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Lays out what the stores of sessions hold, so that commands need not open those that hold nothing.
    fn lay_out_stores(&mut self) {
        let (known, due) = &mut self.survey;
        *due = None;
        let Some(place) = self.place.filter(|place| place.leads()) else { return };
        match self.store.summaries(known) {
            Ok((summaries, is_complete)) => {
                let is_told = summaries == *known || place.lay_out_stores(&summaries);
                *known = if is_told { summaries } else { Summaries::default() };
                if !is_complete || !is_told {
                    self.survey_soon();
                }
            }
            Err(error) => tracing::debug!(%error, "cannot sum up the stores"),
        }
    }

    fn take_notice(&mut self, notice: Notice, screen: &mut impl Show) -> Todo {
        let event = notice.event();
        if !notice.is_news(now()) || !self.told.take(notice.clone()) {
            return Todo::Nothing;
        }
        self.alert(&notice, screen);
        if let (Some(place), Some(event)) = (self.place, event) {
            // The session's own store keeps what the session was told; joined with the others' it counts once.
            let batch = Batch { ledger: [event].into_iter().collect(), ..Batch::default() };
            match self.store.session(place.store()).commit(batch) {
                Ok(_) => {}
                // It was moved into the archive, where the event is, too.
                Err(error) if error.kind() == ErrorKind::Closed => {}
                Err(error) => self.degraded = error.to_string(),
            }
        }
        Todo::View
    }

    /// Tells the user beyond the screen, unless another monitor did.
    fn alert(&self, notice: &Notice, screen: &mut impl Show) {
        let config = &self.context.config;
        if let Some(board) = self.place.filter(|_| config.notify()).and_then(Place::board) {
            let sequence =
                notify::tell(&board, &config.ways, std::slice::from_ref(notice), &config.zone, now());
            if !sequence.is_empty() {
                screen.alert(sequence);
            }
        }
    }

    /// Tells of limits that were hit or near and have been reset.
    fn tell_resets(&mut self, screen: &mut impl Show) {
        let Some(place) = self.place else { return };
        for (notice, reset) in self.told.resets(now()) {
            let Some(window) = notice.window.clone() else { continue };
            let reset = Notice::limit_reset(notice.account.clone(), place.member(), now(), window, reset);
            if self.told.take(reset.clone()) {
                place.post(reset.clone());
                self.alert(&reset, screen);
            }
        }
    }

    /// Makes the session's own store, where what it is told is kept.
    fn open_own_store(&self) {
        if let Some(place) = self.place {
            drop(self.store.session(place.store()));
            for event in self.told.events(now()) {
                let batch = Batch { ledger: [event].into_iter().collect(), ..Batch::default() };
                let _ = self.store.session(place.store()).commit(batch);
            }
        }
    }

    fn note(&self, scope_widened: bool) -> String {
        if let Some(trouble) = self.store.trouble() {
            let hint = hint_for(trouble.kind()).map(|hint| format!("; {hint}")).unwrap_or_default();
            return format!("{trouble}; going on in memory{hint}");
        }
        if !self.degraded.is_empty() {
            return self.degraded.clone();
        }
        if self.store.were_removed() {
            return "the data folder was removed while this runs; all that it held was written anew"
                .to_owned();
        }
        let widened = self.scope.as_ref().filter(|_| scope_widened);
        let widened = widened.map(|scope| format!("nothing below {scope}; showing all projects"));
        let notes = [Some(self.remark.clone()).filter(|remark| !remark.is_empty()), widened];
        notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Reads the turns that a view looks at one by one.
pub(crate) fn recent(store: &Stores) -> Result<Ledger, CliError> {
    let range = now().before(RECENT)..Timestamp::MAX;
    Ok(store.events(&Selection { range, turns: true, ..Selection::limit_hits() })?)
}

fn beside_whom(first: &Member) -> String {
    format!("a viewer beside the monitor of this session and project, process {}", first.pid)
}

fn source_state(checkpoint: &Checkpoint) -> Option<SourceState> {
    let SourceKind::Main { conversation } = &checkpoint.kind else { return None };
    Some(SourceState {
        conversation: conversation.clone(),
        turn_open: checkpoint.position.turn_open,
        written_at: Timestamp::from_millis(checkpoint.stamp.modified_ns / 1_000_000),
    })
}
