//! `#[value]`: only derives, so that one file holds all three steps.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Item};

use crate::args::{self, Known};
use crate::derives::Derives;
use crate::errors::Errors;
use crate::runtime::Runtime;

const KNOWN: Known = Known {
    attribute: "#[value]",
    arguments: &["crate"],
    repeatable: &[],
};

pub(crate) fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut runtime = Runtime::default();
    args::read(args, &KNOWN, &mut errors, |_, input| {
        runtime = Runtime::parse(input)?;
        Ok(())
    });
    let derives = attributes(item, &mut errors).map(|attrs| Derives::of(&attrs).missing(&runtime));
    quote!(#derives #item #errors)
}

/// The attributes of the struct or enum.
fn attributes(item: &TokenStream, errors: &mut Errors) -> Option<Vec<Attribute>> {
    match errors.ok(syn::parse2::<Item>(item.clone()))? {
        Item::Struct(item) => Some(item.attrs),
        Item::Enum(item) => Some(item.attrs),
        other => {
            errors.at(other, "`#[value]` goes on a struct or an enum");
            None
        }
    }
}
