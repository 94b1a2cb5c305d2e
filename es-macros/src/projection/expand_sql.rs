use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::block::Block;
use super::sql::{SqlApply, with_static};
use crate::local::local;

/// The implementations for a block whose methods take the transaction `tx`.
pub(super) fn block(block: &Block, tx: &Type, applies: &[SqlApply]) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let private = runtime.private();
    let tx = with_static(tx);
    let events = applies.iter().map(|apply| {
        let (cfgs, ty) = (&apply.event.cfgs, &apply.event.ty);
        let this = Ident::new("Self", apply.event.variant.span());
        quote_spanned!(apply.event.variant.span()=> #(#cfgs)* #private::sql_event::<#this, #ty, _>(),)
    });
    let methods = applies.iter().map(|apply| method(block, apply, &tx));
    quote! {
        #[automatically_derived]
        impl #runtime::projection::sql::SqlProjection for #this {
            type Tx = #tx;

            const EVENTS: &'static [#runtime::projection::sql::SqlEvent<Self>] = &[#(#events)*];
        }

        #[automatically_derived]
        impl<S: #runtime::projection::sql::SqlStore<#tx>> #runtime::projection::Project<S> for #this {
            fn plan() -> #runtime::projection::Plan<S> {
                #runtime::projection::Plan::sql::<#this>()
            }
        }

        #(#methods)*
    }
}

fn method(block: &Block, apply: &SqlApply, tx: &Type) -> TokenStream {
    let Block { runtime, this, .. } = block;
    let (cfgs, ty) = (&apply.event.cfgs, &apply.event.ty);
    let private = runtime.private();
    let span = apply.event.variant.span();
    let body = if block.sound {
        call(block, apply, tx)
    } else {
        quote_spanned!(span=> #private::after_error((tx, event, meta)))
    };
    quote_spanned! {span=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::projection::sql::ApplySql<#ty> for #this {
            #[allow(unused_variables)]
            fn apply<'a>(
                tx: &'a mut <#tx as #runtime::projection::sql::SqlTransaction>::At<'_>,
                event: #ty,
                meta: &'a #runtime::projection::sql::MetaOf<Self, #ty>,
            ) -> #private::SqlFuture<'a, ::core::result::Result<(), #runtime::Error>> {
                #body
            }
        }
    }
}

fn call(block: &Block, apply: &SqlApply, tx: &Type) -> TokenStream {
    let private = block.runtime.private();
    let method = &apply.method;
    let span = apply.event.variant.span();
    let [tx_name, event] = ["tx", "event"].map(|name| local(name, span, method.span()));
    let meta = apply.meta.as_ref().map(|ty| {
        let meta = local("meta", span, ty.span());
        quote_spanned!(ty.span()=> #private::sql_meta::<#ty>(#meta))
    });
    let call = quote_spanned!(method.span()=> <Self>::#method(#tx_name, #event, #meta));
    match apply.asyncness {
        Some(span) => quote_spanned!(span=> #private::sql_running::<#tx, _>(#call)),
        None => quote_spanned!(apply.tx.span()=> #private::sql_done::<#tx, _>(#call)),
    }
}
