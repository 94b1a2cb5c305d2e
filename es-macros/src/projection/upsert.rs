//! A method that takes the row that there may be: `this: Option<Self>`.

use syn::{Signature, Type};

use super::apply::is_wrapped;
use crate::aggregate::listed::ungrouped;
use crate::aggregate::signature::{first_argument, last_segment};
use crate::errors::Errors;

/// Checks what stands in the receiver's place, and what is returned, as far as it is plain from its text; the rest is left to the
/// compiler.
pub(super) fn check(this: &Type, returned: Option<&Type>, signature: &Signature, errors: &mut Errors) {
    let borrows = last_segment(this).and_then(first_argument);
    if borrows.is_some_and(|ty| matches!(ungrouped(ty), Type::Reference(_))) {
        let message =
            "an apply gives the row back that it takes: take it by value, `this: Option<Self>`, and return `Self`";
        return errors.at(this, message);
    }
    match returned {
        None => errors.at(
            &signature.ident,
            "an apply with `this: Option<Self>` gives the row back: return `Self`, or `Option<Self>` to delete it or make none",
        ),
        Some(ty) if is_wrapped(ty, "Result") => {
            errors.at(ty, "an event is a fact and cannot be refused: return `Self`, or `Option<Self>`");
        }
        Some(_) => {}
    }
}
