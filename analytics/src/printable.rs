//! Text from outside, made fit for terminals and pages.

use std::borrow::Cow;

use serde::Serialize;

/// What stands where a character was taken out, so that nothing disappears without a trace.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Returns the text with every character that could steer a terminal or deceive its reader shown as `�`.
///
/// Paths, model names and ids were written by others. These characters are replaced: controls (C0 with ESC, tab and
/// newline, DEL, C1), which move the cursor or speak to the terminal; marks of direction, which make text read in
/// another order than it has; characters of no width and line or paragraph separators, which make different names
/// look the same. Joiners belong to the last kind, so an emoji made of several falls apart into these.
///
/// The result holds no such character, has as many characters as the text, and is left as it is by a second pass.
/// Nothing is allocated where nothing is replaced.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|char| if is_unprintable(char) { REPLACEMENT } else { char }).collect())
}

/// Tells whether a character must not reach a terminal from outside.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{061C}'                  // Arabic letter mark
            | '\u{200B}'..='\u{200F}'   // zero-width space and joiners, direction marks
            | '\u{2028}'..='\u{202E}'   // separators, embeddings and overrides of direction
            | '\u{2060}'..='\u{206F}'   // word joiner, invisible operators, isolates of direction
            | '\u{FEFF}'                // zero-width no-break space
            | '\u{FFF9}'..='\u{FFFB}'   // interlinear annotations
            | '\u{E0000}'..='\u{E007F}' // tags
        )
}

/// Writes a value as JSON on one line, in which every character that [`printable`] would replace is escaped: `\u009b`.
///
/// It says the same to whoever parses it, and does no harm to a terminal it is looked at in.
///
/// # Panics
///
/// The value cannot be written as JSON, such as a map whose keys are no texts.
pub fn printable_json(value: &impl Serialize) -> String {
    printable_line(serde_json::to_string(value).expect("because it holds texts, numbers and lists of them"))
}

/// The same on several lines, indented.
///
/// # Panics
///
/// As [`printable_json`].
pub fn printable_json_pretty(value: &impl Serialize) -> String {
    printable_line(
        serde_json::to_string_pretty(value).expect("because it holds texts, numbers and lists of them"),
    )
}

/// Escapes the same in JSON that is written already; outside of texts that is ASCII.
pub fn printable_line(json: String) -> String {
    let is_left = |char: char| char > '~' && is_unprintable(char);
    if !json.contains(is_left) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    for char in json.chars() {
        if is_left(char) {
            let units = &mut [0; 2];
            out.extend(char.encode_utf16(units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is parsed is what was written, and no terminal is steered by it.
        #[test]
        fn json_is_the_same_and_harmless(texts in proptest::collection::vec(any::<String>(), 0..4)) {
            for json in [printable_json(&texts), printable_json_pretty(&texts)] {
                prop_assert!(!json.replace('\n', "").contains(is_unprintable), "{json:?}");
                prop_assert_eq!(&serde_json::from_str::<Vec<String>>(&json).unwrap(), &texts);
            }
        }
    }

    #[test]
    fn what_steers_is_escaped_in_json() {
        assert_eq!(printable_json(&"a\u{9b}2J\x7f\u{e0041}é"), "\"a\\u009b2J\\u007f\\udb40\\udc41é\"");
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["", "~/shop/frontend", "naïve – 日本語 – 🦀", "שלום"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_steers_or_deceives_is_shown() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected, "{text:?}");
        check("a\x1b[31mb", "a�[31mb");
        check("a\tb\r\nc\0\x7f", "a�b��c��");
        check("\u{80}\u{9b}2J\u{9f}", "��2J�");
        check("exe\u{202e}gpj.rs", "exe�gpj.rs");
        check("\u{061c}\u{200b}\u{200f}\u{202a}\u{2066}\u{2069}", "������");
    }

    #[test]
    fn every_character_alone() {
        for char in '\0'..=char::MAX {
            let text = char.to_string();
            let once = printable(&text);
            assert!(!once.contains(is_unprintable), "{char:?}");
            assert_eq!(printable(&once), once, "{char:?}");
            assert_eq!(once.chars().count(), 1, "{char:?}");
        }
    }

    #[test]
    fn the_forbidden_ranges_are_covered() {
        let ranges = ['\0'..='\x1f', '\x7f'..='\u{9f}', '\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}'];
        let ranges = ranges.into_iter().chain(['\u{2066}'..='\u{2069}', '\u{061c}'..='\u{061c}']);
        for char in ranges.flatten() {
            assert_eq!(printable(&char.to_string()), "�", "{char:?}");
        }
    }
}
