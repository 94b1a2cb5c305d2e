mod commands;
mod enums;
mod events;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::listed::Listed;
use super::model::Block;

pub(super) fn block(block: &Block) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    if block.second {
        let (events, commands) = (events::apart(block), commands::apart(block));
        return quote!(#events #commands);
    }
    let event_enum = block.event_enum();
    let events = events::expand(block);
    let commands = commands::expand(block);
    let fold = block.fold.fingerprint();
    quote! {
        #[automatically_derived]
        impl #runtime::EventSourced for #aggregate {
            const FOLD_FINGERPRINT: u64 = #fold;
            type Event = #event_enum;
        }

        #events
        #commands
    }
}

/// Says that the item is one of this aggregate's, so that a second aggregate that claims it is an error at both.
fn belongs(block: &Block, listed: &Listed) -> TokenStream {
    let Block { runtime, aggregate, .. } = block;
    let Listed { ty, variant, cfgs, .. } = listed;
    quote_spanned! {variant.span()=>
        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::BelongsToOneAggregate for #ty {
            type Aggregate = #aggregate;
        }
    }
}
