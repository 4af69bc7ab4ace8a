//! Where output goes: standard output, or a file that is replaced only when the new one is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::CliError;

/// An output that is not there before it is finished; dropped earlier, it leaves everything as it was.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output; what is written is gone.
    Stdout(BufWriter<io::Stdout>),
    /// A device or a pipe, which cannot be replaced.
    Device(PathBuf, BufWriter<File>),
    /// A file beside the one that it will replace.
    File(PathBuf, BufWriter<NamedTempFile>),
}

impl Output {
    /// Opens an output; `-` is standard output.
    pub(crate) fn to(path: &Path) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        }
        // Who exports to a link means the file behind it.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let found = fs::metadata(&target);
        if found.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Err(CliError::store(format!("cannot write {}: it is a folder", path.display())));
        }
        if found.as_ref().is_ok_and(|found| !found.is_file()) {
            let device = File::options().write(true).open(&target).map_err(|error| cannot(path, error))?;
            return Ok(Self::Device(path.to_owned(), BufWriter::new(device)));
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let temp = blank(folder).map_err(|error| cannot(path, error))?;
        if let Ok(found) = found {
            // Kept as far as possible; a file of another owner becomes our own.
            let _ = temp.as_file().set_permissions(found.permissions());
        }
        Ok(Self::File(target, BufWriter::new(temp)))
    }

    /// Makes everything written so far safe on the disk, without touching the file that is to be replaced.
    pub(crate) fn settle(&mut self) -> Result<(), CliError> {
        let path = self.path().to_owned();
        let settled = match self {
            Self::Stdout(out) => out.flush(),
            Self::Device(_, out) => out.flush(),
            Self::File(_, out) => out.flush().and_then(|()| out.get_ref().as_file().sync_all()),
        };
        settled.map_err(|error| cannot(&path, error))
    }

    /// Puts the file in its place.
    pub(crate) fn finish(mut self) -> Result<(), CliError> {
        self.settle()?;
        let Self::File(path, out) = self else { return Ok(()) };
        let temp = out.into_inner().map_err(|error| cannot(&path, error.into_error()))?;
        temp.persist(&path).map_err(|error| cannot(&path, error.error))?;
        // The new name itself must outlive a crash; where a folder cannot be synced, the system sees to it.
        if let Some(folder) = path.parent()
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Writes a text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        let path = self.path().to_owned();
        self.write_all(text.as_bytes()).map_err(|error| cannot(&path, error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Stdout(_) => Path::new("-"),
            Self::Device(path, _) | Self::File(path, _) => path,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Device(_, out) => out.write(bytes),
            Self::File(_, out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Device(_, out) => out.flush(),
            Self::File(_, out) => out.flush(),
        }
    }
}

/// Makes an empty file in a folder, with the mode that the user's mask leaves: exports are for sharing, unlike stores.
fn blank(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".claudewatch-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Says what kept an output from being written, and the way out.
fn cannot(path: &Path, error: io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound if !has_folder(path) => Some("make the folder first, or name another one"),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose a folder that you may write to")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some("free some space, or choose another folder; what was there before is untouched")
        }
        _ => None,
    };
    let what = if path == Path::new("-") {
        "cannot write the output".to_owned()
    } else {
        format!("cannot write {}", path.display())
    };
    let failed = CliError::store(what).because(of_system(error));
    match hint {
        Some(hint) => failed.hinted(hint),
        None => failed,
    }
}

fn has_folder(path: &Path) -> bool {
    path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
}

/// Returns what the system said, without the path of the file beside, which a library adds and nobody asked for.
fn of_system(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path \"") {
        Some((said, _)) => io::Error::new(error.kind(), said),
        None => error,
    }
}
