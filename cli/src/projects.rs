//! Which project a working folder belongs to: its repository's root where there is one; and where Claude Code keeps the
//! transcripts of a project.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use session_store::Source;

/// Finds projects and remembers them, because many conversations share a folder.
#[derive(Debug, Default)]
pub(crate) struct Projects(RefCell<HashMap<String, String>>);

/// The transcripts of one project and of folders below it, by the name that Claude Code gives the folder of transcripts:
/// the working folder's path with `-` for everything but letters and digits.
///
/// It also holds some of folders that are named alike (`/p/a-b` beside `/p/a`); who needs it exact looks into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadingScope(String);

/// Claude Code cuts long names, and ends those with a hash.
const NAME_KEPT: usize = 180;

impl ReadingScope {
    pub(crate) fn of(project: &str) -> Self {
        let letters = project.encode_utf16().take(NAME_KEPT).map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte),
            _ => '-',
        });
        Self(letters.collect())
    }

    /// Returns whether a transcript may be of the project.
    pub(crate) fn holds(&self, source: &Source) -> bool {
        let mut parts = source.id.path().components().map(|part| part.as_os_str().to_string_lossy());
        parts.any(|part| {
            part.strip_prefix(self.0.as_str()).is_some_and(|rest| self.is_cut() || begins_anew(rest))
        })
    }

    fn is_cut(&self) -> bool {
        self.0.len() >= NAME_KEPT
    }
}

fn begins_anew(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('-')
}

impl Projects {
    /// Returns the project of a working folder.
    ///
    /// The nearest folder at or above it that holds `.git` is the project; where there is none, or the folder is
    /// gone, the folder itself is.
    pub(crate) fn of(&self, folder: &str) -> String {
        if let Some(project) = self.0.borrow().get(folder) {
            return project.clone();
        }
        let path = Path::new(folder);
        // A path of another system is not absolute here, and its last ancestor would be our own working folder.
        let root = path.ancestors().filter(|_| path.is_absolute()).find(|above| above.join(".git").exists());
        let project = root.and_then(Path::to_str).unwrap_or(folder).to_owned();
        self.0.borrow_mut().insert(folder.to_owned(), project.clone());
        project
    }
}
