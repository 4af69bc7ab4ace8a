//! What programs are called: the one table of names. To teach it a program, add a line here.
//!
//! A program that no line names is taken for what its place in the tree says, so a missing line costs precision, never a
//! wrong merge. Names are compared with a process's `comm` (cut to 15 bytes on Linux), its program's file name and the
//! first word of its command line.

use std::collections::HashMap;
use std::sync::LazyLock;

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
    /// Is the screen itself: starts programs for whoever sits at the machine.
    Desktop,
    /// Draws a terminal on a screen. An IDE is named.
    Emulator(Option<&'static str>),
}

use Role::{
    Agent, Ci, Desktop, Emulator, Interpreter, Jupyter, Keeper, Link, Listener, Login, Monitor, Mux, Pane,
    Relay, Scheduler, Shell, VsCode,
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
            "autoexpect",
            "tlog-rec-sessio",
            "tlog-rec-session",
            "tlog-rec",
            "luit",
            "sshpass",
            "gpg-agent",
            "mc",
            "turbo",
            "op",
            "aws-vault",
            "poetry",
            "pipenv",
            "hatch",
            "ipython",
            "ipython3",
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
    // Screen writes itself in capitals where it serves, also as `SCREEN-5.0.0`.
    (Mux("screen"), &["SCREEN*"]),
    (Mux("wezterm"), &["wezterm-mux-ser", "wezterm-mux-server"]),
    (Mux("shpool"), &["shpool"]),
    (Keeper("dtach"), &["dtach"]),
    (Keeper("abduco"), &["abduco"]),
    // Where servers cannot give themselves a title they are known by the terminals they keep.
    (Keeper("tmux"), &["tmux"]),
    (Keeper("tmate"), &["tmate"]),
    (Keeper("screen"), &["screen"]),
    (Keeper("zellij"), &["zellij"]),
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
    (Link("coder"), &["coder"]),
    (Link("devpod"), &["devpod"]),
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
            "supercronic",
            "dcron",
            "mcron",
            "yacron",
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
        Desktop,
        &[
            "gnome-shell",
            "gnome-session*",
            "plasmashell",
            "ksmserver",
            "kwin_wayland",
            "kwin_x11",
            "xfce4-session",
            "xfce4-panel",
            "cinnamon",
            "cinnamon-sessio",
            "cinnamon-session",
            "mate-session",
            "mate-panel",
            "lxqt-session",
            "lxqt-panel",
            "lxsession",
            "budgie-panel",
            "i3",
            "sway",
            "Hyprland",
            "niri",
            "river",
            "labwc",
            "openbox",
            "awesome",
            "bspwm",
            "dwm",
            "xmonad*",
        ],
    ),
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
            "cool-retro-term",
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
            "remote-dev-serv",
            "remote-dev-server",
        ],
    ),
    (Emulator(Some("sublime")), &["sublime_text"]),
];

/// What of a command line is ever kept: which of these it shows. Most are the name of a script or module, or a folder on
/// the way to one; what is handed to a script as data does not count.
pub const MARKS: &[&str] = &[
    "ipykernel_launcher",
    "ipykernel",
    "kernel-*.json",
    "jupyter-server",
    "jupyter_server",
    "jupyter-lab",
    "jupyterlab",
    "jupyter-notebook",
    "notebook",
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
    "swarm-client.jar",
    "jenkins.war",
    "teamcity",
    "zellij --server",
];

/// Tells which of [`MARKS`] a command line shows. The rest of it may hold secrets and is forgotten.
pub(crate) fn marks(words: &[&str], exe: &str) -> Vec<String> {
    let what = &words[..script_end(words)];
    let paths = || what.iter().chain([&exe]);
    let parts = paths().flat_map(|path| path.split(['/', '\\'])).filter(|part| !part.is_empty()).collect();
    let files = what.iter().map(|word| file_name(word)).collect();
    let line = Line { words, exe, what, parts, files };
    MARKS.iter().filter(|mark| line.shows(mark)).map(|mark| (*mark).to_owned()).collect()
}

/// A command line, taken apart once for all the marks it is asked for.
struct Line<'a> {
    words: &'a [&'a str],
    exe: &'a str,
    /// The words that say what runs.
    what: &'a [&'a str],
    /// The folders and files of those words and of the program.
    parts: Vec<&'a str>,
    /// The last part of each of those words.
    files: Vec<&'a str>,
}

impl Line<'_> {
    fn shows(&self, mark: &str) -> bool {
        let Self { words, exe, what, .. } = self;
        let option = |option: &str, value: &dyn Fn(&str) -> bool| {
            words.windows(2).any(|pair| pair[0] == option && value(pair[1]))
        };
        let module = |name: &str| option("-m", &|module| module.split('.').next() == Some(name));
        let file = |name: &str| self.files.contains(&name);
        match mark {
            "ipykernel" | "notebook" | "jupyterlab" | "jupyter_server" => module(mark),
            "ipykernel_launcher" => module(mark) || file("ipykernel_launcher.py"),
            "kernel-*.json" => words.iter().any(|word| is_connection_file(file_name(word))),
            "zellij --server" => words.contains(&"--server") && file_name(exe) == "zellij",
            "/claude/versions/" => exe.contains(mark),
            "@anthropic-ai/claude-code" => what.iter().any(|word| word.contains(mark)),
            "teamcity" => words.iter().any(|word| word.contains("jetbrains.buildServer.agent")),
            jar if jar.ends_with(".jar") || jar.ends_with(".war") => {
                option("-jar", &|path| file_name(path) == jar)
            }
            option if option.starts_with("--") => words.contains(&option),
            // The folder of another channel has more at its end: `.vscode-server-insiders`.
            folder if folder.starts_with('.') => self.parts.iter().any(|part| part.starts_with(folder)),
            "code-server" | "openvscode-server" => self.parts.contains(&mark),
            _ => file(mark),
        }
    }
}

/// Where the words of a command line end that say what runs: the program, its own options, and the script.
fn script_end(words: &[&str]) -> usize {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match *word {
            "-X" | "-W" | "-r" | "--require" | "--import" | "-cp" | "-classpath" | "--class-path" => at += 2,
            option if option.starts_with('-') => at += 1,
            _ => break,
        }
    }
    (at + 1).min(words.len())
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Whether a file is what a kernel is told its sockets by: `kernel-` and an id, not any name of somebody's.
fn is_connection_file(name: &str) -> bool {
    let id = name.strip_prefix("kernel-").and_then(|rest| rest.strip_suffix(".json"));
    let id = id.map(|id| id.strip_prefix('v').unwrap_or(id));
    id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
}

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
    ("notebook", Jupyter),
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
    ("swarm-client.jar", Ci("jenkins")),
    ("jenkins.war", Ci("jenkins")),
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
        Some(Shell) if matches!(program, Some("busybox" | "toybox")) => applet(process),
        Some(Shell) => Some(Shell),
        Some(Interpreter) => Some(script(process).unwrap_or(Interpreter)),
        _ => native(process, by_program),
    }
}

/// A program of many names is what it was called as; a script it runs leaves the shell's name in the command line.
fn applet(process: &Process) -> Option<Role> {
    let called = first_name(process);
    if called.is_empty() { named(&process.comm).or(Some(Shell)) } else { named(called) }
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
    // These are often scripts themselves, and harmless where another script has the name.
    if let Some(role @ (Jupyter | Agent(_) | Relay | Scheduler | Emulator(_) | Ci(_))) = named(&process.comm)
    {
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

/// Looks a name up; the first line of the table that fits counts.
pub(crate) fn named(name: &str) -> Option<Role> {
    let table = &*TABLE;
    let first = name.as_bytes().first();
    let begins = |prefix: &str| prefix.as_bytes().first() == first && name.starts_with(prefix);
    let begun = || table.prefixes.iter().find(|(prefix, _)| begins(prefix)).map(|(_, role)| *role);
    // Every SSH server known calls itself so, and the next one will too.
    let server = || name.ends_with("sshd").then_some(Listener("ssh_client"));
    table.whole.get(name).copied().or_else(begun).or_else(server)
}

/// [`PROGRAMS`], by name: a verdict asks some hundred times.
struct Table {
    whole: HashMap<&'static str, Role>,
    prefixes: Vec<(&'static str, Role)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let lines = || PROGRAMS.iter().flat_map(|(role, names)| names.iter().map(|name| (*name, *role)));
    let prefix = |(name, role): (&'static str, Role)| Some((name.strip_suffix('*')?, role));
    Table {
        whole: lines().filter(|(name, _)| !name.ends_with('*')).collect(),
        prefixes: lines().filter_map(prefix).collect(),
    }
});

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

/// Whether an SSH server's title says that it listens.
pub(crate) fn title_of_listener(process: &Process) -> bool {
    process.arg0.starts_with("sshd: ") && process.arg0.contains("[listener]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, exe: &str, expected: &[&str]) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(marks(&words, exe), expected, "{line}");
    }

    #[test]
    fn a_script_or_module_is_marked() {
        let python = "/usr/bin/python3.11";
        check(
            "python3 -m ipykernel_launcher -f /r/kernel-1a-2b.json",
            python,
            &["ipykernel_launcher", "kernel-*.json"],
        );
        check("python3 -X frozen_modules=off -m ipykernel -f x", python, &["ipykernel"]);
        check(
            "R --slave -e IRkernel::main() --args /r/kernel-0c1d.json",
            "/usr/lib/R/bin/exec/R",
            &["kernel-*.json"],
        );
        check(
            "python /x/site/ipykernel_launcher.py --f=/r/kernel-v3aa01.json",
            python,
            &["ipykernel_launcher", "kernel-*.json"],
        );
        check("/usr/bin/python3 /usr/bin/jupyter-lab --port 1", python, &["jupyter-lab"]);
        check("python3 -m jupyter_server", python, &["jupyter_server"]);
        check("python3 -m notebook", python, &["notebook"]);
        let server = "/home/u/.vscode-server/cli/servers/S/server/node";
        check(
            "node /h/.vscode-server/out/bootstrap-fork --type=ptyHost",
            server,
            &["--type=ptyHost", ".vscode-server"],
        );
        check(
            "/h/.vscode-server-insiders/bin/1/node x.js",
            "/h/.vscode-server-insiders/bin/1/node",
            &[".vscode-server"],
        );
        check(
            "/usr/lib/code-server/lib/node /usr/lib/code-server",
            "/usr/lib/code-server/lib/node",
            &["code-server"],
        );
        check("node /x/@anthropic-ai/claude-code/cli.js", "/usr/bin/node", &["@anthropic-ai/claude-code"]);
        check("claude", "/h/.local/share/claude/versions/2.1.9", &["/claude/versions/"]);
        check("java -cp a.jar -jar /opt/agent.jar -url h", "/usr/bin/java", &["agent.jar"]);
        check("/usr/bin/zellij --server /run/x", "/usr/bin/zellij", &["zellij --server"]);
    }

    #[test]
    fn what_is_handed_to_a_script_is_not() {
        let python = "/usr/bin/python3";
        check("python3 -m pip install ipykernel jupyterlab notebook", python, &[]);
        check("python3 merge.py kernel-arm64.json", python, &[]);
        check("python3 backup.py /home/u/.vscode-server", python, &[]);
        check("node build.js --type=ptyHostile /x/code-server", "/usr/bin/node", &[]);
        check("java -javaagent:/x/jacocoagent.jar -jar app.jar agent.jar", "/usr/bin/java", &[]);
        check("cat /usr/bin/jupyter-lab-notes", "/usr/bin/cat", &[]);
        check("", "", &[]);
    }

    /// Linux cuts a name to 15 bytes, so a longer one is never seen alone.
    #[test]
    fn a_long_name_is_listed_as_it_is_seen_too() {
        let names = || PROGRAMS.iter().flat_map(|(_, names)| names.iter().copied());
        let cut = |name: &&str| name.len() > 15 && !name.ends_with('*') && !name.ends_with(".exe");
        for name in names().filter(cut) {
            assert!(named(&name[..15]).is_some(), "{name}");
        }
    }
}
