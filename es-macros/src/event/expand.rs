use proc_macro2::TokenStream;
use quote::quote;

use super::model::Event;
use crate::message::Message;

pub(crate) fn event(event: &Event) -> TokenStream {
    let Event { runtime, message } = event;
    let Message { ident, name, .. } = message;
    let private = runtime.private();
    quote! {
        #[automatically_derived]
        impl #runtime::Event for #ident {
            const NAME: &'static str = #name;

            #private::with_schema! {
                fn shapes(out: &mut #runtime::schema::Shapes) {
                    out.add::<Self>(
                        <Self as #runtime::Event>::NAME,
                        <Self as #runtime::Event>::SHAPE_VERSION,
                    );
                }
            }
        }
    }
}
