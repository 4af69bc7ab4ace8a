//! What status lines and hooks told, kept beside the transcripts: a board ends with the system's run, and neither of them may
//! open a store.

use session_analytics::LimitSource;
use session_coordinator::{Journal, NoticeBoard};
use session_store::{
    Batch, Change, Event, EventBackend, EventId, Fact, Ledger, LimitSample, Owner, Role, Selection, Stores,
    Timestamp,
};

use crate::accounts::Accounts;
use crate::clock::now;
use crate::config::Config;

/// Begins the ids of events that were made of samples; what follows is the sample's source.
const SAMPLE: &str = "sample:";
/// Resets that differ by less are those of one window.
const RESET_STEP_MS: i64 = 60_000;

/// Keeps the samples on a board in the stores of the conversations that told them. Doing so again changes nothing.
///
/// Where they cannot be written, the board has them still, and the next one who looks keeps them.
pub(crate) fn keep_samples(stores: &Stores, board: &NoticeBoard, accounts: &Accounts) {
    let samples = board.board().observed().unwrap_or_default();
    let own = samples.into_iter().filter(|sample| accounts.holds(&sample.account));
    let events = own.filter_map(|it| event(&it.source, it.at, it.sample));
    let batch = Batch { ledger: events.collect(), ..Batch::default() };
    if batch.ledger.is_empty() {
        return;
    }
    if let Err(error) = stores.commit(batch) {
        tracing::debug!(%error, "cannot keep the samples of limits");
    }
}

/// Keeps what hooks wrote into the journal in the stores of the conversations it is of. Doing so again changes nothing.
///
/// Where it cannot be written, the journal has it still.
pub(crate) fn keep_restraints(stores: &Stores, config: &Config) {
    let journal = Journal::of(&config.data_dir);
    let entries = journal.read(now());
    if entries.events.is_empty() {
        return;
    }
    // Within the hour most are kept already, and whoever writes makes the others look.
    let since = entries.events.iter().map(|event| event.at).min().unwrap_or(Timestamp::MIN);
    let kept = Selection { range: since..Timestamp::MAX, conversations: false, ..Selection::facts() };
    let kept = stores.events(&kept).unwrap_or_default();
    let news: Ledger = entries.events.iter().filter(|event| kept.get(&event.id).is_none()).cloned().collect();
    let written = match news.is_empty() {
        true => Ok(Change::Unchanged),
        false => stores.commit(Batch { ledger: news, ..Batch::default() }),
    };
    match written {
        // A store that is in memory, because the disk refuses, may be lost yet.
        Ok(_) if stores.trouble().is_none() => journal.forget(&entries),
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "cannot keep what hooks did"),
    }
}

/// Makes an event of a sample; `None` where no conversation told it, as with refusals, which transcripts tell themselves.
///
/// One value of one window, told by one conversation, is one event however often it was told, of the first time it was.
pub(crate) fn event(source: &str, at: Timestamp, sample: LimitSample) -> Option<Event> {
    let (_, conversation) = source.split_once(':')?;
    let id = sample_id(source, &sample)?;
    let owner = Owner { role: Role::Main, since: at, conversation: conversation.into(), agent: None };
    Some(Event { id, at, owner, fact: Fact::LimitSample(sample) })
}

/// Names the event of a sample; `None` where it tells no value.
fn sample_id(source: &str, told: &LimitSample) -> Option<EventId> {
    let end = told
        .resets_at
        .map_or(0, |reset| reset.as_millis().saturating_add(RESET_STEP_MS / 2).div_euclid(RESET_STEP_MS));
    let used = told.used_hundredths?;
    Some(EventId::new(format!("{SAMPLE}{source}:{}:{end}:{used}", told.window.name())))
}

/// Returns who told of an event that is a sample.
pub(crate) fn source_of(id: &EventId) -> LimitSource {
    let kept = id.as_str().strip_prefix(SAMPLE).and_then(LimitSource::from_name);
    kept.unwrap_or(LimitSource::Transcript)
}
