//! `#[command]`.

mod expand;
mod model;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_STRUCT};
use crate::errors::Errors;
use model::Command;

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = &companions::refuse(item.clone(), "command", ON_STRUCT, &mut errors);
    let command = Command::parse(args, item, &mut errors);
    // Expanded after an error too, or else every use of the command would be reported besides.
    let above = command.as_ref().map(Command::above);
    let impls = command.as_ref().map(expand::command);
    quote!(#above #item #impls #errors)
}
