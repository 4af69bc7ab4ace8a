//! The limit hits behind a figure, with the line that told of each first.

use serde::Serialize;
use session_analytics::Hit;
use session_store::{Event, Fact, Ledger};

use super::Records;
use crate::printable::printable;
use crate::words;

/// A hit, and path and place of its line where that still exists.
pub(super) type Told = (Hit, Option<(String, u64)>);

/// Returns the events that told of hits first.
pub(super) fn events_of<'a>(hits: &'a [Hit], facts: &'a Ledger) -> impl Iterator<Item = Event> + 'a {
    facts.iter().filter(|event| hits.iter().any(|hit| is_of(event, hit))).cloned()
}

/// Finds the line of each hit.
pub(super) fn told(hits: Vec<Hit>, records: &Records) -> Vec<Told> {
    let line = |hit: &Hit| {
        let record = records.values().flatten().find(|record| is_of(&record.found.event, hit))?;
        Some((record.source.display().to_string(), record.found.line_at))
    };
    hits.into_iter().map(|hit| (hit.clone(), line(&hit))).collect()
}

fn is_of(event: &Event, hit: &Hit) -> bool {
    let is_hit = matches!(&event.fact, Fact::LimitHit(it) if it.window == hit.window);
    is_hit && event.at == hit.at && event.owner.conversation == hit.conversation
}

/// Lists hits for people, the newest first.
pub(super) fn text(hits: &[Told], listed_max: usize) -> String {
    if hits.is_empty() {
        return String::new();
    }
    let mut out = format!("{}, the newest first:\n", words::count(hits.len() as u64, "limit hit"));
    for (hit, line) in hits.iter().rev().take(listed_max) {
        let reset = hit.resets_at.map(|at| format!(", reset {at}")).unwrap_or_default();
        let (name, conversation) = (words::limit_name(&hit.window), printable(hit.conversation.as_str()));
        out.push_str(&format!("    {} {name} in {conversation}{reset}\n", hit.at));
        match line {
            Some((path, at)) => out.push_str(&format!("        {} at byte {at}\n", printable(path))),
            None => out.push_str("        in the archive alone: Claude Code deleted its line\n"),
        }
    }
    if let Some(more) = hits.len().checked_sub(listed_max).filter(|more| *more > 0) {
        out.push_str(&format!("    … and {more} more; --json lists all\n"));
    }
    out
}

#[derive(Serialize)]
pub(super) struct HitOut<'a> {
    at: String,
    window: &'a str,
    resets_at: Option<String>,
    conversation_id: &'a str,
    transcript: Option<&'a str>,
    line_at: Option<u64>,
}

impl<'a> HitOut<'a> {
    pub(super) fn of((hit, line): &'a Told) -> Self {
        Self {
            at: hit.at.to_string(),
            window: hit.window.name(),
            resets_at: hit.resets_at.map(|at| at.to_string()),
            conversation_id: hit.conversation.as_str(),
            transcript: line.as_ref().map(|(path, _)| path.as_str()),
            line_at: line.as_ref().map(|(_, at)| *at),
        }
    }
}
