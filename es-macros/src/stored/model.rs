use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{ItemStruct, LitStr};

use super::arguments::{Arguments, OldShape, Version};
use super::history::{self, History};
use crate::errors::Errors;
use crate::message::{Message, Words, assert_shapes, assert_values};
use crate::runtime::Runtime;

/// A struct with `#[event]` or `#[entity]`: what both say of names and shapes.
pub(crate) struct Stored {
    pub(crate) runtime: Runtime,
    pub(crate) message: Message,
    pub(crate) version: u32,
    /// Former names.
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) older: Older,
    pub(crate) words: &'static Words,
}

/// Where the shapes before the current one are.
pub(crate) enum Older {
    /// There are none.
    None,
    /// The one before in a struct of its own, which knows those before it.
    Shape(OldShape),
    /// Told by the fields.
    History(History),
}

impl Stored {
    /// Reads the struct. `None` if there is too little of it to go on.
    pub(crate) fn parse(
        mut given: Arguments,
        item: &TokenStream,
        words: &'static Words,
        errors: &mut Errors,
    ) -> Option<Self> {
        let message = Message::parse(item, given.name.take(), words, errors)?;
        given.check_aliases(&message.name, words, errors);
        let version = version(given.version, errors);
        let older = match history(item, given.removed, &given.from, words, version, errors) {
            Some(history) => Older::History(history),
            None => older(given.from, version, &message.ident, words, errors),
        };
        Some(Self {
            runtime: given.runtime,
            version: version.map_or(1, |version| version.number),
            message,
            aliases: given.aliases,
            older,
            words,
        })
    }

    /// Generates the attributes above the struct.
    pub(crate) fn above(&self) -> TokenStream {
        if self.message.broken {
            return TokenStream::new();
        }
        let fields = self.message.assert_fields(&self.runtime);
        let old_types: Vec<_> = match &self.older {
            Older::History(history) => history.old_types().collect(),
            Older::None | Older::Shape(_) => Vec::new(),
        };
        let old_fields = assert_values(&self.runtime, old_types.iter().copied());
        let shapes = assert_shapes(&self.runtime, self.message.fields.iter().chain(old_types));
        let derives = self.message.derives(&self.runtime);
        let schema = self.message.derives.schema(&self.runtime);
        quote!(#fields #old_fields #shapes #derives #schema)
    }
}

fn version(given: Option<Version>, errors: &mut Errors) -> Option<Version> {
    let version = given?;
    if version.number == 0 {
        errors.push(syn::Error::new(
            version.span,
            "versions begin at 1: write `version = 1`, or leave it out",
        ));
        return None;
    }
    Some(version)
}

/// The history of the fields, if they have any that holds together.
fn history(
    item: &TokenStream,
    removed: Vec<TokenStream>,
    from: &[OldShape],
    words: &'static Words,
    version: Option<Version>,
    errors: &mut Errors,
) -> Option<History> {
    // Anything but a struct has been reported.
    let item: ItemStruct = syn::parse2(item.clone()).ok()?;
    let mut fields = history::fields(&item.fields, words, errors);
    fields.extend(
        removed
            .into_iter()
            .filter_map(|content| history::removed(content, errors)),
    );
    let first = fields.iter().find(|field| field.has_history())?;
    if let Some(shape) = from.first() {
        let message = format!(
            "the fields tell what came before, back to version 1: remove `{}`, or move the history to the fields of `{}`",
            shape.argument, shape.ident
        );
        errors.at(&shape.argument, message);
        errors.at(&first.ident, "the history begins here");
    }
    let history = History::new(fields, &item, words, version, errors);
    errors.is_empty().then_some(history)
}

/// The shape that it comes from.
fn older(from: Vec<OldShape>, version: Option<Version>, ident: &Ident, words: &Words, errors: &mut Errors) -> Older {
    if let [_, second, ..] = &from[..] {
        let message = "a shape comes from one other: keep one of `from` and `try_from`";
        errors.at(&second.argument, message);
    }
    let sound = errors.is_empty();
    let Some(shape) = from.into_iter().next() else {
        if let Some(version) = version.filter(|version| version.number > 1 && sound && words.reads_older) {
            let before = version.number - 1;
            let message = format!(
                "nothing reads version {before} of `{ident}`: say `from = {ident}V{before}`, the struct as it was, or mark the fields that have changed since, `#[{}(added(since = {}, default = …))]`",
                words.name, version.number
            );
            errors.push(syn::Error::new(version.span, message));
        }
        return Older::None;
    };
    if shape.ty.path.is_ident(ident) || shape.ty.path.is_ident("Self") {
        let message = format!(
            "`{ident}` cannot come from itself: keep the struct of the version before, say as `{ident}V1`, and name that"
        );
        errors.at(&shape.ident, message);
        return Older::None;
    }
    if sound && version.is_none_or(|version| version.number == 1) {
        let message = format!(
            "version 1 comes from nothing: write `version = 2` if `{}` is version 1, or remove `{}`",
            shape.ident, shape.argument
        );
        errors.at(&shape.argument, message);
        return Older::None;
    }
    Older::Shape(shape)
}
