//! Lengths, times and ids drawn from a seed.
//!
//! A distribution is a list of points: a share and the value below which that share lies. The lengths and
//! token counts follow genuine transcripts; tables instead of logarithms give the same bytes everywhere.

use fastrand::Rng;

pub(super) type Points = [(f64, f64)];

pub(super) const RESULT_BYTES: &Points = &[
    (0.0, 800.0),
    (0.1, 1_000.0),
    (0.25, 1_500.0),
    (0.5, 3_800.0),
    (0.75, 10_800.0),
    (0.9, 36_000.0),
    (0.95, 68_000.0),
    (0.99, 225_000.0),
    (0.999, 600_000.0),
    (0.9999, 900_000.0),
    (1.0, 1_000_000.0),
];
pub(super) const BLOCK_BYTES: &Points =
    &[(0.0, 20.0), (0.3, 90.0), (0.5, 210.0), (0.9, 1_100.0), (0.99, 5_000.0), (1.0, 30_000.0)];
pub(super) const PROMPT_BYTES: &Points = &[(0.0, 5.0), (0.5, 120.0), (0.95, 1_500.0), (1.0, 20_000.0)];
pub(super) const SUMMARY_BYTES: &Points = &[(0.0, 20.0), (1.0, 60.0)];
pub(super) const OUTPUT: &Points = &[(0.0, 9.0), (0.5, 190.0), (0.9, 1_200.0), (1.0, 9_000.0)];
pub(super) const CACHE_WRITE: &Points = &[(0.0, 0.0), (0.5, 400.0), (0.9, 2_500.0), (1.0, 20_000.0)];
pub(super) const TURNS: &Points = &[(0.0, 1.0), (0.5, 4.0), (0.9, 12.0), (1.0, 50.0)];
pub(super) const THINKING_MS: &Points = &[(0.0, 3e3), (0.6, 90e3), (0.95, 1_800e3), (1.0, 30_000e3)];
pub(super) const TOOL_MS: &Points = &[(0.0, 20.0), (0.7, 900.0), (0.97, 20e3), (1.0, 120e3)];

/// Draws a value from a distribution.
pub(super) fn quantile(rng: &mut Rng, points: &Points) -> u64 {
    let share = rng.f64();
    let end = points.partition_point(|point| point.0 <= share).clamp(1, points.len() - 1);
    let ((low, from), (high, to)) = (points[end - 1], points[end]);
    (from + (to - from) * (share - low) / (high - low)) as u64
}

/// Draws an id of a prefix and random letters and digits.
pub(super) fn token(rng: &mut Rng, prefix: &str, length: usize) -> String {
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    id.extend((0..length).map(|_| rng.alphanumeric()));
    id
}

/// Draws a version 4 UUID.
pub(super) fn uuid(rng: &mut Rng) -> String {
    let bits = rng.u128(..) & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62;
    let (a, b, c) = (bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff);
    let (d, e) = (bits >> 48 & 0xffff, bits & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}
