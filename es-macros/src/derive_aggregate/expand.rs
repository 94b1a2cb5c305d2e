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
    let fingerprint = fingerprint(aggregate);
    let mut this = ident.clone();
    if let Some(place) = aggregate.unshared {
        this.set_span(ident.span().located_at(place));
    }
    quote! {
        #[automatically_derived]
        impl #runtime::Aggregate for #this {
            const NAME: &'static str = #name;
            #fingerprint
            type Id = #id;
        }

        #key
    }
}

/// That of the fields as they are written, mixed with those of the values that they hold.
fn fingerprint(aggregate: &Aggregate) -> TokenStream {
    let private = aggregate.runtime.private();
    let own = aggregate.shape.fingerprint();
    let types = &aggregate.shape.types;
    if types.is_empty() {
        return quote!(const FINGERPRINT: u64 = #own;);
    }
    quote! {
        const FINGERPRINT: u64 = {
            #[allow(unused_imports)]
            use #private::NoShape as _;
            #private::fingerprint(#own, &[#(#private::ShapeOf::<#types>::FINGERPRINT),*])
        };
    }
}
