//! From bytes to events, beside the least that any reader must do: count the lines.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use claudewatch_benches::{History, read};

fn bench(criterion: &mut Criterion) {
    let history = History::of(20_000_000);
    let transcripts = history.transcripts();
    let mut group = criterion.benchmark_group("transcript");
    group.throughput(Throughput::Bytes(history.bytes)).sample_size(20);
    group.bench_function("count lines", |bencher| {
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        bencher.iter(|| transcripts.iter().map(|(_, bytes)| lines(bytes)).sum::<usize>());
    });
    group.bench_function("events", |bencher| {
        bencher.iter(|| {
            transcripts.iter().map(|(source, bytes)| read(source, bytes).found.len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
