//! Claims: which process runs which conversation, told by the conversation's own hooks.
//!
//! One small file for each conversation, beside the board and not on it, so that a session is registered also while another
//! process holds the board. The file's time is that of the conversation's last sign of life.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use session_detect::{IsolationKey, Liveness, ProcessId};

use crate::account::AccountId;
use crate::brake::{self, Strain};
use crate::error::Error;
use crate::runtime::{RuntimeDir, has_ending, open_plain};

pub(crate) const FOLDER: &str = "claims";
const ENDING: &str = ".json";
const BRAKE: &str = ".brake";
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Who runs a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The conversation.
    pub conversation: String,
    /// The session it runs in.
    pub key: IsolationKey,
    /// The process that runs it; `None` where its identity may not be seen.
    pub process: Option<ProcessId>,
    /// The account it draws on.
    pub account: AccountId,
    /// The folder it works in; others wrote it.
    pub folder: PathBuf,
    /// The model, where it was told; others wrote it.
    pub model: Option<String>,
    /// Whether it said that it ends. The claim stays, because the last lines are read later.
    pub ended: bool,
}

/// The claims of one runtime folder.
#[derive(Clone, Debug)]
pub struct Claims {
    folder: PathBuf,
}

impl Claims {
    /// Opens the claims of a runtime folder, making their folder where it is missing.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or must not be trusted.
    pub fn open(runtime: &RuntimeDir) -> Result<Self, Error> {
        Ok(Self { folder: runtime.subfolder(FOLDER)? })
    }

    /// Writes a claim over what was said of the conversation before. Costs some ten microseconds.
    ///
    /// # Errors
    ///
    /// It cannot be written, or the conversation's name is none: letters, digits and hyphens, 64 at most.
    pub fn put(&self, claim: &Claim) -> Result<(), Error> {
        let path = self.path(&claim.conversation, ENDING)?;
        let begun = path.with_extension(format!("{}.part", std::process::id()));
        let text = serde_json::to_vec(&ClaimText::from(claim)).map_err(std::io::Error::from)?;
        let written = open_plain(File::options().write(true).create(true).truncate(true), &begun).and_then(
            |mut file| {
                file.write_all(&text)?;
                Ok(fs::rename(&begun, &path)?)
            },
        );
        written.map_err(|error| {
            let _ = fs::remove_file(&begun);
            error.at(&begun)
        })
    }

    /// Returns who runs a conversation; `None` where nobody said so, or not legibly.
    pub fn get(&self, conversation: &str) -> Option<Claim> {
        self.read(&self.path(conversation, ENDING).ok()?).filter(|it| it.conversation == conversation)
    }

    /// Notes a sign of life of a conversation that is claimed.
    ///
    /// # Errors
    ///
    /// There is no claim, or its time cannot be set.
    pub fn touch(&self, conversation: &str, at: SystemTime) -> Result<(), Error> {
        let file = open_plain(File::options().write(true), &self.path(conversation, ENDING)?)?;
        Ok(file.set_modified(at)?)
    }

    /// Takes a claim back; that there is none is no error.
    pub fn remove(&self, conversation: &str) {
        for ending in [ENDING, BRAKE] {
            if let Ok(path) = self.path(conversation, ending) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Returns all claims with the last sign of life of each, in the order of the conversations.
    pub fn list(&self) -> Vec<(Claim, SystemTime)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let paths = names.filter(|name| has_ending(name, ENDING)).map(|name| self.folder.join(name));
        let mut claims: Vec<_> = paths
            .filter_map(|path| {
                let at = fs::symlink_metadata(&path).and_then(|it| it.modified()).ok()?;
                Some((self.read(&path)?, at))
            })
            .collect();
        claims.sort_by(|(one, _), (other, _)| one.conversation.cmp(&other.conversation));
        claims
    }

    /// Removes the claims whose last sign of life is so long ago, unless their process is seen to live.
    pub fn sweep(&self, keep: Duration) {
        for (claim, at) in self.list() {
            let lives = claim.process.is_some_and(|process| process.liveness() == Liveness::Alive);
            if !lives && at.elapsed().is_ok_and(|age| age > keep) {
                self.remove(&claim.conversation);
            }
        }
    }

    /// Returns what a conversation's calls were made to bear of late.
    pub fn strains(&self, conversation: &str) -> Vec<Strain> {
        let bytes = self.path(conversation, BRAKE).ok().and_then(|path| read(&path));
        bytes.map(|bytes| brake::parse(&bytes)).unwrap_or_default()
    }

    /// Notes what a conversation's call is made to bear.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn strain(&self, conversation: &str, strain: Strain) -> Result<(), Error> {
        let path = self.path(conversation, BRAKE)?;
        let mut file = open_plain(File::options().append(true).create(true), &path)?;
        if file.metadata()?.len() > FILE_BYTES_MAX / 2 {
            file.set_len(0)?;
        }
        // One write, so that calls at the same instant do not mix.
        Ok(file.write_all(strain.to_string().as_bytes())?)
    }

    fn read(&self, path: &std::path::Path) -> Option<Claim> {
        serde_json::from_slice::<ClaimText>(&read(path)?).ok()?.into_claim()
    }

    fn path(&self, conversation: &str, ending: &str) -> Result<PathBuf, Error> {
        let is_name = (1..=64).contains(&conversation.len())
            && conversation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name {
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput).into());
        }
        Ok(self.folder.join(format!("{conversation}{ending}")))
    }
}

impl Claim {
    /// Returns whether the process may still run the conversation.
    pub fn is_good(&self) -> bool {
        self.process.is_none_or(|process| process.liveness() != Liveness::Ended)
    }
}

fn read(path: &std::path::Path) -> Option<Vec<u8>> {
    let file = open_plain(File::options().read(true), path).ok()?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A claim in its file.
#[derive(Serialize, Deserialize)]
struct ClaimText {
    conversation: String,
    key: String,
    process: Option<String>,
    account: String,
    folder: PathBuf,
    model: Option<String>,
    #[serde(default)]
    ended: bool,
}

impl From<&Claim> for ClaimText {
    fn from(claim: &Claim) -> Self {
        Self {
            conversation: claim.conversation.clone(),
            key: claim.key.to_string(),
            process: claim.process.map(|it| it.to_string()),
            account: claim.account.to_string(),
            folder: claim.folder.clone(),
            model: claim.model.clone(),
            ended: claim.ended,
        }
    }
}

impl ClaimText {
    fn into_claim(self) -> Option<Claim> {
        let process = self.process.map(|tag| ProcessId::parse_tag(&tag)).transpose().ok()?;
        Some(Claim {
            key: self.key.parse().ok()?,
            process,
            account: AccountId::new(self.account),
            conversation: self.conversation,
            folder: self.folder,
            model: self.model,
            ended: self.ended,
        })
    }
}
