//! JSON Schema → [`Shape`].

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::shape::{Definition, Field, Limits, Object, Shape};

/// Keywords with which a schema describes itself, and not the data.
const NOTES: [&str; 11] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$schema",
    "$id",
    "$comment",
    "$defs",
];

/// Keywords with which a schema describes the parts of the data.
const STRUCTURE: [&str; 12] = [
    "type",
    "properties",
    "required",
    "items",
    "prefixItems",
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
];

impl Definition {
    /// The shape that `schema` describes. Its references point to its own `$defs`.
    pub(super) fn of(schema: &Value) -> Self {
        let mut reader = Reader {
            root: schema,
            open: Vec::new(),
            named: BTreeMap::new(),
        };
        let shape = reader.reference("#");
        Self {
            shape,
            named: reader.named,
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
    /// The references that are being read: one that comes again contains itself.
    open: Vec<(String, bool)>,
    named: BTreeMap<String, Shape>,
}

impl Reader<'_> {
    fn shape(&mut self, schema: &Value) -> Shape {
        let Value::Object(schema) = schema else {
            return if schema == &Value::Bool(false) {
                Shape::Union(Vec::new())
            } else {
                Shape::Any
            };
        };
        let mut shape = self.own(schema);
        if let Some(Value::String(reference)) = schema.get("$ref") {
            shape = intersection(shape, self.reference(reference));
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Value::Array(alternatives)) = schema.get(keyword) {
                let alternatives = alternatives.iter().map(|schema| self.shape(schema)).collect();
                shape = intersection(shape, union(alternatives, keyword == "anyOf"));
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            shape = intersection(shape, self.shape(part));
        }
        shape
    }

    /// Returns the shape that the keywords describe which refer to no other schema of the same value.
    fn own(&mut self, schema: &Map<String, Value>) -> Shape {
        if let Some(value) = schema.get("const") {
            return literal(value);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return union(values.iter().map(literal).collect(), false);
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.of_type(name, schema),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                union(names.map(|name| self.of_type(name, schema)).collect(), false)
            }
            _ if schema.contains_key("properties") => self.object(schema),
            _ => Shape::Any,
        }
    }

    fn of_type(&mut self, name: &str, schema: &Map<String, Value>) -> Shape {
        match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "integer" => Shape::Integer(integer_limits(schema)),
            "number" => Shape::Number(limits(schema)),
            "string" => Shape::Text(limits(schema)),
            "array" => self.array(schema),
            "object" => self.object(schema),
            _ => Shape::Any,
        }
    }

    fn array(&mut self, schema: &Map<String, Value>) -> Shape {
        if let Some(Value::Array(items)) = schema.get("prefixItems") {
            return Shape::Tuple(items.iter().map(|item| self.shape(item)).collect());
        }
        let item = schema.get("items").map_or(Shape::Any, |items| self.shape(items));
        Shape::List(Box::new(item), limits(schema))
    }

    fn object(&mut self, schema: &Map<String, Value>) -> Shape {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().map(|(name, schema)| {
            let field = Field {
                shape: self.shape(schema),
                required: required.contains(&name.as_str()),
                default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            };
            (name.clone(), field)
        });
        Shape::Object(Object {
            fields: fields.collect(),
            rest: self.rest(schema),
        })
    }

    fn rest(&mut self, schema: &Map<String, Value>) -> Option<(Option<String>, Box<Shape>)> {
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            let (pattern, schema) = patterns.iter().next()?;
            return Some((Some(pattern.clone()), Box::new(self.shape(schema))));
        }
        let further = ["additionalProperties", "unevaluatedProperties"];
        let further = further.iter().find_map(|keyword| schema.get(*keyword))?;
        (further != &Value::Bool(false)).then(|| (None, Box::new(self.shape(further))))
    }

    fn reference(&mut self, reference: &str) -> Shape {
        if let Some((_, again)) = self.open.iter_mut().find(|(open, _)| open == reference) {
            *again = true;
            return Shape::Named(name(reference));
        }
        let Some(schema) = reference.strip_prefix('#').and_then(|path| self.root.pointer(path)) else {
            return Shape::Any;
        };
        if self.named.contains_key(&name(reference)) {
            return Shape::Named(name(reference));
        }
        self.open.push((reference.to_owned(), false));
        let shape = self.shape(schema);
        match self.open.pop() {
            Some((_, true)) => {
                self.named.insert(name(reference), shape);
                Shape::Named(name(reference))
            }
            _ => shape,
        }
    }
}

/// The last part of `#/$defs/Tree`; the type that has the schema itself is called `Self`.
fn name(reference: &str) -> String {
    match reference.rsplit('/').next() {
        Some("#") | None => "Self".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn literal(value: &Value) -> Shape {
    if value.is_null() {
        Shape::Null
    } else {
        Shape::Literal(value.clone())
    }
}

/// The keywords that limit a value.
fn limits(schema: &Map<String, Value>) -> Limits {
    let limits = schema
        .iter()
        .filter(|(keyword, _)| !NOTES.contains(&keyword.as_str()) && !STRUCTURE.contains(&keyword.as_str()));
    limits
        .map(|(keyword, limit)| (keyword.clone(), limit.clone()))
        .collect()
}

/// The limits of an integer, less those that its format implies.
fn integer_limits(schema: &Map<String, Value>) -> Limits {
    let mut limits = limits(schema);
    for keyword in ["minimum", "maximum"] {
        let mut fewer = limits.clone();
        fewer.remove(keyword);
        if Shape::range(&fewer) == Shape::range(&limits) {
            limits = fewer;
        }
    }
    limits
}

/// One of `shapes`, whose order counts if they are `ordered`.
fn union(shapes: Vec<Shape>, ordered: bool) -> Shape {
    let mut flat = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Union(shapes) => flat.extend(shapes),
            Shape::Choice(shapes) if ordered => flat.extend(shapes),
            shape => flat.push(shape),
        }
    }
    let nullable = flat.contains(&Shape::Null);
    flat.retain(|shape| *shape != Shape::Null);
    if ordered && flat.len() > 1 && !flat.iter().all(|shape| matches!(shape, Shape::Literal(_))) {
        // `Option` of an enum is "any of" too; the variants of a tagged one tell themselves apart.
        let told_apart = flat.iter().all(|shape| tag(shape).is_some()) && distinct(&flat);
        if !told_apart {
            flat = vec![Shape::Choice(flat)];
        }
    }
    if nullable {
        flat.push(Shape::Null);
    }
    flat.sort_by_key(|shape| (*shape == Shape::Null, super::text::line(shape)));
    flat.dedup();
    match flat.len() {
        1 => flat.remove(0),
        _ => Shape::Union(flat),
    }
}

fn distinct(shapes: &[Shape]) -> bool {
    let tags: Vec<_> = shapes.iter().map(tag).collect();
    (1..tags.len()).all(|index| !tags[..index].contains(&tags[index]))
}

/// Returns what tells a variant of an enum from the others: its word, its only field, or the literal in one of its
/// fields.
pub(super) fn tag(shape: &Shape) -> Option<String> {
    match shape {
        Shape::Literal(value) => Some(value.to_string()),
        Shape::Object(object) => {
            let literal = object.fields.iter().find_map(|(name, field)| match &field.shape {
                Shape::Literal(value) if field.required => Some(format!("{name}: {value}")),
                _ => None,
            });
            literal.or_else(|| match object.fields.iter().next() {
                Some((name, field)) if object.fields.len() == 1 && field.required => Some(format!("{name:?}")),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Returns the shape that is both `left` and `right`: the parts of a struct with `#[serde(flatten)]`.
fn intersection(left: Shape, right: Shape) -> Shape {
    match (left, right) {
        (Shape::Any, shape) | (shape, Shape::Any) => shape,
        (Shape::Object(mut left), Shape::Object(right)) => {
            for (name, field) in right.fields {
                let field = match left.fields.remove(&name) {
                    Some(other) => Field {
                        required: field.required || other.required,
                        default: field.default.or(other.default),
                        shape: intersection(other.shape, field.shape),
                    },
                    None => field,
                };
                left.fields.insert(name, field);
            }
            left.rest = left.rest.or(right.rest);
            Shape::Object(left)
        }
        // A flattened variant without content is a field.
        (Shape::Object(object), Shape::Literal(Value::String(name)))
        | (Shape::Literal(Value::String(name)), Shape::Object(object)) => {
            let field = Field {
                shape: Shape::Null,
                required: true,
                default: None,
            };
            let variant = Object {
                fields: BTreeMap::from([(name, field)]),
                rest: None,
            };
            intersection(Shape::Object(object), Shape::Object(variant))
        }
        (Shape::Union(shapes), shape) | (shape, Shape::Union(shapes)) => {
            let both = shapes.into_iter().map(|one| intersection(shape.clone(), one));
            union(both.collect(), false)
        }
        (Shape::Choice(shapes), shape) | (shape, Shape::Choice(shapes)) => {
            let both = shapes.into_iter().map(|one| intersection(shape.clone(), one));
            union(both.collect(), true)
        }
        (left, _) => left,
    }
}
