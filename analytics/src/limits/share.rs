//! Who used how much of a limit: each rise of the official value, divided among those who spent meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_store::Timestamp;

use crate::money::Usd;

pub(super) const FIVE_HOURS: Duration = Duration::from_secs(5 * 3600);
/// A reply counts some time before its last line is written, and sums may be of a quarter hour.
const AROUND: Duration = Duration::from_secs(15 * 60);

/// The part of one session or conversation in what is used of a limit.
///
/// Each rise of the official value is divided among those who spent something here since the value before, by how much
/// they spent; a rise while nobody here spent anything came from elsewhere. What was used elsewhere while somebody
/// here worked too is thus counted as theirs: the part from elsewhere is a lower bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Who it is, as [`Spend::who`].
    pub who: Arc<str>,
    /// The part, 0 to 1; all parts and the one from elsewhere come to 1 where anything is used.
    pub part: f64,
}

/// What somebody spent at one moment, or within the quarter hour that begins there.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Arc<str>,
    /// How much.
    pub cost: Usd,
}

/// Divides a course of values of a window that began at `from`.
pub(super) fn divide(course: &[(Timestamp, u32)], from: Timestamp, spends: &[Spend]) -> (Vec<Share>, f64) {
    let mut parts: BTreeMap<&Arc<str>, f64> = BTreeMap::new();
    let (mut elsewhere, mut before, mut since) = (0.0, 0.0, from);
    for &(at, value) in course {
        let value = f64::from(value);
        if value < before {
            let kept = value / before;
            parts.values_mut().chain([&mut elsewhere]).for_each(|part| *part *= kept);
        } else if value > before {
            let rise = value - before;
            let meanwhile = |spend: &&Spend| {
                spend.at > since.before(AROUND).max(from.before(AROUND))
                    && spend.at <= at
                    && spend.cost > Usd::ZERO
            };
            let whole: f64 = spends.iter().filter(meanwhile).map(|spend| spend.cost.as_dollars()).sum();
            for spend in spends.iter().filter(meanwhile) {
                *parts.entry(&spend.who).or_default() += rise * spend.cost.as_dollars() / whole;
            }
            if whole <= 0.0 {
                elsewhere += rise;
            }
        }
        (before, since) = (value, at);
    }
    if before <= 0.0 {
        return (Vec::new(), 0.0);
    }
    let share = |(who, part): (&Arc<str>, f64)| Share { who: who.clone(), part: part / before };
    let mut shares: Vec<Share> = parts.into_iter().map(share).collect();
    shares.sort_by(|a, b| b.part.total_cmp(&a.part).then_with(|| a.who.cmp(&b.who)));
    (shares, elsewhere / before)
}
