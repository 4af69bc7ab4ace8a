//! Calls of Claude Code's: what a hook and a status line cost as whole processes, beside a hundred monitors.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};

use crate::monitors::{Home, program};
use crate::process::{Process, Result, spread};
use crate::tell;

/// The sessions that call at once.
const SESSIONS: u64 = 16;

/// Makes calls one after the other, then status lines of sixteen sessions, one a second each.
pub(crate) fn calls(calls: u64, seconds: u64) -> Result<()> {
    let home = Home::of(20_000_000)?;
    let monitors = (0..100).map(|_| home.monitor()).collect::<Result<Vec<Process>>>()?;
    for monitor in &monitors {
        home.wait_for(monitor)?;
    }
    thread::sleep(Duration::from_secs(5));
    let asked = "5 ms";
    for session in 0..SESSIONS {
        call(&home, "hook", &hook("SessionStart", session, &home))?;
        call(&home, "statusline", &status(session, 0, &home))?;
    }
    let measure = |name: &str, command: &str, input: &dyn Fn(u64) -> String| -> Result<()> {
        let (mut times, before) = (Vec::new(), ran_by_children()?);
        for number in 0..calls {
            times.push(call(&home, command, &input(number))?);
        }
        let each = (ran_by_children()? - before).as_secs_f64() * 1e3 / calls as f64;
        tell(&format!("{name}, median / p99 / max"), &spread(times), asked);
        tell("  processor time of each", &format!("{each:.2} ms"), "");
        Ok(())
    };
    measure("hook before a tool call", "hook", &|number| hook("PreToolUse", number % SESSIONS, &home))?;
    measure("hook after a tool call", "hook", &|number| hook("PostToolUse", number % SESSIONS, &home))?;
    measure("status line, nothing new", "statusline", &|number| status(number % SESSIONS, 0, &home))?;
    measure("status line, a new answer", "statusline", &|number| {
        status(number % SESSIONS, 1 + number / SESSIONS, &home)
    })?;

    for (name, is_new) in [("nothing new", false), ("an answer every five seconds", true)] {
        let ran = || monitors.iter().map(Process::ran).sum::<Result<Duration>>();
        let (of_lines, of_monitors, begun) = (ran_by_children()?, ran()?, Instant::now());
        for second in 0..seconds {
            for session in 0..SESSIONS {
                let answer = if is_new { 1000 + (second + session) / 5 } else { 900 };
                call(&home, "statusline", &status(session, answer, &home))?;
                let due = Duration::from_millis(second * 1000 + (session + 1) * 1000 / SESSIONS);
                thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        }
        let whole = begun.elapsed().as_secs_f64() / 100.0;
        let lines = (ran_by_children()? - of_lines).as_secs_f64() / whole;
        let monitors = (ran()? - of_monitors).as_secs_f64() / whole;
        tell(&format!("16 status lines a second, {name}, of a core"), &format!("{lines:.2} %"), "5 %");
        tell("  the hundred monitors beside them", &format!("{monitors:.2} %"), "");
    }
    Ok(())
}

/// Runs a call to its end and returns how long it took.
fn call(home: &Home, command: &str, input: &str) -> Result<Duration> {
    let mut command = command_of(home, command)?;
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(input.as_bytes())?;
    let ended = child.wait()?;
    let took = begun.elapsed();
    if ended.success() { Ok(took) } else { Err("a call failed".into()) }
}

/// Calls as Claude Code does: no shell in between, and none to be waited for.
fn command_of(home: &Home, command: &str) -> Result<Command> {
    let mut own = Command::new(program()?);
    own.arg(command).env_clear().current_dir(home.path().join("work"));
    own.env("HOME", home.path()).env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
    own.env("CLAUDEWATCH_RUNTIME_DIR", home.path().join("run"));
    Ok(own)
}

fn transcript(session: u64, home: &Home) -> PathBuf {
    home.path().join(format!(".claude/projects/-calls/calls-{session}.jsonl"))
}

fn hook(event: &str, session: u64, home: &Home) -> String {
    let (transcript, work) = (transcript(session, home), home.path().join("work"));
    let (transcript, work) = (transcript.display(), work.display());
    format!(
        r#"{{"hook_event_name":"{event}","session_id":"calls-{session}","transcript_path":"{transcript}","cwd":"{work}","tool_name":"Bash","tool_input":{{"command":"cargo test"}}}}"#
    )
}

fn status(session: u64, answer: u64, home: &Home) -> String {
    let transcript = transcript(session, home);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let reset = |after: u64| seconds / 3600 * 3600 + after;
    let used = 20.0 + answer as f64 / 100.0;
    format!(
        r#"{{"session_id":"calls-{session}","transcript_path":"{}","cwd":"/p","version":"2.1.330","model":{{"id":"claude-opus-5-5","display_name":"Opus"}},"cost":{{"total_cost_usd":{used},"total_duration_ms":60000,"total_api_duration_ms":{answer}}},"rate_limits":{{"five_hour":{{"used_percentage":{used},"resets_at":{}}},"seven_day":{{"used_percentage":{used},"resets_at":{}}}}}}}"#,
        transcript.display(),
        reset(7200),
        reset(360_000),
    )
}

/// Returns the processor time of all children that have ended.
fn ran_by_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}
