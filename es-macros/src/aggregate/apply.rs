use proc_macro2::Ident;
use syn::{Attribute, ReturnType, Signature, Type};

use super::handler::pascal_case;
use super::listed::{Listed, ungrouped};
use super::signature::{self, This, is_this, last_segment};
use crate::errors::Errors;

/// A method with `#[apply]`.
pub(crate) struct Apply {
    pub(crate) method: Ident,
    pub(crate) event: Listed,
    /// True if the event creates the state.
    pub(crate) creates: bool,
}

impl Apply {
    /// Reads a method. `None` if it does not say which event it applies.
    pub(crate) fn parse(
        signature: &Signature,
        attrs: &[Attribute],
        aggregate: &Type,
        errors: &mut Errors,
    ) -> Option<Self> {
        signature::plain(signature, "an apply", errors);
        let (this, parameters) = This::of(signature, aggregate);
        let creates = creates(&this, errors);
        if matches!(this, This::Missing | This::Mutable(_)) {
            returns(signature, creates, aggregate, errors);
        }
        if parameters.is_empty() {
            let method = &signature.ident;
            errors.at(
                method,
                format!(
                    "apply `{method}` takes no event: add a parameter `event: {}`",
                    pascal_case(method)
                ),
            );
            return None;
        }
        let (event, others) = signature::listed_first(&parameters, signature::not_an_event, errors)?;
        for other in others {
            errors.at(
                other,
                "an apply takes one event and nothing else: what it needs to know must be in the event",
            );
        }
        Some(Self {
            method: signature.ident.clone(),
            event: listed(event, attrs, errors)?,
            creates,
        })
    }
}

fn creates(this: &This<'_>, errors: &mut Errors) -> bool {
    match this {
        This::Missing => return true,
        This::Mutable(_) => {}
        This::Shared(receiver) => errors.at(receiver, "an apply changes the state: take `&mut self`"),
        This::Other(receiver) => errors.at(receiver, "an apply changes the state in place: take `&mut self`"),
        This::Named(named) => signature::not_a_receiver(named, "state", "`&mut self`", errors),
        This::Maybe(ty) => errors.at(
            ty,
            "an event either creates the state or changes it: take no receiver and return `Self`, or take `&mut self`",
        ),
    }
    false
}

/// Checks the return type as far as it is plain from its text; the rest is left to the compiler.
fn returns(signature: &Signature, creates: bool, aggregate: &Type, errors: &mut Errors) {
    let ty = match &signature.output {
        ReturnType::Type(_, ty) if !is_unit(ty) => ungrouped(ty),
        _ if creates => {
            let message =
                "without a receiver an apply creates the state: return `Self`, or take `&mut self` to change it";
            return errors.at(&signature.ident, message);
        }
        _ => return,
    };
    let wrapped = last_segment(ty).is_some_and(|segment| ["Result", "Option"].iter().any(|name| segment.ident == name));
    if wrapped && creates {
        errors.at(
            ty,
            "an event is a fact and cannot be refused: return `Self`, and refuse the command in its `#[handle]` method",
        );
    } else if !creates && wrapped {
        errors.at(ty, "an event is a fact and cannot be refused: return nothing, and refuse the command in its `#[handle]` method");
    } else if !creates && is_this(ty, aggregate) {
        errors.at(ty, "an apply with `&mut self` changes the state in place: return nothing, or remove the receiver if the event creates the state");
    } else if !creates {
        errors.at(
            ty,
            "an apply with `&mut self` changes the state in place: return nothing",
        );
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn listed(ty: &Type, attrs: &[Attribute], errors: &mut Errors) -> Option<Listed> {
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
