//! A projection of four segments over the events of two aggregates that meet in one row, and what its rows must be.

use std::collections::BTreeMap;

use es_runtime::KeyOf;
use es_runtime::prelude::*;
use es_runtime::store::ReadLog;
use es_runtime::store::{RowQuery, RowTable};
use es_tests::balances::Store;
use es_tests::bank::{Account, Deposited, Opened, Withdrawn};
use futures_util::TryStreamExt as _;

/// How far the account may be overdrawn was said.
#[event]
pub(crate) struct Limited {
    pub(crate) cents: i64,
}

/// It was said again.
#[event]
pub(crate) struct Changed {
    pub(crate) cents: i64,
}

/// Says how far the account may be overdrawn.
#[command]
pub(crate) struct Limit {
    pub(crate) cents: i64,
}

/// How far an account may be overdrawn, under the id of the account.
#[derive(Aggregate)]
#[es(id = Id<Account>)]
pub(crate) struct Overdraft;

#[aggregate]
impl Overdraft {
    #[handle]
    fn limit(this: Option<&Self>, Limit { cents }: Limit) -> (Option<Limited>, Option<Changed>) {
        match this {
            None => (Some(Limited { cents }), None),
            Some(_) => (None, Some(Changed { cents })),
        }
    }

    #[apply]
    fn limited(_: Limited) -> Self {
        Overdraft
    }

    #[apply]
    fn changed(&mut self, _: Changed) {}
}

/// Limits the overdraft of the account.
pub(crate) async fn limit(runtime: &Runtime, account: Id<Account>, cents: i64) {
    runtime
        .execute(KeyOf::<Overdraft>::new(account), Limit { cents })
        .await
        .unwrap();
}

/// The struct and its methods, as often as there are ways to partition it.
macro_rules! tally {
    ($($arguments:tt)*) => {
        #[projection($($arguments)*)]
        pub(crate) struct Tally {
            pub(crate) cents: i64,
            pub(crate) limit: i64,
            pub(crate) events: u64,
        }

        #[projection]
        impl Tally {
            #[apply]
            fn opened(_: Opened) -> Self {
                Self { cents: 0, limit: 0, events: 1 }
            }

            #[apply]
            fn deposited(&mut self, event: Deposited) {
                if event.amount == $crate::tallies::ON_FAILURE {
                    // Without the hook: with debug information the trace that it prints takes seconds.
                    std::panic::resume_unwind(Box::new("too much"));
                }
                self.cents += event.amount;
                self.events += 1;
            }

            #[apply]
            fn withdrawn(&mut self, event: Withdrawn) {
                self.cents -= event.amount;
                self.events += 1;
            }

            #[apply]
            fn limited(&mut self, event: Limited) {
                self.limit = event.cents;
                self.events += 1;
            }

            #[apply]
            fn changed(&mut self, event: Changed) {
                self.limit = event.cents;
                self.events += 1;
            }
        }
    };
}

pub(crate) use tally;

/// A deposit that no tally can apply.
pub(crate) const ON_FAILURE: i64 = 1_313_131_313;

tally!(name = "tallies", segments = 4);

/// A runtime with the projection.
pub(crate) async fn start(store: &Store) -> Runtime {
    let builder = Runtime::builder(Store::clone(store)).projection::<Tally>();
    builder.start().await.unwrap()
}

/// Key, data and position of each row of this version, byte by byte.
pub(crate) async fn dump(store: &Store, version: u32) -> Vec<(String, String, u64)> {
    let table = RowTable {
        projection: "tallies".into(),
        version,
        indexes: Vec::new().into(),
        beside: false,
    };
    let rows = store.list_rows(&table, &RowQuery::default()).await.unwrap();
    rows.into_iter()
        .map(|row| (row.key, String::from_utf8(row.data.to_vec()).unwrap(), row.position.0))
        .collect()
}

/// What [`dump`] must show: the log folded by hand.
pub(crate) async fn folded(store: &Store) -> Vec<(String, String, u64)> {
    let mut rows: BTreeMap<String, (i64, i64, u64, u64)> = BTreeMap::new();
    let mut log = store.read_log(ReadLog::new());
    while let Some(event) = log.try_next().await.unwrap() {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let cents = |name: &str| payload[name].as_i64().unwrap();
        let row = rows.entry(event.stream.id().to_owned()).or_default();
        match &*event.name {
            "opened" => {}
            "deposited" => row.0 += cents("amount"),
            "withdrawn" => row.0 -= cents("amount"),
            "limited" | "changed" => row.1 = cents("cents"),
            other => panic!("{other}"),
        }
        row.2 += 1;
        row.3 = event.position.0;
    }
    rows.into_iter()
        .map(|(key, (cents, limit, events, position))| {
            let data = format!(r#"{{"cents":{cents},"limit":{limit},"events":{events}}}"#);
            (key, data, position)
        })
        .collect()
}
