//! Small changes of tokens, each of which gives all the ways in which it can be made.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};

use super::flat;

/// The tokens with one change, for each that `change` makes of a sequence of them: of the whole, and of what each group holds.
fn variants(tokens: &TokenStream, change: &dyn Fn(&[TokenTree]) -> Vec<Vec<TokenTree>>) -> Vec<TokenStream> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut all: Vec<TokenStream> = change(&trees).into_iter().map(TokenStream::from_iter).collect();
    for (index, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else { continue };
        for inner in variants(&group.stream(), change) {
            let mut changed = trees.clone();
            changed[index] = Group::new(group.delimiter(), inner).into();
            all.push(changed.into_iter().collect());
        }
    }
    all
}

/// Cut off at each place, with what is open closed, alone and with what stands behind that.
pub(super) fn prefixes(tokens: &TokenStream) -> Vec<TokenStream> {
    let cut = |trees: &[TokenTree]| (0..trees.len()).map(|end| trees[..end].to_vec()).collect();
    let mut all = variants(tokens, &cut);
    let mut whole = Vec::new();
    flat(tokens.clone(), &mut whole);
    all.extend((0..whole.len()).map(|length| prefix(tokens, &mut { length })));
    all
}

fn prefix(tokens: &TokenStream, left: &mut usize) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for tree in tokens.clone() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        kept.push(match tree {
            TokenTree::Group(group) => Group::new(group.delimiter(), prefix(&group.stream(), left)).into(),
            tree => tree,
        });
    }
    kept.into_iter().collect()
}

/// With one token deleted, or the delimiters of a group.
pub(super) fn deletions(tokens: &TokenStream) -> Vec<TokenStream> {
    variants(tokens, &|trees| {
        let without = |index: usize, inner: TokenStream| {
            let (before, after) = (trees[..index].iter().cloned(), trees[index + 1..].iter().cloned());
            before.chain(inner).chain(after).collect()
        };
        let each = trees.iter().enumerate().flat_map(|(index, tree)| {
            let opened = match tree {
                TokenTree::Group(group) => Some(without(index, group.stream())),
                _ => None,
            };
            opened.into_iter().chain([without(index, TokenStream::new())])
        });
        each.collect()
    })
}

/// With some tokens, one after the other, in a group without delimiters: so a fragment of `macro_rules!` comes.
pub(super) fn fragments(tokens: &TokenStream) -> Vec<TokenStream> {
    variants(tokens, &|trees| {
        let runs =
            (0..trees.len()).flat_map(|start| (start + 1..=trees.len().min(start + 5)).map(move |end| (start, end)));
        let wrapped = runs.map(|(start, end)| {
            let group = Group::new(Delimiter::None, trees[start..end].iter().cloned().collect());
            let (before, after) = (trees[..start].iter().cloned(), trees[end..].iter().cloned());
            before.chain([group.into()]).chain(after).collect()
        });
        wrapped.collect()
    })
}

/// With each string literal replaced, one at a time.
pub(super) fn with_strings(tokens: &TokenStream, text: &str) -> Vec<TokenStream> {
    variants(tokens, &|trees| {
        let strings = trees
            .iter()
            .enumerate()
            .filter(|(_, tree)| tree.to_string().starts_with('"'));
        let replaced = strings.map(|(index, _)| {
            let mut changed = trees.to_vec();
            changed[index] = Literal::string(text).into();
            changed
        });
        replaced.collect()
    })
}

/// With each name replaced wherever it stands, one at a time.
pub(super) fn with_names(tokens: &TokenStream, odd: &Ident) -> Vec<TokenStream> {
    let mut names = Vec::new();
    collect(tokens, &mut names);
    names.iter().map(|name| renamed(tokens, name, odd)).collect()
}

fn collect(tokens: &TokenStream, names: &mut Vec<Ident>) {
    for tree in tokens.clone() {
        match tree {
            TokenTree::Ident(ident) if !names.contains(&ident) => names.push(ident),
            TokenTree::Group(group) => collect(&group.stream(), names),
            _ => {}
        }
    }
}

fn renamed(tokens: &TokenStream, name: &Ident, odd: &Ident) -> TokenStream {
    let each = tokens.clone().into_iter().map(|tree| match tree {
        TokenTree::Ident(ident) if ident == *name => odd.clone().into(),
        TokenTree::Group(group) => Group::new(group.delimiter(), renamed(&group.stream(), name, odd)).into(),
        tree => tree,
    });
    each.collect()
}
