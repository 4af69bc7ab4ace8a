//! Reading folders that another program writes: links are not followed, nothing is waited for, sizes are bounded.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::record::{RECORD_MAX, Record, RecordError};

/// How many entries of a folder are looked at; a busy machine has some dozen records.
pub(crate) const ENTRIES_MAX: usize = 8 << 10;

/// A file or folder that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ProblemKind,
}

/// What is wrong with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Its content is not a record that can be believed.
    Record(RecordError),
    /// A link, a pipe or a device has the name of a record; it was not opened.
    NotAFile,
    /// The system refuses.
    Unreadable(io::ErrorKind),
    /// A folder has more than 8192 entries; the rest was not looked at.
    TooMany,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            ProblemKind::Record(error) => write!(f, "use {path}: {error}"),
            ProblemKind::NotAFile => write!(f, "use {path}: it is not a plain file"),
            ProblemKind::Unreadable(error) => write!(f, "read {path}: {error}"),
            ProblemKind::TooMany => write!(f, "read all of {path}: it has more than {ENTRIES_MAX} entries"),
        }
    }
}

/// A record, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) record: Record,
    pub(crate) path: PathBuf,
    pub(crate) config_folder: PathBuf,
}

/// Reads the records of some config folders. One that is given twice, also through links, is read once; one without records
/// is not a problem.
pub(crate) fn records(config_folders: &[PathBuf]) -> (Vec<Filed>, Vec<Problem>) {
    let (mut records, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for config in config_folders {
        let folder = config.join("sessions");
        if !seen.insert(fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone())) {
            continue;
        }
        match names(&folder) {
            Ok((names, whole)) => {
                for name in names {
                    let Some((pid, form)) = numbered(&name) else { continue };
                    let path = folder.join(&name);
                    match record(&path, pid, form) {
                        Ok(record) => records.push(Filed { record, path, config_folder: config.clone() }),
                        Err(ProblemKind::Unreadable(io::ErrorKind::NotFound)) => {}
                        Err(kind) => problems.push(Problem { path, kind }),
                    }
                }
                if !whole {
                    problems.push(Problem { path: folder, kind: ProblemKind::TooMany });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                problems.push(Problem { path: folder, kind: ProblemKind::Unreadable(error.kind()) });
            }
        }
    }
    (records, problems)
}

/// The names in a folder that are text, sorted, and whether these are all.
pub(crate) fn names(folder: &Path) -> io::Result<(Vec<String>, bool)> {
    let mut entries = fs::read_dir(folder)?;
    let mut names: Vec<String> = entries
        .by_ref()
        .take(ENTRIES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok((names, entries.next().is_none()))
}

/// Reads at most `max` bytes of a plain file.
///
/// # Errors
///
/// Those of the system; [`io::ErrorKind::InvalidInput`] for whatever is not a plain file, links included.
pub(crate) fn beginning(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = open(path)?;
    // What lies there may have been exchanged since.
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::with_capacity(1 << 10);
    file.take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::fcntl::OFlag;

    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Current,
    Legacy,
}

/// The number in a record's name, `42.json` or `pid-42.json`. All else stays closed, above all `42.<hash>.key`, a secret.
fn numbered(name: &str) -> Option<(u32, Form)> {
    let stem = name.strip_suffix(".json")?;
    let (digits, form) = match stem.strip_prefix("pid-") {
        Some(digits) => (digits, Form::Legacy),
        None => (stem, Form::Current),
    };
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    canonical.then(|| digits.parse().ok()).flatten().map(|pid| (pid, form))
}

/// Reads one record; again where it was not whole, since Claude Code may be writing it just now.
fn record(path: &Path, pid: u32, form: Form) -> Result<Record, ProblemKind> {
    match record_once(path, pid, form) {
        Err(ProblemKind::Record(RecordError::NotAnObject)) => record_once(path, pid, form),
        other => other,
    }
}

fn record_once(path: &Path, pid: u32, form: Form) -> Result<Record, ProblemKind> {
    let bytes = beginning(path, RECORD_MAX + 1).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => ProblemKind::NotAFile,
        kind => ProblemKind::Unreadable(kind),
    })?;
    let record = match form {
        Form::Current => Record::parse(&bytes, pid),
        Form::Legacy => Record::parse_legacy(&bytes, pid),
    };
    record.map_err(ProblemKind::Record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_have_the_name_of_one() {
        let check = |name: &str, wanted: Option<(u32, bool)>| {
            let found = numbered(name).map(|(pid, form)| (pid, form == Form::Legacy));
            assert_eq!(found, wanted, "{name}");
        };
        check("42.json", Some((42, false)));
        check("pid-42.json", Some((42, true)));
        for name in
            ["42.0f3a.key", "42.key", "042.json", ".json", "pid-.json", "4294967296.json", "42.json.tmp"]
        {
            check(name, None);
        }
        for name in ["+42.json", "-42.json", "٤٢.json", "x.json", "42.JSON"] {
            check(name, None);
        }
    }
}
