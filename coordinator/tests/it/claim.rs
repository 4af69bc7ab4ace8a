//! Claims and the journal: small files that many hooks write at once.

use std::time::{Duration, SystemTime};

use session_coordinator::{Burden, Claim, Claims, Journal, RuntimeDir, Strain};
use session_detect::ProcessId;
use session_store::{Deed, Ledger, LimitWindow, Restraint, Timestamp, Why};

const KEY: &str = "pts/1:local:ada:host:1~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.1.a";

fn claim(conversation: &str) -> Claim {
    Claim {
        conversation: conversation.into(),
        key: KEY.parse().unwrap(),
        process: Some(ProcessId::parse_tag("1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.1.a").unwrap()),
        account: "a\u{1b}".into(),
        folder: "/p".into(),
        model: Some("claude-opus-5-5".into()),
        ended: false,
    }
}

#[test]
fn a_claim_is_read_back_and_replaced() {
    let place = tempfile::tempdir().unwrap();
    let claims = Claims::open(&RuntimeDir::open(&place.path().join("run")).unwrap()).unwrap();
    assert_eq!((claims.get("c"), claims.list()), (None, vec![]));
    claims.put(&claim("c")).unwrap();
    assert_eq!(claims.get("c"), Some(claim("c")));
    let ended = Claim { ended: true, model: None, process: None, ..claim("c") };
    claims.put(&ended).unwrap();
    assert_eq!(claims.get("c"), Some(ended));

    let then = SystemTime::now() - Duration::from_secs(1000);
    claims.touch("c", then).unwrap();
    assert_eq!(claims.list()[0].1, then);
    claims.put(&claim("d")).unwrap();
    claims.sweep(Duration::from_secs(500));
    assert_eq!(claims.list().len(), 1, "the old one, whose process cannot be seen, is gone");
    assert!(claims.touch("c", then).is_err());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let claims = Claims::open(&RuntimeDir::open(&place.path().join("run")).unwrap()).unwrap();
    for name in ["", "../c", "a/b", "a.b", &"x".repeat(65)] {
        assert!(claims.put(&claim(name)).is_err(), "{name}");
        assert_eq!(claims.get(name), None, "{name}");
    }
    // What was written by somebody else is passed over.
    std::fs::write(place.path().join("run/claims/e.json"), "{}").unwrap();
    std::fs::write(place.path().join("run/claims/f.json"), serde_json::to_string(KEY).unwrap()).unwrap();
    assert_eq!((claims.get("e"), claims.list()), (None, vec![]));
}

#[test]
fn strains_of_many_calls_are_all_kept() {
    let place = tempfile::tempdir().unwrap();
    let claims = Claims::open(&RuntimeDir::open(&place.path().join("run")).unwrap()).unwrap();
    let strain =
        |at| Strain { at: Timestamp::from_millis(at), burden: Burden::Wait(Duration::from_millis(7)) };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let claims = &claims;
            scope.spawn(move || (0..50).for_each(|n| claims.strain("c", strain(thread * 50 + n)).unwrap()));
        }
    });
    let mut strains = claims.strains("c");
    strains.sort_by_key(|it| it.at);
    assert_eq!(strains, (0..400).map(strain).collect::<Vec<_>>());
    // The file does not grow for ever.
    (0..4000).for_each(|n| claims.strain("c", strain(n)).unwrap());
    assert!((1..4400).contains(&claims.strains("c").len()));
}

#[test]
fn the_journal_hands_on_what_hooks_wrote() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::of(&place.path().join("data"));
    let first = Timestamp::from_seconds(1_795_367_381);
    let hours = |count: u32| first.after(Duration::from_secs(3600) * count);
    assert!(journal.read(first).events.is_empty());
    let event = |at: Timestamp, process: u32| {
        let restraint = Restraint {
            deed: Deed::Waited { due_ms: 20, waited_ms: 21 },
            done: true,
            why: Why::AheadOfPace,
            window: LimitWindow::FiveHour,
            resets_at: None,
            used_hundredths: Some(9_000),
            tool: "Bash".into(),
            priority: "normal".into(),
        };
        restraint.event(&"c".into(), at, process)
    };
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (journal, event) = (&journal, &event);
            scope.spawn(move || journal.add(&event(hours(thread % 2), thread)).unwrap());
        }
    });
    let all: Ledger = (0..8).map(|thread| event(hours(thread % 2), thread)).collect();
    assert_eq!(journal.read(first).events, all);
    let add = |text: &[u8]| {
        let path = place.path().join("data/journal/2026-11-22T17.jsonl");
        std::io::Write::write_all(&mut std::fs::File::options().append(true).open(path).unwrap(), text)
    };
    add(b"{\"v\":1}\n\xff\n").unwrap();

    // What is new or may still grow stays.
    journal.forget(&journal.read(hours(1)));
    assert_eq!(journal.read(first).events, all);
    let read = journal.read(hours(2));
    add(format!("{}\n", session_store::exchange::line(&event(first, 8))).as_bytes()).unwrap();
    journal.forget(&read);
    assert_eq!(journal.read(first).events.len(), 9, "what came after the reading is not forgotten");
    journal.forget(&journal.read(hours(2)));
    assert_eq!(journal.read(first).events.len(), 4);
    journal.forget(&journal.read(hours(3)));
    assert!(journal.read(first).events.is_empty());
}
