//! What Claude Code sends to our commands.

/// Any input of the status line makes a line that is safe to show, of one line and the width allowed; no value in it is more than
/// the whole.
pub fn statusline_input(data: &[u8]) {
    const NOW_MS: i64 = 1_795_400_000_000;
    let Some(line) = claudewatch::status_line(data, NOW_MS) else { return };
    let is_unsafe = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    assert!(!line.contains(is_unsafe), "{line:?}");
    assert!(line.chars().count() <= 400, "{line:?}");
    for (place, _) in line.match_indices("░ ").chain(line.match_indices("█ ")) {
        let digits: String = line[place..].chars().skip(2).take_while(char::is_ascii_digit).collect();
        assert!(digits.parse::<u32>().is_ok_and(|percent| percent <= 100), "{line:?}");
    }
    assert_eq!(
        claudewatch::status_line(data, NOW_MS).as_ref(),
        Some(&line),
        "the same input makes the same line"
    );
}
