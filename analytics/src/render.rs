//! Reports as JSON and CSV. The names here are the contract with other programs; no other type has them.

mod csv;
mod json;

pub use csv::report_csv;
pub use json::{live_json, notices_json, report_json};
