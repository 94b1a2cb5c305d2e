use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{LitStr, Token};

use crate::errors::Errors;

/// The longest name that every store takes.
const MAX_LEN: usize = 128;

/// Reads the `= "…"` of `name = "…"` or another argument that is a name.
pub(crate) fn parse(argument: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let expected = |span| syn::Error::new(span, format!("expected a string: `{argument} = \"…\"`"));
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_none() || input.is_empty() {
        return Err(expected(argument.span()));
    }
    input.parse().map_err(|error| expected(error.span()))
}

/// The name that is stored: the one given, or the item's in snake case.
pub(crate) fn check(given: Option<LitStr>, ident: &Ident, errors: &mut Errors) -> LitStr {
    let (name, fix) = match given {
        Some(name) => (name, ""),
        None => (LitStr::new(&snake_case(ident), ident.span()), "; say `name = \"…\"`"),
    };
    if let Some(mistake) = mistake(&name.value()) {
        errors.at(&name, format!("the name {:?} {mistake}{fix}", name.value()));
    }
    name
}

/// Reports a name that is given and cannot be stored.
pub(crate) fn check_given(name: &LitStr, errors: &mut Errors) {
    if let Some(mistake) = mistake(&name.value()) {
        errors.at(name, format!("the name {:?} {mistake}", name.value()));
    }
}

fn mistake(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.starts_with("es.") {
        Some("is reserved: names that begin with `es.` are the framework's own".to_owned())
    } else if name.len() > MAX_LEN {
        Some(format!(
            "is too long: it has {} bytes, the limit is {MAX_LEN}",
            name.len()
        ))
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(allowed) {
        Some(
            "cannot be stored: it must begin with an ASCII letter and go on with letters, digits, `_`, `.` or `-`"
                .to_owned(),
        )
    } else {
        None
    }
}

/// `OpenedV2` as `opened_v2`, `HTTPCall` as `http_call`.
pub(crate) fn snake_case(ident: &Ident) -> String {
    let name: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, &c) in name.iter().enumerate() {
        let after_lower = index > 0 && (name[index - 1].is_lowercase() || name[index - 1].is_ascii_digit());
        let before_lower = index > 0 && name[index - 1] != '_' && name.get(index + 1).is_some_and(|c| c.is_lowercase());
        if c.is_uppercase() && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_snake_case() {
        for (ident, name) in [
            ("Opened", "opened"),
            ("OpenedV2", "opened_v2"),
            ("HTTPCall", "http_call"),
            ("MoneyMovedIn", "money_moved_in"),
            ("X", "x"),
            ("already_snake", "already_snake"),
        ] {
            assert_eq!(snake_case(&quote::format_ident!("{ident}")), name);
        }
    }

    #[test]
    fn what_cannot_be_stored() {
        for name in ["", "1st", "a b", "über", "es.opened", "a/b", &"x".repeat(129)] {
            assert!(mistake(name).is_some(), "{name}");
        }
        for name in ["a", "Account.Opened", "opened-v2", "esx", &"x".repeat(128)] {
            assert!(mistake(name).is_none(), "{name}");
        }
    }
}
