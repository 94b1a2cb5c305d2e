use proc_macro2::TokenStream;
use quote::quote;

use super::model::Command;
use crate::message::Message;

pub(crate) fn command(command: &Command) -> TokenStream {
    let Command {
        runtime,
        message,
        checks,
    } = command;
    let Message { ident, name, .. } = message;
    let check = checks.expand(runtime);
    let stubs = message.stubs(runtime);
    let private = runtime.private();
    let schema = (!message.broken).then(|| {
        quote! {
            #private::with_schema! {
                fn schema() -> ::core::option::Option<#private::Value> {
                    ::core::option::Option::Some(#private::schema_of::<Self>())
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #runtime::Command for #ident {
            const NAME: &'static str = #name;

            #check

            #schema
        }

        #stubs
    }
}
