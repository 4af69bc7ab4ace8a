//! A hermetic place to run the program in: its own home, a cleared environment, fixed width and zone.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_store::Timestamp;
use session_store::corpus::{Corpus, Counts, Truth};
use tempfile::TempDir;

/// How long a test waits for what must come before it gives up; busy machines are slow, endless loops slower.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home folder with Claude Code's data in it, and nothing of the machine's own.
pub(crate) struct Env {
    dir: TempDir,
    /// The user the program runs as, where that is not the user of the tests.
    user: Option<u32>,
}

impl Env {
    /// Makes an empty home, without any Claude Code data.
    pub(crate) fn bare() -> Self {
        let env = Self { dir: TempDir::new().unwrap(), user: None };
        for folder in ["home", "work", "tmp"] {
            fs::create_dir(env.path(folder)).unwrap();
        }
        env
    }

    /// Makes a home with an empty `~/.claude/projects`.
    pub(crate) fn new() -> Self {
        let env = Self::bare();
        fs::create_dir_all(env.projects()).unwrap();
        env
    }

    /// Makes a home with a generated history and returns the right answer with it.
    pub(crate) fn with_corpus(seed: u64, bytes: u64) -> (Self, Truth) {
        let env = Self::new();
        let truth = Corpus::new(seed, bytes).write(&env.claude()).unwrap();
        (env, truth)
    }

    /// Makes the program run as a user who is bound by the modes of files, and gives the place to that user.
    ///
    /// Modes do not bind root. Returns `None`, with a message, where no other user can run the program.
    #[cfg(unix)]
    pub(crate) fn bound_by_modes(mut self) -> Option<Self> {
        const NOBODY: u32 = 65_534;
        if !nix::unistd::geteuid().is_root() {
            return Some(self);
        }
        self.user = Some(NOBODY);
        self.give_away();
        match self.command(&["--version"]).output() {
            Ok(output) if output.status.success() => Some(self),
            _ => {
                eprintln!("SKIPPED: modes do not bind root, and no other user can run the program");
                None
            }
        }
    }

    /// Gives what the tests wrote to the user of the program.
    #[cfg(unix)]
    pub(crate) fn give_away(&self) {
        if let Some(user) = self.user {
            let owner = format!("{user}:{user}");
            let status = Command::new("chown").arg("-R").arg(owner).arg(self.dir.path()).status().unwrap();
            assert!(status.success(), "root can give files away");
        }
    }

    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn claude(&self) -> PathBuf {
        self.path("home/.claude")
    }

    pub(crate) fn projects(&self) -> PathBuf {
        self.claude().join("projects")
    }

    /// The folder of the archive.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("home/.local/share/claudewatch")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.data().join("archive.db")
    }

    /// Has the archive's file hold everything and leaves it no log, so that what is done to it is seen.
    pub(crate) fn write_log_back(&self) {
        let archive = rusqlite::Connection::open(self.archive()).unwrap();
        archive.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        archive.close().unwrap();
        assert!(!self.data().join("archive.db-wal").exists());
    }

    /// The folder of configuration and prices, made if it is not there.
    pub(crate) fn config(&self) -> PathBuf {
        let folder = self.path("home/.config/claudewatch");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Returns the path of a conversation's transcript in the project `-p`.
    pub(crate) fn transcript(&self, conversation: &str) -> PathBuf {
        self.projects().join(format!("-p/{conversation}.jsonl"))
    }

    /// Appends lines to a conversation's transcript.
    pub(crate) fn write<T: Display>(&self, conversation: &str, lines: &[T]) {
        append(&self.transcript(conversation), lines);
    }

    /// Prepares the program with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claudewatch"));
        command.args(args).stdin(Stdio::null()).current_dir(self.path("work")).env_clear();
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("PATH", "/usr/bin:/bin");
        command.env("CLAUDEWATCH_RUNTIME_DIR", self.path("run"));
        command.env("TZ", "UTC").env("COLUMNS", "100").env("LANG", "C.UTF-8").env("USER", "herb");
        #[cfg(unix)]
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt;
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(args))
    }

    /// Counts monitors of which others say that they died.
    pub(crate) fn ended_without_a_word(&self) -> usize {
        self.run(&["status"]).ok().matches("(ended)").count()
    }

    /// Runs a command with `--json`, which must do, and returns what it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).json()
    }

    /// Starts the program and reads its lines as they come.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.command(args))
    }
}

/// Appends lines to a file in one write, as Claude Code does, making its folders.
pub(crate) fn append<T: Display>(path: &Path, lines: &[T]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    append_bytes(path, text.as_bytes());
}

/// Appends any bytes to a file, making its folders.
pub(crate) fn append_bytes(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Returns every file below a folder, in order.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs a command to its end; one that panics or does not end fails the test.
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = gather(child.stdout.take().unwrap());
        let stderr = gather(child.stderr.take().unwrap());
        let status = wait(&mut child).unwrap_or_else(|| panic!("{command:?} does not end"));
        let [stdout, stderr] = [stdout, stderr].map(|it| String::from_utf8(it.join().unwrap()).unwrap());
        assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
        Self { code: status.code(), stdout, stderr }
    }

    /// Returns what was printed by a run that had to succeed in silence.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// Returns the JSON printed by a run that had to succeed in silence.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        parse(&self.ok())
    }

    /// Returns the JSON printed by a run that had to end with a code.
    #[track_caller]
    pub(crate) fn json_with(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        parse(&self.stdout)
    }

    /// Checks the code, and that each of the texts stands in what was said on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not in {}", self.stderr);
        }
    }
}

#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}

fn gather(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits for the end; a program that does not come to one is killed.
pub(crate) fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// The program at work, with its lines as they come; it is killed at the end of the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Option<Receiver<String>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Some(gather(child.stderr.take().unwrap()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            // The pipe is closed as soon as the test lets go of the lines.
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines: Some(lines), stderr }
    }

    /// Returns the next line; a program that says nothing fails the test.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.line_within(PATIENCE).expect("a line within the time")
    }

    /// Returns the next line, `None` where none comes in time.
    #[track_caller]
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        match self.lines.as_ref().unwrap().recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the program ended"),
        }
    }

    /// Skips to the first line that is as wanted, which must come within the time.
    #[track_caller]
    pub(crate) fn until(&self, time: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + time;
        let mut last = String::new();
        loop {
            match self.line_within(end.saturating_duration_since(Instant::now())) {
                Some(line) if wanted(&line) => return line,
                Some(line) => last = line,
                None => panic!("not within {time:?}; the last line is {last}"),
            }
        }
    }

    /// Skips to the first line of JSON that counts so many messages.
    #[track_caller]
    pub(crate) fn until_messages(&self, time: Duration, messages: u64) -> Value {
        parse(&self.until(time, |line| parse(line)["totals"]["messages"] == messages))
    }

    /// Closes our end of the pipe after the next line.
    pub(crate) fn close_pipe(&mut self) {
        self.lines = None;
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Returns the lines that have come and were not read yet.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.as_ref().unwrap().try_iter().collect()
    }

    /// Ends the program at once (SIGKILL); returns the lines that were not read yet, the last of which may be cut, and
    /// what was said on standard error.
    pub(crate) fn kill(mut self) -> (Vec<String>, String) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let lines = self.lines.take().unwrap().iter().collect();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        (lines, String::from_utf8_lossy(&stderr).into_owned())
    }

    /// Waits for the end and returns how it came, with what was said on standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child).expect("the program ends");
        let stderr = String::from_utf8(self.stderr.take().unwrap().join().unwrap()).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        (status, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A reply of a model, as a line of a transcript; the defaults are those of an ordinary one.
#[derive(Clone)]
pub(crate) struct Reply(Value);

impl Reply {
    /// Makes the reply of this id at this time: 10 tokens in, 20 out, by Sonnet, in the project `/p/shop`.
    pub(crate) fn new(id: &str, at: &str) -> Self {
        Self(json!({
            "type": "assistant", "sessionId": "c", "uuid": format!("uuid-{id}"), "timestamp": at,
            "cwd": "/p/shop", "version": "2.1.330", "isSidechain": false, "requestId": format!("req_{id}"),
            "message": {
                "id": id, "type": "message", "role": "assistant", "model": "claude-sonnet-5-5",
                "content": [{"type": "text", "text": "Done."}], "stop_reason": "end_turn",
                "usage": {"input_tokens": 10, "output_tokens": 20},
            },
        }))
    }

    /// Makes a reply of this moment.
    pub(crate) fn now(id: &str) -> Self {
        Self::new(id, &now().to_string())
    }

    /// Sets a field of the line by its path, such as `/message/model`.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        let (parent, key) = path.rsplit_once('/').unwrap();
        self.0.pointer_mut(parent).unwrap()[key] = value.into();
        self
    }

    pub(crate) fn of(self, conversation: &str) -> Self {
        self.set("/sessionId", conversation)
    }

    pub(crate) fn model(self, model: &str) -> Self {
        self.set("/message/model", model)
    }

    pub(crate) fn folder(self, folder: &str) -> Self {
        self.set("/cwd", folder)
    }

    pub(crate) fn output(self, tokens: u64) -> Self {
        self.set("/message/usage/output_tokens", tokens)
    }

    /// Turns the reply into the refusal of a request until `reset`, in Unix seconds.
    pub(crate) fn refused(self, window: &str, reset: i64) -> Self {
        let limits = json!({"status": "rejected", "rateLimitType": window, "resetsAt": reset});
        self.model("<synthetic>")
            .set("/isApiErrorMessage", true)
            .set("/error", "rate_limit")
            .set("/quotaLimits", limits)
    }
}

impl Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A prompt at this time, which asks for a reply.
pub(crate) fn prompt(conversation: &str, at: &str) -> String {
    json!({
        "type": "user", "sessionId": conversation, "uuid": format!("prompt-{at}"), "timestamp": at,
        "cwd": "/p/shop", "message": {"role": "user", "content": "Go on."},
    })
    .to_string()
}

/// Returns this moment.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

/// Returns the counts of a row, of totals, or of a line of the live stream.
#[track_caller]
pub(crate) fn counts(told: &Value) -> Counts {
    let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("no {name} in {told}"));
    let counts = Counts {
        messages: number("messages"),
        input: number("input_tokens"),
        output: number("output_tokens"),
        cache_write_5m: number("cache_write_5m_tokens"),
        cache_write_1h: number("cache_write_1h_tokens"),
        cache_read: number("cache_read_tokens"),
    };
    let Counts { input, output, cache_write_5m, cache_write_1h, cache_read, .. } = counts;
    assert_eq!(number("total_tokens"), input + output + cache_write_5m + cache_write_1h + cache_read);
    counts
}

/// Returns the sum of counts.
pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Counts>) -> Counts {
    let mut sum = Counts::default();
    for it in all {
        sum.messages += it.messages;
        sum.input += it.input;
        sum.output += it.output;
        sum.cache_write_5m += it.cache_write_5m;
        sum.cache_write_1h += it.cache_write_1h;
        sum.cache_read += it.cache_read;
    }
    sum
}

/// Returns the rows of a report.
#[track_caller]
pub(crate) fn rows(report: &Value) -> &[Value] {
    report["rows"].as_array().unwrap_or_else(|| panic!("no rows in {report}"))
}

/// Returns the row of a key.
#[track_caller]
pub(crate) fn row<'a>(report: &'a Value, key: &str) -> &'a Value {
    rows(report).iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {report}"))
}

/// Returns the keys of the rows with their numbers of messages.
#[track_caller]
pub(crate) fn messages(report: &Value) -> Vec<(String, u64)> {
    let pair = |row: &Value| (row["key"].as_str().unwrap().to_owned(), row["messages"].as_u64().unwrap());
    rows(report).iter().map(pair).collect()
}

/// Writes a file of any bytes, making its folders.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}
