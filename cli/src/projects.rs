//! Which project a working folder belongs to: its repository's root where there is one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

/// Finds projects and remembers them, because many conversations share a folder.
#[derive(Debug, Default)]
pub(crate) struct Projects(RefCell<HashMap<String, String>>);

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
