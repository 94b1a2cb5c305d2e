use proc_macro2::TokenStream;
use syn::Type;

use super::reaction::{Hears, Reaction};
use crate::aggregate::listed::Listed;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::impl_block::{ImplBlock, Member, Words, refuse_macros};
use crate::runtime::Runtime;

const KNOWN: Known<'_> = Known {
    attribute: "#[process_manager] impl",
    arguments: &["crate"],
    repeatable: &[],
};

const WORDS: Words = Words {
    attribute: "#[process_manager]",
    helper: "on",
    noun: "a process manager",
    item: "a struct or an enum",
    stands_for: "one shape of data",
};

/// An impl block with `#[process_manager]`.
pub(crate) struct Block {
    pub(crate) runtime: Runtime,
    /// The state as the block names it.
    pub(crate) this: Type,
    pub(crate) reactions: Vec<Reaction>,
    /// True if the methods can be called as they are: false after an error.
    pub(crate) sound: bool,
}

impl Block {
    /// Reads the block. `None` if there is too little of it to go on.
    pub(crate) fn parse(args: TokenStream, block: ImplBlock, errors: &mut Errors) -> Option<Self> {
        let runtime = args::runtime(args, &KNOWN, errors);
        let ImplBlock { head, members } = block;
        WORDS.check(&head, errors)?;
        let mut block = Self {
            runtime,
            this: *head.self_ty,
            reactions: Vec::new(),
            sound: true,
        };
        let marked = members.iter().filter(|member| block.read(member, errors)).count();
        let begins = block.reactions.iter().any(Reaction::begins);
        if refuse_macros(&members, "#[process_manager]", errors) {
            // The missing method may be in there.
        } else if marked == block.reactions.len() && !begins {
            let message = "no event begins an instance: add `#[on] fn requested(event: Requested) -> Self`, with an event of yours";
            errors.at(&block.this, message);
        }
        block.sound = errors.is_empty();
        Some(block)
    }

    /// Adds the method, if it is one with `#[on]`. Returns whether it is.
    fn read(&mut self, member: &Member, errors: &mut Errors) -> bool {
        let Member::Method(method) = member else {
            return false;
        };
        let elsewhere = |other: &str| {
            format!("a process manager reacts to events and answers: `#[{other}]` goes into the `#[aggregate]` block")
        };
        let is_marked = WORDS.marks(method, elsewhere, errors);
        if is_marked {
            let read = Reaction::parse(&method.sig, &method.attrs, &self.this, errors);
            let new = read.filter(|reaction| self.is_first(reaction, errors));
            self.reactions.extend(new);
        }
        is_marked
    }

    /// Returns whether no method before hears of the same. Reports both places if one does.
    fn is_first(&self, new: &Reaction, errors: &mut Errors) -> bool {
        for (what, listed) in new.hears.listed() {
            let before = self.reactions.iter().flat_map(|reaction| reaction.hears.listed());
            let mut before = before.filter(|(other, _)| *other == what);
            let same = |first: &&Listed| first.text == listed.text && first.meets(listed);
            if let Some(first) = before.by_ref().map(|(_, first)| first).find(same) {
                let name = &listed.variant;
                errors.at(
                    &listed.ty,
                    format!("{what} `{name}` has an `#[on]` method already: keep one of them"),
                );
                errors.at(&first.ty, format!("`{name}` is first heard of here"));
                return false;
            }
        }
        let catches_all = |reaction: &&Reaction| matches!(reaction.hears, Hears::AnyFailed { .. });
        if let Hears::AnyFailed { ty, .. } = &new.hears
            && self.reactions.iter().any(|reaction| catches_all(&reaction))
        {
            errors.at(
                ty,
                "`AnyFailed` has an `#[on]` method already: keep one of them, or take `Failed<…>` of one command",
            );
            return false;
        }
        true
    }

    /// The commands whose execution or failure is heard of, each once.
    pub(crate) fn commands(&self) -> Vec<&Listed> {
        let mut commands: Vec<&Listed> = Vec::new();
        for reaction in &self.reactions {
            let listed: Vec<&Listed> = match &reaction.hears {
                Hears::Done(listed) | Hears::Failed(listed) => vec![listed],
                Hears::AnyFailed { commands, .. } => commands.iter().collect(),
                Hears::Event { .. } | Hears::Due(_) => Vec::new(),
            };
            for listed in listed {
                if !commands
                    .iter()
                    .any(|other| other.text == listed.text && other.meets(listed))
                {
                    commands.push(listed);
                }
            }
        }
        commands
    }

    /// The method that hears when this command was executed.
    pub(crate) fn done(&self, command: &Listed) -> Option<&Reaction> {
        self.reactions.iter().find(|reaction| {
            matches!(&reaction.hears, Hears::Done(listed) if listed.text == command.text && listed.meets(command))
                || matches!(&reaction.hears, Hears::Done(listed) if std::ptr::eq(listed, command))
        })
    }

    /// The method that hears when this command has failed.
    pub(crate) fn failed(&self, command: &Listed) -> Option<&Reaction> {
        let own = self
            .reactions
            .iter()
            .find(|reaction| matches!(&reaction.hears, Hears::Failed(listed) if listed.text == command.text));
        let all = || {
            self.reactions
                .iter()
                .find(|reaction| matches!(reaction.hears, Hears::AnyFailed { .. }))
        };
        own.or_else(all)
    }
}

impl Hears {
    /// The inputs in words, each with the type that it names.
    fn listed(&self) -> Vec<(&'static str, &Listed)> {
        match self {
            Self::Event { event, .. } => vec![("event", event)],
            Self::Done(listed) => vec![("the execution of", listed)],
            Self::Failed(listed) => vec![("the failure of", listed)],
            Self::Due(listed) => vec![("timer", listed)],
            Self::AnyFailed { commands, .. } => commands.iter().map(|command| ("the failure of", command)).collect(),
        }
    }
}
