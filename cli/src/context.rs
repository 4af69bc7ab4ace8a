//! What the commands share: the open archive, brought up to date, and the output.

use std::cell::Cell as StdCell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use session_analytics::{Figures, PriceBook, anchors, cuts};
use session_coordinator::{Ingestor, Lease, Progress, Scan};
use session_store::{ErrorKind, EventBackend, ProblemKind, Selection, Store, Stores, Timestamp};

use crate::accounts::Accounts;
use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::coordination;
use crate::error::{CliError, exit, hint_for};
use crate::kept;
use crate::others::Others;
use crate::owners::{self, Retire};
use crate::printable::{printable, printable_json};
use crate::projects::{Projects, ReadingScope};
use crate::sight::Sight;

/// The way out where Claude Code's files may not be read.
pub(crate) const READABLE_HINT: &str = "give the folder to your user, or name another one with --claude-dir";

/// What the commands share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) projects: Projects,
    role: Role,
    /// The code to end with when everything asked for was done.
    code: StdCell<u8>,
}

/// What a command is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It looks and ends.
    Visitor,
    /// It is the session's monitor, which says for the session what is shared.
    Monitor,
}

/// The archive, up to date.
pub(crate) struct Archive {
    pub(crate) store: Stores,
    pub(crate) ingestor: Ingestor,
    pub(crate) scan: Scan,
}

impl Context {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, projects: Projects::default(), role: Role::Visitor, code: StdCell::new(exit::DONE) }
    }

    /// Makes the context of a monitor.
    pub(crate) fn of_monitor(config: Config) -> Self {
        Self { role: Role::Monitor, ..Self::new(config) }
    }

    /// Returns the exit code: done, unless trouble with the store was met on the way.
    pub(crate) fn code(&self) -> u8 {
        self.code.get()
    }

    /// Ends with this code unless something worse was met.
    pub(crate) fn end_with(&self, code: u8) {
        self.code.set(self.code.get().max(code));
    }

    /// Opens the archive and reads what is new, with a progress bar where that takes over a second.
    pub(crate) fn archive(&self) -> Result<Archive, CliError> {
        self.archive_telling(&|_| {})
    }

    /// The same, telling the progress also elsewhere.
    pub(crate) fn archive_telling(&self, tell: &(dyn Fn(Progress) + Sync)) -> Result<Archive, CliError> {
        let bar = Bar::new(self.config.quiet);
        let archive = self.archive_with(&|progress| {
            bar.show(progress);
            tell(progress);
        })?;
        bar.clear();
        for dir in self.config.chosen_claude_dirs.iter().filter(|dir| !dir.exists()) {
            self.remark(&format!("there is no folder {}; the archive's figures are shown", dir.display()));
        }
        self.tell_trouble(&archive.store);
        self.tell_unread(&archive.scan);
        Ok(archive)
    }

    /// Says so where there are transcripts and not one of them could be read; single ones are counted in reports.
    fn tell_unread(&self, scan: &Scan) {
        let is_unreadable = |(kind, _): &&(ProblemKind, PathBuf)| *kind == ProblemKind::Unreadable;
        if scan.sources > 0 {
            return;
        }
        if let Some((_, path)) = scan.files_skipped.iter().find(is_unreadable) {
            self.code.set(exit::STORE);
            self.warn(&format!("cannot read {}; what is new there is missing", path.display()));
            self.warn(READABLE_HINT);
        }
    }

    /// Opens the archive and reads what is new.
    pub(crate) fn archive_with(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Archive, CliError> {
        self.check_sources()?;
        let path = self.config.data_dir.join("archive.db");
        match self.up_to_date(Store::open(&path, now()), progress) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // Damage deep in the file shows only when it is read.
                Ok(self.up_to_date(Store::open_afresh(&path, now())?, progress)?)
            }
            result => Ok(result?),
        }
    }

    /// Opens the archive for one that leaves the reading to another.
    pub(crate) fn archive_unread(&self) -> (Stores, Ingestor) {
        let archive = Store::open(&self.config.data_dir.join("archive.db"), now());
        let stores = Stores::around(&self.config.data_dir, now(), archive);
        let dirs = self.config.claude_dirs.clone();
        owners::ask(&stores, self.config.clone());
        self.limit_sight(&stores);
        let ingestor = Ingestor::new(Arc::new(stores.clone()), dirs, self.config.zone.clone());
        (stores, ingestor)
    }

    /// Makes the stores show what this session may see, and a monitor's own store say what it shares: before anything is
    /// read, lest others see it for a moment.
    fn limit_sight(&self, stores: &Stores) {
        let sight = Sight::new(self.config.isolation);
        if self.role == Role::Monitor {
            sight.declare(stores, &Others::present(&self.config));
        }
        sight.limit(stores);
    }

    fn up_to_date(
        &self,
        store: Store,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Archive, session_store::Error> {
        let store = Stores::around(&self.config.data_dir, now(), store);
        let dirs = self.config.claude_dirs.clone();
        owners::ask(&store, self.config.clone());
        self.limit_sight(&store);
        let mut ingestor = Ingestor::new(Arc::new(store.clone()), dirs, self.config.zone.clone());
        if let Some(scope) = self.single_scope() {
            let scope = ReadingScope::of(&scope);
            ingestor = ingestor.only(move |source| scope.holds(source));
        }
        let scan = ingestor.scan(progress)?;
        // A monitor does so where it has the board open already; where there is a leader, it does so as they come.
        if self.role == Role::Visitor
            && let Some((runtime, board)) = coordination::existing_board(&self.config)
            && !Lease::is_held(&runtime)
        {
            kept::keep_samples(&store, &board, &Accounts::of(&self.config));
        }
        kept::keep_restraints(&store, &self.config);
        if let Err(error) = owners::retire(&store, Retire::by(&self.config)) {
            // The session's store stays as it is, and everything counts all the same.
            tracing::debug!(%error, "cannot move an ended session into the archive");
        }
        tracing::debug!(sources = scan.sources, read = scan.sources_read, bytes = scan.bytes_read, "scanned");
        Ok(Archive { store, ingestor, scan })
    }

    /// Returns the project that alone is read, where this is a single session's work.
    pub(crate) fn single_scope(&self) -> Option<String> {
        self.scope().filter(|_| self.config.mode == SessionMode::Single)
    }

    /// Returns the project of the working folder, unless all are wanted.
    pub(crate) fn scope(&self) -> Option<String> {
        if self.config.all {
            return None;
        }
        let folder = std::env::current_dir().ok()?;
        Some(self.projects.of(folder.to_str()?))
    }

    /// Says where was looked if Claude Code has never run here.
    pub(crate) fn check_sources(&self) -> Result<(), CliError> {
        let dirs = &self.config.claude_dirs;
        if dirs.iter().any(|dir| holds_something(dir)) || self.config.data_dir.join("archive.db").exists() {
            return Ok(());
        }
        if let Some((dir, error)) = dirs.iter().find_map(|dir| Some((dir, unreadable(dir)?))) {
            return Err(CliError::store(format!("cannot read {}", dir.display()))
                .because(error)
                .hinted(READABLE_HINT));
        }
        let mut error = CliError::nothing("no Claude Code data found").hinted("looked in:");
        for dir in dirs {
            error = error.hinted(format!("  {}", dir.display()));
        }
        Err(error
            .hinted("if it lies elsewhere, name the folder with --claude-dir")
            .hinted("to see the monitor over a generated history: claudewatch demo"))
    }

    /// Says what keeps the archive from being written, and whether the figures are complete all the same.
    pub(crate) fn tell_trouble(&self, store: &Stores) {
        if let Some(moved) = store.archive().quarantined() {
            self.remark(&format!("the archive was damaged; it was moved to {}", moved.display()));
            self.remark("it was filled again from the transcripts that still exist");
        }
        let Some(trouble) = store.trouble() else { return };
        self.code.set(exit::STORE);
        let cause =
            std::error::Error::source(&*trouble).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.warn(&format!("{trouble}{cause}"));
        self.warn(match trouble.kind() {
            ErrorKind::Unreadable | ErrorKind::Corrupt => {
                "what only the archive holds may be missing, and what is new was not kept"
            }
            _ => "the figures are complete, but what is new was not kept",
        });
        if let Some(hint) = hint_for(trouble.kind()) {
            self.warn(hint);
        }
    }

    /// Tells something on standard error that quiet users do without.
    pub(crate) fn remark(&self, text: &str) {
        if !self.config.quiet {
            self.warn(text);
        }
    }

    fn warn(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "claudewatch: {}", printable(text));
    }

    /// Reads the price book and the user's own prices over it.
    pub(crate) fn prices(&self) -> Result<PriceBook, CliError> {
        let book = PriceBook::built_in();
        let path = &self.config.prices_file;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(book),
            Err(error) => {
                return Err(CliError::usage(format!("cannot read {}", path.display())).because(error));
            }
        };
        let own = PriceBook::parse(&text)
            .map_err(|error| CliError::usage(format!("{}", path.display())).because(error))?;
        Ok(book.overridden_by(own))
    }

    pub(crate) fn project_of(&self) -> impl Fn(&str) -> String + '_ {
        |folder| self.projects.of(folder)
    }
}

/// Reads sums and facts of all time, the sums divided at the edges of official windows.
pub(crate) fn figures(store: &dyn EventBackend) -> Result<Figures, CliError> {
    let facts = store.events(&Selection::facts())?;
    let cells = store.cells(Timestamp::MIN..Timestamp::MAX, &cuts(&anchors(&facts)))?;
    Ok(Figures { cells, facts })
}

/// Prints a text; a reader that went away is no error.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

/// Prints a value as a line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    print(&format!("{}\n", printable_json(value)))
}

/// Prints what need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Returns why a folder cannot be read, if it is there.
pub(crate) fn unreadable(dir: &Path) -> Option<io::Error> {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    dir.read_dir().err().filter(|error| !absent.contains(&error.kind()))
}

fn holds_something(dir: &Path) -> bool {
    dir.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

/// A progress bar that appears only after a second, and only on a terminal.
struct Bar {
    since: Instant,
    bar: Mutex<Option<ProgressBar>>,
    wanted: bool,
}

impl Bar {
    const PATIENCE: Duration = Duration::from_secs(1);

    fn new(quiet: bool) -> Self {
        let wanted = !quiet && io::stderr().is_terminal();
        Self { since: Instant::now(), bar: Mutex::new(None), wanted }
    }

    fn show(&self, progress: Progress) {
        if !self.wanted || self.since.elapsed() < Self::PATIENCE {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            let style =
                ProgressStyle::with_template("reading transcripts {bar:30} {bytes}/{total_bytes} {eta}");
            let bar = ProgressBar::with_draw_target(
                Some(progress.bytes_total),
                ProgressDrawTarget::stderr_with_hz(10),
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_position(progress.bytes_done);
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
