//! What is read of states in a file in which something was changed: what was saved, or an error that says that it is damaged.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use es_runtime::store::{Change, Checked, Demand, EventStore, StateChange, StateKey, StateStore};
use es_runtime::{StoreError, StoreErrorKind};
use es_sqlite::SqliteStore;
use futures_util::TryStreamExt;
use rusqlite::Connection;

const ENTITIES: u64 = 30;

fn change(number: u64) -> StateChange {
    StateChange {
        key: StateKey::new("states", "account", format!("entity-{number:04}")),
        sequence: 1,
        change: Change::Create,
        shape: 1,
        payload: Some(Bytes::from(format!(
            r#"{{"balance":{number},"note":"payload-{number:04}"}}"#
        ))),
    }
}

async fn open(path: &Path) -> (Arc<SqliteStore>, Checked<dyn StateStore>) {
    let store = Arc::new(SqliteStore::open(path).await.expect("the store opens"));
    let states = Arc::clone(&store).state_store().expect("it keeps states");
    (store, Checked::new(states))
}

async fn filled(path: &Path) {
    let (store, states) = open(path).await;
    states
        .save((0..ENTITIES).map(change).collect(), Demand::Next)
        .await
        .expect("they are saved");
    EventStore::close(&*store).await.expect("it closes");
}

/// Whether it is found to be damaged, or is what was saved.
fn is_right<T: PartialEq + std::fmt::Debug>(came: Result<T, StoreError>, saved: &T) -> Result<bool, String> {
    match came {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(false),
        Ok(came) if came == *saved => Ok(true),
        came => Err(format!("{came:?}")),
    }
}

/// Reads all states, each alone and in a load, and tells whether the damage was met.
async fn is_found(path: &Path, what: &str) -> bool {
    let Ok(store) = SqliteStore::open(path).await else {
        return true;
    };
    let store = Arc::new(store);
    let states = Arc::clone(&store).state_store().expect("it keeps states");
    let mut found = false;
    for number in 0..ENTITIES {
        let change = change(number);
        let came = states.get(&change.key).await;
        found |= !is_right(came, &Some(change)).unwrap_or_else(|came| panic!("{what}: entity {number} is {came}"));
    }
    let all: Vec<StateChange> = (0..ENTITIES).map(change).collect();
    let came = states.load("states").try_collect().await;
    found |= !is_right(came, &all).unwrap_or_else(|came| panic!("{what}: all are {came}"));
    let _ = EventStore::close(&*store).await;
    found
}

#[tokio::test]
async fn states_that_another_program_changed_are_damaged() {
    for column in [
        "namespace = 'other'",
        "kind = 'other'",
        "id = 'entity-0007x'",
        "sequence = 2",
        "change = 1",
        "change = 7",
        "shape = 2",
        "saved_at = 0",
        "payload = '{}'",
        "payload = NULL",
        "checksum = checksum + 4294967296",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bank.db");
        filled(&path).await;
        let connection = Connection::open(&path).expect("the file opens");
        let changed = connection.execute(&format!("UPDATE states SET {column} WHERE id = 'entity-0007'"), []);
        assert_eq!(changed, Ok(1), "{column}");
        drop(connection);
        let (store, states) = open(&path).await;
        let namespace = if column.starts_with("namespace") {
            "other"
        } else {
            "states"
        };
        let loaded: Result<Vec<StateChange>, _> = states.load(namespace).try_collect().await;
        assert_eq!(
            loaded.map_err(|error| error.kind()),
            Err(StoreErrorKind::Corrupt),
            "{column}"
        );
        EventStore::close(&*store).await.expect("it closes");
    }
}

#[tokio::test]
async fn a_byte_of_a_name_or_a_payload_that_flips_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bank.db");
    filled(&path).await;
    let whole = std::fs::read(&path).expect("the file is read");
    let mut places = Vec::new();
    for number in 0..ENTITIES {
        for text in [format!("entity-{number:04}"), format!("payload-{number:04}")] {
            let found = whole
                .windows(text.len())
                .enumerate()
                .filter(|(_, part)| *part == text.as_bytes());
            places.extend(found.map(|(at, part)| (at + part.len() - 1, text.clone())));
        }
    }
    // Each name stands in the table and in its index, each payload in the table.
    assert_eq!(places.len() as u64, 3 * ENTITIES);
    let mut met = 0;
    for (at, text) in &places {
        for bit in [0, 1, 6] {
            let mut damaged = whole.clone();
            damaged[*at] ^= 1 << bit;
            std::fs::write(&path, damaged).expect("the file is written");
            met += usize::from(is_found(&path, &format!("bit {bit} at {at}, in {text}")).await);
        }
    }
    assert!(met >= places.len() * 2, "{met} of {} times", places.len() * 3);
}
