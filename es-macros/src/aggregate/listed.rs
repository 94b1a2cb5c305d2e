use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Attribute, PathArguments, Type, TypePath};

/// An event or a command as a method of the block lists it.
pub(crate) struct Listed {
    pub(crate) ty: TypePath,
    /// The last segment: the variant's name in the generated enum, and where an error about the item is reported, as a
    /// path's first token would mark only `events` of `events::Opened`.
    pub(crate) variant: Ident,
    /// The type as text, to compare with others.
    pub(crate) text: String,
    /// The `#[cfg(…)]`s of the method, which hold for all that is generated from it.
    pub(crate) cfgs: Vec<Attribute>,
}

impl Listed {
    /// `None` if the type is not a plain path.
    pub(crate) fn new(ty: &Type, attrs: &[Attribute]) -> Option<Self> {
        let Type::Path(ty) = ungrouped(ty) else {
            return None;
        };
        let last = ty.path.segments.last()?;
        let is_keyword = ["Self", "self", "super", "crate"]
            .iter()
            .any(|keyword| last.ident == keyword);
        let plain = ty.qself.is_none() && matches!(last.arguments, PathArguments::None) && !is_keyword;
        plain.then(|| Self {
            ty: ty.clone(),
            text: text(ty),
            variant: last.ident.clone(),
            cfgs: attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .cloned()
                .collect(),
        })
    }

    /// Whether the methods of both may be compiled together, as far as can be told without evaluating `cfg`.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.cfgs.is_empty() && other.cfgs.is_empty()
    }
}

/// The type as written, but for blanks.
pub(crate) fn text(ty: &impl ToTokens) -> String {
    ty.to_token_stream().to_string()
}

/// The type without the invisible group that a fragment of `macro_rules!` comes in, and without parentheses.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty,
    }
}
