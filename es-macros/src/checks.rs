//! `validate` and `garde`: what checks the values of an event or a command.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Path, Token};

use crate::local::local;
use crate::runtime::Runtime;

/// The names of the arguments.
pub(crate) const VALIDATE: &str = "validate";
pub(crate) const GARDE: &str = "garde";

#[derive(Default)]
pub(crate) struct Checks {
    /// Where the rules of garde are asked for.
    garde: Option<Span>,
    /// A function, as a path that means the same inside an implementation for the struct.
    validate: Option<Path>,
}

impl Checks {
    /// Reads the argument `validate`, alone or with the path of a function.
    pub(crate) fn read_validate(&mut self, argument: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        self.validate = Some(if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            input.parse().map_err(|error| {
                syn::Error::new(
                    error.span(),
                    "expected the path of a function: `validate = Self::validate`",
                )
            })?
        } else {
            syn::parse_quote_spanned!(argument.span()=> Self::#argument)
        });
        Ok(())
    }

    /// Reads the argument `garde`.
    pub(crate) fn read_garde(&mut self, argument: &Ident) -> syn::Result<()> {
        self.read_garde_if(argument, cfg!(feature = "garde"))
    }

    fn read_garde_if(&mut self, argument: &Ident, is_on: bool) -> syn::Result<()> {
        if !is_on {
            return Err(syn::Error::new(
                argument.span(),
                "`garde` needs the feature `garde` of es-runtime: turn it on in Cargo.toml, `es-runtime = { version = \"…\", features = [\"garde\"] }`",
            ));
        }
        self.garde = Some(argument.span());
        Ok(())
    }

    /// The method `check`, if there is anything to check.
    pub(crate) fn expand(&self, runtime: &Runtime) -> Option<TokenStream> {
        let place = self.validate.as_ref().map(|function| function.segments.last().span());
        let span = place.or(self.garde)?;
        let validate = self
            .validate
            .as_ref()
            .map(|function| quote_spanned!(span=> #function(self)));
        let garde = self.garde.map(|place| {
            // By its bare name, or the error would be at that of the macro.
            let (function, private) = (Ident::new("check_by_garde", place), runtime.private());
            let this = local("self", span, place);
            let call = quote_spanned!(place=> #function(#this));
            quote! {{
                use #private::#function;
                #call
            }}
        });
        let body = match (garde, validate) {
            (Some(garde), Some(validate)) => quote!(#garde?; #validate),
            (garde, validate) => quote!(#garde #validate),
        };
        Some(quote_spanned! {span=>
            fn check(&self) -> ::core::result::Result<(), #runtime::Invalid> {
                #body
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garde_without_its_feature_says_what_to_turn_on() {
        let argument = Ident::new("garde", Span::call_site());
        let error = Checks::default().read_garde_if(&argument, false).unwrap_err();
        assert!(error.to_string().contains("features = [\"garde\"]"), "{error}");
    }
}
