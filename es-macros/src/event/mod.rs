//! `#[event]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use crate::args::{self, Known};
use crate::checks::{Checks, GARDE, VALIDATE};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::{self, Arguments, Stored};

const KNOWN: Known<'_> = Known {
    attribute: WORDS.attribute,
    arguments: &[
        "name", "version", "from", "try_from", "removed", "alias", VALIDATE, GARDE, "crate",
    ],
    repeatable: &["removed", "alias"],
};

const WORDS: Words = Words {
    attribute: "#[event]",
    name: "event",
    noun: "an event",
    or_enum: false,
    reads_older: true,
};

/// A struct with `#[event]`.
struct Event {
    stored: Stored,
    checks: Checks,
}

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    stored::attribute(item, &WORDS, |item, errors| Event::parse(args, item, errors), expand)
}

impl Event {
    fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut given, mut checks) = (Arguments::default(), Checks::default());
        args::read(args, &KNOWN, errors, |argument, input| {
            match argument.unraw().to_string().as_str() {
                VALIDATE => checks.read_validate(argument, input),
                GARDE => checks.read_garde(argument),
                _ => given.read(argument, input),
            }
        });
        let stored = Stored::parse(given, item, &WORDS, errors)?;
        Some(Self { stored, checks })
    }
}

impl AsRef<Stored> for Event {
    fn as_ref(&self) -> &Stored {
        &self.stored
    }
}

fn expand(event: &Event) -> TokenStream {
    let (runtime, ident) = (&event.stored.runtime, &event.stored.message.ident);
    let check = event.checks.expand(runtime);
    quote! {
        #[automatically_derived]
        impl #runtime::Event for #ident {
            #check
        }
    }
}
