//! From the items of the block to the model: each method on its own, and none for a command or event that has one.

use syn::{Attribute, Meta};

use super::apply::Apply;
use super::handler::Handler;
use super::listed::Listed;
use super::model::Block;
use super::retired::Retired;
use crate::errors::Errors;
use crate::helper;
use crate::impl_block::{Member, Method};

/// The role that a method's helper attribute gives it.
#[derive(Clone, Copy)]
enum Role {
    Handler,
    Apply,
    Retired,
}

/// The number of methods marked for each role, whether or not they make sense.
#[derive(Default)]
pub(super) struct Marked {
    pub(super) handlers: usize,
    pub(super) applies: usize,
}

impl Block {
    /// Adds the methods that are marked.
    pub(super) fn read_methods(&mut self, members: &[Member], errors: &mut Errors) -> Marked {
        let mut marked = Marked::default();
        for member in members {
            match member {
                Member::Method(method) => self.read_method(method, &mut marked, errors),
                Member::Item(attrs) => refuse_helpers(attrs, errors),
                Member::Macro(item) => refuse_helpers(&item.attrs, errors),
            }
        }
        marked
    }

    fn read_method(&mut self, method: &Method, marked: &mut Marked, errors: &mut Errors) {
        let Method { attrs, sig, .. } = method;
        let role = role(attrs, errors);
        if matches!(role, Some(Role::Apply | Role::Retired)) {
            self.fold.add(method);
        }
        match role {
            Some(Role::Handler) => {
                marked.handlers += 1;
                if let Some(handler) = Handler::parse(sig, attrs, &self.aggregate, errors)
                    && is_first(
                        &handler.command,
                        self.handlers.iter().map(|other| &other.command),
                        Role::Handler,
                        errors,
                    )
                {
                    self.handlers.push(handler);
                }
            }
            Some(Role::Apply) => {
                marked.applies += 1;
                if let Some(apply) = Apply::parse(sig, attrs, &self.aggregate, errors)
                    && is_first(
                        &apply.event,
                        self.applies.iter().map(|other| &other.event),
                        Role::Apply,
                        errors,
                    )
                {
                    self.applies.push(apply);
                }
            }
            Some(Role::Retired) => {
                if let Some(retired) = Retired::parse(sig, attrs, &self.aggregate, errors)
                    && is_first(
                        &retired.event,
                        self.retired.iter().map(|other| &other.event),
                        Role::Retired,
                        errors,
                    )
                {
                    self.retired.push(retired);
                }
            }
            None => {}
        }
    }
}

fn role(attrs: &[Attribute], errors: &mut Errors) -> Option<Role> {
    let mut found: Option<(Role, &str)> = None;
    for attribute in attrs {
        let Some(name) = helper::name(attribute) else {
            refuse_conditional(attribute, errors);
            continue;
        };
        match found {
            Some((_, first)) if first == name => {
                errors.at(attribute, format!("`#[{name}]` is given twice: keep one of them"));
            }
            Some(_) => errors.at(
                attribute,
                "a method decides a command, applies an event, or replaces a retired one: keep one of `#[handle]`, `#[apply]` and `#[retired]`",
            ),
            None if name == "handle" => found = Some((Role::Handler, name)),
            None if name == "apply" => found = Some((Role::Apply, name)),
            None => found = Some((Role::Retired, name)),
        }
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(
                &attribute.meta,
                format!("`#[{name}]` takes no arguments: write `#[{name}]`"),
            );
        }
    }
    found.map(|(role, _)| role)
}

/// Reports a helper attribute inside `cfg_attr`, which is not evaluated yet.
fn refuse_conditional(attribute: &Attribute, errors: &mut Errors) {
    if let Meta::List(list) = &attribute.meta
        && attribute.path().is_ident("cfg_attr")
    {
        let helper = list
            .tokens
            .clone()
            .into_iter()
            .find(|token| helper::NAMES.contains(&token.to_string().as_str()));
        if let Some(name) = helper {
            errors.at(
                &name,
                format!("write `#[cfg(…)]` and `#[{name}]`: `#[aggregate]` does not see what `cfg_attr` adds"),
            );
        }
    }
}

fn refuse_helpers(attrs: &[Attribute], errors: &mut Errors) {
    for attribute in attrs {
        if let Some(name) = helper::name(attribute) {
            errors.at(attribute, format!("`#[{name}]` goes on a method"));
        }
    }
}

/// Returns whether no method before takes the same type. Reports both places if one does.
fn is_first<'a>(new: &Listed, mut before: impl Iterator<Item = &'a Listed>, role: Role, errors: &mut Errors) -> bool {
    let Some(first) = before.find(|first| first.variant == new.variant && first.meets(new)) else {
        return true;
    };
    let name = &new.variant;
    let (noun, attribute, verb) = match role {
        Role::Handler => ("command", "a `#[handle]`", "handled"),
        Role::Apply => ("event", "an `#[apply]`", "applied"),
        Role::Retired => ("event", "a `#[retired]`", "retired"),
    };
    if first.text == new.text {
        errors.at(
            &new.ty,
            format!("{noun} `{name}` has {attribute} method already: keep one of them"),
        );
        errors.at(&first.ty, format!("`{name}` is first {verb} here"));
    } else {
        errors.at(
            &new.ty,
            format!(
                "two {noun}s of this aggregate are named `{name}`: import one under another name with `use … as …`"
            ),
        );
        errors.at(&first.ty, format!("the first `{name}` is {verb} here"));
    }
    false
}
