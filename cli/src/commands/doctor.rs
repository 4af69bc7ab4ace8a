//! `claudewatch doctor`: what is in order, what is not, and what to do about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use session_coordinator::{Claims, NoticeBoard, RuntimeDir};
use session_detect::claude::{self, Found, Running};
use session_store::{EventBackend, ProblemKind};

use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::context::{Context, READABLE_HINT, print, print_json, unreadable};
use crate::coordination::candidates;
use crate::error::{CliError, exit};
use crate::host::hook::HookEvent;
use crate::printable::printable;
use crate::setup::plan;
use crate::words;

/// The first version of Claude Code that calls hooks when a limit ends a turn.
const TELLS_LIMITS: [u32; 3] = [2, 1, 78];
/// How long a session may run before its silence means something.
const SILENT: Duration = Duration::from_secs(60);
/// Clocks further apart than this make times wrong that people see.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

#[derive(Serialize)]
struct DoctorOut {
    schema_version: u32,
    ok: bool,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    id: &'static str,
    status: Health,
    text: String,
    hint: Option<String>,
}

impl Check {
    fn ok(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, status: Health::Ok, text: text.into(), hint: None }
    }

    fn warn(id: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { id, status: Health::Warn, text: text.into(), hint: Some(hint.into()) }
    }

    fn fail(id: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Health::Fail, ..Self::warn(id, text, hint) }
    }
}

pub(crate) fn run(context: &Context) -> Result<(), CliError> {
    let config = &context.config;
    let found = claude::find(&config.claude_dirs);
    let mut checks = vec![Check::ok("version", format!("claudewatch {}", env!("CARGO_PKG_VERSION")))];
    checks.push(sources(config));
    checks.extend(stores(context));
    checks.push(clocks(config));
    checks.extend(runtime(config));
    checks.extend(settings(config));
    checks.push(clients(&found));
    checks.extend(calls(config, &found));
    let ok = checks.iter().all(|check| check.status != Health::Fail);
    if !ok {
        context.end_with(exit::NOTHING);
    }
    if config.json {
        return print_json(&DoctorOut { schema_version: 1, ok, checks });
    }
    print(&checks.iter().map(shown).collect::<String>())
}

fn shown(check: &Check) -> String {
    let sign = match check.status {
        Health::Ok => "✔",
        Health::Warn => "!",
        Health::Fail => "✘",
    };
    let mut out = format!("{sign} {:<12} {}\n", check.id, printable(&check.text));
    if let Some(hint) = &check.hint {
        out.push_str(&format!("  {:<12} → {}\n", "", printable(hint)));
    }
    out
}

fn sources(config: &Config) -> Check {
    let shut = |dir: &PathBuf| unreadable(dir).or_else(|| unreadable(&dir.join("projects")));
    if let Some((dir, error)) = config.claude_dirs.iter().find_map(|dir| Some((dir, shut(dir)?))) {
        return Check::fail("sources", format!("cannot read {}: {error}", dir.display()), READABLE_HINT);
    }
    let holds = |dir: &&PathBuf| dir.join("projects").is_dir();
    let there: Vec<String> =
        config.claude_dirs.iter().filter(holds).map(|dir| dir.display().to_string()).collect();
    if there.is_empty() {
        let looked: Vec<String> = config.claude_dirs.iter().map(|dir| dir.display().to_string()).collect();
        let text = format!("Claude Code has written nothing in {}", looked.join(", "));
        return Check::warn("sources", text, "if its data lies elsewhere, name the folder with --claude-dir");
    }
    Check::ok("sources", format!("transcripts in {}", there.join(", ")))
}

/// The archive and the sessions' stores, and what could not be read of the transcripts.
fn stores(context: &Context) -> Vec<Check> {
    let folder = context.config.data_dir.display().to_string();
    if context.check_sources().is_err() {
        return vec![Check::ok("stores", format!("none needed yet; they will be in {folder}"))];
    }
    let archive = match context.archive_with(&|_| {}) {
        Ok(archive) => archive,
        Err(error) => {
            let text = error.to_string();
            let (what, hint) =
                text.split_once("\n").unwrap_or((&text, "choose another folder with --data-dir"));
            return vec![Check::fail("stores", what, hint.trim())];
        }
    };
    let mut checks = Vec::new();
    match archive.store.trouble() {
        Some(trouble) => {
            let hint = crate::error::hint_for(trouble.kind()).unwrap_or("the figures are right all the same");
            checks.push(Check::fail("stores", trouble.to_string(), hint));
        }
        None => {
            let sessions = archive.store.sessions().map_or(0, |names| names.len());
            checks.push(Check::ok(
                "stores",
                format!("the archive and {sessions} sessions' stores in {folder}"),
            ));
        }
    }
    let checkpoints = archive.store.checkpoints().unwrap_or_default();
    let mut skipped: BTreeMap<ProblemKind, u64> = BTreeMap::new();
    for (kind, count) in checkpoints.iter().flat_map(|it| &it.problems) {
        *skipped.entry(*kind).or_default() += count;
    }
    let read = format!("{} read", words::count(checkpoints.len() as u64, "transcript"));
    checks.push(if skipped.is_empty() {
        Check::ok("lines", format!("{read}, and no line was skipped"))
    } else {
        let reasons: Vec<String> = skipped
            .iter()
            .map(|(kind, count)| format!("{} {count}", kind.name().replace('_', " ")))
            .collect();
        let hint = "what they hold is not counted; a newer claudewatch may be able to read them";
        Check::warn("lines", format!("{read}; skipped: {}", reasons.join(", ")), hint)
    });
    checks.extend(files(&archive.scan.files_skipped));
    checks
}

/// The transcripts that cannot be read at all, the first by name.
fn files(skipped: &[(ProblemKind, PathBuf)]) -> Option<Check> {
    const NAMED: usize = 3;
    let mut named: Vec<String> = skipped
        .iter()
        .take(NAMED)
        .map(|(kind, path)| format!("{} ({})", path.display(), kind.name().replace('_', " ")))
        .collect();
    if let Some(more) = skipped.len().checked_sub(NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    let text = format!("not read: {}", named.join(", "));
    let hint = "what they hold is not counted; give unreadable ones to your user";
    (!skipped.is_empty()).then(|| Check::warn("files", text, hint))
}

/// Whether the clock is plausible, and the same as that of the disk.
fn clocks(config: &Config) -> Check {
    if !now().is_plausible() {
        return Check::fail("clock", format!("it says {}", now()), "set the system's clock");
    }
    let disk = || {
        let folder = if config.data_dir.is_dir() { config.data_dir.clone() } else { std::env::temp_dir() };
        let before = SystemTime::now();
        let file = tempfile::NamedTempFile::new_in(folder).ok()?;
        let made = file.as_file().metadata().ok()?.modified().ok()?;
        Some(made.duration_since(before).or_else(|_| before.duration_since(made)).unwrap_or_default())
    };
    match disk() {
        Some(apart) if apart > CLOCKS_APART => {
            let text = format!("the disk's clock is {} s off this machine's", apart.as_secs());
            Check::warn("clock", text, "synchronise both machines' clocks")
        }
        _ => Check::ok("clock", now().to_string()),
    }
}

/// The place where sessions meet.
fn runtime(config: &Config) -> Vec<Check> {
    if config.mode != SessionMode::Multi {
        return vec![Check::ok("runtime", "coordination is switched off")];
    }
    let all = candidates(config);
    let existing: Vec<_> = all.iter().filter(|it| it.path.symlink_metadata().is_ok()).cloned().collect();
    if existing.is_empty() {
        return vec![Check::ok("runtime", "no session has met another since the system started")];
    }
    let (runtime, refused) = match RuntimeDir::open_first(&existing) {
        Ok(opened) => opened,
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "choose another folder with --runtime-dir".to_owned());
            return vec![Check::fail("runtime", format!("sessions cannot meet: {error}"), hint)];
        }
    };
    let mut checks: Vec<Check> = refused
        .iter()
        .map(|error| Check::warn("runtime", error.to_string(), error.hint().unwrap_or_default()))
        .collect();
    checks.push(Check::ok("runtime", runtime.path().display().to_string()));
    if !NoticeBoard::exists(&runtime) {
        return checks;
    }
    match NoticeBoard::open_within(&runtime, Duration::from_millis(250)) {
        Ok(board) => {
            let counters = board.board().counters().unwrap_or_default();
            let odd = [super::hook::PROBLEMS, super::statusline::ODD_CALLS]
                .map(|name| counters.get(name).copied().unwrap_or(0));
            checks.push(if odd == [0, 0] {
                Check::ok("board", "it can be read, and every call was understood")
            } else {
                let text = format!(
                    "not understood since the system started: {} hook calls, {} of the status line",
                    odd[0], odd[1]
                );
                Check::warn("board", text, "Claude Code may be newer than this claudewatch knows; update it")
            });
        }
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "end the process that holds it".to_owned());
            checks.push(Check::fail("board", error.to_string(), hint));
        }
    }
    checks
}

/// Hooks and status line in each config folder's settings.
fn settings(config: &Config) -> Vec<Check> {
    let dirs = config.claude_dirs.iter().filter(|dir| dir.is_dir());
    dirs.flat_map(|dir| {
        let path = dir.join("settings.json");
        let text = fs::read_to_string(&path).unwrap_or_default();
        vec![hooks(&path, &text), status_line(&path, &text)]
    })
    .collect()
}

fn hooks(path: &Path, text: &str) -> Check {
    let place = path.display();
    let programs: Vec<Option<String>> =
        HookEvent::ALL.iter().map(|event| plan::installed_program(text, event.name())).collect();
    let missing = programs.iter().filter(|program| program.is_none()).count();
    if missing == programs.len() {
        return Check::warn(
            "hooks",
            format!("none in {place}: sessions cannot act on limits"),
            "claudewatch setup puts them in",
        );
    }
    if missing > 0 {
        let text = format!("{missing} of {} are not in {place}", programs.len());
        return Check::warn("hooks", text, "claudewatch setup puts them in");
    }
    if is_switched_off(text) {
        return Check::warn(
            "hooks",
            format!("{place} says disableAllHooks"),
            "take that out, if hooks are wanted",
        );
    }
    match programs.into_iter().flatten().find_map(|program| wrong_program(&program)) {
        Some((Health::Fail, why)) => Check::fail("hooks", why, "claudewatch setup puts in where it lies now"),
        Some((_, why)) => Check::warn("hooks", why, "claudewatch setup puts this one in"),
        None => Check::ok("hooks", format!("all in {place}")),
    }
}

fn status_line(path: &Path, text: &str) -> Check {
    match plan::installed_status_line(text).map(|program| wrong_program(&program)) {
        None => Check::warn(
            "status-line",
            format!("not in {}: official limits are known only when one is hit", path.display()),
            "claudewatch setup puts it in, beside your own",
        ),
        Some(Some((Health::Fail, why))) => {
            Check::fail("status-line", why, "claudewatch setup puts in where it lies now")
        }
        Some(Some((_, why))) => Check::warn("status-line", why, "claudewatch setup puts this one in"),
        Some(None) => Check::ok("status-line", format!("in {}", path.display())),
    }
}

/// Says what is wrong with the program that settings name, if anything is.
fn wrong_program(program: &str) -> Option<(Health, String)> {
    let own = std::env::current_exe().and_then(|own| own.canonicalize()).ok();
    let path = Path::new(program);
    if !path.is_absolute() {
        // Which one it is depends on the PATH of each session.
        return None;
    }
    match path.canonicalize() {
        Err(_) => Some((Health::Fail, format!("they call {program}, and nothing is there"))),
        Ok(real) if own.is_some_and(|own| own != real) => {
            Some((Health::Warn, format!("they call another claudewatch, {program}")))
        }
        Ok(_) => None,
    }
}

fn is_switched_off(text: &str) -> bool {
    let settings: serde_json::Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    settings["disableAllHooks"] == true
}

/// The versions of Claude Code that run.
fn clients(found: &Found) -> Check {
    let versions: BTreeMap<&str, usize> = found.running.iter().filter_map(|it| it.version.as_deref()).fold(
        BTreeMap::new(),
        |mut versions, version| {
            *versions.entry(version).or_default() += 1;
            versions
        },
    );
    let listed: Vec<String> =
        versions.iter().map(|(version, count)| format!("{version} ({count})")).collect();
    let is_old = |version: &&&str| parts(version).is_some_and(|parts| parts < TELLS_LIMITS);
    match versions.keys().find(is_old) {
        Some(old) => Check::warn(
            "claude-code",
            format!("running: {}", listed.join(", ")),
            format!("{old} does not tell hooks of limits; 2.1.78 and later do"),
        ),
        None if found.running.is_empty() => Check::ok("claude-code", "none runs now"),
        None => Check::ok(
            "claude-code",
            format!(
                "running: {}",
                if listed.is_empty() { "version unknown".to_owned() } else { listed.join(", ") }
            ),
        ),
    }
}

fn parts(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Whether the sessions that run are heard of, and if not, why.
fn calls(config: &Config, found: &Found) -> Option<Check> {
    if config.mode != SessionMode::Multi {
        return None;
    }
    let confirmed = |it: &&Running| it.record.is_some() || it.conversation.id().is_some();
    let old = |it: &&Running| it.started_at.is_some_and(|at| at.elapsed().is_ok_and(|age| age > SILENT));
    let running: Vec<&Running> = found.running.iter().filter(confirmed).filter(old).collect();
    if running.is_empty() {
        return None;
    }
    let claims = RuntimeDir::find_first(&candidates(config)).and_then(|runtime| Claims::open(&runtime).ok());
    let claims = claims.map(|claims| claims.list()).unwrap_or_default();
    let is_heard = |it: &&&Running| {
        claims.iter().any(|(claim, _)| {
            (claim.process.is_some() && claim.process == it.id)
                || it.conversation.id() == Some(&*claim.conversation)
        })
    };
    let silent: Vec<&Running> = running.iter().filter(|it| !is_heard(it)).copied().collect();
    if silent.is_empty() {
        return Some(Check::ok("calls", format!("all {} running sessions call their hooks", running.len())));
    }
    let pids: Vec<String> = silent.iter().map(|it| it.pid.to_string()).collect();
    let text = format!("no hook call came from process {}", pids.join(", "));
    let folder = silent.iter().find_map(|it| it.config_folder.clone()).unwrap_or_default();
    let settings = fs::read_to_string(folder.join("settings.json")).unwrap_or_default();
    let why = if plan::installed_program(&settings, HookEvent::SessionStart.name()).is_none() {
        "its settings hold no hooks: claudewatch setup puts them in"
    } else if is_switched_off(&settings) {
        "its settings say disableAllHooks"
    } else {
        "it may have done nothing since the hooks were put in, use other settings (--settings, managed ones), not trust its \
         folder, or meet elsewhere (another XDG_RUNTIME_DIR)"
    };
    Some(Check::warn("calls", text, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_parts() {
        let is_old = |version| parts(version).is_some_and(|parts| parts < TELLS_LIMITS);
        assert!(is_old("2.1.9") && is_old("2.1.77") && is_old("1.0.120"));
        assert!(!is_old("2.1.78") && !is_old("2.1.330") && !is_old("2.2.0-beta") && !is_old("unknown"));
    }
}
