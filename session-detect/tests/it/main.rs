//! What `session-detect` promises, tested at its public surface.

#[cfg(target_os = "linux")]
mod claude;
mod facts;
mod laws;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod proc;
mod tree;
mod trees;
