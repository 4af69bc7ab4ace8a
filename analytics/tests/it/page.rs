//! The page: the same bytes for the same figures, small, and nothing in it that a name could have put there.

use proptest::prelude::*;
use session_analytics::{escape_html, report_html};

use crate::history::{HOSTILE, Told, history};

/// Reads a page as a browser would, strictly: tags nest, attributes are quoted, and only what this project writes occurs.
#[track_caller]
pub(crate) fn assert_sound(page: &str) {
    let body = page.split_once("<body>").expect("a body").1.split_once("</body>").expect("its end").0;
    let mut open: Vec<&str> = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find(['<', '>']) {
        assert_eq!(&rest[at..=at], "<", "a loose > at {:?}", rest.get(at.saturating_sub(40)..at));
        let text = &rest[..at];
        assert!(!text.contains(['"', '\'']), "unescaped text {text:?}");
        let end = tag_end(&rest[at..]);
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "<{tag}>");
        assert!(!["script", "img", "iframe", "object", "embed", "base", "form"].contains(&name), "<{tag}>");
        for attribute in attributes(&tag[name.len()..]) {
            assert!(!attribute.starts_with("on") && !["src", "srcdoc"].contains(&attribute), "<{tag}>");
        }
        // Only drawings hold tags that close themselves; in the body of HTML there is none without an end.
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    assert!(!page.contains("http://") || !page.contains("src=\"http"), "nothing is loaded");
    let is_odd = |char: char| char != '\n' && session_analytics::is_unprintable(char);
    assert!(!page.contains(is_odd), "{:?}", page.find(is_odd));
}

/// Returns where a tag ends; a `>` in quotes does not end it.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (at, char) in tag.char_indices() {
        match char {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    panic!("{tag:.80} has no end")
}

/// Returns the names of attributes.
fn attributes(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text.trim_matches(['/', ' ']);
    while let Some((name, after)) = rest.split_once("=\"") {
        names.push(name.trim());
        rest = after.split_once('"').expect("a closing quote").1;
    }
    names
}

#[test]
fn the_same_figures_give_the_same_bytes() {
    let made = || report_html(&Told::of(&history(40, 60, &HOSTILE)).page());
    let page = made();
    assert_eq!(made(), page);
    assert_sound(&page);
    for part in ["limits", "spend", "windows", "sessions", "projects", "conversations", "cache", "advice"] {
        assert!(page.contains(&format!("<section id=\"{part}\"")), "{part}");
        assert!(page.contains(&format!("<a href=\"#{part}\">")), "{part}");
    }
}

#[test]
fn ids_are_unique() {
    let page = report_html(&Told::of(&history(40, 60, &[])).page());
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&link), "{link} leads nowhere");
    }
    for label in page.split("aria-labelledby=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&label), "{label} labels nothing");
    }
}

#[test]
fn a_year_of_heavy_use_is_under_a_megabyte() {
    let told = Told::of(&history(365, 400, &HOSTILE));
    let page = report_html(&told.page());
    assert!(told.page().overview.totals.sum.messages > 50_000, "it is heavy use");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert_sound(&page);
}

#[test]
fn little_is_told_where_little_is_known() {
    let empty = report_html(&Told::of(&history(0, 0, &[])).page());
    assert_sound(&empty);
    assert!(empty.contains("Nothing was used in this time."));
    for days in [1, 2] {
        assert_sound(&report_html(&Told::of(&history(days, 3, &[])).page()));
    }
}

#[test]
fn what_was_held_back_is_told() {
    let told = Told::of(&history(30, 160, &[]));
    let totals = told.page().coordination.totals;
    assert!(totals.waits > 1 && totals.refusals > 1, "{totals:?}");
    let page = report_html(&told.page());
    assert!(page.contains("<a href=\"#coordination\">Held back</a>"), "it is linked");
    assert!(page.contains(&format!("<p>{} calls waited, ", totals.waits)));
    assert!(page.contains(&format!("; {} calls were refused.</p>", totals.refusals)));
    assert!(!report_html(&Told::of(&history(1, 3, &[])).page()).contains("id=\"coordination\""));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_name_breaks_the_page(names in prop::collection::vec("(?s).{0,40}", 1..4)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_sound(&report_html(&Told::of(&history(4, 12, &names)).page()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn escaping_is_undone_by_reading(text in "(?s).*") {
        let escaped = escape_html(&text);
        prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        let read = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
        let read = read.replace("&amp;", "&");
        prop_assert_eq!(read, session_analytics::printable(&text));
    }
}
