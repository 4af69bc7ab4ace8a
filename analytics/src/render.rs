//! Reports as JSON, CSV and HTML. The names here are the contract with other programs; no other type has them.

mod coordination;
mod csv;
mod html;
mod json;
mod outlook;
mod prometheus;

pub use coordination::{CoordinationOut, RestraintsOut, coordination_csv};
pub use csv::{details_csv, report_csv};
pub use html::{Page, SessionContext, escape_html, report_html};
pub use json::{LimitOut, TotalsOut, UsageOut, live_json, notices_json, report_json};
pub use outlook::{PredictionOut, RecommendationOut};
pub use prometheus::{MetricsInput, metrics_text};
