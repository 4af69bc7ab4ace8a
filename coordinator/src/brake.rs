//! The circuit breaker: how much a conversation may be made to bear before it is left alone.
//!
//! A refusal that a model answers with the next try costs tokens, and a session that does nothing but wait is broken in the
//! eyes of whoever sits before it. Whatever the reason, our own mistake above all: after a while calls go through.

use std::fmt;
use std::time::Duration;

use session_store::Timestamp;

/// The span that is looked at.
const SPAN: Duration = Duration::from_secs(600);
/// How long a conversation may wait in a span, all its calls together.
const WAITED_MAX: Duration = Duration::from_secs(300);
/// How many of its calls may be refused.
const REFUSED_MAX: usize = 40;

/// What one call was made to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strain {
    /// When it began.
    pub at: Timestamp,
    /// What it was.
    pub burden: Burden,
}

/// The sort of strain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burden {
    /// It waits so long.
    Wait(Duration),
    /// It was refused.
    Refusal,
    /// The human was told of the limit that is reset then; zero where that is not known.
    Told(Timestamp),
}

/// Returns whether a conversation is to be left alone.
///
/// ```
/// use session_coordinator::{Burden, Strain, is_overstrained};
/// use session_store::Timestamp;
/// use std::time::Duration;
/// let now = Timestamp::from_seconds(1_795_367_381);
/// let wait = Strain { at: now, burden: Burden::Wait(Duration::from_secs(20)) };
/// assert!(!is_overstrained(&[wait; 14], now));
/// assert!(is_overstrained(&[wait; 15], now));
/// assert!(!is_overstrained(&[wait; 15], now.after(Duration::from_secs(601))));
/// ```
pub fn is_overstrained(strains: &[Strain], now: Timestamp) -> bool {
    let recent = strains.iter().filter(|it| it.at > now.before(SPAN) && it.at <= now.after(SPAN));
    let (mut waited, mut refused) = (Duration::ZERO, 0);
    for strain in recent {
        match strain.burden {
            Burden::Wait(wait) => waited = waited.saturating_add(wait),
            Burden::Refusal => refused += 1,
            Burden::Told(_) => {}
        }
    }
    waited >= WAITED_MAX || refused >= REFUSED_MAX
}

impl fmt::Display for Strain {
    /// Writes the line of a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_millis();
        match self.burden {
            Burden::Wait(wait) => writeln!(f, "{at} wait {}", wait.as_millis()),
            Burden::Refusal => writeln!(f, "{at} refuse 0"),
            Burden::Told(reset) => writeln!(f, "{at} tell {}", reset.as_millis()),
        }
    }
}

/// Reads the lines of a file; what is not legible is passed over.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Strain> {
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| {
        let mut words = line.split(' ');
        let at = Timestamp::from_millis(words.next()?.parse().ok()?);
        let (name, number) = (words.next()?, words.next()?.parse::<i64>().ok()?);
        let burden = match name {
            "wait" => Burden::Wait(Duration::from_millis(number.try_into().ok()?)),
            "refuse" => Burden::Refusal,
            "tell" => Burden::Told(Timestamp::from_millis(number)),
            _ => return None,
        };
        Some(Strain { at, burden })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_367_381);

    #[test]
    fn many_refusals_in_a_row_end() {
        let refusal = Strain { at: NOW, burden: Burden::Refusal };
        assert!(!is_overstrained(&vec![refusal; REFUSED_MAX - 1], NOW));
        assert!(is_overstrained(&vec![refusal; REFUSED_MAX], NOW));
        let told = Strain { at: NOW, burden: Burden::Told(NOW) };
        assert!(!is_overstrained(&[told; 1000], NOW));
    }

    #[test]
    fn lines_are_read_back() {
        let burdens = [Burden::Wait(Duration::from_millis(1500)), Burden::Refusal, Burden::Told(NOW)];
        let strains = burdens.map(|burden| Strain { at: NOW, burden });
        let text: String = strains.iter().map(ToString::to_string).collect();
        assert_eq!(parse(text.as_bytes()), strains);
        assert_eq!(parse(b"x\n1 wait\n1 wait -1\n\xff\n1 run 1\n"), []);
    }
}
