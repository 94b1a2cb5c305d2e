//! `#[publication]` on the struct and on its impl block, and `#[message]`.

mod block;
mod expand;
pub(crate) mod message;
mod publish;
mod target;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_BLOCK, ON_STRUCT};
use crate::errors::Errors;
use crate::helper;
use crate::impl_block::ImplBlock;
use block::Block;
use target::Target;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = companions::refuse(item, "publication", &[ON_STRUCT, ON_BLOCK].concat(), &mut errors);
    let (lints, impls) = match ImplBlock::parse(&item, &mut errors) {
        Some(block) => {
            let block = Block::parse(args, block, &mut errors);
            let lints = quote!(#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]);
            (Some(lints), block.as_ref().map(expand::block))
        }
        None => {
            let target = Target::parse(args, &item, &mut errors);
            (None, target.as_ref().map(expand::target))
        }
    };
    // Marked, as it may be a block that is being typed.
    let item = helper::mark(item);
    quote!(#lints #item #impls #errors)
}
