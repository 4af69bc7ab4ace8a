//! The real thing: sessions are opened on this machine, and a program in them says where it is.
//!
//! What is not installed is skipped with a word. `CLAUDEWATCH_REQUIRE_LIVE` names what must be there, or is `1` for all
//! of it. Whatever is started here has sockets, ports and folders of its own and is ended before the test is.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use serde::Deserialize;
use session_detect::{Confidence, Facts, IsolationKey, Kind, Session, detect_process};
use tempfile::TempDir;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `examples/verdict.rs` says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Verdict {
    kind: Kind,
    link: String,
    place: String,
    user: String,
    host: String,
    leader: u32,
    key: Option<IsolationKey>,
    mux: Option<String>,
    container: Option<String>,
    agent: Option<String>,
    sandbox: Option<String>,
    confidence: Confidence,
}

impl Verdict {
    fn of(session: Session) -> Self {
        Self {
            kind: session.kind,
            link: session.link,
            place: session.place,
            user: session.user,
            host: session.host,
            leader: session.pid,
            key: session.key,
            mux: session.mux,
            container: session.container,
            agent: session.agent,
            sandbox: session.sandbox,
            confidence: session.confidence,
        }
    }

    fn key(&self) -> &IsolationKey {
        self.key.as_ref().expect("a key on Linux")
    }

    #[track_caller]
    fn is(&self, kind: Kind, link: &str) -> &Self {
        assert_eq!((self.kind, self.link.as_str()), (kind, link), "{self:#?}");
        self
    }

    /// A terminal of this machine; where the tests run in a container, one of that.
    #[track_caller]
    fn is_local(&self) -> &Self {
        match &self.container {
            None => self.is(Kind::Local, "local"),
            Some(runtime) => self.is(Kind::Container, runtime),
        }
    }

    /// Nobody's screen; in a container all the same the container's.
    #[track_caller]
    fn is_script(&self) -> &Self {
        match &self.container {
            None => self.is(Kind::Script, "local"),
            Some(runtime) => self.is(Kind::Container, runtime),
        }
    }
}

/// A folder for one test, in which programs are asked where they are.
struct Scene {
    folder: TempDir,
    questions: Cell<u32>,
}

/// A program that will say where it is, and then wait.
struct Question {
    command: String,
    /// Both ends of both pipes are open here, so that neither side waits for the other to open one.
    answer: RefCell<Option<File>>,
    hold: RefCell<Option<File>>,
}

/// What a program said, which waits until this is dropped.
struct Answer {
    verdict: Verdict,
    facts: Facts,
    interactive: bool,
    remote_ip: Option<String>,
    _hold: File,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), questions: Cell::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn question(&self) -> Question {
        let number = self.questions.replace(self.questions.get() + 1);
        let pipe = |name: &str| {
            let path = self.path(&format!("{name}-{number}"));
            nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a pipe");
            let file = File::options().read(true).write(true).open(&path).expect("open the pipe");
            (path.display().to_string(), RefCell::new(Some(file)))
        };
        let ((answer_path, answer), (hold_path, hold)) = (pipe("answer"), pipe("hold"));
        let command = format!("{} {answer_path} {hold_path}", program().display());
        Question { command, answer, hold }
    }

    /// A file of shell commands.
    fn script(&self, name: &str, lines: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("{lines}\n")).expect("write a script");
        format!("sh {}", path.display())
    }

    /// A command that starts one in a session of its own, once `setsid`, which forks, is none of its ancestors.
    fn orphan(&self, command: &str) -> String {
        const WAIT: &str =
            r#"while grep -qs '(setsid)' "/proc/$(cut -d' ' -f4 /proc/$$/stat)/stat"; do :; done"#;
        format!("setsid -f {} {command}", self.script("orphan.sh", &format!("{WAIT}\nexec \"$@\"")))
    }

    /// Runs a shell's command to its end, without this test's environment.
    #[track_caller]
    fn run(&self, command: &str) -> Output {
        let output = self.bare("timeout").args(["30", "sh", "-c", command]).output().expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
        output
    }

    /// Starts a shell's command that belongs to nobody: no terminal, no parent, no environment, as a daemon does.
    fn detach(&self, command: &str) {
        let status = self.bare("setsid").args(["-f", "sh", "-c", command]).status().expect("setsid starts");
        assert!(status.success(), "{command}");
    }

    fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.folder.path()).env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.env("SCREENDIR", self.path("screens"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Question {
    /// What the program says, and what it looks like from outside: the same.
    #[track_caller]
    fn answer(&self) -> Answer {
        let answer = self.inside();
        let pid = answer.facts.ancestry[0].pid;
        let outside = detect_process(pid).expect("a process that may be looked at");
        assert_eq!(answer.verdict, Verdict::of(outside), "inside and outside: {:#?}", answer.facts);
        answer
    }

    /// What the program says, which may have another number outside.
    #[track_caller]
    fn inside(&self) -> Answer {
        #[derive(Deserialize)]
        struct Line {
            interactive: bool,
            remote_ip: Option<String>,
            facts: Facts,
            #[serde(flatten)]
            verdict: Verdict,
        }
        let (sender, receiver) = channel();
        let pipe = self.answer.take().expect("asked once");
        thread::spawn(move || {
            let mut text = String::new();
            let read = BufReader::new(pipe).read_line(&mut text);
            let _ = sender.send(read.map(|_| text));
        });
        let text = in_time(&receiver, &self.command).expect("the pipe can be read");
        let Line { interactive, remote_ip, facts, verdict } =
            serde_json::from_str(&text).expect("a line of JSON");
        let hold = self.hold.take().expect("asked once");
        Answer { verdict, facts, interactive, remote_ip, _hold: hold }
    }
}

#[track_caller]
fn in_time<T>(receiver: &Receiver<T>, what: &str) -> T {
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The example, which `cargo test` builds beside the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own file");
        let target = test.parent().and_then(Path::parent).expect("a folder of the target");
        let program = target.join("examples/verdict");
        let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        if changed(&program) < changed(&test) {
            // `cargo test --test it` builds no examples.
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "-q", "--locked", "-p", "session-detect", "--example", "verdict"]);
            cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
            if target.ends_with("release") {
                cargo.arg("--release");
            }
            assert!(cargo.status().expect("cargo starts").success(), "build the example");
        }
        program
    })
}

/// Whether a tool can be used; says so where not, and fails where it was asked for.
#[track_caller]
fn have(tool: &str, works: bool) -> bool {
    let asked = std::env::var("CLAUDEWATCH_REQUIRE_LIVE").unwrap_or_default();
    let required = asked == "1" || asked.split(',').any(|name| name == tool);
    assert!(works || !required, "{tool} cannot be used here, and CLAUDEWATCH_REQUIRE_LIVE asks for it");
    if !works {
        let name = thread::current().name().unwrap_or_default().to_owned();
        // Past the capturing of a test that passes, so that a skipped one does not look like another.
        let _ = writeln!(std::io::stderr(), "{name}: skipped, {tool} cannot be used here");
    }
    works
}

fn installed(tool: &str) -> bool {
    succeeds("sh", &["-c", &format!("PATH=$PATH:/usr/sbin:/sbin command -v {tool}")])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tmux server of its own.
struct Tmux<'a> {
    scene: &'a Scene,
    socket: String,
}

impl<'a> Tmux<'a> {
    fn new(scene: &'a Scene) -> Self {
        let socket = scene.path("tmux").display().to_string();
        Self { scene, socket }
    }

    fn command(&self, rest: &str) -> String {
        format!("tmux -f /dev/null -S {} {rest}", self.socket)
    }

    #[track_caller]
    fn run(&self, rest: &str) {
        self.scene.run(&self.command(rest));
    }

    /// Attaches a client in a new terminal of nobody's, and detaches it.
    fn visit(&self) {
        self.run("set-hook -g client-attached 'wait-for -S attached'");
        self.run("set-hook -g client-detached 'wait-for -S detached'");
        self.scene.detach(&format!("script -qfc '{}' /dev/null", self.command("attach")));
        self.run("wait-for attached");
        self.run("detach-client -s s");
        self.run("wait-for detached");
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let command = self.command("kill-server");
        let _ = self.scene.bare("sh").args(["-c", &command]).status();
    }
}

/// Ways to start a program in a terminal that leave it in that session.
fn ways(scene: &Scene) -> Vec<(String, Question)> {
    let mut ways = vec![
        "Q",
        "env -i Q",
        "nohup Q </dev/null >/dev/null 2>&1",
        "setsid Q",
        "timeout 60 Q",
        "true | Q | cat",
        "(Q &)",
        "sh -c 'Q; true'",
        "script -qfc 'Q' /dev/null",
        "script -qfc 'setsid Q; true' /dev/null",
    ];
    let root = is_root();
    ways.extend(root.then_some("chroot / Q"));
    ways.extend((root && have("su", installed("su"))).then_some("su -c 'Q'"));
    if have("sudo", succeeds("sudo", &["-n", "true"])) {
        ways.extend(["sudo -n Q", "sudo -n sudo -n Q", "sudo -n env -i sh -c 'Q; true'"]);
    }
    let with_question = |way: &str| {
        let question = scene.question();
        (way.replace('Q', &question.command), question)
    };
    ways.into_iter().map(with_question).collect()
}

/// Asks in every way, one after the other; all get the first one's answer.
#[track_caller]
fn all_one(ways: &[(String, Question)]) -> Verdict {
    let mut first = None;
    for (way, question) in ways {
        let verdict = question.answer().verdict.clone();
        let first: &Verdict = first.get_or_insert_with(|| verdict.clone());
        let shown =
            |it: &Verdict| (it.kind, it.link.clone(), it.place.clone(), it.user.clone(), it.key.clone());
        assert_eq!(shown(&verdict), shown(first), "{way}");
    }
    first.expect("some way")
}

fn lines(ways: &[(String, Question)]) -> String {
    ways.iter().map(|(way, _)| way.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn whatever_is_started_in_a_pane_is_in_its_session() {
    if !have("tmux", installed("tmux")) {
        return;
    }
    let scene = Scene::new();
    let tmux = Tmux::new(&scene);
    let (ways, other, detached) = (ways(&scene), scene.question(), scene.question());
    let pane =
        scene.script("pane.sh", &format!("{}\n{}\nsleep 60", lines(&ways), scene.orphan(&detached.command)));
    tmux.run(&format!("new-session -d -s s '{pane}'"));
    tmux.run(&format!("split-window -t s {}", other.command));

    let second = other.answer();
    let first = all_one(&ways);
    first.is_local();
    assert_eq!((first.mux.as_deref(), second.verdict.mux.as_deref()), (Some("tmux"), Some("tmux")));
    assert_eq!(first.confidence, Confidence::Verified);
    assert_ne!(first.key(), second.verdict.key());
    if first.kind == Kind::Local {
        assert!(first.place.starts_with("pts/") && first.place != second.verdict.place, "{first:#?}");
    }
    let detached = detached.answer();
    assert_ne!(detached.verdict.is_script().key(), first.key());
}

#[test]
fn detaching_and_attaching_changes_no_key() {
    if !have("tmux", installed("tmux")) {
        return;
    }
    let scene = Scene::new();
    let tmux = Tmux::new(&scene);
    let (before, after) = (scene.question(), scene.question());
    let pane = scene.script("pane.sh", &format!("{}\n{}", before.command, after.command));
    tmux.run(&format!("new-session -d -s s '{pane}'"));
    let before = before.answer();
    tmux.visit();
    tmux.run("rename-session -t s t");
    let verdict = before.verdict.clone();
    drop(before);
    assert_eq!(after.answer().verdict, verdict);
}

#[test]
fn windows_of_screen_are_two_sessions() {
    if !have("screen", installed("screen")) {
        return;
    }
    let scene = Scene::new();
    let folder = scene.path("screens");
    fs::create_dir(&folder).expect("create");
    scene.run(&format!("chmod 700 {}", folder.display()));
    let (one, other) = (scene.question(), scene.question());
    scene.run(&format!("screen -dmS cw {}", one.command));
    let first = one.answer();
    scene.run(&format!("screen -S cw -X screen {}", other.command));
    let second = other.answer();
    for answer in [&first, &second] {
        assert_eq!(answer.verdict.is_local().mux.as_deref(), Some("screen"));
    }
    assert_ne!(first.verdict.key(), second.verdict.key());
    scene.run("screen -S cw -X quit");
}

#[test]
fn dtach_keeps_a_session() {
    if !have("dtach", installed("dtach")) {
        return;
    }
    let scene = Scene::new();
    let (question, inner) = (scene.question(), scene.question());
    let pane = scene.script("pane.sh", &format!("{}\n(env -i {})", question.command, inner.command));
    scene.run(&format!("dtach -n {} {pane}", scene.path("dtach").display()));
    let verdict = question.answer().verdict.clone();
    assert_eq!(verdict.is_local().mux.as_deref(), Some("dtach"));
    assert_eq!(inner.answer().verdict.key(), verdict.key());
}

#[test]
fn what_nobody_watches_is_a_script_of_its_own() {
    let scene = Scene::new();
    let starts = [
        "Q",
        "env -i Q",
        "sh -c 'Q; true'",
        "script -qfc 'Q' /dev/null",
        "nohup Q",
        "(AFTER Q &)",
        // As cron does: an almost empty environment, a shell, a pipe.
        "env -i SHELL=/bin/sh LOGNAME=root sh -c 'Q | cat; true'",
    ];
    // While the shell that leads the session is about to end, what is seen from inside and from outside may differ.
    const LEADER_ENDS: &str = r#"while [ -e "/proc/$(cut -d' ' -f6 /proc/$$/stat)" ]; do :; done"#;
    let after = scene.script("after.sh", &format!("{LEADER_ENDS}\nexec \"$@\""));
    let questions = starts.map(|start| (start, scene.question()));
    for (start, question) in &questions {
        scene.detach(&start.replace('Q', &question.command).replace("AFTER", &after));
    }
    let mut keys: Vec<IsolationKey> = Vec::new();
    for (start, question) in &questions {
        let answer = question.answer();
        let verdict = answer.verdict.is_script();
        assert!(!answer.interactive || start.starts_with("script"), "{start}");
        assert!(!keys.contains(verdict.key()), "{start} shares {}", verdict.key());
        keys.push(verdict.key().clone());
    }
}

/// A job's processes are one session, also where the job makes itself a terminal.
#[test]
fn one_job_is_one_session() {
    let scene = Scene::new();
    let ways: Vec<(String, Question)> =
        ["Q", "env -i Q", "script -qfc 'Q' /dev/null", "script -qfc 'sh -c \"Q; true\"' /dev/null"]
            .into_iter()
            .map(|way| {
                let question = scene.question();
                (way.replace('Q', &question.command), question)
            })
            .collect();
    scene.detach(&scene.script("job.sh", &lines(&ways)));
    all_one(&ways).is_script();
}

/// An SSH server of its own on the loopback, for the user that runs the tests.
struct Sshd<'a> {
    scene: &'a Scene,
    port: u16,
    _server: Running,
}

impl<'a> Sshd<'a> {
    fn start(scene: &'a Scene) -> Self {
        let path = |name: &str| scene.path(name).display().to_string();
        scene.run(&format!("ssh-keygen -q -t ed25519 -N '' -f {}", path("host")));
        scene.run(&format!(
            "ssh-keygen -q -t ed25519 -N '' -f {0} && cp {0}.pub {1}",
            path("id"),
            path("keys")
        ));
        if is_root() {
            // The server insists on its folder, which a package makes at boot.
            let _ = fs::create_dir("/run/sshd");
        }
        // Nobody holds the port until the server does; it would say so if somebody else were faster.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nPidFile none\nPrintMotd no\nPrintLastLog no\n",
            path("host"),
            path("keys"),
        );
        fs::write(scene.path("config"), config).expect("write");
        let mut command = scene.bare("/usr/sbin/sshd");
        let mut server = Running(
            command.args(["-D", "-e", "-f", &path("config")]).stderr(Stdio::piped()).spawn().expect("sshd"),
        );
        let log = BufReader::new(server.0.stderr.take().expect("piped"));
        let (sender, ready) = channel();
        // Read to its end, or the server would stop when the pipe is full.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok).filter(|line| line.contains("listening on")) {
                let _ = sender.send(line);
            }
        });
        in_time(&ready, "the server listens");
        Self { scene, port, _server: server }
    }

    fn login(&self, options: &str, command: &str) -> Running {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user").name;
        let line = format!(
            "exec ssh -F none -i {} -p {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
             {options} {user}@127.0.0.1 '{command}'",
            self.scene.path("id").display(),
            self.port,
        );
        Running(self.scene.bare("sh").args(["-c", &line]).spawn().expect("ssh starts"))
    }
}

fn have_ssh() -> bool {
    have("sshd", Path::new("/usr/sbin/sshd").exists() && installed("ssh") && installed("ssh-keygen"))
}

#[test]
fn logins_over_ssh() {
    if !have_ssh() {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene);

    let (ways, detached) = (ways(&scene), scene.question());
    let first =
        scene.script("first.sh", &format!("{}\n{}\nsleep 60", lines(&ways), scene.orphan(&detached.command)));
    let _first = sshd.login("-tt", &first);
    let second = scene.question();
    let _second = sshd.login("-tt", &second.command);
    let second = second.answer();
    let first = all_one(&ways);
    first.is(Kind::Ssh, "ssh_client");
    assert_eq!(first.confidence, Confidence::Verified);
    assert!(first.place.starts_with("pts/"), "{first:#?}");
    assert_eq!(second.remote_ip.as_deref(), Some("127.0.0.1"));
    assert!(second.interactive, "{:#?}", second.facts);
    second.verdict.is(Kind::Ssh, "ssh_client");
    assert_ne!(first.key(), second.verdict.key());
    assert_ne!(detached.answer().verdict.is_script().key(), first.key());

    // Without a terminal, and over a pipe instead of a port.
    let (silent, with_script, piped) = (scene.question(), scene.question(), scene.question());
    let both = format!("{}; script -qfc \"{}\" /dev/null", silent.command, with_script.command);
    let _silent = sshd.login("-T", &both);
    let silent = silent.answer().verdict.clone();
    assert_eq!(silent.is(Kind::Ssh, "ssh_client").place, "notty");
    assert_eq!(with_script.answer().verdict, silent);
    let proxy = format!("-T -o ProxyCommand=\"/usr/sbin/sshd -i -f {}\"", scene.path("config").display());
    let _piped = sshd.login(&proxy, &piped.command);
    let piped = piped.answer();
    assert_eq!(piped.verdict.is(Kind::Ssh, "ssh_client").place, "notty");
    assert_ne!(piped.verdict.key(), &silent.key.expect("a key"));
}

#[test]
fn a_multiplexer_in_a_login_outlives_it() {
    if !have_ssh() || !have("tmux", installed("tmux")) {
        return;
    }
    let scene = Scene::new();
    let sshd = Sshd::start(&scene);
    let tmux = Tmux::new(&scene);
    let (before, after) = (scene.question(), scene.question());
    let pane = scene.script("pane.sh", &format!("{}\n{}", before.command, after.command));
    let mut login = sshd.login("-tt", &tmux.command(&format!("new-session -s s \"{pane}\"")));
    let before = before.answer();
    assert_eq!(before.verdict.is(Kind::Ssh, "ssh_client").mux.as_deref(), Some("tmux"));
    assert_eq!(before.verdict.confidence, Confidence::Inherited);
    tmux.run("detach-client -s s");
    login.0.wait().expect("the login ends");
    tmux.visit();
    let verdict = before.verdict.clone();
    drop(before);
    let after = after.answer();
    assert_eq!(after.verdict, verdict);

    // The client that came last sits at this machine, and so are windows opened since.
    let local = scene.question();
    tmux.run(&format!("new-window -t s: {}", local.command));
    let local = local.answer();
    assert_eq!(local.verdict.is_local().mux.as_deref(), Some("tmux"));
    assert_ne!(local.verdict.key(), verdict.key());
}

#[test]
fn what_claude_code_starts_is_in_its_session() {
    if !have("tmux", installed("tmux")) {
        return;
    }
    let scene = Scene::new();
    let tmux = Tmux::new(&scene);
    let claude = scene.path("claude");
    fs::copy("/bin/sh", &claude).expect("a program of that name");
    let [shell, tool, piped, hook] = [(); 4].map(|()| scene.question());
    let inner = format!(
        "setsid {} </dev/null >/dev/null 2>&1; setsid sh -c \"{} | cat\"; CLAUDE_PID=$$ {}; sleep 60",
        tool.command,
        piped.command,
        scene.orphan(&hook.command)
    );
    let pane = scene.script("pane.sh", &format!("{}\n{} -c '{inner}'", shell.command, claude.display()));
    tmux.run(&format!("new-session -d -s s '{pane}'"));
    let session = shell.answer().verdict.clone();
    assert_eq!(session.is_local().agent, None);
    for (question, confidence) in
        [(tool, Confidence::Verified), (piped, Confidence::Verified), (hook, Confidence::Claimed)]
    {
        let answer = question.answer();
        let verdict = answer.verdict.is_local();
        assert_eq!((verdict.agent.as_deref(), verdict.confidence), (Some("claude-code"), confidence));
        assert_eq!((verdict.key(), answer.interactive), (session.key(), false));
    }
}

/// What `unshare` needs to make a process namespace here; `None` where it may not.
fn unshare() -> Option<&'static str> {
    let ways = ["--pid --fork --mount-proc", "--user --map-root-user --pid --fork --mount-proc"];
    ways.into_iter().find(|way| succeeds("sh", &["-c", &format!("unshare {way} true")]))
}

/// The process that has a number in a namespace, by its number here.
fn from_outside(namespace: &str, pid: u32) -> u32 {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_it = |number: &u32| {
        let link = fs::read_link(format!("/proc/{number}/ns/pid")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
        let inside =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().next_back());
        link.to_str() == Some(namespace) && inside == Some(&pid.to_string())
    };
    numbers.find(is_it).expect("the process can be seen from here")
}

#[test]
fn namespaces_with_equal_numbers_are_apart() {
    let Some(unshare) = unshare().filter(|_| have("unshare", true)) else {
        have("unshare", false);
        return;
    };
    let scene = Scene::new();
    let questions = [(); 3].map(|()| scene.question());
    let start = |question: &Question| scene.detach(&format!("unshare {unshare} {}", question.command));
    start(&questions[0]);
    start(&questions[1]);
    let (one, other) = (questions[0].inside(), questions[1].inside());
    for answer in [&one, &other] {
        assert_eq!(answer.facts.ancestry[0].pid, 1);
        assert!(answer.verdict.container.is_some() || answer.verdict.sandbox.as_deref() == Some("namespace"));
        answer.verdict.is_script();
    }
    assert_ne!(one.verdict.key(), other.verdict.key());
    let outside =
        |answer: &Answer| detect_process(from_outside(&answer.facts.ns.pid, 1)).expect("may be looked at");
    let keys = (outside(&one).key, outside(&other).key);
    assert!(keys.0.is_some() && keys.0 != keys.1, "{keys:?}");
    // One after the other: the namespace's number may be the same again.
    let first = one.verdict.clone();
    drop(one);
    start(&questions[2]);
    assert_ne!(questions[2].inside().verdict.key(), first.key());
}

/// Namespaces, a root in layers and a marker are what a runtime makes.
#[test]
fn a_container_made_by_hand() {
    let scene = Scene::new();
    let layers = scene.path("layers").display().to_string();
    let root = format!("{layers}/root");
    let folder = scene.folder.path().display().to_string();
    let target = program().parent().expect("a folder").display().to_string();
    let make = format!(
        "set -e; mount --make-rprivate /; mkdir -p {layers}; mount -t tmpfs none {layers}; cd {layers}; mkdir up work root
         mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root; touch root/.dockerenv
         mkdir -p {root}{folder} {root}{target}; mount --bind {folder} {root}{folder}
         mount --bind {target} {root}{target}; mount -t proc proc root/proc"
    );
    let try_it = format!("unshare --mount --pid --fork sh -c '{make}; chroot root true'");
    if !have("overlay", is_root() && succeeds("sh", &["-c", &try_it])) {
        return;
    }
    let (first, inner) = (scene.question(), scene.question());
    let init = scene.script("init.sh", &format!("{}\nsetsid {}", first.command, inner.command));
    let start = scene.script("start.sh", &format!("{make}\nexec setsid chroot root {init}"));
    scene.detach(&format!("unshare --mount --pid --fork {start}"));
    let answer = first.inside();
    let verdict = answer.verdict.is(Kind::Container, "docker");
    let pid = from_outside(&answer.facts.ns.pid, answer.facts.ancestry[0].pid);
    let outside = Verdict::of(detect_process(pid).expect("may be looked at"));
    assert_eq!((outside.kind, &outside.link, &outside.key), (verdict.kind, &verdict.link, &verdict.key));
    drop(answer);
    inner.inside().verdict.is(Kind::Container, "docker");
}

#[test]
fn a_container_of_a_runtime() {
    let runtime = ["docker", "podman"].into_iter().find(|runtime| succeeds(runtime, &["info"]));
    let image = |runtime: &str| succeeds(runtime, &["image", "inspect", "debian:stable-slim"]);
    let usable =
        runtime.filter(|runtime| image(runtime) || succeeds(runtime, &["pull", "debian:stable-slim"]));
    if !have("container", usable.is_some()) {
        return;
    }
    let runtime = usable.expect("was just checked");
    let scene = Scene::new();
    let folder = scene.folder.path().display().to_string();
    let target = program().parent().expect("a folder").display().to_string();
    let question = scene.question();
    let run = format!(
        "{runtime} run --rm -v {folder}:{folder} -v {target}:{target} debian:stable-slim {}",
        question.command
    );
    let _running = Running(scene.bare("sh").args(["-c", &run]).spawn().expect("starts"));
    question.inside().verdict.is(Kind::Container, runtime);
}

/// A notebook server and what is needed to talk to it, in a folder that is kept between runs; `None` where it cannot be
/// had.
fn jupyter() -> Option<PathBuf> {
    let target = program().parent().and_then(Path::parent).expect("a folder of the target");
    let folder = target.join("jupyter");
    let python = folder.join("bin/python");
    let usable = || {
        let import = "import ipykernel, jupyter_client, jupyter_server, jupyter_server_terminals";
        succeeds(&python.to_string_lossy(), &["-c", import])
    };
    if usable() {
        return Some(python);
    }
    let _ = fs::remove_dir_all(&folder);
    let made = succeeds("python3", &["-m", "venv", &folder.to_string_lossy()])
        && succeeds(
            &python.to_string_lossy(),
            &["-m", "pip", "install", "-q", "jupyter_server", "ipykernel"],
        );
    (made && usable()).then_some(python)
}

#[test]
fn a_notebook_and_its_terminals() {
    let python = jupyter();
    if !have("jupyter", python.is_some()) {
        return;
    }
    let python = python.expect("was just checked");
    let scene = Scene::new();
    let [cell, bang, detached, terminal, other] = [(); 5].map(|()| scene.question());
    let shells = [("terminal", &terminal), ("other", &other)];
    for (name, question) in shells {
        scene.script(name, &question.command);
    }
    let mut command = scene.bare(&python.to_string_lossy());
    // Started from another session, whose variables go on and mean nothing.
    command.env("SSH_CONNECTION", "203.0.113.9 51000 192.0.2.1 22").env("TMUX", "/tmp/x,4242,0");
    command.env("JUPYTER_RUNTIME_DIR", scene.path("runtime")).env("IPYTHONDIR", scene.path("ipython"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/notebook.py")).arg(scene.folder.path());
    command
        .args([&cell.command, &bang.command, &detached.command])
        .stdin(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut driver = Running(command.spawn().expect("python starts"));

    let cell = cell.answer().verdict.clone();
    let link = cell.container.clone().unwrap_or_else(|| "local".to_owned());
    assert_eq!(cell.is(Kind::Jupyter, &link).place, "jupyter");
    // `!cmd` has a terminal of its own, and is of the same notebook.
    assert_eq!(bang.answer().verdict, cell);
    assert_eq!(detached.answer().verdict, cell);
    let terminal = terminal.answer();
    let other = other.answer();
    let mut keys = vec![cell.key()];
    for answer in [&terminal, &other] {
        let verdict = answer.verdict.is(Kind::Jupyter, &link);
        assert!(!keys.contains(&verdict.key()), "{verdict:#?}");
        keys.push(verdict.key());
    }
    drop(driver.0.stdin.take());
    let mut rest = String::new();
    if let Some(mut output) = driver.0.stdout.take() {
        let _ = output.read_to_string(&mut rest);
    }
    driver.0.wait().expect("the server ends");
}
