//! The macros as plain functions from tokens to tokens.

mod changes;
mod half_typed;
mod mutated;
mod snapshots;
mod speed;

use proc_macro2::{TokenStream, TokenTree};

use crate::{
    aggregate, command, derive_aggregate, entity, event, helper, process_manager, projection, publication, value,
};

/// Runs the macro of this name.
fn expand(name: &str, args: TokenStream, item: TokenStream) -> TokenStream {
    match name {
        "event" => event::attribute(args, &item),
        "entity" => entity::attribute(args, &item),
        "command" => command::attribute(args, &item),
        "value" => value::attribute(args, &item),
        "aggregate" => aggregate::attribute(args, item),
        "projection" => projection::attribute(args, item),
        "process_manager" => process_manager::attribute(args, item),
        "publication" => publication::attribute(args, item),
        "message" => publication::message::attribute(args, &item),
        "derive_aggregate" => derive_aggregate::derive(item),
        "handle" | "apply" | "retired" | "on" | "publish" => helper::attribute(name, args, &item),
        name => panic!("there is no macro `{name}`"),
    }
}

/// The tokens without groups, each with its place in the source; an opening or closing delimiter is a token too.
fn flat(tokens: TokenStream, out: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                out.push(format!("{:?} opens", group.delimiter()));
                flat(group.stream(), out);
                out.push(format!("{:?} closes", group.delimiter()));
            }
            token => out.push(token.to_string()),
        }
    }
}
