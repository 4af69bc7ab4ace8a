//! The full-screen monitor: one loop over one channel, which draws a state and sleeps in between.
//!
//! Everything that can happen is an [`Event`]. [`app`] decides what it means, [`draw`] paints the state;
//! neither does any input or output. This file holds the threads, [`terminal`] the terminal, [`signals`] the signals.

mod app;
mod detail;
mod draw;
mod help;
mod history;
mod limits;
mod lines;
mod paint;
mod plan;
#[cfg(unix)]
mod signals;
mod summary;
mod table;
mod terminal;

#[cfg(test)]
mod fixture;

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::SystemTime;

use session_analytics::Live;
use session_coordinator::{Policy, Priority};
use session_store::{Timestamp, Zone};

use app::{App, Effect, Event, update};
pub(crate) use summary::NOTICE_SHOWN;
use terminal::Screen;

/// How many waiting events are taken in before the screen is drawn again.
///
/// A storm of resizes or messages then costs one drawing, and an endless one still lets the screen follow.
const EVENTS_PER_DRAWING: usize = 256;

/// What reaches the screen from outside.
#[derive(Debug)]
pub(crate) enum Message {
    /// A new state of things.
    Live(Box<Live>),
    /// One line of trouble or advice, shown in the footer until the next; an empty one clears it.
    Note(String),
    /// Bytes read of a first import, and bytes in all.
    Progress {
        /// Bytes read.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// What the terminal is to be sent as it is: a bell, or a notification.
    Alert(String),
}

/// What the screen is told once.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What is shown, in words: `~/project`, `all projects`.
    pub(crate) title_scope: String,
    /// The zone of every clock time.
    pub(crate) zone: Zone,
    /// Whether colours may be used.
    pub(crate) color: bool,
    /// Whether the figures are made up.
    pub(crate) demo: bool,
    /// What hooks do about limits.
    pub(crate) policy: Policy,
    /// How much sessions in this folder matter to them.
    pub(crate) priority: Priority,
}

/// Shows the monitor until the user quits or a signal comes, and gives the terminal back in every case.
///
/// `at_end` is called when the terminal is given back and signals, of which a terminal that closes sends several, do no
/// harm yet.
///
/// Blocks. The threads it started end with the process: the one that reads keys waits in the kernel for a key that
/// may never come, so nobody waits for it. After the return SIGINT, SIGTERM, SIGHUP and SIGTSTP act as usual.
///
/// # Errors
///
/// If the terminal cannot be set up, drawn on or read from.
pub(crate) fn run(messages: Receiver<Message>, settings: Settings, at_end: impl FnOnce()) -> io::Result<()> {
    let (sender, events) = mpsc::channel();
    #[cfg(unix)]
    let _signals = signals::Watch::start(&sender)?;
    // The caller has weighed the option against the environment, which would otherwise be asked a second time.
    crossterm::style::force_color_output(settings.color);
    let mut screen = Screen::open(&sender)?;
    spawn("tui-keys", &sender, read_keys)?;
    spawn("tui-messages", &sender, move |sender| forward(&messages, sender))?;
    // The loop must see the channel close, should every source of events be gone.
    drop(sender);
    let mut app = App::new(settings, screen.size()?);
    let result = show(&mut app, &mut screen, &events);
    drop(screen);
    at_end();
    for failure in &app.failures {
        // Where even this cannot be written, the terminal is gone, and with it the reader.
        let _ = writeln!(io::stderr(), "{failure}");
    }
    result
}

/// Draws and takes in events in turn, until one of them ends it.
fn show(app: &mut App, screen: &mut Screen, events: &Receiver<Event>) -> io::Result<()> {
    let mut is_stale = true;
    loop {
        if is_stale {
            let now = now();
            screen.draw(|frame| draw::draw(app, frame, now))?;
        }
        let first = match events.recv_timeout(app.sleep(now())) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::Tick,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        is_stale = false;
        for event in std::iter::once(first).chain(events.try_iter().take(EVENTS_PER_DRAWING)) {
            if let Event::Message(Message::Alert(sequence)) = &event {
                // Between two drawings, so that it falls into none.
                let mut out = io::stdout().lock();
                out.write_all(sequence.as_bytes()).and_then(|()| out.flush())?;
                continue;
            }
            match update(app, event) {
                Effect::None => continue,
                Effect::Draw => {}
                Effect::Repaint => screen.repaint()?,
                Effect::Suspend => suspend(app, screen)?,
                Effect::Quit(result) => return result,
            }
            is_stale = true;
        }
    }
}

/// Stops the process until it is continued, with the terminal given back meanwhile.
#[cfg(unix)]
fn suspend(app: &mut App, screen: &mut Screen) -> io::Result<()> {
    if !signals::is_under_job_control() {
        return Ok(());
    }
    screen.leave();
    signals::stop()?;
    screen.enter()?;
    app.size = screen.size()?;
    Ok(())
}

#[cfg(not(unix))]
fn suspend(_: &mut App, _: &mut Screen) -> io::Result<()> {
    Ok(())
}

fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().after(since_1970)
}

fn spawn(
    name: &str,
    sender: &Sender<Event>,
    work: impl FnOnce(&Sender<Event>) + Send + 'static,
) -> io::Result<()> {
    let sender = sender.clone();
    thread::Builder::new().name(name.to_owned()).spawn(move || work(&sender)).map(drop)
}

/// Hands on what the terminal says, until nobody listens or nothing can be read.
fn read_keys(sender: &Sender<Event>) {
    loop {
        let event = crossterm::event::read().map_or_else(Event::InputLost, Event::Terminal);
        let is_lost = matches!(event, Event::InputLost(_));
        if sender.send(event).is_err() || is_lost {
            return;
        }
    }
}

/// Hands on the messages, until nobody listens or nobody speaks.
fn forward(messages: &Receiver<Message>, sender: &Sender<Event>) {
    for message in messages {
        if sender.send(Event::Message(message)).is_err() {
            return;
        }
    }
    // If nobody listens any more, nobody needs to know.
    let _ = sender.send(Event::MessagesEnded);
}
