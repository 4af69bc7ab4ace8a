//! Reports as JSON, CSV and HTML. The names here are the contract with other programs; no other type has them.

mod csv;
mod html;
mod json;
mod outlook;

pub use csv::report_csv;
pub use html::{Page, escape_html, report_html};
pub use json::{live_json, notices_json, report_json};
pub use outlook::{PredictionOut, RecommendationOut};
