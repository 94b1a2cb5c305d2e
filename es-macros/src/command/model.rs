use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Path, Token};

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::{Message, Words};
use crate::runtime::Runtime;
use crate::stored_name;

const KNOWN: Known = Known {
    attribute: "#[command]",
    arguments: &["name", "validate", "crate"],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[command]",
    noun: "a command",
};

/// A struct with `#[command]`.
pub(crate) struct Command {
    pub(crate) runtime: Runtime,
    pub(crate) message: Message,
    /// The function that checks the command's values, as a path that means the same inside an implementation for it.
    pub(crate) validate: Option<Path>,
}

impl Command {
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut runtime, mut name, mut validate) = (Runtime::default(), None, None);
        args::read(args, &KNOWN, errors, |argument, input| {
            match argument.unraw().to_string().as_str() {
                "name" => name = Some(stored_name::parse(argument, input)?),
                "crate" => runtime = Runtime::parse(input)?,
                _ if input.peek(Token![=]) => {
                    input.parse::<Token![=]>()?;
                    validate = Some(input.parse().map_err(|error| {
                        syn::Error::new(
                            error.span(),
                            "expected the path of a function: `validate = Self::validate`",
                        )
                    })?);
                }
                _ => validate = Some(syn::parse_quote_spanned!(argument.span()=> Self::#argument)),
            }
            Ok(())
        });
        let message = Message::parse(item, name, &WORDS, errors)?;
        Some(Self {
            runtime,
            message,
            validate,
        })
    }

    /// What to put above the struct.
    pub(crate) fn above(&self) -> TokenStream {
        let fields = self.message.assert_fields(&self.runtime);
        let derives = self.message.derives.missing(&self.runtime);
        quote!(#fields #derives)
    }
}
