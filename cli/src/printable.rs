//! What may reach a terminal; the rule is that of every output of ours.

pub(crate) use session_analytics::{
    is_unprintable, printable, printable_json, printable_json_pretty, printable_line,
};
