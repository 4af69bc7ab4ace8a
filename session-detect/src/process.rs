//! Which process it is: an identity that outlives the number.

use std::fmt;

/// A process, told apart from every other that ever has its number.
///
/// Numbers are given again within seconds; the boot, the namespace and the tick at which the process began are not. Two
/// identities are equal exactly when they name the same process of the same kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    system: System,
    boot: u128,
    domain: u64,
    pid: u32,
    start: u64,
}

/// What the fields of a [`ProcessId`] were read from; the first part of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum System {
    /// `0`: nothing could be read. The boot is 128 random bits made once; the rest is zero but for the number.
    Unknown,
    /// `1`: boot id, inode of the process-id namespace, start in clock ticks since boot.
    Linux,
    /// `2`: boot session, 0, start in microseconds.
    MacOs,
    /// `3`: machine, 0, creation time in units of 100 ns.
    Windows,
}

impl System {
    fn digit(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Linux => 1,
            Self::MacOs => 2,
            Self::Windows => 3,
        }
    }
}

impl ProcessId {
    /// Makes the identity of a process on Linux from `/proc/sys/kernel/random/boot_id`, the inode of its
    /// `/proc/<pid>/ns/pid`, its number in that namespace and field 22 of its `stat`.
    pub fn linux(boot: u128, pid_namespace: u64, pid: u32, start_ticks: u64) -> Self {
        Self { system: System::Linux, boot, domain: pid_namespace, pid, start: start_ticks }
    }

    /// Makes the identity of a process on macOS from `kern.bootsessionuuid` and its start in microseconds.
    pub fn mac_os(boot: u128, pid: u32, start_us: u64) -> Self {
        Self { system: System::MacOs, boot, domain: 0, pid, start: start_us }
    }

    /// Makes the identity of a process on Windows from the machine's id and its creation time.
    pub fn windows(machine: u128, pid: u32, created: u64) -> Self {
        Self { system: System::Windows, boot: machine, domain: 0, pid, start: created }
    }

    /// Makes an identity of which only the number is known; `random` must be new for every session, and handed on by
    /// the caller to whoever shall count as the same.
    pub fn unknown(random: u128, pid: u32) -> Self {
        Self { system: System::Unknown, boot: random, domain: 0, pid, start: 0 }
    }

    /// Returns what the identity was read from.
    pub fn system(self) -> System {
        self.system
    }

    /// Returns the number, as the process itself would be told it.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Returns the boot's (or machine's) id.
    pub fn boot(self) -> u128 {
        self.boot
    }

    /// Returns the inode of the process-id namespace; 0 where there is none.
    pub fn pid_namespace(self) -> u64 {
        self.domain
    }

    /// Returns the start, in the unit of [`ProcessId::system`].
    pub fn start(self) -> u64 {
        self.start
    }

    pub(crate) fn push_tag(self, text: &mut String) {
        use fmt::Write as _;
        let Self { system, boot, domain, pid, start } = self;
        write!(text, "{}.{boot:032x}.{domain:x}.{pid}.{start:x}", system.digit())
            .expect("because writing to a string cannot fail");
    }

    pub(crate) fn parse_pid(text: &str) -> Option<u32> {
        let canonical =
            text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        if canonical && text.len() <= 10 { text.parse().ok() } else { None }
    }

    /// Reads a tag, `1.<boot>.<domain>.<pid>.<start>`; a lock file is named by one.
    ///
    /// # Errors
    ///
    /// Anything that [`fmt::Display`] would not print.
    pub fn parse_tag(text: &str) -> Result<Self, TagError> {
        let mut at = 0;
        let mut parts = text.splitn(5, '.').map(|part| {
            let begin = at;
            at += part.len() + 1;
            (begin, part)
        });
        let mut next =
            || parts.next().ok_or(TagError { what: "a part of the tag is missing", at: text.len() });
        let (version, boot, domain, pid, start) = (next()?, next()?, next()?, next()?, next()?);
        let system = match version.1 {
            "0" => System::Unknown,
            "1" => System::Linux,
            "2" => System::MacOs,
            "3" => System::Windows,
            _ => return Err(TagError { what: "not a version of a tag", at: 0 }),
        };
        let wrong = |part: (usize, &str), what| TagError { what, at: part.0 };
        let boot = Some(boot.1)
            .filter(|digits| digits.len() == 32 && is_hex(digits))
            .and_then(|digits| u128::from_str_radix(digits, 16).ok())
            .ok_or(wrong(boot, "not 32 hexadecimal digits"))?;
        let domain_value = short_hex(domain.1).ok_or(wrong(domain, "not a hexadecimal number"))?;
        let pid = Self::parse_pid(pid.1).ok_or(wrong(pid, "not a process id"))?;
        let start_value = short_hex(start.1).ok_or(wrong(start, "not a hexadecimal number"))?;
        if system != System::Linux && domain_value != 0 {
            return Err(wrong(domain, "a namespace where there is none"));
        }
        if system == System::Unknown && start_value != 0 {
            return Err(wrong(start, "a start where none is known"));
        }
        Ok(Self { system, boot, domain: domain_value, pid, start: start_value })
    }

    /// 292 bits in 59 letters, each of five bits.
    pub(crate) fn base32(self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let fields = [
            (u128::from(self.system.digit()), 4),
            (self.boot, 128),
            (u128::from(self.domain), 64),
            (u128::from(self.pid), 32),
            (u128::from(self.start), 64),
        ];
        let bits = fields
            .iter()
            .flat_map(|(value, width)| (0..*width).rev().map(move |bit| (value >> bit) & 1 == 1));
        let bits: Vec<bool> = bits.collect();
        let letter = |five: &[bool]| {
            let value =
                (0..5).fold(0, |value, bit| value * 2 + usize::from(five.get(bit).copied().unwrap_or(false)));
            char::from(LETTERS[value])
        };
        bits.chunks(5).map(letter).collect()
    }
}

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse the tag: {what} at byte {at}")]
pub struct TagError {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(80);
        self.push_tag(&mut text);
        f.write_str(&text)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn short_hex(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.is_empty() && !text.starts_with('0') && is_hex(text));
    if canonical && text.len() <= 16 { u64::from_str_radix(text, 16).ok() } else { None }
}
