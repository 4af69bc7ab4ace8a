//! `<config>/sessions/<pid>.json`: what a Claude Code says of itself while it runs.
//!
//! The form is internal to Claude Code and grew with its versions: the first wrote four fields, 2.1.330 writes twenty. So
//! nothing but the process's number is demanded, and a field of another type than expected counts as missing. What was seen:
//!
//! ```json
//! {"pid":409825,"sessionId":"c3fb74ec-…","cwd":"/home/herb/app","startedAt":1778572448459,"procStart":"20095994",
//!  "version":"2.1.139","kind":"interactive","entrypoint":"cli","status":"busy","updatedAt":1778681861222,
//!  "pidDomain":"linux:<machine-id>:pid:[4026531836]"}
//! ```

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

/// The largest record that is read, in bytes; genuine ones have less than one KiB.
pub const RECORD_MAX: usize = 64 << 10;

/// The longest path that is kept, in bytes, and the longest of the other texts.
const PATH_MAX: usize = 4 << 10;
const TEXT_MAX: usize = 256;

/// What a Claude Code says of itself.
///
/// Written by another program: every text may hold anything, control characters too, but is at most 256 bytes long, a
/// folder 4 KiB. That the process still lives is not part of it; [`crate::claude::find`] checks that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The process, as numbered in its own namespace.
    pub pid: u32,
    /// The conversation it says it is in: letters, digits and hyphens, at most 64, so that it may stand in a file name.
    /// Versions before 2.1.330 may leave the former one here after `/clear`.
    pub conversation: Option<String>,
    /// The folder it works in.
    pub working_folder: Option<PathBuf>,
    /// When it began, by its own clock; milliseconds.
    pub started_at: Option<SystemTime>,
    /// When the system says it began, verbatim: on Linux field 22 of `/proc/<pid>/stat`, on macOS the text of `ctime`.
    pub process_start: Option<String>,
    /// Its version, `2.1.330`.
    pub version: Option<String>,
    /// `interactive` or `bg`.
    pub kind: Option<String>,
    /// What it was started by: `cli`, `sdk-cli`, `sdk-ts`, `claude-vscode`, ….
    pub entrypoint: Option<String>,
    /// What it does.
    pub status: Option<Status>,
    /// What it waits for, in its own words: `permission prompt`, `dialog open`, ….
    pub waiting_for: Option<String>,
    /// Since when it does what it does.
    pub status_since: Option<SystemTime>,
    /// When the record was last written.
    pub updated_at: Option<SystemTime>,
    /// The name shown for it.
    pub name: Option<String>,
    /// Where its number counts; `None` in versions that did not tell.
    pub(crate) domain: Option<PidDomain>,
}

/// What a Claude Code does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It works.
    Busy,
    /// It waits for a prompt.
    Idle,
    /// It waits for an answer; see [`Record::waiting_for`].
    Waiting,
    /// It runs a command that the user typed.
    Shell,
    /// A word that is not known here.
    Other(String),
}

impl Status {
    fn named(name: String) -> Self {
        match name.as_str() {
            "busy" => Self::Busy,
            "idle" => Self::Idle,
            "waiting" => Self::Waiting,
            "shell" => Self::Shell,
            _ => Self::Other(name),
        }
    }

    /// Returns the name: `busy`, `idle`, `waiting`, `shell`, or the word that was found.
    ///
    /// ```
    /// use session_detect::claude::Status;
    ///
    /// assert_eq!(Status::Busy.name(), "busy");
    /// ```
    pub fn name(&self) -> &str {
        match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Shell => "shell",
            Self::Other(name) => name,
        }
    }
}

/// Where a number of a process counts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PidDomain {
    /// `linux:<machine-id>:pid:[<inode>]`.
    Linux { machine: String, namespace: u64 },
    /// `darwin`, or a form that is not known here.
    Other(String),
}

impl PidDomain {
    fn parse(text: String) -> Self {
        let parts = text.strip_prefix("linux:").and_then(|rest| rest.split_once(":pid:["));
        let namespace = |inode: &str| inode.strip_suffix(']')?.parse().ok();
        match parts.and_then(|(machine, inode)| Some((machine.to_owned(), namespace(inode)?))) {
            Some((machine, namespace)) => Self::Linux { machine, namespace },
            None => Self::Other(text),
        }
    }
}

/// A machine's id is confidential, so it is not printed.
impl fmt::Debug for PidDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linux { namespace, .. } => write!(f, "pid:[{namespace}]"),
            Self::Other(_) => f.write_str("other"),
        }
    }
}

/// Why a file is not a record that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It has more than [`RECORD_MAX`] bytes.
    #[error("the record has more than {RECORD_MAX} bytes")]
    TooLarge,
    /// It is not a JSON object in UTF-8 that nests at most 128 deep.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// No process number is in it.
    #[error("the record names no process")]
    NoProcess,
    /// It is of another process than the file's name says.
    #[error("the record is of process {found}, which its file name does not say")]
    OtherProcess {
        /// The number in the record.
        found: u32,
    },
    /// A record of a former form, `pid-<n>.json`, without the process's start: nothing ever removes these.
    #[error("the record has a former form and no start of its process")]
    NoStart,
}

impl Record {
    /// Reads the record of process `pid`, the number in the file's name.
    ///
    /// Total: any bytes give a record or an error, in time and memory linear in their number.
    ///
    /// # Errors
    ///
    /// As the variants of [`RecordError`] say.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_detect::claude::{Record, RecordError, Status};
    ///
    /// let bytes = br#"{"pid":42,"sessionId":"c3fb74ec-40","procStart":20095994,"status":"busy","name":7}"#;
    /// let record = Record::parse(bytes, 42)?;
    /// assert_eq!(record.conversation.as_deref(), Some("c3fb74ec-40"));
    /// assert_eq!(record.process_start.as_deref(), Some("20095994"));
    /// assert_eq!((record.status, record.name), (Some(Status::Busy), None));
    ///
    /// assert_eq!(Record::parse(bytes, 43), Err(RecordError::OtherProcess { found: 42 }));
    /// # Ok::<(), RecordError>(())
    /// ```
    pub fn parse(bytes: &[u8], pid: u32) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_MAX {
            return Err(RecordError::TooLarge);
        }
        let fields: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| RecordError::NotAnObject)?;
        let found = fields.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        match found.ok_or(RecordError::NoProcess)? {
            found if found == pid => Ok(Self::of(pid, &fields)),
            found => Err(RecordError::OtherProcess { found }),
        }
    }

    /// Reads a record of the former form, `pid-<n>.json`, which not every version put its number into.
    pub(crate) fn parse_legacy(bytes: &[u8], pid: u32) -> Result<Self, RecordError> {
        let record = match Self::parse(bytes, pid) {
            Err(RecordError::NoProcess) => {
                serde_json::from_slice(bytes).map(|fields| Self::of(pid, &fields)).unwrap_or_default()
            }
            other => other?,
        };
        if record.process_start.is_some() { Ok(record) } else { Err(RecordError::NoStart) }
    }

    fn of(pid: u32, fields: &Map<String, Value>) -> Self {
        let either = |name: &str, former: &str| fields.get(name).or_else(|| fields.get(former));
        let text = |name: &str| fields.get(name).and_then(|value| short(value, TEXT_MAX));
        let time = |name: &str, former: &str| either(name, former).and_then(moment);
        Self {
            pid,
            conversation: either("sessionId", "session_id").and_then(conversation),
            working_folder: fields
                .get("cwd")
                .and_then(|value| short(value, PATH_MAX))
                .filter(|path| !path.contains('\0'))
                .map(PathBuf::from),
            started_at: time("startedAt", "started_at"),
            process_start: either("procStart", "proc_start").and_then(number_or_text),
            version: text("version"),
            kind: text("kind"),
            entrypoint: text("entrypoint"),
            status: text("status").map(Status::named),
            waiting_for: text("waitingFor"),
            status_since: time("statusUpdatedAt", "status_updated_at"),
            updated_at: time("updatedAt", "updated_at"),
            name: text("name"),
            domain: text("pidDomain").map(PidDomain::parse),
        }
    }
}

fn short(value: &Value, max: usize) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && text.len() <= max).map(str::to_owned)
}

/// A conversation's id becomes part of a path, so it must not be one itself.
fn conversation(value: &Value) -> Option<String> {
    short(value, 64).filter(|id| is_conversation(id))
}

pub(crate) fn is_conversation(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn number_or_text(value: &Value) -> Option<String> {
    value.as_u64().map(|number| number.to_string()).or_else(|| short(value, TEXT_MAX))
}

fn moment(value: &Value) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(value.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Record, RecordError> {
        Record::parse(text.as_bytes(), 7)
    }

    #[test]
    fn the_first_form_had_four_fields() {
        let record =
            parse(r#"{"pid":7,"sessionId":"a-1","cwd":"/w","startedAt":1778572448459}"#).expect("a record");
        let begun = SystemTime::UNIX_EPOCH + Duration::from_millis(1_778_572_448_459);
        assert_eq!(
            (record.started_at, record.working_folder, record.process_start),
            (Some(begun), Some(PathBuf::from("/w")), None)
        );
    }

    #[test]
    fn a_field_of_another_type_is_missing() {
        let odd = r#"{"pid":7,"sessionId":{"a":1},"cwd":["/w"],"startedAt":"soon","procStart":1.5,"version":null,
            "status":3,"pidDomain":[],"updatedAt":-1}"#;
        assert_eq!(parse(odd), Ok(Record { pid: 7, ..Record::default() }));
    }

    #[test]
    fn a_conversation_is_no_path() {
        for id in ["../../etc/passwd", "a/b", "", "a b", "a\0b", &"a".repeat(65)] {
            let text = serde_json::json!({ "pid": 7, "sessionId": id }).to_string();
            assert_eq!(parse(&text).expect("a record").conversation, None, "{id:?}");
        }
    }

    #[test]
    fn what_is_no_record() {
        let deep = format!("{{\"pid\":7,\"x\":{}}}", "[".repeat(20_000));
        for (text, wanted) in [
            ("", RecordError::NotAnObject),
            ("[7]", RecordError::NotAnObject),
            ("{\"pid\":7", RecordError::NotAnObject),
            (deep.as_str(), RecordError::NotAnObject),
            ("{}", RecordError::NoProcess),
            (r#"{"pid":"7"}"#, RecordError::NoProcess),
            (r#"{"pid":4294967303}"#, RecordError::NoProcess),
            (r#"{"pid":8}"#, RecordError::OtherProcess { found: 8 }),
        ] {
            assert_eq!(parse(text), Err(wanted), "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(Record::parse(b"{\"pid\":7,\"name\":\"\xff\"}", 7), Err(RecordError::NotAnObject));
        assert_eq!(parse(&" ".repeat(RECORD_MAX + 1)), Err(RecordError::TooLarge));
    }

    #[test]
    fn the_former_form_needs_a_start() {
        let legacy = |text: &str| Record::parse_legacy(text.as_bytes(), 7);
        assert_eq!(legacy(r#"{"pid":7,"session_id":"a-1"}"#), Err(RecordError::NoStart));
        assert_eq!(legacy("7"), Err(RecordError::NotAnObject));
        let found = legacy(r#"{"session_id":"a-1","procStart":"99"}"#).expect("a record");
        assert_eq!((found.pid, found.conversation.as_deref()), (7, Some("a-1")));
    }

    #[test]
    fn a_domain_is_read_and_its_machine_not_printed() {
        let record = parse(r#"{"pid":7,"pidDomain":"linux:0123abcd:pid:[4026531836]"}"#).expect("a record");
        let wanted = PidDomain::Linux { machine: "0123abcd".into(), namespace: 4_026_531_836 };
        assert_eq!(record.domain, Some(wanted));
        assert!(!format!("{record:?}").contains("0123abcd"));
        for odd in ["darwin", "linux:x:pid:[", "linux:pid:[1]", "linux:x:pid:[-1]"] {
            let parsed = PidDomain::parse(odd.to_owned());
            assert_eq!(parsed, PidDomain::Other(odd.to_owned()));
        }
    }
}
