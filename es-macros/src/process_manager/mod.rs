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
use crate::helper;
use crate::impl_block::ImplBlock;
use crate::stored;
use block::Block;
use state::{State, WORDS};

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = companions::refuse(item, "process_manager", &[ON_STRUCT, ON_BLOCK].concat(), &mut errors);
    match ImplBlock::parse(&item, &mut errors) {
        Some(block) => on_block(args, block, item, errors),
        // Marked, as it may be a block that is being typed.
        None => {
            let item = helper::mark(item);
            let state = stored::attribute(
                &item,
                &WORDS,
                |item, errors| State::parse(args, item, errors),
                expand::state,
            );
            quote!(#state #errors)
        }
    }
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
