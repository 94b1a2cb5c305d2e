use proc_macro2::{Span, TokenStream};
use syn::{Token, Type};

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::{Arguments, Stored};

const KNOWN: Known<'_> = Known {
    attribute: WORDS.attribute,
    arguments: &["name", "id", "version", "from", "try_from", "removed", "crate"],
    repeatable: &["removed"],
};

pub(super) const WORDS: Words = Words {
    attribute: "#[process_manager]",
    name: "process_manager",
    noun: "a process manager",
    or_enum: true,
    reads_older: true,
};

/// A struct or an enum with `#[process_manager]`.
pub(crate) struct State {
    pub(crate) stored: Stored,
    /// The type of its id; `None` after an error.
    pub(crate) id: Option<Type>,
}

impl State {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut given, mut id) = (Arguments::default(), None);
        let is_read = args::read(args, &KNOWN, errors, |argument, input| {
            if argument != "id" {
                return given.read(argument, input);
            }
            let expected = |span| syn::Error::new(span, "expected a type: `id = Id<Order>`");
            let equals: Option<Token![=]> = input.parse()?;
            if equals.is_none() || input.is_empty() {
                return Err(expected(argument.span()));
            }
            id = Some(input.parse().map_err(|error: syn::Error| expected(error.span()))?);
            Ok(())
        });
        let stored = Stored::parse(given, item, &WORDS, errors)?;
        if id.is_none() && is_read {
            let message = format!(
                "say what identifies an instance of `{}`: `id = Id<Order>`, with the aggregate whose event begins it, or any type with an \
                 exact text form",
                stored.message.ident
            );
            errors.push(syn::Error::new(Span::call_site(), message));
        }
        Some(Self { stored, id })
    }
}

impl AsRef<Stored> for State {
    fn as_ref(&self) -> &Stored {
        &self.stored
    }
}
