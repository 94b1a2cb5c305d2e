use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Field, Generics, Item, ItemImpl, LitStr, PathArguments, PathSegment, Token, Type, Visibility};

use crate::derives::Derives;
use crate::errors::Errors;
use crate::fields;
use crate::plain::Plain;
use crate::runtime::Runtime;
use crate::stored_name;

/// The parts that events, entities and commands share: a plain struct with a name that is stored or sent.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    pub(crate) name: LitStr,
    pub(crate) derives: Derives,
    /// The types of the fields that are stored as they are.
    pub(crate) fields: Vec<Type>,
    /// The types of the fields, if their values may be known to come back.
    pub(crate) plain: Option<Plain>,
    /// True if the fields have been reported, so the derives must not see them.
    pub(crate) broken: bool,
}

/// The words that error messages use for such a struct.
pub(crate) struct Words {
    /// The attribute, such as `#[event]`.
    pub(crate) attribute: &'static str,
    /// The attribute's name, such as `event`.
    pub(crate) name: &'static str,
    /// With its article, such as `an event`.
    pub(crate) noun: &'static str,
    /// True if it may be an enum.
    pub(crate) or_enum: bool,
    /// True if older shapes are read, so that each version but the first comes from one before.
    pub(crate) reads_older: bool,
}

impl Message {
    /// Reads the struct below the attribute. `None` if there is too little of it to go on.
    pub(crate) fn parse(item: &TokenStream, name: Option<LitStr>, words: &Words, errors: &mut Errors) -> Option<Self> {
        let Words {
            attribute,
            noun,
            or_enum,
            ..
        } = words;
        let (mut fields, mut broken) = (Vec::new(), false);
        let Some(parsed) = errors.ok(syn::parse2::<Item>(item.clone())) else {
            return Self::half(item.clone(), name, errors);
        };
        let plain = Plain::of(&parsed);
        let (ident, attrs, generics) = match parsed {
            Item::Struct(item) => {
                broken = is_plain(&item.generics) && fields::check(&item.fields, noun, errors);
                fields = item
                    .fields
                    .into_iter()
                    .filter(is_plain_field)
                    .map(|field| field.ty)
                    .collect();
                (item.ident, item.attrs, item.generics)
            }
            Item::Enum(item) if *or_enum => {
                for variant in item.variants {
                    broken |= is_plain(&item.generics) && fields::check(&variant.fields, noun, errors);
                    fields.extend(variant.fields.into_iter().filter(is_plain_field).map(|field| field.ty));
                }
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
        let message = format!(
            "{noun} has no type parameters or lifetimes, because its name stands for one shape of data: remove them from `{ident}`"
        );
        refuse_generics(&generics, message, errors)?;
        Some(Self {
            name: stored_name::check(name, &ident, errors),
            derives: Derives::of(&attrs),
            ident,
            fields,
            plain: plain.filter(|_| !broken),
            broken,
        })
    }

    /// Reads as much as possible of a struct with unreadable fields, so its uses are not reported too.
    fn half(item: TokenStream, name: Option<LitStr>, errors: &mut Errors) -> Option<Self> {
        let (attrs, ident) = half_struct(item)?;
        Some(Self {
            name: stored_name::check(name, &ident, errors),
            derives: Derives::of(&attrs),
            ident,
            fields: Vec::new(),
            plain: None,
            broken: true,
        })
    }

    /// The derives to put above the struct.
    pub(crate) fn derives(&self, runtime: &Runtime) -> TokenStream {
        if self.broken {
            return TokenStream::new();
        }
        self.derives.missing(runtime)
    }

    /// Replaces the derives after an error at a field, which they would report again.
    pub(crate) fn stubs(&self, runtime: &Runtime) -> Option<TokenStream> {
        self.broken
            .then(|| self.derives.stubs(&self.ident, &Generics::default(), runtime))
    }
}

impl Message {
    /// Checks each field on its own, above the item: what the derives then say of one that cannot be stored names no way out.
    pub(crate) fn assert_fields(&self, runtime: &Runtime) -> Option<TokenStream> {
        assert_values(runtime, self.fields.iter().filter(|_| !self.broken))
    }
}

/// The attributes and the name of a struct whose fields cannot be read, unless it is generic.
pub(crate) fn half_struct(item: TokenStream) -> Option<(Vec<Attribute>, Ident)> {
    let parser = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![struct]>()?;
        Ok((attrs, input.parse::<Ident>()?, input.parse::<TokenStream>()?))
    };
    let (attrs, ident, rest) = parser.parse2(item).ok()?;
    matches!(rest.into_iter().next(), Some(TokenTree::Group(_))).then_some((attrs, ident))
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

/// Returns whether no attribute can leave the field out, or have it stored in another way than its type's.
pub(crate) fn is_plain_field(field: &Field) -> bool {
    !field.attrs.iter().any(is_special)
}

/// Returns whether the attribute can do either.
pub(crate) fn is_special(attribute: &Attribute) -> bool {
    ["serde", "schemars", "cfg", "cfg_attr"]
        .iter()
        .any(|name| attribute.path().is_ident(name))
}

fn is_plain(generics: &Generics) -> bool {
    generics.params.is_empty()
}

/// Reports what stands in `<…>` with this message, and a `where`. `None` if one cannot go on.
pub(crate) fn refuse_generics(generics: &Generics, message: String, errors: &mut Errors) -> Option<()> {
    if !generics.params.is_empty() {
        errors.at(&generics.params, message);
        return None;
    }
    refuse_where(generics, errors);
    Some(())
}

/// The same for an impl block, where the type with its parameters is reported.
pub(crate) fn refuse_generics_of_block(
    block: &ItemImpl,
    last: &PathSegment,
    message: &str,
    errors: &mut Errors,
) -> Option<()> {
    if !block.generics.params.is_empty() || !matches!(last.arguments, PathArguments::None) {
        errors.at(&block.self_ty, message);
        return None;
    }
    refuse_where(&block.generics, errors);
    Some(())
}

fn refuse_where(generics: &Generics, errors: &mut Errors) {
    if let Some(clause) = &generics.where_clause {
        errors.at(
            clause,
            "without type parameters there is nothing to say in `where`: remove it",
        );
    }
}
