//! x
use crate::config::Config; use crate::error::CliError;
pub(crate) fn run(_config: Config) -> Result<u8, CliError> { Ok(0) }
