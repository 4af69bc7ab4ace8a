//! A folder of the form of `/proc`, for tests that read one.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use session_detect::ProcFs;
use tempfile::TempDir;

/// A `/proc` that holds only what a test put there.
pub(crate) struct Proc {
    folder: TempDir,
}

/// What a process of the folder looks like.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) sid: u32,
    pub(crate) tty: u32,
    pub(crate) start: u64,
    pub(crate) comm: &'a [u8],
    pub(crate) exe: &'a [u8],
    /// Words, each followed by a zero.
    pub(crate) cmdline: &'a [u8],
    /// Variables, each followed by a zero.
    pub(crate) environ: &'a [u8],
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            pid: 1,
            ppid: 0,
            sid: 1,
            tty: 0,
            start: 1,
            comm: b"init",
            exe: b"/sbin/init",
            cmdline: b"/sbin/init\0",
            environ: b"",
        }
    }
}

impl Proc {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let random = folder.path().join("sys/kernel/random");
        fs::create_dir_all(&random).expect("create");
        fs::write(random.join("boot_id"), "5f0c3b1e-9a7d-4c28-b6e1-0d93c4a2f781\n").expect("write");
        Self { folder }
    }

    pub(crate) fn with(self, entry: &Entry<'_>) -> Self {
        let Entry { pid, ppid, sid, tty, start, .. } = *entry;
        let own = self.path().join(pid.to_string());
        fs::create_dir_all(own.join("ns")).expect("create");
        fs::create_dir_all(own.join("root")).expect("create");
        fs::create_dir_all(own.join("fd")).expect("create");
        symlink("pid:[4026531836]", own.join("ns/pid")).expect("link");
        symlink(OsStr::from_bytes(entry.exe), own.join("exe")).expect("link");
        let write = |name: &str, bytes: &[u8]| fs::write(own.join(name), bytes).expect("write");
        let mut stat = format!("{pid} (").into_bytes();
        stat.extend(entry.comm);
        // The device number is printed as a signed one.
        let tty = tty.cast_signed();
        let rest =
            format!(") S {ppid} {pid} {sid} {tty} {pid} 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 99 1 2 3\n");
        stat.extend(rest.bytes());
        write("stat", &stat);
        write("cmdline", entry.cmdline);
        write("environ", entry.environ);
        write("cgroup", b"0::/\n");
        write("mountinfo", b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
        write("status", format!("Name:\tx\nUid:\t1000\t1000\t1000\t1000\nNSpid:\t{pid}\n").as_bytes());
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn view(&self) -> ProcFs {
        ProcFs::at(self.path())
    }
}
