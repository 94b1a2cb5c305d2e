//! Correct code with one thing changed: cut off, a token short, with an odd name, or with a fragment of `macro_rules!` in it. No
//! macro panics, and what the user wrote comes out, in items that can be parsed, whenever it can be parsed itself.

use std::panic::catch_unwind;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};

use super::changes::{deletions, fragments, prefixes, with_names, with_strings};
use super::{expand, flat};

/// A macro with its arguments and the item below it.
type Program = (&'static str, &'static str, &'static str);

const PROGRAMS: &[Program] = &[
    (
        "event",
        r#"name = "deposited", version = 3, alias = "paid", validate, removed(note: dyn Note + Send, since = 3)"#,
        r#"#[serde(rename_all = "camelCase")] pub struct Deposited {
            #[event(renamed(from = "sum", since = 2), changed(since = 3, from = u32, with = wide))] pub amount: u64,
            #[event(added(since = 3, default = |amount, note| match amount { _ => f(note) } + 1))] #[serde(rename = "txt")] pub text: String,
        }"#,
    ),
    (
        "event",
        "version = 2, try_from = old::OpenedV1, crate = facade::es",
        "#[derive(PartialEq, serde::Serialize)] pub(crate) struct Opened(pub Owner, [u8; 4]);",
    ),
    (
        "entity",
        r#"name = "environment", id = id, version = 2, alias = "stage", crate = es"#,
        "pub struct Environment {
            #[serde(rename = \"key\")] pub id: ids::EnvironmentId,
            #[entity(added(since = 2, default = Region::Eu))] pub region: Region,
        }",
    ),
    (
        "command",
        r#"name = "open", validate = Self::check, crate = es"#,
        "pub struct Open { owner: Option<Owner>, at: (u8, Vec<u8>) }",
    ),
    (
        "value",
        "crate = es",
        "pub enum Channel<T: Copy> where T: Eq { Counter, Online(T), Phone { no: u8 } }",
    ),
    (
        "derive_aggregate",
        "",
        r#"#[es(name = "account", id = ids::Iban, foreign, crate = es)] #[serde(default)] pub struct Account { balance: i64, tags: Vec<Tag> }"#,
    ),
    (
        "aggregate",
        "vis = pub(crate), crate = es",
        "impl domain::Account {
            #[handle] fn open(cmd: Open, ctx: &Context) -> Result<(Opened, Vec<Noted>), Refused> { Ok(f(cmd)) }
            #[handle] #[cfg(unix)] fn change(this: Option<&Self>, cmd: commands::Change) {}
            #[apply] fn opened(_: Opened) -> Self { Self { x: 1 } }
            #[apply] fn noted(&mut self, event: events::Noted) { self.x += event.x; }
            #[retired] fn gone(_: Gone) -> Option<Opened> { None }
        }",
    ),
    (
        "process_manager",
        "id = Id<Order>, version = 2, from = PaymentV1, crate = es",
        "pub enum Payment { Asked { cents: i64 }, Paid(Vec<u8>) }",
    ),
    (
        "process_manager",
        "crate = es",
        "impl domain::Payment {
            #[on] fn ordered(event: Ordered, todo: &mut Todo<Self>) -> Self { todo.send(event.account, Charge); Self::Paid(x) }
            #[on(key = moved.order)] #[cfg(unix)] fn moved(this: Option<Self>, moved: events::Moved, meta: &Meta<Desk>) -> Option<Self> { this }
            #[on] fn charged(&mut self, _: Done<Charge>) {}
            #[on(Flag, Charge)] fn failed(self, _: AnyFailed, todo: &mut Todo<Self>) -> Self { self }
            #[on] fn late(&mut self, due: Due<Late>) { self.x += due.x; }
        }",
    ),
    (
        "publication",
        r#"name = "accounts", topic = "bank.accounts", version = 2, source = "/bank", park, crate = es"#,
        "pub struct Accounts;",
    ),
    (
        "publication",
        "crate = es",
        "impl domain::Accounts {
            #[publish] fn opened(event: Opened, meta: &Meta<Account>) -> told::Opened { told::Opened { x: event.x } }
            #[publish(key = moved.owner)] #[cfg(unix)] fn moved(moved: events::Moved) -> (Told, Option<Vec<Told>>) { f(moved) }
        }",
    ),
    (
        "message",
        r#"name = "com.bank.opened", version = 2, from = OpenedV1, crate = es"#,
        "pub struct Opened { pub owner: String }",
    ),
    ("handle", "__in_aggregate", "fn open(cmd: Open) -> Opened { Opened }"),
    (
        "projection",
        r#"name = "balances", version = 2, segments = 4, index = ["owner", "address.city"], park, crate = es"#,
        "pub struct Balance { pub owner: String, pub address: Address }",
    ),
    ("projection", r#"inline, schema = "totals.sql""#, "pub struct Totals;"),
    (
        "projection",
        "crate = es",
        "impl Balance {
            #[apply] fn opened(event: Opened) -> Self { Self { x: event.x } }
            #[apply(keys = [event.from, meta.to()])] fn moved(&mut self, event: events::Moved, meta: &Meta<Account>) {}
            #[apply(key = closed.id)] #[cfg(unix)] fn closed(self, closed: Closed) -> Option<Self> { None }
        }",
    ),
    (
        "projection",
        "",
        "impl Totals {
            #[apply] async fn opened(tx: &mut PgTransaction<'_>, event: Opened) -> Result<()> { tx.run(event.x).await }
            #[apply] fn moved(tx: &mut PgTransaction<'_>, event: Moved, meta: &Meta<Account>) -> Result<()> { Ok(()) }
        }",
    ),
];

/// Names that people give, and that the macros might trip over: some are reserved, some are ours.
const NAMES: &[&str] = &[
    "r#type",
    "Öffnen",
    "öffnen",
    "ß",
    "x",
    "_x",
    "x_",
    "__",
    "_1",
    "self_",
    "Self",
    "self",
    "crate",
    "type",
    "event",
    "meta",
    "Context",
    "Option",
    "Result",
    "Vec",
    "a_name_that_is_longer_than_a_line_of_any_screen_and_than_any_name_that_a_store_takes_for_one_of_its_tables_or_streams_or_kinds_of_events",
];

/// The same of strings.
const STRINGS: &[&str] = &[
    "", " ", "a b", "1", "m²", "ünter", "fn", "self", "_", "\u{0}", "\"", "\\", "a.b", ".", "🦀", "es.x", "sqlite_x",
];

#[test]
fn what_is_being_typed() {
    each(prefixes);
}

#[test]
fn what_lacks_a_token() {
    each(deletions);
}

#[test]
fn odd_names() {
    for name in NAMES {
        let odd = match name.strip_prefix("r#") {
            Some(raw) => Ident::new_raw(raw, Span::call_site()),
            None => Ident::new(name, Span::call_site()),
        };
        each(|tokens| with_names(tokens, &odd));
    }
}

#[test]
fn odd_strings() {
    for text in STRINGS {
        each(|tokens| with_strings(tokens, text));
    }
}

#[test]
fn fragments_of_other_macros() {
    each(fragments);
}

/// Tries each program with each change of its arguments, and with each of its item.
fn each(changes: impl Fn(&TokenStream) -> Vec<TokenStream>) {
    let mut mistakes = Vec::new();
    for &(name, args, item) in PROGRAMS {
        let (args, item) = (parse(args), parse(item));
        mistakes.extend(
            changes(&args)
                .iter()
                .filter_map(|changed| mistake(name, changed, &item)),
        );
        mistakes.extend(
            changes(&item)
                .iter()
                .filter_map(|changed| mistake(name, &args, changed)),
        );
    }
    let some = mistakes
        .iter()
        .take(3)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(mistakes.is_empty(), "{} mistakes, such as\n{some}", mistakes.len());
}

/// Runs the macro, and looks at what comes out.
fn mistake(name: &str, args: &TokenStream, item: &TokenStream) -> Option<String> {
    let found = |what: &str| Some(format!("`{name}` with `{args}` on `{item}` {what}"));
    let Ok(output) = catch_unwind(|| expand(name, args.clone(), item.clone())) else {
        return found("panics");
    };
    if syn::parse2::<syn::Item>(item.clone()).is_err() {
        return None;
    }
    if let Err(error) = syn::parse2::<syn::File>(output.clone()) {
        return found(&format!("becomes what is no list of items, {error}: {output}"));
    }
    let (expected, output) = (unmarked(item), unmarked(&output));
    // The compiler keeps the item of a derive itself.
    let is_there = name == "derive_aggregate" || output.windows(expected.len()).any(|piece| piece == expected);
    if is_there { None } else { found("loses it") }
}

/// The tokens without what the macros add to the helper attributes of a block, and take from the fields of an event or an entity.
fn unmarked(tokens: &TokenStream) -> Vec<String> {
    let mut all = Vec::new();
    flat(without_history(tokens), &mut all);
    let all = all
        .join(" ")
        .replace(", __in_aggregate", "")
        .replace("__in_aggregate", "");
    let all = all
        .replace("Parenthesis opens  Parenthesis closes", "")
        .replace("Parenthesis opens Parenthesis closes", "");
    all.split_whitespace().map(str::to_owned).collect()
}

/// The tokens without `#[event(…)]` and `#[entity(…)]`.
fn without_history(tokens: &TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for tree in tokens.clone() {
        match tree {
            TokenTree::Group(group)
                if kept.last().is_some_and(|last| last.to_string() == "#")
                    && ["[event", "[entity"]
                        .iter()
                        .any(|helper| group.to_string().replace(' ', "").starts_with(helper)) =>
            {
                kept.pop();
            }
            TokenTree::Group(group) => {
                kept.push(Group::new(group.delimiter(), without_history(&group.stream())).into());
            }
            tree => kept.push(tree),
        }
    }
    kept.into_iter().collect()
}

fn parse(text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
