//! The form of stored data, as far as reading it depends on it: names of types, docs and the order of fields are gone.

use std::collections::BTreeMap;

use serde_json::Value;

/// Limits of a value by their keyword in JSON Schema, such as `maxLength`.
pub(super) type Limits = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Any,
    Null,
    Boolean,
    /// Its `format` is that of the Rust type: `int64`, `uint8` …
    Integer(Limits),
    /// Its `format` is `float` or `double`.
    Number(Limits),
    Text(Limits),
    Literal(Value),
    List(Box<Shape>, Limits),
    Tuple(Vec<Shape>),
    Object(Object),
    /// One of several, told apart by their content.
    Union(Vec<Shape>),
    /// The first of several that fits: an untagged enum.
    Choice(Vec<Shape>),
    /// A type that contains itself, by its name in the [`Definition`].
    Named(String),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object {
    pub(super) fields: BTreeMap<String, Field>,
    /// Further fields: the pattern of their names, if there is one, and their shape. Other fields are ignored by the reader.
    pub(super) rest: Option<(Option<String>, Box<Shape>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) shape: Shape,
    /// True if a stored object must have it.
    pub(super) required: bool,
    /// The value that is read if it is missing; `None` also if that is not known, or `null`.
    pub(super) default: Option<Value>,
}

/// A shape with the types that contain themselves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) shape: Shape,
    pub(super) named: BTreeMap<String, Shape>,
}

impl Definition {
    /// The shape behind a name. A name without one stands for anything: a hand-written file may hold it.
    pub(super) fn resolve<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        match shape {
            Shape::Named(name) => self.named.get(name).unwrap_or(&Shape::Any),
            shape => shape,
        }
    }
}

impl Shape {
    /// The alternatives, or the shape itself if it has none.
    pub(super) fn alternatives(&self) -> &[Shape] {
        match self {
            Self::Union(shapes) => shapes,
            shape => std::slice::from_ref(shape),
        }
    }

    /// The smallest and the largest value of an integer with these limits.
    pub(super) fn range(limits: &Limits) -> (i128, u128) {
        let (mut least, mut most) = match limits.get("format").and_then(Value::as_str).unwrap_or_default() {
            "int8" => (i128::from(i8::MIN), 127),
            "int16" => (i128::from(i16::MIN), 32_767),
            "int32" => (i128::from(i32::MIN), 2_147_483_647),
            "int64" | "int" => (i128::from(i64::MIN), u128::from(i64::MAX as u64)),
            "uint8" => (0, u128::from(u8::MAX)),
            "uint16" => (0, u128::from(u16::MAX)),
            "uint32" => (0, u128::from(u32::MAX)),
            "uint64" | "uint" => (0, u128::from(u64::MAX)),
            "uint128" => (0, u128::MAX),
            _ => (i128::MIN, u128::MAX / 2),
        };
        let limit = |keyword| limits.get(keyword).and_then(Value::as_i64);
        if let Some(limit) = limit("minimum") {
            least = least.max(i128::from(limit));
        }
        if let Some(limit) = limit("maximum").and_then(|limit| u128::try_from(limit).ok()) {
            most = most.min(limit);
        }
        (least, most)
    }
}
