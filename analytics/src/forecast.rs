//! When a limit runs out: a time with an interval, or the reset before it, or nothing where data are too few.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_store::{CELL_WIDTH, Cell, LimitWindow, Timestamp, Zone};

use crate::backtest::backtest;
use crate::course::Course;
use crate::hopes::Hopes;
use crate::learn::{Backtest, Learned, LearnedLimit, PercentCost, SAMPLES_MIN, WindowState};
use crate::pricing::PriceBook;
use crate::rate::{BurnRate, Load, quarter_of};
use crate::window::{self, Window};

/// How far apart the moments are that forecasts are made of while nothing happens.
const STEP: Duration = Duration::from_secs(5 * 60);
/// How much of the past counts: what the back-test tries, and what it learned from then.
const HISTORY: Duration = Duration::from_secs(26 * 7 * 86_400);

/// Quarter hours in a day.
const DAY: i64 = 96;

/// What a forecast is made of.
#[derive(Debug)]
pub struct ForecastInput<'a> {
    /// The sums of the account, in the order of their keys; those before [`ForecastInput::history_from`] are passed over.
    pub cells: &'a [Cell],
    /// The prices.
    pub book: &'a PriceBook,
    /// In which habits have hours.
    pub zone: &'a Zone,
    /// The limit as it was told last.
    pub state: &'a WindowState,
    /// Earlier states of the same limit, in any order; they teach what a percent costs and where windows lie.
    pub samples: &'a [WindowState],
    /// The moment.
    pub now: Timestamp,
}

/// When a limit of an account runs out.
///
/// # Method
///
/// 1. What a percent costs: [`crate::PercentCost`], else the dollars used in this window by its percentage (from 5 % on).
/// 2. What is left, in dollars: `(100 − used) · p − use since the sample`, where `p` is the dollars of one percent.
/// 3. What will be used: the recent rate, giving way to the habit of the hour, half after one hour, the habit scaled by how the last
///    eight hours compared to it. Summed up until what is left is used, with the quotients that past forecasts of the same reach missed by: their median makes the time, their 10th and
///    90th percentile the interval.
/// 4. Nothing after the reset counts: what lies behind it is told as [`Prediction::resets_first`].
///
/// # Limits
///
/// It takes dollars of the list price for the weights of the meter, the work seen by this store for all work, and the past for the
/// future. [`Prediction::backtest`] says how well that went so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The account.
    pub account: String,
    /// Which limit.
    pub window: LimitWindow,
    /// How much is used by now, 0 to 100: the last told and the use since; `None` where nobody told.
    pub used_percentage: Option<f64>,
    /// When the window ends, told or inferred.
    pub resets_at: Option<Timestamp>,
    /// When the limit runs out; `None` where the reset comes first or the data are too few.
    pub runs_out_at: Option<Timestamp>,
    /// The earlier end of the 80 % interval of that time; `None` where it lies behind the reset.
    pub low: Option<Timestamp>,
    /// The later end; `None` where it lies behind the reset.
    pub high: Option<Timestamp>,
    /// Whether the reset comes before the limit runs out; `None` where the data are too few.
    pub resets_first: Option<bool>,
    /// How many more replies of the recent mean price fit.
    pub turns_left: Option<u64>,
    /// How it was found.
    pub method: Method,
    /// How fast the account goes, where it worked within a day.
    pub burn: Option<BurnRate>,
    /// How well the method did on this account's past; `None` where there was none to try it on.
    pub backtest: Option<Backtest>,
}

/// What was learned of a limit, with a mark of what it was learned from, so that nothing is learned twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    mark: u64,
    /// What was learned.
    pub learned: LearnedLimit,
}

/// How a forecast was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Method {
    /// Recent rate and habit.
    Habit,
    /// Recent rate alone, because there is less than a week of history.
    Recent,
    /// The limit is hit already.
    Hit,
    /// No forecast.
    InsufficientData(Lack),
}

/// What a forecast lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Lack {
    /// The limit is no window of known length.
    NoWindow,
    /// Nobody told how much is used, or when the window ends.
    NoSample,
    /// What a percent costs is not known, because the meter was seen too seldom.
    NoPercentCost,
    /// The past holds too few cases to say how far forecasts miss.
    ShortHistory,
}

impl Method {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Habit => "habit",
            Self::Recent => "recent_rate",
            Self::Hit => "limit_hit",
            Self::InsufficientData(_) => "insufficient_data",
        }
    }
}

impl Lack {
    /// Says it in a sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoWindow => "this limit has no window of known length",
            Self::NoSample => "nobody told how much is used and when it resets",
            Self::NoPercentCost => "the meter was seen too seldom to know what a percent costs",
            Self::ShortHistory => "the history is too short to say how far forecasts miss",
        }
    }
}

impl ForecastInput<'_> {
    /// Returns from when on something counts in a forecast made at a moment.
    pub fn history_from(now: Timestamp) -> Timestamp {
        now.before(HISTORY).floor(CELL_WIDTH)
    }

    /// Returns the moment that a forecast is made of at `now`: that of the last reply or reading, or the last of those five
    /// minutes apart where that is later.
    ///
    /// All who ask of the same history within these minutes thus say the same, whenever each of them looks.
    pub fn moment(now: Timestamp, last_known: Timestamp) -> Timestamp {
        now.floor(STEP).max(last_known).min(now)
    }

    /// Returns when a forecast made at `now` is one of the past, although nothing happens.
    pub fn next_moment(now: Timestamp) -> Timestamp {
        now.floor(STEP).after(STEP)
    }

    /// Learns what the account teaches of this limit and tries it on the past; the same arguments give the same value.
    ///
    /// Of the state only the account and the limit matter, so that a limit can be learned of which nothing is known now. What
    /// happened since the quarter hour began is not looked at.
    pub fn learn(&self) -> LearnedLimit {
        Lessons::of(self, &self.load()).learn()
    }

    /// Learns and forecasts; what [`ForecastInput::learn`] and [`Prediction::of`] come to.
    ///
    /// What was learned before stands where it was learned from the same.
    pub fn predict(&self, before: Option<&Lesson>) -> (Prediction, Lesson) {
        let load = self.load();
        let lessons = Lessons::of(self, &load);
        let mark = lessons.mark();
        let lesson = match before.filter(|before| before.mark == mark) {
            Some(before) => before.clone(),
            None => Lesson { mark, learned: lessons.learn() },
        };
        (Prediction::from_load(self, &lesson.learned, &load), lesson)
    }

    fn load(&self) -> Load {
        let blocked = self.all_samples().filter_map(|sample| {
            let is_hit = sample.used_percentage? >= 100.0;
            sample.resets_at.filter(|_| is_hit).map(|reset| sample.observed_at..reset)
        });
        Load::of(self.cells(), self.book, &self.state.window).blocked_in(blocked)
    }

    fn cells(&self) -> &[Cell] {
        let from = Self::history_from(self.now);
        &self.cells[self.cells.partition_point(|cell| cell.key.start < from)..]
    }

    fn all_samples(&self) -> impl Iterator<Item = &WindowState> {
        let from = Self::history_from(self.now);
        let samples = self.samples.iter().chain([self.state]);
        samples.filter(move |sample| sample.window == self.state.window && sample.observed_at >= from)
    }

    fn windows(&self) -> Vec<Window> {
        let kind = &self.state.window;
        let resets: Vec<Timestamp> = self.all_samples().filter_map(|sample| sample.resets_at).collect();
        let official = window::official(kind, &session_store::Ledger::default(), &resets);
        window::windows(kind, self.cells(), &official)
    }
}

/// All that is learned from.
struct Lessons<'a> {
    zone: &'a Zone,
    kind: &'a LimitWindow,
    /// The quarter hour that is running, of which nothing is learned yet.
    until: Timestamp,
    load: Load,
    samples: Vec<&'a WindowState>,
    /// The windows that have ended.
    windows: Vec<Window>,
}

impl<'a> Lessons<'a> {
    fn of(input: &'a ForecastInput<'_>, load: &Load) -> Self {
        let until = input.now.floor(CELL_WIDTH);
        let mut windows = input.windows();
        windows.retain(|window| window.end <= until);
        Self {
            zone: input.zone,
            kind: &input.state.window,
            until,
            load: load.until(until),
            samples: input.all_samples().filter(|sample| sample.observed_at <= until).collect(),
            windows,
        }
    }

    fn learn(&self) -> LearnedLimit {
        let Some(steps) = steps(self.kind) else { return LearnedLimit::default() };
        // What was before the first use is as good as nothing.
        let first = self.load.quarters().keys().next().copied().unwrap_or(i64::MAX).saturating_sub(DAY);
        let until = quarter_of(self.until);
        let from = quarter_of(ForecastInput::history_from(self.until)).max(first.min(until));
        let course = Course::of(&self.load, self.zone, from, until + steps as i64 + 2);
        LearnedLimit {
            percent: PercentCost::learn(&self.load, &self.samples, self.until),
            backtest: backtest(&self.windows, &course, self.until),
            ..LearnedLimit::learn(&course, self.until, steps).0
        }
    }

    /// Returns a number that is another where anything here is, or the version.
    fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (env!("CARGO_PKG_VERSION"), self.zone.to_string(), self.kind, self.until).hash(&mut hasher);
        for (at, quarter) in self.load.quarters() {
            (at, quarter.usd.to_bits()).hash(&mut hasher);
        }
        self.load.blocked().hash(&mut hasher);
        for sample in &self.samples {
            let used = sample.used_percentage.map(f64::to_bits);
            (sample.observed_at, sample.resets_at, used).hash(&mut hasher);
        }
        for window in &self.windows {
            (window.start, window.end).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Prediction {
    /// Forecasts a limit; `learned` comes from [`ForecastInput::learn`], of now or of some time before.
    ///
    /// With equal `learned` a greater percentage or a greater load never makes the time later, as long as what a percent costs
    /// was learned from samples.
    pub fn of(input: &ForecastInput<'_>, learned: &Learned) -> Self {
        let unknown = LearnedLimit::default();
        let limit = learned.limit(&input.state.window).unwrap_or(&unknown);
        Self::from_load(input, limit, &input.load())
    }

    fn from_load(input: &ForecastInput<'_>, limit: &LearnedLimit, load: &Load) -> Self {
        let mut prediction = Self::empty(input, limit, BurnRate::measure(load, input.now));
        match prediction.settle(input, limit, load) {
            Ok(method) => prediction.method = method,
            Err(lack) => prediction.method = Method::InsufficientData(lack),
        }
        prediction
    }

    fn empty(input: &ForecastInput<'_>, limit: &LearnedLimit, burn: Option<BurnRate>) -> Self {
        Self {
            account: input.state.account.clone(),
            window: input.state.window.clone(),
            used_percentage: input.state.used_percentage.map(|used| used.clamp(0.0, 100.0)),
            resets_at: input.state.resets_at.filter(|at| *at > input.now),
            runs_out_at: None,
            low: None,
            high: None,
            resets_first: None,
            turns_left: None,
            method: Method::InsufficientData(Lack::NoSample),
            burn,
            backtest: limit.backtest,
        }
    }

    fn settle(
        &mut self,
        input: &ForecastInput<'_>,
        limit: &LearnedLimit,
        load: &Load,
    ) -> Result<Method, Lack> {
        let now = input.now;
        let steps = steps(&self.window).ok_or(Lack::NoWindow)?;
        let from = quarter_of(now);
        let course = Course::of(load, input.zone, from - DAY, from + steps as i64 + 2);
        let (used, resets_at) = self.used_percentage.zip(self.resets_at).ok_or(Lack::NoSample)?;
        if used >= 100.0 {
            self.runs_out_at = Some(input.state.observed_at.min(now));
            (self.low, self.high) = (self.runs_out_at, self.runs_out_at);
            (self.resets_first, self.turns_left) = (Some(false), Some(0));
            return Ok(Method::Hit);
        }
        let length = self.window.length().ok_or(Lack::NoWindow)?;
        let here = load.usd(resets_at.before(length), input.state.observed_at);
        let by_window = (used >= 5.0 && here > 0.0).then(|| here / used);
        let percent = limit.percent.map(|percent| percent.usd).or(by_window).ok_or(Lack::NoPercentCost)?;
        let used = (used + load.usd(input.state.observed_at, now) / percent).min(100.0);
        self.used_percentage = Some(used);
        let left = (100.0 - used) * percent;
        self.turns_left = load.usd_per_turn(now).map(|usd| (left / usd) as u64);
        if self.backtest.is_none_or(|backtest| backtest.samples < SAMPLES_MIN) {
            return Err(Lack::ShortHistory);
        }
        let hopes = Hopes::of(&course, limit.habit.as_ref());
        let times = hopes.crossings(&limit.all_quotients(steps), now, resets_at, left);
        let times = times.ok_or(Lack::ShortHistory)?;
        [self.low, self.runs_out_at, self.high] = times;
        self.resets_first = Some(self.runs_out_at.is_none());
        Ok(if limit.habit.is_some() { Method::Habit } else { Method::Recent })
    }
}

/// Returns how many quarter hours the windows of a limit have.
fn steps(kind: &LimitWindow) -> Option<usize> {
    kind.length().map(|length| (length.as_secs() / 900) as usize)
}
