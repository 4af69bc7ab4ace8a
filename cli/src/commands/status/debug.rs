//! What `status --debug` adds: where things are, who holds what, how far behind anybody is, and why a session is alone.

use std::fmt::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use session_analytics::{Elapsed, Grouped};
use session_coordinator::{
    Isolation, Member, MemberRole, NoticeBoard, Presence as Pulse, RuntimeDir, watches_of,
};
use session_detect::IsolationKey;

use super::Status;
use crate::clock::now;
use crate::config::SessionMode;
use crate::others::{Others, leader};
use crate::printable::printable;

/// How long the leader's heart is listened to: it beats every 600 ms, and is frozen after 1.8 s.
const LISTEN: Duration = Duration::from_millis(2000);

pub(super) fn text(status: &Status<'_>) -> String {
    let mut out = String::from("\n🔎  Debug\n");
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "    {name:<15} {}", printable(text));
    };
    paths(status, &mut line);
    leading(&status.others, &mut line);
    for member in &status.others.members {
        line("member", &member_line(member));
    }
    lag(status, &mut line);
    for (session, reason) in alone(status) {
        line("not coordinated", &format!("{session}: {reason}"));
    }
    out
}

fn paths(status: &Status<'_>, line: &mut impl FnMut(&str, &str)) {
    let (config, place) = (&status.context.config, &status.others.place);
    line(
        "runtime folder",
        &place.runtime.as_ref().map_or("none".to_owned(), |it| it.path().display().to_string()),
    );
    for (path, reason) in &place.passed_over {
        // The reason often names the path already.
        let path = path.display().to_string();
        let told = if reason.contains(&path) { reason.clone() } else { format!("{path}: {reason}") };
        line("  passed over", &told);
    }
    line("data folder", &config.data_dir.display().to_string());
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    line("  archive", &format!("{} bytes", Grouped(size(&config.data_dir.join("archive.db")))));
    for name in status.stores.sessions().unwrap_or_default() {
        let file = config.data_dir.join("sessions").join(format!("{name}.db"));
        let sharing = status.stores.sharing(&name).ok().flatten();
        let sharing = sharing.map(|level| format!(", isolation {level}")).unwrap_or_default();
        line("  session", &format!("{name}.db, {} bytes{sharing}", Grouped(size(&file))));
    }
    for dir in &config.claude_dirs {
        let missing = if dir.is_dir() { "" } else { " (not there)" };
        line("config folder", &format!("{}{missing}", dir.display()));
    }
}

fn leading(others: &Others, line: &mut impl FnMut(&str, &str)) {
    if let Some(trouble) = &others.place.trouble {
        line("board", trouble);
    }
    let Some(runtime) = &others.place.runtime else { return };
    match &others.leader {
        None => line("leader", "none: nobody holds lead.lock"),
        Some(leader) => {
            let heart = match beat(runtime, others) {
                Some(after) => format!("its heart beat after {} ms", after.as_millis()),
                None => format!("no beat for {} ms: it is frozen", LISTEN.as_millis()),
            };
            let since = leader.since.map(|since| format!(", since {since}")).unwrap_or_default();
            line("leader", &format!("process {}, term {}{since}; {heart}", leader.pid, leader.term));
        }
    }
}

/// Waits for the next beat of the leader's heart.
fn beat(runtime: &RuntimeDir, others: &Others) -> Option<Duration> {
    let board = NoticeBoard::open(runtime).ok()?;
    let beats = || leader(runtime, &board, &others.members).map(|leader| (leader.term, leader.beats));
    let (first, begun) = (beats(), Instant::now());
    while begun.elapsed() < LISTEN {
        if beats() != first {
            return Some(begun.elapsed());
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

fn member_line(member: &Member) -> String {
    let lock = match member.presence {
        Pulse::Alive => "lock held",
        _ => "lock free: it ended without a word",
    };
    let watches = match watches_of(member.pid) {
        Some(watches) if member.presence == Pulse::Alive => {
            format!("; {} watches in {} inotify", watches.folders, watches.instances)
        }
        _ => String::new(),
    };
    format!(
        "{} process {}, {}, {lock} ({}.lock), isolation {}{watches}",
        member.key.session_id(),
        member.pid,
        if member.role == MemberRole::Viewer { "viewer" } else { "monitor" },
        member.id,
        member.isolation
    )
}

fn lag(status: &Status<'_>, line: &mut impl FnMut(&str, &str)) {
    let lag = match &status.scan {
        None => "none: the leader's view tells of every transcript as it is".to_owned(),
        Some(scan) => format!(
            "{} of {} transcripts ({} bytes) had not been read by anybody before this look",
            scan.sources_read,
            scan.sources,
            Grouped(scan.bytes_read)
        ),
    };
    line("lag", &lag);
    let spooled = status.others.place.runtime.as_ref().and_then(|runtime| {
        let entries = std::fs::read_dir(runtime.path().join("spool")).ok()?;
        Some(entries.filter_map(Result::ok).count())
    });
    if let Some(spooled) = spooled {
        line("", &format!("{spooled} notices wait for the board"));
    }
    for problem in status.scan.iter().flat_map(|scan| &scan.files_skipped) {
        line("not read", &format!("{}: {:?}", problem.1.display(), problem.0));
    }
}

/// Returns the sessions that are not coordinated, and why.
fn alone(status: &Status<'_>) -> Vec<(String, String)> {
    let others = &status.others;
    let name = |key: &IsolationKey| key.session_id().to_owned();
    let mut alone = Vec::new();
    let own = status.session.key.as_ref();
    match (status.context.config.mode, own) {
        (SessionMode::Single, _) => alone.push(("this session".into(), "--single-session".into())),
        (SessionMode::Uncoordinated, _) => alone.push(("this session".into(), "--no-coordination".into())),
        (SessionMode::Multi, None) => {
            alone.push((
                "this session".into(),
                "nothing identifies it; `claudewatch detect` says more".into(),
            ));
        }
        (SessionMode::Multi, Some(key)) => {
            if let Some(reason) = why_alone(others, key) {
                alone.push((format!("{} (this session)", name(key)), reason));
            }
        }
    }
    let mut seen: Vec<&IsolationKey> = own.into_iter().collect();
    for session in status.presence.sessions() {
        let key = &session[0].key;
        if !seen.contains(&key) {
            seen.push(key);
            alone.extend(why_alone(others, key).map(|reason| (name(key), reason)));
        }
    }
    alone
}

fn why_alone(others: &Others, key: &IsolationKey) -> Option<String> {
    if others.place.runtime.is_none() {
        return Some("there is no runtime folder: no monitor runs, or none could make one".to_owned());
    }
    let members: Vec<&Member> = others.members.iter().filter(|member| member.key == *key).collect();
    let live = members.iter().find(|member| member.presence == Pulse::Alive);
    match (live, members.first()) {
        (Some(member), _) if member.isolation == Isolation::Complete => {
            Some(format!("its monitor (process {}) shares nothing but its presence", member.pid))
        }
        (Some(_), _) => None,
        (None, Some(ended)) => {
            let age = Elapsed(now().since(ended.started_at));
            Some(format!("its monitor (process {}, started {age} ago) ended without a word", ended.pid))
        }
        (None, None) => Some("no monitor runs in it; start `claudewatch` there".to_owned()),
    }
}
