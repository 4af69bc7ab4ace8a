//! Numbers as people read them, once for terminals and pages.

use std::fmt;
use std::time::Duration;

/// Writes a count of tokens short: `950`, `15.0k`, `1.2M`, `3.4G`.
#[derive(Clone, Copy, Debug)]
pub struct Tokens(pub u64);

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = match self.0 {
            0..1_000 => return f.pad(&self.0.to_string()),
            1_000..999_950 => format!("{:.1}k", self.0 as f64 / 1e3),
            999_950..999_950_000 => format!("{:.1}M", self.0 as f64 / 1e6),
            _ => format!("{:.1}G", self.0 as f64 / 1e9),
        };
        f.pad(&short)
    }
}

/// Writes a whole number, not negative, with its thousands apart: `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub struct Grouped<N>(pub N);

impl<N: fmt::Display> fmt::Display for Grouped<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Writes a span of time by its two greatest units: `45 s`, `3 m 05 s`, `2 h 05 m`, `4 d 03 h`.
#[derive(Clone, Copy, Debug)]
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let text = match () {
            () if days > 0 => format!("{days} d {:02} h", hours % 24),
            () if hours > 0 => format!("{hours} h {:02} m", minutes % 60),
            () if minutes > 0 => format!("{minutes} m {:02} s", seconds % 60),
            () => format!("{seconds} s"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let check = |count, text: &str| assert_eq!(Tokens(count).to_string(), text);
        check(0, "0");
        check(999, "999");
        check(1_000, "1.0k");
        check(15_000, "15.0k");
        check(999_949, "999.9k");
        check(999_950, "1.0M");
        check(1_234_567_890, "1.2G");
    }

    #[test]
    fn elapsed() {
        let check = |seconds, text: &str| assert_eq!(Elapsed(Duration::from_secs(seconds)).to_string(), text);
        check(0, "0 s");
        check(185, "3 m 05 s");
        check(7_500, "2 h 05 m");
        check(356_400, "4 d 03 h");
    }
}
