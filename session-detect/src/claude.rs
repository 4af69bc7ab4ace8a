//! Finding Claude Code: every one that runs here, the session it runs in, and the conversation it is in.
//!
//! Two things are put together. **Processes** show what runs, but neither the conversation nor whether it is busy.
//! **Records**, `<config>/sessions/<pid>.json`, tell that, but outlive a process that was killed, and a number is soon given
//! to another one. So a record counts only where number, process namespace, machine and the system's own start of the
//! process agree; otherwise it is reported as [`Stale`] with the reason. A process without a record is reported too,
//! with less known of it.
//!
//! What Claude Code starts for itself (spares for background sessions, hosts of their terminals, its daemon, `claude mcp`)
//! is a [`Helper`]. A spare that got a conversation has a record and is not a helper any more, whatever its command
//! line still says.
//!
//! # Sources
//!
//! The records and processes of Claude Code 2.1.330 on Linux (seen 2026-11-22); older forms as reported in
//! `anthropics/claude-code` #36213, #53037, #56766 and #95439. The form is internal to Claude Code and may change with any
//! release, so every field is optional.
//!
//! # Limits
//!
//! On macOS and Windows processes are known to the second, so a conversation is never [`Conversation::Exact`] there. A process
//! that another user hides (`hidepid`) is not found; its record, where one may be read, is stale as [`Why::Hidden`].

mod conversation;
mod folder;
pub(crate) mod moment;
mod program;
mod record;
mod starter;
mod transcript;

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use self::conversation::{Others, Recorded, is_settled};
use self::folder::Filed;
use self::record::PidDomain;
use crate::classify::{classify, identity};
use crate::context::since;
use crate::error::ErrorKind;
use crate::facts::Facts;
use crate::probe::{Absence, Domain, Invocation, Processes, Seen};
use crate::process::ProcessId;
use crate::session::Session;

pub use self::conversation::Conversation;
pub use self::folder::{Problem, ProblemKind};
pub use self::program::{HelperKind, Program};
pub use self::record::{RECORD_MAX, Record, RecordError, Status};
pub use self::starter::{Starter, starter, starter_of};

/// Whether a process's start is known to the tick and its number to the namespace.
const ON_LINUX: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What was found, each list by number of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The Claude Codes that hold, or may hold, a conversation.
    pub running: Vec<Running>,
    /// Processes that Claude Code started for itself.
    pub helpers: Vec<Helper>,
    /// Records whose process cannot be vouched for: left over, or written elsewhere.
    pub stale: Vec<Stale>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A running Claude Code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// Its number, as seen from here.
    pub pid: u32,
    /// Its identity; `None` where its namespace may not be seen.
    pub id: Option<ProcessId>,
    /// The session it runs in; the error is [`ErrorKind::Unreadable`] where that would be a guess.
    pub session: Result<Session, ErrorKind>,
    /// How it was installed.
    pub program: Program,
    /// The folder its process works in, as named in its own container.
    pub working_folder: Option<PathBuf>,
    /// When the system started it; on Linux to 10 ms.
    pub started_at: Option<SystemTime>,
    /// What it was started by, `cli`, `sdk-ts`, `claude-vscode`, …: from its record, else from its environment where that is
    /// not another Claude Code's.
    pub entrypoint: Option<String>,
    /// Its version: from its record, else from the path of its program.
    pub version: Option<String>,
    /// The config folder its record lies in, as given to [`find`].
    pub config_folder: Option<PathBuf>,
    /// What it says of itself; `None` where no record of it was found: then it is a program of that name, and nothing
    /// confirms that it holds a conversation.
    pub record: Option<Record>,
    /// The conversation it is in.
    pub conversation: Conversation,
    /// The Claude Code that started it, if one did.
    pub started_by: Option<Starter>,
}

/// A process that Claude Code started for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Helper {
    /// Its number, as seen from here.
    pub pid: u32,
    /// What it is for.
    pub kind: HelperKind,
}

/// A record whose process cannot be vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stale {
    /// What it says.
    pub record: Record,
    /// Where it lies.
    pub path: PathBuf,
    /// Why it is not believed.
    pub why: Why,
}

/// Why a record is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No such process lives: it was killed and could not take its record away.
    Gone,
    /// Another process has the number by now: its start differs.
    OtherProcess,
    /// It was written on another machine or in another process namespace, and no process seen from here is the one.
    Foreign,
    /// The process may be there and may not be seen.
    Hidden,
    /// It has no start of its process, and the process of that number is not Claude Code, or began after the record.
    Unproven,
    /// Another record of the same process is newer.
    Duplicate,
}

impl Why {
    /// Returns the reason as part of a sentence, `its process is gone`.
    ///
    /// ```
    /// assert_eq!(session_detect::claude::Why::Gone.text(), "its process is gone");
    /// ```
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "its process is gone",
            Self::OtherProcess => "its number belongs to another process now",
            Self::Foreign => "it was written on another machine or in another container",
            Self::Hidden => "its process may not be seen",
            Self::Unproven => "it does not prove which process it is of",
            Self::Duplicate => "a newer record is of the same process",
        }
    }
}

/// Finds every Claude Code that may be seen.
///
/// `config_folders` are those whose records are read, mostly `~/.claude` and what `CLAUDE_CONFIG_DIR` names; there may be
/// several, one for each account. They are only read, and of them only `sessions/*.json` and, for versions before 2.1.330 or
/// processes without a record, names, times and the first 64 KiB of transcripts below `projects/`.
///
/// Never fails: what could not be read is in [`Found::problems`]. One file is read for each process of the machine, and some
/// dozen more for each Claude Code: some milliseconds among 500 processes. Keeps no command line.
///
/// # Examples
///
/// ```
/// use session_detect::claude;
///
/// let found = claude::find(&[std::path::PathBuf::from("/home/herb/.claude")]);
/// for running in &found.running {
///     let session = running.session.as_ref().map(|session| session.label());
///     println!("{} in {session:?}: {:?}", running.pid, running.conversation);
/// }
/// for stale in &found.stale {
///     println!("{}: {}", stale.path.display(), stale.why.text());
/// }
/// ```
pub fn find(config_folders: &[PathBuf]) -> Found {
    search(&Processes::default(), config_folders)
}

/// Finds every Claude Code in a view of processes; see [`find`].
///
/// # Examples
///
/// ```
/// use session_detect::{ProcFs, claude};
///
/// let found = claude::find_in(&ProcFs::at("/no/such/folder"), &[]);
/// assert!(found.running.is_empty() && found.problems.len() == 1);
/// ```
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn find_in(processes: &crate::probe::ProcFs, config_folders: &[PathBuf]) -> Found {
    search(processes, config_folders)
}

fn search(processes: &Processes, config_folders: &[PathBuf]) -> Found {
    // Processes before records: what starts in between has a record that nothing is missing from but the process, and
    // that is looked up again.
    let mut problems = Vec::new();
    let everyone = processes.everyone().unwrap_or_else(|error| {
        let kind = ProblemKind::Unreadable(error.kind());
        problems.push(Problem { path: processes.root(), kind });
        Vec::new()
    });
    let (records, bad) = folder::records(config_folders);
    problems.extend(bad);
    let mut candidates: BTreeMap<u32, Candidate> = everyone
        .into_iter()
        .filter(|seen| program::may_be(&seen.name))
        .map(|seen| Candidate::new(processes, seen))
        .filter(|candidate| candidate.program.is_some())
        .map(|candidate| (candidate.seen.pid, candidate))
        .collect();
    let mut stale = matched(processes, &mut candidates, records);
    let (mut running, mut helpers) = (Vec::new(), Vec::new());
    for mut candidate in candidates.into_values() {
        if let Some(kind) = candidate.helper() {
            helpers.push(Helper { pid: candidate.seen.pid, kind });
            continue;
        }
        match candidate.running(processes) {
            Some(draft) => running.push(draft),
            None => stale.extend(candidate.record.map(|it| it.filed.stale(Why::Gone))),
        }
    }
    stale.sort_by(|one, other| (one.record.pid, &one.path).cmp(&(other.record.pid, &other.path)));
    for found in &mut running {
        let started_by = found.running.started_by.take();
        let helps = |starter: &Starter| helpers.iter().any(|helper| helper.pid == starter.pid);
        found.running.started_by = started_by.filter(|starter| !helps(starter));
    }
    Found { running: with_conversations(running, config_folders), helpers, stale, problems }
}

/// A process that is Claude Code, or that a record names.
struct Candidate {
    seen: Seen,
    invocation: Invocation,
    program: Option<Program>,
    domain: Domain,
    record: Option<Matched>,
}

impl Filed {
    fn stale(self, why: Why) -> Stale {
        Stale { record: self.record, path: self.path, why }
    }
}

/// A record and the proof that it is of a process.
struct Matched {
    filed: Filed,
    proven: bool,
}

impl Candidate {
    fn new(processes: &Processes, seen: Seen) -> Self {
        let invocation = processes.invocation(seen.pid);
        let program = program::program(&seen.name, &invocation);
        let domain = if program.is_some() { processes.domain(seen.pid) } else { Domain::default() };
        Self { seen, invocation, program, domain, record: None }
    }

    fn helper(&self) -> Option<HelperKind> {
        if self.record.is_some() { None } else { program::helper(&self.invocation) }
    }

    /// Puts together what is known, with the record; `None` where the process ended meanwhile.
    fn running(&mut self, processes: &Processes) -> Option<Draft> {
        let Self { seen, invocation, program, record, .. } = self;
        let facts = match processes.capture(seen.pid) {
            Ok(facts) => Ok(facts),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => Err(error.kind()),
        };
        let own = facts.as_ref().ok().and_then(|facts| facts.ancestry.first());
        if own.is_some_and(|own| own.start != seen.start) {
            return None; // Another process has the number by now.
        }
        let id = facts.as_ref().ok().zip(own).and_then(|(facts, own)| identity(facts, own));
        let said = record.as_ref().map(|matched| &matched.filed.record);
        let entrypoint = said.and_then(|record| record.entrypoint.clone());
        let version = said.and_then(|record| record.version.clone());
        let running = Running {
            pid: seen.pid,
            id,
            program: program.unwrap_or(Program::Unknown),
            working_folder: processes.working_folder(seen.pid),
            started_at: started_at(seen),
            entrypoint: entrypoint.or_else(|| facts.as_ref().ok().and_then(entrypoint_of)),
            version: version.or_else(|| program::version(invocation)),
            config_folder: record.as_ref().map(|matched| matched.filed.config_folder.clone()),
            conversation: Conversation::Unknown,
            started_by: facts.as_ref().ok().and_then(Starter::of),
            session: facts.map(|facts| classify(&facts)),
            record: None,
        };
        Some(Draft { running, record: record.take() })
    }
}

/// A running Claude Code whose conversation is not judged yet.
struct Draft {
    running: Running,
    record: Option<Matched>,
}

fn started_at(seen: &Seen) -> Option<SystemTime> {
    let system = if ON_LINUX { "linux" } else { std::env::consts::OS };
    since(seen.start, system).and_then(|age| SystemTime::now().checked_sub(age))
}

/// What the environment says a Claude Code was started by. Below another Claude Code it says what that was started by.
fn entrypoint_of(facts: &Facts) -> Option<String> {
    let inherited = facts.env.contains_key("CLAUDECODE") || facts.env.contains_key("CLAUDE_PID");
    facts.env.get("CLAUDE_CODE_ENTRYPOINT").filter(|_| !inherited).cloned()
}

/// Gives each record to its process; returns those that have none.
fn matched(
    processes: &Processes,
    candidates: &mut BTreeMap<u32, Candidate>,
    records: Vec<Filed>,
) -> Vec<Stale> {
    let own_domain = processes.own_domain();
    let mut stale = Vec::new();
    for filed in records {
        match owner(processes, candidates, &own_domain, &filed.record) {
            Ok((pid, proven)) => {
                let slot = candidates.get_mut(&pid).map(|candidate| &mut candidate.record);
                if let Some(loser) = slot.and_then(|slot| newer(slot, Matched { filed, proven })) {
                    stale.push(loser.filed.stale(Why::Duplicate));
                }
            }
            Err(why) => stale.push(filed.stale(why)),
        }
    }
    candidates.retain(|_, candidate| candidate.program.is_some() || candidate.record.is_some());
    stale
}

/// Which candidate a record is of, and whether that is proven. A process of another name becomes a candidate by it.
fn owner(
    processes: &Processes,
    candidates: &mut BTreeMap<u32, Candidate>,
    own_domain: &Domain,
    record: &Record,
) -> Result<(u32, bool), Why> {
    let (pid, same_domain) = place(record, candidates, own_domain)?;
    if let Entry::Vacant(entry) = candidates.entry(pid) {
        let seen = processes.look(pid).map_err(|absence| match absence {
            Absence::Gone => Why::Gone,
            Absence::Hidden => Why::Hidden,
        })?;
        entry.insert(Candidate::new(processes, seen));
    }
    let candidate = candidates.get(&pid).ok_or(Why::Gone)?;
    Ok((pid, is_of(record, candidate)? && same_domain))
}

/// Which process of this view a record names, and whether machine and namespace are known to be the same.
fn place(
    record: &Record,
    candidates: &BTreeMap<u32, Candidate>,
    own_domain: &Domain,
) -> Result<(u32, bool), Why> {
    let (machine, namespace) = match &record.domain {
        Some(PidDomain::Linux { machine, namespace }) => (machine, namespace),
        Some(PidDomain::Other(_)) if ON_LINUX => return Err(Why::Foreign),
        _ => return Ok((record.pid, false)),
    };
    let differs = |domain: &Domain| domain.machine.as_ref().is_some_and(|id| id != machine);
    let inside = candidates.values().find(|it| {
        it.domain.namespace == Some(*namespace) && it.domain.pid == record.pid && !differs(&it.domain)
    });
    let here = own_domain.namespace == Some(*namespace) && !differs(own_domain);
    let known = here && own_domain.machine.is_some();
    if let Some(candidate) = inside {
        return Ok((candidate.seen.pid, known || candidate.domain.machine.is_some()));
    }
    if here { Ok((record.pid, known)) } else { Err(Why::Foreign) }
}

/// Whether the candidate wrote the record; `true` where its start proves it, `false` where only nothing speaks against it.
fn is_of(record: &Record, candidate: &Candidate) -> Result<bool, Why> {
    let text = record.process_start.as_deref();
    match text.and_then(|text| Processes::is_start(text, candidate.seen.start)) {
        // On other systems a start is a second, and a second is no proof.
        Some(true) => Ok(ON_LINUX),
        Some(false) => Err(Why::OtherProcess),
        None if candidate.program.is_none() => Err(Why::Unproven),
        None => {
            // Clocks are set; a record is written at the earliest when its process begins.
            let tolerance = Duration::from_secs(2);
            let began = started_at(&candidate.seen).and_then(|began| began.checked_sub(tolerance));
            let later = began.zip(record.started_at).is_none_or(|(began, written)| written >= began);
            if later { Ok(false) } else { Err(Why::OtherProcess) }
        }
    }
}

/// Keeps the newer of two records of one process; returns the other.
fn newer(kept: &mut Option<Matched>, next: Matched) -> Option<Matched> {
    let age = |matched: &Matched| {
        (matched.proven, matched.filed.record.updated_at.or(matched.filed.record.started_at))
    };
    match kept {
        Some(former) if age(former) >= age(&next) => Some(next),
        _ => kept.replace(next),
    }
}

/// Judges which conversation each is in, in the light of the others.
fn with_conversations(drafts: Vec<Draft>, config_folders: &[PathBuf]) -> Vec<Running> {
    let records = drafts.iter().filter_map(|draft| draft.record.as_ref());
    let owned: BTreeSet<String> = records.filter_map(|it| it.filed.record.conversation.clone()).collect();
    let unreliable = |draft: &Draft| draft.record.as_ref().is_none_or(|it| !is_settled(&it.filed.record));
    let judge = |(at, draft): (usize, &Draft)| {
        let folder = draft.running.working_folder.as_deref();
        let beside = |(other, it): (usize, &Draft)| {
            other != at && unreliable(it) && it.running.working_folder.as_deref() == folder
        };
        let others = Others { owned: &owned, rival: drafts.iter().enumerate().any(beside) };
        match &draft.record {
            Some(Matched { filed, proven }) => conversation::recorded(
                &Recorded { record: &filed.record, config_folder: &filed.config_folder, proven: *proven },
                &others,
            ),
            None => match folder.zip(draft.running.started_at) {
                Some((folder, start)) => conversation::guessed(folder, start, config_folders, &others),
                None => Conversation::Unknown,
            },
        }
    };
    let conversations: Vec<Conversation> = drafts.iter().enumerate().map(judge).collect();
    let finish = |(draft, conversation): (Draft, Conversation)| Running {
        conversation,
        record: draft.record.map(|matched| matched.filed.record),
        ..draft.running
    };
    drafts.into_iter().zip(conversations).map(finish).collect()
}
