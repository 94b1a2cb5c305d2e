//! The arguments of `#[event(…)]` and `#[entity(…)]` about names and shapes.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::token::Paren;
use syn::{LitInt, LitStr, Token, TypePath, parenthesized};

use crate::errors::Errors;
use crate::message::Words;
use crate::runtime::Runtime;
use crate::stored_name;

/// As they are written.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<Version>,
    pub(super) from: Vec<OldShape>,
    /// The content of the parentheses of each `removed(…)`.
    pub(super) removed: Vec<TokenStream>,
    pub(super) aliases: Vec<LitStr>,
}

/// A version with its place.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) span: Span,
}

/// The type that `from = …` or `try_from = …` names.
pub(crate) struct OldShape {
    /// `from` or `try_from`.
    pub(crate) argument: Ident,
    pub(crate) ty: TypePath,
    /// The last segment, where an error about it is reported.
    pub(crate) ident: Ident,
}

impl OldShape {
    /// Returns whether the step from it can fail.
    pub(crate) fn is_fallible(&self) -> bool {
        self.argument == "try_from"
    }
}

impl Arguments {
    /// Reads the one of this name.
    pub(crate) fn read(&mut self, argument: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match argument.unraw().to_string().as_str() {
            "name" => self.name = Some(stored_name::parse(argument, input)?),
            "alias" => self.aliases.push(stored_name::parse(argument, input)?),
            "version" => self.version = Some(Version::parse(argument, input)?),
            "removed" if input.peek(Paren) => {
                let content;
                parenthesized!(content in input);
                self.removed.push(content.parse()?);
            }
            "removed" => {
                let message = "expected the field as it was: `removed(note: String, since = 2)`";
                return Err(syn::Error::new(argument.span(), message));
            }
            "from" | "try_from" => self.from.push(OldShape::parse(argument, input)?),
            _ => self.runtime = Runtime::parse(input)?,
        }
        Ok(())
    }

    /// Reports aliases that say nothing.
    pub(super) fn check_aliases(&self, name: &LitStr, words: &Words, errors: &mut Errors) {
        for (index, alias) in self.aliases.iter().enumerate() {
            let value = alias.value();
            if value == name.value() {
                errors.at(
                    alias,
                    format!(
                        "{value:?} is the {}'s own name: an alias is a name that it had before, so remove this one",
                        words.name
                    ),
                );
            } else if self.aliases[..index].iter().any(|other| other.value() == value) {
                errors.at(alias, format!("the alias {value:?} is given twice: keep one of them"));
            } else {
                stored_name::check_given(alias, errors);
            }
        }
    }
}

impl Version {
    /// Reads the `= n` of `version = n` or `since = n`.
    pub(super) fn parse(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        let expected = |span| syn::Error::new(span, format!("expected a whole number: `{argument} = 2`"));
        let equals: Option<Token![=]> = input.parse()?;
        if equals.is_none() || input.is_empty() {
            return Err(expected(argument.span()));
        }
        let literal: LitInt = input.parse().map_err(|error| expected(error.span()))?;
        let number = literal.base10_parse().map_err(|_| expected(literal.span()))?;
        Ok(Self {
            number,
            span: literal.span(),
        })
    }
}

impl OldShape {
    fn parse(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        let expected = |span| {
            let message = format!("expected the struct of the version before: `{argument} = OpenedV1`");
            syn::Error::new(span, message)
        };
        let equals: Option<Token![=]> = input.parse()?;
        if equals.is_none() || input.is_empty() {
            return Err(expected(argument.span()));
        }
        let ty: TypePath = input.parse().map_err(|error| expected(error.span()))?;
        let ident = ty.path.segments.last().map(|segment| segment.ident.clone());
        let ident = ident.ok_or_else(|| expected(argument.span()))?;
        Ok(Self {
            argument: argument.clone(),
            ty,
            ident,
        })
    }
}
