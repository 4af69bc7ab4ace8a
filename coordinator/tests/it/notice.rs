//! Notices: at least once, in order, whoever holds the board.

use std::fs;
use std::time::{Duration, Instant};

use session_coordinator::{
    Acquire, Cursor, Fate, Lease, Listener, MemberId, Notice, NoticeBoard, NoticeKind, Term,
};
use session_store::{
    AgentId, BoardBackend, Event, Fact, Figures, LimitCause, LimitHit, LimitWindow, Owner, Reset, Role,
    SqliteBoard, Timestamp,
};

use crate::child;
use crate::people::runtime;

fn message(text: &str) -> Notice {
    let at = Timestamp::from_seconds(1_795_367_381);
    Notice::message("account".into(), MemberId::new("me"), at, text)
}

fn texts(notices: &[(u64, Notice)]) -> Vec<String> {
    notices.iter().map(|(_, notice)| notice.text.to_string()).collect()
}

#[test]
fn a_notice_comes_back_as_it_was() {
    let (_place, runtime) = runtime();
    let board = NoticeBoard::open(&runtime).unwrap();
    let now = Timestamp::from_seconds(1_795_367_381);
    let hit = Notice {
        project: Some("/a\n\"b\"".into()),
        text: "é\u{1b}[0m".into(),
        ..Notice::limit_hit("a".into(), MemberId::new("m"), now, LimitWindow::Other("moon".into()), Some(now))
    };
    let hit = hit.in_conversation("c".into());
    let strange = Notice { dedup: "x".into(), kind: NoticeKind::from_name("moonrise"), ..hit.clone() };
    board.post(&[hit.clone(), strange.clone()]).unwrap();
    assert_eq!(board.since(Cursor::default()).unwrap().notices, [(1, hit), (2, strange)]);
}

#[test]
fn one_hit_that_many_see_is_one_notice() {
    let hit = |at: i64, resets_at: Option<i64>, window| {
        let (at, resets_at) = (Timestamp::from_seconds(at), resets_at.map(Timestamp::from_seconds));
        Notice::limit_hit("a".into(), MemberId::new("m"), at, window, resets_at).dedup
    };
    let five = || LimitWindow::FiveHour;
    assert_eq!(hit(100, Some(36_000), five()), hit(9000, Some(36_059), five()));
    assert_eq!(hit(100, Some(36_000), five()), hit(9000, Some(35_941), five()));
    assert_ne!(hit(100, Some(36_000), five()), hit(100, Some(54_000), five()));
    assert_ne!(hit(100, Some(36_000), five()), hit(100, Some(36_000), LimitWindow::SevenDay));
    assert_eq!(hit(600, None, five()), hit(640, None, five()));
    assert_ne!(hit(600, None, five()), hit(6000, None, five()));
}

fn refusal(cause: LimitCause, reset: i64) -> Event {
    let (at, since) = (Timestamp::from_seconds(10_000), Timestamp::from_seconds(9000));
    let resets_at = Reset(Some(Timestamp::from_seconds(reset)));
    let agent = Some(AgentId::new("a1"));
    Event {
        id: "error:msg_1".into(),
        at,
        owner: Owner { role: Role::SubAgent, since, conversation: "c".into(), agent },
        fact: Fact::LimitHit(LimitHit { cause, resets_at, window: LimitWindow::FiveHour }),
    }
}

/// Who is told keeps the very event that was seen, so that joined stores count it once.
#[test]
fn the_notice_of_an_event_leads_back_to_it() {
    let (_place, runtime) = runtime();
    let board = NoticeBoard::open(&runtime).unwrap();
    let event = refusal(LimitCause::Quota, 20_000);
    board.post(&[Notice::of_event("a".into(), MemberId::new("m"), &event).unwrap()]).unwrap();
    let told = board.since(Cursor::default()).unwrap().notices.remove(0).1;
    assert_eq!(told.event().unwrap(), event);
    let busy = refusal(LimitCause::Burst, 20_000);
    assert_eq!(Notice::of_event("a".into(), MemberId::new("m"), &busy), None, "a busy server is no limit");
    assert_eq!(message("words").event(), None);
}

#[test]
fn a_hit_is_news_while_it_may_bind() {
    let hour = 3600;
    let is_news = |now: i64, reset: i64| {
        let notice = Notice::of_event("a".into(), MemberId::new("m"), &refusal(LimitCause::Quota, reset));
        notice.unwrap().is_news(Timestamp::from_seconds(now))
    };
    assert!(is_news(10_000, 10_000 + hour));
    assert!(is_news(10_000 + hour - 1, 10_000 + hour));
    assert!(!is_news(10_000 + hour, 10_000 + hour), "it was reset");
    assert!(is_news(10_000 + 5 * hour - 1, 10_000 + 90 * hour));
    assert!(!is_news(10_000 + 5 * hour, 10_000 + 90 * hour), "everybody has heard of it");

    let [at, reset, later] = [10_000, 11_000, 11_001].map(Timestamp::from_seconds);
    let window = session_store::LimitWindow::FiveHour;
    let near = Notice::limit_near("a".into(), MemberId::new("m"), at, window.clone(), reset, 75);
    assert!(near.is_news(at) && !near.is_news(reset));
    assert!(Notice::limit_reset("a".into(), MemberId::new("m"), reset, window, reset).is_news(later));
}

/// One that looks once believes a leader whose heart has beaten lately, and figures since which nobody has written.
#[test]
#[cfg(target_os = "linux")]
fn figures_are_fresh_while_the_leader_lives_and_nobody_writes() {
    let (_place, runtime) = runtime();
    let board = NoticeBoard::open(&runtime).unwrap();
    let lease = Lease::acquire(&runtime, &MemberId::new("m"), Acquire::Immediately).unwrap();
    let figures = |changes| Figures { body: b"view".to_vec(), changes, ..Figures::default() };
    let fresh = || board.fresh("x").unwrap().map(|figures| figures.body);
    assert!(!board.publish(Term::new(1), "x", &figures(0)).unwrap(), "nobody leads");
    board.board().lead(1, "m", Timestamp::MIN).unwrap();
    assert!(board.publish(Term::new(1), "x", &figures(0)).unwrap());
    assert_eq!(fresh(), None, "no heart has beaten");
    // The clock of the system's start, as members beat by it.
    let uptime = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    board.board().beat(1, Duration::from(uptime)).unwrap();
    assert_eq!(fresh().as_deref(), Some(&b"view"[..]));
    board.changed().unwrap();
    assert_eq!(fresh(), None, "somebody has written");
    assert!(board.publish(Term::new(1), "x", &figures(0)).unwrap());
    assert_eq!(fresh(), None, "it was computed before");
    assert!(board.publish(Term::new(1), "x", &figures(1)).unwrap());
    assert!(fresh().is_some());
    board.withdraw(Term::new(1), "x").unwrap();
    assert_eq!(fresh(), None, "the leader is about to write");
    assert!(board.publish(Term::new(1), "x", &figures(1)).unwrap());
    drop(lease);
    let _lease = Lease::acquire(&runtime, &MemberId::new("n"), Acquire::Immediately).unwrap();
    assert_eq!(fresh(), None, "another holds the lock, and has not said so on the board yet");
    board.board().lead(2, "n", Timestamp::MIN).unwrap();
    assert_eq!(fresh(), None);
    assert!(!board.publish(Term::new(1), "x", &figures(1)).unwrap(), "its term is over");
}

/// The board is in another process's hand: readers see the notice all the same, the next writer brings it home.
#[test]
fn what_cannot_be_posted_is_spooled_and_seen() {
    let (place, runtime) = runtime();
    let (board, reader) = (NoticeBoard::open(&runtime).unwrap(), NoticeBoard::open(&runtime).unwrap());
    board.post(&[message("before")]).unwrap();
    let cursor = reader.since(Cursor::default()).unwrap().cursor();
    let mut holder = child::start("notice::a_child_holds_the_board", place.path(), 0);
    holder.hear_of("holds");

    let mut listener = Listener::open(&runtime).unwrap();
    let begun = Instant::now();
    let two = message("two").in_conversation("c".into());
    assert_eq!(board.post(&[message("one"), two.clone()]).unwrap(), [Fate::Spooled; 2]);
    assert_eq!(board.post(&[message("three")]).unwrap(), [Fate::Spooled]);
    assert!(begun.elapsed() < Duration::from_secs(9));
    assert!(listener.wait(Duration::from_secs(5)).rang);
    let look = reader.since(cursor).unwrap();
    assert!(look.notices.is_empty());
    let spooled: Vec<&str> = look.spooled.iter().map(|notice| &*notice.text).collect();
    assert_eq!(spooled, ["one", "two", "three"]);
    assert_eq!(look.spooled[1], two);
    assert!(board.import().is_err());

    holder.kill();
    assert_eq!(reader.post(&[message("after")]).unwrap(), [Fate::Posted(5)]);
    let look = board.since(cursor).unwrap();
    assert_eq!(texts(&look.notices), ["one", "two", "three", "after"]);
    assert!(look.spooled.is_empty());
}

#[test]
fn a_child_holds_the_board() {
    let Some(place) = child::place() else { return };
    let board = rusqlite::Connection::open(place.join("claudewatch/live.db")).unwrap();
    board.execute_batch("BEGIN IMMEDIATE; INSERT INTO counter VALUES ('half', 1)").unwrap();
    child::say("holds");
    loop {
        std::thread::park();
    }
}

#[test]
fn what_lies_illegible_in_the_spool_hurts_nobody() {
    let (_place, runtime) = runtime();
    let board = NoticeBoard::open(&runtime).unwrap();
    let spool = runtime.path().join("spool");
    fs::write(spool.join("0.json"), "[{\"dedup\":").unwrap();
    fs::write(spool.join("1.json"), [0xff; 100]).unwrap();
    fs::write(spool.join("2.json.part"), "[]").unwrap();
    fs::create_dir(spool.join("3.json")).unwrap();
    assert!(board.since(Cursor::default()).unwrap().spooled.is_empty());
    assert_eq!(board.post(&[message("x")]).unwrap(), [Fate::Posted(1)]);
}

#[test]
fn a_cursor_of_another_board_begins_at_the_start() {
    let (_place, runtime) = runtime();
    let board = NoticeBoard::open(&runtime).unwrap();
    board.post(&[message("a"), message("b"), message("c")]).unwrap();
    let cursor = board.since(Cursor::default()).unwrap().cursor();
    assert!(board.is_current());
    for name in ["live.db", "live.db-wal", "live.db-shm"] {
        fs::remove_file(runtime.path().join(name)).unwrap();
    }
    assert!(!board.is_current());
    let again = NoticeBoard::open(&runtime).unwrap();
    assert!(!board.is_current() && again.is_current());
    again.post(&[message("d")]).unwrap();
    assert_eq!(texts(&again.since(cursor).unwrap().notices), ["d"]);
    // Closing the old board must not take the new one's log away.
    drop(board);
    again.post(&[message("e")]).unwrap();
    let other = SqliteBoard::open(again.path()).unwrap();
    assert_eq!(other.look(0).unwrap().notices.len(), 2);
}
