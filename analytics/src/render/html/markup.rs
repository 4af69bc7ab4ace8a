//! HTML that cannot be broken by what is put into it: markup is written in the source, everything else is escaped.

use std::fmt::{self, Display, Write};

use crate::printable::printable;

/// HTML under way.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup that stands in the source.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds markup that stands in the source, with values, escaped, in the places of `{}`.
    ///
    /// A place may be text or the inside of an attribute in double quotes.
    pub(super) fn put(&mut self, template: &'static str, values: &[&dyn Display]) {
        let mut parts = template.split("{}");
        self.0.push_str(parts.next().unwrap_or_default());
        debug_assert_eq!(template.matches("{}").count(), values.len(), "{template}");
        for (part, value) in parts.zip(values) {
            // Writing into a string cannot fail.
            let _ = write!(Escaped(&mut self.0), "{value}");
            self.0.push_str(part);
        }
    }

    /// Returns the whole.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Escapes what is written to it.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = printable(text);
        let mut rest = &*text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// Returns a text as it may stand in HTML, between tags and in quoted attributes.
///
/// `&`, `<`, `>` and both quotes become references; what could deceive a reader (controls, marks of direction, characters of no
/// width) becomes `�`, as on terminals.
///
/// ```
/// use session_analytics::escape_html;
/// assert_eq!(escape_html("<b title='x'> & \"y\""), "&lt;b title=&#39;x&#39;&gt; &amp; &quot;y&quot;");
/// assert_eq!(escape_html("exe\u{202e}gpj.\u{0}"), "exe�gpj.�");
/// ```
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing into a string cannot fail.
    let _ = Escaped(&mut escaped).write_str(text);
    escaped
}

/// A number for coordinates and lengths: at most two decimals, none that are zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short(pub(super) f64);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round();
        let hundredths = if hundredths.is_finite() { hundredths as i64 } else { 0 };
        let (sign, size) = (if hundredths < 0 { "-" } else { "" }, hundredths.unsigned_abs());
        match (size / 100, size % 100) {
            (whole, 0) => write!(f, "{sign}{whole}"),
            (0, part) if part % 10 == 0 => write!(f, "{sign}.{}", part / 10),
            (0, part) => write!(f, "{sign}.{part:02}"),
            (whole, part) if part % 10 == 0 => write!(f, "{sign}{whole}.{}", part / 10),
            (whole, part) => write!(f, "{sign}{whole}.{part:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |number: f64, text: &str| assert_eq!(Short(number).to_string(), text);
        check(0.0, "0");
        check(-0.001, "0");
        check(0.5, ".5");
        check(-0.05, "-.05");
        check(12.345, "12.35");
        check(7.1, "7.1");
        check(f64::NAN, "0");
        check(f64::INFINITY, "0");
    }

    #[test]
    fn values_are_escaped_in_their_places() {
        let mut out = Markup::default();
        out.put("<a title=\"{}\">{}</a>", &[&"\" onclick=\"x", &"<script>{}</script>"]);
        assert_eq!(out.finish(), "<a title=\"&quot; onclick=&quot;x\">&lt;script&gt;{}&lt;/script&gt;</a>");
    }
}
