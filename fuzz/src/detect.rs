//! What the targets of `session-detect` check.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use session_detect::claude::{self, RECORD_MAX, Record, RecordError};
use session_detect::{Confidence, Facts, IsolationKey, ProcFs, ProcessId, SessionId, classify};
use tempfile::TempDir;

/// A key: what parses is printed as it was, and none of its forms breaks.
pub fn isolation_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = text.parse::<SessionId>() {
        assert_eq!(id.to_string(), text);
        let _ = (id.place(), id.link(), id.user(), id.host(), id.short(), id.pid());
    }
    if let Ok(leader) = ProcessId::parse_tag(&text) {
        assert_eq!(leader.to_string(), text);
    }
    if let Ok(key) = text.parse::<IsolationKey>() {
        assert_eq!(key.to_string(), text);
        check_key(&key);
    }
    // The bytes as the names in a key, which is then one that parses.
    let mut parts = data.splitn(4, |byte| *byte == b'|');
    let [place, link, user, host] = [(); 4].map(|()| parts.next().unwrap_or_default());
    let leader = ProcessId::linux(7, 8, 9, 10);
    check_key(&IsolationKey::new(place, &String::from_utf8_lossy(link), user, host, leader));
}

fn check_key(key: &IsolationKey) {
    let again: IsolationKey = key.as_str().parse().expect("a key's own text");
    assert_eq!((again.as_str(), &again), (key.as_str(), key));
    let id: SessionId = key.session_id().parse().expect("the readable part of a key");
    assert_eq!((id.place(), id.link(), id.pid()), (key.place(), key.link(), key.pid()));
    assert!(key.file_name().len() <= 255 && key.file_name().is_ascii() && !key.file_name().contains('/'));
    assert!(key.socket_name().len() <= 62);
    let json = serde_json::to_string(key).expect("a key is text");
    assert_eq!(&serde_json::from_str::<IsolationKey>(&json).expect("of the same key"), key);
}

/// Facts from a file: any have a verdict, the same each time, also when they are written and read again.
pub fn classifier(data: &[u8]) {
    let Ok(facts) = serde_json::from_slice::<Facts>(data) else { return };
    let session = classify(&facts);
    assert_eq!(classify(&facts), session);
    assert_eq!(session.id().matches(':').count(), 4);
    assert!(session.leader.is_none_or(|leader| leader < facts.ancestry.len()));
    if let Some(key) = &session.key {
        check_key(key);
    }
    let json = serde_json::to_string(&facts).expect("facts are JSON");
    assert_eq!(classify(&serde_json::from_str(&json).expect("of the same facts")), session);
    if session.confidence == Confidence::Verified {
        let bare = classify(&Facts { env: Default::default(), ..facts });
        assert_eq!((bare.kind, bare.leader), (session.kind, session.leader), "a variable was needed");
    }
}

thread_local! {
    /// A folder that looks like `/proc`, with one process.
    static PROC: (TempDir, PathBuf) = {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("40");
        fs::create_dir_all(own.join("ns")).expect("create");
        symlink("pid:[4026531836]", own.join("ns/pid")).expect("link");
        (folder, own)
    };
}

/// The line of `/proc/<pid>/stat`: as it is, and as the name in one, which leaves its other fields alone. The other
/// files of the process hold the same bytes.
pub fn stat_line(data: &[u8]) {
    PROC.with(|(folder, own)| {
        for name in ["cmdline", "environ", "cgroup", "mountinfo", "status"] {
            fs::write(own.join(name), data).expect("write");
        }
        let capture = |line: &[u8]| {
            fs::write(own.join("stat"), line).expect("write");
            ProcFs::at(folder.path()).capture(40)
        };
        if let Ok(facts) = capture(data) {
            let _ = classify(&facts);
        }
        let comm = &data[..data.len().min(15)];
        let line = [b"40 (", comm, b") S 0 40 40 34817 40 0 0 0 0 0 0 0 0 0 20 0 1 0 1234 9 9\n"].concat();
        let facts = capture(&line).expect("a whole line");
        let process = &facts.ancestry[0];
        assert_eq!((process.pid, process.sid, process.start), (40, 40, 1234));
        assert_eq!(
            (process.tty.as_deref(), process.comm.as_str()),
            (Some("pts/1"), &*String::from_utf8_lossy(comm))
        );
    });
}

thread_local! {
    /// A folder that looks like `/proc`, in which process 40 is a Claude Code, and a config folder.
    static CLAUDE: (TempDir, PathBuf, PathBuf) = {
        let folder = tempfile::tempdir().expect("a folder");
        let (proc, config) = (folder.path().join("proc"), folder.path().join("config"));
        let own = proc.join("40");
        fs::create_dir_all(own.join("ns")).expect("create");
        fs::create_dir_all(config.join("sessions")).expect("create");
        let write = |name: &str, text: &str| fs::write(own.join(name), text).expect("write");
        write("stat", "40 (claude) S 0 40 40 34817 40 0 0 0 0 0 0 0 0 0 20 0 1 0 1234 9 9\n");
        write("cmdline", "claude\0");
        write("environ", "TERM=xterm\0");
        write("status", "Uid:\t0\t0\t0\t0\nNSpid:\t40\n");
        symlink("/home/herb/.local/share/claude/versions/2.1.330", own.join("exe")).expect("link");
        symlink("pid:[4026531836]", own.join("ns/pid")).expect("link");
        symlink("40", proc.join("self")).expect("link");
        (folder, proc, config)
    };
}

/// A record of a Claude Code, `sessions/<pid>.json`: any bytes are one or are refused, what is kept of them is short and can
/// do no harm in a path, and whoever looks for Claude Code beside such a record finds the true process and no other.
pub fn record(data: &[u8]) {
    let parsed = Record::parse(data, 40);
    assert_eq!(Record::parse(data, 40), parsed);
    assert_eq!(matches!(parsed, Err(RecordError::TooLarge)), data.len() > RECORD_MAX);
    match &parsed {
        Ok(record) => {
            check_record(record);
            assert_eq!(Record::parse(data, 41), Err(RecordError::OtherProcess { found: 40 }));
        }
        Err(RecordError::OtherProcess { found }) => {
            assert_ne!(*found, 40);
            check_record(&Record::parse(data, *found).expect("it is of that process"));
        }
        Err(_) => {}
    }
    CLAUDE.with(|(_, proc, config)| {
        for name in ["40.json", "pid-40.json", "41.json"] {
            fs::write(config.join("sessions").join(name), data).expect("write");
        }
        let found = claude::find_in(&ProcFs::at(proc), std::slice::from_ref(config));
        let pids: Vec<u32> = found.running.iter().map(|running| running.pid).collect();
        assert_eq!(pids, [40], "the one that lives");
        let told = found.running.iter().filter_map(|running| running.record.as_ref());
        told.chain(found.stale.iter().map(|stale| &stale.record)).for_each(check_record);
        let is_its = parsed.as_ref().is_ok_and(|record| record.process_start.as_deref() == Some("1234"));
        if is_its && !String::from_utf8_lossy(data).contains("pidDomain") {
            assert_eq!(found.running[0].record.as_ref(), parsed.as_ref().ok(), "its own record is believed");
        }
        let started = |record: &Record| record.process_start.as_deref().is_none_or(|start| start == "1234");
        assert!(
            found.running[0].record.as_ref().is_none_or(started),
            "a record of another process is believed"
        );
    });
}

fn check_record(record: &Record) {
    if let Some(id) = &record.conversation {
        assert!((1..=64).contains(&id.len()));
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id:?} in a file name");
    }
    let folder = record.working_folder.as_deref().map(Path::as_os_str).unwrap_or_default();
    assert!(folder.len() <= 4 << 10 && !folder.as_encoded_bytes().contains(&0));
    let Record { process_start, version, kind, entrypoint, waiting_for, name, status, .. } = record;
    let texts = [process_start, version, kind, entrypoint, waiting_for, name].into_iter().flatten();
    let status = status.as_ref().map(|status| status.name());
    for text in texts.map(String::as_str).chain(status) {
        assert!((1..=256).contains(&text.len()), "{} bytes are kept", text.len());
    }
}
