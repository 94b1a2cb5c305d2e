use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Type, parse_quote};

use super::listed::{Listed, is_plain, shown, ungrouped};
use super::signature::{self, This, arguments, first_argument, last_segment};
use crate::errors::Errors;

/// A method with `#[handle]`.
pub(crate) struct Handler {
    pub(crate) method: Ident,
    pub(crate) on: On,
    pub(crate) command: Listed,
    /// The type `&Context`, if it takes that.
    pub(crate) context: Option<Type>,
    /// The return type; `()` if none is written.
    pub(crate) returns: Type,
}

/// The state that the handler requires of the stream.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum On {
    New,
    Existing,
    Either,
}

impl Handler {
    /// Reads a method. `None` if it does not say which command it handles.
    pub(crate) fn parse(
        signature: &Signature,
        attrs: &[Attribute],
        aggregate: &Type,
        errors: &mut Errors,
    ) -> Option<Self> {
        signature::plain(signature, "a handler", errors);
        let (this, parameters) = This::of(signature, aggregate);
        let on = On::of(&this, errors);
        let (context, commands) = split_context(&parameters, errors);
        let returns = returned(&signature.output, errors);
        if commands.is_empty() {
            let method = &signature.ident;
            errors.at(
                method,
                format!(
                    "handler `{method}` takes no command: add a parameter `command: {}`",
                    pascal_case(method)
                ),
            );
            return None;
        }
        let not_a_command = |ty: &str| {
            format!(
                "a handler takes a command first, and `{ty}` cannot be one: make it a field of a struct with `#[command]`, and take that struct"
            )
        };
        let (command, others) = signature::listed_first(&commands, not_a_command, errors)?;
        for other in others {
            second_parameter(other, errors);
        }
        Some(Self {
            method: signature.ident.clone(),
            on,
            command: listed(command, attrs, errors)?,
            context,
            returns,
        })
    }

    /// The types of the events that it returns, as far as they are written out.
    pub(crate) fn returned_events(&self) -> Vec<&Type> {
        let mut events = Vec::new();
        collect_events(&self.returns, &mut events);
        events
    }

    /// `E` of `Result<_, E>`, if that is written out.
    pub(crate) fn refusal(&self) -> Option<&Type> {
        last_segment(&self.returns)
            .filter(|last| last.ident == "Result")
            .and_then(|last| arguments(last).nth(1))
    }
}

impl On {
    fn of(this: &This<'_>, errors: &mut Errors) -> Self {
        match this {
            This::Missing => return Self::New,
            This::Shared(_) => {}
            This::Mutable(receiver) => {
                errors.at(receiver, "a handler decides and changes nothing: take `&self`, and make the change in the `#[apply]` method of the event");
            }
            This::Other(receiver) => {
                errors.at(receiver, "a handler decides and changes nothing: take `&self`, or no receiver if the command creates the aggregate");
            }
            This::Named(named) => signature::not_a_receiver(named, "state", "`&self`", errors),
            This::Maybe(ty) => {
                let inner = last_segment(ty).and_then(first_argument);
                if !matches!(inner, Some(Type::Reference(inner)) if inner.mutability.is_none()) {
                    errors.at(ty, "a handler decides and changes nothing: take `Option<&Self>`");
                }
                return Self::Either;
            }
        }
        Self::Existing
    }

    /// Returns whether a command on it can create the aggregate.
    pub(crate) fn may_create(self) -> bool {
        self != Self::Existing
    }
}

/// The `&Context` among the parameters, and the others.
fn split_context<'a>(parameters: &[&'a Type], errors: &mut Errors) -> (Option<Type>, Vec<&'a Type>) {
    // A `Context` by value is a command of that name, unless there is another command.
    let has_command = parameters.iter().any(|ty| !is_context(ty));
    let is_context = |ty: &Type| is_context(ty) && (has_command || matches!(ty, Type::Reference(_)));
    let (contexts, commands): (Vec<&Type>, Vec<&Type>) = parameters.iter().copied().partition(|ty| is_context(ty));
    if let [context, others @ ..] = &contexts[..] {
        if !matches!(context, Type::Reference(reference) if reference.mutability.is_none()) {
            errors.at(context, "take the context by reference: `&Context`");
        } else if !parameters.last().is_some_and(|last| is_context(last)) {
            errors.at(context, "the context is the last parameter: put it behind the command");
        }
        for other in others {
            errors.at(other, "a handler takes one context: remove this parameter");
        }
    }
    (contexts.first().copied().cloned(), commands)
}

fn is_context(ty: &Type) -> bool {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    };
    last_segment(ty).is_some_and(|segment| segment.ident == "Context")
}

/// Parses the return type. Reports a type that its text does not explain, and assumes what is probably meant.
fn returned(output: &ReturnType, errors: &mut Errors) -> Type {
    let mut returned = match output {
        ReturnType::Default => return parse_quote!(()),
        ReturnType::Type(_, ty) => ungrouped(ty).clone(),
    };
    if let Type::ImplTrait(ty) = &returned {
        errors.at(ty, "the type that a handler returns must be named: an event, `Option`, a tuple, an array or a `Vec` of events, or a `Result` of one of these");
        return parse_quote!(());
    }
    give_by_value(&mut returned, errors);
    returned
}

/// Reports references to events, and refusals that are no errors, and replaces them.
fn give_by_value(ty: &mut Type, errors: &mut Errors) {
    match ty {
        Type::Group(group) => give_by_value(&mut group.elem, errors),
        Type::Paren(paren) => give_by_value(&mut paren.elem, errors),
        Type::Reference(reference) => {
            let inner = match ungrouped(&reference.elem) {
                Type::Slice(slice) => {
                    let elem = &slice.elem;
                    parse_quote!(::std::vec::Vec<#elem>)
                }
                inner => inner.clone(),
            };
            let written = shown(&inner).replace("::std::vec::", "");
            errors.at(
                &*reference,
                format!("a handler gives its events away: return `{written}` by value, without `&`"),
            );
            *ty = inner;
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|ty| give_by_value(ty, errors)),
        Type::Array(array) => give_by_value(&mut array.elem, errors),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last_mut() else {
                return;
            };
            let is_result = last.ident == "Result";
            let PathArguments::AngleBracketed(arguments) = &mut last.arguments else {
                return;
            };
            let types = arguments.args.iter_mut().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            for (index, ty) in types.enumerate() {
                if is_result && index == 1 {
                    check_refusal(ty, errors);
                } else {
                    give_by_value(ty, errors);
                }
            }
        }
        _ => {}
    }
}

/// Reports a refusal that is plainly no error type of the user's, and replaces it.
fn check_refusal(ty: &mut Type, errors: &mut Errors) {
    let refused = match ungrouped(ty) {
        Type::Reference(reference) => {
            let lasts = reference
                .lifetime
                .as_ref()
                .is_some_and(|lifetime| lifetime.ident == "static");
            !lasts || is_plain(&reference.elem)
        }
        Type::Tuple(_) | Type::Array(_) => true,
        Type::Path(_) => is_plain(ty) || last_segment(ty).is_some_and(is_boxed_trait),
        _ => false,
    };
    if refused {
        let message = format!(
            "`{}` cannot be a refusal: return an error of your own, `#[derive(Debug, thiserror::Error)] enum Refused {{ … }}`, so that whoever sends the command can tell why it was refused",
            shown(ty)
        );
        errors.at(&*ty, message);
        *ty = parse_quote!(::core::convert::Infallible);
    }
}

fn is_boxed_trait(segment: &PathSegment) -> bool {
    segment.ident == "Box" && matches!(first_argument(segment), Some(Type::TraitObject(_)))
}

/// Reports what stands behind the command and is not the context.
fn second_parameter(ty: &Type, errors: &mut Errors) {
    errors.at(
        ty,
        match ty {
            Type::Path(_) => "a handler takes one command: handle a second one in a method of its own, and take what else the decision needs from the command or from `&Context`",
            _ => "behind the command a handler takes only `&Context`: put what else the decision needs into the command",
        },
    );
}

fn listed(ty: &Type, attrs: &[Attribute], errors: &mut Errors) -> Option<Listed> {
    if let Type::Reference(reference) = ty {
        errors.at(ty, "take the command by value, without `&`");
        return Listed::new(&reference.elem, attrs);
    }
    let listed = Listed::new(ty, attrs);
    if listed.is_none() {
        errors.at(ty, "a handler takes a struct marked with `#[command]`");
    }
    listed
}

pub(super) fn collect_events<'a>(ty: &'a Type, events: &mut Vec<&'a Type>) {
    match ungrouped(ty) {
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| collect_events(ty, events)),
        Type::Array(array) => collect_events(&array.elem, events),
        ty => match last_segment(ty) {
            Some(segment) if ["Result", "Option", "Vec"].iter().any(|name| segment.ident == name) => {
                if let Some(inner) = first_argument(segment) {
                    collect_events(inner, events);
                }
            }
            _ => events.push(ty),
        },
    }
}

/// `open_account` as `OpenAccount`, to propose a type of that name; `…` if there can be none.
pub(crate) fn pascal_case(ident: &Ident) -> String {
    let mut name = String::new();
    for word in ident.unraw().to_string().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    if syn::parse_str::<Ident>(&name).is_ok() {
        name
    } else {
        "…".to_owned()
    }
}
