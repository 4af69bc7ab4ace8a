//! Claude Code's settings: what of ours belongs into them, and how it is put in and taken out without touching the rest.

pub(crate) mod command;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod text;
