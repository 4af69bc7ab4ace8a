//! What `session-detect` promises, tested at its public surface.

mod facts;
