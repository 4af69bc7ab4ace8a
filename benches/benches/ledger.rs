//! The join: all lines of a history into one ledger, and the ledger into itself.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use session_store::{Join, Ledger};

use claudewatch_benches::History;

fn bench(criterion: &mut Criterion) {
    let events = History::of(20_000_000).events();
    let ledger: Ledger = events.iter().cloned().collect();
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("apply", |bencher| {
        bencher.iter_batched(|| events.clone(), Ledger::from_iter, BatchSize::LargeInput);
    });
    group.throughput(Throughput::Elements(ledger.len() as u64));
    group.bench_function("join again", |bencher| {
        bencher.iter_batched(
            || (ledger.clone(), ledger.clone()),
            |(mut one, other)| one.join(other),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
