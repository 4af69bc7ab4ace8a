//! Money in integers, so that sums are exact and no cent depends on the order of additions.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use crate::human::Grouped;

const PICO_PER_DOLLAR: i128 = 1_000_000_000_000;

/// An amount of US dollars, in whole pico-dollars (10⁻¹² USD).
///
/// A price of one cent per million tokens is 10,000 pico-dollars a token, so every rate in use is a whole number and
/// nothing is ever rounded before it is printed. Arithmetic saturates.
///
/// ```
/// use session_analytics::Usd;
/// let cents = Usd::from_nanos(4_176_000); // 0.4176 cents
/// assert_eq!(cents.to_string(), "$0.0042");
/// assert_eq!((cents + cents).as_dollars(), 0.008352);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Makes an amount of pico-dollars.
    pub const fn from_picos(picos: i128) -> Self {
        Self(picos)
    }

    /// Makes an amount of nano-dollars (10⁻⁹ USD).
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos as i128 * 1000)
    }

    /// Returns pico-dollars.
    pub const fn as_picos(self) -> i128 {
        self.0
    }

    /// Returns dollars, as near as a float comes; for output, not for arithmetic.
    pub fn as_dollars(self) -> f64 {
        // Cut to nano-dollars first: the quotient then is the float nearest to a short decimal number.
        let nanos = self.0.saturating_add(500 * self.0.signum()) / 1000;
        nanos as f64 / 1e9
    }

    /// Returns the amount without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl fmt::Display for Usd {
    /// Writes dollars and cents, four decimals below a dime, with thousands separated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimals = if self.0 == 0 || self.0.saturating_abs() >= PICO_PER_DOLLAR / 10 { 2 } else { 4 };
        let unit = PICO_PER_DOLLAR / 10_i128.pow(decimals);
        let units = self.0.saturating_abs().saturating_add(unit / 2) / unit;
        let (dollars, rest) = (units / 10_i128.pow(decimals), units % 10_i128.pow(decimals));
        write!(f, "{sign}${}.{rest:0width$}", Grouped(dollars), width = decimals as usize)
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_printed_as_people_write_it() {
        let check = |picos: i128, text: &str| assert_eq!(Usd::from_picos(picos).to_string(), text);
        check(0, "$0.00");
        check(4_176_000_000, "$0.0042");
        check(99_990_000_000, "$0.1000");
        check(100_000_000_000, "$0.10");
        check(1_995_000_000_000, "$2.00");
        check(-1_500_000_000_000, "-$1.50");
        check(1_234_567_890_000_000_000, "$1,234,567.89");
    }
}
