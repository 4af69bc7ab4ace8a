//! x

mod ingest;
mod monitor;
mod search;
mod watch;

pub use ingest::{Ingestor, Progress, Scan};
pub use monitor::{Monitor, MonitorOptions, Update};
pub use watch::{FileWatch, Native, Poll, WatchError, WatchEvent};

/// Returns how many threads read: more than four do not help, because the disk and the memory are the limit.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |threads| threads.get().min(4))
}
