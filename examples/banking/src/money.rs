use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::str::FromStr;

use es_runtime::prelude::*;

/// An amount of money, exact to the cent. Its text form is `12.34`.
#[value]
#[derive(Copy, Default, Eq, PartialOrd, Ord)]
pub struct Cents(pub i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Returns whether it is zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The sum, unless it is too large to be kept.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

// Overflow is a bug here: handlers check before they let an event happen.
impl AddAssign for Cents {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Cents {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        f.pad(&format!("{sign}{}.{:02}", cents / 100, cents % 100))
    }
}

/// The text is not an amount of money.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount: {reason}; write it like 12.34")]
pub struct ParseCentsError {
    text: String,
    reason: &'static str,
}

impl FromStr for Cents {
    type Err = ParseCentsError;

    /// Reads `12.34`, `12` or `-12.34`. No float is involved, so that no cent is lost.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| ParseCentsError {
            text: text.to_owned(),
            reason,
        };
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (-1, unsigned),
            None => (1, text),
        };
        let (units, cents) = unsigned.split_once('.').unwrap_or((unsigned, "00"));
        if units.is_empty() || !is_digits(units) || !is_digits(cents) {
            return Err(refuse("it may hold only digits and one point"));
        }
        if cents.len() != 2 {
            return Err(refuse("after the point stand two digits"));
        }
        // The sign goes in first: the lowest number has no positive counterpart.
        let digits = |digits: &str| digits.parse::<i64>().ok().map(|number| number * sign);
        let sum = || digits(units)?.checked_mul(100)?.checked_add(digits(cents)?);
        sum().map(Self).ok_or_else(|| refuse("it is too large"))
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_cents_are_exact_inverses() {
        for (text, cents) in [
            ("0.00", 0),
            ("0.05", 5),
            ("-0.05", -5),
            ("12.34", 1234),
            ("-12.34", -1234),
            ("92233720368547758.07", i64::MAX),
            ("-92233720368547758.08", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Cents(cents)));
            assert_eq!(Cents(cents).to_string(), text);
        }
        assert_eq!("12".parse(), Ok(Cents(1200)));
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in [
            "",
            "-",
            ".",
            ".50",
            "12.",
            "12.3",
            "12.345",
            "abc",
            "1e3",
            "+5",
            "--5",
            "1,250.00",
            " 5",
            "٣",
            "5.-1",
            "92233720368547758.08",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Cents>().is_err(), "{text}");
        }
        let error = "12.345".parse::<Cents>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`12.345` is not an amount: after the point stand two digits; write it like 12.34"
        );
    }
}
