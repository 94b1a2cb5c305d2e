//! The signature of a method with `#[on]`.

use proc_macro2::Ident;
use syn::{FnArg, GenericParam, PathArguments, ReceiverKind, ReturnType, Safety, Signature, Type};

use crate::aggregate::listed::{by_value, shown, ungrouped};
use crate::aggregate::signature::{This, last_segment, not_a_receiver};
use crate::errors::Errors;

/// The way in which the method takes the state.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Takes {
    /// No receiver: it begins an instance.
    None,
    /// `&mut self`: it changes the state.
    Mutable,
    /// `self`: it gives the state back, or ends the instance.
    Owned,
    /// `this: Option<Self>`: it does either.
    Maybe,
}

/// A parameter behind what the method hears.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Extra {
    /// `&Meta<…>`.
    Meta,
    /// `&mut Todo<Self>`.
    Todo,
}

impl Takes {
    pub(crate) fn of<'a>(signature: &'a Signature, state: &Type, errors: &mut Errors) -> (Self, Vec<&'a Type>) {
        let (this, parameters) = This::of(signature, state);
        let returned = match &signature.output {
            ReturnType::Type(_, ty) if !is_unit(ty) => Some(ungrouped(ty)),
            _ => None,
        };
        let takes = match this {
            This::Missing => Self::None,
            This::Mutable(_) => Self::Mutable,
            This::Maybe(ty) => {
                if last_segment(ty).is_some_and(|segment| takes_reference(&segment.arguments)) {
                    errors.at(
                        ty,
                        "a reaction gives back the state that it takes: take it by value, `this: Option<Self>`",
                    );
                }
                Self::Maybe
            }
            This::Shared(receiver) => {
                errors.at(receiver, "a reaction changes the state or ends the instance: take `&mut self`, or `self` and return `Option<Self>`");
                return (Self::Mutable, parameters);
            }
            This::Other(receiver) => {
                if !matches!(receiver.kind, ReceiverKind::Value) {
                    errors.at(
                        receiver,
                        "a reaction takes `&mut self` to change the state, or `self` to end the instance",
                    );
                }
                Self::Owned
            }
            This::Named(named) => {
                not_a_receiver(named, "state", "`&mut self`, or `self`,", errors);
                return (Self::Mutable, parameters);
            }
        };
        takes.check_output(returned, signature, errors);
        (takes, parameters)
    }

    /// Checks what is returned, as far as it is plain from its text; the rest is left to the compiler.
    fn check_output(self, returned: Option<&Type>, signature: &Signature, errors: &mut Errors) {
        if let Some(ty) = returned
            && last_segment(ty).is_some_and(|last| last.ident == "Result")
        {
            errors.at(ty, "a reaction cannot fail, because what it hears has happened: send a command, or return `None` to end the instance");
            return;
        }
        match (self, returned) {
            (Self::Mutable, Some(ty)) => errors.at(
                ty,
                "a reaction with `&mut self` changes the state in place: return nothing, or take `self` and return `Option<Self>` to end the instance",
            ),
            (Self::None, None) => errors.at(
                &signature.ident,
                "without a receiver a reaction begins an instance: return `Self`, or take `&mut self` to change a running one",
            ),
            (Self::Owned | Self::Maybe, None) => errors.at(
                &signature.ident,
                "a reaction that takes the state gives back the next one: return `Self`, or `Option<Self>` to end the instance with `None`",
            ),
            _ => {}
        }
    }
}

impl Extra {
    /// The name of the parameter in what the macro writes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Todo => "todo",
        }
    }

    /// Reads what stands behind what the method hears.
    pub(crate) fn all(others: &[&Type], takes_meta: bool, errors: &mut Errors) -> Vec<Self> {
        let mut all = Vec::new();
        for other in others {
            let (inner, reference) = match other {
                Type::Reference(reference) => (ungrouped(&reference.elem), Some(reference)),
                ty => (*ty, None),
            };
            let name = last_segment(inner).map(|last| last.ident.to_string());
            let is_mutable = reference.map(|reference| reference.mutability.is_some());
            let new = match (name.as_deref(), is_mutable) {
                (Some("Todo"), Some(true)) => Self::Todo,
                (Some("Meta"), Some(false)) if takes_meta => Self::Meta,
                (Some("Todo"), _) => {
                    errors.at(other, "take what is to do by mutable reference: `&mut Todo<Self>`");
                    continue;
                }
                (Some("Meta"), _) if takes_meta => {
                    errors.at(other, "take the meta by reference: `&Meta<…>`");
                    continue;
                }
                _ => {
                    let message = if takes_meta {
                        "behind the event a reaction takes only `&Meta<…>` and `&mut Todo<Self>`: what else it needs to know must be in the event or in the state"
                    } else {
                        "behind an answer or a timer a reaction takes only `&mut Todo<Self>`: what else it needs to know must be in the state"
                    };
                    errors.at(other, message);
                    continue;
                }
            };
            if all.contains(&new) {
                errors.at(
                    other,
                    format!("`{}` is taken twice: remove this parameter", shown(other)),
                );
            } else {
                all.push(new);
            }
        }
        all
    }
}

/// Reports `async`, `unsafe` and type parameters.
pub(crate) fn plain(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = &signature.asyncness {
        errors.at(
            token,
            "a reaction cannot be `async`, because it is run again on a conflict: send a command, or look things up in a subscription's handler that sends one",
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            "a reaction cannot be `unsafe`, because the runtime calls it: remove `unsafe`",
        );
    }
    let parameters = signature.generics.params.iter();
    for parameter in parameters.filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_))) {
        errors.at(
            parameter,
            "a reaction hears of one type and cannot be generic: write one method for each",
        );
    }
}

/// The name of the parameter of what the method hears, which the expression of a key uses too.
pub(crate) fn name_of_first(signature: &Signature, skip: usize) -> Option<Ident> {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.pat),
        FnArg::Receiver(_) => None,
    });
    typed.skip(skip).take(1).find_map(pat_name)
}

/// The name of the parameter of the meta.
pub(crate) fn name_of_meta(signature: &Signature) -> Option<Ident> {
    signature.inputs.iter().find_map(|input| match input {
        FnArg::Typed(typed) if last_segment(by_value(&typed.ty)).is_some_and(|last| last.ident == "Meta") => {
            pat_name(&typed.pat)
        }
        _ => None,
    })
}

fn pat_name(pat: &syn::Pat) -> Option<Ident> {
    match pat {
        syn::Pat::Ident(name) => Some(name.ident.clone()),
        _ => None,
    }
}

fn takes_reference(arguments: &PathArguments) -> bool {
    matches!(arguments, PathArguments::AngleBracketed(arguments) if arguments.args.iter().any(|argument| {
        matches!(argument, syn::GenericArgument::Type(ty) if matches!(ungrouped(ty), Type::Reference(_)))
    }))
}

fn is_unit(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}
