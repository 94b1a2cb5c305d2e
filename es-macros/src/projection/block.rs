use proc_macro2::TokenStream;
use syn::{Attribute, Signature, Type};

use super::apply::Apply;
use super::sql::{SqlApply, refuse_store, transaction};
use crate::aggregate::listed::Listed;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::impl_block::{ImplBlock, Member, Method, Words, refuse_macros};
use crate::runtime::Runtime;

const KNOWN: Known<'_> = Known {
    attribute: "#[projection] impl",
    arguments: &["crate"],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[projection]",
    helper: "apply",
    noun: "a projection",
    item: "a struct",
    stands_for: "one table of rows",
};

/// An impl block with `#[projection]`.
pub(crate) struct Block {
    pub(crate) runtime: Runtime,
    /// The struct as the block names it.
    pub(crate) this: Type,
    pub(crate) methods: Methods,
    /// True if the methods can be called as they are: false after an error.
    pub(crate) sound: bool,
}

/// The effects of the methods with `#[apply]`.
pub(crate) enum Methods {
    /// They fold events into rows.
    Rows(Vec<Apply>),
    /// They write tables of the user, in the transaction `tx` of a store.
    Sql { tx: Box<Type>, applies: Vec<SqlApply> },
}

impl Methods {
    /// None yet, of the kind that the block has.
    fn of(members: &[Member], this: &Type) -> Self {
        let methods = members.iter().filter_map(|member| match member {
            Member::Method(method) if method.attrs.iter().any(|attribute| is_named(attribute, "apply")) => {
                Some(&method.sig)
            }
            _ => None,
        });
        match methods.into_iter().find_map(|signature| transaction(signature, this)) {
            None => Self::Rows(Vec::new()),
            Some(tx) => Self::Sql {
                tx: Box::new(tx.clone()),
                applies: Vec::new(),
            },
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Rows(applies) => applies.len(),
            Self::Sql { applies, .. } => applies.len(),
        }
    }

    /// Returns whether rows are changed and deleted, but none is ever created.
    fn lacks_creation(&self) -> bool {
        matches!(self, Self::Rows(applies) if !applies.iter().any(Apply::creates))
    }

    fn events(&self) -> Vec<&Listed> {
        match self {
            Self::Rows(applies) => applies.iter().map(|apply| &apply.event).collect(),
            Self::Sql { applies, .. } => applies.iter().map(|apply| &apply.event).collect(),
        }
    }
}

impl Block {
    /// Reads the block. `None` if there is too little of it to go on.
    pub(crate) fn parse(args: TokenStream, block: ImplBlock, errors: &mut Errors) -> Option<Self> {
        let runtime = args::runtime(args, &KNOWN, errors);
        let ImplBlock { head, members } = block;
        WORDS.check(&head, errors)?;
        let applies = members.iter().filter_map(apply);
        if applies.filter(|method| refuse_store(&method.sig, errors)).count() > 0 {
            return None;
        }
        let mut block = Self {
            runtime,
            methods: Methods::of(&members, &head.self_ty),
            this: *head.self_ty,
            sound: true,
        };
        let marked = members.iter().filter(|member| block.read(member, errors)).count();
        if refuse_macros(&members, "#[projection]", errors) {
            // The missing method may be in there.
        } else if marked == 0 {
            let message =
                "a projection needs events: add `#[apply] fn opened(event: Opened) -> Self`, with an event of yours";
            errors.at(&block.this, message);
        } else if marked == block.methods.len() && block.methods.lacks_creation() {
            let message =
                "no event creates a row: add an apply without a receiver, `#[apply] fn opened(event: Opened) -> Self`";
            errors.at(&block.this, message);
        }
        block.sound = errors.is_empty();
        Some(block)
    }

    /// Adds the method, if it is one with `#[apply]`. Whether it is.
    fn read(&mut self, member: &Member, errors: &mut Errors) -> bool {
        let Member::Method(method) = member else {
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
        if applies > 0 {
            self.add(&method.sig, &method.attrs, errors);
        }
        applies > 0
    }

    fn add(&mut self, signature: &Signature, attrs: &[Attribute], errors: &mut Errors) {
        match &self.methods {
            Methods::Rows(_) => {
                let read = Apply::parse(signature, attrs, &self.this, errors);
                let new = read.filter(|apply| self.is_first(&apply.event, errors));
                if let Methods::Rows(applies) = &mut self.methods {
                    applies.extend(new);
                }
            }
            Methods::Sql { tx, .. } => {
                let read = SqlApply::parse(signature, attrs, tx, errors);
                let new = read.filter(|apply| self.is_first(&apply.event, errors));
                if let Methods::Sql { applies, .. } = &mut self.methods {
                    applies.extend(new);
                }
            }
        }
    }

    /// Returns whether no method before takes the same event. Reports both places if one does.
    fn is_first(&self, new: &Listed, errors: &mut Errors) -> bool {
        let before = self.methods.events();
        let Some(first) = before
            .into_iter()
            .find(|first| first.text == new.text && first.meets(new))
        else {
            return true;
        };
        let name = &new.variant;
        let way_out = match self.methods {
            Methods::Rows(_) => "keep one of them, or touch several rows with `keys = …`",
            Methods::Sql { .. } => "keep one of them",
        };
        errors.at(
            &new.ty,
            format!("event `{name}` has an `#[apply]` method already: {way_out}"),
        );
        errors.at(&first.ty, format!("`{name}` is first applied here"));
        false
    }
}

/// The member, if it is a method with `#[apply]`.
fn apply(member: &Member) -> Option<&Method> {
    match member {
        Member::Method(method) if method.attrs.iter().any(|attribute| is_named(attribute, "apply")) => Some(method),
        _ => None,
    }
}

fn is_named(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == name)
}
