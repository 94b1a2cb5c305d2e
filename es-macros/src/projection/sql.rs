//! The methods of an SQL projection.

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, GenericArgument, Meta, PathArguments, ReturnType, Signature, Type, parse_quote_spanned};

use super::apply::{listed, meta};
use crate::aggregate::handler::pascal_case;
use crate::aggregate::listed::{Listed, by_value, may_be_listed, shown, text, ungrouped};
use crate::aggregate::signature::{is_state, last_segment, plain_but_async};
use crate::errors::Errors;

/// A method with `#[apply]` that takes the store's transaction.
pub(crate) struct SqlApply {
    pub(crate) method: Ident,
    /// The type behind `&mut`.
    pub(crate) tx: Type,
    pub(crate) event: Listed,
    /// The type behind `&` of the `&Meta<…>` or `&InlineMeta<…>`, if it takes one.
    pub(crate) meta: Option<Type>,
    /// Where it says `async`.
    pub(crate) asyncness: Option<Span>,
}

/// The type of the transaction that the method takes, if it takes one. A reference to the projection itself is none.
pub(super) fn transaction<'a>(signature: &'a Signature, this: &Type) -> Option<&'a Type> {
    typed(signature)
        .find_map(behind_reference)
        .filter(|ty| !is_state(ty, this))
}

impl SqlApply {
    /// Reads a method of a block in which some method takes the transaction `known`. `None` if it does not say which event it
    /// applies, or in which transaction.
    pub(super) fn parse(signature: &Signature, attrs: &[Attribute], known: &Type, errors: &mut Errors) -> Option<Self> {
        plain_but_async(signature, "an apply", errors);
        if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
            let message = "an apply that takes a transaction has no `self`: what it knows is in its tables";
            errors.at(receiver, message);
        }
        for attribute in attrs {
            check_arguments(attribute, errors);
        }
        check_result(signature, errors);
        let parameters: Vec<&Type> = typed(signature).collect();
        let tx = first(signature, &parameters, known, errors)?;
        let (name, other) = (name_of(tx), name_of(known));
        if name != other {
            errors.at(
                tx,
                format!("the methods of a projection take the same transaction, and another one takes `{other}`, not `{name}`"),
            );
        }
        let Some((event, others)) = parameters[1..].split_first() else {
            let method = &signature.ident;
            let message = format!(
                "apply `{method}` takes no event: add a parameter `event: {}` behind the transaction",
                pascal_case(method)
            );
            errors.at(method, message);
            return None;
        };
        // The compiler would say what the future holds, and not the way out.
        if let Some(token) = &signature.asyncness
            && name_of(tx) == "SqliteTransaction"
        {
            let message = "on SQLite an apply is a plain `fn`, because its statements are done when the call returns: remove `async`, and each `.await`";
            errors.at(token, message);
        }
        Some(Self {
            method: signature.ident.clone(),
            tx: tx.clone(),
            event: listed(event, attrs, errors)?,
            meta: meta("an apply", others, &["Meta", "InlineMeta"], errors).map(behind),
            asyncness: signature.asyncness.as_ref().map(Spanned::span),
        })
    }
}

/// The transaction, which is the first parameter.
fn first<'a>(signature: &Signature, parameters: &[&'a Type], known: &Type, errors: &mut Errors) -> Option<&'a Type> {
    let name = name_of(known);
    let wanted = format!("`tx: &mut {name}<'_>`");
    match parameters.iter().position(|ty| behind_reference(ty).is_some()) {
        Some(0) => {}
        Some(at) => {
            errors.at(
                parameters[at],
                format!("take the transaction first: {wanted}, then the event"),
            );
            return None;
        }
        None => {
            let message =
                format!("another method takes `{name}`, and so does each: add the parameter {wanted} before the event");
            errors.at(&signature.ident, message);
            return None;
        }
    }
    if !matches!(parameters[0], Type::Reference(reference) if reference.mutability.is_some()) {
        errors.at(parameters[0], format!("take the transaction by `&mut`: {wanted}"));
    }
    behind_reference(parameters[0])
}

/// Returns the type that the reference refers to.
fn behind(ty: Type) -> Type {
    match ty {
        Type::Reference(reference) => ungrouped(&reference.elem).clone(),
        ty => ty,
    }
}

/// The types of the parameters but for the receiver.
fn typed(signature: &Signature) -> impl Iterator<Item = &Type> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(ungrouped(&typed.ty)),
        FnArg::Receiver(_) => None,
    })
}

/// Returns the transaction type behind a reference: nothing else is taken by `&mut`, or has such a name.
/// One by value is taken for a transaction too, to say how it is taken.
fn behind_reference(ty: &Type) -> Option<&Type> {
    let Type::Reference(reference) = ty else {
        return is_transaction_by_value(ty).then_some(ty);
    };
    let inner = ungrouped(&reference.elem);
    let name = &last_segment(inner)?.ident;
    (reference.mutability.is_some() || is_called_transaction(name)).then_some(inner)
}

/// Returns whether the name is that of a transaction, which has a lifetime also where it is left out.
fn is_called_transaction(name: &Ident) -> bool {
    name == "Tx" || name.to_string().ends_with("Transaction")
}

/// Returns whether it is one of a store: an event may be called a transaction as well.
fn is_transaction_by_value(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| {
        ["SqliteTransaction", "PgTransaction"]
            .iter()
            .any(|name| last.ident == name)
    })
}

/// Reports a method that takes the store, or something else that it is reached by, in the place of the transaction.
pub(super) fn refuse_store(signature: &Signature, errors: &mut Errors) -> bool {
    let parameters: Vec<&Type> = typed(signature).collect();
    let [first, event, ..] = parameters[..] else {
        return false;
    };
    let name = name_of(by_value(first));
    let is_store = ["Store", "Connection", "Pool", "Client", "Runtime"]
        .iter()
        .any(|end| name.ends_with(end));
    if !is_store || !may_be_listed(event) {
        return false;
    }
    let sqlite = "`tx: &mut SqliteTransaction<'_>`";
    let postgres = "`tx: &mut PgTransaction<'_>` in an `async fn`";
    let wanted = match &*name {
        name if name.starts_with("Sqlite") => sqlite.to_owned(),
        name if name.starts_with("Pg") || name.starts_with("Postgres") => postgres.to_owned(),
        _ => format!("{sqlite}, or {postgres}"),
    };
    let written = shown(first);
    errors.at(
        first,
        format!(
            "an apply writes in the store's transaction, with the checkpoint: take {wanted}, instead of `{written}`"
        ),
    );
    true
}

fn name_of(ty: &Type) -> String {
    last_segment(ty).map_or_else(|| text(ty), |last| last.ident.to_string())
}

/// Reports `#[apply(…)]`: there are no rows to name.
fn check_arguments(attribute: &Attribute, errors: &mut Errors) {
    let is_apply = attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "apply");
    if !is_apply {
        return;
    }
    let message = "an apply that takes a transaction has no rows with keys: write `#[apply]`, and say in its statements what is changed";
    match &attribute.meta {
        Meta::Path(_) => {}
        Meta::List(list) if list.tokens.is_empty() => {}
        Meta::List(list) => errors.at(&list.tokens, message),
        Meta::NameValue(pair) => errors.at(&pair.value, message),
    }
}

/// Reports a method that cannot say that a statement failed.
fn check_result(signature: &Signature, errors: &mut Errors) {
    let message = "an apply that takes a transaction returns `Result<()>`: a statement that fails must be told";
    match &signature.output {
        ReturnType::Type(_, ty) if last_segment(ty).is_some_and(|last| last.ident.to_string().ends_with("Result")) => {}
        ReturnType::Type(_, ty) => errors.at(ty, message),
        ReturnType::Default => errors.at(&signature.ident, message),
    }
}

/// The type for all lifetimes: that with `'static`, which is added to a transaction whose lifetime is left out.
pub(super) fn with_static(ty: &Type) -> Type {
    let mut ty = ungrouped(ty).clone();
    if let Type::Path(path) = &mut ty {
        if let Some(last) = path.path.segments.last_mut()
            && matches!(last.arguments, PathArguments::None)
            && is_called_transaction(&last.ident)
        {
            last.arguments = PathArguments::AngleBracketed(parse_quote_spanned!(last.ident.span()=> <'static>));
        }
        for segment in &mut path.path.segments {
            if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                for argument in &mut arguments.args {
                    if let GenericArgument::Lifetime(lifetime) = argument {
                        lifetime.ident = Ident::new("static", lifetime.ident.span());
                    }
                }
            }
        }
    }
    ty
}
