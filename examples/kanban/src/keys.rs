//! The names of things: `WEB` is a board, `WEB/Doing` one of its columns, `WEB-12` one of its cards, `ada` a person.

use std::fmt;
use std::str::FromStr;

use es_runtime::prelude::*;

/// The text does not name a thing of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseKeyError {
    text: String,
    expected: &'static str,
}

/// The key of a board: two to eight letters, such as `WEB`.
#[value]
#[derive(Eq, PartialOrd, Ord, Hash)]
pub struct BoardKey(String);

/// The key of a column: its board and its name, such as `WEB/Doing`.
#[value]
#[derive(Eq, PartialOrd, Ord, Hash)]
pub struct ColumnKey {
    board: BoardKey,
    name: String,
}

/// The key of a card: its board and its number there, such as `WEB-12`.
#[value]
#[derive(Eq, PartialOrd, Ord, Hash)]
pub struct CardKey {
    board: BoardKey,
    number: u32,
}

/// The handle of a person: lower-case letters and digits, such as `ada`.
#[value]
#[derive(Eq, PartialOrd, Ord, Hash)]
pub struct Handle(String);

impl BoardKey {
    /// The key of a column of this board.
    pub fn column(&self, name: &str) -> Result<ColumnKey, ParseKeyError> {
        format!("{self}/{name}").parse()
    }

    /// The key of the card with this number.
    pub fn card(&self, number: u32) -> CardKey {
        CardKey {
            board: self.clone(),
            number,
        }
    }
}

impl ColumnKey {
    /// The column's board.
    pub fn board(&self) -> &BoardKey {
        &self.board
    }

    /// The column's name on its board.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl CardKey {
    /// The card's board.
    pub fn board(&self) -> &BoardKey {
        &self.board
    }
}

impl FromStr for BoardKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "a board: write two to eight capital letters, like WEB",
        })
    }
}

impl FromStr for ColumnKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(board, name)| {
            let fits =
                (1..=20).contains(&name.chars().count()) && name.trim() == name && !name.contains(char::is_control);
            let board = board.parse().ok().filter(|_| fits)?;
            let name = name.to_owned();
            Some(Self { board, name })
        });
        parsed.ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "a column: write its board and a name of up to 20 characters, like WEB/Doing",
        })
    }
}

impl FromStr for CardKey {
    type Err = ParseKeyError;

    /// Reads one spelling only: the text is the name of the card's stream.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(board, number)| {
            let key = Self {
                board: board.parse().ok()?,
                number: number.parse().ok()?,
            };
            (key.to_string() == text).then_some(key)
        });
        parsed.ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "a card: write its board and its number, like WEB-12",
        })
    }
}

impl FromStr for Handle {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=12).contains(&text.len()) && text.bytes().all(fits);
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "a handle: write up to 12 small letters and digits, like ada",
        })
    }
}

impl fmt::Display for BoardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ColumnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.board, self.name)
    }
}

impl fmt::Display for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.board, self.number)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_key_are_inverses() {
        assert_eq!("WEB".parse::<BoardKey>().unwrap().to_string(), "WEB");
        assert_eq!(
            "WEB/In review".parse::<ColumnKey>().unwrap().to_string(),
            "WEB/In review"
        );
        assert_eq!("WEB-12".parse::<CardKey>().unwrap().to_string(), "WEB-12");
        assert_eq!("ada2".parse::<Handle>().unwrap().to_string(), "ada2");
    }

    #[test]
    fn another_spelling_is_refused() {
        for text in ["", "W", "web", "WEBWEBWEB", "WEB ", "WÉB"] {
            assert!(text.parse::<BoardKey>().is_err(), "{text}");
        }
        for text in ["WEB", "WEB/", "WEB/ Doing", "web/Doing", "WEB/a name of 21 characters"] {
            assert!(text.parse::<ColumnKey>().is_err(), "{text}");
        }
        for text in ["WEB", "WEB-", "WEB-012", "WEB-+1", "WEB-1 ", "web-1", "WEB-99999999999"] {
            assert!(text.parse::<CardKey>().is_err(), "{text}");
        }
        for text in ["", "Ada", "a b", "thirteen12345"] {
            assert!(text.parse::<Handle>().is_err(), "{text}");
        }
    }
}
