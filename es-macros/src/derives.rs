use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Generics, Meta, Path, Token};

use crate::companions;
use crate::runtime::Runtime;

/// The derives that an event, a command or a value needs, less those that the user wrote.
pub(crate) struct Derives {
    written: Vec<String>,
    serde_crate: bool,
    schemars_crate: bool,
    /// True if another attribute of ours adds them all.
    elsewhere: bool,
}

impl Derives {
    /// Returns the derives that are still missing after `attributes`, which stand below ours. A derive above ours has
    /// already run and is not seen.
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        Self {
            written: attributes.iter().flat_map(derived).collect(),
            serde_crate: attributes.iter().any(|attribute| names_crate(attribute, "serde")),
            schemars_crate: attributes.iter().any(|attribute| names_crate(attribute, "schemars")),
            elsewhere: companions::derive_all(attributes),
        }
    }

    /// The attributes to put above the item.
    pub(crate) fn missing(&self, runtime: &Runtime) -> TokenStream {
        if self.elsewhere {
            return TokenStream::new();
        }
        let private = runtime.private();
        let std = [
            ("Debug", quote!(::core::fmt::Debug)),
            ("Clone", quote!(::core::clone::Clone)),
            ("PartialEq", quote!(::core::cmp::PartialEq)),
        ];
        let serde = [
            ("Serialize", quote!(#private::serde::Serialize)),
            ("Deserialize", quote!(#private::serde::Deserialize)),
        ];
        let add =
            |(name, path): (&str, TokenStream)| (!self.written.iter().any(|written| written == name)).then_some(path);
        let serde: Vec<_> = serde.into_iter().filter_map(add).collect();
        let serde_crate = (!serde.is_empty() && !self.serde_crate).then(|| {
            let path = runtime.private_text("serde");
            quote!(#[serde(crate = #path)])
        });
        // It cannot be seen whether an `Eq` is possible, and the user should not hear of it.
        let lint = add(("PartialEq", quote!(#[allow(clippy::derive_partial_eq_without_eq)])));
        let paths = std.into_iter().filter_map(add).chain(serde);
        quote!(#lint #[derive(#(#paths),*)] #serde_crate)
    }

    /// Implementations in the place of the derives, for a type whose fields have been reported.
    pub(crate) fn stubs(&self, ident: &Ident, generics: &Generics, runtime: &Runtime) -> TokenStream {
        if self.elsewhere {
            return TokenStream::new();
        }
        let private = runtime.private();
        let serde = quote!(#private::serde);
        let stubs = [
            (
                "Debug",
                quote!(),
                quote!(::core::fmt::Debug),
                quote! {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { #private::after_error(f) }
                },
            ),
            (
                "Clone",
                quote!(),
                quote!(::core::clone::Clone),
                quote! {
                    fn clone(&self) -> Self { #private::after_error(()) }
                },
            ),
            (
                "PartialEq",
                quote!(),
                quote!(::core::cmp::PartialEq),
                quote! {
                    fn eq(&self, other: &Self) -> bool { #private::after_error(other) }
                },
            ),
            (
                "Serialize",
                quote!(),
                quote!(#serde::Serialize),
                quote! {
                    fn serialize<__S: #serde::Serializer>(&self, to: __S) -> ::core::result::Result<__S::Ok, __S::Error> {
                        #private::after_error(to)
                    }
                },
            ),
            (
                "Deserialize",
                quote!('de,),
                quote!(#serde::Deserialize<'de>),
                quote! {
                    fn deserialize<__D: #serde::Deserializer<'de>>(from: __D) -> ::core::result::Result<Self, __D::Error> {
                        #private::after_error(from)
                    }
                },
            ),
        ];
        let (_, arguments, bounds) = generics.split_for_impl();
        let parameters = &generics.params;
        let missing = stubs
            .into_iter()
            .filter(|(name, ..)| !self.written.iter().any(|written| written == name));
        missing
            .map(|(_, lifetime, path, body)| {
                quote! {
                    #[automatically_derived]
                    impl<#lifetime #parameters> #path for #ident #arguments #bounds { #body }
                }
            })
            .collect()
    }

    /// The derive of the schema, unless the user wrote it. It writes nothing without the feature `schema` of `es-runtime`.
    pub(crate) fn schema(&self, runtime: &Runtime) -> Option<TokenStream> {
        if self.elsewhere || self.written.iter().any(|written| written == "JsonSchema") {
            return None;
        }
        let private = runtime.private();
        let schemars_crate = (!self.schemars_crate).then(|| {
            let path = runtime.private_text("schemars");
            quote!(#[schemars(crate = #path)])
        });
        Some(quote!(#[derive(#private::JsonSchema)] #schemars_crate))
    }
}

/// The last segments of the paths in `#[derive(…)]`.
fn derived(attribute: &Attribute) -> Vec<String> {
    if !attribute.path().is_ident("derive") {
        return Vec::new();
    }
    let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
    let last = |path: Path| path.segments.last().map(|segment| segment.ident.to_string());
    paths.into_iter().flatten().filter_map(last).collect()
}

/// Returns whether the attribute of `library` says where it is.
fn names_crate(attribute: &Attribute, library: &str) -> bool {
    let Ok(list) = attribute.meta.require_list() else {
        return false;
    };
    let metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    attribute.path().is_ident(library) && metas.into_iter().flatten().any(|meta| meta.path().is_ident("crate"))
}
