//! x
use crate::args::ExplainArgs; use crate::context::Context; use crate::error::CliError;
pub(crate) fn run(_c: &Context, _a: &ExplainArgs) -> Result<(), CliError> { Ok(()) }
