//! What is stored in the end, read in every way that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::pin::pin;

use es_conformance::__private::Random;
use es_runtime::store::{ListStreams, ReadLog, ReadStream};
use es_runtime::{Id, RecordedEvent, Runtime};
use futures_util::{Stream, TryStreamExt as _};

use super::record::{Journal, Receipt, Record, Seen};
use super::rows::{Entries, Row};
use super::{readers, worker};
use crate::bank::Account;
use crate::totals::Totals;
use crate::waits;

/// What is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The log, forwards.
    pub log: Vec<Event>,
    /// The log, backwards.
    pub backwards: Vec<Seen>,
    /// The position of its last event.
    pub head: u64,
    /// Each stream with its version, as they are listed.
    pub listed: Vec<(String, u64)>,
    /// The events of each stream that is listed.
    pub streams: BTreeMap<String, Vec<Seen>>,
    /// Version and balance of each account that is listed and can be loaded.
    pub loaded: BTreeMap<String, Option<(u64, i64)>>,
    /// The names of the kinds of events.
    pub kinds: Vec<String>,
    /// What is stored under each key that was used.
    pub keys: BTreeMap<String, Vec<Receipt>>,
    /// What is projected, if the store has projections.
    pub views: Option<Views>,
    /// What could not be read.
    pub unreadable: Vec<String>,
}

/// What is projected.
#[derive(Debug, Clone)]
pub struct Views {
    /// The rows of the SQL projection.
    pub rows: BTreeMap<String, Row>,
    /// What is in the tables that are written with SQL, if there are any.
    pub totals: Option<Totals>,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its position and its id.
    pub seen: Seen,
    /// The id of its stream.
    pub stream: String,
    /// Its version.
    pub version: u64,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub payload: serde_json::Value,
    /// The name of the attempt that it came from.
    pub attempt: String,
    /// When it was recorded, in microseconds.
    pub at: i64,
}

impl Event {
    /// How much money comes in by it.
    pub fn cents(&self) -> i64 {
        let amount = self.payload["amount"].as_i64().unwrap_or_default();
        if self.name == "withdrawn" { -amount } else { amount }
    }
}

impl From<RecordedEvent> for Event {
    fn from(event: RecordedEvent) -> Self {
        Self {
            seen: readers::seen(&event),
            stream: event.stream.id().to_owned(),
            version: event.version.0,
            name: event.name.clone().into_owned(),
            payload: serde_json::from_slice(&event.payload).unwrap_or_default(),
            attempt: event.metadata.correlation_id().unwrap_or_default().to_owned(),
            at: event.recorded_at.as_micros(),
        }
    }
}

impl Stored {
    /// Reads what is stored, as far as it can be read.
    pub(super) async fn read(runtime: &Runtime, records: &[Record], views: Option<Views>) -> Self {
        let store = &**runtime.store();
        let mut tried = Tried::default();
        let log = store.read_log(ReadLog::new()).map_ok(Event::from);
        let backwards = store.read_log(ReadLog::new().backwards());
        let backwards = backwards.map_ok(|event| readers::seen(&event));
        let listed = store.streams(ListStreams::new("account"));
        let listed = tried.all(listed.map_ok(|info| (info.stream, info.version.0))).await;
        let (mut streams, mut loaded) = (BTreeMap::new(), BTreeMap::new());
        for (stream, _) in &listed {
            let events = store.read_stream(ReadStream::new(stream.clone()));
            let events = tried.all(events.map_ok(|event| readers::seen(&event))).await;
            streams.insert(stream.id().to_owned(), events);
            let id: Id<Account> = stream.id().parse().expect("the id of an account");
            if let Some(account) = tried.one(runtime.load(id).await) {
                let account = account.map(|account| (account.version.0, account.balance));
                loaded.insert(stream.id().to_owned(), account);
            }
        }
        let mut keys = BTreeMap::new();
        for key in keys_of(records) {
            let found = tried.one(store.find_key(key).await).flatten();
            let receipts = found.map(|record| worker::receipts(record.appended));
            keys.insert(key.to_owned(), receipts.unwrap_or_default());
        }
        let kinds = tried.one(store.stored_events().await).unwrap_or_default();
        Self {
            log: tried.all(log).await,
            backwards: tried.all(backwards).await,
            head: tried.one(store.head().await).unwrap_or_default().0,
            listed: listed
                .into_iter()
                .map(|(stream, version)| (stream.id().to_owned(), version))
                .collect(),
            streams,
            loaded,
            kinds: kinds.into_iter().map(|kind| kind.name).collect(),
            keys,
            views,
            unreadable: tried.0,
        }
    }
}

/// The keys that were used, once each.
fn keys_of(records: &[Record]) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for record in records {
        if let Record::Called { request, .. } = record {
            keys.extend(request.key.as_deref());
        }
    }
    keys
}

/// What went wrong while reading.
#[derive(Default)]
struct Tried(Vec<String>);

impl Tried {
    fn one<T, E: Error>(&mut self, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.0.push(format!("{error} ({error:?})"))).ok()
    }

    /// Everything up to the first error.
    async fn all<T, E: Error>(&mut self, read: impl Stream<Item = Result<T, E>>) -> Vec<T> {
        let (mut read, mut all) = (pin!(read), Vec::new());
        while let Some(next) = self.one(read.try_next().await).flatten() {
            all.push(next);
        }
        all
    }
}

impl Views {
    /// Waits until everything that follows the log has come to its end, then reads the rows.
    ///
    /// # Panics
    ///
    /// If it does not come there.
    pub(super) async fn caught_up(runtime: &Runtime, journal: Journal) -> Self {
        if readers::can_subscribe(runtime) {
            let handling = readers::handle(runtime, journal.clone()).await;
            handling.expect("the handler starts");
            let subscriber = tokio::spawn(readers::subscribe(runtime.clone(), journal, Random::from_seed(1)));
            waits::at_the_head(runtime, 2).await;
            subscriber.abort();
        } else {
            waits::at_the_head(runtime, 0).await;
        }
        let listed = runtime.list::<Entries>().await.expect("the rows can be read");
        let rows = listed.rows.into_iter().map(|shown| (shown.key, shown.row.row));
        Self {
            rows: rows.collect(),
            totals: None,
        }
    }
}
