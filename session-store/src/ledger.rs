//! A set of events under join.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::event::{Event, Fact, Ownership, Turn};
use crate::id::{ConversationId, EventId};
use crate::join::{Change, Join};
use crate::time::Timestamp;

/// A set of events, at most one for each id, in the order of their ids.
///
/// Ledgers are values: read two transcripts in any order, any number of times, and the ledgers are equal.
///
/// ```
/// use session_store::{Event, Fact, Ledger, Owner, Role, Timestamp, Turn, Usage};
///
/// let line = |output| Event {
///     id: "msg_1".into(),
///     at: Timestamp::from_seconds(1_795_367_381),
///     owner: Owner { role: Role::Main, since: Timestamp::from_seconds(0), conversation: "c".into(), agent: None },
///     fact: Fact::Turn(Turn {
///         usage: Usage { input: 3, output, ..Usage::default() },
///         model: "claude-opus-5-5".into(),
///         tariff: Default::default(),
///         under_reported: false,
///     }),
/// };
/// let mut ledger = Ledger::default();
/// ledger.apply(line(1));  // The placeholder that Claude Code writes first,
/// ledger.apply(line(57)); // the line with the bill,
/// ledger.apply(line(57)); // and a copy of it in a resumed conversation.
/// assert_eq!(ledger.turns().map(|(_, turn)| turn.usage).sum::<Usage>().output, 57);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    events: BTreeMap<EventId, Event>,
}

impl Ledger {
    /// Joins one event into the ledger.
    pub fn apply(&mut self, event: Event) -> Change {
        match self.events.entry(event.id.clone()) {
            Entry::Vacant(place) => {
                place.insert(event);
                Change::Grew
            }
            Entry::Occupied(mut place) => place.get_mut().join(event),
        }
    }

    /// Returns the event with this id.
    pub fn get(&self, id: &EventId) -> Option<&Event> {
        self.events.get(id)
    }

    /// Returns the events in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Event> {
        self.events.values()
    }

    /// Returns the turns with their events, in the order of their ids.
    pub fn turns(&self) -> impl Iterator<Item = (&Event, &Turn)> {
        self.iter().filter_map(|event| match &event.fact {
            Fact::Turn(turn) => Some((event, turn)),
            _ => None,
        })
    }

    /// Returns the session that ran a conversation at a moment: of those that had begun by then, the latest to begin, else
    /// the first of all. `None` where no session is known.
    ///
    /// ```
    /// use session_store::{Ledger, Ownership, Timestamp};
    /// let at = Timestamp::from_seconds;
    /// let ran = |session, from, until| Ownership::event(&"c".into(), session, at(from), at(until));
    /// let ledger: Ledger = [ran("s-pts=1", 10, 20), ran("s-pts=2", 30, 40)].into_iter().collect();
    /// assert_eq!(ledger.session_of(&"c".into(), at(25)), Some("s-pts=1"));
    /// assert_eq!(ledger.session_of(&"c".into(), at(30)), Some("s-pts=2"));
    /// ```
    pub fn session_of(&self, conversation: &ConversationId, at: Timestamp) -> Option<&str> {
        let ran = self.iter().filter_map(|event| match &event.fact {
            Fact::Ownership(told) if event.owner.conversation == *conversation => Some((event.at, told)),
            _ => None,
        });
        let rank = |(from, told): &(Timestamp, &Ownership)| {
            // Begun ones by how late they began, then those to come by how soon they do.
            let begun = *from <= at;
            (begun, if begun { from.as_millis() } else { from.as_millis().saturating_neg() }, told.until)
        };
        ran.max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.1.session.cmp(&a.1.session)))
            .map(|(_, told)| &*told.session)
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Join for Ledger {
    fn join(&mut self, other: Self) -> Change {
        other.events.into_values().fold(Change::Unchanged, |change, event| change.or(self.apply(event)))
    }
}

impl Extend<Event> for Ledger {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        for event in events {
            let _ = self.apply(event);
        }
    }
}

impl FromIterator<Event> for Ledger {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut events: Vec<Event> = events.into_iter().collect();
        if events.is_sorted_by(|one, next| one.id < next.id) {
            let events = events.into_iter().map(|event| (event.id.clone(), event)).collect();
            return Self { events };
        }
        // In order, each is joined beside the one before it. Texts that lie all over the memory are slow to sort, so
        // numbers are: nearly all ids differ within their first bytes, and the others find their places anyway.
        events.sort_by_cached_key(|event| first_bytes(&event.id));
        let mut ledger = Self::default();
        ledger.extend(events);
        ledger
    }
}

/// Returns the beginning of an id as a number in the same order.
fn first_bytes(id: &EventId) -> u128 {
    let mut first = [0; 16];
    let bytes = id.as_str().as_bytes();
    let length = bytes.len().min(first.len());
    first[..length].copy_from_slice(&bytes[..length]);
    u128::from_be_bytes(first)
}

impl IntoIterator for Ledger {
    type Item = Event;
    type IntoIter = std::collections::btree_map::IntoValues<EventId, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_values()
    }
}
