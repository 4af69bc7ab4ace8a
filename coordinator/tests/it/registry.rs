//! Who is here: locks that the kernel releases.

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use session_coordinator::{
    Introduction, JoinError, MemberId, MemberRole, Presence, Registry, RuntimeDir, Scope, Verdict, resolve,
};

use crate::child;
use crate::people::{introduction, key, runtime};

fn presences(registry: &Registry) -> Vec<Presence> {
    registry.members().unwrap().into_iter().map(|member| member.presence).collect()
}

#[test]
fn a_second_monitor_of_a_session_becomes_a_viewer() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let first = registry.join(&introduction(1)).unwrap();
    let Err(JoinError::Held { by: Some(by) }) = registry.join(&introduction(1)) else { panic!("held") };
    assert_eq!((&by.id, by.presence), (first.id(), Presence::Alive));
    let newcomer = MemberId::of(&key(1), &Scope::Everything);
    assert_eq!(resolve(&newcomer, &registry.members().unwrap()), Verdict::ViewerOf(by.id.clone()));

    let viewers = [registry.attach(&introduction(1)).unwrap(), registry.attach(&introduction(1)).unwrap()];
    assert_ne!(viewers[0].id(), viewers[1].id());
    let roles: Vec<_> = registry.members().unwrap().into_iter().map(|member| member.role).collect();
    assert_eq!(roles, [MemberRole::Monitor, MemberRole::Viewer, MemberRole::Viewer]);

    // Another session, and another scope of the same one, are nobody's conflict.
    let _other = registry.join(&introduction(2)).unwrap();
    let scope = Scope::Project("/work/shop".into());
    let _narrower = registry.join(&Introduction { scope, ..introduction(1) }).unwrap();

    drop(first);
    assert_eq!(resolve(&newcomer, &registry.members().unwrap()), Verdict::Monitor);
    let again = registry.join(&introduction(1)).unwrap();
    assert!(again.is_current());
}

#[test]
fn what_is_said_is_what_is_read() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let folder = Some("/a\n\"b\"/é".into());
    let who = Introduction { scope: Scope::Project("/a\n\"b\"/é".into()), folder, ..introduction(5) };
    let _membership = registry.join(&who).unwrap();
    let member = registry.members().unwrap().remove(0);
    assert_eq!((member.key, member.scope, member.isolation), (who.key, who.scope, who.isolation));
    assert_eq!((member.folder, member.host, member.version), (who.folder, who.host, who.version));
    assert_eq!((member.pid, member.started_at), (std::process::id(), who.started_at));
    assert!(registry.is_alive(&key(5)).unwrap() && !registry.is_alive(&key(6)).unwrap());
}

#[test]
fn the_living_and_the_dead() {
    let (place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let mut killed = child::start("registry::a_child_joins", place.path(), 1);
    let living = child::start("registry::a_child_joins", place.path(), 2);
    killed.hear_of("joined");
    living.hear_of("joined");
    let left = registry.join(&introduction(3)).unwrap();
    assert_eq!(presences(&registry), [Presence::Alive; 3]);

    killed.kill();
    drop(left);
    assert_eq!(presences(&registry), [Presence::Stale, Presence::Alive, Presence::Gone]);
    // The number of a process that died may be another's: what counts is the lock.
    let swept: Vec<_> =
        registry.sweep().unwrap().into_iter().map(|member| (member.key, member.presence)).collect();
    assert_eq!(swept, [(key(1), Presence::Stale), (key(3), Presence::Gone)]);
    assert_eq!(presences(&registry), [Presence::Alive]);
    assert!(registry.sweep().unwrap().is_empty(), "a lock that is held stays");
    let Err(JoinError::Held { by: Some(by) }) = registry.join(&introduction(2)) else { panic!("held") };
    assert_eq!(by.pid, living.pid());
}

#[test]
fn a_child_joins() {
    let Some(place) = child::place() else { return };
    let runtime = RuntimeDir::open(&place.join("claudewatch")).unwrap();
    let _membership = Registry::open(&runtime).unwrap().join(&introduction(child::number())).unwrap();
    child::say("joined");
    loop {
        thread::park();
    }
}

#[test]
fn files_that_say_nothing_are_passed_over() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let folder = runtime.path().join("s");
    fs::write(folder.join("half.lock"), "{\"key\":").unwrap();
    fs::write(folder.join("empty.lock"), "").unwrap();
    fs::write(folder.join("bytes.lock"), [0xff; 70_000]).unwrap();
    fs::write(folder.join("not-ours"), "{}").unwrap();
    assert!(registry.members().unwrap().is_empty());
    assert!(registry.sweep().unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["not-ours"]);
    // A member whose text is of the future keeps what this version knows.
    let id = MemberId::of(&key(9), &Scope::Everything);
    let text = format!(
        r#"{{"key":"{}","project":null,"isolation":"cosmic","role":"monitor","pid":1,"host":"h","version":"9","started_at":0,"mood":1}}"#,
        key(9)
    );
    fs::write(folder.join(format!("{id}.lock")), text).unwrap();
    let member = registry.members().unwrap().remove(0);
    assert_eq!(member.isolation, session_coordinator::Isolation::Complete);
}

/// Lets threads end with a test, also one that fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Joining, leaving, listing and sweeping all at once: never are there two holders of one name, and who finds a name
/// held is right.
#[test]
fn two_holders_are_impossible() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let (holders, joined, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let barrier = Barrier::new(4);
    thread::scope(|threads| {
        let _end = SetAtEnd(&done);
        threads.spawn(|| {
            while !done.load(SeqCst) {
                let _ = registry.sweep().unwrap();
                let _ = registry.members().unwrap();
                thread::yield_now();
            }
        });
        let work = || {
            barrier.wait();
            for _ in 0..150 {
                match registry.join(&introduction(1)) {
                    Ok(membership) => {
                        assert_eq!(holders.fetch_add(1, SeqCst), 0, "two hold one name");
                        assert!(membership.is_current());
                        joined.fetch_add(1, SeqCst);
                        holders.fetch_sub(1, SeqCst);
                    }
                    Err(JoinError::Held { .. }) => {}
                    Err(JoinError::Failed(error)) => panic!("{error:?}"),
                }
            }
        };
        let workers: Vec<_> = (0..4).map(|_| threads.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    assert!(joined.load(SeqCst) > 100, "{joined:?}");
}

#[test]
fn looking_does_not_keep_anybody_out() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        let _end = SetAtEnd(&done);
        for _ in 0..2 {
            threads.spawn(|| {
                while !done.load(SeqCst) {
                    let _ = registry.members().unwrap();
                }
            });
        }
        for _ in 0..200 {
            drop(registry.join(&introduction(1)).expect("nobody holds it"));
        }
    });
}

#[test]
fn a_removed_folder_is_noticed() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let membership = registry.join(&introduction(1)).unwrap();
    assert!(membership.is_current() && runtime.is_current());
    fs::remove_dir_all(runtime.path()).unwrap();
    assert!(!membership.is_current() && !runtime.is_current());
    let again = RuntimeDir::open(runtime.path()).unwrap();
    let _new = Registry::open(&again).unwrap().join(&introduction(1)).unwrap();
    assert!(!membership.is_current() && !runtime.is_current());
    assert!(again.is_current());
}
