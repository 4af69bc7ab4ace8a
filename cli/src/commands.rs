//! One file for each command.

mod completions;
mod demo;
mod detect;
mod doctor;
mod events;
mod explain;
mod export;
pub(crate) mod hook;
mod limits;
mod metrics;
mod monitor;
mod priority;
pub(crate) mod prune;
mod report;
mod setup;
mod status;
mod statusline;
mod wait;

use crate::args::{Cli, Command, ExportArgs, SpanArgs};
use crate::config::Config;
use crate::context::Context;
use crate::error::CliError;

pub(crate) use statusline::run as statusline;

/// Runs the command; returns the exit code.
pub(crate) fn run(cli: Cli, mut config: Config) -> Result<u8, CliError> {
    config.all |= cli.monitor.all;
    if cli.command.is_some() && (cli.status || cli.export_report.is_some()) {
        return Err(CliError::usage("--status and --export-report are commands of their own")
            .hinted("leave the other command out, or write claudewatch status, claudewatch export FILE"));
    }
    if let Some(Command::Demo) = &cli.command {
        return demo::run(config);
    }
    let is_monitor = cli.command.is_none() && !cli.status;
    let context = if is_monitor { Context::of_monitor(config) } else { Context::new(config) };
    match cli.command {
        Some(Command::Report(args)) => report::run(&context, &context.config.reports.with(args))?,
        Some(Command::Explain(args)) => explain::run(&context, &args)?,
        Some(Command::Status) => status::run(&context)?,
        Some(Command::Limits(args)) => {
            if let Some(code) = limits::run(&context, &args)? {
                return Ok(code);
            }
        }
        Some(Command::Wait(args)) => return wait::run(&context, &args),
        Some(Command::Detect(args)) => detect::run(&context, &args)?,
        Some(Command::Prune(args)) => prune::run(&context, &args)?,
        Some(Command::Export(args)) => {
            let span = context.config.reports.with_span(args.span);
            export::run(&context, &ExportArgs { span, ..args })?;
        }
        Some(Command::Metrics(args)) => metrics::run(&context, &args)?,
        Some(Command::Events(command)) => events::run(&context, &command)?,
        Some(Command::Completions { shell }) => completions::completions(shell)?,
        Some(Command::Man { command }) => completions::man(&command)?,
        Some(Command::Doctor) => doctor::run(&context)?,
        Some(Command::Priority(args)) => priority::run(&context, &args)?,
        Some(Command::Setup(args)) => setup::run(&context, &args)?,
        Some(Command::Hook(args)) => hook::run(&context.config, &args),
        Some(Command::Demo | Command::Statusline) => {}
        None if cli.status => status::run(&context)?,
        None if let Some(file) = cli.export_report => {
            let span = context.config.reports.with_span(SpanArgs::default());
            export::run(&context, &ExportArgs { file, format: None, span })?;
        }
        None => monitor::run(&context, monitor::Mode::Watch)?,
    }
    Ok(context.code())
}
