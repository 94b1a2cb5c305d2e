use proc_macro2::TokenStream;
use syn::Type;

use super::publish::Publish;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::impl_block::{ImplBlock, Member, Words, refuse_macros};
use crate::runtime::Runtime;

const KNOWN: Known<'_> = Known {
    attribute: "#[publication] impl",
    arguments: &["crate"],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[publication]",
    helper: "publish",
    noun: "a publication",
    item: "a struct",
    stands_for: "one list of messages",
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
        let runtime = args::runtime(args, &KNOWN, errors);
        let ImplBlock { head, members } = block;
        WORDS.check(&head, errors)?;
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
        let elsewhere = |other: &str| format!("a publication only publishes: `#[{other}]` goes into another block");
        let is_marked = WORDS.marks(method, elsewhere, errors);
        if is_marked {
            let read = Publish::parse(&method.sig, &method.attrs, &self.this, errors);
            let new = read.filter(|publish| self.is_first(publish, errors));
            self.publishes.extend(new);
        }
        is_marked
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
