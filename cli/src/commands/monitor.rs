//! `claudewatch` itself: a full screen on a terminal, one line per change in a pipe.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;

use session_analytics::{Live, LiveNotice, PriceBook, Tokens, live_json};
use session_coordinator::{Duty, Ingestor, Monitor, MonitorOptions, Priority, Progress, Subject, Update};
use session_store::{ConversationId, Stores};

use crate::clock::now;
use crate::config::{Config, home, is_dumb_terminal};
use crate::context::{Context, print};
use crate::ending::Endings;
use crate::error::CliError;
use crate::feed::{Feed, Show};
use crate::heard::Heard;
use crate::place::Place;
use crate::printable::printable;
use crate::told::words;
use crate::tui::{self, Message, Settings};
use crate::words::{self, model_name};

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
    let lines = Lines { json: context.config.json, quiet: context.config.quiet, ..Lines::default() };
    let (hear, heard) = channel();
    let mut printer = Printer::start(lines, hear.clone())?;
    let seat = Seat::default();
    if mode == Mode::Watch {
        let seat = seat.clone();
        Endings::heed()?.at_first(move |_| seat.leave())?;
    }
    let result = watch(context, book, scope, (hear, &heard), &mut printer, &seat);
    seat.leave();
    result
}

/// The place among the others, once there is one, for who ends the program while other threads hold it.
#[derive(Clone, Default)]
struct Seat(Arc<OnceLock<Arc<Place>>>);

impl Seat {
    fn leave(&self) {
        if let Some(place) = self.0.get() {
            place.leave();
        }
    }
}

/// Takes a place among the others, reads or lets another read, and shows what comes of it until the screen ends.
fn watch(
    context: &Context,
    book: PriceBook,
    scope: Option<String>,
    (hear, heard): (Sender<Heard>, &Receiver<Heard>),
    screen: &mut (impl Show + Send),
    seat: &Seat,
) -> Result<(), CliError> {
    let place = Place::take(&context.config, &session_detect::detect(), scope.as_deref(), hear.clone());
    let place = place.map(|place| seat.0.get_or_init(|| Arc::new(place)).clone());
    let (stores, ingestor) = match &place {
        // Another one reads; should it end before it is done, this one goes on where it was.
        Some(place) if place.duty() == Duty::Rest => context.archive_unread(),
        place => {
            if let Some(place) = place {
                // Nothing is shown of a part, however long the search for transcripts takes.
                place.publish_progress(Progress { bytes_done: 0, bytes_total: 1 });
            }
            let shown = Mutex::new(&mut *screen);
            let tell = |progress| {
                if let Ok(mut screen) = shown.lock() {
                    screen.progress(progress);
                }
                if let Some(place) = place {
                    place.publish_progress(progress);
                }
            };
            if let Some(place) = place {
                place.withdraw();
            }
            let archive = if is_full_screen(&context.config) {
                context.archive_with(&tell)?
            } else {
                context.archive_telling(&tell)?
            };
            if let Some(place) = place {
                // Who computed something in between has seen a part.
                place.withdraw();
            }
            (archive.store, archive.ingestor)
        }
    };
    let feed = Feed::new(context, stores.clone(), book, scope).at(place.as_deref(), &ingestor)?;
    let monitor = start(ingestor, stores, hear, place.clone())?;
    if let Some(place) = &place {
        place.steer(monitor.steer());
    }
    feed.run(heard, screen)
}

/// Tells whether there is a terminal to fill, and a person wanted on it.
pub(super) fn is_full_screen(config: &Config) -> bool {
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    is_terminal && !is_dumb_terminal() && !config.json
}

/// Starts what reads the transcripts, which tells the others of limits before it tells the own screen of anything.
fn start(
    ingestor: Ingestor,
    stores: Stores,
    hear: Sender<Heard>,
    place: Option<Arc<Place>>,
) -> Result<Monitor, CliError> {
    let duty = place.as_ref().map_or(Duty::Watch, |place| place.duty());
    if let Some(place) = place.clone() {
        stores.before_commit(move || place.withdraw());
    }
    let tell = move |update| {
        match (&update, &place) {
            (Update::Read(scan), Some(place)) => place.tell_of(&scan.hits, &stores),
            (Update::Progress(progress), Some(place)) => place.publish_progress(*progress),
            _ => {}
        }
        // The screen may be gone already; then nobody is left to tell.
        let _ = hear.send(Heard::Update(update));
    };
    Monitor::start(ingestor, MonitorOptions { duty, ..MonitorOptions::default() }, tell)
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
        policy: context.config.policy,
        priority: priority(&context.config),
    };
    let (sender, messages) = channel();
    let (config, seat) = (context.config.clone(), Seat::default());
    let taken = seat.clone();
    thread::Builder::new()
        .name("feed".into())
        .spawn(move || {
            let mut screen = Screen(sender.clone());
            if let Err(error) = fill(config, book, scope, &mut screen, &taken) {
                screen.note(error.to_string());
                // Kept open so that the note stays readable until the user quits.
                loop {
                    thread::park();
                }
            }
        })
        .map_err(|error| CliError::store("cannot start a thread").because(error))?;
    Ok(tui::run(messages, settings, || seat.leave())?)
}

/// Returns how much sessions in the working folder matter.
fn priority(config: &Config) -> Priority {
    let folder = std::env::current_dir().ok();
    let subject = Subject { folder: folder.as_deref(), session: None, conversation: None };
    config.priority.unwrap_or_else(|| config.priorities.of(subject))
}

fn fill(
    config: Config,
    book: PriceBook,
    scope: Option<String>,
    screen: &mut Screen,
    seat: &Seat,
) -> Result<(), CliError> {
    let (hear, heard) = channel();
    watch(&Context::of_monitor(config), book, scope, (hear, &heard), screen, seat)
}

/// The full screen, at the other end of a channel.
struct Screen(Sender<Message>);

impl Show for Screen {
    fn live(&mut self, mut live: Live) -> Result<(), CliError> {
        for conversation in &mut live.conversations {
            conversation.project = tilde(&conversation.project);
        }
        for project in live.notices.iter_mut().filter_map(|notice| notice.project.as_mut()) {
            *project = tilde(project);
        }
        let gone = |_| CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        self.0.send(Message::Live(Box::new(live))).map_err(gone)
    }

    fn note(&mut self, note: String) {
        let _ = self.0.send(Message::Note(note));
    }

    fn progress(&mut self, progress: Progress) {
        let _ = self.0.send(Message::Progress { done: progress.bytes_done, total: progress.bytes_total });
    }

    fn alert(&mut self, sequence: String) {
        let _ = self.0.send(Message::Alert(sequence));
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

/// Hands the newest view to a thread that prints: a reader that dawdles keeps nobody waiting but itself, least of all those
/// whom a leader serves.
struct Printer {
    slot: Arc<(Mutex<Slot>, Condvar)>,
}

/// What waits to be printed; views that were overtaken are not.
#[derive(Default)]
struct Slot {
    live: Option<Live>,
    note: Option<String>,
    is_over: bool,
}

impl Printer {
    fn start(mut lines: Lines, hear: Sender<Heard>) -> Result<Self, CliError> {
        let slot: Arc<(Mutex<Slot>, Condvar)> = Arc::default();
        let shared = slot.clone();
        watch_reader(hear.clone())?;
        let print = move || {
            while let Some((note, live)) = next(&shared) {
                note.into_iter().for_each(|note| lines.note(note));
                if let Some(Err(error)) = live.map(|live| lines.live(live)) {
                    let _ = hear.send(Heard::Gone(error));
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("printer".into())
            .spawn(print)
            .map_err(|error| CliError::store("cannot start a thread").because(error))?;
        Ok(Self { slot })
    }

    fn put(&self, change: impl FnOnce(&mut Slot)) {
        let (slot, wake) = &*self.slot;
        change(&mut slot.lock().unwrap_or_else(PoisonError::into_inner));
        wake.notify_one();
    }
}

/// Hears when nobody reads the lines any more: where little happens, the next one may be hours away.
#[cfg(unix)]
fn watch_reader(hear: Sender<Heard>) -> Result<(), CliError> {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let wait = move || {
        let out = std::io::stdout();
        let mut reader = [PollFd::new(out.as_fd(), PollFlags::empty())];
        while poll(&mut reader, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let _ = hear.send(Heard::Gone(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
    };
    let cannot = |error| CliError::store("cannot start a thread").because(error);
    thread::Builder::new().name("reader".into()).spawn(wait).map(drop).map_err(cannot)
}

#[cfg(not(unix))]
fn watch_reader(_: Sender<Heard>) -> Result<(), CliError> {
    Ok(())
}

/// Waits for something to print; `None` is the end.
fn next((slot, wake): &(Mutex<Slot>, Condvar)) -> Option<(Option<String>, Option<Live>)> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if slot.live.is_some() || slot.note.is_some() {
            return Some((slot.note.take(), slot.live.take()));
        }
        if slot.is_over {
            return None;
        }
        slot = wake.wait(slot).unwrap_or_else(PoisonError::into_inner);
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.put(|slot| slot.is_over = true);
    }
}

impl Show for Printer {
    fn live(&mut self, live: Live) -> Result<(), CliError> {
        self.put(|slot| slot.live = Some(live));
        Ok(())
    }

    fn note(&mut self, note: String) {
        self.put(|slot| slot.note = Some(note));
    }

    fn progress(&mut self, _: Progress) {}

    fn alert(&mut self, sequence: String) {
        use std::io::Write;
        // The lines go elsewhere; remarks go to the terminal where there is one.
        if std::io::stderr().is_terminal() {
            let _ = std::io::stderr().lock().write_all(sequence.as_bytes());
        }
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
    told: Vec<LiveNotice>,
    last_json: String,
}

impl Lines {
    fn live(&mut self, live: Live) -> Result<(), CliError> {
        if self.json {
            return self.json_line(&live);
        }
        if !std::mem::replace(&mut self.begun, true) {
            print(&format!("{}\n", summary(&live)))?;
            // What happened before is history; lines tell of changes.
            self.shown = live.conversations.iter().map(|it| (it.id.clone(), line(it))).collect();
        }
        for notice in live.notices.iter().rev() {
            if !self.told.contains(notice) {
                print(&format!("{}  {}\n", now(), told(notice)))?;
            }
        }
        self.told = live.notices;
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

/// Tells of a notice, in words and in the words of a script: who looks for `notice` finds all of them.
fn told(notice: &LiveNotice) -> String {
    let mut text = format!("notice    {}", words(notice));
    if let Some(project) = &notice.project {
        text.push_str(&format!("  in {}", printable(project)));
    }
    if notice.same_project {
        text.push_str("  same project");
    }
    if let Some(reset) = notice.resets_at {
        text.push_str(&format!("  resets {reset}"));
    }
    text
}

fn summary(live: &Live) -> String {
    format!(
        "{}  {}, {} tokens, {}; today {} tokens, {}",
        live.at,
        words::count(live.conversations.len() as u64, "conversation"),
        Tokens(live.totals.usage().total()),
        live.totals.cost,
        Tokens(live.today.usage().total()),
        live.today.cost,
    )
}

fn line(it: &session_analytics::LiveConversation) -> String {
    let model = it.model.as_ref().map_or("", |model| model.as_str());
    format!(
        "{:<8} {}  {}  {}  {} tokens  {}",
        it.state.name(),
        printable(&it.project),
        model_name(model),
        words::count(it.totals.sum.messages, "message"),
        Tokens(it.usage().total()),
        it.totals.cost,
    )
}
