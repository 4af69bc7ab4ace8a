#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod account;
mod error;

mod advice;
mod priority;

mod runtime;

mod scope;

mod conflict;
mod registry;

mod brake;
mod claim;
mod journal;

mod bell;
mod lease;

mod board;
mod clock;
mod notice;
mod spool;

mod coordinator;
mod life;

mod ingest;
mod monitor;
mod search;
mod watch;

use std::sync::OnceLock;

pub use account::AccountId;
pub use advice::{
    Act, Advice, Cause, Policy, Question, STAGGER, WAIT_MAX, WindowStanding, advise, pace_line,
};
pub use bell::{Bell, Heard, Listener};
pub use board::{Cursor, Fate, Look, NOTICES, NoticeBoard};
pub use brake::{Burden, Strain, is_overstrained};
pub use claim::{Claim, Claims};
pub use conflict::{Verdict, resolve};
pub use coordinator::{
    CONFLICTS_RESOLVED, Coordinator, CoordinatorOptions, News, Pace, RESOURCES_SHARED, Standing,
};
pub use error::{Error, ErrorKind};
pub use ingest::{Ingestor, Progress, Scan, SeenHit, sources_digest};
pub use journal::{Entries, Journal};
pub use lease::{Acquire, AcquireError, Holder, Lease, Term};
pub use life::{Input, Life, LifeOptions, Output, Role};
pub use monitor::{Duty, Monitor, MonitorOptions, Steer, Update};
pub use notice::{Notice, NoticeKind};
pub use priority::{Priorities, Priority, Subject, UnknownPriority};
pub use registry::{Introduction, JoinError, Member, MemberId, MemberRole, Membership, Presence, Registry};
pub use runtime::{Candidate, FileId, RuntimeDir, RuntimePlaces};
pub use scope::{Asset, Isolation, Party, Scope, UnknownIsolation};
pub use session_detect::IsolationKey;
pub use watch::{FileWatch, Native, Poll, WatchError, WatchEvent, Watches, watches_of};

/// Returns how many threads read: more than four do not help, because the disk and the memory are the limit.
fn threads() -> usize {
    // Asking reads several files each time.
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(2, |threads| threads.get().min(4)))
}
