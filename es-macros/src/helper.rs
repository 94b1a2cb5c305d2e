//! `#[handle]`, `#[apply]`, `#[retired]`, `#[on]` and `#[publish]`: real attributes that do nothing, so that an IDE knows them and an import of them is used.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Attribute;

use crate::errors::Errors;

/// The argument that `#[aggregate]` adds to helpers in its block, which tells the attribute that it is inside one.
const INSIDE: &str = "__in_aggregate";

/// The helper attributes by name.
pub(crate) const NAMES: [&str; 5] = ["handle", "apply", "retired", "on", "publish"];

/// The name of a helper attribute: the last segment of its path.
pub(crate) fn name(attribute: &Attribute) -> Option<&'static str> {
    let last = &attribute.path().segments.last()?.ident;
    NAMES.into_iter().find(|name| last == name)
}

/// The attribute itself, run by the compiler after `#[aggregate]`.
pub(crate) fn attribute(name: &str, args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if !args
        .into_iter()
        .any(|token| matches!(token, TokenTree::Ident(ident) if ident == INSIDE))
    {
        let message = match name {
            "apply" => "`#[apply]` marks a method of an aggregate or a projection: add `#[aggregate]` or `#[projection]` to the impl block, which do not see methods that a macro in it writes".to_owned(),
            "on" => "`#[on]` marks a method of a process manager: add `#[process_manager]` to the impl block, which does not see methods that a macro in it writes".to_owned(),
            "publish" => "`#[publish]` marks a method of a publication: add `#[publication]` to the impl block, which does not see methods that a macro in it writes".to_owned(),
            name => format!("`#[{name}]` marks a method of an aggregate: add `#[aggregate]` to the impl block, which does not see methods that a macro in it writes"),
        };
        errors.push(syn::Error::new(Span::call_site(), message));
    }
    quote!(#item #errors)
}

/// Returns whether a helper attribute stands in the tokens.
pub(crate) fn mentions(tokens: TokenStream) -> bool {
    let mut before = None;
    tokens.into_iter().any(|token| {
        let before = std::mem::replace(&mut before, as_punct(&token));
        match token {
            TokenTree::Group(group) if before == Some('#') => {
                let names = |token: TokenTree| matches!(&token, TokenTree::Ident(ident) if NAMES.iter().any(|name| ident == name));
                group.stream().into_iter().any(names)
            }
            TokenTree::Group(group) => mentions(group.stream()),
            _ => false,
        }
    })
}

/// The impl block with each helper attribute in it marked as inside. Works on bare tokens, so that it serves half-typed
/// blocks too, and leaves every token of the user in its place.
pub(crate) fn mark(block: TokenStream) -> TokenStream {
    block
        .into_iter()
        .map(|token| in_group(token, Delimiter::Brace, mark_attributes))
        .collect()
}

fn mark_attributes(body: TokenStream) -> TokenStream {
    let mut before = None;
    body.into_iter()
        .map(|token| {
            let before = std::mem::replace(&mut before, as_punct(&token));
            match before {
                Some('#') => in_group(token, Delimiter::Bracket, mark_attribute),
                // Input of a macro, which `#[aggregate]` reports.
                Some('!') => in_any_group(token, mark_attributes),
                _ => token,
            }
        })
        .collect()
}

/// Turns `handle` into `handle(__in_aggregate)`.
fn mark_attribute(attribute: TokenStream) -> TokenStream {
    let inside = Ident::new(INSIDE, Span::call_site());
    let mut tokens = attribute.into_iter().peekable();
    let mut marked = TokenStream::new();
    while let Some(token) = tokens.next() {
        let helper = matches!(&token, TokenTree::Ident(ident) if NAMES.iter().any(|name| ident == name));
        let token = if helper {
            token
        } else {
            in_group(token, Delimiter::Parenthesis, mark_attribute)
        };
        marked.extend([token]);
        if !helper {
            continue;
        }
        let args = tokens
            .next_if(|next| matches!(next, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis));
        match args {
            Some(args) => marked.extend([in_group(args, Delimiter::Parenthesis, |args| {
                let comma = (!args.is_empty()).then(|| quote!(,));
                quote!(#args #comma #inside)
            })]),
            None if matches!(tokens.peek(), None | Some(TokenTree::Punct(_))) => marked.extend(quote!((#inside))),
            None => {}
        }
    }
    marked
}

fn as_punct(token: &TokenTree) -> Option<char> {
    match token {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    }
}

/// Changes what is in the group, if `token` is one with these delimiters.
fn in_group(token: TokenTree, delimiter: Delimiter, change: impl FnOnce(TokenStream) -> TokenStream) -> TokenTree {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => in_any_group(group.into(), change),
        token => token,
    }
}

/// Changes what is in the group, if `token` is one.
fn in_any_group(token: TokenTree, change: impl FnOnce(TokenStream) -> TokenStream) -> TokenTree {
    match token {
        TokenTree::Group(group) => {
            let mut changed = Group::new(group.delimiter(), change(group.stream()));
            changed.set_span(group.span());
            TokenTree::Group(changed)
        }
        token => token,
    }
}
