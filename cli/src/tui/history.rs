//! How many tokens each conversation used of late, slot by slot, for the little curves.

use std::collections::{BTreeMap, VecDeque};

use session_analytics::Live;
use session_store::{ConversationId, Timestamp};

/// The number of slots of a curve.
pub(crate) const SLOTS: usize = 10;
/// The length of a slot, in milliseconds.
const SLOT_MS: i64 = 30_000;

/// What the states seen so far tell of the last minutes.
///
/// A conversation's first state is where its curve begins, since nobody knows how its tokens came to be.
#[derive(Debug, Default)]
pub(crate) struct History {
    tracks: BTreeMap<ConversationId, Track>,
}

#[derive(Debug)]
struct Track {
    total: u64,
    /// Slots with use, the oldest first: number since 1970, and tokens.
    slots: VecDeque<(i64, u64)>,
}

impl History {
    /// Takes in a state; conversations it does not know are forgotten.
    pub(crate) fn record(&mut self, live: &Live) {
        let slot = slot_of(live.at);
        let mut old = std::mem::take(&mut self.tracks);
        for conversation in &live.conversations {
            let total = conversation.usage().total();
            let track = match old.remove_entry(&conversation.id) {
                Some((id, mut track)) => {
                    track.add(slot, total);
                    (id, track)
                }
                None => (conversation.id.clone(), Track { total, slots: VecDeque::new() }),
            };
            self.tracks.insert(track.0, track.1);
        }
    }

    /// Returns the tokens of the last slots, the running one last.
    pub(crate) fn curve(&self, id: &ConversationId, now: Timestamp) -> [u64; SLOTS] {
        let mut curve = [0; SLOTS];
        let first = slot_of(now) - (SLOTS as i64 - 1);
        for (slot, tokens) in self.tracks.get(id).iter().flat_map(|track| &track.slots) {
            // A clock set back may have put slots into the future, which no place of the curve stands for.
            let place = usize::try_from(slot.saturating_sub(first)).ok();
            if let Some(at) = place.and_then(|place| curve.get_mut(place)) {
                *at = *tokens;
            }
        }
        curve
    }

    /// Returns the greatest slot of all conversations, to which all curves are drawn.
    pub(crate) fn peak(&self, now: Timestamp) -> u64 {
        let first = slot_of(now) - (SLOTS as i64 - 1);
        let slots = self.tracks.values().flat_map(|track| &track.slots);
        slots.filter(|(slot, _)| *slot >= first).map(|(_, tokens)| *tokens).max().unwrap_or_default()
    }
}

impl Track {
    fn add(&mut self, slot: i64, total: u64) {
        let tokens = total.saturating_sub(self.total);
        self.total = total;
        if tokens == 0 {
            return;
        }
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= slot => *sum = sum.saturating_add(tokens),
            _ => self.slots.push_back((slot, tokens)),
        }
        if self.slots.len() > SLOTS {
            self.slots.pop_front();
        }
    }
}

fn slot_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(SLOT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture;

    #[test]
    fn a_curve_moves_on_with_time() {
        let mut live = fixture::live();
        let id = live.conversations[0].id.clone();
        let mut history = History::default();
        history.record(&live);
        assert_eq!(history.curve(&id, live.at), [0; SLOTS]);

        live.conversations[0].totals.sum.usage.output += 700;
        history.record(&live);
        assert_eq!(history.curve(&id, live.at)[SLOTS - 1], 700);
        assert_eq!(history.peak(live.at), 700);

        let later = live.at.after(std::time::Duration::from_secs(60));
        assert_eq!(history.curve(&id, later)[SLOTS - 3], 700);
        let much_later = live.at.after(std::time::Duration::from_secs(3600));
        assert_eq!(history.curve(&id, much_later), [0; SLOTS]);
        assert_eq!(history.peak(much_later), 0);
        assert_eq!(history.curve(&id, Timestamp::MIN), [0; SLOTS]);
    }
}
