use proc_macro2::TokenStream;
use quote::quote;

use super::model::Event;
use crate::message::Message;

pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { runtime, message } = event;
    let Message { ident, name, .. } = message;
    quote! {
        #[automatically_derived]
        impl #runtime::Event for #ident {
            const NAME: &'static str = #name;
        }
    }
}
