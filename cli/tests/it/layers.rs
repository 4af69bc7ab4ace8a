//! The arrows between the crates: what may import what.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each package, and which of ours it may depend on. A new arrow is a design decision: see `ARCHITECTURE.md`.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("session-detect", &[]),
    ("session-store", &[]),
    ("session-coordinator", &["session-store", "session-detect"]),
    ("session-analytics", &["session-store"]),
    ("claudewatch", &["session-coordinator", "session-analytics", "session-store", "session-detect"]),
    (
        "claudewatch-benches",
        &["session-coordinator", "session-analytics", "session-store", "session-detect", "claudewatch"],
    ),
];

/// What the libraries may not bring to those who embed them.
const KEPT_OUT: [(&str, &[&str]); 3] = [
    ("session-detect", &["rusqlite", "clap", "notify", "jiff"]),
    ("session-store", &["notify", "clap", "ratatui"]),
    ("session-analytics", &["rusqlite", "notify", "nix", "clap", "ratatui"]),
];

/// Direct dependencies by package, those for development left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let names = package["dependencies"].as_array().expect("dependencies");
            let used = names.iter().filter(|it| it["kind"] != "dev");
            let name = package["name"].as_str().expect("a name").to_owned();
            (name, used.map(|it| it["name"].as_str().expect("a name").to_owned()).collect())
        })
        .collect()
}

#[test]
fn arrows_are_those_of_the_table() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(found, ours, "every package of the workspace has a row in the table");
    for (name, allowed) in ALLOWED {
        for used in dependencies[name].iter().filter(|used| ours.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} must not import {used}");
        }
    }
}

#[test]
fn libraries_stay_light() {
    let dependencies = dependencies();
    for (name, kept_out) in KEPT_OUT {
        for used in kept_out {
            assert!(!dependencies[name].contains(*used), "{name} must not bring {used}");
        }
    }
}

/// Strangers add this crate first; on Linux it brings at most nineteen others.
#[test]
fn session_detect_brings_few_packages() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "session-detect",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let packages: BTreeSet<String> = text.lines().map(name).filter(|name| !name.is_empty()).collect();
    assert!(packages.contains("serde_json") && packages.len() <= 20, "{packages:?}");
}
