//! `claudewatch hook`: one call of Claude Code. It registers the session, tells the others of a limit, and lets the session
//! act on limits.
//!
//! Whatever goes wrong on our side, Claude Code goes on as if there were no hook: silence, and success.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use session_analytics::{LimitStatus, Limits, Reading, SAME_RESET};
use session_coordinator::{
    AccountId, Act, Advice, Burden, Cause, Claim, Claims, Journal, MemberId, Notice, NoticeBoard, Policy,
    Question, RuntimeDir, Scope, Strain, Subject, WindowStanding, advise, is_overstrained,
};
use session_detect::claude::Starter;
use session_detect::{Facts, Session, classify, detect_process};
use session_store::{
    BoardSample, Deed, Fact, LimitCause, LimitHit, LimitSample, LimitWindow, Restraint, SourceKind, Tail,
    Timestamp, Why, Zone,
};

use crate::args::HookArgs;
use crate::clock::now;
use crate::config::{Config, SessionMode};
use crate::coordination::{account, candidates};
use crate::host::hook::{HookCall, HookEvent, Unread, message, refusal};
use crate::limits;
use crate::words::{limit_name, moment, span};

/// The longest call that is read, in bytes; tools' results are long, but nothing of them is needed.
const CALL_BYTES_MAX: u64 = 32 << 20;
/// How long who holds the board is waited for by a call that only looks.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the line of a limit is waited for: the transcript is written a little after the hook is called.
const LINE_WAIT: Duration = Duration::from_secs(2);
/// How much of a transcript's end is read for it, in bytes.
const TAIL_BYTES: u64 = 256 << 10;
/// A limit that was met longer ago is not what the call is about.
const NEWS: Duration = Duration::from_secs(120);
/// The line that a call is about is hardly older, unless the machine is busy.
const JUST_NOW: Duration = Duration::from_secs(2);
/// How many of the last notices are looked at for hits.
const LOOKED_BACK: u64 = 200;
/// How much of a tool's name is written down.
const TOOL_CHARS_MAX: usize = 64;
/// Counts calls that were not understood.
pub(crate) const PROBLEMS: &str = "hook_problems";

/// Answers a call on standard output; never fails.
pub(crate) fn run(config: &Config, args: &HookArgs) {
    // Words on standard error are shown as an error of the hook.
    panic::set_hook(Box::new(|_| {}));
    let _ = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut bytes = Vec::new();
        let mut stdin = io::stdin().lock();
        if stdin.is_terminal() {
            let _ = writeln!(
                io::stderr(),
                "claudewatch hook is for Claude Code; `claudewatch setup` tells it so"
            );
            return;
        }
        let _ = (&mut stdin).take(CALL_BYTES_MAX).read_to_end(&mut bytes);
        // Who writes more should not find the pipe closed.
        let _ = io::copy(&mut stdin, &mut io::sink());
        let policy = args.policy.map_or(config.policy, Policy::from);
        if let Some(answer) = answer(config, policy, &bytes) {
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
        }
    }));
}

/// Does what a call asks for, and returns what is to be said, if anything.
pub(crate) fn answer(config: &Config, policy: Policy, bytes: &[u8]) -> Option<String> {
    let call = match HookCall::parse(bytes) {
        Ok(call) => call,
        Err(Unread::Elsewhere) => return None,
        Err(Unread::Malformed) => {
            let board = board(config, &find_runtime(config)?)?;
            let _ = board.board().count(PROBLEMS, 1);
            return None;
        }
    };
    let account = account_of(&config.claude_dirs, call.transcript.as_deref()?)?;
    let runtime = match call.event {
        // Who starts makes the place where the others are met; all later calls only look for it.
        HookEvent::SessionStart if config.mode == SessionMode::Multi => {
            RuntimeDir::open_first(&candidates(config)).ok()?.0
        }
        _ => find_runtime(config)?,
    };
    let claims = Claims::open(&runtime).ok()?;
    let claim = register(&claims, &call, &account)?;
    if !config.isolation.uses_board() {
        // Who runs which conversation is known all the same: its store is its own.
        return None;
    }
    let hook = Hook { config, policy, runtime, claims, claim, call };
    match hook.call.event {
        HookEvent::StopFailure if hook.call.error == "rate_limit" => {
            hook.tell_of(hook.hit_in_transcript(LINE_WAIT).or_else(|| hook.hit_in_words()));
        }
        // A client that ends at once does not wait for what it called for a failure.
        HookEvent::SessionEnd => hook.tell_of(hook.hit_in_transcript(Duration::ZERO)),
        HookEvent::PreToolUse if policy != Policy::Off => return hook.advised(),
        _ => {}
    }
    None
}

fn find_runtime(config: &Config) -> Option<RuntimeDir> {
    if config.mode == SessionMode::Multi { RuntimeDir::find_first(&candidates(config)) } else { None }
}

/// Opens the board where there is one and the isolation allows it.
fn board(config: &Config, runtime: &RuntimeDir) -> Option<NoticeBoard> {
    if !config.isolation.uses_board() || !NoticeBoard::exists(runtime) {
        return None;
    }
    NoticeBoard::open_within(runtime, PATIENCE).ok()
}

/// Returns whose transcript it is; `None` for one outside the config folders.
fn account_of(claude_dirs: &[PathBuf], transcript: &Path) -> Option<AccountId> {
    let holds = |dir: &Path| transcript.starts_with(dir.join("projects"));
    let by_name = claude_dirs.iter().find(|dir| holds(dir));
    // The folder may be known by another name, through a link.
    let found =
        by_name.or_else(|| claude_dirs.iter().find(|dir| dir.canonicalize().is_ok_and(|dir| holds(&dir))));
    found.map(|dir| account(dir))
}

/// Sees to it that it is known who runs the conversation, and that it lives.
fn register(claims: &Claims, call: &HookCall, account: &AccountId) -> Option<Claim> {
    let is_start = call.event == HookEvent::SessionStart;
    let is_end = call.event == HookEvent::SessionEnd;
    let known =
        claims.get(&call.conversation).filter(|it| !is_start && it.account == *account && it.is_good());
    if let Some(claim) = known.clone().filter(|claim| claim.ended == is_end) {
        let _ = claims.touch(&claim.conversation, SystemTime::now());
        return Some(claim);
    }
    let facts = Facts::capture();
    let starter = Starter::of(&facts);
    // A hook has no terminal of its own; its session is that of the Claude Code above it.
    let session: Session = match &starter {
        Some(starter) => detect_process(starter.pid).unwrap_or_else(|_| classify(&facts)),
        None => classify(&facts),
    };
    let claim = Claim {
        conversation: call.conversation.clone(),
        key: session.key?,
        process: starter.and_then(|starter| starter.id),
        account: account.clone(),
        folder: call.folder.clone(),
        model: call.model.clone().or(known.and_then(|it| it.model)),
        ended: is_end,
    };
    // Who cannot be registered is advised all the same.
    let _ = claims.put(&claim);
    Some(claim)
}

/// A call of a registered session.
struct Hook<'c> {
    config: &'c Config,
    policy: Policy,
    runtime: RuntimeDir,
    claims: Claims,
    claim: Claim,
    call: HookCall,
}

impl Hook<'_> {
    /// Tells the others of the limit that ended a turn.
    fn tell_of(&self, hit: Option<(Timestamp, LimitHit)>) {
        let Some((at, hit)) = hit else { return };
        let Ok(board) = NoticeBoard::open(&self.runtime) else { return };
        let account = &self.claim.account;
        let from = MemberId::of(&self.claim.key, &Scope::Project(self.call.folder.clone()));
        let window = hit.window;
        // What was said with the refusal comes first; else it is the window that is open.
        let resets_at = hit.resets_at.0.or_else(|| open_until(&board, account, &window, at));
        let sample = LimitSample {
            window: window.clone(),
            resets_at,
            used_hundredths: Some(10_000),
            status: "rejected".into(),
        };
        let notice = Notice {
            project: Some(self.call.folder.clone()),
            ..Notice::limit_hit(account.clone(), from, at, window, resets_at)
        };
        let _ = board.post(&[notice]);
        let account = account.as_str().into();
        let _ = board.board().observe(&BoardSample { account, source: "hook".into(), at, sample });
    }

    /// Returns the quota that was just met, by the transcript's end; the line may come a little later than the call.
    fn hit_in_transcript(&self, wait: Duration) -> Option<(Timestamp, LimitHit)> {
        let path = self.call.own_transcript()?;
        let (called, begun) = (now(), Instant::now());
        let words = self.hit_in_words();
        loop {
            let found = last_hit(&end_of(&path), &self.config.zone);
            // One that was met shortly before may stand there while the one that the call is about does not yet.
            let is_told = |hit: &LimitHit| words.as_ref().is_none_or(|(_, words)| is_same_time(words, hit));
            let found = found.filter(|(at, hit)| *at > called.before(NEWS) && is_told(hit));
            let is_surely_it = found.as_ref().is_some_and(|(at, _)| *at > called.before(JUST_NOW));
            if is_surely_it || begun.elapsed() >= wait {
                return found;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the same by the words that the turn ended with, where there is no transcript.
    fn hit_in_words(&self) -> Option<(Timestamp, LimitHit)> {
        let line = serde_json::json!({
            "type": "assistant", "sessionId": self.call.conversation, "uuid": "hook", "timestamp": now().to_string(),
            "isApiErrorMessage": true, "error": self.call.error,
            "message": {"model": "<synthetic>", "content": [{"type": "text", "text": self.call.last_words}]},
        });
        last_hit(format!("{line}\n").as_bytes(), &self.config.zone)
    }

    /// Works out what to do before a tool call, and does it.
    fn advised(&self) -> Option<String> {
        let at = now();
        let board = board(self.config, &self.runtime)?;
        let standings = standings(&board, &self.claim.account, at)?;
        let session = self.claim.key.session_id();
        let subject = Subject {
            folder: Some(&self.call.folder),
            session: Some(session),
            conversation: Some(&self.claim.conversation),
        };
        let priority = self.config.priority.unwrap_or_else(|| self.config.priorities.of(subject));
        let advice = advise(Question {
            now: at,
            standings: &standings,
            priority,
            act: self.call.act,
            model: self.claim.model.as_deref(),
            seed: &self.claim.conversation,
        });
        let cause = advice.cause()?.clone();
        let strains = self.claims.strains(&self.claim.conversation);
        let enforced = self.policy == Policy::Enforce;
        let write_down = |deed, done| {
            let restraint = Restraint {
                deed,
                done,
                why: cause.why,
                window: cause.window.clone(),
                resets_at: cause.resets_at,
                used_hundredths: cause.used_hundredths,
                tool: self.call.tool.chars().take(TOOL_CHARS_MAX).collect::<String>().into(),
                priority: priority.name().into(),
            };
            let event = restraint.event(&self.claim.conversation.as_str().into(), at, std::process::id());
            Journal::of(&self.config.data_dir).add(&event)
        };
        let burden = match &advice {
            Advice::Proceed => return None,
            Advice::Tell(_) => Burden::Told(cause.resets_at.unwrap_or_default()),
            Advice::Wait(wait, _) => Burden::Wait(*wait),
            Advice::Refuse(_) => Burden::Refusal,
        };
        if matches!(burden, Burden::Told(_)) && strains.iter().any(|it| it.burden == burden) {
            return None;
        }
        if enforced && is_overstrained(&strains, at) {
            let _ = write_down(Deed::Released, false);
            return None;
        }
        // What cannot be accounted for is not done.
        if enforced || matches!(burden, Burden::Told(_)) {
            self.claims.strain(&self.claim.conversation, Strain { at, burden }).ok()?;
        }
        match advice {
            Advice::Proceed => None,
            Advice::Tell(cause) => {
                write_down(Deed::Told, enforced).ok()?;
                enforced.then(|| message(&told(&cause, at, &self.config.zone)))
            }
            Advice::Wait(wait, _) => {
                let begun = Instant::now();
                if enforced {
                    thread::sleep(wait);
                }
                let waited_ms = if enforced { begun.elapsed().as_millis() as u64 } else { 0 };
                let _ = write_down(Deed::Waited { due_ms: wait.as_millis() as u64, waited_ms }, enforced);
                None
            }
            Advice::Refuse(cause) => {
                write_down(Deed::Refused, enforced).ok()?;
                enforced.then(|| refusal(&refused(&cause, self.call.act, at, &self.config.zone)))
            }
        }
    }
}

/// Returns when a window is reset that others told of.
fn open_until(
    board: &NoticeBoard,
    account: &AccountId,
    window: &LimitWindow,
    now: Timestamp,
) -> Option<Timestamp> {
    let standings = standings(board, account, now)?;
    standings.into_iter().find(|it| it.window == *window)?.resets_at.filter(|reset| *reset > now)
}

/// Returns how the account's windows stand, by what all sessions told; `None` where the board cannot be read.
fn standings(board: &NoticeBoard, account: &AccountId, now: Timestamp) -> Option<Vec<WindowStanding>> {
    let samples = board.board().observed().ok()?;
    let of_account = samples.iter().filter(|it| *it.account == *account.as_str());
    let mut readings: Vec<Reading> = of_account.filter_map(limits::of_board).collect();
    // A hit may be told by a notice alone: one that waits in the spool, or that a monitor posted.
    let told = board.spooled().into_iter().chain(board.newest(LOOKED_BACK).ok()?);
    readings.extend(told.filter(|it| it.account == *account).filter_map(|notice| limits::of_notice(&notice)));
    let hits: Vec<Reading> =
        readings.iter().filter(|it| it.status == LimitStatus::Rejected).cloned().collect();
    let limits = Limits::merge(readings, now).limits.into_iter();
    Some(
        limits
            .map(|limit| {
                let was_hit = |hit: &Reading| match (hit.resets_at, limit.resets_at) {
                    (Some(one), Some(other)) => one.since(other).max(other.since(one)) <= SAME_RESET,
                    _ => false,
                };
                let over = limit.is_over && hits.iter().any(|hit| hit.window == limit.window && was_hit(hit));
                WindowStanding {
                    used_hundredths: limit.used_now(),
                    hit: over || (!limit.is_over && limit.status == LimitStatus::Rejected),
                    resets_at: limit.resets_at,
                    at: limit.observed_at,
                    window: limit.window,
                }
            })
            .collect(),
    )
}

/// Returns the last lines of a transcript; nothing where it cannot be read.
fn end_of(path: &Path) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        if !std::fs::symlink_metadata(path)?.is_file() {
            return Ok(Vec::new());
        }
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(2 * TAIL_BYTES).read_to_end(&mut bytes)?;
        if from > 0 {
            // The first line is most likely a part of one.
            let begin = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
            bytes.drain(..begin);
        }
        Ok(bytes)
    };
    read().unwrap_or_default()
}

/// Returns the last quota that lines of a transcript tell of.
fn last_hit(lines: &[u8], zone: &Zone) -> Option<(Timestamp, LimitHit)> {
    let mut tail = Tail::new(SourceKind::Main { conversation: "hook".into() }, zone.clone());
    let found = tail.feed(lines).found.into_iter();
    found.rev().find_map(|found| match found.event.fact {
        Fact::LimitHit(hit) if hit.cause == LimitCause::Quota => Some((found.event.at, hit)),
        _ => None,
    })
}

/// Returns whether two hits may name one reset: words say the hour and the minute, often without the day.
fn is_same_time(words: &LimitHit, hit: &LimitHit) -> bool {
    const DAY_MS: i64 = 86_400_000;
    const MINUTE_MS: i64 = 60_000;
    let (Some(words), Some(hit)) = (words.resets_at.0, hit.resets_at.0) else { return true };
    let apart = (hit.as_millis() - words.as_millis()).rem_euclid(DAY_MS);
    apart <= MINUTE_MS || apart >= DAY_MS - MINUTE_MS
}

/// Says to a model why its call is refused, until when, and what it can do.
fn refused(cause: &Cause, act: Act, now: Timestamp, zone: &Zone) -> String {
    let limit = limit_name(&cause.window);
    let state = match cause.why {
        Why::AheadOfPace => format!("the account's {limit} is used faster than it lasts"),
        _ => format!("the account's {limit} is spent"),
    };
    let way_out = match act {
        Act::Delegate => {
            "Do not try this again before then: go on without sub-agents and background jobs, or end your turn."
        }
        _ => "Do not try again before then: end your turn and say until when you wait.",
    };
    format!("ClaudeWatch: {state}; {}. {way_out}", reset(cause, now, zone))
}

/// Says to a human what others are refused for.
fn told(cause: &Cause, now: Timestamp, zone: &Zone) -> String {
    let limit = limit_name(&cause.window);
    format!("ClaudeWatch: the account's {limit} is spent; {}.", reset(cause, now, zone))
}

fn reset(cause: &Cause, now: Timestamp, zone: &Zone) -> String {
    let Some(at) = cause.resets_at else { return "when it is reset is not known".to_owned() };
    let utc = at.to_string();
    // Whole seconds suffice.
    let utc = utc.get(..19).unwrap_or(&utc);
    format!("it resets at {} ({utc}Z, in {})", moment(zone, at, now), span(at.since(now)))
}
