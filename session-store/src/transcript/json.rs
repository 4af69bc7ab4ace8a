//! Walks over JSON without building anything, and passes over what nobody asked for.
//!
//! A line is some fifty short fields around a reply that is of no interest. What is passed over is checked for its
//! structure: brackets, commas, literals, numbers; the escapes in its texts are not looked at. Nesting costs a byte a
//! level and no stack.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// A place in a JSON text. Every method returns `None` where the text is no JSON; then the place means nothing.
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
    /// Whether control characters stand anywhere, which no text may hold.
    has_controls: bool,
    /// The brackets that close what [`Json::skip`] is in.
    closing: Vec<u8>,
    /// A value that another text held, empty where none is known; see [`Json::take_known`].
    known: &'a str,
}

/// Whether a text is written with escapes.
enum Escapes {
    None,
    Some,
}

/// What can be read from any JSON value: something by default where the value is of another type.
pub(super) trait Value<'a>: Default {
    /// Reads a value into the default, in its place: a line is a large structure.
    fn read(&mut self, json: &mut Json<'a>) -> Option<()>;
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8], known: &'a str) -> Option<Self> {
        let text = simdutf8::basic::from_utf8(bytes).ok()?;
        // Nearly always there are none: one pass by vectors spares a look at every text.
        let has_controls = bytes.iter().copied().min().is_some_and(is_control);
        Some(Self { text, at: 0, has_controls, closing: Vec::new(), known })
    }

    /// Returns the next byte that is no white space, zero at the end.
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                byte => return byte.copied().unwrap_or(0),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        // White space is rare.
        (self.byte() == byte || self.peek() == byte).then(|| self.at += 1)
    }

    pub(super) fn end(&mut self) -> Option<()> {
        (self.peek() == 0 && self.at == self.text.len()).then_some(())
    }

    /// Reads an object; `each` is told each key and reads or skips its value.
    pub(super) fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek() == b'}' {
            return self.take(b'}');
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            each(self, &key)?;
            if self.peek() != b',' {
                return self.take(b'}');
            }
            self.at += 1;
        }
    }

    /// Reads an array; `each` reads or skips an item.
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek() == b']' {
            return self.take(b']');
        }
        loop {
            each(self)?;
            if self.peek() != b',' {
                return self.take(b']');
            }
            self.at += 1;
        }
    }

    /// Reads a text, borrowed where nothing in it is escaped.
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        match self.quoted()? {
            (inner, Escapes::None) => self.text.get(inner).map(Cow::Borrowed),
            (inner, Escapes::Some) => {
                let quoted = self.text.get(inner.start - 1..inner.end + 1)?;
                serde_json::from_str(quoted).ok().map(Cow::Owned)
            }
        }
    }

    /// Passes over a text and returns where it stands, without its quotes.
    fn quoted(&mut self) -> Option<(Range<usize>, Escapes)> {
        self.take(b'"')?;
        let start = self.at;
        let escapes = self.find_quote()?;
        let inner = start..self.at;
        self.at += 1;
        if self.has_controls && self.text.as_bytes()[inner.clone()].iter().copied().any(is_control) {
            return None;
        }
        Some((inner, escapes))
    }

    /// Goes to the quote that ends a text.
    fn find_quote(&mut self) -> Option<Escapes> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += first_special(&bytes[start..])?;
        if bytes[self.at] == b'"' {
            return Some(Escapes::None);
        }
        loop {
            self.at += memchr(b'"', &bytes[self.at..])?;
            let backslashes = bytes[start..self.at].iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Some(Escapes::Some);
            }
            self.at += 1;
        }
    }

    /// Reads a number and returns it as it is written.
    pub(super) fn number(&mut self) -> Option<&'a str> {
        self.peek();
        let start = self.at;
        self.at += usize::from(self.byte() == b'-');
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.digits()?;
        }
        self.text.get(start..self.at)
    }

    fn digits(&mut self) -> Option<&'a str> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        self.text.get(start..self.at).filter(|digits| !digits.is_empty())
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// Passes over the value that is known, if it is written here; the caller keeps to objects, whose end is theirs.
    pub(super) fn take_known(&mut self) -> bool {
        self.peek();
        let is_here =
            !self.known.is_empty() && self.text.as_bytes()[self.at..].starts_with(self.known.as_bytes());
        self.at += if is_here { self.known.len() } else { 0 };
        is_here
    }

    /// Reads a value and returns it as it is written.
    pub(super) fn written(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a str> {
        self.peek();
        let start = self.at;
        read(self)?;
        self.text.get(start..self.at)
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.closing.clear();
        loop {
            match self.peek() {
                b'"' => self.quoted().map(|_| ())?,
                open @ (b'{' | b'[') => {
                    let close = open + 2;
                    self.at += 1;
                    if self.peek() != close {
                        self.closing.push(close);
                        self.key_in(close)?;
                        continue;
                    }
                    self.at += 1;
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number().map(|_| ())?,
            }
            // A value ends here, and with it perhaps what it stands in.
            loop {
                let Some(&close) = self.closing.last() else { return Some(()) };
                let next = self.peek();
                self.at += 1;
                if next == b',' {
                    self.key_in(close)?;
                    break;
                }
                if next != close {
                    return None;
                }
                self.closing.pop();
            }
        }
    }

    /// Passes over the key of the next value, where that stands in an object.
    fn key_in(&mut self, close: u8) -> Option<()> {
        if close == b'}' {
            self.quoted()?;
            self.take(b':')?;
        }
        Some(())
    }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20
}

/// Finds the first quote or backslash. Most texts are shorter than what a search by vectors needs to begin with.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 40;
    let (words, _) = bytes[..bytes.len().min(SHORT)].as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found =
            zeros(word ^ u64::from_ne_bytes([b'"'; 8])) | zeros(word ^ u64::from_ne_bytes([b'\\'; 8]));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let from = words.len() * 8;
    memchr2(b'"', b'\\', &bytes[from..]).map(|special| from + special)
}

/// Sets the highest bit of the lowest byte that is zero, and perhaps of bytes above it.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(u64::from_ne_bytes([0x01; 8])) & !word & u64::from_ne_bytes([0x80; 8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Any;

    fn skips(text: &str) -> bool {
        Json::new(text.as_bytes(), "").is_some_and(|mut json| json.skip().and_then(|()| json.end()).is_some())
    }

    fn any_json() -> impl Strategy<Value = Any> {
        let leaf = prop_oneof![
            Just(Any::Null),
            any::<bool>().prop_map(Any::from),
            any::<i64>().prop_map(Any::from),
            (-1e30..1e30).prop_map(|number: f64| Any::from(number)),
            "[a\"\\\\\n{}é,:\\[\\]]{0,6}".prop_map(Any::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Any::from),
                proptest::collection::hash_map("[a\"\\\\é]{0,3}", inner, 0..4)
                    .prop_map(|map| Any::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_json_is_passed_over(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            prop_assert!(skips(&text.unwrap()));
        }

        #[test]
        fn what_is_no_json_is_refused(text in "[\\[\\]{},: \t\0\"\\\\a10.eE+truefalsn-]{0,12}") {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            // Only escapes are not looked at.
            prop_assert!(skips(&text) == is_json || text.contains('\\'), "{text}");
        }

        #[test]
        fn texts_are_read_as_they_were(text in "\\PC{0,20}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let mut json = Json::new(quoted.as_bytes(), "").unwrap();
            prop_assert_eq!(json.string().unwrap(), text);
            prop_assert!(json.end().is_some());
        }
    }
}
