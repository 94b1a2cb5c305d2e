use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::belongs;
use super::enums::Enum;
use crate::aggregate::apply::Apply;
use crate::aggregate::listed::Listed;
use crate::aggregate::model::Block;
use crate::aggregate::retired::Retired;
use crate::aggregate::signature::last_segment;

pub(super) fn expand(block: &Block) -> TokenStream {
    let events = Enum {
        block,
        ident: block.event_enum(),
        variants: block.applies.iter().map(|apply| &apply.event).collect(),
        noun: "event",
    };
    let definition = events.define();
    let unique = unique(&events);
    let event_of = apart(block);
    let event_enum = event_enum(&events);
    let (applied, into_events) = (applied(&events), into_events(&events));
    let retired: TokenStream = block.retired.iter().map(|retired| retired_of(block, retired)).collect();
    quote!(#definition #unique #event_of #applied #event_enum #into_events #retired)
}

/// Generates the code for each event on its own.
pub(super) fn apart(block: &Block) -> TokenStream {
    block
        .applies
        .iter()
        .map(|apply| event_of(block, &apply.event))
        .collect()
}

/// The implementations for a retired event. It could be written only if the aggregate did, which is never so.
fn retired_of(block: &Block, retired: &Retired) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, variant, cfgs, .. } = &retired.event;
    let belongs = belongs(block, &retired.event);
    let private = runtime.private();
    quote_spanned! {variant.span()=>
        #(#cfgs)*
        #[automatically_derived]
        impl #private::RetiredOf<#aggregate> for #ty {}

        #(#cfgs)*
        #[automatically_derived]
        impl<__A: #runtime::EventSourced + #runtime::Writes<#ty>> #runtime::IntoEvents<__A> for #ty {
            fn into_events(self, _: &mut #private::Vec<__A::Event>) {
                #private::after_error(self)
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl<__A: #runtime::EventSourced + #runtime::Writes<#ty>> #runtime::Outcome<__A> for #ty {
            type Refusal = ::core::convert::Infallible;

            fn into_result(self) -> ::core::result::Result<#private::Vec<__A::Event>, Self::Refusal> {
                #private::after_error(self)
            }
        }

        #belongs
    }
}

/// Compares what all events are stored under while compiling. The call carries the span of the event, which is why its
/// function is imported: a path's first token would take the error to the macro's name.
fn unique(events: &Enum<'_>) -> TokenStream {
    let Block {
        runtime,
        aggregate,
        ident,
        retired,
        ..
    } = events.block;
    let private = runtime.private();
    let aggregate_name = ident.to_string();
    let applied = events.variants.iter().map(|listed| (*listed, quote!(info)));
    let listed: Vec<_> = applied
        .chain(retired.iter().map(|retired| (&retired.event, quote!(retired_info))))
        .collect();
    let named = |(Listed { ty, variant, .. }, info): &(&Listed, TokenStream)| {
        let variant = variant.to_string();
        quote! {
            #private::Named { variant: #variant, info: #private::#info::<#aggregate, #ty>(), old_shape_of: <#ty>::OLD_SHAPE_OF_ONE_EVENT }
        }
    };
    let all = listed.iter().map(|event| {
        let (cfgs, named) = (&event.0.cfgs, named(event));
        quote!(#(#cfgs)* #named,)
    });
    let assertions = listed.iter().map(|event| {
        let (cfgs, named, span) = (&event.0.cfgs, named(event), event.0.variant.span());
        let function = Ident::new("assert_unique_event", span);
        quote_spanned!(span=> #(#cfgs)* const _: () = #function(#aggregate_name, NAMES, REPEATED, &#named);)
    });
    quote! {
        const _: () = {
            use #private::{NewestShape as _, assert_unique_event};
            const NAMES: &[#private::Named] = &[#(#all)*];
            const REPEATED: &#private::Repeated = &#private::Repeated::of_events(NAMES);
            #(#assertions)*
        };
    }
}

/// The implementations for one event. Those of `IntoEvents` and `Outcome` are for its type alone: with a blanket over all events
/// the compiler would stop at the `Vec` or `Result` around one that is not applied, and never name it.
fn event_of(block: &Block, event: &Listed) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, variant, cfgs, .. } = event;
    let belongs = belongs(block, event);
    let private = runtime.private();
    let span = variant.span();
    let (event_enum, into, from) = if block.second {
        let event_enum = quote!(<#aggregate as #runtime::EventSourced>::Event);
        let into = quote_spanned!(span=> #private::after_error(self));
        (event_enum, into, quote_spanned!(span=> #private::after_error(event)))
    } else {
        let event_enum = block.event_enum();
        let from = quote_spanned! {span=>
            match event {
                #event_enum::#variant(event) => ::core::option::Option::Some(event),
                _ => ::core::option::Option::None,
            }
        };
        (
            quote!(#event_enum),
            quote_spanned!(span=> #event_enum::#variant(self)),
            from,
        )
    };
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::EventOf<#aggregate> for #ty {
            fn into_event(self) -> #event_enum {
                #into
            }

            #[allow(unreachable_patterns)]
            fn from_event(event: #event_enum) -> ::core::option::Option<Self> {
                #from
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
    let retired_infos = block.retired.iter().map(
        |Retired {
             event: Listed { ty, cfgs, .. },
             ..
         }| { quote!(#(#cfgs)* #private::retired_info::<#aggregate, #ty>(),) },
    );
    let info = events.dispatch(|Listed { ty, .. }| quote!(#private::info_of::<#aggregate, #ty>(item)));
    let is_plain = events.dispatch(|Listed { ty, .. }| quote!(#private::is_plain::<#aggregate, #ty>(item)));
    let encode = events.dispatch(|Listed { ty, .. }| quote!(#private::encode::<#aggregate, #ty>(item, out)));
    let decode = events.each(|event| {
        let ty = &event.ty;
        quote! {
            _ if #private::is_named::<#aggregate, #ty>(name) => #private::decode::<#aggregate, #ty>(shape_version, payload),
        }
    });
    let shapes = shapes(events);
    let decode_retired = block.retired.iter().map(|retired| decode_retired(block, retired));
    let encode_as =
        events.dispatch(|Listed { ty, .. }| quote!(#private::encode_as::<#aggregate, #ty>(item, shape_version, out)));
    let check = events.dispatch(|Listed { ty, .. }| quote!(#private::check_event::<#aggregate, #ty>(item)));
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
            const EVENTS: &'static [#runtime::EventInfo] = &[#infos #(#retired_infos)*];

            fn info(&self) -> #runtime::EventInfo {
                #info
            }

            fn creates(&self) -> bool {
                match *self {
                    #(#creates)*
                }
            }

            fn check(&self) -> ::core::result::Result<(), #runtime::Invalid> {
                #check
            }

            fn is_plain(&self) -> bool {
                #is_plain
            }

            fn encode(&self, out: &mut #private::Vec<u8>) -> ::core::result::Result<(), #runtime::EncodeError> {
                #encode
            }

            fn encode_as(
                &self,
                shape_version: u32,
                out: &mut #private::Vec<u8>,
            ) -> ::core::result::Result<(), #runtime::EncodeError> {
                #encode_as
            }

            fn decode(
                name: &str,
                shape_version: u32,
                payload: &[u8],
            ) -> ::core::result::Result<#runtime::Decoded<Self>, #runtime::DecodeError> {
                match name {
                    #decode
                    #(#decode_retired)*
                    _ => ::core::result::Result::Err(#runtime::DecodeError::UnknownName),
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

            #shapes
        }
    }
}

/// The item that names the shapes of all events, where schemas are asked for.
fn shapes(events: &Enum<'_>) -> TokenStream {
    let Block {
        runtime,
        aggregate,
        retired,
        ..
    } = events.block;
    let private = runtime.private();
    let shapes = events.each(|Listed { ty, .. }| quote!(#private::shapes::<#aggregate, #ty>(out);));
    let retired_shapes = retired.iter().map(|retired| {
        let Listed { ty, cfgs, .. } = &retired.event;
        quote!(#(#cfgs)* #private::retired_shapes::<#aggregate, #ty>(out);)
    });
    quote! {
            #private::with_schema! {
                fn shapes(out: &mut #runtime::schema::Shapes) {
                    #shapes
                    #(#retired_shapes)*
                }
            }
    }
}

/// That methods of projections may take all events.
fn applied(events: &Enum<'_>) -> TokenStream {
    let Enum { block, ident, .. } = events;
    let Block { runtime, aggregate, .. } = block;
    quote! {
        #[automatically_derived]
        impl #runtime::Applied<#aggregate> for #ident {
            const NAME: ::core::option::Option<&'static str> = ::core::option::Option::None;

            fn from_event(event: Self) -> ::core::option::Option<Self> {
                ::core::option::Option::Some(event)
            }

            fn name(&self) -> &'static str {
                <Self as #runtime::EventEnum<#aggregate>>::info(self).name
            }
        }
    }
}

fn decode_retired(block: &Block, retired: &Retired) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let (Listed { ty, cfgs, .. }, method) = (&retired.event, &retired.method);
    let private = runtime.private();
    let decode = if block.sound {
        // The culprit is in the returned type, if that is not what the aggregate applies.
        let culprit = retired
            .returned_events()
            .into_iter()
            .find(|ty| block.apply_of(ty).is_none());
        let culprit = culprit.unwrap_or(&retired.returns);
        let span = last_segment(culprit).map_or_else(|| culprit.span(), |segment| segment.ident.span());
        let function = Ident::new("decode_retired", span);
        let method = quote_spanned!(method.span()=> <#aggregate>::#method);
        let stored = quote!(shape_version, payload);
        quote_spanned! {span=> {
            use #private::#function;
            #function::<#aggregate, #ty, _>(#stored, #method)
        }}
    } else {
        quote!(#private::after_error((shape_version, payload)))
    };
    quote!(#(#cfgs)* _ if #private::was_named::<#aggregate, #ty>(name) => #decode,)
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
