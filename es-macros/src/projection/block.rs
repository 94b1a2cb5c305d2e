use proc_macro2::TokenStream;
use syn::{Attribute, ImplItem, ItemImpl, PathArguments, Type};

use super::apply::Apply;
use crate::aggregate::listed::Listed;
use crate::aggregate::signature::last_segment;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::is_plain;
use crate::runtime::Runtime;

const KNOWN: Known = Known {
    attribute: "#[projection] impl",
    arguments: &["crate"],
    repeatable: &[],
};

/// An impl block with `#[projection]`.
pub(crate) struct Block {
    pub(crate) runtime: Runtime,
    /// The row as the block names it.
    pub(crate) row: Type,
    pub(crate) applies: Vec<Apply>,
    /// Whether the methods can be called as they are: false after an error.
    pub(crate) sound: bool,
}

impl Block {
    /// Reads the block. `None` if there is too little of it to go on.
    pub(crate) fn parse(args: TokenStream, item: ItemImpl, errors: &mut Errors) -> Option<Self> {
        let mut runtime = Runtime::default();
        args::read(args, &KNOWN, errors, |_, input| {
            runtime = Runtime::parse(input)?;
            Ok(())
        });
        check(&item, errors)?;
        let mut block = Self {
            runtime,
            row: *item.self_ty,
            applies: Vec::new(),
            sound: true,
        };
        let marked = item.items.iter().filter(|item| block.read(item, errors)).count();
        if marked == 0 {
            let message =
                "a projection needs events: add `#[apply] fn opened(event: Opened) -> Self`, with an event of yours";
            errors.at(&block.row, message);
        } else if marked == block.applies.len() && !block.applies.iter().any(Apply::creates) {
            let message =
                "no event creates a row: add an apply without a receiver, `#[apply] fn opened(event: Opened) -> Self`";
            errors.at(&block.row, message);
        }
        block.sound = errors.is_empty();
        Some(block)
    }

    /// Adds the method, if it is one with `#[apply]`. Whether it is.
    fn read(&mut self, item: &ImplItem, errors: &mut Errors) -> bool {
        let ImplItem::Fn(method) = item else {
            return false;
        };
        let mut applies = 0;
        for attribute in &method.attrs {
            if is_named(attribute, "apply") {
                applies += 1;
                if applies > 1 {
                    errors.at(attribute, "`#[apply]` is given twice: keep one of them");
                }
            } else if is_named(attribute, "handle") {
                errors.at(
                    attribute,
                    "a projection handles no commands: `#[handle]` goes into the `#[aggregate]` block",
                );
            }
        }
        if applies > 0
            && let Some(apply) = Apply::parse(&method.sig, &method.attrs, &self.row, errors)
            && self.is_first(&apply.event, errors)
        {
            self.applies.push(apply);
        }
        applies > 0
    }

    /// Whether no method before takes the same event. Reports both places if one does.
    fn is_first(&self, new: &Listed, errors: &mut Errors) -> bool {
        let mut before = self.applies.iter().map(|apply| &apply.event);
        let Some(first) = before.find(|first| first.text == new.text && first.meets(new)) else {
            return true;
        };
        let name = &new.variant;
        errors.at(
            &new.ty,
            format!("event `{name}` has an `#[apply]` method already: keep one of them, or touch several rows with `keys = …`"),
        );
        errors.at(&first.ty, format!("`{name}` is first applied here"));
        false
    }
}

fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == name)
}

/// `None` if it is not the inherent block of a plain struct.
fn check(item: &ItemImpl, errors: &mut Errors) -> Option<()> {
    if let Some((path, _)) = &item.trait_ {
        errors.at(
            path,
            "`#[projection]` goes on the inherent impl block, without a trait: move the `#[apply]` methods there",
        );
        return None;
    }
    let Some(last) = last_segment(&item.self_ty) else {
        errors.at(&item.self_ty, "a projection is a struct with `#[projection]`");
        return None;
    };
    if !is_plain(&item.generics) || !matches!(last.arguments, PathArguments::None) {
        let message = "a projection has no type parameters or lifetimes, because its name stands for one table of rows";
        errors.at(&item.self_ty, message);
        return None;
    }
    Some(())
}
