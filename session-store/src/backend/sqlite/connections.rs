//! The connections of one store: one that is at hand, and more from a pool while several threads read at once.
//!
//! Most stores are used by one thread at a time. They get by with the connection that looked at the file when it was
//! opened: no pool is made for them and no thread is asked.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use r2d2::{Pool, PooledConnection};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use scheduled_thread_pool::ScheduledThreadPool;

use super::log;
use super::open::file_at;

/// How long a writer waits for another one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections a store may have beside the first.
const OTHERS_MAX: u32 = 3;
/// How long one of them is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// Makes what makes connections.
type Manager = Box<dyn Fn() -> SqliteConnectionManager + Send + Sync>;

pub(super) struct Connections {
    /// The first connection, while nobody uses it.
    first: Mutex<Option<Connection>>,
    manager: Manager,
    others: OnceLock<Pool<SqliteConnectionManager>>,
    path: PathBuf,
    /// Which file it is: one made later at the same path is another one.
    file: Option<(u64, u64)>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("others", &self.others).finish_non_exhaustive()
    }
}

/// A connection in use; it goes back when it is dropped.
pub(super) struct Lent(Kind);

enum Kind {
    /// `None` only while it goes back.
    First(Option<Connection>, Arc<Connections>),
    Other(PooledConnection<SqliteConnectionManager>),
}

impl Connections {
    /// Begins with one connection to the file at a path; the manager opens the others.
    pub(super) fn new(
        path: &Path,
        first: Connection,
        manager: impl Fn() -> SqliteConnectionManager + Send + Sync + 'static,
    ) -> Arc<Self> {
        let first = Mutex::new(Some(first));
        Arc::new(Self {
            first,
            manager: Box::new(manager),
            others: OnceLock::new(),
            path: path.to_owned(),
            file: file_at(path),
        })
    }

    /// Returns a connection that nobody uses.
    pub(super) fn get(self: &Arc<Self>) -> Result<Lent, r2d2::Error> {
        let first = self.first().take();
        Ok(Lent(match first {
            Some(first) => Kind::First(Some(first), self.clone()),
            None => Kind::Other(self.others.get_or_init(|| pool((self.manager)())).get()?),
        }))
    }

    /// Returns whether the path still leads to the file that they are connected to.
    pub(super) fn are_current(&self) -> bool {
        file_at(&self.path) == self.file
    }

    fn first(&self) -> MutexGuard<'_, Option<Connection>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // The first is the last to be closed.
        drop(self.others.take());
        // Closing deletes the log by its name, which may be that of another file's by now.
        if let Some(first) = self.first().as_ref().filter(|_| self.are_current()) {
            // A file that holds less than its log would be nothing without it.
            log::leave_up_to(log::LEFT_MAX.min(log::length(&self.path)), first, &self.path);
        }
    }
}

fn pool(manager: SqliteConnectionManager) -> Pool<SqliteConnectionManager> {
    // No connection is opened ahead and one helper thread serves all pools: a process may hold many stores.
    static THREADS: LazyLock<Arc<ScheduledThreadPool>> = LazyLock::new(|| {
        Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("store-pool").build())
    });
    Pool::builder()
        .max_size(OTHERS_MAX)
        .min_idle(Some(0))
        .idle_timeout(Some(IDLE))
        .test_on_check_out(false)
        .thread_pool(THREADS.clone())
        .connection_timeout(BUSY_TIMEOUT)
        .build_unchecked(manager)
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.0 {
            Kind::First(first, _) => first.as_ref().expect("because it goes back only when it is dropped"),
            Kind::Other(other) => other,
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.0 {
            Kind::First(first, _) => first.as_mut().expect("because it goes back only when it is dropped"),
            Kind::Other(other) => other,
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Kind::First(first, home) = &mut self.0 {
            *home.first() = first.take();
        }
    }
}
