//! Times, names and widths, as the screen writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ratatui::text::{Line, Span};
use session_analytics::{Elapsed, Grouped, Totals, Usd};
pub(crate) use session_analytics::{limit_name, model_name};
use session_store::{ModelId, Timestamp, Zone};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::printable::printable;

/// Up to here something is said to happen now.
const NOW: u64 = 3;

/// Returns models in few words: one of its family by its name, several by the family and their number, as in
/// `opus-5-5 sonnet ×2`.
pub(crate) fn models_text<'a>(models: impl IntoIterator<Item = &'a str>) -> String {
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in models.into_iter().map(model_name) {
        let is_word = |part: &&str| part.chars().next().is_some_and(char::is_alphabetic);
        let family = name.split('-').find(is_word).unwrap_or(&name).to_owned();
        families.entry(family).or_default().insert(name);
    }
    let text = |(family, names): (String, BTreeSet<String>)| match names.len() {
        1 => names.into_iter().collect(),
        several => format!("{family} ×{several}"),
    };
    families.into_iter().map(text).collect::<Vec<String>>().join(" ")
}

/// Returns when a moment was, in one unit: `just now`, `12 s ago`, `3 m ago`.
pub(crate) fn past(at: Timestamp, now: Timestamp) -> String {
    match ago(at, now).as_str() {
        "now" => "just now".to_owned(),
        "–" => "at an unknown time".to_owned(),
        ago => format!("{ago} ago"),
    }
}

/// Returns how long ago a moment was, in one unit: `now`, `12 s`, `3 m`, `5 h`, `2 d`, `3 y`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    if !at.is_plausible() {
        return "–".to_owned();
    }
    let seconds = now.since(at).as_secs();
    match seconds {
        0..NOW => "now".to_owned(),
        NOW..60 => format!("{seconds} s"),
        60..3600 => format!("{} m", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400..86_400_000 => format!("{} d", seconds / 86_400),
        _ => format!("{} y", seconds / 31_557_600),
    }
}

/// Returns how long it is until a moment, without seconds from a minute on: `45 s`, `12 m`, `2 h 05 m`.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> String {
    span(at.since(now))
}

/// Returns a span without seconds from a minute on.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 60..3600 => format!("{} m", seconds / 60),
        _ => Elapsed(span).to_string(),
    }
}

/// Tells whether the text of a time changes with the second, before or after.
pub(crate) fn is_counted_in_seconds(at: Timestamp, now: Timestamp) -> bool {
    at.since(now).max(now.since(at)) < Duration::from_secs(60)
}

/// Returns hour and minute.
pub(crate) fn clock(zone: &Zone, at: Timestamp) -> String {
    let (hour, minute) = zone.clock_of(at);
    format!("{hour:02}:{minute:02}")
}

/// Returns hour and minute, after the date if it is another day than today.
pub(crate) fn moment(zone: &Zone, at: Timestamp, now: Timestamp) -> String {
    let date = zone.date_of(at);
    let clock = clock(zone, at);
    if date == zone.date_of(now) { clock } else { format!("{date} {clock}") }
}

/// Returns a cost with a mark where it is not exact: `~` if a price is estimated, `≥` if one is missing.
pub(crate) fn cost(totals: &Totals, unpriced: &BTreeSet<ModelId>) -> String {
    let missing = totals.models.iter().filter(|model| unpriced.contains(*model)).count();
    match () {
        () if missing > 0 && missing == totals.models.len() && totals.cost == Usd::ZERO => {
            "no price".to_owned()
        }
        () if missing > 0 => format!("≥{}", totals.cost),
        () if totals.estimated => format!("~{}", totals.cost),
        () => totals.cost.to_string(),
    }
}

/// Returns how many there are of something whose plural ends in s: `1 message`, `1,234 messages`.
pub(crate) fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", Grouped(number), if number == 1 { "" } else { "s" })
}

/// Returns a rate as a whole number, whatever the float holds.
pub(crate) fn whole(rate: f64) -> u64 {
    // The cast saturates, and makes zero of what is no number.
    rate.round() as u64
}

/// Returns printable text of at most `width` columns, cut at the end.
pub(crate) fn clip(text: &str, width: usize) -> String {
    let text = printable(text);
    if text.width() <= width {
        return text.into_owned();
    }
    let Some(room) = width.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let fits = text.chars().take_while(|char| {
        used += char.width().unwrap_or_default();
        used <= room
    });
    let mut clipped: String = fits.collect();
    while clipped.width() > room {
        clipped.pop();
    }
    clipped.push('…');
    clipped
}

/// Returns printable text of at most `width` columns, cut at the beginning and at a `/` if it can be.
pub(crate) fn shorten(path: &str, width: usize) -> String {
    let path = printable(path);
    if path.width() <= width {
        return path.into_owned();
    }
    let Some(room) = width.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let mut start = path.len();
    for (at, char) in path.char_indices().rev() {
        used += char.width().unwrap_or_default();
        if used > room {
            break;
        }
        start = at;
    }
    let mut tail = &path[start..];
    while tail.width() > room {
        tail = tail.char_indices().nth(1).map_or("", |(next, _)| &tail[next..]);
    }
    // A whole last part says more than a part of the one before it.
    let whole = tail.find('/').map_or(tail, |slash| &tail[slash..]);
    format!("…{}", if whole.len() > 1 { whole } else { tail })
}

/// A piece of a line that can shrink and give way.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// The greater, the sooner it gives way.
    pub(crate) rank: u8,
    /// The full form.
    pub(crate) long: Vec<Span<'a>>,
    /// The form where room is short; empty where there is none.
    pub(crate) short: Vec<Span<'a>>,
}

impl<'a> Piece<'a> {
    /// Makes a piece of two forms.
    pub(crate) fn new(rank: u8, long: Vec<Span<'a>>, short: Vec<Span<'a>>) -> Self {
        Self { rank, long, short }
    }
}

/// Joins pieces into a line of at most `width` columns: first the least important shrink, then they give way.
///
/// The most important one always stays; if even that is too wide, drawing cuts it.
pub(crate) fn fit<'a>(mut pieces: Vec<Piece<'a>>, gap: usize, width: usize) -> Line<'a> {
    let is_too_wide = |pieces: &[Piece<'a>]| {
        let wide: usize =
            pieces.iter().map(|piece| piece.long.iter().map(Span::width).sum::<usize>() + gap).sum();
        wide > width + gap
    };
    let mut by_rank: Vec<usize> = (0..pieces.len()).collect();
    by_rank.sort_by_key(|at| std::cmp::Reverse(pieces[*at].rank));
    for at in &by_rank {
        if is_too_wide(&pieces) && !pieces[*at].short.is_empty() {
            pieces[*at].long = std::mem::take(&mut pieces[*at].short);
        }
    }
    while pieces.len() > 1 && is_too_wide(&pieces) {
        let Some(least) = (0..pieces.len()).max_by_key(|at| pieces[*at].rank) else { break };
        pieces.remove(least);
    }
    let mut line = Line::default();
    for (place, piece) in pieces.into_iter().enumerate() {
        if place > 0 {
            line.push_span(" ".repeat(gap));
        }
        line.extend(piece.long);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_one_family_are_counted() {
        let check = |models: &[&str], text: &str| assert_eq!(models_text(models.iter().copied()), text);
        check(&[], "");
        check(&["claude-sonnet-5-5"], "sonnet-5-5");
        check(&["claude-opus-5-5", "claude-sonnet-5", "claude-3-5-sonnet-20241022"], "opus-5-5 sonnet ×2");
        // One model under two names is one.
        check(&["claude-opus-4-5-20251101", "claude-opus-4-5"], "opus-4-5");
        check(&["5", "gpt-5"], "5 gpt-5");
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let now = Timestamp::parse("2026-11-22T14:00:00Z").unwrap();
        let check = |seconds, text: &str| {
            assert_eq!(ago(now.before(Duration::from_secs(seconds)), now), text);
        };
        check(0, "now");
        check(3, "3 s");
        check(59, "59 s");
        check(60, "1 m");
        check(3600, "1 h");
        check(200_000, "2 d");
        assert_eq!(ago(now.after(Duration::from_secs(9)), now), "now");
        assert_eq!(ago(Timestamp::MIN, now), "–");
        assert_eq!(ago(Timestamp::MAX, now), "–");
        assert_eq!(until(now.after(Duration::from_secs(4320)), now), "1 h 12 m");
        assert_eq!(until(now.after(Duration::from_secs(725)), now), "12 m");
        assert_eq!(until(now.after(Duration::from_secs(59)), now), "59 s");
        assert_eq!(until(Timestamp::MIN, now), "0 s");
    }

    #[test]
    fn paths_keep_their_end() {
        let check = |path, width, text: &str| assert_eq!(shorten(path, width), text);
        check("~/work/shop/frontend", 20, "~/work/shop/frontend");
        check("~/work/shop/frontend", 19, "…/shop/frontend");
        check("~/work/shop/frontend", 12, "…/frontend");
        check("~/work/shop/frontend", 6, "…ntend");
        check("~/work/shop/frontend", 1, "…");
        check("~/work/shop/frontend", 0, "");
        check("~/日本語/日本語", 8, "…/日本語");
        check("日本語", 4, "…語");
        check("/very/long/", 4, "…ng/");
    }

    #[test]
    fn text_is_clipped_at_its_end() {
        let check = |text, width, clipped: &str| assert_eq!(clip(text, width), clipped);
        check("frontend", 8, "frontend");
        check("frontend", 5, "fron…");
        check("日本語", 4, "日…");
        check("a\nb", 3, "a�b");
        check("abc", 0, "");
    }

    #[test]
    fn any_width_is_kept() {
        for text in [
            "~/日本語/éé/🦀🦀/x",
            "a\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}/❤\u{fe0f}❤\u{fe0f}",
            "👩\u{200d}🚀/🇩🇪🇫🇷",
        ] {
            for width in 0..30 {
                assert!(clip(text, width).width() <= width, "{text} {width}");
                assert!(shorten(text, width).width() <= width, "{text} {width}");
            }
        }
    }

    #[test]
    fn lines_shrink_before_they_lose() {
        let piece = |rank, long: &'static str, short: &'static str| {
            Piece::new(rank, vec![long.into()], if short.is_empty() { vec![] } else { vec![short.into()] })
        };
        let line = |width| {
            let pieces = vec![piece(0, "today 12", "12"), piece(2, "all 345", ""), piece(1, "rate 6", "6")];
            fit(pieces, 2, width).to_string()
        };
        assert_eq!(line(25), "today 12  all 345  rate 6");
        assert_eq!(line(24), "today 12  all 345  6");
        assert_eq!(line(14), "12  all 345  6");
        assert_eq!(line(13), "12  6");
        assert_eq!(line(0), "12");
    }
}
