//! From the store to a report: reading the sums, and grouping and pricing them.

use criterion::{Criterion, criterion_group, criterion_main};
use session_analytics::{
    By, Figures, Filter, PriceBook, Report, ReportOptions, SessionInfo, Sessions, report_json,
};
use session_store::{Batch, EventBackend, Join, Ledger, OpenMode, Selection, Sqlite, Timestamp, Zone};

use claudewatch_benches::History;
use claudewatch_benches::account::Account;

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

/// A million events from the archive to the text of a report, and from sums that are at hand.
fn million(criterion: &mut Criterion) {
    let mut ledger = Ledger::default();
    for seed in 1.. {
        let _ = ledger.join(Account::of(seed, 365).ledger);
        if ledger.len() >= 1_000_000 {
            break;
        }
    }
    let folder = tempfile::tempdir().expect("because benches need a scratch folder");
    let store = Sqlite::open(&folder.path().join("archive.db"), OpenMode::ReadWrite)
        .expect("because the folder is ours");
    let _ = store.commit(Batch { ledger, checkpoints: Vec::new() }).expect("because the disk has room");
    let all = Timestamp::MIN..Timestamp::MAX;
    let read = || Figures {
        cells: store.cells(all.clone(), &[]).expect("because it was just written"),
        facts: store.events(&Selection::facts()).expect("because it was just written"),
    };
    let sums = read();
    let mut sessions = Sessions::default();
    for cell in &sums.cells {
        let name = cell.key.conversation.as_str();
        let info = SessionInfo { session_id: name.into(), ..SessionInfo::default() };
        sessions.ran(name, info, &cell.key.conversation, Timestamp::MIN);
    }
    let book = PriceBook::built_in();
    let mut group = criterion.benchmark_group("million");
    group.sample_size(10);
    for by in [By::Daily, By::Conversation, By::Project, By::Model, By::Block, By::Session] {
        let options = ReportOptions {
            by,
            zone: Zone::named("Europe/Berlin").unwrap_or_else(Zone::utc),
            range: all.clone(),
            filter: Filter::default(),
            now: Timestamp::from_seconds(1_795_367_381),
        };
        let tell = |figures: &Figures| {
            report_json(&Report::build_with(figures, &sessions, &book, &options, &|folder| folder.to_owned()))
        };
        group.bench_function(format!("{} from the archive", by.name()), |bencher| {
            bencher.iter(|| tell(&read()));
        });
        group.bench_function(format!("{} from sums", by.name()), |bencher| bencher.iter(|| tell(&sums)));
    }
    group.finish();
}

criterion_group!(benches, bench, million);
criterion_main!(benches);
