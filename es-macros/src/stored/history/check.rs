//! Checks of a history for contradictions.

use std::collections::BTreeSet;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ItemStruct, Meta, Pat, Token};

use super::{Field, History};
use crate::errors::Errors;
use crate::message::Words;
use crate::stored::arguments::Version;

impl History {
    /// Puts the fields of the struct together. Reports what does not fit its version.
    pub(crate) fn new(
        fields: Vec<Field>,
        item: &ItemStruct,
        words: &'static Words,
        version: Option<Version>,
        errors: &mut Errors,
    ) -> Self {
        let current = match version {
            Some(version) => version.number,
            None if errors.is_empty() => 1,
            // It may be what could not be read.
            None => u32::MAX,
        };
        let ident = &item.ident;
        let history = Self {
            serde: container(&item.attrs, words, errors),
            fields,
        };
        for field in &history.fields {
            field.check(ident, current, words, errors);
        }
        if !errors.is_empty() {
            return history;
        }
        history.check_names(ident, current, errors);
        history.check_closures(ident, errors);
        history.check_versions(ident, version, errors);
        history
    }

    /// Reports two fields of one name in one version.
    fn check_names(&self, ident: &Ident, current: u32, errors: &mut Errors) {
        // A version without a change is like the one after it, so that only those with changes are looked at.
        let changes = self
            .fields
            .iter()
            .flat_map(Field::versions)
            .map(|version| version.number - 1);
        let versions: BTreeSet<u32> = changes.chain([current]).collect();
        let mut reported = BTreeSet::new();
        for version in versions {
            for (index, second) in self.fields.iter().enumerate().filter(|(_, field)| field.is_in(version)) {
                let name = second.name_in(version);
                let mut before = self.fields[..index]
                    .iter()
                    .enumerate()
                    .filter(|(_, field)| field.is_in(version));
                let Some((other, first)) =
                    before.find(|(_, field)| field.name_in(version) == name && field.meets(second))
                else {
                    continue;
                };
                if !reported.insert((other, index)) {
                    continue;
                }
                let renamed = second.renamed_after(version).or(first.renamed_after(version));
                let (span, fix) = match (renamed, second.removed.or(first.removed)) {
                    (Some(renamed), _) => (
                        renamed.from.span(),
                        "give the name that it had, or say when the other was added or removed",
                    ),
                    (None, Some(_)) => (
                        name.span(),
                        "a removed field is no longer in the struct, so say when the one that is there was added, or leave out `removed(…)`",
                    ),
                    (None, None) => (name.span(), "keep one of them"),
                };
                errors.push(syn::Error::new(
                    span,
                    format!("version {version} of `{ident}` would have two fields `{name}`: {fix}"),
                ));
            }
        }
    }

    /// Reports parameters of closures that are no fields.
    fn check_closures(&self, ident: &Ident, errors: &mut Errors) {
        for added in self.fields.iter().filter_map(|field| field.added.as_ref()) {
            let Expr::Closure(closure) = &added.default else {
                continue;
            };
            let version = added.since.number;
            for input in &closure.inputs {
                let Some(parameter) = parameter(input) else {
                    errors.at(input, "a default takes fields by their names: `|amount|`");
                    continue;
                };
                if self.source(parameter, version).is_none() {
                    let known: BTreeSet<String> = self.sources(version).map(|(name, _)| format!("`{name}`")).collect();
                    let known: Vec<String> = known.into_iter().collect();
                    let known = if known.is_empty() {
                        "nothing".to_owned()
                    } else {
                        known.join(", ")
                    };
                    errors.at(parameter, format!(
                        "`{parameter}` is no field that `{ident}` has before version {version}: the default can take {known}"
                    ));
                }
            }
        }
    }

    /// The fields that the default of one added in `version` can look at: those that were there before, by their name in `version`
    /// or, if they were removed then, by their last.
    pub(super) fn sources(&self, version: u32) -> impl Iterator<Item = (Ident, usize)> {
        let fields = self
            .fields
            .iter()
            .enumerate()
            .filter(move |(_, field)| field.is_in(version - 1));
        fields.map(move |(index, field)| {
            let seen = if field.is_in(version) { version } else { version - 1 };
            (field.name_in(seen), index)
        })
    }

    /// The field that the parameter of a default stands for. One that stays comes before one that was removed.
    pub(super) fn source(&self, parameter: &Ident, version: u32) -> Option<usize> {
        let named = self.sources(version).filter(|(name, _)| name == parameter);
        named
            .map(|(_, index)| index)
            .max_by_key(|&index| self.fields[index].is_in(version))
    }

    /// Reports a version that brought nothing.
    fn check_versions(&self, ident: &Ident, version: Option<Version>, errors: &mut Errors) {
        let Some(Version { number: current, span }) = version else {
            return;
        };
        let told: BTreeSet<u32> = self
            .fields
            .iter()
            .flat_map(Field::versions)
            .map(|version| version.number)
            .collect();
        if let Some(missing) = (2..=current).find(|version| !told.contains(version)) {
            let message = format!(
                "nothing says what version {missing} of `{ident}` changed: mark a field with `since = {missing}`, or count the versions without it"
            );
            errors.push(syn::Error::new(span, message));
        }
    }
}

impl Field {
    /// Reports what cannot be about this field alone.
    fn check(&self, ident: &Ident, current: u32, words: &Words, errors: &mut Errors) {
        let name = &self.ident;
        for Version { number, span } in self.versions() {
            if number < 2 {
                errors.push(syn::Error::new(
                    span,
                    "version 1 is the first and has nothing before it: `since` is 2 or more",
                ));
            } else if number > current {
                errors.push(syn::Error::new(span, format!(
                    "`{ident}` is version {current}, and this is since version {number}: write `#[{}(version = {number})]` above the struct",
                    words.name
                )));
            }
        }
        let begins = self.added.as_ref().map_or(1, |added| added.since.number);
        let ends = self.removed.map_or(u32::MAX, |removed| removed.number);
        if ends <= begins && begins > 1 {
            let span = self.removed.map_or_else(|| name.span(), |removed| removed.span);
            errors.push(syn::Error::new(
                span,
                format!("`{name}` is removed in version {ends}, but added in version {begins} only: swap them"),
            ));
        }
        let renamed: Vec<Version> = self.renamed.iter().map(|renamed| renamed.since).collect();
        let changed: Vec<Version> = self.changed.iter().map(|changed| changed.since).collect();
        for (verb, versions) in [("renamed", renamed), ("changed", changed)] {
            for (index, &Version { number, span }) in versions.iter().enumerate() {
                if versions[..index].iter().any(|other| other.number == number) {
                    errors.push(syn::Error::new(
                        span,
                        format!("`{name}` is {verb} twice in version {number}: keep one of them"),
                    ));
                } else if begins > 1 && number <= begins {
                    errors.push(syn::Error::new(span, format!("`{name}` is {verb} in version {number}, but added in version {begins}: before that there is nothing to be {verb}, so remove one of them")));
                } else if number >= ends {
                    errors.push(syn::Error::new(
                        span,
                        format!(
                            "`{name}` is {verb} in version {number}, but removed in version {ends}: remove one of them"
                        ),
                    ));
                }
            }
        }
        for renamed in &self.renamed {
            let next = self.name_in(renamed.since.number);
            if renamed.from.value().is_empty() {
                errors.at(
                    &renamed.from,
                    "the name is empty: give the one that the field was stored under",
                );
            } else if next.unraw() == renamed.from.value() {
                errors.at(
                    &renamed.from,
                    format!(
                        "`{next}` is the name after version {} too: give the name that the field had before it",
                        renamed.since.number
                    ),
                );
            }
        }
    }
}

/// The name of a closure's parameter, with or without a type.
pub(super) fn parameter(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => Some(&pattern.ident),
        Pat::Type(pattern) => parameter(&pattern.pat),
        _ => None,
    }
}

/// The serde attributes of the struct that hold for its old shapes too.
fn container(attrs: &[Attribute], words: &Words, errors: &mut Errors) -> Vec<Attribute> {
    let mut kept = Vec::new();
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let Some(metas) = metas(attribute) else { continue };
        for meta in &metas {
            if ["from", "into", "try_from", "remote", "default"]
                .iter()
                .any(|name| meta.path().is_ident(name))
            {
                let message = format!(
                    "old shapes cannot be derived from a struct with this: keep the old struct and name it in `#[{}(from = …)]`",
                    words.name
                );
                errors.push(syn::Error::new(meta.path().span(), message));
            }
        }
        let metas = metas
            .iter()
            .filter(|meta| !meta.path().is_ident("crate") && !meta.path().is_ident("rename"));
        kept.push(syn::parse_quote!(#[serde(#(#metas),*)]));
    }
    kept
}

/// Parses the content of the parentheses of `#[serde(…)]`, unless serde will report it.
pub(super) fn metas(attribute: &Attribute) -> Option<Vec<Meta>> {
    let metas = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    metas.ok().map(|metas| metas.into_iter().collect())
}
