//! Who may see what: each cell of the table.

use session_coordinator::{Asset, Isolation, Party};

use crate::people::key;

fn party(pid: u32, isolation: Isolation, account: &str) -> Party {
    Party { key: key(pid), isolation, accounts: vec![account.into()] }
}

/// One cell: what a session of level `own` sees of another session of the same account, that shares everything.
fn check(own: Isolation, asset: Asset, expected: bool) {
    let me = party(1, own, "a");
    assert_eq!(me.sees(asset, &party(2, Isolation::Unified, "a")), expected, "{own} sees {asset:?}");
    assert_eq!(party(2, Isolation::Unified, "a").sees(asset, &me), expected, "{asset:?} of {own} is seen");
    assert!(me.sees(asset, &me), "{own} sees its own {asset:?}");
}

#[test]
fn complete_own_only_and_nothing_on_the_board_but_presence() {
    check(Isolation::Complete, Asset::Presence, true);
    check(Isolation::Complete, Asset::Notices, false);
    check(Isolation::Complete, Asset::Learned, false);
    check(Isolation::Complete, Asset::Usage, false);
    assert!(!Isolation::Complete.uses_board());
}

#[test]
fn shared_learning_shares_what_was_learned_and_reports_its_own_only() {
    check(Isolation::SharedLearning, Asset::Presence, true);
    check(Isolation::SharedLearning, Asset::Notices, true);
    check(Isolation::SharedLearning, Asset::Learned, true);
    check(Isolation::SharedLearning, Asset::Usage, false);
    assert!(Isolation::SharedLearning.uses_board());
}

#[test]
fn unified_joins_reports_over_all_sessions() {
    check(Isolation::Unified, Asset::Presence, true);
    check(Isolation::Unified, Asset::Notices, true);
    check(Isolation::Unified, Asset::Learned, true);
    check(Isolation::Unified, Asset::Usage, true);
    assert!(Isolation::Unified.uses_board());
    assert_eq!(Isolation::default(), Isolation::Unified);
}

#[test]
fn the_stricter_level_decides_both_ways() {
    for one in Isolation::ALL {
        for other in Isolation::ALL {
            let (me, her) = (party(1, one, "a"), party(2, other, "a"));
            for asset in Asset::ALL {
                assert_eq!(me.sees(asset, &her), her.sees(asset, &me), "{one} {other} {asset:?}");
                let both = party(1, one.min(other), "a").sees(asset, &party(2, one.min(other), "a"));
                assert_eq!(me.sees(asset, &her), both);
            }
        }
    }
}

#[test]
fn accounts_keep_limits_apart_but_not_usage() {
    let (me, her) = (party(1, Isolation::Unified, "a"), party(2, Isolation::Unified, "b"));
    assert!(me.sees(Asset::Presence, &her) && me.sees(Asset::Usage, &her));
    assert!(!me.sees(Asset::Notices, &her) && !me.sees(Asset::Learned, &her));
}

#[test]
fn names_are_read_back() {
    for level in Isolation::ALL {
        assert_eq!(level.name().parse(), Ok(level));
    }
    let error = "open".parse::<Isolation>().unwrap_err();
    assert_eq!(error.to_string(), "no isolation level \"open\" (complete, shared-learning, unified)");
}
