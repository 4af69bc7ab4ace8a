//! The algebra under everything: how two records of one fact become one.

/// Merges two values into the least one that holds both.
///
/// # Laws
///
/// Every implementation is commutative, associative and idempotent, so the order in which files are read, how often
/// they are read, and who reads them make no difference:
///
/// - `a ∨ b = b ∨ a`
/// - `(a ∨ b) ∨ c = a ∨ (b ∨ c)`
/// - `a ∨ a = a`, reported as [`Change::Unchanged`]
///
/// The crate's property tests check them for every type that implements the trait.
pub trait Join {
    /// Merges `other` into `self` and tells whether `self` changed.
    fn join(&mut self, other: Self) -> Change;
}

/// Tells whether a join taught something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a join that changed nothing need not be stored"]
pub enum Change {
    /// The value held everything already.
    Unchanged,
    /// The value grew.
    Grew,
}

impl Change {
    /// Returns whether either of two joins changed its value.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Grew { self } else { other }
    }
}

/// Keeps the greater of two values in a total order.
pub(crate) fn keep_greatest<T: Ord>(kept: &mut T, other: T) -> Change {
    if other > *kept {
        *kept = other;
        return Change::Grew;
    }
    Change::Unchanged
}

/// Keeps the lesser of two values in a total order.
pub(crate) fn keep_least<T: Ord>(kept: &mut T, other: T) -> Change {
    if other < *kept {
        *kept = other;
        return Change::Grew;
    }
    Change::Unchanged
}
