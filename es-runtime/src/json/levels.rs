//! How deep a value nests, found without going deeper than it may.

use std::fmt::{self, Display};

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::store::DEPTH;

/// Whether the JSON form of `value` nests no deeper than could be read back. Costs nothing for a value that is plain.
///
/// A `Serialize` implementation that fails has its say when the value is stored.
pub(crate) fn check_levels<T: Serialize>(value: &T) -> bool {
    !matches!(value.serialize(Levels(0)), Err(Stop::TooDeep))
}

/// Why a value was not looked through.
#[derive(Debug)]
enum Stop {
    TooDeep,
    Failed,
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooDeep => "it nests too deep",
            Self::Failed => "its `Serialize` implementation fails",
        })
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        Self::Failed
    }
}

/// Writes nothing. Knows how many arrays and objects are open.
#[derive(Clone, Copy)]
struct Levels(usize);

impl Levels {
    fn open(self) -> Result<Self, Stop> {
        if self.0 == DEPTH {
            return Err(Stop::TooDeep);
        }
        Ok(Self(self.0 + 1))
    }
}

macro_rules! leaves {
    ($($method:ident($($arg:ident: $type:ty),*);)+) => {
        $(fn $method(self $(, $arg: $type)*) -> Result<(), Stop> {
            $(let _ = $arg;)*
            Ok(())
        })+
    };
}

macro_rules! branches {
    ($($method:ident($($arg:ident: $type:ty),*);)+) => {
        $(fn $method(self $(, $arg: $type)*) -> Result<Self, Stop> {
            $(let _ = $arg;)*
            self.open()
        })+
    };
}

impl Serializer for Levels {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    leaves! {
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
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    branches! {
        serialize_seq(length: Option<usize>);
        serialize_tuple(length: usize);
        serialize_tuple_struct(name: &'static str, length: usize);
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize);
        serialize_map(length: Option<usize>);
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize);
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, Stop> {
        if super::is_internal(name) {
            Ok(self)
        } else {
            self.open()
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        value.serialize(self.open()?)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Stop> {
        Ok(())
    }
}

macro_rules! compound {
    ($($trait:ident { $($method:ident($($key:ident: $type:ty)?);)+ })+) => {
        $(impl $trait for Levels {
            type Ok = ();
            type Error = Stop;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), Stop> {
                $(let _ = $key;)?
                value.serialize(*self)
            })+

            fn end(self) -> Result<(), Stop> {
                Ok(())
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
