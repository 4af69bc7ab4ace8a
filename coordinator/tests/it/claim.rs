//! Claims and the journal: small files that many hooks write at once.

use std::time::{Duration, SystemTime};

use session_coordinator::{Claim, Claims, Deeds, Entry, Journal, Load, RuntimeDir, Strain};
use session_detect::ProcessId;
use session_store::Timestamp;

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
    let strain = |at| Strain { at: Timestamp::from_millis(at), load: Load::Wait(Duration::from_millis(7)) };
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
fn the_journal_keeps_whole_lines_by_day() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::of(&place.path().join("data"));
    assert_eq!(journal.since(Timestamp::MIN), []);
    let day = Duration::from_secs(86_400);
    let first = Timestamp::from_seconds(1_795_367_381);
    let entry = |at: Timestamp| Entry { at: at.as_millis(), what: "waited".into(), ..Entry::default() };
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (journal, entry) = (&journal, &entry);
            scope.spawn(move || journal.add(&entry(first.after(day * (thread % 2)))).unwrap());
        }
    });
    assert_eq!(journal.since(Timestamp::MIN).len(), 8);
    assert_eq!(journal.since(first.after(day)), vec![entry(first.after(day)); 4]);
    journal.add(&Entry { folder: "ä".repeat(5000), ..entry(first) }).unwrap();
    assert_eq!(journal.since(Timestamp::MIN)[4].folder, "ä".repeat(100), "others' texts are cut");
    assert_eq!(journal.prune(first.after(day), Duration::ZERO), 1);
    assert_eq!(journal.since(Timestamp::MIN).len(), 4);
}

#[test]
fn what_was_done_and_what_was_due_are_told_apart() {
    let entry = |what: &str, done, due_ms, waited_ms| Entry {
        what: what.into(),
        done,
        due_ms,
        waited_ms,
        ..Entry::default()
    };
    let entries = [
        entry("waited", true, 1000, 1010),
        entry("waited", true, 500, u64::MAX),
        entry("waited", false, 20_000, 0),
        entry("refused", true, 0, 0),
        entry("refused", false, 0, 0),
        entry("refused", false, 0, 0),
        entry("released", false, 0, 0),
        entry("told", true, 0, 0),
        entry("sung", true, 0, 0),
    ];
    let expected = Deeds {
        waits: 2,
        waited_ms: u64::MAX,
        refusals: 1,
        released: 1,
        waits_due: 1,
        due_ms: 20_000,
        refusals_due: 2,
    };
    assert_eq!(Deeds::of(&entries), expected);
}
