//! The program `claudewatch`: arguments, configuration, commands, screen.
//!
//! What it shows is worked out by the libraries `session-store`, `session-analytics`, `session-coordinator` and
//! `session-detect`; this crate is their user interface and offers no API of its own but [`run`].

mod accounts;
mod args;
mod clock;
mod commands;
mod config;
mod context;
mod coordination;
mod ending;
mod error;
mod feed;
mod footprint;
mod forecast;
mod former;
mod heard;
mod host;
mod kept;
mod limits;
mod line;
mod notify;
mod others;
mod output;
mod owners;
mod place;
mod presence;
mod printable;
mod projects;
mod sessions;
mod setup;
mod sight;
mod sums;
mod table;
mod told;
mod tui;
mod ways;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::Cli;
use crate::config::Config;
use crate::error::{CliError, exit};

/// Runs the program with these arguments, the first of which is its name, and returns its exit code.
#[doc(hidden)]
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    survive_file_limits();
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::of_call(&args).map_or_else(|| Cli::read(&args), Ok) {
        Ok(cli) => cli,
        // To Claude Code, which calls it, the code of wrong usage would mean that a hook refuses.
        Err(error) if error.use_stderr() && is_meant_for_hook(&args) => return ExitCode::from(exit::DONE),
        Err(error) => {
            // Help and version come this way too, and count as success.
            let is_usage = error.use_stderr();
            return match error.print().map_err(CliError::from) {
                _ if is_usage => ExitCode::from(exit::USAGE),
                printed => ended(printed.map(|()| exit::DONE)),
            };
        }
    };
    if let Some(args::Command::Statusline) = cli.command {
        // A mistake in the configuration is told by every other command; this one has no place for errors.
        return ExitCode::from(commands::statusline(
            Config::load(&cli.global, &cli.coordination).ok().as_ref(),
        ));
    }
    let is_hook = matches!(cli.command, Some(args::Command::Hook(_)));
    let result = Config::load(&cli.global, &cli.coordination).and_then(|config| {
        start_log(config.debug);
        commands::run(cli, config)
    });
    if is_hook { ExitCode::from(exit::DONE) } else { ended(result) }
}

/// Says what went wrong and returns the code to end with.
fn ended(result: Result<u8, CliError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::from(exit::DONE),
        Err(error) => {
            report(&error);
            ExitCode::from(error.code())
        }
    }
}

/// Tells whether arguments that cannot be understood name the command `hook`, options of all commands before it or not.
fn is_meant_for_hook(args: &[OsString]) -> bool {
    let known = Cli::command();
    args.iter()
        .skip(1)
        .find(|arg| known.find_subcommand(arg).is_some())
        .is_some_and(|command| command == "hook")
}

/// Answers a hook call as `claudewatch hook --policy enforce` does, with everything of ours below one folder; for fuzzing.
#[doc(hidden)]
pub fn answer_hook(folder: &std::path::Path, call: &[u8]) -> Option<String> {
    let options = ["claude-dir", "data-dir", "runtime-dir"].map(|name| {
        let mut option = OsString::from(format!("--{name}="));
        option.push(folder.join(name));
        option
    });
    let args = [OsString::from("claudewatch"), OsString::from("hook")].into_iter().chain(options);
    let cli = Cli::try_parse_from(args).ok()?;
    let config = Config::load(&cli.global, &cli.coordination).ok()?;
    commands::hook::answer(&config, session_coordinator::Policy::Enforce, call)
}

/// Returns the status line for an input at a moment, in milliseconds since 1970, as it is where nothing is shared; for fuzzing.
#[doc(hidden)]
pub fn status_line(input: &[u8], now_ms: i64) -> Option<String> {
    let now = session_store::Timestamp::from_millis(now_ms);
    let status = host::statusline::Status::read(input)?;
    let (readings, _) = status.readings(&"account".into(), now);
    let limits = session_analytics::Limits::merge(readings, now);
    let facts = line::Facts {
        limits: limits.limits.iter().collect(),
        share: None,
        model: status.model.as_deref(),
        project: status.project.as_deref(),
        cost_usd: status.cost_usd,
        context_percentage: status.context_percentage,
        notice: None,
        now,
        zone: &session_store::Zone::utc(),
        color: false,
    };
    let template =
        format!("{} · {{five_hour}} · {{seven_day}} · {{context}} · {{model}} · {{project}}", line::TEMPLATE);
    Some(line::fill(&template, &facts, 400))
}

/// Makes a file that grows over the user's limit an error like a full disk, instead of the end of the process.
///
/// The signal is caught rather than ignored: what this process starts is to find it as it was.
fn survive_file_limits() {
    #[cfg(unix)]
    let _ = signal_hook::flag::register(nix::libc::SIGXFSZ, std::sync::Arc::default());
}

fn report(error: &CliError) {
    use std::io::Write;
    // Where standard error is closed nothing can be said.
    for line in error.to_string().lines() {
        let _ = writeln!(std::io::stderr().lock(), "{}", printable::printable(line));
    }
}

fn start_log(debug: bool) {
    if debug {
        let subscriber =
            tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::DEBUG);
        let _ = subscriber.try_init();
    }
}
