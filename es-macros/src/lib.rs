//! The procedural macros of `es-runtime`, which re-exports them.

mod aggregate;
mod args;
mod command;
mod derive_aggregate;
mod derives;
mod errors;
mod event;
mod helper;
mod message;
mod runtime;
mod stored_name;
mod value;

use proc_macro::TokenStream;

/// Makes a struct an event: an immutable fact, stored under a name.
#[proc_macro_attribute]
pub fn event(args: TokenStream, item: TokenStream) -> TokenStream {
    event::attribute(args.into(), &item.into()).into()
}

/// Makes a struct a command: a request addressed to one aggregate instance.
#[proc_macro_attribute]
pub fn command(args: TokenStream, item: TokenStream) -> TokenStream {
    command::attribute(args.into(), &item.into()).into()
}

/// Gives a struct or enum that is a field of events and commands what they need of it.
#[proc_macro_attribute]
pub fn value(args: TokenStream, item: TokenStream) -> TokenStream {
    value::attribute(args.into(), &item.into()).into()
}

/// Names an aggregate and its id.
#[proc_macro_derive(Aggregate, attributes(es))]
pub fn derive_aggregate(item: TokenStream) -> TokenStream {
    derive_aggregate::derive(item.into()).into()
}

/// Lists the commands and events of an aggregate: its methods with `#[handle]` and `#[apply]`.
#[proc_macro_attribute]
pub fn aggregate(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::attribute(args.into(), item.into()).into()
}

/// Marks a method of an `#[aggregate]` block that decides a command.
#[proc_macro_attribute]
pub fn handle(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("handle", args.into(), &item.into()).into()
}

/// Marks a method of an `#[aggregate]` block that folds an event into the state.
#[proc_macro_attribute]
pub fn apply(args: TokenStream, item: TokenStream) -> TokenStream {
    helper::attribute("apply", args.into(), &item.into()).into()
}
