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

    /// Returns whether the methods of both may be compiled together, as far as can be told without evaluating `cfg`.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.cfgs.is_empty() && other.cfgs.is_empty()
    }
}

/// Types that are never an event nor a command, and that stand where one is forgotten.
const PLAIN: &[&str] = &[
    "bool", "char", "str", "String", "f32", "f64", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32",
    "i64", "i128", "isize",
];

/// Returns whether the type may be an event or a command, as far as its text shows.
pub(crate) fn may_be_listed(ty: &Type) -> bool {
    Listed::new(by_value(ty), &[]).is_some() && !is_plain(by_value(ty))
}

/// Returns whether the type is a number or a text.
pub(crate) fn is_plain(ty: &Type) -> bool {
    PLAIN.contains(&&*text(ungrouped(ty)))
}

/// The type without the `&` in front.
pub(crate) fn by_value(ty: &Type) -> &Type {
    match ungrouped(ty) {
        Type::Reference(reference) => ungrouped(&reference.elem),
        ty => ty,
    }
}

/// The type as written, but for blanks.
pub(crate) fn text(ty: &impl ToTokens) -> String {
    ty.to_token_stream().to_string()
}

/// The tokens as one would write them, for a message.
pub(crate) fn shown(tokens: &impl ToTokens) -> String {
    let mut shown = text(tokens);
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" :", ":"),
        (" ;", ";"),
    ] {
        shown = shown.replace(spaced, tight);
    }
    shown
}

/// The type without the invisible group that a fragment of `macro_rules!` comes in, and without parentheses.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty,
    }
}
