//! The suite of the store contract, on PostgreSQL.

mod support;
mod tables;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture, SqlTables, Transaction, Work};
use es_postgres::PostgresStore;
use es_runtime::store::ProjectionStore;
use es_runtime::{Clock, EventStore, ExpectedVersion, Position};
use support::Database;
use tokio_postgres::Client;

/// The database is made when it is first asked for: a second process asks for that of the first.
#[derive(Default)]
struct Postgres(OnceLock<Database>);

impl Postgres {
    fn database(&self) -> &Database {
        self.0.get_or_init(|| support::blocking(Database::new))
    }
}

async fn open(database: &str, clock: Arc<dyn Clock>) -> PostgresStore {
    let options = PostgresStore::options();
    let options = options.readers(3).lock_timeout(Duration::from_secs(1)).clock(clock);
    let store = options.connect_with(support::server().dbname(database).clone()).await;
    store.expect("the store opens")
}

#[async_trait]
impl Fixture for Postgres {
    fn capabilities(&self) -> &[Capability] {
        &[
            Capability::Durable,
            Capability::MultiStream,
            Capability::TxProjections,
            Capability::SqlProjections,
            Capability::States,
            Capability::Archive,
            Capability::ForgetKeys,
            Capability::PushWake,
        ]
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.open_at(&self.database().name, clock).await
    }

    fn address(&self) -> Option<String> {
        Some(self.database().name.clone())
    }

    async fn open_at(&self, address: &str, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(open(address, clock).await)
    }

    async fn open_projections(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn ProjectionStore>> {
        Some(Arc::new(open(&self.database().name, clock).await))
    }

    async fn open_sql(&self, clock: Arc<dyn Clock>) -> Option<Arc<dyn SqlTables>> {
        Some(Arc::new(tables::Tables(open(&self.database().name, clock).await)))
    }

    async fn rewind(&self, to: Position) -> bool {
        let client = self.database().client().await;
        let delete = "DELETE FROM es.recorded_events WHERE position > $1";
        client
            .execute(delete, &[&to.0.cast_signed()])
            .await
            .expect("events are deleted");
        true
    }

    fn page(&self) -> Option<usize> {
        Some(1000)
    }

    async fn begin(&self, work: Work<'_>) -> Option<Box<dyn Transaction>> {
        let client = self.database().client().await;
        client.batch_execute("BEGIN").await.expect("a transaction begins");
        match work {
            Work::Append(append) => {
                for part in &append.streams {
                    assert_eq!(
                        part.expected,
                        ExpectedVersion::Any,
                        "the cases hold only such appends open"
                    );
                    let names: Vec<&str> = part.events.iter().map(|event| &*event.name).collect();
                    let payloads: Vec<&str> = part
                        .events
                        .iter()
                        .map(|event| std::str::from_utf8(&event.payload).expect("JSON"))
                        .collect();
                    client
                        .execute(
                            "SELECT es.append(ARRAY[$1], ARRAY[$2], '{any}', $3, $4::text[]::json[])",
                            &[&part.stream.category(), &part.stream.id(), &names, &payloads],
                        )
                        .await
                        .expect("the append is done");
                }
            }
            Work::Unrelated => client
                .batch_execute("CREATE TABLE public.unrelated AS SELECT 1")
                .await
                .expect("something else is written"),
        }
        Some(Box::new(Open(client)))
    }

    async fn dump(&self) -> Option<String> {
        let client = self.database().client().await;
        let mut dump = String::new();
        for table in [
            "streams",
            "recorded_events",
            "appends",
            "idempotency_keys",
            "event_types",
            "checkpoints",
            "states",
        ] {
            let rows = client
                .query(&format!("SELECT t::text FROM es.{table} AS t ORDER BY 1"), &[])
                .await
                .expect("the table can be read");
            for row in rows {
                dump.extend([table, " ", row.get(0), "\n"]);
            }
        }
        Some(dump)
    }

    async fn flushes_before_ack(&self) -> Option<Result<String, String>> {
        let client = self.database().client().await;
        let row = client
            .query_one(
                "SELECT current_setting('fsync'), current_setting('synchronous_commit')",
                &[],
            )
            .await
            .expect("settings can be read");
        let settings = format!(
            "fsync {}, synchronous_commit {}",
            row.get::<_, &str>(0),
            row.get::<_, &str>(1)
        );
        Some(if settings == "fsync on, synchronous_commit on" {
            Ok(settings)
        } else {
            Err(settings)
        })
    }
}

struct Open(Client);

#[async_trait]
impl Transaction for Open {
    async fn commit(self: Box<Self>) {
        self.0.batch_execute("COMMIT").await.expect("the transaction commits");
    }

    async fn roll_back(self: Box<Self>) {
        self.0
            .batch_execute("ROLLBACK")
            .await
            .expect("the transaction is rolled back");
    }
}

es_conformance::suite!(Postgres::default());
