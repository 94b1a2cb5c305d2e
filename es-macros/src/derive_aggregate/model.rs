use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Item, LitStr, Meta, Path, PathArguments, Token, Type, parse_quote};

use super::snapshot::Snapshot;
use crate::args::{self, Known};
use crate::errors::Errors;
use crate::fields;
use crate::message::{half_struct, refuse_generics};
use crate::runtime::Runtime;
use crate::shape::Shape;
use crate::stored_name;

const KNOWN: Known<'_> = Known {
    attribute: "#[es(…)]",
    arguments: &["name", "id", "foreign", "snapshot", "crate"],
    repeatable: &[],
};

/// Types of std and its friends that serve as natural keys, and that users write without a path.
const FOREIGN: &[&str] = &[
    "String",
    "Uuid",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "char",
    "bool",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
];

/// A type with `#[derive(Aggregate)]`.
pub(crate) struct Aggregate {
    pub(crate) runtime: Runtime,
    pub(crate) ident: Ident,
    pub(crate) name: LitStr,
    /// The natural key, if it is not an `Id<Self>`.
    pub(crate) id: Option<Type>,
    foreign: bool,
    pub(crate) shape: Shape,
    pub(crate) snapshot: Option<Snapshot>,
    /// The type of a field that cannot leave its thread, as far as its text shows, where the compiler says so.
    pub(crate) unshared: Option<Span>,
}

impl Aggregate {
    pub(crate) fn parse(item: TokenStream, errors: &mut Errors) -> Option<Self> {
        let parsed = match errors.ok(syn::parse2::<Item>(item.clone())) {
            Some(parsed) => parsed,
            // Enough that whoever uses it is not reported too.
            None => {
                let (attrs, ident) = half_struct(item)?;
                parse_quote!(#(#attrs)* struct #ident;)
            }
        };
        let shape = Shape::of(&parsed);
        let unshared = shape
            .types
            .iter()
            .find(|ty| fields::stays_in_its_thread(ty))
            .map(Spanned::span);
        let (ident, attrs, generics) = match parsed {
            Item::Struct(item) => (item.ident, item.attrs, item.generics),
            Item::Enum(item) => (item.ident, item.attrs, item.generics),
            other => {
                errors.at(other, "an aggregate is a struct or an enum");
                return None;
            }
        };
        let message = format!(
            "an aggregate has no type parameters or lifetimes, because its name stands for one kind of stream: remove them from `{ident}`"
        );
        refuse_generics(&generics, message, errors)?;
        let (mut runtime, mut name, mut id, mut foreign) = (Runtime::default(), None, None, None);
        let mut snapshot = None;
        let mut mistaken = Errors::default();
        args::read(arguments(&attrs, errors), &KNOWN, errors, |argument, input| {
            match argument.to_string().as_str() {
                "name" => name = Some(stored_name::parse(argument, input)?),
                "crate" => runtime = Runtime::parse(input)?,
                "id" => {
                    id = Some(parse_id(argument, input, &mut mistaken)?);
                }
                "snapshot" => snapshot = Some(Snapshot::parse(argument, input, &mut mistaken)?),
                _ => foreign = Some(argument.clone()),
            }
            Ok(())
        });
        errors.take(mistaken);
        if let (Some(foreign), None) = (&foreign, &id) {
            errors.at(foreign, "`foreign` says that the type in `id = …` is of another crate or of several aggregates: add `id = …` or remove it");
        }
        Some(Self {
            name: stored_name::check(name, &ident, errors),
            runtime,
            ident,
            id,
            foreign: foreign.is_some(),
            shape,
            snapshot,
            unshared,
        })
    }

    /// The natural key that identifies this aggregate and nothing else, for which `Key` can be implemented.
    pub(crate) fn own_key(&self) -> Option<&Type> {
        self.id.as_ref().filter(|id| !self.foreign && is_local(id))
    }
}

/// Reads the `= Type` of `id = Type`. One in quotes is reported, and taken without them.
fn parse_id(argument: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Type> {
    let expected = |span| syn::Error::new(span, "expected a type: `id = u64`");
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(expected(argument.span()));
    }
    if let Some(quoted) = input.parse::<Option<LitStr>>()? {
        let error = expected(quoted.span());
        let Ok(ty) = quoted.parse() else { return Err(error) };
        errors.at(
            &quoted,
            format!("expected a type, without quotes: `id = {}`", quoted.value()),
        );
        return Ok(ty);
    }
    input.parse().map_err(|error| expected(error.span()))
}

/// The arguments of all `#[es(…)]` attributes, as one list.
fn arguments(attrs: &[Attribute], errors: &mut Errors) -> TokenStream {
    let mut all = TokenStream::new();
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("es")) {
        match &attribute.meta {
            Meta::List(list) => {
                let tokens = &list.tokens;
                let comma = (!all.is_empty()).then(|| quote!(,));
                all.extend(quote!(#comma #tokens));
            }
            other => errors.at(other, "expected arguments: `#[es(name = \"…\")]`"),
        }
    }
    all
}

/// Returns whether a type can be taken for one of the user's crate: a single name that is none of [`FOREIGN`], or a
/// path from `crate`, `self` or `super`. `Id<…>` says by itself what it identifies.
fn is_local(ty: &Type) -> bool {
    let Type::Path(path) = ty else {
        return false;
    };
    path.qself.is_none()
        && (starts_locally(&path.path)
            || path
                .path
                .get_ident()
                .is_some_and(|ident| !FOREIGN.iter().any(|name| ident == name)))
}

fn starts_locally(path: &Path) -> bool {
    let plain = path
        .segments
        .iter()
        .all(|segment| matches!(segment.arguments, PathArguments::None));
    let first = path.segments.first().map(|segment| segment.ident.to_string());
    plain && path.segments.len() > 1 && matches!(first.as_deref(), Some("crate" | "self" | "super"))
}
