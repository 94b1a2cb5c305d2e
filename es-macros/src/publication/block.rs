use proc_macro2::TokenStream;
use syn::{ItemImpl, Type};

use super::publish::Publish;
use crate::aggregate::signature::last_segment;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::helper;
use crate::impl_block::{ImplBlock, Member, refuse_macros};
use crate::message::refuse_generics_of_block;
use crate::runtime::Runtime;

const KNOWN: Known<'_> = Known {
    attribute: "#[publication] impl",
    arguments: &["crate"],
    repeatable: &[],
};

/// An impl block with `#[publication]`.
pub(super) struct Block {
    pub(super) runtime: Runtime,
    /// The struct as the block names it.
    pub(super) this: Type,
    pub(super) publishes: Vec<Publish>,
    /// True if the methods can be called as they are: false after an error.
    pub(super) sound: bool,
}

impl Block {
    /// Reads the block. `None` if there is too little of it to go on.
    pub(super) fn parse(args: TokenStream, block: ImplBlock, errors: &mut Errors) -> Option<Self> {
        let mut runtime = Runtime::default();
        args::read(args, &KNOWN, errors, |_, input| {
            runtime = Runtime::parse(input)?;
            Ok(())
        });
        let ImplBlock { head, members } = block;
        check(&head, errors)?;
        let mut block = Self {
            runtime,
            this: *head.self_ty,
            publishes: Vec::new(),
            sound: true,
        };
        let marked = members.iter().filter(|member| block.read(member, errors)).count();
        if !refuse_macros(&members, "#[publication]", errors) && marked == 0 {
            let message = "a publication needs events: add `#[publish] fn opened(event: Opened) -> AccountOpened`, with an event and a \
                           message of yours";
            errors.at(&block.this, message);
        }
        block.sound = errors.is_empty();
        Some(block)
    }

    /// Adds the method, if it is one with `#[publish]`. Whether it is.
    fn read(&mut self, member: &Member, errors: &mut Errors) -> bool {
        let Member::Method(method) = member else {
            return false;
        };
        let mut times = 0;
        for attribute in &method.attrs {
            match helper::name(attribute) {
                Some("publish") => {
                    times += 1;
                    if times > 1 {
                        errors.at(attribute, "`#[publish]` is given twice: keep one of them");
                    }
                }
                Some(other) => errors.at(
                    attribute,
                    format!("a publication only publishes: `#[{other}]` goes into another block"),
                ),
                None => {}
            }
        }
        if times > 0 {
            let read = Publish::parse(&method.sig, &method.attrs, &self.this, errors);
            let new = read.filter(|publish| self.is_first(publish, errors));
            self.publishes.extend(new);
        }
        times > 0
    }

    /// Returns whether no method before publishes the same event. Reports both places if one does.
    fn is_first(&self, new: &Publish, errors: &mut Errors) -> bool {
        let mut before = self.publishes.iter().map(|publish| &publish.event);
        let Some(first) = before.find(|first| first.text == new.event.text && first.meets(&new.event)) else {
            return true;
        };
        let name = &new.event.variant;
        errors.at(
            &new.event.ty,
            format!("event `{name}` has a `#[publish]` method already: return a tuple or a `Vec` of messages there"),
        );
        errors.at(&first.ty, format!("`{name}` is first published here"));
        false
    }
}

/// `None` if it is not the inherent block of a plain struct.
fn check(item: &ItemImpl, errors: &mut Errors) -> Option<()> {
    if let Some((path, _)) = &item.trait_ {
        errors.at(
            path,
            "`#[publication]` goes on the inherent impl block, without a trait: move the `#[publish]` methods there",
        );
        return None;
    }
    let Some(last) = last_segment(&item.self_ty) else {
        errors.at(&item.self_ty, "a publication is a struct with `#[publication]`");
        return None;
    };
    let message = "a publication has no type parameters or lifetimes, because its name stands for one list of messages";
    refuse_generics_of_block(item, last, message, errors)
}
