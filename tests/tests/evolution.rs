//! Events that change: what was stored in an older shape, or under another name, is read as the events of today.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "a domain in a module of a test")]

use std::sync::Arc;

use es_runtime::prelude::*;
use es_runtime::store::Append;
use es_runtime::store::ProjectionStore;
use es_runtime::{
    AppendId, DecodeError, Decoded, EncodeError, EventEnum as _, EventId, ExpectedVersion, Key as _, LoadError,
    Metadata, NewEvent, Position, Stored, UnknownEvent, UnreadableEvent, UpcastPanic, Version,
};
use es_tests::on_every_store_and_postgres;
use futures_util::TryStreamExt as _;

/// Three versions of one event as structs of their own.
mod chain {
    use super::*;

    #[value]
    #[derive(Eq)]
    pub enum Currency {
        Eur,
        Usd,
    }

    #[event(version = 3, from = OpenedV2, alias = "created", alias = "account.opened")]
    pub struct Opened {
        pub owner: Vec<String>,
        pub currency: Currency,
    }

    #[event(name = "opened", version = 2, try_from = OpenedV1)]
    pub struct OpenedV2 {
        pub owner: String,
        pub currency: Currency,
    }

    #[event(name = "opened")]
    pub struct OpenedV1 {
        pub owner: String,
        pub currency: String,
    }

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("there is no currency `{0}`")]
    pub struct NoSuchCurrency(pub String);

    impl TryFrom<OpenedV1> for OpenedV2 {
        type Error = NoSuchCurrency;

        fn try_from(old: OpenedV1) -> Result<Self, NoSuchCurrency> {
            let currency = match old.currency.as_str() {
                "EUR" => Currency::Eur,
                "USD" => Currency::Usd,
                "" => panic!("the currency is empty"),
                _ => return Err(NoSuchCurrency(old.currency)),
            };
            Ok(Self {
                owner: old.owner,
                currency,
            })
        }
    }

    impl From<OpenedV2> for Opened {
        fn from(old: OpenedV2) -> Self {
            Self {
                owner: old.owner.split(" and ").map(str::to_owned).collect(),
                currency: old.currency,
            }
        }
    }

    impl From<Opened> for OpenedV2 {
        fn from(new: Opened) -> Self {
            Self {
                owner: new.owner.join(" and "),
                currency: new.currency,
            }
        }
    }
}

use chain::{Currency, NoSuchCurrency, Opened, OpenedV2};

fn opened(owners: &[&str], currency: Currency) -> Opened {
    Opened {
        owner: owners.iter().map(|&owner| owner.to_owned()).collect(),
        currency,
    }
}

#[test]
fn every_version_is_read_as_the_current_one() -> Result<()> {
    let stored = [
        (1, r#"{"owner":"Alice and Bob","currency":"USD"}"#),
        (2, r#"{"owner":"Alice and Bob","currency":"Usd"}"#),
        (3, r#"{"owner":["Alice","Bob"],"currency":"Usd"}"#),
    ];
    for (version, payload) in stored {
        assert_eq!(
            Opened::decode(version, payload.as_bytes())?,
            opened(&["Alice", "Bob"], Currency::Usd)
        );
    }
    assert_eq!((Opened::OLDEST_VERSION, Opened::SHAPE_VERSION), (1, 3));
    assert_eq!(Opened::ALIASES, ["created", "account.opened"]);
    Ok(())
}

#[test]
fn a_version_that_is_not_known_is_not_guessed() {
    for version in [0, 4, u32::MAX] {
        let error = Opened::decode(version, br#"{"owner":["Alice"],"currency":"Eur"}"#);
        assert!(matches!(
            error,
            Err(DecodeError::UnknownVersion { oldest: 1, newest: 3 })
        ));
    }
}

#[test]
fn a_step_that_fails_says_why() {
    let step = |payload: &str| match Opened::decode(1, payload.as_bytes()) {
        Err(DecodeError::Upcast { from: 1, to: 2, source }) => source,
        other => panic!("{other:?}"),
    };
    let refused = step(r#"{"owner":"Alice","currency":"GBP"}"#);
    assert_eq!(refused.downcast_ref(), Some(&NoSuchCurrency("GBP".into())));
    let panicked = step(r#"{"owner":"Alice","currency":""}"#);
    let message = "the currency is empty".into();
    assert_eq!(panicked.downcast_ref(), Some(&UpcastPanic { message }));
}

#[test]
fn it_is_written_as_an_older_version_as_far_as_there_is_a_way_back() -> Result<()> {
    let event = opened(&["Alice", "Bob"], Currency::Eur);
    let mut out = Vec::new();
    event.encode_as(2, &mut out)?;
    assert_eq!(out, br#"{"owner":"Alice and Bob","currency":"Eur"}"#);
    assert_eq!((Opened::WRITES_FROM, OpenedV2::WRITES_FROM), (2, 2));
    for version in [0, 1, 4] {
        assert!(matches!(
            event.encode_as(version, &mut out),
            Err(EncodeError::NoWayBack { name: "opened", shape_version, writes_from: 2, current: 3 })
                if shape_version == version
        ));
    }
    Ok(())
}

/// The same, told by the fields.
mod history {
    use super::*;

    #[value]
    pub enum Channel {
        Counter,
        Online,
    }

    #[value]
    #[derive(Copy)]
    pub struct Cents(pub i64);

    impl From<i32> for Cents {
        fn from(cents: i32) -> Self {
            Self(i64::from(cents))
        }
    }

    #[event(version = 5, removed(note: String, since = 3), removed(fee: u8, since = 5, added(since = 2, default = 1)))]
    #[serde(rename_all = "camelCase")]
    pub struct Deposited {
        #[event(renamed(from = "sum", since = 2), changed(since = 3, from = i32))]
        #[event(changed(since = 5, from = Cents, with = Self::positive))]
        pub amount_in_cents: u64,
        #[event(added(since = 2, default = Channel::Counter), renamed(from = "channel", since = 4))]
        pub paid_through: Channel,
        #[event(added(since = 3, default = |amount_in_cents, note| format!("{note}: {}", amount_in_cents.0)))]
        #[serde(rename = "txt")]
        pub text: String,
        pub booked_by: Option<String>,
    }

    impl Deposited {
        fn positive(cents: Cents) -> u64 {
            u64::try_from(cents.0).expect("deposits are positive")
        }
    }

    /// Each step has a way back.
    #[event(version = 3)]
    #[derive(Eq)]
    pub struct Moved {
        #[event(renamed(from = "to", since = 2), changed(since = 3, from = u32))]
        pub target: Target,
        #[event(added(since = 2, default = 0))]
        pub fee: u8,
    }

    /// Comes from a struct that tells its own past.
    #[event(version = 4, from = ClosedV3)]
    pub struct Closed {
        pub reason: String,
    }

    #[event(name = "closed", version = 3)]
    pub struct ClosedV3 {
        #[event(added(since = 2, default = 0), changed(since = 3, from = u8))]
        pub code: u32,
    }

    /// A field under a `cfg` has its history there too.
    #[event(version = 2)]
    pub struct Blocked {
        #[event(renamed(from = "why", since = 2))]
        #[serde(default)]
        pub r#type: String,
        #[cfg(any())]
        #[event(added(since = 2, default = NoSuch::new()))]
        pub never: NoSuch,
        #[cfg(any())]
        pub at: u8,
        #[cfg(not(any()))]
        #[serde(default)]
        pub at: u16,
    }

    impl From<ClosedV3> for Closed {
        fn from(old: ClosedV3) -> Self {
            Self {
                reason: format!("code {}", old.code),
            }
        }
    }

    #[value]
    #[derive(Eq)]
    pub struct Target(pub String);

    impl From<u32> for Target {
        fn from(number: u32) -> Self {
            Self(number.to_string())
        }
    }

    impl From<Target> for u32 {
        fn from(target: Target) -> Self {
            target.0.parse().unwrap_or(0)
        }
    }
}

use history::{Blocked, Channel, Closed, Deposited, Moved, Target};

fn deposited(amount: u64, paid_through: Channel, text: &str) -> Deposited {
    Deposited {
        amount_in_cents: amount,
        paid_through,
        text: text.into(),
        booked_by: None,
    }
}

#[test]
fn the_history_of_the_fields_is_read_back_to_version_1() -> Result<()> {
    use Channel::{Counter, Online};
    let stored = [
        (
            1,
            r#"{"sum":5,"note":"cash","bookedBy":null}"#,
            deposited(5, Counter, "cash: 5"),
        ),
        (
            2,
            r#"{"amountInCents":5,"channel":"Online","note":"card","bookedBy":null,"fee":1}"#,
            deposited(5, Online, "card: 5"),
        ),
        (
            3,
            r#"{"amountInCents":5,"channel":"Online","txt":"x","bookedBy":null,"fee":1}"#,
            deposited(5, Online, "x"),
        ),
        (
            4,
            r#"{"amountInCents":5,"paidThrough":"Online","txt":"x","bookedBy":null,"fee":1}"#,
            deposited(5, Online, "x"),
        ),
        (
            5,
            r#"{"amountInCents":5,"paidThrough":"Online","txt":"x","bookedBy":null}"#,
            deposited(5, Online, "x"),
        ),
    ];
    for (version, payload, event) in stored {
        assert_eq!(
            Deposited::decode(version, payload.as_bytes())?,
            event,
            "version {version}"
        );
    }
    assert_eq!((Deposited::OLDEST_VERSION, Deposited::WRITES_FROM), (1, 5));
    Ok(())
}

#[test]
fn the_history_of_the_fields_is_written_back_as_far_as_there_is_a_way() -> Result<()> {
    let event = Moved {
        target: Target("42".into()),
        fee: 3,
    };
    let written = [
        (1, r#"{"to":42}"#),
        (2, r#"{"target":42,"fee":3}"#),
        (3, r#"{"target":"42","fee":3}"#),
    ];
    for (version, payload) in written {
        let mut out = Vec::new();
        event.encode_as(version, &mut out)?;
        assert_eq!(String::from_utf8_lossy(&out), payload);
        let fee = if version == 1 { 0 } else { 3 };
        assert_eq!(Moved::decode(version, &out)?, Moved { fee, ..event.clone() });
    }
    assert_eq!(Moved::WRITES_FROM, 1);

    let mut out = Vec::new();
    let event = deposited(5, Channel::Online, "x");
    assert!(matches!(
        event.encode_as(4, &mut out),
        Err(EncodeError::NoWayBack {
            shape_version: 4,
            writes_from: 5,
            ..
        })
    ));
    Ok(())
}

#[test]
fn a_shape_that_another_comes_from_can_tell_its_own_history() -> Result<()> {
    let stored = [
        (1, "{}", "code 0"),
        (2, r#"{"code":7}"#, "code 7"),
        (3, r#"{"code":700}"#, "code 700"),
    ];
    for (version, payload, reason) in stored {
        let reason = reason.to_owned();
        assert_eq!(Closed::decode(version, payload.as_bytes())?, Closed { reason });
    }
    assert_eq!((Closed::OLDEST_VERSION, Closed::WRITES_FROM), (1, 4));
    Ok(())
}

#[test]
fn attributes_of_fields_hold_for_their_older_shapes() -> Result<()> {
    for (version, payload, r#type) in [
        (1, r#"{"why":"lost"}"#, "lost"),
        (2, r#"{"type":"lost"}"#, "lost"),
        (1, "{}", ""),
    ] {
        let r#type = r#type.to_owned();
        assert_eq!(Blocked::decode(version, payload.as_bytes())?, Blocked { r#type, at: 0 });
    }
    Ok(())
}

/// I10: what is missing is no default, unless one was declared, and what is too much is not an error.
#[test]
fn a_default_stands_in_only_where_it_was_declared() {
    let missing = [
        (1, r#"{"note":"cash","bookedBy":null}"#),
        (
            2,
            r#"{"amountInCents":5,"channel":"Online","note":"card","bookedBy":null}"#,
        ),
        (3, r#"{"amountInCents":5,"txt":"x","bookedBy":null,"fee":1}"#),
        (5, r#"{"amountInCents":5,"txt":"x","bookedBy":null}"#),
    ];
    for (version, payload) in missing {
        let read = Deposited::decode(version, payload.as_bytes());
        assert!(matches!(read, Err(DecodeError::Malformed(_))), "version {version}");
    }
    let extra = r#"{"sum":5,"note":"cash","bookedBy":null,"channel":"Online","text":7}"#;
    let read = Deposited::decode(1, extra.as_bytes()).unwrap();
    assert_eq!(read, deposited(5, Channel::Counter, "cash: 5"));
}

#[test]
fn a_conversion_of_a_field_that_panics_is_an_error() {
    let payload = r#"{"amountInCents":-5,"paidThrough":"Online","txt":"x","bookedBy":null,"fee":1}"#;
    let read = Deposited::decode(4, payload.as_bytes());
    assert!(matches!(read, Err(DecodeError::Upcast { from: 4, to: 5, source }) if source.is::<UpcastPanic>()));
}

/// An aggregate with a long past.
mod account {
    use super::*;

    #[event(version = 2, alias = "created", alias = "account.opened")]
    pub struct Opened {
        #[event(changed(since = 2, from = String, with = owners))]
        pub owners: Vec<String>,
    }

    fn owners(owner: String) -> Vec<String> {
        owner.split(" and ").map(str::to_owned).collect()
    }

    #[event(version = 2)]
    pub struct Deposited {
        #[event(renamed(from = "sum", since = 2))]
        pub amount: i64,
    }

    /// Became an opening and, if there was any money, a deposit.
    #[event(version = 2, alias = "created_with_deposit")]
    pub struct OpenedWithDeposit {
        pub owner: String,
        #[event(added(since = 2, default = 0))]
        pub amount: i64,
    }

    /// Is of no interest any more.
    #[event]
    pub struct Noted {
        pub note: String,
    }

    /// Was several deposits.
    #[event]
    pub struct Collected {
        pub amounts: Vec<i64>,
    }

    #[command]
    pub struct Open {
        pub owner: String,
    }

    #[command]
    pub struct Deposit {
        pub amount: i64,
    }

    #[derive(Debug, Clone, PartialEq, Aggregate)]
    pub struct Account {
        pub owners: Vec<String>,
        pub balance: i64,
    }

    #[aggregate]
    impl Account {
        #[handle]
        fn open(cmd: Open) -> Opened {
            Opened {
                owners: vec![cmd.owner],
            }
        }

        #[handle]
        fn deposit(&self, cmd: Deposit) -> Deposited {
            Deposited { amount: cmd.amount }
        }

        #[apply]
        fn opened(event: Opened) -> Self {
            Account {
                owners: event.owners,
                balance: 0,
            }
        }

        #[apply]
        fn deposited(&mut self, event: Deposited) {
            self.balance += event.amount;
        }

        #[retired]
        fn opened_with_deposit(old: OpenedWithDeposit) -> (Opened, Option<Deposited>) {
            let amount = (old.amount != 0).then_some(Deposited { amount: old.amount });
            (
                Opened {
                    owners: vec![old.owner],
                },
                amount,
            )
        }

        #[retired]
        fn noted(_: Noted) {}

        #[retired]
        fn collected(old: Collected) -> Vec<Deposited> {
            assert!(!old.amounts.contains(&0), "nothing was collected");
            old.amounts.into_iter().map(|amount| Deposited { amount }).collect()
        }
    }
}

use account::{Account, AccountEvent, Deposit, Deposited as Paid, Open, Opened as Started};

#[test]
fn all_that_is_read_is_listed() {
    use es_runtime::EventEnum;
    let listed: Vec<_> = <AccountEvent as EventEnum<Account>>::EVENTS
        .iter()
        .map(|info| {
            (
                info.name,
                info.oldest,
                info.shape_version,
                info.writes_from,
                info.aliases,
                info.retired,
            )
        })
        .collect();
    let none: &[&str] = &[];
    assert_eq!(
        listed,
        [
            ("opened", 1, 2, 2, &["created", "account.opened"][..], false),
            ("deposited", 1, 2, 1, none, false),
            ("opened_with_deposit", 1, 2, 1, &["created_with_deposit"], true),
            ("noted", 1, 1, 1, none, true),
            ("collected", 1, 1, 1, none, true),
        ]
    );
}

#[test]
fn a_retired_event_is_read_as_none_one_or_several() -> Result<()> {
    let decode = |name, version, payload: &str| AccountEvent::decode(name, version, payload.as_bytes());
    let opened = || {
        AccountEvent::from(Started {
            owners: vec!["Alice".into()],
        })
    };
    let paid = |amount| AccountEvent::from(Paid { amount });
    assert_eq!(decode("noted", 1, r#"{"note":"x"}"#)?, Decoded::Nothing);
    assert_eq!(
        decode("opened_with_deposit", 1, r#"{"owner":"Alice"}"#)?,
        Decoded::One(opened())
    );
    assert_eq!(
        decode("created_with_deposit", 2, r#"{"owner":"Alice","amount":5}"#)?,
        Decoded::Several(vec![opened(), paid(5)])
    );
    assert_eq!(decode("collected", 1, r#"{"amounts":[7]}"#)?, Decoded::One(paid(7)));
    assert!(matches!(decode("noted", 1, "{}"), Err(DecodeError::Malformed(_))));
    assert!(matches!(
        decode("noted", 2, r#"{"note":"x"}"#),
        Err(DecodeError::UnknownVersion { oldest: 1, newest: 1 })
    ));
    assert!(matches!(
        decode("collected", 1, r#"{"amounts":[0]}"#),
        Err(DecodeError::Upcast { from: 1, to: 1, source }) if source.is::<UpcastPanic>()
    ));
    Ok(())
}

#[test]
fn a_test_can_begin_with_what_is_stored() {
    Account::given(())
        .and_stored("created_with_deposit", 2, r#"{"owner":"Alice","amount":5}"#)
        .and_stored("noted", 1, r#"{"note":"x"}"#)
        .and_stored("deposited", 1, r#"{"sum":7}"#)
        .when(Deposit { amount: 1 })
        .then(Paid { amount: 1 })
        .then_state(|account| assert_eq!(account.balance, 13));
    Account::given(())
        .and_stored("noted", 1, r#"{"note":"x"}"#)
        .when(Deposit { amount: 1 })
        .then_not_found();
}

#[test]
#[should_panic(expected = "event `closed` with shape version 1 cannot be read: this build knows no event of that name")]
fn a_test_that_begins_with_what_is_not_known_fails() {
    drop(Account::given(()).and_stored("closed", 1, "{}"));
}

async fn started(store: &Arc<dyn ProjectionStore>) -> Runtime {
    Runtime::builder(Arc::clone(store)).start().await.unwrap()
}

/// Appends the events to the account as a build of another time would have.
async fn append(store: &Arc<dyn ProjectionStore>, id: Id<Account>, events: &[(&str, u32, &str)]) -> Position {
    let new = |&(name, shape_version, payload): &(&str, u32, &str)| NewEvent {
        id: EventId(AppendId::new().0),
        name: name.to_owned().into(),
        shape_version,
        payload: payload.to_owned().into(),
        metadata: Metadata::EMPTY,
    };
    let events = events.iter().map(new).collect();
    let append = Append::new(id.stream_id(), ExpectedVersion::Any, events);
    store.append(append).await.unwrap();
    store.head().await.unwrap()
}

on_every_store_and_postgres! {
    /// I02, I05: old shapes, former names, and events that were split, merged and dropped, in one stream.
    async fn split_and_merge_keep_versions(store: _, _clock: _) {
        let runtime = started(&store).await;
        let id = Id::new();
        let head = append(&store, id, &[
            ("noted", 1, r#"{"note":"before it began"}"#),
            ("opened_with_deposit", 2, r#"{"owner":"Alice","amount":5}"#),
            ("noted", 1, r#"{"note":"x"}"#),
            ("collected", 1, r#"{"amounts":[1,2,3]}"#),
            ("deposited", 1, r#"{"sum":10}"#),
            ("deposited", 2, r#"{"amount":100}"#),
        ]).await;
        for (version, balance) in [(2, 5), (3, 5), (4, 11), (5, 21), (6, 121)] {
            let account = runtime.load(id).at_version(version).await.unwrap().unwrap();
            assert_eq!((account.version, account.balance), (Version(version), balance));
        }
        assert!(runtime.load(id).at_version(1).await.unwrap().is_none());
        assert_eq!(runtime.load(id).await.unwrap().unwrap().position, head);

        let first = head.0 - 5;
        let history: Vec<_> = runtime.history(id).try_collect().await.unwrap();
        let seen: Vec<_> = history
            .iter()
            .map(|(recorded, state)| (recorded.version.0, recorded.position.0 - first, state.balance))
            .collect();
        assert_eq!(seen, [(2, 1, 0), (2, 1, 5), (4, 3, 6), (4, 3, 8), (4, 3, 11), (5, 4, 21), (6, 5, 121)]);

        let decided = runtime.dry_run(id, Deposit { amount: 1 }).at_version(4).await.unwrap();
        assert_eq!(decided, [AccountEvent::from(Paid { amount: 1 })]);
        let receipt = runtime.execute(id, Deposit { amount: 1_000 }).await.unwrap();
        assert_eq!(receipt.version, 7);
        let receipt = runtime.execute(id, Deposit { amount: 10_000 }).expect_version(7).await.unwrap();
        assert_eq!(receipt.version, 8);
        runtime.atomically(async |tx| {
            assert_eq!(tx.load(id).await.unwrap().balance, 11_121);
            tx.execute(id, Deposit { amount: 100_000 }).await
        }).await.unwrap();
        for runtime in [&runtime, &started(&store).await] {
            let account = runtime.load(id).await.unwrap().unwrap();
            assert_eq!((account.version, account.balance), (Version(9), 111_121));
        }
    }

    /// I05: a stream of which nothing is left takes the command that creates the aggregate, behind what is stored.
    async fn a_stream_of_dropped_events_can_be_begun(store: _, _clock: _) {
        let runtime = started(&store).await;
        let id = Id::new();
        append(&store, id, &[("noted", 1, r#"{"note":"x"}"#)]).await;
        assert!(runtime.load(id).await.unwrap().is_none());
        let declined = runtime.execute(id, Deposit { amount: 1 }).await.unwrap_err();
        assert!(matches!(declined, ExecuteError::NotFound { .. }), "{declined}");
        let receipt = runtime.execute(id, Open { owner: "Alice".into() }).await.unwrap();
        assert_eq!(receipt.version, 2);
        assert_eq!(runtime.load(id).await.unwrap().unwrap().owners, ["Alice"]);
    }

    /// I11: the old name decodes, the new name is written.
    async fn renamed_type_alias(store: _, _clock: _) {
        let runtime = started(&store).await;
        for name in ["created", "account.opened", "opened"] {
            let id = Id::new();
            append(&store, id, &[(name, 1, r#"{"owners":"Alice and Bob"}"#)]).await;
            assert_eq!(runtime.load(id).await.unwrap().unwrap().owners, ["Alice", "Bob"]);
        }
        let id: Id<Account> = Id::new();
        runtime.execute(id, Open { owner: "Alice".into() }).await.unwrap();
        let stored: Vec<_> = store.read_stream(es_runtime::store::ReadStream::new(id.stream_id())).try_collect().await.unwrap();
        assert_eq!((&*stored[0].name, stored[0].shape_version), ("opened", 2));
    }

    /// I06, I09: what this build does not know is named with its place, and the aggregate refuses to decide.
    async fn unknown_types_and_newer_versions_are_refused(store: _, _clock: _) {
        let runtime = started(&store).await;
        let unknown = [
            ("frozen", 1, None, "add `#[event(alias = \"frozen\")]`"),
            ("deposited", 3, Some(1..=2), "run the build that wrote it, or a later one"),
            ("deposited", 0, Some(1..=2), "give the event back the older shape"),
            ("noted", 2, Some(1..=1), "run the build that wrote it, or a later one"),
        ];
        for (name, shape_version, readable, advice) in unknown {
            let id = Id::new();
            let position = append(&store, id, &[
                ("opened", 2, r#"{"owners":["Alice"]}"#),
                (name, shape_version, r#"{"amount":1,"note":"x"}"#),
            ]).await;
            let expected = UnknownEvent {
                stream: id.stream_id(),
                version: Version(2),
                position,
                name: name.into(),
                shape_version,
                readable,
            };
            let LoadError::UnknownEvent(error) = runtime.load(id).await.unwrap_err() else { panic!("{name}") };
            assert_eq!(error, expected);
            assert!(error.to_string().contains(advice), "{error}");
            let refused = runtime.execute(id, Deposit { amount: 1 }).await.unwrap_err();
            assert!(matches!(&refused, ExecuteError::Load(LoadError::UnknownEvent(error)) if *error == expected), "{refused}");
            assert_eq!(store.version(&id.stream_id()).await.unwrap(), 2);
            let history: Result<Vec<_>, _> = runtime.history(id).try_collect().await;
            assert!(matches!(history, Err(LoadError::UnknownEvent(error)) if error == expected));
        }
    }

    /// I03: a step that fails names the event, its stream, version and position.
    async fn a_step_that_fails_is_named_with_its_place(store: _, _clock: _) {
        let runtime = started(&store).await;
        let id = Id::new();
        let position = append(&store, id, &[
            ("opened", 2, r#"{"owners":["Alice"]}"#),
            ("collected", 1, r#"{"amounts":[0]}"#),
        ]).await;
        let LoadError::UnreadableEvent(error) = runtime.load(id).await.unwrap_err() else { panic!() };
        let UnreadableEvent { stream, version, position: at, name, source, .. } = error;
        assert_eq!((stream, version, at, &*name), (id.stream_id(), Version(2), position, "collected"));
        let cause = source.downcast_ref::<DecodeError>().unwrap();
        assert!(matches!(cause, DecodeError::Upcast { source, .. } if source.to_string().contains("nothing was collected")), "{cause}");
        let refused = runtime.execute(id, Deposit { amount: 1 }).await.unwrap_err();
        assert!(matches!(refused, ExecuteError::Load(LoadError::UnreadableEvent(_))), "{refused}");
    }
}
