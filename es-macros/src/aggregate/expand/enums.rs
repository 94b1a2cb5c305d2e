//! Code shared by the enum of all events and the enum of all commands.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::aggregate::listed::Listed;
use crate::aggregate::model::Block;

/// One of the two enums.
pub(super) struct Enum<'a> {
    pub(super) block: &'a Block,
    pub(super) ident: Ident,
    pub(super) variants: Vec<&'a Listed>,
    pub(super) noun: &'static str,
}

impl Enum<'_> {
    /// A match on `self` with one arm for each variant, `item` being what it holds.
    pub(super) fn dispatch(&self, arm: impl Fn(&Listed) -> TokenStream) -> TokenStream {
        let arms = self.each(|listed| {
            let (variant, body) = (&listed.variant, arm(listed));
            quote!(Self::#variant(ref item) => #body,)
        });
        // Of the place rather than the reference: that may be empty, if all variants are left out by a `cfg`.
        quote!(match *self { #arms })
    }

    /// Calls `generate` for each variant and puts the `#[cfg]`s of its method on the result.
    pub(super) fn each(&self, generate: impl Fn(&Listed) -> TokenStream) -> TokenStream {
        let each = self.variants.iter().map(|listed| {
            let (cfgs, tokens) = (&listed.cfgs, generate(listed));
            quote!(#(#cfgs)* #tokens)
        });
        each.collect()
    }

    /// Everything but the traits of this crate.
    pub(super) fn define(&self) -> TokenStream {
        let definition = self.definition();
        let from = self.conversions();
        let std = self.std_traits();
        let alias = self.alias();
        quote!(#definition #alias #from #std)
    }

    /// The name that the enum would have, after an error at a type that may have it too: a glob import gives way to that.
    fn alias(&self) -> Option<TokenStream> {
        let Self { block, ident, .. } = self;
        let name = block.clashes.iter().find(|name| *ident == format!("__{name}"))?;
        let module = format_ident!("{ident}_", span = proc_macro2::Span::call_site());
        Some(quote! {
            #[doc(hidden)]
            #[allow(non_snake_case)]
            mod #module {
                #[allow(unused_imports)]
                pub(super) use super::#ident as #name;
            }
            #[allow(unused_imports)]
            use #module::*;
        })
    }

    fn definition(&self) -> TokenStream {
        let Self { block, ident, noun, .. } = self;
        let Block {
            vis, ident: aggregate, ..
        } = block;
        let doc = format!("Every {noun} of `{aggregate}`.");
        let variants = self.each(|Listed { ty, variant, .. }| {
            let doc = format!("`{variant}`.");
            quote!(#[doc = #doc] #variant(#ty),)
        });
        quote! {
            #[doc = #doc]
            #[allow(dead_code, non_camel_case_types, private_interfaces, unreachable_pub, clippy::large_enum_variant)]
            #vis enum #ident {
                #variants
            }
        }
    }

    fn conversions(&self) -> TokenStream {
        let ident = &self.ident;
        self.each(|Listed { ty, variant, .. }| {
            quote! {
                #[automatically_derived]
                impl ::core::convert::From<#ty> for #ident {
                    fn from(item: #ty) -> Self {
                        Self::#variant(item)
                    }
                }
            }
        })
    }

    /// Generates what `derive` would write. A derive would report an item that is no event or command again for each
    /// trait; the helpers, which are bound by `EventOf` and `CommandOf`, leave it at one error.
    fn std_traits(&self) -> TokenStream {
        let Self { block, ident, .. } = self;
        let Block { runtime, aggregate, .. } = block;
        let helper = |name: &str| {
            let name = format_ident!("{name}_{}", self.noun);
            quote!(#runtime::__private::#name)
        };
        let (debug, clone, eq) = (helper("debug"), helper("clone"), helper("eq"));
        let debug = self.dispatch(|listed| {
            let (ty, name) = (&listed.ty, listed.variant.to_string());
            quote!(#debug::<#aggregate, #ty>(item, #name, f))
        });
        let clone = self.dispatch(|Listed { ty, variant, .. }| quote!(Self::#variant(#clone::<#aggregate, #ty>(item))));
        let eq = self.each(|Listed { ty, variant, .. }| {
            quote!((Self::#variant(left), Self::#variant(right)) => #eq::<#aggregate, #ty>(left, right),)
        });
        quote! {
            #[automatically_derived]
            impl ::core::fmt::Debug for #ident {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    #debug
                }
            }

            #[automatically_derived]
            impl ::core::clone::Clone for #ident {
                fn clone(&self) -> Self {
                    #clone
                }
            }

            #[automatically_derived]
            impl ::core::cmp::PartialEq for #ident {
                #[allow(unreachable_patterns)]
                fn eq(&self, other: &Self) -> bool {
                    match (self, other) {
                        #eq
                        _ => false,
                    }
                }
            }
        }
    }
}
