//! Checkpoints in few bytes, each path as what sets it apart from the one before.

use std::collections::BTreeMap;

use super::Checkpoint;
use crate::id::{AgentId, ConversationId, SourceId, as_path};
use crate::packed::{read_number, read_signed, read_text, write_number, write_signed, write_text};
use crate::time::Timestamp;
use crate::transcript::{Position, ProblemKind, SourceKind, Stamp};

const TURN_OPEN: u64 = 1;
const HAS_SINCE: u64 = 2;
const IS_SUB_AGENT: u64 = 4;
const HAS_CONVERSATION: u64 = 8;
/// The conversation is that of the checkpoint before.
const SAME_CONVERSATION: u64 = 16;
const HAS_PROBLEMS: u64 = 32;

/// Writes checkpoints, each path as what sets it apart from the one before.
pub(crate) fn pack(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(checkpoints.len() * 96);
    let (mut path_before, mut conversation_before) = (&[][..], None);
    for Checkpoint { source, kind, stamp, position, fingerprint, problems } in checkpoints {
        let path = source.path().as_os_str().as_encoded_bytes();
        let shared = path.iter().zip(path_before).take_while(|(a, b)| a == b).count();
        write_number(&mut bytes, shared as u64);
        write_text(&mut bytes, &path[shared..]);
        path_before = path;

        let (conversation, agent) = match kind {
            SourceKind::Main { conversation } => (Some(conversation), None),
            SourceKind::SubAgent { conversation, agent } => (conversation.as_ref(), Some(agent)),
        };
        let is_same = conversation.is_some() && conversation == conversation_before;
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let flags = flag(position.turn_open, TURN_OPEN)
            | flag(position.since.is_some(), HAS_SINCE)
            | flag(agent.is_some(), IS_SUB_AGENT)
            | flag(conversation.is_some(), HAS_CONVERSATION)
            | flag(is_same, SAME_CONVERSATION)
            | flag(!problems.is_empty(), HAS_PROBLEMS);
        write_number(&mut bytes, flags);
        if let Some(conversation) = conversation.filter(|_| !is_same) {
            write_text(&mut bytes, conversation.as_str().as_bytes());
        }
        if let Some(agent) = agent {
            write_text(&mut bytes, agent.as_str().as_bytes());
        }
        conversation_before = conversation.or(conversation_before);

        for number in [stamp.file.0, stamp.file.1, stamp.size] {
            write_number(&mut bytes, number);
        }
        write_signed(&mut bytes, stamp.modified_ns);
        write_number(&mut bytes, position.offset);
        if let Some(since) = position.since {
            write_signed(&mut bytes, since.as_millis());
        }
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        if let Some(problems) = problems_text(problems) {
            write_text(&mut bytes, problems.as_bytes());
        }
    }
    bytes
}

/// A checkpoint on the shelf, but for its path.
pub(super) struct Kept<'b> {
    conversation: Option<&'b str>,
    agent: Option<&'b str>,
    pub(super) stamp: Stamp,
    position: Position,
    fingerprint: u64,
    pub(super) problems: Option<&'b str>,
}

impl Kept<'_> {
    /// Makes the checkpoint; `conversation` is its conversation where that is at hand, because many may share one.
    pub(super) fn checkpoint(&self, path: &[u8], conversation: Option<ConversationId>) -> Checkpoint {
        let conversation = conversation.or_else(|| self.conversation.map(ConversationId::from));
        Checkpoint {
            source: SourceId::again(&as_path(path)),
            kind: kind(conversation, self.agent.map(AgentId::from)),
            stamp: self.stamp,
            position: self.position,
            fingerprint: self.fingerprint,
            problems: self.problems.map(problems).unwrap_or_default(),
        }
    }
}

/// Reads checkpoints back; `None` where they are damaged.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Vec<Checkpoint>> {
    let mut checkpoints = Vec::new();
    let mut before: Option<(&str, ConversationId)> = None;
    walk(bytes, |path, kept| {
        let known = before.take().filter(|(text, _)| kept.conversation == Some(text));
        let conversation = known.or_else(|| kept.conversation.map(|text| (text, ConversationId::from(text))));
        checkpoints.push(kept.checkpoint(path, conversation.as_ref().map(|(_, id)| id.clone())));
        before = conversation;
        Some(())
    })?;
    Some(checkpoints)
}

/// Goes over the shelf; `None` where it is damaged, or `each` returns it.
pub(super) fn walk<'b>(
    mut bytes: &'b [u8],
    mut each: impl FnMut(&[u8], Kept<'b>) -> Option<()>,
) -> Option<()> {
    let bytes = &mut bytes;
    let mut path = Vec::new();
    let mut conversation_before = None;
    while !bytes.is_empty() {
        let shared = usize::try_from(read_number(bytes)?).ok()?;
        if shared > path.len() {
            return None;
        }
        path.truncate(shared);
        path.extend_from_slice(read_text(bytes)?);

        let flags = read_number(bytes)?;
        let has = |flag: u64| flags & flag != 0;
        let conversation = match (has(HAS_CONVERSATION), has(SAME_CONVERSATION)) {
            (false, _) => None,
            (true, true) => Some(conversation_before?),
            (true, false) => Some(str::from_utf8(read_text(bytes)?).ok()?),
        };
        let agent = match has(IS_SUB_AGENT) {
            true => Some(str::from_utf8(read_text(bytes)?).ok()?),
            false => None,
        };
        conversation_before = conversation.or(conversation_before);

        let file = (read_number(bytes)?, read_number(bytes)?);
        let stamp = Stamp { file, size: read_number(bytes)?, modified_ns: read_signed(bytes)? };
        let offset = read_number(bytes)?;
        let since = match has(HAS_SINCE) {
            true => Some(Timestamp::from_millis(read_signed(bytes)?)),
            false => None,
        };
        let (fingerprint, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let problems = match has(HAS_PROBLEMS) {
            true => Some(str::from_utf8(read_text(bytes)?).ok()?),
            false => None,
        };
        let position = Position { offset, since, turn_open: has(TURN_OPEN) };
        let fingerprint = u64::from_le_bytes(*fingerprint);
        each(&path, Kept { conversation, agent, stamp, position, fingerprint, problems })?;
    }
    Some(())
}

/// Merges two lists in the order of their paths; where both know a source the newer one counts.
pub(crate) fn merged(mut older: Vec<Checkpoint>, newer: Vec<Checkpoint>) -> Vec<Checkpoint> {
    // Nearly always the newer ones are of sources that were known: then thousands of others stay where they are.
    let replace = |new: Checkpoint| match older.binary_search_by(|known| known.source.cmp(&new.source)) {
        Ok(place) => {
            older[place] = new;
            None
        }
        Err(_) => Some(new),
    };
    let added: Vec<Checkpoint> = newer.into_iter().filter_map(replace).collect();
    if added.is_empty() {
        return older;
    }
    let mut all = Vec::with_capacity(older.len() + added.len());
    let mut added = added.into_iter().peekable();
    for known in older {
        while let Some(new) = added.next_if(|new| new.source < known.source) {
            all.push(new);
        }
        all.push(known);
    }
    all.extend(added);
    all
}

/// Returns whose transcript it is, by the columns of a row.
pub(crate) fn kind(conversation: Option<ConversationId>, agent: Option<AgentId>) -> SourceKind {
    match agent {
        Some(agent) => SourceKind::SubAgent { conversation, agent },
        None => {
            SourceKind::Main { conversation: conversation.unwrap_or_else(|| ConversationId::from("unknown")) }
        }
    }
}

/// Writes problems as a text; `None` where there are none.
pub(crate) fn problems_text(problems: &BTreeMap<ProblemKind, u64>) -> Option<String> {
    let parts: Vec<String> =
        problems.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// Reads problems back from their text; what only a newer version knows is left out.
pub(crate) fn problems(text: &str) -> BTreeMap<ProblemKind, u64> {
    text.split(',')
        .filter_map(|part| {
            let (name, count) = part.split_once(' ')?;
            Some((ProblemKind::from_name(name)?, count.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_is_total(bytes in any::<Vec<u8>>()) {
            let _ = unpack(&bytes);
        }
    }
}
