//! The whole screen, painted from the state alone.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use session_store::Timestamp;

use super::Settings;
use super::app::{App, Mode};
use super::detail::Detail;
use super::lines::{bar, put, rows, rule};
use super::paint::Palette;
use super::plan::Plan;
use super::{detail, help, limits, summary, table};
use crate::words::{self, Piece, fit};

const BYTES_PER_MB: f64 = 1e6;

/// Paints the state as it is at a moment.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>, now: Timestamp) {
    let area = frame.area();
    let plan = app.plan(area.as_size());
    let palette = Palette { color: app.settings.color };
    let buffer = frame.buffer_mut();
    put(buffer, plan.title, title(app, palette, now, plan.title.width));
    match &app.live {
        None => waiting(app, palette, buffer, plan.table),
        Some(live) => {
            put(buffer, plan.figures, summary::figures(live, palette, plan.figures.width));
            put(buffer, plan.block, summary::block(live, &app.settings.zone, palette, now, plan.block.width));
            put(buffer, plan.limit, summary::limit(live, &app.settings.zone, palette, now, plan.limit.width));
            put(buffer, plan.notice, summary::notice(live, palette, now, plan.notice.width));
            let heading = rows(plan.limits_heading).nth(1).unwrap_or_default();
            let name = vec![Span::styled("Limits", palette.accent())];
            put(buffer, heading, rule(name, "", heading.width, palette));
            let room = (plan.limits.width, plan.limits.height);
            let lines = limits::lines(live, &app.settings, palette, now, room);
            rows(plan.limits).zip(lines).for_each(|(row, line)| put(buffer, row, line));
            if app.rows().len() == 0 {
                nothing(app, palette, buffer, plan.table);
            } else {
                table::draw(app, palette, buffer, plan.table, now);
            }
            if let Some(conversation) = app.selected() {
                let (zone, unpriced) = (&app.settings.zone, &live.unpriced_models);
                let detail = Detail { conversation, unpriced, zone, palette, now };
                detail::draw(detail, buffer, plan.detail);
            }
        }
    }
    put(buffer, plan.note, note(app, palette, plan.note.width));
    put(buffer, plan.footer, footer(app, palette, plan));
    if app.mode == Mode::Help {
        help::draw(palette, buffer, area);
    }
}

fn title<'a>(app: &App, palette: Palette, now: Timestamp, width: u16) -> Line<'a> {
    let Settings { zone, demo, .. } = &app.settings;
    let width = usize::from(width);
    let clock = words::clock(zone, now);
    let zone = words::clip(&zone.to_string(), 30);
    let mut right = Vec::new();
    if *demo {
        let mark = vec![Span::styled("DEMO", palette.notice().patch(palette.strong()))];
        right.push(Piece::new(0, mark, vec![]));
    }
    let long =
        vec![Span::styled(clock.clone(), palette.strong()), Span::styled(format!(" {zone}"), palette.dim())];
    right.push(Piece::new(1, long, vec![Span::styled(clock, palette.strong())]));
    let right = fit(right, 3, width.saturating_sub(12).min(40.max(width / 3)));

    let room = width.saturating_sub(right.width() + 2);
    let mut left = Line::from(Span::styled("ClaudeWatch", palette.accent()));
    let scope = scope(app, room.saturating_sub(left.width() + 2));
    left.push_span(Span::raw(format!("  {scope}")));
    if left.width() > room {
        left = Line::from(Span::styled("ClaudeWatch", palette.accent()));
    }
    let fill = width.saturating_sub(left.width() + right.width());
    left.push_span(" ".repeat(fill));
    left.extend(right);
    left
}

/// Returns the scope in words; where it held nothing, it says what is shown in its place.
fn scope(app: &App, width: usize) -> String {
    let scope = &app.settings.title_scope;
    if !app.live.as_ref().is_some_and(|live| live.scope_widened) {
        return words::shorten(scope, width);
    }
    const ALL: &str = "all projects";
    let rest = " (nothing yet in )".len();
    match width.checked_sub(ALL.len() + rest) {
        Some(room) if room >= 8 => format!("{ALL} (nothing yet in {})", words::shorten(scope, room)),
        _ => words::clip(ALL, width),
    }
}

/// Tells what is going on before anything is known.
fn waiting(app: &App, palette: Palette, buffer: &mut Buffer, area: Rect) {
    let Some((done, total)) = app.progress else {
        let text = ["Looking for conversations …"];
        return centered(buffer, area, text.map(|text| Line::styled(text, palette.dim())).into());
    };
    let ratio = if total == 0 { 0.0 } else { done as f64 / total as f64 };
    let width = usize::from(area.width).saturating_sub(4).min(60);
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / BYTES_PER_MB);
    let numbers = format!(
        "{} of {} MB   {:.0} %",
        megabytes(done),
        megabytes(total),
        (ratio * 100.0).clamp(0.0, 100.0).floor()
    );
    centered(
        buffer,
        area,
        vec![
            Line::styled("Reading the history for the first time", palette.strong()),
            Line::default(),
            Line::from(bar(ratio, width, palette, palette.bar())),
            Line::default(),
            Line::raw(numbers),
        ],
    );
}

/// Says why the table is empty.
fn nothing(app: &App, palette: Palette, buffer: &mut Buffer, area: Rect) {
    let lines = if app.filter.is_empty() {
        ["No conversations yet.", "Start Claude Code in any terminal, and it appears here."]
            .map(str::to_owned)
    } else {
        let filter = words::clip(&app.filter, usize::from(area.width).saturating_sub(20));
        [format!("Nothing matches “{filter}”."), "Esc shows everything again.".to_owned()]
    };
    let [first, second] = lines;
    centered(buffer, area, vec![Line::styled(first, palette.strong()), Line::styled(second, palette.dim())]);
}

fn centered(buffer: &mut Buffer, area: Rect, lines: Vec<Line<'_>>) {
    let above = area.height.saturating_sub(lines.len() as u16) / 2;
    for (row, line) in rows(area).skip(usize::from(above)).zip(lines) {
        let left = row.width.saturating_sub(u16::try_from(line.width()).unwrap_or(u16::MAX)) / 2;
        put(buffer, Rect { x: row.x + left, width: row.width - left, ..row }, line);
    }
}

fn note<'a>(app: &App, palette: Palette, width: u16) -> Line<'a> {
    Line::styled(words::clip(&format!("! {}", app.note), usize::from(width)), palette.notice())
}

fn footer<'a>(app: &App, palette: Palette, plan: Plan) -> Line<'a> {
    let width = usize::from(plan.footer.width);
    if app.mode == Mode::Filter {
        return filter_line(app, palette, width);
    }
    // Where the note has no line of its own, it matters more than the keys, which the help tells as well.
    if !app.note.is_empty() && plan.note.height == 0 {
        return note(app, palette, plan.footer.width);
    }
    let key = |rank, key: &'static str, meaning: &'static str| {
        let long =
            vec![Span::styled(key, palette.strong()), Span::styled(format!(" {meaning}"), palette.dim())];
        Piece::new(rank, long, vec![])
    };
    let details = if app.detail { "less" } else { "details" };
    let mut pieces = vec![
        key(0, "q", "quit"),
        key(3, "↑↓", "select"),
        key(2, "d", details),
        key(4, "s", "sort"),
        key(5, "/", "filter"),
        key(1, "?", "help"),
    ];
    if app.live.is_none() {
        pieces.retain(|piece| piece.rank < 2);
    }
    if let (Some((done, total)), true) = (app.progress, app.live.is_some()) {
        let percent = (done as f64 / total.max(1) as f64 * 100.0).floor();
        let long = vec![Span::styled(format!("reading history, {percent:.0} %"), palette.notice())];
        pieces.push(Piece::new(2, long, vec![]));
    }
    fit(pieces, 3, width)
}

/// Shows the end of the filter, where it is being written.
fn filter_line<'a>(app: &App, palette: Palette, width: usize) -> Line<'a> {
    let keys = "   Enter keep   Esc clear";
    let room = width.saturating_sub("filter ▏".chars().count() + keys.len());
    let (text, keys) = if room >= 10 {
        (words::shorten(&app.filter, room), keys)
    } else {
        (words::shorten(&app.filter, width.saturating_sub("filter ▏".chars().count())), "")
    };
    Line::from(vec![
        Span::styled("filter ", palette.accent()),
        Span::raw(text),
        Span::styled("▏", palette.accent()),
        Span::styled(keys, palette.dim()),
    ])
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use session_analytics::Live;

    use super::*;
    use crate::printable::is_unprintable;
    use crate::tui::Message;
    use crate::tui::app::{Event, Sort, update};
    use crate::tui::fixture;

    /// Paints a state and returns what a terminal of its size would show.
    fn painted(app: &App) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).unwrap();
        terminal.draw(|frame| draw(app, frame, fixture::now())).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> String {
        let mut text = String::new();
        for line in buffer.content().chunks(usize::from(buffer.area.width).max(1)) {
            let line: String = line.iter().map(|cell| cell.symbol()).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn with(mut app: App, live: Live) -> App {
        update(&mut app, Event::Message(Message::Live(Box::new(live))));
        app
    }

    #[track_caller]
    fn check(app: &App, expected: &str) {
        let shown = text(&painted(app));
        assert_eq!(shown.trim_end(), expected.trim_matches('\n'), "shown:\n{shown}");
    }

    #[test]
    fn a_wide_screen() {
        let mut earlier = fixture::live();
        earlier.at = earlier.at.before(std::time::Duration::from_secs(70));
        for conversation in &mut earlier.conversations {
            conversation.totals.sum.usage.output /= 2;
        }
        let mut between = fixture::live();
        between.at = between.at.before(std::time::Duration::from_secs(35));
        between.conversations[0].totals.sum.usage.output -= 30_000;
        let mut app = fixture::app(120, 30, true);
        for live in [earlier, between, fixture::live()] {
            app = with(app, live);
        }
        app.detail = true;
        check(&app, WIDE);
    }

    #[test]
    fn a_small_screen() {
        check(&with(fixture::app(60, 15, true), fixture::live()), SMALL);
    }

    #[test]
    fn limits_on_a_wide_screen() {
        let live = Live { limits: fixture::limits(), ..fixture::live() };
        check(&with(fixture::app(120, 24, true), live), LIMITS_WIDE);
    }

    #[test]
    fn limits_on_an_ordinary_screen() {
        let mut live = Live { limits: fixture::limits(), ..fixture::live() };
        live.limits.truncate(2);
        check(&with(fixture::app(80, 24, true), live), LIMITS_ORDINARY);
    }

    #[test]
    fn limits_yield_to_conversations() {
        let live = Live { limits: fixture::limits(), ..fixture::live() };
        check(&with(fixture::app(40, 12, true), live), LIMITS_SMALL);
    }

    #[test]
    fn what_hooks_do_is_said_by_the_policy() {
        let mut live = Live { limits: fixture::limits(), ..fixture::live() };
        let shown = |live: &Live, policy, priority| {
            let mut app = fixture::app(120, 30, false);
            (app.settings.policy, app.settings.priority) = (policy, priority);
            let shown = text(&painted(&with(app, live.clone())));
            shown.lines().find_map(|line| Some(line.split_once('▲')?.1.trim().to_owned())).unwrap_or_default()
        };
        use session_coordinator::{Policy, Priority};
        let ahead = "5-hour limit is ahead of its pace: tool calls";
        assert_eq!(
            shown(&live, Policy::Enforce, Priority::Background),
            format!("{ahead} wait 14 s, sub-agents are refused (enforce, background)")
        );
        assert_eq!(shown(&live, Policy::Off, Priority::Normal), "");
        assert_eq!(shown(&live, Policy::Observe, Priority::Critical), "");
        live.limits[0].limit.status = session_analytics::LimitStatus::Rejected;
        live.limits[0].limit.used = Some(10_000);
        let spent = "5-hour limit is spent:";
        let refused = "sub-agents and background jobs are refused (enforce)";
        assert_eq!(shown(&live, Policy::Enforce, Priority::Normal), format!("{spent} {refused}"));
        let would = "tool calls would be refused (observe, background)";
        assert_eq!(shown(&live, Policy::Observe, Priority::Background), format!("{spent} {would}"));
        live.limits.clear();
        assert_eq!(shown(&live, Policy::Enforce, Priority::Background), "");
    }

    #[test]
    fn before_anything_is_known() {
        let mut app = fixture::app(60, 9, false);
        app.progress = Some((115_000_000, 460_000_000));
        check(&app, IMPORT);
    }

    #[test]
    fn without_conversations_it_says_what_to_do() {
        let app = with(fixture::app(80, 24, false), Live { at: fixture::now(), ..Live::default() });
        let shown = text(&painted(&app));
        assert!(shown.contains("No conversations yet."), "{shown}");
        assert!(shown.contains("no five-hour block is running"), "{shown}");
    }

    #[test]
    fn notes_and_filters_are_in_the_footer() {
        let mut app = with(fixture::app(80, 24, false), fixture::live());
        app.note = "cannot read ~/.claude".to_owned();
        let shown = text(&painted(&app));
        assert!(shown.contains("! cannot read ~/.claude") && shown.contains("q quit"), "{shown}");
        app.mode = Mode::Filter;
        app.filter = "zzz".to_owned();
        let app = with(app, fixture::live());
        let shown = text(&painted(&app));
        assert!(shown.contains("filter zzz▏") && shown.contains("Nothing matches “zzz”"), "{shown}");
    }

    #[test]
    fn without_colours_there_are_none() {
        let mut app = with(fixture::app(120, 30, false), fixture::live());
        app.detail = true;
        app.mode = Mode::Help;
        for cell in painted(&app).content() {
            assert_eq!((cell.fg, cell.bg), Default::default(), "{cell:?}");
        }
    }

    /// Text that has gone wrong on some terminal before.
    fn hostile() -> Vec<String> {
        let mut texts: Vec<String> = [
            "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m",
            "/a\tb\r\nc\0\u{7f}\u{85}",
            "\u{202e}gpj.exe\u{2066}\u{200b}\u{200d}\u{feff}\u{061c}",
            "日本語日本語日本語日本語日本語日本語/日本語日本語日本語日本語",
            "👩\u{200d}🚀👩\u{200d}🚀🇩🇪🇩🇪❤\u{fe0f}❤\u{fe0f}1\u{fe0f}\u{20e3}",
            "\u{301}\u{301}\u{301}e\u{301}\u{301}",
            "////////////////////////////////////////////////////////////",
            "\u{fdfd}\u{fdfd}\u{fdfd}ﷺ",
            "",
        ]
        .map(str::to_owned)
        .into();
        texts.push("x".repeat(20_000));
        texts.push("e\u{301}".repeat(3_000));
        texts
    }

    fn evil_window(evil: &str) -> session_store::LimitWindow {
        session_store::LimitWindow::Other(evil.into())
    }

    fn hostile_app(evil: &str, width: u16, height: u16) -> App {
        let mut live = fixture::live();
        for (place, conversation) in live.conversations.iter_mut().enumerate() {
            conversation.id = format!("{evil}{place}").as_str().into();
            conversation.project = evil.to_owned();
            conversation.model = Some(evil.into());
            conversation.totals.models.insert(evil.into());
            conversation.totals.sum.usage.cache_read = u64::MAX;
            conversation.totals.sum.messages = u64::MAX;
            conversation.totals.cost = session_analytics::Usd::from_picos(i128::MAX / 2);
            conversation.tokens_per_minute = [f64::NAN, f64::INFINITY, -1.0, 1e300, 0.0][place % 5];
            conversation.last_activity =
                [Timestamp::MIN, Timestamp::MAX, Timestamp::default(), fixture::now()][place % 4];
        }
        if let (Some(hit), Some((block, _))) = (&mut live.last_limit, &mut live.block) {
            hit.window = session_store::LimitWindow::Other(evil.into());
            hit.conversation = evil.into();
            (hit.at, hit.resets_at) = (Timestamp::MIN, Some(Timestamp::MAX));
            (block.start, block.end) = (Timestamp::MIN, Timestamp::MAX);
        }
        live.scope_widened = true;
        live.limits = fixture::limits();
        for (place, it) in live.limits.iter_mut().enumerate() {
            (it.limit.account, it.limit.window) = (format!("{evil}{place}").into(), evil_window(evil));
            it.limit.observed_at = Timestamp::MIN;
            it.limit.resets_at = [None, Some(Timestamp::MAX), Some(Timestamp::MIN)][place % 3];
            it.shares.iter_mut().for_each(|share| (share.who, share.part) = (evil.into(), f64::NAN));
        }
        let mut app = fixture::app(width, height, true);
        app.settings.title_scope = evil.to_owned();
        app.note = evil.to_owned();
        app.detail = true;
        with(app, live)
    }

    #[test]
    fn hostile_text_leaves_no_control_characters() {
        for evil in hostile() {
            for (width, height) in [(120, 40), (80, 24), (60, 15), (33, 9)] {
                let mut app = hostile_app(&evil, width, height);
                for filter in [String::new(), evil.chars().filter(|char| !is_unprintable(*char)).collect()] {
                    app.filter = filter;
                    for mode in [Mode::Browse, Mode::Filter] {
                        app.mode = mode;
                        let buffer = painted(&app);
                        assert!(!buffer.content().iter().any(|cell| cell.symbol().contains(is_unprintable)));
                    }
                }
            }
        }
    }

    #[test]
    fn no_size_is_too_small() {
        let evil = "\u{1b}日本語/frontend";
        for (width, height) in (1..=40).flat_map(|width| (1..=12).map(move |height| (width, height))) {
            let fresh = fixture::app(width, height, true);
            painted(&fresh);
            let mut importing = fresh;
            importing.progress = Some((u64::MAX - 1, u64::MAX));
            painted(&importing);
            painted(&with(importing, Live::default()));
            let mut app = hostile_app(evil, width, height);
            for mode in [Mode::Browse, Mode::Filter, Mode::Help] {
                app.mode = mode;
                for detail in [false, true] {
                    app.detail = detail;
                    painted(&app);
                }
            }
        }
    }

    #[test]
    fn a_size_not_told_yet_is_drawn_as_well() {
        let mut app = with(fixture::app(120, 40, true), fixture::live());
        app.scroll = 4;
        app.sort = Sort::Cost;
        app.detail = true;
        let mut terminal = Terminal::new(TestBackend::new(31, 7)).unwrap();
        terminal.draw(|frame| draw(&app, frame, fixture::now())).unwrap();
        let mut terminal = Terminal::new(TestBackend::new(500, 200)).unwrap();
        terminal.draw(|frame| draw(&app, frame, fixture::now())).unwrap();
    }

    const WIDE: &str = "
 ClaudeWatch  ~/work/shop                                                                    DEMO   14:32 Europe/Berlin

 Today 1.9M tokens  $2.22      All 2.9M tokens  ≥$7.00      Burn 52.3k tokens/min  $7.25/h
 Block ~11:00 ━━━━━━━━━━━━━━━━━━━━━━━━━━━╸─────────── ~16:00   1 h 27 m left   940.0k tokens  $4.70   ~ inferred
 Limit ■ 5-hour limit   ~/work/shop/backend   12 m ago   resets in 1 h 27 m (16:00)

 ── Conversations · latest first ───────────────────────────────────────────────────────────────────────────────── 5 ──
    Project               Model           In     Out  Cache wr  Cache rd   Total      Cost  Tok/min  Last 5 min  Active
 ▌● ~/work/shop/frontend  sonnet-4-5   18.5k   92.5k    259.0k      1.5M    1.9M     $2.22    48.2k          ▅█     9 s
  ■ ~/work/shop/backend   opus-4-5      9.4k   47.0k    131.6k    752.0k  940.0k     $4.70        –          ▇     12 m
  ○ ~/work/infra          haiku-4-5      610    3.0k      8.5k     48.8k   61.0k  ~$0.0732        –          ▁      1 h
  ○ ~/work/site           sonnet-4-5      84     420      1.2k      6.7k    8.4k   $0.0101        –          ▁      2 d
  ○ (unknown)             gpt-oss          1       6        16        96     119  no price        –          ▁     10 d





 ── Conversation 4f2c01850000-1c5d-4c3a-9a51-0b8d5cf2a7e1 ─────────────────────────────────────────────────────────────
 Project       ~/work/shop/frontend                                        ▒ Input                  18,500   1.0 %
 Models        claude-sonnet-4-5-20250929                                  █ Output                 92,500   5.0 %
 State         ● working                                                   ▓ Cache write 5 m       185,000  10.0 %
 Last activity 14:32 (9 s ago)                                             ▚ Cache write 1 h        74,000   4.0 %
 Messages      205                                                         ░ Cache read          1,480,000  80.0 %
 Cost          $2.22                                                         Total               1,850,000
 Tokens/min    48,210                                                        Web searches                3
 Limits hit    never

 ▒██████▓▓▓▓▓▓▓▓▓▓▓▓▚▚▚▚▚░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
 q quit   ↑↓ select   d less   s sort   / filter   ? help
";
    const SMALL: &str = "
 ClaudeWatch  ~/work/shop        DEMO   14:32 Europe/Berlin
 Today 1.9M $2.22   All 2.9M ≥$7.00   52.3k/min $7.25/h
 Block ~11:00 ━━━━━╸── ~16:00   940.0k $4.70
 Limit ■ 5-hour limit   …/shop/backend   resets in 1 h 27 m

 ── Conversations · latest first ───────────────────── 5 ──
    Project              Model       Total     Cost Active
 ▌● ~/work/shop/frontend sonnet-4-5   1.9M    $2.22    9 s
  ■ ~/work/shop/backend  opus-4-5   940.0k    $4.70   12 m
  ○ ~/work/infra         haiku-4-5   61.0k ~$0.0732    1 h
  ○ ~/work/site          sonnet-4-5   8.4k  $0.0101    2 d
  ○ (unknown)            gpt-oss       119 no price   10 d


 q quit   ↑↓ select   d details   s sort   ? help
";
    const LIMITS_WIDE: &str = "
 ClaudeWatch  ~/work/shop                                                                    DEMO   14:32 Europe/Berlin

 Today 1.9M tokens  $2.22      All 2.9M tokens  ≥$7.00      Burn 52.3k tokens/min  $7.25/h
 Block ~11:00 ━━━━━━━━━━━━━━━━━━━━━━━━━━━╸─────────── ~16:00   1 h 27 m left   940.0k tokens  $4.70   ~ inferred
 Limit ■ 5-hour limit   ~/work/shop/backend   12 m ago   resets in 1 h 27 m (16:00)

 ── Limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────
 5-hour limit      ━━━━━━━╸ ~94%   resets in 2 h 00 m   full 15:21   pts/1:local:ada:host 91%, 4f2c0094 9%
 weekly limit      ━───────  12%   resets in 2 d 02 h   resets first   pts/1:local:ada:host 67%, 4f2c0094 33%
 weekly Opus limit ━━━━━━━╸  91%   resets in 2 d 02 h   full 2026-11-23 02:12   elsewhere 100%   statusline 3 h ago
 ▲ 5-hour limit is ahead of its pace: tool calls would wait 14 s (observe)

 ── Conversations · latest first ───────────────────────────────────────────────────────────────────────────────── 5 ──
    Project               Model           In     Out  Cache wr  Cache rd   Total      Cost  Tok/min  Last 5 min  Active
 ▌● ~/work/shop/frontend  sonnet-4-5   18.5k   92.5k    259.0k      1.5M    1.9M     $2.22    48.2k                 9 s
  ■ ~/work/shop/backend   opus-4-5      9.4k   47.0k    131.6k    752.0k  940.0k     $4.70        –                12 m
  ○ ~/work/infra          haiku-4-5      610    3.0k      8.5k     48.8k   61.0k  ~$0.0732        –                 1 h
  ○ ~/work/site           sonnet-4-5      84     420      1.2k      6.7k    8.4k   $0.0101        –                 2 d
  ○ (unknown)             gpt-oss          1       6        16        96     119  no price        –                10 d




 q quit   ↑↓ select   d details   s sort   / filter   ? help
";
    const LIMITS_ORDINARY: &str = "
 ClaudeWatch  ~/work/shop                            DEMO   14:32 Europe/Berlin

 Today 1.9M tokens  $2.22   All 2.9M ≥$7.00   Burn 52.3k tokens/min  $7.25/h
 Block ~11:00 ━━━━━╸── ~16:00   1 h 27 m left   940.0k $4.70   ~ inferred
 Limit ■ 5-hour limit   …/shop/backend   12 m ago   resets in 1 h 27 m (16:00)

 ── Limits ────────────────────────────────────────────────────────────────────
 5-hour limit ━━━━━━━╸ ~94%   resets in 2 h 00 m   full 15:21
 weekly limit ━───────  12%   resets in 2 d 02 h   resets first
 ▲ 5-hour limit is ahead of its pace: tool calls would wait 14 s (observe)

 ── Conversations · latest first ───────────────────────────────────────── 5 ──
    Project             Model          In    Out  Total     Cost Tok/min Active
 ▌● …/shop/frontend     sonnet-4-5  18.5k  92.5k   1.9M    $2.22   48.2k    9 s
  ■ ~/work/shop/backend opus-4-5     9.4k  47.0k 940.0k    $4.70       –   12 m
  ○ ~/work/infra        haiku-4-5     610   3.0k  61.0k ~$0.0732       –    1 h
  ○ ~/work/site         sonnet-4-5     84    420   8.4k  $0.0101       –    2 d
  ○ (unknown)           gpt-oss         1      6    119 no price       –   10 d





 q quit   ↑↓ select   d details   s sort   / filter   ? help
";
    const LIMITS_SMALL: &str = "
 ClaudeWatch DEMO   14:32 Europe/Berlin
 Today 1.9M $2.22   52.3k/min $7.25/h
 Block ~11:00 ━━━━━╸── ~16:00
 Limit ■ 5-hour limit
 5h ━━━━━━━╸ ~94%   in 2 h 00 m
 ── Conversations · latest first ──────
    Project                 Cost Active
 ▌● …/shop/frontend        $2.22    9 s
  ■ ~/work/shop/backend    $4.70   12 m
  ○ ~/work/infra        ~$0.0732    1 h
  ○ ~/work/site          $0.0101    2 d
 q quit   d details   ? help
";
    const IMPORT: &str = "
 ClaudeWatch  ~/work/shop        DEMO   14:32 Europe/Berlin

           Reading the history for the first time

   ━━━━━━━━━━━━━╸────────────────────────────────────────

                  115.0 of 460.0 MB   25 %

 q quit   ? help
";
}
