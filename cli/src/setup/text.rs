//! JSON as text: finds where things stand in it and changes these places alone, so that everything else keeps its form.
//!
//! The text must be JSON; callers see to that. All places are in bytes.

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    /// From the key to the end of the value.
    pub(crate) whole: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// Returns where the one value of a text stands.
pub(crate) fn root(text: &str) -> Range<usize> {
    value_at(text.as_bytes(), 0)
}

/// Returns the members of the object that stands there; none where it is no object.
pub(crate) fn members(text: &str, object: &Range<usize>) -> Vec<Member> {
    if text.as_bytes()[object.start] != b'{' {
        return Vec::new();
    }
    let bytes = text.as_bytes();
    let keys = places(bytes, object, |bytes, at| {
        let key = value_at(bytes, at);
        let colon = key.end + bytes[key.end..].iter().position(|byte| *byte == b':').unwrap_or(0);
        let value = value_at(bytes, colon + 1);
        (key, value)
    });
    let member = |(key, value): (Range<usize>, Range<usize>)| Member {
        key: serde_json::from_str(&text[key.clone()]).unwrap_or_default(),
        whole: key.start..value.end,
        value,
    };
    keys.into_iter().map(member).collect()
}

/// Returns where the elements of an array stand; none where it is no array.
pub(crate) fn elements(text: &str, array: &Range<usize>) -> Vec<Range<usize>> {
    if text.as_bytes()[array.start] != b'[' {
        return Vec::new();
    }
    let found = places(text.as_bytes(), array, |bytes, at| {
        let value = value_at(bytes, at);
        (value.clone(), value)
    });
    found.into_iter().map(|(value, _)| value).collect()
}

/// Returns where the value of a key stands in the object that stands there; the last one, where the key stands twice.
pub(crate) fn find(text: &str, object: &Range<usize>, key: &str) -> Option<Member> {
    members(text, object).into_iter().rfind(|member| member.key == key)
}

/// Reads the value that stands there.
pub(crate) fn read(text: &str, place: &Range<usize>) -> Value {
    serde_json::from_str(&text[place.clone()]).unwrap_or_default()
}

/// Puts a value behind the last one of an object or array, in the form that the text has; an object's needs a key.
pub(crate) fn append(text: &mut String, container: &Range<usize>, key: Option<&str>, value: &Value) {
    let items: Vec<Range<usize>> = match key {
        Some(_) => members(text, container).into_iter().map(|member| member.whole).collect(),
        None => elements(text, container),
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let is_flat = !text[container.clone()].contains('\n') && (!items.is_empty() || text.contains('\n'));
    if is_flat && !items.is_empty() {
        let key = key.map_or(String::new(), |key| format!("{}: ", Value::from(key)));
        let end = items[items.len() - 1].end;
        return text.insert_str(end, &format!(", {key}{value}"));
    }
    let unit = unit(text);
    let indent = match items.first() {
        Some(first) => indent_before(text, first.start).to_owned(),
        None => format!("{}{unit}", indent_of_line(text, container.start)),
    };
    let key = key.map_or(String::new(), |key| format!("{}: ", Value::from(key)));
    let item = format!("{newline}{indent}{key}{}", pretty(value, &unit, &indent, newline));
    match items.last() {
        Some(last) => text.insert_str(last.end, &format!(",{item}")),
        None => {
            let closing = if text[container.clone()].contains('\n') {
                String::new()
            } else {
                format!("{newline}{}", indent_of_line(text, container.start))
            };
            text.insert_str(container.start + 1, &format!("{item}{closing}"));
        }
    }
}

/// Takes out one of the items of an object or array, with the comma that belongs to it.
pub(crate) fn remove(text: &mut String, container: &Range<usize>, items: &[Range<usize>], which: usize) {
    let gone = match (which.checked_sub(1).map(|before| &items[before]), items.get(which + 1)) {
        (Some(before), _) => before.end..items[which].end,
        (None, Some(next)) => items[which].start..next.start,
        // The last one: nothing but brackets stays.
        (None, None) => container.start + 1..container.end - 1,
    };
    text.replace_range(gone, "");
}

/// Writes a value in several lines, all but the first of them indented.
fn pretty(value: &Value, unit: &str, indent: &str, newline: &str) -> String {
    let mut bytes = Vec::new();
    let mut writer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(unit.as_bytes()));
    value.serialize(&mut writer).expect("because a value in memory can be written");
    String::from_utf8_lossy(&bytes).replace('\n', &format!("{newline}{indent}"))
}

/// Returns what a text indents by: as its first member is.
fn unit(text: &str) -> String {
    let root = root(text);
    let first = members(text, &root).into_iter().next();
    let indent =
        first.map(|member| indent_before(text, member.whole.start)).filter(|indent| !indent.is_empty());
    indent.unwrap_or("  ").to_owned()
}

/// Returns the blanks between the beginning of a line and a place, where there is nothing else.
fn indent_before(text: &str, place: usize) -> &str {
    let line = text[..place].rfind('\n').map_or(place, |newline| newline + 1);
    let before = &text[line..place];
    if before.bytes().all(|byte| matches!(byte, b' ' | b'\t')) { before } else { "" }
}

fn indent_of_line(text: &str, place: usize) -> &str {
    let line = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let blanks = text[line..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[line..line + blanks]
}

/// Returns what `read` finds at each item of a container; it returns the item's own place first, its end's last.
fn places(
    bytes: &[u8],
    container: &Range<usize>,
    read: impl Fn(&[u8], usize) -> (Range<usize>, Range<usize>),
) -> Vec<(Range<usize>, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = skip_blanks(bytes, container.start + 1);
    while at < container.end - 1 {
        let (first, last) = read(bytes, at);
        at = skip_blanks(bytes, last.end);
        found.push((first, last));
        if bytes.get(at) == Some(&b',') {
            at = skip_blanks(bytes, at + 1);
        }
    }
    found
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    let blanks = bytes[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    from + blanks.count()
}

/// Returns where the value at or behind a place stands.
fn value_at(bytes: &[u8], from: usize) -> Range<usize> {
    let start = skip_blanks(bytes, from);
    let mut at = start;
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 0 {
                    return start..at + 1;
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return start..if depth == 0 { at } else { at + 1 },
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return start..at,
            _ => {}
        }
        at += 1;
    }
    start..bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn appended(text: &str, path: &[&str], key: Option<&str>) -> String {
        let mut text = text.to_owned();
        let place = path.iter().fold(root(&text), |place, key| {
            find(&text, &place, key).unwrap_or_else(|| panic!("{key}")).value
        });
        append(&mut text, &place, key, &json!({"a": [1]}));
        text
    }

    #[test]
    fn what_is_added_takes_the_form_of_the_rest() {
        let check = |text: &str, path: &[&str], key, expected: &str| {
            assert_eq!(appended(text, path, key), expected, "{text}");
        };
        check("{}", &[], Some("k"), "{\n  \"k\": {\n    \"a\": [\n      1\n    ]\n  }\n}");
        check("{\"x\":1}", &[], Some("k"), "{\"x\":1, \"k\": {\"a\":[1]}}");
        check(
            "{\n\t\"x\": 1\n}\n",
            &[],
            Some("k"),
            "{\n\t\"x\": 1,\n\t\"k\": {\n\t\t\"a\": [\n\t\t\t1\n\t\t]\n\t}\n}\n",
        );
        check(
            "{\r\n  \"x\": []\r\n}",
            &["x"],
            None,
            "{\r\n  \"x\": [\r\n    {\r\n      \"a\": [\r\n        1\r\n      ]\r\n    }\r\n  ]\r\n}",
        );
        check("{\n    \"x\": [1, 2]\n}", &["x"], None, "{\n    \"x\": [1, 2, {\"a\":[1]}]\n}");
    }

    #[test]
    fn strings_and_brackets_are_told_apart() {
        let text = r#" { "a\"}" : "x]\\" , "b":[ {"c":"}"}, -1e5,true ] } "#;
        let found = members(text, &root(text));
        assert_eq!(found.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["a\"}", "b"]);
        let places = elements(text, &found[1].value);
        let values: Vec<&str> = places.iter().map(|place| &text[place.clone()]).collect();
        assert_eq!(values, [r#"{"c":"}"}"#, "-1e5", "true"]);
    }

    #[test]
    fn what_was_added_can_be_taken_out() {
        for text in ["{\"x\":1}", "{\n  \"x\": 1\n}\n", "{}", "{\r\n\t\"x\" : [ ]\r\n}"] {
            let mut added = appended(text, &[], Some("k"));
            let place = root(&added);
            let items: Vec<_> = members(&added, &place).into_iter().map(|it| it.whole).collect();
            remove(&mut added, &place, &items, items.len() - 1);
            assert_eq!(added, text);
        }
    }

    proptest::proptest! {
        #[test]
        fn places_are_those_of_the_parser(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("it is a value")] {
                proptest::prop_assert_eq!(&read(&text, &root(&text)), &value);
                for member in members(&text, &root(&text)) {
                    proptest::prop_assert_eq!(&read(&text, &member.value), &value[&member.key]);
                }
                let items: Vec<Value> = elements(&text, &root(&text)).iter().map(|place| read(&text, place)).collect();
                proptest::prop_assert_eq!(items, value.as_array().cloned().unwrap_or_default());
            }
        }
    }

    fn values() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[\\PC\"\\\\\n{}\\[\\],:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"}]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
            ]
        })
    }
}
