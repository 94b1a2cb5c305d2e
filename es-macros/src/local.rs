use proc_macro2::{Ident, Span};

/// A variable of generated code, with the place at which the compiler reports what is wrong with its value. It has nothing else of
/// the tokens there: those of a block that `macro_rules!` writes may be its own or a fragment's, and variables of one are unknown to
/// the other.
pub(crate) fn local(name: &str, place: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(place))
}
