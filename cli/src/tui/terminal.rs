//! The terminal: taken over, drawn on, and given back whatever happens.

use std::io::{self, BufWriter, Stdout, Write};
use std::mem::ManuallyDrop;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect, Size};
use ratatui::{Frame, Terminal};

use super::app::Event;

/// Room for one drawing of a large screen, so that it reaches the terminal in one piece.
const BUFFER_BYTES: usize = 1 << 16;

type PanicHook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal in full-screen mode; dropping it gives the terminal back.
pub(crate) struct Screen {
    /// Never dropped: it would tell standard error that the cursor of a terminal that is gone cannot be shown, and panic where
    /// standard error was that terminal.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
    hook: Arc<PanicHook>,
}

impl Screen {
    /// Takes the terminal over, and panics with it.
    ///
    /// A panic of the calling thread gives the terminal back before it is told. One of another thread must not tear
    /// up the screen: it is sent as an event, to be told in the footer now and in full at the end.
    pub(crate) fn open(sender: &Sender<Event>) -> io::Result<Self> {
        let output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(output))?);
        let hook: Arc<PanicHook> = Arc::from(panic::take_hook());
        // Made before the terminal is touched: a failure half-way is undone by its drop.
        let mut screen = Self { terminal, hook: Arc::clone(&hook) };
        let (owner, sender) = (thread::current().id(), sender.clone());
        panic::set_hook(Box::new(move |panic| {
            if thread::current().id() == owner {
                give_back();
                hook(panic);
            } else if sender.send(Event::Panicked(told(panic))).is_err() {
                hook(panic);
            }
        }));
        screen.enter()?;
        Ok(screen)
    }

    /// Takes the terminal over, at first or again.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        self.repaint()
    }

    /// Gives the terminal back.
    #[cfg(unix)]
    pub(crate) fn leave(&mut self) {
        give_back();
    }

    /// Makes the next drawing start from an empty screen.
    pub(crate) fn repaint(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and the answer would be waited for in vain:
        // the thread that reads keys holds the input. A resize to the same size clears without asking.
        let size = self.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Draws; only what changed is written.
    pub(crate) fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(paint).map(drop)
    }

    /// Returns columns and rows.
    pub(crate) fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        // While unwinding, the hook cannot be changed, and has nothing left to protect.
        if !thread::panicking() {
            let hook = Arc::clone(&self.hook);
            panic::set_hook(Box::new(move |panic| hook(panic)));
        }
    }
}

/// Gives the terminal back as well as it can be done; doing so twice does no harm.
fn give_back() {
    // Each step is tried whatever became of the others; there is nobody left to tell of a failure.
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = io::stdout().flush();
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    format!("thread '{}' {panic}", thread.name().unwrap_or("unnamed"))
}
