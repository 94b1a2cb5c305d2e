//! An impl block of which only the signatures are read.
//!
//! Bodies stay groups of tokens: a mistake in one is the compiler's to report, and does not hide the commands and events of the
//! block from those who use them.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::token::Brace;
use syn::{Attribute, ImplItem, Item, ItemImpl, LitStr, Signature, Token, Type, Visibility, parse_quote};

use crate::aggregate::signature::last_segment;
use crate::errors::Errors;
use crate::helper;
use crate::message::refuse_generics_of_block;

pub(crate) struct ImplBlock {
    /// The block without its members.
    pub(crate) head: ItemImpl,
    pub(crate) members: Vec<Member>,
}

/// A member of the block.
pub(crate) enum Member {
    Method(Box<Method>),
    /// A constant or a type.
    Item(Vec<Attribute>),
    Macro(syn::ImplItemMacro),
}

/// A function, of which the body is not read.
pub(crate) struct Method {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

impl ImplBlock {
    /// Reads the block. `None` if it is not one. Reports members with a helper attribute that cannot be read; the others are not ours.
    pub(crate) fn parse(item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let mut tokens: Vec<TokenTree> = item.clone().into_iter().collect();
        let body = match tokens.pop()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => group.stream(),
            _ => return None,
        };
        let head: TokenStream = tokens.into_iter().collect();
        let Ok(Item::Impl(head)) = syn::parse2(quote!(#head {})) else {
            return None;
        };
        let read = read_members.parse2(body).unwrap_or_default();
        let members = read.into_iter().filter_map(|read| or_repaired(read, errors)).collect();
        Some(Self { head, members })
    }
}

/// Reports calls of macros that are given methods for the block. Whether there are any.
pub(crate) fn refuse_macros(members: &[Member], attribute: &str, errors: &mut Errors) -> bool {
    let mut refused = false;
    for member in members {
        if let Member::Macro(call) = member
            && helper::mentions(call.mac.tokens.clone())
        {
            let message = format!(
                "`{attribute}` does not see what a macro in its block expands to: write these methods out, or let the macro write the whole block"
            );
            errors.at(&call.mac.path, message);
            refused = true;
        }
    }
    refused
}

/// The words for a block whose methods with a helper attribute list what its type does.
pub(crate) struct Words {
    /// The attribute, such as `#[publication]`.
    pub(crate) attribute: &'static str,
    /// The helper attribute, such as `publish`.
    pub(crate) helper: &'static str,
    /// The type with its article, such as `a publication`.
    pub(crate) noun: &'static str,
    /// The item that it is, such as `a struct`.
    pub(crate) item: &'static str,
    /// The one thing for which its name stands, such as `one list of messages`.
    pub(crate) stands_for: &'static str,
}

impl Words {
    /// `None` if it is not the inherent block of a plain type.
    pub(crate) fn check(&self, head: &ItemImpl, errors: &mut Errors) -> Option<()> {
        let Self {
            attribute,
            helper,
            noun,
            item,
            stands_for,
        } = self;
        if let Some((path, _)) = &head.trait_ {
            errors.at(
                path,
                format!("`{attribute}` goes on the inherent impl block, without a trait: move the `#[{helper}]` methods there"),
            );
            return None;
        }
        let Some(last) = last_segment(&head.self_ty) else {
            errors.at(&head.self_ty, format!("{noun} is {item} with `{attribute}`"));
            return None;
        };
        let message = format!("{noun} has no type parameters or lifetimes, because its name stands for {stands_for}");
        refuse_generics_of_block(head, last, &message, errors)
    }

    /// Returns whether the method has the helper attribute. Reports a second one, and others, which go `elsewhere`.
    pub(crate) fn marks(&self, method: &Method, elsewhere: impl Fn(&str) -> String, errors: &mut Errors) -> bool {
        let mut times = 0;
        for attribute in &method.attrs {
            match helper::name(attribute) {
                Some(name) if name == self.helper => {
                    times += 1;
                    if times > 1 {
                        errors.at(attribute, format!("`#[{name}]` is given twice: keep one of them"));
                    }
                }
                Some(other) => errors.at(attribute, elsewhere(other)),
                None => {}
            }
        }
        times > 0
    }
}

/// A member, or the tokens of one that cannot be read, with the reason.
type Read = Result<Member, (TokenStream, syn::Error)>;

fn read_members(input: ParseStream<'_>) -> syn::Result<Vec<Read>> {
    let mut members = Vec::new();
    while !input.is_empty() {
        let ahead = input.fork();
        members.push(match member(&ahead) {
            Ok(read) => {
                member(input)?;
                Ok(read)
            }
            Err(error) => Err((skip(input)?, error)),
        });
    }
    Ok(members)
}

fn member(input: ParseStream<'_>) -> syn::Result<Member> {
    let ahead = input.fork();
    let attrs = ahead.call(Attribute::parse_outer)?;
    ahead.parse::<Visibility>()?;
    if !is_function(&ahead) {
        return Ok(match input.parse()? {
            ImplItem::Const(item) => Member::Item(item.attrs),
            ImplItem::Type(item) => Member::Item(item.attrs),
            ImplItem::Macro(item) => Member::Macro(item),
            _ => return Err(input.error("expected a method")),
        });
    }
    input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let sig = input.parse()?;
    let body = if input.peek(Brace) {
        input.parse::<TokenTree>()?.into()
    } else {
        input.parse::<Token![;]>()?;
        TokenStream::new()
    };
    Ok(Member::Method(Box::new(Method { attrs, sig, body })))
}

/// Returns whether a function begins here: at `fn`, or what may stand before it.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while ahead.peek(Token![const])
        || ahead.peek(Token![async])
        || ahead.peek(Token![unsafe])
        || ahead.peek(LitStr)
        || ahead.peek(Token![extern])
    {
        if ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    ahead.peek(Token![fn])
}

/// Goes to the end of a member that cannot be read: behind its body or semicolon, or before the attributes of the next.
fn skip(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut skipped = TokenStream::new();
    let mut in_attributes = true;
    while !input.is_empty() {
        let at_attribute = input.peek(Token![#]);
        if at_attribute && !in_attributes {
            break;
        }
        let token: TokenTree = input.parse()?;
        in_attributes = at_attribute || (in_attributes && is_group(&token, Delimiter::Bracket));
        let ends =
            is_group(&token, Delimiter::Brace) || matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';');
        skipped.extend([token]);
        if ends {
            break;
        }
    }
    Ok(skipped)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// The member. For a method with a helper attribute that cannot be read, reports that and makes a guess, so that whoever uses its
/// command or event is not reported too.
fn or_repaired(read: Read, errors: &mut Errors) -> Option<Member> {
    let (tokens, error) = match read {
        Ok(member) => return Some(member),
        Err(unread) => unread,
    };
    let parser = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?));
    let (attrs, rest) = parser.parse2(tokens).ok()?;
    if !attrs.iter().any(|attribute| helper::name(attribute).is_some()) {
        return None;
    }
    errors.push(error);
    let sig = repaired(rest)?;
    let body = TokenStream::new();
    Some(Member::Method(Box::new(Method { attrs, sig, body })))
}

/// The signature as far as it can be guessed: its name, the receiver, and the last thing among the parameters that looks like the name
/// of a type.
fn repaired(tokens: TokenStream) -> Option<Signature> {
    let mut tokens = tokens.into_iter().skip_while(|token| !is_ident(token, "fn")).skip(1);
    let TokenTree::Ident(name) = tokens.next()? else {
        return None;
    };
    let parameters = match tokens.next()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => group.stream(),
        _ => return None,
    };
    let ty = last_type(parameters.clone())?;
    let parameters: Vec<TokenTree> = parameters.into_iter().collect();
    let place = parameters.iter().position(|token| is_ident(token, "self"));
    let receiver = place.map(|place| &parameters[..=place]);
    let receiver = receiver.map(|tokens| quote!(#(#tokens)*,));
    let output: TokenStream = tokens.take_while(|token| !is_group(token, Delimiter::Brace)).collect();
    syn::parse2(quote!(fn #name(#receiver _: #ty) #output))
        .or_else(|_| syn::parse2(quote!(fn #name(#receiver _: #ty))))
        .ok()
}

fn last_type(tokens: TokenStream) -> Option<Type> {
    let is_type = |ident: &Ident| {
        let name = ident.unraw().to_string();
        name.starts_with(char::is_uppercase) && !["Self", "Option", "Context", "Meta"].contains(&name.as_str())
    };
    let types = tokens.into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) if is_type(&ident) => Some(parse_quote!(#ident)),
        _ => None,
    });
    types.last()
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}
