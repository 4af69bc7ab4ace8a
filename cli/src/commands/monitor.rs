//! `claudewatch` itself: a full screen on a terminal, one line per change in a pipe.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use session_analytics::{Live, PriceBook, Tokens, live_json};
use session_coordinator::{Monitor, MonitorOptions, Update};
use session_store::ConversationId;

use crate::config::{Config, home};
use crate::context::{Context, now, print};
use crate::coordination::Place;
use crate::error::CliError;
use crate::feed::{Feed, Show};
use crate::printable::printable;
use crate::tui::{self, Message, Settings};
use crate::words::model_name;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The user's own sessions.
    Watch,
    /// A generated history.
    Demo,
}

pub(crate) fn run(context: &Context, mode: Mode) -> Result<(), CliError> {
    context.check_sources()?;
    let book = context.prices()?;
    let scope = context.scope();
    if is_full_screen(&context.config) {
        return full_screen(context, book, scope, mode);
    }
    let mut lines = Lines { json: context.config.json, quiet: context.config.quiet, ..Lines::default() };
    let archive = context.archive()?;
    let place = place(&context.config, scope.as_deref());
    let feed = Feed::new(context, archive.store, book, scope, &archive.ingestor);
    let feed = feed.with_remark(place.as_ref().and_then(Place::remark));
    let (tell, updates) = channel();
    let _monitor = start(archive.ingestor, tell)?;
    feed.run(&updates, &mut lines)
}

/// Takes a place among the monitors of this user, for as long as it is kept.
fn place(config: &Config, scope: Option<&str>) -> Option<Place> {
    Place::take(config, &session_detect::detect(), scope)
}

/// Tells whether there is a terminal to fill, and a person wanted on it.
pub(super) fn is_full_screen(config: &Config) -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !config.json
}

fn start(ingestor: session_coordinator::Ingestor, tell: Sender<Update>) -> Result<Monitor, CliError> {
    let tell = move |update| {
        // The screen may be gone already; then nobody is left to tell.
        let _ = tell.send(update);
    };
    Monitor::start(ingestor, MonitorOptions::default(), tell)
        .map_err(|error| CliError::store("cannot start a thread").because(error))
}

/// Shows the screen at once and fills it from a thread of its own, so that quitting never waits for an import.
fn full_screen(
    context: &Context,
    book: PriceBook,
    scope: Option<String>,
    mode: Mode,
) -> Result<(), CliError> {
    let title_scope = match (&scope, mode) {
        (_, Mode::Demo) => "a generated history".to_owned(),
        (Some(scope), _) => tilde(scope),
        (None, _) => "all projects".to_owned(),
    };
    let settings = Settings {
        title_scope,
        zone: context.config.zone.clone(),
        color: context.config.colors_stdout(),
        demo: mode == Mode::Demo,
    };
    let (sender, messages) = channel();
    let config = context.config.clone();
    thread::Builder::new()
        .name("feed".into())
        .spawn(move || {
            let mut screen = Screen(sender.clone());
            if let Err(error) = fill(config, book, scope, &mut screen) {
                screen.note(error.to_string());
                // Kept open so that the note stays readable until the user quits.
                loop {
                    thread::park();
                }
            }
        })
        .map_err(|error| CliError::store("cannot start a thread").because(error))?;
    Ok(tui::run(messages, settings)?)
}

fn fill(config: Config, book: PriceBook, scope: Option<String>, screen: &mut Screen) -> Result<(), CliError> {
    let context = Context::of_monitor(config);
    let progress_to = std::sync::Mutex::new(screen.0.clone());
    let archive = context.archive_with(&|progress| {
        if let Ok(screen) = progress_to.lock() {
            let _ = screen.send(Message::Progress { done: progress.bytes_done, total: progress.bytes_total });
        }
    })?;
    let (tell, updates): (Sender<Update>, Receiver<Update>) = channel();
    let place = place(&context.config, scope.as_deref());
    let feed = Feed::new(&context, archive.store, book, scope, &archive.ingestor);
    let feed = feed.with_remark(place.as_ref().and_then(Place::remark));
    let _monitor = start(archive.ingestor, tell)?;
    feed.run(&updates, screen)
}

/// The full screen, at the other end of a channel.
struct Screen(Sender<Message>);

impl Show for Screen {
    fn live(&mut self, mut live: Live) -> Result<(), CliError> {
        for conversation in &mut live.conversations {
            conversation.project = tilde(&conversation.project);
        }
        let gone = |_| CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        self.0.send(Message::Live(Box::new(live))).map_err(gone)
    }

    fn note(&mut self, note: String) {
        let _ = self.0.send(Message::Note(note));
    }
}

/// Writes a path below the home folder with `~`.
fn tilde(path: &str) -> String {
    let home = home().and_then(|home| home.to_str().map(str::to_owned));
    match home.as_deref().and_then(|home| path.strip_prefix(home)) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        _ => path.to_owned(),
    }
}

/// One line per change on standard output.
#[derive(Default)]
struct Lines {
    json: bool,
    quiet: bool,
    begun: bool,
    note: String,
    shown: HashMap<ConversationId, String>,
    last_json: String,
}

impl Show for Lines {
    fn live(&mut self, live: Live) -> Result<(), CliError> {
        if self.json {
            return self.json_line(&live);
        }
        if !std::mem::replace(&mut self.begun, true) {
            print(&format!("{}\n", summary(&live)))?;
            // What happened before is history; lines tell of changes.
            self.shown = live.conversations.iter().map(|it| (it.id.clone(), line(it))).collect();
        }
        for it in live.conversations.iter().rev() {
            let line = line(it);
            if self.shown.get(&it.id) != Some(&line) {
                print(&format!("{}  {line}\n", now()))?;
                self.shown.insert(it.id.clone(), line);
            }
        }
        Ok(())
    }

    fn note(&mut self, note: String) {
        if !self.quiet && note != self.note && !note.is_empty() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr().lock(), "claudewatch: {}", printable(&note));
        }
        self.note = note;
    }
}

impl Lines {
    /// Prints the view unless only the time in it changed.
    fn json_line(&mut self, live: &Live) -> Result<(), CliError> {
        let timeless = live_json(&Live { at: session_store::Timestamp::default(), ..live.clone() });
        if timeless == self.last_json {
            return Ok(());
        }
        self.last_json = timeless;
        print(&format!("{}\n", live_json(live)))
    }
}

fn summary(live: &Live) -> String {
    format!(
        "{}  {} conversations, {} tokens, {}; today {} tokens, {}",
        live.at,
        live.conversations.len(),
        Tokens(live.totals.usage().total()),
        live.totals.cost,
        Tokens(live.today.usage().total()),
        live.today.cost,
    )
}

fn line(it: &session_analytics::LiveConversation) -> String {
    let model = it.model.as_ref().map_or("", |model| model.as_str());
    format!(
        "{:<8} {}  {}  {} messages  {} tokens  {}",
        it.state.name(),
        printable(&it.project),
        model_name(model),
        it.totals.sum.messages,
        Tokens(it.usage().total()),
        it.totals.cost,
    )
}
