//! What counts, for whom and when: hand-written lines of all client versions, each case with the whole ledger that it
//! must come to.

use session_store::{Fact, Ledger, SourceKind};

use crate::lines::{Told, agent_of, main_of, read, written};

/// Reads transcripts and compares everything but the facts of conversations, which have a test of their own.
fn check_files(files: &[(SourceKind, &[String])], expected: &[&str]) {
    let told: Vec<Told> =
        files.iter().map(|(kind, lines)| read(kind.clone(), (lines.join("\n") + "\n").as_bytes())).collect();
    let ledgers = || told.iter().map(|told| told.ledger.clone());
    let forwards: Ledger = ledgers().flatten().collect();
    let backwards: Ledger = ledgers().rev().chain(ledgers()).flatten().collect();
    assert_eq!(forwards, backwards, "neither the order of the files nor reading them twice may matter");

    let events = forwards.iter().filter(|event| !matches!(event.fact, Fact::Conversation(_))).map(written);
    let problems = told.iter().zip(files).flat_map(|(told, (_, lines))| {
        let line_of = |at: u64| {
            let ends = lines.iter().scan(0, |end, line| {
                *end += line.len() as u64 + 1;
                Some(*end)
            });
            ends.take_while(|&end| end <= at).count() + 1
        };
        told.problems.iter().map(move |(kind, at)| format!("{} in line {}", kind.name(), line_of(*at)))
    });
    let all: Vec<String> = events.chain(problems).collect();
    assert_eq!(all, expected, "{files:#?}");
}

fn check(lines: &[String], expected: &[&str]) {
    check_files(&[(main_of("c"), lines)], expected);
}

/// An assistant line of conversation `c` at 17:09:41.874.
fn assistant(rest: &str) -> String {
    format!(r#"{{"type":"assistant","sessionId":"c","timestamp":"2026-11-22T17:09:41.874Z",{rest}}}"#)
}

/// The same with this usage.
fn used(usage: &str) -> String {
    assistant(&format!(r#""message":{{"id":"msg_1","model":"opus","usage":{usage}}}"#))
}

/// The same with this message id and output.
fn reply(id: &str, output: u64) -> String {
    assistant(&format!(r#""message":{{"id":"{id}","model":"opus","usage":{{"output_tokens":{output}}}}}"#))
}

fn text(line: &str) -> String {
    line.to_owned()
}

#[test]
fn every_kind_of_token() {
    check(
        &[used(
            r#"{"input_tokens":3,"cache_creation_input_tokens":30,"cache_read_input_tokens":500,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                "output_tokens":57,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":9},
                "service_tier":"standard","output_tokens_details":{"thinking_tokens":40}}"#,
        )
        .replace('\n', "")],
        &["turn msg_1 17:09:41.874 of c: opus in=3 out=57 5m=10 1h=20 read=500 web=2"],
    );
}

#[test]
fn cache_writes_flat_nested_or_both() {
    let cases = [
        // Without a split, the shorter life is the cheaper assumption.
        (r#"{"cache_creation_input_tokens":30}"#, "5m=30"),
        (
            r#"{"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#,
            "5m=10 1h=20",
        ),
        // Some versions wrote a zero beside the split.
        (r#"{"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":20}}"#, "1h=20"),
        (
            r#"{"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_1h_input_tokens":20}}"#,
            "5m=10 1h=20",
        ),
        (r#"{"cache_creation_input_tokens":30,"cache_creation":null}"#, "5m=30"),
        (r#"{"cache_creation_input_tokens":30,"cache_creation":7}"#, "5m=30"),
    ];
    for (usage, expected) in cases {
        check(&[used(usage)], &[&format!("turn msg_1 17:09:41.874 of c: opus {expected}")]);
    }
}

#[test]
fn streaming_repeats_count_once_with_the_final_output() {
    let repeated = [reply("msg_1", 1), reply("msg_1", 57), reply("msg_1", 57), reply("msg_2", 4)];
    check(
        &repeated,
        &["turn msg_1 17:09:41.874 of c: opus out=57", "turn msg_2 17:09:41.874 of c: opus out=4"],
    );
}

/// The record with the greatest output wins whole, even where another one has more of something else.
#[test]
fn a_record_is_kept_whole() {
    check(
        &[
            used(r#"{"input_tokens":900,"output_tokens":1}"#),
            used(r#"{"input_tokens":3,"output_tokens":57}"#),
            used(r#"{"input_tokens":2,"output_tokens":57}"#),
        ],
        &["turn msg_1 17:09:41.874 of c: opus in=3 out=57"],
    );
}

/// Two replies within one millisecond are two replies; one id at two times is one, at the earlier.
#[test]
fn time_tells_nothing_apart() {
    check(
        &[reply("msg_1", 5), reply("msg_2", 5), reply("msg_1", 5).replace("41.874", "41.873")],
        &["turn msg_1 17:09:41.873 of c: opus out=5", "turn msg_2 17:09:41.874 of c: opus out=5"],
    );
}

/// Versions up to 2.0 copied the whole history into a new conversation, with the time of copying on each line.
#[test]
fn a_resumed_copy_of_old_versions_adds_nothing() {
    let original = [reply("msg_1", 57)];
    let copied =
        reply("msg_1", 57).replace(r#""sessionId":"c""#, r#""sessionId":"d""#).replace("17:09", "17:31");
    let copy = [copied.clone(), copied.replace("msg_1", "msg_2")];
    check_files(
        &[(main_of("c"), &original), (main_of("d"), &copy)],
        &["turn msg_1 17:09:41.874 of c: opus out=57", "turn msg_2 17:31:41.874 of d: opus out=57"],
    );
}

/// Forks of newer versions keep times and request ids; the older transcript keeps its turn. Ages are told by the
/// first line of each, which need not be a reply.
#[test]
fn a_fork_takes_nothing_from_its_parent() {
    let prompt = |conversation: &str, minute: &str| {
        format!(r#"{{"type":"user","sessionId":"{conversation}","timestamp":"2026-11-22T{minute}:00.000Z"}}"#)
    };
    let parent = [prompt("z", "17:00"), reply("msg_1", 57).replace(r#""c""#, r#""z""#)];
    let fork = [
        prompt("a", "17:05"),
        reply("msg_1", 57).replace(r#""c""#, r#""a""#),
        reply("msg_2", 8).replace(r#""c""#, r#""a""#),
    ];
    check_files(
        &[(main_of("z"), &parent), (main_of("a"), &fork)],
        &["turn msg_1 17:09:41.874 of z: opus out=57", "turn msg_2 17:09:41.874 of a: opus out=8"],
    );
}

#[test]
fn ids_fall_back_to_the_request_then_to_the_line() {
    let usage = r#""usage":{"output_tokens":5}"#;
    let cases = [
        (r#""id":"msg_1","#, r#""requestId":"req_1","uuid":"u-1","#, "msg_1"),
        // Proxies make up ids of their own, a new one with each copy.
        (r#""id":"chatcmpl-1","#, r#""requestId":"req_1","uuid":"u-1","#, "req_1"),
        ("", r#""requestId":"req_1","uuid":"u-1","#, "req_1"),
        ("", r#""uuid":"u-1","#, "u-1"),
        (r#""id":"chatcmpl-1","#, "", "chatcmpl-1"),
        (r#""id":null,"#, r#""requestId":7,"uuid":"","#, "turn:nameless:c::1795367381874"),
    ];
    for (id, around, expected) in cases {
        let line = assistant(&format!(r#"{around}"message":{{{id}"model":"opus",{usage}}}"#));
        check(&[line], &[&format!("turn {expected} 17:09:41.874 of c: opus out=5")]);
    }
}

#[test]
fn a_turn_cannot_pass_itself_off_as_something_else() {
    let error = assistant(
        r#""isApiErrorMessage":true,"error":"overloaded","message":{"id":"e1","model":"<synthetic>","usage":{}}"#,
    );
    let turn = assistant(r#""requestId":"error:e1","message":{"model":"opus","usage":{"output_tokens":5}}"#);
    let nameless =
        assistant(r#""isApiErrorMessage":true,"error":"overloaded","message":{"model":"<synthetic>"}"#);
    let nameless_turn = assistant(r#""message":{"model":"opus","usage":{"output_tokens":6}}"#);
    check(
        &[error, turn, nameless, nameless_turn],
        &[
            "burst error:e1 of c: unspecified until never",
            "burst error:nameless:c::1795367381874 of c: unspecified until never",
            "turn turn:error:e1 17:09:41.874 of c: opus out=5",
            "turn turn:nameless:c::1795367381874 17:09:41.874 of c: opus out=6",
        ],
    );
}

#[test]
fn what_claude_code_writes_itself_counts_nothing() {
    let synthetic = r#""isApiErrorMessage":false,"message":{"id":"6d1f","model":"<synthetic>",
        "content":[{"type":"text","text":"No response requested."}],"usage":{"input_tokens":0,"output_tokens":0}}"#;
    check(&[assistant(&synthetic.replace('\n', ""))], &[]);
}

/// The sub-agent's own transcript and its echo in the parent's are one event; the owner is the sub-agent either way.
#[test]
fn an_echo_counts_where_the_file_is_gone_and_only_then() {
    let echo = text(
        r#"{"type":"progress","sessionId":"c","timestamp":"2026-11-22T17:09:42.001Z","version":"2.1.20","data":{"type":"agent_progress","agentId":"a1","message":{"type":"assistant","timestamp":"2026-11-22T17:09:42.000Z","requestId":"req_1","uuid":"u-1","message":{"id":"msg_1","model":"haiku","usage":{"input_tokens":3,"output_tokens":2}}}}}"#,
    );
    let alone = "turn msg_1 17:09:42.000 of c/a1: haiku in=3 out=2 under-reported";
    check(std::slice::from_ref(&echo), &[alone]);

    let own = text(
        r#"{"type":"assistant","isSidechain":true,"agentId":"a1","sessionId":"c","timestamp":"2026-11-22T17:09:41.990Z","version":"2.1.20","message":{"id":"msg_1","model":"haiku","usage":{"input_tokens":3,"output_tokens":40}}}"#,
    );
    check_files(
        &[(main_of("c"), &[echo]), (agent_of(Some("c"), "a1"), &[own])],
        &["turn msg_1 17:09:41.990 of c/a1: haiku in=3 out=40 under-reported"],
    );
}

#[test]
fn other_progress_counts_nothing() {
    check(
        &[
            text(
                r#"{"type":"progress","sessionId":"c","timestamp":"2026-11-22T17:09:42.001Z","data":{"type":"agent_progress","message":{"type":"user","message":{"usage":{"output_tokens":9}}}}}"#,
            ),
            text(
                r#"{"type":"progress","sessionId":"c","timestamp":"2026-11-22T17:09:42.001Z","data":{"type":"mcp_progress","message":{"type":"assistant","message":{"usage":{"output_tokens":9}}}}}"#,
            ),
            text(r#"{"type":"progress","data":{"type":"agent_progress","usage":{"output_tokens":9}}}"#),
            text(r#"{"type":"progress","data":[{"usage":{"output_tokens":9}}]}"#),
        ],
        &[],
    );
}

#[test]
fn usage_that_is_not_the_apis_counts_nothing() {
    check(
        &[
            // The sum of a sub-agent, in the result of its tool.
            text(
                r#"{"type":"user","sessionId":"c","timestamp":"2026-11-22T17:09:42.001Z","toolUseResult":{"totalTokens":3268,"usage":{"input_tokens":11,"output_tokens":57}}}"#,
            ),
            // A tool that happens to take an argument of that name.
            assistant(
                r#""message":{"id":"msg_1","model":"opus","content":[{"type":"tool_use","input":{"usage":{"output_tokens":99}}}]}"#,
            ),
            // Text that quotes a transcript.
            text(
                r#"{"type":"user","sessionId":"c","message":{"content":"{\"type\":\"assistant\",\"message\":{\"usage\":{\"output_tokens\":99}}}"}}"#,
            ),
            text(r#"{"type":"summary","usage":{"output_tokens":99}}"#),
            text(r#"{"usage":{"output_tokens":99}}"#),
            text(r#""usage""#),
        ],
        // A line that is JSON but no object is taken for damaged: no client ever wrote one.
        &["damaged in line 6"],
    );
}

#[test]
fn an_argument_named_usage_does_not_hide_the_bill() {
    check(
        &[assistant(
            r#""message":{"id":"msg_1","model":"opus","content":[{"type":"tool_use","input":{"usage":{"output_tokens":99}}}],"usage":{"output_tokens":5}}"#,
        )],
        &["turn msg_1 17:09:41.874 of c: opus out=5"],
    );
}

#[test]
fn an_advisor_is_billed_beside_the_message() {
    check(
        &[used(
            r#"{"output_tokens":57,"iterations":[{"type":"message","model":"opus","output_tokens":57},{"type":"advisor_message","model":"fable","input_tokens":10,"output_tokens":7,"cache_creation_input_tokens":4},{"type":"advisor_message","output_tokens":1},null,7]}"#,
        )],
        &[
            "turn msg_1 17:09:41.874 of c: opus out=57",
            "turn msg_1#1 17:09:41.874 of c: fable in=10 out=7 5m=4",
            "turn msg_1#2 17:09:41.874 of c: unknown out=1",
        ],
    );
}

/// Lines of one reply repeat their usage, and are not read as often; nothing of another one may stick to them.
#[test]
fn usage_repeated_to_the_byte_counts_in_each_line() {
    let plain = r#"{"input_tokens":3,"output_tokens":57,"speed":"fast"}"#;
    let longer =
        r#"{"input_tokens":3,"output_tokens":57,"speed":"fast","server_tool_use":{"web_search_requests":1}}"#;
    let advised =
        r#"{"output_tokens":8,"iterations":[{"type":"advisor_message","model":"fable","output_tokens":7}]}"#;
    let lines =
        [plain, plain, longer, plain, advised, advised, plain, r#"{"output_tokens":-1}"#, plain, "7", plain];
    let lines = lines.iter().enumerate().map(|(number, usage)| {
        assistant(&format!(r#""message":{{"id":"msg_{number:02}","model":"opus","usage":{usage}}}"#))
    });
    let torn = text(
        r#"{"type":"assistant","message":{"usage":{"input_tokens":3,"output_tokens":57,"speed":"fast"}"#,
    );
    check(
        &lines.chain([torn]).collect::<Vec<_>>(),
        &[
            "turn msg_00 17:09:41.874 of c: opus in=3 out=57 fast",
            "turn msg_01 17:09:41.874 of c: opus in=3 out=57 fast",
            "turn msg_02 17:09:41.874 of c: opus in=3 out=57 web=1 fast",
            "turn msg_03 17:09:41.874 of c: opus in=3 out=57 fast",
            "turn msg_04 17:09:41.874 of c: opus out=8",
            "turn msg_04#0 17:09:41.874 of c: fable out=7",
            "turn msg_05 17:09:41.874 of c: opus out=8",
            "turn msg_05#0 17:09:41.874 of c: fable out=7",
            "turn msg_06 17:09:41.874 of c: opus in=3 out=57 fast",
            "turn msg_08 17:09:41.874 of c: opus in=3 out=57 fast",
            "turn msg_10 17:09:41.874 of c: opus in=3 out=57 fast",
            "absurd_number in line 8",
            "damaged in line 12",
        ],
    );
}

#[test]
fn nulls_and_wrong_types_read_as_absent() {
    check(
        &[
            used(
                r#"{"input_tokens":null,"output_tokens":5,"cache_creation":null,"cache_read_input_tokens":null,"server_tool_use":null,"speed":null,"inference_geo":null,"iterations":null,"service_tier":null}"#,
            ),
            text(
                r#"{"type":"assistant","sessionId":null,"timestamp":"2026-11-22T17:09:41.874Z","version":null,"cwd":null,"gitBranch":null,"isSidechain":null,"agentId":null,"requestId":null,"uuid":null,"isApiErrorMessage":null,"error":null,"quotaLimits":null,"data":null,"message":{"id":"msg_2","model":null,"stop_reason":null,"content":null,"usage":{}}}"#,
            ),
            text(
                r#"{"type":"assistant","sessionId":7,"timestamp":"2026-11-22T17:09:41.874Z","version":[1],"cwd":{"x":1},"gitBranch":true,"isSidechain":"yes","agentId":1.5,"requestId":{},"isApiErrorMessage":1,"quotaLimits":"none","message":{"id":"msg_3","model":{"id":"opus"},"content":7,"usage":{"speed":1,"iterations":{"a":1},"server_tool_use":[]}}}"#,
            ),
            assistant(r#""message":{"id":"msg_4","usage":null}"#),
            assistant(r#""message":{"id":"msg_5","usage":[1]}"#),
            assistant(r#""message":null,"x":"\"usage\"","usage":null"#),
            text(r#"{"type":null,"message":{"usage":{"output_tokens":5}}}"#),
            text(r#"{"type":["assistant"],"message":{"usage":{"output_tokens":5}}}"#),
        ],
        &[
            "turn msg_1 17:09:41.874 of c: opus out=5",
            "turn msg_2 17:09:41.874 of c: unknown",
            "turn msg_3 17:09:41.874 of c: unknown",
        ],
    );
}

#[test]
fn numbers_that_no_request_has_are_refused() {
    let absurd =
        ["-1", "0.5", "1e13", "1000000000001", "99999999999999999999999", r#""57""#, "true", "[57]", "{}"];
    for number in absurd {
        check(&[used(&format!(r#"{{"output_tokens":{number}}}"#))], &["absurd_number in line 1"]);
        check(
            &[used(&format!(
                r#"{{"output_tokens":5,"cache_creation":{{"ephemeral_1h_input_tokens":{number}}}}}"#
            ))],
            &["absurd_number in line 1"],
        );
    }
    // Larger than the largest float there is, it is no JSON number to the parser.
    check(&[used(r#"{"output_tokens":1e999}"#)], &["damaged in line 1"]);
    for (number, expected) in [("5.0", "5"), ("5e0", "5"), ("1e12", "1000000000000"), ("0.0", "")] {
        let expected = if expected.is_empty() { String::new() } else { format!(" out={expected}") };
        check(
            &[used(&format!(r#"{{"output_tokens":{number}}}"#))],
            &[&format!("turn msg_1 17:09:41.874 of c: opus{expected}")],
        );
    }
}

#[test]
fn times_that_cannot_be_are_refused() {
    let check_time = |time: &str, expected: &str| {
        check(&[reply("msg_1", 5).replace(r#""2026-11-22T17:09:41.874Z""#, time)], &[expected]);
    };
    check_time(r#""0001-01-01T00:00:00.000Z""#, "absurd_time in line 1");
    check_time(r#""1970-01-01T00:00:00.000Z""#, "absurd_time in line 1");
    check_time(r#""2019-12-31T23:59:59.999Z""#, "absurd_time in line 1");
    check_time(r#""2100-01-01T00:00:00.000Z""#, "absurd_time in line 1");
    check_time(r#""9999-12-31T23:59:59.999Z""#, "absurd_time in line 1");
    check_time(r#""2026-02-30T00:00:00.000Z""#, "no_time in line 1");
    check_time(r#""yesterday""#, "no_time in line 1");
    check_time("1795367381874", "no_time in line 1");
    check_time("null", "no_time in line 1");
    check_time(r#""2026-11-22T19:09:41.874+02:00""#, "turn msg_1 17:09:41.874 of c: opus out=5");
    check_time(r#""2099-12-31T23:59:59.999Z""#, "turn msg_1 23:59:59.999 of c: opus out=5");
    check(
        &[text(r#"{"type":"assistant","message":{"id":"msg_1","usage":{"output_tokens":5}}}"#)],
        &["no_time in line 1"],
    );
}

#[test]
fn ids_longer_than_any_id_are_passed_over() {
    let long = "x".repeat(257);
    let longest = format!("msg_{}", "x".repeat(252));
    check(
        &[
            reply(&format!("msg_{long}"), 5),
            reply(&longest, 6),
            reply("msg_2", 7).replace(r#""sessionId":"c""#, &format!(r#""sessionId":"{long}""#)),
            reply("msg_3", 8).replace(r#""opus""#, &format!(r#""{long}""#)),
        ],
        &[
            "turn msg_2 17:09:41.874 of c: opus out=7",
            "turn msg_3 17:09:41.874 of c: unknown out=8",
            &format!("turn {longest} 17:09:41.874 of c: opus out=6"),
            "turn turn:nameless:c::1795367381874 17:09:41.874 of c: opus out=5",
        ],
    );
}

/// No client doubles a key, and readers disagree on which one counts; such a line is shown, not guessed at.
#[test]
fn a_doubled_key_is_damage() {
    check(&[used(r#"{"output_tokens":5,"output_tokens":500}"#)], &["damaged in line 1"]);
    check(&[assistant(r#""type":"user","usage":1"#)], &["damaged in line 1"]);
}

#[test]
fn spaces_and_line_ends_do_not_matter() {
    let spaced = r#"  { "type" : "assistant" , "sessionId" : "c" , "timestamp" : "2026-11-22T17:09:41.874Z" , "message" : { "id" : "msg_1" , "model" : "opus" , "usage" : { "output_tokens" : 5 } } }  "#;
    let escaped = r#"{"type":"\u0061ssistant","sessionId":"\u0063","timestamp":"2026-11-22T17:09:41.874Z","message":{"id":"msg\u005f1","model":"op\u0075s","usage":{"output_tokens":5}}}"#;
    for line in [spaced.to_owned(), format!("{spaced}\r"), format!("\t{spaced}\r\n\r\n"), escaped.to_owned()]
    {
        check(&[line], &["turn msg_1 17:09:41.874 of c: opus out=5"]);
    }
}

#[test]
fn what_changes_the_price_is_kept() {
    let cases = [
        (r#""speed":"fast""#, " fast"),
        (r#""speed":"standard""#, ""),
        (r#""inference_geo":"us""#, " us"),
        (r#""inference_geo":"global""#, ""),
        (r#""inference_geo":"""#, ""),
        (r#""speed":"fast","inference_geo":"us""#, " fast us"),
    ];
    for (fields, marks) in cases {
        check(
            &[used(&format!(r#"{{"output_tokens":5,{fields}}}"#))],
            &[&format!("turn msg_1 17:09:41.874 of c: opus out=5{marks}")],
        );
    }
}

#[test]
fn versions_that_record_too_little_are_marked() {
    let cases = [
        ("1.0.120", ""),
        ("2.1.11", ""),
        ("2.1.12", " under-reported"),
        ("2.1.44", " under-reported"),
        ("2.1.96", " under-reported"),
        ("2.1.97", ""),
        ("2.1.330", ""),
        ("2.2.20", ""),
        ("2.1", ""),
        ("2.1.20-beta", ""),
        ("", ""),
        ("latest", ""),
    ];
    for (version, mark) in cases {
        let line = reply("msg_1", 5).replacen('{', &format!(r#"{{"version":"{version}","#), 1);
        check(&[line], &[&format!("turn msg_1 17:09:41.874 of c: opus out=5{mark}")]);
    }
}

#[test]
fn claude_codes_own_totals() {
    let state =
        |rest: &str| format!(r#"{{"type":"cost-state","sessionId":"c","startTime":1795367550510,{rest}}}"#);
    check(
        &[
            state(
                r#""totalCostUSD":0.005568,"totalDuration":1308,"modelUsage":{"sonnet[1m]":{"inputTokens":44,"outputTokens":228,"thinkingTokens":9,"cacheReadInputTokens":12000,"cacheCreationInputTokens":800,"webSearchRequests":0,"costUSD":0.005568}},"hasUnknownModelCost":false"#,
            ),
            // An earlier total is not the last one, wherever it stands.
            state(r#""totalCostUSD":9,"totalDuration":1000"#),
        ],
        &["cost-state:c of c: 1308 ms 5568000 nano sonnet[1m]=13072/5568000"],
    );
    check(
        &[state(
            r#""totalCostUSD":null,"totalDuration":null,"modelUsage":{"x":null,"y":7,"z":{}},"hasUnknownModelCost":true"#,
        )],
        &["cost-state:c of c: 0 ms 0 nano z=0/0 unknown"],
    );
    check(
        &[
            state(r#""totalCostUSD":-1"#),
            state(r#""totalCostUSD":1e12"#),
            state(r#""totalCostUSD":"1""#),
            state(r#""modelUsage":{"x":{"inputTokens":-4}}"#),
            text(r#"{"type":"cost-state","startTime":12}"#),
            text(r#"{"type":"cost-state","startTime":-12}"#),
        ],
        &[
            "absurd_number in line 1",
            "absurd_number in line 2",
            "absurd_number in line 3",
            "absurd_number in line 4",
            "absurd_time in line 5",
            "absurd_number in line 6",
        ],
    );
}

#[test]
fn compactions() {
    let boundary = |rest: &str| {
        format!(
            r#"{{"type":"system","subtype":"compact_boundary","sessionId":"c","timestamp":"2026-11-22T17:09:41.874Z",{rest}}}"#
        )
    };
    check(
        &[
            boundary(r#""uuid":"u-1","compactMetadata":{"trigger":"auto","preTokens":155000}"#),
            boundary(r#""uuid":"u-1","compactMetadata":{"trigger":"auto","preTokens":155000}"#),
            boundary(r#""uuid":"u-2","compactMetadata":{"trigger":"manual","preTokens":4}"#),
            boundary(r#""uuid":"u-3","compactMetadata":{}"#),
            boundary(r#""compactMetadata":{"preTokens":1}"#),
            boundary(r#""uuid":"u-4""#),
            boundary(r#""uuid":"u-5","compactMetadata":{"preTokens":-4}"#),
            text(r#"{"type":"user","subtype":"compact_boundary","compactMetadata":{"preTokens":4}}"#),
        ],
        &[
            "compaction:nameless:c::1795367381874 of c: auto at 1",
            "compaction:u-1 of c: auto at 155000",
            "compaction:u-2 of c: manual at 4",
            "compaction:u-3 of c: auto at 0",
            "absurd_number in line 7",
        ],
    );
}

/// An error line with this text and these fields.
fn error(message: &str, rest: &str) -> String {
    assistant(&format!(
        r#""isApiErrorMessage":true,{rest}"message":{{"id":"e1","model":"<synthetic>","content":[{{"type":"text","text":"{message}"}}],"usage":{{"input_tokens":0,"output_tokens":0}}}}"#
    ))
}

#[test]
fn limits_by_structure() {
    let quota = |fields: &str| {
        error(
            "You've hit your limit · resets 3am (UTC)",
            &format!(r#""error":"rate_limit","quotaLimits":{{{fields}}},"#),
        )
    };
    let cases = [
        (
            r#""status":"rejected","resetsAt":1795371158,"rateLimitType":"five_hour","isUsingOverage":false"#,
            "quota error:e1 of c: five_hour until 2026-11-22T18:12:38.000Z",
        ),
        (
            r#""status":"rejected","resetsAt":1795371158,"rateLimitType":"seven_day_overage_included""#,
            "quota error:e1 of c: seven_day_overage_included until 2026-11-22T18:12:38.000Z",
        ),
        (r#""status":"rejected""#, "quota error:e1 of c: unspecified until never"),
        (r#""status":"rejected","resetsAt":-5"#, "quota error:e1 of c: unspecified until never"),
        (r#""status":"rejected","resetsAt":99999999999999"#, "quota error:e1 of c: unspecified until never"),
        (
            r#""status":"allowed_warning","resetsAt":1795371158,"rateLimitType":"seven_day","utilization":0.815"#,
            "sample error:e1 of c: seven_day allowed_warning Some(8150) until 2026-11-22T18:12:38.000Z",
        ),
        (
            r#""status":"allowed_warning","rateLimitType":"seven_day","utilization":81.5"#,
            "sample error:e1 of c: seven_day allowed_warning None until never",
        ),
    ];
    for (fields, expected) in cases {
        check(&[quota(fields)], &[expected]);
    }
    check(&[quota(r#""rateLimitType":"five_hour""#)], &["error error:e1 of c"]);
    check(
        &[quota(r#""status":"rejected""#).replacen('{', r#"{"apiErrorIsTransient":true,"#, 1)],
        &["burst error:e1 of c: unspecified until never"],
    );
}

#[test]
fn limits_by_text_of_every_period() {
    let cases = [
        // 1.0.64, which adds neither a kind of error nor a window.
        ("Claude AI usage limit reached|1795370918", "", "unspecified until 2026-11-22T18:08:38.000Z"),
        // 1.0.120 to 2.0.30; the time is the machine's own.
        ("Spending cap reached resets 6:10pm", "", "overage until 2026-11-22T18:10:00.000Z"),
        ("5-hour limit reached ∙ resets 3pm", "", "five_hour until 2026-11-23T15:00:00.000Z"),
        (
            "Opus weekly limit reached ∙ resets Nov 25, 10am",
            "",
            "seven_day_opus until 2026-11-25T10:00:00.000Z",
        ),
        // 2.0.60 on.
        (
            "Limit reached · resets 2pm (America/Sao_Paulo)",
            r#""error":"rate_limit","#,
            "unspecified until 2026-11-23T17:00:00.000Z",
        ),
        (
            "You've hit your limit · resets 6:10pm (UTC)",
            r#""error":"rate_limit","#,
            "unspecified until 2026-11-22T18:10:00.000Z",
        ),
        (
            "You’ve hit your weekly limit · resets Mon 12:00am",
            r#""error":"rate_limit","apiErrorStatus":429,"#,
            "seven_day until 2026-11-23T00:00:00.000Z",
        ),
        (
            r"You\u0027ve hit your Sonnet limit \u00b7 resets 3:45am (Asia/Seoul)",
            r#""error":"rate_limit","#,
            "seven_day_sonnet until 2026-11-22T18:45:00.000Z",
        ),
        ("You've hit your org's monthly usage limit", r#""error":"billing_error","#, "overage until never"),
    ];
    for (message, fields, expected) in cases {
        check(&[error(message, fields)], &[&format!("quota error:e1 of c: {expected}")]);
    }
}

#[test]
fn what_is_no_limit_of_the_account() {
    let burst = ["burst error:e1 of c: unspecified until never"];
    check(&[error("API Error: Rate limit reached", r#""error":"rate_limit","#)], &burst);
    check(&[error("API Error: 529 Overloaded", r#""error":"overloaded","#)], &burst);
    check(&[error("API Error: 500", r#""error":"server_error","#)], &burst);
    // An error all the same: what was spent before it brought nothing.
    let failure = ["error error:e1 of c"];
    check(&[error("Extra usage is required for 1M context", r#""error":"rate_limit","#)], &failure);
    check(&[error("Invalid API key · Please run /login", "")], &failure);
    check(&[error("Prompt is too long", r#""error":"invalid_request","#)], &failure);
    // The same words in a reply are talk about limits.
    check(
        &[error("You've hit your limit · resets 6:10pm (UTC)", "")
            .replace(r#""isApiErrorMessage":true,"#, "")],
        &[],
    );
    check(
        &[text(
            r#"{"type":"user","isApiErrorMessage":true,"timestamp":"2026-11-22T17:09:41.874Z","message":{"content":"You've hit your limit · resets 6:10pm (UTC)"}}"#,
        )],
        &[],
    );
}

#[test]
fn an_interruption_is_a_failure_where_it_is_no_quotation() {
    let line = |content: &str| {
        text(&format!(
            r#"{{"type":"user","uuid":"u1","sessionId":"c","timestamp":"2026-11-22T17:09:42.874Z","message":{{"content":{content}}}}}"#
        ))
    };
    let failure = ["interrupted interrupted:u1 of c"];
    check(&[line(r#"[{"type":"text","text":"[Request interrupted by user]"}]"#)], &failure);
    check(&[line(r#""[Request interrupted by user for tool use]""#)], &failure);
    check(&[line(r#""why does it say [Request interrupted by user]?""#)], &[]);
    check(&[line(r#"[{"type":"tool_result","content":"[Request interrupted by user]"}]"#)], &[]);
}

#[test]
fn a_refusal_is_a_reply_and_a_failure() {
    let refused = reply("msg_1", 5).replace(r#""usage":"#, r#""stop_reason":"refusal","usage":"#);
    check(&[refused], &["turn msg_1 17:09:41.874 of c: opus out=5", "refused refusal:msg_1 of c"]);
}

/// A copied error line keeps its message id, so it stays one event; the earlier reset is the original's.
#[test]
fn a_copied_limit_is_one() {
    let original = error("You've hit your limit · resets 6:10pm (UTC)", "");
    let copy = original.replace("17:09", "19:40");
    check(&[copy, original], &["quota error:e1 of c: unspecified until 2026-11-22T18:10:00.000Z"]);
}

#[test]
fn sidechains_belong_to_the_conversation() {
    let line = |fields: &str| reply("msg_1", 5).replacen('{', &format!("{{{fields}"), 1);
    // 1.0.x wrote sub-agents into the parent's transcript, without naming them.
    check(&[line(r#""isSidechain":true,"#)], &["turn msg_1 17:09:41.874 of c/?: opus out=5"]);
    check(&[line(r#""isSidechain":true,"agentId":"a1","#)], &["turn msg_1 17:09:41.874 of c/a1: opus out=5"]);
    check(&[line(r#""isSidechain":false,"agentId":"a1","#)], &["turn msg_1 17:09:41.874 of c: opus out=5"]);
    // In a sub-agent's own file everything is its own, whatever the line says.
    let nameless = line("").replace(r#""sessionId":"c","#, "");
    check_files(
        &[(agent_of(Some("d"), "a2"), &[line(r#""isSidechain":false,"#)])],
        &["turn msg_1 17:09:41.874 of c/a2: opus out=5"],
    );
    check_files(
        &[(agent_of(Some("d"), "a2"), std::slice::from_ref(&nameless))],
        &["turn msg_1 17:09:41.874 of d/a2: opus out=5"],
    );
    check_files(
        &[(agent_of(None, "a2"), &[nameless])],
        &["turn msg_1 17:09:41.874 of unknown/a2: opus out=5"],
    );
    // The main transcript owns what a sub-agent's replays.
    check_files(
        &[
            (agent_of(Some("c"), "a1"), &[line("").replace("17:09", "16:09")]),
            (main_of("c"), &[line(r#""isSidechain":false,"#)]),
        ],
        &["turn msg_1 16:09:41.874 of c: opus out=5"],
    );
}

/// A line does not inherit the ids of the line before it, or a reader that starts between them would tell otherwise.
#[test]
fn nothing_is_inherited_from_the_line_before() {
    let named = reply("msg_1", 5).replace(r#""c""#, r#""d""#);
    let nameless = reply("msg_2", 5).replace(r#""sessionId":"c","#, "");
    check(
        &[named, nameless],
        &["turn msg_1 17:09:41.874 of d: opus out=5", "turn msg_2 17:09:41.874 of c: opus out=5"],
    );
}

/// Names are kept as they were written: who shows them escapes them, who makes files of them encodes them.
#[test]
fn hostile_names_stay_text() {
    let hostile = [
        ("../../etc/passwd", "../../etc/passwd"),
        (r"\u001b]0;owned\u0007", "\u{1b}]0;owned\u{7}"),
        (r"a\u0000b\nc", "a\0b\nc"),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("\u{202e}gpj", "\u{202e}gpj"),
    ];
    for (name, expected) in hostile {
        check(
            &[reply("msg_1", 5).replace(r#""c""#, &format!(r#""{name}""#))],
            &[&format!("turn msg_1 17:09:41.874 of {expected}: opus out=5")],
        );
    }
    // Half of a surrogate pair is no text; where it stands in the content, nobody looks.
    check(&[reply(r"msg_\ud83d", 5)], &["damaged in line 1"]);
    check(
        &[reply("msg_1", 5).replace(r#""model""#, r#""content":"\ud83d","model""#)],
        &["turn msg_1 17:09:41.874 of c: opus out=5"],
    );
}

#[test]
fn what_is_known_of_a_conversation() {
    let line = |minute: &str, fields: &str| {
        reply("msg_1", 5).replace("17:09", minute).replacen('{', &format!("{{{fields}"), 1) + "\n"
    };
    let lines = line("17:10", r#""cwd":"/srv/a","version":"2.1.43","gitBranch":"main","#)
        + &line("17:12", r#""cwd":"/srv/b","version":"2.1.44","entrypoint":"cli","#)
        + &line("17:11", r#""cwd":"/srv/late","#)
        + &line("17:30", r#""cwd":"/srv/d","#).replace(r#""sessionId":"c""#, r#""sessionId":"d""#);
    let told = read(main_of("c"), lines.as_bytes());
    let conversations = told.ledger.iter().filter(|event| matches!(event.fact, Fact::Conversation(_)));
    assert_eq!(
        conversations.map(written).collect::<Vec<_>>(),
        [
            "conversation:c: 17:10:41.874 /srv/a main 2.1.43 - to 17:12:41.874 /srv/b - 2.1.44 cli",
            "conversation:d: 17:30:41.874 /srv/d - - - to 17:30:41.874 /srv/d - - -",
        ]
    );
}

#[test]
fn whose_turn_it_is() {
    let prompt = r#"{"type":"user","timestamp":"2026-11-22T17:09:40.000Z","message":{"content":"go"}}"#;
    let stop =
        r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user]"}]}}"#;
    let reply = |fields: &str| reply("msg_1", 5).replace(r#""model""#, &format!(r#"{fields}"model""#));
    let cases: [(&[&str], bool); 9] = [
        (&[], false),
        (&[prompt], true),
        (&[prompt, &reply(r#""stop_reason":"end_turn","#)], false),
        (&[prompt, &reply(r#""stop_reason":"tool_use","#)], true),
        (&[prompt, &reply(r#""stop_reason":null,"content":[{"type":"text"}],"#)], false),
        (&[prompt, &reply(r#""stop_reason":null,"content":[{"type":"tool_use"}],"#)], true),
        (&[prompt, &reply(r#""stop_reason":"tool_use","#), prompt, stop], false),
        (&[prompt, &error("API Error: 529 Overloaded", "")], false),
        (&[prompt, &reply(r#""stop_reason":"end_turn","#), prompt], true),
    ];
    for (lines, is_open) in cases {
        let bytes: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(read(main_of("c"), bytes.as_bytes()).position.turn_open, is_open, "{lines:#?}");
    }
}
