//! The same bank on PostgreSQL.

use tokio_postgres::NoTls;

use crate::bank::{Bank, total};
use crate::import::totals;

/// A database of its own on the server of the tests.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn new() -> Self {
        let server = std::env::var("ES_TEST_DATABASE_URL")
            .expect("this test needs PostgreSQL: run scripts/test, or set ES_TEST_DATABASE_URL to the URL of a server");
        let database = Self {
            server,
            name: format!("es_bank_{}", std::process::id()),
        };
        database.run(&format!("CREATE DATABASE {}", database.name));
        database
    }

    fn url(&self) -> String {
        let (server, settings) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (server, _) = server.rsplit_once('/').expect("the URL names a database");
        format!("{server}/{}?{settings}", self.name)
    }

    fn run(&self, statement: &str) {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.server, NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute(statement).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
        });
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn the_bank_on_postgresql_is_the_bank_on_sqlite() {
    let shipped = include_str!("../../data/ledger.csv");
    let part: String = shipped.split_inclusive('\n').take(3_000).collect();
    let bank = Bank::new("postgres");
    bank.write("part.csv", &part);
    let database = Database::new();
    let url = database.url();
    let store = ["--store", url.as_str()];

    let on_sqlite = bank.json(&["import", "part.csv"]);
    let on_postgres = bank.json(&[&store[..], &["import", "part.csv"]].concat());
    assert_eq!(on_postgres["events"], on_sqlite["events"]);
    assert_eq!(totals(&on_postgres), totals(&on_sqlite));
    assert_eq!(bank.json(&[&store[..], &["accounts"]].concat()), bank.accounts());
    let totals_on_sqlite = bank.json(&["totals"]);
    let totals_on_postgres = bank.json(&[&store[..], &["totals"]].concat());
    for what in ["opened", "paid_in", "paid_out"] {
        assert!(total(&totals_on_sqlite, what) > 0, "{what}");
        assert_eq!(
            total(&totals_on_postgres, what),
            total(&totals_on_sqlite, what),
            "{what}"
        );
    }

    let again = bank.json(&[&store[..], &["import", "part.csv"]].concat());
    assert_eq!(again["events"], 0);
    assert_eq!(totals(&again), totals(&on_sqlite));
}
