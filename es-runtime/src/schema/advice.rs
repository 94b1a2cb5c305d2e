//! The code to write so that stored events stay readable.

use std::collections::BTreeMap;

use super::compare::{Difference, Kind};
use super::lock::Key;
use super::rust::{is_ident, struct_of, type_of};
use super::shape::{Definition, Object, Shape};

/// A new version of `rust`, which reads what is stored as `stored`.
pub(super) fn new_version(
    key: &Key,
    rust: &str,
    differences: &[Difference],
    stored: &Definition,
    today: &Definition,
) -> Vec<String> {
    let breaking: Vec<&Difference> = differences
        .iter()
        .filter(|difference| difference.kind.is_breaking())
        .collect();
    match (&stored.shape, &today.shape) {
        (Shape::Object(object), Shape::Object(today))
            if breaking.iter().all(|difference| first(&difference.path).is_some()) =>
        {
            history(key, rust, &breaking, object, today)
        }
        _ => old_struct(key, rust, key.version + 1, stored),
    }
}

/// The name of the event's own field in which a difference is.
fn first(path: &str) -> Option<&str> {
    let end = path.find(['.', '[', '{', '(']).unwrap_or(path.len());
    (end > 0).then(|| &path[..end])
}

/// The struct with the history of its fields.
fn history(key: &Key, rust: &str, breaking: &[&Difference], stored: &Object, today: &Object) -> Vec<String> {
    let (noun, version) = (key.noun(), key.version + 1);
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let mut removed: Vec<&Difference> = Vec::new();
    for difference in breaking {
        let Some(name) = first(&difference.path) else {
            continue;
        };
        let own = name == difference.path;
        match difference.kind {
            Kind::Added if own => {
                fields.insert(name, format!("added(since = {version}, default = …)"));
            }
            Kind::Removed if own => removed.push(difference),
            _ => {
                let from = stored.fields.get(name).map_or_else(
                    || "…".to_owned(),
                    |field| {
                        let ty = type_of(&field.shape);
                        let missing = !field.required && !ty.starts_with("Option<");
                        if missing { format!("Option<{ty}>") } else { ty }
                    },
                );
                fields.insert(name, format!("changed(since = {version}, from = {from}, with = …)"));
            }
        }
    }
    let mut arguments = vec![format!("version = {version}")];
    for difference in removed {
        let old = &difference.path;
        // A field that went while one of the same shape came has another name now.
        let renamed = breaking
            .iter()
            .find(|other| other.kind == Kind::Added && !other.path.contains('.') && other.after == difference.before);
        match renamed.filter(|other| {
            fields
                .get(other.path.as_str())
                .is_some_and(|text| text.starts_with("added"))
        }) {
            Some(other) => {
                fields.insert(&other.path, format!("renamed(from = {old:?}, since = {version})"));
            }
            None => {
                let ty = stored
                    .fields
                    .get(old)
                    .map_or_else(|| "…".to_owned(), |field| type_of(&field.shape));
                let old = if is_ident(old) { old } else { "…" };
                arguments.push(format!("removed({old}: {ty}, since = {version})"));
            }
        }
    }
    let mut lines = vec![
        format!("#[{noun}({})]", arguments.join(", ")),
        format!("pub struct {rust} {{"),
    ];
    let others = today.fields.keys().any(|name| !fields.contains_key(name.as_str()));
    for (name, text) in fields {
        let ty = today
            .fields
            .get(name)
            .map_or_else(|| "…".to_owned(), |field| type_of(&field.shape));
        let name = if is_ident(name) { name } else { "…" };
        lines.push(format!("    #[{noun}({text})]"));
        lines.push(format!("    pub {name}: {ty},"));
    }
    if others {
        lines.push("    // the other fields as they are".to_owned());
    }
    lines.push("}".to_owned());
    lines
}

/// A struct for the old shape, from which the new one is made.
pub(super) fn old_struct(key: &Key, rust: &str, version: u32, stored: &Definition) -> Vec<String> {
    let old = format!("{rust}V{}", key.version);
    let (noun, id) = (key.noun(), if key.is_entity() { ", id = …" } else { "" });
    let mut lines = vec![
        format!("#[{noun}(version = {version}, from = {old}{id})]"),
        format!("pub struct {rust} …"),
        String::new(),
        format!("#[{noun}(name = {:?}, version = {}{id})]", key.name, key.version),
    ];
    lines.append(&mut struct_of(&old, stored));
    lines.push(String::new());
    lines.push(format!("impl From<{old}> for {rust} {{ … }}"));
    lines
}

/// An event that is only read, in the block of its aggregate.
pub(super) fn retired(key: &Key, stored: &Definition) -> Vec<String> {
    let rust = camel(&key.name);
    let mut lines = vec![format!("#[event(name = {:?}, version = {})]", key.name, key.version)];
    lines.append(&mut struct_of(&rust, stored));
    lines.push(String::new());
    lines.push("#[retired]".to_owned());
    lines.push(format!("fn {}(_: {rust}) {{}}", key.name.replace(['.', '-'], "_")));
    lines
}

/// `money.moved_in` as `MoneyMovedIn`.
fn camel(name: &str) -> String {
    let parts = name.split(['.', '-', '_']);
    let capital = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    parts.map(capital).collect()
}

/// Returns how a change within a type that several events may hold can be kept out of stored events, if it can be.
pub(super) fn within(difference: &Difference, all: &[Difference]) -> Option<String> {
    let parent = |path: &str| path.rsplit_once(['.', '(']).map(|(parent, _)| parent.to_owned());
    let name = |path: &str| {
        path.rsplit_once(['.', '('])
            .map_or(path, |(_, name)| name)
            .trim_end_matches(')')
            .to_owned()
    };
    let beside = |other: &&Difference| other.path != difference.path && parent(&other.path) == parent(&difference.path);
    match difference.kind {
        Kind::Added if difference.path.contains('.') => {
            Some(format!("or give `{}` a default: `#[serde(default)]`", difference.path))
        }
        Kind::Removed if difference.path.contains('.') => {
            let renamed = all
                .iter()
                .filter(beside)
                .find(|other| other.kind == Kind::Added && other.after == difference.before)?;
            Some(format!(
                "or keep the stored name of `{}`: `#[serde(rename = {:?})]`",
                renamed.path,
                name(&difference.path)
            ))
        }
        Kind::VariantRemoved => Some(format!(
            "or keep the variant; if only its name is another now, keep the stored one: `#[serde(rename = {})]`",
            name(&difference.path)
        )),
        Kind::Reordered => Some("or put the variants back in their order: the first that fits is read".to_owned()),
        _ => None,
    }
}
