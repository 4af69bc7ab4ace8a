//! What Claude Code says to the commands that it runs, on their standard input, and what it keeps of the account.
//!
//! They are internal to Claude Code and may change with any release, so every field may be missing or of another type.

pub(crate) mod cache;
pub(crate) mod hook;
pub(crate) mod statusline;
