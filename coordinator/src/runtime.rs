//! The runtime folder: where the live sessions of one user on one host meet, and why it can be trusted.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

/// What the environment says about where the runtime folder may be.
///
/// The library reads no environment: the caller fills this in, and [`RuntimePlaces::candidates`] is a pure function
/// of it. Paths that are not absolute are passed over.
///
/// ```
/// use session_coordinator::RuntimePlaces;
/// let places = RuntimePlaces { uid: 1000, system_run: Some("/run/user".into()), ..RuntimePlaces::default() };
/// let order: Vec<_> = places.candidates().into_iter().map(|it| it.path).collect();
/// assert_eq!(order, ["/run/user/1000/claudewatch", "/tmp/claudewatch-1000"].map(std::path::PathBuf::from));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimePlaces {
    /// A folder the user chose (`CLAUDEWATCH_RUNTIME_DIR` or an option). Nothing else is tried then.
    pub chosen: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// Where the system keeps a folder for each user who is logged in: `/run/user` on Linux. It is looked at because
    /// a job of cron has no `XDG_RUNTIME_DIR` and should meet the terminals all the same.
    pub system_run: Option<PathBuf>,
    /// `TMPDIR`.
    pub temp_dir: Option<PathBuf>,
    /// Whether `TMPDIR` belongs to the user alone, as on macOS.
    pub temp_dir_is_private: bool,
    /// A folder of the user's that outlives reboots, for when nothing else can be used.
    pub state_dir: Option<PathBuf>,
    /// What tells one run of the system from the next; keeps folders below `state_dir` apart.
    pub boot_id: Option<String>,
    /// The number of the user.
    pub uid: u32,
}

/// A place where the runtime folder may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The folder.
    pub path: PathBuf,
    /// Whether folders on the way to it may be made, or must be there already.
    pub make_parents: bool,
}

impl RuntimePlaces {
    /// Returns where the runtime folder may be, best first.
    pub fn candidates(&self) -> Vec<Candidate> {
        if let Some(chosen) = absolute(&self.chosen) {
            return vec![Candidate { path: chosen.to_owned(), make_parents: true }];
        }
        let in_parent = |path: PathBuf| Candidate { path, make_parents: false };
        let user = self.uid.to_string();
        let named = format!("claudewatch-{user}");
        let mut candidates = Vec::new();
        let mut add = |candidate: Candidate| {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        };
        if let Some(dir) = absolute(&self.xdg_runtime_dir) {
            add(in_parent(dir.join("claudewatch")));
        }
        if let Some(dir) = absolute(&self.system_run) {
            add(in_parent(dir.join(&user).join("claudewatch")));
        }
        match absolute(&self.temp_dir) {
            Some(dir) if self.temp_dir_is_private => add(in_parent(dir.join("claudewatch"))),
            Some(dir) => add(in_parent(dir.join(&named))),
            None => add(in_parent(Path::new("/tmp").join(&named))),
        }
        if let (Some(dir), Some(boot)) = (absolute(&self.state_dir), &self.boot_id) {
            add(Candidate { path: dir.join("run").join(boot), make_parents: true });
        }
        candidates
    }
}

fn absolute(path: &Option<PathBuf>) -> Option<&Path> {
    path.as_deref().filter(|path| path.is_absolute())
}

/// A folder of ours that nobody else can look into or replace.
///
/// Made with mode 0700. One that exists is accepted only if it is a real folder, belongs to this user, is closed to
/// everybody else, and no folder above it can be written by others unless it is sticky. Nothing is ever changed to
/// make a folder fit. Everything in it is made with mode 0600.
///
/// ```
/// use session_coordinator::RuntimeDir;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let place = tempfile::tempdir()?;
/// let runtime = RuntimeDir::open(&place.path().join("claudewatch"))?;
/// assert!(runtime.is_current());
/// std::fs::remove_dir(runtime.path())?;
/// assert!(!runtime.is_current());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeDir {
    path: PathBuf,
    id: FileId,
}

/// Which file or folder a path leads to: one made later at the same path is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    /// Returns what a path leads to now; a symbolic link is not followed. `None` where there is nothing.
    pub fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().as_ref().map(Self::of)
    }

    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), number: metadata.ino() }
    }

    /// Where files have no number, the time they were made stands in.
    #[cfg(not(unix))]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let made = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Self { device: 0, number: made.map_or(0, |since| since.as_nanos() as u64) }
    }
}

impl RuntimeDir {
    /// Opens a folder, making it where it is missing; its parent must exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotPlain`], [`ErrorKind::Foreign`], [`ErrorKind::Exposed`], [`ErrorKind::ExposedAbove`] for a
    /// folder that must not be trusted; [`ErrorKind::Missing`], [`ErrorKind::Unwritable`], [`ErrorKind::Full`] for one
    /// that cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_candidate(&Candidate { path: path.to_owned(), make_parents: false })
    }

    /// Opens the first candidate that can be used, and returns why those before it could not.
    ///
    /// Every session of a user that is given the same candidates comes to the same folder.
    ///
    /// # Errors
    ///
    /// None can be used; the error is that of the first one that exists, else of the first.
    pub fn open_first(candidates: &[Candidate]) -> Result<(Self, Vec<Error>), Error> {
        let mut refusals = Vec::new();
        for candidate in candidates {
            match Self::open_candidate(candidate) {
                Ok(runtime) => return Ok((runtime, refusals)),
                Err(refusal) => refusals.push(refusal),
            }
        }
        let first = refusals.iter().position(|it| it.kind() != ErrorKind::Missing).unwrap_or(0);
        Err(if refusals.is_empty() { Error::new(ErrorKind::Missing) } else { refusals.swap_remove(first) })
    }

    /// Finds the folder that [`RuntimeDir::open_first`] would open, where it exists; makes nothing.
    pub fn find_first(candidates: &[Candidate]) -> Option<Self> {
        let existing = candidates.iter().filter(|candidate| candidate.path.is_dir());
        // It is made only if it was removed between the two looks.
        existing.into_iter().find_map(|candidate| Self::open(&candidate.path).ok())
    }

    fn open_candidate(candidate: &Candidate) -> Result<Self, Error> {
        let Candidate { path, make_parents } = candidate;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::new(ErrorKind::NotPlain).at(path));
        };
        if *make_parents {
            private_folders()
                .recursive(true)
                .create(parent)
                .map_err(|error| Error::from(error).at(parent))?;
        }
        check_above(parent)?;
        let real = parent.canonicalize().map_err(|error| Error::from(error).at(parent))?;
        if real != parent {
            check_above(&real)?;
        }
        let path = real.join(name);
        make_folder(&path)?;
        let metadata = fs::symlink_metadata(&path).map_err(|error| Error::from(error).at(&path))?;
        check_ours(&metadata).map_err(|kind| Error::new(kind).at(&path))?;
        Ok(Self { id: FileId::of(&metadata), path })
    }

    /// Returns the folder's path, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns which folder it is.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Returns whether the path still leads to this folder: it may have been removed, as at logout, or replaced.
    pub fn is_current(&self) -> bool {
        FileId::at(&self.path) == Some(self.id)
    }

    /// Returns the path of a file of ours.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder within, or finds it.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.file(name);
        make_folder(&path)?;
        let metadata = fs::symlink_metadata(&path).map_err(|error| Error::from(error).at(&path))?;
        check_ours(&metadata).map_err(|kind| Error::new(kind).at(&path))?;
        Ok(path)
    }
}

/// Returns whether somebody holds the lock of a file; those who only look share it among themselves, for an instant.
pub(crate) fn is_held(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

/// Opens a file of ours, and nothing but a plain file: no link is followed and no pipe waited for.
pub(crate) fn open_plain(options: &mut OpenOptions, path: &Path) -> Result<File, Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|error| Error::from(error).at(path))?;
    let metadata = file.metadata().map_err(|error| Error::from(error).at(path))?;
    if metadata.is_file() { Ok(file) } else { Err(Error::new(ErrorKind::NotPlain).at(path)) }
}

/// Makes a file of ours where nothing stands; what stands there is not touched.
pub(crate) fn make_plain(path: &Path) -> Result<(), Error> {
    let made = open_plain(File::options().write(true).create_new(true), path);
    if FileId::at(path).is_some() { Ok(()) } else { made.map(drop) }
}

/// Returns whether a path is a name that this crate gives its files, so that nothing else is ever read or removed.
pub(crate) fn has_ending(name: &OsStr, ending: &str) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(ending) && name.len() > ending.len())
}

fn make_folder(path: &Path) -> Result<(), Error> {
    match private_folders().create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::from(error).at(path)),
    }
}

fn private_folders() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(unix)]
fn check_ours(metadata: &Metadata) -> Result<(), ErrorKind> {
    use std::os::unix::fs::MetadataExt;
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_dir() {
        Err(ErrorKind::NotPlain)
    } else if metadata.uid() != nix::unistd::geteuid().as_raw() {
        Err(ErrorKind::Foreign { owner: metadata.uid() })
    } else if mode & 0o077 != 0 {
        Err(ErrorKind::Exposed { mode })
    } else {
        Ok(())
    }
}

/// Refuses a folder that somebody else could take away and replace.
#[cfg(unix)]
fn check_above(parent: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    // In a user namespace the system's own files may belong to another number than 0.
    let system = fs::metadata("/").map_or(0, |root| root.uid());
    let trusted = [0, system, nix::unistd::geteuid().as_raw()];
    for folder in parent.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        let metadata = fs::symlink_metadata(folder).map_err(|error| Error::from(error).at(folder))?;
        if !trusted.contains(&metadata.uid()) {
            return Err(Error::new(ErrorKind::Foreign { owner: metadata.uid() }).at(folder));
        }
        // A symbolic link always has all bits; what it leads to is checked on its own.
        let mode = metadata.mode() & 0o7777;
        if !metadata.is_symlink() && mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Err(Error::new(ErrorKind::ExposedAbove { mode }).at(folder));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_ours(metadata: &Metadata) -> Result<(), ErrorKind> {
    if metadata.is_dir() { Ok(()) } else { Err(ErrorKind::NotPlain) }
}

#[cfg(not(unix))]
fn check_above(_: &Path) -> Result<(), Error> {
    Ok(())
}
