use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Field, Fields, ItemStruct, Token};

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::{Arguments, Stored};

const KNOWN: Known<'_> = Known {
    attribute: WORDS.attribute,
    arguments: &["name", "id", "version", "from", "try_from", "removed", "alias", "crate"],
    repeatable: &["removed", "alias"],
};

pub(super) const WORDS: Words = Words {
    attribute: "#[entity]",
    name: "entity",
    noun: "an entity",
    or_enum: false,
    reads_older: true,
};

/// A struct with `#[entity]`.
pub(super) struct Entity {
    pub(super) stored: Stored,
    /// The field by which entities are told apart. `None` after an error.
    pub(super) id: Option<Field>,
}

impl Entity {
    pub(super) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut given, mut id) = (Arguments::default(), None);
        let sound = args::read(args, &KNOWN, errors, |argument, input| {
            if argument.unraw() == "id" {
                id = Some(field_name(argument, input)?);
                return Ok(());
            }
            given.read(argument, input)
        });
        let stored = Stored::parse(given, item, &WORDS, errors)?;
        let id = field(item, id.as_ref(), sound, errors);
        Some(Self { stored, id })
    }
}

impl AsRef<Stored> for Entity {
    fn as_ref(&self) -> &Stored {
        &self.stored
    }
}

/// Reads the `= name` of `id = name`.
fn field_name(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    let expected = |span| {
        syn::Error::new(
            span,
            "expected the name of the field that tells entities apart, without quotes: `id = id`",
        )
    };
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(expected(argument.span()));
    }
    let place = input.fork().parse::<proc_macro2::TokenTree>()?.span();
    input.parse().map_err(|_| expected(place))
}

/// The field of this name. Reports a name that is none, and one that is missing if the arguments were `sound`.
fn field(item: &TokenStream, name: Option<&Ident>, sound: bool, errors: &mut Errors) -> Option<Field> {
    // Anything but a struct has been reported.
    let item: ItemStruct = syn::parse2(item.clone()).ok()?;
    let Some(name) = name else {
        if sound {
            let message = format!(
                "`{}` needs the field that tells entities apart: say `#[entity(id = …)]`",
                item.ident
            );
            errors.at(&item.ident, message);
        }
        return None;
    };
    let Fields::Named(fields) = item.fields else {
        let message = format!(
            "`id` names a field, and `{}` has none with a name: give its fields names",
            item.ident
        );
        errors.at(name, message);
        return None;
    };
    let known: Vec<String> = fields
        .named
        .iter()
        .filter_map(|field| Some(format!("`{}`", field.ident.as_ref()?)))
        .collect();
    let field = fields
        .named
        .into_iter()
        .find(|field| field.ident.as_ref() == Some(name));
    if field.is_none() {
        let known = match &known[..] {
            [] => "it has none".to_owned(),
            known => format!("it has {}", known.join(", ")),
        };
        errors.at(name, format!("`{}` has no field `{name}`: {known}", item.ident));
    }
    field
}
