use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

use crate::impl_block::Method;
use crate::shape::fnv;

/// The methods that fold, as text without places, blanks and comments.
#[derive(Default)]
pub(crate) struct Fold(String);

/// Two marks that mean something else apart: `a && b` and `a & &b`.
const PAIRS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "+=", "-=", "*=", "/=", "%=", "^=", "&=", "|=", "->", "=>", "::",
    "..", ".=", "<-",
];

impl Fold {
    /// Adds a method with its attributes, which may leave it out, and its body.
    pub(crate) fn add(&mut self, method: &Method) {
        for attribute in &method.attrs {
            self.tokens(attribute.to_token_stream());
        }
        self.tokens(method.sig.to_token_stream());
        self.tokens(method.body.clone());
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        fnv(&self.0)
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                // A comment, as the compiler passes it on.
                TokenTree::Punct(mark) if mark.as_char() == '#' && tokens.next_if(is_documentation).is_some() => {}
                TokenTree::Punct(mark) => {
                    self.0.push(mark.as_char());
                    let pair = match tokens.peek() {
                        Some(TokenTree::Punct(next)) if mark.spacing() == Spacing::Joint => {
                            String::from_iter([mark.as_char(), next.as_char()])
                        }
                        _ => String::new(),
                    };
                    if !PAIRS.contains(&&*pair) {
                        self.0.push(' ');
                    }
                }
                TokenTree::Group(group) => {
                    let (opens, closes) = match group.delimiter() {
                        Delimiter::Parenthesis => ('(', ')'),
                        Delimiter::Brace => ('{', '}'),
                        Delimiter::Bracket => ('[', ']'),
                        Delimiter::None => ('⟨', '⟩'),
                    };
                    self.0.push(opens);
                    self.tokens(group.stream());
                    self.0.push(closes);
                }
                token => {
                    self.0.push_str(&token.to_string());
                    self.0.push(' ');
                }
            }
        }
    }
}

/// Returns whether the token is the `[doc = "…"]` of a comment.
fn is_documentation(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else { return false };
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(ident)) if ident == "doc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Errors;
    use crate::impl_block::{ImplBlock, Member};

    fn fingerprint(methods: &str) -> u64 {
        let block = format!("impl Board {{ {methods} }}").parse().unwrap();
        let block = ImplBlock::parse(&block, &mut Errors::default()).unwrap();
        let mut fold = Fold::default();
        for member in &block.members {
            if let Member::Method(method) = member {
                fold.add(method);
            }
        }
        fold.fingerprint()
    }

    #[test]
    fn blanks_and_comments_do_not_count() {
        let one = fingerprint("#[apply] fn renamed(&mut self, e: Renamed) { self.name=-e.a&&b ; }");
        let other = "
            /// Another name.
            #[apply]
            fn renamed(&mut self, e: Renamed) {
                // Why.
                /// Why else.
                self.name = -e.a && b;
            }";
        assert_eq!(one, fingerprint(other));
        assert_eq!(one, 1_067_310_522_168_225_188, "a fingerprint that is stored must stay");
    }

    #[test]
    fn each_edit_of_a_method_counts() {
        let edits = [
            "fn renamed(&mut self, e: Renamed) { self.a = e.a && self.b; }",
            "fn renamed(&mut self, e: Renamed) { self.a = e.a & &self.b; }",
            "fn renamed(&mut self, e: Renamed) { self.a = e.a || self.b; }",
            "fn renamed(&mut self, e: Renamed) { self.a = (e.a && self.b); }",
            "fn renamed(&mut self, e: Renamed) { self.a = [e.a && self.b]; }",
            "fn renamed(&mut self, e: Renamed) { self.a = {e.a && self.b}; }",
            "fn renamed(&mut self, e: Renamed) { self.a = \"e.a && self.b\"; }",
            "fn renamed(&mut self, e: Renamed) { self.a = 1; }",
            "fn renamed(&mut self, e: Renamed) { self.a = 1u8; }",
            "fn renamed(&mut self, e: Renamed) { self.a += 1; }",
            "fn renamed(&mut self, e: Moved) { self.a += 1; }",
            "#[cfg(test)] fn renamed(&mut self, e: Moved) { self.a += 1; }",
            "",
        ];
        let fingerprints: std::collections::BTreeSet<u64> = edits.into_iter().map(fingerprint).collect();
        assert_eq!(fingerprints.len(), edits.len());
    }
}
