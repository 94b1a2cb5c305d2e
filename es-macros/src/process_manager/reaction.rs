use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Meta, Signature, Token, Type};

use super::signature::{Extra, Takes, name_of_first, name_of_meta, plain};
use crate::aggregate::handler::pascal_case;
use crate::aggregate::listed::{Listed, ungrouped};
use crate::aggregate::signature::{first_argument, last_segment};
use crate::errors::Errors;

/// A method with `#[on]`.
pub(crate) struct Reaction {
    pub(crate) method: Ident,
    pub(crate) takes: Takes,
    pub(crate) hears: Hears,
    /// The parameters behind that, in their order.
    pub(crate) extras: Vec<Extra>,
}

/// The input that a method hears.
pub(crate) enum Hears {
    Event {
        event: Listed,
        /// `key = …`; the id of the event's stream if there is none.
        key: Option<Expr>,
        /// The method's names for the event and the meta, which the key uses too.
        names: [Ident; 2],
    },
    Done(Listed),
    Failed(Listed),
    Due(Listed),
    /// The failures of these, and of every command of which the block hears nothing but the execution.
    AnyFailed {
        /// Where it stands.
        ty: Type,
        commands: Vec<Listed>,
    },
}

/// The arguments of `#[on(…)]`.
enum Given {
    Nothing,
    Key(Expr),
    Commands(Vec<Type>),
}

impl Reaction {
    /// Reads a method. `None` if it does not say what it hears.
    pub(crate) fn parse(signature: &Signature, attrs: &[Attribute], state: &Type, errors: &mut Errors) -> Option<Self> {
        plain(signature, errors);
        let (takes, parameters) = Takes::of(signature, state, errors);
        let Some((first, others)) = parameters.split_first() else {
            let method = &signature.ident;
            let message = format!(
                "`{method}` hears of nothing: add a parameter, such as `event: {}`",
                pascal_case(method)
            );
            errors.at(method, message);
            return None;
        };
        let given = given(attrs, errors);
        let hears = hears(first, attrs, (takes, given), signature, errors)?;
        let takes_meta = matches!(hears, Hears::Event { .. });
        if let (false, Takes::None | Takes::Maybe) = (takes_meta, takes) {
            errors.at(
                &signature.ident,
                "only an event begins an instance, and an answer or a timer is heard by a running one: take `&mut self` or `self`",
            );
        }
        Some(Self {
            method: signature.ident.clone(),
            takes,
            hears,
            extras: Extra::all(others, takes_meta, errors),
        })
    }

    pub(crate) fn begins(&self) -> bool {
        matches!(self.takes, Takes::None | Takes::Maybe)
    }
}

fn hears(
    first: &Type,
    attrs: &[Attribute],
    (takes, given): (Takes, Given),
    signature: &Signature,
    errors: &mut Errors,
) -> Option<Hears> {
    let last = last_segment(first);
    let name = last.map(|last| last.ident.to_string()).unwrap_or_default();
    if name == "AnyFailed" {
        let commands = match given {
            Given::Commands(commands) => commands,
            Given::Nothing => Vec::new(),
            Given::Key(key) => {
                errors.at(key, "a key finds the instance that an event is for: `AnyFailed` takes the commands, `#[on(Flag, Notify)]`");
                Vec::new()
            }
        };
        let listed = commands.iter().filter_map(|ty| listed(ty, attrs, "a command", errors));
        let commands = listed.collect();
        return Some(Hears::AnyFailed {
            ty: first.clone(),
            commands,
        });
    }
    if let Given::Commands(commands) = &given
        && let Some(command) = commands.first()
    {
        errors.at(
            command,
            "only `#[on]` of a method that takes `AnyFailed` lists commands: for an event, say `key = …`",
        );
    }
    let key = match given {
        Given::Key(key) => Some(key),
        Given::Nothing | Given::Commands(_) => None,
    };
    if let Some(inner) = last.and_then(first_argument)
        && ["Done", "Failed", "Due"].contains(&&*name)
    {
        if let Some(key) = key {
            errors.at(key, "a key finds the instance that an event is for: an answer or a timer is heard by its own instance, so remove it");
        }
        let what = if name == "Due" {
            "the value of a timer"
        } else {
            "a command"
        };
        let listed = listed(inner, attrs, what, errors)?;
        return Some(match &*name {
            "Done" => Hears::Done(listed),
            "Failed" => Hears::Failed(listed),
            _ => Hears::Due(listed),
        });
    }
    let event = listed(first, attrs, "an event", errors)?;
    let names = [
        name_of_first(signature, usize::from(takes == Takes::Maybe))
            .unwrap_or_else(|| Ident::new("event", Span::call_site())),
        name_of_meta(signature).unwrap_or_else(|| Ident::new("meta", Span::call_site())),
    ];
    Some(Hears::Event { event, key, names })
}

fn listed(ty: &Type, attrs: &[Attribute], what: &str, errors: &mut Errors) -> Option<Listed> {
    let ty = ungrouped(ty);
    if let Type::Reference(reference) = ty {
        errors.at(ty, "take it by value, without `&`");
        return Listed::new(&reference.elem, attrs);
    }
    let listed = Listed::new(ty, attrs);
    if listed.is_none() {
        let message = match what {
            "an event" => {
                "a reaction hears an event, `Done<…>` or `Failed<…>` of a command, `AnyFailed`, or `Due<…>` of a timer"
                    .to_owned()
            }
            what => format!("this is the name of a type that is {what}, without arguments"),
        };
        errors.at(ty, message);
    }
    listed
}

fn given(attrs: &[Attribute], errors: &mut Errors) -> Given {
    let is_on = |attribute: &&Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == "on");
    let mut given = Given::Nothing;
    for attribute in attrs.iter().filter(is_on) {
        let tokens = match &attribute.meta {
            Meta::Path(_) => continue,
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(pair) => {
                errors.at(&pair.value, "write `#[on(key = …)]`");
                continue;
            }
        };
        if let Some(read) = errors.ok(parse_given.parse2(tokens)) {
            given = read;
        }
    }
    given
}

fn parse_given(input: ParseStream<'_>) -> syn::Result<Given> {
    if input.is_empty() {
        return Ok(Given::Nothing);
    }
    if !(input.peek(syn::Ident) && input.peek2(Token![=])) {
        let only_name = input.fork().parse::<Ident>().ok().filter(|name| name == "key");
        if let Some(name) = only_name {
            input.parse::<TokenStream>()?;
            return Err(syn::Error::new(name.span(), "expected an expression: `key = event.…`"));
        }
        let commands = Punctuated::<Type, Token![,]>::parse_terminated(input)?;
        return Ok(Given::Commands(commands.into_iter().collect()));
    }
    let name: Ident = input.parse()?;
    if name != "key" {
        input.parse::<TokenStream>()?;
        let message = format!(
            "unknown argument `{name}`: `#[on]` takes `key = …` for an event, or the commands that `AnyFailed` hears of"
        );
        return Err(syn::Error::new(name.span(), message));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() {
        return Err(syn::Error::new(name.span(), "expected an expression: `key = event.…`"));
    }
    let key = input.parse()?;
    input.parse::<Option<Token![,]>>()?;
    if !input.is_empty() {
        let rest: TokenStream = input.parse()?;
        return Err(syn::Error::new_spanned(
            rest,
            "`#[on]` takes one key: an event is for one instance",
        ));
    }
    Ok(Given::Key(key))
}
