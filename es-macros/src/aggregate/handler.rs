use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, ReturnType, Signature, Type, parse_quote};

use super::listed::{Listed, ungrouped};
use super::signature::{self, This, arguments, first_argument, last_segment};
use crate::errors::Errors;

/// A method with `#[handle]`.
pub(crate) struct Handler {
    pub(crate) method: Ident,
    pub(crate) on: On,
    pub(crate) command: Listed,
    /// The type `&Context`, if it takes that.
    pub(crate) context: Option<Type>,
    /// What it returns; `()` if nothing is written.
    pub(crate) returns: Type,
}

/// What the stream must be.
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
        let mut returns = match &signature.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => ungrouped(ty).clone(),
        };
        if let Type::ImplTrait(ty) = &returns {
            errors.at(ty, "the type that a handler returns must be named: an event, `Option`, a tuple, an array or a `Vec` of events, or a `Result` of one of these");
            returns = parse_quote!(());
        }
        let Some((command, others)) = commands.split_first() else {
            let method = &signature.ident;
            errors.at(
                method,
                format!(
                    "handler `{method}` takes no command: add a parameter `command: {}`",
                    pascal_case(method)
                ),
            );
            return None;
        };
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

    /// Whether a command on it can create the aggregate.
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
