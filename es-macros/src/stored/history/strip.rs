//! Takes the helper attributes out of the struct.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The struct without the attributes `#[name(…)]` before its fields. Works on bare tokens, so that it serves a half-typed struct too, and leaves
/// every other token in its place.
pub(crate) fn strip(item: &TokenStream, name: &str) -> TokenStream {
    item.clone()
        .into_iter()
        .map(|token| strip_fields(token, name))
        .collect()
}

/// A group is made anew only if there is something to leave out, as the places of its delimiters are lost with it.
fn strip_fields(token: TokenTree, name: &str) -> TokenTree {
    match token {
        TokenTree::Group(group)
            if group.delimiter() != Delimiter::Bracket
                && group.stream().into_iter().any(|token| is_helper(&token, name)) =>
        {
            let mut stripped = Group::new(group.delimiter(), without_helpers(group.stream(), name));
            stripped.set_span(group.span());
            stripped.into()
        }
        token => token,
    }
}

fn without_helpers(fields: TokenStream, name: &str) -> TokenStream {
    let mut tokens = fields.into_iter().peekable();
    let mut kept = TokenStream::new();
    while let Some(token) = tokens.next() {
        let pound = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        if !pound || tokens.next_if(|token| is_helper(token, name)).is_none() {
            kept.extend([token]);
        }
    }
    kept
}

/// Returns whether this is the `[name(…)]` of an attribute.
fn is_helper(token: &TokenTree, name: &str) -> bool {
    let TokenTree::Group(group) = token else { return false };
    if group.delimiter() != Delimiter::Bracket {
        return false;
    }
    let path = group
        .stream()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_)))
        .filter(|token| matches!(token, TokenTree::Ident(_)));
    path.last().is_some_and(|last| last.to_string() == name)
}
