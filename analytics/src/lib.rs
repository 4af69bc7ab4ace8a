#![doc = include_str!("../README.md")]

mod money;
mod pricing;

mod block;
mod report;

mod live;

mod limits;

mod overview;

mod human;
mod printable;
mod words;

mod render;

pub use block::{BLOCK_LENGTH, Block, anchors, blocks, cuts};
pub use human::{Elapsed, Grouped, Tokens};
pub use limits::{
    Limit, LimitSource, LimitStatus, Limits, NEAR, Reading, Refusal, SAME_RESET, Share, Spend, THRESHOLDS,
    WHOLE,
};
pub use live::{Live, LiveConversation, LiveInput, SourceState, State};
pub use money::Usd;
pub use overview::{Overview, OverviewInput, Series, Step};
pub use pricing::{Price, PriceBook, PriceBookError, TokenRates};
pub use printable::{is_unprintable, printable};
pub use render::{Page, escape_html, live_json, report_csv, report_html, report_json};
pub use report::{
    By, ClientCheck, Figures, Filter, Hit, Problems, Report, ReportOptions, Row, Totals, is_project,
    quota_hits,
};
pub use words::{limit_name, model_name};
