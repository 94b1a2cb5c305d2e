use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::Command;
use crate::message::Message;

pub(crate) fn command(command: &Command) -> TokenStream {
    let Command {
        runtime,
        message,
        validate,
    } = command;
    let Message { ident, name, .. } = message;
    let check = validate.as_ref().map(|function| {
        quote_spanned! {function.segments.last().span()=>
            fn check(&self) -> ::core::result::Result<(), #runtime::Invalid> {
                #function(self)
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #runtime::Command for #ident {
            const NAME: &'static str = #name;

            #check
        }
    }
}
