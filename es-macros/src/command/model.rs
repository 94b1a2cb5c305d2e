use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use crate::args::{self, Known};
use crate::checks::{Checks, GARDE, VALIDATE};
use crate::errors::Errors;
use crate::message::{Message, Words, assert_shapes};
use crate::runtime::Runtime;
use crate::stored_name;

const KNOWN: Known<'_> = Known {
    attribute: "#[command]",
    arguments: &["name", VALIDATE, GARDE, "crate"],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[command]",
    name: "command",
    noun: "a command",
    or_enum: false,
    reads_older: true,
};

/// A struct with `#[command]`.
pub(crate) struct Command {
    pub(crate) runtime: Runtime,
    pub(crate) message: Message,
    pub(crate) checks: Checks,
}

impl Command {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut runtime, mut name, mut checks) = (Runtime::default(), None, Checks::default());
        args::read(args, &KNOWN, errors, |argument, input| {
            match argument.unraw().to_string().as_str() {
                "name" => name = Some(stored_name::parse(argument, input)?),
                "crate" => runtime = Runtime::parse(input)?,
                GARDE => checks.read_garde(argument)?,
                _ => checks.read_validate(argument, input)?,
            }
            Ok(())
        });
        let message = Message::parse(item, name, &WORDS, errors)?;
        Some(Self {
            runtime,
            message,
            checks,
        })
    }

    /// Generates the attributes above the struct.
    pub(crate) fn above(&self) -> TokenStream {
        let fields = self.message.assert_fields(&self.runtime);
        let is_whole = !self.message.broken;
        let shapes = assert_shapes(&self.runtime, self.message.fields.iter().filter(|_| is_whole));
        let derives = self.message.derives(&self.runtime);
        let schema = self.message.derives.schema(&self.runtime).filter(|_| is_whole);
        quote!(#fields #shapes #derives #schema)
    }
}
