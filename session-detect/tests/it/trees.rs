//! Process trees written down in a few words, for tests that judge them.

use session_detect::{Facts, Namespaces, Process, Session, classify};

/// A tree, built from the process that is asked about upwards.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) facts: Facts,
}

/// A process of that name: `xterm[pts/1]` has a terminal, `bash*[pts/1]` leads it.
///
/// `python3{ipykernel_launcher}` has a mark, `sshd="sshd: herb [priv]"` a title, and `node<busybox` runs a program of
/// another name.
fn process(text: &str) -> (Process, bool) {
    let mut process = Process { tpgid: -1, uid: Some(1000), ..Process::default() };
    let mut rest = text;
    let name_end = rest.find(['[', '{', '<', '=', '*']).unwrap_or(rest.len());
    rest[..name_end].clone_into(&mut process.comm);
    rest[..name_end].clone_into(&mut process.arg0);
    rest[..name_end].clone_into(&mut process.exe);
    rest = &rest[name_end..];
    let leads = rest.starts_with('*');
    rest = rest.strip_prefix('*').unwrap_or(rest);
    while !rest.is_empty() {
        let (open, inner) = rest.split_at(1);
        let close = match open {
            "[" => ']',
            "{" => '}',
            "<" => '>',
            "=" => '|',
            other => panic!("{other} in {text}"),
        };
        let (value, after) = inner.split_once(close).expect("what is opened is closed");
        match open {
            "[" => process.tty = Some(value.to_owned()),
            "{" => process.mark.push(value.to_owned()),
            "<" => value.clone_into(&mut process.exe),
            _ => value.clone_into(&mut process.arg0),
        }
        rest = after;
    }
    (process, leads)
}

impl Tree {
    /// A tree of a few words, nearest process first, each as in `bash*[pts/1]`: the `*` leads a session, of its terminal
    /// if it has one. The topmost process of a session that nobody leads has a dead leader.
    pub(crate) fn of(text: &str) -> Self {
        let words: Vec<(Process, bool)> = text.split(" < ").map(process).collect();
        let count = u32::try_from(words.len()).expect("a small tree");
        let mut ancestry: Vec<Process> = Vec::new();
        for (at, (process, _)) in words.iter().enumerate() {
            let above = count - u32::try_from(at).expect("a small tree");
            let pid = if process.comm == "init" || process.comm == "systemd" { 1 } else { 1000 + 10 * above };
            let start = u64::from(above) * 100;
            ancestry.push(Process { pid, pgrp: pid, start, ..process.clone() });
        }
        // Every process is in the session of the nearest leader at or above it with the same terminal.
        for at in 0..ancestry.len() {
            let leader = (at..ancestry.len()).find(|above| words[*above].1);
            let same = leader.filter(|above| ancestry[*above].tty == ancestry[at].tty);
            ancestry[at].sid = same.map_or(900, |leader| ancestry[leader].pid);
        }
        let facts = Facts {
            ancestry,
            ns: Namespaces { pid: "init".to_owned(), ..Namespaces::default() },
            root_mount: "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw".to_owned(),
            boot_id: Some("5f0c3b1e-9a7d-4c28-b6e1-0d93c4a2f781".to_owned()),
            hostname: "ws".to_owned(),
            users: [(1000, "herb".to_owned())].into(),
            uid: Some(1000),
            euid: Some(1000),
            ..Facts::default()
        };
        Self { facts }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.facts.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// An SSH connection in the environment, and in that of the terminal's leader.
    pub(crate) fn over_ssh(self) -> Self {
        self.env("SSH_CONNECTION", "203.0.113.9 51000 192.0.2.1 22")
    }

    pub(crate) fn born_with(mut self, name: &str, value: &str) -> Self {
        let birth = self.facts.birth_env.get_or_insert_default();
        birth.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn marker(mut self, file: &str) -> Self {
        self.facts.marker_files.push(file.to_owned());
        self
    }

    pub(crate) fn mounted_by(mut self, who: &str) -> Self {
        self.facts.mounted_by.push(who.to_owned());
        self
    }

    pub(crate) fn cgroup(mut self, path: &str) -> Self {
        self.facts.cgroup = format!("0::{path}");
        self
    }

    pub(crate) fn kernel(mut self, release: &str) -> Self {
        release.clone_into(&mut self.facts.kernel);
        self
    }

    /// A root folder in layers and an own process namespace, as containers have.
    pub(crate) fn foreign(mut self) -> Self {
        self.facts.root_mount = "603 602 0:52 / / rw,relatime - overlay overlay rw,lowerdir=x".to_owned();
        self.namespace(4_026_532_181)
    }

    pub(crate) fn root_mount(mut self, line: &str) -> Self {
        line.clone_into(&mut self.facts.root_mount);
        self
    }

    pub(crate) fn namespace(mut self, inode: u64) -> Self {
        self.facts.ns.pid = format!("pid:[{inode}]");
        self
    }

    /// The process after the last one may not be seen.
    pub(crate) fn hidden(mut self) -> Self {
        let err = Some("unreadable".to_owned());
        self.facts.ancestry.push(Process { pid: 7, err, ..Process::default() });
        self
    }

    pub(crate) fn session(&self) -> Session {
        classify(&self.facts)
    }
}
