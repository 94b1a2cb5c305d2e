//! The suite of the store contract, on PostgreSQL.

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use es_conformance::{Capability, Fixture, Transaction, Work};
use es_runtime::{Clock, EventStore, ExpectedVersion};
use support::Database;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

#[derive(Default)]
struct Postgres {
    database: OnceCell<Database>,
}

impl Postgres {
    async fn database(&self) -> &Database {
        self.database.get_or_init(Database::new).await
    }
}

#[async_trait]
impl Fixture for Postgres {
    fn capabilities(&self) -> &[Capability] {
        &[Capability::Durable, Capability::MultiStream]
    }

    // The time is the server's.
    async fn open(&self, _: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let database = self.database().await;
        let store = database
            .options()
            .lock_timeout(Duration::from_secs(1))
            .connect_with(database.config.clone())
            .await;
        Arc::new(store.expect("the store opens"))
    }

    fn page(&self) -> Option<usize> {
        Some(1000)
    }

    async fn begin(&self, work: Work<'_>) -> Option<Box<dyn Transaction>> {
        let client = self.database().await.client().await;
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
        let client = self.database().await.client().await;
        let mut dump = String::new();
        for table in [
            "streams",
            "recorded_events",
            "appends",
            "idempotency_keys",
            "event_types",
            "checkpoints",
        ] {
            let rows = client
                .query(&format!("SELECT t::text FROM es.{table} AS t ORDER BY 1"), &[])
                .await
                .expect("the table can be read");
            for row in rows {
                dump.push_str(&format!("{table} {}\n", row.get::<_, &str>(0)));
            }
        }
        Some(dump)
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
