use proc_macro2::TokenStream;
use quote::quote;

use super::model::Event;
use crate::message::Message;

/// The implementations for one event. Those of [`IntoEvents`] and `Outcome` are for this type alone: with a blanket over all
/// events the compiler would stop at the `Vec` or `Result` around one that is not applied, and never name it.
pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { runtime, message } = event;
    let Message { ident, name, .. } = message;
    let private = runtime.private();
    quote! {
        #[automatically_derived]
        impl #runtime::Event for #ident {
            const NAME: &'static str = #name;
        }

        #[automatically_derived]
        impl<__A: #runtime::EventSourced> #runtime::IntoEvents<__A> for #ident
        where
            #ident: #runtime::EventOf<__A>,
        {
            fn into_events(self, out: &mut #private::Vec<__A::Event>) {
                #private::push_event::<__A, #ident>(self, out);
            }
        }

        #[automatically_derived]
        impl<__A: #runtime::EventSourced> #runtime::Outcome<__A> for #ident
        where
            #ident: #runtime::EventOf<__A>,
        {
            type Refusal = ::core::convert::Infallible;

            fn into_result(self) -> ::core::result::Result<#private::Vec<__A::Event>, Self::Refusal> {
                #private::one_event::<__A, #ident>(self)
            }
        }
    }
}
