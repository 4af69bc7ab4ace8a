//! The line of `/proc/<pid>/stat`, and how it names a terminal.

/// What the line tells of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) comm: Vec<u8>,
    pub(crate) ppid: u32,
    pub(crate) pgrp: u32,
    pub(crate) sid: u32,
    pub(crate) tty: u32,
    pub(crate) tpgid: i64,
    pub(crate) start: u64,
    pub(crate) zombie: bool,
}

impl Stat {
    /// Reads the line; `None` where it is none. The name may hold anything, also what looks like the rest of a line, so
    /// its end is the last parenthesis.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
        let pid = std::str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X" | "x");
        let mut number = || fields.next()?.parse::<i64>().ok();
        let unsigned = |value: i64| u32::try_from(value).ok();
        let (ppid, pgrp, sid) = (unsigned(number()?)?, number()?, number()?);
        // The kernel prints the device number as a signed 32-bit integer.
        let tty = number()? as u32;
        let tpgid = number()?;
        let start = fields.nth(13)?.parse().ok()?;
        // Outside its namespace a group or session shows as 0, in a few kernels as -1.
        let outside = |value: i64| u32::try_from(value).unwrap_or(0);
        let comm = line[open + 1..close].to_vec();
        Some(Self { pid, comm, ppid, pgrp: outside(pgrp), sid: outside(sid), tty, tpgid, start, zombie })
    }
}

/// Names the terminal of a device number (`Documentation/admin-guide/devices.txt` of Linux); `None` for 0.
pub(crate) fn tty_name(number: u32) -> Option<String> {
    let major = (number >> 8) & 0xfff;
    let minor = (number & 0xff) | ((number >> 12) & 0xfff00);
    Some(match (major, minor) {
        (0, 0) => return None,
        (136, index) => format!("pts/{index}"),
        (137..=143, index) => format!("pts/{}", (major - 136) * 256 + index),
        (4, 0..=63) => format!("tty{minor}"),
        (4, line) => format!("ttyS{}", line - 64),
        (5, 1) => "console".to_owned(),
        (166, line) => format!("ttyACM{line}"),
        (188, line) => format!("ttyUSB{line}"),
        (229, line) => format!("hvc{line}"),
        (204, line @ 64..) => format!("ttyAMA{}", line - 64),
        (major, minor) => format!("tty-{major}-{minor}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(major: u32, minor: u32) -> u32 {
        (minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)
    }

    proptest! {
        #[test]
        fn any_name_leaves_the_other_fields_alone(
            comm in prop::collection::vec(any::<u8>(), 0..40),
            pid in 1u32..4_000_000, ppid in 0u32..4_000_000, sid in 0u32..4_000_000, start in any::<u64>(),
            tty in any::<i32>(),
        ) {
            let mut line = format!("{pid} (").into_bytes();
            line.extend(&comm);
            line.extend(format!(") S {ppid} 7 {sid} {tty} -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 99 1 2 3\n").bytes());
            // A parenthesis that closes in the fields is not one: they are numbers.
            let stat = Stat::parse(&line).expect("a whole line");
            prop_assert_eq!((stat.pid, stat.ppid, stat.sid, stat.start, stat.comm), (pid, ppid, sid, start, comm));
            prop_assert_eq!(stat.tty, tty as u32);
        }

        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Stat::parse(&line);
        }

        #[test]
        fn a_terminal_keeps_its_number(index in 0u32..(1 << 20)) {
            prop_assert_eq!(tty_name(encode(136, index)), Some(format!("pts/{index}")));
        }
    }

    #[test]
    fn terminals_that_are_not_in_a_window() {
        let check =
            |major, minor, name: &str| assert_eq!(tty_name(encode(major, minor)).as_deref(), Some(name));
        check(4, 1, "tty1");
        check(4, 64, "ttyS0");
        check(5, 1, "console");
        check(204, 64, "ttyAMA0");
        check(229, 0, "hvc0");
        check(136, 299, "pts/299");
        assert_eq!(tty_name(0), None);
    }
}
