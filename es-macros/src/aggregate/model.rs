use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
use syn::parse::ParseStream;
use syn::{Item, Token, Type, Visibility, parse_quote};

use super::apply::Apply;
use super::fold::Fold;
use super::handler::{Handler, On};
use super::listed::text;
use super::methods::Marked;
use super::retired::Retired;
use super::signature::last_segment;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::impl_block::{ImplBlock, Member, refuse_macros};
use crate::message::refuse_generics_of_block;
use crate::runtime::Runtime;

const KNOWN: Known<'_> = Known {
    attribute: "#[aggregate]",
    arguments: &["vis", "crate"],
    repeatable: &[],
};

/// An impl block with `#[aggregate]`.
pub(crate) struct Block {
    pub(crate) runtime: Runtime,
    /// The aggregate as the block names it.
    pub(crate) aggregate: Type,
    /// Its name without a path.
    pub(crate) ident: Ident,
    /// The visibility of the generated enums.
    pub(crate) vis: Visibility,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) applies: Vec<Apply>,
    pub(crate) retired: Vec<Retired>,
    /// The methods by which stored events become state.
    pub(crate) fold: Fold,
    /// The names of the generated enums that a method takes for an event or a command of the user's.
    pub(crate) clashes: Vec<Ident>,
    /// True if the methods can be called as they are: false after an error.
    pub(crate) sound: bool,
    /// True if it is reported as a block that may be the second of its aggregate, and must not be in the way of the
    /// first.
    pub(crate) second: bool,
}

impl Block {
    /// Reads the block. `None` if there is too little of it to go on.
    pub(crate) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let ImplBlock { head, members } = inherent_impl(item, errors)?;
        let (mut runtime, mut vis) = (Runtime::default(), parse_quote!(pub));
        args::read(args, &KNOWN, errors, |argument, input| {
            if argument == "crate" {
                runtime = Runtime::parse(input)?;
            } else {
                vis = parse_vis(argument, input)?;
            }
            Ok(())
        });
        let mut block = Self {
            runtime,
            ident: last_segment(&head.self_ty)?.ident.clone(),
            aggregate: *head.self_ty,
            vis,
            handlers: Vec::new(),
            applies: Vec::new(),
            retired: Vec::new(),
            fold: Fold::default(),
            clashes: Vec::new(),
            sound: true,
            second: false,
        };
        let hidden = refuse_macros(&members, KNOWN.attribute, errors);
        let marked = block.read_methods(&members, errors);
        block.check_roles(errors);
        block.check_retired(errors);
        if !hidden {
            block.check_creation(&marked, errors);
        }
        // A macro may write what is missing, which is not a second block then.
        block.second &= !members.iter().any(|member| matches!(member, Member::Macro(_)));
        block.check_returned_events(errors);
        block.sound = errors.is_empty();
        let creates = block.applies.iter().any(|apply| apply.creates);
        if !block.sound && !block.second && (hidden || !creates || marked.applies > block.applies.len()) {
            block.take_as_applied();
        }
        Some(block)
    }

    pub(crate) fn event_enum(&self) -> Ident {
        self.generated("Event")
    }

    pub(crate) fn command_enum(&self) -> Ident {
        self.generated("Command")
    }

    fn generated(&self, noun: &str) -> Ident {
        let name = format_ident!("{}{noun}", self.ident);
        if self.clashes.contains(&name) {
            return format_ident!("__{name}");
        }
        name
    }

    /// Reports that nothing creates the aggregate, unless it may be a method that could not be read.
    fn check_creation(&mut self, marked: &Marked, errors: &mut Errors) {
        let ident = &self.ident;
        let is_created_by_command = self.handlers.iter().any(|handler| handler.on.may_create());
        let is_created_by_event = self.applies.iter().any(|apply| apply.creates);
        let all_read = marked.handlers == self.handlers.len() && marked.applies == self.applies.len();
        let handler = "`#[handle] fn open(command: Open) -> Opened`";
        let apply = "`#[apply] fn opened(event: Opened) -> Self`";
        // One that misses all of a kind may be the second block of its aggregate.
        let one_block = "; or, as an aggregate has one `#[aggregate]` block, move the methods of this one to the other";
        if all_read && !is_created_by_command && !is_created_by_event {
            let what = match marked.handlers + marked.applies {
                0 => format!("aggregate `{ident}` has no `#[handle]` and no `#[apply]` method"),
                _ => format!("nothing in this block creates `{ident}`"),
            };
            let message = format!("{what}: add {handler} and {apply}, with a command and an event of yours{one_block}");
            self.second = true;
            return errors.at(&self.aggregate, message);
        }
        if marked.handlers == self.handlers.len() && !is_created_by_command {
            let hint = if marked.handlers == 0 { one_block } else { "" };
            let message = format!("no command creates `{ident}`: add a handler without a receiver, {handler}{hint}");
            errors.at(&self.aggregate, message);
        }
        if marked.applies == self.applies.len() && !is_created_by_event {
            self.second = marked.applies == 0;
            let hint = if self.second { one_block } else { "" };
            let message = format!("no event creates `{ident}`: add an apply without a receiver, {apply}{hint}");
            errors.at(&self.aggregate, message);
        }
    }

    /// Reports events that are both retired and applied, and takes them for applied.
    fn check_retired(&mut self, errors: &mut Errors) {
        self.retired.retain(|retired| {
            let name = &retired.event.variant;
            let Some(apply) = self
                .applies
                .iter()
                .find(|apply| apply.event.variant == *name && apply.event.meets(&retired.event))
            else {
                return true;
            };
            errors.at(
                &retired.event.ty,
                format!(
                    "`{name}` is applied and cannot be retired too: keep one of its `#[apply]` and `#[retired]` methods"
                ),
            );
            errors.at(&apply.event.ty, format!("`{name}` is applied here"));
            false
        });
    }

    /// The method that applies the event, as far as the text of its type shows it.
    pub(crate) fn apply_of(&self, event: &Type) -> Option<&Apply> {
        let text = text(event);
        self.applies.iter().find(|apply| apply.event.text == text)
    }

    /// Reports events that cannot be folded where their handler returns them, as far as the text shows it.
    fn check_returned_events(&self, errors: &mut Errors) {
        if !self.applies.iter().any(|apply| apply.creates) {
            return;
        }
        for handler in &self.handlers {
            for (index, event) in handler.returned_events().into_iter().enumerate() {
                let Some(apply) = self.apply_of(event) else {
                    continue;
                };
                let (method, name, apply_method) = (&handler.method, &apply.event.variant, &apply.method);
                match handler.on {
                    On::New if index == 0 && !apply.creates => errors.at(event, format!(
                        "handler `{method}` creates the aggregate, but `{name}` does not: return an event first whose `#[apply]` has no receiver, or take `&self`"
                    )),
                    On::New if index > 0 && apply.creates => errors.at(event, format!(
                        "`{name}` creates the aggregate, which the event before it has done already: apply it with `fn {apply_method}(&mut self, …)`, or return it first"
                    )),
                    On::Existing if apply.creates => errors.at(event, format!(
                        "handler `{method}` changes an existing aggregate, but `{name}` creates one: apply it with `fn {apply_method}(&mut self, …)`, or handle the command without `&self`"
                    )),
                    _ => {}
                }
            }
        }
    }
}

/// Reads the `= pub(crate)` of `vis = pub(crate)`.
fn parse_vis(argument: &Ident, input: ParseStream<'_>) -> syn::Result<Visibility> {
    let expected = |span| syn::Error::new(span, "expected a visibility: `vis = pub(crate)`");
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(expected(argument.span()));
    }
    match input.parse()? {
        Visibility::Inherited => Err(expected(input.span())),
        vis => Ok(vis),
    }
}

fn inherent_impl(item: &TokenStream, errors: &mut Errors) -> Option<ImplBlock> {
    let Some(block) = ImplBlock::parse(item, errors) else {
        match errors.ok(syn::parse2::<Item>(item.clone()))? {
            Item::Struct(item) => errors.at(item.struct_token, "`#[aggregate]` goes on the impl block with the `#[handle]` and `#[apply]` methods; the struct has `#[derive(Aggregate)]`"),
            other => errors.at(
                other,
                "`#[aggregate]` goes on the impl block with the `#[handle]` and `#[apply]` methods",
            ),
        }
        return None;
    };
    let item = &block.head;
    if let Some((path, _)) = &item.trait_ {
        errors.at(path, "`#[aggregate]` goes on the inherent impl block, without a trait: move the `#[handle]` and `#[apply]` methods there");
        return None;
    }
    let Some(last) = last_segment(&item.self_ty) else {
        errors.at(
            &item.self_ty,
            "an aggregate is a struct or an enum with `#[derive(Aggregate)]`",
        );
        return None;
    };
    let message = "an aggregate has no type parameters or lifetimes, because its name stands for one kind of stream";
    refuse_generics_of_block(item, last, message, errors)?;
    Some(block)
}
