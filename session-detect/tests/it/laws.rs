//! The laws of keys and verdicts, for whatever values there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use session_detect::{
    Confidence, Connection, Facts, IsolationKey, KEY_MAX, Process, ProcessId, SessionId, classify,
};

use crate::trees::Tree;

fn identity() -> impl Strategy<Value = ProcessId> {
    let number = || prop_oneof![Just(0), Just(u64::MAX), 0u64..20, any::<u64>()];
    let pid = || prop_oneof![Just(0), Just(u32::MAX), 1u32..20, any::<u32>()];
    let boot = || prop_oneof![Just(0), Just(u128::MAX), 0u128..3, any::<u128>()];
    prop_oneof![
        (boot(), number(), pid(), number())
            .prop_map(|(boot, domain, pid, start)| ProcessId::linux(boot, domain, pid, start)),
        (boot(), pid(), number()).prop_map(|(boot, pid, start)| ProcessId::mac_os(boot, pid, start)),
        (boot(), pid(), number()).prop_map(|(boot, pid, start)| ProcessId::windows(boot, pid, start)),
        (boot(), pid()).prop_map(|(boot, pid)| ProcessId::unknown(boot, pid)),
    ]
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..max),
        prop::collection::vec(prop::sample::select(b"aZ09._-%:~/\\ \n\xff.?".to_vec()), 0..max),
    ]
}

/// Boxed, since three of them in one test are too much for its stack.
fn key() -> BoxedStrategy<IsolationKey> {
    (bytes(40), "[ -~é]{0,20}", bytes(80), bytes(120), identity())
        .prop_map(|(place, link, user, host, leader)| IsolationKey::new(&place, &link, &user, &host, leader))
        .boxed()
}

fn parsed(text: &str) -> Option<IsolationKey> {
    text.parse().ok()
}

/// Texts that mean the same as a key's and are not what is printed, or mean nothing.
fn not_canonical(text: &str) -> Vec<String> {
    let (display, tag) = text.split_once('~').expect("a tag");
    let parts: Vec<&str> = display.split(':').collect();
    let [place, link, user, host, pid] = parts[..] else { panic!("five parts") };
    let fields: Vec<&str> = tag.split('.').collect();
    let [version, boot, domain, tag_pid, start] = fields[..] else { panic!("five fields") };
    let with_user = |user: &str| format!("{place}:{link}:{user}:{host}:{pid}~{tag}");
    let with_pids = |one: &str, other: &str| {
        format!("{place}:{link}:{user}:{host}:{one}~{version}.{boot}.{domain}.{other}.{start}")
    };
    let with_tag = |tag: String| format!("{display}~{tag}");
    let other_pid = if pid == "7" { "8" } else { "7" };
    let arabic: String = pid.chars().map(|_| '\u{0661}').collect();
    let mut out = vec![
        with_user(&format!("%61{user}")),
        with_user(&format!("{user}%2D")),
        with_user(&format!("{user}%5c")),
        with_user(&format!("{user}%5")),
        with_user(&format!("{user}%")),
        with_user(&format!("{user}é")),
        with_user(&format!("{user} ")),
        with_user(""),
        with_user(&"a".repeat(KEY_MAX)),
        with_pids(&format!("0{pid}"), &format!("0{pid}")),
        with_pids(&format!("+{pid}"), &format!("+{pid}")),
        with_pids(&arabic, &arabic),
        with_pids(pid, other_pid),
        with_pids(other_pid, tag_pid),
        with_pids("4294967296", "4294967296"),
        with_pids("", ""),
        with_tag(format!("0{tag}")),
        with_tag(format!("4{}", &tag[1..])),
        with_tag(format!("{version}.0{boot}.{domain}.{pid}.{start}")),
        with_tag(format!("{version}.{}.{domain}.{pid}.{start}", &boot[1..])),
        with_tag(format!("{version}.{boot}.0{domain}.{pid}.{start}")),
        with_tag(format!("{version}.{boot}.{domain}.{pid}.0{start}")),
        with_tag(format!("{version}.{boot}.{domain}.{pid}.+{start}")),
        with_tag(format!("{version}.{boot}.{domain}.{pid}.")),
        with_tag(format!("{version}.{boot}.{domain}.{pid}.{start}.0")),
        with_tag(format!("{version}.{boot}.{domain}.{pid}")),
        with_tag(String::new()),
        format!("/{text}"),
        format!("./{text}"),
        format!("x//{text}"),
        format!("{place}:{}:{user}:{host}:{pid}~{tag}", "l".repeat(17)),
        format!("{place}:LOCAL:{user}:{host}:{pid}~{tag}"),
        format!("{place}:%6C:{user}:{host}:{pid}~{tag}"),
        format!("%2Ex{text}"),
        format!("{place}:{link}:{user}:{pid}~{tag}"),
        format!("{text}~"),
        format!("{text}\n"),
        format!(" {text}"),
        format!("{text}\0"),
        display.to_owned(),
        tag.to_owned(),
    ];
    let upper = tag.to_ascii_uppercase();
    out.extend((upper != tag).then(|| with_tag(upper)));
    let lower: String = lower_escapes(display);
    out.extend((lower != display).then(|| format!("{lower}~{tag}")));
    out
}

fn lower_escapes(text: &str) -> String {
    let mut pieces = text.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| {
        let (digits, rest) = piece.split_at(2);
        format!("{out}%{}{rest}", digits.to_ascii_lowercase())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Law 1.
    #[test]
    fn a_printed_key_is_read_back(key in key()) {
        let read = parsed(&key.to_string()).expect("what is printed parses");
        prop_assert_eq!(&read, &key);
        prop_assert_eq!(read.as_str(), key.as_str());
        prop_assert_eq!((read.place(), read.link(), read.pid()), (key.place(), key.link(), key.pid()));
        prop_assert_eq!((read.user(), read.host(), read.leader()), (key.user(), key.host(), key.leader()));
        prop_assert_eq!(ProcessId::parse_tag(key.tag()), Ok(key.leader()));
    }

    /// Law 2, for a printed key with some bytes replaced, taken out or put in.
    #[test]
    fn what_is_read_is_printed_again(
        key in key(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, "[ -~é]"), 0..3),
    ) {
        let mut letters: Vec<char> = key.as_str().chars().collect();
        for (at, edit, letter) in &edits {
            let at = at.index(letters.len());
            let letter = letter.chars().next().expect("one letter");
            match edit {
                0 => letters[at] = letter,
                1 => letters.insert(at, letter),
                _ => { letters.remove(at); }
            }
        }
        let text: String = letters.into_iter().collect();
        if let Some(read) = parsed(&text) {
            prop_assert_eq!(read.to_string(), text);
        }
    }

    /// Laws 3 and 4.
    #[test]
    fn the_text_is_plain_and_the_forms_begin_it(key in key()) {
        let text = key.to_string();
        prop_assert!(text.len() <= KEY_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
        let (display, tag) = text.split_once('~').expect("a tag");
        prop_assert!(!tag.contains(['~', ':', '/']));
        prop_assert_eq!(display.matches(':').count(), 4);
        prop_assert_eq!((display, tag), (key.session_id(), key.tag()));
        prop_assert!(text.starts_with(key.session_id()) && key.session_id().starts_with(key.short()));
        prop_assert_eq!(key.short().matches(':').count(), 3);
        let id: SessionId = display.parse().expect("a display form");
        prop_assert_eq!(id.as_str(), display);
        prop_assert_eq!((id.place(), id.link(), id.pid()), (key.place(), key.link(), key.pid()));
        prop_assert_eq!((id.user(), id.host(), id.short()), (key.user(), key.host(), key.short()));
    }

    /// Law 5.
    #[test]
    fn escaping_loses_nothing(a in bytes(40), b in bytes(40)) {
        let write = |user: &[u8]| IsolationKey::new(b"p", "l", user, b"h", ProcessId::unknown(0, 1));
        let is_value = |bytes: &[u8]| !bytes.is_empty() && bytes != b"?";
        if is_value(&a) && is_value(&b) {
            prop_assert_eq!(a == b, write(&a).session_id() == write(&b).session_id());
            prop_assert_eq!(write(&a).user(), String::from_utf8_lossy(&a));
            let escaped = write(&a).short().split(':').nth(2).expect("a user").to_owned();
            let safe = a.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
            let again = write(escaped.as_bytes());
            if escaped.len() <= 40 {
                prop_assert_eq!(safe, again.short().split(':').nth(2) == Some(escaped.as_str()));
            }
        }
    }

    /// Laws 6 and 7.
    #[test]
    fn the_tag_alone_is_the_identity(a in key(), b in key(), c in key(), leader in identity()) {
        let relabelled = IsolationKey::new(b"x", "y", b"z", b"w", a.leader());
        let hash = RandomState::new();
        for (a, b) in [(&a, &b), (&a, &relabelled), (&a, &a)] {
            prop_assert_eq!(a == b, a.tag() == b.tag());
            prop_assert_eq!(a == b, a.cmp(b).is_eq());
            prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
            prop_assert!(a != b || hash.hash_one(a) == hash.hash_one(b));
        }
        prop_assert_eq!(&a, &relabelled);
        prop_assert_eq!(hash.hash_one(&a), hash.hash_one(&relabelled));
        let mut sorted = [&a, &b, &c];
        sorted.sort();
        prop_assert!(sorted[0] <= sorted[2]);
        let moved = IsolationKey::new(b"p", "l", b"u", b"h", leader);
        prop_assert_eq!(moved == a, leader == a.leader());
    }

    /// Law 7, field by field.
    #[test]
    fn every_field_of_the_tag_counts(boot: u128, domain: u64, pid: u32, start: u64) {
        let one = ProcessId::linux(boot, domain, pid, start);
        let others = [
            ProcessId::linux(boot ^ 1, domain, pid, start),
            ProcessId::linux(boot, domain ^ 1, pid, start),
            ProcessId::linux(boot, domain, pid ^ 1, start),
            ProcessId::linux(boot, domain, pid, start ^ 1),
            ProcessId::mac_os(boot, pid, start),
            ProcessId::windows(boot, pid, start),
            ProcessId::unknown(boot, pid),
        ];
        let write = |id| IsolationKey::new(b"p", "l", b"u", b"h", id);
        for other in others {
            prop_assert_ne!(write(one), write(other));
            prop_assert_ne!(write(one).file_name(), write(other).file_name());
            prop_assert_ne!(write(one).socket_name(), write(other).socket_name());
        }
    }

    /// Law 8.
    #[test]
    fn the_file_name_is_one_on_every_disk(a in key(), b in key()) {
        let name = a.file_name();
        let whole = a.session_id().len() <= 140;
        prop_assert_eq!(IsolationKey::from_file_name(&name), whole.then(|| a.clone()));
        prop_assert!(name.len() <= 255, "{} bytes", name.len());
        prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\/:*?\"<>|".contains(&byte)), "{}", name);
        prop_assert!(name.starts_with("s-") && !name.ends_with('.'));
        prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
        prop_assert_eq!(name.rsplit_once('~').map(|it| it.1), Some(a.tag()));
        let shown = name.rsplit_once('~').expect("a tag").0;
        for (at, _) in shown.match_indices('%') {
            prop_assert!(shown.len() >= at + 3, "an escape is cut: {}", name);
        }
        prop_assert!(a == b || name.to_lowercase() != b.file_name().to_lowercase());
    }

    /// Law 9.
    #[test]
    fn the_socket_name_fits(a in key(), b in key()) {
        let name = a.socket_name();
        // The folder, a slash, the name and the zero that ends it.
        prop_assert!(40 + 1 + name.len() < 104, "{} bytes", name.len());
        prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        prop_assert_eq!(a == b, name == b.socket_name());
    }

    /// Law 10.
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in "\\PC{0,200}") {
        let texts = [String::from_utf8_lossy(&bytes).into_owned(), text];
        for text in texts {
            if let Some(read) = parsed(&text) {
                prop_assert_eq!(read.to_string(), text.clone());
            }
            if let Ok(id) = text.parse::<SessionId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    /// Law 10.
    #[test]
    fn every_other_way_to_write_a_key_is_refused(key in key()) {
        for text in not_canonical(key.as_str()) {
            prop_assert!(parsed(&text).is_none(), "{} parses", text);
        }
    }

    /// Law 11.
    #[test]
    fn keys_survive_json_and_sorting(keys in prop::collection::vec(key(), 0..8)) {
        let text = serde_json::to_string(&keys).expect("keys are text");
        let read: Vec<IsolationKey> = serde_json::from_str(&text).expect("and read back");
        let texts = |keys: &[IsolationKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        prop_assert_eq!(texts(&read), texts(&keys));
        let (mut forward, mut backward): (Vec<_>, Vec<_>) = (keys.clone(), keys.into_iter().rev().collect());
        forward.sort();
        backward.sort();
        prop_assert_eq!(forward, backward);
    }

    /// Law 14.
    #[test]
    fn a_connection_is_four_words_or_none(text in "[0-9a-f.:% \t+-]{0,60}", words in prop::collection::vec("[!-~]{1,9}", 0..6)) {
        for text in [text, words.join(" ")] {
            if let Some(ends) = Connection::parse(&text) {
                let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
                let ports = (ends.remote_port.to_string(), ends.local_port.to_string());
                prop_assert_eq!(words.len(), 4, "{}", &text);
                prop_assert_eq!((words[0], words[2]), (ends.remote_ip.as_str(), ends.local_ip.as_str()));
                prop_assert_eq!((words[1].trim_start_matches('0'), words[3].trim_start_matches('0')),
                    (ports.0.trim_start_matches('0'), ports.1.trim_start_matches('0')));
            }
        }
    }
}

#[test]
fn connections_of_every_form() {
    let ends = |text: &str| Connection::parse(text).map(|ends| (ends.remote_ip, ends.remote_port));
    let some = |ip: &str, port| Some((ip.to_owned(), port));
    assert_eq!(ends("192.0.2.7 51000 192.0.2.1 22"), some("192.0.2.7", 51000));
    assert_eq!(ends("2001:db8::7 51000 2001:db8::1 22"), some("2001:db8::7", 51000));
    assert_eq!(ends("fe80::1%eth0 51000 fe80::2%eth0 22"), some("fe80::1%eth0", 51000));
    for text in [
        "",
        "UNKNOWN 65535 UNKNOWN 65535",
        "192.0.2.7 51000 192.0.2.1",
        "192.0.2.7 51000 192.0.2.1 22 5",
        "192.0.2.7 +51000 192.0.2.1 22",
        "192.0.2.7 65536 192.0.2.1 22",
        "192.0.2.7 51000 192.0.2.1 -22",
        "192.0.2.7\t51000\t192.0.2.1\t22",
        "192.0.2.7%eth0 51000 192.0.2.1 22",
        "fe80::1% 51000 fe80::2 22",
        "fe80::1%\u{1b}[31m 51000 fe80::2 22",
        "fe80::1%é 51000 fe80::2 22",
        "host 51000 192.0.2.1 22",
        "[2001:db8::7] 51000 192.0.2.1 22",
    ] {
        assert_eq!(ends(text), None, "{text:?}");
    }
}

/// A key of each sort.
#[test]
fn the_printed_ids_of_the_guide_parse() {
    for (text, place, link) in [
        ("pts/0:local:user:host:4711", "pts/0", "local"),
        ("pts/1:ssh_client:user:host:4711", "pts/1", "ssh_client"),
        ("vscode:local:user:host:4711", "vscode", "local"),
        ("jupyter:local:user:host:4711", "jupyter", "local"),
        ("container:docker:user:host:4711", "container", "docker"),
        ("script:local:user:host:4711", "script", "local"),
        ("pts/1:local:herb:workstation:12345", "pts/1", "local"),
    ] {
        let id: SessionId = text.parse().expect("an id");
        assert_eq!((id.to_string().as_str(), id.place(), id.link()), (text, place, link));
    }
    for text in [
        "pts/0:local:user:host:pid",
        "pts/0:local:user:host",
        "pts/0:local:user:host:1:2",
        "pts/0:local:user:host:01",
        "pts/0:local:user:host:1~",
        "",
    ] {
        assert!(text.parse::<SessionId>().is_err(), "{text}");
    }
}

/// A tree with something that decides on top, and what a session is made of below it.
#[derive(Clone, Debug)]
struct Scene {
    /// Who decides, and those above.
    top: &'static str,
    /// The leader of the terminal; empty where there is none.
    leader: &'static str,
    /// Those between the leader and the process that asks, nearest to that one first.
    between: Vec<&'static str>,
    env: BTreeMap<String, String>,
    container: bool,
    hidden: bool,
}

const TOPS: &[&str] = &[
    "sshd-session < sshd-session < sshd < init",
    "sshd=sshd: herb@pts/1| < sshd=sshd: herb [priv]| < sshd < systemd",
    "dropbear < dropbear < init",
    "mosh-server < init",
    "xterm < gnome-shell < systemd",
    "xterm[pts/7] < bash*[pts/7] < sshd-session < sshd < init",
    "myterm < init",
    "code < code < systemd",
    "node{--type=ptyHost}{.vscode-server} < init",
    "jupyter-lab<python3> < systemd",
    "python3*{ipykernel_launcher} < jupyter-lab<python3> < init",
    "cron < cron < init",
    "systemd",
    "Runner.Worker < Runner.Listener < systemd",
    "containerd-shim-runc < init",
    "conmon < systemd",
    "tmux: server < init",
    "screen=SCREEN| < init",
    "zellij < init",
    "dtach < dtach[pts/7] < bash*[pts/7] < xterm < init",
    "nvim[pts/7] < bash*[pts/7] < sshd-session < sshd < init",
    "emacs < gnome-shell < systemd",
    "init",
    "",
];

/// Those whose terminals are what they were born as, which a variable tells.
fn keeps_terminals(top: &str) -> bool {
    ["tmux", "screen", "zellij"].iter().any(|name| top.starts_with(name))
}

const SHELLS: &[&str] = &["bash", "zsh", "fish", "sh", "dash", "nu"];
const RELAYS: &[&str] =
    &["sudo", "env", "timeout", "nice", "make", "script", "su", "nohup", "xargs", "expect"];

impl Scene {
    fn tree(&self) -> Tree {
        let tty = |name: &str, leads: &str| match self.leader {
            "" => name.to_owned(),
            _ => format!("{name}{leads}[pts/1]"),
        };
        let mut words: Vec<String> = vec![tty("monitor", "")];
        words.extend(self.between.iter().map(|name| tty(name, "")));
        words.push(match self.leader {
            "" => "sh*".to_owned(),
            leader => tty(leader, "*"),
        });
        if !self.top.is_empty() {
            words.push(self.top.to_owned());
        }
        let mut tree = Tree::of(&words.join(" < "));
        tree.facts.env = self.env.clone();
        if self.container {
            tree = tree.foreign().marker("/.dockerenv");
        }
        if self.hidden { tree.hidden() } else { tree }
    }
}

fn variable() -> impl Strategy<Value = (String, String)> {
    let names: Vec<String> = session_detect::variables().map(str::to_owned).collect();
    let values = prop_oneof![
        Just("1".to_owned()),
        Just("set".to_owned()),
        Just("vscode".to_owned()),
        Just("docker".to_owned()),
        Just("/dev/pts/1".to_owned()),
        Just("203.0.113.9 51000 192.0.2.1 22".to_owned()),
        Just(",1010,0".to_owned()),
        (1000u32..1100).prop_map(|pid| pid.to_string()),
        "[ -~]{0,20}",
    ];
    (prop::sample::select(names), values)
}

prop_compose! {
    fn scene()(
        top in prop::sample::select(TOPS),
        leader in prop::sample::select(&["", "bash", "zsh", "tlog-rec-sessio"][..]),
        between in prop::collection::vec(prop::sample::select([SHELLS, RELAYS].concat()), 0..5),
        env in prop::collection::btree_map(variable().prop_map(|it| it.0), variable().prop_map(|it| it.1), 0..6),
        container: bool, hidden: bool,
    ) -> Scene {
        Scene { top, leader, between, env, container, hidden }
    }
}

fn odd_name() -> impl Strategy<Value = String> {
    let known = "bash sh sudo script python3 node java nvim claude sshd sshd-session dropbear mosh-server code busybox \
                 jupyter-lab conmon cron systemd init xterm login screen dtach tmux git zellij idea gnome-shell Runner.Worker"
        .split_ascii_whitespace()
        .chain(["tmux: server", "SCREEN", ""])
        .map(str::to_owned)
        .collect::<Vec<_>>();
    prop_oneof![prop::sample::select(known), "[ -~]{0,16}"]
}

prop_compose! {
    fn odd_process()(
        pid in 0u32..8, sid in 0u32..8, start in 0u64..9,
        tty in prop::option::of(prop::sample::select(&["pts/0", "pts/1", "tty1", "console", "con", "ttys003"][..])),
        comm in odd_name(), arg0 in odd_name(), exe in odd_name(),
        mark in prop::collection::vec(prop::sample::select(session_detect::MARKS), 0..3),
        err in prop::option::weighted(0.05, Just("unreadable".to_owned())),
        pid_inside in prop::option::weighted(0.1, 0u32..3),
        ns in prop::option::weighted(0.1, "pid:\\[[0-9]{1,3}\\]"),
    ) -> Process {
        Process {
            pid, sid, start, comm, arg0, exe, err, pid_inside, ns,
            tty: tty.map(str::to_owned),
            mark: mark.into_iter().map(str::to_owned).collect(),
            ..Process::default()
        }
    }
}

prop_compose! {
    fn odd_facts()(
        ancestry in prop::collection::vec(odd_process(), 0..9),
        env in prop::collection::btree_map(variable().prop_map(|it| it.0), variable().prop_map(|it| it.1), 0..6),
        birth in prop::option::of(variable()),
        overlay: bool,
        dockerenv: bool,
        inode in prop::option::of(prop::sample::select(&[4_026_531_836u64, 4_026_532_181][..])),
        boot in prop::option::of("[0-9a-f-]{0,40}"),
        uid in prop::option::of(any::<u32>()),
        os in prop::sample::select(&["", "linux", "macos", "windows", "plan9"][..]),
    ) -> Facts {
        Facts {
            ancestry, env, uid,
            birth_env: birth.map(|pair| [pair].into()),
            root_mount: if overlay { "1 2 0:5 / / rw - overlay overlay rw".into() } else { String::new() },
            marker_files: dockerenv.then(|| "/.dockerenv".to_owned()).into_iter().collect(),
            ns: session_detect::Namespaces {
                pid: inode.map(|inode| format!("pid:[{inode}]")).unwrap_or_default(),
                ..Default::default()
            },
            boot_id: boot,
            os: os.to_owned(),
            ..Facts::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Law 15: the verdict is a function, total, of what is said and not of the order it is said in.
    #[test]
    fn any_facts_have_one_verdict(facts in odd_facts()) {
        let session = classify(&facts);
        prop_assert_eq!(&classify(&facts), &session);
        prop_assert_eq!(session.id().matches(':').count(), 4);
        prop_assert!(session.leader.is_none_or(|leader| leader < facts.ancestry.len()));
        if let Some(key) = &session.key {
            prop_assert_eq!(&parsed(key.as_str()).expect("a printed key"), key);
        }
        let text = serde_json::to_value(&facts).expect("facts are JSON");
        let mut backward = serde_json::Map::new();
        if let serde_json::Value::Object(map) = text {
            backward.extend(map.into_iter().rev());
        }
        let again: Facts = serde_json::from_value(backward.into()).expect("in any order");
        prop_assert_eq!(&classify(&again), &session);
    }

    /// Law 15: a variable that nothing confirms does not win over a process.
    #[test]
    fn a_variable_never_beats_a_process(scene in scene(), (name, value) in variable()) {
        let deciding = !matches!(scene.top, "" | "init" | "systemd") && !scene.hidden;
        let birth = keeps_terminals(scene.top) && name == "SSH_CONNECTION";
        // Under a foreign root the name of the runtime is a claim that is used for want of a better one.
        if deciding && !birth {
            let tree = scene.tree();
            let (before, after) = (tree.session(), tree.env(&name, &value).session());
            prop_assert_eq!((before.kind, before.leader, &before.key), (after.kind, after.leader, &after.key));
        }
    }

    /// Law 16.
    #[test]
    fn a_verified_kind_needs_no_variable(scene in scene(), facts in odd_facts()) {
        for mut facts in [scene.tree().facts, facts] {
            let before = classify(&facts);
            facts.env.clear();
            let after = classify(&facts);
            if before.confidence == Confidence::Verified {
                prop_assert_eq!((before.kind, before.leader), (after.kind, after.leader));
            }
        }
    }

    /// Law 17: shells and relays, and terminals that relays open, are stepped over.
    #[test]
    fn what_is_transparent_changes_nothing(
        scene in scene(), order in any::<prop::sample::Index>(),
        more in prop::collection::vec(prop::sample::select([SHELLS, RELAYS].concat()), 1..4),
        relay in prop::sample::select(&["sudo", "script", "expect", "asciinema", "claude"][..]),
    ) {
        let before = scene.tree().session();
        let leads = |session: &session_detect::Session, tree: &Tree| {
            session.leader.map(|leader| tree.facts.ancestry[leader].comm.clone())
        };
        let wanted = (before.kind, before.link.clone(), leads(&before, &scene.tree()));

        let mut longer = scene.clone();
        let at = order.index(longer.between.len() + 1);
        longer.between.splice(at..at, more);
        let found = longer.tree();
        let session = found.session();
        // Somebody who has no terminal and no session leader is led by the highest one, which is the same shell.
        prop_assert_eq!(&(session.kind, session.link.clone(), leads(&session, &found)), &wanted);

        if !scene.leader.is_empty() {
            let words = format!("monitor[pts/9] < zsh*[pts/9] < {relay}[pts/1] < {}*[pts/1]", scene.leader);
            let words = if scene.top.is_empty() { words } else { format!("{words} < {}", scene.top) };
            let mut tree = Tree::of(&words);
            tree.facts.env = scene.env.clone();
            if scene.container { tree = tree.foreign().marker("/.dockerenv"); }
            if scene.hidden { tree = tree.hidden(); }
            let session = tree.session();
            prop_assert_eq!((session.kind, session.link.clone(), leads(&session, &tree)), wanted);
        }
    }

    /// Law 18: where a parent is younger than its child, that number was given to another; nothing above it counts.
    #[test]
    fn a_younger_parent_ends_the_chain(
        scene in scene(), cut in any::<prop::sample::Index>(),
        above in prop::collection::vec(odd_process(), 1..4), other in prop::collection::vec(odd_process(), 1..4),
    ) {
        let mut facts = scene.tree().facts;
        let length = 1 + cut.index(facts.ancestry.len());
        facts.ancestry.truncate(length);
        let end = facts.ancestry.last().map_or(0, |last| last.start);
        let with = |above: &[Process]| {
            let mut facts = facts.clone();
            let first = Process { start: end + 1, err: None, ..above[0].clone() };
            facts.ancestry.push(first);
            facts.ancestry.extend_from_slice(&above[1..]);
            classify(&facts)
        };
        prop_assert_eq!(with(&above), with(&other));
    }
}

/// A kernel of the model: a boot, a clock, and processes in namespaces, whose numbers are given again at once.
struct Kernel {
    boot: u128,
    clock: u64,
    /// Every living session: its namespace's inode, the number of its leader, when that began, and which session it is.
    living: Vec<(u64, u32, u64, usize)>,
}

const NAMESPACES: u64 = 4;
const PIDS: u32 = 5;

impl Kernel {
    /// A session begins with the lowest free number of a namespace, whose inode may be that of one just gone.
    fn fork(&mut self, namespace: u64, serial: usize) {
        self.clock += 1;
        let taken: BTreeSet<u32> = self.living.iter().filter(|it| it.0 == namespace).map(|it| it.1).collect();
        if let Some(pid) = (1..=PIDS).find(|pid| !taken.contains(pid)) {
            self.living.push((namespace, pid, self.clock, serial));
        }
    }

    /// What a process of that session would find.
    fn facts(&self, at: usize, seen_from_outside: bool) -> Facts {
        let (namespace, pid, start, _) = self.living[at];
        let mut tree = Tree::of("monitor[pts/0] < bash*[pts/0] < xterm");
        let own = 4_026_532_000 + namespace;
        let leader = &mut tree.facts.ancestry[1];
        leader.start = start;
        if seen_from_outside {
            (leader.pid, leader.pid_inside) = (90, Some(pid));
            leader.ns = Some(format!("pid:[{own}]"));
        } else {
            leader.pid = pid;
            tree.facts.ns.pid = format!("pid:[{own}]");
        }
        let number = leader.pid;
        (tree.facts.ancestry[0].sid, tree.facts.ancestry[1].sid) = (number, number);
        tree.facts.ancestry[0].start = self.clock + 1;
        tree.facts.ancestry[2].start = 0;
        tree.facts.boot_id = Some(format!("{:032x}", self.boot));
        tree.facts
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Law 20.
    #[test]
    fn no_two_sessions_of_two_kernels_ever_share_a_key(
        boots in prop::array::uniform2(any::<u128>()),
        steps in prop::collection::vec((any::<bool>(), 0..NAMESPACES, 0usize..20), 1..400),
    ) {
        prop_assume!(boots[0] != boots[1]);
        let mut kernels = boots.map(|boot| Kernel { boot, clock: 0, living: Vec::new() });
        let mut sessions: HashMap<IsolationKey, usize> = HashMap::new();
        for (serial, (first, namespace, choice)) in steps.into_iter().enumerate() {
            let kernel = &mut kernels[usize::from(first)];
            if choice < 11 || kernel.living.is_empty() {
                kernel.fork(namespace, serial);
            } else {
                // Whoever lived less than a tick would be the exception that the contract names.
                kernel.clock += 1;
                kernel.living.swap_remove(choice % kernel.living.len());
            }
            // The session that is new, if one is, and another that has been there for a while.
            for at in [kernel.living.len().wrapping_sub(1), choice] {
                let Some((_, _, _, session)) = kernel.living.get(at) else { continue };
                let keys = [false, true].map(|outside| classify(&kernel.facts(at, outside)).key);
                let [Some(inside), Some(outside)] = keys else { panic!("enough is known") };
                prop_assert_eq!(&inside, &outside);
                let owner = *sessions.entry(inside.clone()).or_insert(*session);
                prop_assert_eq!(owner, *session, "{} was another session's", inside);
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod proc {
    use super::*;
    use crate::proc::{Entry, Proc};

    fn terminal(index: u32) -> u32 {
        (index & 0xff) | (136 << 8) | ((index & 0xfff00) << 12)
    }

    /// Variables that may hold a secret: those of which no value is kept, and those that are never looked at.
    fn secret_places() -> Vec<String> {
        let environ: String = session_detect::variables().map(|name| format!("{name}=x\0")).collect();
        let proc = Proc::new().with(&Entry { environ: environ.as_bytes(), ..Entry::default() });
        let kept = proc.view().capture(1).expect("readable").env;
        let is_kept = |name: &&str| kept.get(*name).is_some_and(|value| value == "x" && *name != "SHELL");
        let never = "JUPYTER_TOKEN JPY_API_TOKEN JUPYTERHUB_API_TOKEN ANTHROPIC_API_KEY ANTHROPIC_BASE_URL \
                     CLAUDE_CODE_MESSAGING_TOKEN CLAUDE_CODE_OAUTH_TOKEN GITHUB_TOKEN AWS_SECRET_ACCESS_KEY SUDO_COMMAND \
                     SSH_ORIGINAL_COMMAND DBUS_SESSION_BUS_ADDRESS JPY_SESSION_NAME PASSWORD HOME PATH PWD";
        let looked_at = session_detect::variables().filter(|name| !is_kept(name));
        looked_at.chain(never.split_ascii_whitespace()).map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Laws 12 and 13: whatever a process calls itself, and however high its terminal's number is.
        #[test]
        fn a_hostile_name_leaves_the_other_fields_alone(
            comm in prop::collection::vec(1u8..=255, 1..16), index in 0u32..(1 << 20), start in 2u64..u64::MAX,
        ) {
            let proc = Proc::new().with(&Entry::default()).with(&Entry {
                pid: 40, ppid: 1, sid: 40, tty: terminal(index), start, comm: &comm, exe: b"/bin/x", ..Entry::default()
            });
            let facts = proc.view().capture(40).expect("readable");
            let own = &facts.ancestry[0];
            prop_assert_eq!(&own.comm, &String::from_utf8_lossy(&comm));
            prop_assert_eq!(own.tty.clone(), Some(format!("pts/{index}")));
            prop_assert_eq!((own.pid, own.sid, own.start), (40, 40, start));
            prop_assert_eq!(facts.ancestry.len(), 2);
        }

        /// Law 19.
        #[test]
        fn no_secret_is_kept(
            secret in "[A-Za-z0-9]{12,24}", number in 2usize..9,
            program in prop::sample::select(&["python3", "node", "sshd", "monitor", "java", "tmux: server"][..]),
        ) {
            let secret = format!("hush-{secret}");
            let mut environ = Vec::new();
            for name in secret_places() {
                let value = match name.as_str() {
                    "TMUX" => format!("/tmp/{secret},77,0"),
                    "SHELL" => format!("/home/{secret}/bash"),
                    _ => format!("https://u:{secret}@h/?token={secret}"),
                };
                environ.extend(format!("{name}={value}\0").bytes());
            }
            let words = [
                format!("/opt/{secret}/{program}"), "-m".into(), "ipykernel_launcher".into(),
                format!("--IdentityProvider.token={secret}"), format!("/home/{secret}/.vscode-server/x"), secret.clone(),
                format!("kernel-{secret}.json"), format!("/x/{secret}/jupyter-lab"),
            ];
            let cmdline: Vec<u8> = words[..number.min(words.len())].iter().flat_map(|word| word.bytes().chain([0])).collect();
            let exe = format!("/home/{secret}/bin/{program}");
            let proc = Proc::new().with(&Entry { comm: program.as_bytes(), ..Entry::default() }).with(&Entry {
                pid: 40, ppid: 1, sid: 40, start: 5, comm: program.as_bytes(), exe: exe.as_bytes(),
                cmdline: &cmdline, environ: &environ, ..Entry::default()
            });
            let facts = proc.view().capture(40).expect("readable");
            let session = classify(&facts);
            let told = format!("{}{facts:?}{session:?}", serde_json::to_string(&facts).expect("facts are JSON"));
            prop_assert!(!told.contains(&secret), "{}", told);
        }
    }
}
