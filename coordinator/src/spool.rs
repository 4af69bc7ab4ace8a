//! Notices on their way to a board that another process holds.
//!
//! A file of its own for each post, written under another name first, so that nobody reads half of one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use session_store::{
    AgentId, BoardNotice, ConversationId, EventId, LimitWindow, NoticeSource, Owner, Role, Timestamp,
};

use crate::clock::uptime;
use crate::error::{Error, ErrorKind};
use crate::notice::Notice;
use crate::runtime::{RuntimeDir, has_ending, open_plain};

const FOLDER: &str = "spool";
const ENDING: &str = ".json";
/// More files than a handful mean that nobody can write the board for long.
const FILES_MAX: usize = 256;
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

/// One post that waits.
pub(crate) struct Waiting {
    pub(crate) notices: Vec<Notice>,
    path: PathBuf,
}

impl Spool {
    pub(crate) fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        Ok(Self { folder: runtime.subfolder(FOLDER)? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths().is_empty()
    }

    /// Returns the posts that wait, oldest first; what is not legible is passed over.
    pub(crate) fn list(&self) -> Vec<Waiting> {
        let read = |path: PathBuf| {
            let mut text = Vec::new();
            let file = open_plain(File::options().read(true), &path).ok()?;
            file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
            let texts: Vec<NoticeText> = serde_json::from_slice(&text).ok()?;
            Some(Waiting { notices: texts.into_iter().map(Notice::from).collect(), path })
        };
        self.paths().into_iter().filter_map(read).collect()
    }

    /// Keeps notices until somebody brings them to the board.
    pub(crate) fn put(&self, notices: &[Notice]) -> Result<(), Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if self.paths().len() >= FILES_MAX {
            return Err(Error::new(ErrorKind::Busy).at(&self.folder));
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // By its name a file is as old as the moment it was written, whatever the clock on the wall says.
        let name = format!("{:024}-{}-{count:06}", uptime().as_nanos(), std::process::id());
        let (begun, done) =
            (self.folder.join(format!("{name}.part")), self.folder.join(format!("{name}{ENDING}")));
        let texts: Vec<NoticeText> = notices.iter().map(NoticeText::from).collect();
        let text = serde_json::to_vec(&texts).map_err(std::io::Error::from)?;
        let written =
            open_plain(File::options().write(true).create_new(true), &begun).and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()?;
                Ok(fs::rename(&begun, &done)?)
            });
        written.map_err(|error| {
            let _ = fs::remove_file(&begun);
            error.at(&begun)
        })
    }

    pub(crate) fn remove(&self, waiting: &Waiting) {
        // One that stays is posted again, and known.
        let _ = fs::remove_file(&waiting.path);
    }

    fn paths(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let ours = names.filter(|name| has_ending(name, ENDING));
        let mut paths: Vec<PathBuf> = ours.map(|name| self.folder.join(name)).collect();
        paths.sort();
        paths
    }
}

/// A notice in a file of the spool.
#[derive(Serialize, Deserialize)]
struct NoticeText {
    dedup: String,
    kind: String,
    account: String,
    project: Option<String>,
    from: String,
    at: i64,
    window: Option<String>,
    resets_at: Option<i64>,
    text: String,
    source: Option<SourceText>,
}

/// The event that a notice was made of.
#[derive(Serialize, Deserialize)]
struct SourceText {
    event: String,
    is_main: bool,
    since: i64,
    conversation: String,
    agent: Option<String>,
}

impl From<&NoticeSource> for SourceText {
    fn from(NoticeSource { event, owner }: &NoticeSource) -> Self {
        Self {
            event: event.as_str().to_owned(),
            is_main: owner.role == Role::Main,
            since: owner.since.as_millis(),
            conversation: owner.conversation.as_str().to_owned(),
            agent: owner.agent.as_ref().map(|agent| agent.as_str().to_owned()),
        }
    }
}

impl From<SourceText> for NoticeSource {
    fn from(text: SourceText) -> Self {
        let owner = Owner {
            role: if text.is_main { Role::Main } else { Role::SubAgent },
            since: Timestamp::from_millis(text.since),
            conversation: ConversationId::new(text.conversation),
            agent: text.agent.map(AgentId::new),
        };
        Self { event: EventId::new(text.event), owner }
    }
}

impl From<&Notice> for NoticeText {
    fn from(notice: &Notice) -> Self {
        let row = notice.to_row();
        Self {
            dedup: row.dedup.to_string(),
            kind: row.kind.to_string(),
            account: row.account.to_string(),
            project: row.project.as_deref().map(str::to_owned),
            from: row.from.to_string(),
            at: row.at.as_millis(),
            window: row.window.as_ref().map(|window| window.name().to_owned()),
            resets_at: row.resets_at.map(Timestamp::as_millis),
            text: row.text.to_string(),
            source: row.source.as_deref().map(SourceText::from),
        }
    }
}

impl From<NoticeText> for Notice {
    fn from(text: NoticeText) -> Self {
        Self::from_row(BoardNotice {
            dedup: text.dedup.into(),
            kind: text.kind.into(),
            account: text.account.into(),
            project: text.project.map(Arc::from),
            from: text.from.into(),
            at: Timestamp::from_millis(text.at),
            window: text.window.as_deref().map(LimitWindow::from_name),
            resets_at: text.resets_at.map(Timestamp::from_millis),
            text: text.text.into(),
            source: text.source.map(|source| Box::new(source.into())),
        })
    }
}
