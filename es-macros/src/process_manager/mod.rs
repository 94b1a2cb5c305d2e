//! `#[process_manager]` on the struct or enum, which is the state, and on its impl block.

mod block;
mod expand;
mod reaction;
mod signature;
mod state;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_BLOCK, ON_STRUCT};
use crate::errors::Errors;
use crate::event;
use crate::helper;
use crate::impl_block::ImplBlock;
use block::Block;
use state::State;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = companions::refuse(item, "process_manager", &[ON_STRUCT, ON_BLOCK].concat(), &mut errors);
    match ImplBlock::parse(&item, &mut errors) {
        Some(block) => on_block(args, block, item, errors),
        // Marked, as it may be a block that is being typed.
        None => on_state(args, &helper::mark(item), errors),
    }
}

fn on_state(args: TokenStream, item: &TokenStream, mut errors: Errors) -> TokenStream {
    let state = State::parse(args, item, &mut errors);
    // Expanded after an error too, or else every use of the process manager would be reported besides.
    let above = state.as_ref().map(|state| state.event.above());
    let impls = state.as_ref().map(expand::state);
    let item = event::strip(item);
    quote!(#above #item #impls #errors)
}

fn on_block(args: TokenStream, block: ImplBlock, item: TokenStream, mut errors: Errors) -> TokenStream {
    let block = Block::parse(args, block, &mut errors);
    let impls = block.as_ref().map(expand::block);
    let item = helper::mark(item);
    quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_self, clippy::unnecessary_wraps)]
        #item
        #impls
        #errors
    }
}
