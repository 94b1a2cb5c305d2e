//! A second attribute of ours on the same item, which the first one sees.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Path, Token};

use crate::errors::Errors;

/// The attributes that make something of a struct.
pub(crate) const ON_STRUCT: &[&str] = &[
    "event",
    "entity",
    "command",
    "value",
    "projection",
    "process_manager",
    "publication",
    "message",
];

/// Those of an impl block.
pub(crate) const ON_BLOCK: &[&str] = &["aggregate", "projection", "process_manager", "publication"];

/// Derives with helper attributes of such a name.
const FOREIGN: &[&str] = &["Parser", "Args", "Subcommand", "ValueEnum"];

/// Reports the attributes of `names` below `attribute`. The item is without those that would do the same again; the others stay, and
/// derive what both need.
pub(crate) fn refuse(item: TokenStream, attribute: &str, names: &[&str], errors: &mut Errors) -> TokenStream {
    let parser = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?));
    let Ok((attrs, rest)) = parser.parse2(item.clone()) else {
        return item;
    };
    // Both would be what is stored under a name.
    let are_stored =
        |name| ["event", "entity", "message"].contains(&name) && ["event", "entity", "message"].contains(&attribute);
    let is_dropped = |name| name == attribute || are_stored(name) || attribute == "aggregate";
    for (other, name) in below(&attrs, names) {
        let message = if name == attribute {
            format!("`#[{name}]` is given twice: keep one of them")
        } else if name == "value" || attribute == "value" {
            let more = if name == "value" { attribute } else { name };
            format!("`#[{more}]` gives the struct all that `#[value]` does: remove `#[value]`")
        } else {
            format!(
                "`#[{attribute}]` stands above, and one item is not both: remove one of the two, or split it in two"
            )
        };
        errors.at(other, message);
    }
    if !below(&attrs, names).any(|(_, name)| is_dropped(name)) {
        return item;
    }
    let kept = attrs
        .iter()
        .filter(|other| !named(other, names).is_some_and(is_dropped));
    kept.map(ToTokens::to_token_stream).chain([rest]).collect()
}

/// Returns whether another attribute stands among these that derives what a struct of ours needs.
pub(crate) fn derive_all(attrs: &[Attribute]) -> bool {
    below(attrs, ON_STRUCT).next().is_some()
}

/// The attributes that are ours, with their names.
fn below<'a, 'n>(attrs: &'a [Attribute], names: &'n [&'n str]) -> impl Iterator<Item = (&'a Attribute, &'n str)> {
    let foreign = attrs.iter().any(has_foreign_derive);
    attrs
        .iter()
        .filter(move |_| !foreign)
        .filter_map(|attribute| Some((attribute, named(attribute, names)?)))
}

/// The last segment of the attribute's path, if it is one of `names`.
fn named<'a>(attribute: &Attribute, names: &[&'a str]) -> Option<&'a str> {
    let last = &attribute.path().segments.last()?.ident;
    names.iter().find(|name| last == *name).copied()
}

fn has_foreign_derive(attribute: &Attribute) -> bool {
    let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
    attribute.path().is_ident("derive")
        && paths.into_iter().flatten().any(|path| {
            path.segments
                .last()
                .is_some_and(|last| FOREIGN.iter().any(|name| last.ident == name))
        })
}
