//! A bank whose log was written by the first version of this program, when an account had one owner and no overdraft.

use es_runtime::EventStore;
use es_sqlite::SqliteStore;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bank::Bank;

/// The log of that file, and how many lines of the shipped ledger its writer had imported. Its events have no checksums: the store reads
/// them as those of another program, whatever checksums are made of today.
const LOG: &str = include_str!("../../data/bank-v1.sql");
const LINES: usize = 300;

fn bank(name: &str) -> Bank {
    let bank = Bank::new(name);
    let file = bank.path("bank.db");
    let empty = async { SqliteStore::open(&file).await.unwrap().close().await.unwrap() };
    tokio::runtime::Runtime::new().unwrap().block_on(empty);
    let outside = Connection::open(&file).unwrap();
    outside.execute_batch(LOG).unwrap();
    let checked = "SELECT count(checksum) FROM recorded_events";
    let checked: i64 = outside.query_row(checked, [], |row| row.get(0)).unwrap();
    assert_eq!(checked, 0);
    bank
}

/// Returns what its writer printed for `accounts --json`, in today's words.
fn as_its_writer_saw_it() -> Value {
    let mut accounts: Value = serde_json::from_str(include_str!("../../data/bank-v1.json")).unwrap();
    for account in accounts.as_array_mut().unwrap() {
        let account = account.as_object_mut().unwrap();
        let owner = account.remove("owner").unwrap();
        account.insert("owners".to_owned(), json!([owner]));
    }
    accounts
}

#[test]
fn its_accounts_are_what_they_were() {
    assert_eq!(bank("v1-accounts").accounts(), as_its_writer_saw_it());
}

#[test]
fn its_requests_are_not_done_again() {
    let bank = bank("v1-requests");
    let shipped = include_str!("../../data/ledger.csv");
    let known: String = shipped.split_inclusive('\n').take(1 + LINES).collect();
    bank.write("ledger.csv", known);
    let again = bank.json(&["import", "ledger.csv"]);
    assert_eq!(
        again["imported_before"],
        again["lines"].as_u64().unwrap() - again["malformed"].as_u64().unwrap()
    );
    assert_eq!(again["events"], 0);
    assert_eq!(again["balances"], true);
    assert_eq!(bank.accounts(), as_its_writer_saw_it());
}

#[test]
fn it_goes_on() {
    let bank = bank("v1-goes-on");
    // To the end of the ledger that it had begun …
    bank.json(&[]);
    assert_eq!(bank.accounts(), Bank::imported().0.accounts());
    // … and with what it could not do then.
    bank.ok(&["open", "ACC-900001", "Zoë", "--joint", "Max", "--overdraft", "50.00"]);
    bank.ok(&["transfer", "ACC-900001", "ACC-000001", "50.00"]);
    let history = bank.json(&["history", "ACC-900001"]);
    assert_eq!(history[0]["what"], "opened for Zoë and Max with an overdraft of 50.00");
    assert_eq!(history[1]["balance"], "-50.00");
    let said = bank.fails(1, &["withdraw", "ACC-900001", "0.01"]);
    assert!(said.contains("insufficient funds"), "{said}");
}
