//! One file for each command.

mod completions;
mod demo;
mod detect;
mod events;
mod explain;
mod export;
pub(crate) mod hook;
mod metrics;
mod monitor;
mod report;
mod status;

use crate::args::{Cli, Command, ExportArgs, SpanArgs};
use crate::config::Config;
use crate::context::Context;
use crate::error::CliError;

/// Runs the command; returns the exit code.
pub(crate) fn run(cli: Cli, mut config: Config) -> Result<u8, CliError> {
    config.all |= cli.monitor.all;
    if let Some(Command::Demo) = &cli.command {
        return demo::run(config);
    }
    let context = Context::new(config);
    match cli.command {
        Some(Command::Report(args)) => report::run(&context, &args)?,
        Some(Command::Explain(args)) => explain::run(&context, &args)?,
        Some(Command::Status) => status::run(&context)?,
        Some(Command::Detect(args)) => detect::run(&context, &args)?,
        Some(Command::Export(args)) => export::run(&context, &args)?,
        Some(Command::Metrics(args)) => metrics::run(&context, &args)?,
        Some(Command::Events(command)) => events::run(&context, &command)?,
        Some(Command::Completions { shell }) => completions::completions(shell)?,
        Some(Command::Man { command }) => completions::man(&command)?,
        Some(Command::Hook(args)) => hook::run(&context.config, &args),
        Some(Command::Demo) => {}
        None if cli.status => status::run(&context)?,
        None if let Some(file) = cli.export_report => {
            export::run(&context, &ExportArgs { file, format: None, span: SpanArgs::default() })?;
        }
        None => monitor::run(&context, monitor::Mode::Watch)?,
    }
    Ok(context.code())
}
