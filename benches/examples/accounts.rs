//! Writes events of synthetic accounts as lines for `claudewatch events import`: `accounts FILE EVENTS [DAYS]`,
//! whole accounts until there are as many.
//!
//! They end within the week before now, so that windows of limits are open, or were lately.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, SystemTime};

use claudewatch_benches::account::Account;
use session_store::{Event, Fact, Timestamp, exchange};

const WEEK_MS: i64 = 7 * 86_400_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, events, days @ ..] = args.as_slice() else {
        return Err("usage: accounts FILE EVENTS [DAYS]".into());
    };
    let events: usize = events.parse()?;
    let days = days.first().map_or(Ok(365), |days| days.parse())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as i64;
    let mut out = BufWriter::new(File::create(file)?);
    let mut written = 0;
    for seed in 1.. {
        let ledger = Account::of(seed, days).ledger;
        let last = ledger.iter().map(|event| event.at).max().unwrap_or_default();
        // Whole weeks, so that days of the week stay.
        let weeks_ms = (last.as_millis() - now).div_euclid(WEEK_MS) * WEEK_MS + WEEK_MS;
        for event in ledger {
            out.write_all(exchange::line(&earlier(event, weeks_ms)).as_bytes())?;
            out.write_all(b"\n")?;
            written += 1;
        }
        if written >= events {
            break;
        }
    }
    Ok(out.flush()?)
}

/// Moves an event and what it tells into the past, or into the future where the time is negative.
fn earlier(mut event: Event, by_ms: i64) -> Event {
    let back = |at: Timestamp| match u64::try_from(by_ms) {
        Ok(by) => at.before(Duration::from_millis(by)),
        Err(_) => at.after(Duration::from_millis(by_ms.unsigned_abs())),
    };
    event.at = back(event.at);
    event.owner.since = back(event.owner.since);
    match &mut event.fact {
        Fact::LimitHit(hit) => hit.resets_at.0 = hit.resets_at.0.map(back),
        Fact::LimitSample(sample) => sample.resets_at = sample.resets_at.map(back),
        _ => {}
    }
    event
}
