//! Tells whether the values of a struct or an enum are known to come back unchanged from their stored form.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Field, Fields, Generics, Item, Lit, Meta, Token, Type, parse_quote};

use crate::runtime::Runtime;

/// The types inside an item that is stored as written: its values come back if those of its fields do.
pub(crate) struct Plain {
    types: Vec<Type>,
    null: Null,
}

/// The cases in which a value of it may be stored as `null`.
enum Null {
    Never,
    Always,
    /// If one of its only field may.
    AsContent,
}

/// Attributes above an item that are known not to change how it is stored. Others may be macros.
const HARMLESS: &[&str] = &[
    "allow",
    "automatically_derived",
    "cfg",
    "deny",
    "deprecated",
    "derive",
    "doc",
    "expect",
    "forbid",
    "garde",
    "must_use",
    "non_exhaustive",
    "repr",
    "schemars",
    "serde",
    "warn",
];

impl Plain {
    /// `None` if an attribute may have a value stored, or read, in another way.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let (attributes, plain) = match item {
            Item::Struct(item) => {
                let is_transparent = Names::of(&item.attrs)?.is_transparent;
                (&item.attrs, Self::of_fields(&item.fields, is_transparent)?)
            }
            Item::Enum(item) => {
                let mut names = Names::default();
                let mut types = Vec::new();
                for variant in &item.variants {
                    names.add(&variant.attrs, Some(&variant.ident))?;
                    types.extend(Self::of_fields(&variant.fields, false)?.types);
                }
                names.are_distinct().then_some(())?;
                let null = Null::Never;
                (&item.attrs, Self { types, null })
            }
            _ => return None,
        };
        let is_harmless = |attribute: &Attribute| HARMLESS.iter().any(|name| attribute.path().is_ident(name));
        let names = Names::of(attributes)?;
        let is_plain = attributes.iter().all(is_harmless) && (!names.is_transparent || plain.types.len() == 1);
        is_plain.then_some(plain)
    }

    fn of_fields(fields: &Fields, is_transparent: bool) -> Option<Self> {
        let mut names = Names::default();
        for field in fields {
            names.add(&field.attrs, field.ident.as_ref())?;
        }
        let types: Vec<Type> = fields.iter().map(|Field { ty, .. }| ty.clone()).collect();
        let null = match (fields, &types[..]) {
            (Fields::Unit, _) => Null::Always,
            (Fields::Unnamed(_), [_]) => Null::AsContent,
            (_, [_]) if is_transparent => Null::AsContent,
            _ => Null::Never,
        };
        names.are_distinct().then_some(Self { types, null })
    }

    /// Returns whether all types are plain, as an expression of `seen`. There must be some.
    fn ask(&self, runtime: &Runtime) -> TokenStream {
        let private = runtime.private();
        let mut asked: Vec<String> = Vec::new();
        let types = self.types.iter().filter(|ty| {
            let text = quote!(#ty).to_string();
            let is_new = !asked.contains(&text);
            asked.push(text);
            is_new
        });
        let asks = types.map(|ty| quote!(#private::PlainOf::<#ty>::is_plain(seen)));
        quote!(#(#asks)&&*)
    }
}

/// The item `is_plain` of an event or a row. Left out where it would be `false`, which is what it is by itself.
pub(crate) fn is_plain(plain: Option<&Plain>, runtime: &Runtime) -> Option<TokenStream> {
    let (plain, private) = (plain?, runtime.private());
    if plain.types.is_empty() {
        return Some(quote!(
            fn is_plain() -> bool {
                true
            }
        ));
    }
    let ask = plain.ask(runtime);
    Some(quote! {
        fn is_plain() -> bool {
            #[allow(unused_imports)]
            use #private::NotPlain as _;
            static PLAIN: #private::Plainness = #private::Plainness::new();
            PLAIN.get(|seen| #ask)
        }
    })
}

/// That a value is plain where its parameters are, if it is at all.
pub(crate) fn of_value(item: &Item, ident: &Ident, generics: &Generics, runtime: &Runtime) -> Option<TokenStream> {
    let (plain, private) = (Plain::of(item)?, runtime.private());
    if generics.lifetimes().next().is_some() {
        return None;
    }
    let mut bounded = generics.clone();
    for parameter in bounded.type_params_mut() {
        parameter.bounds.push(parse_quote!(#private::Plain));
    }
    let (parameters, _, _) = bounded.split_for_impl();
    let (_, arguments, bounds) = generics.split_for_impl();
    let null = match &plain.null {
        Null::Never => None,
        Null::Always => Some(quote!(true)),
        Null::AsContent => {
            let content = &plain.types[0];
            Some(quote!(#private::PlainOf::<#content>::NULL))
        }
    };
    let null = null.map(|null| {
        quote! {
            const NULL: bool = {
                #[allow(unused_imports)]
                use #private::NotPlain as _;
                #null
            };
        }
    });
    let is_plain = if plain.types.is_empty() {
        quote!(fn is_plain(_: &mut #private::Seen) -> bool { true })
    } else {
        let ask = plain.ask(runtime);
        quote! {
            fn is_plain(seen: &mut #private::Seen) -> bool {
                #[allow(unused_imports)]
                use #private::NotPlain as _;
                seen.again::<Self>() || #ask
            }
        }
    };
    Some(quote! {
        #[automatically_derived]
        impl #parameters #private::Plain for #ident #arguments #bounds {
            #null

            #is_plain
        }
    })
}

/// The names under which fields or variants are stored and read, and what else serde is told of them.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    is_transparent: bool,
}

impl Names {
    /// Those that stand above an item.
    fn of(attributes: &[Attribute]) -> Option<Self> {
        let mut names = Self::default();
        names.add(attributes, None)?;
        Some(names)
    }

    /// `None` if an attribute may have something stored in another way than it is read.
    fn add(&mut self, attributes: &[Attribute], ident: Option<&Ident>) -> Option<()> {
        let mut own: Vec<String> = ident.iter().map(|ident| key(&ident.to_string())).collect();
        for attribute in attributes {
            if attribute.path().is_ident("cfg_attr") || (ident.is_some() && attribute.path().is_ident("cfg")) {
                return None;
            }
            if !attribute.path().is_ident("serde") {
                continue;
            }
            let metas = attribute
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .ok()?;
            for meta in metas {
                let name = meta.path().get_ident()?.to_string();
                match (name.as_str(), &meta) {
                    ("rename" | "alias", Meta::NameValue(value)) => own.push(key(&text(&value.value)?)),
                    (
                        "rename_all" | "rename_all_fields" | "crate" | "default" | "bound" | "expecting",
                        Meta::NameValue(_),
                    )
                    | ("default" | "deny_unknown_fields", Meta::Path(_)) => {}
                    ("transparent", Meta::Path(_)) => self.is_transparent = true,
                    _ => return None,
                }
            }
        }
        own.sort_unstable();
        own.dedup();
        self.names.append(&mut own);
        Some(())
    }

    fn are_distinct(&self) -> bool {
        let names: BTreeSet<&String> = self.names.iter().collect();
        names.len() == self.names.len()
    }
}

/// Two names have the same key if a style, such as `rename_all = "camelCase"`, may make them one.
fn key(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    name.chars()
        .filter(|char| !matches!(char, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => Some(text.value()),
        _ => None,
    }
}
