use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Token;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};

use crate::errors::Errors;

/// What a macro calls itself and its arguments in messages.
pub(crate) struct Known {
    /// The attribute, such as `#[event]`.
    pub(crate) attribute: &'static str,
    /// The names of the arguments that it takes.
    pub(crate) arguments: &'static [&'static str],
    /// Those of them that may be given several times.
    pub(crate) repeatable: &'static [&'static str],
}

impl Known {
    fn list(&self) -> String {
        let quoted: Vec<String> = self.arguments.iter().map(|name| format!("`{name}`")).collect();
        match &quoted[..] {
            [] => "no arguments".to_owned(),
            [only] => only.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }
}

/// Reads the comma-separated arguments `tokens`. `read` gets the name of each known one and the input behind it; a mistake
/// in one does not hide the next.
pub(crate) fn read(
    tokens: TokenStream,
    known: &Known,
    errors: &mut Errors,
    mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    let parser = |input: ParseStream<'_>| {
        let mut seen = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any).map_err(|error| {
                let message = format!(
                    "expected an argument of `{}`, which takes {}",
                    known.attribute,
                    known.list()
                );
                syn::Error::new(error.span(), message)
            })?;
            if let Err(error) = one(&name, input, known, &mut seen, &mut read) {
                errors.push(error);
                skip(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.push(error);
    }
}

fn one(
    name: &Ident,
    input: ParseStream<'_>,
    known: &Known,
    seen: &mut Vec<Ident>,
    read: &mut impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    if !known.arguments.iter().any(|argument| name == argument) {
        let message = format!(
            "unknown argument `{name}`: `{}` takes {}",
            known.attribute,
            known.list()
        );
        return Err(syn::Error::new(name.span(), message));
    }
    if seen.contains(name) && !known.repeatable.iter().any(|argument| name == argument) {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` is given twice: keep one of them"),
        ));
    }
    seen.push(name.clone());
    read(name, input)
}

/// Goes on to the next argument.
fn skip(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
