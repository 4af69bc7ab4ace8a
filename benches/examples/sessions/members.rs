//! Members of the library: how soon they hear, take over, start.

use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use session_coordinator::{
    Candidate, Coordinator, CoordinatorOptions, Introduction, Isolation, News, Notice, Pace, Role, Scope,
};
use session_store::Timestamp;

use crate::process::{Process, Result, between, now_ns, spread};
use crate::tell;

const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);

fn options(place: &Path, number: u32) -> Result<CoordinatorOptions> {
    let key = format!(
        "pts/1:local:ada:host:{number}~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.{number}.{number:x}"
    );
    let introduction = Introduction {
        key: key.parse()?,
        scope: Scope::Everything,
        folder: None,
        isolation: Isolation::Unified,
        host: "host".into(),
        version: "0.1.0".into(),
        started_at: NOW,
    };
    Ok(CoordinatorOptions {
        candidates: vec![Candidate { path: place.join("claudewatch"), make_parents: false }],
        introduction,
        accounts: vec!["account".into()],
        pace: Pace::Prompt,
    })
}

fn this_program(role: &str, place: &Path, number: u32) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    Process::start(command.arg(role).arg(place).arg(number.to_string()))
}

/// Is a member until nobody listens; says what it is told, and when.
pub(crate) fn take_part(place: &Path, number: u32) -> Result<()> {
    let tell = |news| match news {
        News::Role(Role::Leading(_)) => println!("leading {}", now_ns()),
        News::Notice(notice) => println!("notice {} {}", notice.text, now_ns()),
        _ => {}
    };
    let _member = Coordinator::start(options(place, number)?, tell)?;
    println!("ready");
    std::io::stdin().lock().lines().count();
    Ok(())
}

/// Waits for the others, starts, and says how long that took.
pub(crate) fn start_with_the_others(place: &Path, number: u32) -> Result<()> {
    println!("waiting");
    while !place.join("go").exists() {
        thread::sleep(Duration::from_micros(200));
    }
    let begun = Instant::now();
    let (told, trouble) = channel();
    let member = Coordinator::start(options(place, number)?, move |news| {
        if let News::Apart(error) = news {
            let _ = told.send(error.to_string());
        }
    })?;
    let took = begun.elapsed();
    match trouble.try_recv().ok().or(member.standing().trouble) {
        Some(trouble) => println!("failed {trouble}"),
        None => println!("took {}", took.as_nanos()),
    }
    std::io::stdin().lock().lines().count();
    Ok(())
}

fn number_after(line: &str, word: usize) -> Result<u128> {
    Ok(line.split(' ').nth(word).ok_or("a short line")?.parse()?)
}

/// From the call that posts to the call that delivers, in eight other processes.
pub(crate) fn notices(count: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let members =
        (2..10).map(|number| this_program("member", place.path(), number)).collect::<Result<Vec<_>>>()?;
    for member in &members {
        member.line(|line| line == "ready")?;
    }
    let sender = Coordinator::start(options(place.path(), 1)?, |_| {})?;
    let mut delays = Vec::new();
    for number in 0..count {
        thread::sleep(Duration::from_millis(10));
        let posted = now_ns();
        sender.post(Notice::message("account".into(), sender.member(), NOW, &number.to_string()));
        for member in &members {
            let (_, line) = member.line(|line| line.starts_with(&format!("notice {number} ")))?;
            delays.push(between(posted, number_after(&line, 2)?));
        }
    }
    tell("notice to 8 processes, median / p99 / max", &spread(delays), "1 / 10 ms");
    Ok(())
}

/// From the kill of a leader to the next one's lead, among eight.
pub(crate) fn takeovers(count: usize) -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut next = 0;
    let mut start = || {
        next += 1;
        this_program("member", place.path(), next)
    };
    let mut leader = start()?;
    leader.line(|line| line.starts_with("leading"))?;
    let mut others = (0..7).map(|_| start()).collect::<Result<Vec<_>>>()?;
    for member in &others {
        member.line(|line| line == "ready")?;
    }
    let mut delays = Vec::new();
    for _ in 0..count {
        let killed = now_ns();
        drop(leader);
        let (place, at) = loop {
            let said = others.iter().enumerate().find_map(|(place, it)| {
                let line = it.line_so_far().filter(|line| line.starts_with("leading"))?;
                Some((place, number_after(&line, 1)))
            });
            match said {
                Some(said) => break said,
                None if between(killed, now_ns()) > Duration::from_secs(20) => {
                    return Err("nobody leads".into());
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        delays.push(between(killed, at?));
        leader = others.swap_remove(place);
        let newcomer = start()?;
        newcomer.line(|line| line == "ready")?;
        others.push(newcomer);
    }
    tell("takeover after kill, median / p99 / max", &spread(delays), "50 ms");
    Ok(())
}

/// How long each of 64 needs that start at the same instant in a fresh folder.
pub(crate) fn starts(rounds: usize) -> Result<()> {
    let (mut times, mut failures) = (Vec::new(), 0);
    for _ in 0..rounds {
        let place = tempfile::tempdir()?;
        let starters = (1..=64)
            .map(|number| this_program("starter", place.path(), number))
            .collect::<Result<Vec<_>>>()?;
        for starter in &starters {
            starter.line(|line| line == "waiting")?;
        }
        fs::write(place.path().join("go"), "")?;
        for starter in &starters {
            let (_, line) = starter.line(|line| line.starts_with("took ") || line.starts_with("failed "))?;
            match line.strip_prefix("took ") {
                Some(took) => times.push(Duration::from_nanos(took.parse()?)),
                None => failures += 1,
            }
        }
    }
    tell(&format!("64 starts at once, {rounds} rounds, median / p99 / max"), &spread(times), "1000 ms");
    tell("  of them failed", &failures.to_string(), "0");
    Ok(())
}
