//! Colours and glyphs, so that everything is told apart by shape as well as by colour.

use ratatui::style::{Color, Modifier, Style};
use session_analytics::State;
use session_store::Usage;

/// The styles in use: the sixteen colours that every terminal's theme defines, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// Whether colours may be used.
    pub(crate) color: bool,
}

impl Palette {
    /// Returns the style of names and headings.
    pub(crate) fn accent(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of what stands in the background.
    pub(crate) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Returns the style of figures that matter.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Returns the style of bars.
    pub(crate) fn bar(self) -> Style {
        self.colored(Color::Cyan)
    }

    /// Returns the style of trouble and advice.
    pub(crate) fn notice(self) -> Style {
        self.colored(Color::Yellow)
    }

    /// Returns the style of limits.
    pub(crate) fn alarm(self) -> Style {
        self.colored(Color::Red)
    }

    /// Returns the style and the symbol of a state.
    pub(crate) fn state(self, state: State) -> (Style, &'static str) {
        match state {
            State::Working => (self.colored(Color::Green), "●"),
            State::Limited => (self.alarm().add_modifier(Modifier::BOLD), "■"),
            State::Idle => (self.dim(), "○"),
        }
    }

    /// Returns the style of a kind of tokens.
    pub(crate) fn kind(self, kind: Kind) -> Style {
        self.colored(match kind {
            Kind::Input => Color::Blue,
            Kind::Output => Color::Green,
            Kind::Write5m | Kind::Write1h => Color::Magenta,
            Kind::Read => Color::Cyan,
        })
    }

    fn colored(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }
}

/// A kind of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the model wrote.
    Output,
    /// Prompt beside the cache.
    Input,
    /// Written to the five-minute cache.
    Write5m,
    /// Written to the one-hour cache.
    Write1h,
    /// Read from the cache.
    Read,
}

impl Kind {
    /// Every kind, in the order of a bar.
    pub(crate) const ALL: [Self; 5] = [Self::Input, Self::Output, Self::Write5m, Self::Write1h, Self::Read];

    /// Returns how it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Output => "Output",
            Self::Write5m => "Cache write 5 m",
            Self::Write1h => "Cache write 1 h",
            Self::Read => "Cache read",
        }
    }

    /// Returns the glyph that fills its part of a bar, another for each neighbour.
    pub(crate) fn glyph(self) -> &'static str {
        match self {
            Self::Input => "▒",
            Self::Output => "█",
            Self::Write5m => "▓",
            Self::Write1h => "▚",
            Self::Read => "░",
        }
    }

    /// Returns its tokens.
    pub(crate) fn of(self, usage: &Usage) -> u64 {
        match self {
            Self::Input => usage.input,
            Self::Output => usage.output,
            Self::Write5m => usage.cache_write_5m,
            Self::Write1h => usage.cache_write_1h,
            Self::Read => usage.cache_read,
        }
    }
}
