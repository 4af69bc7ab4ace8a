//! A member's life, step by step: the rules that the simulator's stories rest on.

use std::time::Duration;

use session_coordinator::{Input, Life, LifeOptions, Look, MemberId, Notice, Output, Role, Term};
use session_store::{BoardLeader, Generation, Timestamp};

fn at(millis: u64) -> Duration {
    Duration::from_secs(1000) + Duration::from_millis(millis)
}

fn message(text: &str) -> Notice {
    Notice::message("account".into(), MemberId::new("other"), Timestamp::from_seconds(1), text)
}

/// What stands on the board: a leader whose heart has beaten so often, and notices.
fn looked(generation: u64, beats: u64, notices: &[(u64, &str)]) -> Input {
    let (since, beat_at) = (Timestamp::MIN, Duration::ZERO);
    let leader = BoardLeader { term: 1, member: "leader".into(), since, beats, beat_at };
    let newest = notices.last().map_or(0, |(seq, _)| *seq);
    let notices = notices.iter().map(|(seq, text)| (*seq, message(text))).collect();
    let generation = Generation(generation);
    let spooled = Vec::new();
    let look = Look {
        generation,
        leader: Some(leader),
        notices,
        spooled,
        newest,
        changes: 0,
        published: 0,
        samples: 0,
    };
    Input::Looked(Box::new(look))
}

/// Returns a member that has joined at 0 ms and follows.
fn follower() -> Life {
    let mut life = Life::new(LifeOptions::new(vec!["account".into()]));
    assert_eq!(life.step(at(0), Input::Time), [Output::Join]);
    life.step(at(0), Input::Joined { generation: Generation(1), newest: 0 });
    life.step(at(0), Input::LeadHeld);
    life.step(at(0), looked(1, 1, &[]));
    assert_eq!(life.role(), &Role::Following);
    life
}

/// Returns one that leads since 0 ms.
fn leader() -> Life {
    let mut life = follower();
    assert_eq!(life.step(at(0), Input::LeadChanged), [Output::TryLead(Term::new(1))]);
    let todo = life.step(at(0), Input::Leads(Term::new(2)));
    assert_eq!(todo, [Output::Beat(Term::new(2)), Output::Role(Role::Leading(Term::new(2)))]);
    assert_eq!(life.leads_at(at(0)), None, "before the board knows it");
    life.step(at(0), Input::Beaten(Term::new(2)));
    life
}

#[test]
fn a_leader_whose_heart_stands_still_is_frozen_until_it_beats() {
    let mut life = follower();
    life.step(at(1000), looked(1, 1, &[]));
    assert!(life.wake_at() <= at(1800), "it is due when the heart has stood still for long enough");
    life.step(at(1799), Input::Time);
    assert_eq!(life.role(), &Role::Following);
    assert!(life.step(at(1800), Input::Time).contains(&Output::Role(Role::SelfServing)));
    life.step(at(2000), Input::Rang);
    assert_eq!(life.step(at(2000), looked(1, 2, &[])), [Output::Role(Role::Following)]);
}

#[test]
fn who_has_slept_gives_the_leader_time_to_beat() {
    let mut life = follower();
    let todo = life.step(at(3_600_000), Input::Time);
    assert!(todo.iter().any(|it| matches!(it, Output::Look(_))));
    life.step(at(3_600_000), looked(1, 1, &[]));
    assert_eq!(life.role(), &Role::Following);
    life.step(at(3_600_900), Input::Time);
    assert_eq!(life.role(), &Role::Following);
    life.step(at(3_601_800), Input::Time);
    assert_eq!(life.role(), &Role::SelfServing);
}

#[test]
fn a_leader_is_sure_for_two_beats() {
    let mut life = leader();
    assert_eq!(life.leads_at(at(1199)), Some(Term::new(2)));
    assert_eq!(life.leads_at(at(1200)), None);
    assert_eq!(life.wake_at(), at(600));
    assert!(life.step(at(600), Input::Time).contains(&Output::Beat(Term::new(2))));
    life.step(at(610), Input::NotBeaten);
    assert_eq!(life.leads_at(at(1300)), None, "the board could not be written");
    assert!(life.step(at(860), Input::Time).contains(&Output::Beat(Term::new(2))));
    life.step(at(870), Input::Beaten(Term::new(5)));
    assert_eq!((life.leads_at(at(2069)), life.role()), (Some(Term::new(5)), &Role::Leading(Term::new(5))));
}

#[test]
fn a_clock_that_goes_back_makes_nothing_sure() {
    let mut life = leader();
    assert_eq!(life.leads_at(Duration::ZERO), None);
    let todo = life.step(Duration::from_secs(3), Input::Time);
    assert!(todo.contains(&Output::Beat(Term::new(2))));
    assert_eq!(life.leads_at(Duration::from_secs(3)), None);
    life.step(Duration::from_secs(3), Input::Beaten(Term::new(2)));
    assert_eq!(life.leads_at(Duration::from_secs(3)), Some(Term::new(2)));
    assert!(life.wake_at() <= Duration::from_secs(4));
}

#[test]
fn notices_are_delivered_once_and_brought_to_a_new_board() {
    let mut life = follower();
    life.step(at(10), Input::Rang);
    let heard = life.step(at(10), looked(1, 1, &[(1, "one"), (2, "two")]));
    assert_eq!(heard, [Output::Deliver(message("one")), Output::Deliver(message("two"))]);
    life.step(at(20), Input::Rang);
    assert_eq!(
        life.step(at(20), looked(1, 1, &[(3, "two"), (4, "three")])),
        [Output::Deliver(message("three"))]
    );

    let own = Notice { from: MemberId::new("me"), ..message("own") };
    assert_eq!(life.step(at(30), Input::Post(own.clone())), [Output::Post(vec![own.clone()])]);
    life.step(at(30), Input::NotPosted);
    assert_eq!(life.waiting(), 1);
    assert_eq!(life.step(at(500), Input::PlaceLost), [Output::Join, Output::Role(Role::Apart)]);
    let todo = life.step(at(500), Input::Joined { generation: Generation(2), newest: 0 });
    let brought = vec![message("one"), message("two"), message("three"), own];
    assert!(todo.contains(&Output::Post(brought)), "{todo:?}");
    life.step(at(510), Input::Posted);
    assert_eq!(life.waiting(), 0);
}

#[test]
fn a_place_that_is_lost_again_and_again_is_not_fought_for() {
    let mut life = follower();
    let mut joins = 0;
    for millis in 0..2000 {
        let mut todo = life.step(at(millis), Input::PlaceLost);
        while let Some(output) = todo.pop() {
            if output == Output::Join {
                joins += 1;
                todo.extend(life.step(at(millis), Input::Joined { generation: Generation(1), newest: 0 }));
            }
        }
    }
    assert!((4..=9).contains(&joins), "{joins}");
}

#[test]
fn who_is_isolated_joins_and_looks_and_nothing_else() {
    let mut options = LifeOptions::new(vec!["account".into()]);
    options.uses_board = false;
    let mut life = Life::new(options);
    life.step(at(0), Input::Time);
    let todo = life.step(at(0), Input::Joined { generation: Generation(0), newest: 0 });
    assert!(matches!(todo[..], [Output::Look(_), Output::Role(Role::Isolated)]), "{todo:?}");
    assert!(life.step(at(1), Input::Post(message("x"))).is_empty());
    assert!(life.step(at(2), Input::LeadChanged).is_empty());
    assert_eq!(life.step(at(3), Input::Stop), [Output::Leave, Output::Role(Role::Apart)]);
}

#[test]
fn leaving_posts_what_is_left() {
    let mut life = follower();
    life.step(at(0), Input::Post(message("first")));
    life.step(at(0), Input::NotPosted);
    let todo = life.step(at(1), Input::Stop);
    assert_eq!(todo[..2], [Output::Post(vec![message("first")]), Output::Leave]);
}

/// Others wrote, or the leader published: who follows looks again, who leads knows what it published itself.
#[test]
fn changes_are_told_once() {
    let look = |beats, changes, published| {
        let Input::Looked(mut look) = looked(1, beats, &[]) else { unreachable!() };
        (look.changes, look.published) = (changes, published);
        Input::Looked(look)
    };
    let told = |life: &mut Life, input| life.step(at(10), input).contains(&Output::Changed);
    let mut life = follower();
    told(&mut life, look(1, 4, 7));
    assert!(!told(&mut life, look(2, 4, 7)));
    assert!(told(&mut life, look(3, 4, 8)));
    assert!(!told(&mut life, look(4, 4, 8)));
    assert!(told(&mut life, look(5, 5, 8)));
    life.step(at(10), Input::Leads(Term::new(2)));
    assert!(!told(&mut life, look(6, 5, 9)));
    assert!(told(&mut life, look(7, 6, 9)));
}

/// A limit that was told of concerns the leader like everybody else, once.
#[test]
fn samples_are_told_once() {
    let look = |beats, samples| {
        let Input::Looked(mut look) = looked(1, beats, &[]) else { unreachable!() };
        look.samples = samples;
        Input::Looked(look)
    };
    let told = |life: &mut Life, input| life.step(at(10), input);
    let mut life = follower();
    told(&mut life, look(1, 4));
    assert_eq!(told(&mut life, look(2, 5)), [Output::Samples]);
    assert!(!told(&mut life, look(3, 5)).contains(&Output::Samples));
    life.step(at(10), Input::Leads(Term::new(2)));
    assert!(told(&mut life, look(4, 6)).contains(&Output::Samples));
}
