//! Keeping events: a first commit, one more line, and a whole import from files.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use session_coordinator::Ingestor;
use session_store::{Batch, EventBackend, Ledger, OpenMode, Sqlite, Zone};

use claudewatch_benches::History;

fn fresh() -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().expect("because benches need a scratch folder");
    let store = Sqlite::open(&folder.path().join("archive.db"), OpenMode::ReadWrite);
    (folder, store.expect("because the folder is ours"))
}

fn bench(criterion: &mut Criterion) {
    let history = History::of(20_000_000);
    let ledger: Ledger = history.events().into_iter().collect();
    let batch = || Batch { ledger: ledger.clone(), checkpoints: Vec::new() };
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    group.throughput(Throughput::Elements(ledger.len() as u64));
    group.bench_function("first commit", |bencher| {
        bencher.iter_batched(
            || (fresh(), batch()),
            |((folder, store), batch)| {
                let _ = store.commit(batch).expect("because the disk has room");
                (folder, store)
            },
            BatchSize::PerIteration,
        );
    });
    let (_folder, store) = fresh();
    let _ = store.commit(batch()).expect("because the disk has room");
    group.throughput(Throughput::Elements(1));
    let one: Ledger = ledger.iter().take(1).cloned().collect();
    group.bench_function("commit of a known event", |bencher| {
        bencher.iter(|| store.commit(Batch { ledger: one.clone(), checkpoints: Vec::new() }));
    });
    group.throughput(Throughput::Bytes(history.bytes));
    group.bench_function("import", |bencher| {
        bencher.iter_batched(
            fresh,
            |(folder, store)| {
                let mut ingestor = Ingestor::new(Arc::new(store), vec![history.config_dir()], Zone::utc());
                let scan = ingestor.scan(&|_| {});
                (folder, scan.expect("because the disk has room").bytes_read)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
