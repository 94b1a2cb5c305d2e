//! Fields that cannot be stored, as far as the text of their types shows.

use syn::{Attribute, Expr, Field, Fields, Lit, PathSegment, Type};

use crate::aggregate::listed::{shown, ungrouped};
use crate::aggregate::signature::{arguments, last_segment};
use crate::errors::Errors;

/// Reports them. Whether there are any. `noun` is whose fields they are, with its article.
pub(crate) fn check(fields: &Fields, noun: &str, errors: &mut Errors) -> bool {
    let mut broken = false;
    for field in fields.iter().filter(|field| is_stored_as_it_is(field)) {
        broken |= check_type(&field.ty, noun, errors);
    }
    broken
}

/// Containers of std that are stored as what they hold. Of any other type nothing is known.
const CONTAINERS: &[&str] = &[
    "Option", "Vec", "VecDeque", "HashMap", "HashSet", "BTreeMap", "BTreeSet", "Box", "Arc", "Rc",
];

fn check_type(ty: &Type, noun: &str, errors: &mut Errors) -> bool {
    let message = match ungrouped(ty) {
        Type::Reference(reference) => {
            format!(
                "{noun} owns its data: use {} instead of a reference",
                owned(&reference.elem)
            )
        }
        ty if is_unsized(ty) => format!("`{}` has no size of its own: use {}", shown(ty), owned(ty)),
        Type::Array(array) if length(&array.len).is_some_and(|length| length > 32) => {
            format!(
                "an array is stored up to a length of 32: use `Vec<{}>`",
                shown(&array.elem)
            )
        }
        Type::Ptr(_) | Type::FnPtr(_) => format!("`{}` has no stored form: {noun} holds plain data", shown(ty)),
        Type::Array(array) => return check_type(&array.elem, noun, errors),
        Type::Tuple(tuple) => {
            return tuple
                .elems
                .iter()
                .fold(false, |broken, ty| check_type(ty, noun, errors) | broken);
        }
        ty => return last_segment(ty).is_some_and(|last| check_container(last, noun, errors)),
    };
    errors.at(ty, message);
    true
}

fn check_container(container: &PathSegment, noun: &str, errors: &mut Errors) -> bool {
    if !CONTAINERS.iter().any(|name| container.ident == name) {
        return false;
    }
    if container.ident == "Rc" {
        errors.at(
            &container.ident,
            format!("{noun} is sent between threads: use `Arc` instead of `Rc`"),
        );
        return true;
    }
    let holds_unsized = ["Box", "Arc"].iter().any(|name| container.ident == name);
    let inner = arguments(container).filter(|ty| !(holds_unsized && is_unsized(ty)));
    inner.fold(false, |broken, ty| check_type(ty, noun, errors) | broken)
}

/// Returns whether a value of the type cannot be sent to another thread, or not be looked at from there.
pub(crate) fn stays_in_its_thread(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::Ptr(_) => true,
        Type::TraitObject(object) => !shown(object).contains("Send"),
        ty => last_segment(ty).is_some_and(|last| {
            ["Rc", "RefCell", "Cell", "UnsafeCell", "OnceCell"]
                .iter()
                .any(|name| last.ident == name)
                || arguments(last).any(stays_in_its_thread)
        }),
    }
}

fn is_unsized(ty: &Type) -> bool {
    match ty {
        Type::Slice(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}

/// The way in which the value behind a reference is held.
fn owned(ty: &Type) -> String {
    match ungrouped(ty) {
        Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
        Type::Slice(slice) => format!("`Vec<{}>`", shown(&slice.elem)),
        ty => format!("`{}` itself", shown(ty)),
    }
}

fn length(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(length) => length.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Returns whether no attribute leaves the field out, or has it stored in another way than its type's.
fn is_stored_as_it_is(field: &Field) -> bool {
    let other = |attribute: &Attribute| {
        let text = shown(&attribute.meta);
        attribute.path().is_ident("serde") && (text.contains("skip") || text.contains("with"))
            || attribute.path().is_ident("cfg")
            || attribute.path().is_ident("cfg_attr")
    };
    !field.attrs.iter().any(other)
}
