use proc_macro2::{Ident, TokenStream};
use syn::{Item, LitStr};

use crate::args::{self, Known};
use crate::errors::Errors;
use crate::message::{half_struct, refuse_generics};
use crate::on_failure::OnFailure;
use crate::runtime::Runtime;
use crate::stored_name;

const KNOWN: Known<'_> = Known {
    attribute: "#[publication]",
    arguments: &["name", "topic", "version", "source", "park", "park_alone", "crate"],
    repeatable: &[],
};

/// The longest name of a topic that every broker takes.
const MAX_TOPIC: usize = 249;

/// A struct with `#[publication]`.
pub(super) struct Target {
    pub(super) runtime: Runtime,
    pub(super) ident: Ident,
    pub(super) name: LitStr,
    /// The topic. `None` after an error.
    pub(super) topic: Option<LitStr>,
    pub(super) version: u32,
    pub(super) source: Option<LitStr>,
    pub(super) on_failure: OnFailure,
}

impl Target {
    /// Reads the struct. `None` if there is too little of it to go on.
    pub(super) fn parse(args: TokenStream, item: &TokenStream, errors: &mut Errors) -> Option<Self> {
        let (mut runtime, mut name, mut topic, mut source) = (Runtime::default(), None, None, None);
        let (mut version, mut on_failure) = (1, None);
        let is_read = args::read(args, &KNOWN, errors, |argument, input| {
            match argument.to_string().as_str() {
                "name" => name = Some(stored_name::parse(argument, input)?),
                "topic" => topic = Some(stored_name::parse(argument, input)?),
                "source" => source = Some(stored_name::parse(argument, input)?),
                "version" => version = args::version(argument, input)?,
                "park" | "park_alone" => OnFailure::read(&mut on_failure, argument)?,
                _ => runtime = Runtime::parse(input)?,
            }
            Ok(())
        });
        let ident = ident(item, errors)?;
        match &topic {
            Some(topic) => check_topic(topic, errors),
            None if is_read => {
                let message = format!("say where `{ident}` publishes: `#[publication(topic = \"…\")]`");
                errors.at(&ident, message);
            }
            None => {}
        }
        if let Some(source) = source.as_ref().filter(|source| source.value().is_empty()) {
            errors.at(
                source,
                "the source of a message is not empty: leave `source` out, and it is the publication's name",
            );
        }
        Some(Self {
            name: stored_name::check(name, &ident, errors),
            runtime,
            ident,
            topic,
            version,
            source,
            on_failure: on_failure.unwrap_or_default(),
        })
    }
}

/// The name of the struct. Reports anything else.
fn ident(item: &TokenStream, errors: &mut Errors) -> Option<Ident> {
    let Some(item) = errors.ok(syn::parse2::<Item>(item.clone())) else {
        return half_struct(item.clone()).map(|(_, ident)| ident);
    };
    let Item::Struct(item) = item else {
        errors.at(
            item,
            "`#[publication]` goes on a struct, such as `pub struct Accounts;`, and on its impl block",
        );
        return None;
    };
    let message = format!(
        "a publication has no type parameters or lifetimes, because its name stands for one list of messages: remove them from `{}`",
        item.ident
    );
    refuse_generics(&item.generics, message, errors)?;
    Some(item.ident)
}

fn check_topic(topic: &LitStr, errors: &mut Errors) {
    let text = topic.value();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.is_empty() || text.len() > MAX_TOPIC || !text.chars().all(allowed) || text.split('.').any(str::is_empty) {
        let message = format!(
            "{text:?} is no topic that every broker takes: write ASCII letters, digits, `_`, `-`, and `.` between them, {MAX_TOPIC} \
             bytes at most"
        );
        errors.at(topic, message);
    }
}
