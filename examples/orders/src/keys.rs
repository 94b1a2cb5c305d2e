//! The names of things: `O-17` is an order, `P-17` its payment, `S-17` its shipment, `lamp` an article.

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

/// The number of an order, such as `O-17`.
#[value]
#[derive(Copy, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber(u32);

/// The number of the payment of an order, such as `P-17`.
#[value]
#[derive(Copy, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentNumber(u32);

/// The number of the shipment of an order, such as `S-17`.
#[value]
#[derive(Copy, Eq, PartialOrd, Ord, Hash)]
pub struct ShipmentNumber(u32);

/// An article: small letters, such as `lamp`.
#[value]
#[derive(Eq, PartialOrd, Ord, Hash)]
pub struct Article(String);

impl OrderNumber {
    /// The order with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number alone.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The payment of the order.
    pub const fn payment(self) -> PaymentNumber {
        PaymentNumber(self.0)
    }

    /// The shipment of the order.
    pub const fn shipment(self) -> ShipmentNumber {
        ShipmentNumber(self.0)
    }
}

impl PaymentNumber {
    /// The order that is paid.
    pub fn order(self) -> OrderNumber {
        OrderNumber(self.0)
    }
}

impl ShipmentNumber {
    /// The order that is shipped.
    pub fn order(self) -> OrderNumber {
        OrderNumber(self.0)
    }
}

/// Reads one spelling only: the text is the name of a stream.
fn number(text: &str, prefix: &str, expected: &'static str) -> Result<u32, ParseKeyError> {
    let number = text.strip_prefix(prefix).and_then(|number| number.parse().ok());
    let is_spelled = |number: &u32| format!("{prefix}{number}") == text;
    number.filter(is_spelled).ok_or_else(|| ParseKeyError {
        text: text.to_owned(),
        expected,
    })
}

impl FromStr for OrderNumber {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number(text, "O-", "an order: write it like O-17").map(Self)
    }
}

impl FromStr for PaymentNumber {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number(text, "P-", "a payment: write it like P-17").map(Self)
    }
}

impl FromStr for ShipmentNumber {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number(text, "S-", "a shipment: write it like S-17").map(Self)
    }
}

impl FromStr for Article {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
        fits.then(|| Self(text.to_owned())).ok_or_else(|| ParseKeyError {
            text: text.to_owned(),
            expected: "an article: write up to 20 small letters, like lamp",
        })
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "O-{}", self.0)
    }
}

impl fmt::Display for PaymentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P-{}", self.0)
    }
}

impl fmt::Display for ShipmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-{}", self.0)
    }
}

impl fmt::Display for Article {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_key_are_inverses() {
        let order = OrderNumber::new(17);
        assert_eq!(order.to_string().parse(), Ok(order));
        assert_eq!("P-17".parse(), Ok(order.payment()));
        assert_eq!("S-17".parse(), Ok(order.shipment()));
        assert_eq!("lamp".parse::<Article>().unwrap().to_string(), "lamp");
    }

    #[test]
    fn another_spelling_is_refused() {
        for text in ["", "17", "O-", "O-017", "O-+1", "O-1 ", "o-1", "P-1", "O-99999999999"] {
            assert!(text.parse::<OrderNumber>().is_err(), "{text}");
        }
        for text in ["", "Lamp", "a lamp", "twentyonelettersortwo"] {
            assert!(text.parse::<Article>().is_err(), "{text}");
        }
    }
}
