//! `#[aggregate]` on the impl block.

mod apply;
mod expand;
mod fold;
pub(crate) mod handler;
pub(crate) mod listed;
mod methods;
mod model;
mod retired;
mod roles;
pub(crate) mod signature;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_BLOCK};
use crate::errors::Errors;
use crate::helper;
use model::Block;

pub(crate) use listed::ungrouped;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = companions::refuse(item, "aggregate", ON_BLOCK, &mut errors);
    let block = Block::parse(args, &item, &mut errors);
    // Handlers take commands by value whether or not they consume them, and `&self` whether or not they look at it.
    let lints = block
        .as_ref()
        .map(|_| quote!(#[allow(clippy::needless_pass_by_value, clippy::unused_self)]));
    // Expanded after an error too, or else every use of its commands and events would be reported besides.
    let impls = block.as_ref().map(expand::block);
    let item = helper::mark(item);
    quote!(#lints #item #impls #errors)
}
