//! `claudewatch completions` and `claudewatch man`: what shells and readers of manuals want to know of the command line.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::print_bytes;
use crate::error::CliError;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "claudewatch", &mut script);
    print_bytes(&script)
}

/// Prints the manual page of the program, or of one of its commands.
pub(crate) fn man(path: &[String]) -> Result<(), CliError> {
    let mut command = Cli::command();
    // Gives each command below its whole name.
    command.build();
    for part in path {
        let below = command.find_subcommand(part).filter(|found| found.get_name() != "help");
        let below: Command = below.cloned().ok_or_else(|| {
            CliError::usage(format!("there is no command `{part}`")).hinted("claudewatch help lists all")
        })?;
        command = below;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print_bytes(&page)
}
