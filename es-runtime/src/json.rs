//! The stored form of events and commands: JSON that reads back as the value that was written.

use std::cell::Cell;
use std::fmt::{self, Debug, Display};

use serde::de::{self, DeserializeOwned, Deserializer as _};
use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::store::{DEPTH, LimitExceeded};
use crate::stored::{DecodeError, EncodeError};

mod canonical;
mod levels;
#[cfg(feature = "arbitrary_precision")]
mod numbers;
mod read_back;
mod watched;

pub(crate) use canonical::sort_fields;
pub(crate) use levels::check_levels;
pub(crate) use read_back::{difference, place, refused, same};

/// Why a value has no stored form.
pub(crate) enum Unencodable {
    /// It nests deeper than could be read back.
    TooDeep,
    /// Its `Serialize` implementation fails, or JSON cannot hold it.
    Value(serde_json::Error),
}

impl Unencodable {
    /// The error of an event or a command, of which `what` says which it is.
    pub(crate) fn of(self, name: &'static str, what: impl Display) -> EncodeError {
        match self {
            Self::TooDeep => too_deep(what).into(),
            Self::Value(source) => EncodeError::Value { name, source },
        }
    }
}

impl From<Unencodable> for serde_json::Error {
    fn from(error: Unencodable) -> Self {
        match error {
            Unencodable::TooDeep => ser::Error::custom(too_deep("its JSON form")),
            Unencodable::Value(error) => error,
        }
    }
}

/// That `what` nests deeper than could be read back. How deep is not known: nobody looks further.
pub(crate) fn too_deep(what: impl Display) -> LimitExceeded {
    LimitExceeded {
        what: what.to_string(),
        unit: "levels",
        limit: DEPTH,
        actual: DEPTH + 1,
    }
}

/// Appends the JSON form of `value` to `out`. Goes no deeper than what could be read back, as the stack is short.
///
/// # Errors
///
/// If the value nests too deep, if `Serialize` fails, or if the value holds NaN or an infinity, which `serde_json` would store as
/// `null`. `out` may then hold a part of the value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let levels = Levels::default();
    let written = value.serialize(Exact(&mut serde_json::Serializer::new(out), &levels));
    written.map_err(|error| {
        if levels.are_too_many.get() {
            Unencodable::TooDeep
        } else {
            Unencodable::Value(error)
        }
    })
}

/// Appends the JSON form of `value` to `out`, and reads it back unless the type `is_plain`. Returns the value that was read.
///
/// # Errors
///
/// Those of [`encode`], and if the JSON cannot be read, or is read as another value.
pub(crate) fn store<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    is_plain: bool,
    out: &mut Vec<u8>,
) -> Result<Option<T>, Unencodable> {
    let start = out.len();
    encode(value, out)?;
    if is_plain {
        return Ok(None);
    }
    let read = read_back::read(value, &out[start..]);
    read.map(Some).map_err(Unencodable::Value)
}

/// Reads a value from its JSON form.
pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    from_slice(payload).map_err(DecodeError::Malformed)
}

/// As [`decode`], of what is no event.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    read_with(json, |json| T::deserialize(json))
}

/// The JSON deserializer: that of `serde_json`, whose numbers are usual.
#[cfg(not(feature = "arbitrary_precision"))]
pub(crate) type Json<'a, 'de> = &'a mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>;

/// The JSON deserializer: that of `serde_json`, whose numbers are made usual.
#[cfg(feature = "arbitrary_precision")]
pub(crate) type Json<'a, 'de> = numbers::Numbers<&'a mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>>;

/// Reads all of `json` by `read`.
pub(crate) fn read_with<'de, T>(
    json: &'de [u8],
    read: impl FnOnce(Json<'_, 'de>) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    #[cfg(not(feature = "arbitrary_precision"))]
    let value = read(&mut deserializer)?;
    #[cfg(feature = "arbitrary_precision")]
    let value = read(numbers::Numbers(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Returns whether `serde_json` was built with its feature `arbitrary_precision`, and this crate without it: then
/// numbers in tagged and untagged enums and in flattened structs are stored, and cannot be read.
pub(crate) fn numbers_are_unreadable() -> bool {
    struct Probe;

    impl de::Visitor<'_> for Probe {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
            Ok(true)
        }
    }

    !read_with(b"0.5", |json| json.deserialize_any(Probe)).unwrap_or(false)
}

/// Returns whether the struct is a number or a piece of JSON that `serde_json` passes to itself.
fn is_internal(name: &str) -> bool {
    name.starts_with("$serde_json::private::")
}

/// The number of open arrays and objects.
#[derive(Default)]
struct Levels {
    open: Cell<usize>,
    are_too_many: Cell<bool>,
}

impl Levels {
    /// An array or an object begins, or what `serde_json` writes otherwise though it looks like one.
    fn open<E: ser::Error>(&self, name: &str) -> Result<(), E> {
        if self.open.get() >= DEPTH && !is_internal(name) {
            self.are_too_many.set(true);
            return Err(E::custom("it nests too deep"));
        }
        self.open.set(self.open.get() + 1);
        Ok(())
    }

    fn close(&self) {
        self.open.set(self.open.get() - 1);
    }
}

/// Passes everything on to another serializer, except numbers that are not finite and what nests too deep. Sets without an
/// order get one.
struct Exact<'n, S>(S, &'n Levels);

fn finite<E: ser::Error>(value: f64) -> Result<(), E> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(E::custom(format_args!(
            "{value} is not a finite number, JSON has no form for it"
        )))
    }
}

/// A part of a value, which is serialized by the same rule.
struct Part<'a, T: ?Sized>(&'a T, &'a Levels);

impl<T: Serialize + ?Sized> Serialize for Part<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Exact(serializer, self.1))
    }
}

macro_rules! pass_on {
    ($($method:ident($($arg:ident: $type:ty),*);)+) => {
        $(fn $method(self $(, $arg: $type)*) -> Result<S::Ok, S::Error> {
            self.0.$method($($arg),*)
        })+
    };
}

macro_rules! begin {
    ($($method:ident($($arg:ident: $type:ty),*) -> $compound:ident;)+) => {
        $(fn $method(self $(, $arg: $type)*) -> Result<Self::$compound, S::Error> {
            self.1.open("")?;
            self.0.$method($($arg),*).map(|inner| Exact(inner, self.1))
        })+
    };
}

impl<S: Serializer> Exact<'_, S> {
    fn write(self, elements: impl IntoIterator<Item: Serialize>) -> Result<S::Ok, S::Error> {
        let elements = elements.into_iter();
        let (least, most) = elements.size_hint();
        let mut seq = self.serialize_seq(most.filter(|most| *most == least))?;
        for element in elements {
            seq.serialize_element(&element)?;
        }
        seq.end()
    }
}

impl<'n, S: Serializer> Serializer for Exact<'n, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Exact<'n, S::SerializeSeq>;
    type SerializeTuple = Exact<'n, S::SerializeTuple>;
    type SerializeTupleStruct = Exact<'n, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Exact<'n, S::SerializeTupleVariant>;
    type SerializeMap = Exact<'n, S::SerializeMap>;
    type SerializeStruct = Exact<'n, S::SerializeStruct>;
    type SerializeStructVariant = Exact<'n, S::SerializeStructVariant>;

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        finite(f64::from(value))?;
        self.0.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        finite(value)?;
        self.0.serialize_f64(value)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.1.open(name)?;
        self.0.serialize_struct(name, length).map(|inner| Exact(inner, self.1))
    }

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    begin! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Part(value, self.1))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Part(value, self.1))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.1.open("")?;
        let written = self
            .0
            .serialize_newtype_variant(name, index, variant, &Part(value, self.1))?;
        self.1.close();
        Ok(written)
    }

    fn collect_seq<I>(self, elements: I) -> Result<S::Ok, S::Error>
    where
        I: IntoIterator<Item: Serialize>,
    {
        if canonical::is_unordered::<I>() {
            let levels = self.1;
            let sorted = canonical::sorted(elements).map_err(|error| {
                levels.are_too_many.set(matches!(error, Unencodable::TooDeep));
                ser::Error::custom(serde_json::Error::from(error))
            })?;
            self.write(sorted)
        } else {
            self.write(elements)
        }
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! compound {
    ($($trait:ident { $($method:ident($($key:ident: $type:ty)?);)+ })+) => {
        $(impl<C: $trait> $trait for Exact<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), C::Error> {
                self.0.$method($($key,)? &Part(value, self.1))
            })+

            fn end(self) -> Result<C::Ok, C::Error> {
                self.1.close();
                self.0.end()
            }
        })+
    };
}

compound! {
    SerializeSeq { serialize_element(); }
    SerializeTuple { serialize_element(); }
    SerializeTupleStruct { serialize_field(); }
    SerializeTupleVariant { serialize_field(); }
    SerializeMap { serialize_key(); serialize_value(); }
    SerializeStruct { serialize_field(key: &'static str); }
    SerializeStructVariant { serialize_field(key: &'static str); }
}
