//! `#[event]`.

mod arguments;
mod expand;
mod history;
mod model;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_STRUCT};
use crate::errors::Errors;
pub(crate) use expand::event as expand;
pub(crate) use history::strip;
pub(crate) use model::Event;

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = &companions::refuse(item.clone(), "event", ON_STRUCT, &mut errors);
    let event = Event::parse(args, item, &mut errors);
    // Expanded after an error too, or else every use of the event would be reported besides.
    let above = event.as_ref().map(Event::above);
    let impls = event.as_ref().map(expand::event);
    let item = history::strip(item);
    quote!(#above #item #impls #errors)
}
