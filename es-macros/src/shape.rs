//! A fingerprint of the shape of a type: of its fields and their types, as they are written.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, GenericArgument, Item, Meta, PathArguments, Token, Type};

use crate::aggregate::ungrouped;

/// The parts that the fingerprint is made of.
#[derive(Default)]
pub(crate) struct Shape {
    /// Everything that is written, in a form that does not depend on blanks.
    text: String,
    /// The types that are mentioned, each once.
    pub(crate) types: Vec<Type>,
}

impl Shape {
    /// The shape of a struct or an enum.
    pub(crate) fn of(item: &Item) -> Self {
        let mut shape = Self::default();
        match item {
            Item::Struct(item) => {
                shape.attributes(&item.attrs);
                shape.fields(&item.fields);
            }
            Item::Enum(item) => {
                shape.attributes(&item.attrs);
                for variant in &item.variants {
                    shape.attributes(&variant.attrs);
                    shape.tokens(variant.ident.to_token_stream());
                    shape.fields(&variant.fields);
                }
            }
            _ => {}
        }
        shape
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        fnv(&self.text)
    }

    fn fields(&mut self, fields: &Fields) {
        self.text.push('{');
        for field in fields {
            self.attributes(&field.attrs);
            self.tokens(field.ident.to_token_stream());
            self.text.push(':');
            self.tokens(field.ty.to_token_stream());
            self.mention(&field.ty);
        }
        self.text.push('}');
    }

    /// Adds the arguments of `#[serde(…)]`.
    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            // Arguments that `#[value]` has added say nothing about the shape.
            let told = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            for meta in told.into_iter().flatten().filter(|meta| !meta.path().is_ident("crate")) {
                self.tokens(meta.to_token_stream());
            }
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    self.text.push('(');
                    self.tokens(group.stream());
                    self.text.push(')');
                }
                token => {
                    self.text.push_str(&token.to_string());
                    self.text.push(' ');
                }
            }
        }
    }

    /// Notes the type and those that it is made of.
    fn mention(&mut self, ty: &Type) {
        match ungrouped(ty) {
            Type::Array(array) => self.mention(&array.elem),
            Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| self.mention(ty)),
            ty @ Type::Path(path) => {
                let text = quote!(#ty).to_string();
                if !self.types.iter().any(|other| quote!(#other).to_string() == text) {
                    self.types.push(ty.clone());
                }
                for segment in &path.path.segments {
                    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                        continue;
                    };
                    for argument in &arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            self.mention(ty);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// FNV-1a of 64 bits: small, and the same with every compiler.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(item: &str) -> u64 {
        Shape::of(&syn::parse_str(item).unwrap_or_else(|error| panic!("{item}: {error}"))).fingerprint()
    }

    #[test]
    fn blanks_docs_and_the_name_do_not_count() {
        let one = fingerprint("struct A { /** doc */ a: Vec<u8>, pub b: [u8; 2] }");
        assert_eq!(one, fingerprint("struct   B{a:Vec < u8 >,b:[u8;2],}"));
        assert_eq!(
            one, 18_444_892_842_882_794_598,
            "a fingerprint that is stored must stay"
        );
    }

    #[test]
    fn what_changes_the_stored_form_counts() {
        let shapes = [
            "struct A { a: u8, b: u8 }",
            "struct A { b: u8, a: u8 }",
            "struct A { a: u8 }",
            "struct A { a: u8, c: u8 }",
            "struct A { a: u8, b: u16 }",
            "struct A { a: u8, #[serde(rename = \"x\")] b: u8 }",
            "#[serde(rename_all = \"camelCase\")] struct A { a: u8, b: u8 }",
            "struct A(u8, u8);",
            "struct A;",
            "enum A { A, B }",
            "enum A { A, B(u8) }",
            "enum A { A, B { a: u8 } }",
        ];
        let fingerprints: std::collections::BTreeSet<u64> = shapes.into_iter().map(fingerprint).collect();
        assert_eq!(fingerprints.len(), shapes.len());
    }
}
