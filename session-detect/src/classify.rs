//! The rules: facts in, a verdict out. Total, pure, and the only place that decides.
//!
//! One climbs from the process to its parent and so on, and the first one that fixes a kind is the *boundary*: what is
//! nearest owns the screen. Whoever opened a terminal is the parent of its leader, and that tells more than any variable:
//! a variable is inherited for ever. Only where no process decides, the container does, then a terminal, then
//! nothing but a script is left.

use std::collections::BTreeMap;

use crate::claims::{Claims, Connection, is_connection};
use crate::container::{self, Container};
use crate::evidence::{Confidence, Evidence, Standing};
use crate::facts::{Facts, Namespaces, Process, Via};
use crate::kind::Kind;
use crate::names::{self, Role, display_name, role};
use crate::process::ProcessId;
use crate::session::Session;
use crate::warnings::warnings;

/// How many processes are looked at; nobody nests deeper.
pub(crate) const CHAIN_MAX: usize = 64;

/// Judges some facts; total, pure, and some microseconds long.
///
/// The kind never depends on a variable where a process decides it; [`Session::confidence`] says which it was.
///
/// # Examples
///
/// ```
/// use session_detect::{Facts, Kind, Process, classify};
///
/// let process = |pid: u32, comm: &str, tty: &str, sid: u32| Process {
///     pid,
///     comm: comm.to_owned(),
///     tty: (tty != "none").then(|| tty.to_owned()),
///     sid,
///     start: u64::from(pid),
///     ..Process::default()
/// };
/// let facts = Facts {
///     ancestry: vec![
///         process(40, "claudewatch", "pts/1", 30),
///         process(30, "bash", "pts/1", 30),
///         process(20, "sshd-session", "none", 20),
///     ],
///     ..Facts::default()
/// };
/// let session = classify(&facts);
/// assert_eq!((session.kind, session.place.as_str(), session.pid), (Kind::Ssh, "pts/1", 30));
/// ```
pub fn classify(facts: &Facts) -> Session {
    let (chain, complete) = trusted(&facts.ancestry);
    let climb = Climb { facts, chain, complete, container: container::container(facts) };
    let finding = climb.find();
    climb.session(finding)
}

/// The part of the chain that can be true, and whether it was all of it: every parent is older than its child, no process
/// occurs twice, and what cannot be read ends it.
pub(crate) fn trusted(ancestry: &[Process]) -> (&[Process], bool) {
    let ancestry = &ancestry[..ancestry.len().min(CHAIN_MAX)];
    let breaks = |at: usize| {
        let (child, parent) = (&ancestry[at - 1], &ancestry[at]);
        let younger = parent.err.is_none() && parent.start > child.start;
        younger || child.err.is_some() || ancestry[..at].iter().any(|process| process.pid == parent.pid)
    };
    match (1..ancestry.len()).find(|at| breaks(*at)) {
        Some(end) => (&ancestry[..end], false),
        None => (ancestry, ancestry.last().is_none_or(|last| last.err.is_none())),
    }
}

/// What the climb came to.
struct Finding {
    kind: Kind,
    link: String,
    leader: Option<usize>,
    confidence: Confidence,
    /// The process that decided; `None` where none did.
    boundary: Option<usize>,
    mux: Option<&'static str>,
    host_app: Option<&'static str>,
    evidence: Option<Evidence>,
}

struct Climb<'a> {
    facts: &'a Facts,
    chain: &'a [Process],
    complete: bool,
    container: Option<Container>,
}

/// What was passed on the way up.
#[derive(Clone, Copy, Default)]
struct Passed {
    /// The leader of a terminal that a program shows inside its own: the session has been found, its kind not yet.
    pane: Option<usize>,
    mux: Option<&'static str>,
    host_app: Option<&'static str>,
}

impl Climb<'_> {
    fn find(&self) -> Finding {
        let mut passed = Passed::default();
        for at in 0..self.chain.len() {
            if self.chain[at].err.is_some() {
                return self.unreadable(at, passed);
            }
            if let Some(finding) = self.step(at, &mut passed) {
                return finding;
            }
        }
        let end = self.chain.len();
        if self.complete { self.nobody(end, passed) } else { self.unreadable(end, passed) }
    }

    /// Whether the process at `at` decides; if not, what of it is remembered.
    fn step(&self, at: usize, passed: &mut Passed) -> Option<Finding> {
        let role = role(&self.chain[at]);
        if at == 0 {
            let kernel = (role == Some(Role::Kernel)).then(|| self.application(Kind::Jupyter, at, *passed));
            return kernel.or_else(|| self.console(at, *passed));
        }
        let owner = self.owns_terminal_below(at);
        let app = |app| Passed { host_app: Some(app), ..*passed };
        match role {
            Some(Role::Kernel) => return Some(self.application(Kind::Jupyter, at, *passed)),
            Some(Role::Jupyter) if !self.shares_terminal(at) => {
                return Some(self.surface(Kind::Jupyter, self.inner_link(), at, *passed));
            }
            Some(Role::VsCode(product)) => return Some(self.editor(self.inner_link(), at, app(product))),
            Some(Role::VsCodeServer(product)) => {
                return Some(self.editor(self.server_link(), at, app(product)));
            }
            Some(Role::Link(link)) => return Some(self.surface(Kind::Ssh, link.into(), at, *passed)),
            Some(Role::Listener(link)) if self.serves_login(at) => {
                return Some(self.surface(Kind::Ssh, link.into(), at, *passed));
            }
            Some(Role::Monitor(runtime)) => return Some(self.seen_from_outside(runtime, at, *passed)),
            Some(Role::Mux(name)) => {
                return Some(self.multiplexer(at, Passed { mux: Some(name), ..*passed }));
            }
            Some(Role::Keeper(name)) if owner => {
                *passed = Passed {
                    mux: Some(name),
                    pane: passed.pane.or_else(|| self.terminal_leader(at)),
                    ..*passed
                };
                let held = self.chain.get(at + 1).is_some_and(|starter| starter.tty.is_some());
                return if held { None } else { Some(self.multiplexer(at, *passed)) };
            }
            Some(Role::Ci(_)) => return Some(self.job(at, *passed)),
            Some(Role::Scheduler) => return Some(self.scheduled(at, *passed)),
            Some(Role::Desktop) => return Some(self.desktop(at, *passed)),
            Some(Role::Emulator(ide)) if self.shows_terminals(at, ide) => {
                return Some(self.emulator(at, Passed { host_app: ide.or(passed.host_app), ..*passed }));
            }
            Some(Role::Pane(app)) => {
                passed.host_app = passed.host_app.or(Some(app));
                self.open_pane(at, owner, passed);
            }
            None | Some(Role::Interpreter) if owner => {
                if self.chain[at].tty.is_none() {
                    return Some(self.unknown_owner(at, *passed));
                }
                self.open_pane(at, owner, passed);
            }
            _ => {}
        }
        self.console(at, *passed)
    }

    fn open_pane(&self, at: usize, owner: bool, passed: &mut Passed) {
        if owner && passed.pane.is_none() {
            passed.pane = self.terminal_leader(at);
        }
    }

    /// Whether the process at `at` opened the terminal that the one below leads: it is the leader's parent and lives
    /// elsewhere itself.
    fn owns_terminal_below(&self, at: usize) -> bool {
        let (below, above) = (&self.chain[at - 1], &self.chain[at]);
        below.leads_terminal() && above.via.is_none() && above.tty != below.tty
    }

    /// Whether an emulator shows a terminal here: one below that is not its own. Programs of many sorts share their short
    /// names; an IDE also runs programs without one.
    fn shows_terminals(&self, at: usize, ide: Option<&str>) -> bool {
        !self.shares_terminal(at) && (ide.is_some() || self.human_terminal(at))
    }

    fn shares_terminal(&self, at: usize) -> bool {
        let below = &self.chain[at - 1];
        below.tty.is_some() && below.tty == self.chain[at].tty
    }

    /// Whether a server of the kind that listens serves a login here: its parent listens, its title says so, or it was
    /// started for this one login, as `sshd -i` is. A server that is process 1 of a container adopts every orphan.
    fn serves_login(&self, at: usize) -> bool {
        let process = &self.chain[at];
        let above = self.chain.get(at + 1).filter(|parent| parent.err.is_none());
        let under_its_like =
            above.is_some_and(|parent| role(parent) == role(process) && parent.via.is_none());
        let adopts = is_first(process) || names::title_of_listener(process);
        under_its_like || names::title_of_login(process) || !adopts
    }

    /// The highest leader of a terminal below `end`: whoever stepped in between did so for the same human.
    fn terminal_leader(&self, end: usize) -> Option<usize> {
        let below = &self.chain[..end];
        let leads = |at: &usize| below[*at].leads_terminal() && !self.opened_by_relay(*at);
        // Where the leader is gone or not known, the highest that has the terminal stands for it.
        let unled = |at: &usize| {
            let tty = below[*at].tty.as_deref();
            tty.is_some() && !self.chain.iter().any(|it| it.leads_terminal() && it.tty.as_deref() == tty)
        };
        let found = (0..end).rev().find(leads).or_else(|| (0..end).rev().find(unled))?;
        // On macOS `login`, another user's, leads the terminal.
        let login = role(&self.chain[found]) == Some(Role::Login) && found > 0;
        Some(if login { found - 1 } else { found })
    }

    /// Whether the terminal that the process leads was opened by `script`, `sudo` or the like, so that it is no screen of
    /// its own.
    fn opened_by_relay(&self, leader: usize) -> bool {
        self.chain.get(leader + 1).is_some_and(|opener| {
            opener.via.is_none()
                && opener.err.is_none()
                && opener.tty != self.chain[leader].tty
                && matches!(role(opener), Some(Role::Relay | Role::Shell | Role::Agent(_)))
        })
    }

    fn leader_below(&self, end: usize, passed: Passed) -> Option<usize> {
        passed.pane.or_else(|| self.terminal_leader(end))
    }

    /// The leader of the process's own session, where it is in the chain, else the highest process below `end` that was
    /// not there before it: who only takes in orphans leads none of them.
    fn own_leader(&self, end: usize) -> Option<usize> {
        let below = &self.chain[..end];
        let sid = below.get(self.outside_relays(end))?.sid;
        let leader = below.iter().position(|process| process.pid == sid);
        let started = |process: &Process| !is_first(process) && role(process) != Some(Role::Scheduler);
        leader.or_else(|| below.iter().rposition(started)).or(Some(0))
    }

    /// The nearest process that sits in no terminal which a relay opened, and above every agent's tools: an agent gives
    /// each of them a session of its own, and they are all of the agent's.
    fn outside_relays(&self, end: usize) -> usize {
        let opened = (0..end).rev().find(|at| self.chain[*at].leads_terminal() && self.opened_by_relay(*at));
        let agent = (0..end).rev().find(|at| matches!(role(&self.chain[*at]), Some(Role::Agent(_))));
        opened.map(|leader| leader + 1).max(agent).unwrap_or(0).min(end.saturating_sub(1))
    }

    /// Whether a human's terminal is below `end`: one that was not merely opened by `script` or `sudo`.
    fn human_terminal(&self, end: usize) -> bool {
        let below = &self.chain[..end];
        below.iter().filter_map(|process| process.tty.as_deref()).any(|tty| {
            let leads = |process: &Process| process.leads_terminal() && process.tty.as_deref() == Some(tty);
            !below.iter().position(leads).is_some_and(|leader| self.opened_by_relay(leader))
        })
    }

    /// A console or a serial line, at the highest process that has it: a program started there may be nearer.
    fn console(&self, at: usize, passed: Passed) -> Option<Finding> {
        let tty = self.chain[at].tty.as_deref().filter(|tty| is_console(tty))?;
        if self.chain.get(at + 1).is_some_and(|above| above.tty.as_deref() == Some(tty)) {
            return None;
        }
        let leader = self
            .chain
            .iter()
            .rposition(|process| process.leads_terminal() && process.tty.as_deref() == Some(tty));
        let leader = passed.pane.or(leader).or(Some(at));
        let evidence = Some(evidence("terminal", tty, Standing::Verified));
        Some(Finding { evidence, leader, ..self.finding(Kind::Local, "local".into(), passed) })
    }

    /// A surface that shows terminals to a human somewhere.
    fn surface(&self, kind: Kind, link: String, at: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(at, passed).or(at.checked_sub(1));
        self.owned(at, Finding { leader, ..self.finding(kind, link, passed) })
    }

    fn application(&self, kind: Kind, at: usize, passed: Passed) -> Finding {
        self.owned(at, Finding { leader: Some(at), ..self.finding(kind, self.inner_link(), passed) })
    }

    /// A job of a continuous integration. A worker runs one; a daemon several at a time, so there the job leads.
    fn job(&self, at: usize, passed: Passed) -> Finding {
        let finding = self.application(Kind::Script, at, passed);
        let worker = display_name(&self.chain[at]).ends_with("Worker");
        if worker { finding } else { Finding { leader: self.own_leader(at), ..finding } }
    }

    fn editor(&self, link: String, at: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(at, passed).or(Some(at));
        self.owned(at, Finding { leader, ..self.finding(Kind::VsCode, link, passed) })
    }

    fn emulator(&self, at: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(at, passed).or(Some(at));
        self.owned(at, Finding { leader, ..self.finding(Kind::Local, "local".into(), passed) })
    }

    /// A program that no table names holds the terminal: an emulator on a machine, anything in a container.
    fn unknown_owner(&self, at: usize, passed: Passed) -> Finding {
        if self.container.is_some() {
            return self.in_container(at, passed);
        }
        if is_first(&self.chain[at]) {
            // Whoever opened the terminal is gone.
            return self.only_terminal(at, passed);
        }
        self.owned(
            at,
            Finding {
                leader: self.leader_below(at, passed),
                ..self.finding(Kind::Local, "local".into(), passed)
            },
        )
    }

    /// A container's monitor stands above: the process was looked at from outside.
    fn seen_from_outside(&self, runtime: &str, at: usize, passed: Passed) -> Finding {
        let runtime = self.container.as_ref().map_or(runtime, |container| &container.runtime).to_owned();
        let leader = self.leader_below(at, passed).or_else(|| self.own_leader(at));
        self.owned(at, Finding { leader, ..self.finding(Kind::Container, runtime, passed) })
    }

    /// A multiplexer's server says nothing of who looks at it today; only how its terminal was born stays true.
    fn multiplexer(&self, at: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(at, passed).or_else(|| self.own_leader(at));
        let born_remote = self.birth_env().get("SSH_CONNECTION").is_some_and(|value| is_connection(value));
        if born_remote {
            let finding = self.finding(Kind::Ssh, "ssh_client".into(), passed);
            return self.owned(at, Finding { leader, confidence: Confidence::Inherited, ..finding });
        }
        if self.container.is_some() {
            return Finding { leader, ..self.in_container(at, passed) };
        }
        self.owned(at, Finding { leader, ..self.finding(Kind::Local, "local".into(), passed) })
    }

    fn scheduled(&self, at: usize, passed: Passed) -> Finding {
        if self.human_terminal(at) {
            // A login at a container's own console is nearer than the container.
            let login = self.chain[..at].iter().any(|process| role(process) == Some(Role::Login));
            let inside = self.container.is_some() && !login;
            return if inside { self.in_container(at, passed) } else { self.only_terminal(at, passed) };
        }
        let leader = self.own_leader(at);
        self.owned(at, Finding { leader, ..self.finding(Kind::Script, self.inner_link(), passed) })
    }

    /// A program on a desktop that has no terminal, or one that nobody named opened.
    fn desktop(&self, at: usize, passed: Passed) -> Finding {
        if self.human_terminal(at) {
            return self.only_terminal(at, passed);
        }
        let finding = self.finding(Kind::Local, "local".into(), passed);
        self.owned(at, Finding { leader: self.own_leader(at), confidence: Confidence::Assumed, ..finding })
    }

    /// The chain breaks off at a process that may not be seen.
    fn unreadable(&self, end: usize, passed: Passed) -> Finding {
        let connection = self.facts.env.get("SSH_CONNECTION").filter(|value| is_connection(value));
        let Some(connection) = connection else {
            let finding = self.nobody(end, passed);
            let trust =
                if finding.kind == Kind::Container { finding.confidence } else { Confidence::Assumed };
            return Finding { confidence: trust, ..finding };
        };
        let leader = self.leader_below(end, passed).or_else(|| self.own_leader(end));
        let evidence = Some(evidence("SSH_CONNECTION", connection, Standing::Claimed));
        let confidence = Confidence::Claimed;
        Finding { leader, evidence, confidence, ..self.finding(Kind::Ssh, "ssh_client".into(), passed) }
    }

    /// No process decided.
    fn nobody(&self, end: usize, passed: Passed) -> Finding {
        if self.container.is_some() {
            return self.in_container(end, passed);
        }
        if passed.pane.is_some() || self.human_terminal(end) {
            return self.only_terminal(end, passed);
        }
        let finding = self.finding(Kind::Script, "local".into(), passed);
        if self.chain.is_empty() {
            // No process was seen, so none says that there is no terminal.
            return Finding { confidence: Confidence::Assumed, ..finding };
        }
        let evidence = Some(evidence("terminal", "none", Standing::Verified));
        Finding { leader: self.own_leader(end), evidence, ..finding }
    }

    fn only_terminal(&self, end: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(end, passed);
        let tty = leader.and_then(|leader| self.chain[leader].tty.clone()).unwrap_or_default();
        let evidence = Some(evidence("terminal", &tty, Standing::Verified));
        let confidence = Confidence::Assumed;
        Finding { leader, evidence, confidence, ..self.finding(Kind::Local, "local".into(), passed) }
    }

    fn in_container(&self, end: usize, passed: Passed) -> Finding {
        let leader = self.leader_below(end, passed).or_else(|| self.own_leader(end));
        let claimed = self.container.as_ref().is_some_and(|container| container.only_claimed);
        let confidence = if claimed { Confidence::Claimed } else { Confidence::Verified };
        Finding { leader, confidence, ..self.finding(Kind::Container, self.inner_link(), passed) }
    }

    fn finding(&self, kind: Kind, link: String, passed: Passed) -> Finding {
        let Passed { mux, host_app, .. } = passed;
        let confidence = Confidence::Verified;
        Finding { kind, link, leader: None, confidence, boundary: None, mux, host_app, evidence: None }
    }

    fn owned(&self, at: usize, finding: Finding) -> Finding {
        let hopped = self.chain[..=at].iter().any(|process| process.via == Some(Via::ClaudePid));
        let confidence =
            if hopped { finding.confidence.min(Confidence::Claimed) } else { finding.confidence };
        let owner = evidence("owner", display_name(&self.chain[at]), Standing::Verified);
        Finding { boundary: Some(at), confidence, evidence: Some(owner), ..finding }
    }

    /// The link of what runs inside a container, else `local`.
    fn inner_link(&self) -> String {
        self.container.as_ref().map_or_else(|| "local".to_owned(), |container| container.runtime.clone())
    }

    fn server_link(&self) -> String {
        let remote = self.birth_env().get("SSH_CONNECTION").is_some_and(|value| is_connection(value));
        if remote { "ssh_client".to_owned() } else { self.inner_link() }
    }

    fn birth_env(&self) -> &BTreeMap<String, String> {
        self.facts.birth_env.as_ref().unwrap_or(&self.facts.env)
    }

    fn session(&self, finding: Finding) -> Session {
        let facts = self.facts;
        let leader = finding.leader.map(|at| &self.chain[at]);
        let claims = Claims { facts, chain: self.chain }.evidence();
        let mut evidence: Vec<Evidence> = finding.evidence.iter().cloned().collect();
        evidence.extend(self.container.as_ref().map(of_container));
        evidence.extend(claims);
        let mut session = Session {
            kind: finding.kind,
            place: place(finding.kind, leader),
            user: self.user(leader),
            host: Some(facts.hostname.clone())
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "?".to_owned()),
            pid: leader.map_or(0, |leader| leader.pid_inside.unwrap_or(leader.pid)),
            key: None,
            mux: finding.mux.map(str::to_owned),
            container: self
                .container
                .as_ref()
                .map(|it| it.runtime.clone())
                .or_else(|| container_kind(&finding)),
            host_app: finding
                .host_app
                .or_else(|| notebook_service(facts, finding.kind))
                .or_else(|| self.unnamed_ide(&finding))
                .map(str::to_owned),
            agent: self.agent(&finding).map(str::to_owned),
            ci: self.ci(&finding).map(str::to_owned),
            git_hook: self.git_hook(),
            sandbox: container::sandbox(facts, self.chain, self.container.is_some()).map(str::to_owned),
            platform: container::is_wsl(facts).then(|| "wsl".to_owned()),
            terminal_emulator: self.emulator_name(&finding),
            connection: self.connection(&finding),
            interactive: self.chain.first().is_some_and(|own| is_interactive(own, facts)),
            confidence: finding.confidence,
            evidence,
            warnings: Vec::new(),
            leader: finding.leader,
            link: finding.link,
        };
        session.key =
            leader.and_then(|leader| identity(facts, leader)).map(|identity| session.key_for(identity));
        session.warnings = warnings(&session, facts, self.complete);
        session
    }

    fn user(&self, leader: Option<&Process>) -> String {
        let Some(uid) = leader.and_then(|leader| leader.uid).or(self.facts.uid) else {
            return "?".to_owned();
        };
        self.facts.users.get(&uid).cloned().unwrap_or_else(|| format!("#{uid}"))
    }

    fn agent(&self, finding: &Finding) -> Option<&'static str> {
        let below = &self.chain[..finding.boundary.map_or(self.chain.len(), |at| at + 1)];
        let in_chain = below.iter().find_map(|process| match role(process) {
            Some(Role::Agent(name)) => Some(name),
            _ => None,
        });
        let claimed =
            || self.facts.env.get("CLAUDECODE").is_some_and(|value| value == "1").then_some("claude-code");
        // A server that an agent once started keeps the variable, so it counts only where no process decided.
        in_chain.or_else(|| if finding.boundary.is_none() { claimed() } else { None })
    }

    fn ci(&self, finding: &Finding) -> Option<&'static str> {
        if let Some(Role::Ci(name)) = finding.boundary.and_then(|at| role(&self.chain[at])) {
            return Some(name);
        }
        let unattended = matches!(finding.kind, Kind::Script | Kind::Container)
            && self.chain.iter().all(|it| it.tty.is_none());
        let set = |name: &str| {
            self.facts
                .env
                .get(name)
                .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false"))
        };
        names::CI_VARIABLES.iter().find(|(name, _)| unattended && set(name)).map(|(_, name)| *name)
    }

    fn git_hook(&self) -> bool {
        let variables = ["GIT_INDEX_FILE", "GIT_EXEC_PATH", "GIT_DIR"];
        variables.iter().any(|name| self.facts.env.contains_key(*name))
            && self.chain.iter().any(|it| it.comm == "git")
    }

    /// JetBrains' programs run as `java`; their terminals say whose they are.
    fn unnamed_ide(&self, finding: &Finding) -> Option<&'static str> {
        let claim = self.facts.env.get("TERMINAL_EMULATOR")?;
        let owner = role(&self.chain[finding.boundary?]);
        let java = matches!(owner, None | Some(Role::Interpreter));
        (java && claim.starts_with("JetBrains")).then_some("jetbrains")
    }

    fn emulator_name(&self, finding: &Finding) -> Option<String> {
        let owner = &self.chain[finding.boundary?];
        match role(owner) {
            Some(Role::Emulator(_)) => Some(display_name(owner).to_owned()),
            Some(Role::VsCode(product) | Role::VsCodeServer(product)) => Some(product.to_owned()),
            None | Some(Role::Interpreter) => Some(display_name(owner).to_owned()),
            _ => None,
        }
    }

    /// The ends of the connection, of a login that is this one's.
    fn connection(&self, finding: &Finding) -> Option<Connection> {
        let inherited = finding.mux.is_some();
        let env = if inherited { self.birth_env() } else { &self.facts.env };
        // Mosh roams away from the address that its first login came from.
        let known = finding.link == "ssh_client";
        env.get("SSH_CONNECTION").filter(|_| known).and_then(|value| Connection::parse(value))
    }
}

/// Whether it is the first process of a machine or container, which takes in orphans.
fn is_first(process: &Process) -> bool {
    process.pid_inside.unwrap_or(process.pid) == 1 || process.comm == "init"
}

fn of_container(container: &Container) -> Evidence {
    let standing = if container.only_claimed { Standing::Claimed } else { Standing::Verified };
    evidence(container.signal, &container.value, standing)
}

fn container_kind(finding: &Finding) -> Option<String> {
    (finding.kind == Kind::Container).then(|| finding.link.clone())
}

fn evidence(signal: &str, value: &str, verdict: Standing) -> Evidence {
    Evidence { signal: signal.to_owned(), value: value.to_owned(), verdict }
}

/// A terminal without a program behind it: the machine's own console or a serial line.
fn is_console(tty: &str) -> bool {
    !tty.starts_with("pts/") && !tty.starts_with("ttys") && !tty.starts_with("con") || tty == "console"
}

fn place(kind: Kind, leader: Option<&Process>) -> String {
    match kind {
        Kind::Local | Kind::Ssh => {
            leader.and_then(|leader| leader.tty.clone()).unwrap_or_else(|| "notty".to_owned())
        }
        other => other.name().to_owned(),
    }
}

fn is_interactive(own: &Process, facts: &Facts) -> bool {
    own.tty.is_some() && facts.isatty[0] && own.tpgid == i64::from(own.pgrp)
}

/// Colab and Kaggle run kernels; Kaggle's image is made from Colab's, so two signs are asked for.
fn notebook_service(facts: &Facts, kind: Kind) -> Option<&'static str> {
    let has = |name: &str| facts.env.contains_key(name);
    if kind != Kind::Jupyter {
        None
    } else if has("KAGGLE_KERNEL_RUN_TYPE") {
        Some("kaggle")
    } else {
        (has("COLAB_RELEASE_TAG") && has("COLAB_GPU")).then_some("colab")
    }
}

/// The identity of a process of the chain, where the facts suffice for one that cannot be mistaken.
pub(crate) fn identity(facts: &Facts, leader: &Process) -> Option<ProcessId> {
    let digits = |text: &str| text.bytes().filter(|byte| *byte != b'-').map(char::from).collect::<String>();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let whole = facts.boot_id.as_deref().map(digits).filter(|digits| digits.len() == 32 && is_hex(digits));
    let short = || {
        facts
            .boot_id8
            .as_deref()
            .map(digits)
            .filter(|digits| digits.len() == 8 && is_hex(digits))
            .map(|id| format!("{id:0<32}"))
    };
    let boot = u128::from_str_radix(&whole.or_else(short)?, 16).ok()?;
    let pid = leader.pid_inside.unwrap_or(leader.pid);
    match facts.os.as_str() {
        "" | "linux" | "android" => {
            let namespace = leader.ns.as_deref().map_or_else(|| facts.ns.pid_inode(), Namespaces::inode)?;
            Some(ProcessId::linux(boot, namespace, pid, leader.start))
        }
        "macos" => Some(ProcessId::mac_os(boot, pid, leader.start)),
        "windows" => Some(ProcessId::windows(boot, pid, leader.start)),
        _ => Some(ProcessId::unknown(boot, pid)),
    }
}
