//! `#[derive(Aggregate)]`.

mod expand;
mod model;
mod snapshot;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use model::Aggregate;

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    // Expanded after an error too, or else every use of the aggregate would be reported besides.
    let impls = Aggregate::parse(item, &mut errors).as_ref().map(expand::aggregate);
    quote!(#impls #errors)
}
