//! `#[value]`: hardly more than derives, so that one file holds all three steps.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Item};

use crate::args::{self, Known};
use crate::derives::Derives;
use crate::errors::Errors;
use crate::plain;
use crate::runtime::Runtime;
use crate::shape::Shape;

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
    let value = structure(item, &mut errors);
    let derives = value.as_ref().map(|value| {
        let derives = Derives::of(attributes(value));
        let (missing, schema) = (derives.missing(&runtime), derives.schema(&runtime));
        quote!(#missing #schema)
    });
    let shape = value.as_ref().map(|value| shape(value, &runtime));
    quote!(#derives #item #shape #errors)
}

/// The struct or enum.
fn structure(item: &TokenStream, errors: &mut Errors) -> Option<Item> {
    match errors.ok(syn::parse2::<Item>(item.clone()))? {
        item @ (Item::Struct(_) | Item::Enum(_)) => Some(item),
        other => {
            errors.at(other, "`#[value]` goes on a struct or an enum");
            None
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        _ => &[],
    }
}

/// What the fingerprint of a state that holds such a value takes from it, and whether its values come back as they are.
fn shape(item: &Item, runtime: &Runtime) -> Option<TokenStream> {
    let (ident, generics) = match item {
        Item::Struct(item) => (&item.ident, &item.generics),
        Item::Enum(item) => (&item.ident, &item.generics),
        _ => return None,
    };
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let fingerprint = Shape::of(item).fingerprint();
    let plain = plain::of_value(item, ident, generics, runtime);
    Some(quote! {
        #[automatically_derived]
        impl #parameters #runtime::__private::Shape for #ident #arguments #bounds {
            const FINGERPRINT: u64 = #fingerprint;
        }

        #plain
    })
}
