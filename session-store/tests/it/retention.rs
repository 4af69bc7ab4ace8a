//! Pruning: the plan names all that goes, the deed does what was planned, and nothing comes back.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use session_store::{
    Batch, EventBackend, Ledger, LeftoverKind, Memory, PrunePlan, Pruned, Selection, SessionSurvey, Stores,
    Survey, Timestamp, fold_cells, strategies,
};

const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);

fn survey(stores: &Stores, before: Option<Timestamp>) -> Survey {
    Survey::of(stores, before, NOW, |name| name.starts_with("s-ended"), |said| said.is_none()).unwrap()
}

fn all(backend: &dyn EventBackend) -> Ledger {
    backend.events(&Selection::all()).unwrap()
}

fn batch(ledger: &Ledger) -> Batch {
    Batch { ledger: ledger.clone(), checkpoints: Vec::new() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_planned_goes_and_stays_away(
        ledger in strategies::ledgers(40),
        before in strategies::timestamps(),
        later in strategies::ledgers(10),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (model, stores) = (Memory::default(), Stores::open(folder.path(), NOW));
        for backend in [&model as &dyn EventBackend, &stores] {
            let _ = backend.commit(batch(&ledger)).unwrap();
        }
        // The plan is the same over both, and names every record that goes.
        let range = Timestamp::MIN..before;
        let known = model.events(&Selection { range, ..Selection::all() }).unwrap();
        let plan = PrunePlan::new(&survey(&stores, Some(before)), Some(before));
        prop_assert_eq!(&plan, &PrunePlan::new(&Survey { ledger: known, ..Survey::default() }, Some(before)));
        let named: u64 = plan.expired.iter().map(|it| it.messages + it.facts).sum();
        let goes: Vec<_> = ledger.iter().filter(|event| event.ended_before(before)).collect();
        prop_assert_eq!(named, goes.len() as u64);
        let conversations: BTreeSet<_> = goes.iter().map(|event| &event.owner.conversation).collect();
        prop_assert!(plan.expired.iter().map(|it| &it.conversation).eq(conversations));
        prop_assert_eq!(plan.gone_for_good().count(), plan.expired.len(), "there is no transcript");
        prop_assert_eq!(all(&stores), ledger.clone(), "planning changes nothing");

        let expected: Ledger = ledger.iter().filter(|event| !event.ended_before(before)).cloned().collect();
        let pruned = plan.perform(&stores, NOW).unwrap();
        prop_assert_eq!((pruned.records, model.expire(before).unwrap()), (named, named));
        prop_assert_eq!(all(&stores), expected.clone());
        // It is told again, and nothing of it comes back; what is new is kept.
        let again = Stores::open(folder.path(), NOW);
        for backend in [&model as &dyn EventBackend, &again] {
            let _ = backend.commit(batch(&ledger)).unwrap();
        }
        prop_assert_eq!(all(&again), expected);
        prop_assert!(PrunePlan::new(&survey(&again, Some(before)), Some(before)).is_empty());
        for backend in [&model as &dyn EventBackend, &again] {
            let _ = backend.commit(batch(&later)).unwrap();
        }
        let left = all(&model);
        prop_assert_eq!(all(&again), left.clone());
        let forever = Timestamp::MIN..Timestamp::MAX;
        prop_assert_eq!(again.cells(forever.clone(), &[]).unwrap(), fold_cells(&left, forever, &[]));
    }
}

fn turn(conversation: &str, id: &str, at: Timestamp) -> Batch {
    let mut event = crate::lines::turn_event(id);
    event.owner.conversation = conversation.into();
    event.at = at;
    Batch { ledger: [event].into_iter().collect(), checkpoints: Vec::new() }
}

fn days_ago(days: u64) -> Timestamp {
    NOW.before(Duration::from_secs(days * 86_400))
}

/// An ended session that shared, one that did not, and one that lives; each with an old and a young reply.
fn three_sessions(folder: &std::path::Path) -> Stores {
    let stores = Stores::open(folder, NOW);
    let names = ["s-ended-shared", "s-ended-apart", "s-alive"];
    stores.set_owners(names.iter().map(|name| ((*name).into(), (*name).to_owned())).collect());
    for name in names {
        let _ = stores.commit(turn(name, &format!("msg_old_{name}"), days_ago(100))).unwrap();
        let _ = stores.commit(turn(name, &format!("msg_new_{name}"), days_ago(10))).unwrap();
    }
    stores.session("s-ended-apart").set_sharing("little");
    stores.set_owners(HashMap::new());
    stores
}

#[test]
fn stores_of_ended_sessions_move_unless_they_hold_what_is_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let stores = three_sessions(folder.path());
    let plan = |before| PrunePlan::new(&survey(&stores, before), before);
    let planned = plan(None);
    assert_eq!((planned.compacted.clone(), planned.expired.len()), (vec!["s-ended-shared".to_owned()], 0));
    assert_eq!(planned.perform(&stores, NOW).unwrap(), Pruned { stores: 1, ..Pruned::default() });
    assert_eq!(stores.sessions().unwrap(), ["s-alive", "s-ended-apart"]);
    assert_eq!(stores.turn_ids().unwrap().len(), 6);

    // As long as it holds anything it stays apart.
    let planned = plan(Some(days_ago(50)));
    assert_eq!((planned.compacted.clone(), planned.expired.len()), (Vec::<String>::new(), 3));
    // Three turns, and as many notes of who ran them.
    assert_eq!(planned.perform(&stores, NOW).unwrap().records, 6);
    assert_eq!(stores.session("s-ended-apart").turn_ids().unwrap().len(), 1);
    let planned = plan(Some(days_ago(5)));
    assert_eq!((planned.compacted.clone(), planned.expired.len()), (vec!["s-ended-apart".to_owned()], 3));
    planned.perform(&stores, NOW).unwrap();
    assert_eq!(
        (stores.sessions().unwrap(), stores.turn_ids().unwrap()),
        (vec!["s-alive".to_owned()], vec![])
    );
    assert!(plan(Some(days_ago(5))).is_empty());
}

/// Pruning dies after any of its steps; done again, it comes to the same.
#[test]
fn pruning_cut_short_is_finished_by_the_next() {
    let before = days_ago(50);
    for steps in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let stores = three_sessions(folder.path());
        let plan = PrunePlan::new(&survey(&stores, Some(before)), Some(before));
        if steps >= 1 {
            stores.archive().expire(before).unwrap();
        }
        if steps >= 2 {
            stores.session("s-alive").expire(before).unwrap();
        }
        if steps >= 3 {
            stores.session("s-ended-shared").close().unwrap();
        }
        drop(stores);
        let again = Stores::open(folder.path(), NOW);
        plan.perform(&again, NOW).unwrap();
        assert_eq!(again.turn_ids().unwrap().len(), 3, "killed after step {steps}");
        assert_eq!(again.sessions().unwrap(), ["s-alive", "s-ended-apart"]);
        assert!(PrunePlan::new(&survey(&again, Some(before)), Some(before)).is_empty());
    }
}

#[test]
fn the_plan_is_a_function_of_the_survey() {
    let session = |name: &str, has_ended, is_shared, ledger: Ledger| SessionSurvey {
        name: name.to_owned(),
        has_ended,
        is_shared,
        ledger,
    };
    let old = turn("c", "msg_1", days_ago(9)).ledger;
    let survey = Survey {
        ledger: old.clone(),
        with_transcript: BTreeSet::from(["c".into()]),
        sessions: vec![
            session("lives", false, true, Ledger::default()),
            session("shared", true, true, Ledger::default()),
            session("apart", true, false, old),
            session("empty", true, false, Ledger::default()),
        ],
        leftovers: Vec::new(),
    };
    let compacted = |before| PrunePlan::new(&survey, before).compacted;
    assert_eq!(compacted(None), ["shared", "empty"]);
    assert_eq!(compacted(Some(days_ago(10))), ["shared", "empty"]);
    assert_eq!(compacted(Some(days_ago(8))), ["shared", "apart", "empty"]);
    let plan = PrunePlan::new(&survey, Some(days_ago(8)));
    assert_eq!((plan.expired.len(), plan.expired[0].messages, plan.gone_for_good().count()), (1, 1, 0));
}

#[test]
fn leftovers_are_removed_when_they_are_old_enough() {
    let folder = tempfile::tempdir().unwrap();
    let stores = three_sessions(folder.path());
    let sessions = folder.path().join("sessions");
    let moved = |age: u64| format!("archive.db.corrupt-{}", days_ago(age).as_millis());
    let (old, young) = (folder.path().join(moved(31)), folder.path().join(moved(29)));
    let orphans = [sessions.join("s-gone.db-wal"), sessions.join("s-gone.db.lock")];
    let kept = [folder.path().join("notes.txt"), sessions.join("s-new.db-wal"), young.clone()];
    for path in
        [&old, &folder.path().join(format!("{}-wal", moved(31)))].into_iter().chain(&orphans).chain(&kept)
    {
        fs::write(path, "left").unwrap();
    }
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_millis(days_ago(2).as_millis() as u64);
    let new = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.as_millis() as u64);
    for (path, at) in orphans.iter().map(|path| (path, long_ago)).chain(kept.iter().map(|path| (path, new))) {
        fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }
    let plan = PrunePlan::new(&survey(&stores, None), None);
    let kinds: Vec<LeftoverKind> = plan.leftovers.iter().map(|it| it.kind).collect();
    let (orphan, damaged) = (LeftoverKind::Orphan, LeftoverKind::Quarantined);
    assert_eq!(kinds, [damaged, damaged, orphan, orphan], "{:?}", plan.leftovers);
    // One becomes a store's again before the deed.
    fs::write(sessions.join("s-gone.db"), "").unwrap();
    fs::remove_file(sessions.join("s-gone.db.lock")).unwrap();
    let only_files = PrunePlan { compacted: Vec::new(), ..plan };
    assert_eq!(only_files.perform(&stores, NOW).unwrap().files, 2);
    assert!(!old.exists() && sessions.join("s-gone.db-wal").exists());
    assert!(kept.iter().all(|path| path.exists()));
}
