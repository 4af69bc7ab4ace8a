//! Six monitors at work on one history that grows under them, killed at any instant, over and over.
//!
//! What counts as acknowledged is what a monitor printed, and what the stores held when somebody looked. Everything is
//! chosen by a seed: `CLAUDEWATCH_TEST_SEED` chooses another story, `CLAUDEWATCH_TEST_LONG=1` makes it a thousand kills.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use session_store::corpus::{Corpus, Counts, Truth};
use session_store::{EventBackend, EventId, Stores};

use crate::claude::{FakeClaude, make_old};
use crate::env::{Env, Reply, Running, append_bytes, counts, files_below, now, parse};

const MONITORS: usize = 6;

fn is_long() -> bool {
    std::env::var_os("CLAUDEWATCH_TEST_LONG").is_some()
}

fn seed() -> u64 {
    std::env::var("CLAUDEWATCH_TEST_SEED").map_or(71, |seed| seed.parse().unwrap())
}

#[test]
fn six_monitors_killed_at_any_instant() {
    let (kills, bytes) = if is_long() { (1000, 8_000_000) } else { (40, 1_500_000) };
    let seed = seed();
    eprintln!("CLAUDEWATCH_TEST_SEED={seed}");
    let env = Env::new();
    let history = tempfile::tempdir().unwrap();
    let truth = Corpus::new(seed, bytes).write(history.path()).unwrap();

    let mut chaos = Chaos::new(&env, &truth, seed);
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        let writer = threads.spawn(|| write_bit_by_bit(history.path(), &env, seed, &is_over));
        // However this ends, the writer must not wait for it.
        let over = Over(&is_over);
        for number in 0..kills {
            chaos.kill_one(number);
        }
        drop(over);
        writer.join().unwrap();
    });
    // The survivors see everything, live.
    for slot in 0..MONITORS {
        chaos.wait_for(slot, &truth.totals);
    }
    chaos.look();
    let seen = std::mem::take(&mut chaos.seen);
    chaos.end();
    check_after(&env, history.path(), &truth, &seen);
}

/// What a leader told all others is of no use once it is dead and the history went on.
#[test]
fn whoever_starts_after_a_kill_shows_what_was_written_meanwhile() {
    let env = Env::new();
    for round in 1..=8 {
        env.write("c", &[Reply::now(&format!("msg_{round}"))]);
        // One of them leads; the others follow it before it has told them anything.
        let monitors: Vec<Running> = (0..3).map(|_| env.start(&["--json", "--all"])).collect();
        for monitor in monitors {
            let first = parse(&monitor.line());
            assert_eq!(first["totals"]["messages"], round, "{first}");
            monitor.kill();
        }
    }
}

/// Tells the writer when nobody is killed any more.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Writes a history as Claude Code does, appending to many files in turn; a line may come in pieces.
fn write_bit_by_bit(history: &Path, env: &Env, seed: u64, is_over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let file =
        |path: PathBuf| (env.claude().join(path.strip_prefix(history).unwrap()), fs::read(path).unwrap(), 0);
    let mut files: Vec<_> = files_below(history).into_iter().map(file).collect();
    while !files.is_empty() {
        let index = random.usize(..files.len());
        let (path, bytes, written) = &mut files[index];
        let end = bytes.len().min(*written + random.usize(1..8_000));
        append_bytes(path, &bytes[*written..end]);
        *written = end;
        if *written == bytes.len() {
            files.swap_remove(index);
        }
        if !is_over.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(random.u64(0..60)));
        }
    }
}

struct Chaos<'e> {
    env: &'e Env,
    random: fastrand::Rng,
    monitors: Vec<Monitor>,
    /// Conversations that some Claude Code may run.
    conversations: Vec<String>,
    claudes: Vec<FakeClaude>,
    messages_max: u64,
    /// The greatest count that any monitor has printed.
    acknowledged: u64,
    /// What the stores held when they were looked at.
    seen: BTreeSet<EventId>,
}

/// A monitor, and what it must print at least: what had been acknowledged before it started, then what it printed.
struct Monitor {
    running: Running,
    least: u64,
    /// What it printed last.
    printed: Counts,
}

impl<'e> Chaos<'e> {
    fn new(env: &'e Env, truth: &Truth, seed: u64) -> Self {
        let mut chaos = Self {
            env,
            random: fastrand::Rng::with_seed(seed),
            monitors: Vec::new(),
            conversations: truth.by_conversation.keys().cloned().collect(),
            claudes: Vec::new(),
            messages_max: truth.totals.messages,
            acknowledged: 0,
            seen: BTreeSet::new(),
        };
        for slot in 0..MONITORS {
            let monitor = chaos.start(slot);
            chaos.monitors.push(monitor);
        }
        chaos.run_another_claude();
        chaos.run_another_claude();
        chaos
    }

    /// Two monitors share this test's own session, so that one is a viewer; the others have sessions of their own.
    fn start(&self, slot: usize) -> Monitor {
        let plain = self.env.command(if slot.is_multiple_of(2) { &["--json"] } else { &["--json", "--all"] });
        let mut command = plain;
        if slot >= 2 {
            let mut apart = Command::new("setsid");
            apart.arg(command.get_program()).args(command.get_args()).env_clear();
            apart.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            apart.current_dir(self.env.path("work")).stdin(std::process::Stdio::null());
            command = apart;
        }
        Monitor { running: Running::of(&mut command), least: self.acknowledged, printed: Counts::default() }
    }

    fn kill_one(&mut self, number: usize) {
        let slot = self.random.usize(..MONITORS);
        match self.random.u32(..10) {
            0..5 => thread::sleep(Duration::from_micros(self.random.u64(..40_000))),
            5..8 => thread::sleep(Duration::from_micros(self.random.u64(..400_000))),
            // So that there is something to acknowledge, however slow the machine.
            _ => {
                if let Some(line) = self.monitors[slot].running.line_within(Duration::from_secs(2)) {
                    self.take_in(slot, &line);
                }
            }
        }
        for other in 0..MONITORS {
            for line in self.monitors[other].running.lines() {
                self.take_in(other, &line);
            }
        }
        let next = self.start(slot);
        let killed = std::mem::replace(&mut self.monitors[slot], next);
        self.bury(killed);
        match number % 10 {
            3 => self.look(),
            6 => self.run_another_claude(),
            9 => self.end_a_claude(),
            _ => {}
        }
    }

    fn take_in(&mut self, slot: usize, line: &str) {
        let monitor = &mut self.monitors[slot];
        monitor.printed = counts(&parse(line)["totals"]);
        let messages = monitor.printed.messages;
        assert!(messages >= monitor.least, "{messages} after {} were acknowledged", monitor.least);
        assert!(messages <= self.messages_max, "{messages} of {}", self.messages_max);
        monitor.least = messages;
        self.acknowledged = self.acknowledged.max(messages);
    }

    /// Waits until a monitor shows the whole history.
    fn wait_for(&mut self, slot: usize, totals: &Counts) {
        while self.monitors[slot].printed != *totals {
            let line = self.monitors[slot].running.line();
            self.take_in(slot, &line);
        }
    }

    /// Kills a monitor and takes in what it said up to then.
    fn bury(&mut self, monitor: Monitor) {
        let (lines, stderr) = monitor.running.kill();
        for line in &lines {
            // Only the last may be cut.
            let Ok(told) = serde_json::from_str(line) else { continue };
            let told: serde_json::Value = told;
            let messages = counts(&told["totals"]).messages;
            assert!((monitor.least..=self.messages_max).contains(&messages), "{messages}");
            self.acknowledged = self.acknowledged.max(messages);
        }
        // What is ordinary here; anything else would tell of something to repair.
        let ordinary = ["a viewer beside the monitor", "showing all projects"];
        let whole = stderr.rsplit_once('\n').map_or("", |(whole, _cut)| whole);
        let remarks = whole.lines().filter(|line| !ordinary.iter().any(|text| line.contains(text)));
        assert_eq!(remarks.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    /// Looks at the stores as another process does.
    fn look(&mut self) {
        let stores = Stores::open(&self.env.data(), now());
        assert!(
            stores.trouble().is_none() && stores.archive().quarantined().is_none(),
            "{:?}",
            stores.trouble()
        );
        let held: BTreeSet<EventId> = stores.turn_ids().unwrap().into_iter().collect();
        let lost: Vec<_> = self.seen.difference(&held).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        self.seen = held;
    }

    /// A session begins to run some conversation, perhaps one that ran elsewhere before.
    fn run_another_claude(&mut self) {
        let conversation = self.conversations[self.random.usize(..self.conversations.len())].clone();
        self.claudes.push(FakeClaude::start(self.env, &conversation));
    }

    /// A session ends, and long enough ago that whoever starts next moves its store into the archive.
    fn end_a_claude(&mut self) {
        let ended = self.claudes.swap_remove(self.random.usize(..self.claudes.len()));
        let store = ended.store(self.env);
        drop(ended);
        make_old(&store);
    }

    fn end(mut self) {
        for monitor in std::mem::take(&mut self.monitors) {
            self.bury(monitor);
        }
    }
}

/// What must be true however often anybody was killed.
fn check_after(env: &Env, history: &Path, truth: &Truth, seen: &BTreeSet<EventId>) {
    let by_conversation = env.json(&["report", "conversation"]);
    assert_eq!(counts(&by_conversation["totals"]), truth.totals);
    let fresh = env.path("fresh");
    let from_fresh = env.json(&["report", "conversation", "--data-dir", fresh.to_str().unwrap()]);
    assert_eq!(by_conversation, from_fresh, "the same as a reading into a fresh folder");
    for path in files_below(&env.data()) {
        let name = path.to_str().unwrap();
        assert!(!name.contains(".corrupt-"), "{name}");
        if name.ends_with(".db") {
            assert_eq!(integrity_of(&path), "ok", "{name}");
        }
    }
    for path in files_below(history) {
        let copy = env.claude().join(path.strip_prefix(history).unwrap());
        assert!(fs::read(&path).unwrap() == fs::read(&copy).unwrap(), "{copy:?} is as it was written");
    }
    // The stores alone hold everything, so nothing was acknowledged that they do not hold.
    fs::remove_dir_all(env.projects()).unwrap();
    let alone = env.json(&["report", "conversation"]);
    assert_eq!((&alone["rows"], &alone["totals"]), (&by_conversation["rows"], &by_conversation["totals"]));
    let held: BTreeSet<EventId> = Stores::open(&env.data(), now()).turn_ids().unwrap().into_iter().collect();
    assert!(seen.is_subset(&held));
}

fn integrity_of(store: &Path) -> String {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}
