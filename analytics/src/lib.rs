#![doc = include_str!("../README.md")]

mod money;
mod pricing;

mod sessions;

pub mod window;

mod block;
mod by_text;
mod report;

mod rate;

mod backtest;
mod course;
mod forecast;
mod learn;

mod history;
mod hopes;
mod recommend;
mod score;

mod live;
mod wire;

mod limits;
mod restraint;

mod overview;

mod human;
mod printable;
mod words;

mod render;

pub use block::{BLOCK_LENGTH, Block, anchors, blocks, cuts};
pub use forecast::{ForecastInput, Lack, Lesson, Method, Prediction};
pub use hopes::Habit;
pub use human::{Elapsed, Grouped, Tokens};
pub use learn::{
    Backtest, Learned, LearnedLimit, PercentCost, SAMPLES_MIN, Spread, WindowState, told_samples,
};
pub use limits::{
    Limit, LimitSource, LimitStatus, LimitUse, Limits, NEAR, Reading, Refusal, SAME_RESET, Share, Spend,
    THRESHOLDS, Verdict, WHOLE,
};
pub use live::{Live, LiveConversation, LiveInput, LiveNotice, SourceState, State};
pub use money::Usd;
pub use overview::{Detail, Overview, OverviewInput, Series, SessionLine, Step};
pub use pricing::{Price, PriceBook, PriceBookError, TokenRates};
pub use printable::{is_unprintable, printable, printable_json, printable_json_pretty, printable_line};
pub use rate::{BurnRate, Load};
pub use recommend::{
    Evidence, Impact, Kind, LOOKED_AT, RecommendInput, Recommendation, Saving, Subject, recommendations,
    recommendations_and_efforts,
};
pub use render::{
    CoordinationOut, LimitOut, MetricsInput, Page, PredictionOut, RecommendationOut, RestraintsOut,
    SessionContext, TotalsOut, UsageOut, coordination_csv, details_csv, escape_html, live_json, metrics_text,
    notices_json, report_csv, report_html, report_json,
};
pub use report::{
    By, ClientCheck, Figures, Filter, Hit, Problems, Report, ReportOptions, Row, Totals, is_project,
    quota_hits,
};
pub use restraint::{Coordination, Ends, RestrainedWindow, Restraints};
pub use score::{
    Effort, PROMPT_TOKENS_MIN, REPLIES_MIN, Score, WEIGHT_CACHED, WEIGHT_FINISHED, WEIGHT_UNBLOCKED, efforts,
};
pub use sessions::{SessionInfo, Sessions};
pub use words::{limit_name, model_name};
