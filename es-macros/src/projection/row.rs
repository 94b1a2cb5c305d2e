use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, LitStr, Token};

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::{Message, Words};
use crate::on_failure::OnFailure;
use crate::runtime::Runtime;
use crate::stored_name;

const KNOWN: Known<'_> = Known {
    attribute: "#[projection]",
    arguments: &[
        "name",
        "version",
        "segments",
        "index",
        "schema",
        "inline",
        "park",
        "park_alone",
        "memory",
        "live",
        "crate",
    ],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[projection]",
    name: "projection",
    noun: "a projection",
    or_enum: false,
    reads_older: true,
};

/// The longest name of which every store can make the name of a table.
const MAX_NAME: usize = 32;

/// The most segments.
const MAX_SEGMENTS: u32 = 64;

/// A struct with `#[projection]`.
pub(crate) struct Row {
    pub(crate) runtime: Runtime,
    pub(crate) message: Message,
    pub(crate) version: u32,
    pub(crate) segments: u32,
    pub(crate) indexes: Vec<LitStr>,
    /// The file with the statements that create its tables, if it has no rows.
    pub(crate) schema: Option<LitStr>,
    pub(crate) poison: OnFailure,
    pub(crate) rows: Rows,
}

/// Where the rows are kept: what `Projection::Rows` is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rows {
    InStore,
    Inline,
    InMemory,
    Live,
}

impl Rows {
    /// Why the argument says nothing of rows that are kept so; `None` if it does.
    fn refuses(self, argument: &str) -> Option<&'static str> {
        match (self, argument) {
            (Self::InMemory, "version") => Some("rows in memory are folded anew whenever a process starts"),
            (Self::InMemory, "segments") => Some("rows in memory are folded by each process for itself"),
            (Self::InMemory, "index") => Some("rows in memory are found and ordered without an index"),
            (Self::Live, "version" | "segments" | "index") => Some("live rows are folded whenever they are asked for"),
            (Self::Inline, "segments") => {
                Some("an inline projection is written with each append, by whichever process appends")
            }
            (Self::Inline, "park" | "park_alone") => {
                Some("an inline projection puts no event aside: one that it cannot apply is not appended")
            }
            (Self::Live, "park" | "park_alone") => {
                Some("live rows put no event aside: whoever asks for them is told which one cannot be applied")
            }
            _ => None,
        }
    }
}

impl Row {
    /// Reads the struct. `None` if there is too little of it to go on.
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut runtime, mut name, mut version) = (Runtime::default(), None, 1);
        let (mut segments, mut indexes, mut schema) = (1, Vec::new(), None);
        let mut poison = None;
        let mut rows: Option<(Rows, Ident)> = None;
        let mut given = Vec::new();
        args::read(args, &KNOWN, errors, |argument, input| {
            given.push(argument.clone());
            match argument.to_string().as_str() {
                "name" => name = Some(stored_name::parse(argument, input)?),
                "version" => version = args::version(argument, input)?,
                "segments" => {
                    let expected = "expected a whole number from 1 to 64: `segments = 4`";
                    segments = args::number(argument, input, 1..=MAX_SEGMENTS, expected)?;
                }
                "index" => indexes = parse_indexes(argument, input)?,
                "schema" => schema = Some(stored_name::parse(argument, input)?),
                "park" | "park_alone" => OnFailure::read(&mut poison, argument)?,
                "memory" | "live" | "inline" => {
                    if let Some((_, first)) = &rows {
                        return Err(both(first, argument));
                    }
                    let kept = match argument.to_string().as_str() {
                        "live" => Rows::Live,
                        "memory" => Rows::InMemory,
                        _ => Rows::Inline,
                    };
                    rows = Some((kept, argument.clone()));
                }
                _ => runtime = Runtime::parse(input)?,
            }
            Ok(())
        });
        let (mut rows, word) = rows.map_or((Rows::InStore, None), |(rows, word)| (rows, Some(word)));
        for argument in &given {
            if let (Some(reason), Some(word)) = (rows.refuses(&argument.to_string()), &word) {
                errors.at(argument, format!("{reason}: remove `{argument}`, or `{word}`"));
            }
        }
        let message = Message::parse(item, name, &WORDS, errors)?;
        if rows != Rows::Live {
            check_name(&message.name, errors);
        }
        let fields = plain_fields(item);
        for index in &indexes {
            check_index(index, fields.as_deref(), &message.ident, errors);
        }
        if schema.is_some() {
            check_no_row(item, &indexes, errors);
            if let Some(word) = &word
                && rows != Rows::Inline
            {
                rows = Rows::InStore;
                let message = format!("a projection with `schema` is kept in its tables: remove `{word}`, or `schema`");
                errors.at(word, message);
            }
        }
        Some(Self {
            runtime,
            message,
            version,
            segments,
            indexes,
            schema,
            poison: poison.unwrap_or_default(),
            rows,
        })
    }

    /// Generates the attributes above the struct.
    pub(crate) fn above(&self) -> TokenStream {
        if self.schema.is_some() {
            return TokenStream::new();
        }
        let fields = self.message.assert_fields(&self.runtime);
        let derives = self.message.derives(&self.runtime);
        quote!(#fields #derives)
    }
}

/// Two words that say where the rows are.
fn both(first: &Ident, second: &Ident) -> syn::Error {
    let message = if first == "inline" || second == "inline" {
        let other = if first == "inline" { second } else { first };
        format!("an `inline` projection is written with the append, and a `{other}` one is not: keep one of the two")
    } else {
        "rows are kept in `memory`, or they are `live` and not kept: keep one of the two".to_owned()
    };
    syn::Error::new(second.span(), message)
}

fn parse_indexes(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<LitStr>> {
    let expected = |span| {
        syn::Error::new(
            span,
            "expected a list of fields: `index = [\"owner\", \"address.city\"]`",
        )
    };
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || !input.peek(syn::token::Bracket) {
        return Err(expected(argument.span()));
    }
    let list;
    syn::bracketed!(list in input);
    let fields = Punctuated::<LitStr, Token![,]>::parse_terminated(&list).map_err(|error| expected(error.span()))?;
    Ok(fields.into_iter().collect())
}

/// Reports what only makes sense with rows.
fn check_no_row(item: &TokenStream, indexes: &[LitStr], errors: &mut Errors) {
    if let Ok(Item::Struct(item)) = syn::parse2::<Item>(item.clone())
        && let Some(field) = item.fields.iter().next()
    {
        let message = format!(
            "a projection with `schema` has tables of its own, and no row: write `struct {};` without fields, or remove `schema`",
            item.ident
        );
        errors.at(field, message);
    }
    if let Some(index) = indexes.first() {
        errors.at(
            index,
            "a projection with `schema` has tables of its own: create the index there, and remove `index`",
        );
    }
}

/// Checks what a table's name must be besides a stored name.
fn check_name(name: &LitStr, errors: &mut Errors) {
    let text = name.value();
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
    let is_part = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(allowed);
    let reserved = ["sqlite_", "pg_"].iter().any(|prefix| text.starts_with(prefix));
    if !is_part || reserved || text.len() > MAX_NAME {
        let message = format!(
            "the name {text:?} cannot name a table: say `name = \"…\"` with a lower-case letter, then up to {} letters, digits, `_` or `-`, and neither `sqlite_` nor `pg_` in front",
            MAX_NAME - 1
        );
        errors.at(name, message);
    }
}

/// The fields of the struct as they are stored, unless an attribute may change their names.
fn plain_fields(item: &TokenStream) -> Option<Vec<String>> {
    let Ok(Item::Struct(item)) = syn::parse2::<Item>(item.clone()) else {
        return None;
    };
    let special = |attribute: &Attribute| attribute.path().is_ident("serde") || attribute.path().is_ident("cfg_attr");
    let fields = item.fields.iter();
    let mut attributes = item.attrs.iter().chain(fields.clone().flat_map(|field| &field.attrs));
    if attributes.any(special) {
        return None;
    }
    fields
        .map(|field| Some(field.ident.as_ref()?.unraw().to_string()))
        .collect()
}

fn check_index(index: &LitStr, fields: Option<&[String]>, row: &Ident, errors: &mut Errors) {
    let path = index.value();
    if path.len() > 200 || path.split('.').any(str::is_empty) || path.contains(['"', '\\']) {
        let message = "expected the path of a field: names with `.` between them, such as \"address.city\"";
        return errors.at(index, message);
    }
    let first = path.split('.').next().unwrap_or_default();
    if let Some(fields) = fields
        && !fields.iter().any(|field| field == first)
    {
        let known = match fields {
            [] => "has no fields".to_owned(),
            fields => format!("has `{}`", fields.join("`, `")),
        };
        errors.at(index, format!("`{row}` has no field `{first}` to index: it {known}"));
    }
}
