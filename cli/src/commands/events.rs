//! `claudewatch events`: the ledger as lines of JSON, out of one store and into another.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use session_store::exchange::{self, Lines, Refused};
use session_store::{Batch, Event, EventBackend, Ledger, Selection, Stores, Timestamp};

use super::report::range;
use crate::args::{EventsCommand, SpanArgs};
use crate::clock::now;
use crate::context::{Context, print};
use crate::coordination::tell_changed;
use crate::error::{CliError, exit, hint_for};
use crate::output::Output;
use crate::printable::{printable, printable_json, printable_line};
use crate::words::count;

/// Events in one transaction, and in memory at a time.
const BATCH: usize = 10_000;

pub(crate) fn run(context: &Context, command: &EventsCommand) -> Result<(), CliError> {
    match command {
        EventsCommand::Export { file, since, until } => {
            let span = SpanArgs { since: since.clone(), until: until.clone(), ..SpanArgs::default() };
            export(context, file, &span)
        }
        EventsCommand::Import { files } => import(context, files),
    }
}

/// Writes the facts, then the turns in the order of their ids, never more than a batch in memory.
fn export(context: &Context, file: &Path, span: &SpanArgs) -> Result<(), CliError> {
    let range = range(span, &context.config.zone)?;
    let store = context.archive()?.store;
    let mut out = Output::to(file)?;
    let facts = store.events(&Selection { range: range.clone(), ..Selection::facts() })?;
    write_events(&mut out, facts.iter())?;
    for ids in store.turn_ids()?.chunks(BATCH) {
        let turns = store.turns_of(ids)?;
        write_events(&mut out, turns.iter().filter(|event| range.contains(&event.at)))?;
    }
    out.finish()
}

fn write_events<'a>(out: &mut Output, mut events: impl Iterator<Item = &'a Event>) -> Result<(), CliError> {
    events.try_for_each(|event| out.text(&(printable_line(exchange::line(event)) + "\n")))
}

/// Joins lines into the store; needs neither transcripts nor a Claude Code on this host.
fn import(context: &Context, files: &[PathBuf]) -> Result<(), CliError> {
    let store = Stores::open(&context.config.data_dir, now());
    let horizon = store.archive().horizon()?;
    let mut import = Import { store, horizon, tally: Tally::default() };
    let before = import.count()?;
    for file in files {
        let cannot = |error| CliError::store(format!("cannot read {}", file.display())).because(error);
        if file == Path::new("-") {
            import.read(BufReader::new(io::stdin().lock()), "standard input").map_err(cannot)??;
        } else {
            let input = File::open(file).map_err(cannot)?;
            import.read(BufReader::new(input), &file.display().to_string()).map_err(cannot)??;
        }
    }
    let store = import.store.clone();
    store.settle()?;
    let added = import.count()?.saturating_sub(before);
    if let Some(trouble) = store.trouble() {
        // What is only in memory ends with this process.
        let failed = CliError::store(format!("the events were not kept: {trouble}"));
        return Err(match hint_for(trouble.kind()) {
            Some(hint) => failed.hinted(hint),
            None => failed,
        });
    }
    if added > 0 {
        tell_changed(&context.config);
    }
    print(&if context.config.json { import.tally.json(added) } else { import.tally.text(added) })?;
    if import.tally.events == 0 && !import.tally.refused.is_empty() {
        context.end_with(exit::NOTHING);
    }
    Ok(())
}

struct Import {
    store: Stores,
    /// What ended before it was deleted here, and stays away.
    horizon: Timestamp,
    tally: Tally,
}

/// What was read.
#[derive(Default)]
struct Tally {
    events: u64,
    refused: BTreeMap<Refused, u64>,
    /// Of a time whose records were deleted.
    pruned: u64,
    /// Where the first line stood that was passed over.
    first_refused: Option<(String, u64, Refused)>,
}

impl Import {
    /// Reads lines to their end: trouble of the input outside, of the store within.
    fn read(&mut self, input: impl BufRead, name: &str) -> io::Result<Result<(), CliError>> {
        let mut lines = Lines::new(input);
        let mut batch = Ledger::default();
        let mut number = 0;
        while let Some(line) = lines.next_line()? {
            number += 1;
            match line {
                Ok(event) => {
                    self.tally.events += 1;
                    if event.ended_before(self.horizon) {
                        self.tally.pruned += 1;
                    } else {
                        let _ = batch.apply(event);
                    }
                }
                Err(reason) => self.tally.refuse(name, number, reason),
            }
            if batch.len() >= BATCH
                && let Err(error) = self.commit(std::mem::take(&mut batch))
            {
                return Ok(Err(error));
            }
        }
        Ok(self.commit(batch))
    }

    fn commit(&self, ledger: Ledger) -> Result<(), CliError> {
        let _ = self.store.commit(Batch { ledger, checkpoints: Vec::new() })?;
        Ok(())
    }

    fn count(&self) -> Result<u64, CliError> {
        let facts = self.store.events(&Selection::facts())?.len();
        Ok((facts + self.store.turn_ids()?.len()) as u64)
    }
}

#[derive(Serialize)]
struct ImportOut<'a> {
    schema_version: u32,
    events: u64,
    added: u64,
    skipped: BTreeMap<&'a str, u64>,
}

impl Tally {
    fn refuse(&mut self, name: &str, number: u64, reason: Refused) {
        *self.refused.entry(reason).or_default() += 1;
        self.first_refused.get_or_insert_with(|| (name.to_owned(), number, reason));
    }

    fn json(&self, added: u64) -> String {
        let refused = self.refused.iter().map(|(reason, count)| (reason.name(), *count));
        let pruned = (self.pruned > 0).then_some(("pruned", self.pruned));
        let skipped = refused.chain(pruned).collect();
        let out = ImportOut { schema_version: 1, events: self.events, added, skipped };
        let text = printable_json(&out);
        format!("{text}\n")
    }

    fn text(&self, added: u64) -> String {
        let mut text = format!("{} events read, {added} of them new.\n", self.events);
        if self.pruned > 0 {
            let events = count(self.pruned, "event");
            text.push_str(&format!("Not taken in: {events} of a time that was pruned here.\n"));
        }
        if let Some((name, number, reason)) = &self.first_refused {
            let all: u64 = self.refused.values().sum();
            let reasons: Vec<String> =
                self.refused.iter().map(|(reason, count)| format!("{count} {}", words(*reason))).collect();
            text.push_str(&format!("{all} lines were passed over: {}.\n", reasons.join(", ")));
            text.push_str(&format!(
                "The first is line {number} of {} ({}).\n",
                printable(name),
                words(*reason)
            ));
        }
        text
    }
}

fn words(reason: Refused) -> &'static str {
    match reason {
        Refused::Damaged => "damaged or cut",
        Refused::Newer => "of a newer version",
        Refused::Absurd => "with impossible figures",
        _ => "too long",
    }
}
