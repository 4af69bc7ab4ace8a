//! The rules of merging, by example and as laws.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::money::Usd;

const NOW: Timestamp = Timestamp::from_seconds(1_795_400_000);

fn minutes(minutes: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + minutes * 60_000)
}

/// A status line's reading of the five hours that end in an hour, made so many minutes from now, in whole percent.
fn read(at: i64, percent: u32) -> Reading {
    Reading {
        account: "a".into(),
        window: LimitWindow::FiveHour,
        at: minutes(at),
        used: Some(percent * 100),
        status: LimitStatus::Allowed,
        resets_at: Some(minutes(60)),
        source: LimitSource::StatusLine,
        by: "one".into(),
    }
}

fn refused(at: i64) -> Reading {
    Reading { used: None, status: LimitStatus::Rejected, source: LimitSource::Transcript, ..read(at, 0) }
}

fn until(reset: i64, reading: Reading) -> Reading {
    Reading { resets_at: Some(minutes(reset)), ..reading }
}

/// Window, percentage, minutes of the reset from now and of the observation, and status.
type Told<'a> = (&'a str, Option<u32>, Option<i64>, i64, &'a str);

fn check(readings: &[Reading], expected: &[Told]) {
    let merged = Limits::merge(readings.to_vec(), NOW);
    let apart = |at: Timestamp| (at.as_millis() - NOW.as_millis()) / 60_000;
    let told: Vec<_> = merged
        .limits
        .iter()
        .map(|it| {
            let used = it.used_now().map(|used| used / 100);
            (it.window.name(), used, it.resets_at.map(apart), apart(it.observed_at), it.status.name())
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn within_a_window_the_greatest_stands() {
    let five = |used, at, status| [("five_hour", Some(used), Some(60), at, status)];
    check(&[read(-5, 60), read(-9, 40)], &five(60, -5, "allowed"));
    // An idle terminal repeats what it knows: a single lower value is no fall.
    check(&[read(-9, 60), read(-5, 40)], &five(60, -9, "allowed"));
    check(&[read(-9, 60), read(-5, 40), read(-5, 40)], &five(60, -9, "allowed"));
    let other = |reading: Reading| Reading { by: "other".into(), ..reading };
    // Nor are two of two terminals, for both may have slept.
    check(&[read(-9, 60), read(-7, 41), other(read(-5, 40))], &five(60, -9, "allowed"));
    // Told twice by one it is, to the greater of the two.
    check(&[read(-9, 60), read(-7, 41), read(-5, 40)], &five(41, -7, "allowed"));
    check(&[read(-9, 60), read(-7, 41), read(-6, 61), read(-5, 40)], &five(61, -6, "allowed"));
    // The same value told again is newer.
    check(&[read(-9, 80), read(-5, 80)], &five(80, -5, "warning"));
    let near = until(61, read(-5, 62));
    check(&[read(-9, 60), near], &[("five_hour", Some(62), Some(61), -5, "allowed")]);
}

#[test]
fn a_new_window_begins_anew() {
    let old = until(-1, read(-20, 90));
    check(std::slice::from_ref(&old), &[("five_hour", Some(0), Some(-1), -20, "allowed")]);
    check(&[old, until(295, read(-2, 3))], &[("five_hour", Some(3), Some(295), -2, "allowed")]);
    // What is over for longer than it lasted says nothing.
    check(&[until(-400, read(-420, 90))], &[]);
}

#[test]
fn of_windows_that_overlap_the_one_told_of_twice_and_last_stands() {
    let one = [read(-9, 60), read(-8, 61)];
    check(
        &[&one[..], &[until(200, read(-5, 3))]].concat(),
        &[("five_hour", Some(61), Some(60), -8, "allowed")],
    );
    let other = [until(200, read(-5, 3)), until(200, read(-4, 4))];
    check(&[&one[..], &other].concat(), &[("five_hour", Some(4), Some(200), -4, "allowed")]);
    check(
        &[&one[..], &[until(200, refused(-5))]].concat(),
        &[("five_hour", Some(100), Some(200), -5, "rejected")],
    );
    // Two that contradict a refusal end it, whether their windows are over before that one's or after it.
    let contradicted = [until(100, refused(-9)), read(-5, 2)];
    check(&contradicted, &[("five_hour", Some(100), Some(100), -9, "rejected")]);
    check(
        &[&contradicted[..], &[until(200, read(-3, 3))]].concat(),
        &[("five_hour", Some(3), Some(200), -3, "allowed")],
    );
}

#[test]
fn a_reset_that_moves_is_followed() {
    // With each answer the reset is a little later.
    let moving =
        [until(60, read(-9, 60)), until(60, read(-8, 61)), until(64, read(-5, 62)), until(66, read(-3, 63))];
    check(&moving[..3], &[("five_hour", Some(61), Some(60), -8, "allowed")]);
    check(&moving, &[("five_hour", Some(63), Some(66), -3, "allowed")]);
    // A window that was cut short by a refusal until a near reset is over, and the next one may begin at once.
    let refused = until(-5, refused(-6));
    check(
        &[read(-20, 60), read(-19, 61), refused.clone()],
        &[("five_hour", Some(0), Some(-5), -6, "allowed")],
    );
    check(
        &[read(-20, 60), read(-19, 61), refused, until(65, read(-1, 2))],
        &[("five_hour", Some(2), Some(65), -1, "allowed")],
    );
}

#[test]
fn a_refusal_is_the_whole() {
    let five = |used, at, status| [("five_hour", Some(used), Some(60), at, status)];
    check(&[refused(-5)], &five(100, -5, "rejected"));
    // Requests can be refused before all is used, and what is said then goes on being said.
    check(&[read(-9, 86), refused(-5), read(-4, 86), read(-3, 87)], &five(100, -5, "rejected"));
    check(&[read(-9, 86), refused(-5), read(-4, 1), read(-3, 2)], &five(2, -3, "allowed"));
    let nameless = Reading { window: LimitWindow::Unspecified, ..refused(-5) };
    check(&[read(-9, 86), nameless.clone()], &five(100, -5, "rejected"));
    check(&[nameless], &[("unspecified", Some(100), Some(60), -5, "rejected")]);
    let endless = Reading { resets_at: None, ..refused(-5) };
    check(&[read(-9, 86), endless.clone()], &five(100, -5, "rejected"));
    check(&[endless], &[("five_hour", Some(100), None, -5, "rejected")]);
    let absurd = until(60 * 24, refused(-5));
    check(&[absurd], &[("five_hour", Some(100), None, -5, "rejected")]);
    let busy = session_store::LimitHit {
        cause: session_store::LimitCause::Burst,
        resets_at: session_store::Reset(None),
        window: LimitWindow::Unspecified,
    };
    assert_eq!(Reading::of_hit("a".into(), &busy, NOW, "c".into()), None, "a busy server is no limit");
}

#[test]
fn limits_and_accounts_are_apart() {
    let weekly = |name, percent| Reading {
        window: LimitWindow::from_name(name),
        resets_at: Some(minutes(5000)),
        ..read(-5, percent)
    };
    let other = Reading { account: "b".into(), ..read(-5, 99) };
    let all = [read(-5, 10), weekly("seven_day", 50), weekly("seven_day_overage_included", 98), other];
    check(
        &all,
        &[
            ("five_hour", Some(10), Some(60), -5, "allowed"),
            ("seven_day", Some(50), Some(5000), -5, "allowed"),
            ("seven_day_overage_included", Some(98), Some(5000), -5, "warning"),
            ("five_hour", Some(99), Some(60), -5, "warning"),
        ],
    );
    let merged = Limits::merge(all, NOW);
    assert_eq!(merged.binding().map(|it| (&*it.account, it.threshold())), Some(("b", Some(9_000))));
}

#[test]
fn what_cannot_be_true_is_refused_and_counted() {
    let refused = |reading: Reading| {
        let merged = Limits::merge([reading, read(-5, 10)], NOW);
        assert_eq!(merged.limits.len(), 1);
        assert_eq!(merged.limits[0].used, Some(1_000));
        merged.refused.into_iter().map(|(refusal, count)| (refusal.name(), count)).collect::<Vec<_>>()
    };
    assert_eq!(refused(read(-5, 101)), [("out of range", 1)]);
    assert_eq!(refused(read(-5, 17_954_000)), [("out of range", 1)]);
    assert_eq!(refused(until(6 * 60, read(-5, 10))), [("absurd time", 1)]);
    let millis = Timestamp::from_millis(NOW.as_millis() * 1000);
    assert_eq!(refused(Reading { resets_at: Some(millis), ..read(-5, 10) }), [("absurd time", 1)]);
    assert_eq!(refused(read(60, 10)), [("absurd time", 1)]);
    assert_eq!(refused(Reading { at: Timestamp::default(), ..read(-5, 10) }), [("absurd time", 1)]);
    for none in [-0.01, 100.01, 1e9, f64::NAN, f64::INFINITY] {
        assert_eq!(Reading::hundredths(none), None);
    }
    assert_eq!(Reading::hundredths(23.456), Some(2_346));
}

fn spent(at: i64, who: &str, dollars: i128) -> Spend {
    Spend { at: minutes(at), who: who.into(), cost: Usd::from_picos(dollars * 1_000_000_000_000) }
}

#[test]
fn rises_are_divided_among_those_who_spent_meanwhile() {
    let merged = Limits::merge([read(-200, 10), read(-100, 40), read(-10, 60)], NOW);
    let limit = &merged.limits[0];
    let spends = [spent(-220, "one", 1), spent(-150, "one", 2), spent(-140, "two", 1)];
    let (shares, elsewhere) = limit.shares(&spends);
    let shares: Vec<_> = shares.iter().map(|share| (&*share.who, (share.part * 60.0).round())).collect();
    // 10 points are one's; 30 are divided two to one; for the last 20 nobody here spent anything.
    assert_eq!(shares, [("one", 30.0), ("two", 10.0)]);
    assert!((elsewhere - 20.0 / 60.0).abs() < 1e-9);
    assert_eq!(limit.shares(&[]), (Vec::new(), 1.0));
}

#[test]
fn an_estimate_moves_a_value_on_but_never_to_the_whole() {
    let merged = Limits::merge([read(-30, 40)], NOW);
    let limit = &merged.limits[0];
    let before = spent(-100, "one", 4);
    assert_eq!(limit.estimate(&[before.clone(), spent(-10, "two", 1)], NOW), Some(5_000));
    assert_eq!(limit.estimate(&[before.clone(), spent(-10, "two", 400)], NOW), Some(9_900));
    assert_eq!(limit.estimate(std::slice::from_ref(&before), NOW), None, "nothing was spent since");
    assert_eq!(limit.estimate(&[spent(-10, "two", 1)], NOW), None, "no rate is known");
    let fresh = Limits::merge([read(0, 40)], NOW);
    assert_eq!(fresh.limits[0].estimate(&[before, spent(0, "two", 1)], NOW), None);
}

#[test]
fn pace_is_the_mean_of_the_window() {
    // 240 of 300 minutes have passed.
    let merged = Limits::merge([read(-1, 40)], NOW);
    let limit = &merged.limits[0];
    assert_eq!(
        (limit.elapsed(NOW), limit.pace(NOW), limit.runs_out_at(NOW)),
        (Some(0.8), Some(1_000.0), None)
    );
    let merged = Limits::merge([read(-1, 90)], NOW);
    assert_eq!(
        merged.limits[0].runs_out_at(NOW),
        Some(minutes(26).after(std::time::Duration::from_secs(40)))
    );
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading = (
        select(vec!["a", "b"]),
        select(vec!["five_hour", "seven_day", "seven_day_opus", "unspecified", "overage"]),
        -400..20i64,
        prop_oneof![5 => (0..=100u32).prop_map(|it| Some(it * 100)), 1 => Just(None), 1 => Just(Some(20_000))],
        select(vec![LimitStatus::Allowed, LimitStatus::Allowed, LimitStatus::Warning, LimitStatus::Rejected]),
        prop_oneof![
            4 => select(vec![-60, -1, 0, 1, 60, 120, 299]).prop_map(Some),
            1 => (-600..600i64).prop_map(Some),
            1 => Just(None),
            1 => Just(Some(1_000_000)),
        ],
        select(vec![LimitSource::Cache, LimitSource::StatusLine, LimitSource::Transcript]),
        select(vec!["one", "other"]),
    );
    let reading = reading.prop_map(|(account, window, at, used, status, reset, source, by)| Reading {
        account: account.into(),
        window: LimitWindow::from_name(window),
        at: minutes(at),
        used,
        status,
        resets_at: reset.map(minutes),
        source,
        by: by.into(),
    });
    vec(reading, 0..24)
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter(readings in readings(), seed in any::<prop::sample::Index>()) {
        let merged = Limits::merge(readings.clone(), NOW);
        let mut other = readings.clone();
        other.reverse();
        if !other.is_empty() {
            other.rotate_left(seed.index(readings.len()));
            other.push(readings[seed.index(readings.len())].clone());
        }
        prop_assert_eq!(&Limits::merge(other, NOW), &merged);
    }

    #[test]
    fn each_limit_has_one_window_and_values_that_can_be(readings in readings()) {
        let count = readings.iter().collect::<BTreeSet<_>>().len() as u64;
        let merged = Limits::merge(readings.clone(), NOW);
        let keys: BTreeSet<_> = merged.limits.iter().map(|it| (it.account.clone(), it.window.clone())).collect();
        prop_assert_eq!(keys.len(), merged.limits.len());
        prop_assert!(merged.refused.values().sum::<u64>() <= count);
        for limit in &merged.limits {
            let mut told = readings.iter().filter(|it| it.account == limit.account && it.at == limit.observed_at);
            prop_assert!(told.any(|it| it.source == limit.source), "somebody told it");
            prop_assert!(limit.used.is_none_or(|used| used <= WHOLE));
            prop_assert!(!limit.is_over || limit.used_now() == Some(0));
            prop_assert!(limit.is_over || limit.resets_at.is_none_or(|reset| reset > NOW));
            prop_assert_eq!(limit.status == LimitStatus::Rejected, limit.used_now() == Some(WHOLE));
        }
    }

    #[test]
    fn shares_come_to_the_whole(readings in readings(), spends in vec((-300..0i64, 0..3u8, 0..5i128), 0..20)) {
        let names = ["one", "two", "three"];
        let spends: Vec<Spend> = spends.into_iter().map(|(at, who, cost)| spent(at, names[usize::from(who)], cost)).collect();
        for limit in &Limits::merge(readings, NOW).limits {
            let (shares, elsewhere) = limit.shares(&spends);
            let sum: f64 = shares.iter().map(|share| share.part).sum::<f64>() + elsewhere;
            prop_assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-9, "{sum}");
            prop_assert!(shares.iter().all(|share| (0.0..=1.0 + 1e-9).contains(&share.part)));
        }
    }
}
