//! Times a first import with its daily report beside other programs on one corpus, in turn, in one run.
//!
//! ```console
//! $ cargo build --release
//! $ cargo run --release -p claudewatch-benches --example corpus -- /tmp/corpus 1000000000
//! $ npm install --prefix /tmp/peers ccusage@20.0.24
//! $ cargo install --root /tmp/peers claudelytics@0.6.4
//! $ cargo run --release -p claudewatch-benches --example compare -- /tmp/corpus /tmp/peers
//! ```
//!
//! Prints for each program the median time, the median of the ratios of ours to its time, run by run, and the
//! largest memory. Programs that are not there are left out.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("the comparison needs a Unix system");
}

#[cfg(unix)]
mod unix {
    use std::error::Error;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::sys::resource::{UsageWho, getrusage};

    const RUNS: usize = 5;

    struct Program {
        name: &'static str,
        file: PathBuf,
        args: Vec<String>,
    }

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        let args: Vec<String> = std::env::args().collect();
        let [_, corpus, peers] = args.as_slice() else { return Err("usage: compare CORPUS PEERS".into()) };
        let (corpus, peers) = (Path::new(corpus).canonicalize()?, Path::new(peers));
        let scratch = tempfile::tempdir()?;
        // The others look in ~/.claude only.
        std::os::unix::fs::symlink(&corpus, scratch.path().join(".claude"))?;
        let programs: Vec<Program> =
            programs(&corpus, peers, scratch.path()).into_iter().filter(|it| it.file.exists()).collect();
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); programs.len()];
        for run in 0..=RUNS {
            for (place, program) in programs.iter().enumerate() {
                let time = time(program, scratch.path())?;
                // The first run only warms the page cache.
                if run > 0 {
                    times[place].push(time);
                }
            }
        }
        println!("{:<28} {:>9} {:>12}", "program", "median s", "ours / its");
        for (program, of_it) in programs.iter().zip(&times) {
            let ratios = times[0].iter().zip(of_it).map(|(ours, its)| ours.as_secs_f64() / its.as_secs_f64());
            let seconds = of_it.iter().map(Duration::as_secs_f64);
            println!(
                "{:<28} {:>9.3} {:>12.2}",
                program.name,
                median(seconds.collect()),
                median(ratios.collect())
            );
        }
        let largest = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
        println!("largest process of all: {} MB", largest / 1024);
        Ok(())
    }

    fn programs(corpus: &Path, peers: &Path, scratch: &Path) -> Vec<Program> {
        let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/claudewatch");
        let path = |path: &Path| path.display().to_string();
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        let ours = [
            "report".to_owned(),
            "--json".to_owned(),
            "--timezone=UTC".to_owned(),
            format!("--claude-dir={}", path(corpus)),
            format!("--data-dir={}", path(&scratch.join("data"))),
        ];
        let ccusage = peers.join("node_modules/@ccusage/ccusage-linux-x64/bin/ccusage");
        vec![
            Program { name: "claudewatch, empty store", file: target, args: ours.to_vec() },
            Program { name: "ccusage", file: ccusage, args: words("claude daily --json --offline") },
            Program { name: "claudelytics", file: peers.join("bin/claudelytics"), args: words("daily") },
            Program {
                name: "wc -l",
                file: PathBuf::from("/bin/sh"),
                args: vec![
                    "-c".to_owned(),
                    format!(
                        "find {} -name '*.jsonl' -print0 | xargs -0 wc -l",
                        path(&corpus.join("projects"))
                    ),
                ],
            },
        ]
    }

    fn time(program: &Program, scratch: &Path) -> Result<Duration, Box<dyn Error>> {
        let data = scratch.join("data");
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        let begun = Instant::now();
        let status = Command::new(&program.file)
            .args(&program.args)
            .env_clear()
            .env("HOME", scratch)
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let time = begun.elapsed();
        if status.success() { Ok(time) } else { Err(format!("{} failed", program.name).into()) }
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
