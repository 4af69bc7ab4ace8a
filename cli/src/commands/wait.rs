//! `claudewatch wait`: returns when the account may go on.

use std::time::{Duration, Instant};

use session_analytics::{Limit, LimitStatus, Limits, Reading};
use session_coordinator::{Listener, NoticeBoard};
use session_store::Timestamp;

use crate::accounts::Accounts;
use crate::args::WaitArgs;
use crate::clock::now;
use crate::context::Context;
use crate::coordination;
use crate::error::{CliError, exit};
use crate::limits;
use crate::words;

/// How often the board is looked at, at least; samples ring no bell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the transcripts are looked at, where nobody else does.
const READ_EVERY: Duration = Duration::from_secs(10);

/// Waits; returns the code.
pub(crate) fn run(context: &Context, args: &WaitArgs) -> Result<u8, CliError> {
    let until = args.timeout.map(|timeout| Instant::now() + timeout);
    let mut archive = context.archive()?;
    let mut accounts = Accounts::known(&context.config, &archive.store)?;
    let mut on_disk = limits::readings_on_disk(&accounts, &archive.store)?;
    let mut read_at = Instant::now();
    let mut place = Place::default();
    let mut told = None;
    loop {
        place.find(context);
        let readings = on_disk.iter().cloned().chain(place.readings(&accounts));
        let limits = Limits::merge(readings, now());
        let Some(obstacle) = obstacle(&limits, args) else { return Ok(exit::DONE) };
        let name = (obstacle.account.clone(), obstacle.window.clone(), obstacle.resets_at);
        if told.as_ref() != Some(&name) {
            context.remark(&remark(context, obstacle));
            told = Some(name);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(exit::TIMED_OUT);
        }
        let rang = place.wait(pause(obstacle, left));
        if rang || read_at.elapsed() >= READ_EVERY {
            accounts.learn(&archive.ingestor.scan(&|_| {})?.touched);
            on_disk = limits::readings_on_disk(&accounts, &archive.store)?;
            read_at = Instant::now();
        }
    }
}

/// Returns what stands in the way: a limit that is hit, or one that is not below what is asked for.
fn obstacle<'a>(limits: &'a Limits, args: &WaitArgs) -> Option<&'a Limit> {
    let open = limits.limits.iter().filter(|limit| !limit.is_over);
    let stands = open.filter(|limit| {
        let is_hit = limit.status == LimitStatus::Rejected;
        let is_above = args
            .below
            .is_some_and(|below| limit.used_now().is_some_and(|used| f64::from(used) >= below * 100.0));
        is_hit || is_above
    });
    // The one that is reset last is waited for longest.
    stands.max_by_key(|limit| limit.resets_at.unwrap_or(Timestamp::MIN))
}

fn pause(limit: &Limit, left: Option<Duration>) -> Duration {
    let to_reset = limit.resets_at.map_or(LOOK_EVERY, |reset| reset.since(now()));
    // At the very moment of the reset it is over.
    let pause = LOOK_EVERY.min(to_reset.max(Duration::from_millis(1)));
    left.map_or(pause, |left| pause.min(left))
}

fn remark(context: &Context, limit: &Limit) -> String {
    let zone = &context.config.zone;
    let reset = limit.resets_at.map_or_else(String::new, |at| {
        format!(", which is reset at {} (in {})", words::moment(zone, at, now()), words::until(at, now()))
    });
    format!("waiting for the {}{reset}", words::limit_name(&limit.window))
}

/// The board and its bell, while there are some.
#[derive(Default)]
struct Place(Option<(NoticeBoard, Listener)>);

impl Place {
    /// Looks for the board where there was none, or where it was taken away.
    fn find(&mut self, context: &Context) {
        if self.0.as_ref().is_some_and(|(board, _)| board.is_current()) {
            return;
        }
        self.0 = coordination::existing_board(&context.config)
            .and_then(|(runtime, board)| Some((board, Listener::open(&runtime).ok()?)));
    }

    fn readings(&self, accounts: &Accounts) -> Vec<Reading> {
        let of_board = |(board, _): &(NoticeBoard, Listener)| limits::board_readings(accounts, board);
        self.0.as_ref().map(of_board).unwrap_or_default()
    }

    /// Sleeps; returns whether somebody rang.
    fn wait(&mut self, time: Duration) -> bool {
        match &mut self.0 {
            Some((_, listener)) => listener.wait(time).rang,
            None => {
                std::thread::sleep(time);
                false
            }
        }
    }
}
