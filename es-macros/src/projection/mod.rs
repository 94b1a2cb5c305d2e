//! `#[projection]` on the struct, which is the row, and on its impl block.

mod apply;
mod block;
mod expand;
mod expand_sql;
mod literal_keys;
mod row;
mod sql;
mod upsert;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_BLOCK, ON_STRUCT};
use crate::errors::Errors;
use crate::helper;
use crate::impl_block::ImplBlock;
pub(crate) use apply::{meta, names};
use block::{Block, Methods};
use row::Row;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = companions::refuse(item, "projection", &[ON_STRUCT, ON_BLOCK].concat(), &mut errors);
    match ImplBlock::parse(&item, &mut errors) {
        Some(block) => on_block(args, block, item, errors),
        // Marked, as it may be a block that is being typed.
        None => on_struct(args, &helper::mark(item), errors),
    }
}

fn on_struct(args: TokenStream, item: &TokenStream, mut errors: Errors) -> TokenStream {
    let row = Row::parse(args, item, &mut errors);
    // Expanded after an error too, or else every use of the projection would be reported besides.
    let above = row.as_ref().map(Row::above);
    let impls = row.as_ref().map(expand::row);
    quote!(#above #item #impls #errors)
}

fn on_block(args: TokenStream, block: ImplBlock, item: TokenStream, mut errors: Errors) -> TokenStream {
    let block = Block::parse(args, block, &mut errors);
    // The lints are the same whatever the method needs.
    let lints = block.as_ref().map(|block| match block.methods {
        Methods::Rows(_) => quote!(#[allow(clippy::needless_pass_by_value, clippy::unused_self)]),
        Methods::Sql { .. } => {
            quote!(#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::unused_async)])
        }
    });
    let impls = block.as_ref().map(expand::block);
    let item = helper::mark(item);
    quote!(#lints #item #impls #errors)
}
