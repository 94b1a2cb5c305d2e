//! What the fields of a row are, as far as its `Deserialize` implementation tells.
//!
//! A row is read with one field only, and what it asks for there is what the field holds. No value is ever given, so that nothing
//! is made of it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::{ReadError, Row};
use crate::nearest::{listed, nearest_first};
use crate::store::{Compare, FieldValue, RowFilter, RowQuery, field_path, path_of};

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// Whatever: the type does not tell.
    Any,
    Bool,
    Number,
    Text,
    /// Text that is one of these.
    OneOf(&'static [&'static str]),
    List,
    /// Named fields, or entries of any name.
    Object,
    /// Nothing but `null`.
    Null,
}

/// Why nothing stands at a path.
#[derive(Debug, PartialEq)]
pub(crate) enum NoField {
    /// At this depth of the path stands another name than one of these.
    Unknown {
        depth: usize,
        names: &'static [&'static str],
    },
    /// What stands at this depth has no fields.
    Flat { depth: usize, is: Field },
}

/// What stands at the path of these names in a row.
pub(crate) fn field_of<P: DeserializeOwned>(names: &[&str]) -> Result<Field, NoField> {
    let mut found = Ok(Field::Any);
    // It always fails: there is no value.
    let _: Result<P, Stop> = P::deserialize(Probe {
        names,
        depth: 0,
        found: &mut found,
    });
    found
}

impl Field {
    fn describe(&self) -> String {
        match self {
            Self::Any => "not known".to_owned(),
            Self::Bool => "a bool".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::OneOf(names) => format!("one of {}", listed(names.iter().copied())),
            Self::List => "a list".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::Null => "always null".to_owned(),
        }
    }

    /// Why rows cannot be asked for with a field of this kind and that value; `None` if they can.
    fn refuses(&self, compare: Compare, value: &FieldValue) -> Option<String> {
        let told = match value {
            FieldValue::Bool(bool) => format!("the bool {bool}"),
            FieldValue::Integer(integer) => format!("the number {integer}"),
            FieldValue::Float(float) => format!("the number {float}"),
            FieldValue::Text(text) => format!("the text {:?}", text.chars().take(100).collect::<String>()),
        };
        let compares = match (self, value) {
            (Self::Any, _)
            | (Self::Bool, FieldValue::Bool(_))
            | (Self::Number, FieldValue::Integer(_) | FieldValue::Float(_))
            | (Self::Text, FieldValue::Text(_)) => true,
            (Self::OneOf(names), FieldValue::Text(text)) => compare != Compare::Equal || names.contains(&text.as_str()),
            _ => false,
        };
        (!compares).then(|| format!("it does not compare with {told}"))
    }

    /// Why rows cannot be ordered by a field of this kind.
    fn has_no_order(&self) -> Option<String> {
        let has_none = matches!(self, Self::List | Self::Object | Self::Null);
        has_none.then(|| "rows are ordered by a number, text or a bool".to_owned())
    }
}

/// The fields of the rows of projection `P`.
pub(crate) struct Fields<P>(PhantomData<fn() -> P>);

impl<P: Row> Fields<P> {
    /// The query with the paths under which the fields are stored.
    ///
    /// # Errors
    ///
    /// If a field is none of the row's, or does not compare so.
    pub(crate) fn query(mut query: RowQuery) -> Result<RowQuery, ReadError> {
        query.filters = Self::filters(query.filters)?;
        query.order_by = query.order_by.as_deref().map(Self::ordered).transpose()?;
        Ok(query)
    }

    pub(crate) fn filters(mut filters: Vec<RowFilter>) -> Result<Vec<RowFilter>, ReadError> {
        for filter in &mut filters {
            let (path, is) = Self::find(&filter.field)?;
            if let Some(problem) = is.refuses(filter.compare, &filter.value) {
                return Err(Self::wrong(&filter.field, &is, problem));
            }
            filter.field = path;
        }
        Ok(filters)
    }

    /// The value that a text stands for in this field.
    pub(crate) fn value(field: &str, text: &str) -> Result<FieldValue, ReadError> {
        let (_, is) = Self::find(field)?;
        let number = || {
            let float = || {
                text.parse()
                    .ok()
                    .filter(|float: &f64| float.is_finite())
                    .map(FieldValue::Float)
            };
            text.parse().ok().map(FieldValue::Integer).or_else(float)
        };
        let bool = || text.parse().ok().map(FieldValue::Bool);
        let value = match is {
            Field::Bool => bool(),
            Field::Number => number(),
            Field::Any => bool().or_else(number),
            _ => None,
        };
        // Text that is no value of the field is refused by the query, which says so.
        Ok(value.unwrap_or_else(|| FieldValue::Text(text.to_owned())))
    }

    /// The path of a field by which rows are ordered, or counted.
    pub(crate) fn ordered(field: &str) -> Result<Cow<'static, str>, ReadError> {
        let (path, is) = Self::find(field)?;
        match is.has_no_order() {
            Some(problem) => Err(Self::wrong(field, &is, problem)),
            None => Ok(path),
        }
    }

    /// The paths of the declared indexes. One that is no field of the row stays as it is.
    pub(crate) fn indexes() -> Vec<Cow<'static, str>> {
        let declared = P::INDEXES.iter();
        declared
            .map(|field| names_of::<P>(field).map_or(Cow::Borrowed(*field), |names| path_of(&names).into()))
            .collect()
    }

    /// The values of a field as they are written: a store takes a bool for a number.
    pub(crate) fn typed(field: &str, value: FieldValue) -> FieldValue {
        match (value, Self::find(field)) {
            (FieldValue::Integer(integer @ 0..=1), Ok((_, Field::Bool))) => FieldValue::Bool(integer == 1),
            (value, _) => value,
        }
    }

    /// Under which path it is stored, and what it is.
    fn find(field: &str) -> Result<(Cow<'static, str>, Field), ReadError> {
        let names = match names_of::<P>(field) {
            Some(names) => names,
            None => field_path(field)?,
        };
        match field_of::<P>(&names) {
            Ok(is) => Ok((path_of(&names).into(), is)),
            Err(NoField::Unknown { depth, names: known }) => {
                let nearest = nearest_first(names[depth], known.iter().copied());
                let paths = nearest
                    .into_iter()
                    .map(|name| [&names[..depth], &[name]].concat().join("."));
                Err(ReadError::UnknownField {
                    projection: P::NAME,
                    field: field.to_owned(),
                    known: paths.collect(),
                })
            }
            Err(NoField::Flat { depth, is }) => {
                let problem = format!("it has no field `{}`", names[depth]);
                Err(Self::wrong(&names[..depth].join("."), &is, problem))
            }
        }
    }

    fn wrong(field: &str, is: &Field, problem: String) -> ReadError {
        ReadError::FieldType {
            projection: P::NAME,
            field: field.to_owned(),
            is: is.describe(),
            problem,
        }
    }
}

/// How a field is called that the user writes: the names of its path. A name that holds a `.` itself is found too.
pub(crate) fn names_of<P: DeserializeOwned>(field: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = field.split('.').collect();
    split(field, &parts, &mut Vec::new(), &|names| field_of::<P>(names).is_ok())
}

/// The first way to put the parts together in which each name is known.
fn split<'f>(
    rest: &'f str,
    parts: &[&'f str],
    names: &mut Vec<&'f str>,
    is_known: &dyn Fn(&[&str]) -> bool,
) -> Option<Vec<&'f str>> {
    if parts.is_empty() {
        return Some(names.clone());
    }
    let mut end = 0;
    for (index, part) in parts.iter().enumerate() {
        end += part.len() + usize::from(index > 0);
        names.push(&rest[..end]);
        if is_known(names) {
            let behind = rest.get(end + 1..).unwrap_or_default();
            if let Some(found) = split(behind, &parts[index + 1..], names, is_known) {
                return Some(found);
            }
        }
        names.pop();
    }
    None
}

/// Reads a row that holds nothing, and notes what is asked for at the end of the path.
struct Probe<'a> {
    /// The path from here on.
    names: &'a [&'a str],
    /// How much of it lies behind.
    depth: usize,
    found: &'a mut Result<Field, NoField>,
}

impl Probe<'_> {
    /// That this stands here.
    fn is<T>(self, is: Field) -> Result<T, Stop> {
        *self.found = match self.names {
            [] => Ok(is),
            _ if is == Field::Any => Ok(is),
            _ => Err(NoField::Flat { depth: self.depth, is }),
        };
        Err(Stop)
    }

    /// That here stand only things of these names, none of which is the next one of the path.
    fn unknown<T>(self, names: &'static [&'static str]) -> Result<T, Stop> {
        let depth = self.depth;
        *self.found = Err(NoField::Unknown { depth, names });
        Err(Stop)
    }
}

/// The object with the one field that is on the path.
struct Entry<'a>(Probe<'a>);

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let name = self.0.names.first().copied().unwrap_or_default();
        seed.deserialize(de::value::StrDeserializer::<Stop>::new(name))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let Probe { names, depth, found } = &mut self.0;
        seed.deserialize(Probe {
            names: names.get(1..).unwrap_or_default(),
            depth: *depth + 1,
            found,
        })
    }
}

macro_rules! stand {
    ($is:expr => $($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            self.is($is)
        })+
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    stand!(Field::Any => deserialize_any deserialize_ignored_any deserialize_identifier);
    stand!(Field::Bool => deserialize_bool);
    stand!(Field::Number => deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64);
    stand!(Field::Text => deserialize_char deserialize_str deserialize_string);
    stand!(Field::List => deserialize_seq deserialize_bytes deserialize_byte_buf);
    stand!(Field::Null => deserialize_unit);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.names {
            [] => self.is(Field::Object),
            [first, ..] if names.contains(first) => visitor.visit_map(Entry(self)),
            _ => self.unknown(names),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        // The fields of a struct with `flatten` come so too, of which only the whole tells.
        let is = if self.names.is_empty() {
            Field::Object
        } else {
            Field::Any
        };
        self.is(is)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Stop> {
        self.is(Field::Null)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Stop> {
        self.is(Field::List)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, _: V) -> Result<V::Value, Stop> {
        self.is(Field::List)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        match self.names {
            [] => self.is(Field::OneOf(variants)),
            // Within a variant that has content.
            [first, ..] if variants.contains(first) => self.is(Field::Any),
            _ => self.unknown(variants),
        }
    }
}

/// What there was to learn is learnt.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}
