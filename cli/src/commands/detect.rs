//! `claudewatch detect`: which session this is, and why, signal by signal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use session_analytics::Elapsed;
use session_detect::{
    Confidence, Context as Surroundings, ErrorKind, Evidence, Facts, Session, Standing, classify,
};

use crate::args::DetectArgs;
use crate::context::{Context, print};
use crate::error::CliError;
use crate::presence::timestamp;
use crate::printable::{printable, printable_json, printable_json_pretty};

pub(crate) fn run(context: &Context, args: &DetectArgs) -> Result<(), CliError> {
    if let Some(path) = &args.facts {
        return recorded(context, path);
    }
    let facts = match args.pid {
        Some(pid) => Facts::capture_of(pid).map_err(|error| untold(pid, error))?,
        None => Facts::capture(),
    };
    if args.record {
        return print(&format!("{}\n", line(&facts)));
    }
    let session = classify(&facts);
    let surroundings = Surroundings::observed(&facts, &session);
    if context.config.json {
        return print(&format!(
            "{}\n",
            pretty(&DetectOut::of(facts.label.as_deref(), &session, &surroundings))
        ));
    }
    print(&text(&session, &surroundings))
}

fn untold(pid: u32, error: session_detect::Error) -> CliError {
    let wrapped = match error.kind() {
        ErrorKind::NotFound => CliError::nothing(format!("no process {pid} can be seen")),
        _ => CliError::store(format!("process {pid} may not be looked at")),
    };
    wrapped.because(error).hinted("list processes with ps; those of other users are shown to root only")
}

/// Judges recorded facts, one a line; nothing of the running machine is read.
fn recorded(context: &Context, path: &Path) -> Result<(), CliError> {
    let unreadable =
        |error: io::Error| CliError::store(format!("cannot read {}", path.display())).because(error);
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(unreadable)?))
    };
    let (mut judged, mut wrong) = (0, Vec::new());
    for (number, line) in reader.split(b'\n').enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Facts>(&line) {
            Ok(facts) => print(&verdict(context, &facts))?,
            Err(error) => wrong.push(format!("line {}: {error}", number + 1)),
        }
        judged += 1;
    }
    if wrong.is_empty() && judged > 0 {
        return Ok(());
    }
    let message = match judged {
        0 => format!("no record in {}", path.display()),
        _ => format!("{} of {judged} lines of {} are no records", wrong.len(), path.display()),
    };
    let hint = "a record is what `claudewatch detect --record` prints, one JSON object a line";
    let error =
        wrong.iter().take(5).fold(CliError::nothing(message), |error, line| error.hinted(line.as_str()));
    Err(error.hinted(hint))
}

fn verdict(context: &Context, facts: &Facts) -> String {
    let session = classify(facts);
    if context.config.json {
        return format!(
            "{}\n",
            line(&DetectOut::of(facts.label.as_deref(), &session, &Surroundings::of(facts, &session)))
        );
    }
    let label = facts.label.as_deref().unwrap_or("record");
    let Session { kind, link, confidence, .. } = &session;
    format!("{}: {kind} ({link}), {}, {}\n", printable(label), confidence.name(), printable(&session.id()))
}

fn line(value: &impl Serialize) -> String {
    printable_json(value)
}

fn pretty(value: &impl Serialize) -> String {
    printable_json_pretty(value)
}

fn text(session: &Session, surroundings: &Surroundings) -> String {
    let mut out = String::from(
        "🔍 ClaudeWatch - Session Detection\n==================================================\n",
    );
    let mut say = |name: &str, value: &str| out.push_str(&format!("{name:<16}{}\n", printable(value)));
    say("Session", &session.label());
    say("Session ID", &session.id());
    say("Isolation key", session.key.as_ref().map_or("none: too little is known", |key| key.as_str()));
    say("Type", &format!("{} ({}), {}", session.kind, session.link, words(session.confidence)));
    for (name, value) in around(session, surroundings) {
        say(name, &value);
    }
    out.push_str("\nWhy\n");
    for Evidence { signal, value, verdict } in &session.evidence {
        let line = format!("{signal:<18}{value}");
        let line = format!("  {} {:<52} {}", mark(*verdict), printable(&line), standing(*verdict));
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    if !session.warnings.is_empty() {
        out.push_str("\nWhat could make two sessions look alike, or one like two\n");
        for warning in &session.warnings {
            out.push_str(&format!("  - {}\n", printable(warning)));
        }
    }
    out
}

fn around(session: &Session, surroundings: &Surroundings) -> Vec<(&'static str, String)> {
    let Surroundings { process_tree, tty, terminal_emulator, local_ip, remote_ip, .. } = surroundings;
    let network = match (remote_ip, local_ip) {
        (Some(remote), Some(local)) => Some(format!("{remote} → {local}")),
        (_, local) => local.clone(),
    };
    let folder = surroundings.working_directory.as_ref().map(|path| path.display().to_string());
    let typed = if session.interactive { "yes" } else { "no" };
    let flags = [session.git_hook.then(|| "hook".to_owned())];
    let rows = [
        ("Terminal", tty.clone()),
        ("Emulator", terminal_emulator.clone()),
        ("Multiplexer", session.mux.clone()),
        ("Container", session.container.clone()),
        ("Editor", session.host_app.clone()),
        ("Agent", session.agent.clone()),
        ("CI", session.ci.clone()),
        ("Git", flags.into_iter().flatten().next()),
        ("Sandbox", session.sandbox.clone()),
        ("Platform", session.platform.clone()),
        ("Interactive", Some(typed.to_owned())),
        ("Processes", Some(process_tree.join(" < ")).filter(|tree| !tree.is_empty())),
        ("Network", network),
        ("Acts as", surroundings.effective_user.clone()),
        ("Folder", folder),
        ("Lasts", surroundings.duration.map(|duration| Elapsed(duration).to_string())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn words(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Verified => "verified by processes",
        Confidence::Inherited => "as it was when the terminal was born",
        Confidence::Claimed => "claimed by a variable",
        _ => "assumed",
    }
}

fn mark(verdict: Standing) -> char {
    match verdict {
        Standing::Verified => '✔',
        Standing::Refuted => '✘',
        _ => '?',
    }
}

fn standing(verdict: Standing) -> &'static str {
    match verdict {
        Standing::Verified => "",
        Standing::Claimed => "nothing confirms it",
        Standing::Inherited => "from when the terminal was born",
        Standing::Refuted => "left over from another session",
        _ => "unknown",
    }
}

/// One verdict, as the contract has it.
#[derive(Serialize)]
pub(super) struct DetectOut<'a> {
    schema_version: u32,
    label: String,
    kind: &'a str,
    link: &'a str,
    session_type: &'a str,
    session_id: String,
    isolation_key: Option<&'a str>,
    confidence: Confidence,
    place: &'a str,
    mux: Option<&'a str>,
    container: Option<&'a str>,
    host_app: Option<&'a str>,
    agent: Option<&'a str>,
    ci: Option<&'a str>,
    git_hook: bool,
    sandbox: Option<&'a str>,
    platform: Option<&'a str>,
    interactive: bool,
    context: ContextOut<'a>,
    evidence: &'a [Evidence],
    warnings: &'a [String],
}

#[derive(Serialize)]
struct ContextOut<'a> {
    pid: u32,
    ppid: Option<u32>,
    process_tree: &'a [String],
    tty: Option<&'a str>,
    terminal_emulator: Option<&'a str>,
    local_ip: Option<&'a str>,
    remote_ip: Option<&'a str>,
    user: &'a str,
    effective_user: Option<&'a str>,
    hostname: &'a str,
    working_directory: Option<String>,
    environment: &'a BTreeMap<String, String>,
    started_at: Option<String>,
    last_activity: Option<String>,
    duration_seconds: Option<u64>,
}

impl<'a> DetectOut<'a> {
    pub(super) fn of(label: Option<&'a str>, session: &'a Session, surroundings: &'a Surroundings) -> Self {
        Self {
            schema_version: 1,
            label: label.map_or_else(|| session.label(), str::to_owned),
            kind: session.kind.name(),
            link: &session.link,
            session_type: session.kind.name(),
            session_id: session.id(),
            isolation_key: session.key.as_ref().map(|key| key.as_str()),
            confidence: session.confidence,
            place: &session.place,
            mux: session.mux.as_deref(),
            container: session.container.as_deref(),
            host_app: session.host_app.as_deref(),
            agent: session.agent.as_deref(),
            ci: session.ci.as_deref(),
            git_hook: session.git_hook,
            sandbox: session.sandbox.as_deref(),
            platform: session.platform.as_deref(),
            interactive: session.interactive,
            context: ContextOut::of(surroundings),
            evidence: &session.evidence,
            warnings: &session.warnings,
        }
    }
}

impl<'a> ContextOut<'a> {
    fn of(surroundings: &'a Surroundings) -> Self {
        Self {
            pid: surroundings.pid,
            ppid: surroundings.parent_pid,
            process_tree: &surroundings.process_tree,
            tty: surroundings.tty.as_deref(),
            terminal_emulator: surroundings.terminal_emulator.as_deref(),
            local_ip: surroundings.local_ip.as_deref(),
            remote_ip: surroundings.remote_ip.as_deref(),
            user: &surroundings.user,
            effective_user: surroundings.effective_user.as_deref(),
            hostname: &surroundings.hostname,
            working_directory: surroundings.working_directory.as_ref().map(|path| path.display().to_string()),
            environment: &surroundings.environment,
            started_at: surroundings.started_at.and_then(rfc3339),
            last_activity: surroundings.last_activity.and_then(rfc3339),
            duration_seconds: surroundings.duration.map(|duration| duration.as_secs()),
        }
    }
}

fn rfc3339(at: SystemTime) -> Option<String> {
    timestamp(at).map(|at| at.to_string())
}
