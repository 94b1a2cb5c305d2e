//! `#[projection]` on the struct, which is the row, and on its impl block.

mod apply;
mod block;
mod expand;
mod expand_sql;
mod row;
mod sql;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use crate::errors::Errors;
use crate::helper;
use block::{Block, Methods};
use row::Row;

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(block)) => on_block(args, block, item),
        // Marked, as it may be a block that is being typed.
        _ => on_struct(args, &helper::mark(item)),
    }
}

fn on_struct(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let row = Row::parse(args, item, &mut errors);
    // Expanded after an error too, or else every use of the projection would be reported besides.
    let above = row.as_ref().map(Row::above);
    let impls = row.as_ref().map(expand::row);
    quote!(#above #item #impls #errors)
}

fn on_block(args: TokenStream, block: syn::ItemImpl, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let block = Block::parse(args, block, &mut errors);
    // What a method takes and gives does not depend on what it needs.
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
