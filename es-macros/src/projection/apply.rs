use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Attribute, Expr, FnArg, Meta, Pat, ReceiverKind, ReturnType, Signature, Token, Type};

use super::literal_keys::refuse_literals;
use super::upsert;
use crate::aggregate::handler::pascal_case;
use crate::aggregate::listed::{Listed, ungrouped};
use crate::aggregate::signature::{
    This, first_argument, is_this, last_segment, listed_first, not_a_receiver, not_an_event, plain,
};
use crate::errors::Errors;

/// A method with `#[apply]`.
pub(crate) struct Apply {
    pub(crate) method: Ident,
    pub(crate) event: Listed,
    pub(crate) effect: Effect,
    /// The type `&Meta<…>` or `&InlineMeta<…>`, if it takes one.
    pub(crate) meta: Option<Type>,
    pub(crate) keys: Keys,
    /// The method's names for the event and the meta, which expressions of keys use too.
    pub(crate) names: [Ident; 2],
}

/// The effect of a method on the row.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Effect {
    /// No receiver: makes it.
    Create,
    /// `&mut self`.
    Change,
    /// `self`: gives it back, or deletes it.
    Replace,
    /// `this: Option<Self>`: makes it, or gives it back, or deletes it.
    Upsert,
}

/// Which rows an event touches.
pub(crate) enum Keys {
    /// The one whose key is the stream's id.
    Stream,
    One(Expr),
    Several(Expr),
}

impl Apply {
    /// Reads a method. `None` if it does not say which event it applies.
    pub(crate) fn parse(signature: &Signature, attrs: &[Attribute], row: &Type, errors: &mut Errors) -> Option<Self> {
        plain(signature, "an apply", errors);
        let (this, parameters) = This::of(signature, row);
        let effect = Effect::of(&this, signature, row, errors);
        if parameters.is_empty() {
            let method = &signature.ident;
            let message = format!(
                "apply `{method}` takes no event: add a parameter `event: {}`",
                pascal_case(method)
            );
            errors.at(method, message);
            return None;
        }
        let (event, others) = listed_first(&parameters, not_an_event, errors)?;
        let row = usize::from(matches!(this, This::Maybe(_)));
        let (keys, names) = (Keys::of(attrs, errors), names(signature, row));
        refuse_literals(&keys, &names[0], errors);
        Some(Self {
            method: signature.ident.clone(),
            event: listed(event, attrs, errors)?,
            effect,
            meta: meta("an apply", &others, &["Meta", "InlineMeta"], errors),
            keys,
            names,
        })
    }

    /// Returns whether the event may be the enum that `#[aggregate]` makes of all events, as its name tells. It belongs
    /// to its aggregate in another way than an event does, as it may be more visible.
    pub(crate) fn may_take_all(&self) -> bool {
        let name = self.event.variant.to_string();
        name.strip_suffix("Event")
            .is_some_and(|aggregate| !aggregate.is_empty())
    }

    /// The type `&Meta<…>`, if it takes that: what is known only after the append.
    pub(crate) fn whole_meta(&self) -> Option<&Type> {
        let meta = self.meta.as_ref()?;
        let Type::Reference(reference) = meta else { return None };
        let last = last_segment(ungrouped(&reference.elem))?;
        (last.ident == "Meta").then_some(meta)
    }

    /// Returns whether it takes no row.
    pub(crate) fn takes_none(&self) -> bool {
        self.effect == Effect::Create
    }

    pub(crate) fn creates(&self) -> bool {
        matches!(self.effect, Effect::Create | Effect::Upsert)
    }
}

impl Effect {
    fn of(this: &This<'_>, signature: &Signature, row: &Type, errors: &mut Errors) -> Self {
        let returned = match &signature.output {
            ReturnType::Type(_, ty) if !is_unit(ty) => Some(ungrouped(ty)),
            _ => None,
        };
        match this {
            This::Missing => {
                returns_row(returned, signature, row, errors);
                Self::Create
            }
            This::Mutable(_) => {
                if let Some(ty) = returned {
                    let message = "an apply with `&mut self` changes the row in place: return nothing, or take `self` and return `Option<Self>` to delete it";
                    errors.at(ty, message);
                }
                Self::Change
            }
            This::Shared(receiver) => {
                errors.at(receiver, "an apply changes the row: take `&mut self`");
                Self::Change
            }
            This::Other(receiver) => {
                if matches!(receiver.kind, ReceiverKind::Value) {
                    returns_maybe_row(returned, signature, row, errors);
                } else {
                    errors.at(
                        receiver,
                        "an apply takes `&mut self` to change the row, or `self` to delete it",
                    );
                }
                Self::Replace
            }
            This::Named(named) => {
                not_a_receiver(
                    named,
                    "row",
                    "`&mut self` to change it, or `self` to delete it,",
                    errors,
                );
                Self::Change
            }
            This::Maybe(ty) => {
                upsert::check(ty, returned, signature, errors);
                Self::Upsert
            }
        }
    }
}

/// Checks what a creating method returns, as far as it is plain from its text; the rest is left to the compiler.
fn returns_row(returned: Option<&Type>, signature: &Signature, row: &Type, errors: &mut Errors) {
    let Some(ty) = returned else {
        let message = "without a receiver an apply creates the row: return `Self`, or take `&mut self` to change it";
        return errors.at(&signature.ident, message);
    };
    if is_wrapped(ty, "Result") {
        errors.at(ty, "an event is a fact and cannot be refused: return `Self`");
    } else if is_wrapped(ty, "Option") {
        errors.at(
            ty,
            "an apply without a receiver creates the row: return `Self`, or take `self` to delete an existing one",
        );
    } else if let Some(last) = last_segment(ty)
        && is_std(&last.ident)
        && !is_this(ty, row)
    {
        errors.at(ty, "an apply without a receiver creates the row: return `Self`");
    }
}

fn returns_maybe_row(returned: Option<&Type>, signature: &Signature, row: &Type, errors: &mut Errors) {
    let message =
        "an apply with `self` keeps the row or deletes it: return `Option<Self>`, or take `&mut self` to change it";
    match returned {
        None => errors.at(&signature.ident, message),
        Some(ty) => {
            let inner = last_segment(ty)
                .filter(|last| last.ident == "Option")
                .and_then(first_argument);
            if !inner.is_some_and(|inner| is_this(inner, row)) {
                errors.at(ty, message);
            }
        }
    }
}

pub(super) fn is_wrapped(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// Returns whether the name is one of std's that cannot be an alias of the row, as a rule.
fn is_std(ident: &Ident) -> bool {
    ["String", "Vec", "bool", "i32", "i64", "u32", "u64"]
        .iter()
        .any(|name| ident == name)
}

fn is_unit(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

pub(super) fn listed(ty: &Type, attrs: &[Attribute], errors: &mut Errors) -> Option<Listed> {
    if let Type::Reference(reference) = ty {
        errors.at(ty, "take the event by value, without `&`");
        return Listed::new(&reference.elem, attrs);
    }
    let listed = Listed::new(ty, attrs);
    if listed.is_none() {
        errors.at(ty, "an apply takes a struct marked with `#[event]`");
    }
    listed
}

/// The `&Meta<…>` behind the event, or what else of these names is taken there.
pub(crate) fn meta(noun: &str, others: &[&Type], names: &[&str], errors: &mut Errors) -> Option<Type> {
    let (first, rest) = others.split_first()?;
    for other in rest {
        errors.at(
            other,
            format!("{noun} takes the event and `&Meta<…>`, and nothing else: remove this parameter"),
        );
    }
    let inner = match first {
        Type::Reference(reference) => ungrouped(&reference.elem),
        ty => ty,
    };
    let is_meta = last_segment(inner).is_some_and(|segment| names.iter().any(|name| segment.ident == name));
    match first {
        Type::Reference(reference) if is_meta && reference.mutability.is_none() => return Some((*first).clone()),
        _ if is_meta => errors.at(first, "take the meta by reference: `&Meta<…>`"),
        _ => errors.at(first, format!("behind the event {noun} takes only `&Meta<…>`, with the aggregate of the event: what else it needs to know must be in the event")),
    }
    None
}

impl Keys {
    fn of(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::Stream;
        let is_apply = |attribute: &&Attribute| {
            attribute
                .path()
                .segments
                .last()
                .is_some_and(|last| last.ident == "apply")
        };
        for attribute in attrs.iter().filter(is_apply) {
            let tokens = match &attribute.meta {
                Meta::Path(_) => continue,
                Meta::List(list) => list.tokens.clone(),
                Meta::NameValue(pair) => {
                    errors.at(&pair.value, "write `#[apply(key = …)]`");
                    continue;
                }
            };
            if let Some(given) = errors.ok(parse_keys(tokens)) {
                keys = given;
            }
        }
        keys
    }
}

fn parse_keys(tokens: TokenStream) -> syn::Result<Keys> {
    let parser = |input: syn::parse::ParseStream<'_>| {
        if input.is_empty() {
            return Ok(Keys::Stream);
        }
        let name = input.call(Ident::parse_any)?;
        let several = name == "keys";
        if name != "key" && !several {
            let message =
                format!("unknown argument `{name}`: `#[apply]` takes `key = …` for one row, `keys = …` for several");
            // The rest is not looked at, so that one mistake is one error.
            input.parse::<TokenStream>()?;
            return Err(syn::Error::new(name.span(), message));
        }
        let equals: Option<Token![=]> = input.parse()?;
        if equals.is_none() || input.is_empty() {
            let message = format!("expected an expression: `{name} = event.…`");
            input.parse::<TokenStream>()?;
            return Err(syn::Error::new(name.span(), message));
        }
        let expr: Expr = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            let rest: TokenStream = input.parse()?;
            let message = "`#[apply]` takes one argument: `key = …` for one row, or `keys = …` for several";
            return Err(syn::Error::new_spanned(rest, message));
        }
        Ok(if several { Keys::Several(expr) } else { Keys::One(expr) })
    };
    parser.parse2(tokens)
}

/// Returns the method's names for the event and the meta, after skipping `skip` parameters. A parameter without a plain
/// name is called `event` or `meta`, unless the other one already is.
pub(crate) fn names(signature: &Signature, skip: usize) -> [Ident; 2] {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.pat),
        FnArg::Receiver(_) => None,
    });
    let mut names = typed.skip(skip).map(|pat| match pat {
        Pat::Ident(name) => Some(name.ident.clone()),
        _ => None,
    });
    let (event, meta) = (names.next().flatten(), names.next().flatten());
    let unless_taken = |[name, otherwise]: [&str; 2], other: &Option<Ident>| {
        let is_taken = other.as_ref().is_some_and(|other| other == name);
        Ident::new(if is_taken { otherwise } else { name }, Span::call_site())
    };
    let names = [
        unless_taken(["event", "own_event"], &meta),
        unless_taken(["meta", "own_meta"], &event),
    ];
    let [default_event, default_meta] = names;
    [event.unwrap_or(default_event), meta.unwrap_or(default_meta)]
}

impl ToTokens for Effect {
    /// The function of the runtime that has this effect.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let name = match self {
            Self::Create => "create_row",
            Self::Change => "change_row",
            Self::Replace => "replace_row",
            Self::Upsert => "upsert_row",
        };
        Ident::new(name, Span::call_site()).to_tokens(tokens);
    }
}
