//! The state of the screen, and what every event makes of it.

use std::cmp::Reverse;
use std::io;
use std::time::Duration;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Size;
use session_analytics::{Live, LiveConversation};
use session_store::{ConversationId, Timestamp};

use super::history::History;
use super::plan::{Plan, Shown};
use super::{Message, Settings};
use crate::printable::is_unprintable;
use crate::words;

/// The longest filter, in characters; nobody types more, but a paste may be anything.
const FILTER_MAX: usize = 200;
const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60_000;

/// Everything that can happen to the screen.
#[derive(Debug)]
pub(crate) enum Event {
    /// The terminal says something: a key, a size.
    Terminal(Input),
    /// The terminal cannot be read any more.
    InputLost(io::Error),
    /// Something new from outside.
    Message(Message),
    /// Nobody will send messages any more.
    MessagesEnded,
    /// A signal asks for the end.
    #[cfg_attr(not(unix), expect(dead_code, reason = "signals are read where there are some"))]
    EndAsked,
    /// A signal asks to stop until continued.
    #[cfg_attr(not(unix), expect(dead_code, reason = "signals are read where there are some"))]
    StopAsked,
    /// Another thread panicked, with this text.
    Panicked(String),
    /// A shown time has changed.
    Tick,
}

/// What the loop has to do after an event.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Draw again.
    Draw,
    /// Draw again on an emptied screen.
    Repaint,
    /// Stop the process until it is continued, then draw.
    Suspend,
    /// End, well or with an error.
    Quit(io::Result<()>),
}

/// The order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// The latest first.
    Activity,
    /// The dearest first.
    Cost,
    /// The greatest first.
    Tokens,
    /// By name.
    Project,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Activity => Self::Cost,
            Self::Cost => Self::Tokens,
            Self::Tokens => Self::Project,
            Self::Project => Self::Activity,
        }
    }

    /// Returns the order in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Activity => "latest first",
            Self::Cost => "by cost",
            Self::Tokens => "by tokens",
            Self::Project => "by project",
        }
    }
}

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They move about in the table.
    Browse,
    /// They write the filter.
    Filter,
    /// They close the help.
    Help,
}

/// The state of the screen.
#[derive(Debug)]
pub(crate) struct App {
    /// What the screen was told once.
    pub(crate) settings: Settings,
    /// The state of things, once it is known.
    pub(crate) live: Option<Box<Live>>,
    /// Bytes done and in all of an import under way.
    pub(crate) progress: Option<(u64, u64)>,
    /// Trouble or advice; empty where there is none.
    pub(crate) note: String,
    /// The panics of other threads, in full.
    pub(crate) failures: Vec<String>,
    /// The order of the table.
    pub(crate) sort: Sort,
    /// Only projects and models that contain this are shown.
    pub(crate) filter: String,
    /// What keys mean.
    pub(crate) mode: Mode,
    /// Whether the selected conversation is told in full.
    pub(crate) detail: bool,
    /// The recent use of each conversation.
    pub(crate) history: History,
    /// The size of the terminal, as it was last told.
    pub(crate) size: Size,
    /// The first row shown, before it is moved to show the selected one.
    pub(crate) scroll: usize,
    /// The shown conversations, as places in the state, in the order of the table.
    order: Vec<usize>,
    /// The selected conversation; `None` stays with the first row whichever it is.
    selected: Option<ConversationId>,
}

impl App {
    /// Makes the state before anything is known.
    pub(crate) fn new(settings: Settings, size: Size) -> Self {
        Self {
            settings,
            live: None,
            progress: None,
            note: String::new(),
            failures: Vec::new(),
            sort: Sort::Activity,
            filter: String::new(),
            mode: Mode::Browse,
            detail: false,
            history: History::default(),
            size,
            scroll: 0,
            order: Vec::new(),
            selected: None,
        }
    }

    /// Returns the shown conversations, in the order of the table.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &LiveConversation> + Clone {
        let conversations = self.live.as_ref().map_or(&[][..], |live| &live.conversations);
        self.order.iter().map(|at| &conversations[*at])
    }

    /// Returns the place of the selected row.
    pub(crate) fn selected_row(&self) -> usize {
        let Some(selected) = &self.selected else { return 0 };
        self.rows().position(|row| row.id == *selected).unwrap_or_default()
    }

    /// Returns the selected conversation.
    pub(crate) fn selected(&self) -> Option<&LiveConversation> {
        self.rows().nth(self.selected_row())
    }

    /// Returns the first row to show where `room` rows have room: near the last one, and with the selected one.
    pub(crate) fn first_row(&self, room: usize) -> usize {
        let (selected, last) = (self.selected_row(), self.order.len().saturating_sub(room));
        self.scroll.min(last).min(selected).max((selected + 1).saturating_sub(room))
    }

    /// Returns how long nothing on the screen changes by itself.
    ///
    /// Times less than a minute off are shown in seconds, all others in minutes at the finest, so between them the
    /// screen sleeps until the clock in its header changes.
    pub(crate) fn sleep(&self, now: Timestamp) -> Duration {
        let step = if self.shows_seconds(now) { SECOND_MS } else { MINUTE_MS };
        let since_1970 = now.since(Timestamp::default()).as_millis() as u64;
        Duration::from_millis(step - since_1970 % step)
    }

    fn shows_seconds(&self, now: Timestamp) -> bool {
        let Some(live) = &self.live else { return false };
        let limit = live.last_limit.iter().flat_map(|hit| [Some(hit.at), hit.resets_at]).flatten();
        let block = live.block.iter().map(|(block, _)| block.end);
        let resets = live.limits.iter().filter_map(|it| it.limit.resets_at);
        let activity = self.rows().map(|row| row.last_activity);
        limit.chain(block).chain(resets).chain(activity).any(|at| words::is_counted_in_seconds(at, now))
    }

    fn learn(&mut self, live: Box<Live>) {
        self.history.record(&live);
        self.live = Some(live);
        self.arrange();
    }

    /// Makes the rows anew, after the state, the order or the filter has changed.
    fn arrange(&mut self) {
        let Some(live) = &self.live else { return };
        let wanted = self.filter.to_lowercase();
        let all = &live.conversations;
        self.order = (0..all.len()).filter(|at| contains(&all[*at], &wanted)).collect();
        // The sorts are stable, so that equal rows stay in the order of the state: the latest first.
        match self.sort {
            Sort::Activity => {}
            Sort::Cost => self.order.sort_by_key(|at| Reverse(all[*at].totals.cost)),
            Sort::Tokens => self.order.sort_by_key(|at| Reverse(all[*at].usage().total())),
            Sort::Project => self.order.sort_by(|a, b| all[*a].project.cmp(&all[*b].project)),
        }
        self.scroll = self.first_row(self.room());
    }

    fn select(&mut self, row: usize) {
        let row = row.min(self.order.len().saturating_sub(1));
        self.selected = if row == 0 { None } else { self.rows().nth(row).map(|row| row.id.clone()) };
        self.scroll = self.first_row(self.room());
    }

    /// Returns where everything goes on a screen of some size.
    pub(crate) fn plan(&self, size: Size) -> Plan {
        let shown = Shown {
            live: self.live.as_deref(),
            settings: &self.settings,
            rows: self.order.len(),
            detail: self.detail && self.selected().is_some(),
            note: !self.note.is_empty(),
        };
        Plan::new(&shown, size)
    }

    /// Returns how many rows have room on the screen.
    fn room(&self) -> usize {
        self.plan(self.size).room()
    }
}

fn contains(conversation: &LiveConversation, wanted: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(wanted);
    wanted.is_empty()
        || holds(&conversation.project)
        || conversation.model.as_ref().is_some_and(|model| holds(model.as_str()))
        || conversation.totals.models.iter().any(|model| holds(model.as_str()))
}

/// Applies an event to the state.
pub(crate) fn update(app: &mut App, event: Event) -> Effect {
    match event {
        Event::Terminal(Input::Key(key)) if key.kind != KeyEventKind::Release => press(app, key),
        Event::Terminal(Input::Resize(width, height)) => {
            app.size = Size::new(width, height);
            app.scroll = app.first_row(app.room());
            Effect::Draw
        }
        Event::Terminal(Input::Paste(text)) if app.mode == Mode::Filter => {
            write_filter(app, text.chars());
            Effect::Draw
        }
        Event::Terminal(_) => Effect::None,
        Event::InputLost(error) => Effect::Quit(Err(error)),
        Event::Message(message) => {
            take_in(app, message);
            Effect::Draw
        }
        Event::MessagesEnded => {
            if app.note.is_empty() {
                app.note = "Nothing is being read any more: the figures stand still.".to_owned();
            }
            Effect::Draw
        }
        Event::EndAsked => Effect::Quit(Ok(())),
        Event::StopAsked => Effect::Suspend,
        Event::Panicked(text) => {
            app.note = format!("A part of ClaudeWatch failed: {}", text.replace('\n', " "));
            app.failures.push(text);
            Effect::Draw
        }
        Event::Tick => Effect::Draw,
    }
}

fn take_in(app: &mut App, message: Message) {
    match message {
        Message::Live(live) => {
            // What is shown is of everything read: another one's reading is over, and the own would say how far it is.
            app.progress = None;
            app.learn(live);
        }
        Message::Note(note) => app.note = note,
        Message::Alert(_) => {}
        Message::Progress { done, total } => app.progress = (done < total).then_some((done, total)),
    }
}

fn press(app: &mut App, key: KeyEvent) -> Effect {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Effect::Quit(Ok(())),
            KeyCode::Char('z') => Effect::Suspend,
            KeyCode::Char('l') => Effect::Repaint,
            _ => Effect::None,
        };
    }
    match app.mode {
        Mode::Browse => browse(app, key.code),
        Mode::Filter => edit(app, key.code),
        Mode::Help => read_help(app, key.code),
    }
}

fn browse(app: &mut App, key: KeyCode) -> Effect {
    let (row, page) = (app.selected_row(), app.room().saturating_sub(1).max(1));
    match key {
        KeyCode::Char('q') => return Effect::Quit(Ok(())),
        KeyCode::Esc => return step_back(app),
        KeyCode::Up | KeyCode::Char('k') => app.select(row.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => app.select(row + 1),
        KeyCode::PageUp => app.select(row.saturating_sub(page)),
        KeyCode::PageDown => app.select(row + page),
        KeyCode::Home | KeyCode::Char('g') => app.select(0),
        KeyCode::End | KeyCode::Char('G') => app.select(usize::MAX),
        KeyCode::Enter | KeyCode::Char('d') => {
            app.detail = !app.detail;
            app.scroll = app.first_row(app.room());
        }
        KeyCode::Char('s') => {
            app.sort = app.sort.next();
            app.arrange();
        }
        KeyCode::Char('/') => app.mode = Mode::Filter,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => app.mode = Mode::Help,
        _ => return Effect::None,
    }
    Effect::Draw
}

/// Undoes what was opened last: the filter, then the details, and where nothing is open ends.
fn step_back(app: &mut App) -> Effect {
    if !app.filter.is_empty() {
        app.filter.clear();
    } else if app.detail {
        app.detail = false;
    } else {
        return Effect::Quit(Ok(()));
    }
    app.arrange();
    Effect::Draw
}

fn edit(app: &mut App, key: KeyCode) -> Effect {
    match key {
        KeyCode::Enter => app.mode = Mode::Browse,
        KeyCode::Esc => {
            app.mode = Mode::Browse;
            app.filter.clear();
            app.arrange();
        }
        KeyCode::Backspace => {
            if app.filter.pop().is_none() {
                app.mode = Mode::Browse;
            }
            app.arrange();
        }
        KeyCode::Char(char) => write_filter(app, std::iter::once(char)),
        _ => return Effect::None,
    }
    Effect::Draw
}

fn write_filter(app: &mut App, text: impl Iterator<Item = char>) {
    let room = FILTER_MAX.saturating_sub(app.filter.chars().count());
    app.filter.extend(text.filter(|char| !is_unprintable(*char)).take(room));
    app.arrange();
}

fn read_help(app: &mut App, key: KeyCode) -> Effect {
    match key {
        KeyCode::Char('q' | '?' | 'h') | KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) => {
            app.mode = Mode::Browse;
            Effect::Draw
        }
        _ => Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    fn app() -> App {
        let mut app = fixture::app(80, 24, false);
        update(&mut app, Event::Message(Message::Live(Box::new(fixture::live()))));
        app
    }

    fn key(app: &mut App, code: KeyCode) -> Effect {
        update(app, Event::Terminal(Input::Key(KeyEvent::new(code, KeyModifiers::NONE))))
    }

    fn keys(app: &mut App, text: &str) {
        for char in text.chars() {
            key(app, KeyCode::Char(char));
        }
    }

    fn projects(app: &App) -> Vec<&str> {
        app.rows().map(|row| row.project.rsplit('/').next().unwrap()).collect()
    }

    fn selected(app: &App) -> &str {
        app.selected().unwrap().project.rsplit('/').next().unwrap()
    }

    #[test]
    fn keys_end_it() {
        let ends = |effect| matches!(effect, Effect::Quit(Ok(())));
        assert!(ends(key(&mut app(), KeyCode::Char('q'))));
        assert!(ends(key(&mut app(), KeyCode::Esc)));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in [Mode::Browse, Mode::Filter, Mode::Help] {
            let mut app = app();
            app.mode = mode;
            assert!(ends(update(&mut app, Event::Terminal(Input::Key(control_c)))));
        }
        assert!(ends(update(&mut app(), Event::EndAsked)));
        let lost = update(&mut app(), Event::InputLost(io::Error::other("gone")));
        assert!(matches!(lost, Effect::Quit(Err(_))));
    }

    #[test]
    fn escape_steps_back_before_it_ends() {
        let mut app = app();
        keys(&mut app, "d/shop");
        key(&mut app, KeyCode::Enter);
        keys(&mut app, "?");
        let opened = |app: &App| (app.mode, app.filter.is_empty(), app.detail);
        assert_eq!(opened(&app), (Mode::Help, false, true));
        key(&mut app, KeyCode::Esc);
        assert_eq!(opened(&app), (Mode::Browse, false, true));
        key(&mut app, KeyCode::Esc);
        assert_eq!(opened(&app), (Mode::Browse, true, true));
        key(&mut app, KeyCode::Esc);
        assert_eq!(opened(&app), (Mode::Browse, true, false));
        assert!(matches!(key(&mut app, KeyCode::Esc), Effect::Quit(Ok(()))));
    }

    #[test]
    fn the_order_cycles() {
        let mut app = app();
        assert_eq!(projects(&app), ["frontend", "backend", "infra", "site", ""]);
        keys(&mut app, "s");
        assert_eq!((app.sort, projects(&app)[0]), (Sort::Cost, "backend"));
        keys(&mut app, "s");
        assert_eq!((app.sort, projects(&app)[0]), (Sort::Tokens, "frontend"));
        keys(&mut app, "s");
        assert_eq!(projects(&app), ["", "infra", "backend", "frontend", "site"]);
        keys(&mut app, "s");
        assert_eq!(app.sort, Sort::Activity);
    }

    #[test]
    fn the_filter_takes_projects_and_models() {
        let mut app = app();
        keys(&mut app, "/HAIKU");
        assert_eq!(projects(&app), ["infra"]);
        key(&mut app, KeyCode::Esc);
        keys(&mut app, "/shopq");
        assert_eq!(projects(&app).len(), 0);
        assert!(app.selected().is_none());
        key(&mut app, KeyCode::Backspace);
        key(&mut app, KeyCode::Enter);
        assert_eq!((app.mode, projects(&app)), (Mode::Browse, vec!["frontend", "backend"]));
        app.mode = Mode::Filter;
        app.filter.clear();
        update(&mut app, Event::Terminal(Input::Paste("x\u{1b}\n".repeat(1000))));
        assert_eq!(app.filter, "x".repeat(FILTER_MAX));
    }

    #[test]
    fn a_paste_is_no_command() {
        assert!(matches!(update(&mut app(), Event::Terminal(Input::Paste("q".to_owned()))), Effect::None));
    }

    #[test]
    fn the_selection_stays_with_its_conversation() {
        let mut app = app();
        keys(&mut app, "j");
        assert_eq!(selected(&app), "backend");
        let mut live = fixture::live();
        live.conversations.swap(1, 3);
        update(&mut app, Event::Message(Message::Live(Box::new(live))));
        assert_eq!((selected(&app), app.selected_row()), ("backend", 3));
        key(&mut app, KeyCode::End);
        assert_eq!(selected(&app), "");
        key(&mut app, KeyCode::Down);
        assert_eq!(app.selected_row(), 4);
        key(&mut app, KeyCode::Home);
        let mut live = fixture::live();
        live.conversations.swap(0, 2);
        update(&mut app, Event::Message(Message::Live(Box::new(live))));
        assert_eq!(selected(&app), "infra", "the first row is followed");
    }

    #[test]
    fn the_selected_row_is_always_shown() {
        let mut app = app();
        let mut live = fixture::live();
        let one = live.conversations[0].clone();
        live.conversations = (0..500)
            .map(|n| LiveConversation { id: format!("c{n}").as_str().into(), ..one.clone() })
            .collect();
        update(&mut app, Event::Message(Message::Live(Box::new(live))));
        let moves =
            [KeyCode::PageDown, KeyCode::Down, KeyCode::End, KeyCode::PageUp, KeyCode::Up, KeyCode::Home];
        for code in moves.into_iter().flat_map(|code| std::iter::repeat_n(code, 7)) {
            key(&mut app, code);
            for room in [1, 2, 10, app.room(), 1000] {
                let first = app.first_row(room);
                assert!((first..first + room).contains(&app.selected_row()), "{code:?} {room}");
            }
        }
        assert_eq!(app.first_row(10), 0);
    }

    #[test]
    fn sleeps_until_a_shown_time_changes() {
        let mut app = app();
        let now = fixture::now().after(Duration::from_millis(250));
        assert_eq!(app.sleep(now), Duration::from_millis(750));
        let later = now.after(Duration::from_secs(3600));
        assert_eq!(app.sleep(later), Duration::from_millis(49_750));
        app.live = None;
        app.order.clear();
        assert_eq!(app.sleep(now), Duration::from_millis(49_750));
    }

    #[test]
    fn messages_change_the_state() {
        let mut app = fixture::app(80, 24, false);
        let progress = |done| Event::Message(Message::Progress { done, total: 10 });
        update(&mut app, progress(3));
        assert_eq!(app.progress, Some((3, 10)));
        update(&mut app, progress(10));
        assert_eq!(app.progress, None);
        update(&mut app, Event::MessagesEnded);
        assert!(app.note.contains("stand still"));
        update(&mut app, Event::Message(Message::Note(String::new())));
        assert_eq!(app.note, "");
        update(&mut app, Event::Panicked("thread 'x' panicked at y:\nz".to_owned()));
        assert!(app.note.ends_with("panicked at y: z"));
        assert_eq!(app.failures.len(), 1);
    }

    #[test]
    fn a_released_key_is_no_key() {
        let mut release = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert!(matches!(update(&mut app(), Event::Terminal(Input::Key(release))), Effect::None));
    }
}
