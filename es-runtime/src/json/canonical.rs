//! The form of a request by which its repetition is known: the same value gives the same bytes, in every process.

use std::any::type_name;

use serde::Serialize;

use super::Unencodable;

/// Appends `json`, one value as `serde_json` writes it, to `out`, with the fields of each object in the order of their names. Maps
/// without an order come in another one in each process.
pub(crate) fn sort_fields(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    value(&mut rest, out);
}

/// Takes a value from the front of `json`.
fn value(json: &mut &[u8], out: &mut Vec<u8>) {
    match json.first() {
        Some(b'{') => {
            let mut fields: Vec<Vec<u8>> = items(json, |json, field| {
                text(json, field);
                field.extend_from_slice(take(json, 1));
                value(json, field);
            });
            fields.sort_unstable();
            join(b'{', &fields, b'}', out);
        }
        Some(b'[') => join(b'[', &items(json, value), b']', out),
        Some(b'"') => text(json, out),
        _ => {
            let length = json.iter().position(|byte| matches!(byte, b',' | b']' | b'}'));
            out.extend_from_slice(take(json, length.unwrap_or(json.len())));
        }
    }
}

/// Takes an object or an array, item by item.
fn items(json: &mut &[u8], mut item: impl FnMut(&mut &[u8], &mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    take(json, 1);
    while !matches!(json.first(), Some(b'}' | b']') | None) {
        let mut bytes = Vec::new();
        item(json, &mut bytes);
        items.push(bytes);
        if json.first() == Some(&b',') {
            take(json, 1);
        }
    }
    take(json, 1);
    items
}

/// Takes a string with its quotes.
fn text(json: &mut &[u8], out: &mut Vec<u8>) {
    let mut escaped = false;
    let end = json.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    out.extend_from_slice(take(json, end.map_or(json.len(), |end| end + 2)));
}

fn take<'a>(json: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = json.split_at(length.min(json.len()));
    *json = rest;
    taken
}

fn join(begin: u8, items: &[Vec<u8>], end: u8, out: &mut Vec<u8>) {
    out.push(begin);
    out.extend_from_slice(&items.join(&b','));
    out.push(end);
}

/// Returns whether `I` is an unordered set, whose elements come in another order in each process. Decides by its name:
/// nothing else tells serde a set from a `Vec`.
pub(super) fn is_unordered<I>() -> bool {
    let name = type_name::<I>();
    let name = name.trim_start_matches('&');
    name.split('<').next().is_some_and(|path| path.ends_with("::HashSet"))
}

/// The elements in the order of their JSON.
pub(super) fn sorted<T: Serialize>(elements: impl IntoIterator<Item = T>) -> Result<Vec<T>, Unencodable> {
    let written = elements.into_iter().map(|element| {
        let (mut json, mut key) = (Vec::new(), Vec::new());
        super::encode(&element, &mut json)?;
        sort_fields(&json, &mut key);
        Ok((key, element))
    });
    let mut written = written.collect::<Result<Vec<_>, Unencodable>>()?;
    written.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(written.into_iter().map(|(_, element)| element).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(json: &str) -> String {
        let mut out = Vec::new();
        sort_fields(json.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_sorted_at_every_depth_and_nothing_else_is() {
        for (given, expected) in [
            ("{}", "{}"),
            ("[]", "[]"),
            ("-1.5e3", "-1.5e3"),
            (r#""\\\"}""#, r#""\\\"}""#),
            (
                r#"{"b":[2,1,{"d":null,"c":{"z":[],"y":true}}],"a":"{\"x\":1}"}"#,
                r#"{"a":"{\"x\":1}","b":[2,1,{"c":{"y":true,"z":[]},"d":null}]}"#,
            ),
            (r#"{"\"":1,"!":[[],[{}]]}"#, r#"{"!":[[],[{}]],"\"":1}"#),
        ] {
            assert_eq!(canonical(given), expected);
            assert_eq!(canonical(expected), expected);
        }
    }

    #[test]
    fn it_is_the_same_json() {
        let value = json!({ "a\\": ["\u{0}\"", { "é": 1.25 }], "": { "b": {}, "a": [[1], "2"] } });
        let read: serde_json::Value = serde_json::from_str(&canonical(&value.to_string())).unwrap();
        assert_eq!(read, value);
    }
}
