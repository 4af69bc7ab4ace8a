//! x

mod ingest;
mod monitor;
mod watch;

pub use ingest::{Ingestor, Progress, Scan};
pub use monitor::{Monitor, MonitorOptions, Update};
pub use watch::{FileWatch, Native, Poll, WatchError, WatchEvent};
