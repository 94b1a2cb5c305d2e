//! Tables of rows, and what can be asked of them.

use std::borrow::Cow;
use std::cmp::Ordering;

use bytes::Bytes;
use serde_json::Value;

use crate::projection::{self, Fields, ReadError};
use crate::{Id, Position, StoreError, StoreErrorKind, Timestamp};

/// The table of one version of a projection. Another version has its own table next to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowTable {
    /// The projection's name.
    pub projection: Cow<'static, str>,
    /// The projection's version.
    pub version: u32,
    /// The fields by which rows are looked up or ordered: paths such as `owner` or `address.city`.
    pub indexes: Cow<'static, [Cow<'static, str>]>,
    /// True for the table in which the rows of this version are rebuilt, next to the current ones.
    pub beside: bool,
}

impl RowTable {
    /// The longest name of a projection, so that the names of its table and indexes fit into every database.
    pub const LONGEST_NAME: usize = 32;

    /// The name of the table in a database: `balances_v1`, or `balances_v1_new` beside it.
    pub fn name(&self) -> String {
        let suffix = if self.beside { "_new" } else { "" };
        format!("{}_v{}{suffix}", self.projection, self.version)
    }

    /// The version in the name of a table, if it is one of this projection. For stores.
    pub fn version_of(projection: &str, name: &str) -> Option<u32> {
        let version = name.strip_prefix(projection)?.strip_prefix("_v")?.parse().ok()?;
        let table = Self {
            projection: projection.to_owned().into(),
            version,
            indexes: Cow::Borrowed(&[]),
            beside: false,
        };
        (table.name() == name).then_some(version)
    }

    /// Checks that table and indexes can have the requested names. For stores.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) with what is allowed.
    pub fn check(&self) -> Result<(), StoreError> {
        let name = &*self.projection;
        let is_part = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '_' | '-');
        if name.len() > Self::LONGEST_NAME
            || !name.starts_with(|char: char| char.is_ascii_lowercase())
            || !name.chars().all(is_part)
            || name.starts_with("sqlite_")
            || name.starts_with("pg_")
        {
            return Err(rejected(format!(
                "{name:?} cannot name a projection: use a lower-case letter, then up to {} letters, digits, `_` and `-`; not \
                 `sqlite_` or `pg_` in front",
                Self::LONGEST_NAME - 1
            )));
        }
        self.indexes.iter().try_for_each(|field| field_path(field).map(drop))
    }
}

/// The names along the path of a field: `address`, `city` of `address.city`. A name that holds a `.` itself stands in quotes:
/// `"a.b".city`. For stores.
///
/// # Errors
///
/// [`Rejected`](StoreErrorKind::Rejected) if the path is empty, has an empty name in it, is longer than 200 bytes, or holds
/// what cannot stand in the paths of every database: `"` other than around a name, `\` and control characters.
pub fn field_path(field: &str) -> Result<Vec<&str>, StoreError> {
    let bad = || {
        rejected(format!(
            "{field:?} is not the path of a field: write names with `.` between them, such as `address.city`"
        ))
    };
    let is_bad = |char: char| matches!(char, '"' | '\\') || char.is_control();
    let (mut names, mut rest) = (Vec::new(), Some(field));
    while let Some(behind) = rest {
        let name;
        (name, rest) = match behind.strip_prefix('"').map(|quoted| quoted.split_once('"')) {
            Some(Some((name, ""))) => (name, None),
            Some(Some((name, behind))) => (name, Some(behind.strip_prefix('.').ok_or_else(bad)?)),
            Some(None) => return Err(bad()),
            None => behind
                .split_once('.')
                .map_or((behind, None), |(name, behind)| (name, Some(behind))),
        };
        names.push(name);
    }
    if field.len() > 200 || names.iter().any(|name| name.is_empty() || name.contains(is_bad)) {
        return Err(bad());
    }
    Ok(names)
}

/// The path of these names, as [`field_path`] reads it.
pub(crate) fn path_of(names: &[&str]) -> String {
    let quoted = names.iter().map(|name| {
        if name.contains('.') {
            format!("\"{name}\"")
        } else {
            (*name).to_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(".")
}

/// A change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The key: 1 to 1024 bytes, without NUL.
    pub key: String,
    /// The row in JSON; `None` deletes it.
    pub data: Option<Bytes>,
    /// The position of the event that last changed it.
    pub position: Position,
}

/// A row of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// The row in JSON, byte for byte as it was written.
    pub data: Bytes,
    /// The position of the event that last changed it.
    pub position: Position,
}

/// A query for rows: by default all, in the order of their keys' bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowQuery {
    /// The conditions, all of which the rows must meet.
    pub filters: Vec<RowFilter>,
    /// The field to order by, then by key; by key alone if `None`. Numbers come before text, and text is ordered by its
    /// first [`ORDERED`](Self::ORDERED) bytes. Rows whose field [does not compare](FieldValue) come last.
    pub order_by: Option<Cow<'static, str>>,
    /// From the largest to the smallest, keys too.
    pub descending: bool,
    /// Rows whose field does not compare come first, in either direction.
    pub nulls_first: bool,
    /// Lists only rows after this place in the order: the end of the page before.
    pub after: Option<RowCursor>,
    /// The most items to return.
    pub limit: Option<u32>,
}

impl RowQuery {
    /// The number of bytes by which text is ordered, which fits into an index of every database.
    pub const ORDERED: usize = 1024;

    /// Returns the end of a page that ends with `row`: for [`after`](Self::after).
    pub fn cursor(&self, row: &Row) -> RowCursor {
        RowCursor {
            value: self.order_by.as_ref().and_then(|field| field_of(&row.data, field)),
            order_by: self.order_by.clone(),
            key: row.key.clone(),
        }
    }

    /// Checks that every store can answer it. For stores.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) if a [path](field_path) is malformed, a value is NaN, or the cursor is of
    /// another order.
    pub fn check(&self) -> Result<(), StoreError> {
        if let Some(field) = &self.order_by {
            field_path(field)?;
        }
        if let Some(cursor) = &self.after {
            if cursor.order_by != self.order_by || (cursor.order_by.is_none() && cursor.value.is_some()) {
                return Err(rejected(
                    "the cursor is of a query with another order: a page goes on where one of the same query ended"
                        .to_owned(),
                ));
            }
            cursor.value.as_ref().map_or(Ok(()), check_value)?;
        }
        check_filters(&self.filters)
    }

    /// The parts of the rows that are listed one after the other, from the one in which the cursor is: first those whose field
    /// compares, or those whose field does not. For stores.
    pub fn zones(&self) -> impl Iterator<Item = Zone> + use<> {
        let zones = if self.nulls_first {
            [Zone::Nulls, Zone::Values]
        } else {
            [Zone::Values, Zone::Nulls]
        };
        let first = self.after.as_ref().map_or(zones[0], |after| match after.value {
            Some(_) => Zone::Values,
            None => Zone::Nulls,
        });
        zones.into_iter().skip_while(move |zone| *zone != first)
    }
}

/// A part of the rows that are [ordered by](RowQuery::order_by) a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Those whose field compares.
    Values,
    /// The others, in the order of their keys.
    Nulls,
}

/// A query that counts rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowCount {
    /// The conditions, all of which the rows must meet.
    pub filters: Vec<RowFilter>,
    /// Those with an equal value of this field are counted together.
    pub group_by: Option<Cow<'static, str>>,
}

impl RowCount {
    /// Checks that every store can answer it. For stores.
    ///
    /// # Errors
    ///
    /// [`Rejected`](StoreErrorKind::Rejected) if a [path](field_path) is malformed, or a value is NaN.
    pub fn check(&self) -> Result<(), StoreError> {
        if let Some(field) = &self.group_by {
            field_path(field)?;
        }
        check_filters(&self.filters)
    }
}

/// Rows that were counted together.
#[derive(Debug, Clone, PartialEq)]
pub struct RowGroup {
    /// Their value of the field; `None` if it does not compare, or if all rows are counted together.
    pub value: Option<FieldValue>,
    /// The number of rows.
    pub count: u64,
}

impl RowGroup {
    /// Groups in the order of their values, each once, and in one form: whole numbers as [`FieldValue::Integer`]. For stores.
    pub fn sorted(groups: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut groups: Vec<Self> = groups.into_iter().collect();
        for group in &mut groups {
            group.value = group.value.take().map(FieldValue::plain);
        }
        groups.sort_by(|one, other| match (&one.value, &other.value) {
            (Some(value), Some(other)) => value.order(other).unwrap_or(Ordering::Equal),
            (value, other) => value.is_none().cmp(&other.is_none()),
        });
        groups.dedup_by(|group, first| {
            let is_same = group.value == first.value;
            first.count += if is_same { group.count } else { 0 };
            is_same
        });
        groups
    }
}

fn check_filters(filters: &[RowFilter]) -> Result<(), StoreError> {
    filters.iter().try_for_each(|filter| {
        field_path(&filter.field)?;
        check_value(&filter.value)
    })
}

fn check_value(value: &FieldValue) -> Result<(), StoreError> {
    match value {
        FieldValue::Float(float) if float.is_nan() => {
            Err(rejected("NaN compares with nothing: ask for a number".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A condition on one field of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    /// The path of the field, such as `owner` or `address.city`. It leads through objects; elements of arrays have none.
    pub field: Cow<'static, str>,
    /// The comparison.
    pub compare: Compare,
    /// The value to compare with.
    pub value: FieldValue,
}

impl RowFilter {
    /// Whether it holds of a field with this value.
    pub(crate) fn holds(&self, field: &FieldValue) -> bool {
        let is_text = |value: &FieldValue| matches!(value, FieldValue::Text(_));
        is_text(field) == is_text(&self.value)
            && field.order(&self.value).is_some_and(|order| match self.compare {
                Compare::Equal => order.is_eq(),
                Compare::Less => order.is_lt(),
                Compare::AtMost => order.is_le(),
                Compare::Greater => order.is_gt(),
                Compare::AtLeast => order.is_ge(),
            })
    }
}

/// A comparison of a field with a value. Text compares only with text, a number only with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// It is equal.
    Equal,
    /// It is less.
    Less,
    /// It is less or equal.
    AtMost,
    /// It is greater.
    Greater,
    /// It is greater or equal.
    AtLeast,
}

/// A field's value, as far as rows are filtered and ordered by it. A field that is none of these does not compare: one that is
/// missing, `null`, an array or an object.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// `false` or `true`, which compare as the numbers 0 and 1.
    Bool(bool),
    /// A whole number. Larger ones, up to those of 64 bits without sign, compare as [`Float`](Self::Float).
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text, ordered by its bytes.
    Text(String),
}

macro_rules! field_value {
    ($($from:ty => |$value:ident| $to:expr;)+) => {
        $(impl From<$from> for FieldValue {
            fn from($value: $from) -> Self {
                $to
            }
        })+
    };
}

field_value! {
    bool => |value| Self::Bool(value);
    i64 => |value| Self::Integer(value);
    i32 => |value| Self::Integer(value.into());
    i16 => |value| Self::Integer(value.into());
    i8 => |value| Self::Integer(value.into());
    u32 => |value| Self::Integer(value.into());
    u16 => |value| Self::Integer(value.into());
    u8 => |value| Self::Integer(value.into());
    f64 => |value| Self::Float(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
    &String => |value| Self::Text(value.clone());
    Timestamp => |value| Self::Text(value.to_string());
}

impl<A> From<Id<A>> for FieldValue {
    fn from(id: Id<A>) -> Self {
        Self::Text(id.to_string())
    }
}

impl FieldValue {
    /// Returns the value that `text` stands for in this field of a row: the number 5 in one of numbers, the text `5` in one of text. Where
    /// the type of the row does not tell, a bool or a number if it is one.
    ///
    /// # Errors
    ///
    /// [`ReadError::UnknownField`] if the row does not have the field.
    pub fn of_text<P: projection::Row>(field: &str, text: &str) -> Result<Self, ReadError> {
        Fields::<P>::value(field, text)
    }

    /// A number as two that order all numbers, the first one first: it as a float, and what a whole number is above that float
    /// (or below: negative). `None` for text.
    pub fn number(&self) -> Option<(f64, i64)> {
        match *self {
            Self::Bool(bool) => Some((f64::from(u8::from(bool)), 0)),
            #[expect(clippy::cast_precision_loss, reason = "the second number tells what is lost")]
            #[expect(
                clippy::cast_possible_truncation,
                reason = "neighbours of 64 bits are at most 512 apart"
            )]
            Self::Integer(integer) => {
                let float = integer as f64;
                Some((float, (i128::from(integer) - float as i128) as i64))
            }
            // Zero is added because there are two of them.
            Self::Float(float) => Some((float + 0.0, 0)),
            Self::Text(_) => None,
        }
    }

    /// A number that is whole as [`Integer`](Self::Integer), as far as its type goes.
    fn plain(self) -> Self {
        const MOST: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Bool(bool) => Self::Integer(bool.into()),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in the range")]
            Self::Float(float) if float.fract() == 0.0 && (-MOST..MOST).contains(&float) => Self::Integer(float as i64),
            other => other,
        }
    }

    /// The bytes of text by which rows are ordered: its first [`ORDERED`](RowQuery::ORDERED). For stores.
    pub fn ordered(text: &str) -> &[u8] {
        &text.as_bytes()[..text.len().min(RowQuery::ORDERED)]
    }

    /// The order of every store: numbers, then text by its bytes. `None` if a number is NaN.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => Some(text.as_bytes().cmp(other.as_bytes())),
            (Self::Text(_), _) => Some(Ordering::Greater),
            (_, Self::Text(_)) => Some(Ordering::Less),
            (number, other) => number.number().partial_cmp(&other.number()),
        }
    }

    /// The order of rows, but for their keys.
    pub(crate) fn place(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => Some(Self::ordered(text).cmp(Self::ordered(other))),
            (value, other) => value.order(other),
        }
    }
}

/// The place of a row in the order of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCursor {
    /// The field of the order.
    pub order_by: Option<Cow<'static, str>>,
    /// The row's value of that field, if it compares.
    pub value: Option<FieldValue>,
    /// The row's key.
    pub key: String,
}

/// The value of a row's field, if it compares.
pub(crate) fn field_of(data: &[u8], field: &str) -> Option<FieldValue> {
    let row: Value = serde_json::from_slice(data).ok()?;
    let mut names = field_path(field).ok()?.into_iter();
    let value = names.try_fold(&row, |value, name| value.as_object()?.get(name))?;
    match value {
        Value::Bool(bool) => Some(FieldValue::Bool(*bool)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(FieldValue::Integer(integer)),
            None => number.as_f64().map(FieldValue::Float),
        },
        Value::String(text) => Some(FieldValue::Text(text.clone())),
        _ => None,
    }
}

pub(crate) fn rejected(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Rejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(projection: &'static str, index: &'static str) -> RowTable {
        RowTable {
            projection: projection.into(),
            version: u32::MAX,
            indexes: vec![index.into()].into(),
            beside: false,
        }
    }

    #[test]
    fn names_that_some_database_would_change_are_refused() {
        assert!(table("daily-totals_2", "address.city name").check().is_ok());
        for name in [
            "",
            "Balances",
            "2nd",
            "a b",
            "a\"b",
            "sqlite_x",
            "pg_x",
            "ä",
            &*"n".repeat(33),
        ] {
            let name: &'static str = name.to_owned().leak();
            assert!(table(name, "owner").check().is_err(), "{name:?}");
        }
        for field in [
            "",
            ".",
            "a.",
            "a..b",
            "a\"b",
            "a\\b",
            "a\nb",
            "\"a",
            "\"a\"b",
            "\"\"",
            &*"n".repeat(201),
        ] {
            assert!(field_path(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn a_path_reads_as_it_was_written() {
        for names in [&["a"][..], &["a", "b c"], &["a.b"], &["a.b", "c", "d.e"]] {
            assert_eq!(field_path(&path_of(names)).unwrap(), names);
        }
        assert_eq!(field_path("a.\"b\".c").unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn whole_numbers_compare_exactly_with_floats() {
        use FieldValue::{Bool, Float, Integer, Text};

        let two_to_53 = 9_007_199_254_740_992;
        let ascending = [
            Float(f64::NEG_INFINITY),
            Integer(i64::MIN),
            Float(-0.5),
            Bool(false),
            Float(0.5),
            Bool(true),
            Integer(two_to_53),
            Integer(two_to_53 + 1),
            Integer(i64::MAX),
            Float(9_223_372_036_854_775_808.0),
            Text(String::new()),
            Text("Z".to_owned()),
            Text("a".to_owned()),
        ];
        for (index, value) in ascending.iter().enumerate() {
            for (other_index, other) in ascending.iter().enumerate() {
                assert_eq!(
                    value.order(other),
                    Some(index.cmp(&other_index)),
                    "{value:?} and {other:?}"
                );
            }
        }
        assert_eq!(Float(-0.0).order(&Integer(0)), Some(Ordering::Equal));
        assert_eq!(
            Float(9_007_199_254_740_992.0).order(&Integer(two_to_53 + 1)),
            Some(Ordering::Less)
        );
        assert_eq!(Float(f64::NAN).order(&Integer(0)), None);
    }
}
