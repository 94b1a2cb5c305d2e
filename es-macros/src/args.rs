use std::ops::RangeInclusive;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{LitInt, Token};

use crate::errors::Errors;
use crate::runtime::Runtime;

/// The names that a macro uses for itself and its arguments in messages.
pub(crate) struct Known<'a> {
    /// The attribute, such as `#[event]`.
    pub(crate) attribute: &'a str,
    /// The names of the arguments that it takes.
    pub(crate) arguments: &'static [&'static str],
    /// Those of them that may be given several times.
    pub(crate) repeatable: &'static [&'static str],
}

impl Known<'_> {
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
/// in one does not hide the next. Returns whether there was none.
pub(crate) fn read(
    tokens: TokenStream,
    known: &Known<'_>,
    errors: &mut Errors,
    mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> bool {
    let (mut sound, mut seen) = (true, Vec::new());
    let parser = |input: ParseStream<'_>| {
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
                sound = false;
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
        sound = false;
    }
    if known.arguments.contains(&"crate")
        && !seen.iter().any(|name| name == "crate")
        && let Some(name) = Runtime::renamed()
    {
        let message = format!(
            "es-runtime is called `{name}` in this crate: say `crate = ::{name}` in `{}`",
            known.attribute
        );
        errors.push(syn::Error::new(Span::call_site(), message));
    }
    sound
}

/// Reads the arguments of an impl block, which takes `crate = …` alone.
pub(crate) fn runtime(tokens: TokenStream, known: &Known<'_>, errors: &mut Errors) -> Runtime {
    let mut runtime = Runtime::default();
    read(tokens, known, errors, |_, input| {
        runtime = Runtime::parse(input)?;
        Ok(())
    });
    runtime
}

fn one(
    name: &Ident,
    input: ParseStream<'_>,
    known: &Known<'_>,
    seen: &mut Vec<Ident>,
    read: &mut impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    if !known.arguments.iter().any(|argument| name == argument) {
        let message = match elsewhere(known.attribute, &name.to_string()) {
            Some(place) => format!("`{}` takes no `{name}`: {place}", known.attribute),
            None => format!(
                "unknown argument `{name}`: `{}` takes {}",
                known.attribute,
                known.list()
            ),
        };
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

/// Where the argument goes that `attribute` does not take.
fn elsewhere(attribute: &str, argument: &str) -> Option<&'static str> {
    Some(match (attribute, argument) {
        ("#[aggregate]", "name") => "write `#[es(name = \"…\")]` on the struct, below `#[derive(Aggregate)]`",
        ("#[aggregate]", "id") => "write `#[es(id = …)]` on the struct, below `#[derive(Aggregate)]`",
        ("#[aggregate]", "foreign") => "write `#[es(id = …, foreign)]` on the struct, below `#[derive(Aggregate)]`",
        ("#[es(…)]", "vis") => "write `#[aggregate(vis = …)]` on the impl block",
        ("#[projection]" | "#[projection] impl", "key" | "keys") => {
            "write `#[apply(key = event.…)]` on the methods whose rows have another key than the id of the event's stream"
        }
        (
            "#[projection] impl",
            "name" | "version" | "segments" | "index" | "schema" | "inline" | "park" | "park_alone" | "memory" | "live",
        ) => "it goes on the struct, which has a `#[projection(…)]` of its own",
        ("#[process_manager] impl", "name" | "id" | "version" | "from" | "try_from" | "removed") => {
            "it goes on the struct, which has a `#[process_manager(…)]` of its own"
        }
        ("#[process_manager]" | "#[process_manager] impl", "key") => {
            "write `#[on(key = event.…)]` on the methods whose event is not of the stream with the instance's id"
        }
        ("#[publication] impl", "name" | "topic" | "version" | "source" | "park" | "park_alone") => {
            "it goes on the struct, which has a `#[publication(…)]` of its own"
        }
        ("#[publication]" | "#[publication] impl", "key") => {
            "write `#[publish(key = event.…)]` on the methods whose messages are in order within another key than the id of the event's stream"
        }
        _ => return None,
    })
}

/// Goes on to the next argument.
fn skip(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// A number in this range, or an error that says what was `expected`.
pub(crate) fn number(
    argument: &Ident,
    input: ParseStream<'_>,
    range: RangeInclusive<u32>,
    expected: &str,
) -> syn::Result<u32> {
    let expected = |span| syn::Error::new(span, expected);
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(expected(argument.span()));
    }
    let number: LitInt = input.parse().map_err(|error| expected(error.span()))?;
    match number.base10_parse() {
        Ok(parsed) if range.contains(&parsed) => Ok(parsed),
        _ => Err(expected(number.span())),
    }
}

/// Reads the `= n` of `version = n`.
pub(crate) fn version(argument: &Ident, input: ParseStream<'_>) -> syn::Result<u32> {
    number(
        argument,
        input,
        1..=u32::MAX,
        "expected a whole number from 1: `version = 2`",
    )
}
