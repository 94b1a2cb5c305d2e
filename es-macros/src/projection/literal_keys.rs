//! Keys that do not depend on the event.

use proc_macro2::Ident;
use syn::{Expr, ExprLit, Lit};

use super::apply::Keys;
use crate::errors::Errors;

/// Reports keys that are written out: most likely they were to name a field of the event, which the method calls `event`.
pub(super) fn refuse_literals(keys: &Keys, event: &Ident, errors: &mut Errors) {
    let (Keys::One(expr) | Keys::Several(expr)) = keys else {
        return;
    };
    for literal in literals(expr) {
        let field = match &literal.lit {
            Lit::Str(text) => syn::parse_str::<Ident>(&text.value()).ok(),
            _ => None,
        };
        let field = field.map_or_else(|| "…".to_owned(), |field| field.to_string());
        let way_out = match keys {
            Keys::Several(_) => format!("keys = [{event}.{field}]"),
            _ => format!("key = {event}.{field}"),
        };
        let message = format!(
            "this key is the same for every event: for a field write `{way_out}`; if all events are to share a row, name its key in a constant"
        );
        errors.at(literal, message);
    }
}

/// The literals that the value of the expression is, or that stand in its list.
fn literals(expr: &Expr) -> Vec<&ExprLit> {
    match expr {
        Expr::Lit(literal) => vec![literal],
        Expr::Array(list) => list.elems.iter().flat_map(literals).collect(),
        Expr::Group(inner) => literals(&inner.expr),
        Expr::Paren(inner) => literals(&inner.expr),
        Expr::Reference(inner) => literals(&inner.expr),
        _ => Vec::new(),
    }
}
