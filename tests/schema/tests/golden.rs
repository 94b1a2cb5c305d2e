//! The payloads beside the lock file: what was stored once is read as it was then.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the types are there for their shape"
)]

use std::fs;
use std::path::PathBuf;

use es_runtime::schema::{Additions, Aggregates, check_events_lock};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A lock file in a folder of its own.
struct Lock(TempDir);

impl Lock {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One that was accepted for the aggregates.
    fn of<S: Aggregates>() -> Self {
        let lock = Self::new();
        lock.accept::<S>().unwrap();
        lock
    }

    fn accept<S: Aggregates>(&self) -> Result<(), String> {
        let file = self.0.path().join("events.lock");
        check_events_lock::<S>(file, Additions::Accept).map_err(|error| error.to_string())
    }

    fn check<S: Aggregates>(&self) -> Result<(), String> {
        let file = self.0.path().join("events.lock");
        check_events_lock::<S>(file, Additions::Refuse).map_err(|error| error.to_string())
    }

    fn golden(&self, name: &str) -> PathBuf {
        self.0.path().join("events.golden/account").join(name)
    }

    fn samples(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.golden(name)).unwrap()).unwrap()
    }
}

macro_rules! domain {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            use std::collections::BTreeMap;

            use es_runtime::prelude::*;
            use serde::{Deserialize, Deserializer};

            $($item)*

            #[command]
            pub struct Open {}

            #[event]
            pub struct Opened {}

            #[derive(Aggregate)]
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

                #[apply]
                fn changed(&mut self, _: Changed) {}
            }

            /// So that every module uses its imports.
            pub type Unused<'de> = (BTreeMap<(), ()>, Timestamp, &'de dyn Fn() -> Id<Account>);
            pub fn unused<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> { i64::deserialize(d) }
        }
    };
}

domain! { full {
    #[value]
    pub enum Channel {
        Counter,
        Online { device: Option<String> },
    }

    #[event]
    pub struct Changed {
        pub to: Id<Account>,
        pub at: Timestamp,
        pub amount: i64,
        pub count: u8,
        pub note: Option<String>,
        pub channel: Channel,
        pub prices: BTreeMap<String, f64>,
        pub parts: Vec<(u32, bool)>,
    }
} }

#[test]
fn a_sample_shows_what_could_be_lost() {
    let lock = Lock::of::<full::Account>();
    let stored = |channel: Value| {
        json!({
            "to": "01940b6e-5f3c-7000-8000-000000000001",
            "at": "2026-11-21T09:30:00.000001Z",
            "amount": 9_007_199_254_740_993_u64,
            "count": 255,
            "note": "Zoë",
            "channel": channel,
            "prices": { "key": 0.1 },
            "parts": [[4_294_967_295_u32, true]],
        })
    };
    let sample = |channel: Value| {
        let data = stored(channel);
        json!({ "payload": data, "reads_as": [{ "event": "changed", "version": 1, "data": data }] })
    };
    assert_eq!(
        lock.samples("changed.1.json"),
        json!([
            sample(json!("Counter")),
            sample(json!({ "Online": { "device": "Zoë" } }))
        ])
    );
    lock.check::<full::Account>().unwrap();
}

domain! { exact { #[event] pub struct Changed { pub a: i64 } } }
domain! { rounding {
    fn rounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Ok(i64::deserialize(deserializer)? / 10 * 10)
    }

    #[event]
    pub struct Changed {
        #[serde(deserialize_with = "rounded")]
        pub a: i64,
    }
} }

#[test]
fn a_past_that_reads_otherwise_is_refused_whatever_is_accepted() {
    let lock = Lock::of::<exact::Account>();
    for said in [lock.check::<rounding::Account>(), lock.accept::<rounding::Account>()] {
        let said = said.unwrap_err();
        assert!(
            said.contains("account/changed 1 is read as something else than before"),
            "{said}"
        );
        assert!(said.contains(r#"before  changed 1 {"a":9007199254740993}"#), "{said}");
        assert!(said.contains(r#"now     changed 1 {"a":9007199254740990}"#), "{said}");
    }
    lock.check::<exact::Account>().unwrap();
}

domain! { optional { #[event] pub struct Changed { pub a: i64, pub note: Option<String> } } }
domain! { left_out {
    #[event]
    pub struct Changed {
        pub a: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
    }
} }

#[test]
fn another_stored_form_of_the_same_value_is_no_difference() {
    let lock = Lock::of::<exact::Account>();
    lock.accept::<optional::Account>().unwrap();
    let (first, second) = (
        9_007_199_254_740_993_u64,
        json!({ "a": 9_007_199_254_740_993_u64, "note": "Zoë" }),
    );
    let samples = lock.samples("changed.1.json");
    // The sample of the first shape stays, and is read with the field that came.
    assert_eq!(samples[0]["payload"], json!({ "a": first }));
    assert_eq!(samples[0]["reads_as"][0]["data"], json!({ "a": first, "note": null }));
    assert_eq!(samples[1]["payload"], second);
    lock.check::<left_out::Account>().unwrap();
}

domain! { validated {
    #[value]
    #[serde(try_from = "String", into = "String")]
    pub struct Iban(String);

    impl TryFrom<String> for Iban {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            if text.starts_with("DE") { Ok(Self(text)) } else { Err("an IBAN begins with DE") }
        }
    }

    impl From<Iban> for String {
        fn from(iban: Iban) -> Self {
            iban.0
        }
    }

    #[event]
    pub struct Changed {
        pub iban: Iban,
    }
} }

#[test]
fn a_sample_that_cannot_be_made_is_asked_for() {
    let lock = Lock::new();
    let said = lock.accept::<validated::Account>().unwrap_err();
    assert!(said.contains("an IBAN begins with DE"), "{said}");
    let (_, form) = said
        .split_once("into `events.golden/account/changed.1.json`, in the form\n")
        .expect(&said);
    let by_hand = form.lines().next().unwrap().replace("Zoë", "DE02120300000000202051");
    fs::create_dir_all(lock.golden("")).unwrap();
    fs::write(lock.golden("changed.1.json"), by_hand).unwrap();

    lock.accept::<validated::Account>().unwrap();
    lock.check::<validated::Account>().unwrap();
    let iban = json!({ "iban": "DE02120300000000202051" });
    assert_eq!(lock.samples("changed.1.json")[0]["reads_as"][0]["data"], iban);
}

#[test]
fn a_sample_is_not_lost_nor_changed_nor_left_behind() {
    let lock = Lock::of::<exact::Account>();
    let path = lock.golden("changed.1.json");
    let before = fs::read_to_string(&path).unwrap();

    fs::remove_file(&path).unwrap();
    let said = lock.check::<exact::Account>().unwrap_err();
    assert!(said.contains("account/changed 1 has no golden payload"), "{said}");
    lock.accept::<exact::Account>().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);

    fs::write(&path, before.replace("9007199254740993", "\"much\"")).unwrap();
    let said = lock.accept::<exact::Account>().unwrap_err();
    assert!(
        said.contains("account/changed 1 can no longer be read: the payload"),
        "{said}"
    );

    fs::write(&path, r#"[{"payload": {"a": 1}}]"#).unwrap();
    let said = lock.check::<exact::Account>().unwrap_err();
    assert!(said.contains("without what it is read as"), "{said}");

    for (text, error) in [
        ("[]", "it holds no sample"),
        ("[{}]", "a sample has no `payload`"),
        ("[", "EOF"),
    ] {
        fs::write(&path, text).unwrap();
        let said = lock.check::<exact::Account>().unwrap_err();
        assert!(
            said.contains("`events.golden/account/changed.1.json` cannot be read: ") && said.contains(error),
            "{said}"
        );
    }

    fs::write(&path, before).unwrap();
    fs::copy(&path, lock.golden("changed.2.json")).unwrap();
    let said = lock.check::<exact::Account>().unwrap_err();
    assert!(
        said.contains("`events.golden/account/changed.2.json` is of nothing in"),
        "{said}"
    );
}

domain! { one_way {
    #[event]
    pub struct Changed {
        #[serde(rename(serialize = "b"))]
        pub a: i64,
    }
} }

#[test]
fn what_is_written_otherwise_than_read_is_found() {
    let said = Lock::new().accept::<one_way::Account>().unwrap_err();
    assert!(said.contains("does not come back from a store"), "{said}");
    assert!(said.contains("missing field `a`"), "{said}");
}

domain! { second {
    #[event(version = 2, from = ChangedV1)]
    pub struct Changed {
        pub cents: i64,
        pub by: String,
    }

    #[event(name = "changed")]
    pub struct ChangedV1 {
        pub a: i64,
    }

    impl From<ChangedV1> for Changed {
        fn from(old: ChangedV1) -> Self {
            Self { cents: old.a, by: "teller".into() }
        }
    }
} }
domain! { second_otherwise {
    #[event(version = 2, from = ChangedV1)]
    pub struct Changed {
        pub cents: i64,
        pub by: String,
    }

    #[event(name = "changed")]
    pub struct ChangedV1 {
        pub a: i64,
    }

    impl From<ChangedV1> for Changed {
        fn from(old: ChangedV1) -> Self {
            Self { cents: old.a, by: "nobody".into() }
        }
    }
} }

/// I01, I12: what was released stays readable, as what it was when the version was accepted.
#[test]
fn an_upcaster_is_recorded_with_its_version_and_kept_to_it() {
    let lock = Lock::of::<exact::Account>();
    let samples = || lock.samples("changed.1.json");
    let amount = 9_007_199_254_740_993_u64;
    assert_eq!(
        samples()[0]["reads_as"][0],
        json!({ "event": "changed", "version": 1, "data": { "a": amount } })
    );

    lock.accept::<second::Account>().unwrap();
    assert_eq!(samples()[0]["payload"], json!({ "a": amount }));
    let by = |name: &str| json!({ "event": "changed", "version": 2, "data": { "cents": amount, "by": name } });
    assert_eq!(samples()[0]["reads_as"][0], by("teller"));
    lock.check::<second::Account>().unwrap();

    for said in [
        lock.check::<second_otherwise::Account>(),
        lock.accept::<second_otherwise::Account>(),
    ] {
        let said = said.unwrap_err();
        assert!(said.contains(r#"now     changed 2 {"by":"nobody""#), "{said}");
    }
    assert_eq!(samples()[0]["reads_as"][0], by("teller"));
}

mod retired {
    use es_runtime::prelude::*;

    #[event]
    pub struct Opened {}

    #[event]
    pub struct Altered {
        pub a: i64,
    }

    #[event]
    pub struct Changed {
        pub a: i64,
    }

    #[command]
    pub struct Open {}

    #[derive(Aggregate)]
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

        #[apply]
        fn altered(&mut self, _: Altered) {}

        #[retired]
        fn changed(old: Changed) -> (Altered, Altered) {
            (Altered { a: old.a }, Altered { a: 1 })
        }
    }
}

#[test]
fn a_retired_event_is_recorded_as_what_took_its_place() {
    let lock = Lock::of::<exact::Account>();
    lock.accept::<retired::Account>().unwrap();
    let altered = |a: u64| json!({ "event": "altered", "version": 1, "data": { "a": a } });
    let reads_as = json!([altered(9_007_199_254_740_993), altered(1)]);
    assert_eq!(lock.samples("changed.1.json")[0]["reads_as"], reads_as);
    lock.check::<retired::Account>().unwrap();
}

domain! { recursive {
    #[value]
    pub enum Expr {
        Num(i64),
        Not(Box<Expr>),
        // Shorter in the lock file than the variant that ends it.
        Or(Box<Expr>, Box<Expr>),
    }

    // Each contains the other, and the shorter variant of neither ends.
    #[value]
    pub enum Even {
        A(Box<Odd>),
        TheEndOfTheEvenOnes { with_a_long_name: String },
    }

    #[value]
    pub enum Odd {
        B(Box<Even>),
        C(Vec<Even>, Box<Odd>),
        D(BTreeMap<String, Odd>),
    }

    #[value]
    #[serde(untagged)]
    pub enum Tree {
        Pair { l: Box<Tree>, r: Box<Tree> },
        Leaf { the_value_of_the_leaf: i64 },
    }

    #[event]
    pub struct Changed {
        pub rule: Expr,
        pub even: Even,
        pub odd: Odd,
        pub tree: Tree,
        pub next: Option<Box<Tree>>,
    }
} }

#[test]
fn a_type_that_contains_itself_has_samples_that_end() {
    let lock = Lock::of::<recursive::Account>();
    lock.check::<recursive::Account>().unwrap();
    let samples = lock.samples("changed.1.json").to_string();
    for variant in [
        "Num",
        "Not",
        "Or",
        "A",
        "TheEndOfTheEvenOnes",
        "B",
        "C",
        "D",
        "l",
        "the_value_of_the_leaf",
    ] {
        assert!(samples.contains(&format!("{variant:?}:")), "{variant}");
    }
}

domain! { endless {
    #[value]
    pub struct Endless { pub next: Box<Endless> }

    #[value]
    pub enum Maybe { Never(Endless), Ever }

    #[event]
    pub struct Changed { pub never: Vec<Endless>, pub maybe: Maybe }
} }

#[test]
fn what_can_never_be_stored_has_no_sample() {
    let lock = Lock::of::<endless::Account>();
    lock.check::<endless::Account>().unwrap();
    let payload = &lock.samples("changed.1.json")[0]["payload"];
    assert_eq!(*payload, json!({ "never": [], "maybe": "Ever" }));
}
