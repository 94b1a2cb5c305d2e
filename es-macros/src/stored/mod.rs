//! The part that `#[event]`, `#[entity]` and the state of a process manager share: a type that is stored under a name, in versions of
//! its shape.

mod arguments;
mod expand;
mod history;
mod model;

use proc_macro2::TokenStream;
use quote::quote;

use crate::companions::{self, ON_STRUCT};
use crate::errors::Errors;
use crate::message::Words;

pub(crate) use arguments::Arguments;
pub(crate) use expand::stored;
pub(crate) use model::Stored;

/// The macro as a whole: `read` makes the model, which has what is stored, and `expand` what else it is.
pub(crate) fn attribute<T: AsRef<Stored>>(
    item: &TokenStream,
    words: &'static Words,
    read: impl FnOnce(&TokenStream, &mut Errors) -> Option<T>,
    expand: impl FnOnce(&T) -> TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let item = &companions::refuse(item.clone(), words.name, ON_STRUCT, &mut errors);
    let model = read(item, &mut errors);
    // Expanded after an error too, or else every use of it would be reported besides.
    let above = model.as_ref().map(|model| model.as_ref().above());
    let impls = model.as_ref().map(|model| {
        let (stored, more) = (stored(model.as_ref()), expand(model));
        quote!(#stored #more)
    });
    let item = history::strip(item, words.name);
    quote!(#above #item #impls #errors)
}
