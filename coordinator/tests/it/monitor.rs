//! Whose duty it is to read: one that rests reads nothing, and goes on where another one left off.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_coordinator::{Duty, Ingestor, Monitor, MonitorOptions, Update, sources_digest};
use session_store::corpus::Corpus;
use session_store::{EventBackend, Memory, Timestamp, Zone};

const PATIENCE: Duration = Duration::from_secs(60);

fn ingestor(store: &Arc<Memory>, folder: &Path) -> Ingestor {
    Ingestor::new(store.clone(), vec![folder.to_owned()], Zone::utc())
}

fn messages(store: &Memory) -> u64 {
    store.cells(Timestamp::MIN..Timestamp::MAX, &[]).unwrap().iter().map(|cell| cell.sum.messages).sum()
}

/// Returns how many sources the next report of reading tells of.
fn sources_read(updates: &Receiver<Update>) -> usize {
    loop {
        match updates.recv_timeout(PATIENCE).expect("an update in time") {
            Update::Read(scan) => return scan.sources_read,
            Update::Progress(_) | Update::Degraded(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn start(ingestor: Ingestor, duty: Duty) -> (Monitor, Receiver<Update>) {
    let (tell, updates) = channel();
    let options = MonitorOptions { duty, poll: Duration::from_millis(50), ..MonitorOptions::default() };
    (Monitor::start(ingestor, options, move |update| drop(tell.send(update))).unwrap(), updates)
}

#[test]
fn who_rests_reads_nothing_and_goes_on_where_another_left_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Memory::default());
    let truth = Corpus::new(3, 300_000).write(folder.path()).unwrap();
    let (resting, updates) = start(ingestor(&store, folder.path()), Duty::Rest);

    let (reading, other) = start(ingestor(&store, folder.path()), Duty::Watch);
    assert!(sources_read(&other) > 0);
    assert_eq!(messages(&store), truth.messages);
    drop(reading);
    assert!(updates.try_recv().is_err(), "nothing was told by the one that rests");

    // It begins to read: that is told, although there is nothing that was not read.
    resting.steer().set(Duty::Watch);
    assert_eq!(sources_read(&updates), 0);
    let more = Corpus::new(4, 100_000).write(&folder.path().join("more")).unwrap();
    fs::rename(folder.path().join("more/projects"), folder.path().join("projects/more")).unwrap();
    while messages(&store) < truth.messages + more.messages {
        sources_read(&updates);
    }
    // The same, looking from time to time.
    resting.steer().set(Duty::Poll);
    assert_eq!(sources_read(&updates), 0);
}

#[test]
fn the_digest_tells_whether_everything_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let dirs = [folder.path().to_owned()];
    let store = Arc::new(Memory::default());
    Corpus::new(5, 100_000).write(folder.path()).unwrap();
    let mut ingestor = ingestor(&store, folder.path());
    assert_ne!(ingestor.digest(), sources_digest(&dirs));
    let scan = ingestor.scan(&|_| {}).unwrap();
    assert_eq!((scan.digest, ingestor.digest()), (sources_digest(&dirs), sources_digest(&dirs)));

    let one = folder.path().join("projects/one.jsonl");
    let check = |ingestor: &mut Ingestor, what: &str| {
        assert_ne!(ingestor.digest(), sources_digest(&dirs), "{what}");
        let scan = ingestor.refresh(&[one.clone()].into()).unwrap();
        assert_eq!(scan.digest, sources_digest(&dirs), "{what}");
    };
    fs::write(&one, "{}\n").unwrap();
    check(&mut ingestor, "made");
    fs::write(&one, "{}\n{}\n").unwrap();
    check(&mut ingestor, "written");
    fs::remove_file(&one).unwrap();
    check(&mut ingestor, "removed");
}

/// Of two threads that read, one may tell late how far it was: a bar that hears it last would stay for ever.
#[test]
fn what_is_told_of_reading_ends_with_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    Corpus::new(5, 8_000_000).write(folder.path()).unwrap();
    let told = Mutex::new(Vec::new());
    let (is_first, is_done) = (AtomicBool::new(true), AtomicBool::new(false));
    ingestor(&Arc::new(Memory::default()), folder.path())
        .scan(&|progress| {
            if is_first.swap(false, Ordering::SeqCst) {
                // Where only one thread reads nobody gets done meanwhile.
                let end = Instant::now() + Duration::from_secs(3);
                while !is_done.load(Ordering::SeqCst) && Instant::now() < end {
                    std::thread::yield_now();
                }
            }
            is_done.fetch_or(progress.bytes_done >= progress.bytes_total, Ordering::SeqCst);
            told.lock().unwrap().push((progress.bytes_done, progress.bytes_total));
        })
        .unwrap();
    let told = told.into_inner().unwrap();
    let (done, total) = *told.last().unwrap();
    assert!(done == total && told.len() > 2, "{told:?}");
}
