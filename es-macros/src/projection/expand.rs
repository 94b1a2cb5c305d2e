use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::apply::{Apply, Effect, Keys};
use super::block::{Block, Methods};
use super::expand_sql;
use super::row::{Row, Rows};
use crate::local::local;
use crate::message::Message;
use crate::plain;
use crate::runtime::Runtime;

pub(super) fn row(row: &Row) -> TokenStream {
    let Row {
        runtime,
        message,
        version,
        segments,
        indexes,
        schema,
        poison,
        rows,
    } = row;
    let Message { ident, name, plain, .. } = message;
    let stubs = message.stubs(runtime);
    let on_failure = poison.constant(runtime);
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
            #on_failure
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
        let aggregate = match apply.aggregate(runtime) {
            Some(aggregate) => aggregate,
            None => quote!(_),
        };
        quote_spanned!(apply.event.variant.span()=> #(#cfgs)* #private::row_event::<#spanned, #ty, #aggregate>(),)
    });
    let methods = applies.iter().map(|apply| method(block, apply));
    let of_keys = applies.iter().filter_map(|apply| assertion(block, apply));
    let of_metas = applies.iter().filter_map(|apply| after_the_append(block, apply));
    let assertions = of_keys.chain(of_metas);
    let key = key_type(block, applies);
    quote! {
        #(#assertions)*

        #[automatically_derived]
        impl #runtime::projection::RowProjection for #this {
            type Key = #key;

            const EVENTS: &'static [#runtime::projection::RowEvent<Self>] = &[#(#sources)*];
        }

        #(#methods)*
    }
}

/// By what a row is found: the id of the first event's stream whose row it makes or changes.
fn key_type(block: &Block, applies: &[Apply]) -> TokenStream {
    let runtime = &block.runtime;
    let is_plain = |apply: &&Apply| {
        matches!(apply.keys, Keys::Stream) && apply.event.cfgs.is_empty() && apply.aggregate(runtime).is_some()
    };
    match applies.iter().find(is_plain) {
        None => quote!(#runtime::projection::AnyKey),
        Some(apply) => {
            let aggregate = apply.aggregate(runtime);
            quote_spanned!(apply.event.variant.span()=> <#aggregate as #runtime::Aggregate>::Id)
        }
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

/// That the method is told what an inline projection does not know.
fn after_the_append(block: &Block, apply: &Apply) -> Option<TokenStream> {
    let meta = apply.whole_meta()?;
    let Block { runtime, this, .. } = block;
    let (private, cfgs) = (runtime.private(), &apply.event.cfgs);
    let call = quote_spanned!(meta.span()=> assert_after_the_append::<#this>());
    Some(quote! {
        #(#cfgs)*
        const _: () = {
            use #private::assert_after_the_append;
            #call
        };
    })
}

impl Apply {
    /// The aggregate of its event, as a type. `None` if only the compiler can find it out.
    fn aggregate(&self, runtime: &Runtime) -> Option<TokenStream> {
        let (ty, span) = (&self.event.ty, self.event.variant.span());
        if !self.may_take_all() {
            // One span for all that fails with the event, so that it is reported once.
            return Some(quote_spanned!(span=> <#ty as #runtime::BelongsToOneAggregate>::Aggregate));
        }
        let private = runtime.private();
        let meta = match self.meta.as_ref()? {
            Type::Reference(reference) => &reference.elem,
            _ => return None,
        };
        Some(quote_spanned!(meta.span()=> <#meta as #private::IsMeta>::Aggregate))
    }
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
    let (generics, aggregate) = match apply.aggregate(runtime) {
        Some(aggregate) => (None, aggregate),
        None => (
            Some(quote_spanned!(span=> <__A: #runtime::EventSourced>)),
            quote_spanned!(span=> __A),
        ),
    };
    let applied = generics
        .is_some()
        .then(|| quote_spanned!(span=> where #ty: #runtime::Applied<__A>));
    let meta_type = quote_spanned!(span=> &#runtime::projection::Meta<#aggregate>);
    let [event_name, meta_name] = &apply.names;
    let key_is_stream = matches!(apply.keys, Keys::Stream);
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #generics #runtime::projection::ApplyRow<#ty, #aggregate> for #this #applied {
            const KEY_IS_STREAM: bool = #key_is_stream;

            #[allow(unused_variables)]
            fn keys(#event_name: &#ty, #meta_name: #meta_type) -> #private::Vec<#private::String> {
                #keys
            }

            #[allow(unused_variables)]
            fn apply(
                row: ::core::option::Option<Self>,
                event: #ty,
                meta: #meta_type,
            ) -> ::core::result::Result<::core::option::Option<Self>, #runtime::projection::RowMismatch> {
                #body
            }
        }
    }
}

fn keys(block: &Block, apply: &Apply) -> TokenStream {
    let private = block.runtime.private();
    let meta = &apply.names[1];
    // A key is made of what the method knows.
    let known = apply
        .whole_meta()
        .is_none()
        .then(|| quote!(let #meta = #private::known_before(#meta);));
    match &apply.keys {
        _ if !block.sound => quote!(#private::after_error(())),
        Keys::Stream => quote!(#private::stream_key(#meta)),
        // Of the place rather than the value, which the event keeps.
        Keys::One(expr) => quote_spanned!(expr.span()=> #known #private::one_key(&(#expr))),
        Keys::Several(expr) => quote_spanned!(expr.span()=> #known #private::several_keys(#expr)),
    }
}

fn call(block: &Block, apply: &Apply) -> TokenStream {
    let Block { runtime, .. } = block;
    let private = runtime.private();
    let (ty, method, effect) = (&apply.event.ty, &apply.method, apply.effect);
    let span = apply.event.variant.span();
    let [row, event] = ["row", "event"].map(|name| local(name, span, method.span()));
    let meta = apply.meta.as_ref().map(|ty| local("meta", span, ty.span()));
    let row = (!apply.takes_none()).then(|| quote!(#row,));
    let call = quote_spanned!(method.span()=> <Self>::#method(#row #event, #meta));
    let call = match effect {
        Effect::Upsert => quote_spanned!(method.span()=> #private::into_row::<Self>(#call)),
        _ => call,
    };
    let given = quote_spanned!(span=> row, event);
    quote!(#private::#effect::<Self, #ty, _>(#given, |#row #event| #call))
}
