//! `#[aggregate]` on the impl block.

mod apply;
mod expand;
mod handler;
mod listed;
mod methods;
mod model;
mod signature;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use crate::helper;
use model::Block;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    // Expanded after an error too, or else every use of its commands and events would be reported besides.
    let impls = Block::parse(args, &item, &mut errors).as_ref().map(expand::block);
    let item = helper::mark(item);
    quote!(#item #impls #errors)
}
