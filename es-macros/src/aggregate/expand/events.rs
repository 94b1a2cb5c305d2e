use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::belongs;
use super::enums::Enum;
use crate::aggregate::apply::Apply;
use crate::aggregate::listed::Listed;
use crate::aggregate::model::Block;

pub(super) fn expand(block: &Block) -> TokenStream {
    let events = Enum {
        block,
        ident: block.event_enum(),
        variants: block.applies.iter().map(|apply| &apply.event).collect(),
        noun: "event",
    };
    let definition = events.define();
    let event_of: TokenStream = block
        .applies
        .iter()
        .map(|apply| event_of(block, &apply.event))
        .collect();
    let event_enum = event_enum(&events);
    let into_events = into_events(&events);
    quote!(#definition #event_of #event_enum #into_events)
}

/// The implementations for one event. Those of `IntoEvents` and `Outcome` are for its type alone: with a blanket over all events
/// the compiler would stop at the `Vec` or `Result` around one that is not applied, and never name it.
fn event_of(block: &Block, event: &Listed) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, variant, cfgs, .. } = event;
    let event_enum = block.event_enum();
    let belongs = belongs(block, event);
    let private = runtime.private();
    quote_spanned! {variant.span()=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::EventOf<#aggregate> for #ty {
            fn into_event(self) -> #event_enum {
                #event_enum::#variant(self)
            }

            #[allow(unreachable_patterns)]
            fn from_event(event: #event_enum) -> ::core::option::Option<Self> {
                match event {
                    #event_enum::#variant(event) => ::core::option::Option::Some(event),
                    _ => ::core::option::Option::None,
                }
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::IntoEvents<#aggregate> for #ty {
            fn into_events(self, out: &mut #private::Vec<#event_enum>) {
                #private::push_event::<#aggregate, #ty>(self, out);
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::Outcome<#aggregate> for #ty {
            type Refusal = ::core::convert::Infallible;

            fn into_result(self) -> ::core::result::Result<#private::Vec<#event_enum>, Self::Refusal> {
                #private::one_event::<#aggregate, #ty>(self)
            }
        }

        #belongs
    }
}

fn event_enum(events: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = events;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    let infos = events.each(|Listed { ty, .. }| quote!(#private::info::<#aggregate, #ty>(),));
    let info = events.dispatch(|Listed { ty, .. }| quote!(#private::info_of::<#aggregate, #ty>(item)));
    let encode = events.dispatch(|Listed { ty, .. }| quote!(#private::encode::<#aggregate, #ty>(item, out)));
    let decode = events.each(|event| {
        let (name, ty) = (events.name_of(event), &event.ty);
        quote!(_ if name == #name => #private::decode::<#aggregate, #ty>(shape_version, payload),)
    });
    let arms = block
        .applies
        .iter()
        .map(|apply| (&apply.event.cfgs, &apply.event.variant, apply));
    let creates = arms.clone().map(|(cfgs, variant, apply)| {
        let creates = apply.creates;
        quote!(#(#cfgs)* Self::#variant(_) => #creates,)
    });
    let apply = arms.map(|(cfgs, variant, apply)| {
        let fold = fold(block, apply);
        quote!(#(#cfgs)* Self::#variant(item) => #fold,)
    });
    quote! {
        #[automatically_derived]
        impl #runtime::EventEnum<#aggregate> for #ident {
            const EVENTS: &'static [#runtime::EventInfo] = &[#infos];

            fn info(&self) -> #runtime::EventInfo {
                #info
            }

            fn creates(&self) -> bool {
                match *self {
                    #(#creates)*
                }
            }

            fn encode(&self, out: &mut #private::Vec<u8>) -> ::core::result::Result<(), #runtime::EncodeError> {
                #encode
            }

            fn decode(
                name: &str,
                shape_version: u32,
                payload: &[u8],
            ) -> ::core::result::Result<Self, #runtime::DecodeError> {
                match name {
                    #decode
                    _ => ::core::result::Result::Err(#runtime::DecodeError::Unknown),
                }
            }

            fn apply(
                self,
                state: &mut ::core::option::Option<#aggregate>,
            ) -> ::core::result::Result<(), #runtime::Misapplied> {
                match self {
                    #(#apply)*
                }
            }
        }
    }
}

fn fold(block: &Block, apply: &Apply) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let (ty, method) = (&apply.event.ty, &apply.method);
    let method = quote_spanned!(method.span()=> <#aggregate>::#method);
    let private = runtime.private();
    match apply {
        _ if !block.sound => quote!(#private::after_error((state, item))),
        Apply { creates: true, .. } => quote!(#private::create::<#aggregate, #ty>(state, item, #method)),
        Apply { creates: false, .. } => quote!(#private::change::<#aggregate, #ty>(state, item, #method)),
    }
}

fn into_events(events: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = events;
    let Block { runtime, aggregate, .. } = block;
    let private = runtime.private();
    quote! {
        #[automatically_derived]
        impl #runtime::IntoEvents<#aggregate> for #ident {
            fn into_events(self, out: &mut #private::Vec<Self>) {
                out.push(self);
            }
        }

        #[automatically_derived]
        impl #runtime::Outcome<#aggregate> for #ident {
            type Refusal = ::core::convert::Infallible;

            fn into_result(self) -> ::core::result::Result<#private::Vec<Self>, Self::Refusal> {
                ::core::result::Result::Ok(#private::vec_of(self))
            }
        }
    }
}
