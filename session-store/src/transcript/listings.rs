//! What folders held when they were last listed: one that has not changed since need not be listed again.
//!
//! Making, renaming and deleting in a folder change its times; that a file in it grows does not, so files are looked at
//! all the same.

use std::fs;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::time::Duration;

use super::locate::{FileNames, Folder};
use crate::time::Timestamp;

/// A change as old as this has a time that no later change can get: file systems count in steps of up to two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// What tells a folder from another one at its path, and from itself before anything in it was made, renamed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderStamp {
    /// The device and the folder's number on it.
    pub file: (u64, u64),
    /// The last change of what it holds, in nanoseconds since 1970 (UTC).
    pub modified_ns: i128,
    /// The last change of anything, which nobody can set, in nanoseconds since 1970 (UTC).
    pub changed_ns: i128,
}

/// What a folder held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The folder.
    pub folder: Folder,
    /// The place of the folder that holds it among all listed ones, where it comes earlier; none for the first of a tree.
    pub parent: Option<usize>,
    /// What the folder must still be for the rest to be true; none where it has to be listed again in any case.
    pub stamp: Option<FolderStamp>,
    /// What was named like a transcript. The folders in it are those it is the parent of.
    pub files: FileNames,
}

/// What folders held when they were last listed, each before those in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listings {
    /// When everything was listed last.
    pub at: Timestamp,
    /// The folders.
    pub folders: Vec<Listed>,
}

impl FolderStamp {
    /// Looks at a folder. `None` where there is none, or where the system does not tell enough.
    #[cfg(unix)]
    pub fn of(folder: &Folder) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        // The first folder may be a link, those below are not followed.
        let is_root = folder.depth() == 0;
        let metadata =
            if is_root { fs::metadata(folder.path()) } else { fs::symlink_metadata(folder.path()) };
        let metadata = metadata.ok().filter(fs::Metadata::is_dir)?;
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    #[cfg(not(unix))]
    pub fn of(_folder: &Folder) -> Option<Self> {
        None
    }

    /// Returns whether a change after `now` must give the folder another stamp.
    ///
    /// A change within the same tick of the file system's clock as the last one would not show.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        let last = self.modified_ns.max(self.changed_ns);
        last + SETTLED_AFTER.as_nanos() as i128 <= i128::from(now.as_millis()) * 1_000_000
    }
}

#[cfg(feature = "sqlite")]
mod pack {
    use super::*;
    use crate::id::as_path;
    use crate::packed::{read_number, read_signed, read_text, write_number, write_signed, write_text};

    const NANOS: i128 = 1_000_000_000;
    /// What packed listings begin with. Those of older versions begin with a time, whose first byte is greater.
    const FORMAT: u64 = 2;

    impl Listings {
        /// Writes each folder as how far back its parent is, its name, its stamp, and the names of its files.
        pub(crate) fn pack(&self) -> Vec<u8> {
            let mut bytes = Vec::with_capacity(self.folders.len() * 192);
            write_number(&mut bytes, FORMAT);
            write_signed(&mut bytes, self.at.as_millis());
            for (place, Listed { folder, parent, stamp, files }) in self.folders.iter().enumerate() {
                match parent {
                    None => {
                        write_number(&mut bytes, 0);
                        write_text(&mut bytes, folder.path().as_os_str().as_encoded_bytes());
                    }
                    Some(parent) => {
                        write_number(&mut bytes, (place - parent) as u64);
                        write_text(&mut bytes, name(folder.path()));
                    }
                }
                write_stamp(&mut bytes, stamp.as_ref());
                write_text(&mut bytes, files.text());
            }
            bytes
        }

        /// Reads listings back; `None` where they are damaged, or in another format.
        pub(crate) fn unpack(mut bytes: &[u8]) -> Option<Self> {
            let bytes = &mut bytes;
            if read_number(bytes)? != FORMAT {
                return None;
            }
            let at = Timestamp::from_millis(read_signed(bytes)?);
            let mut folders: Vec<Listed> = Vec::new();
            while !bytes.is_empty() {
                let back = usize::try_from(read_number(bytes)?).ok()?;
                let text = read_text(bytes)?;
                let (parent, folder) = if back == 0 {
                    (None, Folder::first(as_path(text).into_owned()))
                } else {
                    let parent = folders.len().checked_sub(back)?;
                    (Some(parent), folders[parent].folder.below(as_path(plain(text)?).as_os_str())?)
                };
                let stamp = read_stamp(bytes)?;
                let files = FileNames::from_text(read_text(bytes)?)?;
                folders.push(Listed { folder, parent, stamp, files });
            }
            Some(Self { at, folders })
        }
    }

    fn write_stamp(bytes: &mut Vec<u8>, stamp: Option<&FolderStamp>) {
        write_number(bytes, u64::from(stamp.is_some()));
        let Some(FolderStamp { file, modified_ns, changed_ns }) = stamp else { return };
        write_number(bytes, file.0);
        write_number(bytes, file.1);
        for time in [modified_ns, changed_ns] {
            write_signed(bytes, time.div_euclid(NANOS) as i64);
            write_number(bytes, time.rem_euclid(NANOS) as u64);
        }
    }

    fn read_stamp(bytes: &mut &[u8]) -> Option<Option<FolderStamp>> {
        if read_number(bytes)? == 0 {
            return Some(None);
        }
        let file = (read_number(bytes)?, read_number(bytes)?);
        let mut time = || Some(i128::from(read_signed(bytes)?) * NANOS + i128::from(read_number(bytes)?));
        Some(Some(FolderStamp { file, modified_ns: time()?, changed_ns: time()? }))
    }

    fn name(path: &Path) -> &[u8] {
        path.file_name().unwrap_or_default().as_encoded_bytes()
    }

    /// Returns a name that leads nowhere but into its folder.
    fn plain(name: &[u8]) -> Option<&[u8]> {
        let leads_elsewhere =
            name.is_empty() || name == b"." || name == b".." || memchr::memchr(b'/', name).is_some();
        (!leads_elsewhere).then_some(name)
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_settled(changed_ms: i64, now_ms: i64, expected: bool) {
        let nanos = i128::from(changed_ms) * 1_000_000;
        let now = Timestamp::from_millis(now_ms);
        for (modified_ns, changed_ns) in [(nanos, 0), (0, nanos), (nanos, nanos)] {
            let stamp = FolderStamp { file: (1, 1), modified_ns, changed_ns };
            assert_eq!(stamp.is_settled(now), expected, "changed at {changed_ms}, looked at at {now_ms}");
        }
    }

    #[test]
    fn only_changes_of_a_while_ago_are_settled() {
        let now = 1_795_367_381_000;
        check_settled(now - 60_000, now, true);
        check_settled(now - 3_000, now, true);
        check_settled(now - 2_999, now, false);
        check_settled(now, now, false);
        // A clock that was set back, here or where the files are.
        check_settled(now + 1, now, false);
        check_settled(now + 86_400_000, now, false);
    }

    #[test]
    fn names_that_lead_elsewhere_are_damage() {
        let file = |name: &str| {
            let folder = Folder::first("/p".into());
            let mut files = FileNames::default();
            files.push(name.as_bytes());
            Listings {
                folders: vec![Listed { folder, parent: None, stamp: None, files }],
                ..Listings::default()
            }
        };
        let good = file("a.jsonl");
        assert_eq!(Listings::unpack(&good.pack()), Some(good));
        for name in ["..", ".", "", "/etc/passwd", "a//b", "../a"] {
            assert_eq!(Listings::unpack(&file(name).pack()), None, "{name}");
        }
        let other_format = &file("a.jsonl").pack()[1..];
        assert_eq!(Listings::unpack(other_format), None);
    }

    proptest! {
        #[test]
        fn unpack_is_total(bytes in any::<Vec<u8>>()) {
            let _ = Listings::unpack(&bytes);
        }
    }
}
