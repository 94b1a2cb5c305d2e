//! The Rust that reads a shape, as far as it is plain: for the code that a report suggests.

use serde_json::Value;

use super::shape::{Definition, Object, Shape};

/// The placeholder for a user's type that a shape does not show.
const YOURS: &str = "…";

/// The type of a field of this shape.
pub(super) fn type_of(shape: &Shape) -> String {
    match shape {
        Shape::Any => "serde_json::Value".to_owned(),
        Shape::Null => "()".to_owned(),
        Shape::Boolean => "bool".to_owned(),
        Shape::Integer(limits) => integer(limits.get("format")).to_owned(),
        Shape::Number(limits) if limits.get("format") == Some(&"float".into()) => "f32".to_owned(),
        Shape::Number(_) => "f64".to_owned(),
        Shape::Text(limits) if limits.is_empty() => "String".to_owned(),
        Shape::List(item, limits) if limits.is_empty() => format!("Vec<{}>", type_of(item)),
        Shape::Tuple(items) if items.len() > 1 => {
            format!("({})", items.iter().map(type_of).collect::<Vec<_>>().join(", "))
        }
        Shape::Union(shapes) => match &shapes[..] {
            [Shape::Null, shape] | [shape, Shape::Null] => format!("Option<{}>", type_of(shape)),
            _ => YOURS.to_owned(),
        },
        _ => YOURS.to_owned(),
    }
}

fn integer(format: Option<&Value>) -> &'static str {
    match format.and_then(Value::as_str).unwrap_or_default() {
        "int8" => "i8",
        "int16" => "i16",
        "int32" => "i32",
        "int" => "isize",
        "int128" => "i128",
        "uint8" => "u8",
        "uint16" => "u16",
        "uint32" => "u32",
        "uint64" => "u64",
        "uint" => "usize",
        "uint128" => "u128",
        _ => "i64",
    }
}

/// A struct named `name` that reads the shape.
pub(super) fn struct_of(name: &str, definition: &Definition) -> Vec<String> {
    match &definition.shape {
        Shape::Null => vec![format!("pub struct {name};")],
        Shape::Object(object) => object_struct(name, object),
        shape => vec![format!("pub struct {name}(pub {});", type_of(shape))],
    }
}

fn object_struct(name: &str, object: &Object) -> Vec<String> {
    let mut lines = vec![format!("pub struct {name} {{")];
    for (field, content) in &object.fields {
        let ident = is_ident(field);
        if !ident {
            lines.push(format!("    #[serde(rename = {field:?})]"));
        }
        if !content.required && !matches!(&content.shape, Shape::Union(shapes) if shapes.contains(&Shape::Null)) {
            lines.push("    #[serde(default)]".to_owned());
        }
        let field = if ident { field } else { YOURS };
        lines.push(format!("    pub {field}: {},", type_of(&content.shape)));
    }
    lines.push("}".to_owned());
    lines
}

/// Returns whether a field may have this name in Rust.
pub(super) fn is_ident(name: &str) -> bool {
    const WORDS: [&str; 12] = [
        "as", "box", "enum", "fn", "for", "in", "match", "mod", "move", "ref", "type", "use",
    ];
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&name)
}
