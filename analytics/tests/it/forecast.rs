//! Windows, rates and forecasts: what they promise whatever happened.

use std::sync::OnceLock;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use session_analytics::window::{self, Stretch};
use session_analytics::{
    BurnRate, Figures, ForecastInput, Lack, Learned, LearnedLimit, Load, Method, PercentCost, Prediction,
    PriceBook, SAMPLES_MIN, WindowState,
};
use session_store::{LimitWindow, Timestamp, Usage, Zone, strategies};

use crate::story::{DAY, HOUR, MINUTE, MONDAY, Reply, Story, at};

const SECOND: Duration = Duration::from_secs(1);

fn state(used: f64, resets_at: Timestamp, observed_at: Timestamp) -> WindowState {
    WindowState {
        account: "ada".into(),
        window: LimitWindow::FiveHour,
        used_percentage: Some(used),
        resets_at: Some(resets_at),
        observed_at,
    }
}

/// Six weeks of work: weekdays from nine to twelve and from one to five, a dollar every ten minutes, less on some days.
fn weeks() -> Story {
    let mut story = Story::default();
    for day in (0..42u32).filter(|day| day % 7 < 5) {
        let midnight = at("2026-11-02T00:00:00Z").after(DAY * day);
        for minute in (9 * 60..17 * 60).step_by(10).filter(|minute| minute / 60 != 12) {
            let output = 30_000 + 5_000 * u64::from(day % 5) + u64::from(minute % 70) * 100;
            let usage = Usage { output, ..Usage::default() };
            story.reply(midnight.after(MINUTE * minute), &Reply { usage, ..Reply::default() });
        }
    }
    story
}

struct Case {
    figures: Figures,
    book: PriceBook,
    zone: Zone,
    samples: Vec<WindowState>,
}

impl Case {
    fn of(story: &Story, samples: Vec<WindowState>) -> Self {
        let figures = Figures::of(&story.ledger);
        Self { figures, book: PriceBook::built_in(), zone: Zone::utc(), samples }
    }

    fn input<'a>(&'a self, state: &'a WindowState, now: Timestamp) -> ForecastInput<'a> {
        let Self { figures, book, zone, samples } = self;
        // As of the moment: later use is not known yet.
        let known = figures.cells.partition_point(|cell| cell.key.start < now);
        ForecastInput { cells: &figures.cells[..known], book, zone, state, samples, now }
    }

    fn forecast(&self, state: &WindowState, now: Timestamp) -> Prediction {
        let input = self.input(state, now);
        let limits = [("five_hour".to_owned(), input.learn())];
        Prediction::of(&input, &Learned { limits: limits.into() })
    }
}

#[test]
fn a_steady_worker_runs_out_when_arithmetic_says_so() {
    let case = Case::of(&weeks(), Vec::new());
    // A Thursday of the sixth week, in a window from nine on: half is used after two hours of 3.3 $ or so.
    let now = at("2026-12-10T11:00:00Z");
    let used_up = case.forecast(&state(60.0, at("2026-12-10T14:00:00Z"), now), now);
    assert_eq!(used_up.method, Method::Habit);
    let runs_out = used_up.runs_out_at.expect("it runs out");
    // 2 hours made 60 %, so 40 % need 80 minutes: an hour of work, lunch, and twenty minutes more.
    let truth = at("2026-12-10T13:20:00Z");
    assert!(runs_out.max(truth).since(runs_out.min(truth)) <= MINUTE * 15, "{runs_out}");
    assert!(used_up.low.unwrap() <= runs_out && used_up.high.is_none_or(|high| runs_out <= high));
    assert_eq!(used_up.resets_first, Some(false));
    assert!(used_up.turns_left.unwrap() > 0);
    let backtest = used_up.backtest.unwrap();
    assert!(backtest.samples >= SAMPLES_MIN && backtest.coverage > 0.7, "{backtest:?}");
    assert!(backtest.median_error_minutes <= backtest.linear_error_minutes, "{backtest:?}");

    let lasts = case.forecast(&state(10.0, at("2026-12-10T14:00:00Z"), now), now);
    assert_eq!((lasts.runs_out_at, lasts.resets_first), (None, Some(true)));
}

#[test]
fn no_number_where_data_lack() {
    let now = at("2026-12-10T11:00:00Z");
    let reset = at("2026-12-10T14:00:00Z");
    let check = |case: &Case, state: WindowState, lack| {
        let prediction = case.forecast(&state, now);
        assert_eq!(prediction.method, Method::InsufficientData(lack));
        assert_eq!((prediction.runs_out_at, prediction.low, prediction.high), (None, None, None));
        assert_eq!(prediction.resets_first, None);
    };
    let case = Case::of(&weeks(), Vec::new());
    check(&case, WindowState { used_percentage: None, ..state(0.0, reset, now) }, Lack::NoSample);
    check(&case, WindowState { resets_at: None, ..state(50.0, reset, now) }, Lack::NoSample);
    check(&case, state(50.0, now.before(HOUR), now.before(HOUR)), Lack::NoSample);
    check(&case, state(1.0, reset, now), Lack::NoPercentCost);
    let overage = WindowState { window: LimitWindow::Overage, ..state(50.0, reset, now) };
    check(&case, overage, Lack::NoWindow);
    let mut short = Story::default();
    for minute in 0..100 {
        short.reply(now.before(MINUTE * minute), &Reply::default());
    }
    check(&Case::of(&short, Vec::new()), state(50.0, reset, now), Lack::ShortHistory);
    check(&Case::of(&Story::default(), Vec::new()), state(50.0, reset, now), Lack::NoPercentCost);
}

#[test]
fn a_hit_limit_has_run_out() {
    let now = at("2026-12-10T11:00:00Z");
    let hit = Case::of(&weeks(), Vec::new())
        .forecast(&state(100.0, at("2026-12-10T14:00:00Z"), now.before(MINUTE)), now);
    assert_eq!(hit.method, Method::Hit);
    assert_eq!(
        (hit.runs_out_at, hit.resets_first, hit.turns_left),
        (Some(now.before(MINUTE)), Some(false), Some(0))
    );
}

#[test]
fn a_percent_costs_what_its_samples_rose_by() {
    let story = weeks();
    // The meter rises by 5 % an hour while about four dollars are used.
    let samples: Vec<_> = (0..5)
        .map(|hour| {
            let reset = at("2026-12-10T14:00:00Z");
            state(f64::from(hour) * 5.0 + 3.0, reset, at("2026-12-10T09:00:00Z").after(HOUR * hour))
        })
        .collect();
    let case = Case::of(&story, samples);
    let now = at("2026-12-10T13:30:00Z");
    let learned = case.input(&case.samples[4], now).learn();
    let percent: PercentCost = learned.percent.unwrap();
    assert_eq!(percent.pairs, 4);
    assert!((0.9..1.1).contains(&(percent.usd / (6.0 * 0.96 / 5.0))), "{percent:?}");
    assert!(percent.low <= percent.usd && percent.usd <= percent.high);
    // What is learned survives its storing.
    let text = serde_json::to_string(&learned).unwrap();
    let read: LearnedLimit = serde_json::from_str(&text).unwrap();
    let digits =
        |limit: &LearnedLimit| limit.habit.as_ref().map(|habit| (habit.usd_per_quarter[9] * 1e9).round());
    assert_eq!(digits(&read), digits(&learned));
    assert_eq!((read.percent.unwrap().pairs, read.spreads.len()), (4, learned.spreads.len()));
}

#[test]
fn a_pause_lowers_the_share_and_leaves_the_pace() {
    let start = at(MONDAY);
    let load = Load::of_dollars((0..24).map(|number| (start.after(MINUTE * 5 * number), 1.0)));
    let busy = BurnRate::measure(&load, start.after(HOUR * 2)).unwrap();
    let paused = BurnRate::measure(&load, start.after(HOUR * 4)).unwrap();
    assert!((busy.pace_usd_per_hour - 12.0).abs() < 1e-9 && (paused.pace_usd_per_hour - 12.0).abs() < 1e-9);
    assert!(paused.active_share < busy.active_share && paused.usd_per_hour < busy.usd_per_hour);
    assert!(busy.low <= busy.usd_per_hour && busy.usd_per_hour <= busy.high);
    assert_eq!(BurnRate::measure(&load, start.after(DAY * 3)), None);
    assert_eq!(BurnRate::measure(&Load::default(), start), None);
}

#[test]
fn weeks_keep_the_step_of_the_nearest_official_reset() {
    let mut story = Story::default();
    for day in 0..30 {
        story.reply(at(MONDAY).after(DAY * day), &Reply::default());
    }
    let kind = LimitWindow::SevenDay;
    let resets = [at("2026-11-18T15:00:00Z")];
    let official = window::official(&kind, &story.ledger, &resets);
    let windows = window::windows(&kind, &Figures::of(&story.ledger).cells, &official);
    let ends: Vec<_> = windows.iter().map(|window| window.end.to_string()[5..16].to_owned()).collect();
    assert_eq!(ends, ["11-04T15:00", "11-11T15:00", "11-18T15:00", "11-25T15:00", "12-02T15:00"]);
    assert_eq!(windows.iter().filter(|window| window.anchored).count(), 1);
}

#[test]
fn only_the_models_of_a_limit_count_in_it() {
    let check = |kind: &str, model: &str, counts| {
        assert_eq!(LimitWindow::from_name(kind).counts(model), counts, "{kind} {model}");
    };
    check("five_hour", "claude-opus-5-5", true);
    check("seven_day", "anything", true);
    check("seven_day_opus", "claude-opus-5-5", true);
    check("seven_day_opus", "claude-sonnet-5-5", false);
    check("seven_day_sonnet", "claude-sonnet-5-5", true);
    check("seven_day_overage_included", "claude-fable-5-2", true);
    check("seven_day_overage_included", "claude-opus-5-5", false);
    check("seven_day_haiku", "claude-haiku-5-5", true);
    check("seven_day_haiku", "claude-opus-5-5", false);
}

/// Learning takes a while and does not depend on the case.
static LEARNED: OnceLock<Learned> = OnceLock::new();

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_tile_time(
        ledger in strategies::ledgers(30),
        resets in vec(strategies::timestamps(), 0..4),
        kind in prop_oneof![Just(LimitWindow::FiveHour), Just(LimitWindow::SevenDay), Just(LimitWindow::SevenDayOpus)],
    ) {
        let official = window::official(&kind, &ledger, &resets);
        let figures = Figures::of_divided(&ledger, &session_analytics::cuts(&official));
        let windows = window::windows(&kind, &figures.cells, &official);
        let length = kind.length().unwrap();
        for window in &windows {
            prop_assert!(window.start < window.end && window.end.since(window.start) <= length);
            prop_assert!(!window.anchored || window.end.since(window.start) == length);
        }
        for cell in figures.cells.iter().filter(|cell| kind.counts(cell.key.model.as_str())) {
            let holding = windows.iter().filter(|window| window.contains(cell.key.start)).count();
            prop_assert_eq!(holding, 1);
        }
        let range = strategies::FROM.before(DAY)..strategies::FROM.after(DAY * 4);
        let mut from = range.start;
        for stretch in window::stretches(&windows, range.clone()) {
            let (start, end) = match stretch {
                Stretch::Window(window) => (window.start, window.end),
                Stretch::Gap(start, end) => (start, end),
            };
            prop_assert_eq!(start, from);
            prop_assert!(start < end);
            from = end;
        }
        prop_assert_eq!(from, range.end);
    }

    /// More used, or more work of late, never lets a limit last longer.
    #[test]
    fn forecasts_are_monotone_in_load(used in 0.0..95.0f64, more in 0.0..5.0f64, extra in 1u64..200_000, minutes in 1u32..600) {
        let now = at("2026-12-10T11:00:00Z");
        let reset = at("2026-12-10T14:00:00Z");
        let case = Case::of(&weeks(), Vec::new());
        let before = state(used, reset, now);
        let learned = LEARNED.get_or_init(|| {
            let percent = PercentCost { usd: 0.3, low: 0.2, high: 0.4, pairs: 9 };
            let limit = LearnedLimit { percent: Some(percent), ..case.input(&before, now).learn() };
            Learned { limits: [("five_hour".to_owned(), limit)].into() }
        });
        let ends = |case: &Case, state: &WindowState| {
            let prediction = Prediction::of(&case.input(state, now), learned);
            [prediction.low, prediction.runs_out_at, prediction.high].map(|at| at.unwrap_or(Timestamp::MAX))
        };
        let first = ends(&case, &before);
        let fuller = ends(&case, &state(used + more, reset, now));
        let mut busier = weeks();
        let usage = Usage { output: extra, ..Usage::default() };
        busier.reply(now.before(MINUTE * minutes), &Reply { usage, conversation: "z", ..Reply::default() });
        let busier = ends(&Case::of(&busier, Vec::new()), &before);
        for place in 0..3 {
            prop_assert!(fuller[place] <= first[place]);
            prop_assert!(busier[place] <= first[place].after(SECOND), "{} {}", busier[place], first[place]);
        }
    }
}
