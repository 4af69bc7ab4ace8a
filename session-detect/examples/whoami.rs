//! Prints which session this is, and why.

use session_detect::{Context, Facts, classify};

fn main() {
    let facts = Facts::capture();
    let session = classify(&facts);
    let context = Context::observed(&facts, &session);
    println!("{} ({}, {})", session.label(), session.kind, session.confidence.name());
    if let Some(key) = &session.key {
        println!("key: {key}");
    }
    println!("above: {}", context.process_tree.join(" < "));
    for evidence in &session.evidence {
        println!("{} = {}: {:?}", evidence.signal, evidence.value, evidence.verdict);
    }
    for warning in &session.warnings {
        println!("note: {warning}");
    }
}
