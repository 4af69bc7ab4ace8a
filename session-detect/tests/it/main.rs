//! What `session-detect` promises, tested at its public surface.

#[cfg(target_os = "linux")]
mod claude;
mod facts;
