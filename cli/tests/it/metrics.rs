//! `metrics`: the text form of Prometheus by its grammar, with the figures of the report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::env::{Env, Reply, counts};

/// A sample: its name, its labels, its value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads the text form, version 0.0.4, and fails on whatever its grammar or its conventions do not allow.
#[track_caller]
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut families, mut seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut family: Option<(String, String)> = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            assert!(words.ends_with('.') && !words.contains('\\'), "{line}");
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(kind == "counter" || kind == "gauge", "{kind}");
            assert!(lines.peek().is_some_and(|next| next.starts_with(name)), "{name} has no sample");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        let (name, kind) = family.as_ref().expect("a family before the sample");
        let sample = sample(line);
        assert_eq!(&sample.0, name, "{line}");
        assert!(sample.2.is_finite() && (kind == "gauge" || sample.2 >= 0.0), "{line}");
        assert!(seen.insert((sample.0.clone(), sample.1.clone())), "{line} comes twice");
        samples.push(sample);
    }
    samples
}

#[track_caller]
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    assert!(plain(name) && name.starts_with("claudewatch_"), "{line}");
    let mut labels = BTreeMap::new();
    while let Some(after) = rest.strip_prefix(['{', ',']) {
        let (label, after) = after.split_once("=\"").unwrap();
        assert!(plain(label) && !label.starts_with("__"), "{line}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    other => panic!("\\{other} in {line}"),
                }),
                (at, '"') => break at,
                (_, char) => value.push(char),
            }
        };
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
        rest = &after[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            rest = after;
            break;
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn sum(samples: &[Sample], name: &str, label: Option<(&str, &str)>) -> f64 {
    let wanted = |labels: &BTreeMap<String, String>| {
        label.is_none_or(|(label, value)| labels.get(label).is_some_and(|it| it == value))
    };
    samples.iter().filter(|(its, labels, _)| its == name && wanted(labels)).map(|(_, _, value)| value).sum()
}

#[test]
fn the_figures_are_those_of_the_report() {
    let (env, _) = Env::with_corpus(72, 400_000);
    let text = env.run(&["metrics"]).ok();
    let samples = parse(&text);
    let totals = &env.json(&["report"])["totals"];
    let told = counts(totals);
    let tokens = |kind| sum(&samples, "claudewatch_tokens_total", Some(("type", kind)));
    assert_eq!(sum(&samples, "claudewatch_replies_total", None), told.messages as f64);
    assert_eq!(tokens("input"), told.input as f64);
    assert_eq!(tokens("output"), told.output as f64);
    assert_eq!(tokens("cache_write_5m"), told.cache_write_5m as f64);
    assert_eq!(tokens("cache_write_1h"), told.cache_write_1h as f64);
    assert_eq!(tokens("cache_read"), told.cache_read as f64);
    let cost = sum(&samples, "claudewatch_cost_usd_total", None);
    assert!((cost - totals["cost_usd"].as_f64().unwrap()).abs() < 1e-6);
    assert_eq!(env.run(&["metrics"]).ok(), text);
    check_with_promtool(&text);
}

/// Asks Prometheus' own tool, where it is installed.
fn check_with_promtool(text: &str) {
    let child = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: there is no promtool; the grammar was checked without it");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn limits_are_told_as_they_stand() {
    let env = Env::new();
    let now = crate::env::now();
    let reset = now.as_millis() / 1000 + 3600;
    env.write(
        "c",
        &[Reply::now("msg_1").to_string(), Reply::now("msg_2").refused("five_hour", reset).to_string()],
    );
    let samples = parse(&env.run(&["metrics"]).ok());
    let of = |name| sum(&samples, name, Some(("window", "five_hour")));
    assert_eq!(of("claudewatch_limit_hits_total"), 1.0);
    assert_eq!(of("claudewatch_limit_used_ratio"), 1.0);
    assert_eq!(of("claudewatch_limit_reset_timestamp_seconds"), reset as f64);
}

#[test]
fn hostile_names_stay_values() {
    let env = Env::new();
    let names = [
        "/p/\"} evil 1\n# TYPE x counter",
        "/p/back\\slash",
        "/p/\u{1b}[31m\u{202e}",
        "/p/\u{1}[31m\u{202d}",
        "/p/é☃",
    ];
    for (number, folder) in names.iter().enumerate() {
        let id = format!("msg_{number}");
        env.write(
            &id,
            &[Reply::new(&id, "2026-11-20T10:00:00Z").of(&id).folder(folder).model("m\"o\\d\nel")],
        );
    }
    let text = env.run(&["metrics"]).ok();
    assert!(
        !text.contains(|char: char| char.is_control() && char != '\n') && !text.contains('\u{202e}'),
        "{text}"
    );
    let samples = parse(&text);
    assert_eq!(sum(&samples, "claudewatch_replies_total", None), 5.0);
    assert_eq!(sum(&samples, "claudewatch_replies_total", Some(("project", "/p/back\\slash"))), 1.0);
    // Two names that look alike, once made harmless, are one series.
    assert_eq!(sum(&samples, "claudewatch_replies_total", Some(("project", "/p/�[31m�"))), 2.0);
    assert_eq!(sum(&samples, "claudewatch_unpriced_tokens_total", Some(("model", "m\"o\\d�el"))), 150.0);
    check_with_promtool(&text);
}

#[test]
fn a_textfile_is_replaced_whole() {
    let env = Env::new();
    env.write("c", &[Reply::new("msg_1", "2026-11-20T10:00:00Z")]);
    let folder = env.path("collector");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("claudewatch.prom");
    let args = ["metrics", "--textfile", file.to_str().unwrap()];
    assert_eq!(env.run(&args).ok(), "");
    let first = fs::read_to_string(&file).unwrap();
    assert_eq!(sum(&parse(&first), "claudewatch_replies_total", None), 1.0);
    env.write("c", &[Reply::new("msg_2", "2026-11-20T10:00:00Z")]);
    env.run(&args).ok();
    assert_eq!(sum(&parse(&fs::read_to_string(&file).unwrap()), "claudewatch_replies_total", None), 2.0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
        // The node exporter runs as another user.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        env.run(&args).ok();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    }
    env.run(&["metrics", "--textfile", "/nowhere/x.prom"]).fails(3, &["cannot write /nowhere/x.prom"]);
}
