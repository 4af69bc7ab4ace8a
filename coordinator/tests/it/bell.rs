//! The doorbell: what is heard, and by whom.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use session_coordinator::{Acquire, Bell, ErrorKind, Heard, Lease, Listener, MemberId, Registry, RuntimeDir};

use crate::people::{introduction, runtime};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn everybody_hears() {
    let (_place, runtime) = runtime();
    let bell = Bell::open(&runtime).unwrap();
    let mut listeners: Vec<_> = (0..8).map(|_| Listener::open(&runtime).unwrap()).collect();
    for _ in 0..3 {
        bell.ring().unwrap();
        for listener in &mut listeners {
            assert_eq!(listener.wait(LONG), Heard { rang: true, ..Heard::default() });
            assert!(listener.wait(Duration::ZERO).is_silence());
        }
    }
    assert_eq!(fs::metadata(runtime.path().join("bell")).unwrap().len(), 1, "it does not grow");
}

#[test]
fn silence_lasts_as_long_as_asked() {
    let (_place, runtime) = runtime();
    let mut listener = Listener::open(&runtime).unwrap();
    let begun = Instant::now();
    assert!(listener.wait(Duration::from_millis(30)).is_silence());
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
#[cfg(target_os = "linux")]
fn members_and_leaders_are_heard() {
    let (_place, runtime) = runtime();
    let registry = Registry::open(&runtime).unwrap();
    let mut listener = Listener::open(&runtime).unwrap();
    let membership = registry.join(&introduction(1)).unwrap();
    assert!(listener.wait(LONG).members_changed);
    drop(membership);
    assert!(listener.wait(LONG).members_changed);
    let _ = registry.members().unwrap();
    assert!(listener.wait(Duration::ZERO).is_silence(), "looking is not heard");
    let _ = registry.sweep().unwrap();
    assert!(listener.wait(Duration::ZERO).is_silence(), "nor is tidying up");

    let lead = || Lease::acquire(&runtime, &MemberId::new("me"), Acquire::Immediately);
    let lease = lead().unwrap();
    assert!(lead().is_err());
    assert!(listener.wait(Duration::ZERO).is_silence(), "nor trying in vain");
    drop(lease);
    assert!(listener.wait(LONG).lead_changed);
}

#[test]
fn a_removed_place_is_heard() {
    let (_place, runtime) = runtime();
    let mut listener = Listener::open(&runtime).unwrap();
    let aside = runtime.path().with_extension("aside");
    fs::rename(runtime.path(), &aside).unwrap();
    assert!(listener.wait(LONG).place_changed);
    fs::remove_dir_all(&aside).unwrap();

    let runtime = RuntimeDir::open(runtime.path()).unwrap();
    let mut listener = Listener::open(&runtime).unwrap();
    fs::remove_file(runtime.path().join("bell")).unwrap();
    assert!(listener.wait(LONG).place_changed, "although somebody may have it open");
    let error = Bell::open(&runtime).and_then(|bell| {
        fs::remove_dir_all(runtime.path()).unwrap();
        bell.ring()
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Missing);
}

#[test]
fn a_ring_from_another_thread_ends_the_wait() {
    let (_place, runtime) = runtime();
    let bell = Bell::open(&runtime).unwrap();
    let mut listener = Listener::open(&runtime).unwrap();
    thread::scope(|threads| {
        threads.spawn(|| bell.ring().unwrap());
        assert!(listener.wait(LONG).rang);
    });
}
