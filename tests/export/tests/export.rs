//! The exported schemas, held against what a store holds.

#![allow(missing_docs, unreachable_pub, reason = "the types are there for their shape")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use es_runtime::prelude::*;
use es_runtime::schema::export;
use es_runtime::store::ReadLog;
use futures_util::TryStreamExt;
use serde_json::{Value, json};

#[value]
pub enum Channel {
    Counter,
    Online { device: Option<String> },
}

#[event]
pub struct Opened {
    pub owner: String,
    pub at: Timestamp,
    pub parent: Option<Id<Account>>,
}

#[event]
pub struct Deposited {
    pub amount: i64,
    pub channel: Channel,
    pub notes: BTreeMap<String, Vec<(u8, f64)>>,
}

#[event(version = 2, from = ClosedV1)]
pub struct Closed {
    pub reason: String,
}

#[event(name = "closed")]
pub struct ClosedV1;

impl From<ClosedV1> for Closed {
    fn from(_: ClosedV1) -> Self {
        Self {
            reason: "unknown".into(),
        }
    }
}

#[command]
pub struct Open {
    pub parent: Option<Id<Account>>,
}

#[command]
pub struct Deposit {
    pub amount: i64,
}

#[command]
pub struct Close;

#[derive(Aggregate)]
pub struct Account;

#[aggregate]
impl Account {
    #[handle]
    fn open(cmd: Open) -> Opened {
        Opened {
            owner: "Zoë".into(),
            at: Timestamp::MAX,
            parent: cmd.parent,
        }
    }

    #[handle]
    fn deposit(&self, cmd: Deposit) -> [Deposited; 3] {
        let notes = BTreeMap::from([("a".to_owned(), vec![(1, 0.1), (2, -1e300)])]);
        let channels = [
            Channel::Counter,
            Channel::Online { device: None },
            Channel::Online {
                device: Some("x".into()),
            },
        ];
        channels.map(|channel| Deposited {
            amount: cmd.amount,
            channel,
            notes: notes.clone(),
        })
    }

    #[handle]
    fn close(&self, _: Close) -> Closed {
        Closed {
            reason: "asked to".into(),
        }
    }

    #[apply]
    fn opened(_: Opened) -> Self {
        Account
    }

    #[apply]
    fn deposited(&mut self, _: Deposited) {}

    #[apply]
    fn closed(&mut self, _: Closed) {}
}

fn schema(folder: &Path, event: &str, version: u32) -> jsonschema::Validator {
    let path = folder.join(format!("account/{event}.{version}.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(schema["title"], format!("account/{event} {version}"));
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

#[tokio::test]
async fn what_a_store_holds_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    export::<(Account,)>(folder.path()).unwrap();
    let store = MemoryStore::new();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let id = Id::<Account>::new();
    runtime
        .execute(
            id,
            Open {
                parent: Some(Id::new()),
            },
        )
        .await
        .unwrap();
    for amount in [i64::MIN, -1, 0, i64::MAX] {
        runtime.execute(id, Deposit { amount }).await.unwrap();
    }
    runtime.execute(id, Close).await.unwrap();
    runtime
        .execute(Id::<Account>::new(), Open { parent: None })
        .await
        .unwrap();

    let events: Vec<_> = store.read_log(ReadLog::new()).try_collect().await.unwrap();
    assert_eq!(events.len(), 15);
    for event in events {
        let payload: Value = serde_json::from_slice(&event.payload).unwrap();
        schema(folder.path(), &event.name, event.shape_version)
            .validate(&payload)
            .unwrap();
    }
}

#[test]
fn what_no_event_holds_is_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    export::<Account>(folder.path()).unwrap();
    for (event, version, payload) in [
        ("opened", 1, json!({ "owner": "Zoë" })),
        ("opened", 1, json!({ "owner": "Zoë", "at": "yesterday" })),
        (
            "opened",
            1,
            json!({ "owner": "Zoë", "at": "2026-11-21T09:30:00Z", "parent": "me" }),
        ),
        (
            "deposited",
            1,
            json!({ "amount": 1.5, "channel": "Counter", "notes": {} }),
        ),
        ("deposited", 1, json!({ "amount": 1, "channel": "Window", "notes": {} })),
        ("closed", 1, json!({ "reason": "asked to" })),
        ("closed", 2, json!(null)),
    ] {
        assert!(
            !schema(folder.path(), event, version).is_valid(&payload),
            "{event} {version} {payload}"
        );
    }
}
