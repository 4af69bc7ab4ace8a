//! What programs are called: the one table of names. To teach it a program, add a line here.
//!
//! A program that no line names is taken for what its place in the tree says, so a missing line costs precision, never a
//! wrong merge. Names are compared with a process's `comm` (cut to 15 bytes on Linux), its program's file name and the
//! first word of its command line.

use crate::facts::Process;

/// What a program does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A command interpreter: the same session goes on.
    Shell,
    /// Runs a program on behalf of the same human, on the same screen, perhaps in a terminal of its own.
    Relay,
    /// Runs scripts: a relay, until it opens terminals.
    Interpreter,
    /// A coding agent: the same session goes on.
    Agent(&'static str),
    /// Shows terminals inside its own: an editor.
    Pane(&'static str),
    /// Keeps terminals alive without a screen.
    Mux(&'static str),
    /// Like [`Role::Mux`], but for one terminal and while its starter may live.
    Keeper(&'static str),
    /// Lets in somebody from another machine. Named by its link.
    Link(&'static str),
    /// Listens for those from other machines and counts only where its parent is one too.
    Listener(&'static str),
    /// VS Code and its relatives. Named by its product.
    VsCode(&'static str),
    /// The same as a server for a remote window.
    VsCodeServer(&'static str),
    /// Runs a notebook's cells.
    Kernel,
    /// Serves notebooks and terminals in a browser.
    Jupyter,
    /// Stands outside a container, above its first process. Named by its runtime.
    Monitor(&'static str),
    /// Runs the jobs of a continuous integration.
    Ci(&'static str),
    /// Starts programs by time or dependency, without anybody watching.
    Scheduler,
    /// Asks for the password; whoever started it tells more.
    Login,
    /// Draws a terminal on a screen. An IDE is named.
    Emulator(Option<&'static str>),
}

use Role::{
    Agent, Ci, Emulator, Interpreter, Jupyter, Keeper, Link, Listener, Login, Monitor, Mux, Pane, Relay,
    Scheduler, Shell, VsCode,
};

/// Names and roles. A name that ends in `*` stands for all that begin so.
const PROGRAMS: &[(Role, &[&str])] = &[
    (
        Shell,
        &[
            "sh",
            "bash",
            "dash",
            "ash",
            "busybox",
            "zsh",
            "fish",
            "ksh",
            "ksh93",
            "mksh",
            "oksh",
            "yash",
            "csh",
            "tcsh",
            "nu",
            "pwsh",
            "xonsh",
            "elvish",
            "osh",
            "ion",
            "rc",
            "cmd.exe",
            "powershell.exe",
            "toybox",
        ],
    ),
    (
        Relay,
        &[
            "sudo",
            "sudo-rs",
            "su",
            "su-rs",
            "doas",
            "run0",
            "pkexec",
            "runuser",
            "setpriv",
            "sg",
            "newgrp",
            "script",
            "scriptreplay",
            "scriptlive",
            "unbuffer",
            "expect",
            "env",
            "nohup",
            "setsid",
            "timeout",
            "nice",
            "ionice",
            "chrt",
            "taskset",
            "stdbuf",
            "strace",
            "ltrace",
            "gdb",
            "perf",
            "time",
            "watch",
            "make",
            "git",
            "ssh-agent",
            "direnv",
            "rlwrap",
            "asciinema",
            "ttyrec",
            "termrec",
            "chezmoi",
            "run-parts",
            "xargs",
            "parallel",
            "entr",
            "npm",
            "npx",
            "pnpm",
            "yarn",
            "dbus-run-sessio",
            "dbus-launch",
            "systemd-inhibit",
            "caffeinate",
            "faketime",
            "fakeroot",
            "proot",
            "chroot",
            "unshare",
            "nsenter",
            "bwrap",
            "firejail",
            "tini",
            "dumb-init",
            "docker-init",
            "catatonit",
            "conmon-init",
        ],
    ),
    (
        Interpreter,
        &["python*", "pypy*", "node*", "ruby*", "perl*", "java", "bun", "deno", "php*", "lua*", "MainThread"],
    ),
    (Agent("claude-code"), &["claude", "claude.exe"]),
    (Agent("codex"), &["codex"]),
    (Agent("gemini"), &["gemini"]),
    (Agent("cursor-agent"), &["cursor-agent"]),
    (Agent("aider"), &["aider"]),
    (Agent("opencode"), &["opencode"]),
    (Pane("nvim"), &["nvim"]),
    (Pane("vim"), &["vim", "vi", "gvim", "vim.basic", "vim.gtk3", "vim.tiny", "vim.nox"]),
    (Pane("emacs"), &["emacs*", "Emacs*"]),
    (Pane("kak"), &["kak"]),
    (Pane("helix"), &["helix", "hx"]),
    (Mux("tmux"), &["tmux: server"]),
    (Mux("tmate"), &["tmate: server"]),
    (Mux("screen"), &["SCREEN"]),
    (Mux("wezterm"), &["wezterm-mux-ser", "wezterm-mux-server"]),
    (Mux("shpool"), &["shpool"]),
    (Keeper("dtach"), &["dtach"]),
    (Keeper("abduco"), &["abduco"]),
    (Link("ssh_client"), &["sshd-session"]),
    (Listener("ssh_client"), &["sshd", "dropbear", "dropbearmulti"]),
    (Link("mosh"), &["mosh-server"]),
    (Link("et"), &["etterminal", "etserver"]),
    (Link("tailscale"), &["tailscaled"]),
    (Link("teleport"), &["teleport"]),
    (Link("telnet"), &["in.telnetd", "telnetd"]),
    (Link("rlogin"), &["in.rlogind", "rlogind", "in.rshd", "rshd"]),
    (Link("ttyd"), &["ttyd"]),
    (Link("gotty"), &["gotty"]),
    (Link("shellinabox"), &["shellinaboxd"]),
    (Link("cockpit"), &["cockpit-bridge", "cockpit-session"]),
    (Link("ssm"), &["ssm-session-wor", "ssm-session-worker"]),
    (Link("xrdp"), &["xrdp-sesman", "xrdp-sesexec"]),
    (VsCode("vscode"), &["code", "code-oss", "Code Helper*", "code-tunnel", "Code.exe"]),
    (VsCode("vscode-insiders"), &["code-insiders", "Code - Insiders*"]),
    (VsCode("vscodium"), &["codium", "vscodium", "VSCodium*"]),
    (VsCode("cursor"), &["cursor", "Cursor", "Cursor Helper*", "Cursor.exe"]),
    (VsCode("windsurf"), &["windsurf", "Windsurf*"]),
    (VsCode("positron"), &["positron", "Positron*"]),
    (VsCode("kiro"), &["kiro", "Kiro*"]),
    (VsCode("trae"), &["trae", "Trae*"]),
    (VsCode("antigravity"), &["antigravity", "Antigravity*"]),
    (Role::VsCodeServer("code-server"), &["code-server", "openvscode-serv", "openvscode-server"]),
    (
        Jupyter,
        &[
            "jupyter-server",
            "jupyter-lab",
            "jupyter-noteboo",
            "jupyter-notebook",
            "jupyterhub-singl",
            "jupyterhub-sing",
            "jupyterhub-singleuser",
        ],
    ),
    (Monitor("docker"), &["containerd-shim*", "docker-containe*"]),
    (Monitor("podman"), &["conmon"]),
    (Monitor("lxc"), &["lxc-start", "lxc-attach", "lxc-execute", "lxd", "incusd"]),
    (Monitor("nspawn"), &["systemd-nspawn"]),
    (Ci("github-actions"), &["Runner.Listener", "Runner.Worker"]),
    (Ci("azure-pipelines"), &["Agent.Listener", "Agent.Worker"]),
    (Ci("gitlab"), &["gitlab-runner", "gitlab-runner-h"]),
    (Ci("buildkite"), &["buildkite-agent"]),
    (Ci("circleci"), &["circleci-agent", "circleci-runner"]),
    (Ci("woodpecker"), &["woodpecker-agen", "woodpecker-agent"]),
    (Ci("forgejo"), &["act_runner", "forgejo-runner"]),
    (Ci("drone"), &["drone-runner*"]),
    (
        Scheduler,
        &[
            "cron",
            "crond",
            "CRON",
            "cronie",
            "anacron",
            "fcron",
            "bcron*",
            "incrond",
            "atd",
            "systemd",
            "launchd",
            "runsv",
            "runsvdir",
            "s6-supervise",
            "s6-svscan",
            "supervisord",
            "monit",
            "inetd",
            "xinetd",
            "slurmstepd",
            "slurmd",
            "pbs_mom",
            "sge_shepherd",
            "condor_starter",
            "services.exe",
            "taskeng.exe",
            "udevd",
            "systemd-udevd",
        ],
    ),
    (Login, &["login"]),
    (
        Emulator(None),
        &[
            "xterm",
            "uxterm",
            "koi8rxterm",
            "gnome-terminal*",
            "kgx",
            "ptyxis*",
            "konsole",
            "yakuake",
            "alacritty",
            "kitty",
            "wezterm-gui",
            "foot",
            "footclient",
            "st",
            "st-256color",
            "urxvt*",
            "rxvt*",
            "tilix",
            "tilda",
            "guake",
            "terminator",
            "xfce4-terminal",
            "mate-terminal",
            "lxterminal",
            "qterminal",
            "deepin-terminal",
            "terminology",
            "Eterm",
            "mlterm",
            "ghostty",
            "rio",
            "warp",
            "warp-terminal",
            "hyper",
            "tabby",
            "cool-retro-ter",
            "contour",
            "blackbox",
            "Terminal",
            "iTerm2",
            "iTermServer*",
            "mintty",
            "conhost.exe",
            "OpenConsole.exe",
            "WindowsTerminal*",
            "Relay(*",
            "SessionLeader",
            "zutty",
            "havoc",
            "sakura",
            "termite",
        ],
    ),
    (Emulator(Some("zed")), &["zed", "zed-editor", "zeditor", "Zed"]),
    (
        Emulator(Some("jetbrains")),
        &[
            "idea",
            "pycharm",
            "webstorm",
            "goland",
            "clion",
            "rider",
            "rustrover",
            "phpstorm",
            "rubymine",
            "datagrip",
            "fleet",
            "jetbrains*",
            "studio",
        ],
    ),
    (Emulator(Some("sublime")), &["sublime_text"]),
];

/// The words of a command line that tell what a script is; only these are ever kept of one. A word matches where an
/// argument holds it.
pub const MARKS: &[&str] = &[
    "ipykernel_launcher",
    "ipykernel",
    "kernel-*.json",
    "jupyter-server",
    "jupyter_server",
    "jupyter-lab",
    "jupyterlab",
    "jupyter-notebook",
    "jupyterhub-singleuser",
    "--type=ptyHost",
    "--type=extensionHost",
    ".vscode-server",
    ".cursor-server",
    ".windsurf-server",
    ".vscodium-server",
    ".positron-server",
    ".kiro-server",
    ".trae-server",
    ".antigravity-server",
    "code-server",
    "openvscode-server",
    "@anthropic-ai/claude-code",
    "/claude/versions/",
    "agent.jar",
    "remoting.jar",
    "slave.jar",
    "teamcity",
    "zellij --server",
];

/// What the marks of an interpreter's script make of it, the most telling first.
const SCRIPTS: &[(&str, Role)] = &[
    ("ipykernel_launcher", Role::Kernel),
    ("ipykernel", Role::Kernel),
    ("kernel-*.json", Role::Kernel),
    ("jupyter-server", Jupyter),
    ("jupyter_server", Jupyter),
    ("jupyter-lab", Jupyter),
    ("jupyterlab", Jupyter),
    ("jupyter-notebook", Jupyter),
    ("jupyterhub-singleuser", Jupyter),
    (".cursor-server", Role::VsCodeServer("cursor")),
    (".windsurf-server", Role::VsCodeServer("windsurf")),
    (".vscodium-server", Role::VsCodeServer("vscodium")),
    (".positron-server", Role::VsCodeServer("positron")),
    (".kiro-server", Role::VsCodeServer("kiro")),
    (".trae-server", Role::VsCodeServer("trae")),
    (".antigravity-server", Role::VsCodeServer("antigravity")),
    (".vscode-server", Role::VsCodeServer("vscode")),
    ("openvscode-server", Role::VsCodeServer("openvscode-server")),
    ("code-server", Role::VsCodeServer("code-server")),
    ("--type=ptyHost", VsCode("vscode")),
    ("--type=extensionHost", VsCode("vscode")),
    ("@anthropic-ai/claude-code", Agent("claude-code")),
    ("agent.jar", Ci("jenkins")),
    ("remoting.jar", Ci("jenkins")),
    ("slave.jar", Ci("jenkins")),
    ("teamcity", Ci("teamcity")),
];

/// Variables that a continuous integration sets, most telling first.
pub(crate) const CI_VARIABLES: &[(&str, &str)] = &[
    ("GITHUB_ACTIONS", "github-actions"),
    ("GITLAB_CI", "gitlab"),
    ("BUILDKITE", "buildkite"),
    ("CIRCLECI", "circleci"),
    ("JENKINS_URL", "jenkins"),
    ("TEAMCITY_VERSION", "teamcity"),
    ("TF_BUILD", "azure-pipelines"),
    ("TRAVIS", "travis"),
    ("DRONE", "drone"),
    ("CI", "unknown"),
];

/// Tells what a process is; `None` for a program that no line names.
///
/// The program file has the last word where it can be seen, since a script of any name runs under a shell or an
/// interpreter, and that is then what it is.
pub(crate) fn role(process: &Process) -> Option<Role> {
    let program = program(process);
    let by_program = program.and_then(named);
    if process.mark.iter().any(|mark| mark == "/claude/versions/") {
        return Some(Agent("claude-code"));
    }
    if process.mark.iter().any(|mark| mark == "zellij --server") {
        return Some(Mux("zellij"));
    }
    match by_program {
        Some(Shell) => Some(Shell),
        Some(Interpreter) => Some(script(process).unwrap_or(Interpreter)),
        _ => native(process, by_program),
    }
}

/// The role of a process that is no script, or whose program cannot be seen.
fn native(process: &Process, by_program: Option<Role>) -> Option<Role> {
    let (comm, arg0) = (named(&process.comm), named(first_name(process)));
    // A server tells by its title what its program does not: tmux, screen and sshd are also clients.
    let title = [comm, arg0].into_iter().flatten().find(|role| matches!(role, Mux(_) | Link(_)));
    let found = title.or(comm).or(by_program).or(arg0);
    match found {
        Some(Interpreter) => Some(script(process).unwrap_or(Interpreter)),
        Some(VsCode(product)) => Some(vscode(process, product)),
        Some(role) => Some(role),
        None => script(process),
    }
}

/// VS Code as a server for a remote window runs from a folder of that name.
fn vscode(process: &Process, product: &'static str) -> Role {
    match script(process) {
        Some(Role::VsCodeServer(server)) => Role::VsCodeServer(server),
        _ => VsCode(product),
    }
}

fn script(process: &Process) -> Option<Role> {
    if let Some(role @ (Jupyter | Agent(_))) = named(&process.comm) {
        return Some(kernel_before(process, role));
    }
    let has = |mark: &str| process.mark.iter().any(|found| found == mark);
    SCRIPTS.iter().find(|(mark, _)| has(mark)).map(|(_, role)| *role)
}

/// A kernel started through a server's launcher is a kernel.
fn kernel_before(process: &Process, role: Role) -> Role {
    let kernel = process.mark.iter().any(|mark| mark == "ipykernel_launcher" || mark == "kernel-*.json");
    if kernel { Role::Kernel } else { role }
}

/// Looks a name up.
pub(crate) fn named(name: &str) -> Option<Role> {
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    let listed = PROGRAMS
        .iter()
        .find(|(_, names)| names.iter().any(|pattern| matches(pattern)))
        .map(|(role, _)| *role);
    // Every SSH server known calls itself so, and the next one will too.
    listed.or_else(|| name.ends_with("sshd").then_some(Listener("ssh_client")))
}

/// The file name of the program, where it can be seen.
fn program(process: &Process) -> Option<&str> {
    let exe = process.exe.strip_suffix(" (deleted)").unwrap_or(&process.exe);
    let seen = !exe.is_empty() && !exe.starts_with('!');
    seen.then(|| exe.rsplit('/').next().unwrap_or(exe))
}

/// The first word of what a process calls itself, without folder and without the hyphen of a login shell.
fn first_name(process: &Process) -> &str {
    let word = process.arg0.split([' ', ':']).next().unwrap_or_default();
    let name = word.rsplit('/').next().unwrap_or(word);
    name.strip_prefix('-').unwrap_or(name)
}

/// What people would call a process: its `comm`, or the file name of its program where a script renamed it.
pub(crate) fn display_name(process: &Process) -> &str {
    if process.comm.is_empty() {
        program(process).unwrap_or_else(|| first_name(process))
    } else {
        &process.comm
    }
}

/// Whether an SSH server's title says that it serves a login and does not listen.
pub(crate) fn title_of_login(process: &Process) -> bool {
    let Some(title) = process.arg0.strip_prefix("sshd: ") else { return false };
    let at_terminal = title.split_once('@').is_some_and(|(user, _)| !user.contains('/'));
    title.ends_with("[priv]") || at_terminal
}
