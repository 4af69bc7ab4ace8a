//! What each fuzz target checks, as plain functions: they panic where a promise of the library is broken.
//!
//! `cargo fuzz run <target>` searches for inputs that do; `cargo test` replays `corpus/<target>/`, where every input
//! that ever did is kept.

#[cfg(target_os = "linux")]
mod detect;
mod hook;
mod host;

#[cfg(target_os = "linux")]
pub use detect::{classifier, isolation_key, record, stat_line};
pub use hook::hook_call;
pub use host::statusline_input;
use session_store::{
    CellSum, Change, Conversation, CostState, Deed, Event, Fact, Join, LINE_BYTES_MAX, Ledger, LimitCause,
    LimitHit, LimitWindow, Owner, Position, ProblemKind, Reading, Reset, Restraint, Role, Setting,
    SourceKind, Tail, Tariff, Timestamp, Turn, Usage, Why, Zone, fold_cells,
};

/// One line of a transcript: reading never fails, stands at the line's end after it, and says of each line what was
/// found in it.
///
/// Newlines in the data are taken out, so that it is one line.
pub fn transcript_line(data: &[u8]) {
    let mut line: Vec<u8> = data.iter().copied().filter(|&byte| byte != b'\n').collect();
    let mut tail = Tail::new(main_source(), Zone::utc());
    let unfinished = tail.feed(&line);
    assert!(
        unfinished.found.is_empty() && unfinished.problems.is_empty(),
        "nothing is known before the line ends"
    );
    assert_eq!(tail.position(), Position::default());

    line.push(b'\n');
    let reading = tail.feed(b"\n");
    assert_eq!(tail.position().offset, line.len() as u64);
    assert!(reading.found.iter().all(|found| check_event(&found.event)));
    assert!(
        reading.found.iter().filter(|found| !is_conversation(&found.event)).all(|found| found.line_at == 0)
    );
    assert!(reading.problems.iter().all(|(kind, at)| !kind.is_of_file() && *at == 0));
    assert!(reading.problems.len() <= 1, "a line is one problem at most");
    let is_too_long = reading.problems.first().is_some_and(|(kind, _)| *kind == ProblemKind::TooLong);
    assert_eq!(is_too_long, line.len() > LINE_BYTES_MAX);

    // The same line told twice, and by a sub-agent's transcript too, is the same events.
    let mut ledger = Ledger::from_iter(reading.found.into_iter().map(|found| found.event));
    let twice = Tail::new(main_source(), Zone::utc()).feed(&line.repeat(2));
    let again = Ledger::from_iter(twice.found.into_iter().map(|found| found.event));
    assert_eq!(again, ledger);
    assert_eq!(ledger.join(again), Change::Unchanged);
    let _ = Tail::new(agent_source(), Zone::utc()).feed(&line);
}

/// A text is harmless in HTML once it is escaped, and can still be read.
pub fn html_escape(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let escaped = session_analytics::escape_html(&text);
    assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped:?}");
    assert!(!escaped.contains(session_analytics::is_unprintable), "{escaped:?}");
    let mut read = String::new();
    let mut rest = escaped.as_str();
    while let Some(at) = rest.find('&') {
        let (name, after) = rest[at + 1..].split_once(';').expect("every & begins a reference");
        read.push_str(&rest[..at]);
        read.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("&{other};"),
        });
        rest = after;
    }
    read.push_str(rest);
    assert_eq!(read, session_analytics::printable(&text));
}

/// A transcript cut anywhere tells what it tells whole, to one reader and to many.
///
/// The first byte says how many cuts there are, up to 15, and whose transcript it is; two bytes for each cut follow,
/// then the transcript.
pub fn transcript_tail(data: &[u8]) {
    let Some((&head, rest)) = data.split_first() else { return };
    let source = || if head & 0x10 == 0 { main_source() } else { agent_source() };
    let (cuts, bytes) = rest.split_at(rest.len().min(2 * usize::from(head & 0x0f)));
    let place = |cut: &[u8]| usize::from(u16::from_le_bytes([cut[0], cut[1]])) % (bytes.len() + 1);
    let mut places: Vec<usize> = cuts.chunks_exact(2).map(place).chain([bytes.len()]).collect();
    places.sort_unstable();

    let mut tail = Tail::new(source(), Zone::utc());
    let mut whole = Told::of(tail.feed(bytes));
    whole.position = tail.position();

    let mut tail = Tail::new(source(), Zone::utc());
    let mut pieces = Told::default();
    let mut runs = Told::default();
    let mut from = 0;
    for &to in &places {
        pieces.take(tail.feed(&bytes[from..to]));
        from = to;

        let mut fresh = Tail::resume(source(), Zone::utc(), runs.position);
        runs.take(fresh.feed(&bytes[runs.position.offset as usize..to]));
        runs.position = fresh.position();
    }
    pieces.position = tail.position();
    assert_eq!(pieces, whole, "in pieces, cut at {places:?}");
    assert_eq!(runs, whole, "by many readers, cut at {places:?}");

    let ended = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    assert_eq!(whole.position.offset, ended as u64);
    assert!(whole.ledger.iter().all(check_event));
}

/// The join laws hold for events made of arbitrary bytes, and sums by cell are sums of turns.
pub fn ledger_join(data: &[u8]) {
    let mut bytes = Bytes(data);
    let records = [(); 3].map(|()| event(&mut bytes, Some(0)));
    check_laws(&records[0], &records[1], &records[2]);

    let mut ledgers = [(); 3].map(|()| Ledger::default());
    while !bytes.0.is_empty() {
        let place = bytes.below(3) as usize;
        let _ = ledgers[place].apply(event(&mut bytes, None));
    }
    let [a, b, c] = &ledgers;
    check_laws(a, b, c);

    let mut all = joined(&joined(a, b), c);
    all.extend(records);
    let forever = Timestamp::MIN..Timestamp::MAX;
    let mut sum = CellSum::default();
    fold_cells(&all, forever.clone(), &[moment(&mut bytes)]).iter().for_each(|cell| sum.add(&cell.sum));
    let mut expected = CellSum::default();
    let counted = all.turns().filter(|(event, _)| forever.contains(&event.at));
    counted.for_each(|(_, turn)| expected.add(&CellSum::of(turn)));
    assert_eq!(sum, expected);
}

/// The data of a target, taken piece by piece; zeros where it ends.
struct Bytes<'d>(&'d [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.next() % end
    }

    /// A count: mostly small, at times as large as there is.
    fn count(&mut self) -> u64 {
        match self.next() {
            0xff => u64::MAX,
            0xfe => u64::from_le_bytes([(); 8].map(|()| self.next())),
            small => u64::from(small),
        }
    }

    fn pick<T: Copy>(&mut self, pool: &[T]) -> T {
        pool[usize::from(self.next()) % pool.len()]
    }
}

/// Makes an event of a kind, or of any; the number of its id is one of four.
fn event(bytes: &mut Bytes<'_>, kind: Option<u8>) -> Event {
    let kind = kind.unwrap_or_else(|| bytes.below(8));
    let number = if kind == 0 { 0 } else { bytes.below(4) };
    let at = moment(bytes);
    let owner = Owner {
        role: bytes.pick(&[Role::Main, Role::SubAgent]),
        since: moment(bytes),
        conversation: bytes.pick(&["a", "b", "é"]).into(),
        agent: bytes.pick(&[None, Some("x"), Some("y")]).map(Into::into),
    };
    let (name, fact) = match kind {
        4 => ("restraint:", Fact::Restraint(restraint(bytes))),
        5 => ("error:", Fact::LimitHit(limit_hit(bytes))),
        6 => ("cost-state:", Fact::CostState(cost_state(bytes))),
        7 => ("conversation:", Fact::Conversation(conversation(bytes))),
        _ => ("msg_", Fact::Turn(turn(bytes))),
    };
    Event { id: format!("{name}{number}").as_str().into(), at, owner, fact }
}

/// Makes a moment: within a few quarter hours, at an end of time, or any.
fn moment(bytes: &mut Bytes<'_>) -> Timestamp {
    match bytes.next() {
        0xff => Timestamp::MAX,
        0xfe => Timestamp::MIN,
        0xfd => Timestamp::from_millis(bytes.count() as i64),
        near => {
            Timestamp::from_millis(1_795_132_800_000 + i64::from(near) * 60_000 - i64::from(bytes.below(2)))
        }
    }
}

fn turn(bytes: &mut Bytes<'_>) -> Turn {
    let [input, output, cache_write_5m, cache_write_1h, cache_read, web_searches] =
        [(); 6].map(|()| bytes.count());
    Turn {
        usage: Usage { input, output, cache_write_5m, cache_write_1h, cache_read, web_searches },
        model: bytes.pick(&["opus", "haiku"]).into(),
        tariff: Tariff { fast: bytes.pick(&[false, true]), us_only: bytes.pick(&[false, true]) },
        under_reported: bytes.pick(&[false, true]),
    }
}

fn limit_hit(bytes: &mut Bytes<'_>) -> LimitHit {
    LimitHit {
        cause: bytes.pick(&[LimitCause::Burst, LimitCause::Quota]),
        resets_at: Reset(bytes.pick(&[false, true]).then(|| moment(bytes))),
        window: LimitWindow::from_name(bytes.pick(&["five_hour", "seven_day", "", "new"])),
    }
}

fn restraint(bytes: &mut Bytes<'_>) -> Restraint {
    let (due_ms, waited_ms) = (bytes.count(), bytes.count());
    let LimitHit { window, resets_at, .. } = limit_hit(bytes);
    Restraint {
        deed: bytes.pick(&[Deed::Waited { due_ms, waited_ms }, Deed::Refused, Deed::Told, Deed::Released]),
        done: bytes.pick(&[false, true]),
        why: bytes.pick(&Why::ALL),
        window,
        resets_at: resets_at.0,
        used_hundredths: None,
        tool: bytes.pick(&["Bash", "é"]).into(),
        priority: "normal".into(),
    }
}

fn cost_state(bytes: &mut Bytes<'_>) -> CostState {
    CostState {
        duration_ms: bytes.count(),
        cost_nanos: bytes.count(),
        models: vec![],
        has_unknown_model: bytes.pick(&[false, true]),
    }
}

fn conversation(bytes: &mut Bytes<'_>) -> Conversation {
    let mut setting = || Setting {
        at: moment(bytes),
        folder: bytes.pick(&[None, Some("/a"), Some("/b")]).map(Into::into),
        branch: None,
        version: bytes.pick(&[None, Some("2.1.9")]).map(Into::into),
        entrypoint: None,
    };
    Conversation { first: setting(), last: setting() }
}

/// What came of reading a transcript, the facts of conversations only joined: they are told once a piece.
#[derive(Debug, Default, PartialEq)]
struct Told {
    ledger: Ledger,
    found: Vec<(u64, Event)>,
    problems: Vec<(ProblemKind, u64)>,
    position: Position,
}

impl Told {
    fn of(reading: Reading) -> Self {
        let mut told = Self::default();
        told.take(reading);
        told
    }

    fn take(&mut self, reading: Reading) {
        self.problems.extend(reading.problems);
        for found in reading.found {
            if !is_conversation(&found.event) {
                self.found.push((found.line_at, found.event.clone()));
            }
            self.ledger.extend([found.event]);
        }
    }
}

fn main_source() -> SourceKind {
    SourceKind::Main { conversation: "c".into() }
}

fn agent_source() -> SourceKind {
    SourceKind::SubAgent { conversation: None, agent: "a".into() }
}

fn is_conversation(event: &Event) -> bool {
    matches!(event.fact, Fact::Conversation(_))
}

/// Checks what every event from a transcript promises; returns true, to be used in `all`.
fn check_event(event: &Event) -> bool {
    assert!(event.at.is_plausible() && event.owner.since.is_plausible(), "{event:?}");
    assert!(!event.id.as_str().is_empty() && event.id.as_str().len() < 1024, "{event:?}");
    // Every kind of fact has ids of its own, or one could hide another.
    let is_turn = event.id.as_str().starts_with("msg_")
        || event.id.as_str().starts_with("turn:")
        || !event.id.as_str().contains(':');
    assert_eq!(is_turn, matches!(event.fact, Fact::Turn(_)), "{event:?}");
    if let Fact::Turn(turn) = &event.fact {
        assert!(turn.usage.total() <= 5_000_000_000_000, "{event:?}");
    }
    true
}

fn joined<T: Join + Clone + PartialEq + std::fmt::Debug>(a: &T, b: &T) -> T {
    let mut joined = a.clone();
    let change = joined.join(b.clone());
    assert_eq!(change == Change::Grew, joined != *a, "{change:?} for {a:?} with {b:?}");
    joined
}

fn check_laws<T: Join + Clone + PartialEq + std::fmt::Debug>(a: &T, b: &T, c: &T) {
    assert_eq!(joined(a, a), *a);
    assert_eq!(joined(a, b), joined(b, a));
    assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)));
}
