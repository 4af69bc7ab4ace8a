//! How many watches a process holds, for people who wonder who uses them up.

/// The watches that one process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watches {
    /// Its inotify instances; the system allows a user 128 or so.
    pub instances: usize,
    /// The folders and files that they watch.
    pub folders: usize,
}

/// Counts the watches of a process of this user; `None` where the system does not tell, as everywhere but on Linux.
///
/// Reads some files of `/proc`.
pub fn watches_of(pid: u32) -> Option<Watches> {
    let mut watches = Watches::default();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = std::fs::read_to_string(entry.ok()?.path()) else { continue };
        let folders = text.lines().filter(|line| line.starts_with("inotify ")).count();
        watches.folders += folders;
        watches.instances += usize::from(folders > 0);
    }
    Some(watches)
}
