//! Input that an editor sends while somebody types: the user's tokens come out once and in order, and nothing panics.

use proc_macro2::TokenStream;

use super::{expand, flat};

/// Around each of these a block, so that what is typed is inside one.
const METHODS: &[&str] = &[
    "#",
    "#[]",
    "#[h]",
    "#[handle",
    "#[handle]",
    "#[handle()]",
    "#[handle(] fn",
    "#[handle] f",
    "#[handle] fn",
    "#[handle] fn dep",
    "#[handle] fn deposit()",
    "#[handle] fn deposit(&)",
    "#[handle] fn deposit(&self",
    "#[handle] fn deposit(&self)",
    "#[handle] fn deposit(&self,)",
    "#[handle] fn deposit(&self, )",
    "#[handle] fn deposit(&self, c)",
    "#[handle] fn deposit(&self, cmd:)",
    "#[handle] fn deposit(&self, cmd: D)",
    "#[handle] fn deposit(&self, cmd: Deposit)",
    "#[handle] fn deposit(&self, cmd: Deposit) -",
    "#[handle] fn deposit(&self, cmd: Deposit) ->",
    "#[handle] fn deposit(&self, cmd: Deposit) -> R",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused>",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> {",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> { self. }",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> { cmd.a",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> { match cmd { } }",
    "#[handle] fn deposit(&self, cmd: Deposit) -> Result<Deposited, Refused> { let x = ; Ok(x) }",
    "#[handle] fn deposit(&self, cmd: events::) {}",
    "#[handle] fn deposit(&self, cmd: Deposit, ctx: &) {}",
    "#[handle] fn deposit(&self, cmd: Deposit, ctx: &Cont) {}",
    "#[handle] fn deposit(this: Option<&>, cmd: Deposit) {}",
    "#[handle] fn deposit(this: Option<&Self>, ) {}",
    "#[handle] fn deposit(&self, cmd: Deposit);",
    "#[handle] pub fn",
    "#[handle] async fn deposit(&self, cmd: Deposit) {}",
    "#[handle] #[apply] fn deposit(&self, cmd: Deposit) {}",
    "#[handle] const X: u8 = 1;",
    "#[handle] struct Nested;",
    "#[retired",
    "#[retired] fn noted",
    "#[retired] fn noted(",
    "#[retired] fn noted(_: )",
    "#[retired] fn noted(_: &Noted) -> (",
    "#[retired] fn noted(&self, _: Noted) -> (Opened, ",
    "#[retired] #[apply] fn noted(_: Noted) {}",
    "#[retired] fn noted(_: Noted) -> Option<",
    "#[handle = 1] fn deposit(&self, cmd: Deposit) {}",
    "#[es_runtime::handle] fn deposit(&self, cmd: Deposit) {}",
    "#[::es_runtime::handle] fn",
    "#[cfg(] #[handle] fn deposit(&self, cmd: Deposit) {}",
    "#[cfg_attr(test, handle)] fn deposit(&self, cmd: Deposit) {}",
    "#[apply",
    "#[apply]",
    "#[apply(",
    "#[apply] fn opened",
    "#[apply] fn opened(",
    "#[apply] fn opened(_)",
    "#[apply] fn opened(_: )",
    "#[apply] fn opened(_: Opened) -> Sel",
    "#[apply] fn opened(_: Opened) -> Self {",
    "#[apply] fn opened(&mut self, event: Opened) { self.x += }",
    "#[apply] fn opened(&mut self, event: Opened) -> Self { self }",
    "#[apply] fn opened(&mut , event: Opened) {}",
    "#[apply] fn opened(event: impl Into<Opened>) -> Self {}",
    "/// The doc of what comes\n",
    "fn helper(&self) -> ",
    "let x = 1;",
    "println!(\"{}\", 1)",
    "}",
];

/// Items of all kinds, whole and in pieces, under each attribute.
const ITEMS: &[&str] = &[
    "",
    "s",
    "struct",
    "struct Opened",
    "pub struct Opened {",
    "struct Opened { owner }",
    "struct Opened { owner: }",
    "struct Opened { owner: String, am }",
    "struct Opened { pub }",
    "struct Opened { #[serde()] owner: String }",
    "struct Opened(",
    "struct Opened(String, )",
    "struct Opened<",
    "struct Opened<T",
    "#[derive(] struct Opened;",
    "#[derive(Debug, Cl)] struct Opened;",
    "#[derive(serde::)] struct Opened;",
    "#[serde(crate)] struct Opened;",
    "#[serde(crate = )] struct Opened;",
    "#[es] struct Account;",
    "#[es()] struct Account;",
    "#[es(na)] struct Account;",
    "#[es(name = )] struct Account;",
    "#[es(name = \"a\", )] struct Account;",
    "#[es(id = )] struct Account;",
    "#[es(id = Id<)] struct Account;",
    "enum Opened {",
    "enum Opened { A, B( }",
    "union Opened { a: u8 }",
    "impl",
    "impl Account",
    "impl Account {",
    "impl Account { fn }",
    "impl Default for Account {}",
    "impl Account<T> {}",
    "impl<T> Account {}",
    "impl (Account, Account) {}",
    "impl dyn Account {}",
    "trait Account {}",
    "fn opened() {}",
    "mod events {}",
    "use events::*;",
    "type Opened = String;",
    "macro_rules! opened { () => {} }",
];

const ARGUMENTS: &[&str] = &[
    "",
    "n",
    "name",
    "name =",
    "name = o",
    "name = \"",
    "name = \"\"",
    "name = \"a\"",
    "name = \"a\",",
    ",",
    "crate",
    "crate =",
    "crate = ::",
    "crate = a::b",
    "vis",
    "vis =",
    "vis = pub(",
    "validate",
    "garde",
    "garde =",
    "validate, garde",
    "validate =",
    "validate = Self::",
    "\"opened\"",
    "=",
    "name = \"a\" crate",
    "version",
    "version =",
    "version = 2",
    "version = 0",
    "version = -1",
    "version = two",
    "version = 99999999999",
    "segments",
    "segments =",
    "segments = 0",
    "segments = 65",
    "segments = -1",
    "segments = four",
    "segments = 4, segments = 4",
    "segments = 4, memory",
    "segments = 4, inline, schema = \"totals.sql\"",
    "from",
    "from =",
    "version = 2, from = OpenedV",
    "version = 2, from = events::",
    "version = 2, try_from = OpenedV1, from =",
    "version = 2, from = Opened",
    "alias",
    "alias = \"",
    "alias = \"a\", alias = \"a\"",
    "removed",
    "removed(",
    "removed(n",
    "removed(note:",
    "removed(note: String",
    "removed(note: String, since",
    "removed(note: String, since = 2)",
    "version = 2, removed(note: String, since = 2)",
    "version = 2, removed(note: String, since = 2, added(",
    "version = 3, removed(#[serde(] note: String, since = 2)",
    "version = ",
    "version = x",
    "index",
    "index = ",
    "index = [",
    "index = [\"owner\", ",
    "index = [owner]",
    "index = \"owner\"",
    "memory",
    "memory,",
    "memory, live",
    "memory =",
    "inline",
    "inline =",
    "inline, schema",
    "inline, park, memory",
    "schema = \"ledger.sql\", inline(",
    "memory, version",
    "live, park, index = [",
    "live(",
    "park",
    "park,",
    "park, park_alone",
    "park = ",
];

/// Text that is typed before a field.
const HISTORY: &[&str] = &[
    "",
    "add",
    "added",
    "added(",
    "added(since",
    "added(since =",
    "added(since = 2",
    "added(since = 2, default",
    "added(since = 2, default =",
    "added(since = 2, default = |",
    "added(since = 2, default = |am",
    "added(since = 2, default = |am|",
    "added(since = 2, default = |am| am.",
    "added(since = 2, default = |(a, b)| a)",
    "added(since = 2, default = |_| 1)",
    "added(since = 2, default = || 1)",
    "added(since = 2, default = String::new())",
    "renamed(from =",
    "renamed(from = \"\", since = 2)",
    "renamed(from = \"a b\", since = 2)",
    "renamed(from = \"fn\", since = 2)",
    "renamed(from = \"self\", since = 2)",
    "renamed(from = \"1\", since = 2)",
    "changed(since = 2, from =",
    "changed(since = 2, from = u8, with =",
    "changed(since = 2, from = u8, with = a::)",
    "added(since = 2, default = 1), renamed(from = \"a\", since = 3), changed(since = 2, from = u8)",
];

/// Like [`METHODS`], in the block of a projection.
const PROJECTION_METHODS: &[&str] = &[
    "#[apply(k",
    "#[apply(key",
    "#[apply(key =",
    "#[apply(key = )] fn",
    "#[apply(key = event.)] fn received(&mut self, event: Received) {}",
    "#[apply(key = event.to, )] fn received(&mut self, event: Received) {}",
    "#[apply(key = event.to, x)] fn received(&mut self, event: Received) {}",
    "#[apply(keys = [event.from, ])] fn moved(&mut self, event: Moved) {}",
    "#[apply(keys = [event.from, event.to] fn moved",
    "#[apply(by = event.to)] fn received(&mut self, event: Received) {}",
    "#[apply = 1] fn received(&mut self, event: Received) {}",
    "#[apply] #[apply] fn received(&mut self, event: Received) {}",
    "#[apply] fn received(&mut self, event: Received, ) {}",
    "#[apply] fn received(&mut self, event: Received, meta) {}",
    "#[apply] fn received(&mut self, event: Received, meta: ) {}",
    "#[apply] fn received(&mut self, event: Received, meta: &) {}",
    "#[apply] fn received(&mut self, event: Received, meta: &Meta<) {}",
    "#[apply] fn received(&mut self, event: Received, meta: Meta<Transfer>) {}",
    "#[apply] fn closed(self",
    "#[apply] fn closed(self, _: Closed) ->",
    "#[apply] fn closed(self, _: Closed) -> Option<",
    "#[apply] fn closed(self, _: Closed) -> Option<Self> { None",
    "#[apply] fn closed(self: Box<Self>, _: Closed) {}",
    "#[apply] fn closed(self, Closed { at }: Closed) -> Option<Self> { None }",
    "#[apply] fn opened(tx: &mut",
    "#[apply] fn opened(tx: &mut PgTransaction",
    "#[apply] fn opened(tx: &mut PgTransaction<",
    "#[apply] async fn opened(tx: &mut PgTransaction<'_>",
    "#[apply] async fn opened(tx: &mut PgTransaction<'_>, event: ) -> Result<()> {}",
    "#[apply] async fn opened(tx: &mut PgTransaction<'_>, event: Opened) -> R",
    "#[apply] async fn opened(tx: &mut PgTransaction<'_>, event: Opened, meta: &Meta<) -> Result<()> { tx. }",
    "#[apply(key = event.to)] fn opened(&self, event: Opened, tx: &SqliteTransaction) {}",
];

const BLOCK: &str = "impl Account { #[handle] fn open(command: Open) -> Opened { Opened } #[apply] fn opened(_: Opened) -> Self { Self }";

/// The same for a block of a process manager.
const REACTIONS: &[&str] = &[
    "#[on",
    "#[on]",
    "#[on()]",
    "#[on(",
    "#[on] fn",
    "#[on] fn requested(",
    "#[on] fn requested(event",
    "#[on] fn requested(event: )",
    "#[on] fn requested(event: Requested, todo) -> Self {}",
    "#[on] fn requested(event: Requested, todo: &) -> Self {}",
    "#[on] fn requested(event: Requested, todo: &mut Todo<) -> Self {}",
    "#[on] fn requested(event: Requested, todo: &mut Todo<Self>, meta: &Meta<Desk>) -> Self { todo. }",
    "#[on] fn paid(&mut self, _: Done)",
    "#[on] fn paid(&mut self, _: Done<) {}",
    "#[on] fn paid(&mut self, _: Done<Pay>) {",
    "#[on] fn paid(self, _: Done<Pay>) ->",
    "#[on] fn not_paid(&mut self, why: Failed<Pay>, ) {}",
    "#[on] fn late(&mut self, _: Due<Late>, todo: &mut Todo<Self>) { todo.send( }",
    "#[on(Pay, )] fn failed(&mut self, why: AnyFailed) {}",
    "#[on(Pay Flag)] fn failed(&mut self, why: AnyFailed) {}",
    "#[on(key)] fn moved(&mut self, event: Moved) {}",
    "#[on(key = )] fn moved(&mut self, event: Moved) {}",
    "#[on(key = event.)] fn moved(&mut self, event: Moved) {}",
    "#[on(key = event.to, x)] fn moved(&mut self, event: Moved) {}",
    "#[on(keys = event.to)] fn moved(&mut self, event: Moved) {}",
    "#[on = 1] fn moved(&mut self, event: Moved) {}",
    "#[on] #[on] fn moved(&mut self, event: Moved) {}",
    "#[on] #[apply] fn moved(&mut self, event: Moved) {}",
    "#[on] async fn moved(this: Option<&Self>, event: Moved) {}",
    "#[on] fn moved(this: Option<Self>, event: &Moved) -> Result<Self> {}",
    "#[on] fn moved(self: Box<Self>, _: Moved) {}",
    "#[on] fn moved<T>(&self, _: Moved) -> T {}",
];

/// Methods with `#[publish]` in all states of being typed.
const PUBLISHES: &[&str] = &[
    "#[publish]",
    "#[publish(]",
    "#[publish(key",
    "#[publish()] fn opened(event: Opened) -> Told { Told }",
    "#[publish(key)] fn opened(event: Opened) -> Told { Told }",
    "#[publish(key =)] fn opened(event: Opened) -> Told { Told }",
    "#[publish(key = event.)] fn opened(event: Opened) -> Told { Told }",
    "#[publish(key = event.owner, key = 1)] fn opened(event: Opened) -> Told { Told }",
    "#[publish = 1] fn opened(event: Opened) -> Told { Told }",
    "#[publish] fn",
    "#[publish] fn opened",
    "#[publish] fn opened(",
    "#[publish] fn opened()",
    "#[publish] fn opened() {}",
    "#[publish] fn opened(event) -> Told {}",
    "#[publish] fn opened(event: ) -> Told {}",
    "#[publish] fn opened(event: Opened) {}",
    "#[publish] fn opened(event: Opened) -> {}",
    "#[publish] fn opened(event: &Opened) -> Told {}",
    "#[publish] fn opened(event: Opened, ) -> Told { To }",
    "#[publish] fn opened(event: Opened, meta: ) -> Told {}",
    "#[publish] fn opened(event: Opened, meta: Meta<Account>) -> Told {}",
    "#[publish] fn opened(&self, event: Opened) -> Told {}",
    "#[publish] #[publish] fn opened(event: Opened) -> Told {}",
    "#[publish] #[on] fn opened(event: Opened) -> Told {}",
    "#[publish] async fn opened<T>(event: Opened) -> impl Into<T> {}",
    "#[publish] fn opened(event: Opened) -> (Told, Option<Vec<Told>>) {}",
];

const ATTRIBUTES: [&str; 9] = [
    "event",
    "entity",
    "command",
    "value",
    "aggregate",
    "projection",
    "process_manager",
    "publication",
    "message",
];

#[test]
fn methods() {
    assert!(METHODS.len() >= 60);
    for method in METHODS {
        comes_through("aggregate", "", &format!("impl Account {{ {method} }}"));
        comes_through("aggregate", "", &format!("{BLOCK} {method} }}"));
        comes_through(
            "aggregate",
            "",
            &format!("impl Account {{ {method} #[apply] fn opened(_: Opened) -> Self {{ Self }} }}"),
        );
    }
}

#[test]
fn methods_of_projections() {
    for method in METHODS.iter().chain(PROJECTION_METHODS) {
        comes_through("projection", "", &format!("impl Balance {{ {method} }}"));
        comes_through(
            "projection",
            "",
            &format!("impl Balance {{ {method} #[apply] fn opened(_: Opened) -> Self {{ Self }} }}"),
        );
        comes_through(
            "projection",
            "",
            &format!("impl Totals {{ {method} #[apply] fn opened(tx: &mut Tx<'_>, _: Opened) -> Result<()> {{}} }}"),
        );
    }
}

#[test]
fn methods_of_process_managers() {
    for method in REACTIONS.iter().chain(METHODS) {
        comes_through("process_manager", "", &format!("impl Transfer {{ {method} }}"));
        comes_through(
            "process_manager",
            "",
            &format!("impl Transfer {{ {method} #[on] fn begun(_: Begun) -> Self {{ Self }} }}"),
        );
        comes_through("aggregate", "", &format!("impl Account {{ {method} }}"));
    }
}

#[test]
fn methods_of_publications() {
    for method in PUBLISHES.iter().chain(METHODS) {
        comes_through("publication", "", &format!("impl Accounts {{ {method} }}"));
        comes_through(
            "publication",
            "",
            &format!("impl Accounts {{ {method} #[publish] fn begun(_: Begun) -> Told {{ Told }} }}"),
        );
    }
}

#[test]
fn items() {
    for item in ITEMS {
        for attribute in ATTRIBUTES {
            comes_through(attribute, "", item);
        }
        // The compiler keeps the item of a derive itself.
        expand("derive_aggregate", tokens(""), tokens(item));
    }
}

#[test]
fn arguments() {
    for args in ARGUMENTS {
        for attribute in ATTRIBUTES {
            comes_through(attribute, args, "pub struct Opened { pub owner: String }");
            comes_through(attribute, args, &format!("{BLOCK} }}"));
        }
    }
}

#[test]
fn history() {
    for typed in HISTORY {
        for version in [1, 2, 3] {
            let (field, plain) = ("pub owner: String, amount: u64 }", "pub struct Opened {");
            let output = expand(
                "event",
                tokens(&format!("version = {version}")),
                tokens(&format!("{plain} #[event({typed})] {field}")),
            );
            // The helper attribute is gone, and nothing else.
            let (mut expected, mut written) = (Vec::new(), Vec::new());
            flat(tokens(&format!("{plain} {field}")), &mut expected);
            flat(output, &mut written);
            assert!(
                written.windows(expected.len()).any(|piece| piece == expected),
                "`#[event({typed})]`"
            );
        }
    }
}

#[test]
fn what_is_no_item_comes_out_with_an_error_and_nothing_else() {
    let output = expand("aggregate", tokens(""), tokens("impl Account { fn dep } fn"));
    let output = output.to_string();
    assert!(
        output.starts_with("impl Account { fn dep } fn :: core :: compile_error !"),
        "{output}"
    );
}

#[test]
fn a_mistake_in_a_body_is_left_to_the_compiler_and_hides_nothing() {
    for body in [
        "self.",
        "let x = ;",
        "let x = 1 let y = 2;",
        "Opened { owner cmd.owner }",
        "match cmd { => }",
        "@ # $",
    ] {
        let handler = format!("#[handle] fn deposit(&self, cmd: Deposit) -> Deposited {{ {body} }}");
        let apply = format!("#[apply] fn deposited(&mut self, event: Deposited) {{ {body} }}");
        let output = expand(
            "aggregate",
            tokens(""),
            tokens(&format!("{BLOCK} {handler} {apply} }}")),
        )
        .to_string();
        assert!(output.contains("CommandOf < Account > for Deposit"), "{output}");
        assert!(output.contains("EventOf < Account > for Deposited"), "{output}");
        assert!(!output.contains("compile_error"), "{output}");
        let opened = "#[apply] fn opened(_: Opened) -> Self { Self }";
        let output = expand(
            "projection",
            tokens(""),
            tokens(&format!("impl Balance {{ {opened} {apply} }}")),
        )
        .to_string();
        assert!(output.contains("fn keys (event : & Deposited ,"), "{output}");
        assert!(!output.contains("compile_error"), "{output}");
    }
}

#[test]
fn a_signature_that_cannot_be_read_still_gives_its_command() {
    for signature in [
        "fn deposit(&self, cmd Deposit)",
        "fn deposit(&self, cmd: Deposit) ->",
        "fn deposit(&self, cmd: Deposit,,)",
    ] {
        let method = format!("#[handle] {signature} {{}}");
        let output = expand("aggregate", tokens(""), tokens(&format!("{BLOCK} {method} }}"))).to_string();
        assert!(output.contains("CommandOf < Account > for Deposit"), "{output}");
        assert_eq!(output.matches("compile_error").count(), 1, "{output}");
    }
}

#[test]
fn a_command_may_be_called_like_the_aggregate_in_another_module() {
    let block = "impl Transfer {
        #[handle] fn begin(cmd: commands::Transfer) -> Begun { Begun }
        #[apply] fn begun(_: Begun) -> Self { Self }
    }";
    let output = expand("aggregate", tokens(""), tokens(block)).to_string();
    assert!(
        output.contains("CommandOf < Transfer > for commands :: Transfer"),
        "{output}"
    );
    assert!(!output.contains("compile_error"), "{output}");
}

#[test]
fn helper_attributes_are_marked_and_kept() {
    let block =
        "impl Account { #[es_runtime::handle] fn open() {} #[apply()] fn a() {} #[cfg_attr(x, handle)] fn b() {} }";
    let output = expand("aggregate", tokens(""), tokens(block)).to_string();
    for marked in [
        "# [es_runtime :: handle (__in_aggregate)]",
        "# [apply (__in_aggregate)]",
        "# [cfg_attr (x , handle (__in_aggregate))]",
    ] {
        assert!(output.contains(marked), "{output}");
    }
}

/// Checks that the user's tokens come out in one piece, but for the marks of the helper attributes.
fn comes_through(attribute: &str, args: &str, item: &str) {
    let mut expected = Vec::new();
    flat(tokens(item), &mut expected);
    let mut output = Vec::new();
    flat(expand(attribute, tokens(args), tokens(item)), &mut output);
    let marks = output.iter().filter(|token| *token == "__in_aggregate").count();
    let first = output
        .iter()
        .position(|token| Some(token) == expected.first())
        .unwrap_or(0);
    let mut rest = output[first..].iter().take(expected.len() + MARK * marks);
    // The derives put above may begin like the item.
    let whole =
        marks > 0 || output.windows(expected.len().max(1)).any(|piece| piece == expected) || expected.is_empty();
    assert!(whole, "`#[{attribute}]` tears `{item}`");
    if attribute == "aggregate" {
        for token in &expected {
            assert!(
                rest.any(|out| out == token),
                "`#[aggregate]` loses `{token}` of `{item}`"
            );
        }
    }
}

/// The most tokens that a mark adds: two parentheses or a comma, and the mark.
const MARK: usize = 3;

/// The tokens of a text; as an editor does, delimiters that are not closed are closed and those that are not opened left out.
fn tokens(text: &str) -> TokenStream {
    let mut open = Vec::new();
    let mut balanced = String::new();
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => {
                while open.last().is_some_and(|&opening| closing(opening) != c) {
                    balanced.extend(open.pop().map(closing));
                }
                if open.pop().is_none() {
                    continue;
                }
            }
            _ => {}
        }
        balanced.push(c);
    }
    balanced.extend(open.into_iter().rev().map(closing));
    if balanced.matches('"').count() % 2 == 1 {
        balanced.push('"');
    }
    balanced.parse().unwrap_or_else(|error| panic!("`{balanced}`: {error}"))
}

fn closing(opening: char) -> char {
    match opening {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}
