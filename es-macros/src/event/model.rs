use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::{Message, Words};
use crate::runtime::Runtime;
use crate::stored_name;

const KNOWN: Known = Known {
    attribute: "#[event]",
    arguments: &["name", "crate"],
};

const WORDS: Words = Words {
    attribute: "#[event]",
    noun: "an event",
};

/// A struct with `#[event]`.
pub(crate) struct Event {
    pub(crate) runtime: Runtime,
    pub(crate) message: Message,
}

impl Event {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut runtime, mut name) = (Runtime::default(), None);
        args::read(args, &KNOWN, errors, |argument, input| {
            if argument == "name" {
                name = Some(stored_name::parse(argument, input)?);
            } else {
                runtime = Runtime::parse(input)?;
            }
            Ok(())
        });
        let message = Message::parse(item, name, &WORDS, errors)?;
        Some(Self { runtime, message })
    }

    /// What to put above the struct.
    pub(crate) fn above(&self) -> TokenStream {
        let fields = self.message.assert_fields(&self.runtime);
        let derives = self.message.derives.missing(&self.runtime);
        let schema = self.message.derives.schema(&self.runtime);
        let shapes = self.message.assert_shapes(&self.runtime);
        quote!(#fields #shapes #derives #schema)
    }
}
