use proc_macro2::TokenStream;
use quote::quote;

use super::model::Aggregate;

pub(crate) fn aggregate(aggregate: &Aggregate) -> TokenStream {
    let Aggregate {
        runtime, ident, name, ..
    } = aggregate;
    let id = match &aggregate.id {
        Some(id) => quote!(#id),
        None => quote!(#runtime::Id<Self>),
    };
    let key = aggregate.own_key().map(|key| {
        quote! {
            #[automatically_derived]
            impl #runtime::Key for #key {
                type Aggregate = #ident;

                fn stream_id(&self) -> #runtime::StreamId {
                    #runtime::__private::stream_id::<#ident>(self)
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #runtime::Aggregate for #ident {
            const NAME: &'static str = #name;
            type Id = #id;
        }

        #key
    }
}
