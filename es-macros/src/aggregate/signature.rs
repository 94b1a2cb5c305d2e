//! Code shared by handlers and applies.

use syn::{
    FnArg, GenericArgument, GenericParam, PatType, PathArguments, PathSegment, Receiver, ReceiverKind, Safety,
    Signature, Type,
};

use super::listed::{by_value, may_be_listed, shown, text, ungrouped};
use crate::errors::Errors;

/// In the place of the receiver.
pub(crate) enum This<'a> {
    /// Nothing.
    Missing,
    /// `&self`.
    Shared(&'a Receiver),
    /// `&mut self`.
    Mutable(&'a Receiver),
    /// `self`, or something else.
    Other(&'a Receiver),
    /// `this: Option<&Self>`.
    Maybe(&'a Type),
    /// `account: &Account`, which is no receiver.
    Named(&'a PatType),
}

impl<'a> This<'a> {
    /// Returns what stands in the receiver's place, and the types of the parameters behind it.
    pub(crate) fn of(signature: &'a Signature, aggregate: &Type) -> (Self, Vec<&'a Type>) {
        let behind = |skip| {
            signature.inputs.iter().skip(skip).filter_map(|input| match input {
                FnArg::Typed(typed) => Some(ungrouped(&typed.ty)),
                FnArg::Receiver(_) => None,
            })
        };
        match signature.inputs.first() {
            Some(FnArg::Receiver(receiver)) => (Self::receiver(receiver), behind(1).collect()),
            Some(FnArg::Typed(first)) if is_maybe_this(&first.ty, aggregate) => {
                (Self::Maybe(&first.ty), behind(1).collect())
            }
            _ => match Self::named(signature, aggregate) {
                Some(named) => {
                    let others = behind(0).filter(|ty| !is_state(ty, aggregate));
                    (Self::Named(named), others.collect())
                }
                None => (Self::Missing, behind(0).collect()),
            },
        }
    }

    /// The parameter that is the state under a name of its own.
    fn named(signature: &'a Signature, aggregate: &Type) -> Option<&'a PatType> {
        signature.inputs.iter().find_map(|input| match input {
            FnArg::Typed(typed) if is_state(&typed.ty, aggregate) => Some(typed),
            _ => None,
        })
    }

    fn receiver(receiver: &'a Receiver) -> Self {
        match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => Self::Shared(receiver),
            ReceiverKind::Reference(_, _, Some(_)) => Self::Mutable(receiver),
            ReceiverKind::Typed(_, ty) => match &**ty {
                Type::Reference(ty) if is_self(&ty.elem) && ty.mutability.is_none() => Self::Shared(receiver),
                Type::Reference(ty) if is_self(&ty.elem) => Self::Mutable(receiver),
                _ => Self::Other(receiver),
            },
            _ => Self::Other(receiver),
        }
    }
}

/// `Option<…>` of the aggregate in whatever form; whether it is the right one is checked later.
fn is_maybe_this(ty: &Type, aggregate: &Type) -> bool {
    let inner = match last_segment(ty) {
        Some(segment) if segment.ident == "Option" => first_argument(segment),
        _ => None,
    };
    inner.is_some_and(|inner| match inner {
        Type::Reference(reference) => is_this(&reference.elem, aggregate),
        inner => is_this(inner, aggregate),
    })
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

/// `Self`, or the aggregate by name.
pub(crate) fn is_this(ty: &Type, aggregate: &Type) -> bool {
    let last = |ty| last_segment(ty).map(|segment| &segment.ident);
    is_self(ty) || last(ty).is_some_and(|ident| Some(ident) == last(aggregate))
}

/// Returns whether it is the aggregate, or a reference to it, as the block names it. Under another path it may be an
/// event or a command.
pub(crate) fn is_state(ty: &Type, aggregate: &Type) -> bool {
    let ty = by_value(ty);
    is_self(ty) || text(ty) == text(ungrouped(aggregate))
}

pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `T` and `E` of `Result<T, E>`.
pub(crate) fn arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ungrouped(ty)),
        _ => None,
    })
}

/// `T` of `Option<T>` or `Result<T, E>`.
pub(crate) fn first_argument(segment: &PathSegment) -> Option<&Type> {
    arguments(segment).next()
}

/// Reports a parameter that stands for the receiver.
pub(crate) fn not_a_receiver(named: &PatType, state: &str, receiver: &str, errors: &mut Errors) {
    let written = shown(named);
    errors.at(
        named,
        format!("a method gets the {state} as its receiver: write {receiver} first, instead of `{written}`"),
    );
}

/// The event or command among the parameters, which is the first, and the others. After an error at the first, one behind it that may
/// be meant.
pub(crate) fn listed_first<'a>(
    parameters: &[&'a Type],
    message: impl FnOnce(&str) -> String,
    errors: &mut Errors,
) -> Option<(&'a Type, Vec<&'a Type>)> {
    let first = *parameters.first()?;
    if may_be_listed(first) {
        return Some((first, parameters[1..].to_vec()));
    }
    errors.at(first, message(&shown(first)));
    let meant = parameters.iter().find(|ty| may_be_listed(ty))?;
    Some((meant, Vec::new()))
}

/// Why an apply cannot take the type.
pub(crate) fn not_an_event(ty: &str) -> String {
    format!(
        "an apply takes an event, and `{ty}` cannot be one: make it a field of a struct with `#[event]`, and take that struct"
    )
}

/// Reports `async`, `unsafe` and type parameters.
pub(crate) fn plain(signature: &Signature, noun: &str, errors: &mut Errors) {
    if let Some(token) = &signature.asyncness {
        let message = match noun {
            "a handler" => {
                "a handler cannot be `async`, because it is run again on a conflict: look things up before sending the command"
            }
            _ => "an apply cannot be `async`, because it only folds an event into the state: remove `async`",
        };
        errors.at(token, message);
    }
    plain_but_async(signature, noun, errors);
}

/// Reports `unsafe` and type parameters.
pub(crate) fn plain_but_async(signature: &Signature, noun: &str, errors: &mut Errors) {
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            format!("{noun} cannot be `unsafe`, because the runtime calls it: remove `unsafe`"),
        );
    }
    let parameters = signature.generics.params.iter();
    for parameter in parameters.filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_))) {
        errors.at(
            parameter,
            format!("{noun} is for one type and cannot be generic: write one method for each"),
        );
    }
}
