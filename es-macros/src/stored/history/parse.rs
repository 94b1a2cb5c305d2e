//! From the attributes of the fields, and `removed(…)` of the struct, to what happened to each field.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Fields, LitStr, Meta, Path, Token, Type};

use super::{Added, Changed, Field, Renamed};
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::arguments::Version;

const REMOVED: Known<'_> = Known {
    attribute: "removed(…)",
    arguments: &["since", "added", "renamed", "changed"],
    repeatable: &["renamed", "changed"],
};

const ADDED: Known<'_> = Known {
    attribute: "added(…)",
    arguments: &["since", "default"],
    repeatable: &[],
};

const RENAMED: Known<'_> = Known {
    attribute: "renamed(…)",
    arguments: &["from", "since"],
    repeatable: &[],
};

const CHANGED: Known<'_> = Known {
    attribute: "changed(…)",
    arguments: &["since", "from", "with"],
    repeatable: &[],
};

/// Returns whether the attribute is our helper, of this name.
fn is_ours(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == name)
}

/// The fields of the struct, with their history. `None` if there is no history, or none that can be told.
pub(crate) fn fields(fields: &Fields, words: &Words, errors: &mut Errors) -> Vec<Field> {
    let attribute = format!("#[{}(…)]", words.name);
    let known = Known {
        attribute: &attribute,
        arguments: &["added", "renamed", "changed"],
        repeatable: &["renamed", "changed"],
    };
    let is_ours = |attribute: &Attribute| is_ours(attribute, words.name);
    let mut all = Vec::new();
    for field in fields {
        let ours = || field.attrs.iter().filter(|attribute| is_ours(attribute));
        let Some(ident) = &field.ident else {
            if let Some(attribute) = ours().next() {
                errors.at(attribute, "the history of a field needs its name: give the fields names, or keep the old struct and name it in `from = …`");
            }
            continue;
        };
        let mut read = Field {
            ident: ident.clone(),
            ty: field.ty.clone(),
            attrs: field
                .attrs
                .iter()
                .filter(|attribute| !is_ours(attribute))
                .cloned()
                .collect(),
            added: None,
            renamed: Vec::new(),
            changed: Vec::new(),
            removed: None,
        };
        read.read(arguments(ours(), words, errors), &known, errors);
        all.push(read);
    }
    all
}

/// The arguments of all attributes, as one list.
fn arguments<'a>(attributes: impl Iterator<Item = &'a Attribute>, words: &Words, errors: &mut Errors) -> TokenStream {
    let mut all = TokenStream::new();
    for attribute in attributes {
        match &attribute.meta {
            Meta::List(list) => {
                let tokens = &list.tokens;
                let comma = (!all.is_empty()).then(|| quote!(,));
                all.extend(quote!(#comma #tokens));
            }
            other => {
                let message = format!(
                    "expected what happened to the field: `#[{}(added(since = 2, default = …))]`, `renamed(…)` or `changed(…)`",
                    words.name
                );
                errors.at(other, message);
            }
        }
    }
    all
}

/// Parses the content of the parentheses of `removed(note: String, since = 2)`.
pub(crate) fn removed(content: TokenStream, errors: &mut Errors) -> Option<Field> {
    let parser = |input: ParseStream<'_>| {
        let expected = |span| syn::Error::new(span, "expected the field as it was: `removed(note: String, since = 2)`");
        let attrs = input.call(Attribute::parse_outer)?;
        let ident: Ident = input.parse().map_err(|error| expected(error.span()))?;
        let colon: Option<Token![:]> = input.parse()?;
        if colon.is_none() {
            return Err(expected(ident.span()));
        }
        let ty: Type = input.parse()?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok((attrs, ident, ty, input.parse::<TokenStream>()?))
    };
    let (attrs, ident, ty, rest) = errors.ok(parser.parse2(content))?;
    let mut field = Field {
        ident,
        ty,
        attrs,
        added: None,
        renamed: Vec::new(),
        changed: Vec::new(),
        removed: None,
    };
    let sound = field.read(rest, &REMOVED, errors);
    if field.removed.is_none() {
        if sound {
            needs(&field.ident, "removed", "since = 2", errors);
        }
        return None;
    }
    Some(field)
}

/// Reports an argument that is missing.
fn needs(place: &Ident, what: &str, argument: &str, errors: &mut Errors) {
    errors.at(place, format!("`{what}(…)` needs `{argument}`: add it"));
}

impl Field {
    /// Returns whether all was understood.
    fn read(&mut self, tokens: TokenStream, known: &Known<'_>, errors: &mut Errors) -> bool {
        let (mut entries, mut removed) = (Vec::new(), None);
        let sound = args::read(tokens, known, errors, |argument, input| {
            if argument == "since" {
                removed = Some(Version::parse(argument, input)?);
            } else if input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in input);
                entries.push((argument.clone(), content.parse::<TokenStream>()?));
            } else {
                let message = format!("expected `{argument}(since = 2, …)`");
                return Err(syn::Error::new(argument.span(), message));
            }
            Ok(())
        });
        self.removed = removed;
        for (argument, content) in entries {
            self.entry(&argument, content, errors);
        }
        sound
    }

    fn entry(&mut self, argument: &Ident, content: TokenStream, errors: &mut Errors) {
        let mut given = Entry::default();
        let known = match argument.to_string().as_str() {
            "added" => &ADDED,
            "renamed" => &RENAMED,
            _ => &CHANGED,
        };
        if !args::read(content, known, errors, |name, input| given.read(argument, name, input)) {
            return;
        }
        let name = argument.to_string();
        let mut missing = |what| needs(argument, &name, what, errors);
        let Some(since) = given.since else {
            return missing("since = 2");
        };
        match (name.as_str(), given) {
            (
                "added",
                Entry {
                    default: Some(default), ..
                },
            ) => self.added = Some(Added { since, default }),
            ("renamed", Entry { name: Some(from), .. }) => self.renamed.push(Renamed { since, from }),
            (
                "changed",
                Entry {
                    ty: Some(from), with, ..
                },
            ) => self.changed.push(Changed { since, from, with }),
            ("added", _) => missing("default = …"),
            ("renamed", _) => missing("from = \"…\""),
            _ => missing("from = OldType"),
        }
    }
}

/// The arguments of one entry, whichever it is.
#[derive(Default)]
struct Entry {
    since: Option<Version>,
    default: Option<Expr>,
    name: Option<LitStr>,
    ty: Option<Type>,
    with: Option<Path>,
}

impl Entry {
    fn read(&mut self, entry: &Ident, argument: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let name = argument.to_string();
        if name == "since" {
            self.since = Some(Version::parse(argument, input)?);
            return Ok(());
        }
        let expected = |span, what: &str| syn::Error::new(span, format!("expected {what}"));
        let what = match (name.as_str(), entry == "renamed") {
            ("default", _) => "a value, or a closure over other fields: `default = |amount| *amount`",
            ("from", true) => "the name that the field was stored under: `from = \"…\"`",
            ("from", false) => "the type that the field had: `from = OldType`",
            _ => "the path of a function from the old type to the new one: `with = path`",
        };
        let equals: Option<Token![=]> = input.parse()?;
        if equals.is_none() || input.is_empty() {
            return Err(expected(argument.span(), what));
        }
        let place = input.fork().parse::<proc_macro2::TokenTree>().map(|token| token.span());
        let wrong = |error: syn::Error| expected(place.unwrap_or_else(|_| error.span()), what);
        match (name.as_str(), entry == "renamed") {
            ("default", _) => self.default = Some(input.parse()?),
            ("from", true) => self.name = Some(input.parse().map_err(wrong)?),
            ("from", false) => self.ty = Some(input.parse().map_err(wrong)?),
            _ => {
                let with: Expr = input.parse().map_err(wrong)?;
                let Expr::Path(path) = with else {
                    return Err(expected(with.span(), what));
                };
                self.with = Some(path.path);
            }
        }
        Ok(())
    }
}
