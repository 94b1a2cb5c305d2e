//! Texts from the store, as a terminal may show them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

/// The text with its control characters escaped as in JSON, so that nothing in it moves the cursor, turns the direction of the line or
/// ends it.
///
/// JSON has such characters in strings only, and so remains JSON.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            // Writing to a string does not fail. All of them are in the basic plane.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Controls, and the marks of Unicode that end a line or turn its direction.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The stored JSON in one line, digit by digit as it is stored. A string of it if it is no JSON.
pub(crate) fn raw(json: &[u8]) -> Box<RawValue> {
    // Between the tokens of JSON, where alone they may stand.
    let spaced: Vec<u8> = json
        .iter()
        .map(|byte| if b"\n\r\t".contains(byte) { b' ' } else { *byte })
        .collect();
    serde_json::from_slice(&spaced).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(json);
        let quoted = serde_json::value::to_raw_value(&text);
        quoted.unwrap_or_else(|_| unreachable!("a string has a JSON form"))
    })
}

/// The beginning of a text, for a column of a table.
pub(crate) fn beginning(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
