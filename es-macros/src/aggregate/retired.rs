use proc_macro2::Ident;
use syn::{Attribute, ReturnType, Signature, Type, parse_quote};

use super::handler::{collect_events, pascal_case};
use super::listed::{Listed, ungrouped};
use super::signature::{self, This};
use crate::errors::Errors;

/// A method with `#[retired]`.
pub(crate) struct Retired {
    pub(crate) method: Ident,
    pub(crate) event: Listed,
    /// The type that the event is read as; `()` if none is written.
    pub(crate) returns: Type,
}

impl Retired {
    /// Reads a method. `None` if it does not say which event it is for.
    pub(crate) fn parse(
        signature: &Signature,
        attrs: &[Attribute],
        aggregate: &Type,
        errors: &mut Errors,
    ) -> Option<Self> {
        signature::plain(signature, "a retired event's method", errors);
        let method = &signature.ident;
        let (this, parameters) = This::of(signature, aggregate);
        if !matches!(this, This::Missing) {
            errors.at(
                &signature.inputs[0],
                "a retired event is replaced before anything is folded, so that there is no state: remove the receiver",
            );
        }
        if parameters.is_empty() {
            let message = format!(
                "retired `{method}` takes no event: add a parameter `old: {}`",
                pascal_case(method)
            );
            errors.at(method, message);
            return None;
        }
        let (event, others) = signature::listed_first(&parameters, signature::not_an_event, errors)?;
        for other in others {
            errors.at(
                other,
                "a retired event's method takes that event and nothing else: remove this parameter",
            );
        }
        if let Type::Reference(_) = event {
            errors.at(event, "take the event by value, without `&`");
            return None;
        }
        let listed = Listed::new(event, attrs);
        if listed.is_none() {
            errors.at(event, "a retired event is a struct marked with `#[event]`");
        }
        Some(Self {
            method: method.clone(),
            event: listed?,
            returns: match &signature.output {
                ReturnType::Default => parse_quote!(()),
                ReturnType::Type(_, ty) => ungrouped(ty).clone(),
            },
        })
    }

    /// The types of the events that it returns, as far as they are written out.
    pub(crate) fn returned_events(&self) -> Vec<&Type> {
        let mut events = Vec::new();
        collect_events(&self.returns, &mut events);
        events
    }
}
