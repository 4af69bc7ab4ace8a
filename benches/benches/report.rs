//! From the store to a report: reading the sums, and grouping and pricing them.

use criterion::{Criterion, criterion_group, criterion_main};
use session_analytics::{By, Figures, Filter, PriceBook, Report, ReportOptions, report_json};
use session_store::{Batch, EventBackend, Ledger, OpenMode, Selection, Sqlite, Timestamp, Zone};

use claudewatch_benches::History;

fn bench(criterion: &mut Criterion) {
    let ledger: Ledger = History::of(50_000_000).events().into_iter().collect();
    let folder = tempfile::tempdir().expect("because benches need a scratch folder");
    let store = Sqlite::open(&folder.path().join("archive.db"), OpenMode::ReadWrite)
        .expect("because the folder is ours");
    let _ = store.commit(Batch { ledger, checkpoints: Vec::new() }).expect("because the disk has room");
    let all = Timestamp::MIN..Timestamp::MAX;
    let mut group = criterion.benchmark_group("report");
    group.bench_function("read cells", |bencher| bencher.iter(|| store.cells(all.clone(), &[])));
    group.bench_function("read facts", |bencher| bencher.iter(|| store.events(&Selection::facts())));
    let figures = Figures {
        cells: store.cells(all.clone(), &[]).expect("because it was just written"),
        facts: store.events(&Selection::facts()).expect("because it was just written"),
    };
    let book = PriceBook::built_in();
    for by in [By::Daily, By::Conversation, By::Block] {
        let options = ReportOptions {
            by,
            zone: Zone::named("Europe/Berlin").unwrap_or_else(Zone::utc),
            range: all.clone(),
            filter: Filter::default(),
            now: Timestamp::from_seconds(1_795_367_381),
        };
        group.bench_function(by.name(), |bencher| {
            bencher
                .iter(|| report_json(&Report::build(&figures, &book, &options, &|folder| folder.to_owned())));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
