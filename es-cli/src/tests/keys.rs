use std::time::Duration;

use serde_json::json;

use super::bank::{Bank, Deposit, account};
use super::run;

#[tokio::test]
async fn only_keys_that_are_older_are_forgotten() {
    let bank = Bank::seeded().await;
    let runtime = bank.builder().open().await.unwrap();
    let deposit = |key: &'static str| {
        runtime
            .execute(account("bob"), Deposit { cents: 1 })
            .idempotency_key(key)
    };
    deposit("old").await.unwrap();
    bank.clock.advance(Duration::from_secs(3600));
    deposit("new").await.unwrap();
    bank.clock.advance(Duration::from_secs(60));

    let unsaid = run(bank.builder(), &["keys", "purge"]).await;
    assert_eq!(unsaid.status, 2, "without an age");
    let none = run(bank.builder(), &["keys", "purge", "--older-than", "2h", "--json"]).await;
    assert_eq!((none.status, none.json()), (0, vec![json!({"forgotten": 0})]));
    let purged = run(bank.builder(), &["keys", "purge", "--older-than", "1h"]).await;
    assert_eq!(
        (purged.status, &*purged.out),
        (0, "1 idempotency keys were forgotten\n")
    );
    assert!(deposit("new").await.unwrap().repeated);
    assert!(!deposit("old").await.unwrap().repeated);
}
