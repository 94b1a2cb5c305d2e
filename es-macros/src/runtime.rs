use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Path, parse_quote};

/// The path of `es-runtime` in generated code: `::es_runtime` unless the argument `crate = path` says otherwise.
pub(crate) struct Runtime(Path);

impl Default for Runtime {
    fn default() -> Self {
        match Self::renamed() {
            // After an error that says so, which is then the only one.
            Some(name) => {
                let name = Ident::new(&name, Span::call_site());
                Self(parse_quote!(::#name))
            }
            None => Self(parse_quote!(::es_runtime)),
        }
    }
}

impl Runtime {
    /// Reads the `= path` of `crate = path`.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let expected = |error: syn::Error| {
            let message = "expected where es-runtime is, a path without quotes: `crate = ::es_runtime`";
            syn::Error::new(error.span(), message)
        };
        input.parse::<syn::Token![=]>().map_err(expected)?;
        let path = input.call(Path::parse_mod_style).map_err(expected)?;
        match path.segments.iter().find(|segment| segment.ident == "Self") {
            None => Ok(Self(path)),
            Some(segment) => {
                let message = "`Self` is no crate: write where es-runtime is, `crate = path`";
                Err(syn::Error::new(segment.ident.span(), message))
            }
        }
    }

    /// The name of `es-runtime` in the crate that is being compiled, if Cargo.toml gives it another one.
    pub(crate) fn renamed() -> Option<String> {
        renamed(std::env::args())
    }

    /// The module of what users do not name.
    pub(crate) fn private(&self) -> TokenStream {
        quote!(#self::__private)
    }

    /// A path below the private module as text, for attributes that take a path in a string.
    pub(crate) fn private_text(&self, name: &str) -> String {
        let path: String = self
            .0
            .to_token_stream()
            .into_iter()
            .map(|token| token.to_string())
            .collect();
        format!("{path}::__private::{name}")
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// Looks among the arguments of the compiler, `--extern es=…/libes_runtime-….rmeta`, for the name of the library; `None` if one is
/// called `es_runtime`. The name is for a message only: an editor, say, runs the macros in a process with other arguments.
fn renamed(arguments: impl Iterator<Item = String>) -> Option<String> {
    let externs: Vec<(String, String)> = arguments
        .filter_map(|argument| {
            let (name, path) = argument.split_once('=')?;
            let name = name.rsplit(':').next().unwrap_or(name);
            let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
            Some((name.to_owned(), file.to_owned()))
        })
        .collect();
    if externs.iter().any(|(name, _)| name == "es_runtime") {
        return None;
    }
    let (name, _) = externs
        .into_iter()
        .find(|(_, file)| file.starts_with("libes_runtime-"))?;
    syn::parse_str::<Ident>(&name).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_dependency_is_found_among_the_arguments_of_the_compiler() {
        let found = |arguments: &str| renamed(arguments.split(' ').map(str::to_owned));
        let es = "--extern es=/target/debug/deps/libes_runtime-8396ca.rmeta";
        assert_eq!(found(es).as_deref(), Some("es"));
        assert_eq!(
            found("--extern noprelude:es=C:\\deps\\libes_runtime-8396ca.rlib").as_deref(),
            Some("es")
        );
        assert_eq!(
            found(&format!("{es} --extern es_runtime=/deps/libes_runtime-1.rmeta")),
            None
        );
        assert_eq!(
            found("--extern es_runtime=/deps/libes_runtime-1.rmeta --extern serde=/deps/libserde-1.rmeta"),
            None
        );
        assert_eq!(found("--crate-name es_runtime --edition=2024 -C metadata=1"), None);
    }
}
