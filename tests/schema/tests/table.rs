//! Which changes of an event the lock file lets pass, and which not: all of them, one row each.
//!
//! Each row is a domain before and after a change. The lock file is written from the first and checked with the second.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the types are there for their shape"
)]

use std::fs;

use es_runtime::schema::{Additions, Aggregates, check_events_lock};

/// Aggregate `account` with an event `changed` of this form, or another aggregate with other events.
macro_rules! domain {
    ({ $($item:item)* }) => {
        domain! { "account" [changed: Changed] { $($item)* } }
    };
    ($name:literal [$($apply:ident: $event:ident),*] { $($item:item)* }) => {
        domain! { $name [$($apply: $event),*] [] { $($item)* } }
    };
    ($name:literal [$($apply:ident: $event:ident),*] [$($retired:ident: $old:ident),*] { $($item:item)* }) => {
        #[allow(unused_imports)]
        use std::collections::{BTreeMap, BTreeSet, VecDeque};

        use es_runtime::prelude::*;

        $($item)*

        #[event]
        pub struct Opened {}

        #[command]
        pub struct Open {}

        #[derive(Aggregate)]
        #[es(name = $name)]
        pub struct Account;

        #[aggregate]
        impl Account {
            #[handle]
            fn open(_: Open) -> Opened {
                Opened {}
            }

            #[apply]
            fn opened(_: Opened) -> Self {
                Account
            }

            $(#[apply]
            fn $apply(&mut self, _: $event) {})*

            $(#[retired]
            fn $retired(_: $old) {})*
        }
    };
}

/// What the check of the second domain must say of the lock file of the first.
enum Verdict {
    /// Nothing, also without accepting anything.
    Same,
    /// Nothing, once this is accepted.
    Addition(&'static str),
    /// This, and accepting does not help.
    Refused(&'static [&'static str]),
}
use Verdict::{Addition, Refused, Same};

struct Row {
    name: &'static str,
    verdict: Verdict,
    check: fn() -> Outcome,
}

struct Outcome {
    plain: Result<(), String>,
    accepted: Result<(), String>,
    plain_again: Result<(), String>,
    lock_before: String,
    lock_after: String,
}

fn outcome<Before: Aggregates, After: Aggregates>() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    check_events_lock::<Before>(&file, Additions::Accept).unwrap();
    let said = |additions| check_events_lock::<After>(&file, additions).map_err(|error| error.to_string());
    let lock = || fs::read_to_string(&file).unwrap();
    let lock_before = lock();
    Outcome {
        plain: said(Additions::Refuse),
        accepted: said(Additions::Accept),
        plain_again: said(Additions::Refuse),
        lock_before,
        lock_after: lock(),
    }
}

macro_rules! table {
    ($($name:ident: $verdict:expr, $before:tt => $after:tt)+) => {
        $(mod $name {
            pub mod before { each! { $before } }
            pub mod after { each! { $after } }
        })+

        const TABLE: &[Row] = &[$(Row {
            name: stringify!($name),
            verdict: $verdict,
            check: outcome::<$name::before::Account, row!($name)>,
        }),+];
    };
}

/// The aggregates after the change.
macro_rules! row {
    (event_moved_to_another_aggregate) => {
        (
            event_moved_to_another_aggregate::after::Account,
            event_moved_to_another_aggregate::after::Other,
        )
    };
    ($name:ident) => {
        $name::after::Account
    };
}

/// `{ … }`, or `(…)` for more than the items.
macro_rules! each {
    ({ $($item:tt)* }) => { domain! { { $($item)* } } };
    (($($domain:tt)*)) => { domain! { $($domain)* } };
}

#[test]
fn every_row_holds() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let Outcome {
            plain,
            accepted,
            plain_again,
            lock_before,
            lock_after,
        } = (row.check)();
        let all = format!("plain: {plain:?}\naccepted: {accepted:?}\n{lock_before}");
        let holds = match row.verdict {
            Same => plain.is_ok() && accepted.is_ok() && lock_before == lock_after,
            Addition(what) => {
                let named = |said: &String| said.contains("not in `events.lock` yet") && said.contains(what);
                plain.as_ref().is_err_and(named) && accepted.is_ok() && plain_again.is_ok() && lock_before != lock_after
            }
            Refused(whats) => {
                let named = |said: &String| whats.iter().all(|what| said.contains(what));
                plain.as_ref().is_err_and(named) && accepted.as_ref().is_err_and(named) && lock_before == lock_after
            }
        };
        if !holds {
            wrong.push(format!(
                "== {}\n{}",
                row.name,
                all.replace("\\n", "\n").replace("\\\"", "\"")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = |verdict: fn(&Verdict) -> bool| TABLE.iter().filter(|row| verdict(&row.verdict)).count();
    let same = count(|verdict| matches!(verdict, Same));
    let additions = count(|verdict| matches!(verdict, Addition(_)));
    println!(
        "{same} the same, {additions} additions, {} refused",
        TABLE.len() - same - additions
    );
}

table! {
    // Nothing that is stored differs.
    nothing: Same,
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    doc_comment: Same,
        { #[event] pub struct Changed { pub a: i64 } } =>
        {
            /// It has changed.
            #[event] pub struct Changed {
                /// How much.
                pub a: i64
            }
        }
    fields_in_another_order: Same,
        { #[event] pub struct Changed { pub a: i64, pub b: String } } =>
        { #[event] pub struct Changed { pub b: String, pub a: i64 } }
    type_of_an_event_renamed: Same,
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [changed: AmountChanged] { #[event(name = "changed")] pub struct AmountChanged { pub a: i64 } })
    type_of_a_field_renamed: Same,
        { #[value] pub struct Cents(pub i64); #[event] pub struct Changed { pub a: Cents } } =>
        { #[value] pub struct Money(pub i64); #[event] pub struct Changed { pub a: Money } }
    field_renamed_in_rust: Same,
        { #[event] pub struct Changed { pub amount: i64 } } =>
        { #[event] pub struct Changed { #[serde(rename = "amount")] pub cents: i64 } }
    variants_in_another_order: Same,
        { #[value] pub enum Channel { Counter, Online { device: String } } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Online { device: String }, /** There. */ Counter } #[event] pub struct Changed { pub channel: Channel } }
    fields_moved_into_a_flattened_struct: Same,
        { #[event] pub struct Changed { pub a: i64, pub b: String } } =>
        { #[value] pub struct Rest { pub b: String } #[event] pub struct Changed { pub a: i64, #[serde(flatten)] pub rest: Rest } }
    list_of_another_type: Same,
        { #[event] pub struct Changed { pub a: Vec<Box<str>> } } =>
        { #[event] pub struct Changed { pub a: VecDeque<String> } }
    type_that_contains_itself_renamed: Same,
        { #[value] pub struct Tree { kids: Vec<Tree> } #[event] pub struct Changed { pub tree: Tree } } =>
        { #[value] #[schemars(rename = "Tree")] pub struct Plant { kids: Vec<Plant> } #[event] pub struct Changed { pub tree: Box<Plant> } }
    unknown_fields_refused: Same,
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] #[serde(deny_unknown_fields)] pub struct Changed { pub a: i64 } }

    // What is stored is read as before, and there is more.
    new_event: Addition("account/noted 1"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [changed: Changed, noted: Noted] {
            #[event] pub struct Changed { pub a: i64 }
            #[event] pub struct Noted { pub note: String }
        })
    optional_field: Addition("account/changed 1: b: not stored → string | null"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: i64, pub b: Option<String> } }
    defaulted_field: Addition("account/changed 1: b: not stored → uint32 = 0"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: i64, #[serde(default)] pub b: u32 } }
    field_made_optional: Addition("account/changed 1: a: int64 → int64 | null"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: Option<i64> } }
    field_given_a_default: Addition("account/changed 1: a: int64 → int64 = 0, may be missing"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { #[serde(default)] pub a: i64 } }
    new_variant: Addition("channel(\"Online\"): not stored → { Online: { device: string } }"),
        { #[value] pub enum Channel { Counter } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Counter, Online { device: String } } #[event] pub struct Changed { pub channel: Channel } }
    new_variant_of_an_optional_enum: Addition("channel(\"Online\"): not stored → \"Online\""),
        { #[value] pub enum Channel { Counter } #[event] pub struct Changed { pub channel: Option<Channel> } } =>
        { #[value] pub enum Channel { Counter, Online } #[event] pub struct Changed { pub channel: Option<Channel> } }
    last_variant_of_an_untagged_enum: Addition("code: not stored → string"),
        { #[value] #[serde(untagged)] pub enum Code { Pair(u8, u8), Number(i64) } #[event] pub struct Changed { pub code: Code } } =>
        { #[value] #[serde(untagged)] pub enum Code { Pair(u8, u8), Number(i64), Text(String) } #[event] pub struct Changed { pub code: Code } }
    integer_widened: Addition("account/changed 1: a: int32 → int64"),
        { #[event] pub struct Changed { pub a: i32 } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    unsigned_made_signed_and_wider: Addition("account/changed 1: a: uint32 → int64"),
        { #[event] pub struct Changed { pub a: u32 } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    float_widened: Addition("account/changed 1: a: float → double"),
        { #[event] pub struct Changed { pub a: f32 } } =>
        { #[event] pub struct Changed { pub a: f64 } }
    id_made_any_text: Addition("account/changed 1: to: uuid → string"),
        { #[event] pub struct Changed { pub to: Id<Account> } } =>
        { #[event] pub struct Changed { pub to: String } }
    optional_field_in_a_value: Addition("owner.title: not stored → string | null"),
        { #[value] pub struct Owner { pub name: String } #[event] pub struct Changed { pub owner: Owner } } =>
        { #[value] pub struct Owner { pub name: String, pub title: Option<String> } #[event] pub struct Changed { pub owner: Owner } }
    optional_field_in_a_type_that_contains_itself: Addition("tree.leaf: not stored → string | null"),
        { #[value] pub struct Tree { kids: Vec<Tree> } #[event] pub struct Changed { pub tree: Tree } } =>
        { #[value] pub struct Tree { kids: Vec<Tree>, leaf: Option<String> } #[event] pub struct Changed { pub tree: Tree } }

    new_version_with_an_upcaster: Addition("account/changed 2"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: String }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a.to_string() } } }
        }
    new_version_by_the_history_of_fields: Addition("account/changed 2"),
        { #[event] pub struct Changed { pub sum: i64, pub note: String, pub size: u8 } } =>
        {
            fn text(old: u8) -> String { old.to_string() }
            #[event(version = 2, removed(note: String, since = 2))]
            pub struct Changed {
                #[event(renamed(from = "sum", since = 2))] pub a: i64,
                #[event(added(since = 2, default = "x".to_owned()))] pub text: String,
                #[event(changed(since = 2, from = u8, with = text))] pub size: String,
            }
        }
    event_renamed_with_an_alias: Addition("account/changed 1 as an earlier name of `altered`\n    account/altered 1"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [altered: Altered] { #[event(alias = "changed")] pub struct Altered { pub a: i64 } })
    event_retired: Addition("account/changed 1 as retired"),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [] [changed: Changed] { #[event] pub struct Changed { pub a: i64 } })

    // What is stored is no longer read, or as something else.
    field_removed: Refused(&["b: string → not read", "#[event(version = 2, removed(b: String, since = 2))]"]),
        { #[event] pub struct Changed { pub a: i64, pub b: String } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    optional_field_removed: Refused(&["b: string | null → not read", "removed(b: Option<String>, since = 2)"]),
        { #[event] pub struct Changed { pub a: i64, pub b: Option<String> } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    needed_field: Refused(&["b: not stored → string", "#[event(added(since = 2, default = …))]\n        pub b: String,"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: i64, pub b: String } }
    field_renamed: Refused(&["#[event(renamed(from = \"sum\", since = 2))]\n        pub amount: i64,"]),
        { #[event] pub struct Changed { pub sum: i64 } } =>
        { #[event] pub struct Changed { pub amount: i64 } }
    all_fields_renamed: Refused(&["aB: string → not read", "#[event(renamed(from = \"a_b\", since = 2))]"]),
        { #[event] pub struct Changed { #[serde(rename = "aB")] pub b: String, pub a_b: i64 } } =>
        { #[event] pub struct Changed { pub ab: i64 } }
    another_type: Refused(&["a: int64 → string", "changed(since = 2, from = i64, with = …)"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: String } }
    integer_narrowed: Refused(&["a: int64 → int32", "changed(since = 2, from = i64, with = …)"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: i32 } }
    sign_lost: Refused(&["a: int64 → uint64"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: u64 } }
    integer_made_a_float: Refused(&["a: int64 → double"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed { pub a: f64 } }
    optional_field_made_needed: Refused(&["a: int64 | null, may be missing → int64", "changed(since = 2, from = Option<i64>, with = …)"]),
        { #[event] pub struct Changed { pub a: Option<i64> } } =>
        { #[event] pub struct Changed { pub a: i64 } }
    default_lost: Refused(&["a: uint32 = 0, may be missing → uint32", "changed(since = 2, from = Option<u32>, with = …)"]),
        { #[event] pub struct Changed { #[serde(default)] pub a: u32 } } =>
        { #[event] pub struct Changed { pub a: u32 } }
    another_default: Refused(&["a, if missing: uint32 = 0 → uint32 = 5"]),
        { #[event] pub struct Changed { #[serde(default)] pub a: u32 } } =>
        {
            fn five() -> u32 { 5 }
            #[event] pub struct Changed { #[serde(default = "five")] pub a: u32 }
        }
    text_made_an_id: Refused(&["to: string → uuid"]),
        { #[event] pub struct Changed { pub to: String } } =>
        { #[event] pub struct Changed { pub to: Id<Account> } }
    list_made_a_set: Refused(&["a: string[] → string[] where {\"uniqueItems\":true}"]),
        { #[event] pub struct Changed { pub a: Vec<String> } } =>
        { #[event] pub struct Changed { pub a: BTreeSet<String> } }
    list_made_one: Refused(&["a: string[] → string", "from = Vec<String>"]),
        { #[event] pub struct Changed { pub a: Vec<String> } } =>
        { #[event] pub struct Changed { pub a: String } }
    tuple_reordered: Refused(&["a[0]: int64 → string", "from = (i64, String)"]),
        { #[event] pub struct Changed { pub a: (i64, String) } } =>
        { #[event] pub struct Changed { pub a: (String, i64) } }
    keys_of_a_map: Refused(&["a{}: names"]),
        { #[event] pub struct Changed { pub a: BTreeMap<String, i64> } } =>
        { #[event] pub struct Changed { pub a: BTreeMap<u32, i64> } }
    variant_removed: Refused(&["channel(\"Online\"): \"Online\"", "or keep the variant"]),
        { #[value] pub enum Channel { Counter, Online } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Counter } #[event] pub struct Changed { pub channel: Channel } }
    variant_renamed: Refused(&["`#[serde(rename = \"Online\")]`"]),
        { #[value] pub enum Channel { Counter, Online } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Counter, Web } #[event] pub struct Changed { pub channel: Channel } }
    field_of_a_variant_removed: Refused(&["channel(\"Online\").Online.device: string → not read"]),
        { #[value] pub enum Channel { Counter, Online { device: String } } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Counter, Online {} } #[event] pub struct Changed { pub channel: Channel } }
    enum_with_another_tag: Refused(&["channel(kind: \"Online\")"]),
        { #[value] #[serde(tag = "kind")] pub enum Channel { Counter, Online } #[event] pub struct Changed { pub channel: Channel } } =>
        { #[value] pub enum Channel { Counter, Online } #[event] pub struct Changed { pub channel: Channel } }
    untagged_enum_reordered: Refused(&["put the variants back in their order"]),
        { #[value] #[serde(untagged)] pub enum Code { Small(u8), Large(i64) } #[event] pub struct Changed { pub code: Code } } =>
        { #[value] #[serde(untagged)] pub enum Code { Large(i64), Small(u8) } #[event] pub struct Changed { pub code: Code } }
    field_renamed_in_a_value: Refused(&["owner.name: string → not read", "keep the stored name of `owner.full_name`: `#[serde(rename = \"name\")]`"]),
        { #[value] pub struct Owner { pub name: String } #[event] pub struct Changed { pub owner: Owner } } =>
        { #[value] pub struct Owner { pub full_name: String } #[event] pub struct Changed { pub owner: Owner } }
    needed_field_in_a_value: Refused(&["owner.title: not stored → string", "or give `owner.title` a default: `#[serde(default)]`"]),
        { #[value] pub struct Owner { pub name: String } #[event] pub struct Changed { pub owner: Owner } } =>
        { #[value] pub struct Owner { pub name: String, pub title: String } #[event] pub struct Changed { pub owner: Owner } }
    change_in_a_list_of_values: Refused(&["lines[].price: int64 → string"]),
        { #[value] pub struct Line { pub price: i64 } #[event] pub struct Changed { pub lines: Vec<Line> } } =>
        { #[value] pub struct Line { pub price: String } #[event] pub struct Changed { pub lines: Vec<Line> } }
    change_in_a_type_that_contains_itself: Refused(&["tree.kids: @Tree[] → @Tree[] where"]),
        { #[value] pub struct Tree { kids: Vec<Tree> } #[event] pub struct Changed { pub tree: Tree } } =>
        { #[value] #[derive(Eq, PartialOrd, Ord)] pub struct Tree { kids: BTreeSet<Tree> } #[event] pub struct Changed { pub tree: Tree } }
    struct_made_a_tuple: Refused(&["its data: { a: int64 } → int64", "from = ChangedV1", "pub struct ChangedV1 {\n        pub a: i64,\n    }"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        { #[event] pub struct Changed(pub i64); }
    event_removed: Refused(&["account/changed 1 is gone", "#[retired]\n    fn changed(_: Changed) {}"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [] {})
    event_renamed: Refused(&["account/changed 1 is gone", "#[event(alias = \"changed\")]\n    pub struct Altered"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [altered: Altered] { #[event] pub struct Altered { pub a: i64 } })
    name_reused_for_another_event: Refused(&["account/changed 1 (`Replaced`) has changed", "if `Replaced` is another event"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [replaced: Replaced] { #[event(name = "changed")] pub struct Replaced { pub text: String } })
    aggregate_renamed: Refused(&["aggregate `account` is gone", "#[es(name = \"account\")]"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("konto" [changed: Changed] { #[event] pub struct Changed { pub a: i64 } })
    event_moved_to_another_aggregate: Refused(&["account/changed 1 is gone", "the name is used by aggregate `other` now"]),
        { #[event] pub struct Changed { pub a: i64 } } =>
        ("account" [] {
            #[event] pub struct Changed { pub a: i64 }
            #[command] pub struct Change {}
            #[derive(Aggregate)] pub struct Other;
            #[aggregate]
            impl Other {
                #[handle] fn change(_: Change) -> Changed { Changed { a: 0 } }
                #[apply] fn changed(_: Changed) -> Self { Other }
            }
        })
    version_went_down: Refused(&["account/changed 2 is stored, but `Changed` is only at version 1: write `version = 2`"]),
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: String }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a.to_string() } } }
        } =>
        { #[event] pub struct Changed { pub a: i64 } }
    old_struct_edited: Refused(&["account/changed 1 (`ChangedV1`) has changed", "version 1 is the past: undo the change of `ChangedV1`"]),
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: String }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a.to_string() } } }
        } =>
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: String }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64, pub b: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a.to_string() } } }
        }
    history_of_fields_edited: Refused(&["account/changed 1 (`Changed`) has changed", "a: int64 → uint8", "version 1 is the past: undo the change in the history of `Changed`"]),
        {
            fn text(old: i64) -> String { old.to_string() }
            #[event(version = 2)] pub struct Changed {
                #[event(changed(since = 2, from = i64, with = text))] pub a: String
            }
        } =>
        {
            fn text(old: u8) -> String { old.to_string() }
            #[event(version = 2)] pub struct Changed {
                #[event(changed(since = 2, from = u8, with = text))] pub a: String
            }
        }
    newer_version_edited: Refused(&["account/changed 2 (`Changed`) has changed", "text: string → int64", "#[event(version = 3)]", "changed(since = 3, from = String, with = …)"]),
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: String }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a.to_string() } } }
        } =>
        {
            #[event(version = 2, from = ChangedV1)] pub struct Changed { pub text: i64 }
            #[event(name = "changed")] pub struct ChangedV1 { pub a: i64 }
            impl From<ChangedV1> for Changed { fn from(old: ChangedV1) -> Self { Self { text: old.a } } }
        }
    name_of_a_retired_event_reused: Refused(&["account/changed 1 is a retired event, but `Changed` has the name now"]),
        ("account" [] [changed: Changed] { #[event] pub struct Changed { pub a: i64 } }) =>
        { #[event] pub struct Changed { pub a: i64 } }
    earlier_name_reused: Refused(&["account/changed 1 is an earlier name of `altered`, but `Changed` has the name now"]),
        ("account" [altered: Altered] { #[event(alias = "changed")] pub struct Altered { pub a: i64 } }) =>
        ("account" [altered: Altered, changed: Changed] {
            #[event] pub struct Altered { pub a: i64 }
            #[event] pub struct Changed { pub a: i64 }
        })
    alias_removed: Refused(&["account/changed 1 is gone", "#[event(alias = \"changed\")]\n    pub struct Altered"]),
        ("account" [altered: Altered] { #[event(alias = "changed")] pub struct Altered { pub a: i64 } }) =>
        ("account" [altered: Altered] { #[event] pub struct Altered { pub a: i64 } })
}
