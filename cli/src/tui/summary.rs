//! The lines above the table: what was used, the running block, the last limit.

use std::time::Duration;

use ratatui::text::{Line, Span};
use session_analytics::{Hit, Live, LiveNotice, Tokens, Totals};
use session_store::{Timestamp, Zone};

use super::lines::bar;
use super::paint::Palette;
use crate::told;
use crate::words::{self, Piece, fit};

/// The longest bar, in columns.
const BAR_MAX: usize = 48;
/// The shortest one.
const BAR_MIN: usize = 8;
/// How long a notice stays on the screen; the line of the last limit stays longer.
pub(crate) const NOTICE_SHOWN: Duration = Duration::from_secs(600);

/// Returns what was used today and in all, and how fast.
pub(crate) fn figures<'a>(live: &Live, palette: Palette, width: u16) -> Line<'a> {
    let sums = |rank, name: &'static str, totals: &Totals| {
        let (long, short) = amounts(live, totals, palette);
        let name = Span::styled(name, palette.dim());
        Piece::new(rank, [vec![name.clone()], long].concat(), [vec![name], short].concat())
    };
    let rate = Span::styled(Tokens(words::whole(live.tokens_per_minute)).to_string(), palette.strong());
    let money = Span::styled(live.cost_per_hour.to_string(), palette.strong());
    let long = vec![
        Span::styled("Burn ", palette.dim()),
        rate.clone(),
        Span::styled(" tokens/min  ", palette.dim()),
        money.clone(),
        Span::styled("/h", palette.dim()),
    ];
    let short = vec![rate, Span::styled("/min ", palette.dim()), money, Span::styled("/h", palette.dim())];
    let pieces =
        vec![sums(0, "Today ", &live.today), sums(2, "All ", &live.totals), Piece::new(1, long, short)];
    fit(pieces, if width >= 110 { 6 } else { 3 }, width.into())
}

/// Returns tokens and cost, in a long and a short form.
fn amounts<'a>(live: &Live, totals: &Totals, palette: Palette) -> (Vec<Span<'a>>, Vec<Span<'a>>) {
    let tokens = Span::styled(Tokens(totals.usage().total()).to_string(), palette.strong());
    let cost = Span::styled(words::cost(totals, &live.unpriced_models), palette.strong());
    let long = vec![tokens.clone(), Span::styled(" tokens  ", palette.dim()), cost.clone()];
    (long, vec![tokens, Span::raw(" "), cost])
}

/// Returns the running five-hour block.
pub(crate) fn block<'a>(live: &Live, zone: &Zone, palette: Palette, now: Timestamp, width: u16) -> Line<'a> {
    let name = Span::styled("Block ", palette.dim());
    let Some((block, totals)) = live.block.as_ref().filter(|(block, _)| now < block.end) else {
        return Line::from(vec![name, Span::styled("no five-hour block is running", palette.dim())]);
    };
    let width = usize::from(width);
    let mark = if block.anchored { "" } else { "~" };
    let clock = |at| format!("{mark}{}", words::clock(zone, at));
    let (start, end) = (clock(block.start), clock(block.end));
    let length = block.end.since(block.start).as_secs_f64();
    let ratio = now.since(block.start).as_secs_f64() / length.max(1.0);
    let bar = |columns| {
        let ends = [vec![name.clone(), Span::raw(format!("{start} "))], vec![Span::raw(format!(" {end}"))]];
        let [before, after] = ends;
        [before, bar(ratio, columns, palette, palette.bar()), after].concat()
    };
    let (long, short) = amounts(live, totals, palette);
    let left = Span::raw(format!("{} left", words::until(block.end, now)));
    let source = if block.anchored { "official reset" } else { "~ inferred" };
    let pieces = vec![
        Piece::new(0, bar((width / 3).clamp(BAR_MIN, BAR_MAX)), bar(BAR_MIN)),
        Piece::new(2, vec![left], vec![]),
        Piece::new(1, long, short),
        Piece::new(3, vec![Span::styled(source, palette.dim())], vec![]),
    ];
    fit(pieces, 3, width)
}

/// Returns the last limit that was hit.
pub(crate) fn limit<'a>(live: &Live, zone: &Zone, palette: Palette, now: Timestamp, width: u16) -> Line<'a> {
    let Some(hit) = &live.last_limit else { return Line::default() };
    let is_over = hit.resets_at.is_some_and(|at| at <= now);
    let style = if is_over { palette.dim() } else { palette.alarm() };
    let name = words::clip(&words::limit_name(&hit.window), 40);
    let head = vec![
        Span::styled("Limit ", palette.dim()),
        Span::styled("■ ", style),
        Span::styled(name, style.patch(if is_over { palette.dim() } else { palette.strong() })),
    ];
    let (long, short) = reset(hit, zone, now);
    let whose = whose(live, hit);
    let who = |width| vec![Span::raw(words::shorten(&whose, width))];
    let when = words::past(hit.at, now);
    let pieces = vec![
        Piece::new(0, head, vec![]),
        Piece::new(2, who(40), who(16)),
        Piece::new(3, vec![Span::styled(when, palette.dim())], vec![]),
        Piece::new(1, vec![Span::styled(long, style)], vec![Span::styled(short, style)]),
    ];
    fit(pieces, 3, width.into())
}

/// Returns the latest notice of another session that is to be shown, while it is new.
pub(crate) fn shown_notice(live: &Live) -> Option<&LiveNotice> {
    live.notices.first().filter(|notice| live.at.since(notice.at) < NOTICE_SHOWN)
}

/// Returns what another session told.
pub(crate) fn notice<'a>(live: &Live, palette: Palette, now: Timestamp, width: u16) -> Line<'a> {
    let Some(notice) = shown_notice(live) else { return Line::default() };
    let head = vec![
        Span::styled("Told  ", palette.dim()),
        Span::styled("▲ ", palette.notice()),
        Span::styled(words::clip(&told::words(notice), 60), palette.strong()),
    ];
    let project = notice.project.clone().unwrap_or_default();
    let place = |width| match project.as_str() {
        "" => vec![],
        project => vec![Span::raw(words::shorten(project, width))],
    };
    let same = if notice.same_project { "same project" } else { "" };
    let when = words::past(notice.at, now);
    let more = live.notices.len() - 1;
    let more = if more > 0 { format!("and {more} more") } else { String::new() };
    let styled = |text: String, style| if text.is_empty() { vec![] } else { vec![Span::styled(text, style)] };
    let pieces = vec![
        Piece::new(0, head, vec![]),
        Piece::new(1, styled(same.to_owned(), palette.notice()), vec![]),
        Piece::new(2, place(40), place(16)),
        Piece::new(3, styled(when, palette.dim()), vec![]),
        Piece::new(4, styled(more, palette.dim()), vec![]),
    ];
    let pieces = pieces.into_iter().filter(|piece| !piece.long.is_empty()).collect();
    fit(pieces, 3, width.into())
}

/// Returns when requests are accepted again, in a long and a short form.
fn reset(hit: &Hit, zone: &Zone, now: Timestamp) -> (String, String) {
    let Some(at) = hit.resets_at else {
        return ("reset time unknown".to_owned(), "reset unknown".to_owned());
    };
    if at <= now {
        let passed = "reset passed".to_owned();
        return (passed.clone(), passed);
    }
    let short = format!("resets in {}", words::until(at, now));
    (format!("{short} ({})", words::moment(zone, at, now)), short)
}

/// Returns the project that was refused, or its conversation where the project is not known.
fn whose(live: &Live, hit: &Hit) -> String {
    let conversation = live.conversations.iter().find(|conversation| conversation.id == hit.conversation);
    match conversation {
        Some(conversation) if !conversation.project.is_empty() => conversation.project.clone(),
        // It may be of another project; a notice of the same hit says which.
        _ => told_project(live, hit).map_or_else(
            || format!("conversation {}", words::clip(hit.conversation.as_str(), 9)),
            str::to_owned,
        ),
    }
}

/// Returns the project that a notice of the same hit names.
fn told_project<'l>(live: &'l Live, hit: &Hit) -> Option<&'l str> {
    let same = live.notices.iter().find(|notice| notice.conversation.as_ref() == Some(&hit.conversation));
    same?.project.as_deref()
}
