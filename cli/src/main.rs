//! The `claudewatch` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    claudewatch::run(std::env::args_os())
}
