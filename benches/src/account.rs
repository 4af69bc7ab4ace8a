//! An account whose limits run out at known times: synthetic use with habits, pauses, bursts and idle days.

use std::time::Duration;

use session_store::{
    Event, Fact, Ledger, LimitCause, LimitHit, LimitSample, LimitWindow, Owner, Reset, Role, Timestamp, Turn,
    Usage,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A Monday, at midnight UTC.
const FROM_MS: i64 = 1_790_553_600_000;
const WINDOW: Duration = Duration::from_secs(5 * 3600);
/// Dollars for a million tokens that Sonnet 5.5 writes; replies here are output alone, so that their price is known.
const USD_PER_MTOK: f64 = 10.0;

/// A synthetic account.
#[derive(Debug)]
pub struct Account {
    /// What happened: turns, samples of the meter, refusals.
    pub ledger: Ledger,
    /// The five-hour windows with the times at which they ran out.
    pub windows: Vec<TrueWindow>,
    /// What a percent of the meter truly costs, in dollars.
    pub usd_per_percent: f64,
}

/// A window and its truth.
#[derive(Clone, Copy, Debug)]
pub struct TrueWindow {
    /// Its first moment.
    pub start: Timestamp,
    /// Its reset.
    pub end: Timestamp,
    /// When its limit ran out; `None` where the reset came first.
    pub ran_out_at: Option<Timestamp>,
}

/// How somebody works.
struct Person {
    begins_hour: f64,
    ends_hour: f64,
    evening_share: f64,
    weekend_share: f64,
    burst_minutes: f64,
    pause_minutes: f64,
    turn_seconds: f64,
    turn_usd: f64,
    limit_usd: f64,
}

struct Writer {
    /// Sets the ids of one account apart from those of others.
    seed: u64,
    account: Account,
    limit_usd: f64,
    used_usd: f64,
    sampled_at: i64,
    turns: u64,
}

impl Account {
    /// Makes an account of so many days; equal seeds make equal accounts.
    ///
    /// A person works on weekdays between two hours of their own, with a lunch, some evenings and weekends; in bursts
    /// of turns with pauses between, whose pace varies from day to day and from burst to burst. The limit is such that about half of
    /// the windows run out; then nothing is used until the reset. The meter is told every ten minutes or so, in whole
    /// percents.
    pub fn of(seed: u64, days: i64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let between = |rng: &mut fastrand::Rng, low: f64, high: f64| low + (high - low) * rng.f64();
        let person = Person {
            begins_hour: between(&mut rng, 7.0, 10.0),
            ends_hour: between(&mut rng, 16.0, 19.5),
            evening_share: between(&mut rng, 0.0, 0.5),
            weekend_share: between(&mut rng, 0.0, 0.4),
            burst_minutes: between(&mut rng, 12.0, 50.0),
            pause_minutes: between(&mut rng, 6.0, 30.0),
            turn_seconds: between(&mut rng, 15.0, 60.0),
            turn_usd: between(&mut rng, 0.02, 0.2),
            limit_usd: 0.0,
        };
        let busy = person.burst_minutes / (person.burst_minutes + person.pause_minutes);
        let usd_per_hour = busy * 3600.0 / person.turn_seconds * person.turn_usd;
        let person = Person { limit_usd: usd_per_hour * between(&mut rng, 3.0, 4.8), ..person };
        let account = Self {
            ledger: Ledger::default(),
            windows: Vec::new(),
            usd_per_percent: person.limit_usd / 100.0,
        };
        let mut writer =
            Writer { seed, account, limit_usd: person.limit_usd, used_usd: 0.0, sampled_at: 0, turns: 0 };
        for day in 0..days {
            person.day(&mut rng, &mut writer, day);
        }
        writer.account
    }
}

impl Person {
    fn day(&self, rng: &mut fastrand::Rng, writer: &mut Writer, day: i64) {
        let is_weekend = day % 7 >= 5;
        if is_weekend && rng.f64() > self.weekend_share {
            return;
        }
        let midnight = FROM_MS + day * DAY_MS;
        let hour = |hours: f64| midnight + (hours * HOUR_MS as f64) as i64;
        let pace = (0.35 * normal(rng)).exp();
        let begins = hour(self.begins_hour + 0.5 * normal(rng));
        let lunch = 12.0 + rng.f64();
        self.work(rng, writer, begins..hour(lunch), pace);
        let goes_on = hour(lunch + 0.5 + 0.5 * rng.f64());
        let ends = hour(self.ends_hour + 0.5 * normal(rng));
        self.work(rng, writer, goes_on..ends, pace);
        if rng.f64() < self.evening_share {
            let evening = hour(20.0 + rng.f64())..hour(22.0 + rng.f64());
            self.work(rng, writer, evening, pace);
        }
    }

    fn work(&self, rng: &mut fastrand::Rng, writer: &mut Writer, span: std::ops::Range<i64>, pace: f64) {
        let mut at = span.start;
        while at < span.end {
            let burst_ends = at + (exponential(rng, self.burst_minutes) * 60e3) as i64;
            let burst_pace = pace * (0.4 * normal(rng)).exp();
            while at < burst_ends.min(span.end) {
                let usd = self.turn_usd * (0.6 * normal(rng)).exp() * burst_pace;
                at = writer.turn(at, usd);
                at += (exponential(rng, self.turn_seconds) * 1e3) as i64 + 1_000;
            }
            at += (exponential(rng, self.pause_minutes) * 60e3) as i64;
        }
    }
}

impl Writer {
    /// Writes a turn, or a refusal where the limit is used up; returns when work may go on.
    fn turn(&mut self, at_ms: i64, usd: f64) -> i64 {
        let at = Timestamp::from_millis(at_ms);
        if self.account.windows.last().is_none_or(|window| window.end <= at) {
            let start = at.floor(Duration::from_secs(3600));
            self.account.windows.push(TrueWindow { start, end: start.after(WINDOW), ran_out_at: None });
            self.used_usd = 0.0;
        }
        let Some(window) = self.account.windows.last_mut() else { return at_ms };
        let end = window.end;
        self.used_usd += usd;
        self.turns += 1;
        let usage = Usage { output: (usd * 1e6 / USD_PER_MTOK).round() as u64, ..Usage::default() };
        let turn = Turn {
            usage,
            model: "claude-sonnet-5-5".into(),
            tariff: Default::default(),
            under_reported: false,
        };
        let is_out = self.used_usd >= self.limit_usd;
        if is_out {
            window.ran_out_at = Some(at);
        }
        self.write("msg_", at, Fact::Turn(turn));
        if is_out {
            self.write("error:", at, hit(end));
            return end.as_millis() + 60_000;
        }
        if at_ms - self.sampled_at > 600_000 {
            self.sampled_at = at_ms;
            let percent = (self.used_usd / self.limit_usd * 100.0).floor() as u32;
            self.write("sample:", at, sample(end, percent));
        }
        at_ms
    }

    fn write(&mut self, kind: &str, at: Timestamp, fact: Fact) {
        let owner = Owner {
            role: Role::Main,
            since: Timestamp::from_millis(FROM_MS),
            conversation: session_store::ConversationId::new(format!("{}-{}", self.seed, day_of(at))),
            agent: None,
        };
        let id = session_store::EventId::new(format!("{kind}{}_{}", self.seed, self.turns));
        let _ = self.account.ledger.apply(Event { id, at, owner, fact });
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

fn hit(resets_at: Timestamp) -> Fact {
    let window = LimitWindow::FiveHour;
    Fact::LimitHit(LimitHit { cause: LimitCause::Quota, resets_at: Reset(Some(resets_at)), window })
}

fn sample(resets_at: Timestamp, percent: u32) -> Fact {
    Fact::LimitSample(LimitSample {
        window: LimitWindow::FiveHour,
        resets_at: Some(resets_at),
        used_hundredths: Some(percent * 100),
        status: "allowed".into(),
    })
}

fn exponential(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

/// Draws from the standard normal distribution (Box and Muller).
fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}
