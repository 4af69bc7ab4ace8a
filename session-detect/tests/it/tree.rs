//! Trees as they are known to look, and trees that nobody has listed: the verdict follows from how systems work.

use session_detect::{Confidence, Session};

use crate::trees::Tree;

/// Judges a tree: `kind:link` at its place, led by the process of that number in the tree, counted from 0 at the nearest.
#[track_caller]
fn check(tree: Tree, expected: &str, leader: usize) -> Session {
    let session = tree.session();
    let found = format!("{}:{} {}", session.kind, session.link, session.place);
    assert_eq!((found.as_str(), session.leader), (expected, Some(leader)), "{session:#?}");
    session
}

const SSHD: &str = "sshd-session < sshd-session < sshd < systemd";
const SHELL: &str = "monitor[pts/1] < bash*[pts/1]";

fn under(above: &str) -> Tree {
    Tree::of(&format!("{SHELL} < {above}"))
}

#[test]
fn keepers_of_one_terminal_are_stepped_over_while_their_starter_lives() {
    let dtach = "monitor[pts/1] < bash*[pts/1] < dtach < dtach[pts/0] < bash*[pts/0]";
    let session = check(Tree::of(&format!("{dtach} < xterm < systemd")), "local:local pts/1", 1);
    assert_eq!(session.mux.as_deref(), Some("dtach"));
    check(Tree::of(&format!("{dtach} < {SSHD}")), "ssh:ssh_client pts/1", 1);
    let left = under("dtach < init");
    check(left.clone(), "local:local pts/1", 1);
    check(left.born_with("SSH_CONNECTION", "203.0.113.9 51000 192.0.2.1 22"), "ssh:ssh_client pts/1", 1);
    check(under("abduco < systemd"), "local:local pts/1", 1);
}

#[test]
fn multiplexers_are_what_their_terminals_were_born_as() {
    for (server, name) in [
        ("tmux: server", "tmux"),
        ("tmux", "tmux"),
        ("screen=SCREEN|", "screen"),
        ("screen=SCREEN-5.0.0|", "screen"),
        ("SCREEN", "screen"),
        ("zellij", "zellij"),
        ("zellij{zellij --server}", "zellij"),
        ("tmate: server", "tmate"),
        ("shpool", "shpool"),
    ] {
        let tree = || under(&format!("{server} < init"));
        let session = check(tree(), "local:local pts/1", 1);
        assert_eq!(
            (session.mux.as_deref(), session.confidence),
            (Some(name), Confidence::Verified),
            "{server}"
        );
        let session = check(tree().over_ssh(), "ssh:ssh_client pts/1", 1);
        assert_eq!(
            (session.mux.as_deref(), session.confidence),
            (Some(name), Confidence::Inherited),
            "{server}"
        );
        // Exported later, or cleared by a program: the birth stays what it was.
        let born = tree().over_ssh().born_with("TERM", "screen");
        check(born, "local:local pts/1", 1);
    }
    // The server was started from VS Code; who looks at the pane, and where, nobody knows.
    let stale = under("tmux: server < init").env("VSCODE_IPC_HOOK_CLI", "set").env("VSCODE_INJECTION", "set");
    check(stale.env("TERM_PROGRAM", "tmux").env("SSH_TTY", "/dev/pts/1"), "local:local pts/1", 1);
    // A connection through a pipe has no ends, and is one.
    let piped = under("tmux: server < init").env("SSH_CONNECTION", "UNKNOWN 65535 UNKNOWN 65535");
    check(piped, "ssh:ssh_client pts/1", 1);
    let forged = under("tmux: server < init").env("SSH_CONNECTION", "a b c d");
    check(forged, "local:local pts/1", 1);
}

#[test]
fn where_processes_are_hidden_a_variable_is_a_claim() {
    let session = check(Tree::of(SHELL).hidden().over_ssh(), "ssh:ssh_client pts/1", 1);
    assert_eq!(session.confidence, Confidence::Claimed);
    let session = check(Tree::of(SHELL).hidden(), "local:local pts/1", 1);
    assert_eq!(session.confidence, Confidence::Assumed);
    let session = check(Tree::of("monitor*").hidden().over_ssh(), "ssh:ssh_client notty", 0);
    assert_eq!(session.confidence, Confidence::Claimed);
    // What can be seen is nearer than what cannot.
    check(under("xterm").hidden().over_ssh(), "local:local pts/1", 1);
    check(under("tmux: server").hidden().over_ssh().born_with("TERM", "x"), "local:local pts/1", 1);
}

#[test]
fn logins_over_the_network() {
    for (above, link) in [
        ("sshd-session < sshd-session < sshd < systemd", "ssh_client"),
        ("sshd < sshd < sshd < init", "ssh_client"),
        ("dropbear < dropbear < init", "ssh_client"),
        // Started for one login, as inetd and systemd's sockets do.
        ("sshd=sshd: root@pts/1| < systemd", "ssh_client"),
        ("sshd < systemd", "ssh_client"),
        ("dropbear < systemd", "ssh_client"),
        ("tinysshd < tcpserver < systemd", "ssh_client"),
        ("mosh-server < init", "mosh"),
        ("etterminal < init", "et"),
        ("login < tailscaled < tailscaled < systemd", "tailscale"),
        ("login < in.telnetd < xinetd < systemd", "telnet"),
        ("login=login|<busybox> < telnetd=telnetd|<busybox> < init", "telnet"),
        ("ttyd < systemd", "ttyd"),
        ("cockpit-bridge < cockpit-session < systemd", "cockpit"),
        ("ssm-session-wor < amazon-ssm-agen < systemd", "ssm"),
    ] {
        let session = check(under(above), &format!("ssh:{link} pts/1"), 1);
        assert_eq!(session.confidence, Confidence::Verified, "{above}");
    }
    check(Tree::of("monitor < sh* < sshd-session < sshd-session < sshd"), "ssh:ssh_client notty", 1);
    let asked = check(under("mosh-server < init").over_ssh(), "ssh:mosh pts/1", 1);
    assert_eq!(asked.connection, None, "a roaming client is elsewhere");
}

/// In a container whose process 1 listens for logins, every orphan is its child.
#[test]
fn a_server_that_adopts_orphans_serves_none_of_them() {
    let first = |text: &str| {
        let mut tree = Tree::of(text).foreign().marker("/.dockerenv");
        tree.facts.ancestry.last_mut().expect("a server").pid = 1;
        tree
    };
    check(first("monitor < daemon* < sshd"), "container:docker container", 1);
    check(first("monitor[pts/1] < bash*[pts/1] < tmux: server < sshd"), "container:docker container", 1);
    check(first("monitor[pts/1] < bash*[pts/1] < sshd < sshd"), "ssh:ssh_client pts/1", 1);
    let listening = "sshd=sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups|";
    check(first(&format!("monitor[pts/1] < bash*[pts/1] < sshd < {listening}")), "ssh:ssh_client pts/1", 1);
}

#[test]
fn editors_of_the_vs_code_family() {
    let local = |above: &str, product: &str| {
        let session = check(under(above), "vscode:local vscode", 1);
        assert_eq!(session.host_app.as_deref(), Some(product), "{above}");
    };
    local("code < code < gnome-shell < systemd", "vscode");
    local("cursor < cursor < systemd", "cursor");
    local("windsurf < systemd", "windsurf");
    local("codium < systemd", "vscodium");
    local("node{--type=ptyHost}{.cursor-server} < init", "cursor");
    local("node{code-server} < node{code-server} < systemd", "code-server");
    let remote = "node{--type=ptyHost}{.vscode-server} < node{.vscode-server} < sh < init";
    check(under(remote).over_ssh(), "vscode:ssh_client vscode", 1);
    check(under(remote), "vscode:local vscode", 1);
    // A dev container, a codespace, code-server in an image.
    let inside = |tree: Tree| tree.foreign().marker("/.dockerenv");
    check(inside(under(remote)).env("REMOTE_CONTAINERS", "set"), "vscode:docker vscode", 1);
    check(inside(under("node{code-server} < dumb-init")), "vscode:docker vscode", 1);
    check(
        inside(under("sshd < sshd < sshd < docker-init")).env("CODESPACES", "set"),
        "ssh:ssh_client pts/1",
        1,
    );
    // The Windows Subsystem for Linux has a process namespace of its own and is no container.
    let wsl = under(remote).kernel("5.15.167.4-microsoft-standard-WSL2").namespace(4_026_532_999);
    let session = check(wsl, "vscode:local vscode", 1);
    assert_eq!((session.platform.as_deref(), session.sandbox.as_deref()), (Some("wsl"), None));
    // One window's extensions are not another's, nor are their terminals.
    check(Tree::of("monitor < code < code < systemd"), "vscode:local vscode", 1);
    // Started from a terminal, or by `startx`, all of it keeps that terminal and shows others.
    check(
        Tree::of("monitor[pts/0] < code[pts/0] < code[pts/0] < bash*[pts/0] < xterm"),
        "vscode:local vscode",
        1,
    );
    check(
        Tree::of("monitor[tty1] < code[tty1] < i3[tty1] < xinit[tty1] < bash*[tty1] < login"),
        "vscode:local vscode",
        1,
    );
    check(
        Tree::of("monitor[pts/0] < bash*[pts/0] < code[tty2] < i3[tty2] < bash*[tty2]"),
        "vscode:local vscode",
        1,
    );
}

#[test]
fn what_a_variable_says_of_another_editor_or_login() {
    let stale = |tree: Tree| {
        tree.over_ssh()
            .env("SSH_TTY", "/dev/pts/1")
            .env("TERM_PROGRAM", "vscode")
            .env("VSCODE_PID", "1010")
            .env("JUPYTER_SERVER_ROOT", "set")
            .env("CONTAINER_ID", "set")
            .env("container", "docker")
            .env("TMUX", ",4242,0")
            .env("CI", "true")
    };
    check(stale(under("xterm < gnome-shell")), "local:local pts/1", 1);
    check(stale(under("myterm < systemd")), "local:local pts/1", 1);
    check(stale(under("code < systemd")), "vscode:local vscode", 1);
    check(stale(under(SSHD)), "ssh:ssh_client pts/1", 1);
    check(stale(Tree::of("monitor < sh* < cron < cron < systemd")), "script:local script", 1);
    check(stale(Tree::of("monitor < sh* < atd < atd < systemd")), "script:local script", 1);
    check(stale(Tree::of("monitor* < init")), "script:local script", 0);
    // An image's marker without the image.
    check(
        under("xterm < systemd").marker("/.dockerenv").marker("/run/.containerenv"),
        "local:local pts/1",
        1,
    );
}

#[test]
fn notebooks() {
    let server = "jupyter-lab<python3.11> < bash*[pts/0] < xterm";
    let kernel = format!("python3*{{ipykernel_launcher}} < {server}");
    check(Tree::of(&format!("monitor < {kernel}")), "jupyter:local jupyter", 1);
    // `!cmd` runs in a terminal of its own, a new one each time.
    check(Tree::of(&format!("monitor*[pts/7] < {kernel}")), "jupyter:local jupyter", 1);
    check(Tree::of(&format!("monitor[pts/7] < sh*[pts/7] < {kernel}")), "jupyter:local jupyter", 2);
    check(Tree::of(&format!("monitor* < {kernel}")), "jupyter:local jupyter", 1);
    check(Tree::of(&format!("{SHELL} < {server}")), "jupyter:local jupyter", 1);
    check(Tree::of("monitor < R*{kernel-*.json} < jupyter-lab"), "jupyter:local jupyter", 1);
    check(
        Tree::of(&format!("monitor < {kernel}")).foreign().marker("/.dockerenv"),
        "jupyter:docker jupyter",
        1,
    );
    check(
        Tree::of("monitor < python3*{ipykernel_launcher}{ipykernel} < code < systemd"),
        "jupyter:local jupyter",
        1,
    );
    // A gateway starts a kernel as the first process of a pod.
    let mut pod = Tree::of("monitor < python3*{ipykernel_launcher}").foreign().mounted_by("kubelet");
    pod.facts.ancestry[1].pid = 1;
    check(pod, "jupyter:kubernetes jupyter", 1);
    // Python in a terminal is a program like another.
    check(
        Tree::of("monitor[pts/1] < ipython<python3>[pts/1] < bash*[pts/1] < xterm"),
        "local:local pts/1",
        2,
    );
    check(
        Tree::of("monitor*[pts/2] < ipython<python3>[pts/1] < bash*[pts/1] < xterm"),
        "local:local pts/1",
        2,
    );
    check(
        Tree::of("monitor[pts/1] < pip{jupyterlab}<python3>[pts/1] < bash*[pts/1] < xterm"),
        "local:local pts/1",
        2,
    );
}

#[test]
fn containers() {
    let docker = |text: &str| Tree::of(text).foreign().marker("/.dockerenv");
    check(docker(SHELL), "container:docker container", 1);
    check(docker("monitor < sh*"), "container:docker container", 1);
    check(
        Tree::of(SHELL).foreign().marker("/run/.containerenv").marker("/.dockerenv"),
        "container:podman container",
        1,
    );
    check(Tree::of(SHELL).foreign().mounted_by("kubelet"), "container:kubernetes container", 1);
    check(
        Tree::of(SHELL)
            .foreign()
            .cgroup("/kubepods.slice/kubepods-pod1.slice/cri-containerd-0123456789ab.scope"),
        "container:kubernetes container",
        1,
    );
    check(
        Tree::of(SHELL).foreign().env("KUBERNETES_SERVICE_HOST", "set"),
        "container:kubernetes container",
        1,
    );
    check(Tree::of(SHELL).foreign(), "container:container container", 1);
    // A pod with the machine's processes in sight.
    check(
        under("containerd-shim-runc-v2 < systemd")
            .mounted_by("kubelet")
            .root_mount("1 2 0:5 / / rw - overlay overlay rw"),
        "container:kubernetes container",
        1,
    );
    check(under("conmon < systemd"), "container:podman container", 1);
    // The mounts of a runtime are over its hosts file, also where layers are no overlay.
    let zfs = "1 2 0:5 / / rw - zfs rpool/3f1 rw";
    check(
        Tree::of(SHELL).root_mount(zfs).namespace(4_026_532_181).mounted_by("containers"),
        "container:docker container",
        1,
    );
    let btrfs = "1 2 0:5 /@/var/lib/docker/btrfs/subvolumes/3f1 / rw - btrfs /dev/sda2 rw";
    check(
        Tree::of(SHELL).root_mount(btrfs).namespace(4_026_532_181).marker("/.dockerenv"),
        "container:docker container",
        1,
    );
    check(
        under("xterm < systemd").root_mount("1 2 0:5 /@ / rw - btrfs /dev/sda2 rw").marker("/.dockerenv"),
        "local:local pts/1",
        1,
    );
    let lxc = "1 2 0:5 /var/lib/lxc/c1/rootfs / rw - ext4 /dev/sda2 rw";
    let lxc = |text: &str| Tree::of(text).root_mount(lxc).namespace(4_026_532_181).env("container", "lxc");
    check(lxc(SHELL), "container:lxc container", 1);
    check(
        Tree::of(SHELL).cgroup("/lxc.payload.c1/user.slice").namespace(4_026_532_181),
        "container:lxc container",
        1,
    );
    // A whole system runs inside: what is nearer than the container decides.
    check(lxc(&format!("{SHELL} < {SSHD}")), "ssh:ssh_client pts/1", 1);
    check(lxc("monitor < sh* < cron < systemd"), "script:lxc script", 1);
    check(lxc("monitor[pts/1] < bash*[pts/1] < login < systemd"), "local:local pts/1", 1);
    check(lxc("monitor[pts/1] < bash*[pts/1] < systemd"), "container:lxc container", 1);
    check(docker("monitor < sh* < supercronic"), "script:docker script", 1);
    check(docker("monitor < supervisord<python3.11>"), "script:docker script", 0);
    check(docker("monitor[pts/1] < sh*[pts/1] < xterm"), "local:local pts/1", 1);
    // Podman's own shell on the way, with a root of its own for nobody else.
    check(Tree::of(SHELL).foreign().kernel("4.4.0-gvisor"), "container:gvisor container", 1);
}

#[test]
fn confined_but_in_no_container() {
    let session = check(Tree::of("monitor < sh* < bwrap").namespace(4_026_532_181), "script:local script", 1);
    assert_eq!(session.sandbox.as_deref(), Some("bubblewrap"));
    let session = check(under("unshare[pts/0] < bash*[pts/0] < xterm"), "local:local pts/0", 3);
    assert_eq!(session.sandbox, None);
    let session = check(Tree::of("monitor < sh*").namespace(4_026_532_181), "script:local script", 1);
    assert_eq!(session.sandbox.as_deref(), Some("namespace"));
}

#[test]
fn the_subsystem_for_linux() {
    let wsl =
        |text: &str| Tree::of(text).kernel("5.15.167.4-microsoft-standard-WSL2").namespace(4_026_532_999);
    for above in
        ["Relay(9) < SessionLeader < init", "Relay(9) < SessionLeader < init < systemd", "init < init"]
    {
        let session = check(wsl(&format!("{SHELL} < {above}")), "local:local pts/1", 1);
        assert_eq!(
            (session.platform.as_deref(), session.container.as_deref()),
            (Some("wsl"), None),
            "{above}"
        );
    }
    let docker = check(wsl(SHELL).foreign().marker("/.dockerenv"), "container:docker container", 1);
    assert_eq!(docker.platform, None);
}

#[test]
fn terminals_inside_editors_belong_to_the_editors_session() {
    let pane = |editor: &str, above: &str| {
        format!("monitor[pts/3] < zsh*[pts/3] < {editor}[pts/1] < bash*[pts/1] < {above}")
    };
    for editor in ["nvim", "vim", "emacs", "kak"] {
        let session = check(Tree::of(&pane(editor, "xterm")), "local:local pts/3", 1);
        assert_eq!(session.host_app.as_deref(), Some(editor));
        check(Tree::of(&pane(editor, SSHD)), "ssh:ssh_client pts/3", 1);
        check(Tree::of(&pane(editor, "tmux: server < init")), "local:local pts/3", 1);
        check(Tree::of(&pane(editor, "code < systemd")), "vscode:local vscode", 1);
        // `:!cmd` and `shell-command` have no terminal: the editor's session.
        let bang = format!("monitor* < {editor}[pts/1] < bash*[pts/1] < {SSHD}");
        check(Tree::of(&bang), "ssh:ssh_client pts/1", 2);
    }
    // On a desktop an editor has no terminal itself.
    check(under("emacs < gnome-shell < systemd"), "local:local pts/1", 1);
    check(under("emacs < systemd"), "local:local pts/1", 1);
    check(under("nvim < neovide < systemd"), "local:local pts/1", 1);
    check(under("emacs[tty1] < sway[tty1] < bash*[tty1] < login < systemd"), "local:local pts/1", 1);
}

#[test]
fn other_programs_that_show_terminals() {
    for (above, host_app) in [
        ("idea < systemd", Some("jetbrains")),
        ("zed-editor < systemd", Some("zed")),
        ("gnome-terminal- < systemd", None),
        ("kitty < systemd", None),
        ("konsole < plasmashell < systemd", None),
        ("guake<python3> < gnome-shell", None),
        ("myterm < gnome-shell < systemd", None),
        ("hyper < hyper < systemd", None),
    ] {
        let session = check(under(above), "local:local pts/1", 1);
        assert_eq!(session.host_app.as_deref(), host_app, "{above}");
        assert!(session.terminal_emulator.is_some(), "{above}");
    }
    let session =
        check(under("java < systemd").env("TERMINAL_EMULATOR", "JetBrains-JediTerm"), "local:local pts/1", 1);
    assert_eq!(session.host_app.as_deref(), Some("jetbrains"));
    let session =
        check(under("xterm < java").env("TERMINAL_EMULATOR", "JetBrains-JediTerm"), "local:local pts/1", 1);
    assert_eq!(session.host_app, None);
    check(under("java[pts/0] < sh[pts/0] < bash*[pts/0] < xterm"), "local:local pts/1", 1);
    // Whoever opened the terminal died; it is still somebody's.
    let session = check(under("init"), "local:local pts/1", 1);
    assert_eq!((session.confidence, session.terminal_emulator), (Confidence::Assumed, None));
}

/// The names of emulators are short, and other programs have them too.
#[test]
fn a_name_alone_is_no_screen() {
    for name in ["st", "rio", "hyper", "foot", "contour", "kitty"] {
        check(Tree::of(&format!("monitor < {name}* < cron < systemd")), "script:local script", 1);
        let shared = format!("monitor[pts/1] < {name}[pts/1] < bash*[pts/1] < {SSHD}");
        check(Tree::of(&shared), "ssh:ssh_client pts/1", 2);
    }
}

#[test]
fn relays_that_open_terminals_are_the_same_screen() {
    for relay in [
        "sudo",
        "script",
        "expect",
        "asciinema",
        "asciinema<python3.11>",
        "tlog-rec-sessio",
        "mc",
        "poetry<python3>",
        "op",
        "unbuffer<tclsh8.6>",
        "claude",
        "codex",
    ] {
        let inner = format!("monitor[pts/3] < zsh*[pts/3] < {relay}[pts/1] < bash*[pts/1]");
        check(Tree::of(&format!("{inner} < {SSHD}")), "ssh:ssh_client pts/1", 3);
        check(Tree::of(&format!("{inner} < xterm")), "local:local pts/1", 3);
        check(Tree::of(&format!("{inner} < tmux: server < init")), "local:local pts/1", 3);
    }
    // A login that is recorded from its first process on.
    check(under(&format!("tlog-rec-sessio*[pts/0] < {SSHD}")), "ssh:ssh_client pts/0", 2);
    let twice = "monitor[pts/5] < bash[pts/5] < sudo*[pts/5] < sudo[pts/4] < bash[pts/4] < sudo*[pts/4] < sudo[pts/3] < zsh*[pts/3]";
    check(Tree::of(&format!("{twice} < {SSHD}")), "ssh:ssh_client pts/3", 7);
    let console = "monitor[pts/5] < sudo*[pts/5] < sudo[tty1] < bash*[tty1] < login < systemd";
    check(Tree::of(console), "local:local tty1", 3);
    // No human is behind these terminals.
    check(under("script < sh* < cron < systemd"), "script:local script", 3);
    check(under("script < sh* < systemd"), "script:local script", 3);
    // An agent's tools have sessions of their own; they are of the agent's.
    check(under("script < sh* < claude < cron < systemd"), "script:local script", 4);
    check(Tree::of("monitor* < bash < claude < bash < bash* < init"), "script:local script", 4);
    check(under("script < sh* < sshd-session < sshd-session < sshd"), "ssh:ssh_client notty", 3);
    check(under("claude* < cron < systemd"), "script:local script", 2);
}

#[test]
fn consoles_and_serial_lines() {
    for tty in ["tty1", "ttyS0", "ttyAMA0", "hvc0", "console", "ttyUSB0"] {
        let text = format!("monitor[{tty}] < bash*[{tty}] < login < systemd");
        check(Tree::of(&text), &format!("local:local {tty}"), 1);
        check(
            Tree::of(&format!("monitor[{tty}] < sh*<busybox>[{tty}] < init")),
            &format!("local:local {tty}"),
            1,
        );
    }
    let claude = "monitor* < claude[tty1] < bash*[tty1] < login < systemd";
    let session = check(Tree::of(claude), "local:local tty1", 2);
    assert_eq!(session.agent.as_deref(), Some("claude-code"));
    check(
        Tree::of("monitor[pts/0] < bash*[pts/0] < xterm[tty1] < startx[tty1] < bash*[tty1] < login"),
        "local:local pts/0",
        1,
    );
    check(
        Tree::of("monitor[tty1] < sh[tty1] < Runner.Worker[tty1] < bash*[tty1] < login"),
        "script:local script",
        2,
    );
}

#[test]
fn nobodys_screen() {
    for above in [
        "cron < cron < systemd",
        "crond=crond|<busybox> < init",
        "systemd",
        "launchd",
        "runsv < runsvdir",
        "supervisord<python3> < systemd",
        "slurmstepd < slurmd < systemd",
        "init",
    ] {
        check(Tree::of(&format!("monitor < sh* < {above}")), "script:local script", 1);
    }
    check(under("slurmstepd < init"), "local:local pts/1", 1);
    check(under("systemd"), "local:local pts/1", 1);
}

/// Their leaders are gone, and the first process of the machine leads neither of them.
#[test]
fn two_orphans_are_two_sessions() {
    let orphan = |pid: u32| {
        let mut tree = Tree::of("monitor < init");
        (tree.facts.ancestry[0].pid, tree.facts.ancestry[0].start) = (pid, u64::from(pid));
        tree.session()
    };
    let (one, other) = (orphan(4001), orphan(4002));
    assert_eq!((one.place.as_str(), one.pid, other.pid), ("script", 4001, 4002));
    assert!(one.key.is_some() && one.key != other.key);
    // An orphan of an orphan belongs to it.
    check(Tree::of("monitor < worker < init"), "script:local script", 1);
    check(Tree::of("monitor < worker < systemd"), "script:local script", 1);
    check(
        Tree::of("monitor < worker < tini").foreign().marker("/.dockerenv"),
        "container:docker container",
        2,
    );
}

#[test]
fn jobs_of_a_continuous_integration() {
    let job = |above: &str, ci: &str, leader: usize| {
        let session =
            check(Tree::of(&format!("monitor < bash < sh < {above}")), "script:local script", leader);
        assert_eq!(session.ci.as_deref(), Some(ci), "{above}");
    };
    job("Runner.Worker < Runner.Listener < node < systemd", "github-actions", 3);
    job("Agent.Worker < Agent.Listener < systemd", "azure-pipelines", 3);
    // One daemon runs jobs of several projects at a time.
    job("gitlab-runner < systemd", "gitlab", 2);
    job("buildkite-agent < systemd", "buildkite", 2);
    job("java{agent.jar} < systemd", "jenkins", 2);
    job("java{remoting.jar} < sshd < sshd < sshd", "jenkins", 2);
    job("gitlab-runner[pts/0] < bash*[pts/0] < tmux: server", "gitlab", 2);
    // In an image the daemon is out of sight, and variables tell whose job it is.
    let session = check(
        Tree::of("monitor < sh*").foreign().marker("/.dockerenv").env("GITLAB_CI", "set").env("CI", "true"),
        "container:docker container",
        1,
    );
    assert_eq!(session.ci.as_deref(), Some("gitlab"));
    let session = check(under("xterm").env("CI", "true"), "local:local pts/1", 1);
    assert_eq!(session.ci, None);
}

#[test]
fn coding_agents_and_what_they_start() {
    let tool = "monitor < zsh* < claude[pts/1] < bash*[pts/1]";
    for (above, expected) in [
        (SSHD, "ssh:ssh_client pts/1"),
        ("xterm", "local:local pts/1"),
        ("code < systemd", "vscode:local vscode"),
    ] {
        let session = check(Tree::of(&format!("{tool} < {above}")), expected, 3);
        assert_eq!((session.agent.as_deref(), session.interactive), (Some("claude-code"), false), "{above}");
    }
    check(
        Tree::of(
            "monitor < zsh* < MainThread{@anthropic-ai/claude-code}<node>[pts/1] < bash*[pts/1] < xterm",
        ),
        "local:local pts/1",
        3,
    );
    check(
        Tree::of("monitor < 2.1.9{/claude/versions/}[pts/1] < bash*[pts/1] < xterm"),
        "local:local pts/1",
        2,
    );
    // Everything that an agent once started keeps its variable.
    let session = check(under("tmux: server < init").env("CLAUDECODE", "1"), "local:local pts/1", 1);
    assert_eq!(session.agent, None);
}

#[test]
fn programs_of_a_desktop() {
    let session = check(Tree::of("monitor* < gnome-shell < systemd"), "local:local notty", 0);
    assert_eq!(session.confidence, Confidence::Assumed);
    check(Tree::of("monitor < claude-desktop* < plasmashell < systemd"), "local:local notty", 1);
    check(Tree::of("monitor < emacs* < sway[tty1] < bash*[tty1] < login"), "local:local notty", 1);
}

#[test]
fn git_runs_hooks() {
    let session = check(
        Tree::of("monitor[pts/1] < sh[pts/1] < git[pts/1] < bash*[pts/1] < xterm")
            .env("GIT_INDEX_FILE", "set"),
        "local:local pts/1",
        3,
    );
    assert!(session.git_hook);
    assert!(!under("xterm").env("GIT_INDEX_FILE", "set").session().git_hook);
}

/// Two terminals are never one session, whatever program shows both.
#[test]
fn two_panes_of_one_program_have_two_keys() {
    for owner in [
        "tmux: server < init",
        "code < systemd",
        "xterm < systemd",
        "node{--type=ptyHost}{.vscode-server} < init",
        "myterm[pts/9] < bash*[pts/9] < xterm",
        "java[pts/9] < bash*[pts/9] < xterm",
        "nvim[pts/9] < bash*[pts/9] < xterm",
        "jupyter-lab<python3> < init",
        "dtach < init",
        "mosh-server",
        "idea < systemd",
        "gnome-terminal-",
    ] {
        let pane = |tty: &str, pid: u32| {
            let mut tree = Tree::of(&format!("monitor[{tty}] < bash*[{tty}] < {owner}"));
            let leader = &mut tree.facts.ancestry[1];
            (leader.pid, leader.sid) = (pid, pid);
            tree.facts.ancestry[0].sid = pid;
            tree.session().key.expect("enough is known")
        };
        assert_ne!(pane("pts/1", 2001), pane("pts/2", 2002), "{owner}");
        // Whoever asks within one of them gets the same answer.
        assert_eq!(pane("pts/1", 2001), pane("pts/1", 2001), "{owner}");
    }
}
