//! Stored data made from its shape.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::shape::{Definition, Limits, Object, Shape};

/// The depth to which a type that contains itself is filled.
const DEPTH: usize = 3;
/// The depth to which types that contain each other are filled.
const DEPTH_TOGETHER: usize = 6;

impl Definition {
    /// Data of this shape that holds each variant of each enum at least once, every optional field, and numbers that show rounding. None
    /// if there is no data of this shape: its type contains itself without an end.
    pub(super) fn samples(&self) -> Vec<Value> {
        let mut samples: Vec<Value> = Vec::new();
        let steps = self.steps();
        if self.least(&self.shape, &steps).is_none() {
            return samples;
        }
        let mut most = 1;
        let mut index = 0;
        while index < most {
            let mut maker = Maker {
                definition: self,
                steps: &steps,
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

    /// Returns, for each named shape, the least number of names nested in its data. A shape without data is left out.
    fn steps(&self) -> BTreeMap<&str, usize> {
        let mut steps = BTreeMap::new();
        loop {
            // Those of the next number: what they need is known.
            let missing = self.named.iter().filter(|(name, _)| !steps.contains_key(name.as_str()));
            let found: Vec<_> = missing
                .filter_map(|(name, shape)| Some((name.as_str(), self.least(shape, &steps)?)))
                .collect();
            if found.is_empty() {
                return steps;
            }
            steps.extend(found);
        }
    }

    /// Returns the least number of names nested in data of this shape. `None` if there is none, as far as is known.
    fn least(&self, shape: &Shape, steps: &BTreeMap<&str, usize>) -> Option<usize> {
        match shape {
            Shape::List(item, limits) if at_least(limits) > 0 => self.least(item, steps),
            Shape::Tuple(items) => self.most(items, steps),
            Shape::Object(object) => {
                let required = object.fields.values().filter(|field| field.required);
                self.most(required.map(|field| &field.shape), steps)
            }
            Shape::Union(shapes) | Shape::Choice(shapes) => {
                shapes.iter().filter_map(|shape| self.least(shape, steps)).min()
            }
            Shape::Named(name) if self.named.contains_key(name) => Some(steps.get(name.as_str())? + 1),
            _ => Some(0),
        }
    }

    /// The same of data that holds each of these shapes.
    fn most<'s>(&self, shapes: impl IntoIterator<Item = &'s Shape>, steps: &BTreeMap<&str, usize>) -> Option<usize> {
        let mut shapes = shapes.into_iter();
        shapes.try_fold(0, |most, shape| Some(self.least(shape, steps)?.max(most)))
    }
}

struct Maker<'a> {
    definition: &'a Definition,
    /// See [`Definition::steps`].
    steps: &'a BTreeMap<&'a str, usize>,
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
        self.open.values().any(|depth| *depth >= DEPTH) || self.open.values().sum::<usize>() >= DEPTH_TOGETHER
    }

    /// Returns the least number of names nested in data of this shape.
    fn least(&self, shape: &Shape) -> Option<usize> {
        self.definition.least(shape, self.steps)
    }

    fn one_of(&mut self, shapes: &[Shape]) -> Value {
        let deep = self.is_deep();
        if deep && shapes.contains(&Shape::Null) {
            return Value::Null;
        }
        let is_filled = |shape: &&Shape| **shape != Shape::Null && self.least(shape).is_some();
        let filled: Vec<&Shape> = shapes.iter().filter(is_filled).collect();
        *self.most = filled.len().max(*self.most);
        // Deep inside a type that contains itself, the way out with the fewest steps ends, and the smallest of those soonest.
        let smallest = filled
            .iter()
            .min_by_key(|shape| (self.least(shape), super::text::line(shape).len()));
        let one = if deep {
            smallest.copied()
        } else {
            filled.get(self.index % filled.len().max(1)).copied()
        };
        one.map_or(Value::Null, |shape| self.make(shape))
    }

    fn list(&mut self, item: &Shape, limits: &Limits) -> Value {
        let least = at_least(limits);
        let length = if self.is_deep() || self.least(item).is_none() {
            least
        } else {
            let most = limits.get("maxItems").and_then(Value::as_u64);
            least.max(1).min(most.unwrap_or(u64::MAX))
        };
        (0..length).map(|_| self.make(item)).collect()
    }

    fn object(&mut self, object: &Object) -> Value {
        let mut map = Map::new();
        for (name, field) in &object.fields {
            let least = self.least(&field.shape);
            let is_way_out = least == Some(0) || least.is_some() && !self.is_deep();
            if field.required || is_way_out {
                map.insert(name.clone(), self.make(&field.shape));
            }
        }
        if let Some((pattern, shape)) = object.rest.as_ref()
            && self.least(shape).is_some()
            && !self.is_deep()
        {
            let name = if pattern.is_some() { "1" } else { "key" };
            map.insert(name.to_owned(), self.make(shape));
        }
        Value::Object(map)
    }
}

/// Returns the least number of items of a list.
fn at_least(limits: &Limits) -> u64 {
    limits.get("minItems").and_then(Value::as_u64).unwrap_or(0)
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
