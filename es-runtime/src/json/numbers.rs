//! Hands numbers on as numbers, where `serde_json` keeps their digits.
//!
//! With its feature `arbitrary_precision` it gives a number whose type is not asked for as a map with a private key. Whatever
//! buffers values before it knows their types takes that for a map: serde does, for tagged and untagged enums and for flattened
//! structs.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;

use serde::de::value::{CowStrDeserializer, MapDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The private key.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// A deserializer, or an access to parts of a value, all of whose numbers are numbers.
pub(crate) struct Numbers<T>(pub(crate) T);

macro_rules! pass_on {
    ($($method:ident($($arg:ident: $type:ty),*);)+) => {
        $(fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($arg,)* Visit { visitor, any: false })
        })+
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Numbers<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Visit { visitor, any: true })
    }

    pass_on! {
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(length: usize);
        deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Passes on what it visits.
struct Visit<V> {
    visitor: V,
    /// True if any type would do, so that a map may be a number.
    any: bool,
}

macro_rules! visits {
    ($($method:ident($type:ty);)+) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })+
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Visit<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visits! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Numbers(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Numbers(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Numbers(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        if !self.any || keeps_digits::<V::Value>() {
            return self.visitor.visit_map(Numbers(map));
        }
        let first = map.next_key::<Text<'de>>()?.map(|Text(key)| key);
        if first.as_deref() == Some(NUMBER) {
            number(map.next_value::<Text<'de>>()?.0, self.visitor)
        } else {
            self.visitor.visit_map(Begun {
                first,
                rest: Numbers(map),
            })
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Numbers(data))
    }
}

/// Returns whether a type reads the private key itself. A type of the same name that is mistaken for one gets what
/// `serde_json` gives.
fn keeps_digits<T>() -> bool {
    let name = type_name::<T>();
    name == type_name::<serde_json::Value>() || name == type_name::<serde_json::Number>()
}

/// Gives the number to the visitor as the first of these that holds it: a `u64`, an `i64`, a `u128`, an `i128`, an `f64`. One
/// that none of them holds stays what it was.
fn number<'de, V: Visitor<'de>, E: Error>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, E> {
    let is_whole = text != "-0" && !text.contains(['.', 'e', 'E']);
    if is_whole {
        if let Ok(number) = text.parse() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_i64(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_u128(number);
        }
        if let Ok(number) = text.parse() {
            return visitor.visit_i128(number);
        }
    }
    match text.parse::<f64>() {
        Ok(number) if is_float(&text, number) => visitor.visit_f64(number),
        _ => visitor.visit_map(MapDeserializer::new(std::iter::once((NUMBER, text)))),
    }
}

/// Returns whether the text says no more than the number holds. Of two shortest forms that are equally near to the
/// number, Rust and `serde_json` may write different ones.
fn is_float(text: &str, number: f64) -> bool {
    let text = decimal(text);
    text == decimal(&format!("{number:e}"))
        || serde_json::to_string(&number).is_ok_and(|written| text == decimal(&written))
}

/// The digits of a decimal number, without zeros at either end, and the power of ten of the first.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => (true, mantissa),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = all.trim_start_matches('0');
    let power = match digits {
        "" => 0,
        _ => {
            i64::try_from(whole.len()).ok()? - i64::try_from(all.len() - digits.len()).ok()?
                + exponent.parse::<i64>().ok()?
        }
    };
    Some((is_negative, digits.trim_end_matches('0').to_owned(), power))
}

/// A map whose first key was read already.
struct Begun<'de, A> {
    first: Option<Cow<'de, str>>,
    rest: Numbers<A>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Begun<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(key) => seed.deserialize(CowStrDeserializer::new(key)).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// Text, without a copy where that is possible.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads a part of a value, with numbers by the same rule.
struct Seed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Numbers(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Numbers<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Numbers<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Numbers<A> {
    type Error = A::Error;
    type Variant = Numbers<A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let (name, variant) = self.0.variant_seed(seed)?;
        Ok((name, Numbers(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Numbers<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.0.newtype_variant_seed(Seed(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Visit { visitor, any: false })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Visit { visitor, any: false })
    }
}

#[cfg(test)]
mod tests {
    use super::{decimal, is_float};

    /// Two writers of the shortest form of a number may choose different digits.
    #[test]
    fn every_float_that_is_written_is_read_as_a_float() {
        let mut bits = 1_u64;
        for _ in 0..100_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits ^ (bits >> 29));
            let written = serde_json::to_string(&number).unwrap();
            assert!(
                !number.is_finite() || is_float(&written, number),
                "{written} {number:e}"
            );
        }
    }

    #[test]
    fn equal_decimals_have_equal_digits() {
        for (left, right) in [
            ("1.10", "1.1"),
            ("100.0", "1e2"),
            ("1e+2", "1E2"),
            ("0.00120", "1.2e-3"),
            ("0.0", "0e0"),
            ("-0", "-0e0"),
        ] {
            assert_eq!(decimal(left), decimal(right), "{left} {right}");
        }
        for (left, right) in [("0.1", "0.10000000000000001"), ("1", "-1"), ("1", "10"), ("-0", "0")] {
            assert_ne!(decimal(left), decimal(right), "{left} {right}");
        }
    }
}
