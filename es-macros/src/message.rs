use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Field, Fields, Generics, Item, LitStr, Type};

use crate::derives::Derives;
use crate::errors::Errors;
use crate::plain::Plain;
use crate::runtime::Runtime;
use crate::stored_name;

/// What events and commands have in common: a plain struct with a name that is stored or sent.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    pub(crate) name: LitStr,
    pub(crate) derives: Derives,
    /// The types of the fields that are stored as they are.
    pub(crate) fields: Vec<Type>,
    /// What it is made of, if its values may be known to come back.
    pub(crate) plain: Option<Plain>,
}

/// How messages call such a struct.
pub(crate) struct Words {
    /// The attribute, such as `#[event]`.
    pub(crate) attribute: &'static str,
    /// With its article, such as `an event`.
    pub(crate) noun: &'static str,
}

impl Message {
    /// Reads the struct below the attribute. `None` if there is too little of it to go on.
    pub(crate) fn parse(item: &TokenStream, name: Option<LitStr>, words: &Words, errors: &mut Errors) -> Option<Self> {
        let Words { attribute, noun } = words;
        let mut fields = Vec::new();
        let item = errors.ok(syn::parse2::<Item>(item.clone()))?;
        let plain = Plain::of(&item);
        let (ident, attrs, generics) = match item {
            Item::Struct(item) => {
                if is_plain(&item.generics) && borrows(&item.fields, words, errors) {
                    return None;
                }
                fields = item
                    .fields
                    .into_iter()
                    .filter(is_plain_field)
                    .map(|field| field.ty)
                    .collect();
                (item.ident, item.attrs, item.generics)
            }
            Item::Enum(item) => {
                let message = format!(
                    "{noun} is a struct, not an enum: make each variant a struct with `{attribute}` of its own"
                );
                errors.at(item.enum_token, message);
                (item.ident, item.attrs, item.generics)
            }
            Item::Union(item) => {
                errors.at(item.union_token, format!("{noun} is a struct, not a union"));
                return None;
            }
            other => {
                errors.at(other, format!("`{attribute}` goes on a struct"));
                return None;
            }
        };
        if !is_plain(&generics) {
            let message = format!(
                "{noun} has no type parameters or lifetimes, because its name stands for one shape of data: remove them from `{ident}`"
            );
            errors.at(&generics.params, message);
            return None;
        }
        Some(Self {
            name: stored_name::check(name, &ident, errors),
            derives: Derives::of(&attrs),
            ident,
            fields,
            plain,
        })
    }
}

impl Message {
    /// Checks each field on its own, above the item: what the derives then say of one that cannot be stored names no way out.
    pub(crate) fn assert_fields(&self, runtime: &Runtime) -> Option<TokenStream> {
        assert_values(runtime, self.fields.iter())
    }
}

/// Fails to compile, with our words, if one of these cannot be part of an event or a command.
pub(crate) fn assert_values<'a>(runtime: &Runtime, types: impl Iterator<Item = &'a Type>) -> Option<TokenStream> {
    let private = runtime.private();
    assert_each(&quote!(#private::assert_value), types)
}

/// Fails to compile, with our words, if the schema of one of these is not known and the feature `schema` of `es-runtime` needs it.
pub(crate) fn assert_shapes<'a>(runtime: &Runtime, types: impl Iterator<Item = &'a Type>) -> Option<TokenStream> {
    let private = runtime.private();
    let assertions = assert_each(&quote!(#private::assert_shape), types)?;
    Some(quote!(#private::with_schema! { #assertions }))
}

fn assert_each<'a>(function: &TokenStream, types: impl Iterator<Item = &'a Type>) -> Option<TokenStream> {
    let assertions: Vec<_> = types
        .map(|ty| quote_spanned!(ty.span()=> #function::<#ty>();))
        .collect();
    (!assertions.is_empty()).then(|| quote!(const _: fn() = || { #(#assertions)* };))
}

/// Whether no attribute can leave the field out, or have it stored in another way than its type's.
fn is_plain_field(field: &Field) -> bool {
    !field.attrs.iter().any(is_special)
}

/// Whether the attribute can do so.
pub(crate) fn is_special(attribute: &Attribute) -> bool {
    ["serde", "schemars", "cfg", "cfg_attr"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

/// Whether nothing stands in `<…>`, nor in `where`.
pub(crate) fn is_plain(generics: &Generics) -> bool {
    generics.params.is_empty() && generics.where_clause.is_none()
}

/// Reports fields that borrow: a stored value is read back, and then there is nothing to borrow from. Whether there are any.
fn borrows(fields: &Fields, words: &Words, errors: &mut Errors) -> bool {
    let mut borrows = false;
    for field in fields {
        if let Type::Reference(reference) = &field.ty {
            let owned = match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => "`String`",
                Type::Slice(_) => "a `Vec`",
                _ => "the value itself",
            };
            errors.at(
                reference,
                format!("{} owns its data: use {owned} instead of a reference", words.noun),
            );
            borrows = true;
        }
    }
    borrows
}
