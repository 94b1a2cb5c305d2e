//! `#[entity]`.

mod model;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Field;

use crate::stored;
use model::{Entity, WORDS};

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    stored::attribute(item, &WORDS, |item, errors| Entity::parse(args, item, errors), expand)
}

fn expand(entity: &Entity) -> TokenStream {
    let (runtime, ident) = (&entity.stored.runtime, &entity.stored.message.ident);
    let private = runtime.private();
    let (ty, id) = match &entity.id {
        Some(Field { ident, ty, .. }) => (quote!(#ty), quote!(&self.#ident)),
        // So that only the missing field is reported.
        None => (quote!(#private::String), quote!(::core::unreachable!())),
    };
    quote! {
        #[automatically_derived]
        impl #runtime::state::Entity for #ident {
            type Id = #ty;

            fn id(&self) -> &Self::Id {
                #id
            }
        }

        #private::with_schema! {
            #[automatically_derived]
            impl #runtime::schema::Aggregates for #ident {
                fn each(visit: &mut dyn ::core::ops::FnMut(#runtime::schema::Category)) {
                    #runtime::schema::each_entity::<Self>(visit);
                }
            }
        }
    }
}
