use proc_macro2::{Span, TokenStream};
use syn::{Token, Type};

use crate::args::Known;
use crate::errors::Errors;
use crate::event::Event;
use crate::message::Words;

const KNOWN: Known = Known {
    attribute: "#[process_manager]",
    arguments: &["name", "id", "version", "from", "try_from", "removed", "crate"],
    repeatable: &["removed"],
};

const WORDS: Words = Words {
    attribute: "#[process_manager]",
    noun: "a process manager",
    or_enum: true,
};

/// A struct or an enum with `#[process_manager]`. It is stored as an event is.
pub(crate) struct State {
    pub(crate) event: Event,
    /// The type of its id; `None` after an error.
    pub(crate) id: Option<Type>,
}

impl State {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut id = None;
        let sound = errors.is_empty();
        let event = Event::parse_with(args, item, (&KNOWN, &WORDS), errors, |argument, input| {
            (argument == "id").then(|| {
                let expected = |span| syn::Error::new(span, "expected a type: `id = Id<Order>`");
                let equals: Option<Token![=]> = input.parse()?;
                if equals.is_none() || input.is_empty() {
                    return Err(expected(argument.span()));
                }
                id = Some(input.parse().map_err(|error: syn::Error| expected(error.span()))?);
                Ok(())
            })
        })?;
        if id.is_none() && sound && errors.is_empty() {
            let message = format!(
                "say what identifies an instance of `{}`: `id = Id<Order>`, with the aggregate whose event begins it, or any type with an \
                 exact text form",
                event.message.ident
            );
            errors.push(syn::Error::new(Span::call_site(), message));
        }
        Some(Self { event, id })
    }
}
