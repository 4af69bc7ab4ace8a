//! Copies of conversations that were resumed or forked.

use std::borrow::Cow;
use std::io;

use super::chance::uuid;
use super::client::Era;
use super::clock::{HOUR_MS, MINUTE_MS, SECOND_MS, stamp};
use super::generate::{Conversation, Generator};
use super::scribe::Teller;

impl Generator {
    /// Copies a conversation into a new file and goes on there, unless the history is over.
    pub(super) fn fork(&mut self, original: &Conversation) -> io::Result<()> {
        let rng = &mut self.scribe.rng;
        let clock = original.teller.clock + rng.i64(MINUTE_MS..20 * HOUR_MS);
        if clock >= self.end_ms - HOUR_MS || self.truth.bytes >= self.bytes {
            return Ok(());
        }
        let teller = Teller { session: uuid(rng), clock, ..original.teller.clone() };
        let mut conversation = self.open(teller, original.folder.clone())?;
        self.header(&mut conversation)?;
        let time = stamp(conversation.teller.clock).to_string();
        let (old, new) = (&original.teller.session, &conversation.teller.session);
        for (line, says) in original.main.copies.iter().flatten() {
            let copy = match original.teller.client.era {
                Era::Flat | Era::Inline => restamped(&line.replace(old, new), &time).into(),
                // The whole line is kept, old session id included.
                Era::Echoes => Cow::from(line),
                _ => line.replace(old, new).into(),
            };
            conversation.main.say(&copy, *says)?;
        }
        let turns = self.scribe.rng.u64(1..6);
        conversation.teller.clock += SECOND_MS;
        self.turns(&mut conversation, turns)?;
        self.close(&mut conversation)
    }
}

/// Gives a copied line the time of the copy and takes its request id, as clients up to 2.0.0 did.
fn restamped(line: &str, time: &str) -> String {
    const KEY: &str = r#""timestamp":""#;
    let mut pieces = line.split(KEY);
    let mut copy = pieces.next().unwrap_or("").to_owned();
    for piece in pieces {
        copy.extend([KEY, time, piece.get(time.len()..).unwrap_or("")]);
    }
    if let Some(start) = copy.find(r#""requestId":""#) {
        let end = copy[start..].find(r#"","#).map_or(copy.len(), |length| start + length + 2);
        copy.replace_range(start..end, "");
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restamped_copy_has_one_time_and_no_request() {
        let line = r#"{"requestId":"req_1","a":"\"timestamp\":\"x","timestamp":"2026-01-01T00:00:00.000Z"}"#;
        let copy = restamped(line, "2026-02-02T00:00:00.000Z");
        assert_eq!(copy, r#"{"a":"\"timestamp\":\"x","timestamp":"2026-02-02T00:00:00.000Z"}"#);
    }
}
