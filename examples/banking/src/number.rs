use std::fmt;
use std::str::FromStr;

use es_runtime::prelude::*;

/// The number of an account: `ACC-` and six digits.
#[value]
#[derive(Copy, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(u32);

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ACC-{:06}", self.0)
    }
}

/// The text is not the number of an account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an account number: it is `ACC-` and six digits, like ACC-000123")]
pub struct ParseAccountNumberError(String);

impl FromStr for AccountNumber {
    type Err = ParseAccountNumberError;

    /// Reads one spelling only: the text is the name of the account's stream.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("ACC-")
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| ParseAccountNumberError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_are_inverses() {
        for text in ["ACC-000000", "ACC-000123", "ACC-999999"] {
            let number: AccountNumber = text.parse().unwrap();
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        for text in [
            "",
            "ACC-",
            "ACC-12",
            "ACC-0000123",
            "ACC-+00123",
            "acc-000123",
            "AC-000123",
            "ACC-00012a",
            " ACC-000123",
        ] {
            assert!(text.parse::<AccountNumber>().is_err(), "{text}");
        }
    }
}
