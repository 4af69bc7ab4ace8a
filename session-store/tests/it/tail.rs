//! The incremental reader: however the bytes of a transcript are cut, and wherever reading starts again, the same
//! comes out.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use session_store::{LINE_BYTES_MAX, ProblemKind, SourceKind, Tail, Zone};

use crate::child;
use crate::lines::{Told, agent_of, main_of, read, read_in_pieces};

/// Lines without their ends: what counts, what does not, and what is broken, in every order.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let id = select(vec!["msg_1", "msg_2", "msg_3", "req", ""]);
    let time = select(vec![
        r#""timestamp":"2026-11-22T17:09:41.874Z","#,
        r#""timestamp":"2026-11-22T17:08:00.000Z","#,
        r#""timestamp":"1999-01-01T00:00:00.000Z","#,
        r#""timestamp":7,"#,
        "",
    ]);
    let conversation = select(vec![r#""sessionId":"c","#, r#""sessionId":"résumé","#, ""]);
    let known = (id, time, conversation, 0..60u32, 0..13u8).prop_map(|(id, time, conversation, output, kind)| {
        let around = format!("{time}{conversation}");
        let message = format!(r#""message":{{"id":"{id}","model":"opus","usage":{{"output_tokens":{output}}}}}"#);
        match kind {
            0..=3 => format!(r#"{{"type":"assistant",{around}"uuid":"u{output}",{message}}}"#),
            4 => format!(r#"{{"type":"assistant",{around}"isSidechain":true,"agentId":"a1",{message}}}"#),
            5 => format!(r#"{{"type":"user",{around}"message":{{"content":"Grüße 👋 {output}"}}}}"#),
            6 => format!(r#"{{"type":"user","message":{{"content":"[Request interrupted by user]"}},"n":{output}}}"#),
            7 => format!(
                r#"{{"type":"progress",{conversation}"data":{{"type":"agent_progress","agentId":"a{output}","message":{{"type":"assistant",{time}{message}}}}}}}"#
            ),
            8 => format!(
                r#"{{"type":"cost-state",{conversation}"startTime":1795367550510,"totalCostUSD":{output}.5,"totalDuration":{output}}}"#
            ),
            9 => format!(
                r#"{{"type":"system","subtype":"compact_boundary",{around}"compactMetadata":{{"preTokens":{output}}}}}"#
            ),
            10 => format!(
                r#"{{"type":"assistant",{around}"isApiErrorMessage":true,"error":"rate_limit","message":{{"id":"{id}","model":"<synthetic>","content":[{{"text":"You’ve hit your limit · resets 3pm"}}]}}}}"#
            ),
            11 => format!(r#"{{"type":"assistant",{around}{message}"#),
            _ => format!(
                r#"{{"type":"file-history-snapshot","snapshot":{{"timestamp":"2026-11-20T00:00:00.000Z","n":{output}}}}}"#
            ),
        }
        .into_bytes()
    });
    prop_oneof![
        8 => known,
        1 => select(vec![&b""[..], b"\r", b"{}", b"null", b"\"usage\"", b"{\"usage\":\xff}", "\u{feff}".as_bytes()])
            .prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..40),
        1 => (0..3000usize).prop_map(|length| {
            format!(r#"{{"type":"user","toolUseResult":"{}","usage":0}}"#, "é".repeat(length)).into_bytes()
        }),
    ]
}

/// A transcript with either kind of line end; the last line is at times still being written.
fn transcripts() -> impl Strategy<Value = Vec<u8>> {
    let ends = select(vec![&b"\n"[..], b"\r\n"]);
    (vec((lines(), ends), 0..16), any::<bool>()).prop_map(|(lines, is_torn)| {
        let mut bytes: Vec<u8> =
            lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect();
        if is_torn {
            bytes.pop();
        }
        bytes
    })
}

fn kinds() -> impl Strategy<Value = SourceKind> {
    select(vec![main_of("c"), main_of("other"), agent_of(Some("c"), "a1"), agent_of(None, "a2")])
}

/// Turns numbers into sorted places to cut `length` bytes, both ends included.
fn places(cuts: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).chain([0, length]).collect();
    places.sort_unstable();
    places
}

fn pieces<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// Reads with a new reader for each piece, as a monitor does that is started again and again.
fn read_in_runs(kind: &SourceKind, bytes: &[u8], places: &[usize]) -> Told {
    let mut told = Told::default();
    for &end in places {
        let mut tail = Tail::resume(kind.clone(), Zone::utc(), told.position);
        told.take(tail.feed(&bytes[told.position.offset as usize..end]));
        told.position = tail.position();
    }
    told
}

fn check_cuts(kind: SourceKind, bytes: &[u8], places: &[usize]) {
    let whole = read(kind.clone(), bytes);
    assert_eq!(read_in_pieces(kind.clone(), &pieces(bytes, places)), whole, "in pieces");
    assert_eq!(read_in_runs(&kind, bytes, places), whole, "by many readers");

    let last_line = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    assert_eq!(whole.position.offset, last_line as u64, "a position is the end of a whole line");
    let starts_line = |at: u64| at == 0 || bytes[at as usize - 1] == b'\n';
    assert!(whole.found.iter().all(|(at, _)| starts_line(*at)));
    assert!(whole.problems.iter().all(|(_, at)| starts_line(*at)));
    assert!(whole.problems.is_sorted_by_key(|(_, at)| at));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_tells_the_same(
        kind in kinds(), bytes in transcripts(), cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        check_cuts(kind, &bytes, &places(&cuts, bytes.len()));
    }

    #[test]
    fn reading_is_total(kind in kinds(), bytes in vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        check_cuts(kind, &bytes, &places(&[cut], bytes.len()));
    }

    /// Noise within the words that make the reader look.
    #[test]
    fn reading_of_almost_json_is_total(
        text in r#"(\{|\}|\[|\]|,|:|"usage"|"type"|"assistant"|"message"|"timestamp"|"2026-11-22T17:09:41Z"|"cost-state"|"isApiErrorMessage"|true|null|-?[0-9e.]{1,9}|\n){0,60}"#,
    ) {
        check_cuts(main_of("c"), text.as_bytes(), &places(&[], text.len()));
    }
}

#[test]
fn every_single_cut_of_a_small_transcript() {
    let turn = |number: u32| {
        format!(
            r#"{{"type":"assistant","sessionId":"ç","timestamp":"2026-11-22T17:09:41.874Z","message":{{"id":"msg_{number}","model":"opus","usage":{{"output_tokens":{number}}}}}}}"#
        )
    };
    let bytes = format!("{}\r\n\n{{\"usage\"\n{}\n{}", turn(1), turn(2), turn(3));
    for cut in 0..=bytes.len() {
        check_cuts(main_of("c"), bytes.as_bytes(), &[0, cut, bytes.len()]);
    }
    let every_byte: Vec<usize> = (0..=bytes.len()).collect();
    check_cuts(main_of("c"), bytes.as_bytes(), &every_byte);
}

#[test]
fn nothing_comes_of_nothing() {
    let mut tail = Tail::new(main_of("c"), Zone::utc());
    for piece in [&b""[..], b"", b"\n", b"", b"\r\n\n"] {
        let reading = tail.feed(piece);
        assert!(reading.found.is_empty() && reading.problems.is_empty());
    }
    assert_eq!(tail.position().offset, 4);
}

/// What has no end yet is neither counted nor a problem, however damaged it looks.
#[test]
fn an_unfinished_line_waits() {
    let told = read(main_of("c"), b"{}\n{\"usage\":");
    assert_eq!((told.problems, told.position.offset), (vec![], 3));
}

/// The age of a transcript is the first time that stands in it on a line of its own; it is known to every later reader.
#[test]
fn a_later_reader_knows_the_age() {
    let first = b"{\"type\":\"user\",\"timestamp\":\"2026-11-22T10:00:00.000Z\"}\n";
    let turn =
        b"{\"type\":\"assistant\",\"timestamp\":\"2026-11-22T17:09:41.874Z\",\"message\":{\"usage\":{}}}\n";
    let bytes = [&first[..], turn].concat();
    let told = read_in_runs(&main_of("c"), &bytes, &[first.len(), bytes.len()]);
    let owner = &told.found[0].1.owner;
    assert_eq!(owner.since.to_string(), "2026-11-22T10:00:00.000Z");
    assert_eq!(told, read(main_of("c"), &bytes));
}

/// A line full of times without one of its own costs one look, not one for each.
#[test]
fn a_line_of_many_times_is_read_once() {
    let times = r#"{"timestamp":0},"#.repeat(60_000);
    let line = format!("{{\"type\":\"x\",\"list\":[{times}0]}}\n");
    let told = read(main_of("c"), line.as_bytes());
    assert_eq!(told.position.since, None);
}

/// Lines up to the limit are read, longer ones passed over and counted once; the next line is read again.
#[test]
fn too_long_is_a_matter_of_the_line_not_of_the_cut() {
    let next = b"{\"usage\":\n";
    let head = b"{\"type\":\"user\",\"usage\":\"";
    let tail = b"\"}\n";
    for beyond in [0, 1] {
        let fill = LINE_BYTES_MAX + beyond - head.len() - tail.len();
        let bytes = [&head[..], &vec![b'x'; fill], tail, next].concat();
        let end = LINE_BYTES_MAX + beyond;
        let expected: &[_] = match beyond {
            0 => &[(ProblemKind::Damaged, end as u64)],
            _ => &[(ProblemKind::TooLong, 0), (ProblemKind::Damaged, end as u64)],
        };
        let cuts: [&[usize]; 3] = [&[], &[end - 1], &[1, 1 << 20, LINE_BYTES_MAX - 1, LINE_BYTES_MAX, end]];
        for cuts in cuts {
            let places: Vec<usize> =
                [0].into_iter().chain(cuts.iter().copied()).chain([bytes.len()]).collect();
            let told = read_in_pieces(main_of("c"), &pieces(&bytes, &places));
            assert_eq!(told.problems, expected, "{beyond} beyond, cut at {cuts:?}");
            assert_eq!(told.position.offset, bytes.len() as u64);
        }
        // A reader that stops within the line starts at its beginning again, so it is counted once all the same.
        let told = read_in_runs(&main_of("c"), &bytes, &[LINE_BYTES_MAX / 2, bytes.len()]);
        assert_eq!(told.problems, expected);
    }
}

/// Brackets without end cost no stack: a reader that dies of them is a process of its own, so that it fails alone.
#[test]
fn nesting_may_be_as_deep_as_a_line_is_long() {
    child::run("tail::child_that_reads_nested_lines", std::path::Path::new("nowhere"));
}

#[test]
fn child_that_reads_nested_lines() {
    if child::place().is_none() {
        return;
    }
    const DEPTH: usize = 1_000_000;
    let time = r#""timestamp":"2026-11-22T17:09:41.874Z""#;
    let used = r#""usage":{"output_tokens":5}"#;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let nested = format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
        let outside =
            format!(r#"{{"type":"assistant",{time},"x":{nested},"message":{{"id":"msg_1",{used}}}}}"#);
        let inside =
            format!(r#"{{"type":"assistant",{time},"message":{{"id":"msg_1","content":{nested},{used}}}}}"#);
        for line in [outside, inside] {
            assert_eq!(read(main_of("c"), (line + "\n").as_bytes()).ledger.turns().count(), 1);
        }
        let error = format!(
            r#"{{"type":"assistant",{time},"isApiErrorMessage":true,"error":"overloaded","message":{{"content":{nested}}}}}"#
        );
        assert_eq!(read(main_of("c"), (error + "\n").as_bytes()).found.len(), 1);
        let unfinished = format!("{{\"usage\":{}\n", open.repeat(DEPTH));
        assert_eq!(read(main_of("c"), unfinished.as_bytes()).problems, [(ProblemKind::Damaged, 0)]);
    }
}
