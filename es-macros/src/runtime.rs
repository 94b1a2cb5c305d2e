use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Path, parse_quote};

/// The path of `es-runtime` in generated code: `::es_runtime` unless the argument `crate = path` says otherwise.
pub(crate) struct Runtime(Path);

impl Default for Runtime {
    fn default() -> Self {
        Self(parse_quote!(::es_runtime))
    }
}

impl Runtime {
    /// Reads the `= path` of `crate = path`.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<syn::Token![=]>()?;
        let path = input.call(Path::parse_mod_style)?;
        match path.segments.iter().find(|segment| segment.ident == "Self") {
            None => Ok(Self(path)),
            Some(segment) => {
                let message = "`Self` is no crate: write where es-runtime is, `crate = path`";
                Err(syn::Error::new(segment.ident.span(), message))
            }
        }
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
