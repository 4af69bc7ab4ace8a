//! How long the system has been running: a clock that nobody sets.

use std::time::Duration;

/// Returns the time since the system started, that of sleep included where the system can tell (Linux).
///
/// Never goes back, whatever happens to the clock on the wall. Only differences mean something.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn uptime() -> Duration {
    since_start(nix::time::ClockId::CLOCK_BOOTTIME)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) fn uptime() -> Duration {
    since_start(nix::time::ClockId::CLOCK_MONOTONIC)
}

#[cfg(unix)]
fn since_start(clock: nix::time::ClockId) -> Duration {
    nix::time::clock_gettime(clock).map(Duration::from).expect("because every system has this clock")
}

#[cfg(not(unix))]
pub(crate) fn uptime() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
