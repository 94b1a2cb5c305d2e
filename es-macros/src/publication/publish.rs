use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Meta, ReturnType, Signature, Token, Type};

use crate::aggregate::handler::pascal_case;
use crate::aggregate::listed::{Listed, by_value, ungrouped};
use crate::aggregate::signature::{This, listed_first, plain_but_async};
use crate::errors::Errors;
use crate::projection::{meta, names};

/// A method with `#[publish]`.
pub(super) struct Publish {
    pub(super) method: Ident,
    pub(super) event: Listed,
    pub(super) takes_meta: bool,
    /// The expression of `key = …`.
    pub(super) key: Option<Expr>,
    /// The method's names for the event and the meta, which the key uses too.
    pub(super) names: [Ident; 2],
    /// The type that it returns.
    pub(super) messages: Type,
}

impl Publish {
    /// Reads a method. `None` if it does not say which event it publishes, or as what.
    pub(super) fn parse(signature: &Signature, attrs: &[Attribute], this: &Type, errors: &mut Errors) -> Option<Self> {
        let method = &signature.ident;
        if let Some(token) = &signature.asyncness {
            errors.at(
                token,
                "a publish method cannot be `async`, because the same event must give the same messages again: make them of the event alone",
            );
        }
        plain_but_async(signature, "a publish method", errors);
        let (receiver, parameters) = This::of(signature, this);
        if !matches!(receiver, This::Missing) {
            errors.at(
                signature.inputs.first(),
                "a publication has no state, so that the same event gives the same messages again: remove the receiver",
            );
        }
        if parameters.is_empty() {
            let message = format!(
                "`{method}` publishes no event: add a parameter `event: {}`",
                pascal_case(method)
            );
            errors.at(method, message);
            return None;
        }
        let not_an_event = |ty: &str| {
            format!("a publish method takes an event, and `{ty}` cannot be one: take a struct with `#[event]`")
        };
        let (event, others) = listed_first(&parameters, not_an_event, errors)?;
        if matches!(event, Type::Reference(_)) {
            errors.at(event, "take the event by value, without `&`");
        }
        let ReturnType::Type(_, messages) = &signature.output else {
            errors.at(
                method,
                format!("`{method}` publishes nothing: return a struct with `#[message]`, or an `Option`, a tuple or a `Vec` of them"),
            );
            return None;
        };
        Some(Self {
            method: method.clone(),
            event: Listed::new(by_value(event), attrs)?,
            takes_meta: meta("a publish method", &others, &["Meta"], errors).is_some(),
            key: key(attrs, errors),
            names: names(signature, 0),
            messages: ungrouped(messages).clone(),
        })
    }
}

/// The key that `#[publish(key = …)]` gives.
fn key(attrs: &[Attribute], errors: &mut Errors) -> Option<Expr> {
    let is_publish = |attribute: &&Attribute| {
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "publish")
    };
    let mut key = None;
    for attribute in attrs.iter().filter(is_publish) {
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::List(list) => key = errors.ok(parse_key.parse2(list.tokens.clone())).flatten().or(key),
            Meta::NameValue(pair) => errors.at(&pair.value, "write `#[publish(key = …)]`"),
        }
    }
    key
}

fn parse_key(input: ParseStream<'_>) -> syn::Result<Option<Expr>> {
    if input.is_empty() {
        return Ok(None);
    }
    let name: Ident = input.parse()?;
    if name != "key" {
        input.parse::<TokenStream>()?;
        let message = format!("unknown argument `{name}`: `#[publish]` takes `key = …`");
        return Err(syn::Error::new(name.span(), message));
    }
    let expected = || syn::Error::new(name.span(), "expected an expression: `key = event.…`");
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        input.parse::<TokenStream>()?;
        return Err(expected());
    }
    let key = input.parse()?;
    input.parse::<Option<Token![,]>>()?;
    if !input.is_empty() {
        let rest: TokenStream = input.parse()?;
        return Err(syn::Error::new_spanned(
            rest,
            "`#[publish]` takes one key: the messages of an event are in order within it",
        ));
    }
    Ok(Some(key))
}
