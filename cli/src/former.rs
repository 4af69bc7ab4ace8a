//! The status line command that the user had before: it is run with the same input, and its output comes first.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::Config;

/// What a status line can show is far less than this.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// The command at work.
#[derive(Debug)]
pub(crate) struct Former {
    child: Child,
    until: Instant,
}

impl Former {
    /// Starts the command of the configuration, as Claude Code would; `None` where there is none or it cannot be run.
    pub(crate) fn start(config: &Config, input: &[u8]) -> Option<Self> {
        let text = config.statusline_command.as_deref().filter(|text| !text.trim().is_empty())?;
        // A file takes any input at once, whether it is read or not.
        let mut file: File = tempfile::tempfile().ok()?;
        file.write_all(input).and_then(|()| file.rewind()).ok()?;
        let mut command = shell(text);
        // By it we may have been told of the command; should that be of ours too, it has no former one of its own.
        command.env_remove("CLAUDEWATCH_STATUSLINE_COMMAND");
        command.stdin(file).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().ok()?;
        Some(Self { child, until: Instant::now() + config.statusline_timeout })
    }

    /// Returns what it printed, nothing where it failed. One that takes longer than it may is ended with all it started.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let output = self.output();
        while Instant::now() < self.until {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return output,
                Ok(Some(_)) | Err(_) => return Vec::new(),
                // Its output is closed already, so it is about to end.
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        self.end();
        Vec::new()
    }

    /// Reads until the output ends or the time is up.
    #[cfg(unix)]
    fn output(&mut self) -> Vec<u8> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::io::Read;
        use std::os::fd::AsFd;
        let mut output = Vec::new();
        let Some(mut pipe) = self.child.stdout.take() else { return output };
        let mut part = [0; 4096];
        while output.len() < OUTPUT_BYTES_MAX {
            let left = self.until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) | Err(_) => break,
                Ok(_) => match pipe.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => output.extend_from_slice(&part[..read]),
                },
            }
        }
        output
    }

    #[cfg(not(unix))]
    fn output(&mut self) -> Vec<u8> {
        use std::io::Read;
        let Some(mut pipe) = self.child.stdout.take() else { return Vec::new() };
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut output = Vec::new();
            let _ = pipe.by_ref().take(OUTPUT_BYTES_MAX as u64).read_to_end(&mut output);
            let _ = tell.send(output);
        });
        told.recv_timeout(self.until.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    fn end(&mut self) {
        #[cfg(unix)]
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::killpg(
                nix::unistd::Pid::from_raw(group),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command of the user's as Claude Code runs it: by the shell.
#[cfg(unix)]
pub(crate) fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text);
    command
}

#[cfg(not(unix))]
pub(crate) fn shell(text: &str) -> Command {
    let mut command = Command::new("cmd");
    command.arg("/C").arg(text);
    command
}
