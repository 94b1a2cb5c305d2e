//! Stored data made from its shape.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::shape::{Definition, Limits, Object, Shape};

/// How deep a type that contains itself is filled.
const DEPTH: usize = 3;

impl Definition {
    /// Data of this shape that holds each variant of each enum at least once, every optional field, and numbers that show rounding.
    pub(super) fn samples(&self) -> Vec<Value> {
        let mut samples: Vec<Value> = Vec::new();
        let mut most = 1;
        let mut index = 0;
        while index < most {
            let mut maker = Maker {
                definition: self,
                index,
                most: &mut most,
                open: BTreeMap::new(),
            };
            let sample = maker.make(&self.shape);
            if !samples.contains(&sample) {
                samples.push(sample);
            }
            index += 1;
        }
        samples
    }
}

struct Maker<'a> {
    definition: &'a Definition,
    /// The number of the sample, which takes the variant of that number everywhere.
    index: usize,
    /// The number of variants of the largest enum met.
    most: &'a mut usize,
    open: BTreeMap<String, usize>,
}

impl Maker<'_> {
    fn make(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Any => json!({ "any": ["thing", 1] }),
            Shape::Null => Value::Null,
            Shape::Boolean => Value::Bool(true),
            Shape::Integer(limits) => integer(limits),
            Shape::Number(_) => json!(0.1),
            Shape::Text(limits) => Value::String(text(limits)),
            Shape::Literal(value) => value.clone(),
            Shape::List(item, limits) => self.list(item, limits),
            Shape::Tuple(items) => items.iter().map(|item| self.make(item)).collect(),
            Shape::Object(object) => self.object(object),
            Shape::Union(shapes) | Shape::Choice(shapes) => self.one_of(shapes),
            Shape::Named(name) => {
                *self.open.entry(name.clone()).or_default() += 1;
                let value = self.make(self.definition.resolve(shape));
                self.open.entry(name.clone()).and_modify(|depth| *depth -= 1);
                value
            }
        }
    }

    fn is_deep(&self) -> bool {
        self.open.values().any(|depth| *depth >= DEPTH)
    }

    fn one_of(&mut self, shapes: &[Shape]) -> Value {
        let deep = self.is_deep();
        if deep && shapes.contains(&Shape::Null) {
            return Value::Null;
        }
        let filled: Vec<&Shape> = shapes.iter().filter(|shape| **shape != Shape::Null).collect();
        *self.most = filled.len().max(*self.most);
        // Deep inside a type that contains itself, the smallest variant comes out of it soonest.
        let smallest = filled.iter().min_by_key(|shape| super::text::line(shape).len());
        let one = if deep {
            smallest.copied()
        } else {
            filled.get(self.index % filled.len().max(1)).copied()
        };
        one.map_or(Value::Null, |shape| self.make(shape))
    }

    fn list(&mut self, item: &Shape, limits: &Limits) -> Value {
        let limit = |keyword| limits.get(keyword).and_then(Value::as_u64);
        let least = limit("minItems").unwrap_or(0);
        let length = if self.is_deep() {
            least
        } else {
            least.max(1).min(limit("maxItems").unwrap_or(u64::MAX))
        };
        (0..length).map(|_| self.make(item)).collect()
    }

    fn object(&mut self, object: &Object) -> Value {
        let mut map = Map::new();
        for (name, field) in &object.fields {
            map.insert(name.clone(), self.make(&field.shape));
        }
        if let Some((pattern, shape)) = object.rest.as_ref().filter(|_| !self.is_deep()) {
            let name = if pattern.is_some() { "1" } else { "key" };
            map.insert(name.to_owned(), self.make(shape));
        }
        Value::Object(map)
    }
}

/// The largest integer, or beyond 53 bits one that a float would round.
fn integer(limits: &Limits) -> Value {
    const ROUNDED: u64 = (1 << 53) + 1;
    let (least, most) = Shape::range(limits);
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if i128::from(ROUNDED) >= least && most >= ROUNDED {
        ROUNDED.into()
    } else {
        most.into()
    }
}

fn text(limits: &Limits) -> String {
    let format = limits.get("format").and_then(Value::as_str).unwrap_or_default();
    let text = match format {
        "uuid" => "01940b6e-5f3c-7000-8000-000000000001",
        "date-time" => "2026-11-21T09:30:00.000001Z",
        "partial-date-time" => "2026-11-21T09:30:00.000001",
        "zoned-date-time" => "2026-11-21T09:30:00+01:00[Europe/Berlin]",
        "date" => "2026-11-21",
        "partial-time" | "time" => "09:30:00",
        "duration" => "PT1H30M",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "url" => "https://example.org/",
        "email" => "zoe@example.org",
        _ => "Zoë",
    };
    let limit = |keyword| {
        limits
            .get(keyword)
            .and_then(Value::as_u64)
            .and_then(|limit| usize::try_from(limit).ok())
    };
    let (least, most) = (
        limit("minLength").unwrap_or(0),
        limit("maxLength").unwrap_or(usize::MAX),
    );
    let mut text: String = text.chars().take(most).collect();
    while text.chars().count() < least.min(10_000) {
        text.push('x');
    }
    text
}
