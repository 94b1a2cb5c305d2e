//! `#[message]`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::{self, Arguments, Stored};

const KNOWN: Known<'_> = Known {
    attribute: WORDS.attribute,
    arguments: &["name", "version", "from", "try_from", "removed", "crate"],
    repeatable: &["removed"],
};

const WORDS: Words = Words {
    attribute: "#[message]",
    name: "message",
    noun: "a message",
    or_enum: false,
    reads_older: false,
};

/// A struct with `#[message]`.
struct Message(Stored);

impl AsRef<Stored> for Message {
    fn as_ref(&self) -> &Stored {
        &self.0
    }
}

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    stored::attribute(item, &WORDS, |item, errors| Message::parse(args, item, errors), expand)
}

impl Message {
    fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut given = Arguments::default();
        args::read(args, &KNOWN, errors, |argument, input| given.read(argument, input));
        Stored::parse(given, item, &WORDS, errors).map(Self)
    }
}

fn expand(Message(stored): &Message) -> TokenStream {
    let (runtime, ident) = (&stored.runtime, &stored.message.ident);
    quote! {
        #[automatically_derived]
        impl #runtime::publication::Message for #ident {}

        #[automatically_derived]
        impl #runtime::publication::IntoMessages for #ident {
            fn into_messages(self, out: &mut #runtime::publication::Messages) {
                out.push(&self);
            }
        }
    }
}
