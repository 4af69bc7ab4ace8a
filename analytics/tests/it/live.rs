//! The view of now, where clocks do not agree.

use session_analytics::{Figures, Live, LiveInput, PriceBook};
use session_store::{Timestamp, Zone};

use crate::story::{DAY, HOUR, MINUTE, MONDAY, Reply, Story, at};

fn view(story: &Story, now: Timestamp) -> Live {
    let (figures, book, zone) = (Figures::of(&story.ledger), PriceBook::built_in(), Zone::utc());
    let input =
        LiveInput { figures: &figures, recent: &story.ledger, sources: &[], book: &book, zone: &zone, now };
    Live::build(&input, &|folder| folder.to_owned())
}

#[test]
fn a_reply_of_years_ahead_is_neither_of_today_nor_of_now() {
    let now = at(MONDAY);
    let mut story = Story::default();
    story.reply(now.before(MINUTE), &Reply::default());
    let right = view(&story, now);
    assert!(right.today.sum.messages == 1 && right.block.is_some() && right.tokens_per_minute > 0.0);
    for ahead in [HOUR * 20, DAY * 3650] {
        let mut story = Story::default();
        story.reply(now.before(MINUTE), &Reply::default());
        story.reply(now.after(ahead), &Reply { conversation: "ahead", ..Reply::default() });
        let seen = view(&story, now);
        assert_eq!(seen.totals.sum.messages, 2, "it counts all the same");
        assert_eq!((&seen.today, &seen.block), (&right.today, &right.block), "{ahead:?}");
        assert_eq!(seen.tokens_per_minute, right.tokens_per_minute, "{ahead:?}");
    }
    // Clocks that differ by a minute are no reason to show nothing.
    story.reply(now.after(MINUTE), &Reply::default());
    assert!(view(&story, now).tokens_per_minute > right.tokens_per_minute);
}

#[test]
fn hits_count_where_they_happened() {
    let now = at(MONDAY);
    let mut story = Story::default();
    story.reply(now.before(MINUTE), &Reply::default());
    story.hit(now, "of now", now.after(HOUR));
    story.hit(now.before(DAY * 3), "of then", now.before(DAY * 3 - HOUR));
    let seen = view(&story, now);
    assert_eq!((seen.totals.rate_limit_events, seen.today.rate_limit_events), (2, 1));
    assert_eq!(seen.block.map(|(_, totals)| totals.rate_limit_events), Some(1));
}
