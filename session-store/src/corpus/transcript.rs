//! Files on their way to the disk: transcripts with what may go wrong in them, and small ones beside.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;

use super::Truth;
use super::chance::token;

/// Tells whether a line states a usage that counts.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Says {
    Usage,
    Nothing,
}

/// One transcript being written.
pub(super) struct Transcript {
    out: BufWriter<File>,
    pub(super) bytes: u64,
    lines: u64,
    usage_lines: u64,
    damaged_lines: u64,
    /// A damaged line, and after how many lines it comes.
    damage: Option<(u64, Vec<u8>)>,
    is_torn: bool,
    /// The lines that a fork will copy, when one is to come.
    pub(super) copies: Option<Vec<(String, Says)>>,
}

impl Transcript {
    pub(super) fn create(path: &Path, rng: &mut Rng) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let is_damaged = rng.u32(0..100) == 0;
        Ok(Transcript {
            out: BufWriter::with_capacity(256 << 10, File::create(path)?),
            bytes: 0,
            lines: 0,
            usage_lines: 0,
            damaged_lines: 0,
            damage: is_damaged.then(|| (rng.u64(3..9), damaged_line(rng))),
            is_torn: rng.u32(0..20) == 0,
            copies: None,
        })
    }

    /// Writes a line of the conversation itself, which a fork copies.
    pub(super) fn say(&mut self, line: &str, says: Says) -> io::Result<()> {
        if let Some(copies) = &mut self.copies {
            copies.push((line.to_owned(), says));
        }
        self.usage_lines += u64::from(says == Says::Usage);
        self.note(line)
    }

    /// Writes a line of bookkeeping, which no fork copies.
    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        self.put(line.as_bytes())?;
        if let Some((_, damaged)) = self.damage.take_if(|(after, _)| *after == self.lines) {
            self.damaged_lines += 1;
            self.put(&damaged)?;
        }
        Ok(())
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        self.bytes += line.len() as u64 + 1;
        self.lines += 1;
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
    }

    /// Ends the file, perhaps within a line, dates it and adds it to the truth.
    pub(super) fn finish(&mut self, torn: &[u8], last_ms: i64, truth: &mut Truth) -> io::Result<()> {
        if self.is_torn {
            self.out.write_all(torn)?;
            self.bytes += torn.len() as u64;
        }
        self.out.flush()?;
        date(self.out.get_ref(), last_ms)?;
        truth.files += 1;
        truth.bytes += self.bytes;
        truth.lines += self.lines;
        truth.usage_lines += self.usage_lines;
        truth.damaged_lines += self.damaged_lines;
        truth.torn_files += u64::from(self.is_torn);
        Ok(())
    }
}

/// Writes a whole small file that is no transcript.
pub(super) fn write_file(path: &Path, text: &str, last_ms: i64) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    date(&file, last_ms)
}

/// Sets the modification time, to 1970 where it would be earlier.
fn date(file: &File, at_ms: i64) -> io::Result<()> {
    file.set_modified(UNIX_EPOCH + Duration::from_millis(at_ms.max(0).unsigned_abs()))
}

/// Makes a line as a crash leaves it: cut within the usage, or with junk of the disk in front.
fn damaged_line(rng: &mut Rng) -> Vec<u8> {
    let mut line = Vec::new();
    if rng.bool() {
        line.extend((0..rng.usize(8..200)).map(|_| rng.u8(..)).filter(|byte| *byte != b'\n'));
        line.extend([0, 0, 0xff, 0xfe]);
    }
    line.extend(br#"{"parentUuid":null,"isSidechain":false,"type":"assistant","message":{"id":""#);
    line.extend(token(rng, "msg_01", 22).as_bytes());
    line.extend(br#"","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","#);
    line.extend(br#""content":[],"usage":{"input_tokens":977,"output_tokens":12,"cache_creation_inp"#);
    line
}
