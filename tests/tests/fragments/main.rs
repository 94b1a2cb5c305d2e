//! Domains that another macro writes, of fragments that its caller gives.

#![deny(warnings)]

use es_runtime::prelude::*;
use es_runtime::testing::Given;
use es_runtime::{Invalid, Runtime, Stored};
use es_sqlite::{SqliteStore, SqliteTransaction};

/// The names are the caller's, and all else is the macro's.
macro_rules! ledger {
    (
        $ledger:ident($open:ident => $opened:ident, $add:ident => $added:ident, $old:ident, $refused:ty, $result:ty),
        $field:ident: $amount:ty, $rows:ident, $copies:ident, $totals:ident, $key:expr, $schema:literal, $function:path
    ) => {
        #[command]
        struct $open {
            name: String,
        }

        #[command(validate = $function)]
        struct $add {
            $field: $amount,
        }

        #[event]
        struct $opened {
            name: String,
        }

        #[event(version = 3, validate = $function)]
        struct $added {
            #[event(changed(since = 2, from = u8, with = widened), changed(since = 3, from = u16))]
            $field: $amount,
        }

        #[event]
        struct $old;

        #[derive(Aggregate)]
        struct $ledger {
            sum: $amount,
        }

        #[aggregate(vis = pub(crate))]
        impl $ledger {
            #[handle]
            fn open(command: $open, _: &Context) -> $opened {
                $opened { name: command.name }
            }

            #[handle]
            fn add(&self, command: $add, context: &Context) -> $result {
                let _ = context.version();
                Ok($added {
                    $field: command.$field,
                })
            }

            #[apply]
            fn opened(_: $opened) -> Self {
                Self { sum: 0 }
            }

            #[apply]
            fn added(&mut self, event: $added) {
                self.sum += event.$field;
            }

            #[retired]
            fn old(_: $old) -> Option<$added> {
                None
            }
        }

        #[projection(memory)]
        struct $rows {
            sum: $amount,
        }

        #[projection]
        impl $rows {
            #[apply]
            fn opened(_: $opened, _: &Meta<$ledger>) -> Self {
                Self { sum: 0 }
            }

            #[apply]
            fn added(&mut self, event: $added, meta: &Meta<$ledger>) {
                let _ = meta.version();
                self.sum += event.$field;
            }
        }

        #[projection(memory)]
        struct $copies {
            versions: u64,
        }

        #[projection]
        impl $copies {
            #[apply(key = $key(&event.name))]
            fn opened(event: $opened, meta: &Meta<$ledger>) -> Self {
                let _ = event;
                Self {
                    versions: meta.version().0,
                }
            }
        }

        #[projection(schema = $schema)]
        struct $totals;

        #[projection]
        impl $totals {
            #[apply]
            fn opened(tx: &mut SqliteTransaction<'_>, event: $opened) -> Result<()> {
                tx.execute("INSERT INTO entries_v1 (entry) VALUES (?1)", [event.name])?;
                Ok(())
            }

            #[apply]
            fn added(tx: &mut SqliteTransaction<'_>, _: $added, meta: &Meta<$ledger>) -> Result<()> {
                tx.execute(
                    "INSERT INTO entries_v1 (entry) VALUES (?1)",
                    [meta.version().0.to_string()],
                )?;
                Ok(())
            }
        }
    };
}

ledger! {
    Ledger(Open => Opened, Add => Added, Noted, Negative, Result<Added, Negative>),
    cents: i64, Rows, Copies, Totals, lower_case, "entries.sql", no_thirteen
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("negative")]
struct Negative;

/// What events and commands check.
trait Cents {
    fn cents(&self) -> i64;
}

impl Cents for Add {
    fn cents(&self) -> i64 {
        self.cents
    }
}

impl Cents for Added {
    fn cents(&self) -> i64 {
        self.cents
    }
}

fn no_thirteen(cents: &impl Cents) -> Result<(), Invalid> {
    match cents.cents() {
        13 => Err(Invalid::new("cents", "13 brings bad luck")),
        _ => Ok(()),
    }
}

fn widened(cents: u8) -> u16 {
    u16::from(cents)
}

fn lower_case(name: &str) -> String {
    name.to_lowercase()
}

#[test]
fn an_aggregate_of_fragments_decides() {
    Ledger::given(Opened { name: "A".into() })
        .and_stored("added", 1, r#"{"cents": 5}"#)
        .and_stored("noted", 1, "null")
        .when(Add { cents: 2 })
        .then(Added { cents: 2 })
        .then_state(|ledger| assert_eq!(ledger.sum, 7));
    assert_eq!(Added::decode(2, br#"{"cents": 500}"#).unwrap(), Added { cents: 500 });
}

#[tokio::test]
async fn projections_of_fragments_fold() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
    let runtime = Runtime::builder(store.clone())
        .projection::<Rows>()
        .projection::<Copies>()
        .projection::<Totals>()
        .start()
        .await
        .unwrap();
    let id = Id::new();
    runtime.execute(id, Open { name: "A".into() }).await.unwrap();
    let receipt = runtime
        .execute(id, Add { cents: 7 })
        .wait_for::<Rows>()
        .wait_for::<Copies>()
        .wait_for::<Totals>()
        .await
        .unwrap();
    assert_eq!(receipt.version.0, 2);
    assert_eq!(runtime.get::<Rows>(id).await.unwrap().map(|row| row.sum), Some(7));
    assert_eq!(
        runtime.get::<Copies>("a").await.unwrap().map(|row| row.versions),
        Some(1)
    );
    let entries = store
        .query(|connection| {
            let mut query = connection.prepare("SELECT entry FROM entries_v1 ORDER BY number")?;
            let entries = query.query_map([], |row| row.get::<_, String>(0))?;
            entries.collect::<std::result::Result<Vec<_>, _>>()
        })
        .await
        .unwrap();
    assert_eq!(entries, ["A", "2"]);
}
