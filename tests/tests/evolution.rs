//! Events that change: what was stored in an older shape, or under another name, is read as the events of today.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "a domain in a module of a test")]

use es_runtime::prelude::*;
use es_runtime::{DecodeError, EncodeError, Event, UpcastPanic};

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
