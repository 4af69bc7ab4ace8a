//! What Claude Code sends to the commands it runs: JSON on standard input, of any version and any quality.

pub(crate) mod cache;
pub(crate) mod statusline;
