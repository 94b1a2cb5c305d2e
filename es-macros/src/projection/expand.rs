use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::apply::{Apply, Keys};
use super::block::{Block, Methods};
use super::expand_sql;
use super::row::{Row, Rows};
use crate::local::local;
use crate::message::Message;
use crate::plain;

pub(super) fn row(row: &Row) -> TokenStream {
    let Row {
        runtime,
        message,
        version,
        segments,
        indexes,
        schema,
        parks,
        rows,
    } = row;
    let Message { ident, name, plain, .. } = message;
    let stubs = message.stubs(runtime);
    let poison = if *parks { quote!(Park) } else { quote!(Hold) };
    let data = match schema {
        None => {
            let is_plain = plain::is_plain(plain.as_ref(), runtime);
            quote! {
                #[automatically_derived]
                impl #runtime::projection::Row for #ident {
                    #is_plain
                }
            }
        }
        Some(file) => {
            // Looked up from the file in which the literal stands, and reported there.
            let text = quote_spanned!(file.span()=> ::core::include_str!(#file));
            quote! {
                #[automatically_derived]
                impl #runtime::projection::sql::SqlTables for #ident {
                    const SCHEMA: &'static str = #text;
                }
            }
        }
    };
    quote! {
        #[automatically_derived]
        impl #runtime::projection::Projection for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const SEGMENTS: u32 = #segments;
            const INDEXES: &'static [&'static str] = &[#(#indexes),*];
            type Rows = #runtime::projection::#rows;
            const POISON: #runtime::projection::Poison = #runtime::projection::Poison::#poison;
        }

        #data

        #stubs
    }
}

impl ToTokens for Rows {
    /// The type that says so.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let name = match self {
            Self::InStore => "InStore",
            Self::Inline => "Inline",
            Self::InMemory => "InMemory",
            Self::Live => "Live",
        };
        Ident::new(name, Span::call_site()).to_tokens(tokens);
    }
}

pub(super) fn block(block: &Block) -> TokenStream {
    match &block.methods {
        Methods::Rows(applies) => rows(block, applies),
        Methods::Sql { tx, applies } => expand_sql::block(block, tx, applies),
    }
}

fn rows(block: &Block, applies: &[Apply]) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let private = runtime.private();
    let sources = applies.iter().map(|apply| {
        let (cfgs, ty) = (&apply.event.cfgs, &apply.event.ty);
        let spanned = spanned_self(apply);
        quote_spanned!(apply.event.variant.span()=> #(#cfgs)* #private::row_event::<#spanned, #ty>(),)
    });
    let methods = applies.iter().map(|apply| method(block, apply));
    let assertions = applies.iter().filter_map(|apply| assertion(block, apply));
    quote! {
        #(#assertions)*

        #[automatically_derived]
        impl #runtime::projection::RowProjection for #this {
            const EVENTS: &'static [#runtime::projection::RowEvent<Self>] = &[#(#sources)*];
        }

        #(#methods)*
    }
}

/// That the row is written by one segment, though its key is not the id of the event's stream.
fn assertion(block: &Block, apply: &Apply) -> Option<TokenStream> {
    let (Keys::One(expr) | Keys::Several(expr)) = &apply.keys else {
        return None;
    };
    let Block { runtime, this, .. } = block;
    let (private, cfgs) = (runtime.private(), &apply.event.cfgs);
    let call = quote_spanned!(expr.span()=> assert_one_segment::<#this>());
    Some(quote! {
        #(#cfgs)*
        const _: () = {
            use #private::assert_one_segment;
            #call
        };
    })
}

/// `Self` with the span of the event, which is where the compiler reports what is wrong with it.
fn spanned_self(apply: &Apply) -> Ident {
    Ident::new("Self", apply.event.variant.span())
}

fn method(block: &Block, apply: &Apply) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let (cfgs, ty) = (&apply.event.cfgs, &apply.event.ty);
    let private = runtime.private();
    let keys = keys(block, apply);
    let span = apply.event.variant.span();
    let body = if block.sound {
        call(block, apply)
    } else {
        quote_spanned!(span=> #private::after_error((row, event, meta)))
    };
    // One span for all that fails with the event, so that it is reported once.
    let aggregate = quote_spanned!(span=> <#ty as #runtime::BelongsToOneAggregate>::Aggregate);
    let meta_type = quote_spanned!(span=> &#runtime::projection::Meta<#aggregate>);
    let [event_name, meta_name] = &apply.names;
    let key_is_stream = matches!(apply.keys, Keys::Stream);
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::projection::ApplyRow<#ty> for #this {
            const KEY_IS_STREAM: bool = #key_is_stream;

            fn event(
                event: <#aggregate as #runtime::EventSourced>::Event,
            ) -> ::core::option::Option<#ty> {
                #private::own_event::<#aggregate, #ty>(event)
            }

            #[allow(unused_variables)]
            fn keys(#event_name: &#ty, #meta_name: #meta_type) -> #private::Vec<#private::String> {
                #keys
            }

            #[allow(unused_variables)]
            fn apply(
                row: ::core::option::Option<Self>,
                event: #ty,
                meta: #meta_type,
            ) -> ::core::result::Result<::core::option::Option<Self>, #runtime::projection::Misfit> {
                #body
            }
        }
    }
}

fn keys(block: &Block, apply: &Apply) -> TokenStream {
    let private = block.runtime.private();
    let meta = &apply.names[1];
    match &apply.keys {
        _ if !block.sound => quote!(#private::after_error(())),
        Keys::Stream => quote!(#private::stream_key(#meta)),
        // Of the place rather than the value, which the event keeps.
        Keys::One(expr) => quote_spanned!(expr.span()=> #private::one_key(&(#expr))),
        Keys::Several(expr) => quote_spanned!(expr.span()=> #private::several_keys(#expr)),
    }
}

fn call(block: &Block, apply: &Apply) -> TokenStream {
    let Block { runtime, .. } = block;
    let private = runtime.private();
    let (ty, method, effect) = (&apply.event.ty, &apply.method, apply.effect);
    let span = apply.event.variant.span();
    let [row, event] = ["row", "event"].map(|name| local(name, span, method.span()));
    let meta = apply.meta.as_ref().map(|ty| local("meta", span, ty.span()));
    let row = (!apply.creates()).then(|| quote!(#row,));
    let call = quote_spanned!(method.span()=> <Self>::#method(#row #event, #meta));
    let given = quote_spanned!(span=> row, event);
    quote!(#private::#effect::<Self, #ty>(#given, |#row #event| #call))
}
