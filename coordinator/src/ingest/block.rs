//! The memory that a source is read into: whole blocks, and a begun line before them.

use std::io::{self, Read};

use memchr::memchr;
use session_store::{LINE_BYTES_MAX, Reading, Tail};

/// Bytes read at once: few enough that a block and its copy in the kernel stay in a core's own cache.
const READ_BYTES: usize = 128 << 10;
/// What a block may keep of the room that a long line made it take.
const ROOM_MAX: usize = 1 << 20;
/// The kernel copies from pages. Into memory that begins up to 31 bytes after a page it copies at a quarter of its
/// speed on some processors (each load seems to wait for the store before it), and large allocations begin 16 after.
const PAGE_BYTES: usize = 4096;

/// What was read of a source and not yet fed to its [`Tail`].
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where a page begins in the bytes; what is held begins there.
    start: usize,
    held: usize,
}

impl Block {
    pub(super) fn new() -> Self {
        Self::holding(&[])
    }

    fn holding(line: &[u8]) -> Self {
        let mut bytes = vec![0; PAGE_BYTES + line.len() + READ_BYTES];
        let start = bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        bytes[start..start + line.len()].copy_from_slice(line);
        Self { bytes, start, held: line.len() }
    }

    /// Forgets what is held, to begin another source.
    pub(super) fn clear(&mut self) {
        self.held = 0;
    }

    /// Reads on and feeds the lines that are whole now; returns how many bytes came, none at the end.
    ///
    /// The block grows with a long line, so that its bytes are not copied again and again, and shrinks after it.
    pub(super) fn feed(
        &mut self,
        file: &mut impl Read,
        tail: &mut Tail,
        reading: &mut Reading,
    ) -> io::Result<usize> {
        let at = self.start + self.held;
        if self.bytes.len() < at + READ_BYTES {
            self.bytes.resize(at + READ_BYTES, 0);
        }
        let came = fill(file, &mut self.bytes[at..at + READ_BYTES])?;
        let end = at + came;
        self.held += came;
        if memchr(b'\n', &self.bytes[at..end]).is_none() && self.held <= LINE_BYTES_MAX {
            return Ok(came);
        }
        let held = &self.bytes[self.start..end];
        let mut used = tail.feed_lines(held, reading);
        if used == 0 {
            tail.feed_into(held, reading);
            used = held.len();
        }
        let begun = self.start + used..end;
        if self.bytes.len() > ROOM_MAX {
            *self = Self::holding(&self.bytes[begun]);
        } else {
            self.held = begun.len();
            self.bytes.copy_within(begun, self.start);
        }
        Ok(came)
    }
}

/// Fills a buffer as far as the file goes.
pub(super) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_store::{SourceKind, Zone};

    fn tail() -> Tail {
        Tail::new(SourceKind::Main { conversation: "c".into() }, Zone::utc())
    }

    /// Short lines, and lines longer than what is read at once, than a block keeps room for, than is read at all.
    #[test]
    fn lines_of_any_length_are_fed_as_in_one_piece() {
        let mut bytes = Vec::new();
        for (index, filler) in
            [0, 10, READ_BYTES, 3, 3 * ROOM_MAX, 40, LINE_BYTES_MAX + READ_BYTES, 5].iter().enumerate()
        {
            let filler = "x".repeat(*filler);
            let line = format!(
                r#"{{"type":"assistant","timestamp":"2026-11-22T17:09:41.874Z","message":{{"id":"msg_{index}","content":"{filler}","usage":{{"input_tokens":3}}}}}}"#
            );
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(b"{\"type\":\"assi");

        let (mut one, mut other) = (tail(), tail());
        let whole = one.feed(&bytes);
        assert_eq!(whole.found.iter().filter(|found| found.event.id.as_str().starts_with("msg_")).count(), 7);

        let (mut block, mut reading) = (Block::new(), Reading::default());
        let mut file = bytes.as_slice();
        while block.feed(&mut file, &mut other, &mut reading).unwrap() > 0 {
            assert!(block.bytes.len() <= 2 * LINE_BYTES_MAX + PAGE_BYTES);
        }
        let ids = |reading: &Reading| {
            reading
                .found
                .iter()
                .map(|found| found.event.id.clone())
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!((ids(&reading), other.position()), (ids(&whole), one.position()));
        assert_eq!(reading.problems, whole.problems);
        assert!(block.bytes.len() <= ROOM_MAX, "room for a long line is given back");
    }
}
