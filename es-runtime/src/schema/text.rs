//! The notation of shapes in `events.lock`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::shape::{Definition, Field, Limits, Object, Shape};

/// The shape in one line.
pub(super) fn line(shape: &Shape) -> String {
    let mut text = String::new();
    Writer { lines: None }.shape(shape, &mut text);
    text
}

impl Definition {
    /// The shape with one line for each field, and the types that contain themselves behind it.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        let mut writer = Writer { lines: Some(0) };
        writer.shape(&self.shape, &mut text);
        for (name, shape) in &self.named {
            let _ = write!(text, "\nwith @{name} = ");
            writer.shape(shape, &mut text);
        }
        text
    }
}

struct Writer {
    /// The indentation of the lines of a shape, if it may take several.
    lines: Option<usize>,
}

impl Writer {
    fn shape(&mut self, shape: &Shape, text: &mut String) {
        match shape {
            Shape::Any => text.push_str("any"),
            Shape::Null => text.push_str("null"),
            Shape::Boolean => text.push_str("boolean"),
            Shape::Integer(limits) => scalar("integer", limits, text),
            Shape::Number(limits) => scalar("number", limits, text),
            Shape::Text(limits) => scalar("string", limits, text),
            Shape::Literal(value) => text.push_str(&value.to_string()),
            Shape::List(item, limits) => {
                self.part(item, text);
                text.push_str("[]");
                write_limits(limits, text);
            }
            Shape::Tuple(items) => {
                text.push('[');
                self.separated(items, ", ", text);
                text.push(']');
            }
            Shape::Object(object) => self.object(object, text),
            Shape::Union(shapes) if shapes.is_empty() => text.push_str("never"),
            Shape::Union(shapes) => self.separated(shapes, " | ", text),
            Shape::Choice(shapes) => {
                for (index, shape) in shapes.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { " / " });
                    self.part(shape, text);
                }
            }
            Shape::Named(name) => {
                let _ = write!(text, "@{name}");
            }
        }
    }

    /// A shape next to a sign that binds closer than `|`.
    fn part(&mut self, shape: &Shape, text: &mut String) {
        if matches!(shape, Shape::Union(_) | Shape::Choice(_)) {
            text.push('(');
            self.shape(shape, text);
            text.push(')');
        } else {
            self.shape(shape, text);
        }
    }

    fn separated(&mut self, shapes: &[Shape], by: &str, text: &mut String) {
        for (index, shape) in shapes.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { by });
            self.shape(shape, text);
        }
    }

    fn object(&mut self, object: &Object, text: &mut String) {
        let mut parts = Vec::new();
        self.lines = self.lines.map(|indent| indent + 1);
        for (name, field) in &object.fields {
            let mut part = key(name);
            part.push_str(if field.required { ": " } else { "?: " });
            self.shape(&field.shape, &mut part);
            if let Some(default) = &field.default {
                let _ = write!(part, " = {default}");
            }
            parts.push(part);
        }
        if let Some((pattern, shape)) = &object.rest {
            let mut part = "...".to_owned();
            if let Some(pattern) = pattern {
                part.push_str(&Value::from(pattern.as_str()).to_string());
            }
            part.push_str(": ");
            self.shape(shape, &mut part);
            parts.push(part);
        }
        self.lines = self.lines.map(|indent| indent - 1);
        match self.lines {
            _ if parts.is_empty() => text.push_str("{}"),
            None => {
                let _ = write!(text, "{{ {} }}", parts.join(", "));
            }
            Some(indent) => {
                let margin = "  ".repeat(indent);
                text.push_str("{\n");
                for part in parts {
                    let _ = writeln!(text, "{margin}  {part}");
                }
                let _ = write!(text, "{margin}}}");
            }
        }
    }
}

/// `int64`, `uuid`, `string where {"maxLength":1}`.
fn scalar(kind: &str, limits: &Limits, text: &mut String) {
    let mut limits = limits.clone();
    match limits.get("format") {
        Some(Value::String(format)) if kind_of(format) == kind && is_word(format) => {
            text.push_str(format);
            limits.remove("format");
        }
        _ => text.push_str(kind),
    }
    write_limits(&limits, text);
}

/// Which kind of value has this format, as schemas of Rust types use them.
fn kind_of(format: &str) -> &'static str {
    match format {
        "int8" | "int16" | "int32" | "int64" | "int128" | "int" | "uint8" | "uint16" | "uint32" | "uint64"
        | "uint128" | "uint" => "integer",
        "float" | "double" => "number",
        "any" | "null" | "boolean" | "integer" | "number" | "string" | "never" | "where" | "with" => "",
        _ => "string",
    }
}

fn write_limits(limits: &Limits, text: &mut String) {
    if !limits.is_empty() {
        let limits: Value = limits
            .iter()
            .map(|(keyword, limit)| (keyword.clone(), limit.clone()))
            .collect();
        let _ = write!(text, " where {limits}");
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

fn key(name: &str) -> String {
    if is_word(name) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// Reads the notation.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns whether nothing is left. Skips comments.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// The number of the line that is read.
    pub(super) fn line(&self) -> usize {
        self.text[..self.at].matches('\n').count() + 1
    }

    /// Returns the rest, from the next sign on.
    pub(super) fn rest(&mut self) -> &'a str {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return trimmed;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// Takes `sign` if it comes next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Returns whether this comes next.
    pub(super) fn is_at(&mut self, sign: &str) -> bool {
        self.rest().starts_with(sign)
    }

    /// Takes the keyword if it comes next, and is not the name of a field.
    fn take_keyword(&mut self, keyword: &str, then: char) -> bool {
        let follows = |rest: &str| {
            rest.strip_prefix(keyword)
                .is_some_and(|rest| rest.trim_start().starts_with(then))
        };
        let found = follows(self.rest());
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// A run of the letters of names.
    pub(super) fn word(&mut self, what: &str) -> Result<&'a str, String> {
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)));
        let word = &rest[..length.unwrap_or(rest.len())];
        if word.is_empty() {
            return Err(format!("expected {what}"));
        }
        self.at += word.len();
        Ok(word)
    }

    /// A shape and the types that contain themselves.
    pub(super) fn definition(&mut self) -> Result<Definition, String> {
        let shape = self.shape()?;
        let mut named = BTreeMap::new();
        while self.take_keyword("with", '@') {
            self.expect("@")?;
            let name = self.word("the name of a type")?.to_owned();
            self.expect("=")?;
            named.insert(name, self.shape()?);
        }
        Ok(Definition { shape, named })
    }

    fn shape(&mut self) -> Result<Shape, String> {
        let first = self.choice()?;
        if !self.rest().starts_with('|') {
            return Ok(first);
        }
        let mut shapes = vec![first];
        while self.take("|") {
            shapes.push(self.choice()?);
        }
        Ok(Shape::Union(shapes))
    }

    fn choice(&mut self) -> Result<Shape, String> {
        let first = self.list()?;
        if !self.rest().starts_with('/') {
            return Ok(first);
        }
        let mut shapes = vec![first];
        while self.take("/") {
            shapes.push(self.list()?);
        }
        Ok(Shape::Choice(shapes))
    }

    fn list(&mut self) -> Result<Shape, String> {
        let mut shape = self.single()?;
        while self.take("[]") {
            shape = Shape::List(Box::new(shape), self.limits()?);
        }
        Ok(shape)
    }

    fn single(&mut self) -> Result<Shape, String> {
        let rest = self.rest();
        match rest.chars().next() {
            Some('(') => {
                self.expect("(")?;
                let shape = self.shape()?;
                self.expect(")")?;
                Ok(shape)
            }
            Some('{') => self.object().map(Shape::Object),
            Some('[') => {
                self.expect("[")?;
                let mut items = Vec::new();
                while !self.take("]") {
                    items.push(self.shape()?);
                }
                Ok(Shape::Tuple(items))
            }
            Some('@') => {
                self.expect("@")?;
                self.word("the name of a type")
                    .map(|name| Shape::Named(name.to_owned()))
            }
            Some(c) if c == '"' || c == '-' || c.is_ascii_digit() => self.json().map(Shape::Literal),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<Shape, String> {
        let word = self.word("a type")?;
        let mut limits = Limits::new();
        let kind = match word {
            "any" => return Ok(Shape::Any),
            "null" => return Ok(Shape::Null),
            "boolean" => return Ok(Shape::Boolean),
            "never" => return Ok(Shape::Union(Vec::new())),
            "true" | "false" => return Ok(Shape::Literal(Value::Bool(word == "true"))),
            "integer" | "number" | "string" => word,
            format => {
                limits.insert("format".to_owned(), format.into());
                kind_of(format)
            }
        };
        limits.append(&mut self.limits()?);
        match kind {
            "integer" => Ok(Shape::Integer(limits)),
            "number" => Ok(Shape::Number(limits)),
            "string" => Ok(Shape::Text(limits)),
            _ => Err(format!("`{word}` is no type")),
        }
    }

    fn limits(&mut self) -> Result<Limits, String> {
        if !self.take_keyword("where", '{') {
            return Ok(Limits::new());
        }
        match self.json()? {
            Value::Object(limits) => Ok(limits.into_iter().collect()),
            _ => Err("expected limits like {\"maxLength\":1} after `where`".to_owned()),
        }
    }

    fn object(&mut self) -> Result<Object, String> {
        self.expect("{")?;
        let mut object = Object::default();
        while !self.take("}") {
            if self.take("...") {
                let pattern = if self.rest().starts_with('"') {
                    Some(self.text_value()?)
                } else {
                    None
                };
                self.expect(":")?;
                object.rest = Some((pattern, Box::new(self.shape()?)));
                continue;
            }
            let name = if self.rest().starts_with('"') {
                self.text_value()?
            } else {
                self.word("the name of a field, or `}`")?.to_owned()
            };
            if object.fields.contains_key(&name) {
                return Err(format!("the field `{name}` is there twice"));
            }
            let required = !self.take("?");
            self.expect(":")?;
            let shape = self.shape()?;
            let default = if self.take("=") { Some(self.json()?) } else { None };
            let field = Field {
                shape,
                required,
                default,
            };
            object.fields.insert(name, field);
        }
        Ok(object)
    }

    fn text_value(&mut self) -> Result<String, String> {
        match self.json()? {
            Value::String(text) => Ok(text),
            _ => Err("expected a string".to_owned()),
        }
    }

    fn json(&mut self) -> Result<Value, String> {
        let rest = self.rest();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        let Some(Ok(value)) = values.next() else {
            return Err("expected a JSON value".to_owned());
        };
        self.at += values.byte_offset();
        Ok(value)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) {
            return Ok(());
        }
        let found: String = self.rest().chars().take(20).collect();
        let found = found.lines().next().unwrap_or_default();
        Err(format!("expected `{sign}`, found `{found}`"))
    }
}
