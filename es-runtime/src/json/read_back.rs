//! Reads a value back from its JSON form before it is stored.

use std::fmt::{Debug, Display};

use serde::de::{DeserializeOwned, Error};

use super::watched::{Place, Watched};

/// Reads `json`, which is the form of `value`.
///
/// # Errors
///
/// If it cannot be read, or is read as another value. The message names the field, if that is known.
pub(super) fn read<T: DeserializeOwned + PartialEq + Debug>(value: &T, json: &[u8]) -> Result<T, serde_json::Error> {
    let place = Place::default();
    let read = match super::read_with(json, |json| T::deserialize(Watched(json, &place))) {
        Ok(read) => read,
        Err(error) => {
            return Err(refused(
                &place.fields(),
                format_args!("could not be read again ({error})"),
            ));
        }
    };
    match difference(value, &read) {
        None => Ok(read),
        Some(path) => Err(refused(&path, "would be read as another value")),
    }
}

/// Returns the fields around the first difference of two values, the outermost first, if there is one.
pub(crate) fn difference<T: PartialEq + Debug>(value: &T, read: &T) -> Option<Vec<String>> {
    (!same(read, value)).then(|| first_difference(&format!("{value:#?}"), &format!("{read:#?}")))
}

/// Returns whether `read` equals `value`. If a value does not equal itself, such as NaN, its text decides.
pub(crate) fn same<T: PartialEq + Debug>(read: &T, value: &T) -> bool {
    #[expect(clippy::eq_op, reason = "not every value is equal to itself")]
    let is_comparable = value == value;
    if is_comparable {
        read == value
    } else {
        format!("{read:?}") == format!("{value:?}")
    }
}

pub(crate) fn refused(path: &[String], what: impl Display) -> serde_json::Error {
    Error::custom(format_args!(
        "{} {what}: give it a type and serde attributes that read what they write",
        place(path)
    ))
}

/// The place of a value in words.
pub(crate) fn place(path: &[String]) -> String {
    match path {
        [] => "it".to_owned(),
        path => format!("its field `{}`", path.join(".")),
    }
}

/// The fields around the first line in which two values, as `Debug` shows them, differ.
fn first_difference(value: &str, read: &str) -> Vec<String> {
    let mut lines: Vec<&str> = Vec::new();
    let mut read = read.lines();
    for line in value.lines() {
        lines.push(line);
        if read.next() != Some(line) {
            break;
        }
    }
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut path = Vec::new();
    let mut inside = usize::MAX;
    for line in lines.into_iter().rev() {
        if indent(line) >= inside {
            continue;
        }
        inside = indent(line);
        let is_name = |text: &str| text.chars().all(|char| char.is_alphanumeric() || char == '_');
        if let Some((name, _)) = line.trim_start().split_once(": ")
            && is_name(name)
        {
            path.insert(0, name.to_owned());
        }
    }
    path
}
