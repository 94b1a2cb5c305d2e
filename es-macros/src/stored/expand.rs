use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::arguments::OldShape;
use super::history;
use super::model::{Older, Stored};
use crate::message::Message;
use crate::plain;
use crate::runtime::Runtime;

/// The implementation of `Stored`, and what belongs to it.
pub(crate) fn stored(stored: &Stored) -> TokenStream {
    let Stored {
        runtime,
        message,
        version,
        aliases,
        older,
        ..
    } = stored;
    let Message { ident, name, plain, .. } = message;
    let is_plain = plain::is_plain(plain.as_ref(), runtime);
    let version = (*version > 1).then(|| quote!(const SHAPE_VERSION: u32 = #version;));
    let aliases = (!aliases.is_empty()).then(|| quote!(const ALIASES: &'static [&'static str] = &[#(#aliases),*];));
    let (items, around) = match older {
        Older::None => Default::default(),
        Older::Shape(shape) => (from_shape(stored, shape), around_shape(stored, shape)),
        Older::History(history) => history::expand(stored, history),
    };
    let stubs = message.stubs(runtime);
    let shapes = match older {
        _ if message.broken => TokenStream::new(),
        Older::None => shapes(runtime, None),
        Older::Shape(OldShape { ty, .. }) => shapes(runtime, Some(quote!(#ty))),
        Older::History(_) => shapes(runtime, history::shape_before(stored)),
    };
    let items = quote! {
        #[automatically_derived]
        impl #runtime::Stored for #ident {
            const NAME: &'static str = #name;
            #version
            #aliases
            #is_plain
            #items

            #shapes
        }

        #around

        #stubs
    };
    match older {
        // So that the old shapes are in nobody's way.
        Older::History(_) => quote!(const _: () = { #items };),
        _ => items,
    }
}

/// The item of `Stored` that names its shapes, where schemas are asked for: its own, and those that `older` can be read from.
pub(super) fn shapes(runtime: &Runtime, older: Option<TokenStream>) -> TokenStream {
    let private = runtime.private();
    let older = older.map(|older| quote!(<#older as #runtime::Stored>::shapes(out);));
    quote! {
        #private::with_schema! {
            fn shapes(out: &mut #runtime::schema::Shapes) {
                out.add::<Self>(<Self as #runtime::Stored>::NAME, <Self as #runtime::Stored>::SHAPE_VERSION);
                #older
            }
        }
    }
}

/// The items of `Stored` for a shape that comes from another struct. What may fail to compile is called by its bare name, as
/// a path's first token would take the error to the macro's name.
fn from_shape(stored: &Stored, shape: &OldShape) -> TokenStream {
    let private = stored.runtime.private();
    let (runtime, old, span) = (&stored.runtime, &shape.ty, shape.ident.span());
    let step = Ident::new(if shape.is_fallible() { "try_upcast" } else { "upcast" }, span);
    // A closure, as a function that is passed on is checked, and reported, a second time there.
    let call = quote_spanned!(span=> |old| #step::<Self, #old>(old));
    quote! {
        const OLDEST_VERSION: u32 = #private::oldest::<Self, #old>();
        const WRITES_FROM: u32 = {
            use #private::NoWayBack as _;
            #private::writes_from::<Self, #old>(#private::Back::<Self, #old>::EXISTS)
        };

        #[allow(clippy::redundant_closure)]
        fn decode(shape_version: u32, payload: &[u8]) -> ::core::result::Result<Self, #runtime::DecodeError> {
            use #private::#step;
            #private::decode_chain::<Self, #old>(shape_version, payload, #call)
        }

        fn encode_as(
            &self,
            shape_version: u32,
            out: &mut #private::Vec<u8>,
        ) -> ::core::result::Result<(), #runtime::EncodeError> {
            use #private::NoWayBack as _;
            #private::encode_chain::<Self, #old>(self, shape_version, out, #private::Back::<Self, #old>::step)
        }
    }
}

/// Generates the code about the old shape, and the checks of both shapes.
fn around_shape(stored: &Stored, shape: &OldShape) -> TokenStream {
    let private = stored.runtime.private();
    let (new, old, span) = (&stored.message.ident, &shape.ty, shape.ident.span());
    let attribute = stored.words.name;
    let (new_name, old_name) = (new.to_string(), shape.ident.to_string());
    let assert = Ident::new("assert_chain", span);
    let constant = Ident::new("OLD_SHAPE_OF_ONE_EVENT", span);
    quote_spanned! {span=>
        #[automatically_derived]
        impl #private::OldShape<#new> for #old {}

        impl #old {
            #[doc(hidden)]
            #[allow(dead_code, unreachable_pub)]
            pub const #constant: ::core::option::Option<&'static str> = ::core::option::Option::Some(#new_name);
        }

        const _: () = {
            use #private::#assert;
            const _: () = #assert::<#new, #old>(#attribute, #new_name, #old_name);
        };
    }
}
