use proc_macro2::{Ident, Span};

/// A variable of generated code that is bound with `span`, at a place where the compiler is to report what is wrong with its value.
/// Nothing else is taken from the token there: a block that `macro_rules!` writes mixes tokens of its own with fragments, and
/// variables of one kind are unknown under the span of the other.
pub(crate) fn local(name: &str, span: Span, place: Span) -> Ident {
    Ident::new(name, span.located_at(place))
}
