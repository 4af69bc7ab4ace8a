//! Which session this is, its key, and every Claude Code there is; beside a full refresh of the process table.

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use session_detect::{Facts, IsolationKey, ProcFs, classify, claude, detect};

fn verdict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detect");
    let facts = Facts::capture();
    let depth = facts.ancestry.len();
    group.bench_function(format!("detect at depth {depth}"), |bencher| bencher.iter(detect));
    group.bench_function("classify", |bencher| bencher.iter(|| classify(black_box(&facts))));
    let session = classify(&facts);
    let key = session.key.clone().expect("because the process table can be read");
    group.bench_function("key of a verdict", |bencher| {
        let Some(leader) = session.key.as_ref().map(IsolationKey::leader) else { return };
        let (place, user, host) =
            (session.place.as_bytes(), session.user.as_bytes(), session.host.as_bytes());
        bencher.iter(|| IsolationKey::new(black_box(place), &session.link, user, host, leader));
    });
    let text = key.to_string();
    group.bench_function("parse a key", |bencher| bencher.iter(|| black_box(&text).parse::<IsolationKey>()));
    group.bench_function("sysinfo, full refresh", |bencher| {
        bencher.iter(|| {
            let mut system = sysinfo::System::new().expect("because the process table can be read");
            system.refresh_processes(sysinfo::ProcessesToUpdate::All, true)
        });
    });
    group.finish();
}

fn scan(criterion: &mut Criterion) {
    let world = tempfile::tempdir().expect("because benches need a scratch folder");
    let config = world.path().join("config");
    fs::create_dir_all(config.join("sessions")).expect("because the folder is ours");
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(50);
    group.bench_function("the true process table", |bencher| bencher.iter(|| claude::find(&[])));
    let root = world.path().join("proc");
    (0..500).for_each(|index| add(&root, &config, index));
    symlink("1", root.join("self")).expect("because the folder is ours");
    let (processes, folders) = (ProcFs::at(&root), [config]);
    assert_eq!(claude::find_in(&processes, &folders).running.len(), 5);
    group.bench_function("500 processes, 5 of them Claude Code", |bencher| {
        bencher.iter(|| claude::find_in(&processes, &folders));
    });
    group.finish();
}

/// Adds a process to a made-up table: every hundredth is Claude Code, every tenth another script of Node.
fn add(root: &Path, config: &Path, index: u32) {
    let pid = index + 1;
    let (comm, exe, line) = match index % 100 {
        50 => ("claude", "/home/herb/.local/share/claude/versions/2.1.330", "claude\0--continue\0"),
        other if other % 10 == 5 => ("node", "/usr/bin/node", "node\0/srv/app/server.js\0"),
        _ => ("worker", "/usr/bin/worker", "worker\0--flag\0"),
    };
    let folder: PathBuf = root.join(pid.to_string());
    let write =
        |name: &str, text: String| fs::write(folder.join(name), text).expect("because the folder is ours");
    fs::create_dir_all(folder.join("ns")).expect("because the folder is ours");
    let parent = pid / 10;
    write(
        "stat",
        format!("{pid} ({comm}) S {parent} {pid} {pid} 34816 {pid} 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 9 9\n"),
    );
    write("cmdline", line.to_owned());
    write("environ", "TERM=xterm\0CLAUDECODE=1\0".to_owned());
    write("status", format!("Uid:\t0\t0\t0\t0\nNSpid:\t{pid}\n"));
    symlink(exe, folder.join("exe")).expect("because the folder is ours");
    symlink("/work/app", folder.join("cwd")).expect("because the folder is ours");
    symlink("pid:[4026531836]", folder.join("ns/pid")).expect("because the folder is ours");
    if comm == "claude" {
        let record = format!(
            r#"{{"pid":{pid},"sessionId":"c3fb74ec-{pid}","procStart":"{pid}","version":"2.1.330","status":"idle"}}"#
        );
        fs::write(config.join(format!("sessions/{pid}.json")), record).expect("because the folder is ours");
    }
}

criterion_group!(benches, verdict, scan);
criterion_main!(benches);
