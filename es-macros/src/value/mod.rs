//! `#[value]`: hardly more than derives, so that one file holds all three steps.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Fields, Generics, Item};

use crate::args::{self, Known};
use crate::companions::{self, ON_STRUCT};
use crate::derives::Derives;
use crate::errors::Errors;
use crate::fields;
use crate::message::{assert_values, is_plain_field};
use crate::plain;
use crate::runtime::Runtime;
use crate::shape::Shape;

const KNOWN: Known<'_> = Known {
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
    let item = &companions::refuse(item.clone(), "value", ON_STRUCT, &mut errors);
    let value = structure(item, &mut errors);
    let broken = value.as_ref().is_some_and(|value| check(value, &mut errors));
    let above = value.as_ref().map(|value| above(value, broken, &runtime));
    let stubs = value.as_ref().filter(|_| broken).and_then(|value| {
        let (ident, generics) = head(value)?;
        Some(Derives::of(attributes(value)).stubs(ident, generics, &runtime))
    });
    let shape = value.as_ref().map(|value| shape(value, &runtime));
    quote!(#above #item #stubs #shape #errors)
}

/// The derives, and that the fields have what they ask for; nothing for fields that have been reported.
fn above(value: &Item, broken: bool, runtime: &Runtime) -> TokenStream {
    if broken {
        return TokenStream::new();
    }
    let derives = Derives::of(attributes(value));
    let (missing, schema) = (derives.missing(runtime), derives.schema(runtime));
    // Of a parameter it is not known what it will be.
    let is_plain = head(value).is_some_and(|(_, generics)| generics.params.is_empty());
    let types = all_fields(value)
        .into_iter()
        .flatten()
        .filter(|field| is_plain && is_plain_field(field));
    let assertions = assert_values(runtime, types.map(|field| &field.ty));
    quote!(#assertions #missing #schema)
}

/// Reports fields that cannot be stored. Whether there are any.
fn check(value: &Item, errors: &mut Errors) -> bool {
    // A value that borrows may be part of another that is read by hand.
    let owns = head(value).is_some_and(|(_, generics)| generics.lifetimes().next().is_none());
    owns && all_fields(value).into_iter().fold(false, |broken, fields| {
        fields::check(fields, "a value", errors) | broken
    })
}

/// The fields of the struct, or of each variant.
fn all_fields(value: &Item) -> Vec<&Fields> {
    match value {
        Item::Struct(item) => vec![&item.fields],
        Item::Enum(item) => item.variants.iter().map(|variant| &variant.fields).collect(),
        _ => Vec::new(),
    }
}

fn head(value: &Item) -> Option<(&Ident, &Generics)> {
    match value {
        Item::Struct(item) => Some((&item.ident, &item.generics)),
        Item::Enum(item) => Some((&item.ident, &item.generics)),
        _ => None,
    }
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

/// Generates what a state that holds such a value adds to its fingerprint, and whether its values come back unchanged.
fn shape(item: &Item, runtime: &Runtime) -> Option<TokenStream> {
    let (ident, generics) = head(item)?;
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
