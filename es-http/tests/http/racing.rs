//! Two clients at one account.

use std::sync::atomic::{AtomicU64, Ordering};

use es_tests::bank::{account_with, balance};
use es_tests::scaled;

use super::client::Server;
use super::commands::bank;

/// Reads the version off its own last answer, as a client with a form does, until so many deposits are done.
async fn deposit(server: Server, path: &str, times: u64, outdated: &AtomicU64) {
    let mut version = 1_u64;
    for _ in 0..times {
        loop {
            let tag = format!("\"{version}\"");
            let answer = server.post(path, &[("if-match", &tag)], r#"{"amount": 1}"#).await;
            match answer.status {
                200 => {
                    let next = answer.json()["version"].as_u64().unwrap();
                    assert_eq!(next, version + 1, "an update was lost");
                    version = next;
                    break;
                }
                412 => {
                    outdated.fetch_add(1, Ordering::Relaxed);
                    version = answer.json()["version"].as_u64().unwrap();
                }
                _ => panic!("{answer:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_demand_a_version_lose_no_update() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 0).await;
    let path = format!("/accounts/{id}/deposit");
    let (times, outdated) = (scaled(500, 5_000), AtomicU64::new(0));
    tokio::join!(
        deposit(server, &path, times, &outdated),
        deposit(server, &path, times, &outdated)
    );
    let done = i64::try_from(2 * times).unwrap();
    assert_eq!(balance(&runtime, id).await, done);
    assert!(outdated.into_inner() > 0, "they never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_demand_nothing_are_both_served() {
    let (runtime, server) = bank().await;
    let id = account_with(&runtime, 0).await;
    let path = format!("/accounts/{id}/deposit");
    let client = async || {
        for _ in 0..scaled(250, 5_000) {
            let answer = server.post(&path, &[], r#"{"amount": 1}"#).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    tokio::join!(client(), client());
    assert_eq!(balance(&runtime, id).await, 2 * scaled(250, 5_000));
}
