//! The full screen in a pseudo-terminal: it comes, follows every resize, and always gives the terminal back.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{Winsize, grantpt, openpty, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::{Pid, setsid};

use crate::env::{Env, PATIENCE, Reply, wait};

const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?1049l";
const CURSOR_SHOWN: &str = "\x1b[?25h";

/// The program on a terminal of its own, which we are.
struct Screen {
    child: Child,
    keys: File,
    /// Our hold on the program's side, to ask for its modes and to set its size.
    terminal: OwnedFd,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Screen {
    fn start(env: &Env, args: &[&str]) -> Self {
        Self::start_on("xterm-256color", env, args)
    }

    fn start_on(kind: &str, env: &Env, args: &[&str]) -> Self {
        let pair = openpty(&size(24, 80), None).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let mut command = env.command(args);
        command.env("TERM", kind).env_remove("COLUMNS");
        command.stdin(end()).stdout(end()).stderr(end());
        give_terminal(&mut command);
        let child = command.spawn().unwrap();
        let mut reader = File::from(pair.master.try_clone().unwrap());
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails when nobody holds the other side any more.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys: File::from(pair.master), terminal: pair.slave, output, seen: String::new() }
    }

    /// Waits until a text was written, and forgets what came up to now.
    #[track_caller]
    fn until(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("`{}` does not come: {:?}", text.escape_debug(), self.seen),
            }
        }
        std::mem::take(&mut self.seen)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, rows: u16, columns: u16) {
        resize(&self.terminal, rows, columns);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    /// Waits for the end and checks that the terminal is as it was; returns how the end came and the last output.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child).expect("the program ends");
        assert!(!self.is_raw(), "the terminal takes lines again");
        let mut rest = std::mem::take(&mut self.seen);
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
            rest.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(!rest.contains("panicked"), "{rest:?}");
        let left = rest.rfind(LEFT).unwrap_or_else(|| panic!("the alternate screen is not left: {rest:?}"));
        assert!(rest[left..].contains(CURSOR_SHOWN), "the cursor is not shown: {rest:?}");
        assert!(!rest[left..].contains(ENTERED), "the alternate screen is entered again: {rest:?}");
        (status, rest)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[expect(unsafe_code, reason = "no safe function sets the size of a terminal")]
fn resize(terminal: &impl AsRawFd, rows: u16, columns: u16) {
    let size = size(rows, columns);
    // SAFETY: the descriptor is open, and the request takes a pointer to this very type.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Makes standard input the terminal of the program, which the kernel then tells of every resize.
#[expect(unsafe_code, reason = "only between fork and exec can a process change its session")]
fn give_terminal(command: &mut std::process::Command) {
    let lead = || {
        setsid()?;
        // SAFETY: the descriptor is open, and the request takes a plain number.
        match unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: two system calls that allocate nothing and may be made by a signal handler.
    unsafe { command.pre_exec(lead) };
}

fn filled() -> Env {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1").folder("/p/frontend")]);
    env
}

#[test]
fn q_quits_and_gives_the_terminal_back() {
    for keys in ["q", "\x03"] {
        let env = filled();
        let mut screen = Screen::start(&env, &[]);
        assert!(screen.until("frontend").contains(ENTERED));
        assert!(screen.is_raw());
        screen.press(keys);
        let (status, _) = screen.end();
        assert_eq!(status.code(), Some(0), "{keys:?}");
        assert_eq!(env.ended_without_a_word(), 0);
    }
}

/// Standard error is the same terminal, so that there is nobody left to tell anything.
#[test]
fn a_terminal_that_closes_is_a_quiet_end() {
    let env = filled();
    // No other process, such as those of other tests, holds it open: they inherit what `openpty` opens.
    let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let other_side = File::options().read(true).write(true).open(ptsname_r(&terminal).unwrap()).unwrap();
    resize(&other_side, 24, 80);
    let end = || Stdio::from(other_side.try_clone().unwrap());
    let mut command = env.command(&[]);
    command.env("TERM", "xterm-256color").env_remove("COLUMNS").stdin(end()).stdout(end()).stderr(end());
    give_terminal(&mut command);
    let mut child = command.spawn().unwrap();
    drop((command, other_side));
    let (mut terminal, mut seen) = (File::from(OwnedFd::from(terminal)), String::new());
    while !seen.contains("frontend") {
        let mut bytes = [0; 4096];
        let count = terminal.read(&mut bytes).unwrap();
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    drop(terminal);
    assert_eq!(wait(&mut child).expect("the program ends").code(), Some(0));
    assert_eq!(env.ended_without_a_word(), 0);
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let env = filled();
        let mut screen = Screen::start(&env, &[]);
        screen.until("frontend");
        screen.signal(signal);
        screen.end();
        assert_eq!(env.ended_without_a_word(), 0);
    }
}

#[test]
fn it_follows_the_transcripts() {
    let env = filled();
    let mut screen = Screen::start(&env, &[]);
    screen.until("frontend");
    env.write("d", &[Reply::now("msg_2").of("d").folder("/p/later")]);
    screen.until("later");
    screen.press("q");
    screen.end();
}

#[test]
fn no_size_is_too_small() {
    let env = filled();
    let mut screen = Screen::start(&env, &[]);
    screen.until("frontend");
    for (rows, columns) in [(1, 1), (2, 200), (200, 2), (1, 80), (24, 1), (0, 0), (5, 10), (500, 500)] {
        screen.resize(rows, columns);
        // Keys are taken whatever the size is; these two open the help and close it again.
        screen.press("??");
        env.write("c", &[Reply::now(&format!("msg_{rows}_{columns}"))]);
        thread::sleep(Duration::from_millis(30));
        assert!(screen.child.try_wait().unwrap().is_none(), "{rows}×{columns} ends it");
    }
    screen.seen.clear();
    while screen.output.try_recv().is_ok() {}
    screen.resize(24, 80);
    screen.until("frontend");
    screen.press("q");
    assert_eq!(screen.end().0.code(), Some(0));
}

#[test]
fn nothing_raw_reaches_the_terminal() {
    let env = Env::new();
    let hostile = "/p/\x1b]0;owned\x07\x1b[?1049l\x1b[2J\u{9b}31m\u{202e}frontend";
    let reply = Reply::now("msg_1").of("\x1b]52;c;owned\x07").folder(hostile).model("\x1b]2;owned\x07model");
    let reset = crate::env::now().as_millis() / 1000 + 3600;
    let refused =
        Reply::now("err_1").of("\x1b]52;c;owned\x07").folder(hostile).refused("\x1b]0;owned\x07", reset);
    env.write("c", &[reply, refused]);
    let mut screen = Screen::start(&env, &[]);
    let mut shown = screen.until("frontend");
    // Every view, not only the first: details, help.
    for keys in ["\r", "?", "\x1b", "j", "k"] {
        screen.press(keys);
        thread::sleep(Duration::from_millis(50));
    }
    screen.press("q");
    if screen.child.try_wait().unwrap().is_none() {
        // Within a view `q` may close that alone.
        screen.press("q");
    }
    let (_, rest) = screen.end();
    shown.push_str(&rest);
    for raw in ["\x1b]0;", "\x1b]2;", "\x1b]52;", "\x07", "\u{9b}", "\u{202e}"] {
        assert!(!shown.contains(raw), "{raw:?} in {shown:?}");
    }
}

#[test]
fn what_is_wrong_is_said_without_a_screen() {
    let env = Env::bare();
    let mut screen = Screen::start(&env, &[]);
    let said = screen.until("claudewatch demo");
    assert!(said.contains("no Claude Code data found") && !said.contains(ENTERED), "{said:?}");
    assert_eq!(wait(&mut screen.child).unwrap().code(), Some(1));
}

#[test]
fn the_demo_runs_and_cleans_up() {
    let env = Env::bare();
    let mut screen = Screen::start(&env, &["demo"]);
    screen.until(ENTERED);
    screen.until("shop");
    screen.press("q");
    let (status, _) = screen.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(std::fs::read_dir(env.path("tmp")).unwrap().count(), 0, "the scratch folder is removed");
}

/// It has no cursor to move: there are lines, as in a pipe.
#[test]
fn a_terminal_that_only_prints_gets_lines() {
    let env = Env::new();
    env.write("c", &[Reply::now("msg_1")]);
    let mut screen = Screen::start_on("dumb", &env, &["--all"]);
    let seen = screen.until("1 conversation, ");
    assert!(!seen.contains('\x1b'), "{seen:?}");
}
