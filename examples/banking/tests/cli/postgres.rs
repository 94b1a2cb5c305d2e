//! The same bank on PostgreSQL.

use tokio_postgres::NoTls;

use crate::archive::moved;
use crate::bank::{Bank, total};
use crate::commands::{a_line_for_each_movement, the_balances_are_kept_and_built_anew, with_accounts};
use crate::import::{a_rebuild_shows_how_far_it_is, first_lines, the_ledger_is_as_true_as_the_events, totals};

/// A database of its own on the server of the tests.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn new(of: &str) -> Self {
        let server = std::env::var("ES_TEST_DATABASE_URL")
            .expect("this test needs PostgreSQL: run scripts/test, or set ES_TEST_DATABASE_URL to the URL of a server");
        let database = Self {
            server,
            name: format!("es_bank_{of}_{}", std::process::id()),
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
    let part = first_lines(include_str!("../../data/ledger.csv"), 3_000);
    let sqlite = Bank::new("beside-postgres");
    let database = Database::new("import");
    let postgres = Bank::new("postgres").on(database.url());

    let [on_sqlite, on_postgres] = [&sqlite, &postgres].map(|bank| {
        bank.write("part.csv", &part);
        bank.json(&["import", "part.csv"])
    });
    assert_eq!(on_postgres["events"], on_sqlite["events"]);
    assert_eq!(totals(&on_postgres), totals(&on_sqlite));
    assert_eq!(postgres.accounts(), sqlite.accounts());
    let [days_on_sqlite, days_on_postgres] = [&sqlite, &postgres].map(|bank| bank.json(&["totals"]));
    for what in ["opened", "paid_in", "paid_out"] {
        assert!(total(&days_on_sqlite, what) > 0, "{what}");
    }
    assert_eq!(days_on_postgres, days_on_sqlite);
    the_ledger_is_as_true_as_the_events(&postgres);
    a_rebuild_shows_how_far_it_is(&postgres, "2000");

    let again = postgres.json(&["import", "part.csv"]);
    assert_eq!(again["events"], 0);
    assert_eq!(totals(&again), totals(&on_sqlite));
}

#[test]
fn read_models_on_postgresql_are_those_on_sqlite() {
    let database = Database::new("balances");
    the_balances_are_kept_and_built_anew(&with_accounts(Bank::new("postgres-balances").on(database.url())));
    let database = Database::new("ledger");
    a_line_for_each_movement(&with_accounts(Bank::new("postgres-ledger").on(database.url())));
}

#[test]
fn a_bank_moves_from_a_file_to_a_server() {
    let bank = with_accounts(Bank::new("archive-sqlite"));
    bank.ok(&["transfer", "ACC-000001", "ACC-000002", "30.00", "--reference", "t1"]);
    bank.ok(&["es", "export", "bank.archive"]);
    let database = Database::new("archive");
    let copy = Bank::new("archive-postgres").on(database.url());
    copy.write("bank.archive", std::fs::read(bank.path("bank.archive")).unwrap());
    moved(&bank, &copy);
}
