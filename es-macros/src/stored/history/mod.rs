//! The history of fields: what a struct was in each version, told by its fields of today and those removed.

mod check;
mod expand;
mod parse;
mod strip;

use proc_macro2::Ident;
use quote::format_ident;
use syn::{Attribute, Expr, LitStr, Path, Type};

use super::arguments::Version;
use crate::message::is_special;

pub(super) use expand::{expand, shape_before};
pub(super) use parse::{fields, removed};
pub(crate) use strip::strip;

/// Every field that the struct has or had.
pub(crate) struct History {
    pub(crate) fields: Vec<Field>,
    /// The `#[serde(…)]` of the struct, less what old shapes have of their own.
    pub(crate) serde: Vec<Attribute>,
}

/// A field of today, or one that was removed.
pub(crate) struct Field {
    /// Its last name.
    pub(crate) ident: Ident,
    /// Its last type.
    pub(crate) ty: Type,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) added: Option<Added>,
    pub(crate) renamed: Vec<Renamed>,
    pub(crate) changed: Vec<Changed>,
    /// The first version without it.
    pub(crate) removed: Option<Version>,
}

/// The first version with the field, and its value for events before.
pub(crate) struct Added {
    pub(crate) since: Version,
    pub(crate) default: Expr,
}

/// The first version with the next name, and the name before.
pub(crate) struct Renamed {
    pub(crate) since: Version,
    pub(crate) from: LitStr,
}

/// The first version with the next type, and the type before.
pub(crate) struct Changed {
    pub(crate) since: Version,
    pub(crate) from: Type,
    pub(crate) with: Option<Path>,
}

impl History {
    /// The types that fields had and have no more, as far as they are stored as they are.
    pub(crate) fn old_types(&self) -> impl Iterator<Item = &Type> {
        let plain = self
            .fields
            .iter()
            .filter(|field| field.attrs.iter().all(|attribute| !is_special(attribute)));
        plain.flat_map(|field| {
            let removed = field.removed.is_some().then_some(&field.ty);
            field.changed.iter().map(|changed| &changed.from).chain(removed)
        })
    }
}

impl Field {
    /// Returns whether there is anything to tell.
    pub(crate) fn has_history(&self) -> bool {
        self.added.is_some() || !self.renamed.is_empty() || !self.changed.is_empty() || self.removed.is_some()
    }

    /// Returns whether both may be compiled together, as far as can be told without evaluating `cfg`.
    fn meets(&self, other: &Self) -> bool {
        let is_conditional = |field: &Self| field.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        !is_conditional(self) && !is_conditional(other)
    }

    /// Returns whether the struct has it in this version.
    fn is_in(&self, version: u32) -> bool {
        self.added.as_ref().is_none_or(|added| added.since.number <= version)
            && self.removed.is_none_or(|removed| version < removed.number)
    }

    /// The next renaming after this version.
    fn renamed_after(&self, version: u32) -> Option<&Renamed> {
        let later = self.renamed.iter().filter(|renamed| renamed.since.number > version);
        later.min_by_key(|renamed| renamed.since.number)
    }

    /// The next change of type after this version.
    fn changed_after(&self, version: u32) -> Option<&Changed> {
        let later = self.changed.iter().filter(|changed| changed.since.number > version);
        later.min_by_key(|changed| changed.since.number)
    }

    /// Its name in the struct of this version.
    fn name_in(&self, version: u32) -> Ident {
        self.renamed_after(version)
            .map_or_else(|| self.ident.clone(), |renamed| rust_name(&renamed.from))
    }

    /// Its type in this version.
    fn type_in(&self, version: u32) -> &Type {
        self.changed_after(version).map_or(&self.ty, |changed| &changed.from)
    }

    /// The change of type that this version brought.
    fn changed_in(&self, version: u32) -> Option<&Changed> {
        self.changed.iter().find(|changed| changed.since.number == version)
    }

    /// The versions that brought something.
    fn versions(&self) -> impl Iterator<Item = Version> {
        let added = self.added.as_ref().map(|added| added.since);
        let renamed = self.renamed.iter().map(|renamed| renamed.since);
        let changed = self.changed.iter().map(|changed| changed.since);
        added.into_iter().chain(renamed).chain(changed).chain(self.removed)
    }
}

/// A name that a field was stored under, as an identifier.
fn rust_name(stored: &LitStr) -> Ident {
    let is_ident = |text: &str| syn::parse_str::<Ident>(text).is_ok();
    let name: String = stored
        .value()
        .chars()
        .map(|c| if is_ident(&format!("x{c}x")) { c } else { '_' })
        .collect();
    let begins = name.starts_with(|c| c == '_' || is_ident(&format!("{c}x")));
    let name = if begins { name } else { format!("_{name}") };
    if is_ident(&name) {
        Ident::new(&name, stored.span())
    } else if is_ident(&format!("r#{name}")) {
        Ident::new_raw(&name, stored.span())
    } else {
        format_ident!("{name}_", span = stored.span())
    }
}
