//! What Claude Code says to the commands that it runs: the forms of its standard input.
//!
//! They are internal to Claude Code and may change with any release, so every field may be missing or of another type.

pub(crate) mod cache;
pub(crate) mod hook;
pub(crate) mod statusline;
