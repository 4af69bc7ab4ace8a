//! What a monitor hears: of its own reading, of the others, of its screen.

use session_coordinator::{News, Notice, Update};

use crate::error::CliError;

/// Everything that a feed hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// What this process read.
    Update(Update),
    /// What the others do and tell.
    News(News),
    /// What this process told the others.
    Notice(Notice),
    /// What is shown on is gone.
    Gone(CliError),
}
