//! The struct of each older version, and the steps between them.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprClosure, LitStr, Meta, Pat, PatType, ReturnType, Type, parse_quote};

use super::check::{metas, parameter};
use super::{Field, History};
use crate::derives::Derives;
use crate::local::local;
use crate::message::Message;
use crate::stored::expand::shapes;
use crate::stored::model::Stored;

/// The items of `Stored` for the struct of today, and what stands around it.
pub(crate) fn expand(stored: &Stored, history: &History) -> (TokenStream, TokenStream) {
    let current = stored.version;
    let shapes = (1..current).map(|version| shape(stored, history, version));
    let steps = (2..=current).map(|version| {
        let forth = forth(stored, history, version);
        let back = back(stored, history, version);
        quote!(#forth #back)
    });
    let ident = &stored.message.ident;
    let around = quote! {
        #(#shapes)*

        #[allow(clippy::pedantic, clippy::redundant_closure_call, clippy::useless_conversion, clippy::unnecessary_wraps, clippy::let_and_return)]
        impl #ident {
            #(#steps)*
        }
    };
    (items(stored, history, current), around)
}

/// The struct of a version: the struct of today for the current one.
fn shape_ident(stored: &Stored, version: u32) -> Ident {
    let ident = &stored.message.ident;
    if version == stored.version {
        ident.clone()
    } else {
        format_ident!("__{}V{version}", ident)
    }
}

/// The struct of the version before, if there is one.
fn before(stored: &Stored, version: u32) -> Option<TokenStream> {
    (version > 1).then(|| shape_ident(stored, version - 1).into_token_stream())
}

/// The struct of the version before today's.
pub(crate) fn shape_before(stored: &Stored) -> Option<TokenStream> {
    before(stored, stored.version)
}

/// The struct of an older version, as a stored shape of its own.
fn shape(stored: &Stored, history: &History, version: u32) -> TokenStream {
    let Stored { runtime, message, .. } = stored;
    let Message { ident, name, .. } = message;
    let private = runtime.private();
    let (shape, next) = (shape_ident(stored, version), shape_ident(stored, version + 1));
    let derives = Derives::of(&[]);
    let (derives, schema) = (derives.missing(runtime), derives.schema(runtime));
    let (serde, serde_name) = (&history.serde, ident.to_string());
    let fields = history.fields.iter().filter(|field| field.is_in(version)).map(|field| {
        let (attrs, name, ty) = (
            attributes(field, version),
            field.name_in(version),
            field.type_in(version),
        );
        quote!(#(#attrs)* #name: #ty,)
    });
    let items = (version > 1).then(|| {
        let items = items(stored, history, version);
        quote!(const SHAPE_VERSION: u32 = #version; #items)
    });
    let shapes = shapes(runtime, before(stored, version));
    quote! {
        #derives
        #schema
        #(#serde)*
        #[serde(rename = #serde_name)]
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        struct #shape {
            #(#fields)*
        }

        #[automatically_derived]
        impl #runtime::Stored for #shape {
            const NAME: &'static str = #name;
            #items
            #shapes
        }

        #[automatically_derived]
        impl #private::OldShape<#next> for #shape {}
    }
}

/// The items of `Stored` for a version that has one before it.
fn items(stored: &Stored, history: &History, version: u32) -> TokenStream {
    let runtime = &stored.runtime;
    let private = runtime.private();
    let (ident, old) = (&stored.message.ident, shape_ident(stored, version - 1));
    let (forth, back) = (forth_ident(version), back_ident(version));
    let steps = history.fields.iter().filter(|field| field.is_in(version - 1));
    let ways = steps.map(|field| match field.changed_in(version) {
        _ if !field.is_in(version) => quote!(false),
        // A function leads one way, and a `From` back need not be its inverse.
        Some(changed) if changed.with.is_some() => quote!(false),
        Some(changed) => {
            let (new, old) = (field.type_in(version), &changed.from);
            quote!(#private::Back::<#new, #old>::EXISTS)
        }
        None => quote!(true),
    });
    quote! {
        const OLDEST_VERSION: u32 = 1;
        const WRITES_FROM: u32 = {
            #[allow(unused_imports)]
            use #private::NoWayBack as _;
            #private::writes_from::<Self, #old>(true #(&& #ways)*)
        };

        fn decode(shape_version: u32, payload: &[u8]) -> ::core::result::Result<Self, #runtime::DecodeError> {
            #private::decode_chain::<Self, #old>(shape_version, payload, |old| {
                ::core::result::Result::Ok(<#ident>::#forth(old))
            })
        }

        fn encode_as(
            &self,
            shape_version: u32,
            out: &mut #private::Vec<u8>,
        ) -> ::core::result::Result<(), #runtime::EncodeError> {
            #private::encode_chain::<Self, #old>(self, shape_version, out, <#ident>::#back)
        }
    }
}

fn forth_ident(version: u32) -> Ident {
    format_ident!("__upcast_to_{version}")
}

fn back_ident(version: u32) -> Ident {
    format_ident!("__back_from_{version}")
}

/// The variable that holds the value of a field.
fn variable(index: usize) -> Ident {
    format_ident!("__field_{index}")
}

/// The step to a version. A function of the type of today, so that `Self` in a default is that. First come the fields that were
/// there before, as the defaults of new ones may look at them.
fn forth(stored: &Stored, history: &History, version: u32) -> TokenStream {
    let (function, old, new) = (
        forth_ident(version),
        shape_ident(stored, version - 1),
        shape_ident(stored, version),
    );
    let private = stored.runtime.private();
    let whole = &Ident::new("old", Span::mixed_site());
    let fields = || history.fields.iter().enumerate();
    let kept = fields()
        .filter(|(_, field)| field.is_in(version - 1))
        .map(|(index, field)| {
            let (cfgs, variable, name) = (cfgs(field), variable(index), field.name_in(version - 1));
            let value = match field.changed_in(version) {
                Some(changed) => {
                    let ty = field.type_in(version);
                    let step = match &changed.with {
                        Some(with) => {
                            let whole = local("old", Span::mixed_site(), with.span());
                            quote_spanned!(with.span()=> #with(#whole.#name))
                        }
                        None => {
                            let (from, span) = (&changed.from, changed.from.span());
                            let upcast = Ident::new("changed", span);
                            let whole = local("old", Span::mixed_site(), span);
                            quote_spanned!(span=> { use #private::#upcast; #upcast::<#ty, #from>(#whole.#name) })
                        }
                    };
                    return quote!(#(#cfgs)* let #variable: #ty = #step;);
                }
                None => quote!(#whole.#name),
            };
            quote!(#(#cfgs)* #[allow(unused_variables)] let #variable = #value;)
        });
    let added = fields().filter_map(|(index, field)| {
        let added = field.added.as_ref().filter(|added| added.since.number == version)?;
        let (cfgs, variable, ty) = (cfgs(field), variable(index), field.type_in(version));
        let value = match &added.default {
            Expr::Closure(closure) => call(history, closure, ty, version),
            value => quote!(#value),
        };
        Some(quote!(#(#cfgs)* let #variable: #ty = #value;))
    });
    let values = fields()
        .filter(|(_, field)| field.is_in(version))
        .map(|(index, field)| {
            let (cfgs, variable, name) = (cfgs(field), variable(index), field.name_in(version));
            quote!(#(#cfgs)* #name: #variable,)
        });
    quote! {
        #[doc(hidden)]
        fn #function(#whole: #old) -> #new {
            let _ = &#whole;
            #(#kept)*
            #(#added)*
            #new { #(#values)* }
        }
    }
}

/// A default that looks at other fields, with the types that its author need not write.
fn call(history: &History, closure: &ExprClosure, ty: &Type, version: u32) -> TokenStream {
    let mut closure = closure.clone();
    let mut values = Vec::new();
    for input in &mut closure.inputs {
        let source = parameter(input).and_then(|parameter| history.source(parameter, version));
        let Some(index) = source else { continue };
        let field = &history.fields[index];
        values.push(variable(index));
        if !matches!(input, Pat::Type(_)) {
            let seen = if field.is_in(version) { version } else { version - 1 };
            // In a group, as it may be `dyn Note + Send`, which takes no bare `&`.
            let ty = Group::new(Delimiter::None, field.type_in(seen).to_token_stream());
            *input = Pat::Type(PatType {
                attrs: Vec::new(),
                pat: Box::new(input.clone()),
                colon_token: parse_quote!(:),
                ty: parse_quote!(&#ty),
            });
        }
    }
    if matches!(closure.output, ReturnType::Default) {
        let body = &closure.body;
        if !matches!(**body, Expr::Block(_)) {
            // Behind a `let`, as `{ match … {} + 1 }` would be two statements.
            *closure.body = parse_quote!({ let value: #ty = #body; value });
        }
        closure.output = parse_quote!(-> #ty);
    }
    quote!((#closure)(#(&#values),*))
}

/// The step back from a version: what was added is left out.
fn back(stored: &Stored, history: &History, version: u32) -> TokenStream {
    let (function, old, new) = (
        back_ident(version),
        shape_ident(stored, version - 1),
        shape_ident(stored, version),
    );
    let private = stored.runtime.private();
    let before = || history.fields.iter().filter(|field| field.is_in(version - 1));
    let lost = |field: &Field| {
        let by_function = field.changed_in(version).is_some_and(|changed| changed.with.is_some());
        by_function || !field.is_in(version)
    };
    if before().any(lost) {
        return quote! {
            #[doc(hidden)]
            fn #function(_: #new) -> ::core::option::Option<#old> {
                ::core::option::Option::None
            }
        };
    }
    let values = before().map(|field| {
        let (cfgs, to, from) = (cfgs(field), field.name_in(version - 1), field.name_in(version));
        let value = match field.changed_in(version) {
            Some(changed) => {
                let (new, old) = (field.type_in(version), &changed.from);
                quote!(#private::Back::<#new, #old>::step(new.#from)?)
            }
            None => quote!(new.#from),
        };
        quote!(#(#cfgs)* #to: #value,)
    });
    quote! {
        #[doc(hidden)]
        fn #function(new: #new) -> ::core::option::Option<#old> {
            #[allow(unused_imports)]
            use #private::NoWayBack as _;
            let _ = &new;
            ::core::option::Option::Some(#old { #(#values)* })
        }
    }
}

fn cfgs(field: &Field) -> Vec<&Attribute> {
    field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .collect()
}

/// The attributes of a field in an older version. Under another name it is stored as that; of another type it cannot be stored by
/// the functions of today's.
fn attributes(field: &Field, version: u32) -> Vec<Attribute> {
    let renamed = field.renamed_after(version);
    let changed = field.changed_after(version).is_some();
    let holds = |meta: &Meta| {
        let is = |name| meta.path().is_ident(name);
        if is("rename") || is("alias") {
            renamed.is_none()
        } else {
            !changed || !matches!(meta, Meta::NameValue(_))
        }
    };
    let mut kept: Vec<Attribute> = Vec::new();
    for attribute in &field.attrs {
        if attribute.path().is_ident("serde") {
            let Some(metas) = metas(attribute) else { continue };
            let metas = metas.iter().filter(|meta| holds(meta));
            kept.push(parse_quote!(#[serde(#(#metas),*)]));
        } else if ["cfg", "cfg_attr"].iter().any(|name| attribute.path().is_ident(name))
            || (attribute.path().is_ident("schemars") && !changed)
        {
            kept.push(attribute.clone());
        }
    }
    if let Some(renamed) = renamed {
        let name: &LitStr = &renamed.from;
        kept.push(parse_quote!(#[serde(rename = #name)]));
    }
    kept
}
