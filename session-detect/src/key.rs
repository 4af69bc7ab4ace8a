//! The isolation key: a session's name, its grammar and its forms.
//!
//! ```text
//! key     = display "~" tag
//! display = place ":" link ":" user ":" host ":" pid
//! place   = seg *( "/" seg )
//! link    = 1*16( a-z / 0-9 / "_" / "-" )
//! seg     = 1*( A-Z / a-z / 0-9 / "." / "_" / "-" / "%" 2( 0-9 / A-F ) )
//! pid     = decimal without leading zeros, at most 4294967295
//! tag     = version "." boot "." domain "." pid "." start
//! boot    = 32 lower-case hexadecimal digits
//! domain  = start = lower-case hexadecimal without leading zeros, at most 16 digits
//! ```
//!
//! Every value has one text: the parser refuses whatever [`std::fmt::Display`] would not print.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kind::Kind;
use crate::process::{ProcessId, TagError};

/// The longest text of a key, in bytes; the parser refuses more.
pub const KEY_MAX: usize = 512;

/// What a file name keeps of the readable part, in bytes.
const FILE_DISPLAY_MAX: usize = 140;
/// What the parts keep of hostile names, in bytes before escaping; the tag identifies, so a cut does no harm.
const PLACE_MAX: usize = 24;
const USER_MAX: usize = 40;
const HOST_MAX: usize = 64;
const LINK_MAX: usize = 16;

/// A session's identity, `pts/1:local:herb:workstation:12345~1.5f0c….effffffc.12345.86c30`.
///
/// The part before `~` is for people and names the place, the link, the user, the host and the process that leads the
/// session; the tag after it is the identity. Two keys are equal when their tags are, whatever the rest says.
///
/// # Contract
///
/// **Two sessions never share a key**, on one machine or on several, at one time or in turn: the tag holds the boot's
/// random id, the process-id namespace, the process id and the clock tick at which the process began. The one exception is
/// a virtual machine that was cloned while it ran.
///
/// **One session keeps its key** as long as it lives: detaching, reattaching, roaming, another host name, `cd`, `sudo`,
/// another locale or clock change nothing. In named cases one session has two keys, never the other way round: seen
/// from inside and outside a process namespace that shares the terminal, or through a time namespace, or inside
/// `systemd-nspawn` where a unit sees the host's boot id.
///
/// # Examples
///
/// ```
/// use session_detect::IsolationKey;
///
/// let text = "pts/1:local:herb:workstation:12345~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12345.86c30";
/// let key: IsolationKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// assert_eq!(key.session_id(), "pts/1:local:herb:workstation:12345");
/// assert_eq!(key.short(), "pts/1:local:herb:workstation");
/// assert_eq!((key.link(), key.user().as_str(), key.pid()), ("local", "herb", 12345));
/// # Ok::<(), session_detect::ParseKeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IsolationKey {
    text: Box<str>,
    /// Where the four colons and the tilde stand.
    marks: [u16; 5],
    tag: ProcessId,
}

impl IsolationKey {
    /// Makes the key of the session that `leader` leads.
    ///
    /// `place` is cut to 24 bytes, `user` to 40, `host` to 64 and `link` to 16; bytes outside the alphabet are written
    /// `%XX` (in `link`: `_`), and an empty part becomes `?`. Nothing of this changes the identity. Takes well under a
    /// microsecond.
    pub fn new(place: &[u8], link: &str, user: &[u8], host: &[u8], leader: ProcessId) -> Self {
        let mut text = String::with_capacity(128);
        let mut marks = [0; 5];
        push_place(&mut text, cut(place, PLACE_MAX));
        mark(&mut text, &mut marks[0], ':');
        push_link(&mut text, link);
        mark(&mut text, &mut marks[1], ':');
        push_segment(&mut text, cut(user, USER_MAX));
        mark(&mut text, &mut marks[2], ':');
        push_segment(&mut text, cut(host, HOST_MAX));
        mark(&mut text, &mut marks[3], ':');
        push_decimal(&mut text, leader.pid());
        mark(&mut text, &mut marks[4], '~');
        leader.push_tag(&mut text);
        Self { text: text.into_boxed_str(), marks, tag: leader }
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the five parts for people, `pts/1:local:herb:workstation:12345`.
    pub fn session_id(&self) -> &str {
        &self.text[..self.at(4)]
    }

    /// Returns the first four parts, `pts/1:local:herb:workstation`; several sessions may share them.
    pub fn short(&self) -> &str {
        &self.text[..self.at(3)]
    }

    /// Returns `herb@workstation:pts/1:12345`, as people say it.
    pub fn label(&self) -> String {
        let (user, host) = (self.part(1, 2), self.part(2, 3));
        format!("{user}@{host}:{}:{}", self.place(), self.tag.pid())
    }

    /// Returns the place as it is written, such as `pts/1`, `vscode` or `notty`.
    pub fn place(&self) -> &str {
        &self.text[..self.at(0)]
    }

    /// Returns the link, such as `local`, `ssh_client` or `docker`.
    pub fn link(&self) -> &str {
        self.part(0, 1)
    }

    /// Returns the sort of session, which place and link tell.
    ///
    /// ```
    /// use session_detect::{IsolationKey, Kind};
    ///
    /// let tag = "1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12.86c30";
    /// let kind = |display: &str| format!("{display}:ada:host:12~{tag}").parse().map(|key: IsolationKey| key.kind());
    /// assert_eq!(kind("pts/1:mosh")?, Kind::Ssh);
    /// assert_eq!(kind("vscode:ssh_client")?, Kind::VsCode);
    /// # Ok::<(), session_detect::ParseKeyError>(())
    /// ```
    pub fn kind(&self) -> Kind {
        match (self.place(), self.link()) {
            ("vscode", _) => Kind::VsCode,
            ("jupyter", _) => Kind::Jupyter,
            ("container", _) => Kind::Container,
            ("script", _) => Kind::Script,
            (_, "local") => Kind::Local,
            _ => Kind::Ssh,
        }
    }

    /// Returns the user's name; bytes that are not UTF-8 are replaced.
    pub fn user(&self) -> String {
        unescaped(self.part(1, 2))
    }

    /// Returns the host's name; bytes that are not UTF-8 are replaced.
    pub fn host(&self) -> String {
        unescaped(self.part(2, 3))
    }

    /// Returns the leader's process id, as numbered in its own namespace.
    pub fn pid(&self) -> u32 {
        self.tag.pid()
    }

    /// Returns the identity as text, `1.<boot>.<domain>.<pid>.<start>`: at most 79 lower-case ASCII bytes, fit for a
    /// file name.
    pub fn tag(&self) -> &str {
        &self.text[self.at(4) + 1..]
    }

    /// Returns the identity of the process that leads the session.
    pub fn leader(&self) -> ProcessId {
        self.tag
    }

    /// Returns a file name that shows the session and is unique to it: ASCII, at most 255 bytes, legal on every common
    /// file system, distinct also where case is folded.
    ///
    /// ```
    /// let text = "pts/1:local:herb:ws:12~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12.86c30";
    /// let key: session_detect::IsolationKey = text.parse()?;
    /// assert_eq!(key.file_name(), "s-pts=1+local+herb+ws+12~1.5f0c3b1e9a7d4c28b6e10d93c4a2f781.effffffc.12.86c30");
    /// # Ok::<(), session_detect::ParseKeyError>(())
    /// ```
    pub fn file_name(&self) -> String {
        let display = self.session_id();
        let mut end = display.len().min(FILE_DISPLAY_MAX);
        // A cut may not split a %XX.
        if let Some(back) = display.as_bytes()[..end].iter().rev().take(2).position(|byte| *byte == b'%')
            && end < display.len()
        {
            end -= back + 1;
        }
        let mut name = String::with_capacity(end + 84);
        name.push_str("s-");
        name.extend(display[..end].chars().map(|letter| match letter {
            '/' => '=',
            ':' => '+',
            other => other,
        }));
        name.push('~');
        name.push_str(self.tag());
        name
    }

    /// Reads back what [`IsolationKey::file_name`] wrote; `None` for anything else, and for names whose readable part was cut.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let text: String = name
            .strip_prefix("s-")?
            .chars()
            .map(|letter| match letter {
                '=' => '/',
                '+' => ':',
                other => other,
            })
            .collect();
        text.parse().ok().filter(|key: &Self| key.file_name() == name)
    }

    /// Returns a name for a socket: 59 bytes of `a-z2-7`, unique to the session, so that a folder of 40 bytes still fits
    /// the 104 that macOS allows.
    pub fn socket_name(&self) -> String {
        self.tag.base32()
    }

    fn at(&self, mark: usize) -> usize {
        usize::from(self.marks[mark])
    }

    fn part(&self, after: usize, before: usize) -> &str {
        &self.text[self.at(after) + 1..self.at(before)]
    }
}

/// Why a text is not an isolation key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse the isolation key: {what} at byte {at}")]
pub struct ParseKeyError {
    what: &'static str,
    at: usize,
}

impl ParseKeyError {
    pub(crate) fn new(what: &'static str, at: usize) -> Self {
        Self { what, at }
    }

    /// Returns the byte at which the text stops to be a key.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl From<TagError> for ParseKeyError {
    fn from(error: TagError) -> Self {
        Self::new(error.what, error.at)
    }
}

impl FromStr for IsolationKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let bytes = text.as_bytes();
        let (colons, at) = display(text)?;
        if bytes.get(at) != Some(&b'~') {
            return Err(ParseKeyError::new("a tag is missing", at));
        }
        let [a, b, c, d] = colons;
        let marks = [a, b, c, d, short(at)];
        let pid_at = usize::from(d) + 1;
        let pid =
            ProcessId::parse_pid(&text[pid_at..at]).ok_or(ParseKeyError::new("not a process id", pid_at))?;
        let tag = ProcessId::parse_tag(&text[at + 1..])
            .map_err(|error| ParseKeyError::new(error.what, at + 1 + error.at))?;
        if tag.pid() != pid {
            return Err(ParseKeyError::new("two different process ids", pid_at));
        }
        Ok(Self { text: text.into(), marks, tag })
    }
}

impl fmt::Display for IsolationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for IsolationKey {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
}

impl Eq for IsolationKey {}

impl PartialOrd for IsolationKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IsolationKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.tag.cmp(&other.tag)
    }
}

impl Hash for IsolationKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.hash(state);
    }
}

impl Serialize for IsolationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for IsolationKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads the five parts for people that a text begins with: where their colons stand, and where they end.
pub(crate) fn display(text: &str) -> Result<([u16; 4], usize), ParseKeyError> {
    let bytes = text.as_bytes();
    if bytes.len() > KEY_MAX {
        return Err(ParseKeyError::new("more than 512 bytes", KEY_MAX));
    }
    let mut colons = [0; 4];
    let mut at = place_end(bytes)?;
    for (index, slot) in colons.iter_mut().enumerate() {
        if bytes.get(at) != Some(&b':') {
            return Err(ParseKeyError::new("a part is missing", at));
        }
        *slot = short(at);
        at = match index {
            0 => link_end(bytes, at + 1)?,
            1 | 2 => segment_end(bytes, at + 1)?,
            _ => at + 1 + digits(&bytes[at + 1..]),
        };
    }
    Ok((colons, at))
}

fn short(at: usize) -> u16 {
    u16::try_from(at).expect("because a key has at most 512 bytes")
}

fn mark(text: &mut String, slot: &mut u16, separator: char) {
    *slot = short(text.len());
    text.push(separator);
}

fn cut(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn push_place(text: &mut String, place: &[u8]) {
    let begin = text.len();
    for segment in place.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
        if text.len() > begin {
            text.push('/');
        }
        match segment {
            b"." => text.push_str("%2E"),
            b".." => text.push_str("%2E%2E"),
            other => push_segment(text, other),
        }
    }
    if text.len() == begin {
        push_segment(text, b"");
    }
}

fn push_segment(text: &mut String, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = if bytes.is_empty() { b"?" } else { bytes };
    for byte in bytes {
        if is_plain(*byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn push_link(text: &mut String, link: &str) {
    let begin = text.len();
    text.extend(link.bytes().take(LINK_MAX).map(|byte| match byte.to_ascii_lowercase() {
        plain @ (b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') => char::from(plain),
        _ => '_',
    }));
    if text.len() == begin {
        text.push('_');
    }
}

fn push_decimal(text: &mut String, number: u32) {
    use fmt::Write as _;
    write!(text, "{number}").expect("because writing to a string cannot fail");
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the segments of the place end.
fn place_end(bytes: &[u8]) -> Result<usize, ParseKeyError> {
    let mut at = 0;
    loop {
        let end = segment_end(bytes, at)?;
        if matches!(&bytes[at..end], b"." | b"..") {
            return Err(ParseKeyError::new("a dot that must be escaped", at));
        }
        if bytes.get(end) != Some(&b'/') {
            return Ok(end);
        }
        at = end + 1;
    }
}

/// Where the segment that begins at `from` ends.
fn segment_end(bytes: &[u8], from: usize) -> Result<usize, ParseKeyError> {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let escape = bytes.get(at + 1..at + 3).and_then(escaped_byte);
                // A dot may be escaped, since a whole segment of dots must be.
                let dots = || matches!(whole(bytes, from, at), b"%2E" | b"%2E%2E");
                if escape
                    .is_none_or(|byte| is_plain(byte) && !(byte == b'.' && from_place(bytes, from) && dots()))
                {
                    return Err(ParseKeyError::new("not an escape that is needed", at));
                }
                at += 3;
            }
            byte if is_plain(*byte) => at += 1,
            _ => break,
        }
    }
    if at == from { Err(ParseKeyError::new("an empty part", from)) } else { Ok(at) }
}

/// Whether a segment that begins at `from` belongs to the place.
fn from_place(bytes: &[u8], from: usize) -> bool {
    !bytes[..from].contains(&b':')
}

/// The whole segment around `at`, up to the next separator.
fn whole(bytes: &[u8], from: usize, at: usize) -> &[u8] {
    let end = bytes[at..].iter().position(|byte| matches!(byte, b':' | b'/' | b'~'));
    &bytes[from..end.map_or(bytes.len(), |end| at + end)]
}

fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some((value(digits[0])? << 4) | value(digits[1])?)
}

fn link_end(bytes: &[u8], from: usize) -> Result<usize, ParseKeyError> {
    let plain = |byte: &&u8| matches!(**byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let length = bytes[from..].iter().take_while(plain).count();
    if (1..=LINK_MAX).contains(&length) {
        Ok(from + length)
    } else {
        Err(ParseKeyError::new("not a link", from))
    }
}

pub(crate) fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(escaped_byte) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
