use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{LitInt, LitStr, Token, parenthesized, token};

use crate::args::{self, Known};
use crate::errors::Errors;

const KNOWN: Known<'_> = Known {
    attribute: "#[es(snapshot(…))]",
    arguments: &["every", "after", "version"],
    repeatable: &[],
};

/// The argument `snapshot` or `snapshot(…)`.
pub(crate) struct Snapshot {
    /// The word itself, to which a state that cannot be kept is reported.
    pub(crate) word: Ident,
    /// The number of events from one to the next.
    pub(crate) every: Option<u64>,
    /// The milliseconds of replay after which one is written.
    pub(crate) after: Option<u64>,
    pub(crate) version: Option<u32>,
}

impl Snapshot {
    /// Reads what follows the word.
    pub(crate) fn parse(word: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let mut snapshot = Self {
            word: word.clone(),
            every: None,
            after: None,
            version: None,
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(snapshot);
        }
        if !input.peek(token::Paren) {
            return Err(syn::Error::new(
                word.span(),
                "expected `snapshot` or `snapshot(every = 100)`",
            ));
        }
        let arguments;
        parenthesized!(arguments in input);
        args::read(arguments.parse::<TokenStream>()?, &KNOWN, errors, |argument, input| {
            match argument.to_string().as_str() {
                "every" => snapshot.every = Some(every(argument, input)?),
                "after" => snapshot.after = Some(after(argument, input)?),
                _ => snapshot.version = Some(version(argument, input)?),
            }
            Ok(())
        });
        Ok(snapshot)
    }
}

fn every(argument: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    let number: LitInt = value(argument, input, "a number of events: `every = 100`")?;
    match number.base10_parse() {
        Ok(0) => Err(syn::Error::new(
            number.span(),
            "a snapshot comes after one event or more: write `every = 100`, or no `every` to write them by hand",
        )),
        every => every,
    }
}

fn after(argument: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    const EXPECTED: &str = "a time of replay in quotes, in `ms` or `s`: `after = \"50ms\"`";
    let text: LitStr = value(argument, input, EXPECTED)?;
    let written = text.value();
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|number| *number > 0);
    let millis = match (written.strip_suffix("ms"), written.strip_suffix('s')) {
        (Some(millis), _) => number(millis),
        (None, Some(seconds)) => number(seconds).and_then(|seconds| seconds.checked_mul(1_000)),
        (None, None) => None,
    };
    millis.ok_or_else(|| syn::Error::new(text.span(), format!("expected {EXPECTED}")))
}

fn version(argument: &Ident, input: ParseStream<'_>) -> syn::Result<u32> {
    let number: LitInt = value(argument, input, "a number: `version = 2`")?;
    number.base10_parse()
}

/// Reads the `= …` of an argument.
fn value<T: syn::parse::Parse>(argument: &Ident, input: ParseStream<'_>, expected: &str) -> syn::Result<T> {
    let error = |span| syn::Error::new(span, format!("expected {expected}"));
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(error(argument.span()));
    }
    input.parse().map_err(|unread: syn::Error| error(unread.span()))
}
